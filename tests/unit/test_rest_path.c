#include <criterion/criterion.h>

#include <string.h>

#include "connectors/rest/path.h"

static struct slice text_of(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* What is found, as JSON; "missing". */
static const char *find(struct arena *mem, const char *path, const char *json)
{
    struct buf out = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    struct rest_value v;
    struct path p;
    const char *copy;

    cr_assert_null(path_compile(mem, path, false, &p), "%s", path);
    cr_assert_eq(path_find(&p, text_of(json), mem, &v, &err), 0, "%s", err.message);
    rest_value_put_json(&v, &out);
    copy = v.kind == VALUE_MISSING ? "missing" : arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return copy;
}

Test(rest_path, finds_values_as_they_were_written)
{
    static const char json[] = "{\"a\": {\"b\": [1.10, {\"c\": \"x\\u00e9\\n\"}, [true, null]]}, "
                               "\"d e\": 12345678901234567890.5e3, \"it's\": {}, \"n\": null, "
                               "\"empty\": []}";
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"a.b[0]", "1.10"},
        {"a.b[1].c", "\"xé\\n\""},
        {"a.b[1]", "{\"c\": \"x\\u00e9\\n\"}"},
        {"a.b[-1][0]", "true"},
        {"a.b[-1][-1]", "null"},
        {"a.b[-2].c", "\"xé\\n\""},
        {"a.b[-3]", "1.10"},
        {"a.b[-4]", "missing"},
        {"a.b[3]", "missing"},
        {"a.b.c", "missing"},
        {"a[0]", "missing"},
        {"a.b[0].x", "missing"},
        {"a.b[-3].x", "missing"},
        {"['d e']", "12345678901234567890.5e3"},
        {"$['d e']", "12345678901234567890.5e3"},
        {"['it\\'s']", "{}"},
        {"[\"it's\"]", "{}"},
        {"n", "null"},
        {"n.x", "missing"},
        {"empty[-1]", "missing"},
        {"$.a.b[2]", "[true, null]"},
        {"x", "missing"},
    };
    struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_str_eq(find(mem, cases[i].path, json), cases[i].want, "%s: %s", cases[i].path,
                         find(mem, cases[i].path, json));
    cr_assert_str_eq(find(mem, "$", "[1]"), "[1]");
    cr_assert_str_eq(find(mem, "", "\"s\""), "\"s\"");
    cr_assert_str_eq(find(mem, "[1]", "[1, 2]"), "2");
    arena_free(mem);
}

Test(rest_path, refuses_what_is_no_path)
{
    static const char *const bad[] = {"a..b",  ".a",      "a.",  "a[",    "a[1",
                                      "a[x]",  "a['b]",   "a[]", "a b",   "a]b",
                                      "a[1]b", "a[*].id", "$a",  "a['b'", "a[1x]"};
    struct arena *mem = arena_new();
    struct path p;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not_null(path_compile(mem, bad[i], false, &p), "%s", bad[i]);
    cr_assert_null(path_compile(mem, "data[*].item", true, &p));
    cr_assert_eq(p.n, 3);
    cr_assert_eq(p.steps[1].kind, PATH_EACH);
    arena_free(mem);
}

Test(rest_path, says_when_the_text_is_not_json)
{
    struct arena *mem = arena_new();
    struct error err = ERROR_INIT;
    struct rest_value v;
    struct path p;

    cr_assert_null(path_compile(mem, "b", false, &p));
    cr_assert_eq(path_find(&p, text_of("{\"a\": tru, \"b\": 1}"), mem, &v, &err), -1);
    cr_assert_eq(err.code, ERR_DATA);
    arena_free(mem);
}

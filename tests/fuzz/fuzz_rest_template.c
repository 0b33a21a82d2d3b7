/*
 * J5. Any text as a template, a condition, a path and a pattern. What compiles is carried out over
 * values of every kind; a path finds nothing but JSON.
 *
 * The first line is the text, the rest what it is held against.
 */
#include <string.h>

#include "connectors/rest/pattern.h"
#include "connectors/rest/template.h"
#include "tests/fuzz/fuzz.h"

#define ALL (SCOPE_BIT(record) | SCOPE_BIT(vars) | SCOPE_BIT(body) | SCOPE_BIT(run))
static const char record[] =
    "{\"id\":12345678901234567890,\"n\":-1.5e3,\"s\":\"a \\u00e9\\ud83d\\ude00\",\"b\":true,\"z\":"
    "null,\"l\":[1,\"two\",{\"k\":[]}],\"o\":{\"any name\":\"2024-05-01T10:00:00Z\"},\"t\":0}";

static void run_template(struct arena *mem, const char *text, const struct scopes *s)
{
    struct problems problems = PROBLEMS_INIT(mem);
    struct doc *value = doc_new_string(text);
    const struct template *t = template_compile(mem, value, ALL, "/t", &problems);
    struct error err = ERROR_INIT;
    struct rest_value v, again;
    struct buf json = BUF_INIT(64 << 20);

    MUST(!t == (problems.n > 0));
    if (t && template_render(t, s, mem, &v, &err) == 0) {
        rest_value_put_json(&v, &json);
        MUST(rest_value_read((struct slice){buf_str(&json), json.len}, mem, &again, &err) == 0);
        MUST(v.kind == again.kind || v.kind == VALUE_MISSING);
    } else if (t) {
        MUST(err.code != ERR_NONE);
    }
    buf_release(&json);
    doc_free(value);
}

static void run_condition(struct arena *mem, const char *text, const struct scopes *s)
{
    struct problems problems = PROBLEMS_INIT(mem);
    const struct condition *c = condition_compile(mem, text, ALL, "/c", &problems);
    struct error err = ERROR_INIT;
    bool holds, again;

    MUST(!c == (problems.n > 0));
    if (c && condition_holds(c, s, mem, &holds, &err) == 0)
        MUST(condition_holds(c, s, mem, &again, &err) == 0 && holds == again);
}

static void run_path(struct arena *mem, const char *text, struct slice json)
{
    struct error err = ERROR_INIT;
    struct rest_value v;
    struct path p;

    if (!path_compile(mem, text, false, &p) && path_find(&p, json, mem, &v, &err) == 0)
        MUST(v.kind != VALUE_STRING || v.text.len <= json.len);
}

static void run_pattern(struct arena *mem, const char *text, struct slice against)
{
    const struct pattern *p;
    struct slice found = {0};

    if (!pattern_compile(mem, text, &p) && pattern_find(p, against, &found))
        MUST(found.len <= against.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scopes s = {0};
    struct arena *mem;
    struct slice rest;
    const char *text, *end;

    if (size > 1 << 12 || memchr(data, 0, size))
        return 0;
    mem = arena_new();
    end = size ? memchr((const char *)data, '\n', size) : NULL;
    text = arena_memdup(mem, (const char *)data, end ? (size_t)(end - (const char *)data) : size);
    rest = end ? (struct slice){end + 1, size - (size_t)(end + 1 - (const char *)data)}
               : (struct slice){"", 0};
    s.json[SCOPE_record] = s.json[SCOPE_vars] = s.json[SCOPE_body] =
        (struct slice){record, sizeof record - 1};
    run_template(mem, text, &s);
    run_condition(mem, text, &s);
    run_path(mem, text, s.json[SCOPE_record]);
    run_path(mem, text, rest);
    run_pattern(mem, text, rest);
    arena_free(mem);
    return 0;
}

#include <criterion/criterion.h>

#include <string.h>

#include "connectors/base/doc.h"

static struct doc *parsed(const char *text)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s: %s", text, err.message);
    return d;
}

static void assert_refused(const char *text, size_t n, enum error_code code, const char *reason)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    cr_assert_eq(doc_parse(text, n, &d, &err), -1, "%.60s", text);
    cr_assert_eq(err.code, code, "%.60s: %s", text, err.message);
    cr_assert_str_eq(error_reason(&err), reason, "%.60s: %s", text, err.message);
}

static void assert_writes(const struct doc *d, const char *want)
{
    struct buf b = BUF_INIT(10000);

    doc_write(d, &b);
    cr_assert_str_eq(buf_str(&b), want);
    buf_release(&b);
}

Test(doc, reads_every_kind)
{
    CLEANUP(doc_free_cleanup)
    struct doc *d =
        parsed("{\"n\":null,\"b\":true,\"i\":-7,\"r\":2.5,\"s\":\"x\",\"a\":[1,2],\"o\":{}}");
    static const enum doc_kind kinds[] = {DOC_NULL,   DOC_BOOL,  DOC_INT,   DOC_REAL,
                                          DOC_STRING, DOC_ARRAY, DOC_OBJECT};
    size_t i = 0;

    for (const struct doc_member *it = doc_first(d); it; it = doc_next(d, it))
        cr_assert_eq(doc_kind(doc_member_value(it)), kinds[i++]);
    cr_assert_eq(i, 7);
    cr_assert_eq(doc_count(d), 7);
    cr_assert_eq(doc_bool(doc_get(d, "b"), false), true);
    cr_assert_eq(doc_int(doc_get(d, "i"), 0), -7);
    cr_assert_eq(doc_real(doc_get(d, "r"), 0), 2.5);
    cr_assert_eq(doc_real(doc_get(d, "i"), 0), -7);
    cr_assert_str_eq(doc_string(doc_get(d, "s"), ""), "x");
    cr_assert_eq(doc_int(doc_at(doc_get(d, "a"), 1), 0), 2);
    cr_assert_eq(doc_count(doc_get(d, "a")), 2);
}

Test(doc, answers_null_and_other_kinds_with_the_fallback)
{
    CLEANUP(doc_free_cleanup) struct doc *d = parsed("[1]");

    cr_assert_null(doc_get(NULL, "x"));
    cr_assert_null(doc_get(d, "x"));
    cr_assert_null(doc_at(NULL, 0));
    cr_assert_null(doc_at(d, 1));
    cr_assert_eq(doc_count(NULL), 0);
    cr_assert_eq(doc_count(doc_at(d, 0)), 0);
    cr_assert_str_eq(doc_string(d, "f"), "f");
    cr_assert_str_eq(doc_string(NULL, "f"), "f");
    cr_assert_eq(doc_int(NULL, 3), 3);
    cr_assert_eq(doc_int(d, 3), 3);
    cr_assert_eq(doc_real(d, 3), 3);
    cr_assert_eq(doc_bool(d, true), true);
    cr_assert_not(doc_is(NULL, DOC_NULL));
    cr_assert_null(doc_first(d));
    cr_assert_null(doc_first(NULL));
    doc_free(NULL);
}

Test(doc, names_its_kinds)
{
    cr_assert_str_eq(doc_kind_name(DOC_INT), "integer");
    cr_assert_str_eq(doc_kind_name(DOC_REAL), "number");
    cr_assert_str_eq(doc_kind_name(DOC_OBJECT), "object");
}

/* J1: UTF-8, no NUL, no number that would be rounded. */
Test(doc, refuses_what_is_no_json)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[1,]",
                                        "{\"a\":}",
                                        "01",
                                        "nul",
                                        "\"\x01\"",
                                        "[1] [2]",
                                        "\"\\ud800\"",
                                        "{a:1}",
                                        "'a'",
                                        "1e400",
                                        "\"\xff\"",
                                        "99999999999999999999",
                                        "\"\\u0000\"",
                                        "{\"a\\u0000\":1}"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i], strlen(texts[i]), ERR_INVALID, "invalid_json");
    assert_refused("1\0", 2, ERR_INVALID, "invalid_json");
}

Test(doc, says_where_the_mistake_is)
{
    struct error err = ERROR_INIT;
    struct doc *d;

    cr_assert_eq(doc_parse("{\n \"a\" 1}", 9, &d, &err), -1);
    cr_assert(strstr(err.message, "line 2"), "%s", err.message);
}

/* J1. */
Test(doc, refuses_duplicate_keys)
{
    assert_refused("{\"a\":1,\"a\":1}", 13, ERR_INVALID, "duplicate_key");
    assert_refused("[{\"b\":{\"a\":1,\"\\u0061\":2}}]", 25, ERR_INVALID, "duplicate_key");
}

/* `n` times `piece` between two ends. */
static struct buf repeated(const char *before, const char *piece, size_t n, const char *after)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    buf_puts(&b, before);
    for (size_t i = 0; i < n; i++)
        buf_puts(&b, piece);
    buf_puts(&b, after);
    return b;
}

static int parse_code(struct buf text)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    if (!doc_parse(text.data, text.len, &d, &err))
        doc_free(d);
    buf_release(&text);
    return (int)err.code;
}

static struct buf nested(size_t depth)
{
    struct buf b = repeated("", "[", depth, "");

    for (size_t i = 0; i < depth; i++)
        buf_putc(&b, ']');
    return b;
}

/* J1: at the limit, below and above. */
Test(doc, limits_depth)
{
    cr_assert_eq(parse_code(nested(DOC_MAX_DEPTH - 1)), ERR_NONE);
    cr_assert_eq(parse_code(nested(DOC_MAX_DEPTH)), ERR_NONE);
    cr_assert_eq(parse_code(nested(DOC_MAX_DEPTH + 1)), ERR_TOO_LARGE);
    cr_assert_eq(parse_code(repeated("", "{\"a\":", DOC_MAX_DEPTH + 1, "")), ERR_TOO_LARGE);
    cr_assert_eq(parse_code(repeated("", "[", 1000000, "")), ERR_TOO_LARGE);
}

/* J1. The array itself is a value too. */
Test(doc, limits_the_number_of_values)
{
    static const char *const values[] = {"0,", "\"\",", "true,", "{},", "-1.5e3 ,\n"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        cr_assert_eq(parse_code(repeated("[", values[i], DOC_MAX_VALUES - 3, "0]")), ERR_NONE);
        cr_assert_eq(parse_code(repeated("[", values[i], DOC_MAX_VALUES - 2, "0]")), ERR_NONE);
        cr_assert_eq(parse_code(repeated("[", values[i], DOC_MAX_VALUES - 1, "0]")), ERR_TOO_LARGE);
    }
}

/* J1. */
Test(doc, limits_strings_and_numbers)
{
    cr_assert_eq(parse_code(repeated("\"", "a", DOC_MAX_STRING - 1, "\"")), ERR_NONE);
    cr_assert_eq(parse_code(repeated("\"", "a", DOC_MAX_STRING, "\"")), ERR_NONE);
    cr_assert_eq(parse_code(repeated("\"", "a", DOC_MAX_STRING + 1, "\"")), ERR_TOO_LARGE);
    cr_assert_eq(parse_code(repeated("\"", "\\\"", DOC_MAX_STRING / 2 + 1, "\"")), ERR_TOO_LARGE);
    cr_assert_eq(parse_code(repeated("0.", "1", DOC_MAX_NUMBER - 3, "")), ERR_NONE);
    cr_assert_eq(parse_code(repeated("0.", "1", DOC_MAX_NUMBER - 2, "")), ERR_NONE);
    cr_assert_eq(parse_code(repeated("0.", "1", DOC_MAX_NUMBER - 1, "")), ERR_TOO_LARGE);
    cr_assert_eq(parse_code(repeated("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"", "", 0, "]")),
                 ERR_NONE, "brackets in a string are no nesting");
}

Test(doc, lifts_limits_for_text_of_our_own)
{
    struct buf many = repeated("[", "0,", DOC_MAX_VALUES, "0]");
    struct buf wide = repeated("\"", "a", DOC_MAX_STRING + 1, "\"");
    struct buf deep = nested(DOC_MAX_DEPTH + 1);
    struct buf *const texts[] = {&many, &wide, &deep};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = ERROR_INIT;
        struct doc *d = NULL;

        cr_assert_eq(doc_parse_trusted(texts[i]->data, texts[i]->len, &d, &err), 0, "%s",
                     err.message);
        doc_free(d);
        buf_release(texts[i]);
    }
}

Test(doc, keeps_the_order_of_members)
{
    CLEANUP(doc_free_cleanup) struct doc *d = parsed("{\"z\":1,\"a\":2,\"m\":3}");

    doc_set(d, "b", doc_new_int(4));
    doc_set(d, "a", doc_new_int(5));
    assert_writes(d, "{\"z\":1,\"a\":5,\"m\":3,\"b\":4}");
    doc_remove(d, "z");
    doc_remove(d, "not there");
    assert_writes(d, "{\"a\":5,\"m\":3,\"b\":4}");
}

Test(doc, builds_and_writes)
{
    CLEANUP(doc_free_cleanup) struct doc *d = doc_new_object();
    struct doc *list = doc_new_array();

    doc_append(list, doc_new_bool(true));
    doc_append(list, doc_new_null());
    doc_append(list, doc_new_string(NULL));
    doc_append(list, doc_new_string("a\"b"));
    doc_append(list, doc_new_string_n("x\0y", 3));
    doc_append(list, doc_new_string("\xff"));
    doc_append(list, doc_new_real(0.1));
    doc_append(list, doc_new_int(INT64_MIN));
    doc_set(d, "list", list);
    cr_assert_eq(doc_get_mutable(d, "list"), list);
    assert_writes(d, "{\"list\":[true,null,null,\"a\\\"b\",\"x\\u0000y\",\"\xef\xbf\xbd\",0.1,"
                     "-9223372036854775808]}");
}

Test(doc, writes_numbers_as_short_as_they_came)
{
    static const char *const texts[] = {"0.1",    "1.0", "-0.0",  "1e+300", "0.30000000000000004",
                                        "5e-324", "0",   "-1.25", "100.5"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CLEANUP(doc_free_cleanup) struct doc *d = parsed(texts[i]);

        assert_writes(d, texts[i]);
    }
}

Test(doc, writes_pretty)
{
    CLEANUP(doc_free_cleanup)
    struct doc *d = parsed("{\"a\":[1,{\"b\":null}],\"c\":{},\"d\":[]}");
    struct buf b = BUF_INIT(1000);

    doc_write_pretty(d, &b);
    cr_assert_str_eq(buf_str(&b), "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n"
                                  "  \"c\": {},\n  \"d\": []\n}");
    buf_release(&b);
}

Test(doc, shows_a_full_buffer_in_it)
{
    CLEANUP(doc_free_cleanup) struct doc *d = parsed("[1,2,3]");
    struct buf b = BUF_INIT(6);

    doc_write(d, &b);
    cr_assert(b.failed);
    buf_release(&b);
}

Test(doc, copies_deeply_and_compares)
{
    CLEANUP(doc_free_cleanup) struct doc *d = parsed("{\"a\":{\"b\":[1]},\"c\":2}");
    CLEANUP(doc_free_cleanup) struct doc *copy = doc_copy(d);
    CLEANUP(doc_free_cleanup) struct doc *other_order = parsed("{\"c\":2,\"a\":{\"b\":[1]}}");

    cr_assert(doc_equal(d, copy));
    cr_assert(doc_equal(d, d));
    cr_assert(doc_equal(d, other_order));
    doc_set(doc_get_mutable(copy, "a"), "b", doc_new_int(1));
    cr_assert_not(doc_equal(d, copy));
    assert_writes(d, "{\"a\":{\"b\":[1]},\"c\":2}");
}

/* RFC 7396, appendix A: original, patch, result. */
static const char *const patches[][3] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
    {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
    {"{\"a\":\"foo\"}", "null", "null"},
    {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
};

Test(doc, merges_the_patches_of_rfc7396)
{
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        CLEANUP(doc_free_cleanup) struct doc *target = parsed(patches[i][0]);
        CLEANUP(doc_free_cleanup) struct doc *patch = parsed(patches[i][1]);
        CLEANUP(doc_free_cleanup) struct doc *result = doc_merge_patch(target, patch);

        assert_writes(result, patches[i][2]);
        assert_writes(target, patches[i][0]);
    }
}

Test(doc, merges_into_nothing)
{
    CLEANUP(doc_free_cleanup) struct doc *patch = parsed("{\"a\":1,\"b\":null}");
    CLEANUP(doc_free_cleanup) struct doc *result = doc_merge_patch(NULL, patch);

    assert_writes(result, "{\"a\":1}");
}

Test(doc, escapes_pointers)
{
    struct buf b = BUF_INIT(100);

    doc_pointer_put(&b, "a/b~c");
    doc_pointer_put(&b, "");
    doc_pointer_put(&b, "0");
    cr_assert_str_eq(buf_str(&b), "/a~1b~0c//0");
    buf_release(&b);
}

/* The pieces of a response that need no server. */
#include <criterion/criterion.h>
#include <string.h>

#include "server/http/internal.h"

static const char *indented(const char *json)
{
    static char out[1024];
    struct buf text = BUF_INIT(sizeof out - 1);

    json_indent(&text, json, strlen(json));
    strcpy(out, buf_str(&text));
    buf_release(&text);
    return out;
}

Test(response, indents_json_without_reading_it)
{
    cr_assert_str_eq(indented("{}"), "{}");
    cr_assert_str_eq(indented("[ ]"), "[]");
    cr_assert_str_eq(indented("7"), "7");
    cr_assert_str_eq(indented("[1,[2,{\"a\":[]}]]"),
                     "[\n  1,\n  [\n    2,\n    {\n      \"a\": []\n    }\n  ]\n]");
    cr_assert_str_eq(indented("{\"a\" : 1.10 ,\n\"b\":1e400}"),
                     "{\n  \"a\": 1.10,\n  \"b\": 1e400\n}");
}

Test(response, leaves_what_is_inside_strings_alone)
{
    cr_assert_str_eq(indented("[\"a, b: {c}\",\"\\\"[\\\\\",\"\"]"),
                     "[\n  \"a, b: {c}\",\n  \"\\\"[\\\\\",\n  \"\"\n]");
}

Test(response, survives_text_that_is_not_json)
{
    static const char *const cases[] = {"\"open", "\"open\\", "]]]", "{{{", "\"", "}", ",:"};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_geq(strlen(indented(cases[i])), strlen(cases[i]), "%s", cases[i]);
}

Test(response, matches_entity_tags)
{
    cr_assert(etag_matches("\"7\"", "\"7\""));
    cr_assert(etag_matches("*", "\"7\""));
    cr_assert(etag_matches("W/\"7\"", "\"7\""));
    cr_assert(etag_matches("\"1\", \"7\" , \"9\"", "\"7\""));
    cr_assert_not(etag_matches("\"77\"", "\"7\""));
    cr_assert_not(etag_matches("7", "\"7\""));
    cr_assert_not(etag_matches("\"7\"x", "\"7\""));
    cr_assert_not(etag_matches("", "\"7\""));
    cr_assert_not(etag_matches(",,", "\"7\""));
}

Test(response, replaces_a_header_that_is_set_twice)
{
    struct arena *mem = arena_new();
    struct response_private priv;
    struct response res;

    response_init(&res, &priv, mem);
    response_header(&res, "Cache-Control", "no-store");
    response_header(&res, "cache-control", "max-age=%d", 5);
    cr_assert_eq(priv.n_headers, 1);
    cr_assert_str_eq(response_find_header(&res, "CACHE-CONTROL"), "max-age=5");
    response_etag(&res, -3);
    cr_assert_str_eq(response_find_header(&res, "etag"), "\"-3\"");
    arena_free(mem);
}

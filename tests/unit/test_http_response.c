/* The pieces of a response that need no server. */
#include <criterion/criterion.h>
#include <string.h>

#include "connectors/base/redact.h"
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

/* S7, G3: a problem document goes through the redactors of what runs now. */
Test(response, problems_are_without_the_secrets_in_use)
{
    struct redactor *secrets = redactor_new();
    struct arena *mem = arena_new();
    struct error err = ERROR_INIT;
    struct response_private priv;
    struct response res;

    redactor_add(secrets, "s3cr3t \"x\"", 10);
    for (int run = 0; run < 2; run++) {
        err = ERROR_INIT;
        response_init(&res, &priv, mem);
        cr_assert_eq(error_set(&err, ERR_INVALID, "no \"s3cr3t \"x\"\" here"), -1);
        problems_add(&res.problems, "/a/s3cr3t \"x\"", "unknown_field",
                     "s3cr3t \"x\" is not known");
        if (run == 0)
            redact_live_add(secrets);
        response_problem(&res, &err, "id");
        if (run == 0)
            redact_live_remove(secrets);
        cr_expect_eq(strstr(buf_str(&res.body), "s3cr3t") != NULL, run == 1, "%s",
                     buf_str(&res.body));
        cr_expect_eq(strstr(buf_str(&res.body), "\"pointer\":\"/a/***\"") != NULL, run == 0);
        cr_expect_eq(strstr(buf_str(&res.body), "\"message\":\"*** is not known\"") != NULL,
                     run == 0);
        cr_expect_eq(strstr(buf_str(&res.body), "\"detail\":\"no \\\"***\\\" here\"") != NULL,
                     run == 0);
        buf_release(&res.body);
    }
    redactor_free(secrets);
    arena_free(mem);
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

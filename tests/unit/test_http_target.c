/* The target of a request: one decoding, no way to say a path twice. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "server/http/target.h"

static struct arena *mem;

static void set_up(void)
{
    mem = arena_new();
}

static void tear_down(void)
{
    arena_free(mem);
}

TestSuite(target, .init = set_up, .fini = tear_down);

/* "a|b" for a path of two segments; NULL when it is refused. */
static const char *path_of(const char *raw)
{
    static char out[256];
    struct error err = ERROR_INIT;
    struct target t;

    if (target_parse(mem, raw, &t, &err) < 0) {
        cr_assert_str_eq(error_reason(&err), "invalid_target", "%s: %s", raw, err.message);
        cr_assert_eq(err.code, ERR_INVALID);
        return NULL;
    }
    out[0] = '\0';
    for (size_t i = 0; i < t.n_segments; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i ? "|" : "", t.segments[i]);
    return out;
}

Test(target, accepts_one_spelling_or_another_of_the_same_path)
{
    static const char *const cases[][2] = {
        {"/", ""},
        {"/v1/sources", "v1|sources"},
        {"/v1/sources/", "v1|sources"},
        {"//v1///sources//", "v1|sources"},
        {"/v1/%73ources", "v1|sources"},
        {"/a%20b", "a b"},
        {"/%C3%A9", "\xc3\xa9"},
        {"/\xc3\xa9", "\xc3\xa9"},
        {"/a+b", "a+b"},
        {"/a:b@c;d=e,f", "a:b@c;d=e,f"},
        {"/%2525", "%25"},
        {"/...", "..."},
        {"/.hidden", ".hidden"},
        {"http://example.org/v1", "v1"},
        {"HTTPS://example.org:80/v1/x", "v1|x"},
        {"http://example.org", ""},
        {"http://example.org?x=1", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = path_of(cases[i][0]);

        cr_assert_not_null(got, "%s is refused", cases[i][0]);
        cr_assert_str_eq(got, cases[i][1], "%s gives %s", cases[i][0], got);
    }
}

/* H6. */
Test(target, refuses_what_two_parsers_could_read_differently)
{
    static const char *const cases[] = {
        "",           "x",       "*",         "example.org:443",
        "/a%2Fb",     "/a%2fb",  "/%2F",      "/a%00b",
        "/%00",       "/a%0ab",  "/a%7f",     "/a\tb",
        "/../x",      "/x/..",   "/%2e%2e/x", "/.%2e/x",
        "/./x",       "/%2e",    "/a%",       "/a%4",
        "/a%zz",      "/a%4g",   "/%ff",      "/%c3",
        "/%ed%a0%80", "/%c0%af", "/a b",      "/a#b",
        "/a\\b",      "/a?x#y",  "/a?x y",    "/\xff",
        "ftp://h/x",  "//../x",  "/a/%2E./b", "/%c1%9c..",
        "http:/x",    "/\x01",   "/a%5c%2f",  "/%f5%80%80%80",
        "/%e0%80%80", "/a%1f",   "/%!0",      "/%:0",
        "/%@0",       "/%G0",    "/%`0",      "/%g0",
        "/%7",        "/%a",
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = path_of(cases[i]);

        cr_assert_null(got, "\"%s\" is read as %s", cases[i], got ? got : "");
    }
}

Test(target, decodes_parameters_once_and_keeps_their_order)
{
    struct error err = ERROR_INIT;
    struct target t;

    cr_assert_eq(target_parse(mem, "/x?a=1&b=%26%3d+c&pretty&&empty=&e=f=g", &t, &err), 0);
    cr_assert_eq(t.n_query, 5);
    cr_assert_str_eq(t.query[0].name, "a");
    cr_assert_str_eq(t.query[0].value, "1");
    cr_assert_str_eq(t.query[1].value, "&= c");
    cr_assert_str_eq(t.query[2].name, "pretty");
    cr_assert_str_eq(t.query[2].value, "");
    cr_assert_str_eq(t.query[3].value, "");
    cr_assert_str_eq(t.query[4].value, "f=g");
}

static void refuses_query(const char *raw)
{
    struct error err = ERROR_INIT;
    struct target t;

    cr_assert_eq(target_parse(mem, raw, &t, &err), -1, "%s", raw);
    cr_assert_str_eq(error_reason(&err), "invalid_query");
}

/* H6. */
Test(target, refuses_parameters_that_contradict_each_other_or_are_not_text)
{
    static const char *const cases[] = {
        "/x?a=1&a=2", "/x?a&a",      "/x?a=1&%61=2", "/x?a=%0",  "/x?a=%00",
        "/x?a=%ff",   "/x?a=%0d%0a", "/x?%zz=1",     "/x?=1&=2",
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuses_query(cases[i]);
}

Test(target, takes_so_many_parameters_and_not_one_more)
{
    char raw[1024] = "/x?";
    struct error err = ERROR_INIT;
    struct target t;

    for (int i = 0; i < TARGET_MAX_QUERY; i++)
        snprintf(raw + strlen(raw), sizeof raw - strlen(raw), "p%d&", i);
    cr_assert_eq(target_parse(mem, raw, &t, &err), 0);
    cr_assert_eq(t.n_query, TARGET_MAX_QUERY);
    strcat(raw, "one_more");
    refuses_query(raw);
}

Test(target, a_question_mark_asks_for_nothing_by_itself)
{
    struct error err = ERROR_INIT;
    struct target t;

    cr_assert_eq(target_parse(mem, "/x?", &t, &err), 0);
    cr_assert_eq(t.n_query, 0);
    cr_assert_str_eq(t.segments[0], "x");
}

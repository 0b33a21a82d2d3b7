#include <criterion/criterion.h>

#include <string.h>

#include "connectors/rest/pattern.h"

Test(rest_pattern, finds_what_it_describes)
{
    static const struct {
        const char *pattern, *text, *want; /* NULL = not found */
    } cases[] = {
        {"abc", "xabcx", "abc"},
        {"^abc$", "xabc", NULL},
        {"^abc$", "abc", "abc"},
        {"(\\d+)/(\\d+)", "calls 12/40 now", "12"},
        {"\\d+/(\\d+)", "32/40", "40"},
        {"page=(\\w*)&?", "u?page=x9&b=1", "x9"},
        {"a|b|cd", "xcdb", "cd"},
        {"(?:a|b)+(c?)", "ababc", "c"},
        {"[^,]+$", "a,b,last", "last"},
        {"[a-cx\\d-]+", "zz-b2xq", "-b2x"},
        {"[]x]", "]", "]"},
        {"a.c", "a\nc", "a\nc"},
        {"x*", "aaa", ""},
        {"\\.\\(", "a.(", ".("},
        {"(a*)*b", "aaab", NULL}, /* a repeated repetition: the inner group is the last pass */
        {"é+", "caféé", "é"},
        {"^$", "", ""},
        {"\\s\\S\\W\\D", "a b-c", " b-c"},
        {"(x)?y", "y", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *mem = arena_new();
        const struct pattern *p;
        struct slice got = {"", 0};
        const char *why = pattern_compile(mem, cases[i].pattern, &p);
        bool found;

        cr_assert_null(why, "%s: %s", cases[i].pattern, why);
        found = pattern_find(p, (struct slice){cases[i].text, strlen(cases[i].text)}, &got);
        if (strcmp(cases[i].pattern, "(a*)*b") == 0) {
            cr_assert(found, "an empty pass does not hang");
        } else if (!cases[i].want) {
            cr_assert_not(found, "%s", cases[i].pattern);
        } else {
            cr_assert(found, "%s in %s", cases[i].pattern, cases[i].text);
            cr_assert_eq(got.len, strlen(cases[i].want), "%s: %.*s", cases[i].pattern, (int)got.len,
                         got.ptr);
            cr_assert_eq(memcmp(got.ptr, cases[i].want, got.len), 0, "%s: %.*s", cases[i].pattern,
                         (int)got.len, got.ptr);
        }
        arena_free(mem);
    }
}

Test(rest_pattern, refuses_what_it_does_not_know)
{
    static const char *const bad[] = {"*a",   "a**", "(a",    "a)", "[a",
                                      "a{2}", "a\\", "[z-a]", "+",  "a+?"};
    struct arena *mem = arena_new();
    const struct pattern *p;
    char deep[600];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not_null(pattern_compile(mem, bad[i], &p), "%s", bad[i]);
    memset(deep, 'a', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    cr_assert_not_null(pattern_compile(mem, deep, &p));
    memset(deep, '(', sizeof deep - 1);
    cr_assert_not_null(pattern_compile(mem, deep, &p));
    arena_free(mem);
}

/* What takes a backtracking engine for ever. */
Test(rest_pattern, takes_linear_time, .timeout = 30)
{
    size_t n = 200000;
    char *text = xalloc(n + 1);
    struct arena *mem = arena_new();
    const struct pattern *p;
    struct slice got;

    memset(text, 'a', n);
    cr_assert_null(pattern_compile(mem, "(a|a)+(a|aa)+(a+)+b", &p));
    cr_assert_not(pattern_find(p, (struct slice){text, n}, &got));
    free(text);
    arena_free(mem);
}

#include <criterion/criterion.h>

#include <string.h>

#include "connectors/base/problem.h"

Test(problems, are_kept_in_order_with_copies_of_their_text)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems p = PROBLEMS_INIT(mem);
    char pointer[] = "/streams/0";

    problems_add(&p, pointer, "required", "\"%s\" is missing", "name");
    problems_add(&p, "", "wrong_type", "expected an object");
    pointer[1] = 'X';
    cr_assert_eq(p.n, 2);
    cr_assert_str_eq(p.items[0].pointer, "/streams/0");
    cr_assert_str_eq(p.items[0].code, "required");
    cr_assert_str_eq(p.items[0].message, "\"name\" is missing");
    cr_assert_str_eq(p.items[1].pointer, "");
}

Test(problems, beyond_the_limit_are_counted)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems p = PROBLEMS_INIT(mem);

    for (int i = 0; i < PROBLEMS_MAX; i++)
        problems_add(&p, "", "c", "%d", i);
    cr_assert_eq(p.n, PROBLEMS_MAX);
    cr_assert_eq(p.dropped, 0);
    problems_add(&p, "", "c", "one more");
    cr_assert_eq(p.n, PROBLEMS_MAX);
    cr_assert_eq(p.dropped, 1);
    cr_assert_str_eq(p.items[PROBLEMS_MAX - 1].message, "99");
}

Test(problems, cut_endless_messages)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems p = PROBLEMS_INIT(mem);

    problems_add(&p, "", "c", "%1000s", "x");
    cr_assert_eq(strlen(p.items[0].message), 511);
}

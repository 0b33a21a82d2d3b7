#include <criterion/criterion.h>

#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "connectors/base/arena.h"

static bool all_zero(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (((const char *)p)[i])
            return false;
    }
    return true;
}

Test(arena, gives_zeroed_and_aligned_memory_of_every_size)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    for (size_t n = 0; n < 70000; n = n * 2 + 1) {
        char *p = arena_alloc(mem, n);

        cr_assert_eq((uintptr_t)p % _Alignof(max_align_t), 0);
        cr_assert(all_zero(p, n));
        memset(p, 0xff, n);
    }
}

Test(arena, gives_zeroed_memory_again_after_a_clear)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            char *p = arena_alloc(mem, 1000);

            cr_assert(all_zero(p, 1000));
            memset(p, 0xff, 1000);
        }
        arena_clear(mem);
        cr_assert_eq(arena_used(mem), 0);
    }
}

Test(arena, keeps_what_was_given_while_more_is_asked_for)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    char *first = arena_strdup(mem, "first");

    for (int i = 0; i < 100; i++)
        memset(arena_alloc(mem, 5000), 'x', 5000);
    cr_assert_str_eq(first, "first");
    cr_assert_geq(arena_used(mem), 500000);
}

Test(arena, copies_text)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    cr_assert_str_eq(arena_strdup(mem, ""), "");
    cr_assert_str_eq(arena_memdup(mem, "abcdef", 3), "abc");
    cr_assert_str_eq(arena_memdup(mem, NULL, 0), "");
    cr_assert_str_eq(arena_printf(mem, "%d-%s", 7, "x"), "7-x");
    cr_assert_eq(memcmp(arena_memdup(mem, "a\0b", 3), "a\0b", 4), 0);
}

Test(arena, aborts_when_the_size_of_an_array_overflows, .signal = SIGABRT)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    arena_array(mem, SIZE_MAX / 2, 3);
}

Test(arena, accepts_null_when_freed)
{
    arena_free(NULL);
}

Test(heap, copies_and_grows)
{
    CLEANUP(free_cleanup) char *s = xstrdup("abc");
    CLEANUP(free_cleanup) char *z = xalloc(100);

    s = xrealloc(s, 1000);
    cr_assert_str_eq(s, "abc");
    cr_assert(all_zero(z, 100));
}

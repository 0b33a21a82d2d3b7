/* M1: what is larger than the ceiling is refused to everybody but us. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/base/ceiling.h"

/* A sanitizer has a malloc and a ceiling of its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CEILING ((size_t)320 << 20)
#endif
#endif
#ifndef CEILING
#define CEILING CEILING_BYTES
#endif

/* Written and read again: clang takes an allocation whose result it need not keep for a success. */
static void *volatile got;

Test(ceiling, refuses_what_is_larger)
{
    volatile size_t most = CEILING, more = CEILING + (1 << 20);

    got = malloc(most);
    cr_assert_not_null(got);
    errno = 0;
    cr_assert_null(realloc(got, more));
    cr_assert_eq(errno, ENOMEM);
    free(got);
    got = malloc(more);
    cr_assert_null(got);
    got = calloc(more / 16, 16);
    cr_assert_null(got);
    got = calloc(more, SIZE_MAX / 2);
    cr_assert_null(got);
    got = calloc(most / 16, 16);
    cr_assert_not_null(got);
    free(got);
}

Test(ceiling, is_lifted_for_what_is_bounded_by_its_owner)
{
    got = xalloc(CEILING_BYTES + 1);
    got = xrealloc(got, 2 * CEILING_BYTES);
    free(got);
    cr_assert_not(ceiling_lifted);
}

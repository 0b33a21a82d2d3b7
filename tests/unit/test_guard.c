/*
 * The guard of the guards: this leaks on purpose. Criterion calls it passed and exits with 0; what
 * fails the test is the sanitizer's text. The build expects that failure (WILL_FAIL), so it tells
 * when sanitizer reports stop being noticed.
 */
#include <criterion/criterion.h>

#include <stdlib.h>

static char *volatile lost;

Test(guard, a_leak_is_noticed)
{
    lost = malloc(100);
    cr_assert_not_null(lost);
    lost = NULL;
}

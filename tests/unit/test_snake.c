/* Names in small ASCII letters. */
#include <criterion/criterion.h>

#include "connectors/base/arena.h"
#include "connectors/base/snake.h"

static struct arena *mem;

static void setup(void)
{
    mem = arena_new();
}

static void teardown(void)
{
    arena_free(mem);
}

TestSuite(snake, .init = setup, .fini = teardown);

#define assert_becomes(name, expected) cr_assert_str_eq(snake_name(mem, name), expected)

Test(snake, leaves_a_plain_name_alone)
{
    assert_becomes("user_id", "user_id");
    assert_becomes("_id", "_id");
    assert_becomes("a1", "a1");
}

Test(snake, makes_capitals_small)
{
    assert_becomes("UserID", "userid");
    assert_becomes("\u00c4\u0142\u0178", "aly");
}

Test(snake, joins_what_is_no_letter_and_no_digit)
{
    assert_becomes("Order Items", "order_items");
    assert_becomes("a - b", "a_b");
    assert_becomes("a__b.", "a_b_");
    assert_becomes("50%", "_50_");
}

Test(snake, spells_latin_letters)
{
    assert_becomes("Gr\u00f6\u00dfe (cm)", "grosse_cm_");
    assert_becomes("\u00c6\u00d8\u0153\u00fe\u0133", "aeooethij");
    assert_becomes("caf\u00e9", "cafe");
    assert_becomes("cafe\u0301", "cafe");
    assert_becomes("2\u00d73", "_2_3");
}

Test(snake, keeps_nothing_of_other_scripts)
{
    assert_becomes("\u0438\u043c\u044f", "");
    assert_becomes("\u0438\u043c\u044f id", "_id");
    assert_becomes("\U0001f600", "");
    assert_becomes("___", "");
    assert_becomes("", "");
    assert_becomes("\u0301a", "_a");
}

Test(snake, puts_something_before_a_digit)
{
    assert_becomes("1st", "_1st");
    assert_becomes("1", "_1");
}

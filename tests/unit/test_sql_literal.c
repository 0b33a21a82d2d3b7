/* Constants out of catalogs: what is one, which one it is, and what is none. */
#include <criterion/criterion.h>

#include "connectors/sql/literal.h"

Test(literal, knows_numbers)
{
    static const char *const numbers[] = {"0", "-7", "+7", "1.50", ".5", "5.", "1e3", "-1.5E-10"};
    static const char *const others[] = {"",     "-",  ".",   "e5",  "1e", "1e+",
                                         "0x10", "1 ", "1+1", "--1", "nan"};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cr_assert(literal_is_number(numbers[i]), "%s", numbers[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(literal_is_number(others[i]), "%s", others[i]);
}

Test(literal, tells_integers_that_are_written_in_one_way_only)
{
    static const char *const plain[] = {"0", "7", "-7", "9223372036854775807"};
    static const char *const others[] = {"007", "+7", "7.0", "-0", "9223372036854775808", "", "-"};

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        cr_assert(literal_is_plain_integer(plain[i]), "%s", plain[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(literal_is_plain_integer(others[i]), "%s", others[i]);
}

static const char *text_in(const char *sql, enum literal_escape how)
{
    static struct buf out;

    buf_release(&out);
    out = BUF_INIT(100);
    return literal_read_text(sql, '\'', how, &out) ? buf_str(&out) : NULL;
}

Test(literal, reads_what_stands_in_quotes)
{
    cr_assert_str_eq(text_in("''", LITERAL_DOUBLED), "");
    cr_assert_str_eq(text_in("'it''s'", LITERAL_DOUBLED), "it's");
    cr_assert_str_eq(text_in("'a\\nb'", LITERAL_DOUBLED), "a\\nb");
    cr_assert_str_eq(text_in("'a\\nb\\\\c\\'d''e'", LITERAL_BACKSLASH), "a\nb\\c'd'e");
}

Test(literal, takes_no_expression_for_a_text)
{
    static const char *const others[] = {"'a' || 'b'", "'a",    "'a''",  "a'",  "'",
                                         "",           "now()", "\"a\"", "'\\", "'a\\0b'"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_null(text_in(others[i], LITERAL_BACKSLASH), "%s", others[i]);
}

Test(literal, reads_bytes_and_bits)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(100);

    cr_assert(literal_read_bytes("X'00fF27'", &out));
    cr_assert_str_eq(buf_str(&out), "AP8n");
    cr_assert_not(literal_read_bytes("x'0'", &out));
    cr_assert_not(literal_read_bytes("x'00' || x'01'", &out));
    cr_assert_not(literal_read_bytes("'00'", &out));
    buf_clear(&out);
    cr_assert(literal_read_bits("b'101'", &out));
    cr_assert_str_eq(buf_str(&out), "5");
    cr_assert_not(literal_read_bits("b''", &out));
    cr_assert_not(literal_read_bits("b'12'", &out));
    cr_assert_not(literal_read_bits(
        "b'1111111111111111111111111111111111111111111111111111111111111111'", &out));
}

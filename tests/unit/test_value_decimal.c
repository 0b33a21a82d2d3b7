#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/data/value.h"

static void assert_decimal(const char *text, const char *want)
{
    struct buf b = BUF_INIT(100000);

    cr_assert(value_put_decimal(&b, text, strlen(text)), "%.60s", text);
    cr_assert_str_eq(buf_str(&b), want, "%.60s: %.60s", text, buf_str(&b));
    if (want[0] != 'N' && want[0] != 'I' && want[1] != 'I')
        cr_assert(value_is_canonical_decimal(b.data, b.len), "%s", want);
    buf_clear(&b);
    cr_assert(value_put_decimal(&b, want, strlen(want)));
    cr_assert_str_eq(buf_str(&b), want, "the canonical form is its own");
    buf_release(&b);
}

static const char *const pairs[][2] = {
    {"0", "0"},
    {"-0", "0"},
    {"+0", "0"},
    {"-0.00", "0.00"},
    {"000", "0"},
    {"007", "7"},
    {"-007.50", "-7.50"},
    {"1.10", "1.10"},
    {"1e2", "100"},
    {"1E2", "100"},
    {"1e+2", "100"},
    {"1.5e1", "15"},
    {"1.50e1", "15.0"},
    {"1.5e2", "150"},
    {"1.5e-3", "0.0015"},
    {"15e-1", "1.5"},
    {"15e-2", "0.15"},
    {"15e-3", "0.015"},
    {"-15e-3", "-0.015"},
    {"0.015e2", "1.5"},
    {"0.015e3", "15"},
    {"0.015e5", "1500"},
    {"00.0150e1", "0.150"},
    {".5", "0.5"},
    {"-.5", "-0.5"},
    {"5.", "5"},
    {"+5.", "5"},
    {"0e5", "0"},
    {"0.0e1", "0"},
    {"0.00e1", "0.0"},
    {"0e-3", "0.000"},
    {"-0e20000", "0"},
    {"9007199254740993", "9007199254740993"},
    {"12345678901234567890123456789012345678901234567890.5",
     "12345678901234567890123456789012345678901234567890.5"},
    {"NaN", "NaN"},
    {"nan", "NaN"},
    {"Infinity", "Infinity"},
    {"+inf", "Infinity"},
    {"-INF", "-Infinity"},
    {"-Infinity", "-Infinity"},
    {"1e003", "1000"},
};

Test(decimal, has_one_canonical_form)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_decimal(pairs[i][0], pairs[i][1]);
}

Test(decimal, keeps_a_thousand_digits)
{
    char digits[2002];

    memset(digits, '7', 2001);
    digits[1000] = '.';
    digits[2001] = '\0';
    assert_decimal(digits, digits);
}

Test(decimal, is_exact_where_a_double_is_not)
{
    struct buf want = BUF_INIT(1000);

    buf_puts(&want, "0.");
    for (int i = 0; i < 399; i++)
        buf_putc(&want, '0');
    buf_putc(&want, '1');
    assert_decimal("1e-400", buf_str(&want));
    buf_clear(&want);
    buf_putc(&want, '1');
    for (int i = 0; i < 400; i++)
        buf_putc(&want, '0');
    assert_decimal("1e400", buf_str(&want));
    buf_release(&want);
}

Test(decimal, refuses_what_is_no_number)
{
    static const char *const bad[] = {"",    "-",  "+",  ".",   "-.",    "e5",    "1e",    "1e+",
                                      "1e-", "1 ", " 1", "1,5", "1.2.3", "0x10",  "1e5.0", "1ee5",
                                      "na",  "in", "1f", "--1", "+-1",   "1_000", "1e5x"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = BUF_INIT(100);

        cr_assert_not(value_put_decimal(&b, bad[i], strlen(bad[i])), "%s", bad[i]);
        cr_assert_eq(b.len, 0, "%s", bad[i]);
        buf_release(&b);
    }
}

Test(decimal, limits_exponents)
{
    static const char *const texts[] = {"1e19999",  "1e20000",  "1e20001",
                                        "1e-19999", "1e-20000", "1e-20001"};
    static const bool good[] = {true, true, false, true, true, false};
    struct buf none = BUF_INIT(10);

    for (size_t i = 0; i < 6; i++) {
        struct buf b = BUF_INIT(100000);

        cr_assert_eq(value_put_decimal(&b, texts[i], strlen(texts[i])), good[i], "%s", texts[i]);
        buf_release(&b);
    }
    cr_assert_not(value_put_decimal(&none, "1e99999999999999999999", 22));
}

Test(decimal, knows_its_canonical_form)
{
    static const char *const good[] = {"0", "1", "-1", "10", "0.0", "0.10", "-0.01", "123.456"};
    static const char *const bad[] = {"",   "-",   "-0",  "-0.0",  "00", "01", "1.",    ".1",
                                      "+1", "1e1", "NaN", "1.2.3", " 1", "1 ", "-00.1", "1.a"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(value_is_canonical_decimal(good[i], strlen(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(value_is_canonical_decimal(bad[i], strlen(bad[i])), "%s", bad[i]);
}

/* In ascending order; equal ones share a line. */
static const char *const ladder[][4] = {
    {"-Infinity"},
    {"-100000000000000000000"},
    {"-10.5", "-10.50"},
    {"-10.49"},
    {"-10", "-10.0"},
    {"-9.99"},
    {"-0.5"},
    {"-0.05"},
    {"0", "0.0", "0.000"},
    {"0.0001"},
    {"0.05", "0.050"},
    {"0.5"},
    {"1", "1.0", "1.00"},
    {"1.0000000000000000000000001"},
    {"2"},
    {"9"},
    {"10"},
    {"9007199254740992"},
    {"9007199254740993", "9007199254740993.00"},
    {"100000000000000000000"},
    {"Infinity"},
    {"NaN"},
};

static int compare(const char *a, const char *b)
{
    return value_compare_decimal((struct slice){a, strlen(a)}, (struct slice){b, strlen(b)});
}

Test(decimal, compares_as_numbers)
{
    const int n = (int)(sizeof ladder / sizeof *ladder);

    for (int i = 0; i < n * n * 16; i++) {
        int row_a = i / 4 % n, row_b = i / 16 / n;
        const char *a = ladder[row_a][i % 4], *b = ladder[row_b][i / 4 / n % 4];

        if (a && b)
            cr_assert_eq(compare(a, b), (row_a > row_b) - (row_a < row_b), "%s with %s", a, b);
    }
}

/* coefficient * 10^-scale against its text, which has no zeros at the end of the fraction. */
static void assert_row(const char *line)
{
    char scale[16], coefficient[64], want[64], text[100];
    struct buf got = BUF_INIT(1000);
    const char *point;

    if (sscanf(line, "%*[^,],%15[^,],%63[^,],%63[^,\r\n]", scale, coefficient, want) != 3)
        cr_assert_fail("%s", line);
    snprintf(text, sizeof text, "%se%s%s", coefficient, scale[0] == '-' ? "" : "-",
             scale[0] == '-' ? scale + 1 : scale);
    cr_assert(value_put_decimal(&got, text, strlen(text)), "%s", text);
    point = strchr(buf_str(&got), '.');
    cr_assert_eq(point ? atol(scale) : 0, point ? (long)strlen(point + 1) : 0, "%s", text);
    while (point && got.data[got.len - 1] == '0')
        got.data[--got.len] = '\0';
    if (point && got.data[got.len - 1] == '.')
        got.data[--got.len] = '\0';
    cr_assert_str_eq(buf_str(&got), want, "%s", text);
    buf_release(&got);
}

Test(decimal, agrees_with_numbers_made_elsewhere)
{
    const char *fixtures = getenv("CONNECTORD_FIXTURES");
    char path[4000], line[400];
    size_t n = 0;
    FILE *f;

    if (!fixtures) {
        printf("skipped: CONNECTORD_FIXTURES is not set\n");
        return;
    }
    snprintf(path, sizeof path, "%s/postgres/numeric_roundtrip_fixtures.csv", fixtures);
    f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    cr_assert_not_null(fgets(line, sizeof line, f), "a header");
    for (; fgets(line, sizeof line, f); n++)
        assert_row(line);
    fclose(f);
    cr_assert_gt(n, 1000, "%zu rows", n);
}

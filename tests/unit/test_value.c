#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/data/value.h"

Test(reason, has_a_wire_name_for_every_enumerator)
{
    for (int r = 0; r < REASON_COUNT; r++)
        cr_assert_not_null(reason_name((enum reason)r), "%d", r);
    cr_assert_str_eq(reason_name(REASON_PARSE), "parse");
    cr_assert_str_eq(reason_name(REASON_DUPLICATE_KEY_IN_SOURCE), "duplicate_key_in_source");
    cr_assert_str_eq(reason_name(REASON_BAD_JSON_LINE), "bad_json_line");
}

Test(bool_value, is_read_in_any_case)
{
    static const char *const yes[] = {"true", "TRUE", "True", "t", "T", "1", "yes", "YES"};
    static const char *const no[] = {"false", "FALSE", "f", "F", "0", "no", "No"};
    static const char *const bad[] = {"", "tr", "truee", "2", "y", "n", "on", " true", "01"};
    bool v;

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        cr_assert(value_parse_bool(yes[i], strlen(yes[i]), &v) && v, "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        cr_assert(value_parse_bool(no[i], strlen(no[i]), &v) && !v, "%s", no[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(value_parse_bool(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
}

static const struct {
    const char *text;
    double v;
} floats[] = {
    {"0", 0},
    {"1", 1},
    {"+1", 1},
    {"-1.5", -1.5},
    {".5", 0.5},
    {"5.", 5},
    {"1e3", 1000},
    {"1E-3", 0.001},
    {"1e+22", 1e22},
    {"1e23", 1e23},
    {"0.1", 0.1},
    {"123456789.123456789", 123456789.123456789},
    {"9007199254740993", 9007199254740992.0},
    {"9007199254740993.0000000000000000000000001", 9007199254740994.0},
    {"1.7976931348623157e308", DBL_MAX},
    {"2.2250738585072014e-308", DBL_MIN},
    {"5e-324", 5e-324},
    {"4.9406564584124654e-324", 5e-324},
    {"2.2250738585072011e-308", 2.2250738585072011e-308},
    {"0e99999999999", 0},
    {"0.0000000000000000000000000000001e31", 1},
    {"179769313486231580793e288", 1.7976931348623158e308},
};

Test(float_value, is_rounded_once)
{
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        double v = -7;

        cr_assert(value_parse_float(floats[i].text, strlen(floats[i].text), &v), "%s",
                  floats[i].text);
        cr_assert_eq(memcmp(&v, &floats[i].v, sizeof v), 0, "%s: %.17g", floats[i].text, v);
    }
}

Test(float_value, keeps_the_sign_of_zero)
{
    double v;

    cr_assert(value_parse_float("-0.0", 4, &v) && v == 0 && signbit(v));
    cr_assert(value_parse_float("-0", 2, &v) && signbit(v));
    cr_assert(value_parse_float("0", 1, &v) && !signbit(v));
}

Test(float_value, knows_nan_and_the_infinities)
{
    double v;

    cr_assert(value_parse_float("NaN", 3, &v) && isnan(v));
    cr_assert(value_parse_float("Infinity", 8, &v) && v > DBL_MAX);
    cr_assert(value_parse_float("+Infinity", 9, &v) && v > DBL_MAX);
    cr_assert(value_parse_float("-Infinity", 9, &v) && v < -DBL_MAX);
    cr_assert(value_parse_float("inf", 3, &v) && v > DBL_MAX);
    cr_assert(value_parse_float("-inf", 4, &v) && v < -DBL_MAX);
}

Test(float_value, refuses_what_is_no_number_or_would_be_altered)
{
    static const char *const bad[] = {
        "",       "-",      "+",   ".",       "e5",    "1e",           "1e+",  "1 ",
        " 1",     "0x10",   "1,5", "1..2",    "--1",   "nan1",         "-nan", "1e400",
        "-1e400", "1e-400", "1f",  "infinit", "1e5.5", "1e99999999999"};
    double v;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(value_parse_float(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
}

Test(float_value, reads_texts_of_any_length)
{
    size_t n = 100000;
    char *text = malloc(n + 1);
    double v;

    memset(text, '3', n);
    text[0] = '0';
    text[1] = '.';
    cr_assert(value_parse_float(text, n, &v));
    cr_assert_eq(v, 1.0 / 3);
    free(text);
}

/* xorshift64: the same bits in every run. */
static uint64_t next_bits(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

Test(float_value, comes_back_from_its_text_bit_by_bit)
{
    uint64_t state = 3;

    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_bits(&state);
        char text[VALUE_TEXT_BYTES];
        double v, again;
        size_t n;

        memcpy(&v, &bits, sizeof v);
        if (isnan(v))
            continue;
        n = value_format_float(v, 64, text);
        cr_assert(value_parse_float(text, n, &again), "%.*s", (int)n, text);
        cr_assert_eq(memcmp(&v, &again, sizeof v), 0, "%.*s", (int)n, text);
    }
}

/* Short decimals take the fast way; the C library is the judge. */
Test(float_value, agrees_with_the_c_library)
{
    uint64_t state = 4;

    for (int i = 0; i < 20000; i++) {
        char text[64];
        double v;
        int n = snprintf(text, sizeof text, "%s%llu.%0*llue%d", i % 2 ? "-" : "",
                         (unsigned long long)(next_bits(&state) >> (20 + i % 40)), 1 + i % 9,
                         (unsigned long long)(next_bits(&state) % 10), i % 60 - 30);
        double want = strtod(text, NULL);

        cr_assert(value_parse_float(text, (size_t)n, &v), "%s", text);
        cr_assert_eq(memcmp(&v, &want, sizeof v), 0, "%s", text);
    }
}

static void assert_float32(const char *text, float want)
{
    double v;

    cr_assert(value_parse_float32(text, strlen(text), &v), "%s", text);
    cr_assert_eq(v, (double)want, "%s: %.17g", text, v);
}

Test(float32, is_rounded_once)
{
    assert_float32("0.1", 0.1f);
    assert_float32("16777217", 16777216.0f);
    assert_float32("1e-45", 1e-45f);
    assert_float32("3.4028235e38", FLT_MAX);
    /* As a double this is exactly between two floats, and would round down from there. */
    assert_float32("1.000000059604644775390625000000001", 1.00000012f);
}

Test(float32, refuses_what_does_not_fit)
{
    double v;

    cr_assert_not(value_parse_float32("1e39", 4, &v));
    cr_assert_not(value_parse_float32("-1e39", 5, &v));
    cr_assert_not(value_parse_float32("1e-50", 5, &v));
    cr_assert_not(value_parse_float32("", 0, &v));
    cr_assert(value_parse_float32("NaN", 3, &v) && isnan(v));
    cr_assert(value_parse_float32("-inf", 4, &v) && v < 0);
}

static void assert_float_text(double v, unsigned bits, const char *want)
{
    char text[VALUE_TEXT_BYTES];
    size_t n = value_format_float(v, bits, text);

    cr_assert_eq(n, strlen(want), "%s", want);
    cr_assert_eq(memcmp(text, want, n), 0, "%s", want);
}

Test(float_value, is_written_in_the_shortest_form)
{
    assert_float_text(0.1, 64, "0.1");
    assert_float_text((double)0.1f, 32, "0.1");
    assert_float_text((double)0.1f, 64, "0.10000000149011612");
    assert_float_text(-0.0, 64, "-0");
    assert_float_text(5e-324, 64, "5e-324");
    assert_float_text((double)NAN, 64, "NaN");
    assert_float_text((double)-NAN, 32, "NaN");
    assert_float_text(HUGE_VAL, 64, "Infinity");
    assert_float_text(-HUGE_VAL, 32, "-Infinity");
}

Test(uuid, is_read_in_any_case_and_written_in_lower_case)
{
    static const char text[] = "123E4567-e89B-12d3-A456-4266141740fF";
    unsigned char v[16];
    char out[VALUE_TEXT_BYTES];

    cr_assert(value_parse_uuid(text, 36, v));
    cr_assert_eq(v[0], 0x12);
    cr_assert_eq(v[15], 0xff);
    cr_assert_eq(value_format_uuid(v, out), 36);
    cr_assert_eq(memcmp(out, "123e4567-e89b-12d3-a456-4266141740ff", 36), 0);
}

Test(uuid, refuses_other_forms)
{
    static const char good[] = "123e4567-e89b-12d3-a456-426614174000";
    unsigned char v[16];
    char *exact;

    cr_assert_not(value_parse_uuid(good, 35, v));
    cr_assert_not(value_parse_uuid("123e4567-e89b-12d3-a456-4266141740000", 37, v));
    cr_assert_not(value_parse_uuid("123e4567e89b12d3a456426614174000", 32, v));
    cr_assert_not(value_parse_uuid("", 0, v));
    for (size_t i = 0; i < 36; i++) {
        char bad[37];

        memcpy(bad, good, sizeof bad);
        bad[i] = 'g';
        cr_assert_not(value_parse_uuid(bad, 36, v), "%s", bad);
        bad[i] = good[i] == '-' ? '0' : '-';
        cr_assert_not(value_parse_uuid(bad, 36, v), "%s", bad);
    }
    /* With dashes where digits belong, of a buffer that ends with the text. */
    exact = memcpy(malloc(36), "123e4567-e89b-12d3-a456-423-a456-000", 36);
    cr_assert_not(value_parse_uuid(exact, 36, v));
    free(exact);
}

Test(json, is_exactly_one_value)
{
    cr_assert(value_is_json("{\"a\":[1,2.50,null]}", 19));
    cr_assert(value_is_json(" 1 ", 3));
    cr_assert(value_is_json("\"\\ud800\"", 8));
    cr_assert(value_is_json("1e400", 5));
    cr_assert_not(value_is_json("", 0));
    cr_assert_not(value_is_json("{\"a\":1", 6));
    cr_assert_not(value_is_json("1 2", 3));
    cr_assert_not(value_is_json("NaN", 3));
    cr_assert_not(value_is_json("\"\xff\"", 3));
}

/* ------------------------------------------------------------------ intervals */

static const struct {
    const char *text;
    struct interval v;
    const char *canonical; /* NULL when it is the text */
} intervals[] = {
    {"PT0S", {0, 0, 0}, NULL},
    {"P0D", {0, 0, 0}, "PT0S"},
    {"P1Y2M3DT4H5M6S", {14, 3, 14706000000}, NULL},
    {"P1Y2M3DT4H5M6.789012S", {14, 3, 14706789012}, NULL},
    {"PT0.5S", {0, 0, 500000}, NULL},
    {"PT-0.5S", {0, 0, -500000}, NULL},
    {"PT-0.000001S", {0, 0, -1}, NULL},
    {"P-1Y-2M3DT-4H-5M-6S", {-14, 3, -14706000000}, NULL},
    {"-P1Y2M3DT4H", {-14, -3, -14400000000}, "P-1Y-2M-3DT-4H"},
    {"-P-1D", {0, 1, 0}, "P1D"},
    {"P+1D", {0, 1, 0}, "P1D"},
    {"P2W", {0, 14, 0}, "P14D"},
    {"P1M", {1, 0, 0}, NULL},
    {"PT1M", {0, 0, 60000000}, NULL},
    {"P14M", {14, 0, 0}, "P1Y2M"},
    {"P1Y-14M", {-2, 0, 0}, "P-2M"},
    {"PT36H", {0, 0, 129600000000}, NULL},
    {"PT90S", {0, 0, 90000000}, "PT1M30S"},
    {"PT1.123456000S", {0, 0, 1123456}, "PT1.123456S"},
    {"P178956970Y7M2147483647DT2562047788H54.775807S", {INT32_MAX, INT32_MAX, INT64_MAX}, NULL},
    {"P-178956970Y-8M-2147483648DT-2562047788H-54.775808S",
     {INT32_MIN, INT32_MIN, INT64_MIN},
     NULL},
};

static void assert_interval(const char *text, struct interval want, const char *canonical)
{
    char out[VALUE_TEXT_BYTES];
    struct interval v = {-1, -1, -1};
    size_t n;

    cr_assert(value_parse_interval(text, strlen(text), &v), "%s", text);
    cr_assert(v.months == want.months && v.days == want.days && v.micros == want.micros,
              "%s: %d %d %lld", text, v.months, v.days, (long long)v.micros);
    n = value_format_interval(v, out);
    cr_assert_eq(n, strlen(canonical), "%s: %.*s", text, (int)n, out);
    cr_assert_eq(memcmp(out, canonical, n), 0, "%s: %.*s", text, (int)n, out);
    cr_assert(value_parse_interval(out, n, &v));
    cr_assert(v.months == want.months && v.days == want.days && v.micros == want.micros, "%s",
              text);
}

Test(interval, keeps_months_days_and_microseconds_apart)
{
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        assert_interval(intervals[i].text, intervals[i].v,
                        intervals[i].canonical ? intervals[i].canonical : intervals[i].text);
    }
}

Test(interval, refuses_what_is_none)
{
    static const char *const bad[] = {"",
                                      "P",
                                      "PT",
                                      "-",
                                      "1D",
                                      "P1",
                                      "PD",
                                      "P1DT",
                                      "P1X",
                                      "P1H",
                                      "PT1D",
                                      "P1D1M",
                                      "P1D1D",
                                      "PT1S1M",
                                      "P1.5D",
                                      "PT1.S",
                                      "PT.5S",
                                      "PT1.0000001S",
                                      "PT1.0000000000S",
                                      "P1D ",
                                      " P1D",
                                      "P--1D",
                                      "P2147483648D",
                                      "P-2147483649D",
                                      "P178956970Y8M",
                                      "PT9223372036854775808S",
                                      "PT2562047788H54.775808S",
                                      "P99999999999999999999D",
                                      "p1d",
                                      "P1DT1HT1M"};
    struct interval v;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(value_parse_interval(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
}

Test(interval, comes_back_from_its_text)
{
    uint64_t state = 5;

    for (int i = 0; i < 20000; i++) {
        struct interval v = {(int32_t)next_bits(&state), (int32_t)next_bits(&state),
                             (int64_t)next_bits(&state) >> (i % 64)};
        struct interval again;
        char text[VALUE_TEXT_BYTES];
        size_t n = value_format_interval(v, text);

        cr_assert_leq(n, VALUE_TEXT_BYTES);
        cr_assert(value_parse_interval(text, n, &again), "%.*s", (int)n, text);
        cr_assert(v.months == again.months && v.days == again.days && v.micros == again.micros,
                  "%.*s", (int)n, text);
    }
}

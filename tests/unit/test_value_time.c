#include <criterion/criterion.h>

#include <string.h>

#include "connectors/data/value.h"

#define DAY INT64_C(86400000000)

typedef bool parse_fn(const char *s, size_t n, int64_t *out);
typedef size_t format_fn(int64_t v, char *out);

struct pair {
    const char *text;
    int64_t v;
};

static void assert_reads(parse_fn *parse, const char *text, int64_t want)
{
    int64_t v = -77;

    cr_assert(parse(text, strlen(text), &v), "%s", text);
    cr_assert_eq(v, want, "%s: %lld", text, (long long)v);
}

static void assert_writes(format_fn *format, int64_t v, const char *want)
{
    char text[VALUE_TEXT_BYTES];
    size_t n = format(v, text);

    cr_assert_leq(n, sizeof text);
    cr_assert(n == strlen(want) && !memcmp(text, want, n), "%s: %.*s", want, (int)n, text);
}

static void assert_all(parse_fn *parse, format_fn *format, const struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_reads(parse, pairs[i].text, pairs[i].v);
        assert_writes(format, pairs[i].v, pairs[i].text);
    }
}

static void assert_refuses(parse_fn *parse, const char *const *texts, size_t n)
{
    int64_t v;

    for (size_t i = 0; i < n; i++)
        cr_assert_not(parse(texts[i], strlen(texts[i]), &v), "%s", texts[i]);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* PostgreSQL: select '4713-11-24 BC'::date - '1970-01-01'::date, and so on. */
static const struct pair dates[] = {
    {"1970-01-01", 0},
    {"1969-12-31", -1},
    {"2000-02-29", 11016},
    {"2024-02-29", 19782},
    {"2100-02-28", 47540},
    {"2100-03-01", 47541},
    {"0000-01-01", -719528},
    {"0000-02-29", -719469},
    {"0000-03-01", -719468},
    {"0001-01-01", -719162},
    {"9999-12-31", 2932896},
    {"+10000-01-01", 2932897},
    {"-0001-12-31", -719529},
    {"-4712-01-01", -2440550},
    {"+294276-12-31", 106762939},
    {"-294276-01-01", -108201630},
    {"+5874897-12-31", 2145042905},
    {"infinity", VALUE_INFINITY},
    {"-infinity", VALUE_MINUS_INFINITY},
};

Test(date, is_read_and_written)
{
    assert_all(value_parse_date, value_format_date, dates, COUNT(dates));
}

Test(date, is_read_in_other_spellings)
{
    assert_reads(value_parse_date, "10000-01-01", 2932897);
    assert_reads(value_parse_date, "+2024-02-29", 19782);
    assert_reads(value_parse_date, "+01970-01-01", 0);
    assert_reads(value_parse_date, "Infinity", VALUE_INFINITY);
    assert_reads(value_parse_date, "-INFINITY", VALUE_MINUS_INFINITY);
}

Test(date, is_refused_when_impossible)
{
    static const char *const bad[] = {
        "",
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-13-01",
        "2024-00-01",
        "2024-01-00",
        "2024-01-32",
        "2024-1-01",
        "2024-01-1",
        "24-01-01",
        "2024-01-01 ",
        " 2024-01-01",
        "2024/01/01",
        "20240101",
        "2024-01-01T00:00:00",
        "2024-0a-01",
        "2024-01-0a",
        "202a-01-01",
        "0000-00-00",
        "-",
        "2024",
        "2024-01",
        "2024-01-",
        "infinit",
        "+infinity",
        "--2024-01-01",
        "99999999999999999-01-01-01",
        "123456789012345678-01-01",
    };

    assert_refuses(value_parse_date, bad, COUNT(bad));
}

Test(date, comes_back_for_every_day_of_a_thousand_years)
{
    for (int64_t days = -400000; days < 400000; days++) {
        char text[VALUE_TEXT_BYTES];
        int64_t again;
        size_t n = value_format_date(days, text);

        if (!value_parse_date(text, n, &again) || again != days)
            cr_assert_fail("%.*s", (int)n, text);
    }
}

Test(date, comes_back_for_every_number_of_days)
{
    for (int64_t v = 1; v > 0 && v < INT64_MAX / 3; v *= 3) {
        const int64_t days[] = {v, -v, INT64_MAX - v, INT64_MIN + v};

        for (size_t i = 0; i < COUNT(days); i++) {
            char text[VALUE_TEXT_BYTES];
            int64_t again;
            size_t n = value_format_date(days[i], text);

            cr_assert_leq(n, sizeof text);
            cr_assert(value_parse_date(text, n, &again), "%.*s", (int)n, text);
            cr_assert_eq(again, days[i], "%.*s", (int)n, text);
        }
    }
}

static const struct pair times[] = {
    {"00:00:00", 0},        {"23:59:59", DAY - 1000000}, {"23:59:59.999999", DAY - 1},
    {"24:00:00", DAY},      {"12:34:56.7", 45296700000}, {"00:00:00.000001", 1},
    {"00:00:00.1", 100000},
};

Test(time, is_read_and_written)
{
    assert_all(value_parse_time, value_format_time, times, COUNT(times));
}

Test(time, is_read_in_other_spellings)
{
    assert_reads(value_parse_time, "12:34", 45240000000);
    assert_reads(value_parse_time, "12:34:56.700", 45296700000);
    assert_reads(value_parse_time, "12:34:56.123456000", 45296123456);
    assert_reads(value_parse_time, "24:00", DAY);
}

Test(time, is_refused_when_impossible)
{
    static const char *const bad[] = {
        "",
        "12",
        "12:",
        "1:00:00",
        "12:3",
        "12:34:5",
        "12:34:60",
        "12:60:00",
        "24:00:01",
        "25:00:00",
        "24:00:00.000001",
        "12:34:56.",
        "12:34:56.1234567",
        "12:34:56.0000000000",
        "12:34:56.123456001",
        "12:34:56Z",
        " 12:34:56",
        "12:34:56 ",
        "12-34-56",
        "-1:00:00",
        "12:34:",
        "ab:cd:ef",
        "12:34:56.x",
    };

    assert_refuses(value_parse_time, bad, COUNT(bad));
}

static const struct pair timestamps[] = {
    {"1970-01-01T00:00:00", 0},
    {"1969-12-31T23:59:59.999999", -1},
    {"2024-02-29T12:34:56.7", INT64_C(1709210096700000)},
    {"0000-01-01T00:00:00", INT64_C(-62167219200000000)},
    {"-4712-01-01T00:00:00", INT64_C(-210863520000000000)},
    {"9999-12-31T23:59:59.999999", INT64_C(253402300799999999)},
    {"+10000-01-01T00:00:00", INT64_C(253402300800000000)},
    /* Both ends of 64 bits around 1970; one more is what infinity means. */
    {"+294247-01-10T04:00:54.775806", INT64_MAX - 1},
    {"-290308-12-21T19:59:05.224193", INT64_MIN + 1},
    {"infinity", VALUE_INFINITY},
    {"-infinity", VALUE_MINUS_INFINITY},
};

Test(timestamp, is_read_and_written)
{
    assert_all(value_parse_timestamp, value_format_timestamp, timestamps, COUNT(timestamps));
}

Test(timestamp, is_read_in_other_spellings)
{
    assert_reads(value_parse_timestamp, "2024-02-29 12:34:56.700000000", INT64_C(1709210096700000));
    assert_reads(value_parse_timestamp, "2024-02-29t12:34", INT64_C(1709210040000000));
    assert_reads(value_parse_timestamp, "2024-02-29", INT64_C(1709164800000000));
    assert_reads(value_parse_timestamp, "294247-01-10 04:00:54.775806", INT64_MAX - 1);
}

Test(timestamp, is_refused_when_impossible)
{
    static const char *const bad[] = {
        "",
        "2024-02-30T00:00:00",
        "2024-02-29T23:59:60",
        "2024-02-29T24:00:00",
        "2024-02-29T12",
        "2024-02-29T",
        "2024-02-29 ",
        "2024-02-29T12:34:56Z",
        "2024-02-29T12:34:56+01",
        "2024-02-29T12:34:56.1234567",
        "2024-02-29_12:34:56",
        "2024-02-29  12:34:56",
        "+294247-01-10T04:00:54.775807",
        "+294247-01-10T04:00:54.775808",
        "-290308-12-21T19:59:05.224192",
        "-290308-12-21T19:59:05.224191",
        "+294276-12-31T23:59:59",
        "-294276-01-01T00:00:00",
        "99999999999999999-01-01T00:00:00",
    };

    assert_refuses(value_parse_timestamp, bad, COUNT(bad));
}

static const struct pair instants[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2024-02-29T12:34:56.789012Z", INT64_C(1709210096789012)},
    {"-4712-01-01T00:00:00Z", INT64_C(-210863520000000000)},
    {"+294247-01-10T04:00:54.775806Z", INT64_MAX - 1},
    {"infinity", VALUE_INFINITY},
    {"-infinity", VALUE_MINUS_INFINITY},
};

Test(timestamptz, is_read_and_written)
{
    assert_all(value_parse_timestamptz, value_format_timestamptz, instants, COUNT(instants));
}

static const struct pair zones[] = {
    {"1970-01-01T00:00:00z", 0},
    {"1970-01-01 01:00:00+01", 0},
    {"1970-01-01 01:30:00+0130", 0},
    {"1970-01-01 01:30:00+01:30", 0},
    {"1970-01-01 01:30:15+01:30:15", 0},
    {"1969-12-31 23:00:00-01", 0},
    {"1970-01-01 15:59:00+15:59", 0},
    {"1969-12-31 08:01:00-15:59", 0},
    {"1970-01-01 15:59:59+15:59:59", 0},
    {"1970-01-01T00:00-00:00", 0},
    {"2024-02-29T23:30:00.5-01:00", INT64_C(1709253000500000)},
};

Test(timestamptz, is_moved_to_utc)
{
    for (size_t i = 0; i < COUNT(zones); i++)
        assert_reads(value_parse_timestamptz, zones[i].text, zones[i].v);
}

Test(timestamptz, is_refused_without_a_zone_or_with_a_broken_one)
{
    static const char *const bad[] = {
        "",
        "2024-02-29T12:34:56",
        "2024-02-29",
        "2024-02-29Z",
        "2024-02-29+01:00",
        "2024-02-29T12:34:56+1",
        "2024-02-29T12:34:56+",
        "2024-02-29T12:34:56+16",
        "2024-02-29T12:34:56-16:00",
        "2024-02-29T12:34:56+01:60",
        "2024-02-29T12:34:56+0160",
        "2024-02-29T12:34:56+01:00:60",
        "2024-02-29T12:34:56+01:0",
        "2024-02-29T12:34:56+01:00:0",
        "2024-02-29T12:34:56+01-00",
        "2024-02-29T12:34:56+ab",
        "2024-02-29T12:34:56ZZ",
        "2024-02-29T12:34:56 Z",
        "2024-02-29T12:34:56 Europe/Berlin",
        "2024-02-29T23:59:60Z",
        "2024-02-29T24:00:00Z",
        "+294247-01-10T04:00:54.775806-01",
        "-290308-12-21T19:59:05.224193+01",
    };

    assert_refuses(value_parse_timestamptz, bad, COUNT(bad));
}

Test(timestamp, comes_back_from_its_text)
{
    uint64_t state = 6;

    for (int i = 0; i < 50000; i++) {
        char text[VALUE_TEXT_BYTES];
        int64_t us, again;
        size_t n;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        us = (int64_t)state >> (i % 40);
        n = value_format_timestamp(us, text);
        cr_assert(value_parse_timestamp(text, n, &again), "%.*s", (int)n, text);
        cr_assert_eq(again, us, "%.*s", (int)n, text);
        n = value_format_timestamptz(us, text);
        cr_assert(value_parse_timestamptz(text, n, &again), "%.*s", (int)n, text);
        cr_assert_eq(again, us, "%.*s", (int)n, text);
    }
}

Test(time, is_written_whatever_the_number)
{
    static const int64_t odd[] = {INT64_MIN, -1, DAY + 1, INT64_MAX};

    for (size_t i = 0; i < COUNT(odd); i++) {
        char text[VALUE_TEXT_BYTES];
        int64_t again;
        size_t n = value_format_time(odd[i], text);

        cr_assert(value_parse_time(text, n, &again), "%.*s", (int)n, text);
    }
}

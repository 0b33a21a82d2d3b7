#include <criterion/criterion.h>

#include "connectors/base/clock.h"

static int64_t now;

static int64_t fake_now(void)
{
    return now++;
}

Test(clock, reads_the_fake_until_it_is_taken_away)
{
    now = 1000;
    clock_fake(fake_now);
    cr_assert_eq(clock_unix_us(), 1000);
    cr_assert_eq(clock_monotonic_us(), 1001);
    clock_fake(NULL);
    cr_assert_gt(clock_unix_us(), INT64_C(1600000000000000));
}

Test(clock, never_goes_back)
{
    int64_t before = clock_monotonic_us();

    for (int i = 0; i < 1000; i++) {
        int64_t after = clock_monotonic_us();

        cr_assert_geq(after, before);
        before = after;
    }
}

Test(clock, writes_rfc3339)
{
    char text[CLOCK_TEXT_BYTES];

    clock_format_ms(INT64_C(1767323045678901), text);
    cr_assert_str_eq(text, "2026-01-02T03:04:05.678Z");
    clock_format_us(INT64_C(1767323045678901), text);
    cr_assert_str_eq(text, "2026-01-02T03:04:05.678901Z");
    clock_format_us(0, text);
    cr_assert_str_eq(text, "1970-01-01T00:00:00.000000Z");
    clock_format_us(-1, text);
    cr_assert_str_eq(text, "1969-12-31T23:59:59.999999Z");
}

static const struct {
    const char *text;
    int64_t us;
} readings[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01t00:00:01z", 1000000},
    {"1970-01-01 00:00:00.5Z", 500000},
    {"1970-01-01T00:00:00.000001Z", 1},
    {"1970-01-01T00:00:00.0000019Z", 1},
    {"1970-01-01T01:00:00+01:00", 0},
    {"1969-12-31T18:30:00-05:30", 0},
    {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
    {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
};

Test(clock, reads_rfc3339)
{
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        int64_t us = -1;

        cr_assert(clock_parse(readings[i].text, &us), "%s", readings[i].text);
        cr_assert_eq(us, readings[i].us, "%s: %lld", readings[i].text, (long long)us);
    }
}

Test(clock, refuses_what_is_no_instant)
{
    static const char *const texts[] = {
        "",
        "now",
        "2024-01-01",
        "2024-01-01T00:00:00",  /* no zone */
        "2024-01-01T00:00Z",    /* no seconds */
        "2024-02-30T00:00:00Z", /* no such day */
        "2023-02-29T00:00:00Z", /* nor that */
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+1:00",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+01:60",
        "2024-01-01T00:00:00Zx",
        "24-01-01T00:00:00Z",
    };
    int64_t us;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert_not(clock_parse(texts[i], &us), "%s", texts[i]);
}

Test(clock, reads_what_it_writes)
{
    for (int64_t us = -2208988800000000; us < INT64_C(4102444800000000); us += 86399999999977) {
        char text[CLOCK_TEXT_BYTES];
        int64_t again;

        clock_format_us(us, text);
        cr_assert(clock_parse(text, &again), "%s", text);
        cr_assert_eq(again, us, "%s", text);
    }
}

#include <criterion/criterion.h>

#include "connectors/http/ratelimit.h"
#include "connectors/http/retry.h"

#define NOV_1994 INT64_C(784111777000000)

Test(http_retry, reads_all_forms_of_a_date)
{
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    static const char *const bad[] = {"",
                                      "Sun",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 GMT x",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nix 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 25:49:37 GMT",
                                      "Sun, 00 Nov 1994 05:49:37 GMT",
                                      "1994-11-06T08:49:37Z"};
    int64_t us;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(retry_parse_date(good[i], &us), "%s", good[i]);
        cr_assert_eq(us, NOV_1994, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(retry_parse_date(bad[i], &us), "%s", bad[i]);
}

Test(http_retry, understands_retry_after)
{
    const int64_t now = NOV_1994 + 3600000000; /* our clock is an hour ahead */
    static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    int64_t ms;

    cr_assert(retry_after_ms("120", NULL, now, &ms));
    cr_assert_eq(ms, 120000);
    cr_assert(retry_after_ms("0", NULL, now, &ms));
    cr_assert_eq(ms, 0);
    cr_assert(retry_after_ms("-5", NULL, now, &ms));
    cr_assert_eq(ms, 0);
    cr_assert(retry_after_ms("1.5", NULL, now, &ms));
    cr_assert_eq(ms, 1500);
    cr_assert(retry_after_ms("999999999999", NULL, now, &ms));
    cr_assert_eq(ms, INT64_C(31622400000));
    cr_assert(retry_after_ms("Sun, 06 Nov 1994 16:49:37 GMT", date, now, &ms));
    cr_assert_eq(ms, 8 * 3600000, "measured on the server's clock");
    cr_assert(retry_after_ms("Sun, 06 Nov 1994 16:49:37 GMT", NULL, now, &ms));
    cr_assert_eq(ms, 7 * 3600000);
    cr_assert(retry_after_ms("Sun, 06 Nov 1994 08:00:00 GMT", date, now, &ms));
    cr_assert_eq(ms, 0, "in the past");
    cr_assert_not(retry_after_ms("soon", date, now, &ms));
    cr_assert_not(retry_after_ms("", date, now, &ms));
}

Test(http_retry, backs_off_within_bounds)
{
    int64_t most = 0;

    for (int i = 0; i < 2000; i++) {
        int64_t ms = retry_backoff_ms(500, 60000, 3);

        cr_assert(ms >= 0 && ms <= 4000);
        most = ms > most ? ms : most;
        cr_assert_leq(retry_backoff_ms(500, 60000, 1000), 60000);
        cr_assert(retry_jitter_ms(1000) >= 1000 && retry_jitter_ms(1000) <= 1100);
    }
    cr_assert_gt(most, 3000, "the whole range is used");
    cr_assert_eq(retry_backoff_ms(0, 1000, 5), 0);
    cr_assert_eq(retry_jitter_ms(0), 0);
}

#define SECOND 1000000

Test(http_ratelimit, keeps_an_even_pace)
{
    struct ratelimit l;
    int64_t now = 5 * SECOND;
    int done = 0;

    ratelimit_init(&l, 10, 1000, 0, 1, 0, now);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(ratelimit_take_ms(&l, now), 0);
    cr_assert_eq(ratelimit_take_ms(&l, now), 100);
    while (now < 15 * SECOND) {
        int64_t wait = ratelimit_take_ms(&l, now);

        done += wait == 0;
        now += wait * 1000;
    }
    cr_assert(done >= 99 && done <= 101, "%d in ten seconds", done);
}

Test(http_ratelimit, believes_a_server_that_is_stricter)
{
    struct ratelimit l;
    int64_t now = SECOND;

    ratelimit_init(&l, 0, 1000, 0, 1, 1, now);
    cr_assert_eq(ratelimit_take_ms(&l, now), 0);
    ratelimit_hear(&l, 5, now + 60 * SECOND, now);
    cr_assert_eq(ratelimit_take_ms(&l, now), 0);
    ratelimit_hear(&l, 1, now + 60 * SECOND, now);
    cr_assert_eq(ratelimit_take_ms(&l, now), 60000);
    cr_assert_eq(ratelimit_take_ms(&l, now + 59 * SECOND), 1000);
    cr_assert_eq(ratelimit_take_ms(&l, now + 61 * SECOND), 0);
    ratelimit_hear(&l, 0, 0, now + 61 * SECOND);
    cr_assert_eq(ratelimit_take_ms(&l, now + 61 * SECOND), 1000, "it does not say for how long");
    ratelimit_close(&l, now + 100 * SECOND);
    cr_assert_eq(ratelimit_take_ms(&l, now + 62 * SECOND), 38000);
}

Test(http_ratelimit, takes_the_size_that_the_server_tells)
{
    struct ratelimit l;

    ratelimit_init(&l, 100, 1000, 0, 1, 0, SECOND);
    ratelimit_allow(&l, 2, 1000);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 0);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 0);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 500);
    ratelimit_allow(&l, 1000, 1000);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 500, "never more than before");

    ratelimit_init(&l, 0, 1000, 0, 1, 0, SECOND);
    ratelimit_allow(&l, 0, 1000);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 0);
    ratelimit_allow(&l, 1, 1000);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 0);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 1000);
}

Test(http_ratelimit, shrinks_the_bucket_to_what_is_left)
{
    struct ratelimit l;

    ratelimit_init(&l, 100, 1000, 100, 2, 0, SECOND);
    ratelimit_hear(&l, 3, 0, SECOND);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ratelimit_take_ms(&l, SECOND), 0);
    cr_assert_eq(ratelimit_take_ms(&l, SECOND), 20);
}

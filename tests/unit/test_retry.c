#include <criterion/criterion.h>

#include "server/sync/retry.h"

static struct retry_step step(struct retry *r, enum error_code code, const char *reason)
{
    const struct run_policy policy = RUN_POLICY_DEFAULT;
    struct error why = ERROR_INIT;

    error_set_at(&why, code, reason, __FILE__, __LINE__, "%s", "why");
    return retry_after(r, &policy, &why);
}

Test(retry, back_off_grows_to_its_cap_and_is_random_below_it)
{
    int64_t most = 0, drawn;

    for (int i = 0; i < 200; i++) {
        cr_expect_leq(backoff_ms(500, 0), 500);
        cr_expect_leq(backoff_ms(500, 1), 1000);
        cr_expect_leq(backoff_ms(500, 60), RUN_MAX_BACKOFF_MS);
        drawn = backoff_ms(500, 3);
        most = drawn > most ? drawn : most;
    }
    cr_expect_gt(most, 1000);
    cr_expect_eq(backoff_ms(0, 3), 0);
}

Test(retry, what_is_permanent_is_not_tried_again)
{
    static const enum error_code codes[] = {ERR_CONFIG, ERR_UNAUTHORIZED, ERR_PERMISSION, ERR_DATA,
                                            ERR_SCHEMA, ERR_FENCED,       ERR_INTERNAL};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct retry r = {0};

        cr_expect_not(step(&r, codes[i], NULL).again, "%s", error_code_name(codes[i]));
    }
}

Test(retry, transient_failures_are_counted)
{
    struct retry r = {0};

    for (int i = 0; i < 4; i++) {
        struct retry_step s = step(&r, ERR_TRANSIENT, NULL);

        cr_expect(s.again && s.counted);
        cr_expect_not(s.alert);
    }
    cr_expect_not(step(&r, ERR_TRANSIENT, NULL).again);
}

Test(retry, progress_is_no_failure)
{
    struct retry r = {0};

    for (int i = 0; i < 100; i++) {
        retry_progressed(&r);
        cr_expect(step(&r, ERR_TRANSIENT, NULL).again);
    }
}

Test(retry, collisions_are_not_counted_until_there_are_ten_in_a_row)
{
    struct retry r = {0};
    int64_t least = INT64_MAX, most = 0;

    for (int round = 1; round <= 4; round++) {
        for (int i = 0; i < RETRY_CONTENTION_TRIES; i++) {
            struct retry_step s = step(&r, ERR_CONTENTION, "deadlock");

            cr_expect(s.again);
            cr_expect_not(s.counted);
            least = s.wait_ms < least ? s.wait_ms : least;
            most = s.wait_ms > most ? s.wait_ms : most;
        }
        cr_expect_geq(least, RETRY_CONTENTION_MIN_MS);
        cr_expect_leq(most, RETRY_CONTENTION_MAX_MS);
        cr_expect(step(&r, ERR_CONTENTION, "deadlock").counted);
        cr_expect_eq(r.in_a_row, round);
    }
    cr_expect_gt(most, least);
}

Test(retry, a_run_with_one_attempt_has_no_second_one_for_collisions_either)
{
    struct run_policy policy = RUN_POLICY_DEFAULT;
    struct error why = ERROR_INIT;
    struct retry r = {0};

    policy.max_attempts = 1;
    error_set(&why, ERR_CONTENTION, "locked");
    cr_expect_not(retry_after(&r, &policy, &why).again);
}

Test(retry, a_changed_schema_is_tried_again_at_once)
{
    struct retry r = {0};

    for (int i = 0; i < RETRY_CONTENTION_TRIES; i++) {
        struct retry_step s = step(&r, ERR_CONTENTION, "schema_changed");

        cr_expect(s.again);
        cr_expect_not(s.counted);
        cr_expect_eq(s.wait_ms, 0);
    }
    cr_expect(step(&r, ERR_CONTENTION, "schema_changed").counted, "no loop without end");
    /* The class of that name is another thing: a shape that cannot be made to fit. */
    cr_expect_not(step(&r, ERR_SCHEMA, NULL).again);
}

Test(retry, room_is_waited_for_long_and_somebody_is_told_once)
{
    for (int i = 0; i < 50; i++) {
        struct retry r = {0};

        for (int n = 0; n < 4; n++) {
            struct retry_step s = step(&r, ERR_RESOURCE, "disk_full");

            cr_expect(s.again && s.counted);
            cr_expect_eq(s.alert, n == 0);
            cr_expect(s.wait_ms >= 60000 && s.wait_ms <= 600000, "%lld", (long long)s.wait_ms);
        }
    }
}

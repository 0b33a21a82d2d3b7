#include "server/sync/retry.h"

#include <string.h>

#include "connectors/base/hash.h"

/* At random from `least` to `most`, both included. */
static int64_t between(int64_t least, int64_t most)
{
    uint64_t random;

    hash_random(&random, sizeof random);
    return least + (int64_t)(random % (uint64_t)(most - least + 1));
}

/* base * 2^n, at most `cap`. */
static int64_t doubled(int64_t base, int64_t n, int64_t cap)
{
    int64_t most = base;

    for (int64_t i = 0; i < n && most < cap; i++)
        most *= 2;
    return most < cap ? most : cap;
}

int64_t backoff_ms(int64_t base_ms, int64_t n)
{
    return between(0, doubled(base_ms, n, RUN_MAX_BACKOFF_MS));
}

/* Room is made by people or by other programs, which takes them minutes. */
static int64_t resource_ms(int64_t base_ms, int64_t n)
{
    return between(base_ms, doubled(2 * base_ms, n, RETRY_RESOURCE_FACTOR * base_ms));
}

/* A database that commits at every change of a table has committed something of its own: the batch
 * is sent again from the last checkpoint, and there is nothing to wait for. */
static int64_t contention_ms(const struct error *why)
{
    return strcmp(error_reason(why), "schema_changed") == 0
               ? 0
               : between(RETRY_CONTENTION_MIN_MS, RETRY_CONTENTION_MAX_MS);
}

void retry_progressed(struct retry *r)
{
    *r = (struct retry){0};
}

struct retry_step retry_after(struct retry *r, const struct run_policy *policy,
                              const struct error *why)
{
    struct retry_step step = {0};

    if (!error_is_retryable(why))
        return step;
    if (why->code == ERR_CONTENTION && policy->max_attempts > 1 &&
        r->contended < RETRY_CONTENTION_TRIES) {
        r->contended++;
        return (struct retry_step){.again = true, .wait_ms = contention_ms(why)};
    }
    r->contended = 0;
    r->in_a_row++;
    step.counted = true;
    step.again = r->in_a_row < policy->max_attempts;
    step.alert = why->code == ERR_RESOURCE && !r->alerted;
    r->alerted |= step.alert;
    if (step.again)
        step.wait_ms = why->code == ERR_RESOURCE
                           ? resource_ms(policy->resource_backoff_ms, r->in_a_row - 1)
                           : backoff_ms(policy->backoff_ms, r->in_a_row - 1);
    return step;
}

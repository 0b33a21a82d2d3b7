#include "connectors/http/ratelimit.h"

#include <math.h>

#define BLIND_US INT64_C(1000000) /* a server that is used up and does not say for how long */

void ratelimit_init(struct ratelimit *l, int64_t requests, int64_t period_ms, int64_t burst,
                    int64_t cost, int64_t min_remaining, int64_t now_us)
{
    *l = (struct ratelimit){
        .per_ms = requests > 0 && period_ms > 0 ? (double)requests / (double)period_ms : 0,
        .burst = (double)(burst > 0 ? burst : requests),
        .cost = (double)(cost > 0 ? cost : 1),
        .min_remaining = min_remaining,
        .filled_us = now_us,
    };
    if (l->burst < l->cost)
        l->burst = l->cost;
    l->tokens = l->burst;
}

static void fill(struct ratelimit *l, int64_t now_us)
{
    double ms = (double)(now_us - l->filled_us) / 1000;

    if (ms > 0)
        l->tokens = fmin(l->burst, l->tokens + ms * l->per_ms);
    l->filled_us = now_us;
}

int64_t ratelimit_take_ms(struct ratelimit *l, int64_t now_us)
{
    if (l->closed_until_us > now_us)
        return (l->closed_until_us - now_us + 999) / 1000;
    l->closed_until_us = 0;
    if (l->per_ms <= 0)
        return 0;
    fill(l, now_us);
    if (l->tokens + 1e-9 < l->cost)
        return (int64_t)ceil((l->cost - l->tokens) / l->per_ms);
    l->tokens -= l->cost;
    return 0;
}

void ratelimit_allow(struct ratelimit *l, int64_t requests, int64_t period_ms)
{
    double per_ms = period_ms > 0 ? (double)requests / (double)period_ms : 0;

    if (requests <= 0 || per_ms <= 0)
        return;
    if (l->per_ms <= 0) {
        l->burst = l->tokens = fmax((double)requests, l->cost);
        l->per_ms = per_ms;
    }
    l->per_ms = fmin(l->per_ms, per_ms);
    l->burst = fmax(fmin(l->burst, (double)requests), l->cost);
    l->tokens = fmin(l->tokens, l->burst);
}

void ratelimit_hear(struct ratelimit *l, int64_t remaining, int64_t reset_us, int64_t now_us)
{
    if (remaining > l->min_remaining) {
        if (l->per_ms > 0 && (double)(remaining - l->min_remaining) * l->cost < l->tokens)
            l->tokens = (double)(remaining - l->min_remaining) * l->cost;
        return;
    }
    ratelimit_close(l, reset_us > now_us ? reset_us : now_us + BLIND_US);
}

void ratelimit_close(struct ratelimit *l, int64_t until_us)
{
    if (until_us > l->closed_until_us)
        l->closed_until_us = until_us;
}

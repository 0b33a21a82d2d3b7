/*
 * ratelimit.h - how soon the next request may go: a token bucket, and the server's own view.
 *
 * The bucket is filled evenly; what the server says of its own (how many are left, and when there
 * are new ones) can only make it stricter. Time is given, so tests need none. Not shared.
 */
#ifndef CONNECTORS_HTTP_RATELIMIT_H
#define CONNECTORS_HTTP_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct ratelimit {
    /* Settings: */
    double per_ms; /* tokens that come back in a millisecond; 0 = no bucket */
    double burst, cost;
    int64_t min_remaining; /* of the server's, never used up */
    /* State: */
    double tokens;
    int64_t filled_us;
    int64_t closed_until_us; /* by the server; 0 = open */
};

/* `requests` in `period_ms`; 0 requests = only the server's view counts. */
void ratelimit_init(struct ratelimit *l, int64_t requests, int64_t period_ms, int64_t burst,
                    int64_t cost, int64_t min_remaining, int64_t now_us);
/* Milliseconds until a request may go; 0 takes what it costs. */
int64_t ratelimit_take_ms(struct ratelimit *l, int64_t now_us);
/* The server allows `requests` in `period_ms`: the bucket becomes no larger and fills no faster.
 * One without a size of its own becomes as large. */
void ratelimit_allow(struct ratelimit *l, int64_t requests, int64_t period_ms);
/* The server has `remaining` left, and new ones at `reset_us` (0 = it does not say). */
void ratelimit_hear(struct ratelimit *l, int64_t remaining, int64_t reset_us, int64_t now_us);
/* The server refused: nothing goes before `until_us`. */
void ratelimit_close(struct ratelimit *l, int64_t until_us);

#endif

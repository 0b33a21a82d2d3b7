/*
 * retry.h - whether a failed try is followed by another one, and when.
 *
 * By class of the error: whoever waits for a lock tries again soon and often, a full disk is given
 * minutes, everything else backs off with full jitter. Tries count as failed in a row until one of
 * them commits something: progress is no failure.
 */
#ifndef SERVER_SYNC_RETRY_H
#define SERVER_SYNC_RETRY_H

#include "server/sync/run.h"

/* So many collisions in a row are no failure; the next one counts as one. */
#define RETRY_CONTENTION_TRIES  10
#define RETRY_CONTENTION_MIN_MS 20
#define RETRY_CONTENTION_MAX_MS 500

/* The longest wait for room at the other side is so many times the shortest. */
#define RETRY_RESOURCE_FACTOR 10

/* The tries of one piece of work; all zero to begin with. */
struct retry {
    int64_t in_a_row;  /* tries that failed and committed nothing */
    int64_t contended; /* collisions since the last of them */
    bool alerted;      /* somebody has been told that room is wanting */
};

struct retry_step {
    bool again;
    bool counted; /* it was a failure, and not only a collision */
    bool alert;   /* the first of its kind that somebody should look after */
    int64_t wait_ms;
};

/* The last try made something durable, however it ended. */
void retry_progressed(struct retry *r);

/* What comes after a try that failed for `why`. */
struct retry_step retry_after(struct retry *r, const struct run_policy *policy,
                              const struct error *why);

/* Milliseconds to wait before try number `n` + 2: at random below base * 2^n and the maximum. */
int64_t backoff_ms(int64_t base_ms, int64_t n);

#endif

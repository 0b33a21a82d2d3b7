/*
 * runner.h - a sync while it runs: what its lanes share. Private to server/sync.
 *
 * The streams are divided into portions. With one lane there is one portion, of all streams, read
 * in one snapshot. With several, the destination is first opened once for all streams, so that
 * names, fences, edited positions and a restart are settled for the whole run; then each lane takes
 * one portion after another from a shared list, and opens source and destination for it alone.
 *
 *   portion: try ── failed ── wait ── try ── ... ── over      (retry.h says whether and when)
 *   try:     open destination, recover ── start reader ── drain its queue ── close   (attempt.h)
 *
 * A failure that is none of a stream ends the run: every lane is stopped at its last commit.
 */
#ifndef SERVER_SYNC_RUNNER_H
#define SERVER_SYNC_RUNNER_H

#include <pthread.h>

#include "connectors/bad_rows.h"
#include "server/sync/attempt.h"

/* Streams that one lane takes together. */
struct portion {
    const size_t *streams; /* in the selection of the run, ascending */
    size_t n;
};

enum portion_goal {
    GOAL_RECOVER, /* only open the destination and settle where each stream goes on */
    GOAL_SYNC,
};

struct runner {
    const struct sync_job *job;
    struct progress *progress;
    int64_t started_us;
    size_t n_lanes;
    struct cancel *halt; /* asks all lanes to stop: forwarded from the job's, or one has failed */

    /* Of the lane that has the stream. */
    struct stream_base *bases;
    struct stream_copy *kept; /* for a destination that keeps no state; see state_by_service */
    bool *out;                /* failed for good */

    bool recovered; /* overrides and restart have been carried out; set before lanes are started */
    _Atomic int64_t retries;
    struct bad_rows bad_rows; /* of all lanes and tries */
    struct commons *commons;  /* of the source, likewise */

    pthread_mutex_t mutex;               /* of what follows */
    struct fault why;                    /* the first failure that ended the run */
    struct cancel *stops[RUN_MAX_LANES]; /* of the tries under way; NULL between them */
};

/* Whether there is still something to do for this stream. */
bool runner_stream_is_left(const struct runner *r, size_t stream);

/* Stops every lane, now and for good. */
void runner_halt(struct runner *r, enum cancel_reason why);
/* Whether every lane is to stop, or the job was told to. */
bool runner_is_halted(struct runner *r);
/* Halts for a failure, the first of which is kept. */
void runner_fail(struct runner *r, const struct fault *why);
/* The token of a lane's try, or NULL when that is over. */
void runner_set_stop(struct runner *r, size_t lane, struct cancel *stop);

/* One try; `a` has its job, progress and arena, and says how it ended. */
void attempt_run(struct runner *r, size_t lane, const struct portion *p, enum portion_goal goal,
                 struct attempt *a);
/* Tries a portion until its streams are complete, have failed for good, or the run has. */
void portion_run(struct runner *r, size_t lane, const struct portion *p, enum portion_goal goal);

/* Starts the other lanes, is the first one itself, and returns when all have ended. */
void lanes_run(struct runner *r);

#endif

/*
 * runs_internal.h - the run queue inside: what its threads share. Private to server/sync.
 *
 * `claim` serializes submitting, claiming and cancelling, store calls included, so that a run is
 * never between queue and worker for anybody. `mutex` guards the table of active runs, is held for
 * moments only and may be taken with `claim` held, not the other way round.
 */
#ifndef SERVER_SYNC_RUNS_INTERNAL_H
#define SERVER_SYNC_RUNS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "connectors/base/cancel.h"
#include "server/sync/runs.h"

/* Checks, discoveries, samples and counts stay in the history this long: they are asked for often
 * and nobody looks back at them. */
#define SHORT_RUNS_MAX_AGE_S 86400

#define LONG_KINDS  (1u << RUN_SYNC | 1u << RUN_CLEAR)
#define SHORT_KINDS (1u << RUN_CHECK | 1u << RUN_DISCOVER | 1u << RUN_SAMPLE | 1u << RUN_COUNT)

/* A run that is queued or being worked on. */
struct active_run {
    int64_t id;
    struct cancel *cancel; /* NULL while it is queued */
    int64_t deadline_us;   /* of clock_monotonic_us; 0 = none */
    int64_t cancelled_us;  /* when it was told to stop; 0 = not yet, -1 = warned about */
    int64_t committed_us;  /* of a sync: its last commit, or its start; 0 = none is expected */
};

struct worker {
    struct runs *runs;
    unsigned kinds;
    pthread_t thread;
    bool joined;
};

struct runs {
    struct runs_config config;
    struct store *store;
    struct logstreams *logs;
    void (*notify)(void *arg);
    void *arg;
    struct log *log;

    pthread_mutex_t claim;

    pthread_mutex_t mutex;
    pthread_mutex_t *lock;  /* the same, for those who only look */
    pthread_cond_t changed; /* there may be something to claim, or to stop for */
    uint64_t changes;
    bool stopping;
    _Atomic int64_t beat_us;   /* of clock_monotonic_us: the ticker was last awake */
    struct active_run *active; /* by id */
    size_t n_active, cap_active, n_running;

    struct tally *tally; /* NULL = nobody wants to know */

    struct worker *workers;
    size_t n_workers;
    pthread_t ticker;
    bool has_ticker;
};

/* In the table of active runs. */
void runs_add_queued(struct runs *r, int64_t id);
/* `cancel` is asked to stop at once when the service is stopping. */
void runs_set_running(struct runs *r, int64_t id, struct cancel *cancel, int64_t deadline_us);
void runs_remove(struct runs *r, int64_t id);
/* The destination has committed something. */
void runs_note_commit(struct runs *r, int64_t id);
/* Wakes all workers. */
void runs_wake(struct runs *r);

/* The last event of a log that no worker writes: of a run cancelled in the queue, or lost. */
void runs_end_log(struct runs *r, int64_t id, const char *status, const char *error);

void *worker_main(void *worker);
void *ticker_main(void *runs);

#endif

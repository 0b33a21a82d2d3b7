/*
 * run.h - one sync: source to destination, with attempts, commits, cancellation and an outcome.
 *
 * Knows nothing of the store, so that the command line runs the same code. Streams travel in one or
 * more lanes: each is a thread that writes, of which the calling thread is the first, and a thread
 * that reads. One more watches (deadlines, cancellation, progress events). All have ended when
 * sync_run returns.
 */
#ifndef SERVER_SYNC_RUN_H
#define SERVER_SYNC_RUN_H

#include "connectors/connector.h"
#include "server/sync/progress.h"

enum stream_error_policy {
    ON_ERROR_CONTINUE, /* the other streams go on, the run fails in the end */
    ON_ERROR_ABORT,    /* the first failed stream ends the run */
    ON_ERROR_IGNORE,   /* the other streams go on, and the run may succeed */
};

/* What is done when something fails or takes long. Zero seconds means no limit. */
struct run_policy {
    enum stream_error_policy on_stream_error;
    int64_t max_attempts; /* in a row that commit nothing; 1 = no second try */
    int64_t backoff_ms;   /* doubled each time, with full jitter, at most RUN_MAX_BACKOFF_MS */
    int64_t resource_backoff_ms; /* at least, when the other side has no room; see retry.h */
    int64_t timeout_s, idle_timeout_s;
    int64_t max_quarantined_rows;
    double max_quarantined_ratio;
    enum metadata_level metadata;
    int64_t parallel_streams; /* lanes that are wanted */
};
#define RUN_MAX_LANES      16
#define RUN_MAX_BACKOFF_MS 60000
#define RUN_POLICY_DEFAULT                              \
    ((struct run_policy){.max_attempts = 5,             \
                         .backoff_ms = 500,             \
                         .resource_backoff_ms = 60000,  \
                         .idle_timeout_s = 900,         \
                         .max_quarantined_rows = 1000,  \
                         .max_quarantined_ratio = 0.01, \
                         .metadata = METADATA_MINIMAL,  \
                         .parallel_streams = 1})

/* A commit is due at the first of these, and happens at the next checkpoint. */
struct commit_limits {
    int64_t rows, bytes, age_us;
};
#define COMMIT_LIMITS_DEFAULT \
    ((struct commit_limits){.rows = 50000, .bytes = 32 << 20, .age_us = 10000000})

/* What the destination holds for a stream after a commit, for the copy of the store. */
struct state_copy {
    const char *stream;   /* "namespace.name" or "name" */
    const char *position; /* NULL = none */
    int64_t generation, seq;
    struct counts counts; /* cumulative */
};

/* Who is told. Calls come from the threads of the run, also at the same time. */
struct run_observer {
    /* One event of logstream.h, "progress", "state" or "stream_status", with its JSON members. */
    void (*event)(struct run_observer *o, const char *type, const char *members);
    /* Called after each commit of the destination, and once it has been opened. */
    void (*copy)(struct run_observer *o, const struct state_copy *rows, size_t n);
    /* Now and then while the run lives, to show its progress. */
    void (*tick)(struct run_observer *o);
    int64_t tick_ms;
};

struct sync_job {
    const char *run_id, *pipeline;
    int64_t started_unix_us;
    const struct source_connector *source;
    const void *source_config;
    const struct destination_connector *destination;
    const void *destination_config;
    const struct selection *selection;
    const char *const *override_positions; /* see struct write_plan; NULL = none */
    const struct stream_copy *copies;      /* the same */
    bool full_refresh;                     /* forget positions and unfinished generations */
    struct run_policy policy;
    struct commit_limits commit;
    int64_t max_lanes;  /* whatever the policy wants */
    size_t queue_bytes; /* between readers and writers, of all lanes together */
    struct cancel *cancel;
    const struct run_host *host; /* of the source; see struct run */
    struct redactor *redactor;   /* the same */
    struct log *source_log, *destination_log, *engine_log;
    struct run_observer *observer;
};
#define RUN_QUEUE_BYTES ((size_t)4 << 20)

enum run_outcome { OUTCOME_SUCCEEDED, OUTCOME_FAILED, OUTCOME_CANCELLED };
const char *run_outcome_name(enum run_outcome o); /* "succeeded", ... */

struct run_result {
    enum run_outcome outcome;
    bool partial_success; /* failed, but some stream has committed rows */
    /* Why, unless it succeeded; the stream that it happened to is -1 when it is no single one. */
    struct error error;
    enum fault_origin origin;
    long stream;
    int64_t duration_us;
};

/* Why a run that was stopped ended, as its error; unset for reasons that are none of their own. */
void run_error_of_cancel(enum cancel_reason why, struct error *out);

enum end_detail {
    END_TOTALS, /* a line of a log has a limit; the run itself has the numbers of each stream */
    END_STREAMS,
};
/* The members of an "end" event: status, exit_code, duration_ms, error, stats. */
void run_put_end(struct jsonw *w, const struct run_result *r, const struct progress *progress,
                 enum end_detail detail);
/* The error object of runs.h; null when there is none. `progress` may be NULL. */
void run_put_error(struct jsonw *w, const struct run_result *r, const struct progress *progress);

void sync_run(const struct sync_job *job, struct progress *progress, struct run_result *out);

#endif

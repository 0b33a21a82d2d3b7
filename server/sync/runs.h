/*
 * runs.h - the run queue and its workers: what handlers call to start, stop and wait.
 *
 * A run is a row in the store; queueing one writes it and wakes a worker. A worker claims the
 * oldest queued run, is its writer thread, and starts one reader thread for the source. Check,
 * discover, sample and count are runs too, served by workers of their own so that a long sync
 * never holds them up. Safe from any thread.
 */
#ifndef SERVER_SYNC_RUNS_H
#define SERVER_SYNC_RUNS_H

#include "server/store/store.h"
#include "server/sync/logstream.h"
#include "server/sync/sealed.h"
#include "server/sync/tally.h"

/*
 * The JSON texts of a run_row, which handlers write or show and the workers read or make:
 *
 * request, sync and clear of a connection:
 *   {"streams": ["users"] or absent = all of the selection, "full_refresh": false, "timeout_s": 0,
 *    "max_attempts": 3, "parallel_streams": 4, "allow_shrink": false}
 *   The selection and the policy come from the connection when the run starts. An ad-hoc run (no
 *   connection_id) has besides: "source" and "destination", {"connector", "config"} unless
 *   source_id or destination_id is set, with secrets sealed for the id "sealed_for", "selection"
 * (native streams array or absent) and "settings" (as in struct connection). request, check: {}
 * with source_id or destination_id, or {"kind": "source", "connector", "config", "sealed_for"}.
 * Discover: {} with source_id. request, sample: {"stream", "namespace": "" , "limit": 100,
 * "fields": [..] or absent}. request, count: {"streams": [..] or absent = all, "exact": true,
 * "timeout_s": 0}.
 *
 * settings of a connection: {"namespace": {"mode": "source|destination|custom", "format": null},
 *   "prefix": "", "schema_change": "propagate_columns|propagate_all|ignore|freeze" (the drift
 *   policy of streams that name none: evolve, evolve, ignore, freeze), "metadata":
 *   "none|minimal|full", "quarantine": {"max_rows": 1000, "max_ratio": 0.01}, "commit":
 *   {"max_rows": 50000, "max_bytes": 33554432, "max_age_s": 10}, "run_policy": {"max_attempts": 3,
 *   "backoff_s": 10, "resource_backoff_s": 60, "timeout_s": 0, "idle_timeout_s": 900,
 *   "on_stream_error": "abort|continue|ignore", "parallel_streams": 1}}. Members may be absent; 0
 * seconds means no limit.
 *
 * result, check: NULL; a failed check is a failed run and says why in `error`.
 * result, discover: {"catalog_id": 7, "diff": {"added", "removed", "changed"}}; the catalog itself
 *   is in the store. Sample: {"records": [..], "truncated": false, "schema": {JSON Schema}}. Count:
 *   {"items": [{"stream", "namespace", "count", "exact", "as_of", "error"}]}.
 *
 * stats: {"records_read", "records_committed", "records_rejected", "bytes_read",
 * "states_committed", "attempts", "lanes", "streams": [{"name", "namespace", "status", "sync_mode",
 * "destination_sync_mode", the same numbers, "counts": {read .. deleted of struct counts}, "error":
 * {..} or null}]}. error: {"code", "category": "config|transient|system", "origin":
 * "source|destination|engine", "stream": null, "message", "retryable", "hint": null}.
 */
struct runs; /* opaque */

struct runs_config {
    int64_t workers;              /* syncs and clears at once */
    int64_t short_workers;        /* checks, discoveries, samples, counts at once */
    int64_t memory_budget_bytes;  /* per running sync */
    int64_t max_parallel_streams; /* in one sync, whatever its policy wants */
    int64_t cancel_grace_ms;      /* after which a cancelled run that goes on is warned about */
    /* Time limits of short runs. */
    int64_t check_timeout_s, discover_timeout_s, sample_timeout_s, count_timeout_s;
    /* What is kept, looked at every hour; 0 = without limit. */
    int64_t log_max_age_s, log_max_bytes, run_max_age_s;
    struct vault vault; /* what configurations are opened with */
    bool tallied;       /* what connections move is counted for each of them */
};

/* `notify` is called when a run changed its status. Recovers what a crash left active. */
CHECKED int runs_start(const struct runs_config *config, struct store *store,
                       struct logstreams *logs, void (*notify)(void *arg), void *arg,
                       struct log *log, struct runs **out, struct error *err);

/* Queues a run that the caller has filled in (kind, connection, request, ...); in->id is set. */
CHECKED int runs_submit(struct runs *r, struct run_row *in, bool allow_queue, int64_t *out_active,
                        struct error *err);
CHECKED int runs_cancel(struct runs *r, int64_t id, const char *reason, bool force,
                        enum run_status *out, struct error *err);

/* The status as this process knows it without asking the store: for `ready` predicates. A run that
 * is not in memory is taken as final. */
bool runs_is_active(const struct runs *r, int64_t id);
int64_t runs_active_count(const struct runs *r);

/* For metrics and health, without asking the store. */
struct runs_stats {
    int64_t active, queued;
    int64_t checkpoint_age_us; /* the longest of an active sync without a commit */
    int64_t beat_age_us;       /* since the thread that watches over the runs was last awake */
};
struct runs_stats runs_stats(const struct runs *r);

/* What connections have moved since the start; NULL unless that is counted. */
struct tally *runs_tally(const struct runs *r);

/* Refuses new runs (UNSUPPORTED is not it: RESOURCE "shutting_down"), cancels what runs, joins the
 * workers; what does not stop within `grace_ms` is left as interrupted. False when there is such a
 * one: its thread goes on, so store and logs must stay open until the process ends. */
bool runs_stop(struct runs *r, int64_t grace_ms);
/* After everybody who might call has gone. Accepts NULL. */
void runs_free(struct runs *r);

#endif

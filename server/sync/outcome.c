/*
 * How a run ended, as JSON: for the last event of its log, its row, and the command line.
 */
#include "server/sync/run.h"

const char *run_outcome_name(enum run_outcome o)
{
    static const char *const names[] = {
        [OUTCOME_SUCCEEDED] = "succeeded",
        [OUTCOME_FAILED] = "failed",
        [OUTCOME_CANCELLED] = "cancelled",
    };

    return names[o];
}

void run_error_of_cancel(enum cancel_reason why, struct error *out)
{
    switch (why) {
    case CANCEL_NONE:
    case CANCEL_SUPERSEDED:
        return;
    case CANCEL_USER:
    case CANCEL_DISCONNECT:
        error_set(out, ERR_CANCELLED, "the run was cancelled (%s)", cancel_reason_name(why));
        return;
    case CANCEL_TIMEOUT:
        error_set_reason(out, ERR_CANCELLED, "timeout", "the run took longer than its time limit");
        return;
    case CANCEL_IDLE_TIMEOUT:
        error_set_reason(out, ERR_CANCELLED, "idle_timeout",
                         "nothing was read or written for longer than the idle time limit");
        return;
    case CANCEL_SHUTDOWN:
        error_set_reason(out, ERR_CANCELLED, "interrupted", "the service was shut down");
        return;
    }
}

void run_put_error(struct jsonw *w, const struct run_result *r, const struct progress *progress)
{
    struct stream_progress stream = {.name = NULL};

    if (r->error.code == ERR_NONE) {
        jsonw_null(w);
        return;
    }
    if (progress && r->stream >= 0)
        progress_get(progress, (size_t)r->stream, &stream);
    fault_put(w, r->origin, stream.name, &r->error);
}

void run_put_end(struct jsonw *w, const struct run_result *r, const struct progress *progress,
                 enum end_detail detail)
{
    jsonw_put_string(w, "status", run_outcome_name(r->outcome));
    jsonw_put_int(w, "exit_code", (int64_t)r->outcome);
    jsonw_put_int(w, "duration_ms", r->duration_us / 1000);
    jsonw_key(w, "error");
    run_put_error(w, r, progress);
    if (!progress)
        return;
    jsonw_key(w, "stats");
    progress_put_stats(progress, detail == END_TOTALS, w);
}

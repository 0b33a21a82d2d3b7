/*
 * A portion of the streams, tried until it is over.
 */
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/base/metric.h"
#include "server/sync/retry.h"
#include "server/sync/runner.h"

/* A dying source is not hammered: this many retries in a run, and one more for so many commits. */
#define RETRY_TOKENS 20

/* Waiting is not idling: so often it is said that somebody is alive. */
#define WAIT_SLICE_MS 1000

enum next { NEXT_END, NEXT_AGAIN, NEXT_AT_ONCE };

/* What a try leaves behind. */
struct verdict {
    enum next next;
    struct fault why;
    bool of_run; /* `why` is none of a stream: without a further try the run has failed */
};

bool runner_stream_is_left(const struct runner *r, size_t stream)
{
    struct stream_progress now;

    progress_get(r->progress, stream, &now);
    return now.status != STREAM_COMPLETE && !r->out[stream];
}

/* Streams that failed for good stay out of further tries. True when one may be tried again. */
static bool sort_out_failed(struct runner *r, const struct portion *p, struct fault *first)
{
    bool again = false;

    for (size_t i = 0; i < p->n; i++) {
        size_t stream = p->streams[i];
        struct stream_progress now;

        progress_get(r->progress, stream, &now);
        if (now.status != STREAM_INCOMPLETE || !now.error)
            continue;
        if (error_is_retryable(now.error))
            again = true;
        else
            r->out[stream] = true;
        if (first->error.code == ERR_NONE)
            *first = (struct fault){*now.error, now.origin, (long)stream};
    }
    return again;
}

static bool any_left(const struct runner *r, const struct portion *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (runner_stream_is_left(r, p->streams[i]))
            return true;
    }
    return false;
}

static struct verdict judge(struct runner *r, const struct portion *p, const struct attempt *a)
{
    struct verdict v = {.why = {.stream = -1}};
    enum error_code code = a->fault.error.code;
    bool retryable_stream;

    if (runner_is_halted(r)) {
        v.why = a->fault;
        v.of_run = code != ERR_NONE && code != ERR_CANCELLED;
        return v;
    }
    retryable_stream = sort_out_failed(r, p, &v.why);
    if (a->start_over && (code == ERR_NONE || code == ERR_CANCELLED)) {
        v.next = retryable_stream ? NEXT_AGAIN : any_left(r, p) ? NEXT_AT_ONCE : NEXT_END;
    } else if (code != ERR_NONE) {
        v.why = a->fault;
        v.of_run = true;
        v.next = error_is_retryable(&a->fault.error) ? NEXT_AGAIN : NEXT_END;
    } else {
        v.next = retryable_stream ? NEXT_AGAIN : NEXT_END;
    }
    return v;
}

/* ----------------------------------------------------------------- between two tries */

/* What is tried again, for people: its stream when it is one, else how many they are. */
static struct log_field who(const struct runner *r, const struct portion *p,
                            const struct fault *why)
{
    long stream = why->stream >= 0 ? why->stream : p->n == 1 ? (long)p->streams[0] : -1;
    struct stream_progress now;

    if (stream < 0)
        return log_int("streams", (int64_t)p->n);
    progress_get(r->progress, (size_t)stream, &now);
    return log_text("stream", now.name);
}

static void log_retry(struct runner *r, const struct portion *p, const struct fault *why,
                      const struct retry_step *step)
{
    if (step->alert)
        log_error(r->job->engine_log,
                  .message = "the other side has no room left: somebody has to make some",
                  .fields = {log_text("code", error_reason(&why->error)),
                             log_text("reason", why->error.message),
                             log_text("origin", fault_origin_name(why->origin))});
    log_warn(r->job->engine_log, .message = "attempt failed, trying again",
             .fields = {log_text("code", error_reason(&why->error)),
                        log_text("reason", why->error.message),
                        log_text("origin", fault_origin_name(why->origin)), who(r, p, why),
                        log_int("attempt", progress_attempts(r->progress)),
                        log_int("wait_ms", step->wait_ms)});
}

/* Takes a token; the lanes of a run share them. */
static bool may_retry(struct runner *r)
{
    struct stream_progress total;

    progress_total(r->progress, &total);
    return atomic_fetch_add(&r->retries, 1) < RETRY_TOKENS + total.states_committed / RETRY_TOKENS;
}

/* False when the run is stopped meanwhile. */
static bool wait_ms(struct runner *r, int64_t ms)
{
    struct error stopped = ERROR_INIT;

    do {
        int64_t slice = ms < WAIT_SLICE_MS ? ms : WAIT_SLICE_MS;

        if (cancel_sleep_ms(r->halt, slice, &stopped) < 0)
            return false;
        progress_touch(r->progress);
        ms -= slice;
    } while (ms > 0);
    return true;
}

/* True when there is another try, at once. */
static bool prepare_next(struct runner *r, const struct portion *p, const struct verdict *v,
                         struct retry *retry)
{
    struct retry_step step;

    if (v->next == NEXT_AT_ONCE)
        return true;
    step = retry_after(retry, &r->job->policy, &v->why.error);
    if (!step.again || (step.counted && !may_retry(r)))
        return false;
    log_retry(r, p, &v->why, &step);
    metric_add_for(METRIC_RUN_RETRIES, METRIC_LABELS(error_reason(&v->why.error)), 1);
    return wait_ms(r, step.wait_ms);
}

void portion_run(struct runner *r, size_t lane, const struct portion *p, enum portion_goal goal)
{
    struct retry retry = {0};

    for (bool first = true;; first = false) {
        CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
        struct attempt a = {.job = r->job, .progress = r->progress, .mem = mem};
        struct verdict v;

        /* The run counts its beginning, and each further try of any lane. */
        if (!first || progress_attempts(r->progress) == 0)
            progress_attempt(r->progress);
        attempt_run(r, lane, p, goal, &a);
        if (a.recovered && !r->recovered)
            r->recovered = true;
        if (a.committed)
            retry_progressed(&retry);
        v = judge(r, p, &a);
        if (v.next != NEXT_END && prepare_next(r, p, &v, &retry))
            continue;
        if (v.of_run)
            runner_fail(r, &v.why);
        return;
    }
}

#include "server/sync/run.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/unconst.h"
#include "connectors/commons.h"
#include "server/sync/promise.h"
#include "server/sync/runner.h"
#include "server/sync/spread.h"

#define PROGRESS_EVENT_US 1000000

/* What the last progress event of each stream said. */
struct told {
    int64_t read, committed;
};

struct watcher {
    struct runner *r;
    pthread_t thread;
    int wake_fd; /* ends it */
    struct told *told;
};

void run_tell_status(const struct sync_job *job, const struct progress *progress, size_t stream)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(8192);
    struct jsonw j = JSONW_INIT(&b);
    struct stream_progress now;

    progress_get(progress, stream, &now);
    jsonw_put_string(&j, "stream", now.name);
    jsonw_put_string(&j, "status", stream_status_name(now.status));
    progress_put_numbers(&j, &now);
    jsonw_key(&j, "error");
    if (now.error)
        fault_put(&j, now.origin, now.name, now.error);
    else
        jsonw_null(&j);
    job->observer->event(job->observer, "stream_status", buf_str(&b));
}

/* --------------------------------------------------------------------- stopping */

void runner_halt(struct runner *r, enum cancel_reason why)
{
    LOCK_GUARD(&r->mutex);

    cancel_request(r->halt, why);
    for (size_t i = 0; i < r->n_lanes; i++) {
        if (r->stops[i])
            cancel_request(r->stops[i], why);
    }
}

bool runner_is_halted(struct runner *r)
{
    enum cancel_reason why = cancel_requested(r->job->cancel);

    if (why != CANCEL_NONE)
        runner_halt(r, why);
    return cancel_requested(r->halt) != CANCEL_NONE;
}

void runner_fail(struct runner *r, const struct fault *why)
{
    pthread_mutex_lock(&r->mutex);
    if (r->why.error.code == ERR_NONE)
        r->why = *why;
    pthread_mutex_unlock(&r->mutex);
    runner_halt(r, CANCEL_SUPERSEDED);
}

void runner_set_stop(struct runner *r, size_t lane, struct cancel *stop)
{
    pthread_mutex_lock(&r->mutex);
    r->stops[lane] = stop;
    pthread_mutex_unlock(&r->mutex);
    if (stop && runner_is_halted(r))
        runner_halt(r, cancel_requested(r->halt));
}

/* ------------------------------------------------------------------ the watcher */

static void check_deadlines(struct runner *r)
{
    const struct run_policy *policy = &r->job->policy;
    int64_t now_us = clock_monotonic_us();

    if (policy->timeout_s > 0 && now_us - r->started_us >= policy->timeout_s * 1000000)
        cancel_request(r->job->cancel, CANCEL_TIMEOUT);
    if (policy->idle_timeout_s > 0 &&
        progress_idle_us(r->progress) >= policy->idle_timeout_s * 1000000)
        cancel_request(r->job->cancel, CANCEL_IDLE_TIMEOUT);
}

static void tell_progress(struct runner *r, struct told *told)
{
    for (size_t i = 0; i < progress_n(r->progress); i++) {
        CLEANUP(buf_release) struct buf b = BUF_INIT(4096);
        struct jsonw j = JSONW_INIT(&b);
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.rows_read == told[i].read && now.committed.read == told[i].committed)
            continue;
        told[i] = (struct told){now.rows_read, now.committed.read};
        jsonw_put_string(&j, "stream", now.name);
        progress_put_numbers(&j, &now);
        r->job->observer->event(r->job->observer, "progress", buf_str(&b));
    }
}

/*
 * Sees to it that a run reacts while its lanes are inside foreign code: deadlines, cancellation,
 * progress.
 */
static void *watch(void *arg)
{
    struct watcher *w = arg;
    struct runner *r = w->r;
    struct pollfd fds[] = {{.fd = w->wake_fd, .events = POLLIN},
                           {.fd = cancel_fd(r->job->cancel), .events = POLLIN}};
    int64_t told_us = clock_monotonic_us();

    for (;;) {
        poll(fds, fds[1].fd >= 0 ? 2 : 1, (int)r->job->observer->tick_ms);
        if (fds[0].revents)
            return NULL;
        check_deadlines(r);
        if (cancel_requested(r->job->cancel) != CANCEL_NONE && fds[1].fd >= 0) {
            runner_halt(r, cancel_requested(r->job->cancel));
            fds[1].fd = -1; /* it stays readable for ever */
        }
        r->job->observer->tick(r->job->observer);
        if (clock_monotonic_us() - told_us >= PROGRESS_EVENT_US) {
            told_us = clock_monotonic_us();
            tell_progress(r, w->told);
        }
    }
}

static int start_watcher(struct watcher *w, struct error *err)
{
    int status;

    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0)
        return error_set_errno(err, errno, "creating an event descriptor");
    status = pthread_create(&w->thread, NULL, watch, w);
    if (status != 0) {
        close(w->wake_fd);
        return error_set_errno(err, status, "starting the watcher thread");
    }
    return 0;
}

static void stop_watcher(struct watcher *w)
{
    uint64_t one = 1;

    if (write(w->wake_fd, &one, sizeof one) < 0)
        abort();
    pthread_join(w->thread, NULL);
    close(w->wake_fd);
}

/* ------------------------------------------------------------------ the outcome */

static bool all_complete(const struct runner *r)
{
    for (size_t i = 0; i < progress_n(r->progress); i++) {
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.status != STREAM_COMPLETE)
            return false;
    }
    return true;
}

/* Streams that did not get to their end say so. */
static void close_streams(struct runner *r, const struct run_result *result)
{
    for (size_t i = 0; i < progress_n(r->progress); i++) {
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.status == STREAM_PENDING && now.rows_read == 0)
            progress_status(r->progress, i, STREAM_SKIPPED);
        else if (now.status == STREAM_PENDING || now.status == STREAM_RUNNING)
            progress_fail(r->progress, i, result->origin, &result->error);
        else
            continue;
        run_tell_status(r->job, r->progress, i);
    }
}

static bool any_committed(const struct runner *r)
{
    for (size_t i = 0; i < progress_n(r->progress); i++) {
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.status == STREAM_COMPLETE || counts_records_committed(&now.committed) > 0)
            return true;
    }
    return false;
}

static bool only_streams_failed(const struct runner *r, const struct fault *why)
{
    struct stream_progress now;

    if (why->stream < 0)
        return false;
    for (size_t i = 0; i < progress_n(r->progress); i++) {
        progress_get(r->progress, i, &now);
        if (now.status == STREAM_PENDING || now.status == STREAM_RUNNING)
            return false;
    }
    return true;
}

/* Why the run did not succeed: what ended it, or else the first stream that failed. */
static struct fault find_fault(const struct runner *r)
{
    struct fault why = r->why;

    for (size_t i = 0; i < progress_n(r->progress) && why.error.code == ERR_NONE; i++) {
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.status == STREAM_INCOMPLETE && now.error)
            why = (struct fault){*now.error, now.origin, (long)i};
    }
    return why;
}

static void conclude(struct runner *r, struct run_result *out)
{
    enum cancel_reason cancelled = cancel_requested(r->job->cancel);
    struct fault why = find_fault(r);

    *out = (struct run_result){.outcome = OUTCOME_SUCCEEDED, .stream = -1};
    if (!all_complete(r)) {
        if (cancelled != CANCEL_NONE) {
            run_error_of_cancel(cancelled, &out->error);
        } else {
            out->error = why.error;
            out->origin = why.origin;
            out->stream = why.stream;
        }
        out->outcome = cancelled == CANCEL_USER || cancelled == CANCEL_DISCONNECT
                           ? OUTCOME_CANCELLED
                           : OUTCOME_FAILED;
        if (r->job->policy.on_stream_error == ON_ERROR_IGNORE && cancelled == CANCEL_NONE &&
            only_streams_failed(r, &why))
            out->outcome = OUTCOME_SUCCEEDED;
        close_streams(r, out);
    }
    out->partial_success = out->outcome == OUTCOME_FAILED && any_committed(r);
    out->duration_us = clock_monotonic_us() - r->started_us;
}

/* As many as are wanted and allowed, as there are streams for, and as the destination can take. */
static size_t count_lanes(const struct sync_job *job)
{
    int64_t wanted = job->policy.parallel_streams, most = job->max_lanes;

    wanted = wanted < most ? wanted : most;
    wanted = wanted < RUN_MAX_LANES ? wanted : RUN_MAX_LANES;
    if (job->source->reads_together)
        return 1;
    if (wanted > 1 && !job->destination->parallel_writers) {
        log_info(job->engine_log,
                 .message = "the destination takes one writer at a time, so streams follow each "
                            "other",
                 .fields = {log_text("destination", job->destination->name)});
        return 1;
    }
    return wanted > 1 ? spread_lanes(job->selection, (size_t)wanted) : 1;
}

static void run_watched(struct runner *r, struct arena *mem)
{
    struct watcher w = {.r = r};
    struct error err = ERROR_INIT;

    w.told = arena_array(mem, progress_n(r->progress), sizeof *w.told);
    if (start_watcher(&w, &err) < 0) {
        runner_fail(r, &(struct fault){.error = err, .stream = -1});
        return;
    }
    lanes_run(r);
    stop_watcher(&w);
    tell_progress(r, w.told);
}

static void tell_promises(const struct sync_job *job, struct progress *progress)
{
    const struct promise_ends ends = {job->source->reads_together, job->destination->delivery};

    for (size_t i = 0; i < job->selection->n; i++) {
        const struct selected_stream *s = &job->selection->streams[i];
        struct stream_progress now;

        progress_promise(progress, i, promise_weakness(&ends, s));
        progress_get(progress, i, &now);
        if (selected_stream_doubt(s))
            log_warn(job->engine_log, .message = "not every row can be promised",
                     .fields = {log_text("stream", now.name),
                                log_text("why", selected_stream_doubt(s))});
    }
}

/* What the store knows of the state, which a run with such a destination goes on from. */
static void keep_copies(struct runner *r, struct arena *mem)
{
    size_t n = r->job->selection->n;

    r->kept = arena_array(mem, n, sizeof *r->kept);
    for (size_t i = 0; i < n && r->job->copies; i++) {
        r->kept[i] = r->job->copies[i];
        if (r->kept[i].position)
            r->kept[i].position = xstrdup(r->kept[i].position);
    }
}

static void forget_copies(struct runner *r)
{
    for (size_t i = 0; i < r->job->selection->n; i++)
        free(unconst(r->kept[i].position));
}

void sync_run(const struct sync_job *job, struct progress *progress, struct run_result *out)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct runner r = {.job = job,
                       .progress = progress,
                       .started_us = clock_monotonic_us(),
                       .n_lanes = count_lanes(job),
                       .why = {.stream = -1}};

    r.bases = arena_array(mem, job->selection->n, sizeof *r.bases);
    r.out = arena_array(mem, job->selection->n, sizeof *r.out);
    r.commons = commons_new(job->selection);
    keep_copies(&r, mem);
    progress_lanes(progress, (int64_t)r.n_lanes);
    tell_promises(job, progress);
    pthread_mutex_init(&r.mutex, NULL);
    if (cancel_new(&r.halt, &r.why.error) == 0)
        run_watched(&r, mem);
    conclude(&r, out);
    forget_copies(&r);
    commons_free(r.commons);
    cancel_free(r.halt);
    pthread_mutex_destroy(&r.mutex);
}

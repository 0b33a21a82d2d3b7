#include "server/sync/run.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "server/sync/attempt.h"

/* A dying source is not hammered: this many retries, and one more for so many commits. */
#define RETRY_TOKENS 20

#define PROGRESS_EVENT_US 1000000

/* What outlives the attempts of a run. */
struct runner {
    const struct sync_job *job;
    struct progress *progress;
    struct arena *mem;
    int64_t started_us;
    bool recovered; /* overrides and restart have been carried out */
    struct stream_base *bases;
    bool *out; /* per stream: failed for good */

    pthread_mutex_t mutex;
    struct cancel *attempt_stop; /* of the attempt that runs; NULL between attempts */

    pthread_t watcher;
    int wake_fd;       /* ends the watcher */
    struct told *told; /* what the last progress event of each stream said */
};
struct told {
    int64_t read, committed;
};

void attempt_fail(struct attempt *a, enum fault_origin origin, long stream, const struct error *why)
{
    LOCK_GUARD(&a->mutex);

    if (a->fault.error.code == ERR_NONE)
        a->fault = (struct fault){.error = *why, .origin = origin, .stream = stream};
}

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

int64_t backoff_ms(int64_t base_ms, int64_t n)
{
    int64_t most = base_ms;
    uint64_t random;

    for (int64_t i = 0; i < n && most < RUN_MAX_BACKOFF_MS; i++)
        most *= 2;
    if (most > RUN_MAX_BACKOFF_MS)
        most = RUN_MAX_BACKOFF_MS;
    hash_random(&random, sizeof random);
    return (int64_t)(random % (uint64_t)(most + 1));
}

/* ------------------------------------------------------------------ the watcher */

static void forward_cancel(struct runner *r)
{
    enum cancel_reason why = cancel_requested(r->job->cancel);
    LOCK_GUARD(&r->mutex);

    if (why != CANCEL_NONE && r->attempt_stop)
        cancel_request(r->attempt_stop, why);
}

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

static void tell_progress(struct runner *r)
{
    for (size_t i = 0; i < progress_n(r->progress); i++) {
        CLEANUP(buf_release) struct buf b = BUF_INIT(4096);
        struct jsonw j = JSONW_INIT(&b);
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.rows_read == r->told[i].read && now.committed.read == r->told[i].committed)
            continue;
        r->told[i] = (struct told){now.rows_read, now.committed.read};
        jsonw_put_string(&j, "stream", now.name);
        progress_put_numbers(&j, &now);
        r->job->observer->event(r->job->observer, "progress", buf_str(&b));
    }
}

/*
 * Sees to it that a run reacts while its reader and writer are inside foreign code: deadlines,
 * cancellation of the attempt, progress.
 */
static void *watch(void *arg)
{
    struct runner *r = arg;
    struct pollfd fds[] = {{.fd = r->wake_fd, .events = POLLIN},
                           {.fd = cancel_fd(r->job->cancel), .events = POLLIN}};
    int64_t told_us = clock_monotonic_us();

    for (;;) {
        poll(fds, fds[1].fd >= 0 ? 2 : 1, (int)r->job->observer->tick_ms);
        if (fds[0].revents)
            return NULL;
        check_deadlines(r);
        if (cancel_requested(r->job->cancel) != CANCEL_NONE) {
            forward_cancel(r);
            fds[1].fd = -1; /* it stays readable for ever */
        }
        r->job->observer->tick(r->job->observer);
        if (clock_monotonic_us() - told_us >= PROGRESS_EVENT_US) {
            told_us = clock_monotonic_us();
            tell_progress(r);
        }
    }
}

static int start_watcher(struct runner *r, struct error *err)
{
    int status;

    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd < 0)
        return error_set_errno(err, errno, "creating an event descriptor");
    status = pthread_create(&r->watcher, NULL, watch, r);
    if (status != 0) {
        close(r->wake_fd);
        return error_set_errno(err, status, "starting the watcher thread");
    }
    return 0;
}

static void stop_watcher(struct runner *r)
{
    uint64_t one = 1;

    if (write(r->wake_fd, &one, sizeof one) < 0)
        abort();
    pthread_join(r->watcher, NULL);
    close(r->wake_fd);
}

/* ------------------------------------------------------------------ one attempt */

static void set_stop(struct runner *r, struct cancel *stop)
{
    pthread_mutex_lock(&r->mutex);
    r->attempt_stop = stop;
    pthread_mutex_unlock(&r->mutex);
    forward_cancel(r);
}

/* The streams that are still to be done, and what their overrides are. */
static void choose_streams(struct runner *r, struct attempt *a)
{
    const struct selection *all = r->job->selection;
    size_t *number = arena_array(a->mem, all->n, sizeof *number);
    struct selected_stream *selected = arena_array(a->mem, all->n, sizeof *selected);
    const char **overrides = arena_array(a->mem, all->n, sizeof *overrides);

    for (size_t i = 0; i < all->n; i++) {
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.status == STREAM_COMPLETE || r->out[i])
            continue;
        number[a->n] = i;
        selected[a->n] = all->streams[i];
        if (r->job->override_positions)
            overrides[a->n] = r->job->override_positions[i];
        a->n++;
    }
    a->stream = number;
    a->selected = selected;
    a->positions = arena_array(a->mem, a->n, sizeof *a->positions);
    a->bases = r->bases;
    a->restart = r->job->full_refresh && !r->recovered;
    a->override_positions = r->job->override_positions && !r->recovered ? overrides : NULL;
}

static void move_rows(struct attempt *a)
{
    struct writer *w = NULL;
    struct reader *r = NULL;
    struct error err = ERROR_INIT;

    if (writer_open(a, &w) < 0)
        return;
    if (reader_start(a, &r, &err) < 0)
        attempt_fail(a, ORIGIN_ENGINE, -1, &err);
    else
        writer_drain(w);
    reader_join(r);
    writer_close(w);
    queue_free(TAKE(a->queue));
    reader_free(r);
}

/* One try at all streams that are left; `a` says how it ended. */
static void run_attempt(struct runner *r, struct attempt *a)
{
    struct error err = ERROR_INIT;

    pthread_mutex_init(&a->mutex, NULL);
    choose_streams(r, a);
    progress_attempt(r->progress);
    if (cancel_new(&a->stop, &err) < 0) {
        attempt_fail(a, ORIGIN_ENGINE, -1, &err);
    } else {
        a->queue = queue_new(r->job->queue_bytes);
        set_stop(r, a->stop);
        if (a->n > 0)
            move_rows(a);
        set_stop(r, NULL);
        queue_free(a->queue);
        cancel_free(a->stop);
    }
    pthread_mutex_destroy(&a->mutex);
    r->recovered |= a->recovered;
}

/* ------------------------------------------------------------------ all attempts */

/* Streams that failed for good stay out of further attempts. True when one may be tried again. */
static bool sort_out_failed(struct runner *r, struct fault *first)
{
    bool again = false;

    for (size_t i = 0; i < progress_n(r->progress); i++) {
        struct stream_progress now;

        progress_get(r->progress, i, &now);
        if (now.status != STREAM_INCOMPLETE || !now.error)
            continue;
        if (error_is_retryable(now.error))
            again = true;
        else
            r->out[i] = true;
        if (first->error.code == ERR_NONE)
            *first = (struct fault){*now.error, now.origin, (long)i};
    }
    return again;
}

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

enum next { NEXT_END, NEXT_AGAIN, NEXT_AT_ONCE };

/* After an attempt: what it leaves behind in *why, and whether there is another one. */
static enum next after_attempt(struct runner *r, const struct attempt *a, struct fault *why)
{
    bool retryable_stream;

    *why = (struct fault){.stream = -1};
    if (cancel_requested(r->job->cancel) != CANCEL_NONE) {
        *why = a->fault;
        return NEXT_END;
    }
    retryable_stream = sort_out_failed(r, why);
    if (a->start_over && (a->fault.error.code == ERR_NONE || a->fault.error.code == ERR_CANCELLED))
        return retryable_stream ? NEXT_AGAIN : NEXT_AT_ONCE;
    if (a->fault.error.code != ERR_NONE) {
        *why = a->fault;
        return error_is_retryable(&a->fault.error) ? NEXT_AGAIN : NEXT_END;
    }
    return retryable_stream ? NEXT_AGAIN : NEXT_END;
}

static void log_retry(struct runner *r, const struct fault *why, int64_t wait_ms)
{
    log_warn(r->job->engine_log, .message = "attempt failed, trying again",
             .fields = {log_text("code", error_reason(&why->error)),
                        log_text("reason", why->error.message),
                        log_text("origin", fault_origin_name(why->origin)),
                        log_int("attempt", progress_attempts(r->progress)),
                        log_int("wait_ms", wait_ms)});
}

static int64_t states_committed(const struct runner *r)
{
    struct stream_progress total;

    progress_total(r->progress, &total);
    return total.states_committed;
}

static void run_attempts(struct runner *r, struct fault *why)
{
    int64_t in_a_row = 0, retries = 0;

    for (;;) {
        struct error stopped = ERROR_INIT;
        CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
        struct attempt a = {.job = r->job, .progress = r->progress, .mem = mem};
        enum next next;
        int64_t wait_ms;

        run_attempt(r, &a);
        next = after_attempt(r, &a, why);
        if (next == NEXT_END)
            return;
        if (next == NEXT_AT_ONCE)
            continue;
        in_a_row = a.committed ? 1 : in_a_row + 1;
        if (in_a_row >= r->job->policy.max_attempts ||
            retries++ >= RETRY_TOKENS + states_committed(r) / RETRY_TOKENS)
            return;
        wait_ms = backoff_ms(r->job->policy.backoff_ms, in_a_row - 1);
        log_retry(r, why, wait_ms);
        if (cancel_sleep_ms(r->job->cancel, wait_ms, &stopped) < 0)
            return;
        progress_touch(r->progress);
    }
}

/* ------------------------------------------------------------------ the outcome */

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

static void conclude(struct runner *r, const struct fault *why, struct run_result *out)
{
    enum cancel_reason cancelled = cancel_requested(r->job->cancel);

    *out = (struct run_result){.outcome = OUTCOME_SUCCEEDED, .stream = -1};
    if (!all_complete(r)) {
        if (cancelled != CANCEL_NONE) {
            run_error_of_cancel(cancelled, &out->error);
        } else {
            out->error = why->error;
            out->origin = why->origin;
            out->stream = why->stream;
        }
        out->outcome = cancelled == CANCEL_USER || cancelled == CANCEL_DISCONNECT
                           ? OUTCOME_CANCELLED
                           : OUTCOME_FAILED;
        if (r->job->policy.on_stream_error == ON_ERROR_IGNORE && cancelled == CANCEL_NONE &&
            only_streams_failed(r, why))
            out->outcome = OUTCOME_SUCCEEDED;
        close_streams(r, out);
    }
    out->partial_success = out->outcome == OUTCOME_FAILED && any_committed(r);
    out->duration_us = clock_monotonic_us() - r->started_us;
}

void sync_run(const struct sync_job *job, struct progress *progress, struct run_result *out)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct runner r = {.job = job, .progress = progress, .started_us = clock_monotonic_us()};
    struct fault why = {.stream = -1};

    r.bases = arena_array(mem, job->selection->n, sizeof *r.bases);
    r.out = arena_array(mem, job->selection->n, sizeof *r.out);
    r.told = arena_array(mem, job->selection->n, sizeof *r.told);
    pthread_mutex_init(&r.mutex, NULL);
    if (start_watcher(&r, &why.error) == 0) {
        run_attempts(&r, &why);
        stop_watcher(&r);
    }
    conclude(&r, &why, out);
    tell_progress(&r);
    pthread_mutex_destroy(&r.mutex);
}

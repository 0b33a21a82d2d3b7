#include "server/sync/runs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "server/sync/runs_internal.h"

/* ------------------------------------------------------------- the active table */

/* The place of `id`, or where it would be. With the mutex held. */
static size_t place_of(const struct runs *r, int64_t id)
{
    size_t low = 0, high = r->n_active;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->active[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct active_run *find_locked(const struct runs *r, int64_t id)
{
    size_t i = place_of(r, id);

    return i < r->n_active && r->active[i].id == id ? &r->active[i] : NULL;
}

static struct active_run *add_locked(struct runs *r, int64_t id)
{
    size_t i = place_of(r, id);

    if (i < r->n_active && r->active[i].id == id)
        return &r->active[i];
    if (r->n_active == r->cap_active) {
        r->cap_active = r->cap_active ? r->cap_active * 2 : 64;
        r->active = xrealloc(r->active, r->cap_active * sizeof *r->active);
    }
    memmove(r->active + i + 1, r->active + i, (r->n_active - i) * sizeof *r->active);
    r->n_active++;
    r->active[i] = (struct active_run){.id = id};
    return &r->active[i];
}

void runs_add_queued(struct runs *r, int64_t id)
{
    LOCK_GUARD(&r->mutex);

    add_locked(r, id);
}

void runs_set_running(struct runs *r, int64_t id, struct cancel *cancel, int64_t deadline_us)
{
    LOCK_GUARD(&r->mutex);
    struct active_run *a = add_locked(r, id);

    a->cancel = cancel;
    a->deadline_us = deadline_us;
    r->n_running++;
    if (r->stopping)
        cancel_request(cancel, CANCEL_SHUTDOWN);
}

void runs_remove(struct runs *r, int64_t id)
{
    LOCK_GUARD(&r->mutex);
    struct active_run *a = find_locked(r, id);

    if (!a)
        return;
    r->n_running -= a->cancel != NULL;
    r->n_active--;
    memmove(a, a + 1, (size_t)(r->active + r->n_active - a) * sizeof *a);
}

bool runs_is_active(const struct runs *r, int64_t id)
{
    LOCK_GUARD(r->lock);

    return find_locked(r, id) != NULL;
}

int64_t runs_active_count(const struct runs *r)
{
    LOCK_GUARD(r->lock);

    return (int64_t)r->n_running;
}

void runs_note_commit(struct runs *r, int64_t id)
{
    LOCK_GUARD(&r->mutex);
    struct active_run *a = find_locked(r, id);

    if (a)
        a->committed_us = clock_monotonic_us();
}

struct runs_stats runs_stats(const struct runs *r)
{
    int64_t now_us = clock_monotonic_us();
    struct runs_stats out = {.beat_age_us = now_us - atomic_load(&r->beat_us)};
    LOCK_GUARD(r->lock);

    out.active = (int64_t)r->n_running;
    out.queued = (int64_t)(r->n_active - r->n_running);
    for (size_t i = 0; i < r->n_active; i++) {
        const struct active_run *a = &r->active[i];

        if (a->committed_us && now_us - a->committed_us > out.checkpoint_age_us)
            out.checkpoint_age_us = now_us - a->committed_us;
    }
    return out;
}

struct tally *runs_tally(const struct runs *r)
{
    return r->tally;
}

void runs_wake(struct runs *r)
{
    LOCK_GUARD(&r->mutex);

    r->changes++;
    pthread_cond_broadcast(&r->changed);
}

/* ----------------------------------------------------------- submit and cancel */

static bool is_stopping(const struct runs *r)
{
    LOCK_GUARD(r->lock);

    return r->stopping;
}

int runs_submit(struct runs *r, struct run_row *in, bool allow_queue, int64_t *out_active,
                struct error *err)
{
    LOCK_GUARD(&r->claim);

    if (is_stopping(r))
        return error_set_reason(err, ERR_RESOURCE, "shutting_down",
                                "the service is shutting down and takes no new runs");
    if (store_create_run(r->store, in, allow_queue, out_active, err) < 0)
        return -1;
    logstreams_expect(r->logs, in->id);
    runs_add_queued(r, in->id);
    runs_wake(r);
    return 0;
}

static int64_t exit_code_of(const char *status)
{
    return !strcmp(status, "cancelled") ? 2 : !strcmp(status, "failed");
}

void runs_end_log(struct runs *r, int64_t id, const char *status, const char *error)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(LOGSTREAM_MAX_LINE);
    struct jsonw w = JSONW_INIT(&b);
    struct error err = ERROR_INIT;
    struct logstream *l;

    if (logstream_open(r->logs, id, &l, &err) < 0) {
        log_warn(r->log, .message = "the log of a run cannot be ended",
                 .fields = {log_int("run", id), log_text("reason", err.message)});
        return;
    }
    jsonw_put_string(&w, "status", status);
    jsonw_put_int(&w, "exit_code", exit_code_of(status));
    jsonw_put_int(&w, "duration_ms", 0);
    jsonw_put_raw(&w, "error", error);
    logstream_event(l, "end", buf_str(&b));
    logstream_close(l);
}

/* The reason as the store keeps it, for the token. */
static enum cancel_reason reason_of(const char *name)
{
    static const enum cancel_reason known[] = {CANCEL_TIMEOUT, CANCEL_IDLE_TIMEOUT, CANCEL_SHUTDOWN,
                                               CANCEL_DISCONNECT};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(name, cancel_reason_name(known[i])))
            return known[i];
    }
    return CANCEL_USER;
}

/* False when it is not running. */
static bool stop_running(struct runs *r, int64_t id, enum cancel_reason why)
{
    LOCK_GUARD(&r->mutex);
    struct active_run *a = find_locked(r, id);

    if (!a || !a->cancel)
        return false;
    if (a->cancelled_us == 0)
        a->cancelled_us = clock_monotonic_us();
    cancel_request(a->cancel, why);
    return true;
}

static int cancel_locked(struct runs *r, int64_t id, const char *reason, bool *out_from_queue,
                         enum run_status *out, struct error *err)
{
    LOCK_GUARD(&r->claim);

    if (store_cancel_run(r->store, id, reason, out, err) < 0) {
        /* On a full disk the run stops all the same, maybe for the good of the disk. */
        if (err->code != ERR_RESOURCE || !stop_running(r, id, reason_of(reason)))
            return -1;
        *err = ERROR_INIT;
        *out = RUN_CANCELLING;
        return 0;
    }
    *out_from_queue = *out == RUN_CANCELLED && runs_is_active(r, id);
    if (*out_from_queue)
        runs_remove(r, id);
    if (*out == RUN_CANCELLING)
        stop_running(r, id, reason_of(reason));
    return 0;
}

/* Threads are never killed: force changes nothing about that, since a run stops at once anyway, at
 * its last checkpoint. */
int runs_cancel(struct runs *r, int64_t id, const char *reason, bool force, enum run_status *out,
                struct error *err)
{
    bool from_queue = false;

    (void)force;
    if (cancel_locked(r, id, reason, &from_queue, out, err) < 0)
        return -1;
    if (from_queue)
        runs_end_log(r, id, "cancelled", NULL);
    runs_wake(r);
    r->notify(r->arg);
    return 0;
}

/* -------------------------------------------------------------- start and stop */

/* Pages through the runs with these statuses, oldest first. */
static int each_run(struct runs *r, unsigned statuses, void (*each)(struct runs *r, int64_t id),
                    struct error *err)
{
    struct run_query q = {
        .kinds = LONG_KINDS | SHORT_KINDS, .statuses = statuses, .ascending = true, .limit = 100};

    do {
        CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
        struct run_row *rows;
        size_t n;

        if (store_list_runs(r->store, &q, mem, &rows, &n, &q.after, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            each(r, rows[i].id);
    } while (q.after > 0);
    return 0;
}

static void expect_queued(struct runs *r, int64_t id)
{
    logstreams_expect(r->logs, id);
    runs_add_queued(r, id);
}

static void end_lost(struct runs *r, int64_t id)
{
    runs_end_log(r, id, "failed",
                 "{\"code\":\"worker_lost\",\"category\":\"transient\",\"origin\":\"engine\","
                 "\"stream\":null,\"message\":\"the service stopped while the run was active\","
                 "\"retryable\":true,\"hint\":null}");
}

/* A crash between the two last steps of a run leaves a log without its end. */
static bool has_end(struct runs *r, int64_t id)
{
    struct log_query q = {.tail = 1};
    struct error err = ERROR_INIT;
    struct log_follower *f;
    char line[LOGSTREAM_MAX_LINE + 1];
    int64_t n, wake_us = 0;

    if (log_follow(r->logs, id, &q, &f, &err) < 0)
        return true; /* there is no log to be ended */
    n = log_follower_read(f, line, sizeof line - 1, &wake_us);
    log_follower_free(f);
    line[n > 0 ? n : 0] = '\0';
    return strstr(line, "\"type\":\"end\"") != NULL;
}

static int end_newest(struct runs *r, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct run_query q = {.kinds = LONG_KINDS | SHORT_KINDS,
                          .statuses = 1u << RUN_SUCCEEDED | 1u << RUN_FAILED | 1u << RUN_CANCELLED,
                          .limit = 100};
    struct run_row *rows;
    int64_t next;
    size_t n;

    if (store_list_runs(r->store, &q, mem, &rows, &n, &next, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!has_end(r, rows[i].id))
            runs_end_log(r, rows[i].id, run_status_name(rows[i].status), rows[i].error);
    }
    return 0;
}

/* What a crash has left: active runs are lost, queued ones are still wanted. */
static int recover(struct runs *r, struct error *err)
{
    int64_t n;

    if (end_newest(r, err) < 0 ||
        each_run(r, 1u << RUN_RUNNING | 1u << RUN_CANCELLING, end_lost, err) < 0 ||
        store_recover_runs(r->store, &n, err) < 0 ||
        each_run(r, 1u << RUN_QUEUED, expect_queued, err) < 0)
        return -1;
    if (n > 0)
        log_warn(r->log, .message = "runs were interrupted by a crash",
                 .fields = {log_int("runs", n)});
    return 0;
}

static int start_threads(struct runs *r, struct error *err)
{
    size_t n = (size_t)(r->config.workers + r->config.short_workers);
    int status;

    r->workers = xalloc(n * sizeof *r->workers);
    status = pthread_create(&r->ticker, NULL, ticker_main, r);
    if (status != 0)
        return error_set_errno(err, status, "starting a thread");
    r->has_ticker = true;
    for (size_t i = 0; i < n; i++) {
        struct worker *w = &r->workers[i];

        w->runs = r;
        w->kinds = i < (size_t)r->config.workers ? LONG_KINDS : SHORT_KINDS;
        status = pthread_create(&w->thread, NULL, worker_main, w);
        if (status != 0) {
            error_set_errno(err, status, "starting a worker thread");
            (void)runs_stop(r, 0);
            return -1;
        }
        r->n_workers++;
    }
    return 0;
}

int runs_start(const struct runs_config *config, struct store *store, struct logstreams *logs,
               void (*notify)(void *arg), void *arg, struct log *log, struct runs **out,
               struct error *err)
{
    struct runs *r = xalloc(sizeof *r);
    pthread_condattr_t attr;

    r->config = *config;
    r->store = store;
    r->logs = logs;
    r->notify = notify;
    r->arg = arg;
    r->log = log;
    r->tally = config->tallied ? tally_new() : NULL;
    pthread_mutex_init(&r->claim, NULL);
    pthread_mutex_init(&r->mutex, NULL);
    r->lock = &r->mutex;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    r->beat_us = clock_monotonic_us();
    if (recover(r, err) < 0) {
        runs_free(r);
        return -1;
    }
    store_trim(store); /* of what recovering took */
    if (start_threads(r, err) < 0) {
        runs_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

static void stop_all(struct runs *r)
{
    LOCK_GUARD(&r->mutex);

    r->stopping = true;
    for (size_t i = 0; i < r->n_active; i++) {
        if (r->active[i].cancel)
            cancel_request(r->active[i].cancel, CANCEL_SHUTDOWN);
    }
    r->changes++;
    pthread_cond_broadcast(&r->changed);
}

/* What is still in the table when the grace is over belongs to a worker that hangs. */
static void leave_interrupted(struct runs *r)
{
    LOCK_GUARD(&r->mutex);

    for (size_t i = 0; i < r->n_active; i++) {
        struct run_row row = {
            .id = r->active[i].id,
            .status = RUN_FAILED,
            .cancel_reason = "shutdown",
            .error = "{\"code\":\"interrupted\",\"category\":\"transient\",\"origin\":\"engine\","
                     "\"stream\":null,\"message\":\"the run did not stop in time when the service "
                     "was shut down\",\"retryable\":true,\"hint\":null}"};
        struct error err = ERROR_INIT;

        if (!r->active[i].cancel)
            continue;
        if (store_finish_run(r->store, &row, &err) < 0)
            log_error(r->log, .message = "an interrupted run cannot be marked",
                      .fields = {log_int("run", row.id), log_text("reason", err.message)});
    }
}

bool runs_stop(struct runs *r, int64_t grace_ms)
{
    struct timespec until;
    bool all = true;

    stop_all(r);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += grace_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    for (size_t i = 0; i < r->n_workers; i++) {
        struct worker *w = &r->workers[i];

        w->joined = w->joined || pthread_timedjoin_np(w->thread, NULL, &until) == 0;
        all &= w->joined;
    }
    if (!all)
        leave_interrupted(r);
    return all;
}

void runs_free(struct runs *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_workers; i++) {
        if (!r->workers[i].joined)
            return; /* it hangs in foreign code and may still touch all of this */
    }
    stop_all(r);
    if (r->has_ticker)
        pthread_join(r->ticker, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    pthread_mutex_destroy(&r->claim);
    tally_free(r->tally);
    free(r->workers);
    free(r->active);
    free(r);
}

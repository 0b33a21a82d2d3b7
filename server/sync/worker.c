/*
 * The threads of the run queue: workers, which claim a run and see it through, and the ticker,
 * which looks at the clock for them.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/metric.h"
#include "server/sync/job.h"

/* A worker looks at the queue this often even when nobody wakes it. */
#define POLL_US 5000000

/* How often a final status is tried to be written before it is left to the next start. */
#define FINISH_TRIES 20

/* Enough for an answer in milliseconds; a sync alone on a machine is as fast as before. */
#define SYNC_NICE 5

#define TICK_US     250000
#define RETAIN_US   3600000000
#define PRUNE_BATCH 500

/* ------------------------------------------------------------------- one run */

void job_fail(struct job *j, enum fault_origin origin, const struct error *why)
{
    enum cancel_reason stopped = cancel_requested(j->cancel);
    struct error reason = ERROR_INIT;

    run_error_of_cancel(stopped, &reason);
    j->result.outcome =
        stopped == CANCEL_USER || stopped == CANCEL_DISCONNECT ? OUTCOME_CANCELLED : OUTCOME_FAILED;
    j->result.error = reason.code != ERR_NONE ? reason : *why;
    redactor_error(j->redactor, &j->result.error);
    j->result.origin = reason.code != ERR_NONE ? ORIGIN_ENGINE : origin;
}

static void (*const work[])(struct job *j) = {
    [RUN_SYNC] = job_sync,         [RUN_CLEAR] = job_clear,   [RUN_CHECK] = job_check,
    [RUN_DISCOVER] = job_discover, [RUN_SAMPLE] = job_sample, [RUN_COUNT] = job_count,
};

static enum run_status status_of(enum run_outcome o)
{
    static const enum run_status statuses[] = {
        [OUTCOME_SUCCEEDED] = RUN_SUCCEEDED,
        [OUTCOME_FAILED] = RUN_FAILED,
        [OUTCOME_CANCELLED] = RUN_CANCELLED,
    };

    return statuses[o];
}

/* A text of the row without the secrets of the run; NULL stays NULL. */
static const char *cleaned(struct job *j, const char *json)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)128 << 20);

    if (!json)
        return NULL;
    redactor_put_json(j->redactor, &out, json, strlen(json));
    return arena_memdup(j->mem, buf_str(&out), out.len);
}

static void finish_row(struct job *j)
{
    CLEANUP(buf_release) struct buf stats = BUF_INIT(64 << 20), error = BUF_INIT(1 << 16);
    struct jsonw ws = JSONW_INIT(&stats), we = JSONW_INIT(&error);
    enum cancel_reason why = cancel_requested(j->cancel);
    struct run_row done = {.id = j->row.id,
                           .status = status_of(j->result.outcome),
                           .result = cleaned(j, j->result_text),
                           .partial_success = j->result.partial_success,
                           .attempts = j->progress ? progress_attempts(j->progress) : 1};

    if (j->progress) {
        progress_put_stats(j->progress, false, &ws);
        done.stats = cleaned(j, buf_str(&stats));
    }
    if (j->result.error.code != ERR_NONE) {
        run_put_error(&we, &j->result, j->progress);
        done.error = cleaned(j, buf_str(&error));
    }
    if (why != CANCEL_NONE && done.status != RUN_SUCCEEDED)
        done.cancel_reason = cancel_reason_name(why);
    for (int64_t i = 0; i < FINISH_TRIES; i++) {
        struct error err = ERROR_INIT;
        struct timespec wait = {.tv_nsec = 50000000};

        if (store_finish_run(j->runs->store, &done, &err) >= 0)
            return;
        log_error(j->runs->log, .message = "a finished run cannot be stored",
                  .fields = {log_int("run", done.id), log_text("reason", err.message)});
        nanosleep(&wait, NULL);
    }
}

/* The order matters: whoever has read the end of the log finds the final row. */
static void end_run(struct job *j)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(LOGSTREAM_MAX_LINE);
    struct jsonw w = JSONW_INIT(&b);
    struct error err = ERROR_INIT;

    (void)!failpoint("before_run_end", &err);
    finish_row(j);
    err = ERROR_INIT;
    (void)!failpoint("after_run_end", &err);
    if (j->log) {
        run_put_end(&w, &j->result, j->progress, END_TOTALS);
        logstream_event(j->log, "end", buf_str(&b));
        logstream_close(j->log);
    }
    runs_remove(j->runs, j->row.id);
    log_info(
        j->runs->log, .message = "run ended",
        .fields = {log_int("run", j->row.id), log_text("kind", run_kind_name(j->row.kind)),
                   log_text("connection", j->row.connection_name),
                   log_text("status", run_outcome_name(j->result.outcome)),
                   log_text("code",
                            j->result.error.code == ERR_NONE ? "" : error_reason(&j->result.error)),
                   log_int("duration_ms", j->result.duration_us / 1000)});
}

static void count_run(const struct job *j)
{
    const char *status = run_status_name(status_of(j->result.outcome));

    metric_add_for(METRIC_RUNS,
                   METRIC_LABELS(run_kind_name(j->row.kind), j->source, j->destination, status,
                                 j->row.trigger),
                   1);
    if (j->row.kind == RUN_SYNC || j->row.kind == RUN_CLEAR)
        metric_observe_for(METRIC_RUN_DURATION, METRIC_LABELS(status), j->result.duration_us);
}

static void work_on(struct job *j)
{
    int64_t began_us = clock_monotonic_us(), waited_us = clock_unix_us() - j->row.created_us;
    struct error err = ERROR_INIT;

    metric_observe(METRIC_RUN_QUEUE_WAIT, waited_us > 0 ? waited_us : 0);
    j->result = (struct run_result){.outcome = OUTCOME_SUCCEEDED, .stream = -1};
    j->redactor = redactor_new();
    redact_live_add(j->redactor);
    if (failpoint("after_claim", &err) < 0 ||
        logstream_open(j->runs->logs, j->row.id, &j->log, &err) < 0 ||
        job_parse(j, j->row.request ? j->row.request : "{}", &j->request, &err) < 0) {
        job_fail(j, ORIGIN_ENGINE, &err);
    } else {
        logstream_keep_out(j->log, j->redactor);
        log_info(logstream_log(j->log, "engine"), .message = "run started",
                 .fields = {log_text("kind", run_kind_name(j->row.kind)),
                            log_text("connection", j->row.connection_name)});
        work[j->row.kind](j);
    }
    j->result.duration_us = clock_monotonic_us() - began_us;
    count_run(j);
    end_run(j);
    progress_free(j->progress);
    for (size_t i = 0; i < j->n_docs; i++)
        doc_free(j->docs[i]);
    redact_live_remove(j->redactor);
    redactor_free(j->redactor);
}

/* ------------------------------------------------------------------- claiming */

static int64_t deadline_of(const struct runs *r, const struct run_row *row)
{
    const int64_t limits_s[] = {
        [RUN_SYNC] = 0, /* by its own policy */
        [RUN_CLEAR] = 0,
        [RUN_CHECK] = r->config.check_timeout_s,
        [RUN_DISCOVER] = r->config.discover_timeout_s,
        [RUN_SAMPLE] = r->config.sample_timeout_s,
        [RUN_COUNT] = r->config.count_timeout_s,
    };

    return limits_s[row->kind] > 0 ? clock_monotonic_us() + limits_s[row->kind] * 1000000 : 0;
}

/* 0 with a claimed run whose token is registered; 1 when there is none. */
static int claim(struct worker *w, struct job *j, struct error *err)
{
    struct runs *r = w->runs;
    LOCK_GUARD(&r->claim);
    int status;

    if (cancel_new(&j->cancel, err) < 0)
        return -1;
    status = store_claim_run(r->store, w->kinds, j->mem, &j->row, err);
    if (status == 0) {
        runs_set_running(r, j->row.id, j->cancel, deadline_of(r, &j->row));
        return 0;
    }
    cancel_free(TAKE(j->cancel));
    return status;
}

/* Claims and does one run: false when there was none. */
static bool work_once(struct worker *w)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct job j = {.runs = w->runs, .mem = mem};
    struct error err = ERROR_INIT;
    int status = claim(w, &j, &err);

    if (status < 0)
        log_error(w->runs->log, .message = "claiming a run failed",
                  .fields = {log_text("reason", err.message)});
    if (status != 0)
        return false;
    w->runs->notify(w->runs->arg);
    work_on(&j);
    cancel_free(j.cancel);
    /* A sync has held tens of megabytes for a moment; an idle service gives them back. */
    if (w->kinds == LONG_KINDS)
        malloc_trim(0);
    /* The connection is free: a run may have been queued for it. */
    runs_wake(w->runs);
    w->runs->notify(w->runs->arg);
    return true;
}

static void after(int64_t us, struct timespec *out)
{
    clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += us / 1000000;
    out->tv_nsec += us % 1000000 * 1000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}

/* False when the service stops. */
static bool wait_for_change(struct runs *r, uint64_t *seen, int64_t us)
{
    struct timespec until;
    LOCK_GUARD(&r->mutex);

    after(us, &until);
    while (!r->stopping && r->changes == *seen) {
        if (pthread_cond_timedwait(&r->changed, &r->mutex, &until) != 0)
            break;
    }
    *seen = r->changes;
    return !r->stopping;
}

static bool is_stopping(struct runs *r)
{
    LOCK_GUARD(&r->mutex);

    return r->stopping;
}

void *worker_main(void *arg)
{
    struct worker *w = arg;
    uint64_t seen = 0;

    /* Of this thread, and of those it starts: on a busy machine requests go first. */
    if (w->kinds == LONG_KINDS)
        setpriority(PRIO_PROCESS, 0, SYNC_NICE);

    do {
        while (!is_stopping(w->runs) && work_once(w))
            continue;
    } while (wait_for_change(w->runs, &seen, POLL_US));
    return NULL;
}

/* ------------------------------------------------------------------- the ticker */

static void look_at_deadlines(struct runs *r)
{
    int64_t now_us = clock_monotonic_us();
    LOCK_GUARD(&r->mutex);

    for (size_t i = 0; i < r->n_active; i++) {
        struct active_run *a = &r->active[i];

        if (!a->cancel)
            continue;
        if (a->deadline_us > 0 && now_us >= a->deadline_us)
            cancel_request(a->cancel, CANCEL_TIMEOUT);
        if (a->cancelled_us > 0 && now_us - a->cancelled_us >= r->config.cancel_grace_ms * 1000) {
            log_warn(r->log, .message = "a cancelled run has not stopped yet",
                     .fields = {log_int("run", a->id)});
            a->cancelled_us = -1;
            metric_add(METRIC_RUNS_STUCK, 1);
        }
    }
}

static int64_t before(int64_t age_s)
{
    return age_s > 0 ? clock_unix_us() - age_s * 1000000 : 0;
}

static void forget_old(struct runs *r)
{
    int64_t long_age_s = r->config.run_max_age_s, ids[PRUNE_BATCH];
    int64_t short_age_s =
        long_age_s > 0 && long_age_s < SHORT_RUNS_MAX_AGE_S ? long_age_s : SHORT_RUNS_MAX_AGE_S;
    struct error err = ERROR_INIT;
    size_t pruned = 0;
    int status;

    do {
        status = store_prune_runs(r->store, before(long_age_s), before(short_age_s), PRUNE_BATCH,
                                  ids, &pruned, &err);
        for (size_t i = 0; status == 0 && i < pruned; i++)
            logstreams_remove(r->logs, ids[i]);
    } while (status == 0 && pruned == PRUNE_BATCH && !is_stopping(r));
    if (status == 0)
        status = logstreams_retain(r->logs, r->config.log_max_age_s, r->config.log_max_bytes, &err);
    if (status < 0)
        log_warn(r->log, .message = "old runs and logs cannot be removed",
                 .fields = {log_text("reason", err.message)});
}

/* Every hour, or a tenth of the shortest age: nothing stays much longer than was asked for. */
static int64_t retain_every_us(const struct runs_config *c)
{
    const int64_t ages_s[] = {c->run_max_age_s, c->log_max_age_s};
    int64_t every_us = RETAIN_US;

    for (size_t i = 0; i < sizeof ages_s / sizeof *ages_s; i++) {
        if (ages_s[i] > 0 && ages_s[i] * 100000 < every_us)
            every_us = ages_s[i] * 100000;
    }
    return every_us;
}

void *ticker_main(void *arg)
{
    struct runs *r = arg;
    int64_t every_us = retain_every_us(&r->config), retained_us = clock_monotonic_us() - every_us;
    struct timespec until;

    while (!is_stopping(r)) {
        atomic_store(&r->beat_us, clock_monotonic_us());
        look_at_deadlines(r);
        if (clock_monotonic_us() - retained_us >= every_us) {
            retained_us = clock_monotonic_us();
            forget_old(r);
        }
        after(TICK_US, &until);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    return NULL;
}

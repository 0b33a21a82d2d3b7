/*
 * The destination's side of a run: when to commit, and that the numbers of each commit are true.
 *
 * A commit makes everything written so far durable, of all streams. So it waits until every stream
 * stands at a checkpoint: rows behind the last one have no position that covers them, and would be
 * delivered again after a crash.
 *
 *   rows ── rows ── checkpoint ── rows ── checkpoint ── end
 *   dirty           clean         dirty   clean         finish
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "server/sync/writer.h"

void writer_fail(struct writer *w, enum fault_origin origin, long stream, const struct error *why)
{
    struct error said = *why;

    /* Too many bad rows: where they begin is what a person looks for. */
    if (w->n_rejected > 0 && !strcmp(error_reason(why), "quarantine_limit"))
        error_wrap(&said, "%s", w->rejected);
    attempt_fail(w->a, origin, stream, &said);
    cancel_request(w->a->stop, CANCEL_SUPERSEDED);
}

/* The first bad rows are shown; all of them are in the quarantine of the destination. */
static void tell_rejected(struct writer *w, size_t flow, const struct batch *rows)
{
    size_t n;
    const struct rejected_row *rejected = batch_rejected(rows, &n);

    for (size_t i = 0; i < n && w->n_rejected < REJECTED_SHOWN; i++, w->n_rejected++) {
        if (w->n_rejected == 0)
            snprintf(w->rejected, sizeof w->rejected, "%s", rejected[i].detail);
        log_warn(w->a->job->source_log, .message = "row rejected",
                 .fields = {log_text("stream", w->a->selected[flow].stream->name),
                            log_text("reason", reason_name(rejected[i].reason)),
                            log_text("detail", rejected[i].detail)});
    }
}

static void tell_status(struct writer *w, size_t flow)
{
    run_tell_status(w->a->job, w->a->progress, writer_stream(w, flow));
}

static void set_status(struct writer *w, size_t flow, enum stream_status status)
{
    progress_status(w->a->progress, writer_stream(w, flow), status);
    tell_status(w, flow);
}

static bool all_clean(const struct writer *w)
{
    return w->n_dirty == 0;
}

static void set_dirty(struct writer *w, struct flow *flow, bool dirty)
{
    w->n_dirty += (size_t)dirty - (size_t)flow->dirty;
    flow->dirty = dirty;
}

static void set_pending(struct writer *w, struct flow *flow, bool pending)
{
    w->n_pending += (size_t)pending - (size_t)flow->pending;
    flow->pending = pending;
}

static bool commit_is_due(const struct writer *w)
{
    const struct commit_limits *limits = &w->a->job->commit;

    return w->first_us != 0 && (w->rows - w->rows_put_off >= limits->rows ||
                                w->bytes - w->bytes_put_off >= limits->bytes ||
                                clock_monotonic_us() - w->first_us >= limits->age_us);
}

/* The accounting equation, and that the destination has seen every row it was given. */
static int check_counts(const struct flow *flow, const struct counts *dropped,
                        const struct counts *did, const char *stream, struct error *err)
{
    int64_t given = flow->rows + dropped->filtered + dropped->overlap_dropped;

    if (did->read == given && counts_balance(did))
        return 0;
    return error_set_reason(
        err, ERR_INTERNAL, "accounting_error",
        "stream \"%s\": the destination was given %lld rows and accounts for "
        "%lld: %lld inserted, %lld updated, %lld unchanged, %lld folded, %lld "
        "rejected, %lld left out",
        stream, (long long)given, (long long)did->read, (long long)did->inserted,
        (long long)did->updated, (long long)did->unchanged, (long long)did->folded,
        (long long)did->quarantined_rows, (long long)(did->filtered + did->overlap_dropped));
}

/* What became durable enters the numbers, and the flow starts anew. */
static void settle(struct writer *w, size_t i)
{
    struct flow *flow = &w->flows[i];

    w->did[i].bytes_read = flow->bytes;
    progress_committed(w->a->progress, writer_stream(w, i), &w->did[i], flow->bytes,
                       flow->position != NULL);
    counts_add(&flow->total, &w->did[i]);
    flow->seq++;
    if (flow->position) {
        free(flow->kept);
        flow->kept = TAKE(flow->position);
        flow->durable = flow->kept;
    }
    w->rows -= flow->rows;
    w->bytes -= flow->bytes;
    w->rows_put_off = w->bytes_put_off = 0;
    flow->rows = flow->bytes = 0;
    set_pending(w, flow, false);
    set_dirty(w, flow, false);
    w->dropped[i] = (struct counts){0};
}

/* At most one a second: commits may follow each other faster than anybody reads. */
static void tell_state(struct writer *w, size_t flow)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(4096);
    struct jsonw j = JSONW_INIT(&b);
    struct stream_progress now;

    progress_get(w->a->progress, writer_stream(w, flow), &now);
    jsonw_put_string(&j, "stream", now.name);
    jsonw_put_int(&j, "states_committed", now.states_committed);
    jsonw_put_int(&j, "records_committed", counts_records_committed(&now.committed));
    w->a->job->observer->event(w->a->job->observer, "state", buf_str(&b));
}

static int after_commit(struct writer *w, struct error *err)
{
    int64_t now_us = clock_monotonic_us();

    w->a->committed = true;
    if (w->rows == 0)
        w->first_us = 0;
    if (w->told_us == 0 || now_us - w->told_us >= 1000000) {
        w->told_us = now_us;
        for (size_t i = 0; i < w->a->n; i++) {
            if (w->changed[i])
                tell_state(w, i);
        }
    }
    if (failpoint("after_commit_before_copy", err) < 0)
        return -1;
    writer_tell_copies(w);
    return failpoint("after_copy", err);
}

/* Nothing became durable, and nothing is settled; the destination is asked again when as much has
 * come once more. */
static int put_off(struct writer *w)
{
    w->rows_put_off = w->rows;
    w->bytes_put_off = w->bytes;
    w->first_us = clock_monotonic_us();
    progress_touch(w->a->progress);
    return 0;
}

/* Commits all flows, which stand at their checkpoints. */
static int commit(struct writer *w)
{
    struct error err = ERROR_INIT;
    int status;

    if (w->n_pending == 0)
        return 0;
    for (size_t i = 0; i < w->a->n; i++) {
        w->upto[i] = w->flows[i].position;
        w->did[i] = (struct counts){0};
        w->changed[i] = w->flows[i].pending;
    }
    status = w->d->ops->commit(w->d, w->upto, w->dropped, w->did, &err);
    if (status < 0) {
        writer_fail(w, ORIGIN_DESTINATION, -1, &err);
        return -1;
    }
    if (status == COMMIT_LATER)
        return put_off(w);
    for (size_t i = 0; i < w->a->n; i++) {
        const char *name = w->a->selected[i].stream->name;

        if (check_counts(&w->flows[i], &w->dropped[i], &w->did[i], name, &err) < 0) {
            writer_fail(w, ORIGIN_ENGINE, (long)writer_stream(w, i), &err);
            return -1;
        }
        if (w->changed[i])
            settle(w, i);
    }
    if (after_commit(w, &err) < 0) {
        writer_fail(w, ORIGIN_ENGINE, -1, &err);
        return -1;
    }
    return 0;
}

static int fail_flow(struct writer *w, size_t i, enum fault_origin origin, const struct error *why)
{
    long stream = (long)writer_stream(w, i);

    if (w->a->job->policy.on_stream_error == ON_ERROR_ABORT || !writer_error_is_of_stream(why)) {
        writer_fail(w, origin, stream, why);
        return -1;
    }
    progress_fail(w->a->progress, writer_stream(w, i), origin, why);
    tell_status(w, i);
    w->flows[i].over = true;
    w->a->start_over = true;
    cancel_request(w->a->stop, CANCEL_SUPERSEDED);
    return -1;
}

static int finish(struct writer *w, size_t i)
{
    struct flow *flow = &w->flows[i];
    struct error err = ERROR_INIT;

    w->did[i] = (struct counts){0};
    if (w->d->ops->finish(w->d, i, flow->end, &w->dropped[i], &w->did[i], &err) < 0)
        return fail_flow(w, i, ORIGIN_DESTINATION, &err);
    if (check_counts(flow, &w->dropped[i], &w->did[i], w->a->selected[i].stream->name, &err) < 0) {
        writer_fail(w, ORIGIN_ENGINE, (long)writer_stream(w, i), &err);
        return -1;
    }
    free(flow->position);
    flow->position = TAKE(flow->end);
    if (!flow->position)
        flow->durable = NULL;
    settle(w, i);
    flow->over = true;
    w->n_ending--;
    for (size_t k = 0; k < w->a->n; k++)
        w->changed[k] = k == i;
    set_status(w, i, STREAM_COMPLETE);
    if (after_commit(w, &err) < 0) {
        writer_fail(w, ORIGIN_ENGINE, (long)writer_stream(w, i), &err);
        return -1;
    }
    return 0;
}

/* Streams that have ended are finished as soon as no other stands between two checkpoints. */
static int finish_ended(struct writer *w)
{
    for (size_t i = 0; i < w->a->n && w->n_ending > 0; i++) {
        struct flow *flow = &w->flows[i];

        if (!flow->ending || flow->over)
            continue;
        if (!all_clean(w))
            return 0;
        if (w->n_pending > (size_t)flow->pending && commit(w) < 0)
            return -1;
        if (finish(w, i) < 0)
            return -1;
    }
    return 0;
}

static void mark_pending(struct writer *w, struct flow *flow)
{
    set_dirty(w, flow, true);
    set_pending(w, flow, true);
    if (w->first_us == 0)
        w->first_us = clock_monotonic_us();
}

static int take_rows(struct writer *w, struct queue_item *item)
{
    struct flow *flow = &w->flows[item->stream];
    struct error err = ERROR_INIT;
    size_t n_rejected;

    tell_rejected(w, item->stream, item->rows);
    if (w->d->ops->write(w->d, item->stream, item->rows, &err) < 0)
        return fail_flow(w, item->stream, ORIGIN_DESTINATION, &err);
    batch_rejected(item->rows, &n_rejected);
    mark_pending(w, flow);
    flow->rows += (int64_t)(batch_rows(item->rows) + n_rejected);
    flow->bytes += (int64_t)item->bytes;
    w->rows += (int64_t)(batch_rows(item->rows) + n_rejected);
    w->bytes += (int64_t)item->bytes;
    progress_touch(w->a->progress);
    queue_recycle(w->a->queue, TAKE(item->rows));
    return 0;
}

static int take_dropped(struct writer *w, const struct queue_item *item)
{
    mark_pending(w, &w->flows[item->stream]);
    w->dropped[item->stream].filtered += item->filtered;
    w->dropped[item->stream].overlap_dropped += item->overlap_dropped;
    return 0;
}

static int take_checkpoint(struct writer *w, struct queue_item *item)
{
    struct flow *flow = &w->flows[item->stream];

    free(flow->position);
    flow->position = TAKE(item->position);
    set_dirty(w, flow, false);
    set_pending(w, flow, true);
    if (finish_ended(w) < 0)
        return -1;
    return all_clean(w) && commit_is_due(w) ? commit(w) : 0;
}

static int take_end(struct writer *w, struct queue_item *item)
{
    struct flow *flow = &w->flows[item->stream];

    if (item->position) {
        free(flow->position);
        flow->position = xstrdup(item->position);
    }
    flow->end = TAKE(item->position);
    flow->ending = true;
    w->n_ending++;
    set_dirty(w, flow, false);
    return finish_ended(w);
}

/* The rows behind the last checkpoint of a failed stream must never be committed. */
static int take_failure(struct writer *w, const struct queue_item *item)
{
    struct flow *flow = &w->flows[item->stream];

    progress_fail(w->a->progress, writer_stream(w, item->stream), ORIGIN_SOURCE, item->why);
    tell_status(w, item->stream);
    flow->over = true;
    if (flow->dirty) {
        w->a->start_over = true;
        cancel_request(w->a->stop, CANCEL_SUPERSEDED);
        return -1;
    }
    return all_clean(w) ? commit(w) : 0;
}

static int take(struct writer *w, struct queue_item *item)
{
    switch (item->kind) {
    case QUEUE_BEGIN:
        set_status(w, item->stream, STREAM_RUNNING);
        return 0;
    case QUEUE_ROWS:
        return take_rows(w, item);
    case QUEUE_DROPPED:
        return take_dropped(w, item);
    case QUEUE_CHECKPOINT:
        return take_checkpoint(w, item);
    case QUEUE_END:
        return take_end(w, item);
    case QUEUE_FAIL:
        return take_failure(w, item);
    case QUEUE_DONE:
        w->done = true;
        return all_clean(w) ? commit(w) : 0;
    }
    abort();
}

static int64_t next_deadline_us(const struct writer *w)
{
    if (w->first_us != 0 && all_clean(w))
        return w->first_us + w->a->job->commit.age_us;
    return INT64_MAX;
}

void writer_drain(struct writer *w)
{
    while (!w->done) {
        struct queue_item item;
        struct error err = ERROR_INIT;
        int status = queue_get(w->a->queue, next_deadline_us(w), w->a->stop, &item, &err);

        if (status < 0) {
            attempt_fail(w->a, ORIGIN_ENGINE, -1, &err);
            return;
        }
        if (status == 1) {
            if (commit(w) < 0)
                return;
            continue;
        }
        status = take(w, &item);
        queue_item_release(&item);
        if (status < 0)
            return;
    }
}

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
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "server/sync/attempt.h"

/* One stream on its way into the destination. */
struct lane {
    char *position;      /* of the last checkpoint, not yet committed; NULL = none */
    char *end;           /* what the source gave with its end; NULL = no position to keep */
    bool dirty;          /* rows stand behind the last checkpoint */
    bool pending;        /* something is not committed */
    bool ending;         /* ended by the source; `position` covers all of it */
    bool over;           /* finished or failed */
    int64_t rows, bytes; /* handed over since the last commit, rejected rows included */
    struct counts total; /* cumulative, as the destination holds them */
    int64_t generation, seq;
    const char *durable; /* the position last committed; in a->mem or kept below */
    char *kept;
};

struct writer {
    struct attempt *a;
    struct run run;
    struct write_plan plan;
    struct destination *d;
    struct lane *lanes;
    const char **upto;
    bool *changed;
    size_t n_dirty, n_pending, n_ending; /* lanes with that flag set and not over */
    struct counts *dropped, *did;
    struct state_copy *copies;
    int64_t rows, bytes; /* of all lanes since the last commit */
    int64_t first_us;    /* when the first uncommitted row came; 0 = none */
    int64_t told_us;     /* when the last state event was written */
    bool done;
};

static void counts_subtract(struct counts *from, const struct counts *less)
{
    from->read -= less->read;
    from->bytes_read -= less->bytes_read;
    from->filtered -= less->filtered;
    from->overlap_dropped -= less->overlap_dropped;
    from->folded -= less->folded;
    from->quarantined_rows -= less->quarantined_rows;
    from->quarantined_cells -= less->quarantined_cells;
    from->inserted -= less->inserted;
    from->updated -= less->updated;
    from->unchanged -= less->unchanged;
    from->deleted -= less->deleted;
}

static size_t in_selection(const struct writer *w, size_t lane)
{
    return w->a->stream[lane];
}

static void fail(struct writer *w, enum fault_origin origin, long stream, const struct error *why)
{
    attempt_fail(w->a, origin, stream, why);
    cancel_request(w->a->stop, CANCEL_SUPERSEDED);
}

static void tell_status(struct writer *w, size_t lane)
{
    run_tell_status(w->a->job, w->a->progress, in_selection(w, lane));
}

static void set_status(struct writer *w, size_t lane, enum stream_status status)
{
    progress_status(w->a->progress, in_selection(w, lane), status);
    tell_status(w, lane);
}

static bool all_clean(const struct writer *w)
{
    return w->n_dirty == 0;
}

static void set_dirty(struct writer *w, struct lane *lane, bool dirty)
{
    w->n_dirty += (size_t)dirty - (size_t)lane->dirty;
    lane->dirty = dirty;
}

static void set_pending(struct writer *w, struct lane *lane, bool pending)
{
    w->n_pending += (size_t)pending - (size_t)lane->pending;
    lane->pending = pending;
}

static bool commit_is_due(const struct writer *w)
{
    const struct commit_limits *limits = &w->a->job->commit;

    return w->first_us != 0 && (w->rows >= limits->rows || w->bytes >= limits->bytes ||
                                clock_monotonic_us() - w->first_us >= limits->age_us);
}

/* The accounting equation, and that the destination has seen every row it was given. */
static int check_counts(const struct lane *lane, const struct counts *dropped,
                        const struct counts *did, const char *stream, struct error *err)
{
    int64_t given = lane->rows + dropped->filtered + dropped->overlap_dropped;

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

/* What became durable enters the numbers, and the lane starts anew. */
static void settle(struct writer *w, size_t i)
{
    struct lane *lane = &w->lanes[i];

    w->did[i].bytes_read = lane->bytes;
    progress_committed(w->a->progress, in_selection(w, i), &w->did[i], lane->bytes,
                       lane->position != NULL);
    counts_add(&lane->total, &w->did[i]);
    lane->seq++;
    if (lane->position) {
        free(lane->kept);
        lane->kept = TAKE(lane->position);
        lane->durable = lane->kept;
    }
    w->rows -= lane->rows;
    w->bytes -= lane->bytes;
    lane->rows = lane->bytes = 0;
    set_pending(w, lane, false);
    set_dirty(w, lane, false);
    w->dropped[i] = (struct counts){0};
}

/* At most one a second: commits may follow each other faster than anybody reads. */
static void tell_state(struct writer *w, size_t lane)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(4096);
    struct jsonw j = JSONW_INIT(&b);
    struct stream_progress now;

    progress_get(w->a->progress, in_selection(w, lane), &now);
    jsonw_put_string(&j, "stream", now.name);
    jsonw_put_int(&j, "states_committed", now.states_committed);
    jsonw_put_int(&j, "records_committed", counts_records_committed(&now.committed));
    w->a->job->observer->event(w->a->job->observer, "state", buf_str(&b));
}

/* The store's copy of these lanes. Without it nothing is lost: the destination owns the state. */
static void tell_copies(struct writer *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->a->n; i++) {
        struct stream_progress now;

        if (!w->changed[i])
            continue;
        progress_get(w->a->progress, in_selection(w, i), &now);
        w->copies[n++] = (struct state_copy){.stream = now.name,
                                             .position = w->lanes[i].durable,
                                             .generation = w->lanes[i].generation,
                                             .seq = w->lanes[i].seq,
                                             .counts = w->lanes[i].total};
    }
    if (n > 0)
        w->a->job->observer->copy(w->a->job->observer, w->copies, n);
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
    tell_copies(w);
    return failpoint("after_copy", err);
}

/* Commits all lanes, which stand at their checkpoints. */
static int commit(struct writer *w)
{
    struct error err = ERROR_INIT;

    if (w->n_pending == 0)
        return 0;
    for (size_t i = 0; i < w->a->n; i++) {
        w->upto[i] = w->lanes[i].position;
        w->did[i] = (struct counts){0};
        w->changed[i] = w->lanes[i].pending;
    }
    if (w->d->ops->commit(w->d, w->upto, w->dropped, w->did, &err) < 0) {
        fail(w, ORIGIN_DESTINATION, -1, &err);
        return -1;
    }
    for (size_t i = 0; i < w->a->n; i++) {
        const char *name = w->a->selected[i].stream->name;

        if (check_counts(&w->lanes[i], &w->dropped[i], &w->did[i], name, &err) < 0) {
            fail(w, ORIGIN_ENGINE, (long)in_selection(w, i), &err);
            return -1;
        }
        if (w->changed[i])
            settle(w, i);
    }
    if (after_commit(w, &err) < 0) {
        fail(w, ORIGIN_ENGINE, -1, &err);
        return -1;
    }
    return 0;
}

/*
 * A failure that belongs to one stream and leaves the others as they are. What the destination has
 * in its open transaction is unknown then, so the rest goes on in a new attempt.
 */
static bool is_of_stream(const struct error *err)
{
    switch (err->code) {
    case ERR_PERMISSION:
    case ERR_CONFLICT:
    case ERR_SCHEMA:
    case ERR_RESYNC:
    case ERR_UNSUPPORTED:
    case ERR_NOT_FOUND:
        return true;
    case ERR_NONE:
    case ERR_INVALID:
    case ERR_CONFIG:
    case ERR_UNAUTHORIZED:
    case ERR_TOO_LARGE:
    case ERR_DATA:
    case ERR_TRANSIENT:
    case ERR_CONTENTION:
    case ERR_RATE_LIMITED:
    case ERR_RESOURCE:
    case ERR_FENCED:
    case ERR_CANCELLED:
    case ERR_INTERNAL:
    case ERR_CODE_COUNT:
        return false;
    }
    abort();
}

static int fail_lane(struct writer *w, size_t i, enum fault_origin origin, const struct error *why)
{
    long stream = (long)in_selection(w, i);

    if (w->a->job->policy.on_stream_error == ON_ERROR_ABORT || !is_of_stream(why)) {
        fail(w, origin, stream, why);
        return -1;
    }
    progress_fail(w->a->progress, in_selection(w, i), origin, why);
    tell_status(w, i);
    w->lanes[i].over = true;
    w->a->start_over = true;
    cancel_request(w->a->stop, CANCEL_SUPERSEDED);
    return -1;
}

static int finish(struct writer *w, size_t i)
{
    struct lane *lane = &w->lanes[i];
    struct error err = ERROR_INIT;

    w->did[i] = (struct counts){0};
    if (w->d->ops->finish(w->d, i, lane->end, &w->dropped[i], &w->did[i], &err) < 0)
        return fail_lane(w, i, ORIGIN_DESTINATION, &err);
    if (check_counts(lane, &w->dropped[i], &w->did[i], w->a->selected[i].stream->name, &err) < 0) {
        fail(w, ORIGIN_ENGINE, (long)in_selection(w, i), &err);
        return -1;
    }
    free(lane->position);
    lane->position = TAKE(lane->end);
    if (!lane->position)
        lane->durable = NULL;
    settle(w, i);
    lane->over = true;
    w->n_ending--;
    for (size_t k = 0; k < w->a->n; k++)
        w->changed[k] = k == i;
    set_status(w, i, STREAM_COMPLETE);
    if (after_commit(w, &err) < 0) {
        fail(w, ORIGIN_ENGINE, (long)in_selection(w, i), &err);
        return -1;
    }
    return 0;
}

/* Streams that have ended are finished as soon as no other stands between two checkpoints. */
static int finish_ended(struct writer *w)
{
    for (size_t i = 0; i < w->a->n && w->n_ending > 0; i++) {
        struct lane *lane = &w->lanes[i];

        if (!lane->ending || lane->over)
            continue;
        if (!all_clean(w))
            return 0;
        if (w->n_pending > (size_t)lane->pending && commit(w) < 0)
            return -1;
        if (finish(w, i) < 0)
            return -1;
    }
    return 0;
}

static void mark_pending(struct writer *w, struct lane *lane)
{
    set_dirty(w, lane, true);
    set_pending(w, lane, true);
    if (w->first_us == 0)
        w->first_us = clock_monotonic_us();
}

static int take_rows(struct writer *w, struct queue_item *item)
{
    struct lane *lane = &w->lanes[item->stream];
    struct error err = ERROR_INIT;
    size_t n_rejected;

    if (w->d->ops->write(w->d, item->stream, item->rows, &err) < 0)
        return fail_lane(w, item->stream, ORIGIN_DESTINATION, &err);
    batch_rejected(item->rows, &n_rejected);
    mark_pending(w, lane);
    lane->rows += (int64_t)(batch_rows(item->rows) + n_rejected);
    lane->bytes += (int64_t)item->bytes;
    w->rows += (int64_t)(batch_rows(item->rows) + n_rejected);
    w->bytes += (int64_t)item->bytes;
    progress_touch(w->a->progress);
    queue_recycle(w->a->queue, TAKE(item->rows));
    return 0;
}

static int take_dropped(struct writer *w, const struct queue_item *item)
{
    mark_pending(w, &w->lanes[item->stream]);
    w->dropped[item->stream].filtered += item->filtered;
    w->dropped[item->stream].overlap_dropped += item->overlap_dropped;
    return 0;
}

static int take_checkpoint(struct writer *w, struct queue_item *item)
{
    struct lane *lane = &w->lanes[item->stream];

    free(lane->position);
    lane->position = TAKE(item->position);
    set_dirty(w, lane, false);
    set_pending(w, lane, true);
    if (finish_ended(w) < 0)
        return -1;
    return all_clean(w) && commit_is_due(w) ? commit(w) : 0;
}

static int take_end(struct writer *w, struct queue_item *item)
{
    struct lane *lane = &w->lanes[item->stream];

    if (item->position) {
        free(lane->position);
        lane->position = xstrdup(item->position);
    }
    lane->end = TAKE(item->position);
    lane->ending = true;
    w->n_ending++;
    set_dirty(w, lane, false);
    return finish_ended(w);
}

/* The rows behind the last checkpoint of a failed stream must never be committed. */
static int take_failure(struct writer *w, const struct queue_item *item)
{
    struct lane *lane = &w->lanes[item->stream];

    progress_fail(w->a->progress, in_selection(w, item->stream), ORIGIN_SOURCE, item->why);
    tell_status(w, item->stream);
    lane->over = true;
    if (lane->dirty) {
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

static void fill_plan(struct writer *w)
{
    const struct sync_job *job = w->a->job;

    w->plan = (struct write_plan){
        .pipeline = job->pipeline,
        .streams = w->a->selected,
        .n = w->a->n,
        .max_quarantined_rows = job->policy.max_quarantined_rows,
        .max_quarantined_ratio = job->policy.max_quarantined_ratio,
        .metadata = job->policy.metadata,
        .restart = w->a->restart,
        .override_positions = w->a->override_positions,
    };
    w->run = (struct run){.mem = w->a->mem,
                          .cancel = w->a->stop,
                          .log = job->destination_log,
                          .id = job->run_id,
                          .started_unix_us = job->started_unix_us};
}

/*
 * A commit whose answer was lost may have happened: then the destination knows of rows that this
 * run has not counted yet. Its numbers are cumulative, the run's are the difference.
 */
static void count_what_was_lost(struct writer *w, size_t i)
{
    struct stream_base *base = &w->a->bases[in_selection(w, i)];
    const struct stream_position *p = &w->a->positions[i];
    struct stream_progress now;
    struct counts more = p->counts;

    if (!base->known || base->generation != p->generation) {
        *base = (struct stream_base){true, p->generation, p->counts};
        progress_get(w->a->progress, in_selection(w, i), &now);
        counts_subtract(&base->counts, &now.committed);
        return;
    }
    progress_get(w->a->progress, in_selection(w, i), &now);
    counts_subtract(&more, &base->counts);
    counts_subtract(&more, &now.committed);
    if (more.read > 0 && counts_balance(&more))
        progress_committed(w->a->progress, in_selection(w, i), &more, more.bytes_read, 1);
}

/* What the destination holds is told to the store at once: it may be news after a crash. */
static int recover(struct writer *w, struct error *err)
{
    struct stream_position *p = w->a->positions;

    if (w->d->ops->recover(w->d, p, err) < 0)
        return -1;
    w->a->recovered = true;
    for (size_t i = 0; i < w->a->n; i++) {
        w->lanes[i].total = p[i].counts;
        w->lanes[i].generation = p[i].generation;
        w->lanes[i].seq = p[i].seq;
        w->lanes[i].durable = p[i].position;
        w->changed[i] = true;
        count_what_was_lost(w, i);
        progress_restart(w->a->progress, in_selection(w, i));
    }
    tell_copies(w);
    return 0;
}

int writer_open(struct attempt *a, struct writer **out)
{
    struct writer *w = xalloc(sizeof *w);
    struct error err = ERROR_INIT;

    w->a = a;
    w->lanes = arena_array(a->mem, a->n, sizeof *w->lanes);
    w->upto = arena_array(a->mem, a->n, sizeof *w->upto);
    w->changed = arena_array(a->mem, a->n, sizeof *w->changed);
    w->dropped = arena_array(a->mem, a->n, sizeof *w->dropped);
    w->did = arena_array(a->mem, a->n, sizeof *w->did);
    w->copies = arena_array(a->mem, a->n, sizeof *w->copies);
    fill_plan(w);
    if (a->job->destination->open(a->job->destination_config, &w->run, &w->plan, &w->d, &err) < 0 ||
        recover(w, &err) < 0) {
        fail(w, ORIGIN_DESTINATION, -1, &err);
        writer_close(w);
        return -1;
    }
    *out = w;
    return 0;
}

void writer_close(struct writer *w)
{
    if (!w)
        return;
    if (w->d)
        w->d->ops->close(w->d);
    for (size_t i = 0; i < w->a->n; i++) {
        free(w->lanes[i].position);
        free(w->lanes[i].end);
        free(w->lanes[i].kept);
    }
    free(w);
}

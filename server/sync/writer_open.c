/*
 * Opening the destination of an attempt: what it holds, what it refuses, who it hands back.
 */
#include <stdlib.h>

#include "connectors/bad_rows.h"
#include "connectors/base/arena.h"
#include "connectors/base/unconst.h"
#include "server/sync/writer.h"

static void counts_subtract(struct counts *from, const struct counts *less)
{
    from->read -= less->read;
    from->bytes_read -= less->bytes_read;
    from->filtered -= less->filtered;
    from->overlap_dropped -= less->overlap_dropped;
    from->folded -= less->folded;
    from->quarantined_rows -= less->quarantined_rows;
    from->quarantined_cells -= less->quarantined_cells;
    from->altered_cells -= less->altered_cells;
    from->inserted -= less->inserted;
    from->updated -= less->updated;
    from->unchanged -= less->unchanged;
    from->deleted -= less->deleted;
}

/*
 * A failure that belongs to one stream and leaves the others as they are. What the destination has
 * in its open transaction is unknown then, so the rest goes on in a new attempt.
 */
bool writer_error_is_of_stream(const struct error *err)
{
    switch (err->code) {
    case ERR_PERMISSION:
    case ERR_CONFLICT:
    case ERR_SCHEMA:
    case ERR_RESYNC:
    case ERR_UNSUPPORTED:
    case ERR_NOT_FOUND:
        return true;
    case ERR_DATA: /* mostly of the whole run, as its limits are */
        return !strcmp(error_reason(err), "unrepresentable");
    case ERR_NONE:
    case ERR_INVALID:
    case ERR_CONFIG:
    case ERR_UNAUTHORIZED:
    case ERR_TOO_LARGE:
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

/* Kept by the run as well, for a destination that asks for it when it is opened again. */
static void keep_copy(struct writer *w, size_t i)
{
    const struct flow *flow = &w->flows[i];
    struct stream_copy *kept = &w->a->kept[writer_stream(w, i)];
    char *position = flow->durable ? xstrdup(flow->durable) : NULL;

    free(unconst(kept->position));
    *kept = (struct stream_copy){
        .known = true, .generation = flow->generation, .seq = flow->seq, .position = position};
}

/* The store's copy of these flows. Without it nothing is lost: the destination owns the state. */
void writer_tell_copies(struct writer *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->a->n; i++) {
        struct stream_progress now;

        if (!w->changed[i])
            continue;
        keep_copy(w, i);
        progress_get(w->a->progress, writer_stream(w, i), &now);
        w->copies[n++] = (struct state_copy){.stream = now.name,
                                             .position = w->flows[i].durable,
                                             .generation = w->flows[i].generation,
                                             .seq = w->flows[i].seq,
                                             .counts = w->flows[i].total};
    }
    if (n > 0)
        w->a->job->observer->copy(w->a->job->observer, w->copies, n);
}

/* For the streams [first, first + n) of the attempt. */
static void fill_plan(struct writer *w, size_t first, size_t n)
{
    const struct sync_job *job = w->a->job;

    w->plan = (struct write_plan){
        .pipeline = job->pipeline,
        .streams = w->a->selected + first,
        .n = n,
        .max_quarantined_rows = job->policy.max_quarantined_rows,
        .max_quarantined_ratio = job->policy.max_quarantined_ratio,
        .bad_rows = w->a->bad_rows,
        .metadata = job->policy.metadata,
        .restart = w->a->restart,
        .override_positions = w->a->override_positions ? w->a->override_positions + first : NULL,
        .copies = w->a->copies ? w->a->copies + first : NULL,
    };
    w->run = (struct run){.mem = w->a->mem,
                          .cancel = w->a->stop,
                          .log = job->destination_log,
                          .id = job->run_id,
                          .started_unix_us = job->started_unix_us,
                          .redactor = job->redactor};
}

static int open_destination(struct writer *w, size_t first, size_t n, struct stream_position *out,
                            struct error *err)
{
    fill_plan(w, first, n);
    if (w->a->job->destination->open(w->a->job->destination_config, &w->run, &w->plan, &w->d, err) <
        0)
        return -1;
    return w->d->ops->recover(w->d, out, err);
}

static void close_destination(struct writer *w)
{
    if (w->d)
        w->d->ops->close(w->d);
    w->d = NULL;
}

static void refuse_stream(struct writer *w, size_t i, const struct error *why)
{
    progress_fail(w->a->progress, writer_stream(w, i), ORIGIN_DESTINATION, why);
    run_tell_status(w->a->job, w->a->progress, writer_stream(w, i));
}

/*
 * The destination has refused these streams together: halves them until it is known which ones it
 * refuses alone, and marks those. Fails when the reason turns out to be none of a stream.
 */
static int find_refused(struct writer *w, size_t first, size_t n)
{
    struct stream_position *scratch = arena_array(w->a->mem, n, sizeof *scratch);
    struct error err = ERROR_INIT;
    int status = open_destination(w, first, n, scratch, &err);

    close_destination(w);
    if (status == 0)
        return 0;
    if (!writer_error_is_of_stream(&err)) {
        writer_fail(w, ORIGIN_DESTINATION, -1, &err);
        return -1;
    }
    if (n > 1)
        return find_refused(w, first, n / 2) < 0 || find_refused(w, first + n / 2, n - n / 2) < 0
                   ? -1
                   : 0;
    refuse_stream(w, first, &err);
    return 0;
}

/*
 * A commit whose answer was lost may have happened: then the destination knows of rows that this
 * run has not counted yet. Its numbers are cumulative, the run's are the difference.
 */
static void count_what_was_lost(struct writer *w, size_t i)
{
    struct stream_base *base = &w->a->bases[writer_stream(w, i)];
    const struct stream_position *p = &w->a->positions[i];
    struct stream_progress now;
    struct counts more = p->counts;

    if (!base->known || base->generation != p->generation) {
        *base = (struct stream_base){true, p->generation, p->counts};
        progress_get(w->a->progress, writer_stream(w, i), &now);
        counts_subtract(&base->counts, &now.committed);
        return;
    }
    progress_get(w->a->progress, writer_stream(w, i), &now);
    counts_subtract(&more, &base->counts);
    counts_subtract(&more, &now.committed);
    if (more.read <= 0 || !counts_balance(&more))
        return;
    progress_committed(w->a->progress, writer_stream(w, i), &more, more.bytes_read, 1);
    atomic_fetch_add(&w->a->bad_rows->read, more.read);
    atomic_fetch_add(&w->a->bad_rows->bad, more.quarantined_rows);
    w->a->committed = true; /* the try before this one did something after all */
}

/* What the destination holds is told to the store at once: it may be news after a crash. */
static void take_over(struct writer *w)
{
    const struct stream_position *p = w->a->positions;

    w->a->recovered = true;
    for (size_t i = 0; i < w->a->n; i++) {
        w->flows[i].total = p[i].counts;
        w->flows[i].generation = p[i].generation;
        w->flows[i].seq = p[i].seq;
        w->flows[i].durable = p[i].position;
        w->changed[i] = true;
        count_what_was_lost(w, i);
        progress_restart(w->a->progress, writer_stream(w, i));
    }
    writer_tell_copies(w);
}

/* Opening failed: for good, or for some streams without which the next attempt goes on. */
static void judge_refusal(struct writer *w, const struct error *why)
{
    close_destination(w);
    if (!writer_error_is_of_stream(why) || w->a->job->policy.on_stream_error == ON_ERROR_ABORT)
        writer_fail(w, ORIGIN_DESTINATION, w->a->n == 1 ? (long)writer_stream(w, 0) : -1, why);
    else if (w->a->n == 1)
        refuse_stream(w, 0, why);
    else if (find_refused(w, 0, w->a->n) == 0)
        w->a->start_over = true;
}

int writer_open(struct attempt *a, struct writer **out)
{
    struct writer *w = xalloc(sizeof *w);
    struct error err = ERROR_INIT;

    w->a = a;
    w->flows = arena_array(a->mem, a->n, sizeof *w->flows);
    w->upto = arena_array(a->mem, a->n, sizeof *w->upto);
    w->changed = arena_array(a->mem, a->n, sizeof *w->changed);
    w->dropped = arena_array(a->mem, a->n, sizeof *w->dropped);
    w->did = arena_array(a->mem, a->n, sizeof *w->did);
    w->copies = arena_array(a->mem, a->n, sizeof *w->copies);
    if (open_destination(w, 0, a->n, a->positions, &err) < 0) {
        judge_refusal(w, &err);
        writer_close(w);
        return -1;
    }
    take_over(w);
    *out = w;
    return 0;
}

void writer_close(struct writer *w)
{
    if (!w)
        return;
    close_destination(w);
    for (size_t i = 0; i < w->a->n; i++) {
        free(w->flows[i].position);
        free(w->flows[i].end);
        free(w->flows[i].kept);
    }
    free(w);
}

/*
 * One try at a portion of the streams: a destination, a reader, and the queue between them.
 */
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "server/sync/runner.h"

/* What the batches that are being filled in all lanes may come to; each lane holds a few more. */
#define BATCHES_BYTES (2 * BATCH_FULL_BYTES)

void attempt_fail(struct attempt *a, enum fault_origin origin, long stream, const struct error *why)
{
    LOCK_GUARD(&a->mutex);

    if (a->fault.error.code == ERR_NONE)
        a->fault = (struct fault){.error = *why, .origin = origin, .stream = stream};
}

/* The streams that are still to be done, and what there is to settle about them: once in a run. */
static void choose_streams(struct runner *r, const struct portion *p, struct attempt *a)
{
    const struct selection *all = r->job->selection;
    size_t *number = arena_array(a->mem, p->n, sizeof *number);
    struct selected_stream *selected = arena_array(a->mem, p->n, sizeof *selected);
    const char **overrides = arena_array(a->mem, p->n, sizeof *overrides);
    struct stream_copy *copies = arena_array(a->mem, p->n, sizeof *copies);

    for (size_t i = 0; i < p->n; i++) {
        size_t stream = p->streams[i];

        if (!runner_stream_is_left(r, stream))
            continue;
        number[a->n] = stream;
        selected[a->n] = all->streams[stream];
        if (r->job->override_positions)
            overrides[a->n] = r->job->override_positions[stream];
        copies[a->n] = r->kept[stream];
        a->n++;
    }
    a->stream = number;
    a->selected = selected;
    a->positions = arena_array(a->mem, a->n, sizeof *a->positions);
    a->bases = r->bases;
    a->kept = r->kept;
    a->bad_rows = &r->bad_rows;
    a->commons = r->commons;
    a->restart = r->job->full_refresh && !r->recovered;
    a->override_positions = r->job->override_positions && !r->recovered ? overrides : NULL;
    if (r->job->destination->state_by_service || (r->job->copies && !r->recovered))
        a->copies = copies;
}

static void move_rows(struct attempt *a, enum portion_goal goal)
{
    struct writer *w = NULL;
    struct reader *r = NULL;
    struct error err = ERROR_INIT;

    if (writer_open(a, &w) < 0)
        return;
    if (goal == GOAL_SYNC) {
        if (reader_start(a, &r, &err) < 0)
            attempt_fail(a, ORIGIN_ENGINE, -1, &err);
        else
            writer_drain(w);
        reader_join(r);
    }
    writer_close(w);
    queue_free(TAKE(a->queue));
    reader_free(r);
}

void attempt_run(struct runner *r, size_t lane, const struct portion *p, enum portion_goal goal,
                 struct attempt *a)
{
    struct error err = ERROR_INIT;

    pthread_mutex_init(&a->mutex, NULL);
    choose_streams(r, p, a);
    if (cancel_new(&a->stop, &err) < 0) {
        attempt_fail(a, ORIGIN_ENGINE, -1, &err);
    } else {
        a->queue = queue_new(r->job->queue_bytes / r->n_lanes);
        a->batch_bytes = r->n_lanes > 1 ? BATCHES_BYTES / r->n_lanes : BATCH_FULL_BYTES;
        runner_set_stop(r, lane, a->stop);
        if (a->n > 0)
            move_rows(a, goal);
        runner_set_stop(r, lane, NULL);
        queue_free(a->queue);
        cancel_free(a->stop);
    }
    pthread_mutex_destroy(&a->mutex);
}

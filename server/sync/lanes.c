/*
 * The lanes of a run: threads that take one portion of the streams after another.
 */
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "server/sync/spread.h"

struct lane {
    struct runner *r;
    struct spread *work;
    size_t number;
    pthread_t thread;
    bool started;
};

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct portion p;

    while (!runner_is_halted(lane->r) && spread_take(lane->work, lane->number, &p))
        portion_run(lane->r, lane->number, &p, GOAL_SYNC);
    return NULL;
}

static size_t *streams_left(const struct runner *r, struct arena *mem, size_t *out_n)
{
    size_t n = progress_n(r->progress), used = 0;
    size_t *left = arena_array(mem, n + 1, sizeof *left);

    for (size_t i = 0; i < n; i++) {
        if (runner_stream_is_left(r, i))
            left[used++] = i;
    }
    *out_n = used;
    return left;
}

/* A lane that cannot be started is not missed: the others do its work. */
static void start(struct lane *lane)
{
    int status = pthread_create(&lane->thread, NULL, lane_main, lane);

    lane->started = status == 0;
    if (status != 0)
        log_warn(lane->r->job->engine_log, .message = "a lane cannot be started",
                 .fields = {log_int("lane", (int64_t)lane->number), log_int("errno", status)});
}

static void share_out(struct runner *r, const size_t *streams, size_t n, struct arena *mem)
{
    struct lane lanes[RUN_MAX_LANES] = {0};
    struct spread *work = spread_new(r->job->selection, streams, n, r->n_lanes, mem);

    for (size_t i = 0; i < r->n_lanes; i++) {
        lanes[i] = (struct lane){.r = r, .work = work, .number = i};
        if (i > 0)
            start(&lanes[i]);
    }
    lane_main(&lanes[0]);
    for (size_t i = 1; i < r->n_lanes; i++) {
        if (lanes[i].started)
            pthread_join(lanes[i].thread, NULL);
    }
    spread_release(work);
}

void lanes_run(struct runner *r)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct portion all;

    all.streams = streams_left(r, mem, &all.n);
    if (r->n_lanes == 1) {
        portion_run(r, 0, &all, GOAL_SYNC);
        return;
    }
    portion_run(r, 0, &all, GOAL_RECOVER);
    if (runner_is_halted(r))
        return;
    all.streams = streams_left(r, mem, &all.n);
    share_out(r, all.streams, all.n, mem);
}

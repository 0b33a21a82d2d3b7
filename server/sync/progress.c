#include "server/sync/progress.h"

#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/metric.h"
#include "server/sync/promise.h"

struct progress {
    pthread_mutex_t mutex;
    pthread_mutex_t *lock; /* the same, for those who only look */
    struct arena *mem;
    const char *source, *destination; /* connectors */
    struct stream_progress *streams;
    size_t n;
    int64_t attempts, lanes;
    int64_t touched_us;
};

const char *stream_status_name(enum stream_status s)
{
    static const char *const names[] = {
        [STREAM_PENDING] = "pending",   [STREAM_RUNNING] = "running",
        [STREAM_COMPLETE] = "complete", [STREAM_INCOMPLETE] = "incomplete",
        [STREAM_SKIPPED] = "skipped",
    };

    return names[s];
}

const char *fault_origin_name(enum fault_origin o)
{
    static const char *const names[] = {
        [ORIGIN_ENGINE] = "engine",
        [ORIGIN_SOURCE] = "source",
        [ORIGIN_DESTINATION] = "destination",
    };

    return names[o];
}

struct progress *progress_new(const struct selection *selection, const char *source,
                              const char *destination)
{
    struct progress *p = xalloc(sizeof *p);

    pthread_mutex_init(&p->mutex, NULL);
    p->lock = &p->mutex;
    p->mem = arena_new();
    p->source = source;
    p->destination = destination;
    p->n = selection->n;
    p->lanes = 1;
    p->streams = arena_array(p->mem, selection->n, sizeof *p->streams);
    p->touched_us = clock_monotonic_us();
    for (size_t i = 0; i < p->n; i++) {
        p->streams[i].stream = &selection->streams[i];
        p->streams[i].name = stream_full_name(p->mem, selection->streams[i].stream);
    }
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->mutex);
    arena_free(p->mem);
    free(p);
}

size_t progress_n(const struct progress *p)
{
    return p->n;
}

void progress_read(struct progress *p, size_t stream, int64_t rows, int64_t bytes)
{
    LOCK_GUARD(&p->mutex);

    p->streams[stream].rows_read += rows;
    p->streams[stream].bytes_read += bytes;
    metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS(p->source, "read"), rows);
    metric_add_for(METRIC_RUN_BYTES, METRIC_LABELS(p->source, "read"), bytes);
    p->touched_us = clock_monotonic_us();
}

void progress_committed(struct progress *p, size_t stream, const struct counts *more, int64_t bytes,
                        int64_t states)
{
    LOCK_GUARD(&p->mutex);

    counts_add(&p->streams[stream].committed, more);
    p->streams[stream].bytes_committed += bytes;
    p->streams[stream].states_committed += states;
    metric_add_for(METRIC_RUN_ROWS, METRIC_LABELS(p->destination, "committed"),
                   counts_records_committed(more));
    metric_add_for(METRIC_RUN_BYTES, METRIC_LABELS(p->destination, "committed"), bytes);
    if (more->quarantined_rows > 0)
        metric_add_for(METRIC_RUN_QUARANTINED, METRIC_LABELS(p->destination),
                       more->quarantined_rows);
    p->touched_us = clock_monotonic_us();
}

void progress_status(struct progress *p, size_t stream, enum stream_status status)
{
    LOCK_GUARD(&p->mutex);

    p->streams[stream].status = status;
}

void progress_fail(struct progress *p, size_t stream, enum fault_origin origin,
                   const struct error *why)
{
    LOCK_GUARD(&p->mutex);
    struct error *kept;

    p->streams[stream].status = STREAM_INCOMPLETE;
    p->streams[stream].origin = origin;
    kept = arena_alloc(p->mem, sizeof *kept);
    *kept = *why;
    p->streams[stream].error = kept;
}

void progress_restart(struct progress *p, size_t stream)
{
    LOCK_GUARD(&p->mutex);
    struct stream_progress *s = &p->streams[stream];

    s->rows_read = s->committed.read;
    s->bytes_read = s->bytes_committed;
    s->status = STREAM_PENDING;
    s->error = NULL;
}

void progress_attempt(struct progress *p)
{
    LOCK_GUARD(&p->mutex);

    p->attempts++;
    p->touched_us = clock_monotonic_us();
}

void progress_promise(struct progress *p, size_t stream, const char *weakness)
{
    LOCK_GUARD(&p->mutex);

    p->streams[stream].weakness = weakness;
}

void progress_lanes(struct progress *p, int64_t lanes)
{
    LOCK_GUARD(&p->mutex);

    p->lanes = lanes;
}

static int64_t lanes_of(const struct progress *p)
{
    LOCK_GUARD(p->lock);

    return p->lanes;
}

void progress_touch(struct progress *p)
{
    LOCK_GUARD(&p->mutex);

    p->touched_us = clock_monotonic_us();
}

int64_t progress_idle_us(const struct progress *p)
{
    LOCK_GUARD(p->lock);

    return clock_monotonic_us() - p->touched_us;
}

void progress_get(const struct progress *p, size_t stream, struct stream_progress *out)
{
    LOCK_GUARD(p->lock);

    *out = p->streams[stream];
}

int64_t progress_attempts(const struct progress *p)
{
    LOCK_GUARD(p->lock);

    return p->attempts;
}

void progress_total(const struct progress *p, struct stream_progress *out)
{
    LOCK_GUARD(p->lock);

    *out = (struct stream_progress){.name = ""};
    for (size_t i = 0; i < p->n; i++) {
        const struct stream_progress *s = &p->streams[i];

        out->rows_read += s->rows_read;
        out->bytes_read += s->bytes_read;
        counts_add(&out->committed, &s->committed);
        out->bytes_committed += s->bytes_committed;
        out->states_committed += s->states_committed;
    }
}

int64_t counts_records_committed(const struct counts *c)
{
    return c->inserted + c->updated + c->unchanged + c->folded + c->deleted;
}

void progress_put_numbers(struct jsonw *w, const struct stream_progress *s)
{
    jsonw_put_int(w, "records_read", s->rows_read);
    jsonw_put_int(w, "records_committed", counts_records_committed(&s->committed));
    jsonw_put_int(w, "records_rejected", s->committed.quarantined_rows);
    jsonw_put_int(w, "bytes_read", s->bytes_read);
    jsonw_put_int(w, "bytes_committed", s->bytes_committed);
    jsonw_put_int(w, "states_committed", s->states_committed);
    jsonw_put_int(w, "cells_quarantined", s->committed.quarantined_cells);
}

static void put_counts(struct jsonw *w, const struct counts *c)
{
    jsonw_key(w, "counts");
    jsonw_object(w);
    jsonw_put_int(w, "read", c->read);
    jsonw_put_int(w, "filtered", c->filtered);
    jsonw_put_int(w, "overlap_dropped", c->overlap_dropped);
    jsonw_put_int(w, "folded", c->folded);
    jsonw_put_int(w, "quarantined_rows", c->quarantined_rows);
    jsonw_put_int(w, "quarantined_cells", c->quarantined_cells);
    jsonw_put_int(w, "altered_cells", c->altered_cells);
    jsonw_put_int(w, "inserted", c->inserted);
    jsonw_put_int(w, "updated", c->updated);
    jsonw_put_int(w, "unchanged", c->unchanged);
    jsonw_put_int(w, "deleted", c->deleted);
    jsonw_object_end(w);
}

static const char *category_of(const struct error *why)
{
    if (error_is_retryable(why) || why->code == ERR_CANCELLED)
        return "transient";
    return why->code == ERR_INTERNAL || why->code == ERR_FENCED ? "system" : "config";
}

void fault_put(struct jsonw *w, enum fault_origin origin, const char *stream,
               const struct error *why)
{
    jsonw_object(w);
    jsonw_put_string(w, "code", error_reason(why));
    jsonw_put_string(w, "category", category_of(why));
    jsonw_put_string(w, "origin", fault_origin_name(origin));
    jsonw_put_string(w, "stream", stream);
    jsonw_put_string(w, "message", why->message);
    jsonw_put_bool(w, "retryable", error_is_retryable(why) || why->code == ERR_CANCELLED);
    jsonw_put_null(w, "hint");
    jsonw_object_end(w);
}

static void put_stream(struct jsonw *w, const struct stream_progress *s)
{
    const struct selected_stream *sel = s->stream;

    jsonw_object(w);
    jsonw_put_string(w, "name", sel->stream->name);
    jsonw_put_string(w, "namespace", sel->stream->namespace);
    jsonw_put_string(w, "status", stream_status_name(s->status));
    jsonw_put_string(w, "sync_mode", sync_mode_name(sel->sync_mode));
    jsonw_put_string(w, "destination_sync_mode", write_mode_name(sel->write_mode));
    jsonw_put_string(w, "delivery", promise_name(s->weakness));
    jsonw_put_string(w, "delivery_why", s->weakness);
    progress_put_numbers(w, s);
    put_counts(w, &s->committed);
    jsonw_key(w, "error");
    if (!s->error)
        jsonw_null(w);
    else
        fault_put(w, s->origin, s->name, s->error);
    jsonw_object_end(w);
}

void progress_put_stats(const struct progress *p, bool totals_only, struct jsonw *w)
{
    struct stream_progress total;

    progress_total(p, &total);
    jsonw_object(w);
    progress_put_numbers(w, &total);
    jsonw_put_int(w, "attempts", progress_attempts(p));
    jsonw_put_int(w, "lanes", lanes_of(p));
    if (!totals_only) {
        jsonw_key(w, "streams");
        jsonw_array(w);
        for (size_t i = 0; i < p->n; i++) {
            struct stream_progress s;

            progress_get(p, i, &s);
            put_stream(w, &s);
        }
        jsonw_array_end(w);
    }
    jsonw_object_end(w);
}

/*
 * The source's side of a run: a sink that counts, checks the order of calls and queues.
 */
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/base/failpoint.h"
#include "server/sync/attempt.h"

enum call_order { NOT_BEGUN, BEGUN, OVER };

struct reader {
    struct sink sink; /* first */
    struct attempt *a;
    struct arena *mem;
    pthread_t thread;
    enum call_order *order; /* per stream */
    long current;           /* the stream last begun, in the selection; -1 before */
    bool has_queued;        /* for the fail point */
};

static struct reader *reader_of(struct sink *s)
{
    return (struct reader *)s;
}

static int put(struct reader *r, const struct queue_item *item, struct error *err)
{
    return queue_put(r->a->queue, item, r->a->stop, err);
}

/* A source that calls out of order is broken; that is found here and not in the destination. */
static int expect(struct reader *r, size_t stream, enum call_order order, const char *call,
                  struct error *err)
{
    if (stream >= r->a->n)
        return error_set(err, ERR_INTERNAL, "the source named stream number %zu of %zu", stream,
                         r->a->n);
    if (r->order[stream] == order)
        return 0;
    return error_set(err, ERR_INTERNAL, "the source called %s %s stream \"%s\"", call,
                     r->order[stream] == NOT_BEGUN ? "before the beginning of"
                     : r->order[stream] == BEGUN   ? "again for"
                                                   : "after the end of",
                     r->a->selected[stream].stream->name);
}

static int on_begin(struct sink *s, size_t stream, struct error *err)
{
    struct reader *r = reader_of(s);

    if (expect(r, stream, NOT_BEGUN, "begin", err) < 0)
        return -1;
    r->order[stream] = BEGUN;
    r->current = (long)r->a->stream[stream];
    return put(r, &(struct queue_item){.kind = QUEUE_BEGIN, .stream = stream}, err);
}

static int on_write(struct sink *s, size_t stream, struct batch *rows, struct error *err)
{
    struct reader *r = reader_of(s);
    const struct schema *schema = batch_schema(rows);
    struct queue_item item = {.kind = QUEUE_ROWS, .stream = stream};
    size_t n_rejected;

    if (expect(r, stream, BEGUN, "write", err) < 0)
        return -1;
    if (batch_is_empty(rows))
        return cancel_check(r->a->stop, err);
    batch_rejected(rows, &n_rejected);
    item.bytes = batch_bytes(rows);
    progress_read(r->a->progress, r->a->stream[stream], (int64_t)(batch_rows(rows) + n_rejected),
                  (int64_t)item.bytes);
    item.rows = queue_spare(r->a->queue);
    if (item.rows)
        batch_reset(item.rows, schema);
    else
        item.rows = batch_new(schema);
    batch_limit(item.rows, r->a->batch_bytes); /* it is the one that is filled next */
    batch_swap(item.rows, rows);
    if (put(r, &item, err) < 0)
        return -1;
    if (r->has_queued)
        return 0;
    r->has_queued = true;
    return failpoint("after_first_batch_queued", err);
}

static int on_checkpoint(struct sink *s, size_t stream, const char *position, struct error *err)
{
    struct reader *r = reader_of(s);

    if (expect(r, stream, BEGUN, "checkpoint", err) < 0)
        return -1;
    return put(r,
               &(struct queue_item){
                   .kind = QUEUE_CHECKPOINT, .stream = stream, .position = xstrdup(position)},
               err);
}

static int on_count_dropped(struct sink *s, size_t stream, int64_t filtered,
                            int64_t overlap_dropped, struct error *err)
{
    struct reader *r = reader_of(s);

    if (expect(r, stream, BEGUN, "count_dropped", err) < 0)
        return -1;
    if (filtered == 0 && overlap_dropped == 0)
        return 0;
    progress_read(r->a->progress, r->a->stream[stream], filtered + overlap_dropped, 0);
    return put(r,
               &(struct queue_item){.kind = QUEUE_DROPPED,
                                    .stream = stream,
                                    .filtered = filtered,
                                    .overlap_dropped = overlap_dropped},
               err);
}

static int on_end(struct sink *s, size_t stream, const char *position, struct error *err)
{
    struct reader *r = reader_of(s);

    if (expect(r, stream, BEGUN, "end", err) < 0)
        return -1;
    r->order[stream] = OVER;
    return put(r,
               &(struct queue_item){.kind = QUEUE_END,
                                    .stream = stream,
                                    .position = position ? xstrdup(position) : NULL},
               err);
}

static int on_fail(struct sink *s, size_t stream, const struct error *why, struct error *err)
{
    struct reader *r = reader_of(s);
    struct error *kept;

    /* A stream may fail before it has begun: it could not even be opened. */
    if (stream < r->a->n && r->order[stream] == NOT_BEGUN)
        r->order[stream] = BEGUN;
    if (expect(r, stream, BEGUN, "fail", err) < 0)
        return -1;
    r->order[stream] = OVER;
    if (r->a->job->policy.on_stream_error == ON_ERROR_ABORT) {
        attempt_fail(r->a, ORIGIN_SOURCE, (long)r->a->stream[stream], why);
        return error_set(err, ERR_CANCELLED, "a stream failed, and the policy is to stop then");
    }
    kept = xalloc(sizeof *kept);
    *kept = *why;
    return put(r, &(struct queue_item){.kind = QUEUE_FAIL, .stream = stream, .why = kept}, err);
}

static const struct sink_ops ops = {
    .begin = on_begin,
    .write = on_write,
    .checkpoint = on_checkpoint,
    .count_dropped = on_count_dropped,
    .end = on_end,
    .fail = on_fail,
};

static int check_all_over(struct reader *r, struct error *err)
{
    for (size_t i = 0; i < r->a->n; i++) {
        if (r->order[i] != OVER)
            return error_set(err, ERR_INTERNAL, "the source returned without ending stream \"%s\"",
                             r->a->selected[i].stream->name);
    }
    return 0;
}

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    struct attempt *a = r->a;
    struct stream_request *streams = arena_array(r->mem, a->n, sizeof *streams);
    struct read_request request = {.streams = streams, .n = a->n};
    struct run run = {.mem = r->mem,
                      .cancel = a->stop,
                      .log = a->job->source_log,
                      .id = a->job->run_id,
                      .started_unix_us = a->job->started_unix_us,
                      .host = a->job->host,
                      .commons = a->commons,
                      .redactor = a->job->redactor};
    struct error err = ERROR_INIT, put_err = ERROR_INIT;

    for (size_t i = 0; i < a->n; i++) {
        streams[i].want = &a->selected[i];
        streams[i].position = a->positions[i].position;
    }
    if (a->job->source->read(a->job->source_config, &run, &request, &r->sink, &err) < 0 ||
        check_all_over(r, &err) < 0)
        attempt_fail(a, ORIGIN_SOURCE, r->current, &err);
    /* The writer takes what was read before a failure, up to the last checkpoint. When it has gone
     * already, nobody needs to be told. */
    if (put(r, &(struct queue_item){.kind = QUEUE_DONE}, &put_err) < 0)
        queue_close(a->queue);
    return NULL;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    arena_free(r->mem);
    free(r);
}

int reader_start(struct attempt *a, struct reader **out, struct error *err)
{
    struct reader *r = xalloc(sizeof *r);
    int status;

    r->sink.ops = &ops;
    r->a = a;
    r->mem = arena_new();
    r->order = arena_array(r->mem, a->n, sizeof *r->order);
    r->current = -1;
    status = pthread_create(&r->thread, NULL, reader_main, r);
    if (status != 0) {
        reader_free(r);
        return error_set_errno(err, status, "starting the reader thread");
    }
    *out = r;
    return 0;
}

void reader_join(struct reader *r)
{
    if (!r)
        return;
    queue_close(r->a->queue);
    pthread_join(r->thread, NULL);
}

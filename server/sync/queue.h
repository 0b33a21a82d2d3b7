/*
 * queue.h - what travels from the reader of a run to its writer, in order, bounded in bytes.
 *
 * One thread puts, one takes. Rows are taken over by exchanging batches, so nothing is copied and
 * emptied batches go back to the reader. A full queue makes the reader wait: that is the whole of
 * back-pressure. Closing wakes both sides for good.
 */
#ifndef SERVER_SYNC_QUEUE_H
#define SERVER_SYNC_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "connectors/base/cancel.h"
#include "connectors/base/error.h"

#define QUEUE_MAX_ITEMS 1024 /* checkpoints weigh little; this bounds what they can add up to */

struct batch;
struct queue; /* opaque */

enum queue_kind {
    QUEUE_BEGIN,
    QUEUE_ROWS,
    QUEUE_DROPPED,
    QUEUE_CHECKPOINT,
    QUEUE_END,
    QUEUE_FAIL,
    QUEUE_DONE, /* the source has returned; nothing follows */
};

struct queue_item {
    enum queue_kind kind;
    size_t stream;
    struct batch *rows;                /* ROWS */
    size_t bytes;                      /* ROWS: their size, fixed when they were put */
    int64_t filtered, overlap_dropped; /* DROPPED */
    char *position;                    /* CHECKPOINT; END, where NULL = none */
    struct error *why;                 /* FAIL */
};

struct queue *queue_new(size_t max_bytes);
void queue_free(struct queue *q); /* with all that is still in it; accepts NULL */

/*
 * Takes the item over, also when it fails. Waits while the queue is full; rows larger than the
 * whole queue pass when it is empty. Fails with CANCELLED once `stop` is requested or the queue is
 * closed.
 */
CHECKED int queue_put(struct queue *q, const struct queue_item *item, const struct cancel *stop,
                      struct error *err);

/* The oldest item; 1 when there was none until `deadline_us` (clock_monotonic_us). Fails with
 * CANCELLED once `stop` is requested. What the item points to is the caller's. */
CHECKED int queue_get(struct queue *q, int64_t deadline_us, const struct cancel *stop,
                      struct queue_item *out, struct error *err);

/* Gives an emptied batch back, and asks for one: NULL when there is none to reuse. */
void queue_recycle(struct queue *q, struct batch *rows);
struct batch *queue_spare(struct queue *q);

/* The taker has gone: every put fails from now on. */
void queue_close(struct queue *q);

void queue_item_release(struct queue_item *item);

#endif

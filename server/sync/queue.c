#include "server/sync/queue.h"

#include <stdlib.h>
#include <time.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/data/batch.h"

#define SPARES 16

/* A cancellation is seen within this time by whoever waits here. */
#define WAIT_SLICE_US 50000

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t max_bytes, bytes;
    bool closed;
    size_t first, n; /* of the ring */
    struct queue_item ring[QUEUE_MAX_ITEMS];
    size_t n_spares;
    struct batch *spares[SPARES];
};

struct queue *queue_new(size_t max_bytes)
{
    struct queue *q = xalloc(sizeof *q);
    pthread_condattr_t attr;

    q->max_bytes = max_bytes;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &attr);
    pthread_condattr_destroy(&attr);
    return q;
}

void queue_item_release(struct queue_item *item)
{
    batch_free(item->rows);
    free(item->position);
    free(item->why);
    *item = (struct queue_item){.kind = item->kind};
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->n; i++)
        queue_item_release(&q->ring[(q->first + i) % QUEUE_MAX_ITEMS]);
    for (size_t i = 0; i < q->n_spares; i++)
        batch_free(q->spares[i]);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

/* The real clock, not clock.h: a faked one must not make a wait endless. */
static void wait_slice(struct queue *q)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_SLICE_US * 1000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&q->changed, &q->mutex, &until);
}

static bool has_room(const struct queue *q, const struct queue_item *item)
{
    return q->n < QUEUE_MAX_ITEMS && (q->bytes == 0 || q->bytes + item->bytes <= q->max_bytes);
}

/* With the mutex held: 0 once the item is in the ring. */
static int put_locked(struct queue *q, const struct queue_item *item, const struct cancel *stop,
                      struct error *err)
{
    while (!q->closed && !has_room(q, item)) {
        if (cancel_check(stop, err) < 0)
            return -1;
        wait_slice(q);
    }
    if (cancel_check(stop, err) < 0)
        return -1;
    if (q->closed)
        return error_set(err, ERR_CANCELLED, "the writer has stopped");
    q->ring[(q->first + q->n) % QUEUE_MAX_ITEMS] = *item;
    q->n++;
    q->bytes += item->bytes;
    pthread_cond_broadcast(&q->changed);
    return 0;
}

int queue_put(struct queue *q, const struct queue_item *item, const struct cancel *stop,
              struct error *err)
{
    struct queue_item mine = *item;
    int status;

    pthread_mutex_lock(&q->mutex);
    status = put_locked(q, &mine, stop, err);
    pthread_mutex_unlock(&q->mutex);
    if (status < 0)
        queue_item_release(&mine);
    return status;
}

int queue_get(struct queue *q, int64_t deadline_us, const struct cancel *stop,
              struct queue_item *out, struct error *err)
{
    LOCK_GUARD(&q->mutex);

    while (q->n == 0) {
        if (cancel_check(stop, err) < 0)
            return -1;
        if (clock_monotonic_us() >= deadline_us)
            return 1;
        wait_slice(q);
    }
    if (cancel_check(stop, err) < 0)
        return -1;
    *out = q->ring[q->first];
    q->first = (q->first + 1) % QUEUE_MAX_ITEMS;
    q->n--;
    q->bytes -= out->bytes;
    pthread_cond_broadcast(&q->changed);
    return 0;
}

void queue_recycle(struct queue *q, struct batch *rows)
{
    pthread_mutex_lock(&q->mutex);
    if (q->n_spares < SPARES) {
        q->spares[q->n_spares++] = rows;
        rows = NULL;
    }
    pthread_mutex_unlock(&q->mutex);
    batch_free(rows);
}

struct batch *queue_spare(struct queue *q)
{
    LOCK_GUARD(&q->mutex);

    return q->n_spares ? q->spares[--q->n_spares] : NULL;
}

void queue_close(struct queue *q)
{
    LOCK_GUARD(&q->mutex);

    q->closed = true;
    pthread_cond_broadcast(&q->changed);
}

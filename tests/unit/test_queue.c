#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/data/batch.h"
#include "server/sync/queue.h"

static const struct column columns[] = {{.name = "id", .type = {.type = TYPE_INT}}};
static const struct schema numbers = {.columns = columns, .n_columns = 1};

static struct cancel *stop;

static void setup(void)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(cancel_new(&stop, &err), 0);
}

static void teardown(void)
{
    cancel_free(stop);
}

TestSuite(queue, .init = setup, .fini = teardown);

static int put(struct queue *q, enum queue_kind kind, size_t bytes, struct error *err)
{
    return queue_put(q, &(struct queue_item){.kind = kind, .bytes = bytes}, stop, err);
}

Test(queue, keeps_the_order)
{
    struct queue *q = queue_new(1000);
    struct queue_item item;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < 100; i++) {
        struct queue_item in = {.kind = QUEUE_CHECKPOINT, .stream = i, .position = xstrdup("{}")};

        cr_assert_eq(queue_put(q, &in, stop, &err), 0);
    }
    for (size_t i = 0; i < 100; i++) {
        cr_assert_eq(queue_get(q, INT64_MAX, stop, &item, &err), 0);
        cr_expect_eq(item.stream, i);
        queue_item_release(&item);
    }
    queue_free(q);
}

Test(queue, is_empty_until_the_deadline)
{
    struct queue *q = queue_new(1000);
    struct queue_item item;
    struct error err = ERROR_INIT;

    cr_expect_eq(queue_get(q, 0, stop, &item, &err), 1);
    cr_expect_eq(queue_get(q, clock_monotonic_us() + 20000, stop, &item, &err), 1);
    queue_free(q);
}

struct putter {
    struct queue *q;
    size_t bytes;
    int status;
    struct error err;
    _Atomic bool done;
};

static void *put_one(void *arg)
{
    struct putter *p = arg;

    p->status = put(p->q, QUEUE_ROWS, p->bytes, &p->err);
    p->done = true;
    return NULL;
}

/* Whether one more item of this size has to wait until another has been taken. */
static bool has_to_wait(size_t limit, size_t first, size_t bytes)
{
    struct queue *q = queue_new(limit);
    struct putter p = {.q = q, .bytes = bytes};
    struct queue_item item;
    pthread_t thread;
    bool waited;

    cr_assert_eq(put(q, QUEUE_ROWS, first, &p.err), 0);
    cr_assert_eq(pthread_create(&thread, NULL, put_one, &p), 0);
    for (int i = 0; i < 20 && !p.done; i++)
        cr_assert_eq(cancel_sleep_ms(stop, 5, &p.err), 0);
    waited = !p.done;
    cr_assert_eq(queue_get(q, INT64_MAX, stop, &item, &p.err), 0);
    pthread_join(thread, NULL);
    cr_expect_eq(p.status, 0);
    queue_free(q);
    return waited;
}

Test(queue, holds_as_many_bytes_as_its_limit)
{
    cr_expect_not(has_to_wait(100, 50, 49));
    cr_expect_not(has_to_wait(100, 50, 50));
    cr_expect(has_to_wait(100, 50, 51));
}

Test(queue, passes_rows_larger_than_itself_when_it_is_empty)
{
    cr_expect(has_to_wait(100, 1000, 1));
}

Test(queue, holds_a_bounded_number_of_items)
{
    struct queue *q = queue_new(1000);
    struct error err = ERROR_INIT;
    struct putter p = {.q = q};
    pthread_t thread;

    for (size_t i = 0; i < QUEUE_MAX_ITEMS; i++)
        cr_assert_eq(put(q, QUEUE_BEGIN, 0, &err), 0);
    cr_assert_eq(pthread_create(&thread, NULL, put_one, &p), 0);
    cr_assert_eq(cancel_sleep_ms(stop, 60, &err), 0);
    cr_expect_not(p.done);
    queue_close(q);
    pthread_join(thread, NULL);
    cr_expect_eq(p.status, -1);
    cr_expect_eq(p.err.code, ERR_CANCELLED);
    queue_free(q);
}

Test(queue, a_waiting_put_sees_the_cancellation)
{
    struct queue *q = queue_new(1);
    struct putter p = {.q = q, .bytes = 1};
    pthread_t thread;

    cr_assert_eq(put(q, QUEUE_ROWS, 1, &p.err), 0);
    cr_assert_eq(pthread_create(&thread, NULL, put_one, &p), 0);
    cancel_request(stop, CANCEL_USER);
    pthread_join(thread, NULL);
    cr_expect_eq(p.status, -1);
    cr_expect_eq(p.err.code, ERR_CANCELLED);
    queue_free(q);
}

Test(queue, a_cancelled_get_takes_nothing)
{
    struct queue *q = queue_new(1);
    struct queue_item item;
    struct error err = ERROR_INIT, err2 = ERROR_INIT;

    cr_assert_eq(put(q, QUEUE_ROWS, 1, &err), 0);
    cancel_request(stop, CANCEL_USER);
    cr_expect_eq(queue_get(q, INT64_MAX, stop, &item, &err), -1);
    cr_expect_eq(put(q, QUEUE_BEGIN, 0, &err2), -1);
    queue_free(q);
}

Test(queue, frees_what_was_never_taken)
{
    struct queue *q = queue_new(1 << 20);
    struct error err = ERROR_INIT;
    struct queue_item item = {.kind = QUEUE_ROWS, .rows = batch_new(&numbers)};
    struct queue_item failed = {.kind = QUEUE_FAIL, .why = xalloc(sizeof *failed.why)};

    cr_assert_eq(queue_put(q, &item, stop, &err), 0);
    cr_assert_eq(queue_put(q, &failed, stop, &err), 0);
    queue_recycle(q, batch_new(&numbers));
    queue_free(q);
    queue_free(NULL);
}

Test(queue, gives_recycled_batches_back_and_keeps_only_a_few)
{
    struct queue *q = queue_new(1 << 20);
    size_t n = 0;

    cr_expect_null(queue_spare(q));
    for (int i = 0; i < 100; i++)
        queue_recycle(q, batch_new(&numbers));
    for (struct batch *b = queue_spare(q); b; b = queue_spare(q), n++)
        batch_free(b);
    cr_expect_gt(n, 0);
    cr_expect_lt(n, 100);
    queue_free(q);
}

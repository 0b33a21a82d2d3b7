#include <criterion/criterion.h>

#include <stdlib.h>

#include "server/sync/spread.h"
#include "tests/support/fake_sync.h"

#define MOST 1000

/* Streams of these estimates, and their list for so many lanes. */
struct list {
    struct arena *mem;
    struct selection selection;
    size_t numbers[MOST];
    bool taken[MOST];
    struct spread *spread;
};

static void list_init(struct list *l, size_t n)
{
    *l = (struct list){.mem = arena_new()};
    fake_selection(l->mem, n, &l->selection);
    for (size_t i = 0; i < n; i++)
        l->numbers[i] = i;
}

static void estimate(struct list *l, size_t stream, int64_t rows)
{
    ((struct stream *)(uintptr_t)l->selection.streams[stream].stream)->row_estimate = rows;
}

static void begin(struct list *l, size_t lanes)
{
    l->spread = spread_new(&l->selection, l->numbers, l->selection.n, lanes, l->mem);
}

/* The next portion of a lane, each stream of which is new and in order; 0 at the end. */
static size_t take(struct list *l, size_t lane, struct portion *p)
{
    if (!spread_take(l->spread, lane, p))
        return 0;
    cr_assert_gt(p->n, 0);
    for (size_t i = 0; i < p->n; i++) {
        cr_expect_not(l->taken[p->streams[i]]);
        l->taken[p->streams[i]] = true;
        cr_expect(i == 0 || p->streams[i - 1] < p->streams[i]);
    }
    return p->n;
}

static void finish(struct list *l)
{
    struct portion p;

    for (size_t lane = 0; lane < 3; lane++)
        cr_expect_eq(take(l, lane, &p), 0);
    for (size_t i = 0; i < l->selection.n; i++)
        cr_expect(l->taken[i], "stream %zu", i);
    spread_release(l->spread);
    arena_free(l->mem);
}

Test(spread, many_equal_streams_come_in_shrinking_portions)
{
    struct list l;
    struct portion p;
    size_t n, last = MOST, portions = 0;

    list_init(&l, MOST);
    begin(&l, 4);
    while ((n = take(&l, portions % 4, &p)) > 0) {
        cr_expect_leq(n, last);
        cr_expect_leq(n, MOST / 8);
        last = n;
        portions++;
    }
    cr_expect_eq(last, 1);
    cr_expect(portions >= 20 && portions <= 60, "%zu", portions);
    finish(&l);
}

Test(spread, few_streams_come_one_by_one)
{
    struct list l;
    struct portion p;

    list_init(&l, 8);
    begin(&l, 4);
    for (size_t i = 0; i < 8; i++)
        cr_expect_eq(take(&l, i % 4, &p), 1);
    finish(&l);
}

Test(spread, the_largest_come_first_and_alone)
{
    struct list l;
    struct portion p;

    list_init(&l, 100);
    for (size_t i = 0; i < 100; i++)
        estimate(&l, i, i == 70 ? 50000000 : i == 30 ? 9000000 : 10);
    begin(&l, 2);
    cr_expect_eq(take(&l, 0, &p), 1);
    cr_expect_eq(p.streams[0], 70);
    cr_expect_eq(take(&l, 1, &p), 1);
    cr_expect_eq(p.streams[0], 30);
    cr_expect_gt(take(&l, 1, &p), 10);
    while (take(&l, 1, &p) > 0)
        continue;
    finish(&l);
}

Test(spread, streams_that_stay_together_are_the_first_portion_of_the_first_lane)
{
    struct list l;
    struct portion p;

    list_init(&l, 10);
    for (size_t i = 1; i < 10; i += 3)
        l.selection.streams[i].one_lane = true;
    begin(&l, 4);
    cr_expect_eq(take(&l, 1, &p), 1);
    cr_expect_eq(take(&l, 0, &p), 3);
    cr_expect(p.streams[0] == 1 && p.streams[1] == 4 && p.streams[2] == 7);
    while (take(&l, 0, &p) > 0)
        cr_expect_eq(p.n, 1);
    finish(&l);
}

Test(spread, there_are_no_more_lanes_than_work)
{
    struct list l;

    list_init(&l, 3);
    cr_expect_eq(spread_lanes(&l.selection, 2), 2);
    cr_expect_eq(spread_lanes(&l.selection, 8), 3);
    l.selection.streams[0].one_lane = l.selection.streams[1].one_lane = true;
    cr_expect_eq(spread_lanes(&l.selection, 8), 2);
    l.selection.streams[2].one_lane = true;
    cr_expect_eq(spread_lanes(&l.selection, 8), 1);
    l.selection.n = 0;
    cr_expect_eq(spread_lanes(&l.selection, 8), 1);
    arena_free(l.mem);
}

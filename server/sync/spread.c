#include "server/sync/spread.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"

/* What a stream costs besides its rows, and what is guessed for one of unknown size. */
#define STREAM_ROWS  1000
#define UNKNOWN_ROWS 10000

struct spread {
    pthread_mutex_t mutex;
    size_t lanes;
    size_t *order;     /* [n], those that stay in the first lane before all others */
    double *weight;    /* of order[i] */
    size_t n, n_first; /* so many stay in the first lane */
    bool first_taken;
    size_t next; /* in `order` */
    double left; /* the weight of what nobody has taken */
};

struct weighed {
    size_t stream;
    double weight;
    bool alone;
};

/* Cells, roughly: rows differ in width more than cells do. */
static double weigh(const struct selected_stream *s)
{
    int64_t rows = s->stream->row_estimate >= 0 ? s->stream->row_estimate : UNKNOWN_ROWS;

    return (double)(rows + STREAM_ROWS) * (double)(s->schema->n_columns + 1);
}

static int compare(const void *a, const void *b)
{
    const struct weighed *x = a, *y = b;

    if (x->alone != y->alone)
        return x->alone ? -1 : 1;
    if (x->weight != y->weight && !x->alone)
        return x->weight > y->weight ? -1 : 1;
    return x->stream < y->stream ? -1 : x->stream > y->stream;
}

struct spread *spread_new(const struct selection *selection, const size_t *streams, size_t n,
                          size_t lanes, struct arena *mem)
{
    struct spread *s = arena_alloc(mem, sizeof *s);
    struct weighed *all = arena_array(mem, n + 1, sizeof *all);

    *s = (struct spread){.lanes = lanes, .n = n};
    pthread_mutex_init(&s->mutex, NULL);
    s->order = arena_array(mem, n + 1, sizeof *s->order);
    s->weight = arena_array(mem, n + 1, sizeof *s->weight);
    for (size_t i = 0; i < n; i++) {
        const struct selected_stream *one = &selection->streams[streams[i]];

        all[i] = (struct weighed){streams[i], weigh(one), one->one_lane};
    }
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++) {
        s->order[i] = all[i].stream;
        s->weight[i] = all[i].weight;
        s->n_first += all[i].alone;
        s->left += all[i].alone ? 0 : all[i].weight;
    }
    s->next = s->n_first;
    return s;
}

void spread_release(struct spread *s)
{
    pthread_mutex_destroy(&s->mutex);
}

static int ascending(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Within a portion the order of the selection is kept: that is the order people expect. */
static void hand_over(struct spread *s, size_t first, size_t n, struct portion *out)
{
    qsort(s->order + first, n, sizeof *s->order, ascending);
    *out = (struct portion){s->order + first, n};
}

bool spread_take(struct spread *s, size_t lane, struct portion *out)
{
    LOCK_GUARD(&s->mutex);
    size_t first = s->next;
    double limit = s->left / (double)(2 * s->lanes), taken = 0;

    if (lane == 0 && !s->first_taken && s->n_first > 0) {
        s->first_taken = true;
        hand_over(s, 0, s->n_first, out);
        return true;
    }
    if (first == s->n)
        return false;
    do
        taken += s->weight[s->next++];
    while (s->next < s->n && taken + s->weight[s->next] <= limit);
    s->left -= taken;
    hand_over(s, first, s->next - first, out);
    return true;
}

size_t spread_lanes(const struct selection *selection, size_t wanted)
{
    size_t most = 0, alone = 0;

    for (size_t i = 0; i < selection->n; i++) {
        most += !selection->streams[i].one_lane;
        alone |= selection->streams[i].one_lane;
    }
    most += alone;
    return wanted < most ? wanted : most ? most : 1;
}

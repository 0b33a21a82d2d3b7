#include "tests/support/relay.h"

#include <stdio.h>

static struct relay *of(struct sink *s)
{
    return (struct relay *)s;
}

static int begin(struct sink *s, size_t stream, struct error *err)
{
    (void)s;
    (void)stream;
    (void)err;
    return 0;
}

static int write_rows(struct sink *s, size_t stream, struct batch *rows, struct error *err)
{
    if (of(s)->d->ops->write(of(s)->d, stream, rows, err) < 0)
        return -1;
    batch_clear(rows);
    return 0;
}

static void add(struct relay *r, size_t stream, const struct counts *did)
{
    if (!counts_balance(did) && !r->violation[0])
        snprintf(r->violation, sizeof r->violation, "stream %zu: the counts do not balance",
                 stream);
    counts_add(&r->totals[stream], did);
    r->pending[stream] = (struct counts){0};
}

static int checkpoint(struct sink *s, size_t stream, const char *position, struct error *err)
{
    struct relay *r = of(s);
    struct counts did[16] = {{0}};
    bool crash = ++r->n_checkpoints == r->crash_at;
    int result = 0;

    if (crash && !r->after_commit)
        return error_set(err, ERR_CANCELLED, "crashed before commit %zu", r->n_checkpoints);
    r->upto[stream] = position;
    result = r->d->ops->commit(r->d, r->upto, r->pending, did, err);
    r->upto[stream] = NULL;
    if (result < 0)
        return -1;
    for (size_t i = 0; i < r->n_streams; i++)
        add(r, i, &did[i]);
    if (crash)
        return error_set(err, ERR_CANCELLED, "crashed after commit %zu", r->n_checkpoints);
    return 0;
}

static int count_dropped(struct sink *s, size_t stream, int64_t filtered, int64_t overlap_dropped,
                         struct error *err)
{
    (void)err;
    of(s)->pending[stream].filtered += filtered;
    of(s)->pending[stream].overlap_dropped += overlap_dropped;
    return 0;
}

static int end(struct sink *s, size_t stream, const char *position, struct error *err)
{
    struct relay *r = of(s);
    struct counts did = {0};

    if (r->d->ops->finish(r->d, stream, position, &r->pending[stream], &did, err) < 0)
        return -1;
    add(r, stream, &did);
    return 0;
}

static int fail(struct sink *s, size_t stream, const struct error *why, struct error *err)
{
    (void)s;
    (void)stream;
    return error_set(err, why->code, "%s", why->message);
}

static const struct sink_ops relay_ops = {
    .begin = begin,
    .write = write_rows,
    .checkpoint = checkpoint,
    .count_dropped = count_dropped,
    .end = end,
    .fail = fail,
};

void relay_init(struct relay *r, struct arena *mem, struct destination *d, size_t n_streams)
{
    *r = (struct relay){.sink = {&relay_ops}, .d = d, .n_streams = n_streams};
    r->totals = arena_array(mem, n_streams, sizeof *r->totals);
    r->pending = arena_array(mem, n_streams, sizeof *r->pending);
    r->upto = arena_array(mem, n_streams, sizeof *r->upto);
}

#include "tests/support/pump.h"

#include <stdlib.h>

struct pump_sink {
    struct sink sink;
    struct pump *pump;
    struct destination *to;
    struct counts *dropped;
    const char **upto;
    size_t n_checkpoints;
};

static int count_call(struct pump *p, struct error *err)
{
    p->n_calls++;
    if (p->crash_after == 0 || p->n_calls <= p->crash_after)
        return 0;
    p->crashed = true;
    return error_set(err, ERR_CANCELLED, "crashed as planned");
}

static int commit(struct pump_sink *s, struct error *err)
{
    struct pump *p = s->pump;
    size_t n = p->plan.n;
    struct counts *out = arena_array(p->run->mem, n + 1, sizeof *out);

    if (s->to->ops->commit(s->to, s->upto, s->dropped, out, err) < 0)
        return -1;
    p->n_commits++;
    for (size_t i = 0; i < n; i++) {
        counts_add(&p->counts[i], &out[i]);
        s->upto[i] = NULL;
        s->dropped[i] = (struct counts){0};
    }
    return 0;
}

static int on_begin(struct sink *base, size_t stream, struct error *err)
{
    (void)stream;
    return count_call(((struct pump_sink *)base)->pump, err);
}

static int on_write(struct sink *base, size_t stream, struct batch *rows, struct error *err)
{
    struct pump_sink *s = (struct pump_sink *)base;

    if (count_call(s->pump, err) < 0 || s->to->ops->write(s->to, stream, rows, err) < 0)
        return -1;
    batch_clear(rows);
    return 0;
}

static int on_checkpoint(struct sink *base, size_t stream, const char *position, struct error *err)
{
    struct pump_sink *s = (struct pump_sink *)base;

    if (count_call(s->pump, err) < 0)
        return -1;
    s->upto[stream] = arena_strdup(s->pump->run->mem, position);
    if (s->pump->commit_every > 1 && ++s->n_checkpoints % s->pump->commit_every != 0)
        return 0;
    return commit(s, err);
}

static int on_dropped(struct sink *base, size_t stream, int64_t filtered, int64_t overlap,
                      struct error *err)
{
    struct pump_sink *s = (struct pump_sink *)base;

    s->dropped[stream].filtered += filtered;
    s->dropped[stream].overlap_dropped += overlap;
    return count_call(s->pump, err);
}

static int on_end(struct sink *base, size_t stream, const char *position, struct error *err)
{
    struct pump_sink *s = (struct pump_sink *)base;
    struct counts out;

    if (count_call(s->pump, err) < 0 ||
        s->to->ops->finish(s->to, stream, position, &s->dropped[stream], &out, err) < 0)
        return -1;
    counts_add(&s->pump->counts[stream], &out);
    s->dropped[stream] = (struct counts){0};
    s->upto[stream] = NULL;
    return 0;
}

static int on_fail(struct sink *base, size_t stream, const struct error *why, struct error *err)
{
    (void)base;
    (void)stream;
    *err = *why;
    return -1;
}

static const struct sink_ops ops = {
    .begin = on_begin,
    .write = on_write,
    .checkpoint = on_checkpoint,
    .count_dropped = on_dropped,
    .end = on_end,
    .fail = on_fail,
};

void pump_init(struct pump *p, const struct source_connector *source, const void *source_config,
               const struct destination_connector *destination, const void *destination_config,
               struct run *run, const struct selection *selection)
{
    *p = (struct pump){.source = source,
                       .source_config = source_config,
                       .destination = destination,
                       .destination_config = destination_config,
                       .run = run};
    p->plan = (struct write_plan){.pipeline = "test",
                                  .streams = selection->streams,
                                  .n = selection->n,
                                  .max_quarantined_rows = 1000,
                                  .max_quarantined_ratio = 0.01,
                                  .metadata = METADATA_MINIMAL};
}

static int read_into(struct pump *p, struct destination *to, struct error *err)
{
    size_t n = p->plan.n;
    struct arena *mem = p->run->mem;
    struct stream_request *streams = arena_array(mem, n + 1, sizeof *streams);
    struct read_request req = {streams, n};
    struct pump_sink s = {.sink = {&ops}, .pump = p, .to = to};

    s.dropped = arena_array(mem, n + 1, sizeof *s.dropped);
    s.upto = arena_array(mem, n + 1, sizeof *s.upto);
    if (to->ops->recover(to, p->recovered, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        streams[i] = (struct stream_request){&p->plan.streams[i], p->recovered[i].position};
    return p->source->read(p->source_config, p->run, &req, &s.sink, err);
}

int pump_attempt(struct pump *p, struct error *err)
{
    struct destination *to;
    int rc;

    p->counts = arena_array(p->run->mem, p->plan.n + 1, sizeof *p->counts);
    p->recovered = arena_array(p->run->mem, p->plan.n + 1, sizeof *p->recovered);
    p->n_calls = p->n_commits = 0;
    p->crashed = false;
    if (p->destination->open(p->destination_config, p->run, &p->plan, &to, err) < 0)
        return -1;
    rc = read_into(p, to, err);
    to->ops->close(to);
    return rc;
}

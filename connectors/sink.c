#include "connectors/connector.h"

int sink_begin(struct sink *out, size_t stream, struct error *err)
{
    return out->ops->begin(out, stream, err);
}

int sink_write(struct sink *out, size_t stream, struct batch *rows, struct error *err)
{
    return out->ops->write(out, stream, rows, err);
}

int sink_checkpoint(struct sink *out, size_t stream, const char *position, struct error *err)
{
    return out->ops->checkpoint(out, stream, position, err);
}

int sink_count_dropped(struct sink *out, size_t stream, int64_t filtered, int64_t overlap_dropped,
                       struct error *err)
{
    return out->ops->count_dropped(out, stream, filtered, overlap_dropped, err);
}

int sink_fail(struct sink *out, size_t stream, const struct error *why, struct error *err)
{
    return out->ops->fail(out, stream, why, err);
}

int sink_end(struct sink *out, size_t stream, const char *position, struct error *err)
{
    return out->ops->end(out, stream, position, err);
}

/* -------------------------------------------------------------------- rows alone */

static int pass_over(struct sink *s, size_t stream, struct error *err)
{
    (void)s, (void)stream, (void)err;
    return 0;
}

static int write_rows(struct sink *s, size_t stream, struct batch *rows, struct error *err)
{
    struct sink_of_rows *own = (struct sink_of_rows *)s;

    (void)stream;
    return own->write(own, rows, err);
}

static int pass_over_position(struct sink *s, size_t stream, const char *position,
                              struct error *err)
{
    (void)position;
    return pass_over(s, stream, err);
}

static int pass_over_counts(struct sink *s, size_t stream, int64_t filtered,
                            int64_t overlap_dropped, struct error *err)
{
    (void)filtered, (void)overlap_dropped;
    return pass_over(s, stream, err);
}

static int fail_with(struct sink *s, size_t stream, const struct error *why, struct error *err)
{
    (void)s, (void)stream;
    *err = *why;
    return -1;
}

struct sink_of_rows sink_of_rows(int (*write)(struct sink_of_rows *s, struct batch *rows,
                                              struct error *err))
{
    static const struct sink_ops ops = {
        .begin = pass_over,
        .write = write_rows,
        .checkpoint = pass_over_position,
        .count_dropped = pass_over_counts,
        .end = pass_over_position,
        .fail = fail_with,
    };

    return (struct sink_of_rows){.sink = {&ops}, .write = write};
}

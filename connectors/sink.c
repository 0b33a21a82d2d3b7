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

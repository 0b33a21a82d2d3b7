#include "server/sync/promise.h"

#include <string.h>

const char *promise_weakness(const struct promise_ends *ends, const struct selected_stream *s)
{
    if (ends->destination_delivery && strcmp(ends->destination_delivery, "exactly_once") != 0)
        return "the destination cannot make rows and position durable together";
    if (ends->source_repeats)
        return "the source may send rows again after a failure";
    return s ? selected_stream_doubt(s) : NULL;
}

const char *promise_name(const char *weakness)
{
    return weakness ? "at_least_once" : "exactly_once";
}

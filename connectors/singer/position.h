/*
 * position.h - where a stream of a Singer tap stands: the STATE that covers its rows.
 *
 * {"kind":"singer","epoch":N,"version":V,"value":STATE}. The value is kept as the tap wrote it, to
 * the last digit. A later state of the same tap has a higher epoch.
 */
#ifndef CONNECTORS_SINGER_POSITION_H
#define CONNECTORS_SINGER_POSITION_H

#include <stdint.h>

#include "connectors/base/arena.h"
#include "connectors/base/buf.h"

struct singer_position {
    int64_t epoch;
    const char *value;   /* JSON; NULL = the beginning */
    const char *version; /* of the rows of the stream; NULL = none */
};

/* Replaces what stands in `out`. `version` and `value` may be NULL. */
void singer_position_put(int64_t epoch, const char *version, const char *value, struct buf *out);

/* Fails with CONFIG, reason "bad_position", for what is no position of a tap. */
CHECKED int singer_position_read(const char *text, struct arena *mem, struct singer_position *out,
                                 struct error *err);

#endif

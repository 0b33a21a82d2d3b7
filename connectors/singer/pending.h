/*
 * pending.h - STATE values that wait until the records before them are durable.
 *
 * Kept in their order and given back all, but bounded: of too many, or too large ones, the oldest
 * are forgotten, since a later one covers them.
 */
#ifndef CONNECTORS_SINGER_PENDING_H
#define CONNECTORS_SINGER_PENDING_H

#include "connectors/base/buf.h"

#define PENDING_MAX_STATES 1000
#define PENDING_MAX_BYTES  ((size_t)1 << 20) /* the newest one stays whatever its size */

struct pending {
    char *texts[PENDING_MAX_STATES];
    size_t first, n, bytes;
};

void pending_put(struct pending *p, struct slice value);
/* The oldest, which the caller frees; NULL when there is none. */
char *pending_take(struct pending *p);
void pending_release(struct pending *p);

#endif

/*
 * tally.h - what each connection has moved since the start, for metrics. Safe from any thread.
 *
 * There is an entry for each connection that has moved something and was not forgotten, about 60
 * bytes: whoever deletes a connection forgets it, so there are never more than the store has.
 */
#ifndef SERVER_SYNC_TALLY_H
#define SERVER_SYNC_TALLY_H

#include <stdint.h>

#include "connectors/base/arena.h"

struct tally; /* opaque */

/* Committed rows, and their bytes in memory. */
struct moved {
    int64_t rows, bytes;
};

struct tally *tally_new(void);
void tally_free(struct tally *t); /* accepts NULL */
DEFINE_CLEANUP(struct tally *, tally_free_cleanup, tally_free);

void tally_add(struct tally *t, const char *connection_id, struct moved more);
/* Nothing moved, for a connection that it does not know. */
struct moved tally_get(struct tally *t, const char *connection_id);
void tally_forget(struct tally *t, const char *connection_id);

#endif

/*
 * spread.h - which lane of a run takes which streams, and when. Private to server/sync.
 *
 * A shared list: a lane that is done takes the next portion, so that none is idle while another has
 * a heap before it, whatever the estimates were worth. Large streams come first and alone, small
 * ones later and many at a time: each portion costs a connection to both sides. The last portions
 * are small, so the lanes end together.
 */
#ifndef SERVER_SYNC_SPREAD_H
#define SERVER_SYNC_SPREAD_H

#include "server/sync/runner.h"

struct spread; /* in the arena it was made in; safe from any thread */

/* Of the `n` streams of the selection with these numbers. */
struct spread *spread_new(const struct selection *selection, const size_t *streams, size_t n,
                          size_t lanes, struct arena *mem);
void spread_release(struct spread *s);

/* False when nothing is left for this lane. Streams that may not run in parallel are the first
 * portion of the first lane. */
bool spread_take(struct spread *s, size_t lane, struct portion *out);

/* More lanes than this would find nothing to do. */
size_t spread_lanes(const struct selection *selection, size_t wanted);

#endif

/*
 * feed.h - a target that runs: messages go in, the states it has stored come out.
 *
 * Writing and reading go on at the same time, since a target that cannot print its state stops
 * reading. A state that we write has an *epoch*, a number that only grows; what the target prints
 * is looked at for nothing else, so that states which it merges, repeats or holds back tell as much
 * as they can. Lines that are no state are passed over. Belongs to one thread.
 */
#ifndef CONNECTORS_SINGER_FEED_H
#define CONNECTORS_SINGER_FEED_H

#include "connectors/singer/process.h"

#define FEED_EPOCH "connectord_epoch" /* the member of a state that has the number */

struct feed; /* opaque */

CHECKED int feed_start(const struct process_start *how, struct run *run, struct feed **out,
                       struct error *err);
/* All `n` bytes. Fails with what the target ended with when it has ended. */
CHECKED int feed_put(struct feed *f, const char *bytes, size_t n, struct error *err);
/* Waits until an epoch of at least this came back. Fails with TRANSIENT, reason "target_silent",
 * after `timeout_ms` and when the target ends before. */
CHECKED int feed_wait(struct feed *f, int64_t epoch, int64_t timeout_ms, struct error *err);
/* Ends its input, takes what it still prints, and judges its exit status. */
CHECKED int feed_finish(struct feed *f, struct error *err);
/* The highest that came back; 0 = none. */
int64_t feed_epoch(const struct feed *f);
/* Any line that looked like a state. */
bool feed_has_echoed(const struct feed *f);

void feed_free(struct feed *f); /* ends the target if it still runs; accepts NULL */
DEFINE_CLEANUP(struct feed *, feed_free_cleanup, feed_free);

#endif

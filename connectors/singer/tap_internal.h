/*
 * tap_internal.h - the steps of a tap's run. Private to tap*.c.
 */
#ifndef CONNECTORS_SINGER_TAP_INTERNAL_H
#define CONNECTORS_SINGER_TAP_INTERNAL_H

#include "connectors/singer/position.h"
#include "connectors/singer/process.h"
#include "connectors/singer/tap.h"

/* Runs the tap with --discover. The caller owns *out, the catalog as the tap wrote it but with
 * references in their place. Fails with DATA, reason "bad_catalog", when that is none. */
CHECKED int tap_catalog(const struct singer_tap *tap, struct run *run, struct doc **out,
                        struct error *err);

/* Starts the tap on its sync; `state` is NULL at the beginning. */
__attribute__((nonnull(1, 2, 3, 5, 6), warn_unused_result)) int
tap_start(const struct singer_tap *tap, struct run *run, const struct doc *catalog,
          const char *state, struct process **out, struct error *err);

/* ------------------------------------------------------------------- tap_choose.c */

/* Marks in the tap's catalog what is wanted, and everything else as not. */
void tap_choose(struct doc *catalog, const struct read_request *req);

/* The number in the request of the stream that messages call `name`, or -1: taps put the schema in
 * front in several ways. */
long tap_find(const struct doc *catalog, const struct read_request *req, const char *name);

/* -------------------------------------------------------------------- tap_state.c */

/* What the tap is to go on from. */
struct tap_state {
    int64_t epoch;
    const char *value;     /* JSON as the tap wrote it; NULL = the beginning */
    const char **versions; /* of each stream of the request; NULL = none is known */
};
CHECKED int tap_state_read(const struct read_request *req, struct arena *mem, struct tap_state *out,
                           struct error *err);

#endif

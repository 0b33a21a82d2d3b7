/*
 * promise.h - what is promised of the rows of a stream: exactly once, or why not.
 *
 * The weakest of three counts: the destination, the source, and what the source doubts of the
 * stream itself (catalog.h).
 */
#ifndef SERVER_SYNC_PROMISE_H
#define SERVER_SYNC_PROMISE_H

#include "connectors/connector.h"

/* `delivery` as connector.h has it of a destination; NULL is exactly_once. */
struct promise_ends {
    bool source_repeats; /* source_connector.reads_together */
    const char *destination_delivery;
};

/* Why the rows of the stream are promised at least once, and no more; NULL = exactly once.
 * `s` may be NULL: what counts for every stream. */
__attribute__((nonnull(1))) const char *promise_weakness(const struct promise_ends *ends,
                                                         const struct selected_stream *s);

/* "exactly_once", "at_least_once" */
const char *promise_name(const char *weakness);

#endif

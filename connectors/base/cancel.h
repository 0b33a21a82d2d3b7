/*
 * cancel.h - a request to stop that every wait can see. Safe from any thread.
 *
 * The first request wins and its reason is kept. The descriptor becomes readable once, for ever,
 * so that poll() sets may contain it.
 */
#ifndef CONNECTORS_BASE_CANCEL_H
#define CONNECTORS_BASE_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/error.h"

enum cancel_reason {
    CANCEL_NONE = 0,
    CANCEL_USER,
    CANCEL_TIMEOUT,
    CANCEL_IDLE_TIMEOUT,
    CANCEL_SHUTDOWN,
    CANCEL_DISCONNECT, /* the caller that asked for Ctrl-C semantics has gone */
    CANCEL_SUPERSEDED, /* the other half of the run failed; its error tells why */
};

struct cancel; /* opaque */

/* A socket in the hands of a library that only knows blocking calls. The caller's memory; the
 * members are private. */
struct cancel_watch {
    struct cancel *of;
    int fd;
    struct cancel_watch *next;
};

CHECKED int cancel_new(struct cancel **out, struct error *err);
void cancel_free(struct cancel *c); /* accepts NULL */
void cancel_request(struct cancel *c, enum cancel_reason why);
enum cancel_reason cancel_requested(const struct cancel *c); /* cheap: one atomic load */
int cancel_fd(const struct cancel *c);
const char *cancel_reason_name(enum cancel_reason why);

/* 0, or -1 with CANCELLED once a stop was requested. */
CHECKED int cancel_check(const struct cancel *c, struct error *err);
/* Waits `ms` milliseconds unless stopped: 0 when the time has passed, -1 with CANCELLED. */
CHECKED int cancel_sleep_ms(const struct cancel *c, int64_t ms, struct error *err);

/*
 * Shuts the socket down (both ways) when a stop is requested, or now when it was already, so that
 * whoever waits on it returns with an error. End the watch before the socket is closed; ending one
 * that was never begun (all zero) does nothing.
 */
void cancel_watch_socket(struct cancel *c, struct cancel_watch *w, int fd);
void cancel_unwatch(struct cancel_watch *w);

#endif

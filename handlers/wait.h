/*
 * wait.h - waiting for a run without holding a thread.
 *
 * A handler keeps a struct that begins with `struct run_wait`; run_wait_poll is what it calls
 * first, every time it is called.
 */
#ifndef HANDLERS_WAIT_H
#define HANDLERS_WAIT_H

#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

#define WAIT_MAX_S     55 /* below the 60 s after which common gateways give up */
#define WAIT_DEFAULT_S 20 /* for check, discover, sample and count */

struct run_wait {
    const struct app *app;
    int64_t run;
    int64_t deadline_us; /* of clock_monotonic_us */
};

void run_wait_init(struct run_wait *w, const struct app *app, int64_t run, int64_t seconds);

/* 0 with the row when the run is final or the time is over; HANDLER_WAIT when `res` is set up to
 * wait; -1. */
CHECKED int run_wait_poll(struct run_wait *w, struct response *res, struct arena *mem,
                          struct run_row *out, struct error *err);

/* Seconds that the caller wants to wait: Prefer: wait=5 or respond-async (RFC 7240), else the
 * fallback. Says in the answer which preference was followed. */
int64_t wait_preference(const struct request *req, struct response *res, int64_t fallback_s);

#endif

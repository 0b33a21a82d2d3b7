/*
 * state_tap.h - the state of a Singer tap as one document: as it prints it, and as every other
 * runner of taps keeps it.
 */
#ifndef HANDLERS_STATE_TAP_H
#define HANDLERS_STATE_TAP_H

#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

/* Whether the streams of the connection share one state; fails when the store does. */
CHECKED int state_tap_is(struct app *app, struct arena *mem, const struct connection *c, bool *out,
                         struct error *err);

/* The state that covers the rows of all streams, JSON text; "{}" when there is none. */
CHECKED int state_tap_value(struct arena *mem, const struct state_row *rows, size_t n,
                            const char **out, struct error *err);

/* The body of the request, whatever object it is, as the position of every selected stream. */
CHECKED int state_tap_rows(struct app *app, struct request *req, const struct connection *c,
                           struct state_row **out, size_t *out_n, struct error *err);

#endif

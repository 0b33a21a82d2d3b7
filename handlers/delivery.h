/*
 * delivery.h - what a connection promises of its rows, before anything runs.
 *
 * The weakest of what its two connectors promise and, where the source doubts its own streams, of
 * what the newest catalog says about those that are selected. Each run says it again per stream.
 */
#ifndef HANDLERS_DELIVERY_H
#define HANDLERS_DELIVERY_H

#include "handlers/encode.h"
#include "handlers/routes.h"

/* Without a name when a connector is not known any more. */
void delivery_of(struct app *app, struct arena *mem, const struct connection *c,
                 struct delivery *out);

#endif

/*
 * run.h - the run that an address names.
 */
#ifndef HANDLERS_RUN_H
#define HANDLERS_RUN_H

#include "connectors/base/arena.h"
#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

/* {run}: a number, and below /v1/connections/{connection} one of its runs or "latest". The row
 * comes in `mem`: whatever lives as long as a follower is paid for ten thousand times. */
CHECKED int run_of_request(struct app *app, struct request *req, struct arena *mem,
                           struct run_row *out, struct error *err);

#endif

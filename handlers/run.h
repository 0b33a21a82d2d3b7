/*
 * run.h - the run that an address names.
 */
#ifndef HANDLERS_RUN_H
#define HANDLERS_RUN_H

#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

/* {run}: a number, and below /v1/connections/{connection} one of its runs or "latest". */
CHECKED int run_of_request(struct app *app, struct request *req, struct run_row *out,
                           struct error *err);

#endif

/*
 * jobs.h - short work that a worker does while the request waits: check, discover, sample, count.
 */
#ifndef HANDLERS_JOBS_H
#define HANDLERS_JOBS_H

#include "connectors/base/jsonwrite.h"
#include "handlers/wait.h"

/* Submits a short run: `fill` says kind, source_id or destination_id, and request. Its id is set.
 */
CHECKED int job_submit(struct app *app, struct run_row *fill, struct error *err);

/* The request of a check of a configuration that is not stored. */
const char *job_check_request(struct arena *mem, const char *kind, const char *connector,
                              const char *config);

/* Makes the problem of a run that did not succeed: "check_failed" for a check, otherwise what its
 * error says. The run is a member of the problem document. Returns -1. */
int job_failed(struct request *req, struct response *res, const struct run_row *run,
               struct error *err);

#endif

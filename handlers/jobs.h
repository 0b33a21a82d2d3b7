/*
 * jobs.h - short work that a worker does while the request waits: check, discover, sample, count.
 */
#ifndef HANDLERS_JOBS_H
#define HANDLERS_JOBS_H

#include "connectors/base/jsonwrite.h"
#include "handlers/connectors.h"
#include "handlers/wait.h"

/* Submits a short run: `fill` says kind, source_id or destination_id, and request. Its id is set.
 */
CHECKED int job_submit(struct app *app, struct run_row *fill, struct error *err);

/* The request of a check of a configuration that is not stored; `config`, in the open, is sealed
 * for the run. */
const char *job_check_request(const struct app *app, struct arena *mem, const struct connector *c,
                              const struct doc *config);
/* A fresh id for SEALED_FOR, and the text of a configuration sealed for it. */
const char *job_seal_id(struct arena *mem);
const char *job_seal(const struct app *app, struct arena *mem, const char *id,
                     const struct connector *c, const struct doc *config);

/* Makes the problem of a run that did not succeed: "check_failed" for a check, otherwise what its
 * error says. The run is a member of the problem document. Returns -1. */
int job_failed(struct request *req, struct response *res, const struct run_row *run,
               struct error *err);

#endif

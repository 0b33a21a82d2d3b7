/*
 * start.h - what all ways of starting a run have in common: conflict, idempotency, waiting,
 * following.
 */
#ifndef HANDLERS_START_H
#define HANDLERS_START_H

#include "connectors/base/jsonwrite.h"
#include "connectors/option.h"
#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

#define START_REQUEST_BYTES ((size_t)16 << 20)

/*
 * Fills in what to do (kind, what it is about, request); `force` is the query parameter. Mistakes
 * of the body go to the problems of `res`.
 */
typedef int start_fn(struct app *app, struct request *req, struct response *res, bool force,
                     struct run_row *out, struct error *err);

/* A whole POST: reads the query, prepares, submits or joins, and answers in the form asked for. */
CHECKED int start_run(struct app *app, struct request *req, struct response *res, start_fn *prepare,
                      struct error *err);

/* What a body may say about any run; absent numbers are 0. */
struct start_settings {
    struct string_list streams;
    bool full_refresh, allow_shrink;
    int64_t timeout_s, max_attempts, parallel_streams;
};

/* The members of run_row.request for them (see server/sync/runs.h). */
void start_put_settings(struct jsonw *w, const struct start_settings *s);

#endif

/*
 * precondition.h - If-Match and If-None-Match of writes (RFC 9110 13).
 *
 * The tag of a resource is its revision in quotes. A write that names a revision is checked here
 * against what was read, and again by the store inside its transaction, so a race is lost by
 * exactly one of two writers. Reads are compared with their ETag by the server itself.
 */
#ifndef HANDLERS_PRECONDITION_H
#define HANDLERS_PRECONDITION_H

#include "server/app.h"
#include "server/http/http.h"

#define PRECONDITION_ABSENT (-1) /* `current` of a thing that does not exist */

/*
 * *out_expected is what to give to the store: REVISION_ANY, REVISION_NONE or a revision. Fails with
 * CONFLICT "revision_mismatch" (412), or "revision_required" (428) when the service demands one.
 */
CHECKED int precondition_read(const struct app *app, const struct request *req, int64_t current,
                              int64_t *out_expected, struct error *err);

/*
 * Calls `once`, which reads, builds and writes with the revision it read. When somebody else was
 * faster in between, a caller who named a revision is told so; for any other it is called again.
 */
CHECKED int precondition_retry(handler_fn *once, struct app *app, struct request *req,
                               struct response *res, struct error *err);

#endif

/*
 * connection.h - the body of a connection, checked against what it connects.
 */
#ifndef HANDLERS_CONNECTION_H
#define HANDLERS_CONNECTION_H

#include "connectors/catalog.h"
#include "server/app.h"
#include "server/http/http.h"
#include "server/store/store.h"

enum connection_how { CONNECTION_REPLACE, CONNECTION_PATCH };

/*
 * What `sent` makes of `old` (NULL = there is none yet; its name is then `name`, or the body's when
 * that is NULL). Source and destination are looked up, streams are checked against the newest
 * catalog of the source when there is one and for their shape otherwise. Mistakes go to the
 * problems of `res`: finish with body_accept, after which *out counts. Fails only when the store
 * does.
 */
__attribute__((nonnull(1, 2, 3, 4, 8, 9), warn_unused_result)) int
connection_build(struct app *app, struct request *req, struct response *res, const struct doc *sent,
                 const struct connection *old, const char *name, enum connection_how how,
                 struct connection *out, struct error *err);

/*
 * The newest catalog of a source: 0, or 1 when it was never discovered. Memory belongs to `mem`.
 */
CHECKED int connection_catalog(const struct app *app, const char *source_id, struct arena *mem,
                               struct catalog *out, struct error *err);

/* Checks a native `streams` array (NULL = every stream) with the catalog, if there is one, and the
 * write modes of the destination. */
__attribute__((nonnull(1, 3, 4, 5, 6, 7), warn_unused_result)) int
connection_check_streams(const struct app *app, const struct doc *streams, const char *source_id,
                         const char *destination_id, struct arena *mem, struct problems *problems,
                         struct error *err);

#endif

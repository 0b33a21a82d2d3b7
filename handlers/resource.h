/*
 * resource.h - the body of a source or a destination, checked and merged with what is stored.
 */
#ifndef HANDLERS_RESOURCE_H
#define HANDLERS_RESOURCE_H

#include "handlers/connectors.h"
#include "handlers/secrets.h"
#include "server/app.h"
#include "server/http/http.h"

/*
 * What `sent` makes of `old` (NULL = there is none yet; its name is then `name`, or the body's when
 * that is NULL). *out is ready to be stored, with its secrets sealed and its id. Mistakes go to the
 * problems of `res`: finish with body_accept, after which *out counts. Memory belongs to the
 * request. Fails when the store does.
 */
__attribute__((nonnull(1, 2, 3, 5, 9, 10), warn_unused_result)) int
resource_build(const struct app *app, struct request *req, struct response *res,
               enum resource_kind kind, const struct doc *sent, const struct resource *old,
               const char *name, enum secrets_merge how, struct resource *out, struct error *err);

/* A whole configuration as a caller sends it: what the connector says, and its secrets. */
void resource_check_config(const struct app *app, const struct connector *c,
                           const struct doc *config, const char *pointer, struct arena *mem,
                           struct problems *problems);

/* True when the name may be given to a resource; otherwise the problem is added. */
bool resource_name_is_fine(const char *name, struct problems *problems);

#endif

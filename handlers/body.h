/*
 * body.h - request bodies in, by option tables.
 *
 * Every mistake in a body is collected with its pointer before anything is refused, so that a
 * caller sees all of them at once. Memory belongs to the request.
 */
#ifndef HANDLERS_BODY_H
#define HANDLERS_BODY_H

#include "connectors/option.h"
#include "server/http/http.h"

/* The list that becomes "errors" of the problem document. */
struct problems *body_problems(struct request *req, struct response *res);

/*
 * Reads the body into `config` by `table`; *out_doc is the document itself. Fails with INVALID:
 * not JSON, or "validation_failed" and its more specific siblings with every problem listed.
 */
CHECKED int body_read(struct request *req, struct response *res, bool optional,
                      const struct option *table, void *config, const struct doc **out_doc,
                      struct error *err);

/* The body of an action that takes none: absent, or an object whatever is in it. */
CHECKED int body_read_nothing(struct request *req, struct error *err);

/* 0 while nothing was added to the list of `res`, else -1 with the code that says it best. */
CHECKED int body_accept(struct response *res, struct error *err);

/* For option rows: an object whose members are all strings; a name and nothing else; seconds. */
void body_check_labels(const struct doc *value, const char *pointer, struct problems *problems);

/* The compact text of a document; "{}" for NULL. */
const char *body_text(struct arena *mem, const struct doc *d);

#define BODY_MAX_TEXT ((size_t)16 << 20) /* of a document written out again */

#endif

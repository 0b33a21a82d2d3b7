/*
 * encode.h - what the service remembers, as the JSON of the API.
 *
 * Every member is named here, one by one: a field that the store gains is not shown until somebody
 * decides so. Configurations never come here with their secrets.
 */
#ifndef HANDLERS_ENCODE_H
#define HANDLERS_ENCODE_H

#include "connectors/base/doc.h"
#include "connectors/base/jsonwrite.h"
#include "handlers/connectors.h"
#include "server/store/store.h"

enum run_detail {
    RUN_WHOLE,   /* with the numbers of each stream and the result */
    RUN_IN_LIST, /* totals only: a list of runs of thousands of streams stays small */
};

CHECKED int encode_run(struct jsonw *w, const struct run_row *run, enum run_detail detail,
                       struct error *err);
/* The "streams" array of the numbers of a run; [] before it has any. */
CHECKED int encode_run_streams(struct jsonw *w, const struct run_row *run, struct error *err);

/* Asks the store for the connector, whose table says what is secret. */
enum resource_detail {
    RESOURCE_WHOLE,
    RESOURCE_NAMED, /* to who may not write: "config" and "secrets" are null */
};

CHECKED int encode_resource(struct store *store, struct arena *mem, struct jsonw *w,
                            enum resource_kind kind, const struct resource *r,
                            enum resource_detail detail, struct error *err);

/* "delivery" and why; without a name it is not known. */
struct delivery {
    const char *name, *why;
};
/* `last` may be NULL: there was no run. */
__attribute__((nonnull(1, 2, 4, 5), warn_unused_result)) int
encode_connection(struct jsonw *w, const struct connection *c, const struct run_row *last,
                  const struct delivery *delivery, struct error *err);

/* "id", "source_id", "hash", "discovered_at": what is known of a catalog besides its streams. */
void encode_catalog_members(struct jsonw *w, const struct stored_catalog *c);

void encode_problems(struct jsonw *w, const struct problems *problems);

/* Adds the members of `object` to the object being written. */
void encode_members(struct jsonw *w, const struct doc *object);
/* A document as a value; NULL writes null. */
void encode_doc(struct jsonw *w, const struct doc *d);

/* A member with an array of these strings; nothing when there are none. */
void encode_list(struct jsonw *w, const char *key, const struct string_list *list);

#endif

/*
 * connectors.h - connectors as handlers see them, built in or described by a document in the store:
 * the kind is a parameter.
 */
#ifndef HANDLERS_CONNECTORS_H
#define HANDLERS_CONNECTORS_H

#include "connectors/base/jsonwrite.h"
#include "connectors/connector.h"
#include "server/store/store.h"

/* What sources and destinations have in common, and what only one kind has. */
struct connector {
    enum resource_kind kind;
    const char *name, *title, *docs;
    const struct option *options;
    size_t config_size;
    const char *document;               /* sources; NULL when there is none to be shown */
    const struct known_stream *streams; /* sources; NULL when not known */
    bool filters_rows;                  /* sources */
    bool reads_together;                /* sources */
    bool doubts_streams;                /* sources */
    unsigned write_modes;               /* destinations; 0 for sources */
    bool value_policies;                /* destinations */
    const char *delivery;               /* NULL: a source that weakens no promise */
    void (*judge)(const void *config, const char *pointer, struct problems *problems); /* or NULL */
    const char *const *types; /* [TYPE_COUNT] of a destination with types, or NULL */
    void (*tell_types)(tell_fn *tell, void *arg);  /* or NULL */
    void (*tell_limits)(tell_fn *tell, void *arg); /* or NULL */
    const struct stored_connector *custom;         /* NULL when it is built in */
};

const char *connector_kind_name(enum resource_kind kind); /* "source", "destination" */
bool connector_kind_from_name(const char *name, enum resource_kind *out);

/* 1 with *out, which belongs to `mem`, 0 when there is none; fails when the store does. */
CHECKED int connector_find(struct store *store, enum resource_kind kind, const char *name,
                           struct arena *mem, struct connector *out, struct error *err);
/* The built-in ones. False behind the last. */
bool connector_at(enum resource_kind kind, size_t i, struct connector *out);

/* Decodes `config` to see whether it is well-formed; problems have pointers below `pointer`. */
bool connector_accepts(const struct connector *c, const struct doc *config, const char *pointer,
                       struct arena *mem, struct problems *problems);

/* The whole connector as an object of the API. */
CHECKED int connector_encode(struct jsonw *w, const struct connector *c, struct error *err);

#endif

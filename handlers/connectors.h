/*
 * connectors.h - built-in connectors as handlers see them: the kind is a parameter.
 */
#ifndef HANDLERS_CONNECTORS_H
#define HANDLERS_CONNECTORS_H

#include "connectors/connector.h"
#include "server/store/store.h"

/* What sources and destinations have in common, and what only one kind has. */
struct connector {
    enum resource_kind kind;
    const char *name, *title, *docs;
    const struct option *options;
    size_t config_size;
    bool filters_rows;    /* sources */
    unsigned write_modes; /* destinations; 0 for sources */
    const char *delivery; /* destinations; NULL for sources */
};

const char *connector_kind_name(enum resource_kind kind); /* "source", "destination" */
bool connector_kind_from_name(const char *name, enum resource_kind *out);

bool connector_find(enum resource_kind kind, const char *name, struct connector *out);
/* False behind the last. */
bool connector_at(enum resource_kind kind, size_t i, struct connector *out);

/* Decodes `config` to see whether it is well-formed; problems have pointers below `pointer`. */
bool connector_accepts(const struct connector *c, const struct doc *config, const char *pointer,
                       struct arena *mem, struct problems *problems);

#endif

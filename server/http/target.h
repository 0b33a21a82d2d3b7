/*
 * target.h - the target of a request: a path split and decoded once, and its parameters.
 *
 * Pure functions over an arena; everything they return lives there.
 */
#ifndef SERVER_HTTP_TARGET_H
#define SERVER_HTTP_TARGET_H

#include <stddef.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"

struct pair {
    const char *name, *value;
};

struct target {
    const char **segments; /* decoded once, never empty, "." or ".." */
    size_t n_segments;
    struct pair *query; /* decoded; names are distinct */
    size_t n_query;
};

#define TARGET_MAX_QUERY 64 /* parameters */

/*
 * Splits and decodes a request target of origin or absolute form. Empty segments are dropped.
 * Fails with INVALID: "invalid_target" for the path, "invalid_query" for the rest.
 */
CHECKED int target_parse(struct arena *mem, const char *raw, struct target *out, struct error *err);

#endif

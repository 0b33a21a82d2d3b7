/*
 * jsonset.h - JSON text with one value put in at a path. Pure.
 */
#ifndef CONNECTORS_REST_JSONSET_H
#define CONNECTORS_REST_JSONSET_H

#include "connectors/rest/path.h"

/* `object` with `value` (JSON text) at `path`, whose steps are keys; what is missing on the way is
 * made, what is in the way replaced. */
CHECKED int json_set(struct slice object, const struct path *path, const char *value,
                     struct buf *out, struct error *err);

#endif

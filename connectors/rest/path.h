/*
 * path.h - paths into JSON text: data.items[0].id, headers['x-id'], data[*].
 *
 * Row data is never parsed into a tree: a path is looked up by scanning the text, and what it finds
 * is handed out as text, so that no digit of a number is lost. Compiled once; pure.
 */
#ifndef CONNECTORS_REST_PATH_H
#define CONNECTORS_REST_PATH_H

#include "connectors/base/arena.h"
#include "connectors/base/buf.h"
#include "connectors/base/error.h"

enum value_kind {
    VALUE_MISSING,
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_OBJECT,
    VALUE_ARRAY,
};

/* A JSON value on its way: a STRING is decoded, everything else is the text as it was written. */
struct rest_value {
    enum value_kind kind;
    struct slice text;
};

enum path_step_kind { PATH_KEY, PATH_INDEX, PATH_EACH };
struct path_step {
    enum path_step_kind kind;
    const char *key; /* KEY */
    long index;      /* INDEX: negative counts from the end */
};
/* "$" or "" alone is the whole value: no steps. */
struct path {
    const char *text; /* as written */
    const struct path_step *steps;
    size_t n;
};

/* NULL when `text` is a path, else what is wrong with it ("a bracket is not closed"). EACH is
 * accepted where `each` is true. */
const char *path_compile(struct arena *mem, const char *text, bool each, struct path *out);

/* Looks a path without EACH up in one complete JSON value. What it finds lies in `json` or `mem`.
 * VALUE_MISSING when it is not there. DATA when the text is not JSON. */
CHECKED int path_find(const struct path *p, struct slice json, struct arena *mem,
                      struct rest_value *out, struct error *err);

/* The value as JSON text again: strings get their quotes; MISSING gives null. */
void rest_value_put_json(const struct rest_value *v, struct buf *out);
/* The value as plain text: strings as they are, null and MISSING empty, the others as written. */
const char *rest_value_text(const struct rest_value *v, struct arena *mem);
/* Reads one JSON value. */
CHECKED int rest_value_read(struct slice json, struct arena *mem, struct rest_value *out,
                            struct error *err);

#endif

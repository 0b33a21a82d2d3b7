/*
 * schema.h - the columns of a stream, in order, and which of them are its key.
 *
 * Open and immutable once built: a changed shape is another schema. Memory belongs to the arena
 * that built it.
 */
#ifndef CONNECTORS_DATA_SCHEMA_H
#define CONNECTORS_DATA_SCHEMA_H

#include "connectors/base/arena.h"
#include "connectors/data/type.h"

#define SCHEMA_MAX_COLUMNS 4096 /* wider tables exist nowhere that we read */

struct column {
    const char *name; /* any UTF-8 without NUL */
    struct column_type type;
    const char *source_type; /* the source's own text, "" when it has none */
    bool nullable;
    /* What rows have here that are older than the column, as batch_put_parsed reads it; NULL =
     * NULL, or not known. It is no part of what the column is. */
    const char *older;
};

struct schema {
    const struct column *columns;
    size_t n_columns;
    const size_t *key; /* column numbers in key order */
    size_t n_key;
};

/* A deep copy; with `columns` of the schema in the given order when `n_pick` is not 0. A key that
 * loses a column is dropped as a whole. */
const struct schema *schema_copy(struct arena *mem, const struct schema *s);
const struct schema *schema_pick(struct arena *mem, const struct schema *s, const size_t *columns,
                                 size_t n_pick);

/* The number of the column with exactly this name, or -1. */
long schema_find(const struct schema *s, const char *name);

/* Same names, types and key, in the same order. */
bool schema_equal(const struct schema *a, const struct schema *b);

#endif

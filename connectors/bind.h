/*
 * bind.h - which column a field of a record belongs to, and what happens to fields nobody knew.
 *
 * A stream is read with the schema the user selected. Fields that were discovered and not selected
 * are left out; fields that discovery has not seen widen the schema, are left out, or stop the
 * stream, as the policy of the stream says. A widened schema begins with the columns it had, so
 * batches of both fit the same table. Memory belongs to the arena. Not shared between threads.
 */
#ifndef CONNECTORS_BIND_H
#define CONNECTORS_BIND_H

#include "connectors/connector.h"

enum { BIND_LEFT_OUT = -1, BIND_UNKNOWN = -2 };

/* The type the user declared for a field; false when there is none. */
typedef bool bind_type_fn(const void *arg, const char *name, struct column_type *out);

struct bind {
    const struct selected_stream *want;
    bind_type_fn *declared_type;
    const void *arg;
    struct arena *mem;
    struct log *log;
    const struct schema *schema; /* as of now */
    bool *declared;              /* per column: its type is the user's, not a guess */
    struct column *columns;      /* private: room shared by all schemas of the stream */
    size_t cap;
    uint32_t *index; /* open addressing: column number + 1, then the names left out */
    size_t n_index, n_out;
    const char **out_names;
    bool told; /* that something was left out */
};

/* `arg` is given to `declared_type` and outlives the bind. */
void bind_init(struct bind *b, const struct selected_stream *want, bind_type_fn *declared_type,
               const void *arg, struct arena *mem, struct log *log);

/* A column number, BIND_LEFT_OUT or BIND_UNKNOWN. */
long bind_find(const struct bind *b, const char *name, size_t n);

/*
 * An unknown field shows up with a value of `type`. *out gets its column, which is a new one of
 * b->schema, or BIND_LEFT_OUT. Fails with SCHEMA, reason "schema_frozen", when the policy is to
 * stop.
 */
CHECKED int bind_add(struct bind *b, const char *name, size_t n, struct column_type type, long *out,
                     struct error *err);

/* Whether unknown fields are left out, and that was said: they need no further look. */
bool bind_ignores(const struct bind *b);

#endif

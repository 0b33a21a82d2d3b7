/*
 * infer.h - which columns a stream of files has and of which types, from a sample of its records.
 *
 * CSV: a column is int, decimal or bool when all its values are, else a string; NDJSON: the join
 * of the types of the tokens, json where there is none. Every column may be NULL. A member of
 * NDJSON that was never anything but null is no column yet; a column of a CSV header is one.
 */
#ifndef CONNECTORS_FILES_INFER_H
#define CONNECTORS_FILES_INFER_H

#include "connectors/files/reader.h"

#define INFER_RECORDS 1000                /* looked at in all files together */
#define INFER_FILES   10                  /* looked at, evenly spread */
#define INFER_MIN     100                 /* records of each file */
#define INFER_BYTES   ((uint64_t)4 << 20) /* of each file, whatever the number of records */

struct infer; /* opaque */

struct infer *infer_new(const struct files_config *config);
void infer_free(struct infer *in); /* accepts NULL */
DEFINE_CLEANUP(struct infer *, infer_free_cleanup, infer_free);

/* Looks at most `max` records of a reader at the beginning of its file. Broken ones are passed
 * over. */
CHECKED int infer_sample(struct infer *in, struct reader *r, size_t max, struct error *err);

/* The columns in the order in which they were met; the memory is the arena's. With the types the
 * user declared, and with the key. Fails with CONFIG when these name columns that no file has. */
CHECKED int infer_schema(const struct infer *in, struct arena *mem, const struct schema **out,
                         struct error *err);

/* The type of one name; string when it was never met with a value. */
struct column_type infer_type(const struct infer *in, const char *name);

#endif

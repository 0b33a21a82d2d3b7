/*
 * rows.h - records of an API as rows: which columns there are, and the way into a batch.
 *
 * A record that is a plain value becomes {"value": ...}. It passes explode (its elements become the
 * records), where, add and remove; then its members become cells. Numbers keep every digit, objects
 * and arrays become JSON columns. Columns are given (an inline schema) or inferred from the first
 * records: integers within 64 bits are int, other numbers decimal, strings strings, what does not
 * agree is json; the field of `incremental` is an instant when every value met is one. A member
 * that was never met before becomes a column, as the stream's policy says; a value of another type
 * than its column becomes an odd cell. Not shared between threads.
 */
#ifndef CONNECTORS_REST_ROWS_H
#define CONNECTORS_REST_ROWS_H

#include "connectors/connector.h"
#include "connectors/rest/document.h"

struct rows_infer; /* opaque: looks at records */

struct rows_infer *rows_infer_new(const struct rest_stream *s);
void rows_infer_free(struct rows_infer *in); /* accepts NULL */
DEFINE_CLEANUP(struct rows_infer *, rows_infer_free_cleanup, rows_infer_free);
/* Takes what a page hands on; what is no object is passed over. */
CHECKED int rows_infer_look(struct rows_infer *in, struct slice record, const struct scopes *s,
                            struct error *err);
size_t rows_infer_seen(const struct rows_infer *in);
/* The columns of the inline schema, or those that were met, with the types that the document
 * overrides and with the key. CONFIG, reason "key_missing", when the key names no column of an
 * inline schema; an inferred one gets a string column for it. */
CHECKED int rows_infer_schema(const struct rows_infer *in, struct arena *mem,
                              const struct schema **out, struct error *err);

struct rows; /* opaque: fills batches */

/* `want` and `s` outlive it. */
struct rows *rows_new(const struct rest_stream *s, const struct selected_stream *want,
                      struct run *run);
void rows_free(struct rows *r); /* accepts NULL */
DEFINE_CLEANUP(struct rows *, rows_free_cleanup, rows_free);

struct rows_sink {
    /* Hands on the batch, which comes back empty. */
    int (*flush)(void *arg, struct batch *rows, struct error *err);
    /* Whether a record with this cursor (MISSING when the field is not there) is wanted. */
    int (*keep)(void *arg, const struct rest_value *cursor, bool *out, struct error *err);
    void *arg;
};
struct rows_counts {
    int64_t read, filtered, overlap; /* left out by `where`, and by `keep` */
};

/* Puts what one record gives, flushing when the batch is full or has to become wider. */
CHECKED int rows_put(struct rows *r, struct slice record, const struct scopes *s,
                     const struct rows_sink *to, struct rows_counts *counts, struct error *err);
/* The rest. */
CHECKED int rows_flush(struct rows *r, const struct rows_sink *to, struct error *err);

#endif

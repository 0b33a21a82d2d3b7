/*
 * source_internal.h - one stream while it is read: shared by the files of the SQL source's engine
 * (source.c, incremental.c) and nobody else.
 */
#ifndef CONNECTORS_SQL_SOURCE_INTERNAL_H
#define CONNECTORS_SQL_SOURCE_INTERNAL_H

#include "connectors/sql/horizon.h"

#define READING_KEY_MAX 64 /* columns; wider keys are read as if there were none */

/* What is asked for before the transactions that are open are looked at. */
struct reading_number {
    struct maybe_int value; /* no smaller number is given to a transaction that begins later */
    bool failed;
    struct error why;
};

struct reading {
    struct sql_reader *r;
    const struct sql_source_settings *settings;
    struct sink *out;
    size_t index;
    const struct selected_stream *want;
    const char *position;
    struct arena *mem; /* of this stream */
    struct batch *rows;
    struct sql_scan scan;
    const char *filter; /* digest of the scan's filters, "" = none */
    struct column_type key_types[READING_KEY_MAX];
    const char *key_names[READING_KEY_MAX];
    bool wrote;
    bool sink_failed; /* the error is the sink's: not one of the stream */
    /* Incremental: what a checkpoint says. */
    const struct horizon *horizon;
    const struct reading_number *number;
    enum type cursor;
    struct cursor_position at;
    bool nothing; /* the window is empty: at.upper means nothing */
};

/* Passes the result of a call of the sink on, and remembers that it failed. */
CHECKED int reading_from_sink(struct reading *s, int rc);
__attribute__((nonnull(1, 2, 5, 6), warn_unused_result)) int
reading_ask(struct reading *s, const char *sql, const struct sql_value *params, size_t n,
            struct maybe_int *out, struct error *err);
/* How many rows the scan gives. */
CHECKED int reading_count(struct reading *s, int64_t *out, struct error *err);
/* Hands all of them on; `count`: and counts them in the same snapshot. */
CHECKED int reading_pump(struct reading *s, bool count, struct error *err);

/* incremental.c */
CHECKED int reading_use_cursor(struct reading *s, struct error *err);
/* For an integer cursor, before the horizon and the snapshot are taken. */
void reading_take_number(struct reading *s, struct reading_number *out);
CHECKED int reading_incremental(struct reading *s, struct error *err);

#endif

/*
 * scan.h - the SELECT of one stream: which rows, in which order, from where on. Pure text.
 *
 * Rows of an incremental stream are ordered by (cursor, key) and continued by comparing row values,
 * so ties are neither lost nor repeated. Result columns: those of `columns`, then the key, then the
 * cursor as it is compared.
 */
#ifndef CONNECTORS_SQL_SCAN_H
#define CONNECTORS_SQL_SCAN_H

#include "connectors/sql/dialect.h"

enum sql_window {
    SQL_WINDOW_ALL,
    SQL_WINDOW_NULL,  /* rows that have no cursor */
    SQL_WINDOW_RANGE, /* lower <= cursor <= upper */
};

struct sql_scan {
    const char *schema, *table;
    const struct schema *columns;
    const char *const *key; /* columns that identify a row in the source; may be none */
    const struct column_type *key_types;
    size_t n_key;
    enum sql_window window;
    const char *cursor; /* column name; NULL without a window */
    enum type cursor_type;
    bool has_lower;
    struct sql_value lower, upper; /* as compared */
    const char *hint;              /* bound of the hint, NULL = none */
    bool after_cursor; /* continue behind resume_cursor (and the key, if there is one) */
    struct sql_value resume_cursor;
    bool after_key;
    const struct sql_value *resume_key; /* [n_key] */
};

#define SQL_SCAN_PARAMS 72 /* a key has at most 64 columns, see source.c */

/* Appends the statement and fills `params`; returns their number. */
size_t sql_put_scan(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                    struct sql_value params[static SQL_SCAN_PARAMS]);
/* The same rows, counted. */
size_t sql_put_scan_count(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                          struct sql_value params[static SQL_SCAN_PARAMS]);
/* The greatest cursor, from the bound of the hint on if there is one. */
size_t sql_put_scan_max(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                        struct sql_value params[static SQL_SCAN_PARAMS]);

#endif

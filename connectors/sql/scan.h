/*
 * scan.h - the SELECT of one stream: which rows, in which order, from where on. Pure text.
 *
 * Rows of an incremental stream are ordered by (cursor, key) and continued by comparing row values,
 * so ties are neither lost nor repeated. Result columns: those of `columns`, then the key, then the
 * cursor as it is compared.
 */
#ifndef CONNECTORS_SQL_SCAN_H
#define CONNECTORS_SQL_SCAN_H

#include "connectors/filter.h"
#include "connectors/sql/dialect.h"

enum sql_window {
    SQL_WINDOW_ALL,
    SQL_WINDOW_NULL,  /* rows that have no cursor */
    SQL_WINDOW_RANGE, /* lower <= cursor <= upper */
};

struct sql_scan {
    const char *schema, *table;
    const char *query; /* the text of a SELECT that is read instead of the table; NULL = none */
    const struct schema *columns;
    /* [columns->n_columns] or NULL: how a column is selected, as a template with {column}, where
     * that is not its plain name; an element is NULL for a plain one. The engine leaves it NULL: a
     * driver that needs it ("{column}::text" for a type without a binary form) fills it in a copy
     * of the scan before it calls sql_put_scan. key_cast [n_key] is the same for the key. */
    const char *const *cast, *const *key_cast;
    /* In such a copy too: the key is among `columns`, and is not selected once more. */
    bool omit_key;
    const struct row_filter *filters; /* of the user; ANDed */
    size_t n_filters;
    const char *const *key; /* columns that identify a row in the source; may be none */
    const struct column_type *key_types;
    size_t n_key;
    enum sql_window window;
    const char *cursor; /* column name; NULL without a window */
    enum type cursor_type;
    bool has_lower;
    struct sql_value lower, upper; /* as compared: INT with the cursor's type, see source.h */
    const char *hint;              /* bound of the hint, NULL = none */
    bool after_cursor; /* continue behind resume_cursor (and the key, if there is one) */
    struct sql_value resume_cursor;
    bool after_key;
    const struct sql_value *resume_key; /* [n_key] */
};

/* A key has at most 64 columns, each of which may take two parameters, as the cursor may; the
 * window and its hint take three. */
#define SQL_SCAN_PARAMS (FILTER_MAX_VALUES + 136)

/* Appends the statement and fills `params`; returns their number. */
size_t sql_put_scan(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                    struct sql_value params[static SQL_SCAN_PARAMS]);
/* The same rows, counted. */
size_t sql_put_scan_count(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                          struct sql_value params[static SQL_SCAN_PARAMS]);
/* The greatest cursor of all rows, whatever the filters, from the bound of the hint on if there is
 * one: an index alone answers that. */
size_t sql_put_scan_max(const struct sql_dialect *d, const struct sql_scan *s, struct buf *out,
                        struct sql_value params[static SQL_SCAN_PARAMS]);

#endif

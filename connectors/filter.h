/*
 * filter.h - conditions of the user on the rows of a stream, checked against its columns.
 *
 * The JSON is an array of {"column", "op", "value"}, with in and not_in {"column", "op", "values"},
 * and without a value for is_null and is_not_null; a row is read when it fulfils all of them.
 * Values are typed by the column: integers for int (or their text), numbers for float, text for
 * decimal (or an integer: other JSON numbers may have lost digits), true and false for bool, and
 * text for everything else, in the form in which rows show it; bytes as base64. Intervals and JSON
 * can only be NULL or not. NULL fulfils is_null and nothing else. How text compares is the
 * database's matter: its collation decides.
 */
#ifndef CONNECTORS_FILTER_H
#define CONNECTORS_FILTER_H

#include "connectors/base/doc.h"
#include "connectors/base/problem.h"
#include "connectors/data/schema.h"

#define FILTER_MAX_CONDITIONS  100
#define FILTER_MAX_VALUES      1000 /* of all conditions of one stream together */
#define FILTER_MAX_VALUE_BYTES 65536

enum filter_op {
    FILTER_EQ,
    FILTER_NE,
    FILTER_LT,
    FILTER_LE,
    FILTER_GT,
    FILTER_GE,
    FILTER_IN,
    FILTER_NOT_IN,
    FILTER_IS_NULL,
    FILTER_IS_NOT_NULL,
    FILTER_OP_COUNT
};

/* By the type of the column: */
struct filter_value {
    int64_t number;    /* BOOL, INT, DATE (days), TIMESTAMP, TIMESTAMPTZ (microseconds) */
    double real;       /* FLOAT */
    struct slice text; /* DECIMAL, TIME, UUID in canonical form; STRING; BYTES as they are */
};

struct row_filter {
    const char *column;
    struct column_type type;
    enum filter_op op;
    const struct filter_value *values;
    size_t n_values;
};

const char *filter_op_name(enum filter_op op); /* "eq", "not_in", ... */

/* The shape alone, before there are columns: an option check. */
void filters_check(const struct doc *filter, const char *pointer, struct problems *problems);

/* Against the columns of a stream, for a filter whose shape was checked; NULL and an empty array
 * are no filter. Problems have pointers to the column, op or value. Memory of `mem`. */
__attribute__((nonnull(2, 3, 4, 5, 6, 7))) void
filters_resolve(const struct doc *filter, const struct schema *schema, const char *pointer,
                struct arena *mem, const struct row_filter **out, size_t *out_n,
                struct problems *problems);

/* The JSON array again; the caller owns it. */
struct doc *filters_to_doc(const struct row_filter *filters, size_t n);

#endif

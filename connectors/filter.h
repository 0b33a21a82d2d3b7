/*
 * filter.h - conditions of the user on the rows of a stream, checked against its columns.
 *
 * The JSON is an array of {"column", "op", "value"} or {"column", "op", "values"}; a row is read
 * when it fulfils all of them. Values are typed by the column: a JSON number for int, float and
 * decimal (decimals, and integers too large for a reader of yours, also as text), true and false,
 * text for everything else in the form in which rows show it (dates, times, instants, UUIDs;
 * bytes as base64). NULL fulfils is_null and nothing else. How text compares is the database's
 * matter: its collation decides.
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

#endif

/*
 * postgres_decode.h - values in the binary format of the server's *_send functions.
 *
 * Pure, and the bytes come from somebody else's machine: every length is looked at before it is
 * believed. Of arrays a cell becomes JSON: [1,null,[2]] with the elements as NDJSON has them
 * (base64 for bytea, "NaN" for numbers that JSON has not); where an array does not count from 1, it
 * is {"lower_bounds":[0],"values":[..]}, so that nothing of it is lost.
 */
#ifndef CONNECTORS_SQL_POSTGRES_DECODE_H
#define CONNECTORS_SQL_POSTGRES_DECODE_H

#include "connectors/data/batch.h"
#include "connectors/sql/dialect.h"

/* How the bytes of a value are to be read. */
enum postgres_form {
    POSTGRES_FORM_NONE, /* not read in binary: the server is asked for text */
    POSTGRES_FORM_BOOL,
    POSTGRES_FORM_INT2,
    POSTGRES_FORM_INT4,
    POSTGRES_FORM_INT8,
    POSTGRES_FORM_OID,
    POSTGRES_FORM_FLOAT4,
    POSTGRES_FORM_FLOAT8,
    POSTGRES_FORM_NUMERIC,
    POSTGRES_FORM_TEXT,
    POSTGRES_FORM_BYTES,
    POSTGRES_FORM_DATE,
    POSTGRES_FORM_TIME,
    POSTGRES_FORM_TIMESTAMP,
    POSTGRES_FORM_TIMESTAMPTZ,
    POSTGRES_FORM_INTERVAL,
    POSTGRES_FORM_UUID,
    POSTGRES_FORM_JSON,
    POSTGRES_FORM_JSONB,
    POSTGRES_FORM_ARRAY, /* of any of the above */
};

/* Microseconds and days from 1970 to 2000, where the server begins to count. */
#define POSTGRES_EPOCH_US   INT64_C(946684800000000)
#define POSTGRES_EPOCH_DAYS 10957

/*
 * Puts a value into the row being built. What a batch cannot hold (a timestamp of the year 294276,
 * an infinite interval) becomes an odd cell with its text. False when these are not the bytes of
 * such a value. `scratch` is for the decoder's use.
 */
CHECKED bool postgres_decode_cell(enum postgres_form form, const char *p, size_t n,
                                  struct buf *scratch, struct batch *rows, size_t column);

/*
 * The value as a parameter that the server reads back as exactly this one; no arrays. Text lies in
 * `scratch`.
 */
CHECKED bool postgres_decode_key(enum postgres_form form, const char *p, size_t n,
                                 struct buf *scratch, struct sql_value *out);

/*
 * The value of a cursor: an integer, days or microseconds since 1970. *out_exact is false where
 * the next smaller or greater number had to be taken.
 */
CHECKED bool postgres_decode_cursor(enum postgres_form form, const char *p, size_t n, int64_t *out,
                                    bool *out_exact);

/* The form of a type that is no array by its OID; NONE for those that are not read in binary. */
enum postgres_form postgres_form_of(uint32_t oid);

/* How a column of a type is read. */
struct postgres_reading {
    struct column_type type;
    enum postgres_form form;
    const char *cast; /* as struct sql_scan has it; NULL = none */
    bool foreign;     /* of a type without a form: what is read is its text */
};
/* By OID and type modifier, domains resolved. `is_array` is what the catalog says of types that the
 * server does not come with; an array of elements without a form is read as one of text. */
struct postgres_reading postgres_reading_of(uint32_t oid, int32_t modifier, bool is_array);

#endif

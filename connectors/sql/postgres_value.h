/*
 * postgres_value.h - the parts of postgres_decode.c: numbers and times out of network bytes.
 *
 * Every reader is false when the length or the content is not that of such a value.
 */
#ifndef CONNECTORS_SQL_POSTGRES_VALUE_H
#define CONNECTORS_SQL_POSTGRES_VALUE_H

#include <endian.h>
#include <string.h>

#include "connectors/sql/postgres_decode.h"

static inline uint16_t postgres_get16(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t postgres_get32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t postgres_get64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

/* INT2, INT4, INT8, OID, and TIME as microseconds of the day. */
CHECKED bool postgres_read_integer(enum postgres_form form, const char *p, size_t n, int64_t *out);
CHECKED bool postgres_read_float(enum postgres_form form, const char *p, size_t n, double *out);
/* *out_infinite is -1, 0 or 1. */
CHECKED bool postgres_read_interval(const char *p, size_t n, struct interval *out,
                                    int *out_infinite);

/* A numeric: `n_digits` digits to the base of 10,000, the first of which counts 10,000^weight. */
struct postgres_numeric {
    size_t n_digits;
    int weight;
    const char *special; /* "NaN", "Infinity", "-Infinity"; or NULL */
    bool minus;
    size_t scale;
    const char *digits; /* 16 bits each */
};
CHECKED bool postgres_read_numeric(const char *p, size_t n, struct postgres_numeric *out);

#define POSTGRES_NUMERIC_FEW 64 /* enough for nearly all */
/* Room that postgres_format_numeric needs; what it writes is canonical, and shorter. */
size_t postgres_numeric_max(const struct postgres_numeric *v);
size_t postgres_format_numeric(const struct postgres_numeric *v, char *out);
/* Reads and appends. */
CHECKED bool postgres_put_numeric(const char *p, size_t n, struct buf *out);

/* The canonical text of a DATE (4 bytes), TIMESTAMP or TIMESTAMPTZ (8 bytes) of any year. */
size_t postgres_format_timestamp(enum postgres_form form, const char *p,
                                 char out[static VALUE_TEXT_BYTES]);

#endif

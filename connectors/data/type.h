/*
 * type.h - the thirteen logical types and the lattice that joins them.
 *
 * Everything between a source and a destination is one of these. A new one is one enumerator; every
 * table indexed by it has a test that no entry is missing.
 */
#ifndef CONNECTORS_DATA_TYPE_H
#define CONNECTORS_DATA_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum type {
    TYPE_BOOL,
    TYPE_INT,     /* 64-bit signed */
    TYPE_DECIMAL, /* exact, any number of digits */
    TYPE_FLOAT,   /* IEEE 754, 32 or 64 bits */
    TYPE_STRING,  /* UTF-8 */
    TYPE_BYTES,
    TYPE_DATE,        /* proleptic Gregorian */
    TYPE_TIME,        /* of day, microseconds */
    TYPE_TIMESTAMP,   /* no zone, microseconds */
    TYPE_TIMESTAMPTZ, /* an instant, microseconds */
    TYPE_INTERVAL,    /* months, days and microseconds kept apart */
    TYPE_UUID,
    TYPE_JSON, /* any JSON text, kept as written */
    TYPE_COUNT
};

/* How a value of a type lies in a batch column. */
enum storage {
    STORAGE_BOOL,   /* one byte, 0 or 1 */
    STORAGE_INT64,  /* INT, DATE (days), TIME, TIMESTAMP, TIMESTAMPTZ (microseconds, 1970) */
    STORAGE_DOUBLE, /* FLOAT of either width */
    STORAGE_16,     /* UUID bytes; INTERVAL as struct interval */
    STORAGE_TEXT,   /* DECIMAL (canonical text), STRING, BYTES, JSON: offsets and bytes */
};

struct interval {
    int32_t months, days;
    int64_t micros;
};

/* DATE, TIMESTAMP and TIMESTAMPTZ: the infinities of PostgreSQL. */
#define VALUE_INFINITY       INT64_MAX
#define VALUE_MINUS_INFINITY INT64_MIN

struct column_type {
    enum type type;
    uint16_t precision; /* DECIMAL: digits in all, 0 = unconstrained */
    int16_t scale;      /* DECIMAL with a precision: digits behind the point */
    uint8_t bits;       /* FLOAT: 32 or 64 */
};

const char *type_name(enum type t); /* "bool", "int", "decimal", ... as in engine documents */
bool type_from_name(const char *name, enum type *out);
enum storage type_storage(enum type t);

/* A column type with its parameters, as "decimal(15,2)", "float32", "string"; and back. */
size_t type_format(struct column_type t, char out[static 32]);
bool type_parse(const char *text, struct column_type *out);

/* FLOAT gets 64 bits, DECIMAL is unconstrained. */
struct column_type type_plain(enum type t);

/*
 * The least type that holds every value of both without loss. False when there is none: the
 * conflicts on purpose are bool/int, timestamp/timestamptz, date/timestamptz, bytes/string and
 * time/timestamp. Commutative, associative and idempotent where it is defined; a test asserts it.
 */
bool type_join(struct column_type a, struct column_type b, struct column_type *out);
bool type_equal(struct column_type a, struct column_type b);

#endif

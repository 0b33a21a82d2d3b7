/*
 * value.h - single values: canonical text to binary and back, for every logical type.
 *
 * The canonical text is what NDJSON, CSV, keys, positions and SQLite hold: decimals without
 * exponent and without superfluous zeros in front; floats in the shortest form that reads back,
 * "NaN", "Infinity", "-Infinity"; dates "YYYY-MM-DD" with a sign and more digits outside
 * 0000..9999; times "HH:MM:SS" with up to six decimals, trailing zeros dropped; timestamps with
 * 'T', instants with 'Z'; "infinity", "-infinity" for dates and timestamps; intervals ISO 8601
 * with a sign per field; UUIDs lower-case; bytes base64. Safe from any thread.
 */
#ifndef CONNECTORS_DATA_VALUE_H
#define CONNECTORS_DATA_VALUE_H

#include "connectors/base/buf.h"
#include "connectors/data/type.h"

#define VALUE_TEXT_BYTES 64 /* enough for every type that is not STORAGE_TEXT */

/* Why a cell or a row went to quarantine; the wire name is the lower-case enumerator. */
enum reason {
    REASON_PARSE,
    REASON_NULL_KEY,
    REASON_TYPE,
    REASON_OUT_OF_RANGE,
    REASON_ENCODING,
    REASON_NUL,
    REASON_RECORD_TOO_LARGE,
    REASON_SCHEMA_IGNORED,
    REASON_CONSTRAINT,
    REASON_DEST_REJECTED,
    REASON_DUPLICATE_KEY_IN_SOURCE,
    REASON_BAD_JSON_LINE,
    REASON_COUNT
};
const char *reason_name(enum reason r);

/*
 * Each reads exactly one value from all `n` bytes: true and *out, or false. Dates and times accept
 * what people write: 'T' or a blank, fractions up to nine digits if the last three are zero,
 * offsets as Z, +HH, +HHMM, +HH:MM[:SS]; impossible dates (2024-02-30) are refused.
 */
bool value_parse_bool(const char *s, size_t n, bool *out); /* true false t f 1 0 yes no, any case */
bool value_parse_float(const char *s, size_t n, double *out); /* also NaN, [+-]Infinity, [+-]inf */
bool value_parse_float32(const char *s, size_t n, double *out); /* rounded once, to 32 bits */
bool value_parse_date(const char *s, size_t n, int64_t *out_days);
bool value_parse_time(const char *s, size_t n, int64_t *out_us);
bool value_parse_timestamp(const char *s, size_t n, int64_t *out_us);     /* no zone allowed */
bool value_parse_timestamptz(const char *s, size_t n, int64_t *out_us);   /* a zone is required */
bool value_parse_interval(const char *s, size_t n, struct interval *out); /* ISO 8601 */
bool value_parse_uuid(const char *s, size_t n, unsigned char out[static 16]);
#define VALUE_US_PER_DAY INT64_C(86400000000)

/* The day since 1970 of a moment in microseconds, and how far it is into it. */
static inline int64_t value_split_us(int64_t us, int64_t *out_within)
{
    int64_t days = us / VALUE_US_PER_DAY;

    *out_within = us % VALUE_US_PER_DAY;
    if (*out_within < 0) {
        *out_within += VALUE_US_PER_DAY;
        days--;
    }
    return days;
}

/* A date in three numbers; false for one that is none, such as 2024-02-30 or 2024-00-00. */
bool value_days_from_date(int64_t year, unsigned month, unsigned day, int64_t *out);
/* The other way: returns the year. Every number of days is a date. */
int64_t value_date_from_days(int64_t days, unsigned *out_month, unsigned *out_day);
/* Appends the canonical form of a decimal in any notation: "1e3" gives "1000"; NaN and infinities
 * are kept as "NaN", "Infinity", "-Infinity". Exponents beyond +-20000 are refused. */
bool value_put_decimal(struct buf *out, const char *s, size_t n);
/* True when the n bytes are already canonical: digits, one point, an optional '-'. */
bool value_is_canonical_decimal(const char *s, size_t n);

/* The canonical text; return its length. `out` is not NUL-terminated for speed. */
size_t value_format_float(double v, unsigned bits, char out[static VALUE_TEXT_BYTES]);
size_t value_format_date(int64_t days, char out[static VALUE_TEXT_BYTES]);
size_t value_format_time(int64_t us, char out[static VALUE_TEXT_BYTES]);
size_t value_format_timestamp(int64_t us, char out[static VALUE_TEXT_BYTES]);
size_t value_format_timestamptz(int64_t us, char out[static VALUE_TEXT_BYTES]);
size_t value_format_interval(struct interval v, char out[static VALUE_TEXT_BYTES]);
size_t value_format_uuid(const unsigned char v[static 16], char out[static VALUE_TEXT_BYTES]);

/* -1, 0, 1 as numbers, for canonical decimals of any length. */
int value_compare_decimal(struct slice a, struct slice b);

/* Whether `n` bytes are exactly one RFC 8259 value. */
bool value_is_json(const char *s, size_t n);

#endif

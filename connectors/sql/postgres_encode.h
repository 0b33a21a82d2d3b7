/*
 * postgres_encode.h - single values in PostgreSQL's binary format, their length in front.
 *
 * Each returns false when the column cannot hold the value as it is. Inline, because a batch of
 * rows is millions of them.
 */
#ifndef CONNECTORS_SQL_POSTGRES_ENCODE_H
#define CONNECTORS_SQL_POSTGRES_ENCODE_H

#include <endian.h>
#include <math.h>

#include "connectors/sql/postgres_binary.h"

/* PostgreSQL counts from 2000-01-01, and keeps days and microseconds between these two. */
#define ENCODE_EPOCH_DAYS 10957
#define ENCODE_EPOCH_US   946684800000000
#define ENCODE_MIN_DAY    (-2451545) /* since 2000: 4714-11-24 BC */
#define ENCODE_END_DAY    2145031949 /* 5874898-01-01 */
#define ENCODE_MIN_US     (-211813488000000000)
#define ENCODE_END_US     9223371331200000000 /* 294277-01-01 */
#define ENCODE_DAY_US     86400000000

static inline void store16(char *at, uint16_t v)
{
    v = htobe16(v);
    memcpy(at, &v, sizeof v);
}
static inline void store32(char *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof v);
}
static inline void store64(char *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, sizeof v);
}

/* Room for `n` bytes, at most the size of the buffer; advance `at` yourself. */
static inline char *postgres_out_room(struct postgres_out *o, size_t n)
{
    if ((size_t)(o->end - o->at) < n)
        postgres_out_flush(o);
    return o->at;
}

static inline void postgres_encode_null(struct postgres_out *o)
{
    store32(postgres_out_room(o, 4), UINT32_MAX);
    o->at += 4;
}

static inline bool postgres_encode_8_bytes(struct postgres_out *o, uint64_t v)
{
    char *at = postgres_out_room(o, 12);

    store32(at, 8);
    store64(at + 4, v);
    o->at += 12;
    return true;
}

static inline bool postgres_encode_4_bytes(struct postgres_out *o, uint32_t v)
{
    store64(postgres_out_room(o, 8), (uint64_t)4 << 32 | v);
    o->at += 8;
    return true;
}

static inline bool postgres_encode_bool(struct postgres_out *o, bool v)
{
    char *at = postgres_out_room(o, 5);

    store32(at, 1);
    at[4] = v;
    o->at += 5;
    return true;
}

static inline bool postgres_encode_int8(struct postgres_out *o, int64_t v)
{
    return postgres_encode_8_bytes(o, (uint64_t)v);
}

static inline bool postgres_encode_int4(struct postgres_out *o, int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX && postgres_encode_4_bytes(o, (uint32_t)v);
}

static inline bool postgres_encode_int2(struct postgres_out *o, int64_t v)
{
    char *at = postgres_out_room(o, 6);

    if (v < INT16_MIN || v > INT16_MAX)
        return false;
    store32(at, 2);
    store16(at + 4, (uint16_t)v);
    o->at += 6;
    return true;
}

static inline bool postgres_encode_float8(struct postgres_out *o, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return postgres_encode_8_bytes(o, bits);
}

static inline bool postgres_is_float4(double v)
{
    return (double)(float)v == v || isnan(v);
}

static inline bool postgres_encode_float4(struct postgres_out *o, double v)
{
    float f = (float)v;
    uint32_t bits;

    if (!postgres_is_float4(v))
        return false;
    memcpy(&bits, &f, sizeof bits);
    return postgres_encode_4_bytes(o, bits);
}

static inline bool postgres_encode_date(struct postgres_out *o, int64_t days)
{
    if (days == VALUE_INFINITY)
        return postgres_encode_4_bytes(o, (uint32_t)INT32_MAX);
    if (days == VALUE_MINUS_INFINITY)
        return postgres_encode_4_bytes(o, (uint32_t)INT32_MIN);
    if (days < ENCODE_MIN_DAY + ENCODE_EPOCH_DAYS ||
        days >= ENCODE_END_DAY + (int64_t)ENCODE_EPOCH_DAYS)
        return false;
    return postgres_encode_4_bytes(o, (uint32_t)(days - ENCODE_EPOCH_DAYS));
}

static inline bool postgres_encode_time(struct postgres_out *o, int64_t us, int64_t grain)
{
    if (us < 0 || us > ENCODE_DAY_US || (grain > 1 && us % grain != 0))
        return false;
    return postgres_encode_8_bytes(o, (uint64_t)us);
}

/* With and without a zone: both count microseconds. */
static inline bool postgres_encode_timestamp(struct postgres_out *o, int64_t us, int64_t grain)
{
    if (us == VALUE_INFINITY || us == VALUE_MINUS_INFINITY)
        return postgres_encode_8_bytes(o, (uint64_t)us);
    if (us < ENCODE_MIN_US + ENCODE_EPOCH_US || us - ENCODE_EPOCH_US >= ENCODE_END_US ||
        (grain > 1 && us % grain != 0))
        return false;
    return postgres_encode_8_bytes(o, (uint64_t)(us - ENCODE_EPOCH_US));
}

static inline bool postgres_encode_interval(struct postgres_out *o, struct interval v,
                                            int64_t grain)
{
    char *at = postgres_out_room(o, 20);

    if (grain > 1 && v.micros % grain != 0)
        return false;
    store32(at, 16);
    store64(at + 4, (uint64_t)v.micros);
    store32(at + 12, (uint32_t)v.days);
    store32(at + 16, (uint32_t)v.months);
    o->at += 20;
    return true;
}

static inline bool postgres_encode_uuid(struct postgres_out *o, const unsigned char v[static 16])
{
    char *at = postgres_out_room(o, 20);

    store32(at, 16);
    memcpy(at + 4, v, 16);
    o->at += 20;
    return true;
}

static inline void postgres_encode_bytes(struct postgres_out *o, const char *s, size_t n)
{
    char *at = postgres_out_room(o, 4);

    store32(at, (uint32_t)n);
    o->at += 4;
    if ((size_t)(o->end - o->at) >= n) {
        memcpy(o->at, s, n);
        o->at += n;
        return;
    }
    postgres_out_put(o, s, n);
}

/* jsonb begins with the number of its version. */
static inline void postgres_encode_jsonb(struct postgres_out *o, const char *s, size_t n)
{
    char *at = postgres_out_room(o, 5);

    store32(at, (uint32_t)n + 1);
    at[4] = 1;
    o->at += 5;
    postgres_out_put(o, s, n);
}

/* At most `max` characters, 0 = any number. Behind them blanks would be cut off in silence. */
static inline bool postgres_text_fits(const char *s, size_t n, size_t max)
{
    size_t chars = 0;

    if (max == 0 || n <= max)
        return true;
    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)s[i] & 0xC0) != 0x80;
    return chars <= max;
}

/* What a column keeps: the smallest step of a time in microseconds, the characters of a text. */
int64_t postgres_grain(struct postgres_target t);
size_t postgres_max_chars(struct postgres_target t);

#endif

#include "connectors/sql/postgres_binary.h"

#include <math.h>

#include "connectors/base/text.h"
#include "connectors/sql/postgres_encode.h"

/* Cells from here on are not worth copying. The library copies each piece once more and keeps room
 * for the largest. */
#define LARGE_CELL ((size_t)32 << 10)
#define PIECE      ((size_t)64 << 10)

void postgres_out_flush(struct postgres_out *o)
{
    if (!o->failed && o->at > o->start &&
        o->flush(o->arg, o->start, (size_t)(o->at - o->start)) < 0)
        o->failed = true;
    o->at = o->start;
}

void postgres_out_put(struct postgres_out *o, const char *s, size_t n)
{
    if (n < LARGE_CELL) {
        memcpy(postgres_out_room(o, n), s, n);
        o->at += n;
        return;
    }
    postgres_out_flush(o);
    for (size_t done = 0; done < n && !o->failed;) {
        size_t piece = n - done < PIECE ? n - done : PIECE;

        if (o->flush(o->arg, s + done, piece) < 0)
            o->failed = true;
        done += piece;
    }
}

/* ------------------------------------------------------------- numeric */

/* Header of a numeric: length, number of groups, weight of the first, sign, digits shown. */
#define NUMERIC_HEADER    12
#define NUMERIC_MINUS     0x4000
#define NUMERIC_NAN       0xC000
#define NUMERIC_INFINITY  0xD000
#define NUMERIC_MINUS_INF 0xF000
#define NUMERIC_MAX_SCALE 0x3FFF
/* More digits than the server takes, and few enough to have room for. */
#define NUMERIC_MAX_TEXT 150000

static void put_numeric_header(char *at, size_t groups, long weight, unsigned sign, size_t scale)
{
    store32(at, (uint32_t)(8 + 2 * groups));
    store16(at + 4, (uint16_t)groups);
    store16(at + 6, (uint16_t)(int16_t)weight);
    store16(at + 8, (uint16_t)sign);
    store16(at + 10, (uint16_t)scale);
}

static bool put_numeric_special(struct postgres_out *o, const char *s, size_t n)
{
    unsigned sign;

    if (n == 3 && memcmp(s, "NaN", 3) == 0)
        sign = NUMERIC_NAN;
    else if (n == 8 && memcmp(s, "Infinity", 8) == 0)
        sign = NUMERIC_INFINITY;
    else if (n == 9 && memcmp(s, "-Infinity", 9) == 0)
        sign = NUMERIC_MINUS_INF;
    else
        return false;
    put_numeric_header(postgres_out_room(o, NUMERIC_HEADER), 0, 0, sign, 0);
    o->at += NUMERIC_HEADER;
    return true;
}

static bool only_zeros(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '0')
            return false;
    }
    return true;
}

/* Of numeric(p,s); below zero when the last digits before the point are not kept either. */
static int32_t scale_of(int32_t typmod)
{
    return (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
}

/* numeric(p,s) keeps s digits behind the point, with a negative s none of the last ones before
 * it; the server would round. */
static bool scale_fits(const char *whole, size_t n_whole, const char *fraction, size_t n_fraction,
                       int32_t typmod)
{
    int32_t scale = scale_of(typmod);

    if (scale >= 0)
        return n_fraction <= (size_t)scale ||
               only_zeros(fraction + scale, n_fraction - (size_t)scale);
    return only_zeros(fraction, n_fraction) &&
           (n_whole <= (size_t)-scale ? only_zeros(whole, n_whole)
                                      : only_zeros(whole + n_whole + scale, (size_t)-scale));
}

/* Groups of four digits; *bad gathers what is no digit. */
static inline unsigned group_of(const char *s, unsigned *bad)
{
    unsigned a = (unsigned)(s[0] - '0'), b = (unsigned)(s[1] - '0');
    unsigned c = (unsigned)(s[2] - '0'), d = (unsigned)(s[3] - '0');

    *bad |= (unsigned)((a > 9) | (b > 9) | (c > 9) | (d > 9));
    return a * 1000 + b * 100 + c * 10 + d;
}

/* Fewer than four, zeros in front or behind. */
static unsigned short_group(const char *s, size_t n, bool behind, unsigned *bad)
{
    char digits[4] = {'0', '0', '0', '0'};

    memcpy(behind ? digits : digits + 4 - n, s, n);
    return group_of(digits, bad);
}

/* Digits that fit into 64 bits with room for three more, and the sign and point with them. */
#define SMALL_TEXT 16

/*
 * Most numerics are a few digits: as one number they are taken apart faster than digit by digit.
 * False, with nothing written, for all others and for those of more than max_scale decimals.
 */
static bool encode_small(struct postgres_out *o, const char *s, size_t n, int32_t max_scale)
{
    static const uint64_t padding[] = {1, 1000, 100, 10}; /* by the scale modulo 4 */
    bool negative = *s == '-';
    size_t point = n, scale, groups = 0;
    uint64_t v = 0;
    char *at;
    long weight;

    for (size_t i = negative; i < n; i++) {
        unsigned digit = (unsigned)(s[i] - '0');

        if (digit <= 9)
            v = v * 10 + digit;
        else if (s[i] == '.' && point == n)
            point = i;
        else
            return false;
    }
    scale = point < n ? n - point - 1 : 0;
    if ((int32_t)scale > max_scale || n == (size_t)negative + (point < n))
        return false;
    v *= padding[scale % 4];
    weight = -(long)((scale + 3) / 4) - 1;
    for (uint64_t rest = v; rest > 0; rest /= 10000)
        weight++;
    for (; v > 0 && v % 10000 == 0; v /= 10000)
        ;
    at = postgres_out_room(o, NUMERIC_HEADER + 2 * (SMALL_TEXT / 4 + 1));
    for (uint64_t rest = v; rest > 0; rest /= 10000)
        groups++;
    for (size_t i = groups; i > 0; i--, v /= 10000)
        store16(at + NUMERIC_HEADER + 2 * (i - 1), (uint16_t)(v % 10000));
    put_numeric_header(at, groups, groups ? weight : 0, negative && groups ? NUMERIC_MINUS : 0,
                       scale);
    o->at += NUMERIC_HEADER + 2 * groups;
    return true;
}

bool postgres_encode_numeric(struct postgres_out *o, const char *s, size_t n, int32_t typmod)
{
    bool negative = n > 0 && *s == '-';
    const char *whole = s + negative, *end = s + n, *point, *fraction;
    size_t n_whole, n_fraction, head;
    char *first, *at;
    unsigned bad = 0;
    long weight;

    if (n == 0 || n > NUMERIC_MAX_TEXT)
        return false;
    if (n <= SMALL_TEXT && encode_small(o, s, n, typmod < 4 ? NUMERIC_MAX_SCALE : scale_of(typmod)))
        return true;
    if (s[n - 1] > '9')
        return put_numeric_special(o, s, n);
    point = memchr(whole, '.', (size_t)(end - whole));
    fraction = point ? point + 1 : end;
    n_fraction = (size_t)(end - fraction);
    n_whole = (size_t)((point ? point : end) - whole);
    if (n_fraction > NUMERIC_MAX_SCALE || n_whole + n_fraction == 0 ||
        (typmod >= 4 && !scale_fits(whole, n_whole, fraction, n_fraction, typmod)))
        return false;
    for (; n_whole > 0 && *whole == '0'; n_whole--)
        whole++;
    weight = (long)((n_whole + 3) / 4) - 1;
    first = at = postgres_out_room(o, NUMERIC_HEADER + 2 * (n / 4 + 2)) + NUMERIC_HEADER;
    head = n_whole % 4;
    if (head > 0) {
        store16(at, (uint16_t)short_group(whole, head, false, &bad));
        at += 2;
    }
    for (size_t i = head; i < n_whole; i += 4, at += 2)
        store16(at, (uint16_t)group_of(whole + i, &bad));
    for (size_t i = 0, left = n_fraction; left > 0; i += 4) {
        size_t take = left < 4 ? left : 4;
        unsigned g =
            take == 4 ? group_of(fraction + i, &bad) : short_group(fraction + i, take, true, &bad);

        left -= take;
        if (g == 0 && at == first) {
            weight--;
            continue;
        }
        store16(at, (uint16_t)g);
        at += 2;
    }
    while (at > first && at[-1] == 0 && at[-2] == 0)
        at -= 2;
    if (at == first) {
        weight = 0;
        negative = false;
    }
    put_numeric_header(o->at, (size_t)(at - first) / 2, weight, negative ? NUMERIC_MINUS : 0,
                       n_fraction);
    o->at = at;
    return bad == 0;
}

/* ------------------------------------------------------------- from text */

static bool put_int_text(struct postgres_out *o, uint32_t oid, const char *s, size_t n)
{
    int64_t v;

    if (!text_to_int64(s, n, &v))
        return false;
    if (oid == POSTGRES_INT8)
        return postgres_encode_int8(o, v);
    return oid == POSTGRES_INT4 ? postgres_encode_int4(o, v) : postgres_encode_int2(o, v);
}

/* A float is the number that its shortest text says, or it is altered. */
static bool same_number(const char *s, size_t n, double v, unsigned bits)
{
    CLEANUP(buf_release) struct buf both = BUF_INIT(1 << 20);
    char shortest[VALUE_TEXT_BYTES];
    size_t cut;

    if (!isfinite(v))
        return s[n - 1] > '9'; /* and not a number beyond its range */
    if (!value_put_decimal(&both, s, n))
        return false;
    cut = both.len;
    if (!value_put_decimal(&both, shortest, value_format_float(v, bits, shortest)) || both.failed)
        return false;
    return value_compare_decimal((struct slice){both.data, cut},
                                 (struct slice){both.data + cut, both.len - cut}) == 0;
}

static bool put_float_text(struct postgres_out *o, uint32_t oid, const char *s, size_t n)
{
    unsigned bits = oid == POSTGRES_FLOAT4 ? 32 : 64;
    double v;

    if (n == 0 || !(bits == 32 ? value_parse_float32(s, n, &v) : value_parse_float(s, n, &v)) ||
        !same_number(s, n, v, bits))
        return false;
    return bits == 32 ? postgres_encode_float4(o, v) : postgres_encode_float8(o, v);
}

static bool put_decimal_text(struct postgres_out *o, int32_t typmod, const char *s, size_t n)
{
    CLEANUP(buf_release) struct buf canonical = BUF_INIT(1 << 20);

    if (value_is_canonical_decimal(s, n))
        return postgres_encode_numeric(o, s, n, typmod);
    return value_put_decimal(&canonical, s, n) && !canonical.failed &&
           postgres_encode_numeric(o, canonical.data, canonical.len, typmod);
}

static bool put_time_text(struct postgres_out *o, struct postgres_target t, const char *s, size_t n)
{
    int64_t grain = postgres_grain(t), v;

    switch (t.oid) {
    case POSTGRES_DATE:
        return value_parse_date(s, n, &v) && postgres_encode_date(o, v);
    case POSTGRES_TIME:
        return value_parse_time(s, n, &v) && postgres_encode_time(o, v, grain);
    case POSTGRES_TIMESTAMP:
        return value_parse_timestamp(s, n, &v) && postgres_encode_timestamp(o, v, grain);
    default:
        return value_parse_timestamptz(s, n, &v) && postgres_encode_timestamp(o, v, grain);
    }
}

int64_t postgres_grain(struct postgres_target t)
{
    static const int64_t grains[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int32_t digits = t.oid == POSTGRES_INTERVAL ? t.typmod & 0xFFFF : t.typmod;

    return t.typmod < 0 || digits > 6 || t.oid == POSTGRES_DATE ? 1 : grains[digits];
}

size_t postgres_max_chars(struct postgres_target t)
{
    bool counted = t.oid == POSTGRES_VARCHAR || t.oid == POSTGRES_BPCHAR;

    return counted && t.typmod > 4 ? (size_t)t.typmod - 4 : 0;
}

static bool put_bytea_text(struct postgres_out *o, const char *s, size_t n)
{
    CLEANUP(buf_release) struct buf raw = BUF_INIT(2 * BATCH_MAX_VALUE);

    if (!text_unbase64(&raw, s, n) || raw.failed)
        return false;
    postgres_encode_bytes(o, buf_str(&raw), raw.len);
    return true;
}

bool postgres_encode_text(struct postgres_out *o, struct postgres_target t, const char *s, size_t n)
{
    unsigned char uuid[16];
    struct interval span;
    bool truth;

    switch (t.oid) {
    case POSTGRES_BOOL:
        return value_parse_bool(s, n, &truth) && postgres_encode_bool(o, truth);
    case POSTGRES_INT2:
    case POSTGRES_INT4:
    case POSTGRES_INT8:
        return put_int_text(o, t.oid, s, n);
    case POSTGRES_FLOAT4:
    case POSTGRES_FLOAT8:
        return put_float_text(o, t.oid, s, n);
    case POSTGRES_NUMERIC:
        return put_decimal_text(o, t.typmod, s, n);
    case POSTGRES_DATE:
    case POSTGRES_TIME:
    case POSTGRES_TIMESTAMP:
    case POSTGRES_TIMESTAMPTZ:
        return put_time_text(o, t, s, n);
    case POSTGRES_INTERVAL:
        return value_parse_interval(s, n, &span) &&
               postgres_encode_interval(o, span, postgres_grain(t));
    case POSTGRES_UUID:
        return value_parse_uuid(s, n, uuid) && postgres_encode_uuid(o, uuid);
    case POSTGRES_BYTEA:
        return put_bytea_text(o, s, n);
    case POSTGRES_JSONB:
        postgres_encode_jsonb(o, s, n);
        return true;
    default:
        if (!postgres_text_fits(s, n, postgres_max_chars(t)))
            return false;
        postgres_encode_bytes(o, s, n);
        return true;
    }
}

bool postgres_knows_binary(uint32_t oid)
{
    static const uint32_t known[] = {
        POSTGRES_BOOL,     POSTGRES_BYTEA,     POSTGRES_INT8,        POSTGRES_INT2,
        POSTGRES_INT4,     POSTGRES_TEXT,      POSTGRES_JSON,        POSTGRES_FLOAT4,
        POSTGRES_FLOAT8,   POSTGRES_BPCHAR,    POSTGRES_VARCHAR,     POSTGRES_DATE,
        POSTGRES_TIME,     POSTGRES_TIMESTAMP, POSTGRES_TIMESTAMPTZ, POSTGRES_UUID,
        POSTGRES_INTERVAL, POSTGRES_NUMERIC,   POSTGRES_JSONB,
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == oid)
            return true;
    }
    return false;
}

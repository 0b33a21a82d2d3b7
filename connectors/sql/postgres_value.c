#include "connectors/sql/postgres_value.h"

#include <limits.h>

bool postgres_read_integer(enum postgres_form form, const char *p, size_t n, int64_t *out)
{
    if (form == POSTGRES_FORM_INT4 && n == 4) {
        *out = (int32_t)postgres_get32(p);
        return true;
    }
    if (form == POSTGRES_FORM_INT8 && n == 8) {
        *out = (int64_t)postgres_get64(p);
        return true;
    }
    if (form == POSTGRES_FORM_INT2 && n == 2) {
        *out = (int16_t)postgres_get16(p);
        return true;
    }
    if (form == POSTGRES_FORM_OID && n == 4) {
        *out = postgres_get32(p);
        return true;
    }
    if (form == POSTGRES_FORM_TIME && n == 8) {
        *out = (int64_t)postgres_get64(p);
        return *out >= 0 && *out <= VALUE_US_PER_DAY; /* 24:00:00 is one */
    }
    return false;
}

bool postgres_read_float(enum postgres_form form, const char *p, size_t n, double *out)
{
    uint64_t bits64;
    uint32_t bits32;
    float single;

    if (form == POSTGRES_FORM_FLOAT4 && n == 4) {
        bits32 = postgres_get32(p);
        memcpy(&single, &bits32, sizeof single);
        *out = (double)single;
        return true;
    }
    if (form == POSTGRES_FORM_FLOAT8 && n == 8) {
        bits64 = postgres_get64(p);
        memcpy(out, &bits64, sizeof *out);
        return true;
    }
    return false;
}

bool postgres_read_interval(const char *p, size_t n, struct interval *out, int *out_infinite)
{
    if (n != 16)
        return false;
    *out = (struct interval){
        .micros = (int64_t)postgres_get64(p),
        .days = (int32_t)postgres_get32(p + 8),
        .months = (int32_t)postgres_get32(p + 12),
    };
    *out_infinite = 0;
    if (out->micros == INT64_MAX && out->days == INT32_MAX && out->months == INT32_MAX)
        *out_infinite = 1;
    if (out->micros == INT64_MIN && out->days == INT32_MIN && out->months == INT32_MIN)
        *out_infinite = -1;
    return true;
}

/* ------------------------------------------------------------------ numeric */

#define BASE        10000
#define BASE_DIGITS 4
#define MAX_SCALE   0x3fff

static bool read_sign(unsigned sign, struct postgres_numeric *out)
{
    switch (sign) {
    case 0x0000:
        return true;
    case 0x4000:
        out->minus = true;
        return true;
    case 0xc000:
        out->special = "NaN";
        return true;
    case 0xd000:
        out->special = "Infinity";
        return true;
    case 0xf000:
        out->special = "-Infinity";
        return true;
    default:
        return false;
    }
}

bool postgres_read_numeric(const char *p, size_t n, struct postgres_numeric *out)
{
    if (n < 8)
        return false;
    *out = (struct postgres_numeric){
        .n_digits = postgres_get16(p),
        .weight = (int16_t)postgres_get16(p + 2),
        .scale = postgres_get16(p + 6),
        .digits = p + 8,
    };
    if (n != 8 + 2 * out->n_digits || out->scale > MAX_SCALE)
        return false;
    for (size_t i = 0; i < out->n_digits; i++) {
        if (postgres_get16(out->digits + 2 * i) >= BASE)
            return false;
    }
    return read_sign(postgres_get16(p + 4), out);
}

size_t postgres_numeric_max(const struct postgres_numeric *v)
{
    size_t whole = v->weight < 0 ? 1 : ((size_t)v->weight + 1) * BASE_DIGITS;

    return whole + v->scale + BASE_DIGITS + sizeof "-Infinity";
}

static unsigned digit(const struct postgres_numeric *v, int place)
{
    if (place < 0 || (size_t)place >= v->n_digits)
        return 0;
    return postgres_get16(v->digits + 2 * (size_t)place);
}

static void put_four(char *at, unsigned d)
{
    at[0] = (char)('0' + d / 1000);
    at[1] = (char)('0' + d / 100 % 10);
    at[2] = (char)('0' + d / 10 % 10);
    at[3] = (char)('0' + d % 10);
}

/* Without zeros in front. */
static char *put_first(char *at, unsigned d)
{
    char four[BASE_DIGITS];
    size_t skip = d >= 1000 ? 0 : d >= 100 ? 1 : d >= 10 ? 2 : 3;

    put_four(four, d);
    memcpy(at, four + skip, BASE_DIGITS - skip);
    return at + (BASE_DIGITS - skip);
}

static char *put_whole(const struct postgres_numeric *v, char *at)
{
    int place = 0;

    while (place <= v->weight && digit(v, place) == 0)
        place++;
    if (place > v->weight) {
        *at = '0';
        return at + 1;
    }
    at = put_first(at, digit(v, place));
    for (place++; place <= v->weight; place++, at += BASE_DIGITS)
        put_four(at, digit(v, place));
    return at;
}

static char *put_fraction(const struct postgres_numeric *v, char *at)
{
    char *end;

    if (v->scale == 0)
        return at;
    *at++ = '.';
    end = at + v->scale;
    /* The last four may go beyond the end, where room is left for them. */
    for (int place = v->weight + 1; at < end; place++, at += BASE_DIGITS)
        put_four(at, digit(v, place));
    return end;
}

static bool is_zero(const char *s, const char *end)
{
    while (s < end && (*s == '0' || *s == '.'))
        s++;
    return s == end;
}

size_t postgres_format_numeric(const struct postgres_numeric *v, char *out)
{
    char *end;

    if (v->special) {
        memcpy(out, v->special, strlen(v->special));
        return strlen(v->special);
    }
    *out = '-';
    end = put_fraction(v, put_whole(v, out + v->minus));
    /* There is no negative zero. */
    if (v->minus && is_zero(out + 1, end)) {
        memmove(out, out + 1, (size_t)(end - out) - 1);
        end--;
    }
    return (size_t)(end - out);
}

bool postgres_put_numeric(const char *p, size_t n, struct buf *out)
{
    struct postgres_numeric v;
    char *at;

    if (!postgres_read_numeric(p, n, &v))
        return false;
    at = buf_reserve(out, postgres_numeric_max(&v));
    if (!at)
        return false;
    out->len += postgres_format_numeric(&v, at);
    out->data[out->len] = '\0';
    return true;
}

/* -------------------------------------------------------------------- times */

/* By days and the rest of a day, since the last years the server knows are beyond 64 bits of
 * microseconds since 1970. */
size_t postgres_format_timestamp(enum postgres_form form, const char *p,
                                 char out[static VALUE_TEXT_BYTES])
{
    char time[VALUE_TEXT_BYTES];
    int64_t us, days, rest;
    size_t n, n_time;

    if (form == POSTGRES_FORM_DATE) {
        bool exact;

        return postgres_decode_cursor(form, p, 4, &days, &exact) ? value_format_date(days, out) : 0;
    }
    us = (int64_t)postgres_get64(p);
    if (us == VALUE_INFINITY || us == VALUE_MINUS_INFINITY)
        return value_format_timestamp(us, out);
    days = value_split_us(us, &rest);
    n = value_format_date(days + POSTGRES_EPOCH_DAYS, out);
    out[n++] = 'T';
    n_time = value_format_time(rest, time);
    memcpy(out + n, time, n_time);
    n += n_time;
    if (form == POSTGRES_FORM_TIMESTAMPTZ)
        out[n++] = 'Z';
    return n;
}

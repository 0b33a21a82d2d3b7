#include <string.h>

#include "connectors/base/text.h"
#include "connectors/data/value.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_HOUR   (60 * US_PER_MINUTE)

/* What an ISO 8601 duration may contain, in its order. */
static const struct field {
    char letter;
    bool time; /* stands behind the T */
    enum { MONTHS, DAYS, MICROS } part;
    int64_t factor;
} fields[] = {
    {'Y', false, MONTHS, 12},
    {'M', false, MONTHS, 1},
    {'W', false, DAYS, 7},
    {'D', false, DAYS, 1},
    {'H', true, MICROS, US_PER_HOUR},
    {'M', true, MICROS, US_PER_MINUTE},
    {'S', true, MICROS, US_PER_SECOND},
};
#define N_FIELDS (sizeof fields / sizeof *fields)

struct cursor {
    const char *at, *end;
};

static size_t digits(const struct cursor *c)
{
    const char *p = c->at;

    while (p < c->end && *p >= '0' && *p <= '9')
        p++;
    return (size_t)(p - c->at);
}

/* ".5" and the like: microseconds. More than six digits may follow only as zeros. */
static bool take_fraction(struct cursor *c, int64_t *out_us)
{
    int64_t unit = US_PER_SECOND / 10;
    size_t n;

    *out_us = 0;
    if (c->at == c->end || *c->at != '.')
        return true;
    c->at++;
    n = digits(c);
    if (!n || n > 9)
        return false;
    for (; n; n--, unit /= 10) {
        int digit = *c->at++ - '0';

        if (digit && !unit)
            return false;
        *out_us += digit * unit;
    }
    return true;
}

static bool add_scaled(int64_t *sum, int64_t v, int64_t factor)
{
    return !__builtin_mul_overflow(v, factor, &v) && !__builtin_add_overflow(*sum, v, sum);
}

/* One "[+-]n[.f]X"; *next is the first field that may still come. */
static bool take_field(struct cursor *c, bool minus, bool time, size_t *next, int64_t sums[3])
{
    bool negative = c->at < c->end && *c->at == '-';
    int64_t whole, us;
    const char *point;
    size_t n;

    c->at += negative || (c->at < c->end && *c->at == '+');
    n = digits(c);
    if (!n || !text_to_int64(c->at, n, &whole))
        return false;
    c->at += n;
    point = c->at;
    if (!take_fraction(c, &us) || c->at == c->end)
        return false;
    while (*next < N_FIELDS && (fields[*next].letter != *c->at || fields[*next].time != time))
        ++*next;
    if (*next == N_FIELDS || (point != c->at && fields[*next].letter != 'S'))
        return false;
    c->at++;
    if (negative != minus) {
        whole = -whole;
        us = -us;
    }
    return add_scaled(&sums[fields[*next].part], whole, fields[*next].factor) &&
           add_scaled(&sums[fields[(*next)++].part], us, 1);
}

bool value_parse_interval(const char *s, size_t n, struct interval *out)
{
    struct cursor c = {s, s + n};
    bool minus = n && *s == '-'; /* of the whole */
    bool time = false;
    int64_t sums[3] = {0};
    size_t next = 0, taken = 0;

    c.at += minus;
    if (c.at == c.end || *c.at++ != 'P')
        return false;
    for (; c.at < c.end; taken++) {
        if (!time && *c.at == 'T') {
            time = true;
            c.at++;
        }
        if (!take_field(&c, minus, time, &next, sums))
            return false;
    }
    if (!taken || sums[MONTHS] != (int32_t)sums[MONTHS] || sums[DAYS] != (int32_t)sums[DAYS])
        return false;
    *out = (struct interval){(int32_t)sums[MONTHS], (int32_t)sums[DAYS], sums[MICROS]};
    return true;
}

static size_t put_field(char *out, int64_t v, char letter)
{
    size_t n;

    if (!v)
        return 0;
    n = text_from_int64(v, out);
    out[n++] = letter;
    return n;
}

/* Seconds with their fraction; the sign is that of both. */
static size_t put_seconds(char *out, int64_t us)
{
    uint64_t magnitude = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    uint64_t fraction = magnitude % (uint64_t)US_PER_SECOND;
    size_t n = 0;

    if (!us)
        return 0;
    if (us < 0)
        out[n++] = '-';
    n += text_from_int64((int64_t)(magnitude / (uint64_t)US_PER_SECOND), out + n);
    if (fraction) {
        out[n++] = '.';
        for (uint64_t unit = US_PER_SECOND / 10; fraction; unit /= 10) {
            out[n++] = (char)('0' + fraction / unit);
            fraction %= unit;
        }
    }
    out[n++] = 'S';
    return n;
}

/* An interval of nothing still says something. */
static size_t put_zero(char *out)
{
    out[0] = 'T';
    out[1] = '0';
    out[2] = 'S';
    return 3;
}

size_t value_format_interval(struct interval v, char out[static VALUE_TEXT_BYTES])
{
    char clock[VALUE_TEXT_BYTES];
    size_t n = 1, m = 0;

    out[0] = 'P';
    n += put_field(out + n, v.months / 12, 'Y');
    n += put_field(out + n, v.months % 12, 'M');
    n += put_field(out + n, v.days, 'D');
    m += put_field(clock + m, v.micros / US_PER_HOUR, 'H');
    m += put_field(clock + m, v.micros % US_PER_HOUR / US_PER_MINUTE, 'M');
    m += put_seconds(clock + m, v.micros % US_PER_MINUTE);
    if (m) {
        out[n++] = 'T';
        memcpy(out + n, clock, m);
        n += m;
    } else if (n == 1) {
        n += put_zero(out + n);
    }
    return n;
}

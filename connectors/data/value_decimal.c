#include <math.h>
#include <string.h>

#include "connectors/data/value.h"

#define MAX_EXPONENT 20000

/* A decimal in any notation, taken apart without copying: the digits of both slices in a row, and
 * the place of the point among them, which may lie outside. */
struct decimal {
    bool negative;
    struct slice whole, fraction;
    int64_t point; /* digits in front of the point */
};

static size_t count_digits(const char *s, const char *end)
{
    const char *p = s;

    while (p < end && (unsigned char)(*p - '0') < 10)
        p++;
    return (size_t)(p - s);
}

static bool scan_exponent(const char *p, const char *end, int64_t *out)
{
    bool negative = p < end && *p == '-';
    int64_t e = 0;

    p += negative || (p < end && *p == '+');
    if (p == end)
        return false;
    for (; p < end; p++) {
        if ((unsigned char)(*p - '0') >= 10)
            return false;
        e = e * 10 + (*p - '0');
        if (e > MAX_EXPONENT)
            return false;
    }
    *out = negative ? -e : e;
    return true;
}

static bool scan(const char *s, size_t n, struct decimal *out)
{
    const char *p = s, *end = s + n;
    int64_t exponent = 0;

    *out = (struct decimal){.negative = n && *p == '-'};
    p += n && (*p == '-' || *p == '+');
    out->whole = (struct slice){p, count_digits(p, end)};
    p += out->whole.len;
    if (p < end && *p == '.') {
        p++;
        out->fraction = (struct slice){p, count_digits(p, end)};
        p += out->fraction.len;
    }
    if (!out->whole.len && !out->fraction.len)
        return false;
    if (p < end) {
        if ((*p != 'e' && *p != 'E') || !scan_exponent(p + 1, end, &exponent))
            return false;
    }
    out->point = (int64_t)out->whole.len + exponent;
    return true;
}

static void put_zeros(struct buf *out, size_t n)
{
    char *at = n ? buf_reserve(out, n) : NULL;

    if (!at)
        return;
    memset(at, '0', n);
    out->len += n;
    out->data[out->len] = '\0';
}

/* The digits [from, to) of both slices; what lies outside of them is zero. */
static void put_digits(struct buf *out, const struct decimal *d, int64_t from, int64_t to)
{
    int64_t whole = (int64_t)d->whole.len, n = whole + (int64_t)d->fraction.len;
    int64_t upto;

    if (from < 0 && from < to) {
        upto = to < 0 ? to : 0;
        put_zeros(out, (size_t)(upto - from));
        from = upto;
    }
    if (from < whole && from < to) {
        upto = to < whole ? to : whole;
        buf_put(out, d->whole.ptr + from, (size_t)(upto - from));
        from = upto;
    }
    if (from < n && from < to) {
        upto = to < n ? to : n;
        buf_put(out, d->fraction.ptr + (from - whole), (size_t)(upto - from));
        from = upto;
    }
    if (from < to)
        put_zeros(out, (size_t)(to - from));
}

/* The place of the first digit that is not zero, or the number of digits. */
static int64_t first_nonzero(const struct decimal *d)
{
    size_t i = 0;

    while (i < d->whole.len && d->whole.ptr[i] == '0')
        i++;
    if (i < d->whole.len)
        return (int64_t)i;
    for (i = 0; i < d->fraction.len && d->fraction.ptr[i] == '0'; i++)
        ;
    return (int64_t)(d->whole.len + i);
}

static bool put_special(struct buf *out, const char *s, size_t n)
{
    char text[VALUE_TEXT_BYTES];
    double v;

    if (!n || (unsigned char)(s[n - 1] - '0') < 10 || !value_parse_float(s, n, &v) || isfinite(v))
        return false;
    buf_put(out, text, value_format_float(v, 64, text));
    return true;
}

bool value_put_decimal(struct buf *out, const char *s, size_t n)
{
    struct decimal d;
    int64_t n_digits, first;

    if (value_is_canonical_decimal(s, n)) {
        buf_put(out, s, n);
        return true;
    }
    if (!scan(s, n, &d))
        return put_special(out, s, n);
    n_digits = (int64_t)(d.whole.len + d.fraction.len);
    first = first_nonzero(&d);
    /* A decimal has no negative zero. */
    if (d.negative && first < n_digits)
        buf_putc(out, '-');
    if (first < d.point && first < n_digits)
        put_digits(out, &d, first, d.point);
    else
        buf_putc(out, '0');
    if (d.point < n_digits) {
        buf_putc(out, '.');
        put_digits(out, &d, d.point, n_digits);
    }
    return true;
}

bool value_is_canonical_decimal(const char *s, size_t n)
{
    const char *p = s, *end = s + n;
    bool negative = n && *p == '-';
    size_t whole, fraction;
    bool zero;

    p += negative;
    whole = count_digits(p, end);
    if (!whole || (whole > 1 && *p == '0'))
        return false;
    zero = *p == '0';
    p += whole;
    if (p < end) {
        if (*p++ != '.')
            return false;
        fraction = count_digits(p, end);
        if (!fraction || p + fraction != end)
            return false;
        while (negative && zero && p < end)
            zero = *p++ == '0';
    }
    return !(negative && zero);
}

/* ----------------------------------------------------------------- comparing */

/* -Infinity, finite, Infinity, NaN: the order of PostgreSQL. */
static int rank(struct slice d)
{
    if (d.ptr[0] == 'N')
        return 2;
    if (d.ptr[0] == 'I')
        return 1;
    return d.len > 1 && d.ptr[1] == 'I' ? -1 : 0;
}

static int sign_of(int v)
{
    return (v > 0) - (v < 0);
}

static bool is_zero(struct slice d)
{
    for (size_t i = 0; i < d.len; i++) {
        if (d.ptr[i] != '0' && d.ptr[i] != '.')
            return false;
    }
    return true;
}

/* Both without sign: the longer whole part is larger, then digit by digit. */
static int compare_magnitudes(struct slice a, struct slice b)
{
    size_t whole_a = count_digits(a.ptr, a.ptr + a.len);
    size_t whole_b = count_digits(b.ptr, b.ptr + b.len);
    size_t common = a.len < b.len ? a.len : b.len;
    struct slice rest;
    int order;

    if (whole_a != whole_b)
        return whole_a < whole_b ? -1 : 1;
    order = memcmp(a.ptr, b.ptr, common);
    if (order || a.len == b.len)
        return sign_of(order);
    rest = a.len > b.len ? a : b;
    rest.ptr += common;
    rest.len -= common;
    if (is_zero(rest))
        return 0;
    return a.len > b.len ? 1 : -1;
}

int value_compare_decimal(struct slice a, struct slice b)
{
    bool minus_a = a.ptr[0] == '-', minus_b = b.ptr[0] == '-';

    if (rank(a) || rank(b))
        return sign_of(rank(a) - rank(b));
    if (minus_a != minus_b)
        return minus_a ? -1 : 1; /* canonical zero has no sign */
    a.ptr += minus_a;
    a.len -= minus_a;
    b.ptr += minus_b;
    b.len -= minus_b;
    return minus_a ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

#include "connectors/base/text.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

bool text_to_int64(const char *s, size_t n, int64_t *out)
{
    bool negative = n && s[0] == '-';
    int64_t v = 0;

    if (n == (size_t)negative)
        return false;
    for (size_t i = negative; i < n; i++) {
        int digit = s[i] - '0';

        if (digit < 0 || digit > 9)
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || (negative ? __builtin_sub_overflow(v, digit, &v)
                                                           : __builtin_add_overflow(v, digit, &v)))
            return false;
    }
    *out = v;
    return true;
}

bool text_to_double(const char *s, size_t n, double *out)
{
    char copy[512]; /* longer than any double needs; longer text is refused, not rounded twice */
    char *end;

    if (!n || n >= sizeof copy)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!strchr("0123456789+-.eE", s[i]) || !s[i])
            return false;
        copy[i] = s[i];
    }
    copy[n] = '\0';
    *out = strtod(copy, &end);
    return end == copy + n && isfinite(*out);
}

size_t text_from_int64(int64_t v, char out[static 24])
{
    char reversed[24];
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    size_t n = 0, len = 0;

    do {
        reversed[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        out[len++] = '-';
    while (n)
        out[len++] = reversed[--n];
    out[len] = '\0';
    return len;
}

/*
 * Most doubles in tables are short decimals. v * 10^s is then an integer below 2^53, and since
 * IEEE division is correctly rounded, integer / 10^s == v proves that the decimal reads back as v.
 */
static size_t short_decimal(double v, char out[static 32])
{
    static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
    double magnitude = fabs(v);

    for (unsigned s = 0; s < sizeof powers / sizeof *powers; s++) {
        double scaled = nearbyint(magnitude * powers[s]);
        char digits[24];
        size_t n, at = 0;

        if (scaled >= 9007199254740992.0)
            return 0;
        if (scaled / powers[s] != magnitude)
            continue;
        n = text_from_int64((int64_t)scaled, digits);
        if (signbit(v))
            out[at++] = '-';
        if (n <= s) {
            out[at++] = '0';
        } else {
            memcpy(out + at, digits, n - s);
            at += n - s;
        }
        if (s) {
            out[at++] = '.';
            for (size_t zeros = n < s ? s - n : 0; zeros; zeros--)
                out[at++] = '0';
            memcpy(out + at, digits + (n > s ? n - s : 0), n > s ? s : n);
            at += n > s ? s : n;
        }
        out[at] = '\0';
        return at;
    }
    return 0;
}

size_t text_from_double(double v, char out[static 32])
{
    size_t n = short_decimal(v, out);

    if (n)
        return n;
    /* 15 digits survive in every double, so fewer would be found as zeros at their end; only the
     * denormals have less precision than that. */
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        int len = snprintf(out, 32, "%.*g", digits, v);

        if (digits == 17 || strtod(out, NULL) == v)
            return (size_t)len;
    }
    return 0; /* not reached */
}

size_t text_from_float(float v, char out[static 32])
{
    for (int digits = fabsf(v) < FLT_MIN ? 1 : 6; digits <= 9; digits++) {
        int len = snprintf(out, 32, "%.*g", digits, (double)v);

        if (digits == 9 || strtof(out, NULL) == v)
            return (size_t)len;
    }
    return 0; /* not reached */
}

/* Bytes of the well-formed character at s, or 0. The table of Unicode 15, 3.9, D92. */
size_t text_utf8_char(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char c = s[0];
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf) {
        len = 2;
    } else if (c >= 0xe0 && c <= 0xef) {
        len = 3;
        low = c == 0xe0 ? 0xa0 : low;
        high = c == 0xed ? 0x9f : high;
    } else if (c >= 0xf0 && c <= 0xf4) {
        len = 4;
        low = c == 0xf0 ? 0x90 : low;
        high = c == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (n < len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* Bytes at the start that are all ASCII, eight at a time. */
static size_t ascii_prefix(const char *s, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t eight;

        memcpy(&eight, s + i, 8);
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < n && !(s[i] & 0x80))
        i++;
    return i;
}

bool text_is_utf8(const char *s, size_t n)
{
    size_t i = ascii_prefix(s, n);

    while (i < n) {
        size_t len = text_utf8_char(s + i, n - i);

        if (!len)
            return false;
        i += len;
        i += ascii_prefix(s + i, n - i);
    }
    return true;
}

size_t text_utf8_prefix(const char *s, size_t n, size_t max)
{
    if (n <= max)
        return n;
    while (max && ((unsigned char)s[max] & 0xc0) == 0x80)
        max--;
    return max;
}

void text_put_utf8(struct buf *out, const char *s, size_t n)
{
    size_t start = 0;

    for (size_t i = 0; i < n;) {
        size_t len = text_utf8_char(s + i, n - i);

        if (len) {
            i += len;
            continue;
        }
        buf_put(out, s + start, i - start);
        buf_puts(out, "\xef\xbf\xbd");
        start = ++i;
    }
    buf_put(out, s + start, n - start);
}

bool text_is_uuid(const char *s, size_t n)
{
    if (n != 36)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    }
    return true;
}

bool text_is_slug(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return n && n <= 63 && !s[n] && s[0] != '_' && s[0] != '-' && !text_is_uuid(s, n);
}

bool text_starts_with(const char *s, const char *prefix)
{
    return !strncmp(s, prefix, strlen(prefix));
}

void text_hex(const void *bytes, size_t n, char *out)
{
    sodium_bin2hex(out, 2 * n + 1, bytes, n);
}

void text_put_base64(struct buf *out, const void *bytes, size_t n)
{
    size_t len = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL); /* with the NUL */
    char *at = buf_reserve(out, len);

    if (!at)
        return;
    sodium_bin2base64(at, len, bytes, n, sodium_base64_VARIANT_ORIGINAL);
    out->len += len - 1;
}

bool text_unbase64(struct buf *out, const char *s, size_t n)
{
    char *at = buf_reserve(out, n / 4 * 3 + 3);
    unsigned char all = 0;
    size_t len = 0;
    bool ok;

    if (!at)
        return false;
    /* The library looks at seven bits of a byte. */
    for (size_t i = 0; i < n; i++)
        all |= (unsigned char)s[i];
    ok = all < 0x80 && !sodium_base642bin((unsigned char *)at, n / 4 * 3 + 3, s, n, NULL, &len,
                                          NULL, sodium_base64_VARIANT_ORIGINAL);
    if (ok)
        out->len += len;
    out->data[out->len] = '\0'; /* a failed attempt has written behind the end */
    return ok;
}

bool text_unhex(struct buf *out, const char *s, size_t n)
{
    char *at = buf_reserve(out, n / 2 + 1);
    size_t len = 0;
    bool ok;

    if (!at)
        return false;
    ok = !sodium_hex2bin((unsigned char *)at, n / 2, s, n, NULL, &len, NULL) && 2 * len == n;
    if (ok)
        out->len += len;
    out->data[out->len] = '\0'; /* as above */
    return ok;
}

static bool scaled(const char *s, const char *const *units, const int64_t *factors, int64_t *out)
{
    size_t digits = strspn(s, "0123456789");

    if (!text_to_int64(s, digits, out))
        return false;
    for (size_t i = 0; units[i]; i++) {
        if (!strcmp(s + digits, units[i]))
            return !__builtin_mul_overflow(*out, factors[i], out);
    }
    return false;
}

bool text_to_duration_ms(const char *s, int64_t *out_ms)
{
    static const char *const units[] = {"ms", "s", "m", "h", "d", NULL};
    static const int64_t factors[] = {1, 1000, 60000, 3600000, 86400000};

    return scaled(s, units, factors, out_ms);
}

bool text_to_bytes(const char *s, int64_t *out_bytes)
{
    static const char *const units[] = {"", "B", "KiB", "MiB", "GiB", NULL};
    static const int64_t factors[] = {1, 1, 1 << 10, 1 << 20, 1 << 30};

    return scaled(s, units, factors, out_bytes);
}

#include "connectors/data/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/arena.h"
#include "connectors/base/jsonread.h"
#include "connectors/base/text.h"

const char *reason_name(enum reason r)
{
    static const char *const names[REASON_COUNT] = {
        [REASON_PARSE] = "parse",
        [REASON_NULL_KEY] = "null_key",
        [REASON_TYPE] = "type",
        [REASON_OUT_OF_RANGE] = "out_of_range",
        [REASON_ENCODING] = "encoding",
        [REASON_NUL] = "nul",
        [REASON_RECORD_TOO_LARGE] = "record_too_large",
        [REASON_SCHEMA_IGNORED] = "schema_ignored",
        [REASON_CONSTRAINT] = "constraint",
        [REASON_DEST_REJECTED] = "dest_rejected",
        [REASON_DUPLICATE_KEY_IN_SOURCE] = "duplicate_key_in_source",
        [REASON_BAD_JSON_LINE] = "bad_json_line",
    };

    return names[r];
}

static bool is_word(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && !strncasecmp(s, word, n);
}

bool value_parse_bool(const char *s, size_t n, bool *out)
{
    static const char *const words[] = {"true", "t", "1", "yes", "false", "f", "0", "no"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (is_word(s, n, words[i])) {
            *out = i < 4;
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------------- float */

static bool parse_special(const char *s, size_t n, double *out)
{
    bool sign = n && (s[0] == '-' || s[0] == '+');

    if (is_word(s + sign, n - sign, "inf") || is_word(s + sign, n - sign, "infinity"))
        *out = s[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    else if (is_word(s, n, "nan"))
        *out = (double)NAN;
    else
        return false;
    return true;
}

/* A number taken apart: 19 digits always fit. */
struct number {
    uint64_t digits;
    int exponent; /* of ten */
    bool negative, nonzero;
    bool exact; /* nothing was left out of `digits` and `exponent` */
};

/* Takes the digits from *at on; false when there is none. */
static bool take_digits(const char *s, size_t n, size_t *at, struct number *out, bool fraction)
{
    size_t i = *at;

    for (; i < n && s[i] >= '0' && s[i] <= '9'; i++) {
        out->nonzero |= s[i] != '0';
        if (out->digits >= UINT64_C(1000000000000000000)) {
            out->exact = false;
            continue;
        }
        out->digits = out->digits * 10 + (uint64_t)(s[i] - '0');
        out->exponent -= fraction;
    }
    if (i == *at)
        return false;
    *at = i;
    return true;
}

static bool take_exponent(const char *s, size_t n, size_t *at, struct number *out)
{
    size_t i = *at + 1;
    bool negative = i < n && s[i] == '-';
    int e = 0;

    i += negative || (i < n && s[i] == '+');
    if (i == n)
        return false;
    for (; i < n && s[i] >= '0' && s[i] <= '9'; i++)
        e = e < 100000 ? e * 10 + (s[i] - '0') : e;
    out->exponent += negative ? -e : e;
    *at = i;
    return true;
}

/* The whole text as [+-] digits [. digits] [e digits], with a digit on one side of the point. */
static bool scan_number(const char *s, size_t n, struct number *out)
{
    size_t i = n && (s[0] == '-' || s[0] == '+');
    bool any;

    *out = (struct number){.negative = n && s[0] == '-', .exact = true};
    any = take_digits(s, n, &i, out, false);
    if (i < n && s[i] == '.') {
        i++;
        any |= take_digits(s, n, &i, out, true);
    }
    if (any && i < n && (s[i] == 'e' || s[i] == 'E') &&
        !(take_exponent(s, n, &i, out) && s[i - 1] >= '0' && s[i - 1] <= '9'))
        return false;
    return any && i == n;
}

/* The C library rounds correctly, whatever the length; it wants a NUL. */
static double convert(const char *s, size_t n, bool single)
{
    char small[64];
    char *copy = n < sizeof small ? small : xalloc(n + 1);
    double v;

    memcpy(copy, s, n);
    copy[n] = '\0';
    v = single ? (double)strtof(copy, NULL) : strtod(copy, NULL);
    if (copy != small)
        free(copy);
    return v;
}

/*
 * When digits and power of ten are both exact as doubles, one multiplication or division rounds
 * once, as IEEE 754 wants it (Clinger 1990): nearly every number in a file.
 */
static bool convert_small(const struct number *v, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double d = (double)v->digits;

    if (!v->exact || v->digits > UINT64_C(1) << 53 || v->exponent < -22 || v->exponent > 22)
        return false;
    d = v->exponent < 0 ? d / powers[-v->exponent] : d * powers[v->exponent];
    *out = v->negative ? -d : d;
    return true;
}

/* Overflow, and underflow to nothing, would alter the value beyond rounding: refused. */
static bool in_range(const struct number *number, double v)
{
    return isfinite(v) && (v != 0 || !number->nonzero);
}

bool value_parse_float(const char *s, size_t n, double *out)
{
    struct number number;

    if (!scan_number(s, n, &number))
        return parse_special(s, n, out);
    if (convert_small(&number, out))
        return true;
    *out = convert(s, n, false);
    return in_range(&number, *out);
}

bool value_parse_float32(const char *s, size_t n, double *out)
{
    struct number number;

    if (!scan_number(s, n, &number))
        return parse_special(s, n, out);
    *out = convert(s, n, true);
    return in_range(&number, *out);
}

size_t value_format_float(double v, unsigned bits, char out[static VALUE_TEXT_BYTES])
{
    const char *special = isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";

    if (isfinite(v))
        return bits == 32 ? text_from_float((float)v, out) : text_from_double(v, out);
    memcpy(out, special, strlen(special) + 1);
    return strlen(special);
}

/* ----------------------------------------------------------------------- uuid */

/* The digit plus one, so that 0 means none. */
static const unsigned char hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool value_parse_uuid(const char *s, size_t n, unsigned char out[static 16])
{
    bool good = n == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-';

    for (size_t i = 0, at = 0; good && i < 16; i++, at += 2) {
        unsigned high, low;

        at += i == 4 || i == 6 || i == 8 || i == 10;
        high = hex_digits[(unsigned char)s[at]];
        low = hex_digits[(unsigned char)s[at + 1]];
        good = high && low;
        out[i] = (unsigned char)((high - 1) << 4 | (low - 1));
    }
    return good;
}

size_t value_format_uuid(const unsigned char v[static 16], char out[static VALUE_TEXT_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = hex[v[i] >> 4];
        out[at++] = hex[v[i] & 15];
    }
    return at;
}

/* ----------------------------------------------------------------------- json */

bool value_is_json(const char *s, size_t n)
{
    enum jsonread_token token = JSONREAD_NULL;
    struct error err = ERROR_INIT;
    struct jsonread r;
    bool ok = true;

    jsonread_init(&r);
    jsonread_start(&r, s, n);
    while (ok && token != JSONREAD_END)
        ok = !jsonread_next(&r, &token, &err);
    jsonread_release(&r);
    return ok;
}

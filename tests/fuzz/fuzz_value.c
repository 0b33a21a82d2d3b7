/*
 * Values: the first byte chooses the type, the rest is a text. What parses is written in a
 * canonical form that reads back as the same value and is written in the same form again.
 */
#include <math.h>
#include <string.h>

#include "connectors/data/value.h"
#include "tests/fuzz/fuzz.h"

#define MAX_DECIMAL ((size_t)1 << 24)

typedef bool parse_fn(const char *s, size_t n, int64_t *out);
typedef size_t format_fn(int64_t v, char *out);

static void check_number(const char *s, size_t n, parse_fn *parse, format_fn *format)
{
    char text[VALUE_TEXT_BYTES], twice[VALUE_TEXT_BYTES];
    int64_t v, again;
    size_t len;

    if (!parse(s, n, &v))
        return;
    len = format(v, text);
    MUST(len <= sizeof text);
    MUST(parse(text, len, &again) && again == v);
    MUST(format(again, twice) == len && !memcmp(text, twice, len));
}

static void check_float(const char *s, size_t n, unsigned bits)
{
    char text[VALUE_TEXT_BYTES];
    double v, again;
    size_t len;

    if (!(bits == 32 ? value_parse_float32(s, n, &v) : value_parse_float(s, n, &v)))
        return;
    MUST(bits == 64 || isnan(v) || (double)(float)v == v);
    len = value_format_float(v, bits, text);
    MUST(bits == 32 ? value_parse_float32(text, len, &again)
                    : value_parse_float(text, len, &again));
    MUST(isnan(v) ? isnan(again) : !memcmp(&v, &again, sizeof v));
}

static void check_interval(const char *s, size_t n)
{
    char text[VALUE_TEXT_BYTES];
    struct interval v, again;
    size_t len;

    if (!value_parse_interval(s, n, &v))
        return;
    len = value_format_interval(v, text);
    MUST(len <= sizeof text && value_parse_interval(text, len, &again));
    MUST(v.months == again.months && v.days == again.days && v.micros == again.micros);
}

static void check_uuid(const char *s, size_t n)
{
    char text[VALUE_TEXT_BYTES];
    unsigned char v[16], again[16];

    if (!value_parse_uuid(s, n, v))
        return;
    MUST(value_parse_uuid(text, value_format_uuid(v, text), again));
    MUST(!memcmp(v, again, 16));
}

/* A double reads the same number from both notations, as long as it is one. */
static void check_same_double(const char *s, size_t n, const struct buf *canonical)
{
    double a, b;

    if (!value_parse_float(s, n, &a) || isnan(a))
        return;
    MUST(value_parse_float(canonical->data, canonical->len, &b));
    MUST(a == b);
}

static void check_decimal(const char *s, size_t n)
{
    struct buf once = BUF_INIT(MAX_DECIMAL), twice = BUF_INIT(MAX_DECIMAL);
    struct slice a;
    double special;

    if (!value_put_decimal(&once, s, n)) {
        MUST(once.len == 0);
        return;
    }
    MUST(value_put_decimal(&twice, once.data, once.len));
    MUST(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
    a = (struct slice){once.data, once.len};
    MUST(value_compare_decimal(a, a) == 0);
    MUST(value_is_canonical_decimal(once.data, once.len) ||
         (value_parse_float(once.data, once.len, &special) && !isfinite(special)));
    check_same_double(s, n, &once);
    buf_release(&once);
    buf_release(&twice);
}

/* The text in two halves, as two decimals: the order is the same from both sides. */
static void check_order(const char *s, size_t n)
{
    struct buf a = BUF_INIT(MAX_DECIMAL), b = BUF_INIT(MAX_DECIMAL);

    if (value_put_decimal(&a, s, n / 2) && value_put_decimal(&b, s + n / 2, n - n / 2)) {
        struct slice x = {a.data, a.len}, y = {b.data, b.len};

        MUST(value_compare_decimal(x, y) == -value_compare_decimal(y, x));
    }
    buf_release(&a);
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data + 1;
    size_t n = size - 1;
    bool b;

    if (!size)
        return 0;
    switch (data[0] % 11) {
    case 0:
        check_number(s, n, value_parse_date, value_format_date);
        break;
    case 1:
        check_number(s, n, value_parse_time, value_format_time);
        break;
    case 2:
        check_number(s, n, value_parse_timestamp, value_format_timestamp);
        break;
    case 3:
        check_number(s, n, value_parse_timestamptz, value_format_timestamptz);
        break;
    case 4:
        check_interval(s, n);
        break;
    case 5:
        check_uuid(s, n);
        break;
    case 6:
        check_float(s, n, 64);
        break;
    case 7:
        check_float(s, n, 32);
        break;
    case 8:
        check_decimal(s, n);
        break;
    case 9:
        check_order(s, n);
        break;
    default:
        (void)value_parse_bool(s, n, &b);
        break;
    }
    return 0;
}

/* Text into cells and cells into text and keys; the layout is the secret of batch.c. */
#include <math.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/data/batch.h"
#include "connectors/data/batch_scratch.h"

static size_t digits(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i;
}

/* A number in decimal or exponent notation, whatever its size. */
static bool is_number(const char *s, size_t n)
{
    size_t i = n && (s[0] == '-' || s[0] == '+');
    size_t whole = digits(s + i, n - i), fraction = 0;

    i += whole;
    if (i < n && s[i] == '.') {
        fraction = digits(s + i + 1, n - i - 1);
        i += 1 + fraction;
    }
    if (i < n && whole + fraction && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        i += i < n && (s[i] == '-' || s[i] == '+');
        whole = digits(s + i, n - i);
        fraction = 0;
        i += whole;
    }
    return i == n && whole + fraction;
}

/* A number that the type cannot hold is told apart from what is no number. */
static enum reason why_not(const char *s, size_t n)
{
    return is_number(s, n) ? REASON_OUT_OF_RANGE : REASON_PARSE;
}

/* "1.0" and "1e3" are integers too; "1.5" is none. */
static void put_int(struct batch *b, size_t column, const char *s, size_t n)
{
    struct buf *exact;
    const char *point;
    size_t whole;
    int64_t v;

    if (text_to_int64(s, n, &v)) {
        batch_put_int64(b, column, v);
        return;
    }
    exact = batch_scratch(b);
    if (!value_put_decimal(exact, s, n) || exact->failed) {
        batch_put_odd(b, column, why_not(s, n), s, n);
        return;
    }
    point = memchr(exact->data, '.', exact->len);
    whole = point ? (size_t)(point - exact->data) : exact->len;
    if (point && strspn(point + 1, "0") != exact->len - whole - 1)
        batch_put_odd(b, column, REASON_PARSE, s, n);
    else if (text_to_int64(exact->data, whole, &v))
        batch_put_int64(b, column, v);
    else
        batch_put_odd(b, column, why_not(s, n), s, n);
}

static void put_decimal(struct batch *b, size_t column, const char *s, size_t n)
{
    struct buf *canonical;

    if (value_is_canonical_decimal(s, n)) {
        batch_put_text(b, column, s, n);
        return;
    }
    canonical = batch_scratch(b);
    if (value_put_decimal(canonical, s, n) && !canonical->failed)
        batch_put_text(b, column, canonical->data, canonical->len);
    else
        batch_put_odd(b, column, why_not(s, n), s, n);
}

static void put_float(struct batch *b, size_t column, const char *s, size_t n)
{
    bool single = batch_schema(b)->columns[column].type.bits == 32;
    double v;

    if (single ? value_parse_float32(s, n, &v) : value_parse_float(s, n, &v))
        batch_put_double(b, column, v);
    else
        batch_put_odd(b, column, why_not(s, n), s, n);
}

static void put_base64(struct batch *b, size_t column, const char *s, size_t n)
{
    struct buf *raw = batch_scratch(b);

    if (n / 4 * 3 > BATCH_MAX_VALUE)
        batch_put_odd(b, column, REASON_RECORD_TOO_LARGE, s, n);
    else if (text_unbase64(raw, s, n))
        batch_put_text(b, column, raw->data, raw->len);
    else
        batch_put_odd(b, column, REASON_PARSE, s, n);
}

static void put_json(struct batch *b, size_t column, const char *s, size_t n)
{
    if (n > BATCH_MAX_VALUE || value_is_json(s, n))
        batch_put_text(b, column, s, n);
    else
        batch_put_odd(b, column, REASON_PARSE, s, n);
}

static bool put_uuid(struct batch *b, size_t column, const char *s, size_t n)
{
    unsigned char v[16];

    if (!value_parse_uuid(s, n, v))
        return false;
    batch_put_uuid(b, column, v);
    return true;
}

static bool put_interval(struct batch *b, size_t column, const char *s, size_t n)
{
    struct interval v;

    if (!value_parse_interval(s, n, &v))
        return false;
    batch_put_interval(b, column, v);
    return true;
}

static bool put_bool(struct batch *b, size_t column, const char *s, size_t n)
{
    bool v;

    if (!value_parse_bool(s, n, &v))
        return false;
    batch_put_bool(b, column, v);
    return true;
}

static bool put_when(struct batch *b, size_t column, const char *s, size_t n,
                     bool (*parse)(const char *, size_t, int64_t *))
{
    int64_t v;

    if (!parse(s, n, &v))
        return false;
    batch_put_int64(b, column, v);
    return true;
}

void batch_put_parsed(struct batch *b, size_t column, const char *s, size_t n)
{
    bool parsed = true;

    switch (batch_schema(b)->columns[column].type.type) {
    case TYPE_BOOL:
        parsed = put_bool(b, column, s, n);
        break;
    case TYPE_INT:
        put_int(b, column, s, n);
        break;
    case TYPE_DECIMAL:
        put_decimal(b, column, s, n);
        break;
    case TYPE_FLOAT:
        put_float(b, column, s, n);
        break;
    case TYPE_BYTES:
        put_base64(b, column, s, n);
        break;
    case TYPE_DATE:
        parsed = put_when(b, column, s, n, value_parse_date);
        break;
    case TYPE_TIME:
        parsed = put_when(b, column, s, n, value_parse_time);
        break;
    case TYPE_TIMESTAMP:
        parsed = put_when(b, column, s, n, value_parse_timestamp);
        break;
    case TYPE_TIMESTAMPTZ:
        parsed = put_when(b, column, s, n, value_parse_timestamptz);
        break;
    case TYPE_INTERVAL:
        parsed = put_interval(b, column, s, n);
        break;
    case TYPE_UUID:
        parsed = put_uuid(b, column, s, n);
        break;
    case TYPE_JSON:
        put_json(b, column, s, n);
        break;
    case TYPE_STRING:
    case TYPE_COUNT:
        batch_put_text(b, column, s, n);
        break;
    }
    if (!parsed)
        batch_put_odd(b, column, REASON_PARSE, s, n);
}

/* The canonical text of a cell that does not lie in the batch as text. */
static size_t format_cell(struct column_type type, const struct column_view *v, size_t row,
                          char out[static VALUE_TEXT_BYTES])
{
    struct interval interval;

    switch (type.type) {
    case TYPE_BOOL:
        memcpy(out, v->bools[row] ? "true" : "false", 5);
        return v->bools[row] ? 4 : 5;
    case TYPE_FLOAT:
        return value_format_float(v->doubles[row], type.bits, out);
    case TYPE_DATE:
        return value_format_date(v->ints[row], out);
    case TYPE_TIME:
        return value_format_time(v->ints[row], out);
    case TYPE_TIMESTAMP:
        return value_format_timestamp(v->ints[row], out);
    case TYPE_TIMESTAMPTZ:
        return value_format_timestamptz(v->ints[row], out);
    case TYPE_INTERVAL:
        memcpy(&interval, v->fixed[row], sizeof interval);
        return value_format_interval(interval, out);
    case TYPE_UUID:
        return value_format_uuid(v->fixed[row], out);
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_JSON:
    case TYPE_COUNT:
        break;
    }
    return text_from_int64(v->ints[row], out);
}

void batch_cell_text(const struct batch *b, size_t column, size_t row, struct buf *out)
{
    struct column_type type = batch_schema(b)->columns[column].type;
    struct column_view v = batch_column(b, column);
    char text[VALUE_TEXT_BYTES];
    struct slice bytes;

    if (v.storage != STORAGE_TEXT) {
        buf_put(out, text, format_cell(type, &v, row, text));
        return;
    }
    bytes = column_text(&v, row);
    if (type.type == TYPE_BYTES)
        text_put_base64(out, bytes.ptr, bytes.len);
    else
        buf_put(out, bytes.ptr, bytes.len);
}

/* 1.0 and 1.00 are the same key, and so are 1.0 and 1. */
static struct slice without_trailing_zeros(struct slice decimal)
{
    if (!memchr(decimal.ptr, '.', decimal.len))
        return decimal;
    while (decimal.ptr[decimal.len - 1] == '0')
        decimal.len--;
    if (decimal.ptr[decimal.len - 1] == '.')
        decimal.len--;
    return decimal;
}

static void put_key_part(struct buf *out, const char *s, size_t n)
{
    char length[24];
    size_t n_length = text_from_int64((int64_t)n, length);

    length[n_length++] = ':';
    buf_put(out, length, n_length);
    buf_put(out, s, n);
}

static bool is_nan(struct slice decimal)
{
    return decimal.len == 3 && decimal.ptr[0] == 'N';
}

static bool put_text_key(enum type type, struct slice text, struct buf *out)
{
    if (type == TYPE_DECIMAL) {
        if (is_nan(text))
            return false;
        text = without_trailing_zeros(text);
    }
    put_key_part(out, text.ptr, text.len);
    return true;
}

bool batch_key(const struct batch *b, size_t row, struct buf *out)
{
    const struct schema *schema = batch_schema(b);

    for (size_t i = 0; i < schema->n_key; i++) {
        struct column_type type = schema->columns[schema->key[i]].type;
        struct column_view v = batch_column(b, schema->key[i]);
        char text[VALUE_TEXT_BYTES];

        if (!column_has(&v, row))
            return false;
        if (type.type == TYPE_FLOAT && isnan(v.doubles[row]))
            return false;
        if (v.storage == STORAGE_TEXT) {
            if (!put_text_key(type.type, column_text(&v, row), out))
                return false;
        } else if (type.type == TYPE_FLOAT && v.doubles[row] == 0) {
            put_key_part(out, "0", 1); /* of either sign */
        } else {
            put_key_part(out, text, format_cell(type, &v, row, text));
        }
    }
    return true;
}

/*
 * Values that a column cannot hold. Looked at before rows are sent, since a database that refuses
 * one value refuses the whole batch, and one that does not refuse it alters it.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"
#include "connectors/sql/convert.h"
#include "connectors/sql/load.h"

#define SECOND_US 1000000

/* ------------------------------------------------------------------- JSON */

/* Hexadecimal digits of \uXXXX; -1 when they are none. */
static long code_unit(const char *s, const char *end)
{
    long v = 0;

    if (end - s < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* An escape at s, behind the backslash; its length, 0 when the dialect refuses it. *out_nul: it is
 * one of U+0000, which the dialect refuses and which will not stay. */
static size_t escape(const struct fit *f, const char *s, const char *end, bool *out_nul)
{
    const struct sql_dialect *d = f->dialect;
    long unit, low;

    if (s == end || *s != 'u')
        return 1;
    unit = code_unit(s + 1, end);
    if (unit == 0 && d->json_refuses_nul) {
        *out_nul = true;
        return f->nul == NUL_QUARANTINE ? 0 : 5;
    }
    if (unit < 0xD800 || unit > 0xDFFF || !d->json_refuses_surrogates)
        return 5;
    low = end - s > 6 && s[5] == '\\' && s[6] == 'u' ? code_unit(s + 7, end) : -1;
    return unit <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF ? 11 : 0;
}

/* Whether the string that ends before s is the name of a member. */
static bool is_name(const char *s, const char *end)
{
    while (s < end && strchr(" \t\r\n", *s))
        s++;
    return s < end && *s == ':';
}

/* Behind the string that begins at s; NULL when something in it is refused. Names are never
 * altered: two of them could become one. */
static const char *skip_string(const struct fit *f, const char *s, const char *end)
{
    bool nul = false;

    for (s++; s < end && *s != '"'; s++) {
        if (*s == '\\') {
            size_t n = escape(f, s + 1, end, &nul);

            if (n == 0)
                return NULL;
            s += n;
        }
    }
    return nul && is_name(s + 1, end) ? NULL : s + 1;
}

static bool is_of_number(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

/* The same for a number: its digits and its exponent have limits. */
static const char *skip_number(const struct sql_dialect *d, const char *s, const char *end)
{
    const char *first = s, *exponent = NULL;
    size_t value = 0;

    for (; s < end && is_of_number(*s); s++) {
        if (*s == 'e' || *s == 'E')
            exponent = s;
        else if (exponent && *s >= '0' && *s <= '9' && value <= d->json_exponent)
            value = value * 10 + (size_t)(*s - '0');
    }
    return value > d->json_exponent || (size_t)(s - first) > d->json_exponent ? NULL : s;
}

/* Of JSON that is well-formed. */
static bool json_fits(const struct fit *f, struct slice json)
{
    const struct sql_dialect *d = f->dialect;
    const char *s = json.ptr, *end = json.ptr + json.len;
    size_t depth = 0;

    while (s && s < end) {
        if (*s == '"') {
            s = skip_string(f, s, end);
        } else if (d->json_exponent > 0 && is_of_number(*s)) {
            s = skip_number(d, s, end);
        } else {
            depth += *s == '[' || *s == '{';
            depth -= *s == ']' || *s == '}';
            if (d->json_depth > 0 && depth > d->json_depth)
                return false;
            s++;
        }
    }
    return s != NULL;
}

/* ------------------------------------------------------------------- numbers */

/* Of canonical text: digits, one point, an optional minus; or a word. */
static bool decimal_fits(const struct fit *f, struct slice s)
{
    size_t whole, fraction, n = s.len > 0 && s.ptr[0] == '-' ? 1 : 0, first;
    int64_t since = f->dialect->decimal_infinity_since;
    const char *point;

    if (s.len > n && s.ptr[n] == 'N')
        return f->dialect->decimal_holds_nan &&
               (!f->to->declared || sql_read_type(f->dialect, f->to->declared).precision == 0 ||
                f->dialect->merge == SQL_MERGE_UPSERT);
    if (s.len > n && s.ptr[n] == 'I')
        return since > 0 && (f->version == 0 || f->version >= since) &&
               (!f->to->declared || sql_read_type(f->dialect, f->to->declared).precision == 0);
    if (!sql_decimal_room(f->dialect, f->to, &whole, &fraction))
        return true;
    for (first = n; first < s.len && s.ptr[first] == '0';)
        first++;
    point = memchr(s.ptr, '.', s.len);
    n = point ? (size_t)(point - s.ptr) : s.len;
    if (n > first && n - first > whole)
        return false;
    if (!point)
        return true;
    for (n = s.len; s.ptr[n - 1] == '0';)
        n--; /* zeros at the end are no digits that would get lost */
    return n <= (size_t)(point - s.ptr) + 1 || n - (size_t)(point - s.ptr) - 1 <= fraction;
}

static bool double_fits(const struct fit *f, double v)
{
    if (isnan(v))
        return f->dialect->float_holds_nan;
    if (isinf(v))
        return f->dialect->float_holds_infinity;
    if (f->to->declared && sql_read_type(f->dialect, f->to->declared).bits == 32)
        return fabs(v) <= 3.4028234663852886e38 && (double)(float)v == v;
    return true;
}

/* clang-format off */
/* Integers of others that are narrower than ours. */
static const struct {
    const char *name;
    int64_t min, max;
} narrow[] = {
    {"smallint",           INT16_MIN, INT16_MAX},
    {"integer",            INT32_MIN, INT32_MAX},
    {"int",                INT32_MIN, INT32_MAX},
    {"mediumint",          -8388608,  8388607},
    {"tinyint",            INT8_MIN,  INT8_MAX},
    {"smallint unsigned",  0,         UINT16_MAX},
    {"int unsigned",       0,         UINT32_MAX},
    {"mediumint unsigned", 0,         16777215},
    {"tinyint unsigned",   0,         UINT8_MAX},
    {"year",               1901,      2155},
};
/* clang-format on */

/* What a column takes at least and at most; both 0 = everything. */
static struct sql_range range_of(const struct fit *f)
{
    struct buf plain = BUF_INIT(256);
    struct sql_range range = f->dialect->range[f->to->type.type];

    if (f->to->declared && f->to->type.type == TYPE_INT && f->dialect->has_schemas) {
        (void)sql_read_digits(f->to->declared, &plain);
        for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
            if (strcasecmp(buf_str(&plain), narrow[i].name) == 0)
                range = (struct sql_range){narrow[i].min, narrow[i].max};
        }
        buf_release(&plain);
    }
    return range;
}

static bool is_time(enum type t)
{
    return t == TYPE_TIME || t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMPTZ;
}

/* Microseconds of which the column keeps only whole multiples; 1 = it keeps all. */
static int64_t step_of(const struct fit *f)
{
    struct buf rest = BUF_INIT(256);
    struct sql_digits digits;
    int64_t step = 1;

    if (!f->to->declared || !is_time(f->to->type.type) || !f->dialect->has_schemas)
        return 1;
    digits = sql_read_digits(f->to->declared, &rest);
    buf_release(&rest);
    for (int i = digits.n > 0 ? digits.first : f->dialect->time_digits; i < 6; i++)
        step *= 10;
    return step;
}

static bool has_infinity(enum type t)
{
    return t == TYPE_DATE || t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMPTZ;
}

static bool int64_fits(const struct fit *f, struct sql_range range, int64_t step, int64_t v)
{
    if (has_infinity(f->to->type.type) && (v == VALUE_INFINITY || v == VALUE_MINUS_INFINITY))
        return f->dialect->times_hold_infinity;
    if ((range.min != 0 || range.max != 0) && (v < range.min || v > range.max))
        return false;
    return v % step == 0;
}

/* --------------------------------------------------------------------- text */

static size_t characters(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* How long a text may be, in characters; 0 = as long as it likes. */
static size_t length_of(const struct fit *f)
{
    struct buf rest = BUF_INIT(256);
    struct sql_digits digits = {0};
    bool text = f->to->type.type == TYPE_STRING || f->to->type.type == TYPE_BYTES;

    if (f->key_characters > 0)
        return f->key_characters;
    if (!f->to->declared || !text || f->to->cast || !f->dialect->has_schemas)
        return 0;
    digits = sql_read_digits(f->to->declared, &rest);
    buf_release(&rest);
    return digits.n > 0 ? (size_t)digits.first : 0;
}

static size_t count_nul(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '\0';
    return n;
}

static bool text_fits(const struct fit *f, struct slice s, enum reason *why)
{
    bool refuses_nul = f->dialect->text_refuses_nul && f->to->type.type != TYPE_BYTES;
    size_t most = length_of(f), n;

    if (refuses_nul && f->nul == NUL_QUARANTINE && memchr(s.ptr, '\0', s.len)) {
        *why = REASON_NUL;
        return false;
    }
    if (most == 0)
        return true;
    n = f->to->type.type == TYPE_BYTES ? s.len : characters(s);
    if (refuses_nul && f->nul == NUL_STRIP)
        n -= count_nul(s);
    *why = REASON_OUT_OF_RANGE;
    return n <= most;
}

/* What becomes of a value of another type in a column that is text of some kind. */
static bool converted_fits(const struct fit *f, const struct batch *rows, size_t column, size_t row,
                           enum reason *why)
{
    struct buf text = BUF_INIT(4 * BATCH_MAX_VALUE);
    struct slice s;
    bool fits;

    sql_convert_cell(rows, column, row, f->from, f->to->type.type, &text);
    s = (struct slice){buf_str(&text), text.len};
    if (f->to->type.type == TYPE_DECIMAL)
        fits = decimal_fits(f, s);
    else if (f->to->type.type == TYPE_JSON)
        fits = json_fits(f, s);
    else
        fits = text_fits(f, s, why);
    buf_release(&text);
    return fits;
}

/* ------------------------------------------------------------------------------ */

/* Dates become timestamps as numbers, not as text. */
static int64_t as_target(const struct fit *f, int64_t v)
{
    int64_t us;

    if (f->from != TYPE_DATE || f->to->type.type != TYPE_TIMESTAMP || v == VALUE_INFINITY ||
        v == VALUE_MINUS_INFINITY)
        return v;
    if (__builtin_mul_overflow(v, INT64_C(86400) * SECOND_US, &us))
        return v < 0 ? INT64_MIN + 1 : INT64_MAX - 1;
    return us;
}

bool fits_cell(const struct fit *f, const struct batch *rows, size_t column,
               const struct column_view *v, size_t row, enum reason *why)
{
    enum type to = f->to->type.type;

    *why = REASON_OUT_OF_RANGE;
    if (f->from != to && (f->from != TYPE_DATE || to != TYPE_TIMESTAMP))
        return converted_fits(f, rows, column, row, why);
    switch (v->storage) {
    case STORAGE_INT64:
        return int64_fits(f, range_of(f), step_of(f), as_target(f, v->ints[row]));
    case STORAGE_DOUBLE:
        return double_fits(f, v->doubles[row]);
    case STORAGE_TEXT:
        if (to == TYPE_DECIMAL && f->key_characters == 0)
            return decimal_fits(f, column_text(v, row));
        if (to == TYPE_JSON && f->key_characters == 0)
            return json_fits(f, column_text(v, row));
        return text_fits(f, column_text(v, row), why);
    case STORAGE_BOOL:
    case STORAGE_16:
        return true;
    }
    return true;
}

static bool ints_fit(const struct fit *f, const struct column_view *v, size_t n_rows)
{
    struct sql_range range = range_of(f);
    int64_t step = step_of(f);
    bool all = true;

    if (range.min == 0 && range.max == 0 && step == 1 &&
        (!has_infinity(f->to->type.type) || f->dialect->times_hold_infinity))
        return true;
    /* Cells without a value hold a zero of some kind; at worst they cost the second look. */
    for (size_t row = 0; row < n_rows; row++)
        all &= int64_fits(f, range, step, as_target(f, v->ints[row]));
    return all;
}

static bool doubles_fit(const struct fit *f, const struct column_view *v, size_t n_rows)
{
    if (!f->to->declared && f->dialect->float_holds_nan && f->dialect->float_holds_infinity)
        return true;
    for (size_t row = 0; row < n_rows; row++) {
        if (!isfinite(v->doubles[row]) || f->to->declared)
            return false;
    }
    return true;
}

/* Whether no decimal needs a second look: short ones without a word in them. */
static bool decimals_fit(const struct fit *f, const struct column_view *v, size_t n_rows)
{
    size_t whole, fraction;
    bool limited = sql_decimal_room(f->dialect, f->to, &whole, &fraction);

    for (size_t row = 0; row < n_rows; row++) {
        struct slice s = column_text(v, row);
        const char *point;

        if (s.len == 0)
            continue;
        if (s.ptr[s.len - 1] > '9')
            return false;
        if (!limited || (s.len <= whole && s.len <= fraction))
            continue;
        point = memchr(s.ptr, '.', s.len);
        if ((point ? (size_t)(point - s.ptr) : s.len) > whole ||
            (point && s.len - (size_t)(point - s.ptr) - 1 > fraction))
            return false;
    }
    return true;
}

bool fits_all(const struct fit *f, const struct column_view *v, size_t n_rows)
{
    const struct sql_dialect *d = f->dialect;
    enum type to = f->to->type.type;

    if (n_rows == 0)
        return true;
    if (f->from != to && (f->from != TYPE_DATE || to != TYPE_TIMESTAMP))
        return !d->has_schemas && to != TYPE_DECIMAL; /* SQLite: text, which holds everything */
    switch (v->storage) {
    case STORAGE_INT64:
        return ints_fit(f, v, n_rows);
    case STORAGE_DOUBLE:
        return doubles_fit(f, v, n_rows);
    case STORAGE_TEXT:
        if (f->key_characters > 0)
            return false;
        if (to == TYPE_DECIMAL)
            return decimals_fit(f, v, n_rows);
        if (to == TYPE_JSON)
            return d->json_depth == 0 && !d->json_refuses_nul && !d->json_refuses_surrogates;
        if (length_of(f) > 0)
            return false;
        return to == TYPE_BYTES || !d->text_refuses_nul ||
               !memchr(v->bytes + v->offsets[0], '\0', v->offsets[n_rows] - v->offsets[0]);
    case STORAGE_BOOL:
    case STORAGE_16:
        return true;
    }
    return true;
}

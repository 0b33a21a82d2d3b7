#include "connectors/data/type.h"

#include <stdio.h>
#include <string.h>

#include "connectors/base/text.h"

#define MAX_JOINED_DIGITS 38 /* what the widest fixed decimal of a destination holds */
#define INT_DIGITS        19 /* of a 64-bit integer */

/* clang-format off */
static const struct {
    const char *name;
    enum storage storage;
} types[TYPE_COUNT] = {
    [TYPE_BOOL]        = {"bool",        STORAGE_BOOL},
    [TYPE_INT]         = {"int",         STORAGE_INT64},
    [TYPE_DECIMAL]     = {"decimal",     STORAGE_TEXT},
    [TYPE_FLOAT]       = {"float",       STORAGE_DOUBLE},
    [TYPE_STRING]      = {"string",      STORAGE_TEXT},
    [TYPE_BYTES]       = {"bytes",       STORAGE_TEXT},
    [TYPE_DATE]        = {"date",        STORAGE_INT64},
    [TYPE_TIME]        = {"time",        STORAGE_INT64},
    [TYPE_TIMESTAMP]   = {"timestamp",   STORAGE_INT64},
    [TYPE_TIMESTAMPTZ] = {"timestamptz", STORAGE_INT64},
    [TYPE_INTERVAL]    = {"interval",    STORAGE_16},
    [TYPE_UUID]        = {"uuid",        STORAGE_16},
    [TYPE_JSON]        = {"json",        STORAGE_TEXT},
};

/*
 * The join of two different types, by number of the smaller and the larger one. What is not listed
 * is a conflict. A decimal that comes out of this table is unconstrained, except where
 * join_decimals knows better.
 */
static const struct {
    unsigned char defined, type;
} joins[TYPE_COUNT][TYPE_COUNT] = {
    [TYPE_INT]         [TYPE_DECIMAL]   = {1, TYPE_DECIMAL},
    [TYPE_INT]         [TYPE_FLOAT]     = {1, TYPE_DECIMAL},
    [TYPE_DECIMAL]     [TYPE_FLOAT]     = {1, TYPE_DECIMAL},
    [TYPE_DATE]        [TYPE_TIMESTAMP] = {1, TYPE_TIMESTAMP},

    [TYPE_BOOL]        [TYPE_STRING]    = {1, TYPE_STRING},
    [TYPE_INT]         [TYPE_STRING]    = {1, TYPE_STRING},
    [TYPE_DECIMAL]     [TYPE_STRING]    = {1, TYPE_STRING},
    [TYPE_FLOAT]       [TYPE_STRING]    = {1, TYPE_STRING},
    [TYPE_STRING]      [TYPE_DATE]      = {1, TYPE_STRING},
    [TYPE_STRING]      [TYPE_TIME]      = {1, TYPE_STRING},
    [TYPE_STRING]      [TYPE_TIMESTAMP] = {1, TYPE_STRING},
    [TYPE_STRING]      [TYPE_TIMESTAMPTZ] = {1, TYPE_STRING},
    [TYPE_STRING]      [TYPE_INTERVAL]  = {1, TYPE_STRING},
    [TYPE_STRING]      [TYPE_UUID]      = {1, TYPE_STRING},

    [TYPE_BOOL]        [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_INT]         [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_DECIMAL]     [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_FLOAT]       [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_STRING]      [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_BYTES]       [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_DATE]        [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_TIME]        [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_TIMESTAMP]   [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_TIMESTAMPTZ] [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_INTERVAL]    [TYPE_JSON]      = {1, TYPE_JSON},
    [TYPE_UUID]        [TYPE_JSON]      = {1, TYPE_JSON},
};
/* clang-format on */

const char *type_name(enum type t)
{
    return types[t].name;
}

bool type_from_name(const char *name, enum type *out)
{
    for (unsigned t = 0; t < TYPE_COUNT; t++) {
        if (!strcmp(types[t].name, name)) {
            *out = (enum type)t;
            return true;
        }
    }
    return false;
}

enum storage type_storage(enum type t)
{
    return types[t].storage;
}

struct column_type type_plain(enum type t)
{
    return (struct column_type){.type = t, .bits = t == TYPE_FLOAT ? 64 : 0};
}

size_t type_format(struct column_type t, char out[static 32])
{
    int n;

    if (t.type == TYPE_DECIMAL && t.precision)
        n = snprintf(out, 32, "decimal(%u,%d)", (unsigned)t.precision, (int)t.scale);
    else
        n = snprintf(out, 32, "%s%s", type_name(t.type),
                     t.type == TYPE_FLOAT && t.bits == 32 ? "32" : "");
    return (size_t)n;
}

/* The parameters of "decimal(p,s)" or "decimal(p)", behind the parenthesis. */
static bool parse_digits(const char *text, struct column_type *out)
{
    size_t n = strlen(text);
    const char *comma = memchr(text, ',', n);
    int64_t precision, scale = 0;

    if (!n || text[n - 1] != ')')
        return false;
    n--;
    if (comma && !text_to_int64(comma + 1, n - (size_t)(comma + 1 - text), &scale))
        return false;
    if (!text_to_int64(text, comma ? (size_t)(comma - text) : n, &precision))
        return false;
    if (precision < 1 || precision > UINT16_MAX || scale < INT16_MIN || scale > INT16_MAX)
        return false;
    out->precision = (uint16_t)precision;
    out->scale = (int16_t)scale;
    return true;
}

bool type_parse(const char *text, struct column_type *out)
{
    static const char decimal[] = "decimal(";
    struct column_type t = type_plain(TYPE_DECIMAL);
    enum type plain;

    if (!strncmp(text, decimal, sizeof decimal - 1)) {
        if (!parse_digits(text + sizeof decimal - 1, &t))
            return false;
    } else if (!strcmp(text, "float32") || !strcmp(text, "float64")) {
        t = type_plain(TYPE_FLOAT);
        t.bits = text[5] == '3' ? 32 : 64;
    } else if (type_from_name(text, &plain)) {
        t = type_plain(plain);
    } else {
        return false;
    }
    *out = t;
    return true;
}

bool type_equal(struct column_type a, struct column_type b)
{
    if (a.type != b.type)
        return false;
    if (a.type == TYPE_FLOAT)
        return a.bits == b.bits;
    if (a.type == TYPE_DECIMAL)
        return a.precision == b.precision && (!a.precision || a.scale == b.scale);
    return true;
}

/* An integer is a decimal of 19 digits here; a float has no bound that a decimal could state. */
static struct column_type as_decimal(struct column_type t)
{
    struct column_type d = type_plain(TYPE_DECIMAL);

    if (t.type == TYPE_DECIMAL)
        return t;
    if (t.type == TYPE_INT)
        d.precision = INT_DIGITS;
    return d;
}

static struct column_type join_decimals(struct column_type a, struct column_type b)
{
    struct column_type joined = type_plain(TYPE_DECIMAL);
    int before_a = a.precision - a.scale, before_b = b.precision - b.scale;
    int scale = a.scale > b.scale ? a.scale : b.scale;
    int digits = (before_a > before_b ? before_a : before_b) + scale;

    if (!a.precision || !b.precision || digits > MAX_JOINED_DIGITS)
        return joined;
    joined.precision = (uint16_t)digits;
    joined.scale = (int16_t)scale;
    return joined;
}

bool type_join(struct column_type a, struct column_type b, struct column_type *out)
{
    enum type low = a.type < b.type ? a.type : b.type;
    enum type high = a.type < b.type ? b.type : a.type;

    if (type_equal(a, b)) {
        *out = a;
        return true;
    }
    if (low != high && !joins[low][high].defined)
        return false;
    *out = type_plain(low == high ? low : (enum type)joins[low][high].type);
    if (out->type == TYPE_DECIMAL)
        *out = join_decimals(as_decimal(a), as_decimal(b));
    return true;
}

#include "connectors/files/cell.h"

#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"

#define MAX_INT_DIGITS 18 /* always fits; longer ones take the careful way */

bool cell_looks_int(const char *s, size_t n, int64_t *out)
{
    size_t sign = n && s[0] == '-';
    int64_t v = 0;

    if (n == sign || (s[sign] == '0' && (n > 1)))
        return false; /* "-0" too: it would come back as "0" */
    if (n - sign > MAX_INT_DIGITS)
        return text_to_int64(s, n, out);
    for (size_t i = sign; i < n; i++) {
        unsigned digit = (unsigned char)s[i] - (unsigned)'0';

        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *out = sign ? -v : v;
    return true;
}

bool cell_looks_decimal(const char *s, size_t n)
{
    return n && (s[0] == '-' || (s[0] >= '0' && s[0] <= '9')) && value_is_canonical_decimal(s, n);
}

bool cell_looks_bool(const char *s, size_t n, bool *out)
{
    if (n == 4 && !strncasecmp(s, "true", 4))
        *out = true;
    else if (n == 5 && !strncasecmp(s, "false", 5))
        *out = false;
    else
        return false;
    return true;
}

bool cell_is_null(const struct string_list *null_values, const char *s, size_t n)
{
    for (size_t i = 0; i < null_values->n; i++) {
        const char *null = null_values->items[i];

        if (strlen(null) == n && !memcmp(null, s, n))
            return true;
    }
    return false;
}

void cell_put_latin1(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x80) {
            buf_putc(out, s[i]);
            continue;
        }
        buf_putc(out, (char)(0xc0 | c >> 6));
        buf_putc(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* Text in a column whose type was guessed. */
static void put_guessed(struct batch *rows, size_t column, enum type type, const char *s, size_t n)
{
    int64_t number;
    bool truth;

    if (type == TYPE_INT && cell_looks_int(s, n, &number))
        batch_put_int64(rows, column, number);
    else if (type == TYPE_DECIMAL && cell_looks_decimal(s, n))
        batch_put_text(rows, column, s, n);
    else if (type == TYPE_BOOL && cell_looks_bool(s, n, &truth))
        batch_put_bool(rows, column, truth);
    else
        batch_put_odd(rows, column, REASON_TYPE, s, n);
}

void cell_put_text(struct batch *rows, size_t column, bool declared, const char *s, size_t n)
{
    enum type type = batch_schema(rows)->columns[column].type.type;

    if (type == TYPE_STRING)
        batch_put_text(rows, column, s, n);
    else if (declared || (type != TYPE_INT && type != TYPE_DECIMAL && type != TYPE_BOOL))
        batch_put_parsed(rows, column, s, n);
    else
        put_guessed(rows, column, type, s, n);
}

static bool is_special(struct slice text)
{
    static const char *const specials[] = {"NaN", "Infinity", "-Infinity"};

    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (text.len == strlen(specials[i]) && !memcmp(text.ptr, specials[i], text.len))
            return true;
    }
    return false;
}

/* A string in a column that is neither string nor json. Dates and the like are always strings in
 * JSON; a guessed number or bool was never one, but for the numbers that JSON cannot write. */
static void put_string(struct batch *rows, size_t column, bool declared, enum type type,
                       struct slice text, struct slice raw)
{
    bool guessed = !declared && (type == TYPE_INT || type == TYPE_BOOL || type == TYPE_DECIMAL);

    if (guessed && !(type == TYPE_DECIMAL && is_special(text)))
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
    else
        batch_put_parsed(rows, column, text.ptr, text.len);
}

static void put_truth(struct batch *rows, size_t column, enum type type, bool v, struct slice raw)
{
    if (type == TYPE_BOOL)
        batch_put_bool(rows, column, v);
    else
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
}

static void put_number(struct batch *rows, size_t column, bool declared, enum type type,
                       const struct jsonread *json, struct slice raw)
{
    int64_t v;

    if (type == TYPE_INT && json->is_integer && text_to_int64(raw.ptr, raw.len, &v))
        batch_put_int64(rows, column, v);
    else if (type == TYPE_INT || type == TYPE_DECIMAL || type == TYPE_FLOAT || declared)
        batch_put_parsed(rows, column, raw.ptr, raw.len);
    else
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
}

void cell_put_json(struct batch *rows, size_t column, bool declared, enum jsonread_token token,
                   const struct jsonread *json, struct slice raw)
{
    enum type type = batch_schema(rows)->columns[column].type.type;
    bool nested = token == JSONREAD_OBJECT || token == JSONREAD_ARRAY;
    bool as_written = type == TYPE_JSON || (type == TYPE_STRING && token != JSONREAD_STRING);

    if (type != TYPE_JSON && token == JSONREAD_STRING && json->has_lone_surrogate)
        batch_put_odd(rows, column, REASON_ENCODING, raw.ptr, raw.len);
    else if (type != TYPE_JSON && nested)
        batch_put_odd(rows, column, REASON_TYPE, raw.ptr, raw.len);
    else if (as_written)
        batch_put_text(rows, column, raw.ptr, raw.len);
    else if (type == TYPE_STRING)
        batch_put_text(rows, column, json->text.ptr, json->text.len);
    else if (token == JSONREAD_STRING)
        put_string(rows, column, declared, type, json->text, raw);
    else if (token == JSONREAD_NUMBER)
        put_number(rows, column, declared, type, json, raw);
    else
        put_truth(rows, column, type, token == JSONREAD_TRUE, raw);
}

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

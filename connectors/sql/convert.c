#include "connectors/sql/convert.h"

#include "connectors/base/jsonwrite.h"

static bool is_number(enum type t, const char *s, size_t n)
{
    char last = n > 0 ? s[n - 1] : 'x';

    /* NaN and the infinities are no JSON numbers. */
    return (t == TYPE_INT || t == TYPE_DECIMAL || t == TYPE_FLOAT) && last >= '0' && last <= '9';
}

void sql_convert_text(enum type from, enum type to, const char *s, size_t n, struct buf *out)
{
    if (to == TYPE_JSON && from != TYPE_JSON) {
        if (from == TYPE_BOOL || is_number(from, s, n)) {
            buf_put(out, s, n);
            return;
        }
        buf_putc(out, '"');
        jsonw_escape(out, s, n);
        buf_putc(out, '"');
        return;
    }
    if (to == TYPE_DECIMAL && from == TYPE_FLOAT) {
        if (!value_put_decimal(out, s, n))
            buf_put(out, s, n);
        return;
    }
    buf_put(out, s, n);
    /* Infinities end in a letter and stay as they are. */
    if (to == TYPE_TIMESTAMP && from == TYPE_DATE && n > 0 && s[n - 1] >= '0' && s[n - 1] <= '9')
        buf_puts(out, "T00:00:00");
}

void sql_convert_cell(const struct batch *b, size_t column, size_t row, enum type from,
                      enum type to, struct buf *out)
{
    struct buf text = BUF_INIT(2 * BATCH_MAX_VALUE);

    if (from == to || to == TYPE_STRING) {
        batch_cell_text(b, column, row, out);
        return;
    }
    batch_cell_text(b, column, row, &text);
    sql_convert_text(from, to, buf_str(&text), text.len, out);
    buf_release(&text);
}

size_t sql_trim_decimal(const char *s, size_t n)
{
    if (!memchr(s, '.', n))
        return n;
    while (s[n - 1] == '0')
        n--;
    return s[n - 1] == '.' ? n - 1 : n;
}

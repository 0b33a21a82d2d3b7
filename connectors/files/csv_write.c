#include <string.h>

#include "connectors/base/text.h"
#include "connectors/files/csv.h"

/* Whether the text would not read back as itself without quotes. */
static bool needs_quotes(const struct csv_style *style, const char *s, size_t n)
{
    if (n == strlen(style->null_value) && !memcmp(s, style->null_value, n))
        return true;
    if (!n)
        return true; /* an unquoted empty field reads as NULL everywhere */
    for (size_t i = 0; i < n; i++) {
        if (s[i] == style->delimiter || s[i] == '"' || s[i] == '\n' || s[i] == '\r')
            return true;
    }
    return s[0] == ' ' || s[n - 1] == ' ' || s[0] == '\t' || s[n - 1] == '\t';
}

void csv_put_text(struct buf *out, const struct csv_style *style, const char *s, size_t n)
{
    const char *end = s + n;

    if (!needs_quotes(style, s, n)) {
        buf_put(out, s, n);
        return;
    }
    buf_putc(out, '"');
    while (s < end) {
        const char *quote = memchr(s, '"', (size_t)(end - s));
        const char *stop = quote ? quote + 1 : end;

        buf_put(out, s, (size_t)(stop - s));
        if (quote)
            buf_putc(out, '"');
        s = stop;
    }
    buf_putc(out, '"');
}

/* A value whose text is not lying in the batch; none of them is ever longer than the buffer. */
static void put_formatted(struct buf *out, const struct csv_style *style, const struct batch *rows,
                          size_t column, size_t row)
{
    char storage[VALUE_TEXT_BYTES + 1];
    struct buf text = {.data = storage, .cap = sizeof storage, .max_bytes = sizeof storage};

    batch_cell_text(rows, column, row, &text);
    csv_put_text(out, style, text.data, text.len);
}

void csv_put_cell(struct buf *out, const struct csv_style *style, const struct batch *rows,
                  size_t column, size_t row)
{
    enum type type = batch_schema(rows)->columns[column].type.type;
    struct column_view v = batch_column(rows, column);
    char number[24];
    struct slice text;

    if (!column_has(&v, row)) {
        buf_puts(out, style->null_value);
        return;
    }
    if (type == TYPE_INT) {
        csv_put_text(out, style, number, text_from_int64(v.ints[row], number));
        return;
    }
    if (v.storage != STORAGE_TEXT) {
        put_formatted(out, style, rows, column, row);
        return;
    }
    text = column_text(&v, row);
    if (type != TYPE_BYTES) {
        csv_put_text(out, style, text.ptr, text.len);
        return;
    }
    /* Base64 may look like anything, the text of NULL included. */
    buf_putc(out, '"');
    text_put_base64(out, text.ptr, text.len);
    buf_putc(out, '"');
}

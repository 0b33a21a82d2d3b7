#include <math.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/files/ndjson.h"

static void put_quoted(struct buf *out, const char *s, size_t n)
{
    buf_putc(out, '"');
    jsonw_escape(out, s, n);
    buf_putc(out, '"');
}

/* A number unless it is one of those that JSON has no way to write. */
static void put_decimal(struct buf *out, struct slice text)
{
    bool special = text.len && strchr("NI", text.ptr[0]) != NULL;

    special = special || (text.len > 1 && text.ptr[1] == 'I');
    if (special)
        put_quoted(out, text.ptr, text.len);
    else
        buf_put(out, text.ptr, text.len);
}

/* JSON as it was written, but on one line: outside strings a line break is a blank. */
static void put_json(struct buf *out, struct slice text)
{
    const char *p = text.ptr, *end = p + text.len;

    while (p < end) {
        const char *stop = p;

        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        buf_put(out, p, (size_t)(stop - p));
        if (stop < end)
            buf_putc(out, ' ');
        p = stop + (stop < end);
    }
}

static void put_text(struct buf *out, enum type type, struct slice text)
{
    if (type == TYPE_DECIMAL) {
        put_decimal(out, text);
    } else if (type == TYPE_JSON) {
        put_json(out, text);
    } else if (type == TYPE_BYTES) {
        buf_putc(out, '"');
        text_put_base64(out, text.ptr, text.len);
        buf_putc(out, '"');
    } else {
        put_quoted(out, text.ptr, text.len);
    }
}

void ndjson_put_cell(struct buf *out, const struct batch *rows, size_t column, size_t row)
{
    enum type type = batch_schema(rows)->columns[column].type.type;
    struct column_view v = batch_column(rows, column);
    bool bare = type == TYPE_INT || type == TYPE_BOOL;
    char number[24];

    if (!column_has(&v, row)) {
        buf_puts(out, "null");
        return;
    }
    if (v.storage == STORAGE_TEXT) {
        put_text(out, type, column_text(&v, row));
        return;
    }
    if (type == TYPE_INT) {
        buf_put(out, number, text_from_int64(v.ints[row], number));
        return;
    }
    if (type == TYPE_FLOAT)
        bare = isfinite(v.doubles[row]);
    /* What is left is ASCII without anything to escape. */
    if (!bare)
        buf_putc(out, '"');
    batch_cell_text(rows, column, row, out);
    if (!bare)
        buf_putc(out, '"');
}

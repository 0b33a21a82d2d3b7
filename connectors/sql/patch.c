/* A batch without the cells that its table cannot hold, and texts without U+0000. */
#include <string.h>

#include "connectors/sql/load.h"

static void copy_cell(const struct batch *from, struct batch *to, size_t column, size_t row)
{
    struct column_view v = batch_column(from, column);
    enum type type = batch_schema(from)->columns[column].type.type;
    struct interval span;

    if (!column_has(&v, row))
        return;
    switch (v.storage) {
    case STORAGE_BOOL:
        batch_put_bool(to, column, v.bools[row]);
        break;
    case STORAGE_INT64:
        batch_put_int64(to, column, v.ints[row]);
        break;
    case STORAGE_DOUBLE:
        batch_put_double(to, column, v.doubles[row]);
        break;
    case STORAGE_16:
        if (type == TYPE_UUID) {
            batch_put_uuid(to, column, v.fixed[row]);
            break;
        }
        memcpy(&span, v.fixed[row], sizeof span);
        batch_put_interval(to, column, span);
        break;
    case STORAGE_TEXT:
        batch_put_text(to, column, column_text(&v, row).ptr, column_text(&v, row).len);
        break;
    }
}

#define REPLACEMENT      "\xef\xbf\xbd" /* U+FFFD */
#define JSON_NUL         "\\u0000"
#define JSON_REPLACEMENT "\\ufffd"

bool patch_can_alter(enum type type, struct slice s, enum nul_policy nul)
{
    size_t n = s.len;

    if (nul == NUL_QUARANTINE || (type != TYPE_STRING && type != TYPE_JSON))
        return false;
    for (size_t i = 0; nul == NUL_REPLACE && type == TYPE_STRING && i < s.len; i++)
        n += s.ptr[i] == '\0' ? sizeof REPLACEMENT - 2 : 0;
    return n <= BATCH_MAX_VALUE;
}

static void put_text_without_nul(struct slice s, enum nul_policy nul, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\0')
            buf_putc(out, s.ptr[i]);
        else if (nul == NUL_REPLACE)
            buf_puts(out, REPLACEMENT);
    }
}

/* Of JSON that is well-formed: backslashes are in strings only, and something follows them. */
static void put_json_without_nul(struct slice s, enum nul_policy nul, struct buf *out)
{
    size_t length = sizeof JSON_NUL - 1;

    for (size_t i = 0; i < s.len;) {
        if (s.ptr[i] != '\\') {
            buf_putc(out, s.ptr[i++]);
        } else if (s.len - i >= length && !memcmp(s.ptr + i, JSON_NUL, length)) {
            if (nul == NUL_REPLACE)
                buf_puts(out, JSON_REPLACEMENT);
            i += length;
        } else {
            buf_put(out, s.ptr + i, s.len - i < 2 ? 1 : 2);
            i += 2;
        }
    }
}

static void put_without_nul(const struct batch *from, struct batch *to, size_t column, size_t row,
                            enum nul_policy nul)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BATCH_MAX_VALUE + 1);
    struct column_view v = batch_column(from, column);

    if (batch_schema(from)->columns[column].type.type == TYPE_JSON)
        put_json_without_nul(column_text(&v, row), nul, &text);
    else
        put_text_without_nul(column_text(&v, row), nul, &text);
    batch_put_text(to, column, buf_str(&text), text.len);
}

const struct batch *patch_batch(struct sql_destination *d, const struct batch *rows,
                                const unsigned char *fate, enum nul_policy nul)
{
    const struct schema *schema = batch_schema(rows);

    if (!d->patched)
        d->patched = batch_new(schema);
    batch_reset(d->patched, schema);
    for (size_t row = 0; row < batch_rows(rows); row++) {
        for (size_t c = 0; c < schema->n_columns; c++) {
            switch ((enum cell_fate)fate[row * schema->n_columns + c]) {
            case CELL_STAYS:
                copy_cell(rows, d->patched, c, row);
                break;
            case CELL_BLANK:
                break;
            case CELL_ALTERED:
                put_without_nul(rows, d->patched, c, row, nul);
                break;
            }
        }
        batch_end_row(d->patched);
    }
    return d->patched;
}

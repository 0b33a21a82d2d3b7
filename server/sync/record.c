#include "server/sync/record.h"

#include <math.h>

#include "connectors/data/value.h"

/* Largest text of one cell that a sample shows whole. */
#define CELL_MAX ((size_t)64 << 20)

static void put_cell(struct jsonw *w, const struct batch *rows, size_t column, size_t row,
                     const struct column_view *v)
{
    const struct column *c = &batch_schema(rows)->columns[column];
    CLEANUP(buf_release) struct buf text = BUF_INIT(CELL_MAX);
    struct slice s;

    switch (c->type.type) {
    case TYPE_BOOL:
        jsonw_bool(w, v->bools[row] != 0);
        return;
    case TYPE_INT:
        jsonw_int(w, v->ints[row]);
        return;
    case TYPE_FLOAT:
        if (isfinite(v->doubles[row])) {
            char digits[VALUE_TEXT_BYTES];

            jsonw_raw(w, digits, value_format_float(v->doubles[row], c->type.bits, digits));
            return;
        }
        break;
    case TYPE_JSON:
        s = column_text(v, row);
        jsonw_raw(w, s.ptr, s.len);
        return;
    case TYPE_STRING:
    case TYPE_DECIMAL:
        s = column_text(v, row);
        jsonw_string_n(w, s.ptr, s.len);
        return;
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
    case TYPE_UUID:
    case TYPE_COUNT:
        break;
    }
    batch_cell_text(rows, column, row, &text);
    jsonw_string_n(w, buf_str(&text), text.len);
}

void record_put(struct jsonw *w, const struct batch *rows, size_t row)
{
    const struct schema *schema = batch_schema(rows);

    jsonw_object(w);
    for (size_t i = 0; i < schema->n_columns; i++) {
        struct column_view v = batch_column(rows, i);

        jsonw_key(w, schema->columns[i].name);
        if (column_has(&v, row))
            put_cell(w, rows, i, row, &v);
        else
            jsonw_null(w);
    }
    jsonw_object_end(w);
}

/* A batch without the cells that its table cannot hold. */
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

const struct batch *patch_batch(struct sql_destination *d, const struct batch *rows,
                                const bool *blank)
{
    const struct schema *schema = batch_schema(rows);

    if (!d->patched)
        d->patched = batch_new(schema);
    batch_reset(d->patched, schema);
    for (size_t row = 0; row < batch_rows(rows); row++) {
        for (size_t c = 0; c < schema->n_columns; c++) {
            if (!blank[row * schema->n_columns + c])
                copy_cell(rows, d->patched, c, row);
        }
        batch_end_row(d->patched);
    }
    return d->patched;
}

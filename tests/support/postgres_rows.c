#include "tests/support/postgres_rows.h"

#include <criterion/criterion.h>
#include <string.h>

void rows_init(struct rows *r, struct postgres_fixture *f, const struct column_type *types,
               size_t n)
{
    *r = (struct rows){.f = f, .n = n, .err = ERROR_INIT};
    r->of_batch = arena_array(f->mem, n, sizeof *r->of_batch);
    r->columns = arena_array(f->mem, n, sizeof *r->columns);
    r->fill = arena_array(f->mem, n, sizeof *r->fill);
    for (size_t i = 0; i < n; i++) {
        const char *name = arena_printf(f->mem, "c%zu", i);

        r->of_batch[i] = (struct column){.name = name, .type = types[i], .source_type = ""};
        r->columns[i].name = name;
        r->columns[i].type = types[i];
        r->fill[i] = (struct sql_bulk_column){.fill = SQL_FILL_COLUMN, .from = i, .type = types[i]};
    }
    r->schema = (struct schema){.columns = r->of_batch, .n_columns = n};
    r->table = (struct sql_table){"", "t", r->columns, n};
    r->bulk = (struct sql_bulk){.into = &r->table, .fill = r->fill};
    r->batch = batch_new(&r->schema);
}

void rows_init_plain(struct rows *r, struct postgres_fixture *f, enum type a, enum type b)
{
    rows_init(r, f, (struct column_type[]){type_plain(a), type_plain(b)}, 2);
}

void rows_put(struct rows *r, const char *const *cells)
{
    for (size_t i = 0; i < r->n; i++) {
        if (cells[i])
            batch_put_parsed(r->batch, i, cells[i], strlen(cells[i]));
    }
    batch_end_row(r->batch);
}

int rows_send(struct rows *r)
{
    size_t n_odd;

    (void)batch_odd_cells(r->batch, &n_odd);
    cr_assert_eq(n_odd, 0, "a cell of the test is no value of its type");
    r->err = ERROR_INIT;
    return r->f->conn->driver->bulk(r->f->conn, &r->bulk, r->batch, &r->inserted, &r->err);
}

void rows_free(struct rows *r)
{
    batch_free(r->batch);
}

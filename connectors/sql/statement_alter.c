/* Statements about tables and columns that are there already. */
#include "connectors/sql/statement.h"

void sql_put_drop_index(const struct sql_dialect *d, const char *schema, const char *table,
                        const char *index, struct buf *out)
{
    buf_puts(out, "DROP INDEX ");
    if (d->update == SQL_UPDATE_JOIN) {
        sql_put_name(d, index, out);
        buf_puts(out, " ON ");
        sql_put_table(d, schema, table, out);
    } else {
        sql_put_table(d, schema, index, out);
    }
}

void sql_put_widen(const struct sql_dialect *d, const struct sql_table *t,
                   const struct sql_column *column, enum type from, struct buf *out)
{
    const char *value = sql_conversion(d->widen_using, from, column->type.type);
    char type[SQL_TYPE_BYTES];
    const struct sql_holes holes = {.schema = t->schema,
                                    .table = t->name,
                                    .column = column->name,
                                    .type = type,
                                    .value = value ? value : "{column}::{type}"};

    sql_column_type(d, t, column, type);
    sql_put_template(d, d->widen_column, &holes, out);
}

bool sql_put_widen_after(const struct sql_dialect *d, const struct sql_table *t,
                         const struct sql_column *column, enum type from, struct buf *out)
{
    const struct sql_holes holes = {.schema = t->schema, .table = t->name, .column = column->name};
    const char *text = sql_conversion(d->widen_after, from, column->type.type);

    if (text)
        sql_put_template(d, text, &holes, out);
    return text != NULL;
}

void sql_put_drop_default(const struct sql_dialect *d, const struct sql_table *t,
                          const struct sql_column *column, struct buf *out)
{
    buf_puts(out, "ALTER TABLE ");
    sql_put_table(d, t->schema, t->name, out);
    buf_puts(out, " ALTER COLUMN ");
    sql_put_name(d, column->name, out);
    buf_puts(out, " DROP DEFAULT");
}

void sql_put_fill(const struct sql_dialect *d, const struct sql_table *t,
                  const struct sql_table *row, struct buf *out)
{
    bool joins = d->update == SQL_UPDATE_JOIN;

    buf_puts(out, "UPDATE ");
    sql_put_table(d, t->schema, t->name, out);
    buf_puts(out, " AS t");
    if (joins) {
        buf_puts(out, " JOIN ");
        sql_put_table(d, row->schema, row->name, out);
        buf_puts(out, " AS s");
    }
    for (size_t i = 0; i < row->n_columns; i++) {
        buf_puts(out, i == 0 ? " SET " : ", ");
        buf_puts(out, joins ? "t." : "");
        sql_put_name(d, row->columns[i].name, out);
        buf_puts(out, " = s.");
        sql_put_name(d, row->columns[i].name, out);
    }
    if (!joins) {
        buf_puts(out, " FROM ");
        sql_put_table(d, row->schema, row->name, out);
        buf_puts(out, " AS s");
    }
}

void sql_put_drop(const struct sql_dialect *d, const char *schema, const char *name,
                  struct buf *out)
{
    buf_puts(out, "DROP TABLE IF EXISTS ");
    sql_put_table(d, schema, name, out);
}

void sql_put_rename(const struct sql_dialect *d, const char *schema, const char *from,
                    const char *to, struct buf *out)
{
    buf_puts(out, "ALTER TABLE ");
    sql_put_table(d, schema, from, out);
    buf_puts(out, " RENAME TO ");
    /* PostgreSQL takes no schema here; MySQL would move the table to the current one without. */
    sql_put_table(d, d->ddl_in_transaction ? "" : schema, to, out);
}

void sql_put_rename_column(const struct sql_dialect *d, const struct sql_table *t, const char *from,
                           const char *to, struct buf *out)
{
    buf_puts(out, "ALTER TABLE ");
    sql_put_table(d, t->schema, t->name, out);
    buf_puts(out, " RENAME COLUMN ");
    sql_put_name(d, from, out);
    buf_puts(out, " TO ");
    sql_put_name(d, to, out);
}

void sql_put_exchange(const struct sql_dialect *d, const char *schema, const char *live,
                      const char *aside, const char *generation, struct buf *out)
{
    buf_puts(out, "RENAME TABLE ");
    sql_put_table(d, schema, live, out);
    buf_puts(out, " TO ");
    sql_put_table(d, schema, aside, out);
    buf_puts(out, ", ");
    sql_put_table(d, schema, generation, out);
    buf_puts(out, " TO ");
    sql_put_table(d, schema, live, out);
}

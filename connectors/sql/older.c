/*
 * What rows have in a column that is newer than they are.
 *
 * Adding a column with a default to a table touches none of its rows as far as anybody can see:
 * they keep their time of change and are not delivered again, and yet all of them have the default
 * there. So it is written into the rows that were delivered before, once: where a column can be
 * added with a default that it loses again at once, without a row being written; elsewhere by a
 * statement, in one transaction with the note that it is done.
 *
 * Only where the source is known to have had no such column when those rows were read: what a row
 * had in a column that was left out until now, nobody has kept.
 */
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/load.h"

#define STAGE "_connectord_older"

/* ------------------------------------------------------------------ what it is */

/* A row of a batch with the constant of every column. */
static void put_row(struct batch *rows, const struct known_column *const *columns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        batch_put_parsed(rows, i, columns[i]->older, strlen(columns[i]->older));
    batch_end_row(rows);
}

/* The table cannot hold every value of the source: NULL is better than another one. */
static bool fits(struct sql_destination *d, const struct known_column *column)
{
    const struct column one = {.name = column->name, .type = column->type};
    const struct sql_column to = {.name = column->name, .type = column->type};
    const struct schema schema = {.columns = &one, .n_columns = 1};
    const struct fit fit = {
        .dialect = d->dialect, .version = d->conn->version, .to = &to, .from = column->type.type};
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&schema);
    struct column_view v;
    enum reason why;

    put_row(rows, &column, 1);
    v = batch_column(rows, 0);
    return column_has(&v, 0) && fits_cell(&fit, rows, 0, &v, 0, &why);
}

static bool was_left_out(const struct name_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->names[i], name) == 0)
            return true;
    }
    return false;
}

const char *older_constant(struct sql_destination *d, const struct load *l,
                           const struct known_column *column)
{
    const struct schema *want = l->want->schema;
    long at = schema_find(want, column->source);
    struct known_column due = *column;

    due.older = at < 0 ? NULL : want->columns[at].older;
    if (!due.older || !l->row.left_out || was_left_out(l->row.left_out, column->source))
        return NULL;
    return fits(d, &due) ? arena_strdup(d->mem, due.older) : NULL;
}

/* --------------------------------------------------------------- where it goes */

bool older_is_due(const struct load *l)
{
    for (size_t i = 0; i < l->n_columns; i++) {
        if (l->columns[i].older)
            return true;
    }
    return false;
}

static size_t find_due(const struct load *l, const char *name, const struct known_column **out)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_columns; i++) {
        if (l->columns[i].older && (!name || strcmp(l->columns[i].name, name) == 0))
            out[n++] = &l->columns[i];
    }
    return n;
}

/* Nothing of this is due any more. */
static void settle(struct sql_destination *d, struct load *l,
                   const struct known_column *const *columns, size_t n)
{
    struct known_column *now = arena_array(d->mem, l->n_columns + 1, sizeof *now);

    memcpy(now, l->columns, l->n_columns * sizeof *now);
    for (size_t i = 0; i < n; i++) {
        now[columns[i] - l->columns].older = NULL;
        log_info(d->run->log, .message = "column filled with the default of the source",
                 .fields = {log_text("stream", l->id), log_text("column", columns[i]->name)});
    }
    l->columns = now;
}

/* A temporary table with one row: so a constant goes the way of every other value. */
static int stage(struct sql_destination *d, const struct load *l,
                 const struct known_column *const *columns, size_t n, struct sql_table *out,
                 struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct column *of_batch = arena_array(l->mem, n, sizeof *of_batch);
    struct sql_column *of_stage = arena_array(l->mem, n, sizeof *of_stage);
    struct sql_bulk_column *fill = arena_array(l->mem, n, sizeof *fill);
    const struct schema schema = {.columns = of_batch, .n_columns = n};
    const struct sql_bulk bulk = {.into = out, .fill = fill, .temporary = true};
    CLEANUP(batch_free_cleanup) struct batch *rows = NULL;
    int64_t n_rows;

    for (size_t i = 0; i < n; i++) {
        of_batch[i] = (struct column){.name = columns[i]->name, .type = columns[i]->type};
        of_stage[i] = (struct sql_column){.name = columns[i]->name, .type = columns[i]->type};
        fill[i] =
            (struct sql_bulk_column){.fill = SQL_FILL_COLUMN, .from = i, .type = columns[i]->type};
    }
    *out = (struct sql_table){"", STAGE, of_stage, n};
    sql_put_drop_stage(d->dialect, STAGE, &sql);
    if (load_run(d, &sql, &n_rows, err) < 0)
        return -1;
    sql_put_create(d->dialect, out, SQL_CREATE_STAGE, &sql);
    if (load_run(d, &sql, &n_rows, err) < 0)
        return -1;
    rows = batch_new(&schema);
    put_row(rows, columns, n);
    if (d->conn->driver->bulk(d->conn, &bulk, rows, &n_rows, err) < 0)
        return -1;
    return n_rows == 1 ? 0 : error_set(err, ERR_INTERNAL, "a row was sent and none arrived");
}

static int drop_stage(struct sql_destination *d, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    sql_put_drop_stage(d->dialect, STAGE, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* -------------------------------------------------------------- with the column */

struct literal {
    struct arena *mem;
    const char *text;
};

static int take_literal(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct literal *out = arg;

    (void)n;
    (void)err;
    out->text = sql_value_text(out->mem, &v[0]);
    return 0;
}

/* DDL has no parameters. The server itself writes the staged value as a literal. */
static int quote(struct sql_destination *d, const struct load *l, const struct known_column *column,
                 const char **out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_holes holes = {.schema = "", .table = STAGE, .column = column->name};
    struct literal literal = {.mem = l->mem};
    struct sql_table staged;

    if (stage(d, l, &column, 1, &staged, err) < 0)
        return -1;
    sql_put_template(d->dialect, d->dialect->quote_value, &holes, &sql);
    if (buf_ok(&sql, "a statement", err) < 0 ||
        d->conn->driver->query(d->conn, buf_str(&sql), NULL, 0, take_literal, &literal, err) < 0)
        return -1;
    if (!literal.text)
        return error_set(err, ERR_INTERNAL, "the staged row is gone");
    *out = literal.text;
    return drop_stage(d, err);
}

int older_add_column(struct sql_destination *d, const struct load *l,
                     const struct sql_column *column, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    const struct known_column *due = NULL;
    const char *literal = NULL;
    int64_t ignored;

    if (d->dialect->quote_value && find_due(l, column->name, &due) > 0 &&
        quote(d, l, due, &literal, err) < 0)
        return -1;
    sql_put_add_column(d->dialect, &l->table, column, &sql);
    if (literal) {
        buf_puts(&sql, " DEFAULT ");
        buf_puts(&sql, literal);
    }
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    if (!literal)
        return 0;
    if (failpoint("between_defaults", err) < 0)
        return -1;
    sql_put_drop_default(d->dialect, &l->table, column, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* ------------------------------------------------------------- behind the column */

static int update(struct sql_destination *d, const struct load *l,
                  const struct known_column *const *columns, size_t n, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table staged;
    int64_t ignored;

    if (stage(d, l, columns, n, &staged, err) < 0)
        return -1;
    sql_put_fill(d->dialect, &l->table, &staged, &sql);
    return load_run(d, &sql, &ignored, err) < 0 ? -1 : drop_stage(d, err);
}

int older_fill(struct sql_destination *d, struct load *l, struct error *err)
{
    const struct known_column **due = arena_array(l->mem, l->n_columns + 1, sizeof *due);
    size_t n = find_due(l, NULL, due);
    bool apart = !d->dialect->ddl_in_transaction;

    if (failpoint("before_filling", err) < 0 || (apart && load_begin(d, err) < 0) ||
        (!d->dialect->quote_value && update(d, l, due, n, err) < 0))
        return -1;
    settle(d, l, due, n);
    return !apart ? 0 : shape_record(d, l, err) < 0 ? -1 : load_commit(d, err);
}

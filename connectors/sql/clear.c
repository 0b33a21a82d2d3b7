#include <string.h>

#include "connectors/sql/load.h"

static int drop(struct sql_destination *d, const struct load *l, const char *table,
                struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    sql_put_drop(d->dialect, l->schema, table, &sql);
    return load_run(d, &sql, &ignored, err);
}

static int forget(struct sql_destination *d, const struct load *l, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value params[] = {sql_text(d->plan->pipeline), sql_text(l->id)};
    int64_t ignored;

    sql_put_quarantine_delete(d->dialect, l->schema, &sql);
    if (load_run_with(d, &sql, params, 2, &ignored, err) < 0)
        return -1;
    sql_put_state_delete(d->dialect, l->schema, &sql);
    return load_run_with(d, &sql, params, 2, &ignored, err);
}

/* A table that was there before us is left to its owner, with its rows. */
static int clear_stream(struct sql_destination *d, struct load *l, const struct state_row *row,
                        struct error *err)
{
    if (!row->adopted && row->live_generation > 0 && drop(d, l, row->target, err) < 0)
        return -1;
    if (row->live_generation != row->generation &&
        drop(d, l,
             names_generation(d->scratch, row->target, (long long)row->generation,
                              &d->dialect->names),
             err) < 0)
        return -1;
    if (*row->garbage && drop(d, l, row->garbage, err) < 0)
        return -1;
    return forget(d, l, err);
}

static int clear_all(struct sql_destination *d, struct error *err)
{
    struct table_column *columns;

    recover_describe(d);
    if (load_begin(d, err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];
        struct state_row *rows;
        size_t n;

        if (shape_inspect(d, l->schema, sql_state_table(l->schema).name, &columns, &n, err) < 0)
            return -1;
        if (n == 0)
            continue; /* nothing was ever written here */
        if (state_load(d, l->schema, &rows, &n, err) < 0)
            return -1;
        for (size_t j = 0; j < n; j++) {
            if (strcmp(rows[j].stream, l->id) == 0 && clear_stream(d, l, &rows[j], err) < 0)
                return error_wrap(err, "stream \"%s\"", l->id);
        }
    }
    return load_commit(d, err);
}

int sql_destination_clear(const struct sql_driver *driver, const void *config, struct run *run,
                          const struct write_plan *plan, struct error *err)
{
    struct sql_destination *d;
    struct sql_conn *conn;
    int rc;

    if (driver->open(config, run, &conn, err) < 0)
        return -1;
    d = load_new(conn, run, plan);
    rc = clear_all(d, err);
    load_close(&d->base);
    return rc;
}

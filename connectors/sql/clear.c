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
        drop(d, l, recover_generation(d, row->target, row->generation), err) < 0)
        return -1;
    for (size_t i = 0; i < row->garbage.n; i++) {
        if (drop(d, l, row->garbage.names[i], err) < 0)
            return -1;
    }
    return forget(d, l, err);
}

/* Where every DROP ends the transaction, the state goes last: a clear that was cut short is done
 * again. */
static int clear_place(struct sql_destination *d, struct place *p, struct error *err)
{
    bool is_table;

    if (!reconcile_exists(p, sql_state_table(p->schema).name, &is_table))
        return 0; /* nothing was ever written here */
    if (state_load(d, p->schema, &p->rows, &p->n_rows, err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];
        const struct state_row *row = l->place == p ? state_find(p->rows, p->n_rows, l->id) : NULL;

        if (row && clear_stream(d, l, row, err) < 0)
            return error_wrap(err, "stream \"%s\"", l->id);
    }
    return 0;
}

static int clear_all(struct sql_destination *d, struct error *err)
{
    recover_describe(d);
    if (load_begin(d, err) < 0 || recover_places(d, err) < 0)
        return -1;
    for (size_t i = 0; i < d->n_places; i++) {
        if (clear_place(d, &d->places[i], err) < 0)
            return -1;
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

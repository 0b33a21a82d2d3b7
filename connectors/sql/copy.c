/*
 * A generation that becomes visible row by row: the live table stays the same object, so whatever
 * depends on it stays valid, and readers see the old rows until the commit.
 *
 * Where rows of others point at rows of ours, deleting all of them would delete theirs or fail:
 * then only rows whose key is gone are deleted, and the others are rewritten where they differ.
 */
#include <string.h>
#include <strings.h>

#include "connectors/sql/load.h"

static const struct table_column *find_column(const struct table_column *columns, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(columns[i].name, name) == 0)
            return &columns[i];
    }
    return NULL;
}

/* What we know of a column of the generation, or what its declaration says. */
static struct sql_column describe(const struct sql_destination *d, const struct load *l,
                                  const struct table_column *c)
{
    for (size_t i = 0; i < l->table.n_columns; i++) {
        if (strcmp(l->table.columns[i].name, c->name) == 0) {
            struct sql_column known = l->table.columns[i];

            known.declared = NULL;
            known.cast = false;
            return known;
        }
    }
    return (struct sql_column){
        .name = c->name, .type = sql_read_type(d->dialect, c->declared), .role = SQL_ROLE_DATA};
}

/* Whether the rows of `c` can be copied into the column `there`. */
static bool column_fits(const struct sql_destination *d, const struct load *l,
                        const struct table_column *from, const struct table_column *there,
                        struct sql_column *c)
{
    struct column_type read, joined;

    if (strcasecmp(there->declared, from->declared) == 0)
        return true;
    if (!l->row.adopted)
        return false;
    c->declared = there->declared;
    read = sql_read_type(d->dialect, there->declared);
    if (d->dialect->differs == SQL_DIFFERS_DISTINCT && d->dialect->parse_type)
        c->cast = !d->dialect->parse_type(there->declared, &joined);
    return type_join(read, c->type, &joined) && joined.type == read.type;
}

int copy_plan(struct sql_destination *d, const struct load *l, struct copy *out, struct error *err)
{
    struct table_column *from, *to;
    size_t n_from, n_to;

    if (shape_inspect(d, l->schema, l->table_name, &from, &n_from, err) < 0 ||
        shape_inspect(d, l->schema, l->row.target, &to, &n_to, err) < 0)
        return -1;
    *out = (struct copy){.columns = arena_array(d->scratch, n_from + 1, sizeof *out->columns),
                         .added = arena_array(d->scratch, n_from + 1, sizeof *out->added),
                         .kept = arena_array(d->scratch, n_to + 1, sizeof *out->kept),
                         .fits = true};
    for (size_t i = 0; i < n_from; i++) {
        const struct table_column *there = find_column(to, n_to, from[i].name);
        struct sql_column *c = &out->columns[out->n++];

        *c = describe(d, l, &from[i]);
        if (!there)
            out->added[out->n_added++] = *c;
        else if (!column_fits(d, l, &from[i], there, c))
            out->fits = false;
    }
    for (size_t i = 0; i < n_to; i++) {
        if (!find_column(from, n_from, to[i].name))
            out->kept[out->n_kept++] = to[i];
    }
    return 0;
}

int copy_add_columns(struct sql_destination *d, const struct load *l, const struct copy *what,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table into = {l->schema, l->row.target, what->columns, what->n};
    int64_t ignored;

    for (size_t i = 0; i < what->n_added; i++) {
        sql_put_add_column(d->dialect, &into, &what->added[i], &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    return 0;
}

int copy_keep_columns(struct sql_destination *d, const struct load *l, const struct copy *what,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    for (size_t i = 0; i < what->n_kept; i++) {
        buf_puts(&sql, "ALTER TABLE ");
        sql_put_table(d->dialect, l->schema, l->table_name, &sql);
        buf_puts(&sql, " ADD COLUMN ");
        sql_put_name(d->dialect, what->kept[i].name, &sql);
        buf_putc(&sql, ' ');
        sql_put_declared(d->dialect, what->kept[i].declared, &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    return 0;
}

static int append(struct sql_destination *d, const struct load *l, const struct copy *what,
                  struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table into = {l->schema, l->row.target, what->columns, what->n};
    int64_t ignored;

    sql_put_insert_select(d->dialect, &into, l->table_name, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* The generation, row by row with numbers, as a stage from which rows are merged. */
static int stage_generation(struct sql_destination *d, struct load *l, const char *generation,
                            struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    if (alter_stage(d, l, err) < 0)
        return -1;
    sql_put_stage_from(d->dialect, &l->stage, l->schema, generation, &sql);
    if (load_run(d, &sql, &l->n_staged, err) < 0)
        return -1;
    return sql_put_stage_index(d->dialect, &l->stage, &sql) ? load_run(d, &sql, &ignored, err) : 0;
}

/* The live table has refused something: the load is for a moment one that merges what is staged
 * into that table, which finds the rows. */
static int append_by_parts(struct sql_destination *d, struct load *l, const struct copy *what,
                           int64_t *out_refused, struct error *err)
{
    const struct load kept = *l;
    int rc;

    l->table_name = l->row.target;
    l->table = (struct sql_table){l->schema, l->row.target, what->columns, what->n};
    l->fill = arena_array(l->mem, what->n + 1, sizeof *l->fill);
    l->pending = (struct counts){0};
    rc = stage_generation(d, l, kept.table_name, err);
    if (rc == 0)
        rc = merge_staged(d, l, err);
    *out_refused = l->pending.quarantined_rows;
    if (rc == 0)
        rc = alter_drop_stage(d, l, err);
    l->table_name = kept.table_name;
    l->table = kept.table;
    l->fill = kept.fill;
    l->pending = kept.pending;
    return rc;
}

int copy_append(struct sql_destination *d, struct load *l, const struct copy *what,
                int64_t *out_refused, struct error *err)
{
    struct error why = ERROR_INIT;

    *out_refused = 0;
    if (!l->row.adopted)
        return append(d, l, what, err);
    if ((d->dialect->check_now && load_run_text(d, d->dialect->check_now, err) < 0) ||
        load_run_text(d, "SAVEPOINT connectord_copy", err) < 0)
        return -1;
    if (append(d, l, what, &why) == 0)
        return load_run_text(d, "RELEASE SAVEPOINT connectord_copy", err);
    if (why.code != ERR_DATA) {
        *err = why;
        return -1;
    }
    if (load_run_text(d, "ROLLBACK TO SAVEPOINT connectord_copy", err) < 0 ||
        load_run_text(d, "RELEASE SAVEPOINT connectord_copy", err) < 0)
        return -1;
    return append_by_parts(d, l, what, out_refused, err);
}

/* Keys stay the rows they are. */
static int replace_by_key(struct sql_destination *d, const struct load *l, const struct copy *what,
                          struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table into = {l->schema, l->row.target, what->columns, what->n};
    struct sql_table from = {l->schema, l->table_name, what->columns, what->n};
    int64_t ignored;

    sql_put_delete_missing(d->dialect, &into, &from, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    if (sql_put_merge_update(d->dialect, &into, &from, NULL, &sql) &&
        load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_merge_insert(d->dialect, &into, &from, NULL, &sql);
    return load_run(d, &sql, &ignored, err);
}

int copy_replace(struct sql_destination *d, struct load *l, const struct copy *what,
                 int64_t *out_refused, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    *out_refused = 0;
    if (what->by_key)
        return replace_by_key(d, l, what, err);
    sql_put_delete_all(d->dialect, l->schema, l->row.target, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    return copy_append(d, l, what, out_refused, err);
}

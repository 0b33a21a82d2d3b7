/*
 * A generation that is complete becomes what readers see. Everything up to the new state row
 * happens in one transaction; the old generation is dropped in the next one, and its name stands in
 * the state row until then.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/load.h"

/* The shrink guard: less than half of the rows is taken for a mistake. */
#define SHRINK_DIVISOR 2

/* The row number of the database under a name no column of the table has; NULL when there is none.
 */
static const char *row_id(const struct sql_destination *d, const struct table_column *columns,
                          size_t n)
{
    for (size_t i = 0; i < 3; i++) {
        const char *name = d->dialect->row_id[i];
        bool taken = !name;

        for (size_t j = 0; j < n && !taken; j++)
            taken = strcasecmp(columns[j].name, name) == 0;
        if (!taken)
            return name;
    }
    return NULL;
}

static int run_text(struct sql_destination *d, const char *text, struct error *err)
{
    struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;
    int rc;

    buf_puts(&sql, text);
    rc = load_run(d, &sql, &ignored, err);
    buf_release(&sql);
    return rc;
}

/* Keeps the last row of each key. A source that declares a key and repeats it is rare, so the index
 * is tried first. */
static int fold_generation(struct sql_destination *d, struct load *l, struct counts *fold,
                           struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct table_column *columns;
    struct error why = ERROR_INIT;
    const char *id;
    int64_t folded;
    size_t n;

    if (run_text(d, "SAVEPOINT connectord_key", err) < 0)
        return -1;
    if (shape_index_key(d, l, &why) == 0)
        return run_text(d, "RELEASE SAVEPOINT connectord_key", err);
    if (why.code != ERR_DATA) {
        *err = why;
        return -1;
    }
    if (run_text(d, "ROLLBACK TO SAVEPOINT connectord_key", err) < 0 ||
        run_text(d, "RELEASE SAVEPOINT connectord_key", err) < 0 ||
        shape_inspect(d, l->schema, l->table_name, &columns, &n, err) < 0)
        return -1;
    id = row_id(d, columns, n);
    if (!id)
        return error_set_reason(err, ERR_DATA, "duplicate_key_in_source",
                                "stream \"%s\": the source repeats keys", l->id);
    sql_put_fold_loaded(d->dialect, &l->table, id, &sql);
    if (load_run(d, &sql, &folded, err) < 0)
        return -1;
    fold->folded = folded;
    fold->inserted = -folded;
    log_warn(d->run->log, .message = "the source repeats keys, the last row of each was kept",
             .fields = {log_text("stream", l->id), log_int("rows", folded)});
    return shape_index_key(d, l, err);
}

static int count_rows(struct sql_destination *d, const struct load *l, const char *table,
                      int64_t *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);

    sql_put_count(d->dialect, l->schema, table, &sql);
    return load_count(d, &sql, out, err);
}

static int store(struct sql_destination *d, struct load *l, struct state_row *next,
                 struct error *err)
{
    next->seq = l->row.seq + 1;
    return state_update(d, l, &l->row, next, err);
}

/* The new generation is thrown away, the live table is left as it is. */
static int refuse(struct sql_destination *d, struct load *l, int64_t live, int64_t now,
                  struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct state_row next = l->row;
    int64_t ignored;

    next.position = NULL;
    sql_put_drop(d->dialect, l->schema, l->table_name, &sql);
    if (load_run(d, &sql, &ignored, err) < 0 || store(d, l, &next, err) < 0 ||
        load_commit(d, err) < 0)
        return -1;
    return error_set_reason(err, ERR_CONFLICT, "shrink_guard",
                            "stream \"%s\": the source has %lld rows and the table %lld; allow_%s "
                            "lets that happen",
                            l->id, (long long)now, (long long)live, now ? "shrink" : "empty");
}

/* Level 1 of reconciliation, and the numbers the guard compares. */
static int check_generation(struct sql_destination *d, struct load *l, const struct counts *fold,
                            int64_t *out_live, int64_t *out_now, struct error *err)
{
    int64_t expected = l->row.counts.inserted + fold->inserted;

    *out_live = 0;
    if (count_rows(d, l, l->table_name, out_now, err) < 0)
        return -1;
    if (*out_now != expected)
        return error_set(err, ERR_INTERNAL,
                         "stream \"%s\": %lld rows were inserted, %lld are there", l->id,
                         (long long)expected, (long long)*out_now);
    if (!l->live_exists)
        return 0;
    return count_rows(d, l, l->row.target, out_live, err);
}

static int take_attached(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct attached_list *list = arg;
    struct attached *a = arena_alloc(list->mem, sizeof *a);

    (void)n;
    (void)err;
    a->name = sql_value_text(list->mem, &v[0]);
    a->kind = sql_value_text(list->mem, &v[1]);
    a->sql = sql_value_text(list->mem, &v[2]);
    *list->last = a;
    list->last = &a->next;
    return 0;
}

int swap_find_attached(struct sql_destination *d, const struct load *l, const char *table,
                       struct attached_list *out, struct error *err)
{
    struct sql_value params[] = {sql_text(l->schema), sql_text(table)};

    *out = (struct attached_list){.mem = d->scratch};
    out->last = &out->first;
    if (!d->dialect->attached_query)
        return 0;
    return d->conn->driver->query(d->conn, d->dialect->attached_query, params, 2, take_attached,
                                  out, err);
}

static int rename_table(struct sql_destination *d, const struct load *l, const char *from,
                        const char *to, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    sql_put_rename(d->dialect, l->schema, from, to, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* The old table steps aside under the name of its generation; indexes and triggers that others put
 * on it are made again on the new one. */
static int swap_by_rename(struct sql_destination *d, struct load *l, struct state_row *next,
                          struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct attached_list attached;
    int64_t ignored;

    if (swap_find_attached(d, l, l->row.target, &attached, err) < 0)
        return -1;
    for (const struct attached *a = attached.first; a; a = a->next) {
        buf_printf(&sql, "DROP %s ", strcmp(a->kind, "trigger") ? "INDEX" : "TRIGGER");
        sql_put_name(d->dialect, a->name, &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    if (l->live_exists) {
        next->garbage = names_generation(d->mem, l->row.target, (long long)l->row.live_generation,
                                         &d->dialect->names);
        if (rename_table(d, l, l->row.target, next->garbage, err) < 0)
            return -1;
    }
    if (rename_table(d, l, l->table_name, l->row.target, err) < 0)
        return -1;
    for (const struct attached *a = attached.first; a; a = a->next) {
        if (run_text(d, a->sql, err) < 0)
            return error_wrap(err, "making \"%s\" again", a->name);
    }
    next->adopted = false;
    return 0;
}

static const struct table_column *find_column(const struct table_column *columns, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(columns[i].name, name) == 0)
            return &columns[i];
    }
    return NULL;
}

/* What has to be copied, and whether the live table can take it. */
struct copy {
    struct sql_column *columns;
    size_t n;
    bool fits; /* every column is there with the same type, or can be added */
};

static int compare_tables(struct sql_destination *d, const struct load *l, struct copy *out,
                          struct error *err)
{
    struct table_column *from, *to;
    size_t n_from, n_to;

    if (shape_inspect(d, l->schema, l->table_name, &from, &n_from, err) < 0 ||
        shape_inspect(d, l->schema, l->row.target, &to, &n_to, err) < 0)
        return -1;
    *out = (struct copy){arena_array(d->scratch, n_from + 1, sizeof *out->columns), 0, true};
    for (size_t i = 0; i < n_from; i++) {
        const struct table_column *there = find_column(to, n_to, from[i].name);
        struct sql_column *c = &out->columns[out->n++];

        *c = (struct sql_column){.name = from[i].name,
                                 .type = sql_read_type(d->dialect, from[i].declared),
                                 .role = SQL_ROLE_DATA};
        if (there && strcasecmp(there->declared, from[i].declared) != 0)
            out->fits = false;
    }
    return 0;
}

static int copy_rows(struct sql_destination *d, const struct load *l, const struct copy *what,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table into = {l->schema, l->row.target, what->columns, what->n};
    struct table_column *to;
    size_t n_to;
    int64_t ignored;

    if (shape_inspect(d, l->schema, l->row.target, &to, &n_to, err) < 0)
        return -1;
    for (size_t i = 0; i < what->n; i++) {
        if (find_column(to, n_to, what->columns[i].name))
            continue;
        sql_put_add_column(d->dialect, &into, &what->columns[i], &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    sql_put_insert_select(d->dialect, &into, l->table_name, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_drop(d->dialect, l->schema, l->table_name, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* The table stays the same object, so whatever depends on it stays valid. */
static int swap_by_copy(struct sql_destination *d, struct load *l, const struct copy *what,
                        struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_table live = l->table;
    int64_t ignored;

    live.name = l->row.target;
    sql_put_delete_all(d->dialect, l->schema, l->row.target, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    if (!l->row.adopted) {
        buf_puts(&sql, "DROP INDEX IF EXISTS ");
        sql_put_name(d->dialect,
                     names_key_index(d->scratch, l->row.target, (long long)l->row.live_generation),
                     &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    if (copy_rows(d, l, what, err) < 0)
        return -1;
    if (l->row.adopted || !l->keyed)
        return 0;
    sql_put_key_index(d->dialect, &live,
                      names_key_index(d->scratch, l->row.target, (long long)l->row.generation),
                      &sql);
    return load_run(d, &sql, &ignored, err);
}

static int note_dependent(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    bool *any = arg;

    (void)v;
    (void)n;
    (void)err;
    *any = true;
    return 0;
}

static int has_dependents(struct sql_destination *d, const struct load *l, bool *out,
                          struct error *err)
{
    struct sql_value params[] = {sql_text(l->schema), sql_text(l->row.target)};

    *out = false;
    return d->conn->driver->query(d->conn, d->dialect->dependents_query, params, 2, note_dependent,
                                  out, err);
}

static int replace(struct sql_destination *d, struct load *l, struct state_row *next,
                   struct error *err)
{
    struct copy what;
    bool dependents = false;

    if (!l->live_exists)
        return rename_table(d, l, l->table_name, l->row.target, err);
    if (has_dependents(d, l, &dependents, err) < 0 || compare_tables(d, l, &what, err) < 0)
        return -1;
    if (l->row.adopted && !what.fits)
        return error_set_reason(err, ERR_SCHEMA, "adopted_type",
                                "table \"%s\" was adopted and has columns of other types",
                                l->row.target);
    if ((dependents && what.fits) || l->row.adopted)
        return swap_by_copy(d, l, &what, err);
    return swap_by_rename(d, l, next, err);
}

static int append(struct sql_destination *d, struct load *l, struct error *err)
{
    struct copy what;

    if (!l->live_exists)
        return rename_table(d, l, l->table_name, l->row.target, err);
    if (compare_tables(d, l, &what, err) < 0)
        return -1;
    return copy_rows(d, l, &what, err);
}

/* Key index, verification, guard, and the exchange itself; all but its commit. */
static int exchange(struct sql_destination *d, struct load *l, struct state_row *next,
                    struct counts *fold, struct error *err)
{
    bool moves = l->want->write_mode == WRITE_APPEND && l->want->sync_mode == SYNC_FULL_REFRESH;
    bool allowed = l->want->allow_shrink;
    int64_t live, now;

    if (l->keyed && !l->merging && fold_generation(d, l, fold, err) < 0)
        return -1;
    if (check_generation(d, l, fold, &live, &now, err) < 0)
        return -1;
    if (now == 0)
        allowed |= l->want->allow_empty;
    if (!moves && !allowed && live > 0 && now < (live + SHRINK_DIVISOR - 1) / SHRINK_DIVISOR)
        return refuse(d, l, live, now, err);
    if (failpoint("before_swap", err) < 0)
        return -1;
    return moves ? append(d, l, err) : replace(d, l, next, err);
}

int swap_generation(struct sql_destination *d, struct load *l, struct counts *fold,
                    struct error *err)
{
    struct state_row next;

    arena_clear(d->scratch);
    if (load_begin(d, err) < 0)
        return -1;
    next = l->row;
    if (exchange(d, l, &next, fold, err) < 0)
        return -1;
    next.live_generation = next.generation;
    counts_add(&next.counts, fold);
    if (store(d, l, &next, err) < 0 || load_commit(d, err) < 0)
        return -1;
    l->row = next;
    l->building = false;
    l->live_exists = true;
    l->table_name = next.target;
    l->shape = NULL;
    if (failpoint("after_swap_before_drop", err) < 0)
        return -1;
    return *next.garbage ? swap_drop_garbage(d, l, err) : 0;
}

int swap_drop_garbage(struct sql_destination *d, struct load *l, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct state_row next = l->row;
    int64_t ignored;

    next.garbage = "";
    sql_put_drop(d->dialect, l->schema, l->row.garbage, &sql);
    if (load_begin(d, err) < 0 || load_run(d, &sql, &ignored, err) < 0 ||
        store(d, l, &next, err) < 0 || load_commit(d, err) < 0)
        return -1;
    l->row = next;
    return 0;
}

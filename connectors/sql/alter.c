/*
 * Statements that change tables: created, widened, indexed, staged.
 *
 * Where DDL ends the open transaction, it runs in none. What a table is about to get is written
 * into the state row before, so that after a crash at any point a column is known for what it was
 * meant to be and not for what its declaration looks like. Everything here may be done twice.
 */
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/evolve.h"
#include "connectors/sql/load.h"

static int create_table(struct shaping *s, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct load *l = s->l;
    bool at_once = !s->d->dialect->ddl_in_transaction;
    const char *index = names_key_index(s->d->scratch, l->row.target, l->row.generation);
    int64_t ignored;

    /* A worker that has been fenced by now may just have made it. */
    sql_put_create_indexed(s->d->dialect, &l->table, at_once ? SQL_CREATE_OURS : SQL_CREATE_PLAIN,
                           at_once && l->merging ? index : NULL, &sql);
    if (load_run(s->d, &sql, &ignored, err) < 0)
        return error_wrap(err, "creating table \"%s\"", l->table_name);
    l->table_exists = true;
    if (!l->building)
        l->live_exists = true;
    return l->merging ? alter_index_key(s->d, l, l->table_name, err) : 0;
}

/* What the column was until now: known, or as it looks. */
static struct column_type type_now(const struct shaping *s, const struct table_column *actual)
{
    for (size_t i = 0; i < s->n_before; i++) {
        if (strcmp(s->before[i].name, actual->name) == 0)
            return s->before[i].type;
    }
    return sql_read_type(s->d->dialect, actual->declared);
}

/* What has to be done to a table that is there. */
struct changes {
    const struct sql_column **added;
    struct known_column *from;
    struct sql_column *to;
    size_t n_added, n_widened;
};

static void compare(const struct shaping *s, struct changes *out)
{
    const struct load *l = s->l;
    size_t n = l->table.n_columns + 1;

    *out = (struct changes){.added = arena_array(l->mem, n, sizeof *out->added),
                            .from = arena_array(l->mem, n, sizeof *out->from),
                            .to = arena_array(l->mem, n, sizeof *out->to)};
    for (size_t i = 0; i < l->table.n_columns; i++) {
        const struct sql_column *c = &l->table.columns[i];
        const struct table_column *actual = shape_find_actual(s, c->name);
        struct column_type was;

        if (!actual) {
            out->added[out->n_added++] = c;
            continue;
        }
        was = type_now(s, actual);
        if (c->declared || l->fill[i].fill != SQL_FILL_COLUMN || type_equal(was, c->type))
            continue;
        out->from[out->n_widened] = (struct known_column){.name = c->name, .type = was};
        out->to[out->n_widened++] = *c;
    }
}

static int alter_table(struct shaping *s, const struct changes *what, struct error *err)
{
    struct load *l = s->l;

    for (size_t i = 0; i < what->n_added; i++) {
        if (older_add_column(s->d, l, what->added[i], err) < 0)
            return error_wrap(err, "adding column \"%s\"", what->added[i]->name);
        log_info(s->d->run->log, .message = "column added",
                 .fields = {log_text("stream", l->id), log_text("column", what->added[i]->name)});
    }
    if (what->n_widened > 0 &&
        widen_columns(s->d, l, what->from, what->to, what->n_widened, err) < 0)
        return -1;
    /* Behind what is widened: what is remembered here is that all of it is done. */
    return older_is_due(l) ? older_fill(s->d, l, err) : 0;
}

static bool anything_pending(const struct sql_destination *d)
{
    for (size_t i = 0; i < d->plan->n; i++) {
        if (d->streams[i].dirty)
            return true;
    }
    return false;
}

/* The columns of now, but those that are still to be widened as they are. */
static int announce(struct shaping *s, const struct changes *what, struct error *err)
{
    struct load *l = s->l;
    struct state_row next = l->row;
    struct known_column *columns = arena_array(s->d->mem, l->n_columns + 1, sizeof *columns);

    for (size_t i = 0; i < l->n_columns; i++) {
        columns[i] = l->columns[i];
        for (size_t k = 0; k < what->n_widened; k++) {
            if (strcmp(what->from[k].name, columns[i].name) == 0)
                columns[i].type = what->from[k].type;
        }
    }
    next.columns = columns;
    next.n_columns = l->n_columns;
    shape_start_anew(s->d, l, &next);
    if (load_begin(s->d, err) < 0 || state_update(s->d, l, &l->row, &next, err) < 0 ||
        load_commit(s->d, err) < 0)
        return -1;
    l->row = next;
    return failpoint("before_ddl", err);
}

int alter_apply(struct shaping *s, struct error *err)
{
    struct changes what = {0};

    if (s->n_actual > 0) {
        compare(s, &what);
        if (what.n_added == 0 && what.n_widened == 0 && !older_is_due(s->l))
            return s->l->merging && !s->l->row.adopted
                       ? alter_index_key(s->d, s->l, s->l->table_name, err)
                       : 0;
    }
    if (!s->d->dialect->ddl_in_transaction) {
        s->late |= anything_pending(s->d);
        load_rollback(s->d);
        if (announce(s, &what, err) < 0)
            return -1;
    }
    if (s->n_actual == 0
            ? create_table(s, err) < 0
            : load_wait_shortly(s->d, true, err) < 0 || alter_table(s, &what, err) < 0 ||
                  load_wait_shortly(s->d, false, err) < 0)
        return -1;
    return 0;
}

/* --------------------------------------------------------------------- staging */

int alter_stage(struct sql_destination *d, struct load *l, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    size_t n = l->table.n_columns + 1;
    struct sql_column *columns = arena_array(l->mem, n, sizeof *columns);
    struct sql_bulk_column *fill = arena_array(l->mem, n, sizeof *fill);
    int64_t ignored;

    columns[0] = (struct sql_column){
        .name = "_connectord_order", .type = type_plain(TYPE_INT), .role = SQL_ROLE_ORDER};
    fill[0].fill = SQL_FILL_ORDER;
    memcpy(columns + 1, l->table.columns, (n - 1) * sizeof *columns);
    memcpy(fill + 1, l->fill, (n - 1) * sizeof *fill);
    l->stage = (struct sql_table){
        "", arena_printf(l->mem, "_connectord_stage_%zu", (size_t)(l - d->streams)), columns, n};
    l->stage_fill = fill;
    sql_put_drop_stage(d->dialect, l->stage.name, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_create(d->dialect, &l->stage, SQL_CREATE_STAGE, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    l->stage_exists = true;
    d->n_stages++;
    return 0;
}

int alter_drop_stage(struct sql_destination *d, struct load *l, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    if (!l->stage_exists)
        return 0;
    l->stage_exists = false;
    d->n_stages--;
    sql_put_drop_stage(d->dialect, l->stage.name, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* ------------------------------------------------------------------- key index */

struct found_index {
    struct arena *mem;
    const struct load *l;
    const char *name;
    size_t n; /* columns of it seen */
    bool same;
};

static const char *key_name(const struct load *l, size_t i)
{
    const struct schema *want = l->want->schema;
    const char *source = want->columns[want->key[i]].name;

    for (size_t k = 0; k < l->n_columns; k++) {
        if (strcmp(l->columns[k].source, source) == 0)
            return l->columns[k].name;
    }
    return source;
}

static bool is_complete(const struct found_index *f)
{
    return f->same && f->n == f->l->want->schema->n_key;
}

/* Index by index; one over the right columns is what is looked for, else any of them. */
static int take_index_column(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct found_index *f = arg;
    const char *name = sql_value_text(f->mem, &v[0]);

    (void)n;
    (void)err;
    if (strcmp(name, f->name) != 0) {
        if (*f->name && is_complete(f))
            return 0;
        f->name = name;
        f->n = 0;
        f->same = true;
    }
    f->same &= f->n < f->l->want->schema->n_key &&
               names_compare(sql_value_text(f->mem, &v[1]), key_name(f->l, f->n)) == 0;
    f->n++;
    return 0;
}

int alter_find_key_index(struct sql_destination *d, const struct load *l, const char *table,
                         const char **out, bool *out_same, struct error *err)
{
    struct found_index f = {.mem = d->scratch, .l = l, .name = "", .same = true};

    if (load_ask(d, d->dialect->key_index_query, l->schema, table, NULL, take_index_column, &f,
                 err) < 0)
        return -1;
    *out = f.name;
    *out_same = is_complete(&f);
    return 0;
}

int alter_index_key(struct sql_destination *d, const struct load *l, const char *table,
                    struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    const char *name = names_key_index(d->scratch, l->row.target, l->row.generation), *found;
    struct sql_table t = l->table;
    int64_t ignored;
    bool same;

    if (alter_find_key_index(d, l, table, &found, &same, err) < 0)
        return -1;
    if (*found && same)
        return 0;
    t.name = table;
    sql_put_key_index(d->dialect, &t, name, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return error_wrap(err, "indexing the key of \"%s\"", table);
    if (!d->dialect->promote_key || *found)
        return 0;
    sql_put_promote_key(d->dialect, &t, name, &sql);
    return load_run(d, &sql, &ignored, err);
}

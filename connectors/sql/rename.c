/*
 * Columns that have another name at the source now, as the user says: the column of the live table
 * is given the new name with all that is in it, instead of a new one beside it.
 *
 * That happens before anything else, and in no transaction with rows. Where DDL commits, the state
 * row says before how the table may still call the column, and after a crash that shows in the
 * table. A column that is gone at the source and one that is new are joined, never two that are
 * there: the destination must have the one and not the other.
 */
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/renames.h"
#include "connectors/sql/load.h"

/* What is known, of which some change; and the columns the table has. */
struct renaming {
    struct sql_destination *d;
    struct load *l;
    struct known_column *columns;
    struct table_column *actual;
    size_t n_actual;
};

static bool is_joined(const struct load *l, const struct column_rename *r)
{
    return l->want->drift == DRIFT_EVOLVE && shape_find_known(l, r->from) &&
           !shape_find_known(l, r->to) && schema_find(l->want->stream->schema, r->from) < 0 &&
           schema_find(l->want->schema, r->to) >= 0;
}

/* Before a crash. */
static bool is_begun(const struct load *l)
{
    for (size_t i = 0; i < l->n_columns; i++) {
        if (l->columns[i].was)
            return true;
    }
    return false;
}

static bool is_wanted(const struct load *l)
{
    for (size_t i = 0; i < l->want->n_renames; i++) {
        if (is_joined(l, &l->want->renames[i]))
            return true;
    }
    return false;
}

static bool has_column(const struct renaming *r, const char *name)
{
    for (size_t i = 0; i < r->n_actual; i++) {
        if (strcmp(r->actual[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Whether a column other than this one has the name, as databases compare names. */
static bool is_taken(const struct renaming *r, const char *name, const char *by)
{
    for (size_t i = 0; i < r->n_actual; i++) {
        if (strcmp(r->actual[i].name, by) != 0 && names_compare(r->actual[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The name of one column beside all others. */
static const char *name_column(const struct renaming *r, size_t at, const char *source)
{
    const struct load *l = r->l;
    struct name_pair *pairs = arena_array(r->d->mem, l->n_columns + 1, sizeof *pairs);

    for (size_t i = 0; i < l->n_columns; i++)
        pairs[i] = (struct name_pair){r->columns[i].source, r->columns[i].name, NULL, false};
    pairs[at] = (struct name_pair){source, NULL, NULL, l->want->snake};
    names_assign(r->d->mem, NAMES_COLUMN, &r->d->dialect->names, pairs, l->n_columns);
    return pairs[at].name;
}

/* A name that the table has already, from others, stays theirs. False when nothing is joined. */
static bool join(struct renaming *r)
{
    const struct load *l = r->l;
    bool any = false;

    for (size_t i = 0; i < l->want->n_renames; i++) {
        const struct column_rename *said = &l->want->renames[i];
        const struct known_column *known = shape_find_known(l, said->from);
        struct known_column *c;
        const char *name;

        if (!is_joined(l, said))
            continue;
        c = &r->columns[known - l->columns];
        name = name_column(r, (size_t)(known - l->columns), said->to);
        if (!has_column(r, c->name) || is_taken(r, name, c->name))
            continue;
        c->source = arena_strdup(r->d->mem, said->to);
        if (strcmp(name, c->name) != 0)
            c->was = c->name;
        c->name = name;
        any = true;
    }
    return any;
}

static int rename_in_table(struct renaming *r, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    const struct sql_table t = {.schema = r->l->schema, .name = r->l->row.target};
    int64_t ignored;

    for (size_t i = 0; i < r->l->n_columns; i++) {
        struct known_column *c = &r->columns[i];

        if (c->was && has_column(r, c->was) && !has_column(r, c->name)) {
            sql_put_rename_column(r->d->dialect, &t, c->was, c->name, &sql);
            if (load_run(r->d, &sql, &ignored, err) < 0)
                return error_wrap(err, "renaming column \"%s\"", c->was);
            log_info(r->d->run->log, .message = "column renamed",
                     .fields = {log_text("stream", r->l->id), log_text("from", c->was),
                                log_text("to", c->name)});
        }
        c->was = NULL;
    }
    return failpoint("after_renaming", err);
}

/* What is going to be, before it is. */
static int announce(struct renaming *r, struct error *err)
{
    struct known_column *copy = arena_array(r->d->mem, r->l->n_columns + 1, sizeof *copy);

    memcpy(copy, r->columns, r->l->n_columns * sizeof *copy);
    r->l->columns = copy;
    if (load_begin(r->d, err) < 0 || shape_record(r->d, r->l, err) < 0 ||
        load_commit(r->d, err) < 0)
        return -1;
    return failpoint("before_renaming", err);
}

int rename_columns(struct sql_destination *d, struct load *l, struct error *err)
{
    struct renaming r = {.d = d, .l = l};
    bool apart = !d->dialect->ddl_in_transaction;

    if (!l->live_exists || (!is_begun(l) && !is_wanted(l)))
        return 0;
    if ((!apart && load_begin(d, err) < 0) ||
        shape_inspect(d, l->schema, l->row.target, &r.actual, &r.n_actual, err) < 0)
        return -1;
    r.columns = arena_array(d->mem, l->n_columns + 1, sizeof *r.columns);
    memcpy(r.columns, l->columns, l->n_columns * sizeof *r.columns);
    if (!join(&r) && !is_begun(l)) {
        load_rollback(d);
        return 0;
    }
    if ((apart && announce(&r, err) < 0) || load_wait_shortly(d, true, err) < 0 ||
        rename_in_table(&r, err) < 0 || load_wait_shortly(d, false, err) < 0)
        return -1;
    l->columns = r.columns;
    if (load_begin(d, err) < 0 || shape_record(d, l, err) < 0)
        return -1;
    return load_commit(d, err);
}

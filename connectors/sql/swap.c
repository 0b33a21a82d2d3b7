/*
 * A generation that is complete becomes what readers see.
 *
 * First everything that may take long, while nobody waits: repeated keys are folded, the key is
 * indexed, rows are counted, the shrink guard decides; what others have made on the live table is
 * made on the new one (PostgreSQL), or found to need the live table itself, and then rows are
 * copied. What remains is a moment in which both tables are renamed. It waits for readers a few
 * seconds at a time, and is tried again without building anything anew.
 *
 * Where renaming is no part of a transaction (MySQL), the state row says before that it is about to
 * happen. After a crash the new table is still there, and the exchange is made again, or it is
 * gone, and the exchange was made.
 *
 * The table that is left over stands in the state row as garbage until it is dropped.
 */
#include <string.h>
#include <strings.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/load.h"

/* The shrink guard: less than half of the rows is taken for a mistake. */
#define SHRINK_DIVISOR 2

#define SWAP_TRIES   12
#define SWAP_WAIT_MS 200

/* ---------------------------------------------------------- before: a whole generation */

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

static int fold_repeated(struct sql_destination *d, struct load *l, struct counts *fold,
                         struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct table_column *columns;
    const char *id;
    int64_t folded;
    size_t n;

    if (shape_inspect(d, l->schema, l->table_name, &columns, &n, err) < 0)
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
    return 0;
}

/* Keeps the last row of each key. A source that declares a key and repeats it is rare, so the index
 * is tried first. */
static int index_generation(struct sql_destination *d, struct load *l, struct counts *fold,
                            struct error *err)
{
    bool undo = d->dialect->ddl_in_transaction;
    struct error why = ERROR_INIT;

    if (undo && load_run_text(d, "SAVEPOINT connectord_key", err) < 0)
        return -1;
    if (alter_index_key(d, l, l->table_name, &why) == 0)
        return undo ? load_run_text(d, "RELEASE SAVEPOINT connectord_key", err) : 0;
    if (why.code != ERR_DATA) {
        *err = why;
        return -1;
    }
    if (undo && (load_run_text(d, "ROLLBACK TO SAVEPOINT connectord_key", err) < 0 ||
                 load_run_text(d, "RELEASE SAVEPOINT connectord_key", err) < 0))
        return -1;
    if (fold_repeated(d, l, fold, err) < 0)
        return -1;
    return alter_index_key(d, l, l->table_name, err);
}

int swap_count_rows(struct sql_destination *d, const struct load *l, const char *table,
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
    if (load_begin(d, err) < 0 || state_update(d, l, &l->row, next, err) < 0)
        return -1;
    return 0;
}

static int store_and_commit(struct sql_destination *d, struct load *l, struct state_row *next,
                            struct error *err)
{
    if (store(d, l, next, err) < 0 || load_commit(d, err) < 0)
        return -1;
    l->row = *next;
    return 0;
}

/* The new generation is thrown away, the live table is left as it is. */
static int refuse(struct sql_destination *d, struct load *l, int64_t live, int64_t now,
                  struct error *err)
{
    struct state_row next = l->row;

    next.position = NULL;
    state_discard(d, &next, l->table_name);
    if (store_and_commit(d, l, &next, err) < 0 || swap_drop_garbage(d, l, err) < 0)
        return -1;
    return error_set_reason(err, ERR_CONFLICT, "shrink_guard",
                            "stream \"%s\": the source has %lld rows and the table %lld; allow_%s "
                            "lets that happen",
                            l->id, (long long)now, (long long)live, now ? "shrink" : "empty");
}

/* Rows are moved into the live table instead of taking its place. */
static bool moves(const struct load *l)
{
    return l->want->write_mode == WRITE_APPEND && l->want->sync_mode == SYNC_FULL_REFRESH;
}

static bool shrinks(int64_t live, int64_t now)
{
    return live > 0 && now < (live + SHRINK_DIVISOR - 1) / SHRINK_DIVISOR;
}

/* Looks at the live table only where the rows that were delivered there do not settle it. */
static int guard(struct sql_destination *d, const struct load *l, int64_t now, int64_t *out_live,
                 bool *out_refuses, struct error *err)
{
    bool allowed = l->want->allow_shrink || (now == 0 && l->want->allow_empty) || moves(l);

    *out_refuses = false;
    if (!l->live_exists || allowed || (l->live_delivered >= 0 && !shrinks(l->live_delivered, now)))
        return 0;
    if (swap_count_rows(d, l, l->row.target, out_live, err) < 0)
        return -1;
    *out_refuses = shrinks(*out_live, now);
    return 0;
}

/* Level 1 and 2 of reconciliation, and the numbers the guard compares. */
static int verify(struct sql_destination *d, struct load *l, struct counts *fold, struct error *err)
{
    struct state_row next = l->row;
    int64_t expected, live = 0, now;
    bool refuses;

    if (l->keyed && !l->merging && index_generation(d, l, fold, err) < 0)
        return -1;
    expected = l->row.counts.inserted + fold->inserted;
    if (swap_count_rows(d, l, l->table_name, &now, err) < 0)
        return -1;
    if (now != expected)
        return error_set(err, ERR_INTERNAL,
                         "stream \"%s\": %lld rows were inserted, %lld are there", l->id,
                         (long long)expected, (long long)now);
    if (guard(d, l, now, &live, &refuses, err) < 0)
        return -1;
    if (refuses)
        return refuse(d, l, live, now, err);
    counts_add(&next.counts, fold);
    return store_and_commit(d, l, &next, err);
}

/* --------------------------------------------------------------------------- the swap */

enum how { HOW_RENAME, HOW_COPY, HOW_APPEND };

struct swap {
    struct sql_destination *d;
    struct load *l;
    enum how how;
    struct copy copy;
    struct carried_list carried;
    const char *aside; /* where the live table goes */
    struct counts *fold;
};

static int blocked(const struct swap *s, const struct dependents *found, struct error *err)
{
    return error_set_reason(err, ERR_SCHEMA, "swap_blocked",
                            "table \"%s\" has columns of other types than the source now, and "
                            "cannot be replaced while the %s \"%s\" depends on it",
                            s->l->row.target, found->kind, found->name);
}

/* Whether the new table may take the place of the live one, or has to give its rows to it. */
static int choose(struct swap *s, struct error *err)
{
    struct sql_destination *d = s->d;
    const struct load *l = s->l;
    struct dependents found;
    struct error why = ERROR_INIT;
    int rc;

    s->how = HOW_RENAME;
    if (!l->live_exists)
        return 0;
    if (copy_plan(d, l, &s->copy, err) < 0)
        return -1;
    if (moves(l)) {
        s->how = HOW_APPEND;
        return 0;
    }
    if (swap_find_dependents(d, l, &found, err) < 0)
        return -1;
    if (l->row.adopted && !s->copy.fits)
        return error_set_reason(err, ERR_SCHEMA, "adopted_type",
                                "table \"%s\" was adopted and has columns of other types",
                                l->row.target);
    if (found.reference && d->dialect->binds_dependents && !l->keyed)
        return error_set_reason(err, ERR_CONFLICT, "swap_blocked",
                                "the foreign key \"%s\" points at rows of table \"%s\", and "
                                "without a key it is unknown which of them stay",
                                found.reference, l->row.target);
    s->copy.by_key = found.reference != NULL;
    if (found.name && !s->copy.fits && d->dialect->binds_dependents)
        return blocked(s, &found, err);
    if (l->row.adopted || (found.name && s->copy.fits))
        s->how = HOW_COPY;
    if (s->how == HOW_COPY || d->dialect->swap != SQL_SWAP_CARRY)
        return 0;
    if (load_begin(d, err) < 0 || copy_keep_columns(d, l, &s->copy, err) < 0 ||
        swap_find_carried(d, l, &s->carried, err) < 0)
        return -1;
    rc = swap_carry_over(d, &s->carried, &why, err);
    if (rc <= 0)
        return rc;
    if (!s->copy.fits)
        return error_set_reason(err, ERR_SCHEMA, "swap_blocked",
                                "what others have made on table \"%s\" does not fit the columns "
                                "that the source has now: %s",
                                l->row.target, why.message);
    log_info(d->run->log,
             .message = "rows are copied, since the new table cannot have all that "
                        "others have made on the live one",
             .fields = {log_text("stream", l->id), log_text("reason", why.message)});
    /* The columns that were just added went with the transaction. */
    s->how = HOW_COPY;
    return 0;
}

static int rename_table(struct sql_destination *d, const struct load *l, const char *from,
                        const char *to, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    sql_put_rename(d->dialect, l->schema, from, to, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* Both renames in the open transaction, and what has to happen with them. */
static int rename_both(struct swap *s, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_destination *d = s->d;
    const struct load *l = s->l;
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
    if (l->live_exists && rename_table(d, l, l->row.target, s->aside, err) < 0)
        return -1;
    if (rename_table(d, l, l->table_name, l->row.target, err) < 0)
        return -1;
    for (const struct attached *a = attached.first; a; a = a->next) {
        if (load_run_text(d, a->sql, err) < 0)
            return error_wrap(err, "making \"%s\" again", a->name);
    }
    for (const struct carried *c = s->carried.first; c; c = c->next) {
        if (c->with_renames && load_run_text(d, c->sql, err) < 0)
            return -1;
    }
    return 0;
}

/* The state once the generation is live, `left` to be dropped. */
static struct state_row state_after(struct sql_destination *d, const struct load *l,
                                    const char *left)
{
    struct state_row next = l->row;

    next.live_generation = next.generation;
    next.swapping = false;
    if (left)
        state_discard(d, &next, left);
    return next;
}

static int exchange_in_transaction(struct swap *s, struct error *err)
{
    struct sql_destination *d = s->d;
    struct load *l = s->l;
    struct state_row next = state_after(d, l, l->live_exists ? s->aside : NULL);

    next.adopted = false;
    if (load_begin(d, err) < 0 || load_wait_shortly(d, true, err) < 0 || rename_both(s, err) < 0 ||
        failpoint("after_swap_before_state", err) < 0)
        return -1;
    return store_and_commit(d, l, &next, err);
}

/* One statement that commits by itself. */
static int exchange_at_once(struct swap *s, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_destination *d = s->d;
    const struct load *l = s->l;
    int64_t ignored;

    if (!l->live_exists)
        return rename_table(d, l, l->table_name, l->row.target, err);
    sql_put_exchange(d->dialect, l->schema, l->row.target, s->aside, l->table_name, &sql);
    return load_run(d, &sql, &ignored, err);
}

/* A reader that holds on to the live table is waited for, again and again. */
static int be_patient(struct swap *s, int (*step)(struct swap *s, struct error *err),
                      struct error *err)
{
    struct sql_destination *d = s->d;

    for (int i = 1;; i++) {
        struct error why = ERROR_INIT;

        if (step(s, &why) == 0)
            return 0;
        load_rollback(d);
        if (why.code != ERR_CONTENTION || i == SWAP_TRIES) {
            *err = why;
            return -1;
        }
        log_info(d->run->log, .message = "waiting for readers of the live table",
                 .fields = {log_text("stream", s->l->id), log_int("attempt", i)});
        if (cancel_sleep_ms(d->run->cancel, SWAP_WAIT_MS, err) < 0)
            return -1;
    }
}

int swap_complete(struct sql_destination *d, struct load *l, bool generation_exists,
                  struct error *err)
{
    struct swap s = {
        .d = d, .l = l, .aside = recover_generation(d, l->row.target, l->row.live_generation)};
    struct state_row next;

    l->table_name = recover_generation(d, l->row.target, l->row.generation);
    if (generation_exists) {
        if (load_wait_shortly(d, true, err) < 0 || be_patient(&s, exchange_at_once, err) < 0 ||
            load_wait_shortly(d, false, err) < 0 || failpoint("after_swap_before_state", err) < 0)
            return -1;
    }
    next = state_after(d, l, s.aside);
    next.adopted = false;
    return store_and_commit(d, l, &next, err);
}

static int swap_by_rename(struct swap *s, struct error *err)
{
    struct sql_destination *d = s->d;
    struct load *l = s->l;
    struct state_row next = l->row;

    if (d->dialect->swap != SQL_SWAP_EXCHANGE)
        return be_patient(s, exchange_in_transaction, err);
    load_rollback(d);
    if (l->live_exists && copy_keep_columns(d, l, &s->copy, err) < 0)
        return -1;
    next.swapping = true;
    if (store_and_commit(d, l, &next, err) < 0 || failpoint("after_swap_intent", err) < 0)
        return -1;
    return swap_complete(d, l, true, err);
}

/* A unique index over another key would refuse rows; one over the same is kept. */
static int make_way(struct swap *s, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_destination *d = s->d;
    const struct load *l = s->l;
    const char *index;
    int64_t ignored;
    bool same;

    if (copy_add_columns(d, l, &s->copy, err) < 0)
        return -1;
    if (s->how == HOW_APPEND || l->row.adopted)
        return 0;
    if (alter_find_key_index(d, l, l->row.target, &index, &same, err) < 0)
        return -1;
    if (!*index || (l->keyed && same))
        return 0;
    if (d->dialect->promote_key) {
        buf_puts(&sql, "ALTER TABLE ");
        sql_put_table(d->dialect, l->schema, l->row.target, &sql);
        buf_puts(&sql, " DROP CONSTRAINT ");
        sql_put_name(d->dialect, index, &sql);
    } else {
        sql_put_drop_index(d->dialect, l->schema, l->row.target, index, &sql);
    }
    return load_run(d, &sql, &ignored, err);
}

static int copy_in_transaction(struct swap *s, struct error *err)
{
    struct sql_destination *d = s->d;
    struct load *l = s->l;
    struct state_row next = state_after(d, l, l->table_name);
    int64_t refused;

    bad_rows_take_back(&d->bad); /* of a try before this one */
    if (load_begin(d, err) < 0 ||
        (s->how == HOW_APPEND ? copy_append(d, l, &s->copy, &refused, err)
                              : copy_replace(d, l, &s->copy, &refused, err)) < 0 ||
        failpoint("after_swap_before_state", err) < 0)
        return -1;
    /* They were counted as inserted when they came into the generation. */
    next.counts.inserted -= refused;
    next.counts.quarantined_rows += refused;
    if (bad_rows_check(&d->bad, err) < 0 || store_and_commit(d, l, &next, err) < 0)
        return -1;
    bad_rows_keep(&d->bad, d->bad.read, d->bad.bad);
    s->fold->inserted -= refused;
    s->fold->quarantined_rows += refused;
    return 0;
}

/* The changes of the live table are committed first: its readers need not wait for the rows. */
static int swap_by_copy(struct swap *s, struct error *err)
{
    struct sql_destination *d = s->d;
    struct load *l = s->l;

    if (d->dialect->ddl_in_transaction && load_begin(d, err) < 0)
        return -1;
    if (load_wait_shortly(d, true, err) < 0 || make_way(s, err) < 0 ||
        load_wait_shortly(d, false, err) < 0 || (d->in_transaction && load_commit(d, err) < 0) ||
        be_patient(s, copy_in_transaction, err) < 0)
        return -1;
    if (!l->keyed || l->row.adopted || s->how == HOW_APPEND)
        return 0;
    if (d->dialect->ddl_in_transaction && load_begin(d, err) < 0)
        return -1;
    if (alter_index_key(d, l, l->row.target, err) < 0)
        return -1;
    return d->in_transaction ? load_commit(d, err) : 0;
}

int swap_generation(struct sql_destination *d, struct load *l, struct counts *fold,
                    struct error *err)
{
    struct swap s = {.d = d,
                     .l = l,
                     .aside = recover_generation(d, l->row.target, l->row.live_generation),
                     .fold = fold};

    arena_clear(d->scratch);
    if (d->dialect->ddl_in_transaction && load_begin(d, err) < 0)
        return -1;
    if (verify(d, l, fold, err) < 0 || failpoint("before_swap", err) < 0 || choose(&s, err) < 0)
        return -1;
    if ((s.how == HOW_RENAME ? swap_by_rename(&s, err) : swap_by_copy(&s, err)) < 0)
        return -1;
    l->building = false;
    l->live_exists = true;
    l->table_name = l->row.target;
    l->shape = NULL;
    if (failpoint("after_swap_before_drop", err) < 0)
        return -1;
    return l->row.garbage.n > 0 ? swap_drop_garbage(d, l, err) : 0;
}

int swap_drop_garbage(struct sql_destination *d, struct load *l, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct state_row next = l->row;
    int64_t ignored;

    if (d->dialect->ddl_in_transaction && load_begin(d, err) < 0)
        return -1;
    for (size_t i = 0; i < l->row.garbage.n; i++) {
        sql_put_drop(d->dialect, l->schema, l->row.garbage.names[i], &sql);
        if (load_run(d, &sql, &ignored, err) < 0)
            return -1;
    }
    next.garbage = (struct name_list){0};
    return store_and_commit(d, l, &next, err);
}

/*
 * What is staged goes into its table: folded by key where keys came twice, then merged.
 *
 * A table of ours takes every row. One of others has checks, narrower types, keys of its own: when
 * it refuses a batch, the batch is halved until the rows it refuses stand alone, and those go to
 * quarantine. Rows are told by their order numbers, and no key occurs twice after folding, so the
 * order in which parts go in does not matter.
 */
#include "connectors/base/failpoint.h"
#include "connectors/sql/load.h"

/* So many statements may look for the rows that a table refuses, of so many rows. */
#define MAX_PARTS 1000
#define MAX_SPAN  100000

/* So many staging tables are kept for the next batch of their stream. */
#define MAX_STAGES 8

#define KEPT "_connectord_kept"

static int fold_in_two(struct sql_destination *d, struct load *l, enum sql_keep keep,
                       int64_t *out_folded, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    sql_put_drop_stage(d->dialect, KEPT, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_fold_note(d->dialect, &l->stage, KEPT, keep, &sql);
    if (load_run(d, &sql, &ignored, err) < 0)
        return -1;
    sql_put_fold_rest(d->dialect, &l->stage, KEPT, &sql);
    if (load_run(d, &sql, out_folded, err) < 0)
        return -1;
    sql_put_drop_stage(d->dialect, KEPT, &sql);
    return load_run(d, &sql, &ignored, err);
}

static int fold(struct sql_destination *d, struct load *l, int64_t *out_folded, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    enum sql_keep keep = l->want->write_mode == WRITE_INSERT_ONLY ? SQL_KEEP_FIRST : SQL_KEEP_LAST;

    if (d->dialect->update == SQL_UPDATE_JOIN)
        return fold_in_two(d, l, keep, out_folded, err);
    sql_put_fold(d->dialect, &l->stage, keep, &sql);
    return load_run(d, &sql, out_folded, err);
}

struct done {
    int64_t inserted, updated;
};

static int take_done(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct done *done = arg;

    (void)n;
    (void)err;
    done->inserted = v[0].number;
    done->updated = v[1].number;
    return 0;
}

static int upsert(struct sql_destination *d, struct load *l, struct done *out, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);

    sql_put_upsert(d->dialect, &l->table, &l->stage, l->want->write_mode != WRITE_INSERT_ONLY,
                   &sql);
    if (cancel_check(d->run->cancel, err) < 0 || buf_ok(&sql, "a statement", err) < 0)
        return -1;
    return d->conn->driver->query(d->conn, buf_str(&sql), NULL, 0, take_done, out, err);
}

__attribute__((nonnull(1, 2, 4, 5), warn_unused_result)) static int
merge_span(struct sql_destination *d, struct load *l, const struct sql_span *span, struct done *out,
           struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);

    *out = (struct done){0};
    if (!l->merging) {
        sql_put_stage_insert(d->dialect, &l->table, &l->stage, span, &sql);
        return load_run(d, &sql, &out->inserted, err);
    }
    if (d->dialect->merge == SQL_MERGE_UPSERT && !l->row.adopted)
        return upsert(d, l, out, err);
    if (l->want->write_mode != WRITE_INSERT_ONLY &&
        sql_put_merge_update(d->dialect, &l->table, &l->stage, span, &sql) &&
        load_run(d, &sql, &out->updated, err) < 0)
        return -1;
    sql_put_merge_insert(d->dialect, &l->table, &l->stage, span, &sql);
    return load_run(d, &sql, &out->inserted, err);
}

/* ------------------------------------------------------------- tables of others */

struct search {
    struct sql_destination *d;
    struct load *l;
    struct done done;
    int64_t refused, parts;
};

/* 1 when the table refuses something of the part, *why what it said. */
static int try_part(struct search *s, const struct sql_span *span, struct error *why,
                    struct error *err)
{
    struct done did;

    s->parts++;
    if (load_run_text(s->d, "SAVEPOINT connectord_part", err) < 0)
        return -1;
    if (merge_span(s->d, s->l, span, &did, why) == 0) {
        s->done.inserted += did.inserted;
        s->done.updated += did.updated;
        return load_run_text(s->d, "RELEASE SAVEPOINT connectord_part", err);
    }
    if (why->code != ERR_DATA) {
        *err = *why;
        return -1;
    }
    if (load_run_text(s->d, "ROLLBACK TO SAVEPOINT connectord_part", err) < 0 ||
        load_run_text(s->d, "RELEASE SAVEPOINT connectord_part", err) < 0)
        return -1;
    return 1;
}

static int merge_part(struct search *s, const struct sql_span *span, struct error *err)
{
    int64_t middle = span->first + (span->last - span->first) / 2;
    struct sql_span head = {span->first, middle}, tail = {middle + 1, span->last};
    struct error why = ERROR_INIT;
    int rc = try_part(s, span, &why, err);

    if (rc <= 0)
        return rc;
    if (s->parts >= MAX_PARTS)
        return error_set_reason(err, ERR_DATA, "rows_rejected",
                                "table \"%s\" refuses too many rows of one batch: %s",
                                s->l->table_name, why.message);
    if (span->first == span->last) {
        s->refused++;
        return quarantine_staged(s->d, s->l, span->first, why.message, err);
    }
    return merge_part(s, &head, err) < 0 ? -1 : merge_part(s, &tail, err);
}

static int merge_foreign(struct search *s, struct error *err)
{
    int64_t n = s->l->n_staged;

    if (s->d->dialect->check_now && load_run_text(s->d, s->d->dialect->check_now, err) < 0)
        return -1;
    for (int64_t first = 0; first < n; first += MAX_SPAN) {
        const struct sql_span span = {first, (n - first > MAX_SPAN ? first + MAX_SPAN : n) - 1};

        s->parts = 0;
        if (merge_part(s, &span, err) < 0)
            return -1;
    }
    return 0;
}

/* ------------------------------------------------------------------------------ */

static int empty_stage(struct sql_destination *d, struct load *l, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    int64_t ignored;

    switch (d->dialect->empty_stage) {
    case SQL_EMPTY_ON_COMMIT:
        /* A merge is followed by a commit, or by another stage. A commit looks at every stage,
         * whether it was used or not, so there must not be many of them. */
        return d->n_stages > MAX_STAGES ? alter_drop_stage(d, l, err) : 0;
    case SQL_EMPTY_DROP:
        return alter_drop_stage(d, l, err);
    case SQL_EMPTY_DELETE:
        sql_put_delete_all(d->dialect, "", l->stage.name, &sql);
        return load_run(d, &sql, &ignored, err);
    }
    return 0;
}

int merge_staged(struct sql_destination *d, struct load *l, struct error *err)
{
    struct search s = {.d = d, .l = l};
    int64_t folded = 0;

    if (l->n_staged == 0)
        return 0;
    if (failpoint("before_merge", err) < 0)
        return -1;
    if (l->merging && keyset_may_repeat(l->keys) && fold(d, l, &folded, err) < 0)
        return -1;
    if (l->row.adopted ? merge_foreign(&s, err) < 0 : merge_span(d, l, NULL, &s.done, err) < 0)
        return -1;
    if (empty_stage(d, l, err) < 0)
        return -1;
    l->pending.folded += folded;
    l->pending.updated += s.done.updated;
    l->pending.inserted += s.done.inserted;
    l->pending.unchanged += l->n_staged - folded - s.done.updated - s.done.inserted - s.refused;
    l->n_staged = 0;
    if (l->keys)
        keyset_clear(l->keys);
    return failpoint("after_merge", err);
}

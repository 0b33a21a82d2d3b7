#include "connectors/sql/destination.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/failpoint.h"
#include "connectors/sql/load.h"

/* Parameters that cannot be repeated are given again: a query of the catalog has few of them. */
#define MAX_ASKED 32

int load_ask(struct sql_destination *d, const char *query, const char *schema, const char *table,
             const char *more, sql_row_fn *each, void *arg, struct error *err)
{
    const struct sql_value asked[] = {sql_text(schema), sql_text(table), sql_text(more)};
    struct sql_value params[MAX_ASKED];
    size_t per = more ? 3 : 2, n = per;

    if (d->dialect->placeholder == SQL_PLACEHOLDER_PLAIN) {
        n = 0;
        for (const char *s = query; *s; s++)
            n += *s == '?';
    }
    if (n > MAX_ASKED)
        abort(); /* the queries are ours */
    for (size_t i = 0; i < n; i++)
        params[i] = asked[i % per];
    if (cancel_check(d->run->cancel, err) < 0)
        return -1;
    return d->conn->driver->query(d->conn, query, params, n, each, arg, err);
}

int load_run_with(struct sql_destination *d, struct buf *sql, const struct sql_value *params,
                  size_t n, int64_t *out_changed, struct error *err)
{
    if (cancel_check(d->run->cancel, err) < 0 || buf_ok(sql, "a statement", err) < 0 ||
        d->conn->driver->exec(d->conn, buf_str(sql), params, n, out_changed, err) < 0)
        return -1;
    buf_clear(sql);
    return 0;
}

int load_run(struct sql_destination *d, struct buf *sql, int64_t *out_changed, struct error *err)
{
    return load_run_with(d, sql, NULL, 0, out_changed, err);
}

int load_run_text(struct sql_destination *d, const char *sql, struct error *err)
{
    return cancel_check(d->run->cancel, err) < 0 ? -1 : sql_exec(d->conn, sql, err);
}

int load_wait_shortly(struct sql_destination *d, bool shortly, struct error *err)
{
    const char *sql = d->dialect->short_wait[shortly ? 0 : 1];

    return sql ? load_run_text(d, sql, err) : 0;
}

int load_count(struct sql_destination *d, struct buf *sql, int64_t *out, struct error *err)
{
    if (cancel_check(d->run->cancel, err) < 0 || buf_ok(sql, "a statement", err) < 0 ||
        sql_query_int(d->conn, buf_str(sql), out, err) < 0)
        return -1;
    buf_clear(sql);
    return 0;
}

int load_begin(struct sql_destination *d, struct error *err)
{
    if (d->in_transaction)
        return 0;
    if (cancel_check(d->run->cancel, err) < 0 || sql_exec(d->conn, d->dialect->begin, err) < 0)
        return -1;
    d->in_transaction = true;
    clock_format_us(clock_unix_us(), d->now);
    return 0;
}

int load_commit(struct sql_destination *d, struct error *err)
{
    if (cancel_check(d->run->cancel, err) < 0 || failpoint("before_commit", err) < 0 ||
        sql_exec(d->conn, d->dialect->commit, err) < 0)
        return -1;
    d->in_transaction = false;
    return failpoint("after_commit", err);
}

void load_rollback(struct sql_destination *d)
{
    struct error ignored = ERROR_INIT;

    /* A transaction the database has ended by itself cannot be ended again; nothing else can
     * fail, and whatever failed before is what counts. */
    if (d->in_transaction && sql_exec(d->conn, d->dialect->rollback, &ignored) < 0)
        log_debug(d->run->log, .message = "rollback",
                  .fields = {log_text("error", ignored.message)});
    d->in_transaction = false;
}

static const struct load *find_taken_over(struct sql_destination *d, const struct place *p)
{
    struct error ignored = ERROR_INIT;
    struct state_row *rows;
    size_t n;

    if (state_load(d, p->schema, &rows, &n, &ignored) < 0)
        return NULL;
    for (size_t i = 0; i < d->plan->n; i++) {
        const struct load *l = &d->streams[i];
        const struct state_row *now = l->place == p ? state_find(rows, n, l->id) : NULL;

        if (now && now->fence != l->row.fence)
            return l;
    }
    return NULL;
}

/* A worker that has slept finds its tables gone, or its rows there, when another one has written in
 * the meantime: that is what has to be said. */
static void blame_the_other(struct sql_destination *d, struct error *err)
{
    bool doubtful = err->code == ERR_SCHEMA || !strcmp(error_reason(err), "key_appeared");

    for (size_t i = 0; i < d->n_places && doubtful; i++) {
        const struct load *taken = find_taken_over(d, &d->places[i]);

        if (!taken)
            continue;
        *err = ERROR_INIT;
        (void)!error_set(err, ERR_FENCED,
                         "stream \"%s\": another worker has taken over this destination",
                         taken->id);
        return;
    }
}

/* Whatever went wrong, nothing of the open transaction stays and nothing more is written. */
static int fail(struct sql_destination *d, struct error *err)
{
    load_rollback(d);
    straight_blame(d, err);
    blame_the_other(d, err);
    load_rollback(d);
    d->failed = true;
    return -1;
}

static int check_usable(const struct sql_destination *d, struct error *err)
{
    if (d->failed)
        return error_set(err, ERR_INTERNAL, "the destination was used after a failure");
    return 0;
}

static int write_rows(struct sql_destination *d, struct load *l, const struct batch *rows,
                      struct error *err)
{
    const struct schema *schema = batch_schema(rows);

    arena_clear(d->scratch);
    if (cancel_check(d->run->cancel, err) < 0 || failpoint("before_stage", err) < 0 ||
        load_begin(d, err) < 0)
        return -1;
    if (!l->shape || !schema_equal(l->shape, schema)) {
        if (merge_staged(d, l, err) < 0 || shape_prepare(d, l, schema, err) < 0 ||
            load_begin(d, err) < 0 || straight_look(d, l, err) < 0)
            return -1;
    }
    if (l->building && failpoint("building_generation", err) < 0)
        return -1;
    l->dirty = true;
    if (straight_put(d, l, rows, err) < 0)
        return error_wrap(err, "stream \"%s\"", l->id);
    return failpoint("after_stage", err);
}

static int write(struct destination *base, size_t stream, const struct batch *rows,
                 struct error *err)
{
    struct sql_destination *d = (struct sql_destination *)base;

    if (check_usable(d, err) < 0)
        return -1;
    return write_rows(d, &d->streams[stream], rows, err) < 0 ? fail(d, err) : 0;
}

/*
 * Rows without a position would come twice after a crash, except where they cannot: merged by key,
 * or in a generation that is folded by key at its end, or that has no position at all and is thrown
 * away as a whole.
 */
static int check_covered(const struct load *l, const char *upto, bool complete, struct error *err)
{
    bool discarded = l->building && (!l->row.position || l->keyed);

    if (upto || complete || l->merging || discarded || l->pending.read == 0)
        return 0;
    return error_set(err, ERR_INTERNAL, "stream \"%s\": rows without a position to commit", l->id);
}

static int commit_stream(struct sql_destination *d, struct load *l, const char *upto,
                         const struct counts *dropped, struct state_row *next, struct error *err)
{
    *next = l->row;
    if (!l->dirty && !upto && dropped->filtered == 0 && dropped->overlap_dropped == 0)
        return 0;
    l->dirty = true;
    if (!l->shape && !l->table_exists && upto && shape_prepare(d, l, l->want->schema, err) < 0)
        return -1;
    if (merge_staged(d, l, err) < 0)
        return error_wrap(err, "stream \"%s\"", l->id);
    l->pending.filtered += dropped->filtered;
    l->pending.overlap_dropped += dropped->overlap_dropped;
    l->pending.read += dropped->filtered + dropped->overlap_dropped;
    bad_rows_add(&d->bad, dropped->filtered + dropped->overlap_dropped, 0);
    if (!counts_balance(&l->pending))
        return error_set(err, ERR_INTERNAL, "stream \"%s\": the counts do not add up", l->id);
    next->seq++;
    if (upto)
        next->position = upto;
    counts_add(&next->counts, &l->pending);
    next->run_id = d->run->id;
    next->schema_version += next->columns != l->columns;
    next->columns = l->columns;
    next->n_columns = l->n_columns;
    next->left_out = l->left_out;
    return 0;
}

/* A full refresh that merges into the live table has no position once it is complete: the next one
 * begins at the beginning. */
static bool starts_over(const struct load *l)
{
    return l->merging && !l->building && l->want->sync_mode == SYNC_FULL_REFRESH;
}

/* All that is open, of all streams. Exactly one of them may be complete. */
static int commit_all(struct sql_destination *d, const char *const *upto, long complete,
                      const struct counts *dropped, struct error *err)
{
    struct state_row *next;

    arena_clear(d->scratch);
    if (load_begin(d, err) < 0)
        return -1;
    next = arena_array(d->scratch, d->plan->n + 1, sizeof *next);
    for (size_t i = 0; i < d->plan->n; i++) {
        if (check_covered(&d->streams[i], upto[i], complete == (long)i, err) < 0 ||
            commit_stream(d, &d->streams[i], upto[i], &dropped[i], &next[i], err) < 0)
            return -1;
        if (complete == (long)i && starts_over(&d->streams[i]))
            next[i].position = NULL;
    }
    if (bad_rows_check(&d->bad, err) < 0)
        return -1;
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];

        if (l->dirty && state_update(d, l, &l->row, &next[i], err) < 0)
            return -1;
    }
    if (failpoint("after_state_update", err) < 0 || load_commit(d, err) < 0)
        return -1;
    bad_rows_keep(&d->bad, d->bad.read, d->bad.bad);
    for (size_t i = 0; i < d->plan->n; i++) {
        struct load *l = &d->streams[i];

        if (!l->dirty)
            continue;
        if (upto[i] && next[i].position) {
            buf_clear(&l->position);
            buf_puts(&l->position, upto[i]);
            next[i].position = buf_str(&l->position);
        }
        l->row = next[i];
        counts_add(&l->unreported, &l->pending);
        l->pending = (struct counts){0};
        l->ordinal = 0;
        l->dirty = l->went_straight = false;
        l->greatest_before = l->greatest;
    }
    return 0;
}

static bool anything_to_commit(const struct sql_destination *d, const char *const *upto,
                               const struct counts *dropped)
{
    for (size_t i = 0; i < d->plan->n; i++) {
        if (d->streams[i].dirty || upto[i] || dropped[i].filtered || dropped[i].overlap_dropped)
            return true;
    }
    return false;
}

static struct counts take_report(struct load *l)
{
    struct counts c = l->unreported;

    l->unreported = (struct counts){0};
    return c;
}

static int commit(struct destination *base, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err)
{
    struct sql_destination *d = (struct sql_destination *)base;

    if (check_usable(d, err) < 0)
        return -1;
    if (anything_to_commit(d, upto, dropped) && commit_all(d, upto, -1, dropped, err) < 0)
        return fail(d, err);
    for (size_t i = 0; i < d->plan->n; i++)
        out[i] = take_report(&d->streams[i]);
    return 0;
}

static int finish_stream(struct sql_destination *d, size_t stream, const char *position,
                         const struct counts *dropped, struct error *err)
{
    struct load *l = &d->streams[stream];
    CLEANUP(free_cleanup) const char **upto = xalloc((d->plan->n + 1) * sizeof *upto);
    CLEANUP(free_cleanup) struct counts *all = xalloc((d->plan->n + 1) * sizeof *all);
    struct counts fold = {0};

    upto[stream] = position;
    all[stream] = *dropped;
    arena_clear(d->scratch);
    /* An empty stream is a table without rows, not no table. */
    if (!l->shape && (load_begin(d, err) < 0 || shape_prepare(d, l, l->want->schema, err) < 0))
        return -1;
    l->dirty = true;
    if (commit_all(d, upto, (long)stream, all, err) < 0)
        return -1;
    if (l->building && swap_generation(d, l, &fold, err) < 0)
        return -1;
    /* Staging tables of streams that are over would be looked at in every commit. */
    if (alter_drop_stage(d, l, err) < 0)
        return -1;
    counts_add(&l->unreported, &fold);
    return failpoint("after_finish", err);
}

static int finish(struct destination *base, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err)
{
    struct sql_destination *d = (struct sql_destination *)base;

    if (check_usable(d, err) < 0)
        return -1;
    if (finish_stream(d, stream, position, dropped, err) < 0)
        return fail(d, err);
    *out = take_report(&d->streams[stream]);
    return 0;
}

void load_close(struct destination *base)
{
    struct sql_destination *d = (struct sql_destination *)base;

    if (!d)
        return;
    load_rollback(d);
    bad_rows_take_back(&d->bad);
    d->conn->driver->close(d->conn);
    for (size_t i = 0; i < d->plan->n; i++) {
        arena_free(d->streams[i].mem);
        buf_release(&d->streams[i].position);
        keyset_free(d->streams[i].keys);
    }
    batch_free(d->patched);
    arena_free(d->mem);
    arena_free(d->scratch);
    free(d);
}

static const struct destination_ops ops = {
    .recover = recover,
    .write = write,
    .commit = commit,
    .finish = finish,
    .close = load_close,
};

struct sql_destination *load_new(struct sql_conn *conn, struct run *run,
                                 const struct write_plan *plan)
{
    struct sql_destination *d = xalloc(sizeof *d);

    d->base.ops = &ops;
    d->conn = conn;
    d->dialect = conn->dialect;
    d->run = run;
    d->plan = plan;
    bad_rows_open(&d->bad, plan);
    d->mem = arena_new();
    d->scratch = arena_new();
    d->streams = arena_array(d->mem, plan->n + 1, sizeof *d->streams);
    for (size_t i = 0; i < plan->n; i++) {
        d->streams[i].mem = arena_new();
        d->streams[i].position = BUF_INIT((size_t)64 << 20);
        d->streams[i].want = &plan->streams[i];
    }
    return d;
}

static int set_up_session(struct sql_destination *d, struct error *err)
{
    for (const char *const *sql = d->dialect->session; *sql; sql++) {
        if (load_run_text(d, *sql, err) < 0)
            return -1;
    }
    return 0;
}

int sql_destination_open(const struct sql_driver *driver, const void *config, bool adopt,
                         struct run *run, const struct write_plan *plan, struct destination **out,
                         struct error *err)
{
    struct sql_destination *d;
    struct sql_conn *conn;

    for (size_t i = 0; i < plan->n; i++) {
        const struct selected_stream *s = &plan->streams[i];

        if ((s->write_mode == WRITE_APPEND_DEDUP || s->write_mode == WRITE_INSERT_ONLY) &&
            s->schema->n_key == 0)
            return error_set_reason(err, ERR_CONFIG, "key_required",
                                    "stream \"%s\" has no key to merge by", s->stream->name);
    }
    if (driver->open(config, run, &conn, err) < 0)
        return -1;
    d = load_new(conn, run, plan);
    d->adopt = adopt;
    if (set_up_session(d, err) < 0 || failpoint("after_open", err) < 0) {
        load_close(&d->base);
        return -1;
    }
    *out = &d->base;
    return 0;
}

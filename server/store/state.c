#include <inttypes.h>

#include "connectors/base/clock.h"
#include "server/store/txn.h"

/* 1 with the revision of the whole state, 0 when there is no such connection. */
static int find_revision(struct txn *t, const char *connection_id, int64_t *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db, "SELECT state_revision FROM connections WHERE id = ?", &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    row = query_next(&q, err);
    if (row > 0)
        *out = query_get_int(&q, 0);
    return row;
}

static int get_revision(struct txn *t, const char *connection_id, int64_t *out, struct error *err)
{
    int found = find_revision(t, connection_id, out, err);

    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no connection \"%s\"", connection_id);
    return found < 0 ? -1 : 0;
}

/* Every change of a row makes a new revision of the whole. */
static int next_revision(struct txn *t, const char *connection_id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "UPDATE connections SET state_revision = state_revision + 1 WHERE id = ?",
                   &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    return query_run(&q, err);
}

static int count(struct txn *t, const char *connection_id, int64_t *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "SELECT count(*) FROM states WHERE connection_id = ?", &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    if (query_next(&q, err) < 0)
        return -1;
    *out = query_get_int(&q, 0);
    return 0;
}

static int read_rows(struct txn *t, const char *connection_id, struct state_row *rows, size_t max,
                     struct arena *mem, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    size_t n = 0;
    int row;

    if (query_open(t->db,
                   "SELECT stream, position, generation, seq, counters, edited, updated_us"
                   " FROM states WHERE connection_id = ? ORDER BY stream",
                   &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    while ((row = query_next(&q, err)) > 0 && n < max) {
        rows[n++] = (struct state_row){
            .stream = query_get_string(&q, 0, mem),
            .position = query_get_text(&q, 1, mem),
            .generation = query_get_int(&q, 2),
            .seq = query_get_int(&q, 3),
            .counters = query_get_string(&q, 4, mem),
            .edited = query_get_bool(&q, 5),
            .updated_us = query_get_int(&q, 6),
        };
    }
    return row < 0 ? -1 : 0;
}

int store_get_state(struct store *s, const char *connection_id, struct arena *mem,
                    struct state_row **out, size_t *out_n, int64_t *out_revision, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct state_row *rows;
    int64_t revision = 0, n = 0;

    /* One snapshot: the rows cannot become more between counting and reading. */
    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        get_revision(&t, connection_id, &revision, err) < 0 ||
        count(&t, connection_id, &n, err) < 0)
        return -1;
    rows = arena_array(mem, (size_t)n, sizeof *rows);
    if (read_rows(&t, connection_id, rows, (size_t)n, mem, err) < 0)
        return -1;
    *out = rows;
    *out_n = (size_t)n;
    *out_revision = revision;
    return 0;
}

/* -------------------------------------------------------------------- copying */

static int copy_row(struct txn *t, const char *connection_id, const struct state_row *row,
                    struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO states VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, '{}'), ?7, ?8)"
                   " ON CONFLICT (connection_id, stream) DO UPDATE SET"
                   " position = ?3, generation = ?4, seq = ?5, counters = coalesce(?6, counters),"
                   " edited = ?7, updated_us = ?8",
                   &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    query_text(&q, row->stream);
    query_text(&q, row->position);
    query_int(&q, row->generation);
    query_int(&q, row->seq);
    query_text(&q, row->counters);
    query_int(&q, row->edited);
    query_int(&q, clock_unix_us());
    return query_run(&q, err);
}

/* Durable, although the destination has the original: a lost copy would bring an edit back that
 * the destination has already taken over. */
int store_copy_state(struct store *s, const char *connection_id, const struct state_row *rows,
                     size_t n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t revision = 0;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get_revision(&t, connection_id, &revision, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (copy_row(&t, connection_id, &rows[i], err) < 0)
            return -1;
    }
    if (n && next_revision(&t, connection_id, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

/* `stream` NULL removes all. */
static int forget_row(struct txn *t, const char *connection_id, const char *stream,
                      struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   stream ? "DELETE FROM states WHERE connection_id = ? AND stream = ?"
                          : "DELETE FROM states WHERE connection_id = ?",
                   &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    if (stream)
        query_text(&q, stream);
    return query_run(&q, err);
}

int store_forget_state(struct store *s, const char *connection_id, const char *const *streams,
                       size_t n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t revision = 0;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get_revision(&t, connection_id, &revision, err) < 0)
        return -1;
    if (n == 0 && forget_row(&t, connection_id, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (forget_row(&t, connection_id, streams[i], err) < 0)
            return -1;
    }
    if (next_revision(&t, connection_id, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

/* -------------------------------------------------------------------- editing */

static int edit_row(struct txn *t, const char *connection_id, const struct state_row *row,
                    struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO states VALUES (?1, ?2, ?3, 0, 0, '{}', 1, ?4)"
                   " ON CONFLICT (connection_id, stream) DO UPDATE SET"
                   " position = ?3, edited = 1, updated_us = ?4",
                   &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    query_text(&q, row->stream);
    query_text(&q, row->position);
    query_int(&q, clock_unix_us());
    return query_run(&q, err);
}

static int forget_positions(struct txn *t, const char *connection_id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "UPDATE states SET position = NULL, edited = 1, updated_us = ?"
                   " WHERE connection_id = ? AND position IS NOT NULL",
                   &q, err) < 0)
        return -1;
    query_int(&q, clock_unix_us());
    query_text(&q, connection_id);
    return query_run(&q, err);
}

static int check_idle(struct txn *t, const char *connection_id, struct error *err)
{
    int64_t run = 0;

    if (run_find_open(t, connection_id, false, &run, err) < 0)
        return -1;
    if (run)
        return error_set_reason(err, ERR_CONFLICT, "connection_busy",
                                "run %" PRId64 " of this connection is active", run);
    return 0;
}

static int edit(struct txn *t, const char *connection_id, const struct state_row *rows, size_t n,
                bool replace, struct error *err)
{
    if (replace && forget_positions(t, connection_id, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (edit_row(t, connection_id, &rows[i], err) < 0)
            return -1;
    }
    return next_revision(t, connection_id, err);
}

int store_edit_state(struct store *s, const char *connection_id, const struct state_row *rows,
                     size_t n, bool replace, int64_t expected, int64_t *out_revision,
                     struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t revision = 0;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 ||
        get_revision(&t, connection_id, &revision, err) < 0 ||
        check_idle(&t, connection_id, err) < 0 || revision_check(revision, expected, err) < 0 ||
        edit(&t, connection_id, rows, n, replace, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *out_revision = revision + 1;
    return 0;
}

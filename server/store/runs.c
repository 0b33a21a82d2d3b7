#include <inttypes.h>
#include <stdio.h>

#include "connectors/base/buf.h"
#include "connectors/base/clock.h"
#include "server/store/txn.h"

/* ---------------------------------------------------------------------- names */

const char *run_kind_name(enum run_kind k)
{
    static const char *const names[] = {
        [RUN_SYNC] = "sync",         [RUN_CLEAR] = "clear",   [RUN_CHECK] = "check",
        [RUN_DISCOVER] = "discover", [RUN_SAMPLE] = "sample", [RUN_COUNT] = "count",
    };

    return names[k];
}

const char *run_status_name(enum run_status s)
{
    static const char *const names[] = {
        [RUN_QUEUED] = "queued",       [RUN_RUNNING] = "running", [RUN_CANCELLING] = "cancelling",
        [RUN_SUCCEEDED] = "succeeded", [RUN_FAILED] = "failed",   [RUN_CANCELLED] = "cancelled",
    };

    return names[s];
}

bool run_status_is_final(enum run_status s)
{
    return s >= RUN_SUCCEEDED;
}

static int no_run(int64_t id, struct error *err)
{
    return error_set(err, ERR_NOT_FOUND, "there is no run %" PRId64, id);
}

/* ------------------------------------------------------------------- creating */

static int check_queue(struct txn *t, struct error *err)
{
    int64_t queued;

    if (db_get_int(t->db, "SELECT count(*) FROM runs WHERE status = 0", &queued, err) < 0)
        return -1;
    if (queued >= STORE_MAX_QUEUED)
        return error_set_reason(err, ERR_RESOURCE, "queue_full", "%d runs are queued already",
                                STORE_MAX_QUEUED);
    return 0;
}

static int check_exclusive(struct txn *t, const struct run_row *in, int64_t *out_active,
                           struct error *err)
{
    int64_t open = 0;

    if (!in->connection_id || (in->kind != RUN_SYNC && in->kind != RUN_CLEAR))
        return 0;
    if (run_find_open(t, in->connection_id, true, &open, err) < 0)
        return -1;
    *out_active = open;
    if (open)
        return error_set_reason(err, ERR_CONFLICT, "run_already_active",
                                "run %" PRId64 " of this connection has not ended", open);
    return 0;
}

/* Source and destination of a run are those of its connection at this moment. */
static int insert(struct txn *t, const struct run_row *in, int64_t now_us, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO runs (kind, status, connection_id, connection_name, source_id,"
                   " destination_id, started_by, labels, note, retry_of, attempts,"
                   " partial_success, created_us, started_us, ended_us, heartbeat_us, request)"
                   " SELECT ?1, 0, ?2, c.name, coalesce(c.source_id, ?3),"
                   " coalesce(c.destination_id, ?4), ?5, ?6, ?7, ?8, 0, 0, ?9, 0, 0, 0, ?10"
                   " FROM (SELECT 1) LEFT JOIN connections c ON c.id = ?2"
                   " WHERE ?2 IS NULL OR c.id IS NOT NULL",
                   &q, err) < 0)
        return -1;
    query_int(&q, in->kind);
    query_text(&q, in->connection_id);
    query_text(&q, in->source_id);
    query_text(&q, in->destination_id);
    query_text(&q, in->trigger ? in->trigger : "api");
    query_text(&q, in->labels ? in->labels : "{}");
    query_text(&q, in->note);
    query_int(&q, in->retry_of);
    query_int(&q, now_us);
    query_text(&q, in->request ? in->request : "{}");
    if (query_run(&q, err) < 0)
        return -1;
    if (db_changes(t->db) == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no connection \"%s\"", in->connection_id);
    return 0;
}

int store_create_run(struct store *s, struct run_row *in, bool allow_queue, int64_t *out_active,
                     struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t now_us = clock_unix_us(), id;
    char text[24];

    *out_active = 0;
    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || check_queue(&t, err) < 0)
        return -1;
    if (!allow_queue && check_exclusive(&t, in, out_active, err) < 0)
        return -1;
    if (insert(&t, in, now_us, err) < 0)
        return -1;
    id = db_last_id(t.db);
    snprintf(text, sizeof text, "%" PRId64, id);
    if (idempotency_note(&t, in->idempotency_key, EFFECT_RUN, text, err) < 0 ||
        txn_commit(&t, err) < 0)
        return -1;
    in->id = id;
    in->status = RUN_QUEUED;
    in->created_us = now_us;
    in->started_us = in->ended_us = in->heartbeat_us = 0;
    in->idempotency_key = NULL;
    return 0;
}

/* ------------------------------------------------------------------- claiming */

/* A check does not wait for the syncs of a connection, and ad-hoc runs wait for nobody. */
static int find_claim(struct txn *t, unsigned kinds, int64_t *out_id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db,
                   "SELECT r.id FROM runs r WHERE r.status = 0 AND ? >> r.kind & 1"
                   " AND (r.kind > 1 OR r.connection_id IS NULL OR NOT EXISTS (SELECT 1 FROM runs a"
                   "      WHERE a.status IN (1, 2) AND +a.connection_id = r.connection_id"
                   "      AND +a.kind IN (0, 1)))"
                   " ORDER BY r.id LIMIT 1",
                   &q, err) < 0)
        return -1;
    query_int(&q, kinds);
    row = query_next(&q, err);
    *out_id = row > 0 ? query_get_int(&q, 0) : 0;
    return row < 0 ? -1 : 0;
}

static int start(struct txn *t, int64_t id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int64_t now_us = clock_unix_us();

    if (query_open(t->db,
                   "UPDATE runs SET status = 1, started_us = ?, heartbeat_us = ? WHERE id = ?", &q,
                   err) < 0)
        return -1;
    query_int(&q, now_us);
    query_int(&q, now_us);
    query_int(&q, id);
    return query_run(&q, err);
}

int store_claim_run(struct store *s, unsigned kinds, struct arena *mem, struct run_row *out,
                    struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct run_row row;
    int64_t id;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || find_claim(&t, kinds, &id, err) < 0)
        return -1;
    if (!id)
        return 1;
    if (start(&t, id, err) < 0 || run_find(&t, id, mem, &row, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *out = row;
    return 0;
}

/* ------------------------------------------------------------------- changing */

/* The status of a run. */
static int get_status(struct txn *t, int64_t id, enum run_status *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db, "SELECT status FROM runs WHERE id = ?", &q, err) < 0)
        return -1;
    query_int(&q, id);
    row = query_next(&q, err);
    if (row == 0)
        return no_run(id, err);
    if (row > 0)
        *out = (enum run_status)query_get_int(&q, 0);
    return row < 0 ? -1 : 0;
}

static int not_active(int64_t id, enum run_status status, struct error *err)
{
    return error_set_reason(err, ERR_CONFLICT, "run_not_active",
                            run_status_is_final(status) ? "run %" PRId64 " has ended"
                                                        : "run %" PRId64 " has not begun",
                            id);
}

int store_progress_run(struct store *s, int64_t id, const char *stats, int64_t attempts,
                       struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    enum run_status status = RUN_QUEUED;

    if (txn_begin(s, TXN_PROGRESS, &t, err) < 0 || get_status(&t, id, &status, err) < 0)
        return -1;
    if (status != RUN_RUNNING && status != RUN_CANCELLING)
        return not_active(id, status, err);
    if (query_open(t.db,
                   "UPDATE runs SET stats = coalesce(?, stats), attempts = max(attempts, ?),"
                   " heartbeat_us = ? WHERE id = ?",
                   &q, err) < 0)
        return -1;
    query_text(&q, stats);
    query_int(&q, attempts);
    query_int(&q, clock_unix_us());
    query_int(&q, id);
    if (query_run(&q, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

static int finish(struct txn *t, const struct run_row *done, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "UPDATE runs SET status = ?, error = ?, result = coalesce(?, result),"
                   " stats = coalesce(?, stats), cancel_reason = coalesce(?, cancel_reason),"
                   " attempts = max(attempts, ?), partial_success = ?, ended_us = ? WHERE id = ?",
                   &q, err) < 0)
        return -1;
    query_int(&q, done->status);
    query_text(&q, done->error);
    query_text(&q, done->result);
    query_text(&q, done->stats);
    query_text(&q, done->cancel_reason);
    query_int(&q, done->attempts);
    query_int(&q, done->partial_success);
    query_int(&q, done->ended_us ? done->ended_us : clock_unix_us());
    query_int(&q, done->id);
    return query_run(&q, err);
}

int store_finish_run(struct store *s, const struct run_row *done, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    enum run_status status = RUN_QUEUED;

    if (!run_status_is_final(done->status))
        return error_set(err, ERR_INTERNAL, "\"%s\" ends no run", run_status_name(done->status));
    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get_status(&t, done->id, &status, err) < 0)
        return -1;
    if (run_status_is_final(status))
        return 1;
    if (finish(&t, done, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

static int cancel(struct txn *t, int64_t id, enum run_status to, const char *reason,
                  struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "UPDATE runs SET status = ?, cancel_reason = ?, ended_us = ? WHERE id = ?", &q,
                   err) < 0)
        return -1;
    query_int(&q, to);
    query_text(&q, reason);
    query_int(&q, to == RUN_CANCELLED ? clock_unix_us() : 0);
    query_int(&q, id);
    return query_run(&q, err);
}

int store_cancel_run(struct store *s, int64_t id, const char *reason, enum run_status *out,
                     struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    enum run_status from = RUN_QUEUED, to;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get_status(&t, id, &from, err) < 0)
        return -1;
    if (from == RUN_SUCCEEDED || from == RUN_FAILED)
        return not_active(id, from, err);
    if (from == RUN_CANCELLING || from == RUN_CANCELLED) {
        *out = from;
        return 0;
    }
    to = from == RUN_QUEUED ? RUN_CANCELLED : RUN_CANCELLING;
    if (cancel(&t, id, to, reason, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *out = to;
    return 0;
}

/* ---------------------------------------------------------- starting, cleaning */

static const char worker_lost[] =
    "{\"code\":\"worker_lost\",\"category\":\"system\",\"origin\":\"engine\",\"stream\":null,"
    "\"message\":\"the service ended while this run was active\",\"retryable\":true,"
    "\"hint\":null}";

int store_recover_runs(struct store *s, int64_t *out_n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    int64_t n;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 ||
        query_open(t.db,
                   "UPDATE runs SET status = 4, error = ?, ended_us = ? WHERE status IN (1, 2)", &q,
                   err) < 0)
        return -1;
    query_text(&q, worker_lost);
    query_int(&q, clock_unix_us());
    if (query_run(&q, err) < 0)
        return -1;
    n = db_changes(t.db);
    if (txn_commit(&t, err) < 0)
        return -1;
    *out_n = n;
    return 0;
}

int store_delete_run(struct store *s, int64_t id, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    enum run_status status = RUN_QUEUED;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get_status(&t, id, &status, err) < 0)
        return -1;
    if (!run_status_is_final(status))
        return error_set_reason(err, ERR_CONFLICT, "run_active", "run %" PRId64 " has not ended",
                                id);
    if (query_open(t.db, "DELETE FROM runs WHERE id = ?", &q, err) < 0)
        return -1;
    query_int(&q, id);
    if (query_run(&q, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

int store_prune_runs(struct store *s, int64_t long_us, int64_t short_us, size_t limit,
                     int64_t *out_ids, size_t *out_n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    size_t n = 0;
    int row;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 ||
        query_open(t.db,
                   "DELETE FROM runs WHERE id IN ("
                   " SELECT id FROM runs AS r WHERE status IN (3, 4, 5) AND kind IN (0, 1)"
                   " AND ended_us < ? AND (connection_id IS NULL OR EXISTS ("
                   "  SELECT 1 FROM runs WHERE connection_id = r.connection_id AND id > r.id"
                   "  AND kind IN (0, 1)))"
                   " UNION ALL"
                   " SELECT id FROM runs WHERE status IN (3, 4, 5) AND kind IN (2, 3, 4, 5)"
                   " AND ended_us < ? LIMIT ?) RETURNING id",
                   &q, err) < 0)
        return -1;
    query_int(&q, long_us);
    query_int(&q, short_us);
    query_int(&q, (int64_t)limit);
    while ((row = query_next(&q, err)) > 0)
        out_ids[n++] = query_get_int(&q, 0);
    query_close(&q);
    if (row < 0 || txn_commit(&t, err) < 0)
        return -1;
    *out_n = n;
    return 0;
}

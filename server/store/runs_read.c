#include <inttypes.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "server/store/txn.h"

/* The name is that of the connection today, or its last one. */
#define COLUMNS(request, result)                                                                   \
    "SELECT r.id, r.kind, r.status, r.connection_id, coalesce(c.name, r.connection_name),"         \
    " r.source_id, r.destination_id, r.started_by, r.labels, r.note, r.cancel_reason, r.retry_of," \
    " r.attempts, r.partial_success, r.created_us, r.started_us, r.ended_us, r.heartbeat_us,"      \
    " r.error, r.stats, " request ", " result                                                      \
    " FROM runs r LEFT JOIN connections c ON c.id = r.connection_id"

#define WHOLE   COLUMNS("r.request", "r.result")
#define IN_LIST COLUMNS("'{}'", "NULL")

/* A number outside an enum would index tables out of bounds: such a row is damage. */
static int read_row(const struct query *q, struct arena *mem, struct run_row *out,
                    struct error *err)
{
    int64_t kind = query_get_int(q, 1), status = query_get_int(q, 2);

    if (kind < 0 || kind > RUN_COUNT || status < 0 || status > RUN_CANCELLED)
        return error_set_reason(err, ERR_DATA, "store_corrupt",
                                "the store: run %" PRId64 " is of no known kind or status",
                                query_get_int(q, 0));
    *out = (struct run_row){
        .id = query_get_int(q, 0),
        .kind = (enum run_kind)kind,
        .status = (enum run_status)status,
        .connection_id = query_get_text(q, 3, mem),
        .connection_name = query_get_text(q, 4, mem),
        .source_id = query_get_text(q, 5, mem),
        .destination_id = query_get_text(q, 6, mem),
        .trigger = query_get_string(q, 7, mem),
        .labels = query_get_string(q, 8, mem),
        .note = query_get_text(q, 9, mem),
        .cancel_reason = query_get_text(q, 10, mem),
        .retry_of = query_get_int(q, 11),
        .attempts = query_get_int(q, 12),
        .partial_success = query_get_bool(q, 13),
        .created_us = query_get_int(q, 14),
        .started_us = query_get_int(q, 15),
        .ended_us = query_get_int(q, 16),
        .heartbeat_us = query_get_int(q, 17),
        .error = query_get_text(q, 18, mem),
        .stats = query_get_text(q, 19, mem),
        .request = query_get_string(q, 20, mem),
        .result = query_get_text(q, 21, mem),
    };
    return 0;
}

static int read_first(struct query *q, struct arena *mem, struct run_row *out, struct error *err)
{
    int row = query_next(q, err);

    if (row > 0 && read_row(q, mem, out, err) < 0)
        return -1;
    return row;
}

int run_find(struct txn *t, int64_t id, struct arena *mem, struct run_row *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, WHOLE " WHERE r.id = ?", &q, err) < 0)
        return -1;
    query_int(&q, id);
    return read_first(&q, mem, out, err);
}

int store_get_run(struct store *s, int64_t id, struct arena *mem, struct run_row *out,
                  struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int found;

    if (txn_begin(s, TXN_LOOK, &t, err) < 0)
        return -1;
    found = run_find(&t, id, mem, out, err);
    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no run %" PRId64, id);
    return found < 0 ? -1 : 0;
}

int store_latest_run(struct store *s, const char *connection_id, struct arena *mem,
                     struct run_row *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    int found;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        query_open(t.db,
                   WHOLE " WHERE r.connection_id = ? AND +r.kind IN (0, 1)"
                         " ORDER BY r.id DESC LIMIT 1",
                   &q, err) < 0)
        return -1;
    query_text(&q, connection_id);
    found = read_first(&q, mem, out, err);
    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "the connection has not been run yet");
    return found < 0 ? -1 : 0;
}

int run_find_open(struct txn *t, const char *connection_id, bool queued_too, int64_t *out_id,
                  struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    /* Over the statuses, since a connection may have any number of ended runs. */
    if (query_open(t->db,
                   "SELECT id FROM runs WHERE status IN (0, 1, 2) AND status >= ?"
                   " AND +connection_id = ? AND +kind IN (0, 1) ORDER BY status = 0, id LIMIT 1",
                   &q, err) < 0)
        return -1;
    query_int(&q, queued_too ? RUN_QUEUED : RUN_RUNNING);
    query_text(&q, connection_id);
    row = query_next(&q, err);
    *out_id = row > 0 ? query_get_int(&q, 0) : 0;
    return row < 0 ? -1 : 0;
}

/* ---------------------------------------------------------------------- lists */

/* "r.kind IN (0,1)" for the bits that are set: the numbers of our own enums. */
static void put_in(struct buf *sql, const char *column, unsigned bits, unsigned count)
{
    const char *separator = "";

    buf_printf(sql, " AND %s IN (", column);
    for (unsigned i = 0; i < count; i++) {
        if (bits >> i & 1) {
            buf_printf(sql, "%s%u", separator, i);
            separator = ",";
        }
    }
    buf_putc(sql, ')');
}

static bool is_one(unsigned bits)
{
    return bits && !(bits & (bits - 1));
}

/*
 * One condition at most may drive the search, by an index that gives the order of ids too; a plus
 * sign keeps SQLite from using the others. With several values there would be a sort of all rows
 * they match, which is fine for runs that have not ended, since those are few. Everything else
 * reads by id until the page is full.
 */
static void list_sql(const struct run_query *q, struct buf *sql)
{
    const unsigned job = 1u << RUN_SYNC | 1u << RUN_CLEAR;
    const unsigned open = 1u << RUN_QUEUED | 1u << RUN_RUNNING | 1u << RUN_CANCELLING;
    unsigned kinds = q->kinds ? q->kinds : job;
    bool by_status =
        !q->connection_id && q->statuses && (is_one(q->statuses) || !(q->statuses & ~open));
    bool by_kind = !q->connection_id && !by_status && is_one(kinds);

    buf_puts(sql, IN_LIST " WHERE r.id > ?1 AND r.id < ?2 AND r.created_us >= ?3"
                          " AND r.created_us <= ?4 AND (?5 IS NULL OR r.started_by = ?5)"
                          " AND ?6 IS ?6");
    if (q->connection_id)
        buf_puts(sql, " AND r.connection_id = ?6");
    put_in(sql, by_kind ? "r.kind" : "+r.kind", kinds, RUN_COUNT + 1);
    if (q->statuses)
        put_in(sql, by_status ? "r.status" : "+r.status", q->statuses, RUN_CANCELLED + 1);
    buf_printf(sql, " ORDER BY r.id %s LIMIT ?7", q->ascending ? "ASC" : "DESC");
}

static int open_list(struct txn *t, const struct run_query *q, const char *before,
                     const char *behind, struct query *list, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(8 << 10);

    buf_puts(&sql, before);
    list_sql(q, &sql);
    buf_puts(&sql, behind);
    if (buf_ok(&sql, "a statement", err) < 0 || query_open(t->db, buf_str(&sql), list, err) < 0)
        return -1;
    query_int(list, q->ascending ? q->after : 0);
    query_int(list, !q->ascending && q->after ? q->after : INT64_MAX);
    query_int(list, q->since_us);
    query_int(list, q->until_us ? q->until_us : INT64_MAX);
    query_text(list, q->trigger);
    query_text(list, q->connection_id);
    query_int(list, q->limit < 0 ? -1 : q->limit + 1);
    return 0;
}

int store_list_runs(struct store *s, const struct run_query *q, struct arena *mem,
                    struct run_row **out, size_t *out_n, int64_t *out_next, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query list = {0};
    struct run_row *rows;
    size_t n = 0;
    int more;

    if (txn_begin(s, TXN_READ, &t, err) < 0 || open_list(&t, q, "", "", &list, err) < 0)
        return -1;
    rows = arena_array(mem, (size_t)q->limit, sizeof *rows);
    while ((more = query_next(&list, err)) > 0 && n < (size_t)q->limit) {
        if (read_row(&list, mem, &rows[n++], err) < 0)
            return -1;
    }
    if (more < 0)
        return -1;
    *out = rows;
    *out_n = n;
    *out_next = more && n ? rows[n - 1].id : 0;
    return 0;
}

int store_count_listed_runs(struct store *s, const struct run_query *q, int64_t *out,
                            struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query count = {0};
    struct run_query all = *q;

    all.after = 0;
    all.limit = -1;
    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        open_list(&t, &all, "SELECT count(*) FROM (", ")", &count, err) < 0 ||
        query_next(&count, err) < 0)
        return -1;
    *out = query_get_int(&count, 0);
    return 0;
}

int store_count_runs(struct store *s, int64_t *out_queued, int64_t *out_active, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t queued, active;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        db_get_int(t.db, "SELECT count(*) FROM runs WHERE status = 0", &queued, err) < 0 ||
        db_get_int(t.db, "SELECT count(*) FROM runs WHERE status IN (1, 2)", &active, err) < 0)
        return -1;
    *out_queued = queued;
    *out_active = active;
    return 0;
}

/* Both look backwards from the newest run, and mostly find what they look for at once. */
#define LAST_RUN(what, how)                 \
    "coalesce((SELECT " what " FROM runs r" \
    " WHERE r.connection_id = c.id AND +r.kind = 0 AND " how " ORDER BY r.id DESC LIMIT 1), 0)"

int store_list_activity(struct store *s, int64_t limit, struct arena *mem, struct activity **out,
                        size_t *out_n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    struct activity *rows = arena_array(mem, (size_t)limit, sizeof *rows);
    size_t n = 0;
    int row;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        query_open(t.db,
                   "SELECT c.id, c.name, " LAST_RUN("r.ended_us", "+r.status = 3") ", " LAST_RUN(
                       "r.ended_us - r.started_us",
                       "+r.status IN (3, 4, 5) AND r.started_us > 0") " FROM connections c ORDER "
                                                                      "BY c.seq LIMIT ?",
                   &q, err) < 0)
        return -1;
    query_int(&q, limit);
    while ((row = query_next(&q, err)) > 0)
        rows[n++] = (struct activity){.id = query_get_string(&q, 0, mem),
                                      .name = query_get_string(&q, 1, mem),
                                      .succeeded_us = query_get_int(&q, 2),
                                      .took_us = query_get_int(&q, 3)};
    *out = rows;
    *out_n = n;
    return row;
}

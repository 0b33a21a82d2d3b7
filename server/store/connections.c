#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "server/store/txn.h"

#define COLUMNS                                                                              \
    "c.id, c.name, c.display_name, c.source_id, c.destination_id, s.name, d.name, c.paused," \
    " c.labels, c.streams, c.settings, c.revision, c.created_us, c.updated_us, c.seq"
#define SEQ_COLUMN 14

#define TABLES                                                   \
    " FROM connections c JOIN resources s ON s.id = c.source_id" \
    " JOIN resources d ON d.id = c.destination_id"

static void read_row(const struct query *q, struct arena *mem, struct connection *out)
{
    *out = (struct connection){
        .id = query_get_string(q, 0, mem),
        .name = query_get_string(q, 1, mem),
        .display_name = query_get_text(q, 2, mem),
        .source_id = query_get_string(q, 3, mem),
        .destination_id = query_get_string(q, 4, mem),
        .source_name = query_get_string(q, 5, mem),
        .destination_name = query_get_string(q, 6, mem),
        .paused = query_get_bool(q, 7),
        .labels = query_get_string(q, 8, mem),
        .streams = query_get_text(q, 9, mem),
        .settings = query_get_string(q, 10, mem),
        .revision = query_get_int(q, 11),
        .created_us = query_get_int(q, 12),
        .updated_us = query_get_int(q, 13),
    };
}

static int get(struct txn *t, const char *id_or_name, struct arena *mem, struct connection *out,
               struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    const char *sql = text_is_uuid(id_or_name, strlen(id_or_name))
                          ? "SELECT " COLUMNS TABLES " WHERE c.id = lower(?)"
                          : "SELECT " COLUMNS TABLES " WHERE c.name = ?";
    int row;

    if (query_open(t->db, sql, &q, err) < 0)
        return -1;
    query_text(&q, id_or_name);
    row = query_next(&q, err);
    if (row > 0)
        read_row(&q, mem, out);
    else if (row == 0)
        error_set(err, ERR_NOT_FOUND, "there is no connection \"%s\"", id_or_name);
    return row > 0 ? 0 : -1;
}

int store_get_connection(struct store *s, const char *id_or_name, struct arena *mem,
                         struct connection *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};

    if (txn_begin(s, TXN_READ, &t, err) < 0)
        return -1;
    return get(&t, id_or_name, mem, out, err);
}

/* ------------------------------------------------------------------- writing */

static int check_name(struct txn *t, const char *name, const char *id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db, "SELECT 1 FROM connections WHERE name = ? AND id IS NOT ?", &q, err) < 0)
        return -1;
    query_text(&q, name);
    query_text(&q, id);
    row = query_next(&q, err);
    if (row > 0)
        return error_set_reason(err, ERR_CONFLICT, "name_taken",
                                "there is a connection \"%s\" already", name);
    return row;
}

static int find_end(struct txn *t, enum resource_kind kind, const char **io_id, struct arena *mem,
                    struct error *err)
{
    struct resource end;
    int found = resource_find(t, kind, *io_id, mem, &end, err);

    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no %s \"%s\"",
                         kind == RESOURCE_SOURCE ? "source" : "destination", *io_id);
    if (found > 0)
        *io_id = end.id;
    return found < 0 ? -1 : 0;
}

/* `in` as it will be stored: ids instead of names, no absent objects. */
static int complete(struct txn *t, struct connection *in, struct arena *mem, struct error *err)
{
    if (find_end(t, RESOURCE_SOURCE, &in->source_id, mem, err) < 0 ||
        find_end(t, RESOURCE_DESTINATION, &in->destination_id, mem, err) < 0)
        return -1;
    in->labels = in->labels ? in->labels : "{}";
    in->settings = in->settings ? in->settings : "{}";
    return 0;
}

static void bind_content(struct query *q, const struct connection *c)
{
    query_text(q, c->name);
    query_text(q, c->display_name);
    query_text(q, c->source_id);
    query_text(q, c->destination_id);
    query_int(q, c->paused);
    query_text(q, c->labels);
    query_text(q, c->streams);
    query_text(q, c->settings);
}

static int insert(struct txn *t, const struct connection *in, const char *id, int64_t now_us,
                  struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO connections (name, display_name, source_id, destination_id, paused,"
                   " labels, streams, settings, id, revision, created_us, updated_us)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
                   &q, err) < 0)
        return -1;
    bind_content(&q, in);
    query_text(&q, id);
    query_int(&q, now_us);
    query_int(&q, now_us);
    return query_run(&q, err);
}

int store_create_connection(struct store *s, struct connection *in, struct arena *mem,
                            struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct connection wanted = *in, row = {0};
    int64_t now_us = clock_unix_us();
    char id[STORE_ID_BYTES];

    store_new_id(now_us, id);
    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || check_name(&t, in->name, NULL, err) < 0 ||
        complete(&t, &wanted, mem, err) < 0 || insert(&t, &wanted, id, now_us, err) < 0 ||
        idempotency_note(&t, in->idempotency_key, EFFECT_CONNECTION, id, err) < 0 ||
        get(&t, id, mem, &row, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *in = row;
    return 0;
}

static bool same_content(const struct connection *a, const struct connection *b)
{
    return same_text(a->name, b->name) && same_text(a->display_name, b->display_name) &&
           same_text(a->source_id, b->source_id) &&
           same_text(a->destination_id, b->destination_id) && a->paused == b->paused &&
           same_text(a->labels, b->labels) && same_text(a->streams, b->streams) &&
           same_text(a->settings, b->settings);
}

static int update(struct txn *t, const struct connection *in, const char *id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "UPDATE connections SET name = ?, display_name = ?, source_id = ?,"
                   " destination_id = ?, paused = ?, labels = ?, streams = ?, settings = ?,"
                   " updated_us = ?, revision = revision + 1 WHERE id = ?",
                   &q, err) < 0)
        return -1;
    bind_content(&q, in);
    query_int(&q, clock_unix_us());
    query_text(&q, id);
    return query_run(&q, err);
}

int store_update_connection(struct store *s, struct connection *in, int64_t expected,
                            struct arena *mem, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct connection wanted = *in, old = {0}, row = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get(&t, in->id, mem, &old, err) < 0 ||
        revision_check(old.revision, expected, err) < 0 || complete(&t, &wanted, mem, err) < 0)
        return -1;
    if (same_content(&old, &wanted)) {
        *in = old;
        return 0;
    }
    if (check_name(&t, in->name, old.id, err) < 0 || update(&t, &wanted, old.id, err) < 0 ||
        get(&t, old.id, mem, &row, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *in = row;
    return 0;
}

static int drop(struct txn *t, const char *id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "DELETE FROM connections WHERE id = ?", &q, err) < 0)
        return -1;
    query_text(&q, id);
    return query_run(&q, err);
}

int store_delete_connection(struct store *s, const char *id_or_name, int64_t expected,
                            struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(txn_end) struct txn t = {0};
    struct connection old = {0};
    int64_t run = 0;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get(&t, id_or_name, mem, &old, err) < 0 ||
        revision_check(old.revision, expected, err) < 0 ||
        run_find_open(&t, old.id, true, &run, err) < 0)
        return -1;
    if (run)
        return error_set_reason(err, ERR_CONFLICT, "run_active",
                                "run %lld of connection \"%s\" has not ended", (long long)run,
                                old.name);
    if (drop(&t, old.id, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

/* -------------------------------------------------------------------- listing */

/* ?9 is a set of bits of enum run_status, -1 for any; a connection without a run has none. */
/* clang-format off */
#define LIST_SQL \
    "SELECT " COLUMNS TABLES " WHERE c.seq > ?1" \
    " AND (?2 IS NULL OR instr(',' || ?2 || ',', ',' || s.connector || ',') > 0" \
    "      OR instr(',' || ?2 || ',', ',' || d.connector || ',') > 0)" \
    " AND (?3 IS NULL OR instr(lower(c.name), lower(?3)) > 0" \
    "      OR instr(lower(c.display_name), lower(?3)) > 0)" \
    " AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.labels) l" \
    "      WHERE l.key = ?4 AND (?5 IS NULL OR l.value = ?5)))" \
    " AND (?6 IS NULL OR instr(',' || ?6 || ',', ',' || s.name || ',') > 0" \
    "      OR instr(',' || lower(?6) || ',', ',' || s.id || ',') > 0)" \
    " AND (?7 IS NULL OR instr(',' || ?7 || ',', ',' || d.name || ',') > 0" \
    "      OR instr(',' || lower(?7) || ',', ',' || d.id || ',') > 0)" \
    " AND (?8 < 0 OR c.paused = ?8)" \
    " AND (?9 < 0 OR ?9 >> (SELECT r.status FROM runs r WHERE r.connection_id = c.id" \
    "      AND +r.kind IN (0, 1) ORDER BY r.id DESC LIMIT 1) & 1)" \
    " ORDER BY c.seq LIMIT ?10"
/* clang-format on */

/* The bits of "failed,cancelled"; -1 for NULL. */
static int status_bits(const char *names, int64_t *out, struct error *err)
{
    int64_t bits = 0;

    for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t n = strcspn(at, ",");
        unsigned s = 0;

        while (s <= RUN_CANCELLED && (strlen(run_status_name((enum run_status)s)) != n ||
                                      memcmp(at, run_status_name((enum run_status)s), n) != 0))
            s++;
        if (s > RUN_CANCELLED)
            return error_set_reason(err, ERR_INVALID, "invalid_query",
                                    "\"%.*s\" is not a status of a run", (int)n, at);
        bits |= (int64_t)1 << s;
    }
    *out = names ? bits : -1;
    return 0;
}

/* Rows behind `after`, at most `limit` of them; -1 = all. */
static int open_list(struct txn *t, const char *sql, const struct list_query *q, int64_t after,
                     int64_t limit, struct query *list, struct error *err)
{
    int64_t statuses = -1;

    if (status_bits(q->status, &statuses, err) < 0 || query_open(t->db, sql, list, err) < 0)
        return -1;
    query_int(list, after);
    query_text(list, q->connector);
    query_text(list, q->q);
    query_text(list, q->label_key);
    query_text(list, q->label_value);
    query_text(list, q->source);
    query_text(list, q->destination);
    query_int(list, q->paused);
    query_int(list, statuses);
    query_int(list, limit);
    return 0;
}

int store_list_connections(struct store *s, const struct list_query *q, struct arena *mem,
                           struct connection **out, size_t *out_n, const char **out_next,
                           struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query list = {0};
    struct connection *rows;
    int64_t after, seq = 0;
    size_t n = 0;
    int more;

    if (cursor_read('c', q, &after, err) < 0 || txn_begin(s, TXN_READ, &t, err) < 0 ||
        open_list(&t, LIST_SQL, q, after, q->limit + 1, &list, err) < 0)
        return -1;
    rows = arena_array(mem, (size_t)q->limit, sizeof *rows);
    while ((more = query_next(&list, err)) > 0 && n < (size_t)q->limit) {
        read_row(&list, mem, &rows[n++]);
        seq = query_get_int(&list, SEQ_COLUMN);
    }
    if (more < 0)
        return -1;
    *out = rows;
    *out_n = n;
    *out_next = more ? cursor_write('c', seq, mem) : NULL;
    return 0;
}

int store_count_connections(struct store *s, const struct list_query *q, int64_t *out,
                            struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query count = {0};

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        open_list(&t, "SELECT count(*) FROM (" LIST_SQL ")", q, 0, -1, &count, err) < 0 ||
        query_next(&count, err) < 0)
        return -1;
    *out = query_get_int(&count, 0);
    return 0;
}

#include <inttypes.h>

#include "connectors/base/clock.h"
#include "server/store/txn.h"

#define KEPT 100 /* snapshots of one source; what changed longer ago is not asked for */

/* ------------------------------------------------------------------- reading */

static int find_source(struct txn *t, const char *id_or_name, struct arena *mem,
                       const char **out_id, struct error *err)
{
    struct resource source;
    int found = resource_find(t, RESOURCE_SOURCE, id_or_name, mem, &source, err);

    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no source \"%s\"", id_or_name);
    *out_id = found > 0 ? source.id : NULL;
    return found < 0 ? -1 : 0;
}

static void read_row(const struct query *q, const char *source_id, struct arena *mem,
                     struct stored_catalog *out)
{
    *out = (struct stored_catalog){
        .id = query_get_int(q, 0),
        .source_id = source_id,
        .hash = query_get_string(q, 1, mem),
        .discovered_us = query_get_int(q, 2),
    };
}

/* 1 = found. */
static int find(struct txn *t, const char *source_id, int64_t id, struct arena *mem,
                struct stored_catalog *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db,
                   "SELECT id, hash, discovered_us, text FROM catalogs"
                   " WHERE source_id = ?1 AND (?2 = 0 OR id = ?2) ORDER BY id DESC LIMIT 1",
                   &q, err) < 0)
        return -1;
    query_text(&q, source_id);
    query_int(&q, id);
    row = query_next(&q, err);
    if (row > 0) {
        read_row(&q, source_id, mem, out);
        out->text = query_get_string(&q, 3, mem);
    }
    return row;
}

int store_get_catalog(struct store *s, const char *source_id, int64_t id, struct arena *mem,
                      struct stored_catalog *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    const char *source = NULL;
    int found;

    if (txn_begin(s, TXN_READ, &t, err) < 0 || find_source(&t, source_id, mem, &source, err) < 0)
        return -1;
    found = find(&t, source, id, mem, out, err);
    if (found == 0 && id == 0)
        return error_set_reason(err, ERR_NOT_FOUND, "not_discovered",
                                "nothing has been discovered at \"%s\" yet", source_id);
    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "source \"%s\" has no catalog %" PRId64, source_id,
                         id);
    return found < 0 ? -1 : 0;
}

int store_list_catalogs(struct store *s, const char *source_id, struct arena *mem,
                        struct stored_catalog **out, size_t *out_n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    struct stored_catalog *rows = arena_array(mem, KEPT, sizeof *rows);
    const char *source = NULL;
    size_t n = 0;
    int row;

    if (txn_begin(s, TXN_READ, &t, err) < 0 || find_source(&t, source_id, mem, &source, err) < 0 ||
        query_open(t.db,
                   "SELECT id, hash, discovered_us FROM catalogs WHERE source_id = ?"
                   " ORDER BY id DESC LIMIT ?",
                   &q, err) < 0)
        return -1;
    query_text(&q, source);
    query_int(&q, KEPT);
    while ((row = query_next(&q, err)) > 0 && n < KEPT)
        read_row(&q, source, mem, &rows[n++]);
    if (row < 0)
        return -1;
    *out = rows;
    *out_n = n;
    return 0;
}

/* -------------------------------------------------------------------- writing */

static int insert(struct txn *t, struct stored_catalog *io, int64_t now_us, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO catalogs (source_id, hash, discovered_us, text)"
                   " VALUES (?, ?, ?, ?)",
                   &q, err) < 0)
        return -1;
    query_text(&q, io->source_id);
    query_text(&q, io->hash);
    query_int(&q, now_us);
    query_text(&q, io->text);
    if (query_run(&q, err) < 0)
        return -1;
    io->id = db_last_id(t->db);
    return 0;
}

static int touch(struct txn *t, int64_t id, int64_t now_us, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "UPDATE catalogs SET discovered_us = ? WHERE id = ?", &q, err) < 0)
        return -1;
    query_int(&q, now_us);
    query_int(&q, id);
    return query_run(&q, err);
}

static int drop_old(struct txn *t, const char *source_id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "DELETE FROM catalogs WHERE source_id = ?1 AND id <= (SELECT id FROM catalogs"
                   " WHERE source_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                   &q, err) < 0)
        return -1;
    query_text(&q, source_id);
    query_int(&q, KEPT);
    return query_run(&q, err);
}

int store_put_catalog(struct store *s, struct stored_catalog *io, struct arena *mem,
                      struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct stored_catalog newest, row = *io;
    int64_t now_us = clock_unix_us();
    int found;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 ||
        find_source(&t, io->source_id, mem, &row.source_id, err) < 0)
        return -1;
    found = find(&t, row.source_id, 0, mem, &newest, err);
    if (found < 0)
        return -1;
    if (found > 0 && same_text(newest.hash, io->hash)) {
        row.id = newest.id;
        if (touch(&t, row.id, now_us, err) < 0)
            return -1;
    } else if (insert(&t, &row, now_us, err) < 0 || drop_old(&t, row.source_id, err) < 0) {
        return -1;
    }
    if (txn_commit(&t, err) < 0)
        return -1;
    row.discovered_us = now_us;
    *io = row;
    return 0;
}

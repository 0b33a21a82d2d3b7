/* Access tokens: digests, scopes, ends. */
#include "connectors/base/clock.h"
#include "server/store/txn.h"

#define COLUMNS "id, name, scope, digest, created_by, created_us, expires_us, revoked_us, used_day"

#define FORGOTTEN_US ((int64_t)365 * 24 * 3600 * 1000000) /* after its end */

/* Those that ended long ago and those that could still be used: lists are whole. */
#define MAX_LISTED 10000

static int count_usable(struct txn *t, int64_t now_us, int64_t *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "SELECT count(*) FROM tokens WHERE revoked_us = 0 AND expires_us > ?", &q,
                   err) < 0)
        return -1;
    query_int(&q, now_us);
    if (query_next(&q, err) < 0)
        return -1;
    *out = query_get_int(&q, 0);
    return 0;
}

static int insert(struct txn *t, const struct stored_token *in, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "INSERT INTO tokens (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)", &q,
                   err) < 0)
        return -1;
    query_text(&q, in->id);
    query_text(&q, in->name);
    query_text(&q, in->scope);
    query_text(&q, in->digest);
    query_text(&q, in->created_by);
    query_int(&q, in->created_us);
    query_int(&q, in->expires_us);
    return query_run(&q, err);
}

static int forget(struct txn *t, int64_t before_us, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "DELETE FROM tokens WHERE expires_us < ?1"
                   " OR (revoked_us > 0 AND revoked_us < ?1)",
                   &q, err) < 0)
        return -1;
    query_int(&q, before_us);
    return query_run(&q, err);
}

int store_create_token(struct store *s, struct stored_token *in, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t now_us = clock_unix_us(), n = 0;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || forget(&t, now_us - FORGOTTEN_US, err) < 0 ||
        count_usable(&t, now_us, &n, err) < 0)
        return -1;
    if (n >= STORE_MAX_TOKENS)
        return error_set_reason(err, ERR_CONFLICT, "too_many_tokens",
                                "there are %d tokens already; revoke one", STORE_MAX_TOKENS);
    in->created_us = now_us;
    if (insert(&t, in, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

int store_list_tokens(struct store *s, struct arena *mem, struct stored_token **out, size_t *out_n,
                      struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    struct stored_token *rows;
    int64_t count = 0;
    size_t n = 0;
    int more;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        db_get_int(t.db, "SELECT count(*) FROM tokens", &count, err) < 0 ||
        query_open(t.db, "SELECT " COLUMNS " FROM tokens ORDER BY seq LIMIT ?", &q, err) < 0)
        return -1;
    query_int(&q, MAX_LISTED);
    rows = arena_array(mem, (size_t)count + 1, sizeof *rows);
    while (n < (size_t)count && (more = query_next(&q, err)) != 0) {
        if (more < 0)
            return -1;
        rows[n++] = (struct stored_token){
            .id = query_get_string(&q, 0, mem),
            .name = query_get_string(&q, 1, mem),
            .scope = query_get_string(&q, 2, mem),
            .digest = query_get_string(&q, 3, mem),
            .created_by = query_get_string(&q, 4, mem),
            .created_us = query_get_int(&q, 5),
            .expires_us = query_get_int(&q, 6),
            .revoked_us = query_get_int(&q, 7),
            .used_day = query_get_int(&q, 8),
        };
    }
    *out = rows;
    *out_n = n;
    return 0;
}

/* Sets a number of one token; NOT_FOUND when there is none. */
static int set_one(struct store *s, const char *sql, const char *id, int64_t value,
                   struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || query_open(t.db, sql, &q, err) < 0)
        return -1;
    query_text(&q, id);
    query_int(&q, value);
    if (query_run(&q, err) < 0)
        return -1;
    if (db_changes(t.db) == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no token \"%s\"", id);
    return txn_commit(&t, err);
}

int store_revoke_token(struct store *s, const char *id, struct error *err)
{
    return set_one(s,
                   "UPDATE tokens SET revoked_us = CASE revoked_us WHEN 0 THEN ?2 ELSE revoked_us"
                   " END WHERE id = ?1",
                   id, clock_unix_us(), err);
}

int store_touch_token(struct store *s, const char *id, int64_t day, struct error *err)
{
    return set_one(s, "UPDATE tokens SET used_day = max(used_day, ?2) WHERE id = ?1", id, day, err);
}

#include "connectors/base/clock.h"
#include "server/store/txn.h"

#define KEPT_US ((int64_t)24 * 3600 * 1000000)

static int in_progress(const char *what, struct error *err)
{
    return error_set_reason(err, ERR_CONFLICT, "idempotency_in_progress", "%s", what);
}

/* Everybody's expired keys: nobody else cleans up, and there are few of them at a time. */
static int drop_expired(struct txn *t, int64_t now_us, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "DELETE FROM idempotency WHERE created_us <= ?", &q, err) < 0)
        return -1;
    query_int(&q, now_us - KEPT_US);
    return query_run(&q, err);
}

/* 0 when the key is new and now ours. */
static int insert(struct txn *t, const char *key, const char *fingerprint, int64_t now_us,
                  struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO idempotency (key, fingerprint, in_progress, effect, created_us)"
                   " VALUES (?, ?, 1, 0, ?)",
                   &q, err) < 0)
        return -1;
    query_text(&q, key);
    query_text(&q, fingerprint);
    query_int(&q, now_us);
    return query_run(&q, err);
}

/* What is known of a key: 0 = nothing, 1 = an answer, 2 = an effect. */
static int find(struct txn *t, const char *key, const char *fingerprint, struct arena *mem,
                struct stored_answer *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db,
                   "SELECT fingerprint, in_progress, status, headers, body, effect, effect_id"
                   " FROM idempotency WHERE key = ?",
                   &q, err) < 0)
        return -1;
    query_text(&q, key);
    row = query_next(&q, err);
    if (row <= 0)
        return row;
    if (!same_text(query_get_string(&q, 0, mem), fingerprint))
        return error_set_reason(err, ERR_INVALID, "idempotency_key_reused",
                                "this key belongs to another request");
    if (query_get_bool(&q, 1))
        return in_progress("the first request with this key is still being worked on", err);
    *out = (struct stored_answer){
        .status = query_get_int(&q, 2),
        .headers = query_get_string(&q, 3, mem),
        .body = query_get_string(&q, 4, mem),
    };
    if (out->status)
        return 1;
    out->effect = (enum effect_kind)query_get_int(&q, 5);
    out->effect_id = query_get_string(&q, 6, mem);
    return 2;
}

int store_idempotency_begin(struct store *s, const char *key, const char *fingerprint,
                            struct arena *mem, struct stored_answer *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t now_us = clock_unix_us();
    int known;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || drop_expired(&t, now_us, err) < 0)
        return -1;
    known = find(&t, key, fingerprint, mem, out, err);
    if (known != 0)
        return known;
    if (insert(&t, key, fingerprint, now_us, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

int store_idempotency_end(struct store *s, const char *key, const struct stored_answer *answer,
                          struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 ||
        query_open(t.db,
                   "UPDATE idempotency SET in_progress = 0, status = ?, headers = ?, body = ?"
                   " WHERE key = ?",
                   &q, err) < 0)
        return -1;
    query_int(&q, answer->status);
    query_text(&q, answer->headers);
    query_text(&q, answer->body);
    query_text(&q, key);
    if (query_run(&q, err) < 0)
        return -1;
    if (db_changes(t.db) == 0)
        return error_set(err, ERR_NOT_FOUND, "the key \"%s\" was not begun", key);
    return txn_commit(&t, err);
}

/* Keys without an effect are forgotten, the others wait for whoever asks again. `key` NULL = all.
 */
static int settle(struct db *db, const char *key, struct error *err)
{
    CLEANUP(query_close) struct query drop = {0};
    CLEANUP(query_close) struct query keep = {0};

    if (query_open(db,
                   "DELETE FROM idempotency WHERE in_progress AND effect = 0"
                   " AND (?1 IS NULL OR key = ?1)",
                   &drop, err) < 0)
        return -1;
    query_text(&drop, key);
    if (query_run(&drop, err) < 0 ||
        query_open(db,
                   "UPDATE idempotency SET in_progress = 0 WHERE in_progress"
                   " AND (?1 IS NULL OR key = ?1)",
                   &keep, err) < 0)
        return -1;
    query_text(&keep, key);
    return query_run(&keep, err);
}

int store_idempotency_abandon(struct store *s, const char *key, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || settle(t.db, key, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

int idempotency_recover(struct db *db, struct error *err)
{
    return settle(db, NULL, err);
}

int idempotency_note(struct txn *t, const char *key, enum effect_kind kind, const char *id,
                     struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (!key)
        return 0;
    if (query_open(t->db,
                   "UPDATE idempotency SET effect = ?, effect_id = ?"
                   " WHERE key = ? AND in_progress AND effect = 0",
                   &q, err) < 0)
        return -1;
    query_int(&q, kind);
    query_text(&q, id);
    query_text(&q, key);
    if (query_run(&q, err) < 0)
        return -1;
    if (db_changes(t->db) == 0)
        return in_progress("this key is not in progress, or something was created under it", err);
    return 0;
}

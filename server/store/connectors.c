/* Custom connectors: descriptions of APIs under names of their own. */
#include <stdio.h>

#include "connectors/base/buf.h"
#include "connectors/base/clock.h"
#include "server/store/txn.h"

#define COLUMNS "name, revision, created_us, updated_us, secrets, binding, document"

#define MAX_USERS 100 /* names of sources in a refusal */

static void read_row(const struct query *q, struct arena *mem, struct stored_connector *out)
{
    *out = (struct stored_connector){
        .name = query_get_string(q, 0, mem),
        .revision = query_get_int(q, 1),
        .created_us = query_get_int(q, 2),
        .updated_us = query_get_int(q, 3),
        .secrets = query_get_string(q, 4, mem),
        .binding = query_get_string(q, 5, mem),
        .document = query_get_string(q, 6, mem),
    };
}

/* 1 = found, 0 = there is none. */
static int find(struct txn *t, const char *name, struct arena *mem, struct stored_connector *out,
                struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db, "SELECT " COLUMNS " FROM connectors WHERE name = ?", &q, err) < 0)
        return -1;
    query_text(&q, name);
    row = query_next(&q, err);
    if (row > 0)
        read_row(&q, mem, out);
    return row;
}

static int get(struct txn *t, const char *name, struct arena *mem, struct stored_connector *out,
               struct error *err)
{
    int found = find(t, name, mem, out, err);

    if (found == 0)
        error_set(err, ERR_NOT_FOUND, "there is no custom connector \"%s\"", name);
    return found > 0 ? 0 : -1;
}

int store_get_connector(struct store *s, const char *name, struct arena *mem,
                        struct stored_connector *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};

    if (txn_begin(s, TXN_READ, &t, err) < 0)
        return -1;
    return get(&t, name, mem, out, err);
}

int store_list_connectors(struct store *s, struct arena *mem, struct stored_connector **out,
                          size_t *out_n, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    struct stored_connector *rows;
    size_t n = 0;
    int more;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        query_open(t.db, "SELECT " COLUMNS " FROM connectors ORDER BY name LIMIT ?", &q, err) < 0)
        return -1;
    query_int(&q, STORE_MAX_CONNECTORS);
    rows = arena_array(mem, STORE_MAX_CONNECTORS, sizeof *rows);
    while (n < STORE_MAX_CONNECTORS && (more = query_next(&q, err)) != 0) {
        if (more < 0)
            return -1;
        read_row(&q, mem, &rows[n++]);
    }
    *out = rows;
    *out_n = n;
    return 0;
}

/* -------------------------------------------------------------------- writing */

/* Fails with CONFLICT "in_use" when sources are made with it. */
static int check_unused(struct txn *t, const char *name, const char *what, struct arena *mem,
                        const char **out_users, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    CLEANUP(buf_release) struct buf names = BUF_INIT(1 << 16);
    int row;

    if (query_open(t->db,
                   "SELECT name FROM resources WHERE kind = 0 AND connector = ?1"
                   " ORDER BY name LIMIT ?2",
                   &q, err) < 0)
        return -1;
    query_text(&q, name);
    query_int(&q, MAX_USERS);
    while ((row = query_next(&q, err)) > 0) {
        buf_puts(&names, names.len ? ", " : "");
        buf_puts(&names, query_get_string(&q, 0, mem));
    }
    if (row < 0 || !names.len)
        return row;
    *out_users = arena_strdup(mem, buf_str(&names));
    return error_set_reason(err, ERR_CONFLICT, "in_use", "%s \"%s\" is used by %s", what, name,
                            *out_users);
}

static int check_room(struct txn *t, struct error *err)
{
    int64_t n;

    if (db_get_int(t->db, "SELECT count(*) FROM connectors", &n, err) < 0)
        return -1;
    if (n >= STORE_MAX_CONNECTORS)
        return error_set_reason(err, ERR_RESOURCE, "too_many_connectors",
                                "there are %d custom connectors already", STORE_MAX_CONNECTORS);
    return 0;
}

static int write_row(struct txn *t, const struct stored_connector *in, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO connectors (name, document, binding, secrets, updated_us,"
                   " created_us, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1)"
                   " ON CONFLICT (name) DO UPDATE SET document = ?2, binding = ?3, secrets = ?4,"
                   " updated_us = ?5, revision = revision + 1",
                   &q, err) < 0)
        return -1;
    query_text(&q, in->name);
    query_text(&q, in->document);
    query_text(&q, in->binding);
    query_text(&q, in->secrets);
    query_int(&q, clock_unix_us());
    return query_run(&q, err);
}

int store_put_connector(struct store *s, struct stored_connector *in, int64_t expected,
                        struct arena *mem, const char **out_users, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct stored_connector old = {0}, row = {0};
    int found;

    if (txn_begin(s, TXN_WRITE, &t, err) < 0)
        return -1;
    found = find(&t, in->name, mem, &old, err);
    if (found < 0 || revision_check(old.revision, expected, err) < 0)
        return -1;
    if (found && same_text(old.document, in->document) && same_text(old.secrets, in->secrets)) {
        *in = old;
        return 0;
    }
    if (found
            ? !same_text(old.binding, in->binding) &&
                  check_unused(&t, in->name, "who is told the secrets would change: the connector",
                               mem, out_users, err) < 0
            : check_room(&t, err) < 0)
        return -1;
    if (write_row(&t, in, err) < 0 || get(&t, in->name, mem, &row, err) < 0 ||
        txn_commit(&t, err) < 0)
        return -1;
    *in = row;
    return 0;
}

int store_delete_connector(struct store *s, const char *name, int64_t expected, struct arena *mem,
                           const char **out_users, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    struct stored_connector old = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get(&t, name, mem, &old, err) < 0 ||
        revision_check(old.revision, expected, err) < 0 ||
        check_unused(&t, name, "the connector", mem, out_users, err) < 0 ||
        query_open(t.db, "DELETE FROM connectors WHERE name = ?", &q, err) < 0)
        return -1;
    query_text(&q, name);
    if (query_run(&q, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

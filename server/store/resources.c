#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "server/store/txn.h"

#define COLUMNS \
    "id, name, display_name, connector, config, labels, revision, created_us, updated_us, seq"

#define SEQ_COLUMN 9

#define MAX_USERS 100 /* names of connections in a refusal: enough to see what is going on */

static const char *kind_name(enum resource_kind kind)
{
    return kind == RESOURCE_SOURCE ? "source" : "destination";
}

static void read_row(const struct query *q, struct arena *mem, struct resource *out)
{
    *out = (struct resource){
        .id = query_get_string(q, 0, mem),
        .name = query_get_string(q, 1, mem),
        .display_name = query_get_text(q, 2, mem),
        .connector = query_get_string(q, 3, mem),
        .config = query_get_string(q, 4, mem),
        .labels = query_get_string(q, 5, mem),
        .revision = query_get_int(q, 6),
        .created_us = query_get_int(q, 7),
        .updated_us = query_get_int(q, 8),
    };
}

int resource_find(struct txn *t, enum resource_kind kind, const char *id_or_name, struct arena *mem,
                  struct resource *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    /* A name is never shaped like an id, so one look is enough. */
    const char *sql = text_is_uuid(id_or_name, strlen(id_or_name))
                          ? "SELECT " COLUMNS " FROM resources WHERE kind = ? AND id = lower(?)"
                          : "SELECT " COLUMNS " FROM resources WHERE kind = ? AND name = ?";
    int row;

    if (query_open(t->db, sql, &q, err) < 0)
        return -1;
    query_int(&q, kind);
    query_text(&q, id_or_name);
    row = query_next(&q, err);
    if (row > 0)
        read_row(&q, mem, out);
    return row;
}

static int get(struct txn *t, enum resource_kind kind, const char *id_or_name, struct arena *mem,
               struct resource *out, struct error *err)
{
    int found = resource_find(t, kind, id_or_name, mem, out, err);

    if (found == 0)
        error_set(err, ERR_NOT_FOUND, "there is no %s \"%s\"", kind_name(kind), id_or_name);
    return found > 0 ? 0 : -1;
}

int store_get_resource(struct store *s, enum resource_kind kind, const char *id_or_name,
                       struct arena *mem, struct resource *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};

    if (txn_begin(s, TXN_READ, &t, err) < 0)
        return -1;
    return get(&t, kind, id_or_name, mem, out, err);
}

/* ------------------------------------------------------------------- writing */

/* `id` is the one that may have the name. */
static int check_name(struct txn *t, enum resource_kind kind, const char *name, const char *id,
                      struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db, "SELECT 1 FROM resources WHERE kind = ? AND name = ? AND id IS NOT ?", &q,
                   err) < 0)
        return -1;
    query_int(&q, kind);
    query_text(&q, name);
    query_text(&q, id);
    row = query_next(&q, err);
    if (row > 0)
        return error_set_reason(err, ERR_CONFLICT, "name_taken", "there is a %s \"%s\" already",
                                kind_name(kind), name);
    return row;
}

static void bind_content(struct query *q, const struct resource *r)
{
    query_text(q, r->name);
    query_text(q, r->display_name);
    query_text(q, r->connector);
    query_text(q, r->config);
    query_text(q, r->labels ? r->labels : "{}");
}

static int insert(struct txn *t, enum resource_kind kind, const struct resource *in, const char *id,
                  int64_t now_us, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "INSERT INTO resources (name, display_name, connector, config, labels, kind, id,"
                   " revision, created_us, updated_us) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
                   &q, err) < 0)
        return -1;
    bind_content(&q, in);
    query_int(&q, kind);
    query_text(&q, id);
    query_int(&q, now_us);
    query_int(&q, now_us);
    return query_run(&q, err);
}

int store_create_resource(struct store *s, enum resource_kind kind, struct resource *in,
                          struct arena *mem, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    int64_t now_us = clock_unix_us();
    char id[STORE_ID_BYTES];
    struct resource row = {0};

    if (in->id)
        snprintf(id, sizeof id, "%s", in->id);
    else
        store_new_id(now_us, id);
    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || check_name(&t, kind, in->name, NULL, err) < 0 ||
        insert(&t, kind, in, id, now_us, err) < 0 ||
        idempotency_note(&t, in->idempotency_key,
                         kind == RESOURCE_SOURCE ? EFFECT_SOURCE : EFFECT_DESTINATION, id,
                         err) < 0 ||
        get(&t, kind, id, mem, &row, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *in = row;
    return 0;
}

static bool same_content(const struct resource *a, const struct resource *b)
{
    return same_text(a->name, b->name) && same_text(a->display_name, b->display_name) &&
           same_text(a->connector, b->connector) && same_text(a->config, b->config) &&
           same_text(a->labels, b->labels ? b->labels : "{}");
}

static int update(struct txn *t, const struct resource *in, const char *id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db,
                   "UPDATE resources SET name = ?, display_name = ?, connector = ?, config = ?,"
                   " labels = ?, updated_us = ?, revision = revision + 1 WHERE id = ?",
                   &q, err) < 0)
        return -1;
    bind_content(&q, in);
    query_int(&q, clock_unix_us());
    query_text(&q, id);
    return query_run(&q, err);
}

int store_update_resource(struct store *s, enum resource_kind kind, struct resource *in,
                          int64_t expected, struct arena *mem, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    struct resource old = {0}, row = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get(&t, kind, in->id, mem, &old, err) < 0 ||
        revision_check(old.revision, expected, err) < 0)
        return -1;
    if (same_content(&old, in)) {
        *in = old;
        return 0;
    }
    if (check_name(&t, kind, in->name, old.id, err) < 0 || update(&t, in, old.id, err) < 0 ||
        get(&t, kind, old.id, mem, &row, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    *in = row;
    return 0;
}

/* ------------------------------------------------------------------- deleting */

/* "a, b" of the connections that use it, or NULL. */
static int find_users(struct txn *t, const char *id, struct arena *mem, const char **out,
                      struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    CLEANUP(buf_release) struct buf names = BUF_INIT(1 << 16);
    int row;

    if (query_open(t->db,
                   "SELECT name FROM connections WHERE source_id = ?1 OR destination_id = ?1"
                   " ORDER BY name LIMIT ?2",
                   &q, err) < 0)
        return -1;
    query_text(&q, id);
    query_int(&q, MAX_USERS);
    while ((row = query_next(&q, err)) > 0) {
        buf_puts(&names, names.len ? ", " : "");
        buf_puts(&names, query_get_string(&q, 0, mem));
    }
    *out = names.len ? arena_strdup(mem, buf_str(&names)) : NULL;
    return row;
}

static int drop(struct txn *t, const char *id, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, "DELETE FROM resources WHERE id = ?", &q, err) < 0)
        return -1;
    query_text(&q, id);
    return query_run(&q, err);
}

int store_delete_resource(struct store *s, enum resource_kind kind, const char *id_or_name,
                          int64_t expected, struct arena *mem, const char **out_users,
                          struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    const char *users = NULL;
    struct resource old = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || get(&t, kind, id_or_name, mem, &old, err) < 0 ||
        revision_check(old.revision, expected, err) < 0 ||
        find_users(&t, old.id, mem, &users, err) < 0)
        return -1;
    if (users) {
        *out_users = users;
        return error_set_reason(err, ERR_CONFLICT, "in_use", "the %s \"%s\" is used by %s",
                                kind_name(kind), old.name, users);
    }
    if (drop(&t, old.id, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    txn_end(&t);
    store_forget_log(s);
    return 0;
}

/* -------------------------------------------------------------------- listing */

/* Absent conditions are NULL. What is looked for is bound, never part of the statement. */
/* clang-format off */
#define LIST_SQL \
    "SELECT " COLUMNS " FROM resources WHERE kind = ?1 AND seq > ?2" \
    " AND (?3 IS NULL OR instr(',' || ?3 || ',', ',' || connector || ',') > 0)" \
    " AND (?4 IS NULL OR instr(lower(name), lower(?4)) > 0" \
    "      OR instr(lower(display_name), lower(?4)) > 0)" \
    " AND (?5 IS NULL OR EXISTS (SELECT 1 FROM json_each(labels)" \
    "      WHERE key = ?5 AND (?6 IS NULL OR value = ?6)))" \
    " ORDER BY seq LIMIT ?7"
/* clang-format on */

static int open_list(struct txn *t, const char *sql, enum resource_kind kind,
                     const struct list_query *q, int64_t after, int64_t limit, struct query *list,
                     struct error *err)
{
    if (query_open(t->db, sql, list, err) < 0)
        return -1;
    query_int(list, kind);
    query_int(list, after);
    query_text(list, q->connector);
    query_text(list, q->q);
    query_text(list, q->label_key);
    query_text(list, q->label_value);
    query_int(list, limit);
    return 0;
}

int store_list_resources(struct store *s, enum resource_kind kind, const struct list_query *q,
                         struct arena *mem, struct resource **out, size_t *out_n,
                         const char **out_next, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query list = {0};
    const char mark = kind == RESOURCE_SOURCE ? 's' : 'd';
    struct resource *rows;
    int64_t after, seq = 0;
    size_t n = 0;
    int more;

    if (cursor_read(mark, q, &after, err) < 0 || txn_begin(s, TXN_READ, &t, err) < 0 ||
        open_list(&t, LIST_SQL, kind, q, after, q->limit + 1, &list, err) < 0)
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
    *out_next = more ? cursor_write(mark, seq, mem) : NULL;
    return 0;
}

int store_count_resources(struct store *s, enum resource_kind kind, const struct list_query *q,
                          int64_t *out, struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query count = {0};

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        open_list(&t, "SELECT count(*) FROM (" LIST_SQL ")", kind, q, 0, -1, &count, err) < 0 ||
        query_next(&count, err) < 0)
        return -1;
    *out = query_get_int(&count, 0);
    return 0;
}

/* Sealed values: which keys they need, and how all of them get others. */
#include "connectors/base/buf.h"
#include "server/store/txn.h"

int store_get_key_checks(struct store *s, struct arena *mem, struct key_check **out, size_t *out_n,
                         struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    int64_t count = 0;
    size_t n = 0;
    int more;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        db_get_int(t.db, "SELECT count(*) FROM key_checks", &count, err) < 0 ||
        query_open(t.db, "SELECT id, value FROM key_checks ORDER BY id", &q, err) < 0)
        return -1;
    *out = arena_array(mem, (size_t)count + 1, sizeof **out);
    while ((more = query_next(&q, err)) > 0)
        (*out)[n++] =
            (struct key_check){query_get_string(&q, 0, mem), query_get_string(&q, 1, mem)};
    *out_n = n;
    return more;
}

static int put_checks(struct txn *t, const struct key_check *checks, size_t n, struct error *err)
{
    if (db_exec(t->db, "DELETE FROM key_checks", err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        CLEANUP(query_close) struct query q = {0};

        if (query_open(t->db, "INSERT INTO key_checks VALUES (?, ?)", &q, err) < 0)
            return -1;
        query_text(&q, checks[i].id);
        query_text(&q, checks[i].value);
        if (query_run(&q, err) < 0)
            return -1;
    }
    return 0;
}

int store_put_key_checks(struct store *s, const struct key_check *checks, size_t n,
                         struct error *err)
{
    CLEANUP(txn_end) struct txn t = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0 || put_checks(&t, checks, n, err) < 0)
        return -1;
    return txn_commit(&t, err);
}

int store_count_pending(struct store *s, const char *key_id, int64_t *out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(txn_end) struct txn t = {0};
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        query_open(t.db,
                   "SELECT count(*) FROM resources "
                   "WHERE instr(replace(config, ?, ''), '\"$sealed\":\"v1.') > 0",
                   &q, err) < 0)
        return -1;
    query_text(&q, arena_printf(mem, "\"$sealed\":\"v1.%s.", key_id));
    row = query_next(&q, err);
    if (row > 0)
        *out = query_get_int(&q, 0);
    return row < 0 ? -1 : 0;
}

/* Where the texts are. The first column orders the walk: each row is looked at once, whatever is
 * written meanwhile. */
static const struct holder {
    const char *select, *update;
    bool is_run;
} holders[] = {
    {"SELECT seq, id, kind, connector, config FROM resources WHERE seq > ? ORDER BY seq LIMIT 1",
     "UPDATE resources SET config = ? WHERE seq = ?", false},
    {"SELECT id, CAST(id AS TEXT), 0, '', request FROM runs WHERE id > ? ORDER BY id LIMIT 1",
     "UPDATE runs SET request = ? WHERE id = ?", true},
};

/* The first row behind *io_seq: 1 = found, 0 = there is none. */
static int next_text(struct txn *t, const struct holder *h, struct arena *mem, int64_t *io_seq,
                     struct sealed_text *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row;

    if (query_open(t->db, h->select, &q, err) < 0)
        return -1;
    query_int(&q, *io_seq);
    row = query_next(&q, err);
    if (row <= 0)
        return row;
    *io_seq = query_get_int(&q, 0);
    *out = (struct sealed_text){
        .is_run = h->is_run,
        .id = query_get_string(&q, 1, mem),
        .kind = (enum resource_kind)query_get_int(&q, 2),
        .connector = query_get_string(&q, 3, mem),
        .text = query_get_string(&q, 4, mem),
    };
    return 1;
}

static int replace(struct txn *t, const struct holder *h, int64_t seq, const char *text,
                   struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    if (query_open(t->db, h->update, &q, err) < 0)
        return -1;
    query_text(&q, text);
    query_int(&q, seq);
    return query_run(&q, err);
}

int store_reseal(struct store *s, const struct key_check *checks, size_t n,
                 int (*each)(void *arg, const struct sealed_text *t, struct arena *mem,
                             const char **out_text, struct error *err),
                 void *arg, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(txn_end) struct txn t = {0};

    if (txn_begin(s, TXN_WRITE, &t, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++) {
        struct sealed_text text = {0};
        int64_t seq = 0;
        int found;

        while ((found = next_text(&t, &holders[i], mem, &seq, &text, err)) > 0) {
            const char *other = NULL;

            if (each(arg, &text, mem, &other, err) < 0 ||
                (other && replace(&t, &holders[i], seq, other, err) < 0))
                return -1;
            arena_clear(mem);
        }
        if (found < 0)
            return -1;
    }
    if (put_checks(&t, checks, n, err) < 0 || txn_commit(&t, err) < 0)
        return -1;
    /* What pages hold that are free since before. */
    return db_vacuum(t.db, err);
}

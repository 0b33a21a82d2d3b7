/* Rows that their table refused: found in the stage, they go to quarantine as they are there. */
#include "connectors/base/jsonwrite.h"
#include "connectors/sql/load.h"

struct staged_row {
    const struct load *l;
    struct buf row, key;
};

static void put_staged(struct jsonw *w, const struct sql_value *v)
{
    if (v->kind == SQL_NULL)
        jsonw_null(w);
    else if (v->kind == SQL_INT)
        jsonw_int(w, v->number);
    else if (v->kind == SQL_REAL)
        jsonw_double(w, v->real);
    else
        jsonw_string_n(w, v->bytes.ptr, v->bytes.len);
}

static int take_staged(void *arg, const struct sql_value *v, size_t n, struct error *err)
{
    struct staged_row *s = arg;
    struct jsonw row = JSONW_INIT(&s->row), key = JSONW_INIT(&s->key);
    size_t at = 0;

    (void)err;
    jsonw_object(&row);
    jsonw_array(&key);
    for (size_t i = 0; i < s->l->stage.n_columns && at < n; i++) {
        const struct sql_column *c = &s->l->stage.columns[i];

        if (c->role == SQL_ROLE_ORDER)
            continue;
        if (c->role != SQL_ROLE_STAMP) {
            jsonw_key(&row, c->name);
            put_staged(&row, &v[at]);
        }
        if (c->role == SQL_ROLE_KEY)
            put_staged(&key, &v[at]);
        at++;
    }
    jsonw_object_end(&row);
    jsonw_array_end(&key);
    return 0;
}

int quarantine_staged(struct sql_destination *d, struct load *l, int64_t order, const char *why,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    struct staged_row s = {l, BUF_INIT(BATCH_MAX_VALUE), BUF_INIT(BATCH_MAX_VALUE)};
    struct trace t = {.level = "row", .reason = REASON_DEST_REJECTED, .detail = why};
    int rc;

    sql_put_stage_row(d->dialect, &l->stage, order, &sql);
    rc = buf_ok(&sql, "a statement", err);
    if (rc == 0)
        rc = d->conn->driver->query(d->conn, buf_str(&sql), NULL, 0, take_staged, &s, err);
    if (rc == 0) {
        l->pending.quarantined_rows++;
        quarantine_count_row(d);
        t.key = l->keyed ? buf_str(&s.key) : NULL;
        t.raw = (struct slice){buf_str(&s.row), s.row.len};
        rc = quarantine_record(d, l, &t, err);
    }
    buf_release(&s.row);
    buf_release(&s.key);
    return rc;
}

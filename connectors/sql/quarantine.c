/*
 * What cannot be stored goes to `_connectord_quarantine` in the transaction of the rows around it:
 * odd cells and rejected rows the source saw, rows without a key, values the destination cannot
 * hold. Nothing is dropped without a trace.
 */
#include <math.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/sql/load.h"

struct trace {
    const char *level, *column, *detail, *key;
    enum reason reason;
    struct slice raw;
};

/* One batch on its way. */
struct pass {
    struct sql_destination *d;
    struct load *l;
    const struct batch *rows;
    const struct schema *schema;
    bool *skip;       /* per row */
    struct buf *meta; /* per row: names of the odd columns as JSON, without brackets */
    size_t n;
};

static bool column_is_used(const struct load *l, size_t column)
{
    for (size_t i = 0; i < l->table.n_columns; i++) {
        enum sql_fill fill = l->fill[i].fill;

        if ((fill == SQL_FILL_COLUMN || fill == SQL_FILL_NULL) && l->fill[i].from == column)
            return true;
    }
    return false;
}

static const char *dest_name(const struct load *l, size_t column)
{
    for (size_t i = 0; i < l->table.n_columns; i++) {
        enum sql_fill fill = l->fill[i].fill;

        if ((fill == SQL_FILL_COLUMN || fill == SQL_FILL_NULL) && l->fill[i].from == column)
            return l->table.columns[i].name;
    }
    return "";
}

/* ["1","a"]: the key of a row as text, NULL without a key. */
static const char *key_text(struct pass *p, size_t row)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(BATCH_MAX_VALUE);
    struct buf cell = BUF_INIT(BATCH_ODD_BYTES);
    struct jsonw w = JSONW_INIT(&out);

    if (!p->l->keyed || p->l->want->schema->n_key == 0)
        return NULL;
    jsonw_array(&w);
    for (size_t i = 0; i < p->l->want->schema->n_key; i++) {
        struct column_view v = batch_column(p->rows, p->l->key[i]);

        buf_clear(&cell);
        if (column_has(&v, row))
            batch_cell_text(p->rows, p->l->key[i], row, &cell);
        if (!column_has(&v, row) || cell.failed)
            jsonw_null(&w);
        else
            jsonw_string_n(&w, buf_str(&cell), cell.len);
    }
    jsonw_array_end(&w);
    buf_release(&cell);
    return arena_strdup(p->d->scratch, buf_str(&out));
}

static int record(struct pass *p, const struct trace *t, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(buf_release) struct buf encoded = BUF_INIT(2 * BATCH_MAX_VALUE);
    struct sql_destination *d = p->d;
    struct sql_table table = sql_quarantine_table(p->l->schema);
    bool text = text_is_utf8(t->raw.ptr ? t->raw.ptr : "", t->raw.len);
    struct sql_value raw = {.kind = SQL_TEXT, .bytes = t->raw};
    int64_t ignored;

    if (d->over_limit)
        return 0; /* the commit fails; why fill the disk */
    if (!text) {
        text_put_base64(&encoded, t->raw.ptr, t->raw.len);
        raw.bytes = (struct slice){buf_str(&encoded), encoded.len};
    }
    const struct sql_value params[] = {
        sql_text(d->plan->pipeline),
        sql_text(p->l->id),
        sql_int(p->l->row.generation),
        sql_int(p->l->row.seq + 1),
        sql_int(p->l->ordinal++),
        sql_text(t->level),
        sql_text(t->column),
        sql_text(reason_name(t->reason)),
        sql_text(t->detail),
        sql_text(t->key),
        sql_text(NULL), /* the position is not known before the commit */
        raw,
        sql_text(text ? "utf-8" : "base64"),
        sql_text(d->run->id),
        sql_text(d->now),
    };
    sql_put_insert(d->dialect, &table, NULL, 1, &sql);
    return load_run_with(d, &sql, params, sizeof params / sizeof params[0], &ignored, err);
}

/* Rows, not cells, are what the limits count: a row with three odd cells is one bad row. */
static void count_bad_row(struct pass *p)
{
    struct sql_destination *d = p->d;

    if (++d->run_quarantined > d->plan->max_quarantined_rows)
        d->over_limit = true;
}

static int odd_cell(struct pass *p, size_t row, size_t column, enum reason reason,
                    struct slice original, struct error *err)
{
    struct trace t = {.level = "cell",
                      .column = p->schema->columns[column].name,
                      .key = key_text(p, row),
                      .reason = reason,
                      .raw = original};
    struct jsonw w;

    if (!column_is_used(p->l, column))
        return 0; /* a new column that the policy keeps out */
    p->l->pending.quarantined_cells++;
    if (!p->meta)
        p->meta = arena_array(p->d->scratch, p->n + 1, sizeof *p->meta);
    if (p->meta[row].max_bytes == 0) {
        p->meta[row] = BUF_INIT((size_t)1 << 20);
        if (!p->skip[row])
            count_bad_row(p);
    } else {
        buf_putc(&p->meta[row], ',');
    }
    w = JSONW_INIT(&p->meta[row]);
    jsonw_string(&w, dest_name(p->l, column));
    return record(p, &t, err);
}

/* The whole row as one JSON object of canonical texts. */
static struct slice row_text(struct pass *p, size_t row)
{
    struct buf out = BUF_INIT(BATCH_MAX_VALUE), cell = BUF_INIT(BATCH_ODD_BYTES);
    struct jsonw w = JSONW_INIT(&out);
    struct slice s;

    jsonw_object(&w);
    for (size_t i = 0; i < p->schema->n_columns; i++) {
        struct column_view v = batch_column(p->rows, i);

        jsonw_key(&w, p->schema->columns[i].name);
        buf_clear(&cell);
        if (column_has(&v, row))
            batch_cell_text(p->rows, i, row, &cell);
        if (!column_has(&v, row))
            jsonw_null(&w);
        else if (cell.failed)
            jsonw_string(&w, "(too large)");
        else
            jsonw_string_n(&w, buf_str(&cell), cell.len);
    }
    jsonw_object_end(&w);
    s.len = out.failed ? 0 : out.len;
    s.ptr = arena_memdup(p->d->scratch, buf_str(&out), s.len);
    buf_release(&out);
    buf_release(&cell);
    return s;
}

static bool key_is_null(const struct column_view *v, size_t row)
{
    if (!column_has(v, row))
        return true;
    return v->storage == STORAGE_DOUBLE && isnan(v->doubles[row]);
}

/* Rows whose key is NULL somewhere; NaN is none either, since it equals nothing. */
static int refuse_null_keys(struct pass *p, struct error *err)
{
    const struct schema *want = p->l->want->schema;

    for (size_t k = 0; p->l->keyed && k < want->n_key; k++) {
        struct column_view v = batch_column(p->rows, p->l->key[k]);

        if (p->l->conflict[p->l->key[k]])
            v.n_null = p->n; /* of a type the column cannot hold */
        if (v.n_null == 0 && v.storage != STORAGE_DOUBLE)
            continue;
        for (size_t row = 0; row < p->n; row++) {
            struct trace t = {.level = "row", .reason = REASON_NULL_KEY};

            if (p->skip[row] || (!p->l->conflict[p->l->key[k]] && !key_is_null(&v, row)))
                continue;
            p->skip[row] = true;
            p->l->pending.quarantined_rows++;
            count_bad_row(p);
            t.column = p->schema->columns[p->l->key[k]].name;
            t.detail = "a column of the key is NULL";
            t.key = key_text(p, row);
            t.raw = row_text(p, row);
            if (record(p, &t, err) < 0)
                return -1;
        }
    }
    return 0;
}

static int cell_of_column(struct pass *p, size_t column, size_t row, enum reason reason,
                          struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(2 * BATCH_MAX_VALUE);

    batch_cell_text(p->rows, column, row, &text);
    return odd_cell(p, row, column, reason, (struct slice){buf_str(&text), text.len}, err);
}

/* Values that the source holds and the column cannot: of a type in conflict, or NaN. */
static int refuse_values(struct pass *p, struct error *err)
{
    for (size_t c = 0; c < p->schema->n_columns; c++) {
        struct column_view v = batch_column(p->rows, c);
        bool floats = v.storage == STORAGE_DOUBLE && !p->d->dialect->float_holds_nan;

        if (!p->l->conflict[c] && !floats)
            continue;
        for (size_t row = 0; row < p->n; row++) {
            if (p->skip[row] || !column_has(&v, row))
                continue;
            if (p->l->conflict[c]) {
                if (cell_of_column(p, c, row, REASON_TYPE, err) < 0)
                    return -1;
            } else if (isnan(v.doubles[row]) &&
                       cell_of_column(p, c, row, REASON_OUT_OF_RANGE, err) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int refuse_rejected(struct pass *p, struct error *err)
{
    size_t n;
    const struct rejected_row *rejected = batch_rejected(p->rows, &n);

    for (size_t i = 0; i < n; i++) {
        struct trace t = {.level = "row",
                          .detail = rejected[i].detail,
                          .reason = rejected[i].reason,
                          .raw = rejected[i].raw};

        p->l->pending.quarantined_rows++;
        count_bad_row(p);
        if (record(p, &t, err) < 0)
            return -1;
    }
    return 0;
}

static int refuse_odd_cells(struct pass *p, struct error *err)
{
    size_t n;
    const struct odd_cell *odd = batch_odd_cells(p->rows, &n);

    for (size_t i = 0; i < n; i++) {
        if (odd_cell(p, odd[i].row, odd[i].column, odd[i].reason, odd[i].original, err) < 0)
            return -1;
    }
    return 0;
}

/* {"q":["a","b"]} per row; skipped rows have no use for it. */
static const char **finish_meta(struct pass *p)
{
    const char **meta;

    if (!p->meta)
        return NULL;
    meta = arena_array(p->d->scratch, p->n + 1, sizeof *meta);
    for (size_t row = 0; row < p->n; row++) {
        if (p->meta[row].max_bytes == 0)
            continue;
        meta[row] = arena_printf(p->d->scratch, "{\"q\":[%s]}", buf_str(&p->meta[row]));
        buf_release(&p->meta[row]);
    }
    return meta;
}

int quarantine_batch(struct sql_destination *d, struct load *l, const struct batch *rows,
                     bool **out_skip, const char ***out_meta, struct error *err)
{
    struct pass p = {.d = d, .l = l, .rows = rows, .schema = batch_schema(rows)};
    int rc;

    p.n = batch_rows(rows);
    p.skip = arena_array(d->scratch, p.n + 1, sizeof *p.skip);
    rc = refuse_null_keys(&p, err);
    if (rc == 0)
        rc = refuse_rejected(&p, err);
    if (rc == 0)
        rc = refuse_odd_cells(&p, err);
    if (rc == 0)
        rc = refuse_values(&p, err);
    *out_meta = finish_meta(&p);
    *out_skip = p.skip;
    return rc;
}

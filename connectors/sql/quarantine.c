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

/* What a column of a key takes of an index entry beside a text in it. */
#define KEY_COLUMN_BYTES 16
/* So much of a key stands in a message. */
#define KEY_SHOWN_BYTES 200

/* One batch on its way. */
struct pass {
    struct sql_destination *d;
    struct load *l;
    const struct batch *rows;
    const struct schema *schema;
    bool *skip;          /* per row */
    struct buf *meta;    /* per row: names of the odd columns as JSON, without brackets */
    unsigned char *fate; /* per row and column: enum cell_fate; NULL = all stay */
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

int quarantine_record(struct sql_destination *d, struct load *l, const struct trace *t,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(buf_release) struct buf encoded = BUF_INIT(2 * BATCH_MAX_VALUE);
    struct sql_table table = sql_quarantine_table(l->schema);
    /* Text with a NUL in it is no text to every database. */
    bool text = t->raw.len == 0 ||
                (!memchr(t->raw.ptr, 0, t->raw.len) && text_is_utf8(t->raw.ptr, t->raw.len));
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
        sql_text(l->id),
        sql_int(l->row.generation),
        sql_int(l->row.seq + 1),
        sql_int(l->ordinal++),
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
void quarantine_count_row(struct sql_destination *d)
{
    bad_rows_add(&d->bad, 0, 1);
    d->over_limit = bad_rows_are_too_many(&d->bad);
}

/* The odd cells of one row. */
static const struct odd_cell *odd_cells_of(const struct pass *p, size_t row, size_t *out_n)
{
    size_t n, low = 0, high;
    const struct odd_cell *odd = batch_odd_cells(p->rows, &n);

    for (high = n; low < high;) {
        size_t middle = low + (high - low) / 2;

        if (odd[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    while (high < n && odd[high].row == row)
        high++;
    *out_n = high - low;
    return odd + low;
}

/* A cell that has no value in the batch: NULL, or what stands beside as its original. */
static void put_absent(struct jsonw *w, const struct odd_cell *odd, size_t n_odd, size_t column)
{
    CLEANUP(buf_release) struct buf encoded = BUF_INIT(2 * BATCH_ODD_BYTES);
    size_t i = 0;

    while (i < n_odd && odd[i].column != column)
        i++;
    if (i == n_odd) {
        jsonw_null(w);
    } else if (text_is_utf8(odd[i].original.ptr, odd[i].original.len)) {
        jsonw_string_n(w, odd[i].original.ptr, odd[i].original.len);
    } else {
        text_put_base64(&encoded, odd[i].original.ptr, odd[i].original.len);
        jsonw_object(w);
        jsonw_key(w, "base64");
        jsonw_string_n(w, buf_str(&encoded), encoded.len);
        jsonw_object_end(w);
    }
}

/* The whole row as one JSON object of canonical texts, originals where there are none. */
static struct slice row_text(struct pass *p, size_t row)
{
    struct buf out = BUF_INIT(BATCH_MAX_VALUE), cell = BUF_INIT(BATCH_ODD_BYTES);
    struct jsonw w = JSONW_INIT(&out);
    const struct odd_cell *odd;
    struct slice s;
    size_t n_odd;

    odd = odd_cells_of(p, row, &n_odd);
    jsonw_object(&w);
    for (size_t i = 0; i < p->schema->n_columns; i++) {
        struct column_view v = batch_column(p->rows, i);

        jsonw_key(&w, p->schema->columns[i].name);
        buf_clear(&cell);
        if (column_has(&v, row))
            batch_cell_text(p->rows, i, row, &cell);
        if (!column_has(&v, row))
            put_absent(&w, odd, n_odd, i);
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

/* A row that cannot be stored because of one column. */
static int refuse_row(struct pass *p, size_t row, size_t column, enum reason reason,
                      const char *detail, struct error *err)
{
    struct trace t = {.level = "row",
                      .reason = reason,
                      .column = p->schema->columns[column].name,
                      .detail = detail,
                      .key = key_text(p, row),
                      .raw = row_text(p, row)};

    p->skip[row] = true;
    p->l->pending.quarantined_rows++;
    quarantine_count_row(p->d);
    return quarantine_record(p->d, p->l, &t, err);
}

/* For a stream that is to end at the first value that cannot be stored. */
static int check_bearable(struct pass *p, size_t row, size_t column, enum reason reason,
                          struct error *err)
{
    const struct column *c = &p->schema->columns[column];
    const char *key;

    if (p->l->want->misfits != MISFIT_FAIL)
        return 0;
    key = key_text(p, row);
    return error_set_reason(err, ERR_DATA, "unrepresentable",
                            "column \"%s\", %s%.*s: a value of type %s cannot be stored as it is "
                            "(%s), and on_unrepresentable is %s",
                            c->name, key ? "key " : "a row without a key",
                            key ? (int)text_utf8_prefix(key, strlen(key), KEY_SHOWN_BYTES) : 0,
                            key ? key : "", type_name(c->type.type), reason_name(reason),
                            misfit_policy_name(MISFIT_FAIL));
}

/* A cell that the user does not want to be left out by itself. */
static int refuse_misfit(struct pass *p, size_t row, size_t column, enum reason reason,
                         struct error *err)
{
    if (check_bearable(p, row, column, reason, err) < 0)
        return -1;
    if (p->skip[row])
        return 0; /* it is there already, with all its values */
    return refuse_row(p, row, column, reason, "on_unrepresentable is quarantine_row", err);
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
    if (p->l->want->misfits != MISFIT_QUARANTINE_CELL)
        return refuse_misfit(p, row, column, reason, err);
    p->l->pending.quarantined_cells++;
    if (!p->meta)
        p->meta = arena_array(p->d->scratch, p->n + 1, sizeof *p->meta);
    if (p->meta[row].max_bytes == 0) {
        p->meta[row] = BUF_INIT((size_t)1 << 20);
        if (!p->skip[row])
            quarantine_count_row(p->d);
    } else {
        buf_putc(&p->meta[row], ',');
    }
    w = JSONW_INIT(&p->meta[row]);
    jsonw_string(&w, dest_name(p->l, column));
    return quarantine_record(p->d, p->l, &t, err);
}

/* Rows whose key is NULL somewhere; NaN is none either, since it equals nothing. */
static int refuse_null_keys(struct pass *p, struct error *err)
{
    const struct schema *want = p->l->want->schema;

    for (size_t k = 0; p->l->keyed && k < want->n_key; k++) {
        size_t column = p->l->key[k];
        struct column_view v = batch_column(p->rows, column);

        if (p->l->conflict[column])
            v.n_null = p->n; /* of a type the column cannot hold */
        if (v.n_null == 0 && v.storage != STORAGE_DOUBLE)
            continue;
        for (size_t row = 0; row < p->n; row++) {
            if (p->skip[row] || (!p->l->conflict[column] && !key_is_null(&v, row)))
                continue;
            if (column_has(&v, row) && p->l->conflict[column] &&
                check_bearable(p, row, column, REASON_TYPE, err) < 0)
                return -1;
            if (refuse_row(p, row, column, REASON_NULL_KEY, "a column of the key is NULL", err) < 0)
                return -1;
        }
    }
    return 0;
}

/* Of a database that limits an entry of an index as a whole. */
static int refuse_long_keys(struct pass *p, struct error *err)
{
    size_t most = p->d->dialect->key_bytes, n_key = p->l->want->schema->n_key, n_texts = 0;
    struct column_view *texts = arena_array(p->d->scratch, n_key + 1, sizeof *texts);

    if (!p->l->keyed || most == 0 || sql_key_characters(p->d->dialect, &p->l->table) > 0)
        return 0;
    for (size_t k = 0; k < n_key; k++) {
        texts[n_texts] = batch_column(p->rows, p->l->key[k]);
        n_texts += texts[n_texts].storage == STORAGE_TEXT;
    }
    for (size_t row = 0; row < p->n && n_texts > 0; row++) {
        size_t bytes = n_key * KEY_COLUMN_BYTES;

        for (size_t k = 0; k < n_texts; k++)
            bytes += column_has(&texts[k], row) ? column_text(&texts[k], row).len : 0;
        if (bytes <= most || p->skip[row])
            continue;
        if (check_bearable(p, row, p->l->key[0], REASON_OUT_OF_RANGE, err) < 0)
            return -1;
        if (refuse_row(p, row, p->l->key[0], REASON_OUT_OF_RANGE,
                       "the key is longer than an index of the destination can hold", err) < 0)
            return -1;
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

static void set_fate(struct pass *p, size_t row, size_t column, enum cell_fate fate)
{
    if (!p->fate)
        p->fate = arena_array(p->d->scratch, p->n * p->schema->n_columns + 1, sizeof *p->fate);
    p->fate[row * p->schema->n_columns + column] = (unsigned char)fate;
}

/* A cell that the table cannot hold: it is left out, or with it the row whose key it belongs to. */
static int refuse_cell(struct pass *p, size_t column, size_t row, bool key, enum reason reason,
                       struct error *err)
{
    if (check_bearable(p, row, column, reason, err) < 0)
        return -1;
    if (key)
        return refuse_row(p, row, column, reason, "the destination cannot hold this value in a key",
                          err);
    if (p->l->want->misfits != MISFIT_QUARANTINE_CELL)
        return refuse_misfit(p, row, column, reason, err);
    set_fate(p, row, column, CELL_BLANK);
    return cell_of_column(p, column, row, reason, err);
}

static int refuse_conflicts(struct pass *p, size_t column, struct error *err)
{
    struct column_view v = batch_column(p->rows, column);

    for (size_t row = 0; row < p->n; row++) {
        if (!p->skip[row] && column_has(&v, row) &&
            cell_of_column(p, column, row, REASON_TYPE, err) < 0)
            return -1;
    }
    return 0;
}

/* Whether a value that does not fit does so without its U+0000, and the user wants it that way.
 * Keys are never altered: two of them could become one. */
static bool fits_without_nul(const struct pass *p, const struct fit *fit, size_t column, size_t row,
                             const struct column_view *v)
{
    struct fit then = *fit;
    enum reason ignored;

    then.nul = p->l->want->nul;
    return fit->to->role != SQL_ROLE_KEY && v->storage == STORAGE_TEXT &&
           patch_can_alter(fit->from, column_text(v, row), then.nul) &&
           fits_cell(&then, p->rows, column, v, row, &ignored);
}

static int refuse_misfits(struct pass *p, const struct fit *fit, size_t column, struct error *err)
{
    struct column_view v = batch_column(p->rows, column);

    if (fits_all(fit, &v, p->n))
        return 0;
    for (size_t row = 0; row < p->n; row++) {
        enum reason why;

        if (p->skip[row] || !column_has(&v, row) || fits_cell(fit, p->rows, column, &v, row, &why))
            continue;
        if (fits_without_nul(p, fit, column, row, &v))
            set_fate(p, row, column, CELL_ALTERED);
        else if (refuse_cell(p, column, row, fit->to->role == SQL_ROLE_KEY, why, err) < 0)
            return -1;
    }
    return 0;
}

/* Values that the source holds and the column cannot: of a type in conflict, or beyond what it
 * takes. */
static int refuse_values(struct pass *p, struct error *err)
{
    const struct load *l = p->l;
    size_t characters = sql_key_characters(p->d->dialect, &l->table);

    for (size_t i = 0; i < l->table.n_columns; i++) {
        const struct sql_column *to = &l->table.columns[i];
        struct fit fit = {.dialect = p->d->dialect, .version = p->d->conn->version, .to = to};

        if (l->fill[i].fill == SQL_FILL_NULL && refuse_conflicts(p, l->fill[i].from, err) < 0)
            return -1;
        if (l->fill[i].fill != SQL_FILL_COLUMN)
            continue;
        fit.from = l->fill[i].type.type;
        fit.key_characters =
            to->role == SQL_ROLE_KEY && fit.dialect->key_type[to->type.type] ? characters : 0;
        if (refuse_misfits(p, &fit, l->fill[i].from, err) < 0)
            return -1;
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
        quarantine_count_row(p->d);
        if (quarantine_record(p->d, p->l, &t, err) < 0)
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

/* Of rows that are written. The log names each column once. */
static void count_altered(struct pass *p)
{
    struct load *l = p->l;
    size_t n_columns = p->schema->n_columns;

    for (size_t i = 0; p->fate && i < p->n * n_columns; i++) {
        const struct column *c = &p->schema->columns[i % n_columns];

        if (p->fate[i] != CELL_ALTERED || p->skip[i / n_columns])
            continue;
        l->pending.altered_cells++;
        if (l->altered[i % n_columns])
            continue;
        l->altered[i % n_columns] = true;
        log_warn(p->d->run->log, .message = "texts are written without their U+0000",
                 .fields = {log_text("stream", l->id), log_text("column", c->name),
                            log_text("nul", nul_policy_name(l->want->nul))});
    }
}

int quarantine_batch(struct sql_destination *d, struct load *l, const struct batch *rows,
                     const struct batch **out_rows, bool **out_skip, const char ***out_meta,
                     struct error *err)
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
    if (rc == 0)
        rc = refuse_long_keys(&p, err);
    *out_meta = finish_meta(&p);
    *out_skip = p.skip;
    count_altered(&p);
    *out_rows = p.fate ? patch_batch(d, rows, p.fate, l->want->nul) : rows;
    return rc;
}

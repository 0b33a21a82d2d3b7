/*
 * Rows of a batch into a table: prepared INSERTs of many rows per VALUES, bound straight from the
 * batch, with one encoder chosen per column per batch.
 *
 * Parameters lie as sql_put_insert numbers them: first the shared ones (the same in every row),
 * then row by row the others.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "connectors/base/text.h"
#include "connectors/sql/convert.h"
#include "connectors/sql/sqlite_internal.h"
#include "connectors/sql/statement.h"

/* Measured best between 10 and 50; a full batch divides by it. */
#define ROWS_PER_VALUES 32

struct bulk {
    struct sqlite_conn *c;
    const struct sql_bulk *what;
    const struct batch *rows;
    struct sqlite3_stmt *stmt;
    size_t n_shared, n_own; /* parameters once, and per row */
    const uint32_t *pick;   /* rows of this chunk */
    size_t n_pick;
    char (*scratch)[VALUE_TEXT_BYTES]; /* one per parameter of the chunk */
};

struct place {
    size_t own; /* which of the parameters of a row */
    size_t from;
    struct column_view view;
    struct column_type type, to;
    bool key;
};

typedef int encoder(struct bulk *b, const struct place *p);

static int param(const struct bulk *b, const struct place *p, size_t i)
{
    return (int)(b->n_shared + i * b->n_own + p->own + 1);
}

static int put_bool(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        size_t row = b->pick[i];
        int rc = column_has(&p->view, row)
                     ? sqlite3_bind_int(b->stmt, param(b, p, i), p->view.bools[row])
                     : sqlite3_bind_null(b->stmt, param(b, p, i));

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int put_int(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        size_t row = b->pick[i];
        int rc = column_has(&p->view, row)
                     ? sqlite3_bind_int64(b->stmt, param(b, p, i), p->view.ints[row])
                     : sqlite3_bind_null(b->stmt, param(b, p, i));

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int put_double(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        size_t row = b->pick[i];
        /* A NaN would be bound as NULL; the engine has put it into quarantine before. */
        int rc = column_has(&p->view, row)
                     ? sqlite3_bind_double(b->stmt, param(b, p, i), p->view.doubles[row])
                     : sqlite3_bind_null(b->stmt, param(b, p, i));

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int put_text(struct bulk *b, const struct place *p)
{
    bool trim = p->key && p->type.type == TYPE_DECIMAL;

    for (size_t i = 0; i < b->n_pick; i++) {
        size_t row = b->pick[i];
        struct slice s;
        int rc;

        if (!column_has(&p->view, row)) {
            rc = sqlite3_bind_null(b->stmt, param(b, p, i));
        } else {
            s = column_text(&p->view, row);
            if (trim)
                s.len = sql_trim_decimal(s.ptr, s.len);
            rc = sqlite3_bind_text(b->stmt, param(b, p, i), s.len ? s.ptr : "", (int)s.len,
                                   SQLITE_STATIC);
        }
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int put_blob(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        size_t row = b->pick[i];
        struct slice s;
        int rc;

        if (!column_has(&p->view, row)) {
            rc = sqlite3_bind_null(b->stmt, param(b, p, i));
        } else {
            s = column_text(&p->view, row);
            rc = sqlite3_bind_blob(b->stmt, param(b, p, i), s.len ? s.ptr : "", (int)s.len,
                                   SQLITE_STATIC);
        }
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static size_t format(const struct place *p, size_t row, char out[static VALUE_TEXT_BYTES])
{
    struct interval span;

    switch (p->type.type) {
    case TYPE_DATE:
        return value_format_date(p->view.ints[row], out);
    case TYPE_TIME:
        return value_format_time(p->view.ints[row], out);
    case TYPE_TIMESTAMP:
        return value_format_timestamp(p->view.ints[row], out);
    case TYPE_TIMESTAMPTZ:
        return value_format_timestamptz(p->view.ints[row], out);
    case TYPE_UUID:
        return value_format_uuid(p->view.fixed[row], out);
    case TYPE_INTERVAL:
        memcpy(&span, p->view.fixed[row], sizeof span);
        return value_format_interval(span, out);
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_FLOAT:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_JSON:
    case TYPE_COUNT:
        break;
    }
    abort(); /* the table of encoders sends no other type here */
}

/* Dates, times, UUIDs, intervals: canonical text in the scratch area. */
static int put_formatted(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        size_t row = b->pick[i];
        char *text = b->scratch[i * b->n_own + p->own];
        int rc = column_has(&p->view, row)
                     ? sqlite3_bind_text(b->stmt, param(b, p, i), text, (int)format(p, row, text),
                                         SQLITE_STATIC)
                     : sqlite3_bind_null(b->stmt, param(b, p, i));

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

/* The column has grown beyond the type of the batch: rare, so it may cost a copy. */
static int put_converted(struct bulk *b, const struct place *p)
{
    struct buf text = BUF_INIT(4 * BATCH_MAX_VALUE);
    int rc = SQLITE_OK;

    for (size_t i = 0; i < b->n_pick && rc == SQLITE_OK; i++) {
        size_t row = b->pick[i];

        if (!column_has(&p->view, row)) {
            rc = sqlite3_bind_null(b->stmt, param(b, p, i));
            continue;
        }
        buf_clear(&text);
        sql_convert_cell(b->rows, p->from, row, p->type.type, p->to.type, &text);
        if (p->key && p->to.type == TYPE_DECIMAL)
            text.len = sql_trim_decimal(text.data, text.len);
        rc = sqlite3_bind_text(b->stmt, param(b, p, i), buf_str(&text), (int)text.len,
                               SQLITE_TRANSIENT);
    }
    buf_release(&text);
    return rc;
}

static int put_meta(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        const char *meta = b->what->meta ? b->what->meta[b->pick[i]] : NULL;
        int rc = meta ? sqlite3_bind_text(b->stmt, param(b, p, i), meta, -1, SQLITE_STATIC)
                      : sqlite3_bind_null(b->stmt, param(b, p, i));

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int put_order(struct bulk *b, const struct place *p)
{
    for (size_t i = 0; i < b->n_pick; i++) {
        int rc = sqlite3_bind_int64(b->stmt, param(b, p, i), b->what->first_order + b->pick[i]);

        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static encoder *const encoders[TYPE_COUNT] = {
    [TYPE_BOOL] = put_bool,           [TYPE_INT] = put_int,
    [TYPE_DECIMAL] = put_text,        [TYPE_FLOAT] = put_double,
    [TYPE_STRING] = put_text,         [TYPE_BYTES] = put_blob,
    [TYPE_DATE] = put_formatted,      [TYPE_TIME] = put_formatted,
    [TYPE_TIMESTAMP] = put_formatted, [TYPE_TIMESTAMPTZ] = put_formatted,
    [TYPE_INTERVAL] = put_formatted,  [TYPE_UUID] = put_formatted,
    [TYPE_JSON] = put_text,
};

static int put_own(struct bulk *b, const struct place *places, encoder *const *encode)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < b->n_own && rc == SQLITE_OK; i++)
        rc = encode[i](b, &places[i]);
    return rc;
}

static int put_shared(struct bulk *b)
{
    int at = 1, rc = SQLITE_OK;

    for (size_t i = 0; i < b->what->into->n_columns && rc == SQLITE_OK; i++) {
        const struct sql_bulk_column *fill = &b->what->fill[i];

        if (fill->fill == SQL_FILL_TEXT)
            rc = sqlite3_bind_text(b->stmt, at++, fill->text, -1, SQLITE_STATIC);
        else if (fill->fill == SQL_FILL_INT)
            rc = sqlite3_bind_int64(b->stmt, at++, fill->number);
        else if (fill->fill == SQL_FILL_NULL)
            rc = sqlite3_bind_null(b->stmt, at++);
    }
    return rc;
}

/* The cached statement that inserts `n` rows, or a new one in the place of the oldest. */
static int statement(struct bulk *b, size_t n, struct error *err)
{
    struct sqlite_conn *c = b->c;
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    size_t slot;

    sql_put_insert(&sql_sqlite, b->what->into, b->what->fill, n, &sql);
    if (buf_ok(&sql, "the INSERT statement", err) < 0)
        return -1;
    for (size_t i = 0; i < SQLITE_CACHED; i++) {
        if (c->cached[i].sql && strcmp(c->cached[i].sql, buf_str(&sql)) == 0) {
            b->stmt = c->cached[i].stmt;
            return 0;
        }
    }
    slot = c->next_cached++ % SQLITE_CACHED;
    sqlite3_finalize(c->cached[slot].stmt);
    free(c->cached[slot].sql);
    c->cached[slot].stmt = NULL;
    c->cached[slot].sql = NULL;
    if (sqlite_prepare(c, buf_str(&sql), &b->stmt, err) < 0)
        return -1;
    c->cached[slot].stmt = b->stmt;
    c->cached[slot].sql = xstrdup(buf_str(&sql));
    return 0;
}

static int run_chunk(struct bulk *b, const struct place *places, encoder *const *encode,
                     int64_t *out_inserted, struct error *err)
{
    int rc = put_own(b, places, encode);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(b->stmt);
        if (rc == SQLITE_DONE)
            *out_inserted += sqlite3_changes64(b->c->db);
    }
    if (rc == SQLITE_DONE && (rc = sqlite3_reset(b->stmt)) == SQLITE_OK)
        return 0;
    sqlite_fail(b->c, rc, "inserting rows", err);
    sqlite3_reset(b->stmt);
    return -1;
}

/* All picked rows: as many full statements as fit, then row by row. */
static int run_all(struct bulk *b, const struct place *places, encoder *const *encode,
                   const uint32_t *pick, size_t n, int64_t *out_inserted, struct error *err)
{
    size_t per = ROWS_PER_VALUES;

    while (per > 1 && b->n_shared + per * b->n_own > sql_sqlite.max_params)
        per /= 2;
    for (size_t at = 0, step = n >= per ? per : 1; at < n;) {
        int rc;

        if (statement(b, step, err) < 0)
            return -1;
        rc = put_shared(b);
        if (rc != SQLITE_OK)
            return sqlite_fail(b->c, rc, "binding a parameter", err);
        b->n_pick = step;
        for (; at + step <= n; at += step) {
            b->pick = pick + at;
            if (run_chunk(b, places, encode, out_inserted, err) < 0)
                return -1;
        }
        sqlite3_clear_bindings(b->stmt); /* they point into the batch */
        step = 1;
    }
    return 0;
}

/* Which encoder and view each parameter of a row has. */
static void plan(struct bulk *b, struct place *places, encoder **encode)
{
    for (size_t i = 0; i < b->what->into->n_columns; i++) {
        const struct sql_bulk_column *fill = &b->what->fill[i];
        const struct sql_column *column = &b->what->into->columns[i];
        struct place *p = &places[b->n_own];

        if (fill->fill == SQL_FILL_TEXT || fill->fill == SQL_FILL_INT ||
            fill->fill == SQL_FILL_NULL) {
            b->n_shared++;
            continue;
        }
        *p = (struct place){.own = b->n_own, .from = fill->from};
        if (fill->fill == SQL_FILL_COLUMN) {
            p->view = batch_column(b->rows, fill->from);
            p->type = fill->type;
            p->to = column->type;
            p->key = column->role == SQL_ROLE_KEY;
            encode[b->n_own] =
                fill->type.type == column->type.type ? encoders[fill->type.type] : put_converted;
        } else {
            encode[b->n_own] = fill->fill == SQL_FILL_META ? put_meta : put_order;
        }
        b->n_own++;
    }
}

int sqlite_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
                int64_t *out_inserted, struct error *err)
{
    struct bulk b = {.c = (struct sqlite_conn *)conn, .what = what, .rows = rows};
    size_t width = what->into->n_columns, n = 0;
    CLEANUP(free_cleanup) struct place *places = xalloc((width + 1) * sizeof *places);
    CLEANUP(free_cleanup) encoder **encode = xalloc((width + 1) * sizeof *encode);
    CLEANUP(free_cleanup) uint32_t *pick = xalloc((batch_rows(rows) + 1) * sizeof *pick);

    *out_inserted = 0;
    for (size_t row = 0; row < batch_rows(rows); row++) {
        if (!what->skip || !what->skip[row])
            pick[n++] = (uint32_t)row;
    }
    plan(&b, places, encode);
    b.scratch = xalloc((ROWS_PER_VALUES * b.n_own + 1) * sizeof *b.scratch);
    if (run_all(&b, places, encode, pick, n, out_inserted, err) < 0) {
        free(b.scratch);
        return -1;
    }
    free(b.scratch);
    return 0;
}

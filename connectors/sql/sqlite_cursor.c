/*
 * Rows of a SELECT into a batch. A value is taken as the logical type of its column when that loses
 * nothing; everything else becomes an odd cell with its original:
 *
 *   column       INTEGER      REAL             TEXT         BLOB
 *   bool         0 and 1      odd              parsed       odd
 *   int          as it is     odd              odd          odd
 *   float        if exact     as it is         parsed       odd
 *   decimal      digits       shortest text    parsed       odd
 *   string       digits       shortest text    as it is     odd
 *   bytes        odd          odd              odd          as it is
 *   uuid         odd          odd              parsed       16 bytes
 *   json         digits       shortest text    parsed       odd
 *   the others   odd          odd              parsed       odd
 */
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "connectors/base/text.h"
#include "connectors/sql/position.h"
#include "connectors/sql/sqlite_source.h"

struct sqlite_cursor {
    struct sql_cursor base;
    struct sqlite_conn *conn;
    struct sqlite3_stmt *stmt;
    const struct sql_scan *scan;
    enum type *types;    /* of the columns */
    uint8_t *scales;     /* DECIMAL: digits behind the point that are likely, for speed */
    bool waiting;        /* a row was stepped to and not taken yet */
    bool cursor_inexact; /* the last row had a fraction where an integer is expected */
};

static void put_odd(struct batch *rows, size_t i, struct sqlite3_stmt *stmt, enum reason why)
{
    bool blob = sqlite3_column_type(stmt, (int)i) == SQLITE_BLOB;
    const void *p =
        blob ? sqlite3_column_blob(stmt, (int)i) : (const void *)sqlite3_column_text(stmt, (int)i);

    batch_put_odd(rows, i, why, p ? p : "", (size_t)sqlite3_column_bytes(stmt, (int)i));
}

static void put_integer(struct batch *rows, size_t i, enum type type, struct sqlite3_stmt *stmt)
{
    int64_t v = sqlite3_column_int64(stmt, (int)i);
    char digits[24];

    switch (type) {
    case TYPE_INT:
        batch_put_int64(rows, i, v);
        return;
    case TYPE_BOOL:
        if (v == 0 || v == 1)
            batch_put_bool(rows, i, v == 1);
        else
            put_odd(rows, i, stmt, REASON_OUT_OF_RANGE);
        return;
    case TYPE_FLOAT:
        /* 2^53 bounds what a double holds exactly without looking closer. */
        if (v >= -(INT64_C(1) << 53) && v <= INT64_C(1) << 53)
            batch_put_double(rows, i, (double)v);
        else
            put_odd(rows, i, stmt, REASON_OUT_OF_RANGE);
        return;
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_JSON:
        batch_put_text(rows, i, digits, text_from_int64(v, digits));
        return;
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_INTERVAL:
    case TYPE_UUID:
    case TYPE_COUNT:
        put_odd(rows, i, stmt, REASON_TYPE);
    }
}

/* n / 10^scale with the point put in, without zeros at the end of the fraction. */
static size_t format_scaled(int64_t n, unsigned scale, char out[static 32])
{
    char digits[24];
    size_t len, whole, at = 0;

    if (n < 0)
        out[at++] = '-';
    len = text_from_int64(n < 0 ? -n : n, digits);
    while (scale > 0 && len > 1 && digits[len - 1] == '0') {
        len--;
        scale--;
    }
    whole = len > scale ? len - scale : 0;
    if (whole == 0)
        out[at++] = '0';
    memcpy(out + at, digits, whole);
    at += whole;
    if (scale == 0)
        return at;
    out[at++] = '.';
    for (size_t zeros = len < scale ? scale - len : 0; zeros > 0; zeros--)
        out[at++] = '0';
    memcpy(out + at, digits + whole, len - whole);
    return at + len - whole;
}

/*
 * The shortest decimal that reads back as `v`, when it has few digits: n / 10^s rounds to exactly
 * one double, and two decimals of at most 15 digits never share one, so a match is the shortest.
 */
static size_t format_short(double v, unsigned scale, char out[static 32])
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double n = nearbyint(v * power[scale]);

    if (!(fabs(n) < 1e15) || n / power[scale] != v || (n == 0 && signbit(v)))
        return 0;
    return format_scaled((int64_t)n, scale, out);
}

static void put_real_text(struct batch *rows, size_t i, enum type type, double v, unsigned scale)
{
    struct buf text = BUF_INIT(1024);
    char digits[VALUE_TEXT_BYTES];
    size_t n = type == TYPE_DECIMAL ? format_short(v, scale, digits) : 0;

    if (n > 0) {
        batch_put_text(rows, i, digits, n);
        return;
    }
    n = value_format_float(v, 64, digits);
    if (type == TYPE_DECIMAL && value_put_decimal(&text, digits, n))
        batch_put_text(rows, i, buf_str(&text), text.len);
    else
        batch_put_text(rows, i, digits, n);
    buf_release(&text);
}

static void put_real(struct batch *rows, size_t i, enum type type, unsigned scale,
                     struct sqlite3_stmt *stmt)
{
    double v = sqlite3_column_double(stmt, (int)i);

    if (type == TYPE_FLOAT)
        batch_put_double(rows, i, v);
    else if (type == TYPE_DECIMAL || type == TYPE_STRING || (type == TYPE_JSON && isfinite(v)))
        put_real_text(rows, i, type, v, scale);
    else
        put_odd(rows, i, stmt, REASON_TYPE);
}

static void put_text(struct batch *rows, size_t i, enum type type, struct sqlite3_stmt *stmt)
{
    const char *s = (const char *)sqlite3_column_text(stmt, (int)i);
    size_t n = (size_t)sqlite3_column_bytes(stmt, (int)i);

    if (type == TYPE_STRING)
        batch_put_text(rows, i, s ? s : "", n);
    else if (type == TYPE_INT || type == TYPE_BYTES)
        put_odd(rows, i, stmt, REASON_TYPE);
    else
        batch_put_parsed(rows, i, s ? s : "", n);
}

static void put_blob(struct batch *rows, size_t i, enum type type, struct sqlite3_stmt *stmt)
{
    const void *p = sqlite3_column_blob(stmt, (int)i);
    size_t n = (size_t)sqlite3_column_bytes(stmt, (int)i);

    if (type == TYPE_BYTES)
        batch_put_text(rows, i, p ? p : "", n);
    else if (type == TYPE_UUID && n == 16)
        batch_put_uuid(rows, i, p);
    else
        put_odd(rows, i, stmt, REASON_TYPE);
}

static void put_row(struct sqlite_cursor *c, struct batch *rows)
{
    for (size_t i = 0; i < c->scan->columns->n_columns; i++) {
        switch (sqlite3_column_type(c->stmt, (int)i)) {
        case SQLITE_INTEGER:
            put_integer(rows, i, c->types[i], c->stmt);
            break;
        case SQLITE_FLOAT:
            put_real(rows, i, c->types[i], c->scales[i], c->stmt);
            break;
        case SQLITE_TEXT:
            put_text(rows, i, c->types[i], c->stmt);
            break;
        case SQLITE_BLOB:
            put_blob(rows, i, c->types[i], c->stmt);
            break;
        default: /* a cell that is not put is NULL */
            break;
        }
    }
    batch_end_row(rows);
}

static int cursor_column(const struct sqlite_cursor *c)
{
    return (int)(c->scan->columns->n_columns + c->scan->n_key);
}

static int step(struct sqlite_cursor *c, struct error *err)
{
    int rc = sqlite3_step(c->stmt);

    if (rc == SQLITE_ROW)
        return 0;
    if (rc != SQLITE_DONE)
        return sqlite_fail(c->conn, rc, "reading rows", err);
    c->base.done = true;
    return 0;
}

int sqlite_fetch(struct sql_cursor *base, struct batch *rows, struct error *err)
{
    struct sqlite_cursor *c = (struct sqlite_cursor *)base;
    bool range = c->scan->window == SQL_WINDOW_RANGE;

    while (!batch_is_full(rows)) {
        if (!c->waiting && step(c, err) < 0)
            return -1;
        c->waiting = false;
        if (base->done)
            return 0;
        put_row(c, rows);
        if (range) {
            base->last_cursor = sqlite3_column_int64(c->stmt, cursor_column(c));
            c->cursor_inexact = sqlite3_column_type(c->stmt, cursor_column(c)) != SQLITE_INTEGER;
        }
    }
    base->at_border = !c->cursor_inexact;
    if (!base->look_ahead)
        return 0;
    if (step(c, err) < 0)
        return -1;
    c->waiting = !base->done;
    if (c->waiting)
        base->at_border =
            base->at_border && sqlite3_column_int64(c->stmt, cursor_column(c)) != base->last_cursor;
    return 0;
}

/* The current row of the statement is the last one taken: with a key there is no look ahead. */
bool sqlite_put_key(struct sql_cursor *base, struct arena *mem, struct buf *out)
{
    struct sqlite_cursor *c = (struct sqlite_cursor *)base;
    const struct schema *schema = c->scan->columns;

    (void)mem;
    for (size_t i = 0; i < c->scan->n_key; i++) {
        struct sql_value v = sqlite_column(c->stmt, (int)(schema->n_columns + i));

        if (v.kind == SQL_NULL)
            return false;
        if (i > 0)
            buf_putc(out, ',');
        position_put_value(&v, c->scan->key_types[i], out);
    }
    return true;
}

static void describe(struct sqlite_cursor *c)
{
    const struct schema *schema = c->scan->columns;

    c->types = xalloc((schema->n_columns + 1) * sizeof *c->types);
    c->scales = xalloc(schema->n_columns + 1);
    for (size_t i = 0; i < schema->n_columns; i++) {
        struct column_type t = schema->columns[i].type;

        c->types[i] = t.type;
        c->scales[i] = 2;
        if (t.type == TYPE_DECIMAL && t.precision > 0 && t.scale >= 0 && t.scale <= 6)
            c->scales[i] = (uint8_t)t.scale;
    }
}

int sqlite_select(struct sql_reader *base, const struct sql_scan *scan, struct sql_cursor **out,
                  struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT((size_t)8 << 20);
    struct sqlite_reader *r = (struct sqlite_reader *)base;
    struct sql_value params[SQL_SCAN_PARAMS];
    size_t n = sql_put_scan(base->dialect, scan, &sql, params);
    struct sqlite_cursor *c;

    if (buf_ok(&sql, "a statement", err) < 0)
        return -1;
    c = xalloc(sizeof *c);
    c->base.reader = base;
    c->conn = r->conn;
    c->scan = scan;
    describe(c);
    if (sqlite_prepare(r->conn, buf_str(&sql), &c->stmt, err) < 0 ||
        sqlite_bind(r->conn, c->stmt, params, n, err) < 0) {
        sqlite_end(&c->base);
        return -1;
    }
    *out = &c->base;
    return 0;
}

void sqlite_end(struct sql_cursor *base)
{
    struct sqlite_cursor *c = (struct sqlite_cursor *)base;

    sqlite3_finalize(c->stmt);
    free(c->types);
    free(c->scales);
    free(c);
}

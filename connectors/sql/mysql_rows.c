/*
 * Rows of a prepared statement as the binary protocol brings them: numbers and times need no
 * parsing, floats lose no digit, and a text is fetched into a buffer of its own only when it is
 * long. (Read as text the same million rows take as long: the server is the limit.)
 *
 * A value is taken as the type of its column when that loses nothing; everything else becomes an
 * odd cell with its text: an integer that does not fit, a date that is none (0000-00-00, 2024-02-30
 * where a session allowed it), a time beyond one day.
 */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/sql/mysql_source.h"

#define INLINE_BYTES   4096 /* of a text; longer ones are fetched a second time */
#define BINARY_CHARSET 63

/* How a value lies in memory. */
enum form { FORM_INT, FORM_UNSIGNED, FORM_FLOAT, FORM_DOUBLE, FORM_TIME, FORM_BITS, FORM_TEXT };

struct cell {
    enum form form;
    unsigned fraction; /* FORM_TIME: digits behind the second */
    union {
        int64_t number;
        double real;
        float real32;
        MYSQL_TIME time;
        char bits[8];
    } v;
    char *text;
    unsigned long length;
    my_bool is_null, truncated;
};

struct mysql_rows {
    struct mysql_conn *conn;
    MYSQL_STMT *stmt; /* borrowed */
    MYSQL_BIND *binds;
    struct cell *cells; /* of the current row */
    size_t n;
    char *overflow; /* the long text that was fetched last */
    size_t overflow_bytes;
};

/* ---------------------------------------------------------------------- binding */

static enum form form_of(const MYSQL_FIELD *f)
{
    switch ((int)f->type) { /* a server may send any number */
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return f->flags & UNSIGNED_FLAG ? FORM_UNSIGNED : FORM_INT;
    case MYSQL_TYPE_FLOAT:
        return FORM_FLOAT;
    case MYSQL_TYPE_DOUBLE:
        return FORM_DOUBLE;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
    case MYSQL_TYPE_TIME:
        return FORM_TIME;
    case MYSQL_TYPE_BIT:
        return FORM_BITS;
    default:
        return FORM_TEXT;
    }
}

static void bind_buffer(MYSQL_BIND *b, enum enum_field_types type, void *buffer, size_t n)
{
    b->buffer_type = type;
    b->buffer = buffer;
    b->buffer_length = n;
}

static void bind_text(struct cell *c, MYSQL_BIND *b, const MYSQL_FIELD *f)
{
    size_t n = f->length < INLINE_BYTES ? f->length + 1 : INLINE_BYTES;

    c->text = xalloc(n);
    bind_buffer(b, f->charsetnr == BINARY_CHARSET ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING, c->text,
                n);
}

static void bind_cell(struct cell *c, MYSQL_BIND *b, const MYSQL_FIELD *f)
{
    c->form = form_of(f);
    c->fraction = f->decimals <= 6 ? f->decimals : 6;
    b->length = &c->length;
    b->is_null = &c->is_null;
    b->error = &c->truncated;
    switch (c->form) {
    case FORM_INT:
    case FORM_UNSIGNED:
        b->is_unsigned = c->form == FORM_UNSIGNED;
        bind_buffer(b, MYSQL_TYPE_LONGLONG, &c->v.number, sizeof c->v.number);
        break;
    case FORM_FLOAT:
        bind_buffer(b, MYSQL_TYPE_FLOAT, &c->v.real32, sizeof c->v.real32);
        break;
    case FORM_DOUBLE:
        bind_buffer(b, MYSQL_TYPE_DOUBLE, &c->v.real, sizeof c->v.real);
        break;
    case FORM_TIME:
        bind_buffer(b, f->type, &c->v.time, sizeof c->v.time);
        break;
    case FORM_BITS:
        bind_buffer(b, MYSQL_TYPE_BLOB, c->v.bits, sizeof c->v.bits);
        break;
    case FORM_TEXT:
        bind_text(c, b, f);
        break;
    }
}

int mysql_rows_open(struct mysql_conn *conn, MYSQL_STMT *stmt, struct mysql_rows **out,
                    struct error *err)
{
    const MYSQL_FIELD *fields = mariadb_stmt_fetch_fields(stmt);
    CLEANUP(mysql_rows_cleanup) struct mysql_rows *r = xalloc(sizeof *r);

    r->conn = conn;
    r->stmt = stmt;
    r->n = fields ? mysql_stmt_field_count(stmt) : 0;
    r->binds = xalloc((r->n + 1) * sizeof *r->binds);
    r->cells = xalloc((r->n + 1) * sizeof *r->cells);
    for (size_t i = 0; i < r->n; i++)
        bind_cell(&r->cells[i], &r->binds[i], &fields[i]);
    if (r->n == 0)
        return error_set(err, ERR_INTERNAL, "a statement that reads has no columns");
    if (mysql_stmt_bind_result(stmt, r->binds) != 0)
        return mysql_fail(conn, stmt, "reading", err);
    *out = TAKE(r);
    return 0;
}

void mysql_rows_close(struct mysql_rows *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        free(r->cells[i].text);
    free(r->cells);
    free(r->binds);
    free(r->overflow);
    free(r);
}

/* Only the packet that says so ends the rows: a connection that breaks is an error. */
int mysql_rows_next(struct mysql_rows *r, struct error *err)
{
    int rc = mysql_stmt_fetch(r->stmt);

    if (rc == 0 || rc == MYSQL_DATA_TRUNCATED)
        return 1;
    return rc == MYSQL_NO_DATA ? 0 : mysql_fail(r->conn, r->stmt, "reading rows", err);
}

/* ------------------------------------------------------------------------- text */

/* The first `n` bytes of a text that did not fit. Valid until the next one. */
static int fetch_long(struct mysql_rows *r, size_t i, size_t n, struct error *err)
{
    my_bool is_null, truncated;
    unsigned long length;
    MYSQL_BIND b = {.buffer_type = r->binds[i].buffer_type,
                    .buffer_length = n,
                    .length = &length,
                    .is_null = &is_null,
                    .error = &truncated};

    if (n > r->overflow_bytes) {
        r->overflow_bytes = n > 2 * r->overflow_bytes ? n : 2 * r->overflow_bytes;
        r->overflow = xrealloc(r->overflow, r->overflow_bytes);
    }
    b.buffer = r->overflow;
    if (mysql_stmt_fetch_column(r->stmt, &b, (unsigned)i, 0) != 0)
        return mysql_fail(r->conn, r->stmt, "reading a long value", err);
    return 0;
}

/* A text of at most BATCH_MAX_VALUE bytes, or the beginning of a longer one. */
static int text_of(struct mysql_rows *r, size_t i, struct slice *out, struct error *err)
{
    const struct cell *c = &r->cells[i];
    size_t n = c->length <= BATCH_MAX_VALUE ? c->length : BATCH_ODD_BYTES + 8;

    if (c->length <= r->binds[i].buffer_length) {
        *out = (struct slice){c->text, c->length};
        return 0;
    }
    if (fetch_long(r, i, n, err) < 0)
        return -1;
    *out = (struct slice){r->overflow, n};
    return 0;
}

static uint64_t bits_of(const struct cell *c)
{
    size_t n = c->length < sizeof c->v.bits ? c->length : sizeof c->v.bits;
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)c->v.bits[i];
    return v;
}

static size_t format_unsigned(uint64_t v, char out[static VALUE_TEXT_BYTES])
{
    return (size_t)snprintf(out, VALUE_TEXT_BYTES, "%llu", (unsigned long long)v);
}

/* A value that is no text, as text. */
static size_t format_cell(const struct mysql_rows *r, size_t i, char out[static VALUE_TEXT_BYTES])
{
    const struct cell *c = &r->cells[i];

    switch (c->form) {
    case FORM_INT:
        return text_from_int64(c->v.number, out);
    case FORM_UNSIGNED:
        return format_unsigned((uint64_t)c->v.number, out);
    case FORM_BITS:
        return format_unsigned(bits_of(c), out);
    case FORM_FLOAT:
        return value_format_float((double)c->v.real32, 32, out);
    case FORM_DOUBLE:
        return value_format_float(c->v.real, 64, out);
    case FORM_TIME:
        return mysql_time_format(&c->v.time, r->binds[i].buffer_type, c->fraction, out);
    case FORM_TEXT:
        break;
    }
    return 0;
}

/* ---------------------------------------------------------------------- batches */

static void put_odd(struct mysql_rows *r, size_t i, enum reason why, struct batch *rows)
{
    char text[VALUE_TEXT_BYTES];

    batch_put_odd(rows, i, why, text, format_cell(r, i, text));
}

/* Where the type of the column is another one than the server's, its text may still be a value. */
static void put_as_text(struct mysql_rows *r, size_t i, struct batch *rows)
{
    char text[VALUE_TEXT_BYTES];

    batch_put_parsed(rows, i, text, format_cell(r, i, text));
}

static void put_integer(struct mysql_rows *r, size_t i, enum type to, uint64_t v, bool no_sign,
                        struct batch *rows)
{
    if (to == TYPE_INT && !(no_sign && v > INT64_MAX))
        batch_put_int64(rows, i, (int64_t)v);
    else if (to == TYPE_BOOL && v <= 1)
        batch_put_bool(rows, i, v == 1);
    else if (to == TYPE_INT || to == TYPE_BOOL)
        put_odd(r, i, REASON_OUT_OF_RANGE, rows);
    else
        put_as_text(r, i, rows);
}

static void put_time(struct mysql_rows *r, size_t i, enum type to, struct batch *rows)
{
    enum enum_field_types from = r->binds[i].buffer_type;
    int64_t v;

    if (to == TYPE_STRING)
        put_as_text(r, i, rows);
    else if (to == mysql_time_type(from) && mysql_time_read(&r->cells[i].v.time, from, &v))
        batch_put_int64(rows, i, v);
    else
        put_odd(r, i, to == mysql_time_type(from) ? REASON_OUT_OF_RANGE : REASON_TYPE, rows);
}

/* Bytes for a column of text are the server's way to say that they have no characters: see
 * MYSQL_NOT_UNICODE. */
static bool is_not_unicode(const struct mysql_rows *r, size_t i, enum type to, struct slice text)
{
    return to == TYPE_STRING && r->binds[i].buffer_type == MYSQL_TYPE_BLOB && text.len > 0 &&
           (unsigned char)text.ptr[0] == MYSQL_NOT_UNICODE;
}

static int put_text(struct mysql_rows *r, size_t i, enum type to, struct batch *rows,
                    struct error *err)
{
    struct slice text;

    if (text_of(r, i, &text, err) < 0)
        return -1;
    if (r->cells[i].length > BATCH_MAX_VALUE)
        batch_put_odd(rows, i, REASON_RECORD_TOO_LARGE, text.ptr, text.len);
    else if (is_not_unicode(r, i, to, text))
        batch_put_odd(rows, i, REASON_ENCODING, text.ptr + 1, text.len - 1);
    else if (to == TYPE_STRING || to == TYPE_BYTES ||
             (to == TYPE_DECIMAL && value_is_canonical_decimal(text.ptr, text.len)))
        batch_put_text(rows, i, text.ptr, text.len);
    else
        batch_put_parsed(rows, i, text.ptr, text.len);
    return 0;
}

static int put_cell(struct mysql_rows *r, size_t i, enum type to, struct batch *rows,
                    struct error *err)
{
    struct cell *c = &r->cells[i];

    switch (c->form) {
    case FORM_INT:
        put_integer(r, i, to, (uint64_t)c->v.number, false, rows);
        return 0;
    case FORM_UNSIGNED:
        put_integer(r, i, to, (uint64_t)c->v.number, true, rows);
        return 0;
    case FORM_BITS:
        put_integer(r, i, to, bits_of(c), true, rows);
        return 0;
    case FORM_FLOAT:
    case FORM_DOUBLE:
        if (to == TYPE_FLOAT)
            batch_put_double(rows, i, c->form == FORM_FLOAT ? (double)c->v.real32 : c->v.real);
        else
            put_as_text(r, i, rows);
        return 0;
    case FORM_TIME:
        put_time(r, i, to, rows);
        return 0;
    case FORM_TEXT:
        return put_text(r, i, to, rows, err);
    }
    return 0;
}

int mysql_rows_put(struct mysql_rows *r, struct batch *rows, struct error *err)
{
    const struct schema *schema = batch_schema(rows);

    for (size_t i = 0; i < schema->n_columns; i++) {
        /* A cell that is not put is NULL. */
        if (!r->cells[i].is_null && put_cell(r, i, schema->columns[i].type.type, rows, err) < 0)
            return -1;
    }
    batch_end_row(rows);
    return 0;
}

/* ---------------------------------------------------------------- single values */

static bool integer_of(const struct cell *c, int64_t *out)
{
    uint64_t v = c->form == FORM_BITS ? bits_of(c) : (uint64_t)c->v.number;

    if (c->form != FORM_INT && c->form != FORM_UNSIGNED && c->form != FORM_BITS)
        return false;
    *out = (int64_t)v;
    return c->form == FORM_INT || v <= INT64_MAX;
}

int mysql_rows_value(struct mysql_rows *r, size_t i, struct arena *mem, struct sql_value *out,
                     struct error *err)
{
    const struct cell *c = &r->cells[i];
    char text[VALUE_TEXT_BYTES];
    struct slice bytes = {text, 0};

    *out = (struct sql_value){.kind = SQL_NULL};
    if (c->is_null)
        return 0;
    if (integer_of(c, &out->number)) {
        out->kind = SQL_INT;
        return 0;
    }
    if (c->form == FORM_FLOAT || c->form == FORM_DOUBLE) {
        out->kind = SQL_REAL;
        out->real = c->form == FORM_FLOAT ? (double)c->v.real32 : c->v.real;
        return 0;
    }
    bytes.len = format_cell(r, i, text);
    if (c->form == FORM_TEXT && text_of(r, i, &bytes, err) < 0)
        return -1;
    out->kind =
        c->form == FORM_TEXT && r->binds[i].buffer_type == MYSQL_TYPE_BLOB ? SQL_BLOB : SQL_TEXT;
    out->bytes = (struct slice){arena_memdup(mem, bytes.ptr, bytes.len), bytes.len};
    return 0;
}

static int not_a_cursor(struct error *err)
{
    return error_set_reason(err, ERR_SCHEMA, "cursor_type",
                            "the cursor column is no longer of the type that was discovered");
}

int mysql_rows_number(struct mysql_rows *r, size_t i, enum type as, int64_t *out,
                      enum mysql_number *out_kind, struct error *err)
{
    const struct cell *c = &r->cells[i];
    enum enum_field_types type = r->binds[i].buffer_type;
    enum type is = c->form == FORM_TIME ? mysql_time_type(type) : TYPE_INT;
    struct slice text;

    *out = 0;
    *out_kind = c->is_null ? MYSQL_NUMBER_NULL : MYSQL_NUMBER_EXACT;
    if (is == TYPE_TIME || (as != TYPE_COUNT && as != is))
        return not_a_cursor(err);
    if (c->is_null || integer_of(c, out))
        return 0;
    if (c->form == FORM_TIME) {
        if (!mysql_time_read(&c->v.time, type, out)) {
            *out_kind = MYSQL_NUMBER_ABOVE;
            *out = mysql_time_above(&c->v.time, type);
        }
        return 0;
    }
    if (c->form == FORM_TEXT && text_of(r, i, &text, err) < 0)
        return -1;
    /* A decimal without a fraction is an integer too. */
    if (c->form != FORM_TEXT || !text_to_int64(text.ptr, text.len, out))
        return not_a_cursor(err);
    return 0;
}

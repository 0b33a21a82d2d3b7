/*
 * Rows of a SELECT into a batch, in the server's binary format.
 *
 * Without parameters the rows come by COPY, which costs the least on both sides together; COPY
 * takes no parameters, so with them they come one by one as results. What has no binary form that
 * we read is asked for as text, which is why the statement is described before it is run.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/sql/position.h"
#include "connectors/sql/postgres_source.h"
#include "connectors/sql/postgres_value.h"
#include "connectors/sql/statement.h"

struct field {
    const char *ptr;
    int32_t len; /* -1 = NULL */
};

struct postgres_cursor {
    struct sql_cursor base;
    struct postgres_reader *reader;
    const struct sql_scan *scan;
    struct arena *mem;
    struct postgres_reading *readings; /* of all columns of the result */
    struct field *fields;              /* of the current row */
    size_t n_fields;
    size_t *key_at; /* [scan->n_key]: which of them */
    bool copying, header_seen;
    bool waiting;     /* a row was read and not taken yet */
    char *row;        /* COPY: holds the fields */
    PGresult *result; /* else */
    struct buf scratch;
};

static int broken(const struct postgres_cursor *c, const char *what, struct error *err)
{
    return error_set_reason(err, ERR_INTERNAL, "protocol", "%s sent %s",
                            c->reader->conn->server_name, what);
}

/* ---------------------------------------------------------------- the rows */

/* What the server says once there are no more rows. */
static int finish(struct postgres_cursor *c, struct error *err)
{
    int rc = 0;

    for (PGresult *r = postgres_next_result(c->reader->conn); r;
         r = postgres_next_result(c->reader->conn)) {
        if (rc == 0 && PQresultStatus(r) != PGRES_COMMAND_OK &&
            PQresultStatus(r) != PGRES_TUPLES_OK)
            rc = postgres_fail(c->reader->conn, r, "reading rows", err);
        if (!text_to_int64(PQcmdTuples(r), strlen(PQcmdTuples(r)), &c->base.said))
            c->base.said = -1;
        PQclear(r);
        if (PQstatus(c->reader->conn->pg) == CONNECTION_BAD)
            break;
    }
    if (rc == 0 && PQstatus(c->reader->conn->pg) == CONNECTION_BAD)
        rc = postgres_fail(c->reader->conn, NULL, "reading rows", err);
    c->base.done = rc == 0;
    return rc;
}

/* A header of 11 bytes, flags and an extension in front of the first row. */
static int skip_header(struct postgres_cursor *c, const char **p, const char *end,
                       struct error *err)
{
    static const char signature[] = "PGCOPY\n\377\r\n";

    if (end - *p < 19 || memcmp(*p, signature, 11) != 0 || postgres_get32(*p + 11) != 0 ||
        postgres_get32(*p + 15) > (size_t)(end - *p - 19))
        return broken(c, "no header of binary rows", err);
    *p += 19 + postgres_get32(*p + 15);
    c->header_seen = true;
    return 0;
}

/* One row is one message. */
static int split(struct postgres_cursor *c, const char *p, const char *end, struct error *err)
{
    if (end - p < 2 || postgres_get16(p) != c->n_fields)
        return broken(c, "a row with another number of columns", err);
    p += 2;
    for (size_t i = 0; i < c->n_fields; i++) {
        int32_t n;

        if (end - p < 4)
            return broken(c, "a row that ends too early", err);
        n = (int32_t)postgres_get32(p);
        p += 4;
        c->fields[i] = (struct field){p, n < 0 ? -1 : n};
        if (n < -1 || n > end - p)
            return broken(c, "a value longer than its row", err);
        p += n > 0 ? n : 0;
    }
    return p == end ? 0 : broken(c, "a row that is too long", err);
}

static int next_copied(struct postgres_cursor *c, struct error *err)
{
    for (;;) {
        const char *p;
        int n;

        PQfreemem(TAKE(c->row));
        n = postgres_next_row(c->reader->conn, &c->row);
        if (n < 0)
            return finish(c, err);
        p = c->row;
        if (!c->header_seen && skip_header(c, &p, c->row + n, err) < 0)
            return -1;
        n -= (int)(p - c->row);
        if (n > 0 && (n != 2 || postgres_get16(p) != 0xffff)) /* else nothing, or the end */
            return split(c, p, p + n, err);
    }
}

static int next_result(struct postgres_cursor *c, struct error *err)
{
    PQclear(TAKE(c->result));
    c->result = postgres_next_result(c->reader->conn);
    if (PQresultStatus(c->result) == PGRES_TUPLES_OK)
        return finish(c, err);
    if (PQresultStatus(c->result) != PGRES_SINGLE_TUPLE)
        return postgres_fail(c->reader->conn, c->result, "reading rows", err);
    if ((size_t)PQnfields(c->result) != c->n_fields)
        return broken(c, "a row with another number of columns", err);
    for (size_t i = 0; i < c->n_fields; i++) {
        c->fields[i] = (struct field){
            PQgetvalue(c->result, 0, (int)i),
            PQgetisnull(c->result, 0, (int)i) ? -1 : PQgetlength(c->result, 0, (int)i)};
    }
    return 0;
}

static int next_row(struct postgres_cursor *c, struct error *err)
{
    return c->copying ? next_copied(c, err) : next_result(c, err);
}

static int put_row(struct postgres_cursor *c, struct batch *rows, struct error *err)
{
    for (size_t i = 0; i < c->scan->columns->n_columns; i++) {
        const struct field *f = &c->fields[i];

        if (f->len >= 0 && !postgres_decode_cell(c->readings[i].form, f->ptr, (size_t)f->len,
                                                 &c->scratch, rows, i))
            return error_set_reason(err, ERR_INTERNAL, "protocol",
                                    "%s sent a value of column \"%s\" that is none of its type",
                                    c->reader->conn->server_name,
                                    c->scan->columns->columns[i].name);
    }
    batch_end_row(rows);
    return 0;
}

static int take_cursor(struct postgres_cursor *c, int64_t *out, bool *out_exact, struct error *err)
{
    size_t i = c->n_fields - 1;
    const struct field *f = &c->fields[i];

    if (f->len < 0 ||
        !postgres_decode_cursor(c->readings[i].form, f->ptr, (size_t)f->len, out, out_exact))
        return broken(c, "a cursor that is none", err);
    return 0;
}

int postgres_fetch(struct sql_cursor *base, struct batch *rows, struct error *err)
{
    struct postgres_cursor *c = (struct postgres_cursor *)base;
    bool range = c->scan->window == SQL_WINDOW_RANGE, exact = true;
    int64_t next = 0;

    while (!batch_is_full(rows)) {
        if (!c->waiting && next_row(c, err) < 0)
            return -1;
        c->waiting = false;
        if (base->done)
            return 0;
        if (put_row(c, rows, err) < 0 ||
            (range && take_cursor(c, &base->last_cursor, &exact, err) < 0))
            return -1;
    }
    base->at_border = exact;
    if (!base->look_ahead)
        return 0;
    if (next_row(c, err) < 0)
        return -1;
    c->waiting = !base->done;
    if (!c->waiting)
        return 0;
    if (take_cursor(c, &next, &exact, err) < 0)
        return -1;
    base->at_border = base->at_border && next != base->last_cursor;
    return 0;
}

/* The current row is the last one taken: with a key there is no look ahead. */
bool postgres_put_key(struct sql_cursor *base, struct arena *mem, struct buf *out)
{
    struct postgres_cursor *c = (struct postgres_cursor *)base;

    (void)mem;
    for (size_t i = 0; i < c->scan->n_key; i++) {
        const struct field *f = &c->fields[c->key_at[i]];
        struct sql_value v;

        if (f->len < 0 || !postgres_decode_key(c->readings[c->key_at[i]].form, f->ptr,
                                               (size_t)f->len, &c->scratch, &v))
            return false;
        if (i > 0)
            buf_putc(out, ',');
        position_put_value(&v, c->scan->key_types[i], out);
    }
    return true;
}

/* ------------------------------------------------------------ the statement */

/* Those that postgres_decode_key knows. */
static bool is_key_form(enum postgres_form form)
{
    return form != POSTGRES_FORM_NONE && form != POSTGRES_FORM_INTERVAL &&
           form != POSTGRES_FORM_JSON && form != POSTGRES_FORM_JSONB && form != POSTGRES_FORM_ARRAY;
}

/* The types may have changed since they were discovered. */
static int check_shape(const struct postgres_cursor *c, const PGresult *described,
                       struct error *err)
{
    const struct schema *schema = c->scan->columns;

    if ((size_t)PQnfields(described) != c->n_fields)
        return broken(c, "another number of columns than was asked for", err);
    for (size_t i = 0; i < schema->n_columns; i++) {
        if (c->readings[i].type.type != schema->columns[i].type.type)
            return error_set_reason(err, ERR_SCHEMA, "column_changed",
                                    "column \"%s\" was %s when the streams were discovered and is "
                                    "%s now",
                                    schema->columns[i].name,
                                    type_name(schema->columns[i].type.type),
                                    type_name(c->readings[i].type.type));
    }
    return 0;
}

/* Whether every column of the key is read in a form that serves as a key, too. */
static bool find_key(struct postgres_cursor *c)
{
    const struct schema *schema = c->scan->columns;

    for (size_t i = 0; i < c->scan->n_key; i++) {
        long at = schema_find(schema, c->scan->key[i]);

        if (at < 0 || c->readings[at].foreign || !is_key_form(c->readings[at].form))
            return false;
        c->key_at[i] = (size_t)at;
    }
    return c->scan->n_key > 0;
}

/* The key in columns of its own, as text where it has no other form. */
static void add_key(struct postgres_cursor *c, struct sql_scan *scan)
{
    static const char text[] = "{column}::text AS \"_connectord_cast\"";
    size_t first = scan->columns->n_columns;
    const char **key_cast = arena_array(c->mem, scan->n_key + 1, sizeof *key_cast);

    for (size_t i = 0; i < scan->n_key; i++) {
        struct postgres_reading *r = &c->readings[first + i];

        if (r->foreign || !is_key_form(r->form)) {
            key_cast[i] = text;
            r->form = POSTGRES_FORM_TEXT;
        }
        c->key_at[i] = first + i;
    }
    scan->key_cast = key_cast;
}

/* How columns are selected; in a copy of the scan. */
static void choose_columns(struct postgres_cursor *c, struct sql_scan *scan)
{
    size_t first = scan->columns->n_columns;
    const char **cast = arena_array(c->mem, first + 1, sizeof *cast);

    for (size_t i = 0; i < first; i++)
        cast[i] = c->readings[i].cast;
    scan->cast = cast;
    scan->omit_key = find_key(c);
    if (!scan->omit_key) {
        add_key(c, scan);
        return;
    }
    c->readings[first] = c->readings[first + scan->n_key]; /* of the cursor, if there is one */
    c->n_fields -= scan->n_key;
}

static int describe(struct postgres_cursor *c, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(postgres_clear) PGresult *alone = NULL, *described = NULL;
    struct sql_value *params = arena_array(c->mem, SQL_SCAN_PARAMS, sizeof *params);
    struct postgres_conn *conn = c->reader->conn;

    /* The text of a user must be a statement by itself before it becomes a part of another. */
    if (c->scan->query && postgres_describe(conn, c->scan->query, &alone, err) < 0)
        return -1;
    sql_put_scan(&sql_postgres, c->scan, &sql, params);
    if (buf_ok(&sql, "a statement", err) < 0 ||
        postgres_describe(conn, buf_str(&sql), &described, err) < 0 ||
        postgres_readings(conn, described, c->mem, &c->readings, err) < 0)
        return -1;
    return check_shape(c, described, err);
}

static int start(struct postgres_cursor *c, const char *sql, const struct sql_value *params,
                 size_t n, struct error *err)
{
    CLEANUP(postgres_clear) PGresult *begun = NULL;
    PGconn *pg = c->reader->conn->pg;
    struct postgres_params p;

    postgres_bind_typed(c->mem, params, n, &p);
    if (!PQsendQueryParams(pg, sql, (int)n, p.types, p.values, p.lengths, p.formats, 1))
        return postgres_fail(c->reader->conn, NULL, "reading rows", err);
    if (!c->copying)
        return PQsetSingleRowMode(pg) ? 0 : broken(c, "an answer to no question", err);
    begun = postgres_next_result(c->reader->conn);
    if (PQresultStatus(begun) == PGRES_COPY_OUT)
        return 0;
    return postgres_fail(c->reader->conn, begun, "reading rows", err);
}

static int begin(struct postgres_cursor *c, struct error *err)
{
    CLEANUP(buf_release) struct buf select = BUF_INIT(SQL_MAX_STATEMENT);
    CLEANUP(buf_release) struct buf copy = BUF_INIT(SQL_MAX_STATEMENT);
    struct sql_value *params = arena_array(c->mem, SQL_SCAN_PARAMS, sizeof *params);
    struct sql_scan scan = *c->scan;
    size_t n;

    if (describe(c, err) < 0)
        return -1;
    choose_columns(c, &scan);
    n = sql_put_scan(&sql_postgres, &scan, &select, params);
    if (buf_ok(&select, "a statement", err) < 0)
        return -1;
    c->copying = n == 0;
    if (!c->copying)
        return start(c, buf_str(&select), params, n, err);
    buf_puts(&copy, "COPY (");
    buf_put(&copy, select.data, select.len);
    buf_puts(&copy, ") TO STDOUT (FORMAT binary)");
    if (buf_ok(&copy, "a statement", err) < 0)
        return -1;
    return start(c, buf_str(&copy), params, 0, err);
}

int postgres_select(struct sql_reader *base, const struct sql_scan *scan, struct sql_cursor **out,
                    struct error *err)
{
    struct postgres_cursor *c = xalloc(sizeof *c);

    c->base.reader = base;
    c->reader = (struct postgres_reader *)base;
    c->scan = scan;
    c->mem = arena_new();
    c->scratch = BUF_INIT(BATCH_MAX_VALUE + 4096);
    c->n_fields = scan->columns->n_columns + scan->n_key + (scan->window == SQL_WINDOW_RANGE);
    c->key_at = arena_array(c->mem, scan->n_key + 1, sizeof *c->key_at);
    c->fields = xalloc((c->n_fields + 1) * sizeof *c->fields);
    if (begin(c, err) < 0) {
        postgres_end(&c->base);
        return -1;
    }
    *out = &c->base;
    return 0;
}

void postgres_end(struct sql_cursor *base)
{
    struct postgres_cursor *c = (struct postgres_cursor *)base;
    PGconn *pg = c->reader->conn->pg;

    PQfreemem(c->row);
    PQclear(c->result);
    /* After a cancellation the socket is shut; closing the reader tells the server. */
    if (PQtransactionStatus(pg) == PQTRANS_ACTIVE &&
        cancel_requested(base->reader->run->cancel) == CANCEL_NONE)
        postgres_stop(c->reader->conn);
    postgres_recover(c->reader);
    buf_release(&c->scratch);
    arena_free(c->mem);
    free(c->fields);
    free(c);
}

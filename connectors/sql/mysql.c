/*
 * Statements and their results. A statement without parameters goes as text, since not everything
 * can be prepared (SAVEPOINT, some DDL); one with parameters is prepared and they are bound.
 * Results are read row by row as they come.
 */
#include <stdlib.h>

#include "connectors/base/unconst.h"
#include "connectors/sql/mysql_internal.h"

void mysql_stmt_cleanup(MYSQL_STMT **stmt)
{
    if (*stmt)
        mysql_stmt_close(*stmt);
}

static void result_cleanup(MYSQL_RES **result)
{
    if (*result)
        mysql_free_result(*result);
}

void mysql_bind(const struct sql_value *v, MYSQL_BIND *b)
{
    memset(b, 0, sizeof *b);
    switch (v->kind) {
    case SQL_NULL:
        b->buffer_type = MYSQL_TYPE_NULL;
        return;
    case SQL_INT:
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        b->buffer = unconst(&v->number); /* bound only, never written */
        return;
    case SQL_REAL:
        b->buffer_type = MYSQL_TYPE_DOUBLE;
        b->buffer = unconst(&v->real);
        return;
    case SQL_TEXT:
    case SQL_BLOB:
        b->buffer_type = v->kind == SQL_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        /* Text is compared with a decimal as a double, and loses digits. */
        if (v->type && v->type->type == TYPE_DECIMAL)
            b->buffer_type = MYSQL_TYPE_NEWDECIMAL;
        b->buffer = unconst(v->bytes.ptr ? v->bytes.ptr : "");
        b->buffer_length = v->bytes.len;
        b->length_value = v->bytes.len;
        b->length = &b->length_value;
        return;
    }
}

int mysql_start(struct mysql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                MYSQL_STMT **out, struct error *err)
{
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *stmt = NULL;
    CLEANUP(free_cleanup) MYSQL_BIND *binds = xalloc((n + 1) * sizeof *binds);

    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    stmt = mysql_stmt_init(c->my);
    if (!stmt)
        return mysql_fail(c, NULL, "preparing a statement", err);
    if (mysql_stmt_prepare(stmt, sql, strlen(sql)) != 0)
        return mysql_fail(c, stmt, "preparing a statement", err);
    if (mysql_stmt_param_count(stmt) != n)
        return error_set(err, ERR_INTERNAL, "a statement has %lu parameters, not %zu",
                         mysql_stmt_param_count(stmt), n);
    for (size_t i = 0; i < n; i++)
        mysql_bind(&params[i], &binds[i]);
    if ((n > 0 && mysql_stmt_bind_param(stmt, binds) != 0) || mysql_stmt_execute(stmt) != 0)
        return mysql_fail(c, stmt, "running a statement", err);
    *out = TAKE(stmt);
    return 0;
}

/* BINARY tells bytes from text: both come with the same types. */
#define BINARY_CHARSET 63

struct sql_value mysql_value(const MYSQL_FIELD *field, const char *text, size_t n)
{
    struct sql_value v = {.kind = SQL_TEXT, .bytes = {text, n}};

    if (!text)
        return (struct sql_value){.kind = SQL_NULL};
    /* clang-format off */
    switch ((int)field->type) { /* a server may send any number */
    case MYSQL_TYPE_TINY: case MYSQL_TYPE_SHORT: case MYSQL_TYPE_INT24: case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG: case MYSQL_TYPE_YEAR:
        /* Beyond 64 bits with a sign it stays text. */
        if (text_to_int64(text, n, &v.number))
            v.kind = SQL_INT;
        break;
    case MYSQL_TYPE_FLOAT: case MYSQL_TYPE_DOUBLE:
        if (text_to_double(text, n, &v.real))
            v.kind = SQL_REAL;
        break;
    case MYSQL_TYPE_BIT: case MYSQL_TYPE_GEOMETRY:
        v.kind = SQL_BLOB;
        break;
    case MYSQL_TYPE_TINY_BLOB: case MYSQL_TYPE_MEDIUM_BLOB: case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB: case MYSQL_TYPE_STRING: case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_VARCHAR:
        if (field->charsetnr == BINARY_CHARSET)
            v.kind = SQL_BLOB;
        break;
    default:
        break;
    }
    /* clang-format on */
    return v;
}

static int query_text(struct mysql_conn *c, const char *sql, sql_row_fn *each, void *arg,
                      struct error *err)
{
    CLEANUP(result_cleanup) MYSQL_RES *result = NULL;
    CLEANUP(free_cleanup) struct sql_value *row = NULL;
    MYSQL_FIELD *fields;
    MYSQL_ROW cells;
    unsigned width;

    if (mysql_real_query(c->my, sql, strlen(sql)) != 0)
        return mysql_fail(c, NULL, "reading", err);
    result = mysql_use_result(c->my);
    if (!result)
        return mysql_errno(c->my) ? mysql_fail(c, NULL, "reading", err) : 0;
    fields = mysql_fetch_fields(result);
    width = mysql_num_fields(result);
    row = xalloc((width + 1) * sizeof *row);
    while ((cells = mysql_fetch_row(result))) {
        const unsigned long *lengths = mysql_fetch_lengths(result);

        for (unsigned i = 0; i < width; i++)
            row[i] = mysql_value(&fields[i], cells[i], lengths[i]);
        if (each(arg, row, width, err) < 0)
            return -1;
    }
    return mysql_errno(c->my) ? mysql_fail(c, NULL, "reading", err) : 0;
}

/* The cells of one row of a prepared statement, as text. */
struct cells {
    MYSQL_BIND *bind;
    unsigned width;
    char **text; /* [width], grown as needed */
};

static void cells_release(struct cells *s)
{
    for (unsigned i = 0; s->text && i < s->width; i++)
        free(s->text[i]);
    free(s->text);
    free(s->bind);
}

#define FIRST_CELL 256 /* bytes; longer ones are fetched when their length is known */

static void cells_init(struct cells *s, unsigned width)
{
    s->width = width;
    s->bind = xalloc((width + 1) * sizeof *s->bind);
    s->text = xalloc((width + 1) * sizeof *s->text);
    for (unsigned i = 0; i < width; i++) {
        s->text[i] = xalloc(FIRST_CELL);
        s->bind[i].buffer_type = MYSQL_TYPE_STRING;
        s->bind[i].buffer = s->text[i];
        s->bind[i].buffer_length = FIRST_CELL;
        s->bind[i].length = &s->bind[i].length_value;
        s->bind[i].is_null = &s->bind[i].is_null_value;
        s->bind[i].error = &s->bind[i].error_value;
    }
}

/* Fetches again what did not fit. */
static int complete(MYSQL_STMT *stmt, struct cells *s)
{
    for (unsigned i = 0; i < s->width; i++) {
        MYSQL_BIND *b = &s->bind[i];

        if (b->is_null_value || b->length_value <= b->buffer_length)
            continue;
        s->text[i] = xrealloc(s->text[i], b->length_value);
        b->buffer = s->text[i];
        b->buffer_length = b->length_value;
        if (mysql_stmt_fetch_column(stmt, b, i, 0) != 0)
            return -1;
    }
    return 0;
}

static int query_prepared(struct mysql_conn *c, const char *sql, const struct sql_value *params,
                          size_t n, sql_row_fn *each, void *arg, struct error *err)
{
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *stmt = NULL;
    CLEANUP(result_cleanup) MYSQL_RES *about = NULL;
    CLEANUP(cells_release) struct cells s = {0};
    CLEANUP(free_cleanup) struct sql_value *row = NULL;
    MYSQL_FIELD *fields;
    int rc;

    if (mysql_start(c, sql, params, n, &stmt, err) < 0)
        return -1;
    about = mysql_stmt_result_metadata(stmt);
    if (!about)
        return mysql_stmt_errno(stmt) ? mysql_fail(c, stmt, "reading", err) : 0;
    fields = mysql_fetch_fields(about);
    cells_init(&s, mysql_num_fields(about));
    row = xalloc((s.width + 1) * sizeof *row);
    if (mysql_stmt_bind_result(stmt, s.bind) != 0)
        return mysql_fail(c, stmt, "reading", err);
    while ((rc = mysql_stmt_fetch(stmt)) == 0 || rc == MYSQL_DATA_TRUNCATED) {
        if (complete(stmt, &s) < 0)
            return mysql_fail(c, stmt, "reading", err);
        for (unsigned i = 0; i < s.width; i++)
            row[i] = mysql_value(&fields[i], s.bind[i].is_null_value ? NULL : s.text[i],
                                 s.bind[i].length_value);
        if (each(arg, row, s.width, err) < 0)
            return -1;
        /* Buffers that grew were given to the statement anew by fetching the column. */
        if (mysql_stmt_bind_result(stmt, s.bind) != 0)
            return mysql_fail(c, stmt, "reading", err);
    }
    return rc == MYSQL_NO_DATA ? 0 : mysql_fail(c, stmt, "reading", err);
}

static int query(struct sql_conn *conn, const char *sql, const struct sql_value *params, size_t n,
                 sql_row_fn *each, void *arg, struct error *err)
{
    struct mysql_conn *c = (struct mysql_conn *)conn;

    if (cancel_check(c->run->cancel, err) < 0 || mysql_bulk_end(c, err) < 0)
        return -1;
    return n > 0 ? query_prepared(c, sql, params, n, each, arg, err)
                 : query_text(c, sql, each, arg, err);
}

/* Rows that a statement gives although nobody asked for them. */
static int discard(struct mysql_conn *c, struct error *err)
{
    MYSQL_RES *result = mysql_use_result(c->my);

    if (result) {
        while (mysql_fetch_row(result))
            continue;
        mysql_free_result(result);
    }
    return mysql_errno(c->my) ? mysql_fail(c, NULL, "writing", err) : 0;
}

static int64_t changed(uint64_t n)
{
    return n == MYSQL_COUNT_ERROR ? 0 : (int64_t)n;
}

static int exec_text(struct mysql_conn *c, const char *sql, int64_t *out_changed, struct error *err)
{
    /* Whether a commit happened must be known: it is waited for, also when the run is cancelled. */
    bool commit = strcmp(sql, c->base.dialect->commit) == 0;
    int rc;

    if (commit)
        mysql_unwatch(c);
    rc = mysql_real_query(c->my, sql, strlen(sql));
    if (commit)
        mysql_watch(c);
    if (rc != 0)
        return mysql_fail(c, NULL, "writing", err);
    *out_changed = changed(mysql_affected_rows(c->my));
    return discard(c, err);
}

static int exec(struct sql_conn *conn, const char *sql, const struct sql_value *params, size_t n,
                int64_t *out_changed, struct error *err)
{
    struct mysql_conn *c = (struct mysql_conn *)conn;
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *stmt = NULL;

    *out_changed = 0;
    /* Also to a savepoint: those rows are behind it. */
    if (strncmp(sql, c->base.dialect->rollback, strlen(c->base.dialect->rollback)) == 0)
        mysql_bulk_drop(c);
    if (mysql_bulk_end(c, err) < 0)
        return -1;
    if (n == 0)
        return exec_text(c, sql, out_changed, err);
    if (mysql_start(c, sql, params, n, &stmt, err) < 0)
        return -1;
    *out_changed = changed(mysql_stmt_affected_rows(stmt));
    return 0;
}

static int open_destination(const void *config, struct run *run, struct sql_conn **out,
                            struct error *err)
{
    const struct mysql_destination *to = config;
    struct mysql_conn *c;

    if (mysql_connect_to(&to->server, false, run, &c, err) < 0)
        return -1;
    if (mysql_bulk_open(c, to->load, err) < 0) {
        mysql_disconnect(c);
        return -1;
    }
    *out = &c->base;
    return 0;
}

static void close_conn(struct sql_conn *conn)
{
    mysql_disconnect((struct mysql_conn *)conn);
}

const struct sql_driver mysql_driver = {
    .open = open_destination,
    .exec = exec,
    .query = query,
    .bulk = mysql_bulk,
    .close = close_conn,
};

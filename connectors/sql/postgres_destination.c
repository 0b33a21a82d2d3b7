/* The destination's session: statements, and what must be there before the first. */
#include <poll.h>
#include <stdlib.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "connectors/sql/postgres_internal.h"
#include "connectors/sql/postgres_oid.h"

/* How long a COMMIT under way may still take once its run is cancelled: its answer tells what is
 * stored, which is worth waiting for, but not for ever. */
#define COMMIT_GRACE_US INT64_C(5000000)

/* Whether a COPY is in the way of the next statement, and what becomes of it. */
static int finish_copy(struct postgres_conn *c, const char *sql, struct error *err)
{
    if (!c->copy)
        return 0;
    if (!text_starts_with(sql, c->base.dialect->rollback))
        return postgres_copy_end(c, err);
    postgres_copy_abandon(c);
    return 0;
}

/* Waits for the answer to a COMMIT, cancelled or not. */
static int wait_for_commit(struct postgres_conn *c, struct error *err)
{
    int64_t end_us = 0;

    while (PQisBusy(c->pg)) {
        struct pollfd p[] = {{.fd = PQsocket(c->pg), .events = POLLIN},
                             {.fd = end_us ? -1 : cancel_fd(c->run->cancel), .events = POLLIN}};
        int64_t left_ms = end_us ? (end_us - clock_monotonic_us()) / 1000 : 60000;

        if (left_ms <= 0)
            return cancel_check(c->run->cancel, err);
        poll(p, 2, (int)left_ms);
        if (p[1].revents)
            end_us = clock_monotonic_us() + COMMIT_GRACE_US;
        if (p[0].revents && !PQconsumeInput(c->pg))
            return postgres_fail(c, NULL, "committing", err);
        (void)PQisBusy(c->pg);
        postgres_drain(c);
    }
    return 0;
}

static int commit(struct postgres_conn *c, const char *sql, struct error *err)
{
    CLEANUP(postgres_clear) PGresult *result = NULL;
    int rc;

    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    cancel_unwatch(&c->watch);
    if (!PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0))
        rc = postgres_fail(c, NULL, "committing", err);
    else
        rc = wait_for_commit(c, err);
    if (rc == 0) {
        result = postgres_next_result(c);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            rc = postgres_fail(c, result, "committing", err);
        /* A failed transaction answers COMMIT with ROLLBACK. */
        else if (strcmp(PQcmdStatus(result), "COMMIT") != 0)
            rc = error_set(err, ERR_INTERNAL, "%s: the transaction had failed before its COMMIT",
                           c->server_name);
        for (PGresult *more = postgres_next_result(c); more; more = postgres_next_result(c))
            PQclear(more);
    }
    cancel_watch_socket(c->run->cancel, &c->watch, PQsocket(c->pg));
    return rc;
}

static int exec(struct sql_conn *conn, const char *sql, const struct sql_value *params, size_t n,
                int64_t *out_changed, struct error *err)
{
    struct postgres_conn *c = (struct postgres_conn *)conn;
    CLEANUP(postgres_clear) PGresult *result = NULL;
    const char *changed;

    *out_changed = 0;
    if (finish_copy(c, sql, err) < 0)
        return -1;
    if (strcmp(sql, conn->dialect->commit) == 0)
        return commit(c, sql, err);
    if (postgres_query(c, sql, params, n, false, &result, err) < 0)
        return -1;
    changed = PQcmdTuples(result);
    if (*changed && !text_to_int64(changed, strlen(changed), out_changed))
        return error_set(err, ERR_INTERNAL, "%s: \"%s\" is no number of rows", c->server_name,
                         changed);
    return 0;
}

/* A column of a result in text format. */
static struct sql_value read_value(const PGresult *r, int row, int column)
{
    const char *text = PQgetvalue(r, row, column);
    size_t len = (size_t)PQgetlength(r, row, column);
    int64_t number;

    if (PQgetisnull(r, row, column))
        return (struct sql_value){.kind = SQL_NULL};
    switch (PQftype(r, column)) {
    case POSTGRES_BOOL:
        return sql_int(*text == 't');
    case POSTGRES_INT2:
    case POSTGRES_INT4:
    case POSTGRES_INT8:
        if (text_to_int64(text, len, &number))
            return sql_int(number);
        break;
    default:
        break;
    }
    return (struct sql_value){.kind = SQL_TEXT, .bytes = {text, len}};
}

static int give_row(const PGresult *r, struct sql_value *row, size_t width, sql_row_fn *each,
                    void *arg, struct error *err)
{
    for (int i = 0; i < PQntuples(r); i++) {
        for (size_t j = 0; j < width; j++)
            row[j] = read_value(r, i, (int)j);
        if (each(arg, row, width, err) < 0)
            return -1;
    }
    return 0;
}

/* Row by row: however large a result is, one row of it is held. */
static int query(struct sql_conn *conn, const char *sql, const struct sql_value *params, size_t n,
                 sql_row_fn *each, void *arg, struct error *err)
{
    struct postgres_conn *c = (struct postgres_conn *)conn;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(free_cleanup) struct sql_value *row = NULL;
    struct postgres_params p;
    size_t width = 0;
    int rc = 0;

    if (cancel_check(c->run->cancel, err) < 0 || finish_copy(c, sql, err) < 0)
        return -1;
    postgres_bind(mem, params, n, &p);
    if (!PQsendQueryParams(c->pg, sql, (int)n, p.types, p.values, p.lengths, p.formats, 0) ||
        !PQsetSingleRowMode(c->pg))
        return postgres_fail(c, NULL, "the statement failed", err);
    for (;;) {
        CLEANUP(postgres_clear) PGresult *r = postgres_next_result(c);

        if (!r)
            return rc;
        if (rc < 0)
            continue;
        if (!row) {
            width = (size_t)PQnfields(r);
            row = xalloc((width + 1) * sizeof *row);
        }
        if (!postgres_is_good(r))
            rc = postgres_fail(c, r, "the statement failed", err);
        else if (give_row(r, row, width, each, arg, err) < 0)
            rc = -1;
        if (rc < 0 && postgres_is_good(r)) {
            postgres_stop(c);
            return -1;
        }
    }
}

/* ------------------------------------------------------------- destinations */

static int find_schema(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    bool *found = arg;

    (void)row;
    (void)n;
    (void)err;
    *found = true;
    return 0;
}

/* IF NOT EXISTS would ask for the right to create even where there is nothing to create. */
static int make_schema(struct postgres_conn *c, const char *schema, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(1024);
    struct sql_value name = sql_text(schema);
    bool found = false;
    int64_t ignored;

    if (query(&c->base, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", &name, 1,
              find_schema, &found, err) < 0)
        return -1;
    if (found)
        return 0;
    buf_puts(&sql, "CREATE SCHEMA IF NOT EXISTS ");
    sql_put_name(c->base.dialect, schema, &sql);
    if (exec(&c->base, buf_str(&sql), NULL, 0, &ignored, err) < 0)
        return error_wrap(err, "creating schema \"%s\"", schema);
    return 0;
}

/* A session whose unqualified names are those of the schema. */
static int open_session(const struct postgres_destination *to, struct run *run,
                        struct postgres_conn **out, struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(512);
    struct sql_value value;
    struct postgres_conn *c;
    int64_t ignored;

    if (postgres_connect(&to->server, false, run, &c, err) < 0)
        return -1;
    c->base.driver = &postgres_driver;
    c->short_copies = to->statement_timeout_s > 0;
    sql_put_name(c->base.dialect, to->schema, &path);
    value = sql_text(buf_str(&path));
    if (exec(&c->base, "SELECT pg_catalog.set_config('search_path', $1, false)", &value, 1,
             &ignored, err) < 0) {
        postgres_disconnect(c);
        return -1;
    }
    *out = c;
    return 0;
}

static int open_destination(const void *config, struct run *run, struct sql_conn **out,
                            struct error *err)
{
    const struct postgres_destination *to = config;
    struct postgres_conn *c;

    if (open_session(to, run, &c, err) < 0)
        return -1;
    if (make_schema(c, to->schema, err) < 0) {
        postgres_disconnect(c);
        return -1;
    }
    *out = &c->base;
    return 0;
}

static void close_conn(struct sql_conn *conn)
{
    struct postgres_conn *c = (struct postgres_conn *)conn;

    if (c->copy)
        postgres_copy_abandon(c);
    postgres_disconnect(c);
}

const struct sql_driver postgres_driver = {
    .open = open_destination,
    .exec = exec,
    .query = query,
    .bulk = postgres_bulk,
    .close = close_conn,
};

/* Creates what a run would create and takes it back. */
static const char *const trials[] = {
    "CREATE TABLE _connectord_check_0 (a bigint)",
    "CREATE TEMPORARY TABLE _connectord_check_1 (a bigint)",
    "DROP TABLE _connectord_check_0",
};

int postgres_check_writable(const struct postgres_destination *to, struct run *run,
                            struct error *err)
{
    struct postgres_conn *c;
    int rc;

    if (open_session(to, run, &c, err) < 0)
        return -1;
    rc = sql_exec(&c->base, c->base.dialect->begin, err);
    if (rc == 0)
        rc = make_schema(c, to->schema, err);
    for (size_t i = 0; rc == 0 && i < sizeof trials / sizeof trials[0]; i++)
        rc = sql_exec(&c->base, trials[i], err);
    postgres_disconnect(c); /* the transaction ends with its connection */
    return rc;
}

/*
 * The MariaDB and MySQL source: one session that can only read. Everything is read in one
 * consistent snapshot of InnoDB. What a stream has locked against DDL is let go when the stream
 * ends, not at the end of the run.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "connectors/base/clock.h"
#include "connectors/sql/mysql_source.h"

/* 0000-01-01 and 9999-12-31: what a date of the server can be. */
#define FIRST_DAY (-719528)
#define LAST_DAY  2932896

/* A key of text is sorted by all of its weights, not by the first kilobyte; an idle transaction is
 * one whose destination is slow. */
#define SESSION "SET max_sort_length = 8192"
#define SESSION_MARIADB \
    SESSION ", idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0"
/* What information_schema says of AUTO_INCREMENT is the present, not what was true yesterday. */
#define SESSION_MYSQL SESSION ", information_schema_stats_expiry = 0"
#define MYSQL_8       80000
#define MARIADB_10_3  100300

static int run_plain(struct mysql_conn *c, const char *sql, const char *what, struct error *err)
{
    return mysql_real_query(c->my, sql, strlen(sql)) == 0 ? 0 : mysql_fail(c, NULL, what, err);
}

static int take_blind(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    bool *blind = arg;

    (void)n;
    (void)err;
    *blind |= row[1].bytes.len != 3 || memcmp(row[1].bytes.ptr, "OFF", 3) != 0;
    return 0;
}

static int set_session(struct mysql_reader *r, struct error *err)
{
    struct mysql_conn *c = r->conn;
    const char *sql = SESSION;

    if (c->is_mariadb && c->version >= MARIADB_10_3)
        sql = SESSION_MARIADB;
    else if (!c->is_mariadb && c->version >= MYSQL_8)
        sql = SESSION_MYSQL;
    if (run_plain(c, sql, "preparing the session", err) < 0)
        return -1;
    /* What replication brings is stamped by another clock and seen by no list of ours. */
    return mysql_driver.query(&c->base,
                              "SHOW VARIABLES WHERE variable_name IN ('read_only', 'wsrep_on')",
                              NULL, 0, take_blind, &r->blind, err);
}

static void close_reader(struct sql_reader *base)
{
    struct mysql_reader *r = (struct mysql_reader *)base;

    mysql_disconnect(r->conn);
    free(r);
}

static int open_reader(const void *config, struct run *run, struct sql_reader **out,
                       struct error *err)
{
    const struct mysql_source *from = config;
    struct mysql_reader *r = xalloc(sizeof *r);

    r->base = (struct sql_reader){&mysql_source_driver, &sql_mysql, run};
    r->config = from;
    if (mysql_connect_to(&from->server, true, run, &r->conn, err) < 0) {
        free(r);
        return -1;
    }
    if (set_session(r, err) < 0) {
        close_reader(&r->base);
        return -1;
    }
    *out = &r->base;
    return 0;
}

static int snapshot(struct sql_reader *base, struct error *err)
{
    struct mysql_reader *r = (struct mysql_reader *)base;

    if (run_plain(r->conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                  "beginning to read", err) < 0 ||
        run_plain(r->conn, "SAVEPOINT connectord", "beginning to read", err) < 0)
        return -1;
    r->in_snapshot = true;
    return 0;
}

/* ------------------------------------------------------------------- parameters */

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
    if (v < min)
        return min;
    return v > max ? max : v;
}

/* A cursor value as the server writes it: it compares as a date or timestamp, and an index serves.
 */
static struct sql_value as_text(const struct sql_value *v, struct arena *mem)
{
    char text[VALUE_TEXT_BYTES];
    enum type type = v->type->type;
    size_t n;

    if (type == TYPE_DATE)
        n = value_format_date(clamp(v->number, FIRST_DAY, LAST_DAY), text);
    else if (type == TYPE_TIME)
        n = value_format_time(v->number, text);
    else if (type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ) /* the session is in UTC */
        n = value_format_timestamp(
            clamp(v->number, FIRST_DAY * VALUE_US_PER_DAY, (LAST_DAY + 1) * VALUE_US_PER_DAY - 1),
            text);
    else
        return *v;
    return (struct sql_value){.kind = SQL_TEXT, .bytes = {arena_memdup(mem, text, n), n}};
}

static struct sql_value typed(const struct sql_value *v, struct arena *mem)
{
    struct sql_value out = *v;

    if (v->type && v->kind == SQL_INT)
        return as_text(v, mem);
    /* A float of 32 bits is compared as the double that it is. */
    if (v->type && v->kind == SQL_REAL && v->type->bits == 32 && fabs(v->real) <= (double)FLT_MAX)
        out.real = (double)(float)v->real;
    return out;
}

int mysql_start_typed(struct mysql_conn *c, const char *sql, const struct sql_value *params,
                      size_t n, struct arena *mem, MYSQL_STMT **out, struct error *err)
{
    struct sql_value *copy = arena_array(mem, n + 1, sizeof *copy);

    for (size_t i = 0; i < n; i++)
        copy[i] = typed(&params[i], mem);
    return mysql_start(c, sql, copy, n, out, err);
}

/* ---------------------------------------------------------------------- numbers */

static int number(struct sql_reader *base, const char *sql, const struct sql_value *params,
                  size_t n, int64_t *out, bool *out_null, struct error *err)
{
    struct mysql_conn *c = ((struct mysql_reader *)base)->conn;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(mysql_stmt_cleanup) MYSQL_STMT *stmt = NULL;
    CLEANUP(mysql_rows_cleanup) struct mysql_rows *rows = NULL;
    enum mysql_number kind = MYSQL_NUMBER_NULL;
    int rc;

    *out = 0;
    if (mysql_start_typed(c, sql, params, n, mem, &stmt, err) < 0 ||
        mysql_rows_open(c, stmt, &rows, err) < 0)
        return -1;
    rc = mysql_rows_next(rows, err);
    if (rc < 0 || (rc > 0 && mysql_rows_number(rows, 0, TYPE_COUNT, out, &kind, err) < 0))
        return -1;
    *out_null = kind == MYSQL_NUMBER_NULL;
    return 0;
}

/* The counter of AUTO_INCREMENT: before MySQL 8 a restart may make it smaller. */
static int last_number(struct sql_reader *base, const char *schema, const char *table,
                       const char *column, int64_t *out, bool *out_known, struct error *err)
{
    const struct mysql_reader *r = (struct mysql_reader *)base;
    const char *database = *schema ? schema : r->config->database;
    const struct sql_value params[] = {sql_text(database), sql_text(table), sql_text(database),
                                       sql_text(table), sql_text(column)};
    bool is_null = true;

    *out_known = false;
    if (!r->conn->is_mariadb && r->conn->version < MYSQL_8)
        return 0;
    if (number(base,
               "SELECT cast(t.auto_increment - 1 AS signed) FROM information_schema.tables AS t"
               " WHERE t.table_schema = ? AND t.table_name = ? AND t.engine = 'InnoDB'"
               " AND t.auto_increment IS NOT NULL AND t.auto_increment <= 9223372036854775807"
               " AND EXISTS (SELECT 1 FROM information_schema.columns AS c"
               " WHERE c.table_schema = ? AND c.table_name = ? AND c.column_name = ?"
               " AND c.extra LIKE '%auto_increment%')",
               params, 5, out, &is_null, err) < 0)
        return -1;
    *out_known = !is_null;
    return 0;
}

const struct sql_source_driver mysql_source_driver = {
    .open = open_reader,
    .discover = mysql_discover,
    .moment = mysql_moment,
    .snapshot = snapshot,
    .number = number,
    .last_number = last_number,
    .count_columns = "SELECT count(*) FROM information_schema.columns"
                     " WHERE table_schema = coalesce(nullif(?, ''), database())"
                     " AND table_name = ? AND find_in_set('select', privileges) > 0",
    .select = mysql_scan_select,
    .fetch = mysql_scan_fetch,
    .put_key = mysql_scan_put_key,
    .end = mysql_scan_end,
    .close = close_reader,
};

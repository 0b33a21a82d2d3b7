/* Connecting to MariaDB: TLS, errors and their classes, values through statements, cancellation. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/sql/mysql.h"
#include "tests/support/databases.h"

static struct arena *mem;
static struct cancel *cancel;
static struct run run;
static const char *database;
static struct mysql_destination to;

static void setup(void)
{
    struct error err = ERROR_INIT;

    mem = arena_new();
    cr_assert_eq(cancel_new(&cancel, &err), 0);
    run = (struct run){.mem = mem, .cancel = cancel};
    database = databases_new(DATABASE_MYSQL, mem);
    to = (struct mysql_destination){
        .host = "127.0.0.1",
        .port = databases_port(DATABASE_MYSQL),
        .database = database,
        .username = DATABASES_USER,
        .password = DATABASES_PASSWORD,
        .ssl_mode = "disable",
        .connect_timeout_s = 10,
        .load = "auto",
    };
}

static void teardown(void)
{
    cancel_free(cancel);
    arena_free(mem);
}

TestSuite(mysql_connect, .init = setup, .fini = teardown);

static struct sql_conn *open_it(void)
{
    struct error err = ERROR_INIT;
    struct sql_conn *c = NULL;

    cr_assert_eq(mysql_driver.open(&to, &run, &c, &err), 0, "%s", err.message);
    return c;
}

static void run_sql(struct sql_conn *c, const char *sql)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(sql_exec(c, sql, &err), 0, "%s: %s", sql, err.message);
}

static int64_t ask_int(struct sql_conn *c, const char *sql)
{
    struct error err = ERROR_INIT;
    int64_t n;

    cr_assert_eq(sql_query_int(c, sql, &n, &err), 0, "%s: %s", sql, err.message);
    return n;
}

struct first {
    const char *text;
    size_t rows;
};

static int take(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    struct first *f = arg;

    (void)n;
    (void)err;
    f->text = sql_value_text(mem, &row[0]);
    f->rows++;
    return 0;
}

static const char *ask(struct sql_conn *c, const char *sql)
{
    struct error err = ERROR_INIT;
    struct first f = {0};

    cr_assert_eq(c->driver->query(c, sql, NULL, 0, take, &f, &err), 0, "%s: %s", sql, err.message);
    return f.text;
}

Test(mysql_connect, session_is_ours)
{
    struct sql_conn *c = open_it();

    cr_expect_str_eq(ask(c, "SELECT @@time_zone"), "+00:00");
    cr_expect_str_eq(ask(c, "SELECT @@character_set_client"), "utf8mb4");
    cr_expect_str_eq(ask(c, "SELECT @@tx_isolation"), "REPEATABLE-READ");
    cr_expect(strstr(ask(c, "SELECT @@sql_mode"), "NO_BACKSLASH_ESCAPES"));
    cr_expect_str_eq(ask(c, "SELECT attr_value FROM performance_schema.session_connect_attrs"
                            " WHERE attr_name = 'program_name'"
                            " UNION ALL SELECT 'connectord' LIMIT 1"),
                     "connectord");
    c->driver->close(c);
}

Test(mysql_connect, statements_with_and_without_parameters)
{
    struct sql_conn *c = open_it();
    struct error err = ERROR_INIT;
    struct sql_value row[3] = {
        sql_int(-7), sql_text("it's \\ \xF0\x9F\x98\x80"), {.kind = SQL_NULL}};
    struct first f = {0};
    int64_t n = 0;

    run_sql(c, "CREATE TABLE t (i bigint, s longtext, x double)");
    run_sql(c, "START TRANSACTION");
    run_sql(c, "SAVEPOINT a");
    cr_assert_eq(c->driver->exec(c, "INSERT INTO t VALUES (?, ?, ?)", row, 3, &n, &err), 0, "%s",
                 err.message);
    cr_expect_eq(n, 1);
    /* The same values again: one row is found, none is changed. */
    cr_assert_eq(c->driver->exec(c, "UPDATE t SET i = ?", row, 1, &n, &err), 0, "%s", err.message);
    cr_expect_eq(n, 1);
    run_sql(c, "RELEASE SAVEPOINT a");
    run_sql(c, "COMMIT");
    cr_expect_eq(ask_int(c, "SELECT i FROM t"), -7);
    cr_assert_eq(c->driver->query(c, "SELECT s FROM t WHERE i = ?", row, 1, take, &f, &err), 0,
                 "%s", err.message);
    cr_expect_eq(f.rows, 1);
    cr_expect_str_eq(f.text, "it's \\ \xF0\x9F\x98\x80");
    c->driver->close(c);
}

/* Connecting to MariaDB: TLS, errors and their classes, values through statements, cancellation. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "tests/support/fake_mysql.h"
#include "tests/support/mysql_fixture.h"

static struct mysql_fixture f;

static void setup(void)
{
    mysql_fixture_init(&f);
}

static void teardown(void)
{
    mysql_fixture_release(&f);
}

TestSuite(mysql_connect, .init = setup, .fini = teardown);

/* Fails to open; *out_ms is how long that took. */
static struct error fail_to_open(int64_t *out_ms)
{
    struct error err = ERROR_INIT;
    int64_t began = clock_monotonic_us();

    cr_assert_eq(mysql_driver.open(&f.to, &f.run, &f.conn, &err), -1, "it connects");
    *out_ms = (clock_monotonic_us() - began) / 1000;
    return err;
}

static void expect_refused(enum error_code code, const char *reason)
{
    int64_t ms;
    struct error err = fail_to_open(&ms);

    cr_expect_eq(err.code, code, "%s: %s", error_code_name(err.code), err.message);
    cr_expect_str_eq(error_reason(&err), reason, "%s", err.message);
    cr_expect_not(strstr(err.message, DATABASES_PASSWORD));
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = arena_alloc(f.mem, 65536);

    cr_assert(file);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    fclose(file);
    return text;
}

/* ---------------------------------------------------------------------- the session */

Test(mysql_connect, session_is_ours)
{
    mysql_fixture_open(&f);
    cr_expect_str_eq(mysql_fixture_text(&f, "SELECT @@time_zone"), "+00:00");
    cr_expect_str_eq(mysql_fixture_text(&f, "SELECT @@character_set_client"), "utf8mb4");
    cr_expect_str_eq(mysql_fixture_text(&f, "SELECT @@tx_isolation"), "REPEATABLE-READ");
    cr_expect_str_eq(mysql_fixture_text(&f, "SELECT @@sql_select_limit"), "18446744073709551615");
    cr_expect_eq(mysql_fixture_int(&f, "SELECT @@innodb_lock_wait_timeout"), 30);
    cr_expect(strstr(mysql_fixture_text(&f, "SELECT @@sql_mode"), "NO_BACKSLASH_ESCAPES"));
    cr_expect(strstr(mysql_fixture_text(&f, "SELECT @@sql_mode"), "STRICT_ALL_TABLES"));
}

Test(mysql_connect, a_statement_has_a_time_limit)
{
    struct error err = ERROR_INIT;
    int64_t n;

    f.to.statement_timeout_s = 1;
    mysql_fixture_open(&f);
    cr_expect_eq(sql_query_int(f.conn,
                               "SELECT count(*) FROM seq_1_to_900000000 WHERE md5(seq) = 'x'", &n,
                               &err),
                 -1);
    cr_expect_str_eq(error_reason(&err), "statement_timeout", "%s", err.message);
    cr_expect_eq(err.code, ERR_TRANSIENT);
}

Test(mysql_connect, the_environment_is_not_asked)
{
    setenv("MYSQL_PWD", DATABASES_PASSWORD, 1);
    setenv("MYSQL_HOST", "127.0.0.1", 1);
    setenv("MYSQL_TCP_PORT", arena_printf(f.mem, "%lld", (long long)f.to.port), 1);
    f.to.password = NULL;
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
}

/* --------------------------------------------------------------- statements and values */

static int take(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    struct sql_value *out = arg;

    (void)err;
    for (size_t i = 0; i < n; i++) {
        out[i] = row[i];
        if (row[i].kind == SQL_TEXT || row[i].kind == SQL_BLOB)
            out[i].bytes.ptr = arena_memdup(f.mem, row[i].bytes.ptr, row[i].bytes.len);
    }
    return 0;
}

Test(mysql_connect, statements_with_and_without_parameters)
{
    struct error err = ERROR_INIT;
    struct sql_value row[] = {sql_int(INT64_MIN),
                              sql_text("it's \\ \xF0\x9F\x98\x80"),
                              {.kind = SQL_NULL},
                              {.kind = SQL_REAL, .real = 0.1},
                              {.kind = SQL_BLOB, .bytes = {"a\0\xff", 3}}};
    struct sql_value got[5];
    int64_t n = 0;

    mysql_fixture_open(&f);
    mysql_fixture_run(&f, "CREATE TABLE t (i bigint, s longtext, x double, d double, b longblob)");
    mysql_fixture_run(&f, "START TRANSACTION");
    mysql_fixture_run(&f, "SAVEPOINT a");
    cr_assert_eq(
        f.conn->driver->exec(f.conn, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", row, 5, &n, &err), 0,
        "%s", err.message);
    cr_expect_eq(n, 1);
    /* The same value again: one row is found, none is changed. */
    cr_assert_eq(f.conn->driver->exec(f.conn, "UPDATE t SET i = ?", row, 1, &n, &err), 0, "%s",
                 err.message);
    cr_expect_eq(n, 1);
    mysql_fixture_run(&f, "RELEASE SAVEPOINT a");
    mysql_fixture_run(&f, "COMMIT");
    for (size_t params = 0; params < 2; params++) {
        cr_assert_eq(f.conn->driver->query(
                         f.conn, params ? "SELECT * FROM t WHERE i = ?" : "SELECT * FROM t", row,
                         params, take, got, &err),
                     0, "%s", err.message);
        cr_expect(got[0].kind == SQL_INT && got[0].number == INT64_MIN);
        cr_expect(got[1].kind == SQL_TEXT && got[1].bytes.len == row[1].bytes.len &&
                  memcmp(got[1].bytes.ptr, row[1].bytes.ptr, got[1].bytes.len) == 0);
        cr_expect_eq(got[2].kind, SQL_NULL);
        cr_expect(got[3].kind == SQL_REAL && got[3].real == 0.1);
        cr_expect(got[4].kind == SQL_BLOB && got[4].bytes.len == 3 &&
                  memcmp(got[4].bytes.ptr, "a\0\xff", 3) == 0);
    }
}

static int count_long(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    (void)n;
    (void)err;
    *(int64_t *)arg += row[0].bytes.len == (size_t)row[1].number;
    return 0;
}

Test(mysql_connect, long_cells_of_prepared_statements)
{
    struct sql_value one = sql_int(1);
    struct error err = ERROR_INIT;
    int64_t right = 0;

    mysql_fixture_open(&f);
    cr_assert_eq(f.conn->driver->query(f.conn,
                                       "SELECT repeat('x', seq * seq), seq * seq FROM seq_1_to_500"
                                       " WHERE ? = 1 ORDER BY seq % 7",
                                       &one, 1, count_long, &right, &err),
                 0, "%s", err.message);
    cr_expect_eq(right, 500);
}

/* ------------------------------------------------------------------- what goes wrong */

Test(mysql_connect, wrong_password)
{
    f.to.password = "not this one";
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
}

Test(mysql_connect, unknown_user)
{
    f.to.username = "nobody_there";
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
}

Test(mysql_connect, database_missing)
{
    f.to.database = "no_such_database";
    expect_refused(ERR_CONFIG, "database_missing");
}

Test(mysql_connect, nobody_listens)
{
    f.to.port = 1;
    expect_refused(ERR_TRANSIENT, "host_unreachable");
}

Test(mysql_connect, host_that_is_none)
{
    const char *const hosts[] = {"",    "a;b",    "mariadb://x",   "127.0.0.1,127.0.0.1",
                                 "a b", "/tmp/x", "host=127.0.0.1"};

    f.to.host = "no-such-host.invalid";
    expect_refused(ERR_CONFIG, "host_unknown");
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        f.to.host = hosts[i];
        expect_refused(ERR_CONFIG, "host_invalid");
    }
}

struct failing {
    const char *sql, *reason;
    enum error_code code;
};

static void expect_failure(const struct failing *c)
{
    struct error err = ERROR_INIT;

    cr_expect_eq(sql_exec(f.conn, c->sql, &err), -1, "%s", c->sql);
    cr_expect_eq(err.code, c->code, "%s: %s: %s", c->sql, error_code_name(err.code), err.message);
    cr_expect_str_eq(error_reason(&err), c->reason, "%s: %s", c->sql, err.message);
}

Test(mysql_connect, statements_that_fail)
{
    const struct failing failing[] = {
        {"SELECT * FROM missing", "table_missing", ERR_SCHEMA},
        {"SELECT missing FROM t", "column_missing", ERR_SCHEMA},
        {"SELEKT 1", "sql_error", ERR_SCHEMA},
        {"SELECT 1; SELECT 2", "sql_error", ERR_SCHEMA}, /* one statement only */
        {"INSERT INTO t VALUES (5)", "constraint", ERR_DATA},
        {"INSERT INTO t VALUES (NULL)", "constraint", ERR_DATA},
        {"INSERT INTO t VALUES (300)", "value_rejected", ERR_DATA},
        {"KILL QUERY connection_id()", "admin_shutdown", ERR_TRANSIENT},
        {"CREATE TABLE t (x int)", "table_exists", ERR_CONFLICT},
        {"CREATE TABLE u (x varchar(4000) CHARACTER SET utf8mb4 PRIMARY KEY)", "key_too_long",
         ERR_SCHEMA},
    };

    mysql_fixture_open(&f);
    mysql_fixture_run(&f, "CREATE TABLE t (n tinyint PRIMARY KEY)");
    mysql_fixture_run(&f, "INSERT INTO t VALUES (5)");
    for (size_t i = 0; i < sizeof failing / sizeof *failing; i++)
        expect_failure(&failing[i]);
    cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM t"), 1);
}

Test(mysql_connect, no_rights)
{
    const char *user = arena_printf(f.mem, "u%s", f.database);

    databases_run(DATABASE_MYSQL, f.database,
                  arena_printf(f.mem,
                               "CREATE TABLE t (x int); CREATE TABLE hidden (x int);"
                               " CREATE USER '%.30s'@'%%' IDENTIFIED BY 'x';"
                               " GRANT SELECT ON `%s`.t TO '%.30s'@'%%'",
                               user, f.database, user));
    f.to.username = arena_printf(f.mem, "%.30s", user);
    f.to.password = "x";
    mysql_fixture_open(&f);
    expect_failure(
        &(struct failing){"INSERT INTO t VALUES (1)", "permission_denied", ERR_PERMISSION});
    expect_failure(&(struct failing){"SELECT * FROM hidden", "permission_denied", ERR_PERMISSION});
    expect_failure(
        &(struct failing){"CREATE TABLE n (x int)", "permission_denied", ERR_PERMISSION});
    mysql_fixture_close(&f);
    f.to.database = "mysql";
    expect_refused(ERR_PERMISSION, "permission_denied");
    databases_run(DATABASE_MYSQL, f.database, arena_printf(f.mem, "DROP USER '%.30s'@'%%'", user));
}

Test(mysql_connect, locks)
{
    struct error err = ERROR_INIT;
    struct sql_conn *other;

    mysql_fixture_open(&f);
    mysql_fixture_run(&f, "CREATE TABLE t (n int PRIMARY KEY, x int)");
    mysql_fixture_run(&f, "INSERT INTO t VALUES (1, 0), (2, 0)");
    cr_assert_eq(mysql_driver.open(&f.to, &f.run, &other, &err), 0);
    mysql_fixture_run(&f, "START TRANSACTION");
    mysql_fixture_run(&f, "UPDATE t SET x = 1 WHERE n = 1");
    cr_assert_eq(sql_exec(other, "SET innodb_lock_wait_timeout = 1", &err), 0);
    cr_expect_eq(sql_exec(other, "UPDATE t SET x = 2 WHERE n = 1", &err), -1);
    cr_expect_eq(err.code, ERR_CONTENTION);
    cr_expect_str_eq(error_reason(&err), "lock_timeout");
    other->driver->close(other);
}

/* Two sessions, each holding what the other wants. */
static void *cross(void *arg)
{
    struct sql_conn *other = arg;
    struct error err = ERROR_INIT;

    (void)!sql_exec(other, "UPDATE t SET x = 2 WHERE n = 1", &err);
    return err.code == ERR_CONTENTION && strcmp(error_reason(&err), "deadlock") == 0 ? other : NULL;
}

Test(mysql_connect, deadlock)
{
    struct error err = ERROR_INIT;
    struct sql_conn *other;
    pthread_t thread;
    void *other_lost;
    bool this_lost;

    mysql_fixture_open(&f);
    mysql_fixture_run(&f, "CREATE TABLE t (n int PRIMARY KEY, x int)");
    mysql_fixture_run(&f, "INSERT INTO t VALUES (1, 0), (2, 0)");
    cr_assert_eq(mysql_driver.open(&f.to, &f.run, &other, &err), 0);
    mysql_fixture_run(&f, "START TRANSACTION");
    mysql_fixture_run(&f, "UPDATE t SET x = 1 WHERE n = 1");
    cr_assert_eq(sql_exec(other, "START TRANSACTION", &err), 0);
    cr_assert_eq(sql_exec(other, "UPDATE t SET x = 2 WHERE n = 2", &err), 0);
    pthread_create(&thread, NULL, cross, other);
    usleep(300000);
    this_lost = sql_exec(f.conn, "UPDATE t SET x = 1 WHERE n = 2", &err) < 0 &&
                err.code == ERR_CONTENTION && strcmp(error_reason(&err), "deadlock") == 0;
    pthread_join(thread, &other_lost);
    cr_expect_neq(this_lost, other_lost != NULL, "exactly one loses: %s", err.message);
    other->driver->close(other);
}

Test(mysql_connect, killed_by_an_administrator)
{
    mysql_fixture_open(&f);
    databases_run(DATABASE_MYSQL, f.database,
                  arena_printf(f.mem, "KILL %lld",
                               (long long)mysql_fixture_int(&f, "SELECT connection_id()")));
    expect_failure(&(struct failing){"SELECT 1", "connection_lost", ERR_TRANSIENT});
}

Test(mysql_connect, a_read_only_session_writes_nothing)
{
    mysql_fixture_open(&f);
    mysql_fixture_run(&f, "CREATE TABLE t (x int)");
    mysql_fixture_run(&f, "START TRANSACTION READ ONLY");
    expect_failure(&(struct failing){"INSERT INTO t VALUES (1)", "read_only", ERR_PERMISSION});
}

/* ------------------------------------------------------------------------------- TLS */

Test(mysql_connect, every_way_of_tls_that_is_right)
{
    const char *pem = read_file(databases_certificate(DATABASE_MYSQL, f.mem));
    const struct {
        const char *mode, *host, *root;
    } ways[] = {
        {"require", "127.0.0.1", NULL},    {"verify-ca", "127.0.0.1", pem},
        {"verify-ca", "127.1", pem}, /* a name that the certificate does not have */
        {"verify-full", "127.0.0.1", pem}, {"verify-full", "localhost", pem},
    };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        f.to.ssl_mode = ways[i].mode;
        f.to.host = ways[i].host;
        f.to.ssl_root_cert = ways[i].root;
        mysql_fixture_open(&f);
        cr_expect_neq(strlen(mysql_fixture_text(&f, "SELECT variable_value FROM"
                                                    " information_schema.session_status"
                                                    " WHERE variable_name = 'Ssl_cipher'")),
                      0, "%s %s", ways[i].mode, ways[i].host);
        mysql_fixture_close(&f);
    }
}

/* Signed by itself, for nobody. */
static const char *other_certificate(void)
{
    char folder[] = "/tmp/connectord-test-XXXXXX", *text;
    const char *command;

    cr_assert(mkdtemp(folder));
    command = arena_printf(f.mem,
                           "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other"
                           " -keyout %s/key -out %s/crt 2>/dev/null",
                           folder, folder);
    cr_assert_eq(system(command), 0);
    text = read_file(arena_printf(f.mem, "%s/crt", folder));
    cr_assert_eq(system(arena_printf(f.mem, "rm -r %s", folder)), 0);
    return text;
}

Test(mysql_connect, every_way_of_tls_that_is_wrong)
{
    const char *pem = read_file(databases_certificate(DATABASE_MYSQL, f.mem));
    const char *other = other_certificate();

    f.to.ssl_mode = "verify-full";
    f.to.host = "127.1"; /* the same machine under a name that is not in the certificate */
    f.to.ssl_root_cert = pem;
    expect_refused(ERR_CONFIG, "tls_failed");
    f.to.host = "127.0.0.1";
    for (size_t i = 0; i < 2; i++) {
        f.to.ssl_mode = i ? "verify-full" : "verify-ca";
        f.to.ssl_root_cert = other;
        expect_refused(ERR_CONFIG, "tls_failed");
        f.to.ssl_root_cert = NULL; /* those of the system did not sign it */
        expect_refused(ERR_CONFIG, "tls_failed");
        f.to.ssl_root_cert = "no certificate at all";
        expect_refused(ERR_CONFIG, "tls_failed");
    }
}

Test(mysql_connect, without_tls_nothing_secret_goes_out)
{
    const char *const modes[] = {"require", "verify-ca", "verify-full"};

    for (size_t i = 0; i < 3; i++) {
        struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_ANSWERS);

        f.to.port = fake_mysql_port(s);
        f.to.ssl_mode = modes[i];
        expect_refused(ERR_CONFIG, "tls_failed");
        cr_expect_eq(fake_mysql_received(s), 0, "%s", modes[i]);
        fake_mysql_stop(s);
    }
}

Test(mysql_connect, no_password_in_clear)
{
    struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_ASKS_PASSWORD);

    f.to.port = fake_mysql_port(s);
    expect_refused(ERR_UNAUTHORIZED, "insecure_auth");
    cr_expect(fake_mysql_saw(s, DATABASES_USER, strlen(DATABASES_USER)));
    cr_expect_not(fake_mysql_saw(s, DATABASES_PASSWORD, strlen(DATABASES_PASSWORD)));
    fake_mysql_stop(s);
}

/* ------------------------------------------------------------ a server that wants files */

Test(mysql_connect, a_server_gets_no_file)
{
    struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_ASKS_FILE);
    char got[100];
    int64_t ms;

    f.to.port = fake_mysql_port(s);
    fail_to_open(&ms);
    cr_expect_eq(fake_mysql_wishes(s), 1);
    cr_expect_eq(fake_mysql_file(s, got, sizeof got), 0);
    fake_mysql_stop(s);
}

Test(mysql_connect, a_server_that_wants_a_file_gets_our_rows_alone)
{
    struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_ASKS_FILE_LATE);
    struct error err = ERROR_INIT;
    const struct column column = {.name = "n", .type = {.type = TYPE_INT}, .source_type = ""};
    const struct schema schema = {.columns = &column, .n_columns = 1};
    const struct sql_column to = {.name = "n", .type = {.type = TYPE_INT}};
    const struct sql_table table = {"", "t", &to, 1};
    const struct sql_bulk_column fill = {.fill = SQL_FILL_COLUMN, .type = column.type};
    const struct sql_bulk what = {.into = &table, .fill = &fill};
    struct batch *rows = batch_new(&schema);
    char got[100];
    int64_t n;

    f.to.port = fake_mysql_port(s);
    mysql_fixture_open(&f);
    batch_put_int64(rows, 0, 12345);
    batch_end_row(rows);
    cr_assert_eq(f.conn->driver->bulk(f.conn, &what, rows, &n, &err), 0, "%s", err.message);
    /* The statement that was asked for waits for the rows; the server has them, then asks again. */
    cr_expect_eq(sql_exec(f.conn, "COMMIT", &err), -1);
    cr_expect_geq(fake_mysql_wishes(s), 1);
    n = (int64_t)fake_mysql_file(s, got, sizeof got);
    cr_expect_eq(n, 6);
    cr_expect_eq(memcmp(got, "12345\n", 6), 0);
    err = ERROR_INIT;
    cr_expect_eq(sql_exec(f.conn, "SELECT 1", &err), -1);
    cr_expect_geq(fake_mysql_wishes(s), 2);
    cr_expect_eq(fake_mysql_file(s, got, sizeof got), 0);
    mysql_fixture_close(&f);
    batch_free(rows);
    fake_mysql_stop(s);
}

/* ---------------------------------------------------------------------- cancellation */

static void *cancel_soon(void *arg)
{
    usleep(300000);
    cancel_request(arg, CANCEL_USER);
    return NULL;
}

static void expect_cancelled_open(int64_t at_most_ms)
{
    pthread_t thread;
    struct error err;
    int64_t ms;

    pthread_create(&thread, NULL, cancel_soon, f.cancel);
    err = fail_to_open(&ms);
    pthread_join(thread, NULL);
    cr_expect_eq(err.code, ERR_CANCELLED, "%s", err.message);
    cr_expect_lt(ms, at_most_ms);
}

Test(mysql_connect, a_silent_server_takes_no_longer_than_allowed)
{
    struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_SILENT);
    struct error err;
    int64_t ms;

    f.to.port = fake_mysql_port(s);
    f.to.connect_timeout_s = 1;
    err = fail_to_open(&ms);
    cr_expect_eq(err.code, ERR_TRANSIENT, "%s", err.message);
    cr_expect(ms >= 900 && ms < 4000, "%lld ms", (long long)ms);
    fake_mysql_stop(s);
}

Test(mysql_connect, cancelled_while_the_server_is_silent)
{
    struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_SILENT);

    f.to.port = fake_mysql_port(s);
    f.to.connect_timeout_s = 300;
    expect_cancelled_open(3000);
    fake_mysql_stop(s);
}

Test(mysql_connect, cancelled_during_the_handshake_of_tls)
{
    struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_SILENT_TLS);

    f.to.port = fake_mysql_port(s);
    f.to.ssl_mode = "require";
    f.to.connect_timeout_s = 300;
    expect_cancelled_open(3000);
    fake_mysql_stop(s);
}

/* Whether the server's session `id` goes within some seconds. */
static bool ends_soon(int64_t id)
{
    const char *sql = arena_printf(f.mem,
                                   "SELECT count(*) FROM information_schema.processlist"
                                   " WHERE id = %lld",
                                   (long long)id);

    for (int tries = 0; tries < 100; tries++) {
        if (*databases_ask(DATABASE_MYSQL, f.database, sql, f.mem) == '0')
            return true;
        usleep(50000);
    }
    return false;
}

/* The run is cancelled while a statement runs: the call returns, and closing the connection ends
 * the statement at the server, so that its locks go. */
static void expect_cancelled(const char *sql)
{
    struct error err = ERROR_INIT;
    int64_t began, id = mysql_fixture_int(&f, "SELECT connection_id()");
    pthread_t thread;

    mysql_fixture_run(&f, "START TRANSACTION");
    began = clock_monotonic_us();
    pthread_create(&thread, NULL, cancel_soon, f.cancel);
    cr_expect_eq(sql_exec(f.conn, sql, &err), -1);
    pthread_join(thread, NULL);
    cr_expect_eq(err.code, ERR_CANCELLED, "%s", err.message);
    mysql_fixture_close(&f);
    cr_expect_lt(clock_monotonic_us() - began, 10000000);
    cr_expect(ends_soon(id), "the statement goes on");
}

Test(mysql_connect, cancelled_while_a_statement_runs)
{
    mysql_fixture_open(&f);
    expect_cancelled("SELECT benchmark(100000000000, md5('x'))");
}

Test(mysql_connect, cancelled_while_waiting_for_a_lock)
{
    struct error err = ERROR_INIT;
    struct run other_run = f.run;
    struct sql_conn *other;

    mysql_fixture_open(&f);
    mysql_fixture_run(&f, "CREATE TABLE t (n int PRIMARY KEY, x int)");
    mysql_fixture_run(&f, "INSERT INTO t VALUES (1, 0)");
    cr_assert_eq(cancel_new(&other_run.cancel, &err), 0);
    cr_assert_eq(mysql_driver.open(&f.to, &other_run, &other, &err), 0, "%s", err.message);
    cr_assert_eq(sql_exec(other, "START TRANSACTION", &err), 0);
    cr_assert_eq(sql_exec(other, "UPDATE t SET x = 1", &err), 0);
    expect_cancelled("UPDATE t SET x = 2");
    other->driver->close(other);
    cancel_free(other_run.cancel);
}

/* Whether a commit happened must be known, so its answer is waited for; nothing else's is. */
Test(mysql_connect, a_commit_is_not_interrupted)
{
    const char *const statements[] = {"COMMIT", "SELECT 1"};

    for (size_t i = 0; i < 2; i++) {
        struct fake_mysql *s = fake_mysql_start(FAKE_MYSQL_SLOW);
        struct run real_run = f.run;
        struct error err = ERROR_INIT;
        pthread_t thread;

        cr_assert_eq(cancel_new(&f.run.cancel, &err), 0);
        f.to.port = fake_mysql_port(s);
        mysql_fixture_open(&f);
        pthread_create(&thread, NULL, cancel_soon, f.run.cancel);
        if (i == 0)
            cr_expect_eq(sql_exec(f.conn, statements[i], &err), 0, "%s", err.message);
        else
            cr_expect_eq(sql_exec(f.conn, statements[i], &err), -1);
        cr_expect_eq(err.code, i == 0 ? ERR_NONE : ERR_CANCELLED);
        pthread_join(thread, NULL);
        mysql_fixture_close(&f);
        cancel_free(f.run.cancel);
        f.run = real_run;
        fake_mysql_stop(s);
    }
}

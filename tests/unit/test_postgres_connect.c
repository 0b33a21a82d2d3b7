/* Connecting to PostgreSQL: what libpq is told, TLS, errors and their classes, cancellation. */
#include <criterion/criterion.h>

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/sql/postgres_internal.h"
#include "tests/support/fake_postgres.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/tempdir.h"

static struct postgres_fixture f;

static void setup(void)
{
    postgres_forget_environment(); /* of whoever runs the tests; a missing password is in it */
    postgres_fixture_init(&f);
}

static void teardown(void)
{
    postgres_fixture_release(&f);
}

TestSuite(postgres_connect, .init = setup, .fini = teardown, .timeout = 60);

#define N(array) (sizeof(array) / sizeof(array)[0])

/* Fails to open, and takes no longer than that. */
static struct error fail_to_open(int64_t max_ms)
{
    struct error err = ERROR_INIT;
    int64_t began = clock_monotonic_us(), ms;

    cr_assert_lt(postgres_driver.open(&f.to, &f.run, &f.conn, &err), 0, "it connects");
    ms = (clock_monotonic_us() - began) / 1000;
    cr_expect_leq(ms, max_ms, "%lld ms", (long long)ms);
    cr_expect_not(strstr(err.message, DATABASES_PASSWORD));
    cr_expect_not(strchr(err.message, '\n'));
    return err;
}

static void expect_refused(enum error_code code, const char *reason)
{
    struct error err = fail_to_open(15000);

    cr_expect_eq(err.code, code, "%s: %s", error_code_name(err.code), err.message);
    cr_expect_str_eq(error_reason(&err), reason, "%s: %s", error_reason(&err), err.message);
}

/* The first column of the first row over the driver. */
static int take_text(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    (void)n;
    (void)err;
    *(const char **)arg = sql_value_text(f.mem, &row[0]);
    return 0;
}

static const char *ask_with(const char *sql, const struct sql_value *params, size_t n)
{
    struct error err = ERROR_INIT;
    const char *got = "";

    cr_assert_eq(f.conn->driver->query(f.conn, sql, params, n, take_text, &got, &err), 0, "%s",
                 err.message);
    return got;
}

static const char *ask(const char *sql)
{
    return ask_with(sql, NULL, 0);
}

/* --------------------------------------------------------------- what libpq is told */

/* P1, P2. */
Test(postgres_connect, tells_libpq_this_and_nothing_else)
{
    static const char expected[] =
        "host=db.example.com\nhostaddr=192.0.2.1\nport=5433\ndbname=postgres://elsewhere/\n"
        "user=reader\npassword=secret\npassfile=/nonexistent/postgresql/pgpass\n"
        "connect_timeout=7\nclient_encoding=UTF8\napplication_name=connectord\n"
        "sslmode=verify-full\nsslrootcert=/authorities\n"
        "sslcert=/nonexistent/postgresql/client.crt\nsslkey=/nonexistent/postgresql/client.key\n"
        "sslcrl=/nonexistent/postgresql/crl\nsslcrldir=/nonexistent/postgresql/crls\n"
        "sslcompression=0\nsslsni=1\nssl_min_protocol_version=TLSv1.2\n"
        "ssl_max_protocol_version=TLSv1.3\nchannel_binding=prefer\ngssencmode=disable\n"
        "krbsrvname=postgres\ntarget_session_attrs=any\nkeepalives=1\nkeepalives_idle=30\n"
        "keepalives_interval=10\nkeepalives_count=3\ntcp_user_timeout=5000\n";
    struct postgres_server s = {.host = "db.example.com",
                                .port = 5433,
                                .database = "postgres://elsewhere/",
                                .username = "reader",
                                .password = "secret",
                                .ssl_mode = "verify-full",
                                .connect_timeout_s = 7};
    CLEANUP(buf_release) struct buf got = BUF_INIT(4096);
    struct postgres_keywords k;

    postgres_list_keywords(&s, "192.0.2.1", "/authorities", f.mem, &k);
    for (size_t i = 0; i < k.n; i++)
        buf_printf(&got, "%s=%s\n", k.names[i], k.values[i]);
    cr_assert_str_eq(buf_str(&got), expected, "%s", buf_str(&got));
    cr_assert_null(k.names[k.n]);
}

/* A new libpq that takes one more thing from the environment fails this. (P1.) */
Test(postgres_connect, leaves_to_the_environment_only_what_is_taken_out_of_it)
{
    static const char *const left[] = {"service", "options", "requirepeer", "gsslib"};
    struct postgres_keywords k;
    PQconninfoOption *all = PQconndefaults();

    postgres_list_keywords(&f.to.server, "127.0.0.1", "/authorities", f.mem, &k);
    for (PQconninfoOption *o = all; o->keyword; o++) {
        bool told = o->envvar == NULL;

        for (size_t i = 0; i < k.n; i++)
            told |= strcmp(k.names[i], o->keyword) == 0 && *k.values[i];
        for (size_t i = 0; i < N(left); i++)
            told |= strcmp(left[i], o->keyword) == 0;
        cr_expect(told, "%s comes from %s", o->keyword, o->envvar);
        cr_expect(!o->envvar || strncmp(o->envvar, "PG", 2) == 0);
    }
    PQconninfoFree(all);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0600);
}

/* P2. */
Test(postgres_connect, is_not_led_astray_by_the_environment)
{
    static const char *const names[][2] = {
        {"PGHOSTADDR", "192.0.2.1"},
        {"PGHOST", "/tmp"},
        {"PGPORT", "1"},
        {"PGDATABASE", "nowhere"},
        {"PGUSER", "nobody"},
        {"PGSSLMODE", "verify-full"},
        {"PGSSLROOTCERT", "/none"},
        {"PGCLIENTENCODING", "LATIN1"},
        {"PGAPPNAME", "somebody"},
        {"PGTARGETSESSIONATTRS", "standby"},
        {"PGCHANNELBINDING", "require"},
    };

    for (size_t i = 0; i < N(names); i++)
        setenv(names[i][0], names[i][1], 1);
    postgres_fixture_open(&f);
    cr_expect_str_eq(ask("select current_setting('client_encoding') || ' ' ||"
                         " current_setting('application_name')"),
                     "UTF8 connectord");
}

/* P2. */
Test(postgres_connect, takes_no_password_from_a_file)
{
    char dir[TEMPDIR_BYTES];
    const char *path;

    tempdir_make(dir);
    path = arena_printf(f.mem, "%s/.pgpass", dir);
    write_file(path, "*:*:*:*:correct horse\n");
    setenv("PGPASSFILE", path, 1);
    setenv("HOME", dir, 1);
    f.to.server.password = NULL;
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
    tempdir_remove(dir);
}

/* P2. */
Test(postgres_connect, takes_neither_a_service_nor_options_once_the_environment_is_clean)
{
    char dir[TEMPDIR_BYTES];
    const char *path;

    tempdir_make(dir);
    path = arena_printf(f.mem, "%s/services", dir);
    write_file(path, "[evil]\noptions=-c work_mem=77MB\n");
    setenv("PGSERVICEFILE", path, 1);
    setenv("PGSERVICE", "evil", 1);
    setenv("PGOPTIONS", "-c maintenance_work_mem=77MB", 1);
    setenv("PGTZ", "Asia/Tokyo", 1);
    setenv("PATHS_BEGIN_SO_TOO", "kept", 1);
    postgres_forget_environment();
    cr_expect_null(getenv("PGSERVICE"));
    cr_expect_null(getenv("PGTZ"));
    cr_expect_str_eq(getenv("HOME"), "/nonexistent");
    cr_expect_str_eq(getenv("PATHS_BEGIN_SO_TOO"), "kept");
    postgres_fixture_open(&f);
    cr_expect_str_neq(ask("select current_setting('work_mem')"), "77MB");
    cr_expect_str_neq(ask("select current_setting('maintenance_work_mem')"), "77MB");
    postgres_fixture_close(&f);
    setenv("PGPASSWORD", DATABASES_PASSWORD, 1);
    postgres_forget_environment();
    f.to.server.password = NULL;
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
    tempdir_remove(dir);
}

/* --------------------------------------------------------------- the session */

/* P3, Q3: UTF-8 whatever the database and the role say, so that no byte of a character is a quote.
 */
Test(postgres_connect, sets_up_a_session_that_does_not_depend_on_the_role)
{
    postgres_fixture_sql(&f, arena_printf(f.mem,
                                          "alter database %s set datestyle = 'SQL, DMY';"
                                          "alter database %s set timezone = 'Asia/Tokyo';"
                                          "alter database %s set intervalstyle = 'postgres';"
                                          "alter database %s set lock_timeout = '1h';"
                                          "alter database %s set client_encoding = 'SJIS';"
                                          "alter database %s set statement_timeout = '2h'",
                                          f.database, f.database, f.database, f.database,
                                          f.database, f.database));
    f.to.server.statement_timeout_s = 90;
    f.to.schema = "my \"schema";
    postgres_fixture_open(&f);
    cr_expect_str_eq(
        ask("select concat_ws(' ', current_setting('timezone'), current_setting('intervalstyle'),"
            " current_setting('lock_timeout'), current_setting('statement_timeout'),"
            " current_setting('idle_in_transaction_session_timeout'),"
            " current_setting('default_transaction_read_only'), current_setting('client_encoding'),"
            " current_schema())"),
        "UTC iso_8601 30s 90s 5min off UTF8 my \"schema");
    cr_expect_str_eq(ask("select date '2024-02-29'"), "2024-02-29");
    cr_expect_str_eq(ask("select 0.1::float8 + 0.2"), "0.30000000000000004");
}

/* P6. */
Test(postgres_connect, lets_a_reader_write_nothing)
{
    struct error err = ERROR_INIT;
    struct postgres_conn *c;
    PGresult *r;

    cr_assert_eq(postgres_connect(&f.to.server, true, &f.run, &c, &err), 0, "%s", err.message);
    cr_assert_lt(postgres_query(c, "create table t(a int)", NULL, 0, false, &r, &err), 0);
    cr_expect_eq(err.code, ERR_PERMISSION, "%s", err.message);
    cr_expect_str_eq(error_reason(&err), "read_only");
    postgres_disconnect(c);
}

Test(postgres_connect, gives_rows_as_numbers_and_text)
{
    struct error err = ERROR_INIT;
    struct sql_value values[] = {sql_int(-7),
                                 sql_text("it's \\ \xe2\x82\xac"),
                                 {.kind = SQL_NULL},
                                 {.kind = SQL_BLOB, .bytes = {"\0\x01", 2}},
                                 {.kind = SQL_REAL, .real = 0.1},
                                 sql_text("")};
    int64_t n = 0;

    postgres_fixture_open(&f);
    cr_expect_eq(sql_query_int(f.conn, "select 2147483648::int8", &n, &err), 0);
    cr_expect_eq(n, 2147483648);
    cr_expect_eq(sql_query_int(f.conn, "select (-5)::int2", &n, &err), 0);
    cr_expect_eq(n, -5);
    cr_expect_eq(sql_query_int(f.conn, "select true", &n, &err), 0);
    cr_expect_eq(n, 1);
    cr_expect_eq(sql_query_int(f.conn, "select null::int4", &n, &err), 0);
    cr_expect_eq(n, 0);
    cr_expect_str_eq(
        ask_with("select concat_ws('|', $1::int8 + 1, $2::text, coalesce($3::text, 'none'),"
                 " encode($4, 'hex'), $5::float8, '<' || $6::text || '>')",
                 values, N(values)),
        "-6|it's \\ \xe2\x82\xac|none|0001|0.1|<>");
}

Test(postgres_connect, refuses_a_nul_in_a_parameter)
{
    struct error err = ERROR_INIT;
    struct sql_value v = {.kind = SQL_TEXT, .bytes = {"a\0b", 3}};
    const char *got = "";

    postgres_fixture_open(&f);
    cr_assert_lt(f.conn->driver->query(f.conn, "select $1::text", &v, 1, take_text, &got, &err), 0);
    cr_expect_eq(err.code, ERR_DATA, "%s", err.message);
}

static int count_to(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    int *left = arg;

    (void)row;
    (void)n;
    return --*left > 0 ? 0 : error_set(err, ERR_CONFLICT, "enough");
}

Test(postgres_connect, ends_a_query_whose_rows_are_not_wanted)
{
    struct error err = ERROR_INIT;
    int64_t began = clock_monotonic_us();
    int left = 3;

    postgres_fixture_open(&f);
    cr_assert_lt(f.conn->driver->query(f.conn, "select generate_series(1, 2000000000)", NULL, 0,
                                       count_to, &left, &err),
                 0);
    cr_expect_eq(err.code, ERR_CONFLICT, "%s", err.message);
    cr_expect_lt(clock_monotonic_us() - began, 10000000);
    cr_expect_str_eq(ask("select 'usable'"), "usable");
}

Test(postgres_connect, counts_what_a_statement_changed)
{
    struct error err = ERROR_INIT;
    int64_t changed = -1;

    postgres_fixture_open(&f);
    postgres_fixture_run(&f, "create table t(a bigint)");
    cr_assert_eq(f.conn->driver->exec(f.conn, "insert into t select generate_series(1, 7)", NULL, 0,
                                      &changed, &err),
                 0);
    cr_expect_eq(changed, 7);
    cr_assert_eq(f.conn->driver->exec(f.conn, "truncate t", NULL, 0, &changed, &err), 0);
    cr_expect_eq(changed, 0);
}

/* --------------------------------------------------------------- refusals */

Test(postgres_connect, says_why_it_cannot_connect)
{
    struct postgres_server right = f.to.server;

    f.to.server.password = "wrong";
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
    f.to.server.password = "";
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
    f.to.server = right;
    f.to.server.username = "nobody at all";
    expect_refused(ERR_UNAUTHORIZED, "auth_failed");
    f.to.server = right;
    f.to.server.database = "postgres://127.0.0.1/postgres";
    expect_refused(ERR_CONFIG, "database_missing");
    f.to.server = right;
    f.to.server.port = 1;
    expect_refused(ERR_TRANSIENT, "host_unreachable");
}

/* P2. */
Test(postgres_connect, takes_one_host_and_nothing_else)
{
    static const char *const hosts[] = {
        "a,b", "/var/run/postgresql", "@abstract", "a b", "a/b", "host=a", "a\n"};

    for (size_t i = 0; i < N(hosts); i++) {
        f.to.server.host = hosts[i];
        expect_refused(ERR_CONFIG, "host_invalid");
    }
    f.to.server.host = "localhost"; /* may have two addresses, one of which nobody listens at */
    postgres_fixture_open(&f);
}

Test(postgres_connect, says_that_a_host_is_unknown)
{
    struct error err;

    f.to.server.host = "no-such-host.invalid";
    err = fail_to_open(15000);
    cr_expect_str_eq(error_reason(&err), "host_unknown", "%s", err.message);
    cr_expect(strstr(err.message, "no-such-host.invalid"), "%s", err.message);
}

Test(postgres_connect, says_what_of_a_database_is_not_allowed)
{
    const char *role = arena_printf(f.mem, "r_%s", f.database);

    postgres_fixture_sql(&f, arena_printf(f.mem,
                                          "create role %s login password 'correct horse';"
                                          "revoke connect on database %s from public",
                                          role, f.database));
    f.to.server.username = role;
    expect_refused(ERR_PERMISSION, "permission_denied");
    postgres_fixture_sql(&f, arena_printf(f.mem,
                                          "grant connect on database %s to %s;"
                                          "alter role %s connection limit 0",
                                          f.database, role, role));
    expect_refused(ERR_TRANSIENT, "too_many_connections");
    postgres_fixture_sql(&f, arena_printf(f.mem, "drop owned by %s; drop role %s", role, role));
}

/* --------------------------------------------------------------- TLS */

static const char *read_file(const char *path)
{
    char *text = arena_alloc(f.mem, 65536);
    FILE *file = fopen(path, "r");

    cr_assert(file);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    fclose(file);
    return text;
}

Test(postgres_connect, encrypts_and_verifies)
{
    static const char *const modes[] = {"require", "verify-ca", "verify-full"};

    f.to.server.ssl_root_cert = read_file(databases_certificate(DATABASE_POSTGRES, f.mem));
    for (size_t i = 0; i < N(modes); i++) {
        f.to.server.ssl_mode = modes[i];
        f.to.server.host = i == 2 ? "localhost" : "127.0.0.1";
        postgres_fixture_open(&f);
        cr_expect_str_eq(ask("select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"),
                         "true");
        postgres_fixture_close(&f);
    }
    f.to.server.ssl_root_cert = NULL;
    f.to.server.ssl_mode = "require";
    postgres_fixture_open(&f);
    cr_expect_str_eq(ask("select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"), "true");
}

/* Of somebody else; a certificate that signed itself. */
static const char stranger[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBfTCCASOgAwIBAgIUFupxhxQWnRvzwqv6EG4YkJ3EeTMwCgYIKoZIzj0EAwIw\n"
                               "EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTIzMDkyNzE5WhgPMjA4MTA4MjYw\n"
                               "OTI3MTlaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
                               "AQcDQgAEYmxenGnOZF2feBO1hR0yDVZgtA/SD9VfPGSw8+1qADzUPZV8TeaKRO11\n"
                               "6yqgiw95kDQpzEOuz4w1uXp6kliYy6NTMFEwHQYDVR0OBBYEFG4xfIBUGWHTNR//\n"
                               "OBI7VLS40OscMB8GA1UdIwQYMBaAFG4xfIBUGWHTNR//OBI7VLS40OscMA8GA1Ud\n"
                               "EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAN1/gUVYpluflLAOE1soJpgL\n"
                               "3RPCFU6aExroyyjcT7h2AiBwlNqGXCEbrCYQjEVdkZJ8m3Wb/z6bHjOhCPFPe6OZ\n"
                               "bg==\n"
                               "-----END CERTIFICATE-----\n";

/* S11. */
Test(postgres_connect, refuses_a_certificate_it_cannot_verify)
{
    f.to.server.ssl_mode = "verify-full";
    expect_refused(ERR_CONFIG, "tls_failed"); /* not signed by an authority of the system */
    f.to.server.ssl_root_cert = stranger;
    expect_refused(ERR_CONFIG, "tls_failed");
    f.to.server.ssl_mode = "verify-ca";
    expect_refused(ERR_CONFIG, "tls_failed");
    f.to.server.ssl_root_cert = "no certificate";
    expect_refused(ERR_CONFIG, "config_error");
    f.to.server.ssl_root_cert = "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n";
    expect_refused(ERR_CONFIG, "tls_failed");
}

/* --------------------------------------------------------------- servers that misbehave */

#define OK_BYTES    "R\0\0\0\x08\0\0\0\0"
#define READY_BYTES "Z\0\0\0\x05I"
#define BYTES(s)    .bytes = (s), .n = sizeof(s) - 1

static void expect_from(const struct fake_answer *answers, size_t n, enum error_code code,
                        const char *reason)
{
    struct fake_postgres *s = fake_postgres_start(answers, n);

    f.to.server.port = fake_postgres_port(s);
    f.to.server.connect_timeout_s = 2;
    expect_refused(code, reason);
    cr_expect_not(fake_postgres_saw(s, DATABASES_PASSWORD));
    fake_postgres_stop(s);
}

/* S11. */
Test(postgres_connect, gives_no_password_in_clear)
{
    expect_from(&(struct fake_answer){BYTES("R\0\0\0\x08\0\0\0\x03")}, 1, ERR_UNAUTHORIZED,
                "insecure_auth");
    /* behind a notice */
    expect_from(&(struct fake_answer){BYTES("N\0\0\0\x0d"
                                            "SNOTICE\0\0"
                                            "R\0\0\0\x08\0\0\0\x03")},
                1, ERR_UNAUTHORIZED, "insecure_auth");
}

Test(postgres_connect, bears_servers_that_are_none)
{
    expect_from(NULL, 0, ERR_TRANSIENT, "host_unreachable"); /* silence */
    expect_from(&(struct fake_answer){.bytes = "", .hang_up = true}, 1, ERR_TRANSIENT,
                "connection_lost");
    expect_from(&(struct fake_answer){BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), .hang_up = true},
                1, ERR_CONFIG, "not_postgres");
    expect_from(&(struct fake_answer){BYTES("R\x7f\xff\xff\xff\0\0\0\0")}, 1, ERR_CONFIG,
                "not_postgres");
    expect_from(&(struct fake_answer){BYTES("R\0\0\0\x08\0\0\0\x63")}, 1, ERR_UNAUTHORIZED,
                "auth_failed");
    f.to.server.ssl_mode = "require";
    expect_from(&(struct fake_answer){BYTES("N")}, 1, ERR_CONFIG, "tls_failed");
    expect_from(&(struct fake_answer){BYTES("X")}, 1, ERR_CONFIG, "tls_failed");
}

/* --------------------------------------------------------------- errors of statements */

Test(postgres_connect, tells_errors_of_statements_apart)
{
    static const struct {
        const char *sql;
        enum error_code code;
        const char *reason;
    } cases[] = {
        {"select 1/0", ERR_DATA, "value_rejected"},
        {"select 'x'::int", ERR_DATA, "value_rejected"},
        {"insert into t values (1)", ERR_DATA, "constraint"},
        {"insert into t values (null)", ERR_DATA, "constraint"},
        {"select * from nowhere", ERR_SCHEMA, "table_missing"},
        {"select nothing from t", ERR_SCHEMA, "column_missing"},
        {"selekt", ERR_SCHEMA, "sql_error"},
        {"select 1; select 2", ERR_SCHEMA, "sql_error"},
        {"select * from nowhere.t", ERR_SCHEMA, "table_missing"},
        {"create table nowhere.t(a int)", ERR_CONFIG, "schema_missing"},
        {"select pg_sleep(10)", ERR_TRANSIENT, "statement_timeout"},
        {"do 'begin raise exception ''no''; end'", ERR_DATA, "constraint"},
        {"do 'begin raise sqlstate ''53100''; end'", ERR_RESOURCE, "disk_full"},
        {"do 'begin raise sqlstate ''40P01''; end'", ERR_CONTENTION, "deadlock"},
        {"do 'begin raise sqlstate ''40001''; end'", ERR_CONTENTION, "serialization"},
        {"do 'begin raise sqlstate ''55P03''; end'", ERR_CONTENTION, "lock_timeout"},
        {"do 'begin raise sqlstate ''57P03''; end'", ERR_TRANSIENT, "cannot_connect_now"},
        {"do 'begin raise sqlstate ''42501''; end'", ERR_PERMISSION, "permission_denied"},
        {"do 'begin raise sqlstate ''54000''; end'", ERR_TOO_LARGE, "too_large"},
        {"do 'begin raise sqlstate ''XX001''; end'", ERR_DATA, "corrupt"},
        {"do 'begin raise sqlstate ''ZZ999''; end'", ERR_INTERNAL, "internal"},
        {"copy t from stdin", ERR_INTERNAL, "internal"},
        {"copy t to stdout", ERR_INTERNAL, "internal"},
    };

    f.to.server.statement_timeout_s = 1;
    postgres_fixture_open(&f);
    postgres_fixture_run(&f, "create table t(a int primary key)");
    postgres_fixture_run(&f, "insert into t values (1)");
    for (size_t i = 0; i < N(cases); i++) {
        const struct error *err = postgres_fixture_fail(&f, cases[i].sql);

        cr_expect_eq(err->code, cases[i].code, "%s: %s: %s", cases[i].sql,
                     error_code_name(err->code), err->message);
        cr_expect_str_eq(error_reason(err), cases[i].reason, "%s: %s", cases[i].sql, err->message);
        cr_expect(strstr(err->message, f.database), "%s", err->message);
    }
    cr_expect_str_eq(ask("select 'usable'"), "usable");
}

Test(postgres_connect, knows_a_deadlock_and_a_lock_that_takes_too_long)
{
    struct error err = ERROR_INIT;
    struct sql_conn *other;

    postgres_fixture_open(&f);
    postgres_fixture_run(&f, "create table t(a int)");
    cr_assert_eq(postgres_driver.open(&f.to, &f.run, &other, &err), 0);
    postgres_fixture_run(&f, "begin");
    postgres_fixture_run(&f, "lock table t");
    cr_assert_eq(sql_exec(other, "set lock_timeout = '100ms'", &err), 0);
    cr_assert_lt(sql_exec(other, "select * from t", &err), 0);
    cr_expect_eq(err.code, ERR_CONTENTION, "%s", err.message);
    cr_expect_str_eq(error_reason(&err), "lock_timeout");
    other->driver->close(other);
}

Test(postgres_connect, says_that_a_transaction_had_failed_before_its_commit)
{
    const struct error *err;

    postgres_fixture_open(&f);
    postgres_fixture_run(&f, "BEGIN");
    postgres_fixture_fail(&f, "select 1/0");
    err = postgres_fixture_fail(&f, "COMMIT");
    cr_expect_eq(err->code, ERR_INTERNAL, "%s", err->message);
    cr_expect_str_eq(ask("select 'usable'"), "usable");
}

/* --------------------------------------------------------------- cancellation */

static void *cancel_soon(void *arg)
{
    usleep(300000);
    cancel_request(arg, CANCEL_USER);
    return NULL;
}

/* Runs what blocks, with a request to stop under way; *out_ms until the connection is closed. */
static void expect_cancelled(int (*block)(struct error *), int64_t max_ms)
{
    struct error err = ERROR_INIT;
    int64_t began = clock_monotonic_us(), ms;
    pthread_t thread;

    pthread_create(&thread, NULL, cancel_soon, f.cancel);
    cr_expect_lt(block(&err), 0);
    cr_expect_eq(err.code, ERR_CANCELLED, "%s: %s", error_code_name(err.code), err.message);
    postgres_fixture_close(&f);
    ms = (clock_monotonic_us() - began) / 1000;
    cr_expect_leq(ms, max_ms, "%lld ms", (long long)ms);
    pthread_join(thread, NULL);
}

static int sleep_long(struct error *err)
{
    return sql_exec(f.conn, "select pg_sleep(1000)", err);
}

static int read_long(struct error *err)
{
    int left = 2000000000;

    return f.conn->driver->query(f.conn, "select generate_series(1, 2000000000)", NULL, 0, count_to,
                                 &left, err);
}

static int open_it(struct error *err)
{
    return postgres_driver.open(&f.to, &f.run, &f.conn, err);
}

static int still_busy(void)
{
    const char *n = "";

    for (int i = 0; i < 50; i++) {
        n = postgres_fixture_rows(
            &f, "select count(*) from pg_stat_activity"
                " where datname = current_database()"
                " and pid <> pg_backend_pid() and backend_type = 'client backend'");
        if (strcmp(n, "0") == 0)
            return 0;
        usleep(100000);
    }
    return 1;
}

Test(postgres_connect, is_cancelled_while_a_statement_runs_which_the_server_ends)
{
    postgres_fixture_open(&f);
    expect_cancelled(sleep_long, 3000);
    cr_expect_eq(still_busy(), 0, "the server goes on");
}

Test(postgres_connect, is_cancelled_while_it_reads)
{
    postgres_fixture_open(&f);
    expect_cancelled(read_long, 3000);
    cr_expect_eq(still_busy(), 0, "the server goes on");
}

Test(postgres_connect, is_cancelled_while_a_server_is_silent)
{
    struct fake_postgres *s = fake_postgres_start(NULL, 0);

    f.to.server.port = fake_postgres_port(s);
    expect_cancelled(open_it, 1000);
    fake_postgres_stop(s);
}

/* A server that froze: nothing that is asked of it may take for ever, the cancelling neither. */
Test(postgres_connect, is_cancelled_when_a_server_freezes)
{
    struct fake_answer hello[] = {{BYTES(OK_BYTES "S\0\0\0\x18server_version\0"
                                                  "15.0\0"
                                                  "K\0\0\0\x0c\0\0\0\x01\0\0\0\x02" READY_BYTES)}};
    struct fake_postgres *s = fake_postgres_start(hello, 1);

    f.to.server.port = fake_postgres_port(s);
    expect_cancelled(open_it, 9000);
    fake_postgres_stop(s);
}

static pthread_t committer;

static int commit_slowly(struct error *err)
{
    return sql_exec(f.conn, "COMMIT", err);
}

/* What is stored is worth waiting for: the COMMIT under way is not cut off. */
Test(postgres_connect, waits_a_little_for_a_commit_when_it_is_cancelled)
{
    struct error err = ERROR_INIT;

    postgres_fixture_open(&f);
    postgres_fixture_run(&f, "create table t(a int)");
    postgres_fixture_run(&f, "create function slow() returns trigger language plpgsql as"
                             " 'begin perform pg_sleep(1.5); return null; end'");
    postgres_fixture_run(&f, "create constraint trigger x after insert on t initially deferred"
                             " for each row execute function slow()");
    postgres_fixture_run(&f, "BEGIN");
    postgres_fixture_run(&f, "insert into t values (1)");
    pthread_create(&committer, NULL, cancel_soon, f.cancel);
    cr_assert_eq(commit_slowly(&err), 0, "%s", err.message);
    cr_assert_neq(cancel_requested(f.cancel), CANCEL_NONE);
    pthread_join(committer, NULL);
    cr_assert_lt(sql_exec(f.conn, "select 1", &err), 0);
    cr_expect_eq(err.code, ERR_CANCELLED);
    postgres_fixture_close(&f);
    cr_expect_str_eq(postgres_fixture_rows(&f, "select count(*) from t"), "1");
}

Test(postgres_connect, does_not_wait_for_ever_for_a_commit)
{
    postgres_fixture_open(&f);
    postgres_fixture_run(&f, "create table t(a int)");
    postgres_fixture_run(&f, "create function slow() returns trigger language plpgsql as"
                             " 'begin perform pg_sleep(100); return null; end'");
    postgres_fixture_run(&f, "create constraint trigger x after insert on t initially deferred"
                             " for each row execute function slow()");
    postgres_fixture_run(&f, "BEGIN");
    postgres_fixture_run(&f, "insert into t values (1)");
    expect_cancelled(commit_slowly, 9500);
    cr_expect_eq(still_busy(), 0, "the server goes on");
    cr_expect_str_eq(postgres_fixture_rows(&f, "select count(*) from t"), "0");
}

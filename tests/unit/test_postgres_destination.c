/*
 * The PostgreSQL destination as a whole: its check, the life of a stream in every write mode, and
 * its clearing, from a SQLite file through the engine into a real server. The engine's own rules
 * are tested where they are written.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/postgres_fixture.h"
#include "tests/support/sqlite_fixture.h"

extern const struct destination_connector destination_postgres;

static struct postgres_fixture to;
static struct sqlite_fixture from;

static void setup(void)
{
    postgres_fixture_init(&to);
    fixture_open(&from);
}

static void teardown(void)
{
    fixture_close(&from);
    postgres_fixture_release(&to);
}

TestSuite(postgres_destination, .init = setup, .fini = teardown, .timeout = 120);

#define STREAM(sync, write) \
    "[{\"name\":\"t\",\"sync_mode\":\"" sync "\",\"destination_sync_mode\":\"" write "\"}]"

/* Streams of the file, on their way to PostgreSQL. */
static void select_streams(const char *streams)
{
    fixture_select(&from, streams);
    from.pump.destination = &destination_postgres;
    from.pump.destination_config = &to.to;
}

#define assert_rows(sql, expected)                          \
    do {                                                    \
        const char *got_ = postgres_fixture_rows(&to, sql); \
        cr_assert_str_eq(got_, expected, "%s", got_);       \
    } while (0)

static void fill(int first, int last)
{
    char sql[400];

    snprintf(sql, sizeof sql,
             "create table if not exists t(id integer primary key, v text);"
             "insert into t with recursive n(i) as"
             " (select %d union all select i+1 from n where i<%d) select i, 'v' || i from n;",
             first, last);
    fixture_exec(from.from, sql);
}

/* --------------------------------------------------------------- modes */

Test(postgres_destination, replaces_a_table_under_its_views)
{
    fill(1, 5000);
    select_streams(STREAM("full_refresh", "overwrite"));
    fixture_run(&from);
    assert_rows("select count(*), max(id), min(v) from t", "5000|5000|v1");
    postgres_fixture_sql(&to, "create view w as select count(*) as n from t;"
                              "create role reader_of_t_only");
    fixture_exec(from.from, "delete from t where id > 4000; update t set v = 'new' where id = 1");
    fixture_run(&from);
    assert_rows("select count(*), max(id), min(v) from t", "4000|4000|new");
    assert_rows("select n from w", "4000");
    cr_assert_eq(from.pump.recovered[0].generation, 2);
    assert_rows("select count(*) from pg_tables where schemaname = 'public'"
                " and tablename not like '\\_connectord\\_%'",
                "1");
    postgres_fixture_sql(&to, "drop role reader_of_t_only");
}

Test(postgres_destination, continues_a_generation_after_a_crash)
{
    fill(1, 6000);
    select_streams(STREAM("full_refresh", "overwrite"));
    from.pump.crash_after = 4; /* begin, write, checkpoint, write */
    fixture_fail(&from);
    from.pump.crash_after = 0;
    fixture_run(&from);
    cr_assert_eq(from.pump.recovered[0].counts.inserted, 2048);
    assert_rows("select count(*), count(distinct id) from t", "6000|6000");
}

Test(postgres_destination, appends_every_full_refresh_once)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "append"));
    fixture_run(&from);
    fixture_run(&from);
    assert_rows("select id, v from t order by id", "1|v1;1|v1;2|v2;2|v2;3|v3;3|v3");
}

Test(postgres_destination, appends_increments)
{
    fill(1, 5000);
    select_streams(STREAM("incremental", "append"));
    from.pump.crash_after = 4;
    fixture_fail(&from);
    assert_rows("select count(*) from t", "2048");
    from.pump.crash_after = 0;
    fixture_run(&from);
    fill(5001, 5010);
    fixture_run(&from);
    cr_assert_eq(from.pump.counts[0].inserted, 10);
    assert_rows("select count(*), count(distinct id) from t", "5010|5010");
}

Test(postgres_destination, merges_by_key_and_counts_what_it_did)
{
    const struct counts *c;

    fixture_exec(from.from,
                 "create table t(id integer primary key, v text, updated_at timestamp);"
                 "insert into t values (1,'a','2020-01-01 00:00:00'),(2,'b','2020-01-02 00:00:00'),"
                 "(3,null,'2020-01-03 00:00:00')");
    select_streams(STREAM("incremental", "append_dedup"));
    fixture_run(&from);
    fixture_exec(from.from,
                 "update t set v = 'bb', updated_at = '2999-02-01 00:00:00' where id = 2;"
                 "insert into t values (4,'d','2999-02-02 00:00:00')");
    fixture_run(&from);
    c = &from.pump.counts[0];
    cr_assert(counts_balance(c));
    cr_assert_eq(c->inserted, 1, "%lld", (long long)c->inserted);
    cr_assert_eq(c->updated, 1, "%lld", (long long)c->updated);
    assert_rows("select id, v, updated_at from t order by id",
                "1|a|2020-01-01 00:00:00;2|bb|2999-02-01 00:00:00;3|~|2020-01-03 00:00:00;"
                "4|d|2999-02-02 00:00:00");
}

Test(postgres_destination, inserts_only_what_is_new)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "insert_only"));
    fixture_run(&from);
    fixture_exec(from.from, "update t set v = 'changed'; insert into t values (4, 'new')");
    fixture_run(&from);
    assert_rows("select id, v from t order by id", "1|v1;2|v2;3|v3;4|new");
}

Test(postgres_destination, puts_streams_into_its_schema)
{
    to.to.schema = "s \"; drop";
    fill(1, 3);
    select_streams(STREAM("full_refresh", "overwrite"));
    fixture_run(&from);
    assert_rows("select count(*) from \"s \"\"; drop\".t", "3");
    assert_rows("select count(*) from pg_tables where schemaname = 'public'", "0");
    fixture_run(&from);
    assert_rows("select count(*) from \"s \"\"; drop\".t", "3");
}

Test(postgres_destination, clears_what_it_made)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "overwrite"));
    fixture_run(&from);
    from.err = ERROR_INIT;
    cr_assert_eq(destination_postgres.clear(&to.to, &to.run, &from.pump.plan, &from.err), 0, "%s",
                 from.err.message);
    assert_rows("select count(*) from pg_tables where schemaname = 'public'"
                " and tablename not like '\\_connectord\\_%'",
                "0");
    assert_rows("select count(*) from _connectord_state", "0");
}

Test(postgres_destination, does_not_double_rows_of_a_crashed_attempt)
{
    fill(1, 5000);
    select_streams(STREAM("incremental", "append"));
    fixture_run(&from);
    fill(5001, 5100);
    from.pump.crash_after = 2; /* begin, write */
    fixture_fail(&from);
    from.pump.crash_after = 0;
    fixture_run(&from);
    assert_rows("select count(*), count(distinct id) from t", "5100|5100");
}

/* --------------------------------------------------------------- checking */

static int check(struct error *err)
{
    *err = ERROR_INIT;
    return destination_postgres.check(&to.to, &to.run, err);
}

Test(postgres_destination, checks_that_it_could_write_and_leaves_nothing)
{
    struct error err;

    cr_assert_eq(check(&err), 0, "%s", err.message);
    to.to.schema = "not there yet";
    cr_assert_eq(check(&err), 0, "%s", err.message);
    assert_rows("select count(*) from pg_class where relname like '\\_connectord%'", "0");
    assert_rows("select count(*) from pg_namespace where nspname = 'not there yet'", "0");
}

Test(postgres_destination, says_which_right_is_missing)
{
    struct error err;
    const char *role = arena_printf(to.mem, "poor_%s", to.database);

    postgres_fixture_sql(&to, arena_printf(to.mem,
                                           "create role %s login password 'correct horse';"
                                           "revoke create on schema public from public;"
                                           "create schema mine authorization %s",
                                           role, role));
    to.to.server.username = role;
    cr_assert_lt(check(&err), 0);
    cr_assert_eq(err.code, ERR_PERMISSION, "%s", err.message);
    cr_assert_str_eq(error_reason(&err), "permission_denied");
    cr_assert(strstr(err.message, "schema public"), "%s", err.message);
    to.to.schema = "new";
    cr_assert_lt(check(&err), 0);
    cr_assert_eq(err.code, ERR_PERMISSION, "%s", err.message);
    cr_assert(strstr(err.message, "\"new\""), "%s", err.message);
    /* No right to create schemas is needed where there is one. */
    to.to.schema = "mine";
    cr_assert_eq(check(&err), 0, "%s", err.message);
    postgres_fixture_sql(
        &to, arena_printf(to.mem, "revoke temporary on database %s from public", to.database));
    cr_assert_lt(check(&err), 0);
    cr_assert_eq(err.code, ERR_PERMISSION, "%s", err.message);
    postgres_fixture_sql(&to, arena_printf(to.mem, "drop schema mine; drop role %s", role));
}

Test(postgres_destination, says_that_a_server_is_read_only)
{
    struct error err;

    postgres_fixture_sql(
        &to, arena_printf(to.mem, "alter database %s set default_transaction_read_only = on",
                          to.database));
    cr_assert_lt(check(&err), 0);
    cr_assert_eq(err.code, ERR_PERMISSION, "%s", err.message);
    cr_assert_str_eq(error_reason(&err), "read_only");
}

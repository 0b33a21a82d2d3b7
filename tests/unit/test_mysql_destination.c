/*
 * The MariaDB destination as a whole: its check, the life of a stream in every write mode, and its
 * clearing, from a SQLite file through the engine into a real server. The engine's own rules are
 * tested where they are written.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/mysql_fixture.h"
#include "tests/support/sqlite_fixture.h"

extern const struct destination_connector destination_mysql;

static struct mysql_fixture to;
static struct sqlite_fixture from;

static void setup(void)
{
    mysql_fixture_init(&to);
    fixture_open(&from);
}

static void teardown(void)
{
    fixture_close(&from);
    mysql_fixture_release(&to);
}

TestSuite(mysql_destination, .init = setup, .fini = teardown, .timeout = 120);

#define STREAM(sync, write) \
    "[{\"name\":\"t\",\"sync_mode\":\"" sync "\",\"destination_sync_mode\":\"" write "\"}]"

/* Streams of the file, on their way to MariaDB. */
static void select_streams(const char *streams)
{
    fixture_select(&from, streams);
    from.pump.destination = &destination_mysql;
    from.pump.destination_config = &to.to;
}

#define assert_rows(sql, expected)                       \
    do {                                                 \
        const char *got_ = mysql_fixture_rows(&to, sql); \
        cr_assert_str_eq(got_, expected, "%s", got_);    \
    } while (0)

#define TABLES "select count(*) from information_schema.tables where table_schema = database()"

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

Test(mysql_destination, replaces_a_table_under_its_views)
{
    fill(1, 5000);
    select_streams(STREAM("full_refresh", "overwrite"));
    fixture_run(&from);
    assert_rows("select count(*), max(id), min(v) from t", "5000|5000|v1");
    mysql_fixture_run(&to, "create view w as select count(*) as n from t");
    fixture_exec(from.from, "delete from t where id > 4000; update t set v = 'new' where id = 1");
    fixture_run(&from);
    assert_rows("select count(*), max(id), min(v) from t", "4000|4000|new");
    assert_rows("select n from w", "4000");
    cr_assert_eq(from.pump.recovered[0].generation, 2);
    assert_rows(TABLES " and table_type = 'BASE TABLE' and table_name not like '|_connectord|_%'"
                       " escape '|'",
                "1");
}

Test(mysql_destination, continues_a_generation_after_a_crash)
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

Test(mysql_destination, appends_every_full_refresh_once)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "append"));
    fixture_run(&from);
    fixture_run(&from);
    assert_rows("select id, v from t order by id", "1|v1;1|v1;2|v2;2|v2;3|v3;3|v3");
}

Test(mysql_destination, appends_increments)
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

static void merge_and_count(void)
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
                "1|a|2020-01-01 00:00:00.000000;2|bb|2999-02-01 00:00:00.000000;"
                "3|~|2020-01-03 00:00:00.000000;4|d|2999-02-02 00:00:00.000000");
}

Test(mysql_destination, merges_by_key_and_counts_what_it_did)
{
    merge_and_count();
}

Test(mysql_destination, merges_by_insert_where_files_are_refused)
{
    to.to.load = "insert";
    merge_and_count();
}

Test(mysql_destination, inserts_only_what_is_new)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "insert_only"));
    fixture_run(&from);
    fixture_exec(from.from, "update t set v = 'changed'; insert into t values (4, 'new')");
    fixture_run(&from);
    assert_rows("select id, v from t order by id", "1|v1;2|v2;3|v3;4|new");
}

/* Keys are the source's: what differs there, by case or a blank at the end, is not one row here. */
Test(mysql_destination, keys_differ_by_case_and_blanks)
{
    fixture_exec(from.from, "create table t(id text primary key, v text);"
                            "insert into t values ('a','1'),('A','2'),('a ','3'),('\xC3\xA4','4'),"
                            "('\xC3\x84','5'),('ae','6'),('\xC3\x9F','7'),('ss','8'),('','9')");
    select_streams(STREAM("full_refresh", "append_dedup"));
    fixture_run(&from);
    assert_rows("select count(*), count(distinct v) from t", "9|9");
    /* And so do values: 'x' that becomes 'X' is a change. */
    fixture_exec(from.from, "update t set v = 'x' where id = 'a'");
    fixture_run(&from);
    fixture_exec(from.from, "update t set v = 'X' where id = 'a'");
    fixture_run(&from);
    cr_assert_eq(from.pump.counts[0].updated, 1, "%lld", (long long)from.pump.counts[0].updated);
    fixture_exec(from.from, "update t set v = 'X ' where id = 'a'");
    fixture_run(&from);
    cr_assert_eq(from.pump.counts[0].updated, 1, "%lld", (long long)from.pump.counts[0].updated);
    assert_rows("select concat('<', v, '>') from t where id = 'a' and length(id) = 1"
                " and binary id = 'a'",
                "<X >");
}

Test(mysql_destination, hostile_names)
{
    fixture_exec(from.from, "create table \"t`; drop table x; --\"(\"a`b\" integer primary key,"
                            " \"select\" text, \"\xF0\x9F\x98\x80\" text, \"c \" text);"
                            "insert into \"t`; drop table x; --\" values (1, 's', 'smile', 'c')");
    select_streams("[{\"name\":\"t`; drop table x; --\",\"sync_mode\":\"full_refresh\","
                   "\"destination_sync_mode\":\"append_dedup\"}]");
    fixture_run(&from);
    fixture_run(&from);
    assert_rows("select `a``b`, `select` from `t``; drop table x; --`", "1|s");
}

Test(mysql_destination, clears_what_it_made)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "overwrite"));
    fixture_run(&from);
    from.err = ERROR_INIT;
    cr_assert_eq(destination_mysql.clear(&to.to, &to.run, &from.pump.plan, &from.err), 0, "%s",
                 from.err.message);
    assert_rows(TABLES " and table_name not like '|_connectord|_%' escape '|'", "0");
    assert_rows("select count(*) from _connectord_state", "0");
}

Test(mysql_destination, does_not_double_rows_of_a_crashed_attempt)
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

Test(mysql_destination, a_database_whose_tables_know_no_transactions_gets_ours_that_do)
{
    fill(1, 3);
    select_streams(STREAM("full_refresh", "append_dedup"));
    fixture_run(&from);
    assert_rows("select distinct engine from information_schema.tables"
                " where table_schema = database()",
                "InnoDB");
}

/* Not one of these may fail the run, and not one may arrive as something else. */
Test(mysql_destination, what_no_column_holds_goes_to_quarantine)
{
    fixture_exec(from.from,
                 "create table t(id integer primary key, d date, ts timestamp, n decimal(9,2),"
                 " f double, s text, j json, b blob, tm time);"
                 "insert into t values (1,'0000-02-29','0000-02-29T00:00:00','1.239',9e999,"
                 "'a' || char(0) || 'b','{\"a\":\"\\ud800\"}',x'00ff5c5c','24:00:00'),"
                 "(2,'10000-01-01','-0001-01-01T00:00:00','12345678901234567890.5',-9e999,"
                 "cast(x'ff41' as text),'[',null,'25:00:00'),"
                 "(3,'2024-02-30','2024-01-01T00:00:00','NaN',-0.0,'ok','{}',x'','23:59:59'),"
                 "(4,'0000-03-01','9999-12-31T23:59:59.999999','0.10',5e-324,'','null',null,null)");
    select_streams(STREAM("full_refresh", "overwrite"));
    fixture_run(&from);
    assert_rows("select id, d, ts, n, cast(f as char), hex(s), j, hex(b), tm from t order by id",
                "1|~|~|~|~|610062|~|00FF5C5C|24:00:00.000000;"
                "2|~|~|12345678901234567000.00|~|~|~|~|~;"
                "3|~|2024-01-01 00:00:00.000000|~|0|6F6B|{}||23:59:59.000000;"
                "4|0000-03-01|9999-12-31 23:59:59.999999|0.10|5e-324||null|~|~");
    assert_rows("select `column`, reason, count(*) from _connectord_quarantine"
                " group by `column`, reason order by 1, 2",
                "d|out_of_range|2;d|parse|1;f|out_of_range|2;j|out_of_range|1;j|parse|1;"
                "n|out_of_range|2;s|encoding|1;tm|parse|1;ts|out_of_range|2");
}

/* --------------------------------------------------------------- checking */

static int check(struct error *err)
{
    *err = ERROR_INIT;
    return destination_mysql.check(&to.to, &to.run, err);
}

Test(mysql_destination, checks_that_it_could_write_and_leaves_nothing)
{
    const char *const loads[] = {"auto", "local_infile", "insert"};
    struct error err;

    for (size_t i = 0; i < 3; i++) {
        to.to.load = loads[i];
        cr_assert_eq(check(&err), 0, "%s: %s", loads[i], err.message);
    }
    assert_rows(TABLES, "0");
}

Test(mysql_destination, says_which_right_is_missing)
{
    const char *const rights[] = {"SELECT", "CREATE, SELECT, DROP, INSERT, ALTER, INDEX, UPDATE",
                                  "CREATE, SELECT, DROP, INSERT, ALTER, INDEX, UPDATE, DELETE"};
    const char *user = arena_printf(to.mem, "p%s", to.database);
    struct error err;

    user = arena_printf(to.mem, "%.30s", user);
    for (size_t i = 0; i < 3; i++) {
        databases_run(DATABASE_MYSQL, to.database,
                      arena_printf(to.mem,
                                   "CREATE USER '%s'@'%%' IDENTIFIED BY 'correct horse';"
                                   " GRANT %s ON `%s`.* TO '%s'@'%%'",
                                   user, rights[i], to.database, user));
        to.to.username = user;
        cr_assert_lt(check(&err), 0, "%s", rights[i]);
        cr_assert_eq(err.code, ERR_PERMISSION, "%s", err.message);
        cr_assert_str_eq(error_reason(&err), "permission_denied");
        to.to.username = DATABASES_USER;
        databases_run(DATABASE_MYSQL, to.database, arena_printf(to.mem, "DROP USER '%s'", user));
        assert_rows(TABLES, "0");
    }
}

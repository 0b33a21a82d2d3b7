/*
 * Incremental reads of MariaDB: each row version comes once, whatever is open at the time.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/mysql_session.h"
#include "tests/support/source_fixture.h"

extern const struct source_connector source_mysql;

static struct source_fixture f;

static void setup(void)
{
    source_fixture_open(&f, DATABASE_MYSQL, &source_mysql);
}

static void teardown(void)
{
    source_fixture_close(&f);
}

TestSuite(mysql_incremental, .init = setup, .fini = teardown, .timeout = 300);

#define INCREMENTAL(method, cursor)                                                      \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"" method \
    "\",\"cursor_field\":\"" cursor "\"}]"

/* How many rows the next run brings. */
static size_t next_run(void)
{
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    return f.got->streams[0].n_lines;
}

/* Ids of the rows of the next run, with a comma behind each. */
static const char *next_ids(void)
{
    const char *ids = "";

    next_run();
    for (size_t i = 0; i < f.got->streams[0].n_lines; i++) {
        CLEANUP(doc_free_cleanup) struct doc *row = fake_sink_row(&f.got->streams[0], i);

        ids = arena_printf(f.mem, "%s%s,", ids, doc_string(doc_get(row, "id"), "?"));
    }
    return ids;
}

#define TIMES "create table t(id int primary key, at timestamp(6) null); "

/* ------------------------------------------------------------------- windows */

Test(mysql_incremental, brings_each_appended_row_once)
{
    source_fixture_run(&f, TIMES "insert into t values (1, now(6) - interval 1 hour),"
                                 " (2, now(6) - interval 1 minute)");
    f.options = ",\"skew_s\":0";
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    cr_assert_str_eq(next_ids(), "1,2,");
    cr_assert_str_eq(next_ids(), "");
    source_fixture_run(&f,
                       "insert into t values (3, now(6)); update t set at = now(6) where id = 1");
    usleep(20000);
    cr_assert_str_eq(next_ids(), "3,1,");
    cr_assert_str_eq(next_ids(), "");
}

Test(mysql_incremental, overlaps_where_rows_are_merged)
{
    source_fixture_run(&f, TIMES "insert into t values (1, now(6) - interval 1 hour), (2, now(6))");
    f.options = ",\"skew_s\":60";
    source_fixture_select(&f, INCREMENTAL("append_dedup", "at"));
    cr_assert_str_eq(next_ids(), "1,2,");
    cr_assert_str_eq(next_ids(), "2,", "what is younger than the skew comes again");
}

/* T3: the row is stamped before the first run and committed behind it. */
Test(mysql_incremental, loses_no_row_of_a_transaction_that_was_open)
{
    MYSQL *writer;

    source_fixture_run(&f, TIMES "insert into t values (1, now(6) - interval 1 hour)");
    f.options = ",\"skew_s\":0,\"safe_wait_s\":0";
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    writer = mysql_session_open(f.database);
    mysql_session_run(writer, "begin");
    mysql_session_run(writer, "insert into t values (2, now(6))");
    usleep(10000);
    source_fixture_run(&f, "insert into t values (3, now(6))");
    usleep(10000);
    (void)next_run();
    mysql_session_run(writer, "commit");
    usleep(10000);
    (void)next_run();
    (void)next_run();
    cr_assert_str_eq(next_ids(), "");
    f.position[0] = '\0';
    cr_assert_str_eq(next_ids(), "1,2,3,");
    mysql_close(writer);
}

/* A row that has something in a column of which the run does not know is not delivered without. */
Test(mysql_incremental, begins_anew_when_columns_have_come_since_discovery)
{
    source_fixture_run(&f, "create table t(id int primary key, at timestamp(6) null);"
                           "insert into t values (1, '2024-01-01 00:00:00')");
    source_fixture_select(&f, INCREMENTAL("append_dedup", "at"));
    source_fixture_run(&f, "alter table t add column v int default 7;"
                           "insert into t values (2, '2024-01-02 00:00:00', 8)");
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "schema_changed");
    cr_assert(error_is_retryable(&f.got->streams[0].why));
    source_fixture_select(&f, INCREMENTAL("append_dedup", "at"));
    f.position[0] = '\0';
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    cr_assert_eq(f.got->streams[0].n_lines, 2);
}

static int count_of(const char *ids, const char *id)
{
    int n = 0;

    for (const char *at = ids; (at = strstr(at, id)); at++)
        n++;
    return n;
}

Test(mysql_incremental, brings_late_rows_exactly_once)
{
    const char *ids = "";
    MYSQL *writer;

    source_fixture_run(&f, TIMES "insert into t values (11, now(6) - interval 1 hour)");
    f.options = ",\"skew_s\":0,\"safe_wait_s\":0";
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    writer = mysql_session_open(f.database);
    for (int i = 20; i < 30; i += 2) {
        mysql_session_run(writer, "begin");
        mysql_session_run(writer, arena_printf(f.mem, "insert into t values (%d, now(6))", i));
        usleep(2000);
        source_fixture_run(&f, arena_printf(f.mem, "insert into t values (%d, now(6))", i + 1));
        usleep(2000);
        ids = arena_printf(f.mem, "%s%s", ids, next_ids());
        mysql_session_run(writer, "commit");
        ids = arena_printf(f.mem, "%s%s", ids, next_ids());
    }
    usleep(10000);
    ids = arena_printf(f.mem, "%s%s", ids, next_ids());
    ids = arena_printf(f.mem, "%s%s", ids, next_ids());
    cr_assert_eq(count_of(ids, "11,"), 1, "%s", ids);
    for (int i = 20; i < 30; i++)
        cr_assert_eq(count_of(ids, arena_printf(f.mem, "%d,", i)), 1, "%d in %s", i, ids);
    mysql_close(writer);
}

Test(mysql_incremental, waits_for_smaller_numbers_that_are_not_committed_yet)
{
    const char *ids;
    MYSQL *writer;

    source_fixture_run(&f, "create table t(id int auto_increment primary key, v int)");
    f.options = ",\"safe_wait_s\":0";
    source_fixture_select(&f, INCREMENTAL("append", "id"));
    writer = mysql_session_open(f.database);
    mysql_session_run(writer, "begin");
    mysql_session_run(writer, "insert into t(v) values (1)");
    source_fixture_run(&f, "insert into t(v) values (2)");
    ids = next_ids();
    mysql_session_run(writer, "commit");
    ids = arena_printf(f.mem, "%s%s", ids, next_ids());
    ids = arena_printf(f.mem, "%s%s", ids, next_ids());
    cr_assert_eq(count_of(ids, "1,"), 1, "%s", ids);
    cr_assert_eq(count_of(ids, "2,"), 1, "%s", ids);
    source_fixture_run(&f, "delete from t where id = 2");
    cr_assert_str_eq(next_ids(), "", "a number is never given twice: nothing went back");
    mysql_close(writer);
}

Test(mysql_incremental, settles_rows_later_where_it_may_not_see_transactions)
{
    const char *user = arena_printf(f.mem, "u_%s", f.database);

    source_fixture_run(&f, arena_printf(f.mem,
                                        TIMES "insert into t values (1, now(6) - interval 1 hour),"
                                              " (2, now(6) - interval 1 minute);"
                                              "create user %s@'%%' identified by 'p';"
                                              "grant select on %s.* to %s",
                                        user, f.database, user));
    f.config = arena_printf(f.mem,
                            "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                            "\"username\":\"%s\",\"password\":\"p\",\"ssl_mode\":\"disable\"}",
                            (long long)databases_port(DATABASE_MYSQL), f.database, user);
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    cr_assert_str_eq(next_ids(), "1,");
    source_fixture_select(&f, INCREMENTAL("append_dedup", "at"));
    f.position[0] = '\0';
    cr_assert_str_eq(next_ids(), "1,2,");
    cr_assert_str_eq(next_ids(), "2,");
    source_fixture_run(&f, arena_printf(f.mem, "drop user %s", user));
}

/* ------------------------------------------------------------ ties and NULLs */

static void resume_everywhere(const char *streams, size_t n)
{
    source_fixture_select(&f, streams);
    source_fixture_resume_everywhere(&f);
    cr_assert_eq(f.got->streams[0].n_lines, n, "%zu", f.got->streams[0].n_lines);
    cr_assert_geq(f.got->streams[0].n_checkpoints, 2);
    f.position[0] = '\0';
}

Test(mysql_incremental, neither_loses_nor_repeats_ties_at_any_crash)
{
    static const char *const cursors[] = {"timestamp(6) null", "datetime", "datetime(6)",
                                          "timestamp(3) null", "date"};

    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        source_fixture_run(
            &f, arena_printf(f.mem,
                             "create table t(id varchar(9) primary key, at %s, n int);"
                             "insert into t select concat('k', seq), if(seq %% 10 = 0, null,"
                             " '2024-01-01 00:00:00' + interval seq div 2000 day"
                             " + interval seq div 300 microsecond), 1 from seq_1_to_9000",
                             cursors[i]));
        resume_everywhere(INCREMENTAL("append", "at"), 9000);
        source_fixture_run(&f, "drop table t");
    }
}

Test(mysql_incremental, compares_microseconds_exactly)
{
    source_fixture_run(&f, "create table t(id int primary key, at datetime(6), key(at));"
                           "insert into t select seq, '2024-01-01 00:00:00' + interval seq"
                           " microsecond from seq_1_to_7000");
    resume_everywhere(INCREMENTAL("append", "at"), 7000);
}

Test(mysql_incremental, checkpoints_only_whole_groups_without_a_key)
{
    source_fixture_run(&f, "create table t(id int, at datetime);"
                           "insert into t select seq, '2024-01-01 00:00:00' + interval seq div 1000"
                           " minute from seq_1_to_9000");
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    source_fixture_resume_everywhere(&f);
    cr_assert_eq(f.got->streams[0].n_lines, 9000);
    source_fixture_run(&f, "update t set at = '2024-01-01 00:00:00' + interval id second");
    resume_everywhere(INCREMENTAL("append", "at"), 9000);
}

Test(mysql_incremental, reads_cursors_that_are_no_dates_once)
{
    source_fixture_run(
        &f, "set sql_mode = 'ALLOW_INVALID_DATES'; create table t(id int primary key, at datetime);"
            "insert into t select seq, case when seq <= 3000 then '0000-00-00'"
            " when seq <= 6000 then '2024-00-15' else '2024-02-30 10:00:00' end"
            " from seq_1_to_9000;"
            "insert into t values (9001, '2024-03-02'), (9002, null)");
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    source_fixture_resume_everywhere(&f);
    cr_assert_eq(f.got->streams[0].n_lines, 9002);
    cr_assert_eq(f.got->streams[0].n_odd, 9000);
    cr_assert_eq(next_run(), 0);
    source_fixture_run(&f, "delete from t where id > 9000");
    f.position[0] = '\0';
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    cr_assert_eq(next_run(), 9000, "also when the greatest is none");
    source_fixture_run(&f, "delete from t where id > 3000");
    f.position[0] = '\0';
    cr_assert_eq(next_run(), 3000, "also when all are zero");
}

Test(mysql_incremental, reads_rows_without_a_cursor_as_told)
{
    source_fixture_run(&f, TIMES "insert into t values (1, null), (2, now() - interval 1 hour)");
    source_fixture_select(&f, INCREMENTAL("append", "at"));
    cr_assert_str_eq(next_ids(), "1,2,");
    cr_assert_str_eq(next_ids(), "");
    f.options = ",\"null_cursor\":\"every_run\"";
    f.position[0] = '\0';
    source_fixture_select(&f, INCREMENTAL("append_dedup", "at"));
    cr_assert_str_eq(next_ids(), "1,2,");
    cr_assert_str_eq(next_ids(), "1,");
    f.options = ",\"null_cursor\":\"fail\"";
    source_fixture_select(&f, INCREMENTAL("append_dedup", "at"));
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "null_cursor");
}

Test(mysql_incremental, reads_a_query_by_its_cursor)
{
    source_fixture_run(&f, "create table a(id int primary key, at datetime(6));"
                           "insert into a select seq, '2024-01-01' + interval seq * 7 second"
                           " from seq_1_to_7000");
    f.options = ",\"queries\":{\"t\":\"select id, at, concat('n', id) as n from a -- all\"}";
    resume_everywhere(INCREMENTAL("append", "at"), 7000);
}

Test(mysql_incremental, refuses_a_cursor_that_is_none)
{
    source_fixture_run(&f,
                       "create table t(id bigint unsigned primary key, v varchar(9), w double)");
    for (size_t i = 0; i < 3; i++) {
        const char *streams[] = {INCREMENTAL("append", "id"), INCREMENTAL("append", "v"),
                                 INCREMENTAL("append", "w")};

        f.err = ERROR_INIT;
        source_fixture_select(&f, NULL);
        cr_assert_lt(harness_select(&f.h, streams[i], &f.err), 0, "%zu", i);
    }
}

#include <criterion/criterion.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/sqlite_fixture.h"

extern const struct destination_connector destination_sqlite;

static struct sqlite_fixture f;

static void setup(void)
{
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

TestSuite(sqlite_destination, .init = setup, .fini = teardown, .timeout = 120);

#define OVERWRITE \
    "[{\"name\":\"t\",\"sync_mode\":\"full_refresh\",\"destination_sync_mode\":\"overwrite\"}]"
#define FULL_APPEND \
    "[{\"name\":\"t\",\"sync_mode\":\"full_refresh\",\"destination_sync_mode\":\"append\"}]"
#define APPEND \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append\"}]"
#define DEDUP \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append_dedup\"}]"
#define INSERT_ONLY \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"insert_only\"}]"

/* t(id, v) with ids first..last. */
static void fill(int first, int last)
{
    char sql[400];

    snprintf(
        sql, sizeof sql,
        "create table if not exists t(id integer primary key, v text);"
        "insert into t with recursive n(i) as (select %d union all select i+1 from n where i<%d)"
        " select i, 'v' || i from n;",
        first, last);
    fixture_exec(f.from, sql);
}

static const char *rows(void)
{
    return fixture_text(f.to, "select id, v from t order by id, v");
}

static const char *tables(void)
{
    return fixture_text(f.to, "select name from sqlite_master where type = 'table'"
                              " and name not like '\\_connectord%' escape '\\' order by 1");
}

static void expect_counts(long long read, long long inserted, long long updated,
                          long long unchanged, long long folded)
{
    const struct counts *c = &f.pump.counts[0];

    cr_assert_eq(c->read, read, "read %lld", (long long)c->read);
    cr_assert_eq(c->inserted, inserted, "inserted %lld", (long long)c->inserted);
    cr_assert_eq(c->updated, updated, "updated %lld", (long long)c->updated);
    cr_assert_eq(c->unchanged, unchanged, "unchanged %lld", (long long)c->unchanged);
    cr_assert_eq(c->folded, folded, "folded %lld", (long long)c->folded);
    cr_assert(counts_balance(c));
}

/* ------------------------------------------------------------------ modes */

Test(sqlite_destination, replaces_a_table_on_full_refresh)
{
    fill(1, 10);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    expect_counts(10, 10, 0, 0, 0);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), min(v), max(id) from t"), "10|v1|10");
    fixture_exec(f.from, "delete from t where id > 6; update t set v = 'new' where id = 1");
    fixture_run(&f);
    cr_assert_str_eq(rows(), "1|new;2|v2;3|v3;4|v4;5|v5;6|v6");
    cr_assert_eq(f.pump.recovered[0].generation, 2);
    cr_assert_str_eq(tables(), "t");
}

Test(sqlite_destination, shows_nothing_of_a_generation_before_it_is_complete)
{
    fill(1, 6000);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.from, "update t set v = 'x'");
    f.pump.crash_after = 4;
    fixture_fail(&f);
    cr_assert(f.pump.crashed);
    cr_assert_geq(f.pump.n_commits, 1);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t where v = 'x'"), 0);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 6000);
}

Test(sqlite_destination, continues_a_generation_after_a_crash)
{
    fill(1, 6000);
    fixture_select(&f, OVERWRITE);
    f.pump.crash_after = 4; /* begin, write, checkpoint, write */
    fixture_fail(&f);
    f.pump.crash_after = 0;
    fixture_run(&f);
    cr_assert_not_null(f.pump.recovered[0].position);
    cr_assert_eq(f.pump.recovered[0].generation, 1);
    cr_assert_eq(f.pump.recovered[0].counts.inserted, 2048);
    cr_assert_eq(f.pump.counts[0].inserted, 6000 - 2048);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), count(distinct id) from t"), "6000|6000");
}

Test(sqlite_destination, begins_a_generation_anew_when_the_schema_is_another)
{
    fill(1, 6000);
    fixture_select(&f, OVERWRITE);
    f.pump.crash_after = 4;
    fixture_fail(&f);
    fixture_exec(f.from, "alter table t add column extra text default 'e'");
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    cr_assert_null(f.pump.recovered[0].position);
    cr_assert_eq(f.pump.recovered[0].generation, 2);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), count(extra) from t"), "6000|6000");
    cr_assert_str_eq(tables(), "t");
}

/* What an earlier run left to be dropped is dropped with what this one leaves. */
Test(sqlite_destination, drops_everything_that_was_left_behind)
{
    fill(1, 6000);
    fixture_select(&f, OVERWRITE);
    f.pump.crash_after = 4;
    fixture_fail(&f);
    fixture_exec(f.to, "create table t__g7 (x); create table t__mine (x);"
                       "update _connectord_state set garbage ="
                       " '{\"swapping\":false,\"drop\":[\"t__g7\",\"t__never\"]}'");
    f.pump.crash_after = 0;
    f.pump.plan.restart = true;
    fixture_run(&f);
    cr_assert_eq(f.pump.counts[0].inserted, 6000);
    cr_assert_str_eq(tables(), "t;t__mine");
    cr_assert_str_eq(fixture_text(f.to, "select garbage from _connectord_state"), "");
}

Test(sqlite_destination, begins_anew_when_told_to)
{
    fill(1, 6000);
    fixture_select(&f, OVERWRITE);
    f.pump.crash_after = 4;
    fixture_fail(&f);
    f.pump.crash_after = 0;
    f.pump.plan.restart = true;
    fixture_run(&f);
    cr_assert_null(f.pump.recovered[0].position);
    cr_assert_eq(f.pump.counts[0].inserted, 6000);
    cr_assert_str_eq(tables(), "t");
}

Test(sqlite_destination, appends_every_full_refresh_once)
{
    fill(1, 3);
    fixture_select(&f, FULL_APPEND);
    fixture_run(&f);
    fixture_run(&f);
    cr_assert_str_eq(rows(), "1|v1;1|v1;2|v2;2|v2;3|v3;3|v3");
    expect_counts(3, 3, 0, 0, 0);
    cr_assert_str_eq(tables(), "t");
}

Test(sqlite_destination, does_not_double_rows_of_a_crashed_append)
{
    fill(1, 6000);
    fixture_select(&f, FULL_APPEND);
    fixture_run(&f);
    f.pump.crash_after = 5;
    fixture_fail(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 6000);
    f.pump.crash_after = 0;
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), count(distinct id) from t"),
                     "12000|6000");
}

Test(sqlite_destination, appends_increments_with_their_position)
{
    fill(1, 5000);
    fixture_select(&f, APPEND);
    f.pump.crash_after = 4;
    fixture_fail(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 2048, "visible at each commit");
    f.pump.crash_after = 0;
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), count(distinct id) from t"), "5000|5000");
    fill(5001, 5010);
    fixture_run(&f);
    expect_counts(10, 10, 0, 0, 0);
    fixture_run(&f);
    expect_counts(0, 0, 0, 0, 0);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 5010);
}

#define CHANGES "create table t(id integer primary key, v text, updated_at timestamp);"

Test(sqlite_destination, merges_by_key_and_counts_what_it_did)
{
    fixture_exec(f.from, CHANGES "insert into t values (1,'a','2020-01-01 00:00:00'),"
                                 "(2,'b','2020-01-02 00:00:00'),(3,null,'2020-01-03 00:00:00')");
    fixture_select(&f, DEDUP);
    fixture_run(&f);
    expect_counts(3, 3, 0, 0, 0);
    fixture_exec(f.from, "update t set v = 'B', updated_at = '2999-01-01 00:00:00' where id = 2;"
                         "update t set updated_at = '2999-01-01T00:00:00' where id = 3;"
                         "insert into t values (4,'d','2999-01-01 00:00:00')");
    fixture_run(&f);
    expect_counts(3, 1, 2, 0, 0);
    fixture_run(&f);
    expect_counts(3, 0, 0, 3, 0);
    cr_assert_str_eq(rows(), "1|a;2|B;3|~;4|d");
}

Test(sqlite_destination, leaves_rows_alone_that_are_there_when_it_only_inserts)
{
    fixture_exec(f.from, CHANGES "insert into t values (1,'a','2999-01-01 00:00:00')");
    fixture_select(&f, INSERT_ONLY);
    fixture_run(&f);
    fixture_exec(f.from,
                 "update t set v = 'changed'; insert into t values (2,'b','2999-01-01 00:00:00')");
    fixture_run(&f);
    expect_counts(2, 1, 0, 1, 0);
    cr_assert_str_eq(rows(), "1|a;2|b");
}

/* A key of the user's: the source does not promise that it is unique. */
#define BY_K(mode, method)                                                            \
    "[{\"name\":\"t\",\"sync_mode\":\"" mode "\",\"destination_sync_mode\":\"" method \
    "\",\"cursor_field\":\"n\",\"primary_key\":[\"k\"]}]"

Test(sqlite_destination, folds_repeated_keys_of_one_batch)
{
    fixture_exec(f.from,
                 "create table t(id integer, k text, v text, n integer);"
                 "insert into t values (1,'x','first',1),(2,'y','only',2),(3,'x','last',3)");
    fixture_select(&f, BY_K("incremental", "append_dedup"));
    fixture_run(&f);
    expect_counts(3, 2, 0, 0, 1);
    cr_assert_str_eq(fixture_text(f.to, "select k, v from t order by k"), "x|last;y|only");
}

Test(sqlite_destination, keeps_the_first_of_a_batch_when_it_only_inserts)
{
    fixture_exec(f.from,
                 "create table t(id integer, k text, v text, n integer);"
                 "insert into t values (1,'x','first',1),(2,'y','only',2),(3,'x','last',3)");
    fixture_select(&f, BY_K("incremental", "insert_only"));
    fixture_run(&f);
    expect_counts(3, 2, 0, 0, 1);
    cr_assert_str_eq(fixture_text(f.to, "select k, v from t order by k"), "x|first;y|only");
}

Test(sqlite_destination, folds_repeated_keys_of_a_full_refresh)
{
    fixture_exec(f.from,
                 "create table t(id integer, k text, v text, n integer);"
                 "insert into t values (1,'x','first',1),(2,'y','only',2),(3,'x','last',3)");
    fixture_select(&f, BY_K("full_refresh", "overwrite"));
    fixture_run(&f);
    expect_counts(3, 2, 0, 0, 1);
    cr_assert_str_eq(fixture_text(f.to, "select k, v from t order by k"), "x|last;y|only");
}

/* ------------------------------------------------------------------- keys */

Test(sqlite_destination, tells_composite_keys_apart)
{
    fixture_exec(f.from,
                 "create table t(a text, b text, n integer, primary key(a, b)) without rowid;"
                 "insert into t values ('a,b','c',1),('a','b,c',2),('','',3),('a','',4),"
                 "('\xf0\x9f\x9a\x80',x'' || 'z',5),('nul' || char(0) || 'x','k',6),"
                 "('nul','k',7),(hex(zeroblob(524288)),'big',8)");
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append_dedup\",\"cursor_field\":\"n\"}]");
    fixture_run(&f);
    expect_counts(8, 8, 0, 0, 0);
    fixture_exec(f.from, "update t set n = n + 100");
    fixture_run(&f);
    expect_counts(8, 0, 8, 0, 0);
    cr_assert_eq(fixture_int(f.to, "select length(a) from t where b = 'big'"), 1048576);
    cr_assert_str_eq(fixture_text(f.to, "select n, hex(a) from t where b = 'k' order by n"),
                     "106|6E756C0078;107|6E756C");
}

Test(sqlite_destination, takes_equal_decimals_for_one_key)
{
    fixture_exec(f.from, "create table t(k decimal, v text, n integer);"
                         "insert into t values ('1.10','a',1)");
    fixture_exec(f.from, "create table u(k text, v text, n integer);");
    fixture_select(&f, BY_K("incremental", "append_dedup"));
    fixture_run(&f);
    fixture_exec(f.from, "insert into t values (1.1,'b',2)");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select k, v from t"), "1.1|b");
}

Test(sqlite_destination, quarantines_rows_without_a_key)
{
    fixture_exec(f.from, "create table t(id integer, k text, v text, n integer);"
                         "insert into t values (1,'x','a',1),(2,null,'lost',2),(3,'','b',3)");
    fixture_select(&f, BY_K("incremental", "append_dedup"));
    fixture_run(&f);
    expect_counts(3, 2, 0, 0, 0);
    cr_assert_eq(f.pump.counts[0].quarantined_rows, 1);
    cr_assert_str_eq(fixture_text(f.to, "select quote(k), v from t order by n"), "'x'|a;''|b",
                     "the empty string is a key, NULL is none");
    cr_assert_str_eq(fixture_text(f.to, "select stream, level, \"column\", reason, raw, run_id"
                                        " from _connectord_quarantine"),
                     "t|row|k|null_key|{\"id\":\"2\",\"k\":null,\"v\":\"lost\",\"n\":\"2\"}|17");
}

/* --------------------------------------------------------------- fencing */

static struct destination *open_to(void)
{
    struct destination *d;

    f.err = ERROR_INIT;
    cr_assert_eq(destination_sqlite.open(f.to_config, &f.h.run, &f.pump.plan, &d, &f.err), 0, "%s",
                 f.err.message);
    return d;
}

static struct stream_position recover(struct destination *d)
{
    struct stream_position at;

    cr_assert_eq(d->ops->recover(d, &at, &f.err), 0, "%s", f.err.message);
    return at;
}

static struct batch *some_rows(int first, int n)
{
    struct batch *b = batch_new(f.h.selection.streams[0].schema);

    for (int i = 0; i < n; i++) {
        batch_put_int64(b, 0, first + i);
        batch_put_text(b, 1, "w", 1);
        batch_end_row(b);
    }
    return b;
}

static int write_some(struct destination *d, int first, int n)
{
    struct batch *b = some_rows(first, n);
    int rc = d->ops->write(d, 0, b, &f.err);

    batch_free(b);
    return rc;
}

static int commit_at(struct destination *d, const char *position)
{
    struct counts none = {0}, out;

    return d->ops->commit(d, &position, &none, &out, &f.err);
}

Test(sqlite_destination, fences_the_older_of_two_workers)
{
    struct destination *older, *newer;

    fill(1, 1);
    fixture_select(&f, APPEND);
    older = open_to();
    recover(older);
    cr_assert_eq(write_some(older, 1, 5), 0);
    cr_assert_eq(commit_at(older, "{\"n\":1}"), 0);
    newer = open_to();
    cr_assert_str_eq(recover(newer).position, "{\"n\":1}");
    cr_assert_eq(write_some(older, 100, 5), 0);
    cr_assert_lt(commit_at(older, "{\"n\":2}"), 0);
    cr_assert_eq(f.err.code, ERR_FENCED, "%s", f.err.message);
    f.err = ERROR_INIT;
    cr_assert_eq(write_some(newer, 6, 5), 0);
    cr_assert_eq(commit_at(newer, "{\"n\":3}"), 0);
    older->ops->close(older);
    newer->ops->close(newer);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), max(id) from t"), "10|10");
    cr_assert_str_eq(fixture_text(f.to, "select position, seq from _connectord_state"),
                     "{\"n\":3}|2");
}

Test(sqlite_destination, does_not_work_on_after_a_failure)
{
    struct destination *d;

    fill(1, 1);
    fixture_select(&f, APPEND);
    d = open_to();
    recover(d);
    cr_assert_eq(write_some(d, 1, 5), 0);
    cancel_request(f.h.cancel, CANCEL_USER);
    cr_assert_lt(commit_at(d, "{\"n\":1}"), 0);
    cr_assert_eq(f.err.code, ERR_CANCELLED);
    f.err = ERROR_INIT;
    cr_assert_lt(commit_at(d, "{\"n\":1}"), 0);
    cr_assert_eq(f.err.code, ERR_INTERNAL);
    d->ops->close(d);
    cr_assert_str_eq(tables(), "", "the table was made in the transaction that was given up");
}

Test(sqlite_destination, refuses_rows_that_no_position_covers)
{
    struct destination *d;

    fill(1, 1);
    fixture_select(&f, APPEND);
    d = open_to();
    recover(d);
    cr_assert_eq(write_some(d, 1, 5), 0);
    cr_assert_lt(commit_at(d, NULL), 0);
    cr_assert_eq(f.err.code, ERR_INTERNAL);
    d->ops->close(d);
}

/* -------------------------------------------- what is there, and is gone */

Test(sqlite_destination, loads_anew_when_the_table_is_gone)
{
    fill(1, 10);
    fixture_select(&f, APPEND);
    fixture_run(&f);
    fixture_exec(f.to, "drop table t");
    fixture_run(&f);
    cr_assert_null(f.pump.recovered[0].position);
    cr_assert_eq(f.pump.recovered[0].generation, 2);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 10);
}

Test(sqlite_destination, goes_back_with_a_restored_file)
{
    char copy[200];

    fill(1, 10);
    fixture_select(&f, APPEND);
    fixture_run(&f);
    snprintf(copy, sizeof copy, "vacuum into '%s/backup.db'", f.dir);
    fixture_exec(f.to, copy);
    fill(11, 20);
    fixture_run(&f);
    snprintf(copy, sizeof copy, "%s/backup.db", f.dir);
    cr_assert_eq(rename(copy, f.to), 0);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), count(distinct id) from t"), "20|20");
}

Test(sqlite_destination, leaves_foreign_tables_alone)
{
    fill(1, 3);
    fixture_exec(f.to, "create table t(mine text); insert into t values ('keep')");
    fixture_select(&f, OVERWRITE);
    cr_assert_eq(fixture_fail(&f)->code, ERR_CONFLICT);
    cr_assert_str_eq(error_reason(&f.err), "table_exists");
    cr_assert_str_eq(fixture_text(f.to, "select * from t"), "keep");
}

Test(sqlite_destination, adopts_a_table_when_told_to)
{
    fill(1, 3);
    f.to_options = ",\"adopt_table\":true";
    fixture_exec(f.to,
                 "create table t(ID integer primary key, note text default 'n', v varchar(10));"
                 "insert into t values (2,'mine','old'),(9,'mine','old')");
    fixture_select(&f, DEDUP);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select id, note, v from t order by id"),
                     "1|n|v1;2|mine|v2;3|n|v3;9|mine|old");
    expect_counts(3, 2, 1, 0, 0);
}

Test(sqlite_destination, does_not_write_into_the_table_of_another_pipeline)
{
    fill(1, 3);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    f.pump.plan.pipeline = "other";
    cr_assert_eq(fixture_fail(&f)->code, ERR_CONFLICT);
    cr_assert_str_eq(error_reason(&f.err), "table_owned");
}

Test(sqlite_destination, clears_only_what_is_its_own)
{
    fill(1, 3);
    fixture_exec(f.to, "create table mine(x)");
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    f.pump.plan.pipeline = "other";
    cr_assert_eq(destination_sqlite.clear(f.to_config, &f.h.run, &f.pump.plan, &f.err), 0);
    cr_assert_str_eq(tables(), "mine;t");
    f.pump.plan.pipeline = "test";
    cr_assert_eq(destination_sqlite.clear(f.to_config, &f.h.run, &f.pump.plan, &f.err), 0);
    cr_assert_str_eq(tables(), "mine");
    cr_assert_eq(fixture_int(f.to, "select count(*) from _connectord_state"), 0);
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 3);
}

Test(sqlite_destination, clears_nothing_where_there_is_no_file)
{
    fill(1, 3);
    fixture_select(&f, OVERWRITE);
    cr_assert_eq(destination_sqlite.clear(f.to_config, &f.h.run, &f.pump.plan, &f.err), 0);
    cr_assert_neq(access(f.to, F_OK), 0);
}

Test(sqlite_destination, takes_an_edited_position)
{
    const char *edit = "{\"kind\":\"cursor\",\"safe\":\"4\",\"high\":null}";

    fill(1, 5);
    fixture_select(&f, APPEND);
    fixture_run(&f);
    f.pump.plan.override_positions = &edit;
    fixture_run(&f);
    cr_assert_str_eq(f.pump.recovered[0].position, edit);
    expect_counts(2, 2, 0, 0, 0);
    edit = "";
    fixture_run(&f);
    cr_assert_null(f.pump.recovered[0].position);
    expect_counts(5, 5, 0, 0, 0);
}

Test(sqlite_destination, builds_beside_the_live_table_when_the_mode_changes)
{
    fill(1, 10);
    fixture_select(&f, APPEND);
    fixture_run(&f);
    fixture_exec(f.from, "delete from t where id = 1");
    fixture_select(&f, DEDUP);
    fixture_run(&f);
    cr_assert_eq(f.pump.recovered[0].generation, 2);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 9, "generations do not mix");
    fill(11, 12);
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 11);
    cr_assert_str_eq(tables(), "t");
}

/* ---------------------------------------------------------- shrink guard */

Test(sqlite_destination, guards_against_a_source_that_is_suddenly_empty)
{
    fill(1, 100);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.from, "delete from t");
    cr_assert_eq(fixture_fail(&f)->code, ERR_CONFLICT);
    cr_assert_str_eq(error_reason(&f.err), "shrink_guard");
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 100);
    cr_assert_str_eq(tables(), "t", "the new generation is dropped");
    f.h.selection.streams[0].allow_empty = true;
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 0);
}

Test(sqlite_destination, guards_below_one_half_and_not_at_it)
{
    fill(1, 100);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.from, "delete from t where id > 49");
    cr_assert_str_eq(error_reason(fixture_fail(&f)), "shrink_guard");
    f.h.selection.streams[0].allow_empty = true;
    cr_assert_str_eq(error_reason(fixture_fail(&f)), "shrink_guard");
    fixture_exec(f.from, "insert into t values (50, 'v')");
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 50);
    fixture_exec(f.from, "delete from t where id > 1");
    f.h.selection.streams[0].allow_shrink = true;
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 1);
}

Test(sqlite_destination, keeps_the_live_table_when_the_source_breaks_half_way)
{
    fill(1, 6000);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    f.pump.crash_after = 3;
    fixture_fail(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from t"), 6000);
}

/* ------------------------------------------------------------ dependents */

Test(sqlite_destination, keeps_views_triggers_and_indexes_valid)
{
    fill(1, 10);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.to, "create index by_v on t(v); create table log(x);"
                       "create view names as select upper(v) as n from t;"
                       "create view broken as select * from nowhere");
    fixture_exec(f.from, "update t set v = 'w' || id");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), min(n) from names"), "10|W1");
    cr_assert_eq(fixture_int(f.to, "select count(*) from sqlite_master where name = 'by_v'"), 1);
    fixture_exec(f.to, "drop view names; create trigger tr after insert on t begin"
                       " insert into log values (new.id); end");
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from sqlite_master where name = 'tr'"), 1);
    cr_assert_eq(fixture_int(f.to, "select count(*) from log"), 10);
    cr_assert_str_eq(fixture_text(f.to, "pragma integrity_check"), "ok");
    cr_assert_str_eq(tables(), "log;t");
}

Test(sqlite_destination, keeps_an_index_of_others_when_it_renames)
{
    fill(1, 10);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.to, "create index by_v on t(v)");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select tbl_name from sqlite_master where name = 'by_v'"),
                     "t");
    cr_assert_str_eq(fixture_text(f.to, "pragma integrity_check"), "ok");
}

Test(sqlite_destination, keeps_foreign_keys_that_point_at_the_table)
{
    fill(1, 10);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.to, "create table child(t_id references t(id)); insert into child values (3)");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select sql from sqlite_master where name = 'child'"),
                     "CREATE TABLE child(t_id references t(id))");
    cr_assert_str_eq(fixture_text(f.to, "pragma foreign_key_check"), "");
}

Test(sqlite_destination, lets_a_view_see_a_type_that_changed)
{
    fill(1, 10);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.to, "create view both as select id, v from t");
    fixture_exec(f.from,
                 "create table u(id text primary key, v integer); insert into u select id, id"
                 " from t; drop table t; alter table u rename to t");
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select typeof(id), typeof(v) from both limit 1"),
                     "text|integer");
}

/* A reader sees 10 old or 10 new rows at every step of a refresh, never a mixture. */
Test(sqlite_destination, shows_readers_one_generation_at_a_time)
{
    fill(1, 5000);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    fixture_exec(f.from, "update t set v = 'new'");
    fixture_next_run(&f);
    for (size_t step = 1; step < 12; step++) {
        f.pump.crash_after = step;
        f.err = ERROR_INIT;
        if (pump_attempt(&f.pump, &f.err) == 0)
            break;
        cr_assert_str_eq(fixture_text(f.to, "select count(*), count(*) filter (where v = 'new')"
                                            " from t"),
                         "5000|0");
    }
    cr_assert_str_eq(
        fixture_text(f.to, "select count(*), count(*) filter (where v = 'new') from t"),
        "5000|5000");
}

/* ------------------------------------------------------------- quarantine */

static void odd_rows(int good, int bad)
{
    char sql[500];

    snprintf(
        sql, sizeof sql,
        "create table t(id integer primary key, n integer);"
        "insert into t with recursive n(i) as (select 1 union all select i+1 from n where i<%d)"
        " select i, case when i <= %d then 'bad' || i else i end from n;",
        good + bad, bad);
    fixture_exec(f.from, sql);
}

Test(sqlite_destination, keeps_the_row_and_quarantines_the_cell)
{
    odd_rows(2, 1);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select id, n, _connectord_meta from t order by id"),
                     "1|~|{\"q\":[\"n\"]};2|2|~;3|3|~");
    cr_assert_str_eq(fixture_text(f.to, "select level, \"column\", reason, key, raw, encoding"
                                        " from _connectord_quarantine"),
                     "cell|n|type|[\"1\"]|bad1|utf-8");
    cr_assert_eq(f.pump.counts[0].quarantined_cells, 1);
    cr_assert_eq(f.pump.counts[0].quarantined_rows, 0);
    expect_counts(3, 3, 0, 0, 0);
}

Test(sqlite_destination, stops_at_the_limit_and_not_before)
{
    odd_rows(10, 3);
    fixture_select(&f, OVERWRITE);
    f.pump.plan.max_quarantined_rows = 2;
    cr_assert_eq(fixture_fail(&f)->code, ERR_DATA);
    cr_assert_str_eq(error_reason(&f.err), "quarantine_limit");
    cr_assert_eq(fixture_int(f.to, "select count(*) from _connectord_quarantine"), 0);
    f.pump.plan.max_quarantined_rows = 3;
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from _connectord_quarantine"), 3);
}

Test(sqlite_destination, is_strict_when_the_limit_is_zero)
{
    odd_rows(10, 1);
    fixture_select(&f, OVERWRITE);
    f.pump.plan.max_quarantined_rows = 0;
    cr_assert_str_eq(error_reason(fixture_fail(&f)), "quarantine_limit");
}

Test(sqlite_destination, looks_at_the_share_once_it_says_something)
{
    odd_rows(9800, 199);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f); /* 9999 rows: two percent are no matter yet */
    fixture_exec(f.from, "drop table t");
    odd_rows(9800, 200);
    fixture_select(&f, OVERWRITE);
    cr_assert_str_eq(error_reason(fixture_fail(&f)), "quarantine_limit");
    f.pump.plan.max_quarantined_ratio = 0.02;
    fixture_run(&f);
}

/* ---------------------------------------------------------------- metadata */

Test(sqlite_destination, writes_as_much_metadata_as_asked_for)
{
    fill(1, 1);
    fixture_select(&f, OVERWRITE);
    f.pump.plan.metadata = METADATA_NONE;
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select group_concat(name) from pragma_table_info('t')"),
                     "id,v");
    f.pump.plan.metadata = METADATA_FULL;
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select group_concat(name) from pragma_table_info('t')"),
                     "id,v,_connectord_synced_at,_connectord_meta,_connectord_run_id,"
                     "_connectord_extracted_at,_connectord_generation");
    cr_assert_str_eq(fixture_text(f.to,
                                  "select _connectord_run_id, _connectord_generation,"
                                  " _connectord_synced_at like '20__-__-__T__:__:__%Z' from t"),
                     "18|2|1");
}

/* ------------------------------------------------------------------ trouble */

Test(sqlite_destination, says_what_is_wrong_with_the_file)
{
    struct destination *d;
    FILE *file;

    fill(1, 1);
    fixture_select(&f, OVERWRITE);
    file = fopen(f.to, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", file);
    fclose(file);
    cr_assert_eq(fixture_fail(&f)->code, ERR_DATA);
    cr_assert_str_eq(error_reason(&f.err), "not_a_database");
    f.err = ERROR_INIT;
    cr_assert_lt(destination_sqlite.check(f.to_config, &f.h.run, &f.err), 0);
    unlink(f.to);
    f.err = ERROR_INIT;
    cr_assert_eq(destination_sqlite.check(f.to_config, &f.h.run, &f.err), 0);
    cr_assert_neq(access(f.to, F_OK), 0, "a check makes no file");
    tempdir_remove(f.dir);
    f.err = ERROR_INIT;
    cr_assert_lt(destination_sqlite.check(f.to_config, &f.h.run, &f.err), 0);
    cr_assert_eq(f.err.code, ERR_NOT_FOUND, "%s", f.err.message);
    f.err = ERROR_INIT;
    cr_assert_lt(destination_sqlite.open(f.to_config, &f.h.run, &f.pump.plan, &d, &f.err), 0);
}

Test(sqlite_destination, waits_for_a_lock_no_longer_than_told)
{
    sqlite3 *other;

    fill(1, 1);
    f.to_options = ",\"busy_timeout_s\":0";
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    sqlite3_open(f.to, &other);
    sqlite3_exec(other, "begin immediate", NULL, NULL, NULL);
    cr_assert_eq(fixture_fail(&f)->code, ERR_CONTENTION);
    cr_assert_str_eq(error_reason(&f.err), "database_locked");
    sqlite3_close(other);
    fixture_run(&f);
}

Test(sqlite_destination, keeps_the_journal_mode_of_the_file)
{
    fill(1, 10);
    fixture_exec(f.to, "pragma journal_mode = wal; create table mine(x)");
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "pragma journal_mode"), "wal");
}

Test(sqlite_destination, needs_a_key_to_merge_by)
{
    struct destination *d;

    fixture_exec(f.from, "create table t(a text)");
    fixture_select(
        &f,
        "[{\"name\":\"t\",\"sync_mode\":\"full_refresh\",\"destination_sync_mode\":\"append\"}]");
    f.h.selection.streams[0].write_mode = WRITE_APPEND_DEDUP;
    cr_assert_lt(destination_sqlite.open(f.to_config, &f.h.run, &f.pump.plan, &d, &f.err), 0);
    cr_assert_str_eq(error_reason(&f.err), "key_required");
}

Test(sqlite_destination, makes_a_table_of_a_stream_without_rows)
{
    fixture_exec(f.from, "create table t(id integer primary key, v text)");
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*) from t"), "0");
    fixture_select(&f, DEDUP);
    fixture_run(&f);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*) from t"), "0");
}

Test(sqlite_destination, puts_namespaces_in_front_of_the_name)
{
    fill(1, 2);
    fixture_select(&f, OVERWRITE);
    f.h.selection.streams[0].destination_namespace = "shop";
    f.h.selection.streams[0].alias = "things";
    fixture_run(&f);
    cr_assert_str_eq(tables(), "shop__things");
}

/* ------------------------------------------------- changes between two attempts */

Test(sqlite_destination, delivers_what_changed_between_two_attempts)
{
    fixture_exec(f.from,
                 "create table t(id integer primary key, v text, rev integer);"
                 "create index by_rev on t(rev);"
                 "insert into t with recursive n(i) as (select 1 union all select i+1 from n"
                 " where i < 6000) select i, 'old', i / 3 from n");
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append_dedup\",\"cursor_field\":\"rev\"}]");
    f.pump.crash_after = 4;
    fixture_fail(&f);
    /* One row that was read, one that was not, and a new one: all behind the first snapshot. */
    fixture_exec(f.from, "update t set v = 'new', rev = 3000 where id in (10, 5000);"
                         "insert into t values (7000, 'new', 3001)");
    f.pump.crash_after = 0;
    fixture_run(&f); /* reads the rest of the first window, and then one of its own */
    cr_assert_str_eq(
        fixture_text(f.to, "select count(*), count(*) filter (where v = 'new') from t"), "6001|3");
    cr_assert_str_eq(fixture_text(f.to, "select id, rev from t where v = 'new' order by id"),
                     "10|3000;5000|3000;7000|3001");
}

#include <criterion/criterion.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "tests/support/fake_sink.h"
#include "tests/support/sqlite_fixture.h"

extern const struct source_connector source_sqlite;

static struct sqlite_fixture f;
static struct fake_sink *got;
static char position[4096];

static void setup(void)
{
    fixture_open(&f);
    position[0] = '\0';
}

static void teardown(void)
{
    clock_fake(NULL);
    fake_sink_free(got);
    fixture_close(&f);
}

TestSuite(sqlite_source, .init = setup, .fini = teardown, .timeout = 120);

static const struct stream *stream(const char *name)
{
    const struct stream *s = catalog_find(&f.h.catalog, "", name);

    cr_assert_not_null(s, "no stream %s", name);
    return s;
}

/* "a int key, b decimal(15,2) null": the columns of a discovered stream. */
static const char *shape(const char *name)
{
    static char out[2000];
    const struct schema *s = stream(name)->schema;
    size_t n = 0;

    for (size_t i = 0; i < s->n_columns; i++) {
        char type[32];
        bool key = false;

        type_format(s->columns[i].type, type);
        for (size_t k = 0; k < s->n_key; k++)
            key |= s->key[k] == i;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s %s%s%s", i ? ", " : "",
                              s->columns[i].name, type, s->columns[i].nullable ? "" : " not null",
                              key ? " key" : "");
    }
    return out;
}

/* Reads the only stream from `position` on; keeps the position it ends with. */
static struct fake_stream *read_on(void)
{
    const char *at = position[0] ? position : NULL;

    fake_sink_free(got);
    got = fake_sink_new(f.h.selection.n);
    f.err = ERROR_INIT;
    if (harness_read(&f.h, &at, &got->sink, &f.err) < 0)
        cr_assert_fail("%s", f.err.message);
    cr_assert_str_eq(got->violation, "");
    if (got->streams[0].ended && got->streams[0].end_position)
        snprintf(position, sizeof position, "%s", got->streams[0].end_position);
    return &got->streams[0];
}

static const struct fake_stream *read_well(void)
{
    struct fake_stream *s = read_on();

    cr_assert(s->ended, "%s", s->why.message);
    return s;
}

static const char *reason_of_failure(void)
{
    struct fake_stream *s = read_on();

    cr_assert(s->failed);
    return error_reason(&s->why);
}

static const char *lines(const struct fake_stream *s)
{
    static char out[8192];
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < s->n_lines; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i ? " " : "", s->lines[i]);
    return out;
}

static int64_t now_us;

static int64_t fake_now(void)
{
    return now_us;
}

static void set_time(const char *text)
{
    cr_assert(clock_parse(text, &now_us), "%s", text);
    clock_fake(fake_now);
}

#define INCREMENTAL(method, cursor)                                                      \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"" method \
    "\",\"cursor_field\":\"" cursor "\",\"fields\":{\"include\":[\"id\",\"" cursor "\"]}}]"

/* ---------------------------------------------------------------- discovery */

Test(sqlite_source, maps_declared_types)
{
    fixture_exec(f.from,
                 "create table t(a integer, b bigint, c unsigned big int, d boolean, e real,"
                 " f double precision, g decimal(15,2), h numeric, i varchar(20), j text, k blob,"
                 " l date, m time, n datetime, o timestamp, p timestamp with time zone,"
                 " q timestamptz, r uuid, s json, t interval, u, v money, w point, x int8,"
                 " y numeric(5), z decimal(2,9))");
    fixture_select(&f, NULL);
    cr_assert_str_eq(
        shape("t"), "a int, b int, c int, d bool, e float, f float, g decimal(15,2), h decimal,"
                    " i string, j string, k bytes, l date, m time, n timestamp, o timestamp,"
                    " p timestamptz, q timestamptz, r uuid, s json, t interval, u string, v string,"
                    " w string, x int, y decimal(5,0), z decimal");
}

Test(sqlite_source, takes_the_primary_key_alone_or_one_unique_set)
{
    fixture_exec(
        f.from,
        "create table pk(id integer primary key, email text not null unique);"
        "create table two(a text, b text, c int, primary key(b, a)) without rowid;"
        "create table uni(a text not null, b text not null, c text not null unique,"
        " d text unique, unique(a, b));"
        "create table may_be_null(a text unique);"
        "create table some(a text not null); create unique index s on some(a) where a > 'b';"
        "create table expr(a text not null); create unique index e on expr(lower(a));"
        "create table none(a text); create view v as select * from pk");
    fixture_select(&f, NULL);
    cr_assert_str_eq(shape("pk"), "id int not null key, email string not null");
    cr_assert_str_eq(shape("two"), "a string not null key, b string not null key, c int");
    cr_assert_eq(stream("two")->schema->key[0], 1);
    cr_assert_str_eq(shape("uni"),
                     "a string not null, b string not null, c string not null key, d string");
    cr_assert_eq(stream("may_be_null")->schema->n_key, 0);
    cr_assert_eq(stream("some")->schema->n_key, 0);
    cr_assert_eq(stream("expr")->schema->n_key, 0);
    cr_assert_eq(stream("none")->schema->n_key, 0);
    cr_assert_eq(stream("v")->schema->n_columns, 2);
    cr_assert_eq(stream("v")->row_estimate, -1);
}

Test(sqlite_source, leaves_out_what_is_ours_or_sqlites_or_broken)
{
    fixture_exec(f.from, "create table _connectord_state(a); create table a(x integer primary key"
                         " autoincrement); create view good as select * from a;"
                         "create view bad as select * from gone; analyze;"
                         "create virtual table f using fts5(x)");
    fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 2);
    stream("a");
    stream("good");
}

Test(sqlite_source, suggests_cursors_best_first)
{
    fixture_exec(f.from, "create table t(id integer primary key, created datetime, day date,"
                         " n int, updated_at datetime, note text);"
                         "insert into t values (7,null,null,1,null,'x')");
    fixture_select(&f, NULL);
    const struct stream *s = stream("t");
    cr_assert_eq(s->n_cursors, 4);
    cr_assert_eq(s->cursors[0], 4);
    cr_assert_eq(s->cursors[1], 0);
    cr_assert_eq(s->cursors[2], 1);
    cr_assert_eq(s->cursors[3], 2);
    cr_assert(s->resumable);
    cr_assert_eq(s->row_estimate, 7);
}

Test(sqlite_source, counts_rows)
{
    int64_t n;
    bool exact;

    fixture_exec(f.from, "create table t(a); insert into t values (1),(2),(3)");
    fixture_select(&f, NULL);
    cr_assert_eq(source_sqlite.count(f.h.config, &f.h.run, stream("t"), &n, &exact, &f.err), 0);
    cr_assert_eq(n, 3);
    cr_assert(exact);
}

/* ------------------------------------------------------------------- values */

/* Each storage class into a column of each type; "?" marks an odd cell. */
static const struct {
    const char *type, *value, *expected;
} values[] = {
    {"int", "5", "\"5\""},
    {"int", "5.5", "odd 5.5"},
    {"int", "'x'", "odd x"},
    {"int", "x'41'", "odd A"},
    {"boolean", "1", "\"true\""},
    {"boolean", "0", "\"false\""},
    {"boolean", "2", "odd 2"},
    {"boolean", "'true'", "\"true\""},
    {"boolean", "'maybe'", "odd maybe"},
    {"real", "1", "\"1\""},
    {"real", "0.1", "\"0.1\""},
    {"real", "'NaN'", "\"NaN\""},
    {"real", "9e999", "\"Infinity\""},
    {"real", "'x'", "odd x"},
    {"decimal(9,2)", "12", "\"12\""},
    {"decimal(9,2)", "12.34", "\"12.34\""},
    {"decimal(9,2)", "0.1+0.2", "\"0.30000000000000004\""},
    {"decimal(9,2)", "-0.07", "\"-0.07\""},
    {"decimal(9,2)", "0.001", "\"0.001\""},
    {"decimal(9,2)", "1e300", NULL},
    {"decimal(9,2)", "'nope'", "odd nope"},
    {"text", "'a'", "\"a\""},
    {"text", "''", "\"\""},
    {"text", "x'ff'", "odd \xef\xbf\xbd"},
    {"", "5", "\"5\""},
    {"", "0.5", "\"0.5\""},
    {"", "'a'", "\"a\""},
    {"blob", "x'00ff'", "\"AP8=\""},
    {"blob", "'text'", "odd text"},
    {"date", "'2024-02-29'", "\"2024-02-29\""},
    {"date", "'2024-02-30'", "odd 2024-02-30"},
    {"date", "20240229", "odd 20240229"},
    {"time", "'12:30:00.5'", "\"12:30:00.5\""},
    {"datetime", "'2024-01-01 10:00:00'", "\"2024-01-01T10:00:00\""},
    {"datetime", "'2024-01-01T10:00:00.25'", "\"2024-01-01T10:00:00.25\""},
    {"datetime", "'2024-01-01 10:00:00Z'", "odd 2024-01-01 10:00:00Z"},
    {"datetime", "1700000000", "odd 1700000000"},
    {"timestamptz", "'2024-01-01T10:00:00+02:00'", "\"2024-01-01T08:00:00Z\""},
    {"timestamptz", "'2024-01-01T10:00:00'", "odd 2024-01-01T10:00:00"},
    {"uuid", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'", "\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\""},
    {"uuid", "x'6F9619FF8B86D011B42D00CF4FC964FF'", "\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\""},
    {"uuid", "'no'", "odd no"},
    {"json", "'{\"a\":1.10}'", "\"{\\\"a\\\":1.10}\""},
    {"json", "'{'", "odd {"},
    {"json", "7", "\"7\""},
    {"interval", "'P1D'", "\"P1D\""},
    {"text", "null", "null"},
};

Test(sqlite_source, takes_values_as_their_type_or_as_odd_cells)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char sql[300], expected[300];
        const struct fake_stream *s;

        snprintf(sql, sizeof sql,
                 "drop table if exists t; create table t(v %s); insert into t values (%s)",
                 values[i].type, values[i].value);
        fixture_exec(f.from, sql);
        fixture_select(&f, NULL);
        position[0] = '\0';
        s = read_well();
        if (!values[i].expected)
            continue;
        if (strncmp(values[i].expected, "odd ", 4) == 0) {
            cr_assert_eq(s->n_odd, 1, "%s in %s: %s", values[i].value, values[i].type, s->lines[0]);
            cr_assert(strstr(s->lines[0], values[i].expected + 4), "%s in %s: %s", values[i].value,
                      values[i].type, s->lines[0]);
        } else {
            snprintf(expected, sizeof expected, "{\"v\":%s}", values[i].expected);
            cr_assert_str_eq(s->lines[0], expected, "%s in %s", values[i].value, values[i].type);
        }
    }
}

Test(sqlite_source, takes_every_short_decimal_as_it_was_written)
{
    char sql[200];
    const struct fake_stream *s;

    fixture_exec(f.from, "create table t(v decimal(15,2), w text)");
    snprintf(sql, sizeof sql,
             "insert into t with recursive n(i) as (select -5000 union all select i+1"
             " from n where i < 5000) select i / 100.0, printf('%%.2f', i / 100.0) from n");
    fixture_exec(f.from, sql);
    fixture_select(&f, NULL);
    s = read_well();
    cr_assert_eq(s->n_lines, 10001);
    for (size_t i = 0; i < s->n_lines; i++) {
        CLEANUP(doc_free_cleanup) struct doc *d = fake_sink_row(s, i);
        const char *v = doc_string(doc_get(d, "v"), ""), *w = doc_string(doc_get(d, "w"), "");

        cr_assert_eq(
            value_compare_decimal((struct slice){v, strlen(v)}, (struct slice){w, strlen(w)}), 0,
            "%s %s", v, w);
        cr_assert_leq(strlen(v), strlen(w));
    }
}

/* ---------------------------------------------------------------- full reads */

static void fill(const char *definition, int n)
{
    char sql[600];

    snprintf(
        sql, sizeof sql,
        "create table t(%s); insert into t with recursive n(i) as (select 1 union all select i+1"
        " from n where i < %d) select i, 'v' || i from n",
        definition, n);
    fixture_exec(f.from, sql);
}

Test(sqlite_source, continues_a_full_read_behind_every_checkpoint)
{
    struct fake_sink *whole;

    fixture_exec(f.from,
                 "create table t(a text, b real, c text, primary key(a, b));"
                 "insert into t with recursive n(i) as (select 0 union all select i+1 from n"
                 " where i < 7000) select 'k' || (i / 7), i * 0.1, 'v' from n");
    fixture_select(&f, NULL);
    read_well();
    whole = got;
    got = NULL;
    cr_assert_geq(whole->streams[0].n_checkpoints, 3);
    for (size_t i = 0; i < whole->streams[0].n_checkpoints; i++) {
        const struct fake_checkpoint *c = &whole->streams[0].checkpoints[i];
        struct fake_sink *rest = fake_sink_new(1);
        const char *at = c->position;

        fake_sink_copy(rest, whole, 0, c->n_lines);
        cr_assert_eq(harness_read(&f.h, &at, &rest->sink, &f.err), 0);
        cr_assert_eq(fake_sink_differ(&whole->streams[0], &rest->streams[0]), -1);
        fake_sink_free(rest);
    }
    fake_sink_free(whole);
}

Test(sqlite_source, does_not_checkpoint_within_a_table_without_a_key)
{
    const struct fake_stream *s;

    fill("a int, b text", 5000);
    fixture_select(&f, NULL);
    s = read_well();
    cr_assert_eq(s->n_lines, 5000);
    cr_assert_eq(s->n_checkpoints, 0);
    s = read_well();
    cr_assert_eq(s->n_lines, 0, "the end is the end, after a crash as well");
}

Test(sqlite_source, loses_no_row_that_moves_between_two_pages)
{
    /* T2: what was read stays where its key is; the snapshot of one attempt does not move at all.
     */
    const struct fake_stream *s;

    fill("id integer primary key, v text", 5000);
    fixture_select(&f, NULL);
    s = read_well();
    snprintf(position, sizeof position, "%s", s->checkpoints[0].position);
    cr_assert_str_eq(position, "{\"kind\":\"keyset\",\"resume\":{\"key\":[\"2048\"]}}");
    fixture_exec(f.from, "delete from t where id <= 100; update t set v = 'w' where id > 4000");
    s = read_well();
    cr_assert_eq(s->n_lines, 5000 - 2048);
}

Test(sqlite_source, goes_on_behind_keys_of_any_kind)
{
    fixture_exec(f.from,
                 "create table t(k blob primary key, v int) without rowid;"
                 "insert into t values (5,1),(2.5,2),('a',3),('nul' || char(0),4),(x'ff00',5),"
                 "('',6),('quote''\"',7)");
    fixture_select(&f, NULL);
    /* The fixture is smaller than a batch: each row is asked for as the one after a given key. */
    static const char *const after[] = {"{\"real\":\"2.5\"}",
                                        "{\"int\":\"5\"}",
                                        "{\"text\":\"\"}",
                                        "{\"text\":\"a\"}",
                                        "{\"text64\":\"bnVsAA==\"}",
                                        "{\"text\":\"quote'\\\"\"}",
                                        "\"/wA=\""};
    for (size_t i = 0; i < 7; i++) {
        snprintf(position, sizeof position, "{\"kind\":\"keyset\",\"resume\":{\"key\":[%s]}}",
                 after[i]);
        cr_assert_eq(read_well()->n_lines, 6 - i, "%s", after[i]);
    }
}

Test(sqlite_source, refuses_positions_that_are_not_its_own)
{
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"kind\":\"file\"}",
                                      "{\"kind\":\"keyset\"}",
                                      "{\"kind\":\"keyset\",\"resume\":{\"key\":[\"1\",\"2\"]}}",
                                      "{\"kind\":\"keyset\",\"resume\":{\"key\":[\"x\"]}}",
                                      "{\"kind\":\"keyset\",\"resume\":{\"key\":[1]}}",
                                      "nonsense"};

    fill("id integer primary key, v text", 5);
    fixture_select(&f, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(position, sizeof position, "%s", bad[i]);
        cr_assert_str_eq(reason_of_failure(), "position_unknown", "%s", bad[i]);
    }
}

/* --------------------------------------------------------------- incremental */

Test(sqlite_source, reads_an_integer_cursor_on_from_the_greatest)
{
    fill("id integer primary key, v text", 5);
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append\",\"cursor_field\":\"id\"}]");
    cr_assert_eq(read_well()->n_lines, 5);
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"6\",\"high\":\"5\"}");
    cr_assert_eq(read_well()->n_lines, 0);
    fixture_exec(f.from, "insert into t values (6,'x'),(7,'y')");
    cr_assert_str_eq(lines(read_well()), "{\"id\":\"6\",\"v\":\"x\"} {\"id\":\"7\",\"v\":\"y\"}");
}

Test(sqlite_source, overlaps_by_one_where_rows_are_merged)
{
    fixture_exec(f.from, "create table t(id integer primary key, rev int);"
                         "insert into t values (1,10),(2,11)");
    fixture_select(&f, INCREMENTAL("append_dedup", "rev"));
    cr_assert_eq(read_well()->n_lines, 2);
    fixture_exec(f.from, "insert into t values (3,11)");
    cr_assert_eq(read_well()->n_lines, 2, "a tie that was committed later is not lost");
}

/* A row that has something in a column of which the run does not know is not delivered without. */
Test(sqlite_source, begins_anew_when_columns_have_come_since_discovery)
{
    const struct fake_stream *s;

    fill("id integer primary key, v text", 5);
    fixture_select(&f, INCREMENTAL("append_dedup", "id"));
    fixture_exec(f.from, "alter table t add column w int default 7;"
                         "insert into t values (6, 'x', 8)");
    s = read_on();
    cr_assert(s->failed);
    cr_assert_str_eq(error_reason(&s->why), "schema_changed");
    cr_assert(error_is_retryable(&s->why));
    fixture_select(&f, INCREMENTAL("append_dedup", "id"));
    position[0] = '\0';
    cr_assert_eq(read_well()->n_lines, 6);
}

Test(sqlite_source, says_when_an_integer_cursor_went_back)
{
    fill("id integer primary key, v text", 5);
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append\",\"cursor_field\":\"id\"}]");
    read_well();
    fixture_exec(f.from, "delete from t where id = 5");
    cr_assert_str_eq(reason_of_failure(), "cursor_regressed");
    cr_assert_eq(got->streams[0].why.code, ERR_RESYNC);
}

Test(sqlite_source, trusts_numbers_that_are_never_given_twice)
{
    fill("id integer primary key autoincrement, v text", 5);
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append\",\"cursor_field\":\"id\"}]");
    read_well();
    fixture_exec(f.from, "delete from t");
    cr_assert_eq(read_well()->n_lines, 0);
    fixture_exec(f.from, "insert into t(v) values ('new')");
    cr_assert_str_eq(lines(read_well()), "{\"id\":\"6\",\"v\":\"new\"}");
}

#define TIMES "create table t(id integer primary key, updated_at datetime);"

Test(sqlite_source, closes_the_window_for_appends)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from, TIMES "insert into t values (1,'2024-01-01 11:00:00'),"
                               "(2,'2024-01-01 11:59:58.999999'),(3,'2024-01-01 11:59:59'),"
                               "(4,'2024-01-01 12:00:00')");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 2, "rows within the last second wait");
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"2024-01-01T11:59:59Z\","
                               "\"high\":\"2024-01-01T12:00:00Z\"}");
    /* Committed late, stamped within the second that was held back. */
    fixture_exec(f.from, "insert into t values (5,'2024-01-01 11:59:59.5')");
    set_time("2024-01-01T12:00:10Z");
    cr_assert_str_eq(lines(read_well()), "{\"id\":\"3\",\"updated_at\":\"2024-01-01T11:59:59\"} "
                                         "{\"id\":\"5\",\"updated_at\":\"2024-01-01T11:59:59.5\"} "
                                         "{\"id\":\"4\",\"updated_at\":\"2024-01-01T12:00:00\"}");
    cr_assert_eq(read_well()->n_lines, 0);
}

Test(sqlite_source, keeps_the_window_open_where_rows_are_merged)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from,
                 TIMES "insert into t values (1,'2024-01-01 11:00:00'),(2,'2024-01-01 12:00:00')");
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 2);
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"2024-01-01T11:59:59Z\","
                               "\"high\":\"2024-01-01T12:00:00Z\"}");
    set_time("2024-01-01T12:00:10Z");
    cr_assert_str_eq(lines(read_well()), "{\"id\":\"2\",\"updated_at\":\"2024-01-01T12:00:00\"}");
    set_time("2024-01-01T12:00:20Z");
    cr_assert_eq(read_well()->n_lines, 0, "the bookmark goes on without rows");
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T12:00:19Z\""));
}

Test(sqlite_source, is_not_pushed_by_a_row_of_the_future)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from,
                 TIMES "insert into t values (1,'2024-01-01 11:00:00'),(2,'2099-01-01 00:00:00'),"
                       "(3,'-0043-03-15 00:00:00'),(4,'+12345-01-01 00:00:00')");
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 4);
    cr_assert(
        strstr(position, "\"safe\":\"2024-01-01T11:59:59Z\",\"high\":\"2024-01-01T12:00:01Z\""),
        "%s", position);
    fixture_exec(f.from, "insert into t values (5,'2024-01-01 12:30:00')");
    set_time("2024-01-01T13:00:00Z");
    cr_assert_eq(read_well()->n_lines, 3, "new, 2099 and 12345 again, not %s",
                 lines(&got->streams[0]));
}

Test(sqlite_source, compares_times_by_meaning_not_as_text)
{
    set_time("2024-01-01T12:00:00Z");
    /* As text, every form with a 'T' sorts behind every form with a blank. */
    fixture_exec(f.from,
                 TIMES "insert into t values (1,'2024-01-01T10:00:00'),(2,'2024-01-01 11:00:00'),"
                       "(3,'2024-01-01T10:30:00.5')");
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    cr_assert_str_eq(lines(read_well()), "{\"id\":\"1\",\"updated_at\":\"2024-01-01T10:00:00\"} "
                                         "{\"id\":\"3\",\"updated_at\":\"2024-01-01T10:30:00.5\"} "
                                         "{\"id\":\"2\",\"updated_at\":\"2024-01-01T11:00:00\"}");
    fixture_exec(f.from,
                 "insert into t values (4,'2024-01-01 12:10:00'),(5,'2024-01-01T12:05:00')");
    set_time("2024-01-01T13:00:00Z");
    cr_assert_eq(read_well()->n_lines, 2);
}

Test(sqlite_source, compares_instants_across_zones)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(
        f.from,
        "create table t(id integer primary key, updated_at timestamptz);"
        "insert into t values (1,'2024-01-01T23:00:00+14:00'),(2,'2023-12-31T22:00:00-11:00')");
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    cr_assert_str_eq(lines(read_well()), "{\"id\":\"1\",\"updated_at\":\"2024-01-01T09:00:00Z\"} "
                                         "{\"id\":\"2\",\"updated_at\":\"2024-01-01T09:00:00Z\"}");
    /* Its local date is two days before the bookmark, its instant is not. */
    fixture_exec(f.from, "insert into t values (3,'2024-01-01T01:30:00-11:00')");
    set_time("2024-01-01T12:31:00Z");
    cr_assert_eq(read_well()->n_lines, 1);
}

Test(sqlite_source, takes_text_for_times_where_it_is_one)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from,
                 "create table t(id integer primary key, updated_at text);"
                 "insert into t values (1,'2024-01-01T10:00:00Z'),(2,'2024-01-01 11:00:00')");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 2);
    fixture_exec(f.from, "drop table t; create table t(id integer primary key, updated_at text);"
                         "insert into t values (1,'yesterday')");
    position[0] = '\0';
    cr_assert_str_eq(reason_of_failure(), "cursor_not_time");
}

Test(sqlite_source, reads_dates_by_whole_days)
{
    set_time("2024-01-05T12:00:00Z");
    fixture_exec(f.from, "create table t(id integer primary key, day date);"
                         "insert into t values (1,'2024-01-03'),(2,'2024-01-04'),(3,'2024-01-05')");
    fixture_select(&f, INCREMENTAL("append", "day"));
    cr_assert_eq(read_well()->n_lines, 1, "today and yesterday may still grow");
    set_time("2024-01-07T12:00:00Z");
    cr_assert_eq(read_well()->n_lines, 2);
}

Test(sqlite_source, refuses_cursors_it_cannot_follow)
{
    fixture_exec(f.from, "create table t(id integer primary key, r real)");
    fixture_select(&f, INCREMENTAL("append", "r"));
    cr_assert_str_eq(reason_of_failure(), "cursor_type");
}

Test(sqlite_source, says_when_the_clock_is_behind_the_bookmark)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from, TIMES "insert into t values (1,'2024-01-01 11:00:00')");
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    read_well();
    set_time("2024-01-01T11:59:59Z");
    read_well(); /* within the skew */
    set_time("2024-01-01T11:59:58.999Z");
    cr_assert_str_eq(reason_of_failure(), "cursor_regressed");
}

Test(sqlite_source, looks_back_as_far_as_told)
{
    set_time("2024-01-01T12:00:00Z");
    f.options = ",\"lookback_s\":3600,\"skew_s\":0";
    fixture_exec(f.from,
                 TIMES "insert into t values (1,'2024-01-01 10:59:59'),(2,'2024-01-01 11:00:00')");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 1);
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T11:00:00Z\""));
}

Test(sqlite_source, lets_rows_wait_while_a_writer_is_open)
{
    sqlite3 *writer;

    set_time("2024-01-01T12:00:00Z");
    f.options = ",\"safe_wait_s\":0";
    fixture_exec(f.from,
                 "pragma journal_mode = wal;" TIMES
                 "insert into t values (1,'2024-01-01 11:49:58'),(2,'2024-01-01 11:55:00')");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    sqlite3_open(f.from, &writer);
    cr_assert_eq(sqlite3_exec(writer, "begin; insert into t values (3,'2024-01-01 11:50:00')", NULL,
                              NULL, NULL),
                 0);
    cr_assert_eq(read_well()->n_lines, 0);
    cr_assert(strstr(position, "\"open\":[\"writer\"]"), "%s", position);
    cr_assert_eq(sqlite3_exec(writer, "commit", NULL, NULL, NULL), 0);
    sqlite3_close(writer);
    set_time("2024-01-01T12:01:00Z");
    cr_assert_eq(read_well()->n_lines, 3, "what was open then is not lost");
    cr_assert_eq(read_well()->n_lines, 0);
}

/* ------------------------------------------------------------ ties and NULLs */

Test(sqlite_source, neither_loses_nor_repeats_ties_at_any_crash)
{
    struct fake_sink *whole;

    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from,
                 TIMES "insert into t with recursive n(i) as (select 1 union all select i+1 from n"
                       " where i < 9000) select i, case when i % 10 = 0 then null else"
                       " '2024-01-01 0' || (i / 4000) || ':00:00' end from n");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    read_well();
    whole = got;
    got = NULL;
    cr_assert_eq(whole->streams[0].n_lines, 9000);
    cr_assert_geq(whole->streams[0].n_checkpoints, 3);
    for (size_t i = 0; i < whole->streams[0].n_checkpoints; i++) {
        const struct fake_checkpoint *c = &whole->streams[0].checkpoints[i];
        struct fake_sink *rest = fake_sink_new(1);
        const char *at = c->position;

        fake_sink_copy(rest, whole, 0, c->n_lines);
        cr_assert_eq(harness_read(&f.h, &at, &rest->sink, &f.err), 0);
        cr_assert_eq(fake_sink_differ(&whole->streams[0], &rest->streams[0]), -1, "checkpoint %s",
                     at);
        cr_assert_str_eq(rest->streams[0].end_position, whole->streams[0].end_position,
                         "the horizon is that of the first attempt");
        fake_sink_free(rest);
    }
    fake_sink_free(whole);
}

Test(sqlite_source, checkpoints_only_whole_groups_without_a_key)
{
    struct fake_sink *whole;

    set_time("2024-01-01T12:00:00Z");
    fixture_exec(
        f.from,
        "create table t(id int, updated_at datetime);"
        "insert into t with recursive n(i) as (select 0 union all select i+1 from n"
        " where i < 9000) select i, datetime('2024-01-01', (i / 1000) || ' minutes') from n");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    read_well();
    whole = got;
    got = NULL;
    for (size_t i = 0; i < whole->streams[0].n_checkpoints; i++) {
        const struct fake_checkpoint *c = &whole->streams[0].checkpoints[i];
        struct fake_sink *rest = fake_sink_new(1);
        const char *at = c->position;

        fake_sink_copy(rest, whole, 0, c->n_lines);
        cr_assert_eq(harness_read(&f.h, &at, &rest->sink, &f.err), 0);
        cr_assert(fake_sink_same_rows(&whole->streams[0], &rest->streams[0]), "checkpoint %s", at);
        fake_sink_free(rest);
    }
    fake_sink_free(whole);
    /* With every cursor its own, every batch can be continued. */
    fixture_exec(f.from, "update t set updated_at = datetime('2024-01-01', id || ' seconds')");
    position[0] = '\0';
    cr_assert_geq(read_well()->n_checkpoints, 4);
}

Test(sqlite_source, reads_rows_without_a_cursor_once)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from,
                 TIMES "insert into t values (1,null),(2,'2024-01-01 11:00:00'),(3,'soon')");
    fixture_select(&f, INCREMENTAL("append", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 3);
    set_time("2024-01-01T12:10:00Z");
    cr_assert_eq(read_well()->n_lines, 0);
}

Test(sqlite_source, reads_rows_without_a_cursor_every_time_or_refuses_them)
{
    set_time("2024-01-01T12:00:00Z");
    fixture_exec(f.from, TIMES "insert into t values (1,null),(2,'2024-01-01 11:00:00')");
    f.options = ",\"null_cursor\":\"every_run\"";
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    cr_assert_eq(read_well()->n_lines, 2);
    set_time("2024-01-01T12:10:00Z");
    cr_assert_eq(read_well()->n_lines, 1);
    f.options = ",\"null_cursor\":\"fail\"";
    fixture_select(&f, INCREMENTAL("append_dedup", "updated_at"));
    cr_assert_str_eq(reason_of_failure(), "null_cursor");
    fixture_exec(f.from, "delete from t where updated_at is null");
    read_well();
}

Test(sqlite_source, holds_an_integer_cursor_to_integers)
{
    fixture_exec(
        f.from, "create table t(id int, n int); insert into t values (1,1),(2,'x'),(3,null),(4,7)");
    fixture_select(&f, INCREMENTAL("append", "n"));
    cr_assert_eq(read_well()->n_lines, 4);
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"8\",\"high\":\"7\"}");
    cr_assert_eq(read_well()->n_lines, 0);
}

/* ------------------------------------------------------------------- trouble */

static enum error_code check_code(void)
{
    f.err = ERROR_INIT;
    cr_assert_lt(source_sqlite.check(f.h.config, &f.h.run, &f.err), 0);
    return f.err.code;
}

Test(sqlite_source, says_what_is_wrong_with_the_file)
{
    FILE *file;

    fill("id integer primary key, v text", 5000);
    fixture_select(&f, NULL);
    f.err = ERROR_INIT;
    cr_assert_eq(source_sqlite.check(f.h.config, &f.h.run, &f.err), 0);
    file = fopen(f.from, "r+");
    fseek(file, 4096 * 3, SEEK_SET);
    for (int i = 0; i < 4096; i++)
        fputc(0xee, file);
    fclose(file);
    cr_assert_str_eq(reason_of_failure(), "corrupt");
    cr_assert_eq(truncate(f.from, 0), 0);
    file = fopen(f.from, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", file);
    fclose(file);
    cr_assert_eq(check_code(), ERR_DATA);
    cr_assert_str_eq(error_reason(&f.err), "not_a_database");
    unlink(f.from);
    cr_assert_eq(check_code(), ERR_NOT_FOUND);
    cr_assert(strstr(f.err.message, f.from));
    cr_assert_eq(mkdir(f.from, 0700), 0);
    cr_assert_eq(check_code(), ERR_CONFIG);
}

Test(sqlite_source, waits_for_a_lock_no_longer_than_told)
{
    sqlite3 *other;

    fill("id integer primary key, v text", 5);
    f.options = ",\"busy_timeout_s\":0";
    fixture_select(&f, NULL);
    sqlite3_open(f.from, &other);
    cr_assert_eq(sqlite3_exec(other, "begin exclusive", NULL, NULL, NULL), 0);
    cr_assert_eq(check_code(), ERR_CONTENTION);
    cr_assert_str_eq(error_reason(&f.err), "database_locked");
    sqlite3_close(other);
}

Test(sqlite_source, stops_in_the_middle_of_a_statement)
{
    const char *at = NULL;

    fixture_exec(f.from,
                 "create view t as with recursive n(i) as (select 1 union all select i+1 from n)"
                 " select max(i) as v from n");
    fixture_select(&f, NULL);
    cancel_request(f.h.cancel, CANCEL_USER);
    got = fake_sink_new(1);
    cr_assert_lt(harness_read(&f.h, &at, &got->sink, &f.err), 0);
    cr_assert_eq(f.err.code, ERR_CANCELLED);
}

Test(sqlite_source, takes_a_path_for_a_path)
{
    cr_assert_eq(chdir(f.dir), 0);
    fixture_exec("./file:x.db?mode=memory", "create table t(a)");
    snprintf(f.from, sizeof f.from, "file:x.db?mode=memory");
    fixture_select(&f, NULL);
    stream("t");
    cr_assert_eq(chdir("/"), 0);
}

Test(sqlite_source, never_writes_to_the_source)
{
    struct stat before, after;

    fill("id integer primary key, v text", 500);
    cr_assert_eq(stat(f.from, &before), 0);
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append\",\"cursor_field\":\"id\"}]");
    read_well();
    cr_assert_eq(stat(f.from, &after), 0);
    cr_assert_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    cr_assert_eq(before.st_size, after.st_size);
}

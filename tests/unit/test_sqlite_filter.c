/* Row filters and queries of the SQLite source. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "tests/support/fake_sink.h"
#include "tests/support/sqlite_fixture.h"

extern const struct source_connector source_sqlite;

static struct sqlite_fixture f;
static struct fake_sink *got;
static char position[4096];

static int64_t noon(void)
{
    return INT64_C(1704110400) * 1000000; /* 2024-01-01T12:00:00Z */
}

static void setup(void)
{
    fixture_open(&f);
    position[0] = '\0';
    clock_fake(noon);
}

static void teardown(void)
{
    clock_fake(NULL);
    fake_sink_free(got);
    fixture_close(&f);
}

TestSuite(sqlite_filter, .init = setup, .fini = teardown, .timeout = 120);

static struct fake_stream *attempt(void)
{
    const char *at = position[0] ? position : NULL;

    fake_sink_free(got);
    got = fake_sink_new(f.h.selection.n);
    f.err = ERROR_INIT;
    if (harness_read(&f.h, &at, &got->sink, &f.err) < 0)
        cr_assert_fail("%s", f.err.message);
    cr_assert_str_eq(got->violation, "");
    return &got->streams[0];
}

static const char *ids(void)
{
    static char out[1000];
    const struct fake_stream *s = attempt();
    size_t n = 0;

    cr_assert(s->ended, "%s", s->why.message);
    cr_assert_eq(s->filtered, 0, "the database left rows out, nobody read them");
    out[0] = '\0';
    for (size_t i = 0; i < s->n_lines; i++) {
        CLEANUP(doc_free_cleanup) struct doc *d = fake_sink_row(s, i);

        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i ? " " : "",
                              doc_string(doc_get(d, "id"), "~"));
    }
    return out;
}

static const char *ids_where(const char *filter)
{
    char json[4000];

    snprintf(json, sizeof json,
             "[{\"name\":\"t\",\"fields\":{\"include\":[\"id\"]},\"filter\":[%s]}]", filter);
    fixture_select(&f, json);
    return ids();
}

/* --------------------------------------------------------------------- filters */

/* Values of one column, stored in rows 1, 2, ..., and what a condition finds. */
static const struct {
    const char *type, *stored, *condition, *expected;
} cases[] = {
    {"int", "(1,1),(2,2),(3,null)", "\"op\":\"eq\",\"value\":2", "2"},
    {"int", "(1,1),(2,2),(3,null)", "\"op\":\"ne\",\"value\":2", "1"},
    {"int", "(1,1),(2,2),(3,null)", "\"op\":\"is_null\"", "3"},
    {"int", "(1,1),(2,2),(3,null)", "\"op\":\"is_not_null\"", "1 2"},
    {"int", "(1,1),(2,2),(3,3)", "\"op\":\"lt\",\"value\":2", "1"},
    {"int", "(1,1),(2,2),(3,3)", "\"op\":\"le\",\"value\":2", "1 2"},
    {"int", "(1,1),(2,2),(3,3)", "\"op\":\"gt\",\"value\":2", "3"},
    {"int", "(1,1),(2,2),(3,3)", "\"op\":\"ge\",\"value\":\"2\"", "2 3"},
    {"int", "(1,1),(2,2),(3,3)", "\"op\":\"in\",\"values\":[3,1,9]", "1 3"},
    {"int", "(1,1),(2,2),(3,3),(4,null)", "\"op\":\"not_in\",\"values\":[3,1,9]", "2"},
    {"int", "(1,9223372036854775807),(2,9223372036854775806)",
     "\"op\":\"eq\",\"value\":9223372036854775807", "1"},
    {"boolean", "(1,0),(2,1),(3,'true'),(4,null)", "\"op\":\"eq\",\"value\":true", "2 3"},
    {"boolean", "(1,0),(2,1),(3,'f'),(4,null)", "\"op\":\"ne\",\"value\":true", "1 3"},
    {"decimal(9,2)", "(1,'10.50'),(2,10),(3,9.99)", "\"op\":\"ge\",\"value\":\"10\"", "1 2"},
    {"decimal(9,2)", "(1,'10.50'),(2,10.5),(3,9)", "\"op\":\"in\",\"values\":[\"10.5\",9]",
     "1 2 3"},
    {"real", "(1,0.1),(2,0.2)", "\"op\":\"eq\",\"value\":0.1", "1"},
    {"real", "(1,1),(2,2)", "\"op\":\"gt\",\"value\":1", "2"},
    {"text", "(1,'a'),(2,'b'),(3,''),(4,null)", "\"op\":\"eq\",\"value\":\"\"", "3"},
    {"text", "(1,'a''b'),(2,'b')", "\"op\":\"eq\",\"value\":\"a'b\"", "1"},
    {"text", "(1,'\xc3\xa9'),(2,'e')", "\"op\":\"eq\",\"value\":\"\\u00e9\"", "1"},
    {"text", "(1,'x'' or 1=1 --'),(2,'y')", "\"op\":\"eq\",\"value\":\"x' or 1=1 --\"", "1"},
    {"", "(1,5),(2,'5'),(3,'6'),(4,0.5)", "\"op\":\"eq\",\"value\":\"5\"", "1 2"},
    {"", "(1,5),(2,'5'),(3,'6'),(4,0.5)", "\"op\":\"in\",\"values\":[\"0.5\",\"6\"]", "3 4"},
    {"text collate nocase", "(1,'A'),(2,'a'),(3,'b')", "\"op\":\"eq\",\"value\":\"a\"", "1 2"},
    {"blob", "(1,x'00ff'),(2,x'00')", "\"op\":\"eq\",\"value\":\"AP8=\"", "1"},
    {"date", "(1,'2024-01-01'),(2,'2024-02-01'),(3,'soon')",
     "\"op\":\"lt\",\"value\":\"2024-01-15\"", "1"},
    {"time", "(1,'12:30:00'),(2,'12:30'),(3,'12:30:00.000'),(4,'12:31')",
     "\"op\":\"eq\",\"value\":\"12:30\"", "1 2 3"},
    {"time", "(1,'12:30:00'),(2,'12:30:00.5'),(3,'09:00')", "\"op\":\"gt\",\"value\":\"12:30\"",
     "2"},
    {"datetime", "(1,'2024-01-01 10:00:00'),(2,'2024-01-01T10:00:00'),(3,'2024-01-01 10:00:01')",
     "\"op\":\"le\",\"value\":\"2024-01-01T10:00:00\"", "1 2"},
    {"timestamptz", "(1,'2024-01-01T10:00:00+02:00'),(2,'2024-01-01T10:00:00Z')",
     "\"op\":\"eq\",\"value\":\"2024-01-01T08:00:00Z\"", "1"},
    {"uuid",
     "(1,'6F9619FF-8B86-D011-B42D-00CF4FC964FF'),(2,x'6F9619FF8B86D011B42D00CF4FC964FF'),(3,'no')",
     "\"op\":\"eq\",\"value\":\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\"", "1 2"},
    {"json", "(1,'{}'),(2,null)", "\"op\":\"is_null\"", "2"},
};

Test(sqlite_filter, reads_only_rows_that_fulfil_it)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[500], filter[500];

        snprintf(sql, sizeof sql,
                 "drop table if exists t; create table t(id integer primary key, c %s);"
                 "insert into t values %s",
                 cases[i].type, cases[i].stored);
        fixture_exec(f.from, sql);
        snprintf(filter, sizeof filter, "{\"column\":\"c\",%s}", cases[i].condition);
        cr_assert_str_eq(ids_where(filter), cases[i].expected, "%s %s: %s", cases[i].type,
                         cases[i].stored, cases[i].condition);
    }
}

Test(sqlite_filter, wants_all_of_several_conditions)
{
    fixture_exec(f.from, "create table t(id integer primary key, a int, \"b\"\"c\" text);"
                         "insert into t values (1,1,'x'),(2,2,'x'),(3,2,'y'),(4,3,'x')");
    cr_assert_str_eq(ids_where("{\"column\":\"a\",\"op\":\"ge\",\"value\":2},"
                               "{\"column\":\"b\\\"c\",\"op\":\"eq\",\"value\":\"x\"}"),
                     "2 4");
    cr_assert_str_eq(ids_where("{\"column\":\"a\",\"op\":\"eq\",\"value\":2},"
                               "{\"column\":\"a\",\"op\":\"eq\",\"value\":3}"),
                     "");
}

Test(sqlite_filter, holds_for_an_incremental_read_and_its_rows_without_a_cursor)
{
    fixture_exec(f.from,
                 "create table t(id integer primary key, at datetime, kind text);"
                 "insert into t values (1,'2024-01-01 10:00:00','a'),(2,null,'a'),"
                 "(3,null,'b'),(4,'2024-01-01 11:00:00','b'),(5,'2024-01-01 11:00:00','a')");
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"cursor_field\":\"at\","
                       "\"destination_sync_mode\":\"append\","
                       "\"filter\":[{\"column\":\"kind\",\"op\":\"eq\",\"value\":\"a\"}]}]");
    cr_assert_str_eq(ids(), "2 1 5");
}

/* Behind any checkpoint, and not with another filter than the one that was half read. */
Test(sqlite_filter, continues_a_full_read_under_the_same_filter_only)
{
    struct fake_sink *whole;

    fixture_exec(f.from, "create table t(id integer primary key, v int); insert into t"
                         " with recursive n(i) as (select 1 union all select i+1 from n"
                         " where i < 9000) select i, i % 2 from n");
    fixture_select(&f,
                   "[{\"name\":\"t\",\"filter\":[{\"column\":\"v\",\"op\":\"eq\",\"value\":1}]}]");
    attempt();
    whole = got;
    got = NULL;
    cr_assert_eq(whole->streams[0].n_lines, 4500);
    cr_assert_geq(whole->streams[0].n_checkpoints, 2);
    snprintf(position, sizeof position, "%s", whole->streams[0].checkpoints[0].position);
    cr_assert(strstr(position, "\"filter\":\""), "%s", position);
    cr_assert_eq(attempt()->n_lines, 4500 - whole->streams[0].checkpoints[0].n_lines);
    fake_sink_free(whole);
    fixture_select(&f,
                   "[{\"name\":\"t\",\"filter\":[{\"column\":\"v\",\"op\":\"eq\",\"value\":0}]}]");
    cr_assert(attempt()->failed);
    cr_assert_str_eq(error_reason(&got->streams[0].why), "filter_changed");
    cr_assert_eq(got->streams[0].why.code, ERR_RESYNC);
    fixture_select(&f, "[{\"name\":\"t\"}]");
    cr_assert(attempt()->failed);
}

/* --------------------------------------------------------------------- queries */

static const struct stream *stream(const char *name)
{
    const struct stream *s = catalog_find(&f.h.catalog, "", name);

    cr_assert_not_null(s, "no stream %s", name);
    return s;
}

#define SALES                                                                                \
    "create table sales(id integer primary key, day date, price decimal(9,2), at datetime);" \
    "insert into sales values (1,'2024-01-01',10.5,'2024-01-01 10:00:00'),"                  \
    "(2,'2024-01-01',1,'2024-01-01 10:30:00'),(3,'2024-01-02',2,'2024-01-01 11:00:00');"

Test(sqlite_queries, become_streams, .init = setup, .fini = teardown)
{
    const struct stream *s;

    fixture_exec(f.from, SALES);
    f.options = ",\"queries\":{\"per day\":\"SELECT day, count(*) AS n, sum(price) AS total FROM"
                " sales GROUP BY day ORDER BY day -- all of them ;\",\"recent\":"
                "\"with r as (select * from sales) select id, at from r;  \"}";
    fixture_select(&f, "[{\"name\":\"per day\"}]");
    cr_assert_eq(f.h.catalog.n, 3);
    s = stream("per day");
    cr_assert_eq(s->schema->n_key, 0);
    cr_assert_eq(s->row_estimate, -1);
    cr_assert_not(s->resumable);
    cr_assert_str_eq(s->schema->columns[0].name, "day");
    cr_assert_eq(s->schema->columns[0].type.type, TYPE_DATE);
    cr_assert_eq(s->schema->columns[1].type.type, TYPE_STRING, "what is computed is text");
    cr_assert_eq(stream("recent")->n_cursors, 1);
    attempt();
    cr_assert_eq(got->streams[0].n_lines, 2);
    cr_assert_str_eq(got->streams[0].lines[0],
                     "{\"day\":\"2024-01-01\",\"n\":\"2\",\"total\":\"11.5\"}");
}

Test(sqlite_queries, are_filtered_followed_and_counted, .init = setup, .fini = teardown)
{
    int64_t n;
    bool exact;

    fixture_exec(f.from, SALES);
    f.options = ",\"queries\":{\"q\":\"select id, at, price from sales where id > 1\"}";
    fixture_select(&f, "[{\"name\":\"q\",\"sync_mode\":\"incremental\",\"cursor_field\":\"at\","
                       "\"primary_key\":[\"id\"],\"destination_sync_mode\":\"append_dedup\","
                       "\"filter\":[{\"column\":\"price\",\"op\":\"lt\",\"value\":\"10\"}]}]");
    cr_assert_str_eq(ids(), "2 3");
    snprintf(position, sizeof position, "%s", got->streams[0].end_position);
    cr_assert_str_eq(ids(), "");
    cr_assert_eq(source_sqlite.count(f.h.config, &f.h.run, stream("q"), &n, &exact, &f.err), 0,
                 "%s", f.err.message);
    cr_assert_eq(n, 2);
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"select", "query \"q\": incomplete input"},
    {"select * from gone", "query \"q\": no such table: gone"},
    {"select 1 as a; select 2 as a", "query \"q\": it is not exactly one statement"},
    {"select 1 as a) as q; delete from sales; select (1", NULL},
    {"delete from sales", "query \"q\": it does not only read"},
    {"delete from sales returning id", "query \"q\": it does not only read"},
    {"with d as (select 1) insert into sales(id) select 9", "query \"q\": it does not only read"},
    {"pragma table_list", NULL},
    {"explain select 1", NULL},
    {"begin", NULL},
    {"attach ':memory:' as x", NULL},
    {"-- nothing", "query \"q\": it is not exactly one statement"},
    {"select 1 as a /* open", NULL},
    {"select id from sales where id = ?1",
     "query \"q\": it has parameters, and nobody gives them values"},
    {"select 1 as a, 2 as a", "query \"q\": two of its columns are called \\\"a\\\""},
};

Test(sqlite_queries, are_refused_unless_each_is_one_select, .init = setup, .fini = teardown)
{
    fixture_exec(f.from, SALES);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
        struct error err = ERROR_INIT;
        struct harness h;
        const char *json =
            arena_printf(mem, "{\"path\":\"%s\",\"queries\":{\"q\":\"%s\"}}", f.from, bad[i].text);

        cr_assert_lt(harness_open(&h, &source_sqlite, json, &err), 0, "%s", bad[i].text);
        cr_assert_str_eq(error_reason(&err), "query_invalid", "%s: %s", bad[i].text, err.message);
        cr_assert_eq(err.code, ERR_CONFIG);
        if (bad[i].why && !strchr(bad[i].why, '\\'))
            cr_assert_str_eq(err.message, bad[i].why);
        err = ERROR_INIT;
        cr_assert_lt(source_sqlite.check(h.config, &h.run, &err), 0);
        cr_assert_str_eq(error_reason(&err), "query_invalid");
        harness_close(&h);
    }
    cr_assert_eq(fixture_int(f.from, "select count(*) from sales"), 3);
}

Test(sqlite_queries, do_not_hide_tables, .init = setup, .fini = teardown)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct harness h;

    fixture_exec(f.from, SALES);
    cr_assert_lt(
        harness_open(&h, &source_sqlite,
                     arena_printf(mem,
                                  "{\"path\":\"%s\",\"queries\":{\"sales\":\"select 1 as a\"}}",
                                  f.from),
                     &f.err),
        0);
    cr_assert_str_eq(f.err.message, "query \"sales\": there is a table of that name");
    harness_close(&h);
}

static const struct {
    const char *queries, *pointer, *code;
} malformed[] = {
    {"[]", "/queries", "wrong_type"},
    {"{\"\":\"select 1\"}", "/queries/", "too_short"},
    {"{\"a/b\":5}", "/queries/a~1b", "wrong_type"},
    {"{\"a\":\" ; \"}", "/queries/a", "too_short"},
};

Test(sqlite_queries, are_an_object_of_texts, .init = setup, .fini = teardown)
{
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
        CLEANUP(doc_free_cleanup) struct doc *d = NULL;
        struct problems problems = PROBLEMS_INIT(mem);
        struct error err = ERROR_INIT;
        const char *json =
            arena_printf(mem, "{\"path\":\"/x\",\"queries\":%s}", malformed[i].queries);

        cr_assert_eq(doc_parse(json, strlen(json), &d, &err), 0);
        cr_assert_not(options_decode(source_sqlite.options, d, "",
                                     arena_alloc(mem, source_sqlite.config_size), mem, &problems));
        cr_assert_str_eq(problems.items[0].pointer, malformed[i].pointer);
        cr_assert_str_eq(problems.items[0].code, malformed[i].code);
    }
}

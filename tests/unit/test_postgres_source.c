#include <criterion/criterion.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/sql/postgres.h"
#include "connectors/sql/source.h"
#include "tests/support/source_fixture.h"

extern const struct source_connector source_postgres;

static struct source_fixture f;

static void setup(void)
{
    source_fixture_open(&f, DATABASE_POSTGRES, &source_postgres);
}

static void teardown(void)
{
    source_fixture_close(&f);
}

TestSuite(postgres_source, .init = setup, .fini = teardown, .timeout = 180);

#define INCREMENTAL(method, cursor)                                                      \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"" method \
    "\",\"cursor_field\":\"" cursor "\"}]"

/* A session of the test's own that stays open. */
static PGconn *connect_here(void)
{
    PGconn *pg = PQconnectdb(arena_printf(
        f.mem, "host=127.0.0.1 port=%lld user=%s password='%s' dbname=%s sslmode=disable",
        (long long)databases_port(DATABASE_POSTGRES), DATABASES_USER, DATABASES_PASSWORD,
        f.database));

    cr_assert_eq(PQstatus(pg), CONNECTION_OK, "%s", PQerrorMessage(pg));
    return pg;
}

static void run_on(PGconn *pg, const char *sql)
{
    PGresult *r = PQexec(pg, sql);

    cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK,
              "%s: %s", sql, PQerrorMessage(pg));
    PQclear(r);
}

/* ------------------------------------------------------------------- values */

Test(postgres_source, reads_every_logical_type)
{
    source_fixture_run(
        &f, "create table t(id int primary key, a bool, b int2, c int8, d oid, e float4, f float8,"
            " g numeric(15,2), h numeric, i varchar(9), j char(4), k name, l bytea, m date, n time,"
            " o timestamp, p timestamptz, q interval, r uuid, s json, u jsonb);"
            "insert into t values (1, true, -32768, 9223372036854775807, 4294967295, 0.1, '-0',"
            " 12345.60, '-0.00010', 'ab''c', 'x', 'n', '\\x00ff', '2024-02-29', '24:00',"
            " '2024-02-29 12:00:00.000001', '2024-02-29 12:00+02', '1 year -2 days 3.5 seconds',"
            " 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{\"b\" : 1.10}', '{\"b\":1.10, \"a\":[]}');"
            "insert into t(id) values (2)");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(
        source_fixture_lines(&f),
        "{\"id\":\"1\",\"a\":\"true\",\"b\":\"-32768\",\"c\":\"9223372036854775807\","
        "\"d\":\"4294967295\",\"e\":\"0.1\",\"f\":\"-0\",\"g\":\"12345.60\",\"h\":\"-0.00010\","
        "\"i\":\"ab'c\",\"j\":\"x   \",\"k\":\"n\",\"l\":\"AP8=\",\"m\":\"2024-02-29\","
        "\"n\":\"24:00:00\",\"o\":\"2024-02-29T12:00:00.000001\","
        "\"p\":\"2024-02-29T10:00:00Z\",\"q\":\"P1Y-2DT3.5S\","
        "\"r\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\",\"s\":\"{\\\"b\\\" : 1.10}\","
        "\"u\":\"{\\\"a\\\": [], \\\"b\\\": 1.10}\"} "
        "{\"id\":\"2\",\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null,\"f\":null,"
        "\"g\":null,\"h\":null,\"i\":null,\"j\":null,\"k\":null,\"l\":null,\"m\":null,\"n\":null,"
        "\"o\":null,\"p\":null,\"q\":null,\"r\":null,\"s\":null,\"u\":null}");
}

Test(postgres_source, reads_special_values_as_they_are)
{
    source_fixture_run(
        &f, "create table t(id int primary key, f float8, r float4, n numeric, d date,"
            " ts timestamp, tz timestamptz, s text, b bytea);"
            "insert into t values"
            " (1, 'NaN', '-Infinity', 'NaN', 'infinity', '-infinity', 'infinity', '', ''),"
            " (2, 'Infinity', 'NaN', 'Infinity', '0044-03-15 BC', '0044-03-15 12:00 BC',"
            " '4714-11-24 00:00+00 BC', ' ', '\\x'),"
            " (3, 4.9e-324, 1e-45, '-Infinity', '5874897-12-31', '294246-12-31 23:59:59.999999',"
            " '294276-12-31 23:59:59.999999+00', 'x', '\\x00')");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(
        source_fixture_lines(&f),
        "{\"id\":\"1\",\"f\":\"NaN\",\"r\":\"-Infinity\",\"n\":\"NaN\",\"d\":\"infinity\","
        "\"ts\":\"-infinity\",\"tz\":\"infinity\",\"s\":\"\",\"b\":\"\"} "
        "{\"id\":\"2\",\"f\":\"Infinity\",\"r\":\"NaN\",\"n\":\"Infinity\",\"d\":\"-0043-03-15\","
        "\"ts\":\"-0043-03-15T12:00:00\",\"tz\":\"-4713-11-24T00:00:00Z\",\"s\":\" \",\"b\":\"\"} "
        "{\"id\":\"3\",\"f\":\"5e-324\",\"r\":\"1e-45\",\"n\":\"-Infinity\","
        "\"d\":\"+5874897-12-31\",\"ts\":\"+294246-12-31T23:59:59.999999\",\"tz\":null,"
        "\"s\":\"x\",\"b\":\"AA==\",\"?tz\":[\"out_of_range\","
        "\"+294276-12-31T23:59:59.999999Z\"]}");
}

Test(postgres_source, reads_arrays_as_json_without_loss)
{
    source_fixture_run(
        &f, "create type mood as enum ('sad', 'so,so'); create domain small as int;"
            "create table t(a text[], b int[], c mood[], d numeric[],"
            " e timestamptz[], f jsonb[], g small[], h inet[]);"
            "insert into t values ('{\"a,b\",\"c\",NULL}', '{{1,2},{3,NULL}}',"
            " '{sad,\"so,so\",NULL}', '{1.50,NaN}', '{infinity,2024-01-01 00:00+00}',"
            " array['{\"x\": 1}'::jsonb, null], '{7}', '{10.0.0.1}'),"
            " ('{}', '[2:3]={5,6}', '{}', null, null, null, null, null),"
            " ('{\"NULL\",\"\",\"\\\\\",\"\\\"\"}', '[0:0][-1:0]={{1,2}}', null, null, null,"
            " null, null, null)");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(
        source_fixture_lines(&f),
        "{\"a\":\"[\\\"a,b\\\",\\\"c\\\",null]\",\"b\":\"[[1,2],[3,null]]\","
        "\"c\":\"[\\\"sad\\\",\\\"so,so\\\",null]\",\"d\":\"[1.50,\\\"NaN\\\"]\","
        "\"e\":\"[\\\"infinity\\\",\\\"2024-01-01T00:00:00Z\\\"]\","
        "\"f\":\"[{\\\"x\\\": 1},null]\",\"g\":\"[\\\"7\\\"]\",\"h\":\"[\\\"10.0.0.1\\\"]\"} "
        "{\"a\":\"[]\",\"b\":\"{\\\"lower_bounds\\\":[2],\\\"values\\\":[5,6]}\",\"c\":\"[]\","
        "\"d\":null,\"e\":null,\"f\":null,\"g\":null,\"h\":null} "
        "{\"a\":\"[\\\"NULL\\\",\\\"\\\",\\\"\\\\\\\\\\\",\\\"\\\\\\\"\\\"]\","
        "\"b\":\"{\\\"lower_bounds\\\":[0,-1],\\\"values\\\":[[1,2]]}\",\"c\":null,\"d\":null,"
        "\"e\":null,\"f\":null,\"g\":null,\"h\":null}");
}

Test(postgres_source, reads_all_other_types_as_the_server_writes_them)
{
    static const char *const rows[][2] = {
        {"inet", "10.1.2.3/8"},
        {"inet", "::1"},
        {"cidr", "10.0.0.0/8"},
        {"macaddr", "08:00:2b:01:02:03"},
        {"money", "-$1,234.50"},
        {"bit(3)", "101"},
        {"varbit", "10"},
        {"int4range", "[1,5)"},
        {"tstzrange", "[\"2024-01-01 00:00:00+00\",)"},
        {"point", "(1.5,-2)"},
        {"box", "(2,2),(0,0)"},
        {"tsvector", "'a' 'b':2"},
        {"xml", "<a>1</a>"},
        {"timetz", "12:00:00+02"},
        {"\"char\"", "x"},
        {"pg_lsn", "16/B374D848"},
        {"int2vector", "1 2 3"},
        {"regclass", "pg_class"},
        {"mood", "so,so"},
        {"pair", "(1,\"a b\")"},
        {"label", "so,so"},
        {"price", "1.50"},
    };

    source_fixture_run(&f, "create type mood as enum ('sad', 'so,so');"
                           "create type pair as (a int, b text); create domain label as mood;"
                           "create domain price as numeric(5,2)");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(doc_free_cleanup) struct doc *row = NULL;

        source_fixture_run(&f, arena_printf(f.mem,
                                            "drop table if exists t; create table t(v %s);"
                                            "insert into t values ($q$%s$q$)",
                                            rows[i][0], rows[i][1]));
        source_fixture_select(&f, NULL);
        f.position[0] = '\0';
        cr_assert(source_fixture_read(&f)->ended, "%s: %s", rows[i][0],
                  f.got->streams[0].why.message);
        row = fake_sink_row(&f.got->streams[0], 0);
        cr_expect_str_eq(doc_string(doc_get(row, "v"), "(null)"), rows[i][1], "%s", rows[i][0]);
        cr_expect_eq(f.got->streams[0].n_odd, 0);
    }
}

/* Types of extensions have numbers that nobody knows before. */
Test(postgres_source, reads_types_of_extensions)
{
    if (strcmp(source_fixture_ask(&f, "select count(*) from pg_available_extensions"
                                      " where name in ('hstore', 'citext')"),
               "2") != 0)
        cr_skip_test("hstore and citext are not installed");
    source_fixture_run(&f, "create extension hstore; create extension citext;"
                           "create table t(k citext primary key, h hstore, l citext[]);"
                           "insert into t values ('A', '\"a b\"=>NULL', '{X,NULL}')");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(source_fixture_lines(&f), "{\"k\":\"A\",\"h\":\"\\\"a b\\\"=>NULL\","
                                               "\"l\":\"[\\\"X\\\",null]\"}");
}

Test(postgres_source, reads_numerics_of_any_length)
{
    CLEANUP(doc_free_cleanup) struct doc *row = NULL;
    const char *text;

    source_fixture_run(&f, "create table t(a numeric, b numeric, c numeric(1000,500));"
                           "insert into t values (('1' || repeat('9', 999))::numeric,"
                           " ('-0.' || repeat('0', 399) || '1')::numeric,"
                           " (repeat('7', 500) || '.' || repeat('3', 500))::numeric)");
    source_fixture_select(&f, NULL);
    cr_assert(source_fixture_read(&f)->ended);
    row = fake_sink_row(&f.got->streams[0], 0);
    text = doc_string(doc_get(row, "a"), "");
    cr_assert_eq(strlen(text), 1000);
    cr_assert_eq(strspn(text + 1, "9"), 999);
    cr_assert_str_eq(doc_string(doc_get(row, "b"), ""), source_fixture_ask(&f, "select b from t"));
    cr_assert_str_eq(doc_string(doc_get(row, "c"), ""), source_fixture_ask(&f, "select c from t"));
}

/* precision,scale,coefficient,expected */
Test(postgres_source, reads_the_table_of_numerics)
{
    const char *folder = getenv("CONNECTORD_FIXTURES");
    CLEANUP(buf_release) struct buf sql = BUF_INIT((size_t)64 << 20);
    struct fake_stream *s;
    char path[4096], line[4096];
    size_t n = 0, n_bad = 0;
    FILE *file;

    if (!folder)
        cr_skip_test("CONNECTORD_FIXTURES is not set");
    snprintf(path, sizeof path, "%s/postgres/numeric_roundtrip_fixtures.csv", folder);
    file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    buf_puts(&sql, "create table t(id int primary key, v numeric, expected text);");
    cr_assert_not_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        const char *precision = line, *scale, *coefficient, *expected;
        char *at = strchr(line, ',');

        line[strcspn(line, "\r\n")] = '\0';
        if (!at)
            continue;
        *at = '\0';
        scale = at + 1;
        at = strchr(scale, ',');
        *at = '\0';
        coefficient = at + 1;
        at = strchr(coefficient, ',');
        *at = '\0';
        expected = at + 1;
        (void)precision;
        (void)scale;
        buf_printf(&sql, "%s(%zu,'%s','%s')", n % 1000 ? "," : ";insert into t values ", n,
                   expected, expected);
        n++;
        (void)coefficient;
    }
    fclose(file);
    cr_assert_gt(n, 1000);
    cr_assert_not(sql.failed);
    source_fixture_run(&f, buf_str(&sql));
    source_fixture_select(&f, NULL);
    s = source_fixture_read(&f);
    cr_assert(s->ended, "%s", s->why.message);
    cr_assert_eq(s->n_lines, n);
    for (size_t i = 0; i < s->n_lines; i++) {
        CLEANUP(doc_free_cleanup) struct doc *row = fake_sink_row(s, i);

        n_bad += strcmp(doc_string(doc_get(row, "v"), ""),
                        doc_string(doc_get(row, "expected"), "?")) != 0;
    }
    cr_assert_eq(n_bad, 0);
}

/* The server cuts them, so that they are never in memory as a whole; a small neighbour comes. */
Test(postgres_source, turns_values_of_many_megabytes_into_odd_cells)
{
    struct fake_stream *s;

    source_fixture_run(
        &f, "create table t(id int primary key, a text, b bytea, c jsonb, d json, e text, g xml);"
            "insert into t values (1, repeat('x', 16777217), null, null, null, 'k', null),"
            "(2, null, decode(repeat('00', 16777217), 'hex'), null, null, 'k', null),"
            "(3, null, null, jsonb_build_object('a', repeat('x', 40000000)), null, 'k', null),"
            "(4, null, null, null, json_build_object('a', repeat('x', 40000000)), 'k', null),"
            "(5, repeat('\xe2\x82\xac', 6000000), null, null, null, 'k', null),"
            "(6, repeat('x', 16777216), null, null, null, 'k', null),"
            "(7, null, null, null, null, 'k', ('<a>' || repeat('x', 20000000) || '</a>')::xml)");
    source_fixture_select(&f, "[{\"name\":\"t\"}]");
    s = source_fixture_read(&f);
    cr_assert(s->ended, "%s", s->why.message);
    cr_assert_eq(s->n_lines, 7);
    for (size_t i = 0; i < 7; i++) {
        if (i == 5)
            cr_assert_gt(strlen(s->lines[i]), 16777216);
        else
            cr_assert(strstr(s->lines[i], "\"record_too_large\"") && strlen(s->lines[i]) < 500000,
                      "row %zu: %.300s", i + 1, s->lines[i]);
        cr_assert(strstr(s->lines[i], "\"e\":\"k\""));
    }
    cr_assert_eq(s->n_odd, 6);
}

/* -------------------------------------------------------------- continuing */

/* Every kind of key: rows in the server's order, more of them than three batches take. */
Test(postgres_source, continues_behind_every_checkpoint)
{
    static const char *const keys[][2] = {
        {"bigint", "i * 1000000007::bigint % 5003 - 2000"},
        {"smallint", "(i - 2500)::smallint"},
        {"numeric", "i * 0.37 - 100"},
        {"text", "case when i % 7 = 0 then 'A' else 'a' end || i || ',''\"\\'"},
        {"char(8)", "i::text"},
        {"uuid", "md5(i::text)::uuid"},
        {"bytea", "decode(md5(i::text), 'hex')"},
        {"date", "date '0010-01-01 BC' + i"},
        {"timestamp", "timestamp '0001-01-01 BC' + i * interval '11 hours 0.000001 s'"},
        {"timestamptz", "case i when 1 then '-infinity' when 2 then 'infinity' else"
                        " timestamptz '294276-01-01Z' + i * interval '1 minute' end"},
        {"time", "time '00:00' + i * interval '1.000001 s'"},
        {"interval", "i * interval '1 hour 0.5 s' - interval '1 year'"},
        {"float8", "(i - 2000) / 3.0"},
        {"float4", "((i - 2000) / 3.0)::float4"},
        {"oid", "(i::bigint + 4294900000)::oid"},
        {"inet", "'10.0.0.0'::inet + i"},
        {"timetz", "timetz '00:00+05' + i * interval '1 s'"},
        {"money", "(i - 2000)::money"},
        {"int4range", "int4range(i, i + 2)"},
        {"name", "('n' || i)::name"},
    };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        source_fixture_run(
            &f, arena_printf(f.mem,
                             "drop table if exists t; create table t(v text, k %s primary key);"
                             "insert into t select i, %s from generate_series(1, 5001) i",
                             keys[i][0], keys[i][1]));
        source_fixture_select(&f, NULL);
        source_fixture_resume_everywhere(&f);
        cr_assert_eq(f.got->streams[0].n_lines, 5001, "%s", keys[i][0]);
        cr_assert_geq(f.got->streams[0].n_checkpoints, 2, "%s", keys[i][0]);
    }
}

/* An enum is ordered as declared, not as its labels are, and its column is read as text. */
Test(postgres_source, continues_in_the_order_of_the_server)
{
    source_fixture_run(
        &f,
        "create type mood as enum ('z', 'm,', 'a\"'); create table t(m mood, b bool, n int,"
        " v text, primary key (m, b, n));"
        "insert into t select (array['z', 'm,', 'a\"']::mood[])[i % 3 + 1], i % 2 = 0, i, 'v' || i"
        " from generate_series(1, 6001) i");
    source_fixture_select(&f, NULL);
    source_fixture_resume_everywhere(&f);
    cr_assert_geq(f.got->streams[0].n_checkpoints, 2);
    cr_assert(strstr(f.got->streams[0].lines[0], "\"m\":\"z\""));
    cr_assert(strstr(f.got->streams[0].lines[6000], "\"m\":\"a\\\"\""));
}

Test(postgres_source, tells_composite_text_keys_apart)
{
    source_fixture_run(
        &f, "create table t(a text, b text, primary key (a, b));"
            "insert into t values ('a,b', 'c'), ('a', 'b,c'), ('', ''), ('', 'x'), ('a', '');"
            "insert into t select 'a', 'b,c' || i from generate_series(1, 5000) i");
    source_fixture_select(&f, NULL);
    source_fixture_resume_everywhere(&f);
    cr_assert_eq(f.got->streams[0].n_lines, 5005);
}

/* -------------------------------------------------------------- incremental */

Test(postgres_source, continues_within_ties_of_the_cursor)
{
    static const char *const cursors[][2] = {
        {"timestamptz", "timestamptz '2024-01-01Z' + (i / 900) * interval '1 us'"},
        {"timestamp", "timestamp '2024-01-01' + (i / 900) * interval '1 us'"},
        {"date", "date '2024-01-01' + i / 900"},
        {"int", "i / 900"},
    };

    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        source_fixture_run(
            &f, arena_printf(f.mem,
                             "drop table if exists t; create table t(id int primary key, c %s);"
                             "insert into t select i, %s from generate_series(1, 6001) i",
                             cursors[i][0], cursors[i][1]));
        source_fixture_select(&f, INCREMENTAL("append_dedup", "c"));
        source_fixture_resume_everywhere(&f);
        cr_assert_eq(f.got->streams[0].n_lines, 6001, "%s", cursors[i][0]);
        cr_assert_geq(f.got->streams[0].n_checkpoints, 2, "%s", cursors[i][0]);
    }
}

Test(postgres_source, continues_between_ties_without_a_key)
{
    source_fixture_run(&f, "create table t(v int, c timestamptz);"
                           "insert into t select i, timestamptz '2024-01-01Z' + (i / 7) *"
                           " interval '1 us' from generate_series(0, 8000) i");
    source_fixture_select(&f, INCREMENTAL("append", "c"));
    f.position[0] = '\0';
    source_fixture_read(&f);
    cr_assert_eq(f.got->streams[0].n_lines, 8001);
    source_fixture_resume_everywhere(&f);
}

/* A row that has something in a column of which the run does not know is not delivered without. */
Test(postgres_source, begins_anew_when_columns_have_come_since_discovery)
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

Test(postgres_source, survives_cursors_at_the_ends_of_time)
{
    source_fixture_run(&f, "create table t(id int primary key, c timestamptz);"
                           "insert into t values (1, '-infinity'), (2, '4714-11-24 00:00+00 BC'),"
                           " (3, '2024-01-01Z'), (4, '294276-12-31Z'), (5, 'infinity'), (6, null)");
    source_fixture_select(&f, INCREMENTAL("append_dedup", "c"));
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    cr_assert_eq(f.got->streams[0].n_lines, 6);
    /* What is in the future is read again until its time has come. */
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    cr_assert_eq(f.got->streams[0].n_lines, 2);
}

Test(postgres_source, reads_the_rows_that_fulfil_the_conditions)
{
    static const char *const filters[] = {
        "{\"column\":\"i\",\"op\":\"in\",\"values\":[7,99999999999]}",
        "{\"column\":\"b\",\"op\":\"eq\",\"value\":true}",
        "{\"column\":\"f\",\"op\":\"eq\",\"value\":0.1}",
        "{\"column\":\"g\",\"op\":\"eq\",\"value\":0.1}",
        "{\"column\":\"n\",\"op\":\"gt\",\"value\":\"12345678901234567890.1\"}",
        "{\"column\":\"s\",\"op\":\"eq\",\"value\":\"it's\"}",
        "{\"column\":\"d\",\"op\":\"le\",\"value\":\"-0043-03-15\"}",
        "{\"column\":\"ts\",\"op\":\"eq\",\"value\":\"+12345-01-01T00:00:00.000001\"}",
        "{\"column\":\"tz\",\"op\":\"eq\",\"value\":\"infinity\"}",
        "{\"column\":\"t\",\"op\":\"ge\",\"value\":\"23:59:59\"}",
        "{\"column\":\"u\",\"op\":\"eq\",\"value\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"}",
        "{\"column\":\"y\",\"op\":\"eq\",\"value\":\"AP8=\"}",
        "{\"column\":\"e\",\"op\":\"eq\",\"value\":\"so,so\"}",
        "{\"column\":\"a\",\"op\":\"is_not_null\"}",
    };

    source_fixture_run(
        &f,
        "create type mood as enum ('sad', 'so,so'); create table t(id int primary key, i int,"
        " b bool, f float4, g float8, n numeric, s varchar(9), d date, ts timestamp,"
        " tz timestamptz, t time, u uuid, y bytea, e mood, a int[]);"
        "insert into t values (1, 7, true, 0.1, 0.1, '12345678901234567890.11', 'it''s',"
        " '0044-03-15 BC', '12345-01-01 00:00:00.000001', 'infinity', '24:00',"
        " 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00ff', 'so,so', '{}'),"
        "(2, 8, false, 0.2, 0.2, '12345678901234567890.1', 'its', '2024-01-01', '2024-01-01',"
        " '2024-01-01Z', '00:00', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00', 'sad', null)");
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct fake_stream *s;

        source_fixture_select(
            &f, arena_printf(f.mem, "[{\"name\":\"t\",\"filter\":[%s]}]", filters[i]));
        f.position[0] = '\0';
        s = source_fixture_read(&f);
        cr_assert(s->ended, "%s: %s", filters[i], s->why.message);
        cr_expect_eq(s->n_lines, 1, "%s: %zu rows", filters[i], s->n_lines);
        cr_expect(s->n_lines == 0 || strncmp(s->lines[0], "{\"id\":\"1\"", 9) == 0, "%s",
                  filters[i]);
    }
}

/* ----------------------------------------------------------------- failures */

/* A sink that does something when the first rows come. */
struct acting_sink {
    struct sink sink;
    void (*act)(void *arg);
    void *arg;
    size_t n_rows;
    struct error why;
};

static int act_begin(struct sink *s, size_t stream, struct error *err)
{
    (void)s, (void)stream, (void)err;
    return 0;
}

static int act_write(struct sink *s, size_t stream, struct batch *rows, struct error *err)
{
    struct acting_sink *a = (struct acting_sink *)s;

    (void)stream, (void)err;
    if (a->n_rows == 0)
        a->act(a->arg);
    a->n_rows += batch_rows(rows);
    batch_clear(rows);
    return 0;
}

static int act_checkpoint(struct sink *s, size_t stream, const char *position, struct error *err)
{
    (void)s, (void)stream, (void)position, (void)err;
    return 0;
}

static int act_count(struct sink *s, size_t stream, int64_t filtered, int64_t dropped,
                     struct error *err)
{
    (void)s, (void)stream, (void)filtered, (void)dropped, (void)err;
    return 0;
}

static int act_end(struct sink *s, size_t stream, const char *position, struct error *err)
{
    (void)s, (void)stream, (void)position, (void)err;
    return 0;
}

static int act_fail(struct sink *s, size_t stream, const struct error *why, struct error *err)
{
    (void)stream, (void)err;
    ((struct acting_sink *)s)->why = *why;
    return 0;
}

static const struct sink_ops acting_ops = {act_begin, act_write, act_checkpoint,
                                           act_count, act_end,   act_fail};

static struct acting_sink read_acting(void (*act)(void *arg), void *arg)
{
    struct acting_sink a = {.sink = {&acting_ops}, .act = act, .arg = arg, .why = ERROR_INIT};

    f.err = ERROR_INIT;
    if (harness_read(&f.h, NULL, &a.sink, &f.err) < 0)
        a.why = f.err;
    return a;
}

static const char big_table[] = "create table t(id int primary key, v text); insert into t"
                                " select i, repeat(md5(i::text), 20) from generate_series(1,"
                                " 100000) i";

static void kill_reader(void *arg)
{
    (void)arg;
    source_fixture_run(&f, "select pg_terminate_backend(pid) from pg_stat_activity"
                           " where datname = current_database() and pid <> pg_backend_pid()");
}

Test(postgres_source, may_be_tried_again_when_an_administrator_ends_the_session)
{
    struct acting_sink a;

    source_fixture_run(&f, big_table);
    source_fixture_select(&f, NULL);
    a = read_acting(kill_reader, NULL);
    cr_assert_eq(a.why.code, ERR_TRANSIENT, "%s", a.why.message);
    cr_assert(error_is_retryable(&a.why));
    cr_assert(strcmp(error_reason(&a.why), "admin_shutdown") == 0 ||
                  strcmp(error_reason(&a.why), "connection_lost") == 0,
              "%s", error_reason(&a.why));
    cr_assert_lt(a.n_rows, 100000);
}

static void cancel_run(void *arg)
{
    cancel_request(arg, CANCEL_USER);
}

Test(postgres_source, stops_at_once_and_so_does_the_server)
{
    int64_t began_us;
    struct acting_sink a;

    source_fixture_run(&f, big_table);
    source_fixture_select(&f, NULL);
    began_us = clock_monotonic_us();
    a = read_acting(cancel_run, f.h.cancel);
    cr_assert_eq(a.why.code, ERR_CANCELLED, "%s", a.why.message);
    cr_assert_lt(clock_monotonic_us() - began_us, 10000000);
    for (int i = 0; i < 50; i++) {
        if (strcmp(source_fixture_ask(&f, "select count(*) from pg_stat_activity where datname ="
                                          " current_database() and pid <> pg_backend_pid()"),
                   "0") == 0)
            return;
        struct error ignored = ERROR_INIT;
        struct cancel *c;

        cr_assert_eq(cancel_new(&c, &ignored), 0);
        cr_assert_eq(cancel_sleep_ms(c, 100, &ignored), 0);
        cancel_free(c);
    }
    cr_assert_fail("the server goes on reading for nobody");
}

Test(postgres_source, fails_a_stream_whose_table_is_gone_and_reads_the_others)
{
    source_fixture_run(&f, "create table a(id int primary key); create table b(id int primary key);"
                           "create table c(id int primary key, x int); insert into c values (1, 2);"
                           "create table d(id int primary key); insert into d values (3)");
    source_fixture_select(&f, NULL);
    source_fixture_run(&f, "drop table a; drop table b; alter table c alter x type text");
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_eq(f.got->streams[0].why.code, ERR_SCHEMA, "%s", f.got->streams[0].why.message);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "table_missing");
    cr_assert(f.got->streams[1].failed);
    cr_assert(f.got->streams[2].failed);
    cr_assert_str_eq(error_reason(&f.got->streams[2].why), "column_changed");
    cr_assert(f.got->streams[3].ended, "%s", f.got->streams[3].why.message);
    cr_assert_eq(f.got->streams[3].n_lines, 1);
}

Test(postgres_source, fails_one_stream_when_a_right_is_taken_away)
{
    source_fixture_run(
        &f, arena_printf(f.mem,
                         "create role r_%s login password 'correct horse';"
                         "create table a(id int primary key); create table b(id int primary key);"
                         "insert into b values (1); grant select on a, b to r_%s",
                         f.database, f.database));
    f.config = arena_printf(f.mem,
                            "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                            "\"username\":\"r_%s\",\"password\":\"correct horse\","
                            "\"ssl_mode\":\"disable\"}",
                            (long long)databases_port(DATABASE_POSTGRES), f.database, f.database);
    source_fixture_select(&f, NULL);
    source_fixture_run(&f, arena_printf(f.mem, "revoke select on a from r_%s", f.database));
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_eq(f.got->streams[0].why.code, ERR_PERMISSION, "%s", f.got->streams[0].why.message);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "permission_denied");
    cr_assert(f.got->streams[1].ended);
    cr_assert_eq(f.got->streams[1].n_lines, 1);
}

Test(postgres_source, reads_views_partitions_and_foreign_tables)
{
    bool foreign = strcmp(source_fixture_ask(&f, "select count(*) from pg_available_extensions"
                                                 " where name = 'postgres_fdw'"),
                          "1") == 0;

    source_fixture_run(
        &f, "create table p(id int primary key) partition by range (id);"
            "create table p1 partition of p for values from (0) to (10);"
            "create table p2 partition of p for values from (10) to (20);"
            "insert into p values (15), (5); create view v as select id from p order by id;"
            "create materialized view m as select id from p order by id");
    if (foreign)
        source_fixture_run(
            &f, arena_printf(f.mem,
                             "create extension postgres_fdw; create server s foreign data wrapper"
                             " postgres_fdw options (host '127.0.0.1', port '%lld', dbname '%s');"
                             "create user mapping for current_user server s options (user '%s',"
                             " password '%s'); create foreign table f(id int) server s"
                             " options (table_name 'p1')",
                             (long long)databases_port(DATABASE_POSTGRES), f.database,
                             DATABASES_USER, DATABASES_PASSWORD));
    for (const char *const *name = (const char *const[]){"p", "v", "m", NULL}; *name; name++) {
        source_fixture_select(&f, arena_printf(f.mem, "[{\"name\":\"%s\"}]", *name));
        f.position[0] = '\0';
        cr_assert_str_eq(source_fixture_lines(&f), "{\"id\":\"5\"} {\"id\":\"15\"}", "%s", *name);
    }
    if (foreign) {
        source_fixture_select(&f, "[{\"name\":\"f\"}]");
        f.position[0] = '\0';
        cr_assert_str_eq(source_fixture_lines(&f), "{\"id\":\"5\"}");
    }
}

Test(postgres_source, counts_rows)
{
    int64_t n = 0;
    bool exact = false;

    source_fixture_run(&f, "create table t(id int); insert into t values (1), (2), (3)");
    source_fixture_select(&f, NULL);
    cr_assert_eq(source_postgres.count(f.h.config, &f.h.run, source_fixture_stream(&f, "t"), &n,
                                       &exact, &f.err),
                 0);
    cr_assert_eq(n, 3);
    cr_assert(exact);
}

Test(postgres_source, checks_that_it_can_be_read)
{
    source_fixture_select(&f, NULL);
    cr_assert_eq(source_postgres.check(f.h.config, &f.h.run, &f.err), 0, "%s", f.err.message);
}

/* ------------------------------------------------------------------- moment */

static struct sql_reader *open_reader(void)
{
    struct sql_reader *r;

    source_fixture_select(&f, NULL);
    cr_assert_eq(postgres_source_driver.open(f.h.config, &f.h.run, &r, &f.err), 0, "%s",
                 f.err.message);
    return r;
}

static struct sql_moment look(struct sql_reader *r)
{
    struct sql_moment m;

    f.err = ERROR_INIT;
    cr_assert_eq(postgres_source_driver.moment(r, f.mem, &m, &f.err), 0, "%s", f.err.message);
    cr_assert(m.visible);
    return m;
}

/* A session that is just connecting, to whatever database, counts as open for that moment. */
static bool becomes_quiet(struct sql_reader *r)
{
    for (int i = 0; i < 200; i++) {
        struct error ignored = ERROR_INIT;

        if (look(r).n_open == 0)
            return true;
        if (cancel_sleep_ms(f.h.cancel, 20, &ignored) < 0)
            return false;
    }
    return false;
}

static bool shares_a_token(const struct sql_moment *a, const struct sql_moment *b)
{
    for (size_t i = 0; i < a->n_open; i++) {
        for (size_t j = 0; j < b->n_open; j++) {
            if (strcmp(a->open[i], b->open[j]) == 0)
                return true;
        }
    }
    return false;
}

Test(postgres_moment, sees_transactions_from_their_beginning, .init = setup, .fini = teardown)
{
    struct sql_reader *r = open_reader();
    PGconn *writer = connect_here();
    struct sql_moment before = look(r), during, after;

    cr_assert(becomes_quiet(r));
    cr_assert_lt(llabs(before.unix_us - clock_unix_us()), 60000000);
    run_on(writer, "begin; select now()"); /* no number of its own yet */
    during = look(r);
    cr_assert_geq(during.n_open, 1);
    run_on(writer, "create table t(a int)");
    after = look(r);
    cr_assert(shares_a_token(&during, &after));
    run_on(writer, "commit");
    cr_assert(becomes_quiet(r));
    PQfinish(writer);
    postgres_source_driver.close(r);
}

Test(postgres_moment, follows_a_transaction_into_its_preparation, .init = setup, .fini = teardown)
{
    struct sql_reader *r;
    PGconn *writer;
    struct sql_moment during, prepared;

    source_fixture_run(&f, "create table t(a int)");
    r = open_reader();
    writer = connect_here();
    run_on(writer, "begin; select now()");
    during = look(r);
    run_on(writer, "insert into t values (1); prepare transaction 'it''s'");
    PQfinish(writer); /* the session may even end */
    prepared = look(r);
    cr_assert(shares_a_token(&during, &prepared));
    source_fixture_run(&f, "commit prepared 'it''s'");
    cr_assert(becomes_quiet(r));
    postgres_source_driver.close(r);
}

Test(postgres_moment, leaves_out_readers_of_ours_and_other_databases, .init = setup,
     .fini = teardown)
{
    struct sql_reader *r = open_reader(), *other = NULL;
    PGconn *elsewhere = PQconnectdb(arena_printf(
        f.mem, "host=127.0.0.1 port=%lld user=%s password='%s' dbname=postgres sslmode=disable",
        (long long)databases_port(DATABASE_POSTGRES), DATABASES_USER, DATABASES_PASSWORD));

    cr_assert_eq(postgres_source_driver.open(f.h.config, &f.h.run, &other, &f.err), 0);
    cr_assert_eq(postgres_source_driver.snapshot(other, &f.err), 0);
    run_on(elsewhere, "begin; select pg_current_xact_id()");
    cr_assert(becomes_quiet(r));
    PQfinish(elsewhere);
    postgres_source_driver.close(other);
    postgres_source_driver.close(r);
}

Test(postgres_moment, needs_no_privilege, .init = setup, .fini = teardown)
{
    PGconn *writer = connect_here();
    struct sql_moment first, second;
    struct sql_reader *r;

    source_fixture_run(
        &f, arena_printf(f.mem, "create role n_%s login password 'correct horse'", f.database));
    f.config = arena_printf(f.mem,
                            "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                            "\"username\":\"n_%s\",\"password\":\"correct horse\","
                            "\"ssl_mode\":\"disable\"}",
                            (long long)databases_port(DATABASE_POSTGRES), f.database, f.database);
    r = open_reader();
    cr_assert(becomes_quiet(r));
    run_on(writer, "begin; select now()");
    first = look(r);
    cr_assert_eq(cancel_sleep_ms(f.h.cancel, 200, &f.err), 0);
    second = look(r);
    cr_assert(shares_a_token(&first, &second));
    PQfinish(writer);
    postgres_source_driver.close(r);
}

/* ----------------------------------------------------------------- sequences */

static int64_t last_number(const char *table, bool *out_known)
{
    struct sql_reader *r = open_reader();
    int64_t v = 0;

    cr_assert_eq(
        postgres_source_driver.last_number(r, "public", table, "id", &v, out_known, &f.err), 0,
        "%s", f.err.message);
    postgres_source_driver.close(r);
    return v;
}

Test(postgres_moment, knows_the_last_number_of_a_column, .init = setup, .fini = teardown)
{
    bool known;

    source_fixture_run(
        &f,
        "create table a(id serial primary key, v int); insert into a(v) select 1 from"
        " generate_series(1, 5); delete from a;"
        "create table b(id int generated always as identity, v int); insert into b(v) values (1);"
        "create sequence shared; create table c(id bigint default nextval('shared'));"
        "create table d(id bigint default nextval('shared')); insert into d values (default);"
        "create table e(id int); create table g(id int default 7);"
        "create table h(id int default nextval('shared') * 2);"
        "create sequence down increment -1; create table i(id int default nextval('down'));"
        "insert into i values (default);"
        "create sequence kept cache 10; create table j(id int default nextval('kept'));"
        "insert into j values (default);"
        "create view k as select * from a; create table l(id serial)");
    cr_assert_eq(last_number("a", &known), 5);
    cr_assert(known);
    cr_assert_eq(last_number("b", &known), 1);
    cr_assert(known);
    cr_assert_eq(last_number("c", &known), 1);
    cr_assert(known);
    for (const char *const *name =
             (const char *const[]){"e", "g", "h", "i", "k", "l", "gone", NULL};
         *name; name++) {
        last_number(*name, &known);
        cr_assert_not(known, "%s", *name);
    }
    /* Ten numbers may be kept by each session that there can be. */
    cr_assert_eq(last_number("j", &known),
                 10 - 10 * atoi(source_fixture_ask(&f, "show max_connections")));
    cr_assert(known);
}

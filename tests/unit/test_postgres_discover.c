#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
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

TestSuite(postgres_discover, .init = setup, .fini = teardown, .timeout = 180);

#define SHAPE(name, text) cr_assert_str_eq(source_fixture_shape(&f, name), text)

static bool has_stream(const char *namespace, const char *name)
{
    return catalog_find(&f.h.catalog, namespace, name) != NULL;
}

/* "int[]" and "interval" contain "int" and are none. */
Test(postgres_discover, maps_types_by_number_and_not_by_name)
{
    source_fixture_run(
        &f, "create domain positive as int check (value > 0);"
            "create domain nested as positive; create domain price as numeric(12,3);"
            "create domain ids as int[]; create type mood as enum ('sad', 'happy');"
            "create type point3 as (x int, y int, z int);"
            "create table t(a positive, b nested, c price, d ids, e mood, f point3, g int[],"
            " h mood[], i positive[], j int4range, k inet, l money, m bit(3), n timetz, o point,"
            " p tsvector, q xml, r \"char\", s int2vector, t varchar, u numeric(3,-2), v oid)");
    source_fixture_select(&f, NULL);
    SHAPE("t", "a int, b int, c decimal(12,3), d json, e string, f string, g json, h json, i json,"
               " j string, k string, l string, m string, n string, o string, p string, q string,"
               " r string, s string, t string, u decimal(5,0), v int");
    const struct schema *s = source_fixture_stream(&f, "t")->schema;
    cr_assert_str_eq(s->columns[0].source_type, "positive");
    cr_assert_str_eq(s->columns[4].source_type, "mood");
    cr_assert_str_eq(s->columns[20].source_type, "numeric(3,-2)");
}

Test(postgres_discover, takes_the_primary_key_alone_or_one_unique_set)
{
    source_fixture_run(
        &f,
        "create table pk(id int primary key, email text not null unique);"
        "create table two(a text, b text, c int, primary key(b, a) include (c));"
        "create table uni(a text not null, b text not null, c text not null unique,"
        " d text unique, unique(a, b));"
        "create table may_be_null(a text unique);"
        "create table partial(a text not null); create unique index on partial(a) where a > 'b';"
        "create table expr(a text not null); create unique index on expr(lower(a));"
        "create table other(a text collate \"C\" not null);"
        " create unique index on other(a collate \"POSIX\");"
        "create table parent(id int primary key); create table child() inherits (parent);"
        "create table none(a text); create view v as select * from pk;"
        "create table \"drop\"(a int primary key, b int); alter table \"drop\" drop a;"
        "create table gen(a int primary key, b int generated always as (a * 2) stored)");
    source_fixture_select(&f, NULL);
    SHAPE("pk", "id int not null key, email string not null");
    SHAPE("two", "a string not null key, b string not null key, c int");
    cr_assert_eq(source_fixture_stream(&f, "two")->schema->key[0], 1);
    SHAPE("uni", "a string not null, b string not null, c string not null key, d string");
    SHAPE("may_be_null", "a string");
    SHAPE("partial", "a string not null");
    SHAPE("expr", "a string not null");
    SHAPE("other", "a string not null");
    SHAPE("parent", "id int not null");
    SHAPE("none", "a string");
    SHAPE("v", "id int, email string");
    SHAPE("drop", "b int");
    SHAPE("gen", "a int not null key, b int");
    cr_assert(source_fixture_stream(&f, "pk")->resumable);
    cr_assert_not(source_fixture_stream(&f, "none")->resumable);
}

Test(postgres_discover, finds_everything_that_has_rows)
{
    source_fixture_run(
        &f,
        "create table t(id int primary key); insert into t select generate_series(1, 500);"
        "analyze t; create table fresh(id int);"
        "create view v as select * from t; create materialized view m as select * from t;"
        "create table p(id int primary key, a text) partition by range (id);"
        "create table p1 partition of p for values from (0) to (10);"
        "create table _connectord_state(a int); create table empty(); create temp table x(a int);"
        "create sequence s; create index on t(id); create schema other;"
        "create table other.t(a int)");
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 6);
    cr_assert(has_stream("public", "t"));
    cr_assert(has_stream("public", "v"));
    cr_assert(has_stream("public", "m"));
    cr_assert(has_stream("public", "p"));
    cr_assert(has_stream("public", "fresh"));
    cr_assert(has_stream("other", "t"));
    cr_assert_eq(catalog_find(&f.h.catalog, "public", "t")->row_estimate, 500);
    cr_assert_eq(source_fixture_stream(&f, "fresh")->row_estimate, -1);
    cr_assert_eq(source_fixture_stream(&f, "v")->row_estimate, -1);
    SHAPE("p", "id int not null key, a string");
}

Test(postgres_discover, looks_into_the_schemas_that_are_named)
{
    source_fixture_run(&f, "create schema a; create table a.t(x int); create schema \"q\"\"\\,\";"
                           "create table \"q\"\"\\,\".u(x int); create table w(x int)");
    f.options = ",\"schemas\":[\"a\",\"q\\\"\\\\,\"]";
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 2);
    cr_assert(has_stream("a", "t"));
    cr_assert(has_stream("q\"\\,", "u"));
    f.options = ",\"schemas\":[\"a\",\"gone\"]";
    source_fixture_refuse(&f);
    cr_assert_eq(f.err.code, ERR_CONFIG);
    cr_assert_str_eq(error_reason(&f.err), "schema_missing");
    cr_assert(strstr(f.err.message, "\"gone\""));
}

Test(postgres_discover, leaves_out_what_may_not_be_read)
{
    source_fixture_run(&f,
                       arena_printf(f.mem,
                                    "create role reader_%s login password 'correct horse';"
                                    "create table yes(id int primary key, a int);"
                                    "create table no(id int primary key);"
                                    "create table part(id int primary key, secret text, open text);"
                                    "create schema hidden; create table hidden.t(a int);"
                                    "grant select on hidden.t, yes to reader_%s;"
                                    "grant select(open) on part to reader_%s",
                                    f.database, f.database, f.database));
    f.config = arena_printf(f.mem,
                            "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                            "\"username\":\"reader_%s\",\"password\":\"correct horse\","
                            "\"ssl_mode\":\"disable\"}",
                            (long long)databases_port(DATABASE_POSTGRES), f.database, f.database);
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 2);
    SHAPE("yes", "id int not null key, a int");
    SHAPE("part", "open string");
    cr_assert(source_fixture_read(&f)->ended);
}

Test(postgres_discover, suggests_cursors_best_first)
{
    source_fixture_run(&f, "create table t(id bigint primary key, created timestamptz, day date,"
                           " n int, updated_at timestamp, note text);"
                           "create table plain(a text)");
    source_fixture_select(&f, NULL);
    const struct stream *s = source_fixture_stream(&f, "t");
    cr_assert_eq(s->n_cursors, 4);
    cr_assert_eq(s->cursors[0], 4);
    cr_assert_eq(s->cursors[1], 0);
    cr_assert_eq(s->cursors[2], 1);
    cr_assert_eq(s->cursors[3], 2);
    cr_assert(s->incremental);
    cr_assert_not(source_fixture_stream(&f, "plain")->incremental);
}

/* ------------------------------------------------------------------ queries */

Test(postgres_discover, describes_queries)
{
    source_fixture_run(&f, "create table t(id int primary key, a varchar(9), at timestamptz)");
    f.options = ",\"queries\":{\"q\":\"select id, a || 'x' as b, at, numeric '1.50' as n,"
                " array[id] as l from t where a <> ';' -- all ;\"}";
    source_fixture_select(&f, "[{\"name\":\"q\"}]");
    SHAPE("q", "id int, b string, at timestamptz, n decimal, l json");
    cr_assert_str_eq(source_fixture_stream(&f, "q")->schema->columns[2].source_type,
                     "timestamp with time zone");
    source_fixture_run(&f, "insert into t values (1, 'a', '2024-01-01Z'), (2, ';', null)");
    cr_assert_str_eq(source_fixture_lines(&f), "{\"id\":\"1\",\"b\":\"ax\",\"at\":"
                                               "\"2024-01-01T00:00:00Z\",\"n\":\"1.50\","
                                               "\"l\":\"[1]\"}");
}

Test(postgres_discover, refuses_queries_that_are_not_one_select)
{
    static const char *const bad[] = {
        "select 1 as a; drop table t",
        "delete from t",
        "delete from t returning id",
        "with d as (delete from t returning id) select * from d",
        "insert into t values (1) returning id",
        "copy (select 1) to program 'true'",
        "copy t to stdout",
        "select 1 as a) as q, (select 2 as b",
        "select 1 as a) as q; drop table t; select * from (select 1 as a",
        "select 1 as a from (select 2",
        "select $1::int as a",
        "select * from gone",
        "select 1 as a, 2 as a",
        "create table u as select 1 as a",
        "select id into u from t",
        "explain select 1",
        "begin",
        "",
        "-- nothing",
        "do $$begin perform 1; end$$",
        "table",
    };

    source_fixture_run(&f, "create table t(id int); insert into t values (7)");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.options = arena_printf(f.mem, ",\"queries\":{\"q\":\"%s\"}", bad[i]);
        source_fixture_refuse(&f);
        cr_expect_eq(f.err.code, ERR_CONFIG, "%s: %s", bad[i], f.err.message);
        cr_expect(strcmp(error_reason(&f.err), "query_invalid") == 0 || i == 17, "%s: %s: %s",
                  bad[i], error_reason(&f.err), f.err.message);
    }
    cr_assert_str_eq(source_fixture_ask(&f, "select count(*) from t"), "1");
}

/* --------------------------------------------------------------- many tables */

Test(postgres_discover, finds_ten_thousand_tables_by_one_statement)
{
    int64_t began_us;

    for (int i = 0; i < 10; i++)
        source_fixture_run(
            &f,
            arena_printf(f.mem,
                         "do $$begin for i in %d..%d loop execute format('create table t%%s("
                         "id bigint primary key, a text, b numeric(9,2), c timestamptz, d jsonb,"
                         " e int[], f date, g uuid, h boolean, updated_at timestamp)', i);"
                         " end loop; end$$",
                         i * 1000, i * 1000 + 999));
    source_fixture_run(&f, "analyze pg_catalog.pg_attribute");
    began_us = clock_monotonic_us();
    source_fixture_select(&f, "[]");
    printf("10,000 tables discovered in %.2f s\n", (double)(clock_monotonic_us() - began_us) / 1e6);
    cr_assert_eq(f.h.catalog.n, 10000);
    cr_assert_str_eq(f.h.catalog.streams[0].name, "t0");
    cr_assert_eq(f.h.catalog.streams[9999].schema->n_columns, 10);
    cr_assert_eq(f.h.catalog.streams[9999].schema->n_key, 1);
}

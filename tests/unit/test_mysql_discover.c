#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

TestSuite(mysql_discover, .init = setup, .fini = teardown, .timeout = 120);

/* ---------------------------------------------------------------------- types */

Test(mysql_discover, maps_types_by_their_words)
{
    source_fixture_run(
        &f, "create table t(a tinyint, b tinyint unsigned, c tinyint(1), d smallint, e mediumint,"
            " f int, g int unsigned, h bigint, i bigint unsigned, j year, k bit(1), l bit(63),"
            " m bit(64), n decimal(10,2), o decimal(65,30) unsigned, p numeric(5), q float,"
            " r float(7,3), s double, t real unsigned, u date, v datetime, w datetime(6),"
            " x timestamp(3) null, y time, z time(6), aa char(3), ab varchar(20), ac tinytext,"
            " ad text, ae mediumtext, af longtext, ag enum('int','date'), ah set('a','bigint'),"
            " ai binary(3), aj varbinary(9), ak tinyblob, al blob, am mediumblob, an longblob,"
            " ao json, ap geometry, aq point, ar uuid, as_ inet4, at inet6, au boolean,"
            " av int(1) zerofill, aw tinyint(1) unsigned, ax bigint(20) unsigned zerofill)");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(
        source_fixture_shape(&f, "t"),
        "a int, b int, c bool, d int, e int, f int, g int, h int, i decimal(20,0), j int, k int,"
        " l int, m decimal(20,0), n decimal(10,2), o decimal(65,30), p decimal(5,0), q float32,"
        " r float32, s float, t float, u date, v timestamp, w timestamp, x timestamptz, y time,"
        " z time, aa string, ab string, ac string, ad string, ae string, af string, ag string,"
        " ah string, ai bytes, aj bytes, ak bytes, al bytes, am bytes, an bytes, ao json,"
        " ap bytes, aq bytes, ar uuid, as_ string, at string, au bool, av int, aw int,"
        " ax decimal(20,0)");
    const struct schema *s = source_fixture_stream(&f, "t")->schema;
    cr_assert_str_eq(s->columns[8].source_type, "bigint(20) unsigned");
    cr_assert_str_eq(s->columns[32].source_type, "enum('int','date')");
}

Test(mysql_discover, tells_json_by_its_check_and_by_nothing_else)
{
    source_fixture_run(
        &f, "create table t(a json, `b``c` json, d longtext check (json_valid(d)),"
            " e longtext character set utf8mb4 collate utf8mb4_bin check (json_valid(e) or e = ''),"
            " f longtext character set utf8mb4 collate utf8mb4_bin, g longtext,"
            " h json not null, constraint json_valid check (json_valid(g)))");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(source_fixture_shape(&f, "t"),
                     "a json, b`c json, d json, e string, f string, g json, h json not null");
}

/* ------------------------------------------------------------ keys and streams */

Test(mysql_discover, takes_the_primary_key_alone_or_one_unique_set)
{
    source_fixture_run(&f, "create table pk(id int primary key, email varchar(50) not null unique);"
                           "create table two(a varchar(9), b varchar(9), c int, primary key(b, a));"
                           "create table uni(a int not null, b int not null, c int not null unique,"
                           " d int unique, unique(a, b));"
                           "create table may_be_null(a int unique);"
                           "create table half(a int not null, b int, unique(a, b));"
                           "create table long_text(a text not null unique);"
                           "create table prefix(a text not null, primary key(a(10)));"
                           "create table zz(a int); create view v as select * from pk");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(source_fixture_shape(&f, "pk"), "id int not null key, email string not null");
    cr_assert_str_eq(source_fixture_shape(&f, "two"),
                     "a string not null key, b string not null key, c int");
    cr_assert_eq(source_fixture_stream(&f, "two")->schema->key[0], 1);
    cr_assert_str_eq(source_fixture_shape(&f, "uni"),
                     "a int not null, b int not null, c int not null key, d int");
    cr_assert_eq(source_fixture_stream(&f, "may_be_null")->schema->n_key, 0);
    cr_assert_eq(source_fixture_stream(&f, "half")->schema->n_key, 0);
    cr_assert_eq(source_fixture_stream(&f, "long_text")->schema->n_key, 0,
                 "unique by a hash: no index has its order");
    cr_assert_str_eq(source_fixture_shape(&f, "prefix"), "a string not null key");
    cr_assert_eq(source_fixture_stream(&f, "v")->schema->n_key, 0);
    cr_assert_eq(source_fixture_stream(&f, "v")->schema->n_columns, 2);
    cr_assert_eq(source_fixture_stream(&f, "v")->row_estimate, -1);
    cr_assert(source_fixture_stream(&f, "pk")->resumable);
    cr_assert_not(source_fixture_stream(&f, "zz")->resumable);
}

Test(mysql_discover, leaves_out_what_is_ours_or_no_table_or_broken)
{
    source_fixture_run(
        &f, "create table _connectord_state(a int); create table a(x int auto_increment"
            " primary key); create view good as select * from a; create sequence s;"
            "create table gone(x int); create view bad as select * from gone; drop table gone;"
            "create table history(x int) with system versioning;"
            "create table parts(x int) partition by hash(x) partitions 3");
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 4);
    cr_assert_str_eq(f.h.catalog.streams[0].name, "a");
    cr_assert_str_eq(f.h.catalog.streams[1].name, "good");
    cr_assert_str_eq(f.h.catalog.streams[2].name, "history");
    cr_assert_str_eq(f.h.catalog.streams[3].name, "parts");
}

Test(mysql_discover, suggests_cursors_best_first)
{
    const struct stream *s;

    source_fixture_run(&f, "create table t(id int auto_increment primary key, created datetime,"
                           " day date, n int, updated_at timestamp(6) null, note text);"
                           "create table none(a text, b double, c bigint unsigned);"
                           "insert into t(n) select seq from seq_1_to_500; analyze table t");
    source_fixture_select(&f, NULL);
    s = source_fixture_stream(&f, "t");
    cr_assert_eq(s->n_cursors, 4);
    cr_assert_eq(s->cursors[0], 4);
    cr_assert_eq(s->cursors[1], 0);
    cr_assert_eq(s->cursors[2], 1);
    cr_assert_eq(s->cursors[3], 2);
    cr_assert(s->incremental);
    cr_assert_geq(s->row_estimate, 400);
    cr_assert_leq(s->row_estimate, 600);
    cr_assert_not(source_fixture_stream(&f, "none")->incremental);
}

/* Where tables are many, the numbers are those that the server keeps, which name partitions. */
Test(mysql_discover, knows_how_many_rows_many_tables_have)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(1 << 20);

    for (size_t i = 0; i < 520; i++)
        buf_printf(&sql, "create table t%zu(id int primary key); ", i);
    buf_puts(&sql, "create table full(id int primary key);"
                   "insert into full select seq from seq_1_to_500; analyze table full;"
                   "create table parts(id int primary key) partition by hash(id) partitions 2;"
                   "insert into parts select seq from seq_1_to_500; analyze table parts;"
                   "create view v as select * from full");
    source_fixture_run(&f, buf_str(&sql));
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 523);
    cr_assert_geq(source_fixture_stream(&f, "full")->row_estimate, 400);
    cr_assert_leq(source_fixture_stream(&f, "full")->row_estimate, 600);
    cr_assert_geq(source_fixture_stream(&f, "parts")->row_estimate, 400);
    cr_assert_leq(source_fixture_stream(&f, "parts")->row_estimate, 600);
    cr_assert_eq(source_fixture_stream(&f, "t7")->row_estimate, 0);
    cr_assert_eq(source_fixture_stream(&f, "v")->row_estimate, -1);
}

Test(mysql_discover, knows_names_of_every_kind)
{
    source_fixture_run(
        &f, "create table `a``b\"c'd \xe2\x82\xac %s {column}`(`x``\"'` int primary key,"
            " `{column}` varchar(9), `select` longtext, `Ä` varchar(9) character set gbk);"
            "insert into `a``b\"c'd \xe2\x82\xac %s {column}` values (1, 'a', 'b', 'c')");
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(f.h.catalog.streams[0].name, "a`b\"c'd \xe2\x82\xac %s {column}");
    cr_assert_str_eq(source_fixture_lines(&f),
                     "{\"x`\\\"'\":\"1\",\"{column}\":\"a\",\"select\":\"b\",\"Ä\":\"c\"}");
}

/* -------------------------------------------------------------- several databases */

Test(mysql_discover, gives_streams_of_several_databases_their_names)
{
    const char *other = databases_new(DATABASE_MYSQL, f.mem);

    databases_run(DATABASE_MYSQL, other, "create table o(a int); insert into o values (2)");
    source_fixture_run(&f, "create table t(a int); insert into t values (1)");
    f.options = arena_printf(f.mem, ",\"schemas\":[\"%s\",\"%s\"]", f.database, other);
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 2);
    cr_assert_str_eq(source_fixture_stream(&f, "t")->namespace, f.database);
    cr_assert_str_eq(source_fixture_stream(&f, "o")->namespace, other);
    source_fixture_read(&f);
    cr_assert_str_eq(f.got->streams[0].lines[0], "{\"a\":\"1\"}");
    cr_assert_str_eq(f.got->streams[1].lines[0], "{\"a\":\"2\"}");
    f.options = arena_printf(f.mem, ",\"schemas\":[\"%s\"]", other);
    f.position[0] = '\0';
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(source_fixture_stream(&f, "o")->namespace, other,
                     "the configured database is another one");
    cr_assert_str_eq(source_fixture_lines(&f), "{\"a\":\"2\"}");
    f.options = arena_printf(f.mem, ",\"schemas\":[\"%s\"]", f.database);
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(source_fixture_stream(&f, "t")->namespace, "");
    f.options = ",\"schemas\":[\"no_such_database\"]";
    source_fixture_refuse(&f);
    cr_assert_eq(f.err.code, ERR_NOT_FOUND);
    cr_assert_str_eq(error_reason(&f.err), "database_missing");
    databases_run(DATABASE_MYSQL, NULL, arena_printf(f.mem, "drop database %s", other));
}

/* ------------------------------------------------------------------------ rights */

static void log_in_as(const char *user)
{
    f.config = arena_printf(f.mem,
                            "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                            "\"username\":\"%s\",\"password\":\"p\",\"ssl_mode\":\"disable\"}",
                            (long long)databases_port(DATABASE_MYSQL), f.database, user);
}

static const char *new_user(const char *grants)
{
    const char *user = arena_printf(f.mem, "u_%s", f.database);

    source_fixture_run(&f, arena_printf(f.mem, "create user %s@'%%' identified by 'p'", user));
    source_fixture_run(&f, grants);
    log_in_as(user);
    return user;
}

Test(mysql_discover, shows_only_what_may_be_read)
{
    const char *user = arena_printf(f.mem, "u_%s", f.database);

    source_fixture_run(&f, "create table mine(a int, b int); create table theirs(a int);"
                           "create table some_columns(a int, secret int, c int);"
                           "create table only_written(a int)");
    new_user(arena_printf(f.mem,
                          "grant select on mine to %s; grant select(a, c), insert(secret) on"
                          " some_columns to %s; grant insert on only_written to %s",
                          user, user, user));
    source_fixture_select(&f, NULL);
    cr_assert_eq(f.h.catalog.n, 2);
    cr_assert_str_eq(source_fixture_shape(&f, "mine"), "a int, b int");
    cr_assert_str_eq(source_fixture_shape(&f, "some_columns"), "a int, c int");
    source_fixture_run(&f, arena_printf(f.mem, "revoke select on mine from %s", user));
    source_fixture_read(&f);
    cr_assert(f.got->streams[0].failed, "a right that was taken away");
    cr_assert_eq(f.got->streams[0].why.code, ERR_PERMISSION);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "permission_denied");
    cr_assert(f.got->streams[1].ended, "the others are read nevertheless");
    source_fixture_run(&f, arena_printf(f.mem, "drop user %s", user));
}

/* ----------------------------------------------------------------------- queries */

#define QUERY(text) ",\"queries\":{\"q\":\"" text "\"}"

Test(mysql_discover, finds_the_columns_of_a_query)
{
    source_fixture_run(
        &f,
        "create table t(a tinyint(1), b bigint unsigned, c decimal(10,2), d float, e datetime(3),"
        " f timestamp null, g enum('x'), h varbinary(9), i longtext, j json, k uuid, l bit(9),"
        " m date, n time, o year, p point, q int unsigned not null, r char(3));"
        "insert into t values (1, 18446744073709551615, 1.5, 0.1, '2024-01-02 03:04:05.678',"
        " '2024-01-02 03:04:05', 'x', 0xff, 'long', '{}', '6ccd780c-baba-1026-9564-5b8c656024db',"
        " 257, '2024-01-02', '10:00', 2024, point(1,2), 7, 'r')");
    f.options = QUERY("select t.*, count(*) as s, sum(c) as u, null as v, a + c as w,"
                      " concat(g, 'y') as x from t group by b ; ");
    source_fixture_select(&f, "[{\"name\":\"q\"}]");
    cr_assert_str_eq(
        source_fixture_shape(&f, "q"),
        "a bool, b decimal(20,0), c decimal(10,2), d float32, e timestamp, f timestamptz, g string,"
        " h bytes, i string, j json, k uuid, l int, m date, n time, o int, p bytes, q int not null,"
        " r string, s int not null, u decimal(32,2), v string, w decimal(11,2), x string");
    cr_assert_str_eq(
        source_fixture_lines(&f),
        "{\"a\":\"true\",\"b\":\"18446744073709551615\",\"c\":\"1.50\",\"d\":\"0.1\","
        "\"e\":\"2024-01-02T03:04:05.678\",\"f\":\"2024-01-02T03:04:05Z\",\"g\":\"x\","
        "\"h\":\"/w==\",\"i\":\"long\",\"j\":\"{}\","
        "\"k\":\"6ccd780c-baba-1026-9564-5b8c656024db\",\"l\":\"257\",\"m\":\"2024-01-02\","
        "\"n\":\"10:00:00\",\"o\":\"2024\",\"p\":\"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==\","
        "\"q\":\"7\",\"r\":\"r\",\"s\":\"1\",\"u\":\"1.50\",\"v\":null,"
        "\"w\":\"2.50\",\"x\":\"xy\"}");
}

Test(mysql_discover, refuses_texts_that_are_no_single_select)
{
    static const char *const bad[] = {
        "drop table t",
        "insert into t values (9)",
        "insert into t values (9) returning a",
        "delete from t returning a",
        "update t set a = 2",
        "select 1; drop table t",
        "select 1) as q; drop table t; -- ",
        "select 1) as q, (select 2",
        "select 1 /*",
        "select 1 from t where a = ?",
        "show tables",
        "call nothing()",
        "set global max_connections = 1",
        "select a from t into @x",
        "select a from t into outfile '/tmp/connectord_never'",
        "select a, a from t",
        "select a from no_such_table",
        "select nonsense from t",
        "begin not atomic drop table t; end",
        "handler t open",
        "select a from t limit",
        "with x as (select 1)",
        "explain select a from t",
        "load data local infile '/etc/passwd' into table t",
    };

    source_fixture_run(&f, "create table t(a int); insert into t values (1)");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.options = arena_printf(f.mem, ",\"queries\":{\"q\":\"%s\"}", bad[i]);
        source_fixture_refuse(&f);
        cr_expect_eq(f.err.code, ERR_CONFIG, "%s: %s", bad[i], f.err.message);
        cr_expect_str_eq(error_reason(&f.err), "query_invalid", "%s: %s", bad[i], f.err.message);
    }
    cr_assert_str_eq(source_fixture_ask(&f, "select group_concat(a) from t"), "1");
}

Test(mysql_discover, runs_queries_that_look_strange)
{
    static const char *const good[] = {
        "select a from t -- the end",
        "select a from t # the end",
        "select a from t /* the end */",
        "(select a from t)",
        "with x as (select a from t) select a from x",
        "select a from t union all select a from t where false",
        "values (1)",
        "select '; drop table t --' as a, \\\"x\\\" as b, `a` as c from t where a < '2\\\\'",
    };

    source_fixture_run(&f, "create table t(a int); insert into t values (1)");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        f.position[0] = '\0';
        f.options = arena_printf(f.mem, ",\"queries\":{\"q\":\"%s\"}", good[i]);
        source_fixture_select(&f, "[{\"name\":\"q\"}]");
        cr_assert(source_fixture_read(&f)->ended, "%s: %s", good[i], f.got->streams[0].why.message);
        cr_assert_eq(f.got->streams[0].n_lines, 1, "%s", good[i]);
    }
}

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

TestSuite(mysql_source, .init = setup, .fini = teardown, .timeout = 300);

#define INCREMENTAL(method, cursor)                                                      \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"" method \
    "\",\"cursor_field\":\"" cursor "\"}]"

/* ------------------------------------------------------------------- values */

/* Inserted under a session that checks nothing; an odd cell is its reason and its original. */
static const struct {
    const char *type, *value, *expected;
} values[] = {
    {"tinyint", "-128", "\"-128\""},
    {"tinyint unsigned", "255", "\"255\""},
    {"tinyint(1)", "1", "\"true\""},
    {"tinyint(1)", "0", "\"false\""},
    {"tinyint(1)", "-1", "out_of_range -1"},
    {"tinyint(1)", "127", "out_of_range 127"},
    {"int unsigned", "4294967295", "\"4294967295\""},
    {"int(10) zerofill", "42", "\"42\""},
    {"bigint", "-9223372036854775808", "\"-9223372036854775808\""},
    {"bigint unsigned", "18446744073709551615", "\"18446744073709551615\""},
    {"bigint unsigned", "7", "\"7\""},
    {"year", "2155", "\"2155\""},
    {"year", "0", "\"0\""},
    {"bit(1)", "b'1'", "\"1\""},
    {"bit(9)", "b'100000001'", "\"257\""},
    {"bit(63)", "0x7fffffffffffffff", "\"9223372036854775807\""},
    {"bit(64)", "0xffffffffffffffff", "\"18446744073709551615\""},
    {"decimal(10,2)", "-0.07", "\"-0.07\""},
    {"decimal(10,2)", "12.3", "\"12.30\""},
    {"decimal(10,2) zerofill", "12.3", "\"12.30\""},
    {"decimal(65,30)", "12345678901234567890123456789012345.123456789012345678901234567891",
     "\"12345678901234567890123456789012345.123456789012345678901234567891\""},
    {"float", "0.1", "\"0.1\""},
    {"float", "3.4028234e38", "\"3.4028235e+38\""},
    {"float", "16777217", "\"16777216\""},
    {"double", "0.1", "\"0.1\""},
    {"double", "1.7976931348623157e308", "\"1.7976931348623157e+308\""},
    {"double", "-0e0", "\"0\""},
    {"double", "5e-324", "\"5e-324\""},
    {"date", "'2024-02-29'", "\"2024-02-29\""},
    {"date", "'9999-12-31'", "\"9999-12-31\""},
    {"date", "'0001-01-01'", "\"0001-01-01\""},
    {"date", "'0000-00-00'", "out_of_range 0000-00-00"},
    {"date", "'2024-00-00'", "out_of_range 2024-00-00"},
    {"date", "'2024-02-30'", "out_of_range 2024-02-30"},
    {"datetime", "'2024-02-29 23:59:59'", "\"2024-02-29T23:59:59\""},
    {"datetime(6)", "'9999-12-31 23:59:59.999999'", "\"9999-12-31T23:59:59.999999\""},
    {"datetime(3)", "'1000-01-01 00:00:00.001'", "\"1000-01-01T00:00:00.001\""},
    {"datetime", "'0000-00-00 00:00:00'", "out_of_range 0000-00-00 00:00:00"},
    {"datetime(2)", "'2024-00-15 01:02:03.45'", "out_of_range 2024-00-15 01:02:03.45"},
    {"timestamp(6) null", "'1970-01-01 00:00:01.5'", "\"1970-01-01T00:00:01.5Z\""},
    {"timestamp null", "'2038-01-19 03:14:07'", "\"2038-01-19T03:14:07Z\""},
    {"timestamp null", "'0000-00-00 00:00:00'", "out_of_range 0000-00-00 00:00:00"},
    {"time", "'00:00:00'", "\"00:00:00\""},
    {"time(6)", "'23:59:59.999999'", "\"23:59:59.999999\""},
    {"time", "'24:00:00'", "\"24:00:00\""},
    {"time", "'24:00:01'", "out_of_range 24:00:01"},
    {"time", "'838:59:59'", "out_of_range 838:59:59"},
    {"time(3)", "'-838:59:59'", "out_of_range -838:59:59.000"},
    {"time(6)", "'-00:00:00.000001'", "out_of_range -00:00:00.000001"},
    {"char(5)", "'ab'", "\"ab\""},
    {"varchar(5)", "'ab '", "\"ab \""},
    {"varchar(5)", "''", "\"\""},
    {"text", "'a\\'\\\"\\\\b\\n'", "\"a'\\\"\\\\b\\n\""},
    {"text", "'\xf0\x9f\x90\xac \xe2\x82\xac'", "\"\xf0\x9f\x90\xac \xe2\x82\xac\""},
    {"varchar(9) character set latin1", "'\xe2\x82\xac\xc3\xa9'", "\"\xe2\x82\xac\xc3\xa9\""},
    {"varchar(9) character set ucs2", "'\xc3\xa9'", "\"\xc3\xa9\""},
    {"varchar(9) character set utf32", "'\xf0\x9f\x90\xac'", "\"\xf0\x9f\x90\xac\""},
    {"varchar(9) character set gbk", "'\xe4\xb8\xad'", "\"\xe4\xb8\xad\""},
    {"varchar(9) character set sjis", "'\xe3\x81\x82'", "\"\xe3\x81\x82\""},
    {"longtext character set gbk", "'\xe4\xb8\xad'", "\"\xe4\xb8\xad\""},
    {"varchar(9) character set gbk", "_gbk 0xfefe", "encoding \xef\xbf\xbd\xef\xbf\xbd"},
    {"varchar(9) character set cp1250", "_cp1250 0x4181", "encoding A\xef\xbf\xbd"},
    {"enum('int','b''c')", "'b\\'c'", "\"b'c\""},
    {"enum('a')", "'nothing'", "\"\""},
    {"set('a','b','c')", "'c,a'", "\"a,c\""},
    {"binary(3)", "0x00ff", "\"AP8A\""},
    {"varbinary(9)", "0x00ff", "\"AP8=\""},
    {"blob", "''", "\"\""},
    {"longblob", "0xdeadbeef", "\"3q2+7w==\""},
    {"json", "'{\\\"a\\\":1.10}'", "\"{\\\"a\\\":1.10}\""},
    {"uuid", "'6CCD780C-BABA-1026-9564-5B8C656024DB'", "\"6ccd780c-baba-1026-9564-5b8c656024db\""},
    {"inet6", "'2001:db8::ff00:42:8329'", "\"2001:db8::ff00:42:8329\""},
    {"point", "point(1,2)", "\"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==\""},
    {"int", "null", "null"},
    {"datetime", "null", "null"},
    {"longtext", "null", "null"},
};

Test(mysql_source, takes_values_as_their_type_or_as_odd_cells)
{
    CLEANUP(buf_release) struct buf create = BUF_INIT(65536), insert = BUF_INIT(65536);
    size_t n = sizeof values / sizeof *values;

    for (size_t i = 0; i < n; i++) {
        buf_printf(&create, "%s c%zu %s", i ? "," : "create table t(", i, values[i].type);
        buf_printf(&insert, "%s %s", i ? "," : "insert into t values (", values[i].value);
    }
    source_fixture_run(&f, arena_printf(f.mem,
                                        "set sql_mode = 'ALLOW_INVALID_DATES',"
                                        " time_zone = '+00:00'; %s); %s)",
                                        buf_str(&create), buf_str(&insert)));
    source_fixture_select(&f, NULL);
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    cr_assert_eq(f.got->streams[0].n_lines, 1);
    CLEANUP(doc_free_cleanup) struct doc *row = fake_sink_row(&f.got->streams[0], 0);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(65536);
        const struct doc *odd = doc_get(row, arena_printf(f.mem, "?c%zu", i));

        if (odd)
            buf_printf(&text, "%s %s", doc_string(doc_at(odd, 0), ""),
                       doc_string(doc_at(odd, 1), ""));
        else
            doc_write(doc_get(row, arena_printf(f.mem, "c%zu", i)), &text);
        cr_expect_str_eq(buf_str(&text), values[i].expected, "%s in %s: %s", values[i].value,
                         values[i].type, buf_str(&text));
    }
}

Test(mysql_source, takes_tinyint_1_for_an_integer_when_told_so)
{
    source_fixture_run(&f, "create table t(a tinyint(1), b boolean); insert into t values (5, 1)");
    f.options = ",\"tinyint1_is_bool\":false";
    source_fixture_select(&f, NULL);
    cr_assert_str_eq(source_fixture_shape(&f, "t"), "a int, b int");
    cr_assert_str_eq(source_fixture_lines(&f), "{\"a\":\"5\",\"b\":\"1\"}");
}

/* Rows with NUL and with values that are long, whose lines are no documents. */
Test(mysql_source, takes_long_values_and_cuts_what_is_too_long)
{
    const struct fake_stream *s;

    /* No function of the server gives more than 16 MiB, but in UTF-32 a text takes four times as
     * many bytes, and keeps them when its column becomes another. */
    source_fixture_run(
        &f, "create table t(id int primary key, v longtext character set latin1,"
            " w longtext character set latin1, x mediumtext);"
            "insert into t values (1, repeat('a', 4095), repeat('b', 1024), repeat('c', 4097)),"
            " (2, repeat('d', 75000), repeat('e', 17500), 'a\\0b'),"
            " (3, 'f', repeat('g', 4194304), 'h'), (4, 'i', repeat('j', 4194305), 'k'),"
            " (5, repeat('l', 4194304), 'm', 'n'), (6, repeat('o', 4194305), 'p', 'q');"
            "alter table t modify v longtext character set utf32,"
            " modify w longtext character set utf32;"
            "alter table t modify v longblob, modify w longblob;"
            "alter table t modify v longtext character set latin1");
    source_fixture_select(&f, NULL);
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    s = &f.got->streams[0];
    cr_assert_eq(s->n_lines, 6);
    cr_assert_eq(strlen(s->lines[0]), strlen("{'id':'1','v':'','w':'','x':''}") +
                                          4095 * strlen("\\u0000\\u0000\\u0000a") +
                                          (4096 + 2) / 3 * 4 + 4097);
    cr_assert(strstr(s->lines[1], "a\\u0000b"));
    cr_assert_gt(strlen(s->lines[1]), 300000 + 70000);
    cr_assert_gt(strlen(s->lines[2]), 16777216 / 3 * 4, "the longest value there is");
    cr_assert(strstr(s->lines[3], "\"w\":null") && strstr(s->lines[3], "record_too_large"));
    cr_assert_gt(strlen(s->lines[4]), 16777216);
    cr_assert(strstr(s->lines[5], "\"v\":null") && strstr(s->lines[5], "record_too_large"));
    cr_assert_eq(s->n_odd, 2);
}

/* --------------------------------------------------------------- full reads */

static void fill(const char *definition, const char *select, int n)
{
    source_fixture_run(&f, arena_printf(f.mem,
                                        "create table t(%s); insert into t select %s"
                                        " from seq_1_to_%d",
                                        definition, select, n));
}

/* Keys of every type: the order and the comparison are the server's. */
static const struct {
    const char *definition, *select;
} keys[] = {
    {"k int primary key, v int", "cast(seq as signed) * 7 - 20000, seq"},
    {"k bigint unsigned primary key, v int", "18446744073709551615 - seq, seq"},
    {"k decimal(30,10) primary key, v int", "12345678901234567890 + seq * 0.0000000001, seq"},
    {"k double primary key, v int", "seq / 3e0 - 1000, seq"},
    {"k float primary key, v int", "seq / 8, seq"},
    {"k date primary key, v int", "date_add('1000-01-01', interval seq day), seq"},
    {"k datetime(6) primary key, v int",
     "date_add('2024-01-01', interval seq * 333333 microsecond), seq"},
    {"k timestamp(6) primary key, v int",
     "date_add('2024-01-01', interval seq * 333333 microsecond), seq"},
    {"k time(3) primary key, v int", "sec_to_time(seq * 100.125 - 400000.0), seq"},
    {"k varchar(40) primary key, v int", "concat('it''s ', md5(seq), char(seq % 80 + 40)), seq"},
    {"k varchar(40) character set latin1 primary key, v int",
     "concat(char(seq % 100 + 150 using latin1), md5(seq)), seq"},
    {"k varchar(40) character set gbk primary key, v int",
     "concat('\xe4\xb8\xad\xe6\x96\x87', md5(seq)), seq"},
    {"k varchar(40) character set utf8mb4 collate utf8mb4_unicode_ci primary key, v int",
     "concat(elt(seq % 4 + 1, 'Z', 'z\xc3\xa9', '\xc3\x84', 'a'), seq), seq"},
    {"k char(20) character set utf8mb3 collate utf8mb3_bin primary key, v int",
     "concat(' ', left(md5(seq), 12), seq), seq"},
    {"k varbinary(20) primary key, v int", "unhex(md5(seq)), seq"},
    {"k uuid primary key, v int",
     "concat(left(md5(seq), 8), '-', hex(seq % 60000 + 4096), '-1026-9564-5b8c656024db'), seq"},
    {"k inet6 primary key, v int", "concat('2001:db8::', hex(seq)), seq"},
    {"k year, l bit(40), v int, primary key(k, l)", "1901 + seq % 100, seq * 1000003, seq"},
    {"k enum('z','y','x','b','a'), l int, v int, primary key(k, l)", "seq % 5 + 1, seq, seq"},
    {"k set('z','y','x','b','a'), l int, v int, primary key(k, l)", "seq % 32, seq, seq"},
    {"k tinyint(1), l varchar(9), m date, v int, primary key(k, l, m)",
     "seq % 3, concat('k', seq % 7), date_add('2024-01-01', interval seq day), seq"},
    {"v int, k int not null unique", "seq, -cast(seq as signed)"},
};

Test(mysql_source, continues_behind_keys_of_every_type)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        fill(keys[i].definition, keys[i].select, 5000);
        source_fixture_select(&f, NULL);
        source_fixture_resume_everywhere(&f);
        cr_expect_eq(f.got->streams[0].n_lines, 5000, "%s", keys[i].definition);
        cr_expect_geq(f.got->streams[0].n_checkpoints, 2, "%s", keys[i].definition);
        source_fixture_run(&f, "drop table t");
    }
}

/* Each row is asked for as the one behind a given key. */
static void go_on_behind(const char *key, size_t n_left)
{
    snprintf(f.position, sizeof f.position, "{\"kind\":\"keyset\",\"resume\":{\"key\":[%s]}}", key);
    cr_expect(source_fixture_read(&f)->ended, "%s: %s", key, f.got->streams[0].why.message);
    cr_expect_eq(f.got->streams[0].n_lines, n_left, "behind %s: %zu", key,
                 f.got->streams[0].n_lines);
}

Test(mysql_source, takes_the_column_s_word_for_which_keys_are_equal)
{
    source_fixture_run(
        &f, "create table t(k varchar(9) collate utf8mb4_general_ci primary key);"
            "insert into t values ('a'),('B'),('c'),('\xc3\xa4x'),('quote''\"\\\\'),('')");
    source_fixture_select(&f, NULL);
    go_on_behind("\"\"", 5);
    go_on_behind("\"a\"", 4);
    go_on_behind("\"A\"", 4);
    go_on_behind("\"\xc3\xa4x\"", 3);
    go_on_behind("\"b\"", 2);
    go_on_behind("\"c \"", 1);
    go_on_behind("\"quote'\\\"\\\\\"", 0);
}

Test(mysql_source, compares_numbers_beyond_53_bits_exactly)
{
    source_fixture_run(&f, "create table t(k bigint unsigned primary key);"
                           "insert into t values (9223372036854775806),(9223372036854775807),"
                           "(9223372036854775808),(18446744073709551613),(18446744073709551614),"
                           "(18446744073709551615)");
    source_fixture_select(&f, NULL);
    go_on_behind("{\"int\":\"9223372036854775806\"}", 5);
    go_on_behind("\"9223372036854775807\"", 4);
    go_on_behind("\"9223372036854775808\"", 3);
    go_on_behind("\"18446744073709551613\"", 2);
    go_on_behind("\"18446744073709551614\"", 1);
    go_on_behind("\"18446744073709551615\"", 0);
    source_fixture_run(&f, "drop table t; create table t(k decimal(40,20) primary key);"
                           "insert into t values (1.00000000000000000001),(1.00000000000000000002),"
                           "(1.00000000000000000003)");
    source_fixture_select(&f, NULL);
    go_on_behind("\"1.00000000000000000001\"", 2);
    go_on_behind("\"1.00000000000000000002\"", 1);
}

Test(mysql_source, has_no_checkpoint_at_a_key_that_cannot_be_said_again)
{
    fill("k varbinary(9) primary key, v int", "concat('a', lpad(seq, 5, '0')), seq", 4096);
    source_fixture_run(
        &f, "alter table t modify k varchar(9) character set gbk;"
            "update t set k = convert(concat(0xfefe, '02048') using gbk) where v = 2048");
    source_fixture_run(&f,
                       "update t set k = convert(cast(concat(0xfefe, lpad(v, 5, '0')) as binary)"
                       " using gbk)");
    source_fixture_select(&f, NULL);
    cr_assert(source_fixture_read(&f)->ended, "%s", f.got->streams[0].why.message);
    cr_assert_eq(f.got->streams[0].n_lines, 4096);
    cr_assert_eq(f.got->streams[0].n_odd, 4096, "%s", f.got->streams[0].lines[0]);
    cr_assert_eq(f.got->streams[0].n_checkpoints, 0, "%s",
                 f.got->streams[0].checkpoints[0].position);
}

Test(mysql_source, does_not_checkpoint_within_a_table_without_a_key)
{
    fill("a int, b text", "seq, 'x'", 5000);
    source_fixture_select(&f, NULL);
    cr_assert_eq(source_fixture_read(&f)->n_lines, 5000);
    cr_assert_eq(f.got->streams[0].n_checkpoints, 0);
    cr_assert_eq(source_fixture_read(&f)->n_lines, 0, "the end is the end");
}

Test(mysql_source, loses_no_row_that_moves_between_two_pages)
{
    /* T2: what was read stays where its key is. */
    fill("id int primary key, v text", "seq, 'v'", 5000);
    source_fixture_select(&f, NULL);
    source_fixture_read(&f);
    snprintf(f.position, sizeof f.position, "%s", f.got->streams[0].checkpoints[0].position);
    cr_assert_str_eq(f.position, "{\"kind\":\"keyset\",\"resume\":{\"key\":[\"2048\"]}}");
    source_fixture_run(&f, "delete from t where id <= 100; update t set v = 'w' where id > 4000");
    cr_assert_eq(source_fixture_read(&f)->n_lines, 5000 - 2048);
}

Test(mysql_source, counts_rows)
{
    int64_t n;
    bool exact;

    fill("a int", "seq", 777);
    f.options = ",\"queries\":{\"q\":\"select a from t where a > 700\"}";
    source_fixture_select(&f, NULL);
    cr_assert_eq(source_mysql.count(f.h.config, &f.h.run, source_fixture_stream(&f, "t"), &n,
                                    &exact, &f.err),
                 0);
    cr_assert_eq(n, 777);
    cr_assert_eq(source_mysql.count(f.h.config, &f.h.run, source_fixture_stream(&f, "q"), &n,
                                    &exact, &f.err),
                 0);
    cr_assert_eq(n, 77);
    cr_assert(exact);
}

/* -------------------------------------------------------------------- filters */

/* Each is true of the first row and false of the second. */
static const char *const filters[] = {
    "{\"column\":\"i\",\"op\":\"in\",\"values\":[7,99999999999]}",
    "{\"column\":\"b\",\"op\":\"eq\",\"value\":true}",
    "{\"column\":\"f\",\"op\":\"eq\",\"value\":0.1}",
    "{\"column\":\"g\",\"op\":\"eq\",\"value\":0.1}",
    "{\"column\":\"n\",\"op\":\"gt\",\"value\":\"12345678901234567890.1\"}",
    "{\"column\":\"x\",\"op\":\"eq\",\"value\":\"18446744073709551615\"}",
    "{\"column\":\"s\",\"op\":\"eq\",\"value\":\"it's\\\\\"}",
    "{\"column\":\"l\",\"op\":\"not_in\",\"values\":[\"b\",\"\xe2\x82\xac\"]}",
    "{\"column\":\"d\",\"op\":\"le\",\"value\":\"0001-01-01\"}",
    "{\"column\":\"ts\",\"op\":\"eq\",\"value\":\"9999-12-31T23:59:59.999999\"}",
    "{\"column\":\"tz\",\"op\":\"eq\",\"value\":\"2024-01-01T02:00:00.5+02:00\"}",
    "{\"column\":\"t\",\"op\":\"ge\",\"value\":\"23:59:59\"}",
    "{\"column\":\"u\",\"op\":\"eq\",\"value\":\"6ccd780c-baba-1026-9564-5b8c656024db\"}",
    "{\"column\":\"y\",\"op\":\"eq\",\"value\":\"AP8=\"}",
    "{\"column\":\"e\",\"op\":\"eq\",\"value\":\"so,so\"}",
    "{\"column\":\"v\",\"op\":\"ne\",\"value\":1999}",
    "{\"column\":\"w\",\"op\":\"eq\",\"value\":5}",
    "{\"column\":\"j\",\"op\":\"is_not_null\"}",
};

Test(mysql_source, reads_the_rows_that_fulfil_the_conditions)
{
    source_fixture_run(
        &f, "set sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00';"
            "create table t(id int primary key, i int, b bool, f float, g double, n decimal(40,5),"
            " x bigint unsigned, s varchar(9), l varchar(9) character set latin1, d date,"
            " ts datetime(6), tz timestamp(6) null, t time, u uuid, y varbinary(9),"
            " e enum('sad', 'so,so'), v year, w bit(9), j json);"
            "insert into t values (1, 7, true, 0.1, 0.1, 12345678901234567890.11,"
            " 18446744073709551615, 'it''s\\', 'a', '0001-01-01', '9999-12-31 23:59:59.999999',"
            " '2024-01-01 00:00:00.5', '24:00', '6ccd780c-baba-1026-9564-5b8c656024db', 0x00ff,"
            " 'so,so', 2000, 5, '{}'),"
            "(2, 8, false, 0.2, 0.2, 12345678901234567890.1, 18446744073709551614, 'its', "
            "'\xe2\x82\xac',"
            " '2024-01-01', '2024-01-01', '2024-01-01', '00:00',"
            " '7ccd780c-baba-1026-9564-5b8c656024db', 0x00, 'sad', 1999, 6, null)");
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const struct fake_stream *s;

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

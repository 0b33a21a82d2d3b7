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

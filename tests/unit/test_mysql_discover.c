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

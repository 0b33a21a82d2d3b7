#include <criterion/criterion.h>

#include <stdio.h>

#include "tests/support/sqlite_fixture.h"

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

static void fill(int n)
{
    char sql[400];

    snprintf(
        sql, sizeof sql,
        "drop table if exists t; create table t(id integer primary key, v text);"
        "insert into t with recursive n(i) as (select 1 union all select i+1 from n where i<%d)"
        " select i, 'v' || i from n;",
        n);
    fixture_exec(f.from, sql);
}

Test(sqlite_destination, replaces_a_table_on_full_refresh)
{
    fill(10);
    fixture_select(&f, OVERWRITE);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), min(v), max(id) from t"), "10|v1|10");
    cr_assert_eq(f.pump.counts[0].read, 10);
    cr_assert_eq(f.pump.counts[0].inserted, 10);
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select count(*), max(id) from t"), "10|10");
    cr_assert_eq(f.pump.recovered[0].generation, 2);
    cr_assert_str_eq(
        fixture_text(f.to, "select name from sqlite_master where type = 'table' order by 1"),
        "_connectord_quarantine;_connectord_state;t");
}

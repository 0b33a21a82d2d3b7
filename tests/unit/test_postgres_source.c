#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

TestSuite(postgres_source, .init = setup, .fini = teardown, .timeout = 120);

#define STREAM(name) "[{\"name\":\"" name "\"}]"
#define INCREMENTAL(method, cursor)                                               \
    "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"" \
    method "\",\"cursor_field\":\"" cursor "\"}]"

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
    cr_assert_str_eq(source_fixture_shape(&f, "t"),
                     "id int not null key, a bool, b int, c int, d int, e float32, f float,"
                     " g decimal(15,2), h decimal, i string, j string, k string, l bytes, m date,"
                     " n time, o timestamp, p timestamptz, q interval, r uuid, s json, u json");
}

/* Rows into tables of a real server, read back by SQL. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "tests/support/postgres_rows.h"

static struct postgres_fixture f;

static void setup(void)
{
    postgres_fixture_init(&f);
    postgres_fixture_open(&f);
}

static void teardown(void)
{
    postgres_fixture_release(&f);
}

TestSuite(postgres_copy, .init = setup, .fini = teardown, .timeout = 120);

#define N(array) (sizeof(array) / sizeof(array)[0])

static void begin(void)
{
    postgres_fixture_run(&f, "BEGIN");
}

static void commit(void)
{
    postgres_fixture_run(&f, "COMMIT");
}

#define assert_rows(sql, expected)                         \
    do {                                                   \
        const char *got_ = postgres_fixture_rows(&f, sql); \
        cr_assert_str_eq(got_, expected, "%s", got_);      \
    } while (0)

/* Sends one cell into a column declared so; the text the server shows, NULL when it was refused. */
static const char *there(enum type from, enum type to, const char *declared, const char *cell,
                         struct error *err)
{
    struct column_type type = type_plain(from);
    const char *got = NULL;
    struct rows r;
    int rc;

    postgres_fixture_sql(&f, arena_printf(f.mem,
                                          "drop table if exists t;"
                                          "create table t(c0 %s)",
                                          declared));
    rows_init(&r, &f, &type, 1);
    r.columns[0].type = type_plain(to);
    rows_put(&r, &cell);
    begin();
    rc = rows_send(&r);
    if (rc == 0) {
        r.err = ERROR_INIT;
        rc = sql_exec(f.conn, "COMMIT", &r.err);
    }
    if (rc < 0)
        postgres_fixture_run(&f, "ROLLBACK");
    else
        got = postgres_fixture_rows(&f, "select c0::text from t");
    *err = r.err;
    rows_free(&r);
    return got;
}

static char *repeat(const char *what, size_t n)
{
    size_t len = strlen(what);
    char *s = arena_alloc(f.mem, n * len + 1);

    for (size_t i = 0; i < n; i++)
        memcpy(s + i * len, what, len);
    return s;
}

/* --------------------------------------------------------------- values */

/* clang-format off */
static const struct {
    enum type type;
    const char *declared, *cell, *shown; /* NULL = as it came */
} specials[] = {
    {TYPE_BOOL, "boolean", "true", "true"},
    {TYPE_BOOL, "boolean", "false", "false"},
    {TYPE_INT, "bigint", "0", NULL},
    {TYPE_INT, "bigint", "-1", NULL},
    {TYPE_INT, "bigint", "9223372036854775807", NULL},
    {TYPE_INT, "bigint", "-9223372036854775808", NULL},
    {TYPE_DECIMAL, "numeric", "0", NULL},
    {TYPE_DECIMAL, "numeric", "0.00", NULL},
    {TYPE_DECIMAL, "numeric", "-0.5", NULL},
    {TYPE_DECIMAL, "numeric", "0.0001", NULL},
    {TYPE_DECIMAL, "numeric", "0.00001", NULL},
    {TYPE_DECIMAL, "numeric", "0.00000000100", NULL},
    {TYPE_DECIMAL, "numeric", "1.50", NULL},
    {TYPE_DECIMAL, "numeric", "10000", NULL},
    {TYPE_DECIMAL, "numeric", "100000000.0001", NULL},
    {TYPE_DECIMAL, "numeric", "123456789012345678901234567890.123456789", NULL},
    {TYPE_DECIMAL, "numeric", "-99999999999999999999", NULL},
    {TYPE_DECIMAL, "numeric", "NaN", NULL},
    {TYPE_DECIMAL, "numeric", "Infinity", NULL},
    {TYPE_DECIMAL, "numeric", "-Infinity", NULL},
    {TYPE_FLOAT, "double precision", "0", NULL},
    {TYPE_FLOAT, "double precision", "-0", NULL},
    {TYPE_FLOAT, "double precision", "0.1", NULL},
    {TYPE_FLOAT, "double precision", "5e-324", NULL},
    {TYPE_FLOAT, "double precision", "2.2250738585072014e-308", NULL},
    {TYPE_FLOAT, "double precision", "1.7976931348623157e+308", NULL},
    {TYPE_FLOAT, "double precision", "NaN", NULL},
    {TYPE_FLOAT, "double precision", "Infinity", NULL},
    {TYPE_FLOAT, "double precision", "-Infinity", NULL},
    {TYPE_STRING, "text", "", NULL},
    {TYPE_STRING, "text", "a\tb\nc\\d\"e'f\r", NULL},
    {TYPE_STRING, "text", "\\N", NULL},
    {TYPE_STRING, "text", "\\.", NULL},
    {TYPE_STRING, "text", "\xf0\x9f\x90\x98 \xe2\x82\xac \xc4\xb0", NULL},
    {TYPE_BYTES, "bytea", "", "\\x"},
    {TYPE_BYTES, "bytea", "AAECXP8=", "\\x0001025cff"},
    {TYPE_DATE, "date", "1970-01-01", NULL},
    {TYPE_DATE, "date", "2000-01-01", NULL},
    {TYPE_DATE, "date", "1999-12-31", NULL},
    {TYPE_DATE, "date", "9999-12-31", NULL},
    {TYPE_DATE, "date", "+10000-01-01", "10000-01-01"},
    {TYPE_DATE, "date", "+294277-01-01", "294277-01-01"},
    {TYPE_DATE, "date", "+5874897-12-31", "5874897-12-31"},
    {TYPE_DATE, "date", "0001-01-01", NULL},
    {TYPE_DATE, "date", "0000-12-31", "0001-12-31 BC"},
    {TYPE_DATE, "date", "-0043-03-15", "0044-03-15 BC"},
    {TYPE_DATE, "date", "-4713-11-24", "4714-11-24 BC"},
    {TYPE_DATE, "date", "infinity", NULL},
    {TYPE_DATE, "date", "-infinity", NULL},
    {TYPE_TIME, "time", "00:00:00", NULL},
    {TYPE_TIME, "time", "23:59:59.999999", NULL},
    {TYPE_TIME, "time", "24:00:00", NULL},
    {TYPE_TIMESTAMP, "timestamp", "1970-01-01T00:00:00", "1970-01-01 00:00:00"},
    {TYPE_TIMESTAMP, "timestamp", "1969-12-31T23:59:59.999999", "1969-12-31 23:59:59.999999"},
    {TYPE_TIMESTAMP, "timestamp", "2000-01-01T00:00:00", "2000-01-01 00:00:00"},
    {TYPE_TIMESTAMP, "timestamp", "0000-02-29T12:00:00", "0001-02-29 12:00:00 BC"},
    {TYPE_TIMESTAMP, "timestamp", "-4713-11-24T00:00:00", "4714-11-24 00:00:00 BC"},
    {TYPE_TIMESTAMP, "timestamp", "+10000-01-01T00:00:00", "10000-01-01 00:00:00"},
    {TYPE_TIMESTAMP, "timestamp", "infinity", NULL},
    {TYPE_TIMESTAMP, "timestamp", "-infinity", NULL},
    {TYPE_TIMESTAMPTZ, "timestamptz", "2024-02-29T23:59:59.5Z", "2024-02-29 23:59:59.5+00"},
    {TYPE_TIMESTAMPTZ, "timestamptz", "-0043-03-15T12:00:00Z", "0044-03-15 12:00:00+00 BC"},
    {TYPE_TIMESTAMPTZ, "timestamptz", "infinity", NULL},
    {TYPE_TIMESTAMPTZ, "timestamptz", "-infinity", NULL},
    {TYPE_INTERVAL, "interval", "P1Y2M3DT4H5M6.789S", "1 year 2 mons 3 days 04:05:06.789"},
    {TYPE_INTERVAL, "interval", "P-1M1DT-0.000001S", "-1 mons +1 day -00:00:00.000001"},
    {TYPE_INTERVAL, "interval", "PT0S", "00:00:00"},
    {TYPE_UUID, "uuid", "00112233-4455-6677-8899-aabbccddeeff", NULL},
    {TYPE_JSON, "jsonb", "{\"b\": 1.10, \"a\": [null, true]}", "{\"a\": [null, true], \"b\": 1.10}"},
    {TYPE_JSON, "json", "{\"b\": 1.10, \"b\":  2}", NULL},
    {TYPE_JSON, "jsonb", "\"\"", NULL},
};
/* clang-format on */

Test(postgres_copy, keeps_every_special_value_in_binary)
{
    for (size_t i = 0; i < N(specials); i++) {
        struct error err = ERROR_INIT;
        const char *got =
            there(specials[i].type, specials[i].type, specials[i].declared, specials[i].cell, &err);

        cr_assert(got, "%s %s: %s", specials[i].declared, specials[i].cell, err.message);
        cr_expect_str_eq(got, specials[i].shown ? specials[i].shown : specials[i].cell, "%s: %s",
                         specials[i].declared, got);
    }
}

/* A column of a type that is not ours turns the whole table to text. */
Test(postgres_copy, keeps_every_special_value_in_text)
{
    postgres_fixture_sql(&f, "create type mood as enum('sad', 'happy')");
    for (size_t i = 0; i < N(specials); i++) {
        struct column_type types[] = {type_plain(TYPE_STRING), type_plain(specials[i].type)};
        const char *shown = specials[i].shown ? specials[i].shown : specials[i].cell, *got;
        struct rows r;

        postgres_fixture_sql(&f, arena_printf(f.mem,
                                              "drop table if exists t;"
                                              "create table t(c0 mood, c1 %s)",
                                              specials[i].declared));
        rows_init(&r, &f, types, 2);
        rows_put(&r, (const char *[]){"happy", specials[i].cell});
        rows_put(&r, (const char *[]){NULL, NULL});
        begin();
        cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
        commit();
        got = postgres_fixture_rows(&f, "select c1::text, c0 from t where c0 is not null");
        cr_expect_str_eq(got, arena_printf(f.mem, "%s|happy", shown), "%s: %s",
                         specials[i].declared, got);
        assert_rows("select count(*) from t where c0 is null and c1 is null", "1");
        rows_free(&r);
    }
}

Test(postgres_copy, keeps_the_bits_of_negative_zero_and_of_denormals)
{
    struct error err = ERROR_INIT;

    cr_assert(there(TYPE_FLOAT, TYPE_FLOAT, "double precision", "-0", &err));
    assert_rows("select encode(float8send(c0), 'hex') from t", "8000000000000000");
    cr_assert(there(TYPE_FLOAT, TYPE_FLOAT, "double precision", "5e-324", &err));
    assert_rows("select encode(float8send(c0), 'hex') from t", "0000000000000001");
}

Test(postgres_copy, keeps_numerics_of_any_length)
{
    static const struct {
        size_t whole, fraction;
    } sizes[] = {{1, 16383}, {1000, 0}, {500, 500}, {131072, 0}, {131072, 16383}, {4, 4}, {5, 3}};

    for (size_t i = 0; i < N(sizes); i++) {
        struct error err = ERROR_INIT;
        const char *cell = arena_printf(f.mem, "-%s%s%s", repeat("7", sizes[i].whole),
                                        sizes[i].fraction ? "." : "",
                                        sizes[i].fraction ? repeat("3", sizes[i].fraction) : "");
        const char *got = there(TYPE_DECIMAL, TYPE_DECIMAL, "numeric", cell, &err);

        cr_assert(got, "%s", err.message);
        cr_assert(strcmp(got, cell) == 0, "%zu.%zu", sizes[i].whole, sizes[i].fraction);
    }
}

Test(postgres_copy, refuses_what_no_column_of_its_kind_can_hold)
{
    static const struct {
        enum type type;
        const char *declared, *cell;
    } cases[] = {
        {TYPE_DATE, "date", "+5874898-01-01"},
        {TYPE_DATE, "date", "-4713-11-23"},
        {TYPE_TIMESTAMP, "timestamp", "-4713-11-23T23:59:59"},
        {TYPE_TIMESTAMPTZ, "timestamptz", "-9999-01-01T00:00:00Z"},
        {TYPE_JSON, "jsonb", "\"\\u0000\""},
        {TYPE_STRING, "text", "a\0b"}, /* cut by strlen; see the next test */
    };

    for (size_t i = 0; i + 1 < N(cases); i++) {
        struct error err = ERROR_INIT;

        cr_assert_null(there(cases[i].type, cases[i].type, cases[i].declared, cases[i].cell, &err),
                       "%s", cases[i].cell);
        cr_assert_eq(err.code, ERR_DATA, "%s", err.message);
        cr_assert_str_eq(error_reason(&err), "value_rejected");
    }
    {
        struct error err = ERROR_INIT;
        const char *cell = arena_printf(f.mem, "0.%s", repeat("1", 16384));

        cr_assert_null(there(TYPE_DECIMAL, TYPE_DECIMAL, "numeric", cell, &err));
        cr_assert_eq(err.code, ERR_DATA, "%s", err.message);
    }
}

Test(postgres_copy, refuses_a_nul_in_text)
{
    struct rows r;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    batch_put_int64(r.batch, 0, 1);
    batch_put_text(r.batch, 1, "a\0b", 3);
    batch_end_row(r.batch);
    begin();
    cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
    cr_assert_lt(sql_exec(f.conn, "COMMIT", &r.err), 0);
    cr_assert_eq(r.err.code, ERR_DATA, "%s", r.err.message);
    cr_assert(strstr(r.err.message, "line 1, column c1"), "%s", r.err.message);
    postgres_fixture_run(&f, "ROLLBACK");
    assert_rows("select count(*) from t", "0");
    rows_free(&r);
}

Test(postgres_copy, carries_texts_of_any_length_over_the_borders_of_its_buffer)
{
    static const size_t sizes[] = {32767, 65535, 131000, 131066, 131071, 1 << 20, 10 << 20};
    struct rows r;

    postgres_fixture_sql(&f, "create table t(c0 text, c1 text)");
    rows_init_plain(&r, &f, TYPE_STRING, TYPE_STRING);
    begin();
    for (size_t i = 0; i < N(sizes); i++) {
        for (size_t shift = 0; shift < 3; shift++) {
            char *s = repeat("x", sizes[i] + shift);

            s[0] = 'b';
            s[sizes[i] + shift - 1] = 'e';
            batch_clear(r.batch);
            rows_put(&r, (const char *[]){s, "short"});
            rows_put(&r, (const char *[]){"another", s});
            cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
        }
    }
    commit();
    for (size_t i = 0; i < N(sizes); i++) {
        for (size_t shift = 0; shift < 3; shift++) {
            size_t n = sizes[i] + shift;
            const char *sql = arena_printf(
                f.mem,
                "select count(*) from t where (c1 = 'short' and length(c0) = %zu and"
                " c0 = 'b' || repeat('x', %zu) || 'e') or (c0 = 'another' and length(c1) = %zu and"
                " c1 = 'b' || repeat('x', %zu) || 'e')",
                n, n - 2, n, n - 2);

            assert_rows(sql, "2");
        }
    }
    rows_free(&r);
}

Test(postgres_copy, carries_rows_of_very_many_columns)
{
    size_t n = 1500;
    struct column_type *types = arena_array(f.mem, n, sizeof *types);
    CLEANUP(buf_release) struct buf sql = BUF_INIT(1 << 20);
    struct rows r;

    for (size_t i = 0; i < n; i++) {
        types[i] = type_plain(i % 2 ? TYPE_INT : TYPE_BOOL);
        buf_printf(&sql, "%sc%zu %s", i ? ", " : "create table t(", i, i % 2 ? "bigint" : "bool");
    }
    buf_puts(&sql, ")");
    postgres_fixture_sql(&f, buf_str(&sql));
    rows_init(&r, &f, types, n);
    for (int row = 0; row < 100; row++) {
        for (size_t i = 0; i < n; i++) {
            if (i % 3 == 2)
                continue;
            if (i % 2)
                batch_put_int64(r.batch, i, row * 10000 + (int64_t)i);
            else
                batch_put_bool(r.batch, i, row % 2);
        }
        batch_end_row(r.batch);
    }
    begin();
    cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
    commit();
    assert_rows("select count(*), sum(c1), sum(c1495), count(c5), count(*) filter (where c0)"
                " from t",
                "100|49500100|49649500|0|50");
    rows_free(&r);
}

/* --------------------------------------------------------------- where values come from */

Test(postgres_copy, fills_columns_from_everywhere_and_skips_rows)
{
    struct column_type types[] = {type_plain(TYPE_INT),    type_plain(TYPE_STRING),
                                  type_plain(TYPE_INT),    type_plain(TYPE_TIMESTAMPTZ),
                                  type_plain(TYPE_JSON),   type_plain(TYPE_INT),
                                  type_plain(TYPE_STRING), type_plain(TYPE_UUID)};
    bool skip[3] = {false, true, false};
    const char *meta[3] = {"{\"q\": [\"a\"]}", "{}", NULL};
    struct rows r;

    for (int text = 0; text < 2; text++) {
        /* inet is not ours: the same again in text format */
        postgres_fixture_sql(
            &f, arena_printf(f.mem,
                             "drop table if exists t; create table t(c0 bigint, c1 text,"
                             " c2 bigint, c3 timestamptz, c4 jsonb, c5 bigint, c6 %s,"
                             " c7 uuid)",
                             text ? "inet" : "text"));
        rows_init(&r, &f, types, 8);
        r.fill[1] = (struct sql_bulk_column){.fill = SQL_FILL_TEXT, .text = "same"};
        r.fill[2] = (struct sql_bulk_column){.fill = SQL_FILL_INT, .number = -42};
        r.fill[3] =
            (struct sql_bulk_column){.fill = SQL_FILL_TEXT, .text = "2024-01-02T03:04:05.678901Z"};
        r.fill[4] = (struct sql_bulk_column){.fill = SQL_FILL_META};
        r.fill[5] = (struct sql_bulk_column){.fill = SQL_FILL_ORDER};
        r.fill[7] = (struct sql_bulk_column){.fill = SQL_FILL_NULL};
        r.bulk.skip = skip;
        r.bulk.meta = meta;
        r.bulk.first_order = 1000;
        for (int i = 0; i < 3; i++)
            rows_put(&r, (const char *[]){arena_printf(f.mem, "%d", i), NULL, NULL, NULL, NULL,
                                          NULL, i ? "10.0.0.1/8" : NULL, NULL});
        begin();
        cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
        cr_assert_eq(r.inserted, 2);
        commit();
        assert_rows("select * from t order by c0",
                    "0|same|-42|2024-01-02 03:04:05.678901+00|{\"q\": [\"a\"]}|1000|~|~;"
                    "2|same|-42|2024-01-02 03:04:05.678901+00|~|1002|10.0.0.1/8|~");
        rows_free(&r);
    }
}

Test(postgres_copy, gives_all_rows_without_metadata_when_there_is_none)
{
    struct rows r;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 jsonb)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_JSON);
    r.fill[1].fill = SQL_FILL_META;
    rows_put(&r, (const char *[]){"1", NULL});
    begin();
    cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
    commit();
    assert_rows("select * from t", "1|~");
    rows_free(&r);
}

/* What comes in a narrower type than its column has. */
Test(postgres_copy, turns_values_into_the_wider_type_of_their_column)
{
    static const struct {
        enum type from, to;
        const char *declared, *cell, *shown;
    } cases[] = {
        {TYPE_INT, TYPE_DECIMAL, "numeric", "12345", "12345"},
        {TYPE_INT, TYPE_FLOAT, "double precision", "12345", "12345"},
        {TYPE_INT, TYPE_STRING, "text", "-7", "-7"},
        {TYPE_INT, TYPE_JSON, "jsonb", "-7", "-7"},
        {TYPE_FLOAT, TYPE_DECIMAL, "numeric", "1e+20", "100000000000000000000"},
        {TYPE_FLOAT, TYPE_DECIMAL, "numeric", "NaN", "NaN"},
        {TYPE_FLOAT, TYPE_STRING, "text", "-0", "-0"},
        {TYPE_DECIMAL, TYPE_STRING, "text", "1.50", "1.50"},
        {TYPE_DATE, TYPE_TIMESTAMP, "timestamp", "-0043-03-15", "0044-03-15 00:00:00 BC"},
        {TYPE_DATE, TYPE_TIMESTAMP, "timestamp", "infinity", "infinity"},
        {TYPE_DATE, TYPE_STRING, "text", "2024-02-29", "2024-02-29"},
        {TYPE_BOOL, TYPE_STRING, "text", "true", "true"},
        {TYPE_BOOL, TYPE_JSON, "jsonb", "true", "true"},
        {TYPE_STRING, TYPE_JSON, "jsonb", "say \"hi\"\n", "\"say \\\"hi\\\"\\n\""},
        {TYPE_UUID, TYPE_STRING, "text", "00112233-4455-6677-8899-aabbccddeeff",
         "00112233-4455-6677-8899-aabbccddeeff"},
        {TYPE_TIMESTAMPTZ, TYPE_STRING, "text", "2024-02-29T23:59:59.5Z", "2024-02-29T23:59:59.5Z"},
        {TYPE_INTERVAL, TYPE_STRING, "text", "P1M", "P1M"},
        {TYPE_BYTES, TYPE_JSON, "jsonb", "AAEC", "\"AAEC\""},
    };

    for (size_t i = 0; i < N(cases); i++) {
        struct error err = ERROR_INIT;
        const char *got = there(cases[i].from, cases[i].to, cases[i].declared, cases[i].cell, &err);

        cr_assert(got, "%s %s: %s", cases[i].declared, cases[i].cell, err.message);
        cr_expect_str_eq(got, cases[i].shown, "%s: %s", cases[i].declared, got);
    }
}

/* Columns that somebody else declared. NULL = refused, since it would be altered. */
static const struct {
    enum type type;
    const char *declared, *cell, *shown;
} adopted[] = {
    {TYPE_INT, "integer", "2147483647", "2147483647"},
    {TYPE_INT, "integer", "2147483648", NULL},
    {TYPE_INT, "smallint", "-32768", "-32768"},
    {TYPE_INT, "smallint", "-32769", NULL},
    {TYPE_INT, "numeric(5,2)", "123", "123.00"},
    {TYPE_INT, "numeric(5,2)", "1234", NULL},
    {TYPE_INT, "double precision", "9007199254740992", "9.007199254740992e+15"},
    {TYPE_INT, "double precision", "9007199254740993", NULL},
    {TYPE_INT, "real", "16777217", NULL},
    {TYPE_INT, "varchar(3)", "123", "123"},
    {TYPE_INT, "varchar(3)", "1234", NULL},
    {TYPE_DECIMAL, "integer", "5", "5"},
    {TYPE_DECIMAL, "integer", "5.5", NULL},
    {TYPE_DECIMAL, "numeric(5,2)", "123.45", "123.45"},
    {TYPE_DECIMAL, "numeric(5,2)", "123.450", "123.45"},
    {TYPE_DECIMAL, "numeric(5,2)", "123.456", NULL},
    {TYPE_DECIMAL, "numeric(5,2)", "1234.5", NULL},
    {TYPE_DECIMAL, "numeric(5,2)", "NaN", "NaN"},
    {TYPE_DECIMAL, "numeric(5,2)", "Infinity", NULL},
    {TYPE_DECIMAL, "numeric(3,-2)", "12300", "12300"},
    {TYPE_DECIMAL, "numeric(3,-2)", "12340", NULL},
    {TYPE_DECIMAL, "numeric(3,5)", "0.00123", "0.00123"},
    {TYPE_DECIMAL, "numeric(3,5)", "0.001234", NULL},
    {TYPE_DECIMAL, "double precision", "0.1", "0.1"},
    {TYPE_DECIMAL, "double precision", "0.1234567890123456789", NULL},
    {TYPE_DECIMAL, "real", "0.5", "0.5"},
    {TYPE_DECIMAL, "real", "0.123456789", NULL},
    {TYPE_FLOAT, "real", "0.5", "0.5"},
    {TYPE_FLOAT, "real", "0.1", NULL}, /* of 64 bits: the nearest of 32 is another number */
    {TYPE_FLOAT, "real", "NaN", "NaN"},
    {TYPE_FLOAT, "real", "-Infinity", "-Infinity"},
    {TYPE_FLOAT, "numeric(5,1)", "2.5", "2.5"},
    {TYPE_FLOAT, "numeric(5,1)", "2.55", NULL},
    {TYPE_STRING, "varchar(3)", "abc", "abc"},
    {TYPE_STRING, "varchar(3)", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
     "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
    {TYPE_STRING, "varchar(3)", "abcd", NULL},
    {TYPE_STRING, "varchar(3)", "abc ", NULL}, /* the server would cut the blank */
    {TYPE_STRING, "char(3)", "abc", "abc"},
    {TYPE_STRING, "char(3)", "abc ", NULL},
    {TYPE_STRING, "integer", "12", "12"},
    {TYPE_STRING, "integer", "twelve", NULL},
    {TYPE_STRING, "date", "2024-02-29", "2024-02-29"},
    {TYPE_STRING, "date", "29.2.2024", NULL},
    {TYPE_STRING, "timestamptz", "2024-02-29T12:00:00+02:00", "2024-02-29 10:00:00+00"},
    {TYPE_STRING, "uuid", "00112233-4455-6677-8899-aabbccddeeff",
     "00112233-4455-6677-8899-aabbccddeeff"},
    {TYPE_STRING, "boolean", "true", "true"},
    {TYPE_STRING, "jsonb", "{\"a\": 1}", "{\"a\": 1}"},
    {TYPE_STRING, "jsonb", "no json", NULL},
    {TYPE_STRING, "inet", "10.0.0.1", "10.0.0.1/32"},
    {TYPE_STRING, "inet", "10.0.0.300", NULL},
    {TYPE_STRING, "int[]", "{1,NULL,3}", "{1,NULL,3}"},
    {TYPE_STRING, "xml", "<a>\\\t</a>", "<a>\\\t</a>"},
    {TYPE_STRING, "money", "1.005", NULL},
    {TYPE_STRING, "name", "abc", NULL},
    {TYPE_STRING, "\"char\"", "abc", NULL},
    {TYPE_STRING, "numeric(3,1)[]", "{1.25}", NULL},
    {TYPE_STRING, "bit(3)", "101", "101"},
    {TYPE_STRING, "bit(3)", "1011", NULL},
    {TYPE_TIME, "time(3)", "12:00:00.123", "12:00:00.123"},
    {TYPE_TIME, "time(3)", "12:00:00.1234", NULL},
    {TYPE_TIMESTAMP, "timestamp(0)", "2024-01-01T00:00:00", "2024-01-01 00:00:00"},
    {TYPE_TIMESTAMP, "timestamp(0)", "2024-01-01T00:00:00.5", NULL},
    {TYPE_TIMESTAMP, "timestamp(0)", "infinity", "infinity"},
    {TYPE_TIMESTAMPTZ, "timestamptz(3)", "2024-01-01T00:00:00.123Z", "2024-01-01 00:00:00.123+00"},
    {TYPE_TIMESTAMPTZ, "timestamptz(3)", "1969-12-31T23:59:59.9995Z", NULL},
    {TYPE_INTERVAL, "interval(0)", "PT1S", "00:00:01"},
    {TYPE_INTERVAL, "interval(0)", "PT1.5S", NULL},
    {TYPE_INTERVAL, "interval year to month", "P1DT1S", NULL},
    {TYPE_JSON, "text", "{\"b\":1,  \"a\":2}", "{\"b\":1,  \"a\":2}"},
    {TYPE_BYTES, "text", "AAEC", "AAEC"},
    {TYPE_UUID, "varchar(36)", "00112233-4455-6677-8899-aabbccddeeff",
     "00112233-4455-6677-8899-aabbccddeeff"},
};

Test(postgres_copy, writes_into_columns_of_others_and_alters_nothing)
{
    for (size_t i = 0; i < N(adopted); i++) {
        struct error err = ERROR_INIT;
        const char *got =
            there(adopted[i].type, adopted[i].type, adopted[i].declared, adopted[i].cell, &err);

        if (!adopted[i].shown) {
            cr_expect_null(got, "%s %s: %s", adopted[i].declared, adopted[i].cell, got);
            cr_expect(err.code == ERR_DATA || err.code == ERR_SCHEMA, "%s %s: %s",
                      adopted[i].declared, adopted[i].cell, err.message);
            continue;
        }
        cr_assert(got, "%s %s: %s", adopted[i].declared, adopted[i].cell, err.message);
        cr_expect_str_eq(got, adopted[i].shown, "%s: %s", adopted[i].declared, got);
    }
}

/* The same where a column beside it makes the table go as text. */
Test(postgres_copy, alters_nothing_in_text_either)
{
    postgres_fixture_sql(&f, "create domain spot as point");
    for (size_t i = 0; i < N(adopted); i++) {
        struct column_type types[] = {type_plain(TYPE_STRING), type_plain(adopted[i].type)};
        struct rows r;
        int rc;

        postgres_fixture_sql(&f, arena_printf(f.mem,
                                              "drop table if exists t;"
                                              "create table t(c0 spot, c1 %s)",
                                              adopted[i].declared));
        rows_init(&r, &f, types, 2);
        rows_put(&r, (const char *[]){"(1,2)", adopted[i].cell});
        begin();
        rc = rows_send(&r);
        if (rc == 0)
            rc = sql_exec(f.conn, "COMMIT", &r.err);
        if (rc < 0)
            postgres_fixture_run(&f, "ROLLBACK");
        cr_expect_eq(rc == 0, adopted[i].shown != NULL, "%s %s: %s", adopted[i].declared,
                     adopted[i].cell, r.err.message);
        if (rc == 0) {
            const char *got = postgres_fixture_rows(&f, "select c1::text from t");

            cr_expect_str_eq(got, adopted[i].shown, "%s: %s", adopted[i].declared, got);
        }
        rows_free(&r);
    }
}

/* --------------------------------------------------------------- one COPY */

static void send_numbers(struct rows *r, int first, int n)
{
    batch_clear(r->batch);
    for (int i = first; i < first + n; i++) {
        char text[32];

        batch_put_int64(r->batch, 0, i);
        batch_put_text(r->batch, 1, text, (size_t)snprintf(text, sizeof text, "v%d", i));
        batch_end_row(r->batch);
    }
    cr_assert_eq(rows_send(r), 0, "%s", r->err.message);
}

Test(postgres_copy, stays_open_over_batches_and_ends_before_anything_else)
{
    struct rows r;
    const char *was;
    int64_t seen;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    begin();
    send_numbers(&r, 0, 2000);
    was = postgres_fixture_rows(&f, "select pid, bytes_processed >= 0 from pg_stat_progress_copy"
                                    " where datname = current_database()");
    cr_assert(*was);
    for (int i = 1; i < 50; i++)
        send_numbers(&r, i * 2000, 2000);
    assert_rows("select count(*) from pg_stat_progress_copy where datname = current_database()",
                "1");
    r.err = ERROR_INIT;
    cr_assert_eq(sql_query_int(f.conn, "select count(distinct c0) from t", &seen, &r.err), 0, "%s",
                 r.err.message);
    cr_assert_eq(seen, 100000);
    send_numbers(&r, 100000, 1);
    commit();
    assert_rows("select count(*), max(c0), min(c1) from t", "100001|100000|v0");
    rows_free(&r);
}

Test(postgres_copy, begins_another_for_another_table_or_other_columns)
{
    struct rows r;
    struct sql_table other;

    postgres_fixture_sql(&f, "create schema \"S \"\"1\"; create table t(c0 bigint, c1 text);"
                             "create table \"S \"\"1\".\"T;\"(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    other = (struct sql_table){"S \"1", "T;", r.columns, 2};
    begin();
    send_numbers(&r, 0, 10);
    r.bulk.into = &other;
    send_numbers(&r, 0, 20);
    r.bulk.into = &r.table;
    r.table.n_columns = 1;
    send_numbers(&r, 100, 5);
    commit();
    assert_rows("select count(*), count(c1) from t", "15|10");
    assert_rows("select count(*) from \"S \"\"1\".\"T;\"", "20");
    rows_free(&r);
}

Test(postgres_copy, goes_into_a_temporary_table_before_one_of_the_schema)
{
    struct rows r;
    int64_t n;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    r.bulk.temporary = true;
    begin();
    postgres_fixture_run(&f, "CREATE TEMPORARY TABLE t(c0 bigint, c1 text)");
    send_numbers(&r, 0, 10);
    cr_assert_eq(sql_query_int(f.conn, "select count(*) from pg_temp.t", &n, &r.err), 0);
    cr_assert_eq(n, 10);
    commit();
    assert_rows("select count(*) from public.t", "0");
    rows_free(&r);
}

Test(postgres_copy, is_one_per_batch_where_the_time_of_a_statement_is_limited)
{
    struct rows r;

    postgres_fixture_close(&f);
    f.to.server.statement_timeout_s = 3600;
    postgres_fixture_open(&f);
    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    begin();
    send_numbers(&r, 0, 10);
    assert_rows("select count(*) from pg_stat_progress_copy where datname = current_database()",
                "0");
    send_numbers(&r, 10, 10);
    commit();
    assert_rows("select count(*) from t", "20");
    rows_free(&r);
}

/* --------------------------------------------------------------- failures */

Test(postgres_copy, tells_the_line_of_a_row_that_breaks_a_constraint)
{
    struct rows r;

    postgres_fixture_sql(&f, "create table t(c0 bigint primary key, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    begin();
    send_numbers(&r, 0, 500);
    send_numbers(&r, 499, 10);
    cr_assert_lt(sql_exec(f.conn, "COMMIT", &r.err), 0);
    cr_assert_eq(r.err.code, ERR_DATA, "%s", r.err.message);
    cr_assert_str_eq(error_reason(&r.err), "constraint");
    cr_assert(strstr(r.err.message, "line 501"), "%s", r.err.message);
    postgres_fixture_run(&f, "ROLLBACK");
    begin();
    send_numbers(&r, 0, 5);
    commit();
    assert_rows("select count(*) from t", "5");
    rows_free(&r);
}

/* What a log keeps for ever is no place for the contents of a table. */
Test(postgres_copy, says_what_is_wrong_with_a_row_without_quoting_it)
{
    static const struct {
        const char *declared, *cell;
    } cases[] = {
        {"text check (c0 <> 'confidential')", "confidential"},
        {"inet", "confidential"},
        {"mood", "confidential"},
        {"bit(3)", "confidential"},
        {"oid", "9999988888777"},
        {"text references other", "confidential"},
    };

    postgres_fixture_sql(&f, "create type mood as enum('sad'); create table other(k text primary"
                             " key)");
    for (size_t i = 0; i < N(cases); i++) {
        struct error err = ERROR_INIT;

        cr_assert_null(there(TYPE_STRING, TYPE_STRING, cases[i].declared, cases[i].cell, &err));
        cr_expect_eq(err.code, ERR_DATA, "%s", err.message);
        cr_expect_not(strstr(err.message, cases[i].cell), "%s", err.message);
    }
}

Test(postgres_copy, leaves_the_connection_usable_when_it_is_given_up)
{
    struct rows r;

    postgres_fixture_sql(&f, "create table t(c0 integer, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    begin();
    send_numbers(&r, 0, 5);
    postgres_fixture_run(&f, "SAVEPOINT a");
    send_numbers(&r, 5, 5);
    batch_clear(r.batch);
    rows_put(&r, (const char *[]){"5000000000", "too large"});
    cr_assert_lt(rows_send(&r), 0);
    cr_assert_eq(r.err.code, ERR_DATA, "%s", r.err.message);
    cr_assert(strstr(r.err.message, "\"c0\"") && strstr(r.err.message, "integer"), "%s",
              r.err.message);
    postgres_fixture_run(&f, "ROLLBACK TO SAVEPOINT a");
    send_numbers(&r, 100, 7);
    postgres_fixture_run(&f, "ROLLBACK TO SAVEPOINT a"); /* of rows under way */
    send_numbers(&r, 200, 3);
    commit();
    assert_rows("select count(*), max(c0) from t", "8|202");
    rows_free(&r);
}

Test(postgres_copy, finds_out_when_a_trigger_keeps_rows_away)
{
    struct rows r;

    postgres_fixture_sql(&f,
                         "create table t(c0 bigint, c1 text);"
                         "create function f() returns trigger language plpgsql as"
                         " 'begin if new.c0 = 3 then return null; end if; return new; end';"
                         "create trigger x before insert on t for each row execute function f()");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    begin();
    send_numbers(&r, 0, 10);
    cr_assert_lt(sql_exec(f.conn, "COMMIT", &r.err), 0);
    cr_assert_eq(r.err.code, ERR_DATA, "%s", r.err.message);
    cr_assert(strstr(r.err.message, "10 rows were sent") && strstr(r.err.message, "9 arrived"),
              "%s", r.err.message);
    postgres_fixture_run(&f, "ROLLBACK");
    assert_rows("select count(*) from t", "0");
    rows_free(&r);
}

Test(postgres_copy, says_which_table_is_missing_and_which_right)
{
    struct rows r;

    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    rows_put(&r, (const char *[]){"1", NULL});
    begin();
    cr_assert_lt(rows_send(&r), 0);
    cr_assert_eq(r.err.code, ERR_SCHEMA, "%s", r.err.message);
    cr_assert_str_eq(error_reason(&r.err), "table_missing");
    postgres_fixture_run(&f, "ROLLBACK");
    postgres_fixture_sql(&f, "create table t(c0 bigint); ");
    cr_assert_lt(rows_send(&r), 0);
    cr_assert_str_eq(error_reason(&r.err), "column_missing");
    rows_free(&r);
}

Test(postgres_copy, notices_that_its_session_was_ended)
{
    struct rows r;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    begin();
    send_numbers(&r, 0, 2000);
    assert_rows("select pg_terminate_backend(pid, 10000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and backend_type "
                "= 'client backend'",
                "t");
    cr_assert_lt(rows_send(&r), 0);
    cr_assert_eq(r.err.code, ERR_TRANSIENT, "%s", r.err.message);
    cr_assert_str_eq(error_reason(&r.err), "admin_shutdown", "%s", r.err.message);
    postgres_fixture_close(&f);
    assert_rows("select count(*) from t", "0");
    rows_free(&r);
}

static void *cancel_soon(void *arg)
{
    usleep(500000);
    cancel_request(arg, CANCEL_USER);
    return NULL;
}

/* The server sleeps over each row, takes nothing, and every buffer on the way is full. */
Test(postgres_copy, is_cancelled_while_the_server_takes_no_more)
{
    int64_t began = clock_monotonic_us();
    char *text = repeat("x", 100000);
    pthread_t thread;
    struct rows r;
    int rc = 0;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text);"
                             "create function f() returns trigger language plpgsql as"
                             " 'begin perform pg_sleep(100); return new; end';"
                             "create trigger x before insert on t for each row execute function"
                             " f()");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    rows_put(&r, (const char *[]){"1", text});
    begin();
    pthread_create(&thread, NULL, cancel_soon, f.cancel);
    while (rc == 0)
        rc = rows_send(&r);
    cr_expect_eq(r.err.code, ERR_CANCELLED, "%s", r.err.message);
    postgres_fixture_close(&f);
    cr_expect_lt(clock_monotonic_us() - began, 9000000);
    pthread_join(thread, NULL);
    usleep(1000000);
    assert_rows("select count(*) from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid() and backend_type = 'client backend'",
                "0");
    rows_free(&r);
}

/* What a batch of every storage does when the server has gone before the first byte. */
Test(postgres_copy, fails_when_the_server_has_gone)
{
    struct rows r;
    int64_t n;

    postgres_fixture_sql(&f, "create table t(c0 bigint, c1 text)");
    rows_init_plain(&r, &f, TYPE_INT, TYPE_STRING);
    rows_put(&r, (const char *[]){"1", NULL});
    assert_rows("select pg_terminate_backend(pid, 10000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and backend_type "
                "= 'client backend'",
                "t");
    cr_assert_lt(rows_send(&r), 0);
    cr_assert_eq(r.err.code, ERR_TRANSIENT, "%s", r.err.message);
    r.err = ERROR_INIT;
    cr_assert_lt(sql_query_int(f.conn, "select 1", &n, &r.err), 0);
    cr_assert_eq(r.err.code, ERR_TRANSIENT, "%s", r.err.message);
    cr_assert_str_eq(error_reason(&r.err), "connection_lost", "%s", r.err.message);
    rows_free(&r);
}

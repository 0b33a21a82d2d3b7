/* Rows of a batch into MariaDB, by LOAD DATA and by INSERT: every value arrives as it is or is
 * refused. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/sql/mysql_bulk.h"
#include "tests/support/mysql_fixture.h"

static struct mysql_fixture f;

static void setup(void)
{
    mysql_fixture_init(&f);
}

static void teardown(void)
{
    mysql_fixture_release(&f);
}

TestSuite(mysql_bulk, .init = setup, .fini = teardown);

/* An INSERT is given arrays by a MariaDB, and lists of rows by others. */
static const char *const loads[] = {"local_infile", "insert", "lists"};
#define N_LOADS (sizeof loads / sizeof *loads)

static void open_by(const char *load)
{
    bool lists = strcmp(load, "lists") == 0;

    mysql_fixture_close(&f);
    f.to.load = lists ? "insert" : load;
    mysql_fixture_open(&f);
    if (lists)
        ((struct mysql_conn *)f.conn)->bulk->way = MYSQL_BY_LISTS;
}

/* A table and a batch of the same columns. */
struct shape {
    struct schema schema;
    struct column columns[16];
    struct sql_column to[16];
    struct sql_bulk_column fill[16];
    struct sql_table table;
    struct sql_bulk what;
    struct batch *rows;
};

static void add(struct shape *s, const char *name, struct column_type type)
{
    size_t i = s->schema.n_columns++;

    s->columns[i] =
        (struct column){.name = name, .type = type, .source_type = "", .nullable = true};
    s->to[i] = (struct sql_column){.name = name, .type = type};
    s->fill[i] = (struct sql_bulk_column){.fill = SQL_FILL_COLUMN, .from = i, .type = type};
}

static void ready(struct shape *s, const char *table)
{
    s->schema.columns = s->columns;
    s->table = (struct sql_table){"", table, s->to, s->schema.n_columns};
    s->what = (struct sql_bulk){.into = &s->table, .fill = s->fill};
    s->rows = batch_new(&s->schema);
}

static int bulk(const struct shape *s, int64_t *out_n, struct error *err)
{
    return f.conn->driver->bulk(f.conn, &s->what, s->rows, out_n, err);
}

static void must_bulk(const struct shape *s, int64_t n)
{
    struct error err = ERROR_INIT;
    int64_t inserted = -1;

    cr_assert_eq(bulk(s, &inserted, &err), 0, "%s", err.message);
    cr_assert_eq(inserted, n);
}

static void put(struct shape *s, size_t column, const char *text)
{
    batch_put_parsed(s->rows, column, text, strlen(text));
}

/* ------------------------------------------------------------------------- every type */

struct value {
    enum type type;
    uint8_t bits;
    const char *declared, *value, *stored; /* stored: as the server shows it; NULL = as `value` */
};

static const struct value values[] = {
    {TYPE_BOOL, 0, "tinyint(1)", "true", "1"},
    {TYPE_BOOL, 0, "tinyint(1)", "false", "0"},
    {TYPE_INT, 0, "bigint", "9223372036854775807", NULL},
    {TYPE_INT, 0, "bigint", "-9223372036854775808", NULL},
    {TYPE_INT, 0, "bigint", "0", NULL},
    {TYPE_DECIMAL, 0, "longtext", "-1.50", NULL},
    {TYPE_DECIMAL, 0, "decimal(65,30)",
     "-99999999999999999999999999999999999.999999999999999999999999999999", NULL},
    {TYPE_FLOAT, 64, "double", "1.7976931348623157e308", "1.7976931348623157e308"},
    {TYPE_FLOAT, 64, "double", "5e-324", "5e-324"},
    {TYPE_FLOAT, 64, "double", "0.1", "0.1"},
    {TYPE_FLOAT, 64, "double", "-0.0", "0"}, /* the server has no other zero */
    {TYPE_STRING, 0, "longtext", "", NULL},
    {TYPE_STRING, 0, "longtext", "\\N", NULL},
    {TYPE_STRING, 0, "longtext", "NULL", NULL},
    {TYPE_STRING, 0, "longtext", "a\tb\nc\\d\r\n'\"`\x1a\x01 ", NULL},
    {TYPE_STRING, 0, "longtext", "\\", NULL},
    {TYPE_STRING, 0, "longtext", "\\\\", NULL},
    {TYPE_STRING, 0, "longtext", "\xF0\x9F\x98\x80 \xC3\xBC \xEF\xBF\xBF", NULL},
    {TYPE_DATE, 0, "date", "0001-01-01", NULL},
    {TYPE_DATE, 0, "date", "0000-03-01", NULL},
    {TYPE_DATE, 0, "date", "9999-12-31", NULL},
    {TYPE_DATE, 0, "date", "2024-02-29", NULL},
    {TYPE_TIME, 0, "time(6)", "00:00:00", "00:00:00.000000"},
    {TYPE_TIME, 0, "time(6)", "23:59:59.999999", NULL},
    {TYPE_TIMESTAMP, 0, "datetime(6)", "0001-01-01T00:00:00", "0001-01-01 00:00:00.000000"},
    {TYPE_TIMESTAMP, 0, "datetime(6)", "0000-03-01T00:00:00", "0000-03-01 00:00:00.000000"},
    {TYPE_TIMESTAMP, 0, "datetime(6)", "9999-12-31T23:59:59.999999", "9999-12-31 23:59:59.999999"},
    {TYPE_TIMESTAMPTZ, 0, "datetime(6)", "2024-07-01T02:30:00.5+02:00",
     "2024-07-01 00:30:00.500000"},
    {TYPE_TIMESTAMPTZ, 0, "datetime(6)", "1969-12-31T23:59:59.000001Z",
     "1969-12-31 23:59:59.000001"},
    {TYPE_INTERVAL, 0, "longtext", "P1Y2M-3DT4H5M6.7S", NULL},
    {TYPE_UUID, 0, "char(36)", "00112233-4455-6677-8899-aabbccddeeff", NULL},
    {TYPE_JSON, 0, "json", "{\"a\": [1, \"\\n\\t\\u0041\", null, \"\xC3\xBC\\\\\"]}", NULL},
};

Test(mysql_bulk, every_value_there_and_back)
{
    for (size_t by = 0; by < N_LOADS; by++) {
        open_by(loads[by]);
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            const struct value *v = &values[i];
            struct shape s = {0};
            struct column_type type = type_plain(v->type);
            const char *stored;

            if (v->bits)
                type.bits = v->bits;
            mysql_fixture_run(&f, "DROP TABLE IF EXISTS t");
            mysql_fixture_run(&f,
                              arena_printf(f.mem, "CREATE TABLE t (n bigint, v %s)", v->declared));
            add(&s, "n", type_plain(TYPE_INT));
            add(&s, "v", type);
            ready(&s, "t");
            put(&s, 0, "1");
            put(&s, 1, v->value);
            batch_end_row(s.rows);
            put(&s, 0, "2"); /* and a NULL */
            batch_end_row(s.rows);
            must_bulk(&s, 2);
            stored = mysql_fixture_text(&f, "SELECT cast(v AS char) FROM t WHERE n = 1");
            cr_expect_str_eq(stored, v->stored ? v->stored : v->value, "%s \"%s\" by %s: \"%s\"",
                             v->declared, v->value, loads[by], stored);
            cr_expect_eq(mysql_fixture_int(&f, "SELECT v IS NULL FROM t WHERE n = 2"), 1);
            batch_free(s.rows);
        }
    }
}

Test(mysql_bulk, floats_are_the_same_bits)
{
    const double doubles[] = {
        0.1,  1.0 / 3,           DBL_MIN, DBL_MAX, 5e-324, 1e22, 123456.7, 2.2250738585072011e-308,
        -0.0, 9007199254740993.0};
    const float floats[] = {0.1f, 1.0f / 3, FLT_MIN, FLT_MAX, 1e-45f, 16777217.0f, 8.5899346e9f};

    for (size_t by = 0; by < N_LOADS; by++) {
        struct shape s = {0};
        struct column_type narrow = type_plain(TYPE_FLOAT);

        narrow.bits = 32;
        open_by(loads[by]);
        mysql_fixture_run(&f, "DROP TABLE IF EXISTS t");
        mysql_fixture_run(&f, "CREATE TABLE t (n bigint, d double, s float)");
        add(&s, "n", type_plain(TYPE_INT));
        add(&s, "d", type_plain(TYPE_FLOAT));
        add(&s, "s", narrow);
        ready(&s, "t");
        for (size_t i = 0; i < 10; i++) {
            batch_put_int64(s.rows, 0, (int64_t)i);
            batch_put_double(s.rows, 1, doubles[i]);
            batch_put_double(s.rows, 2, (double)floats[i % 7]);
            batch_end_row(s.rows);
        }
        must_bulk(&s, 10);
        for (size_t i = 0; i < 10; i++) {
            /* The server's own arithmetic tells: as text it shows fewer digits of a float. */
            char sql[200];

            snprintf(sql, sizeof sql,
                     "SELECT count(*) FROM t WHERE n = %zu AND d = %.17e AND s = %.17e", i,
                     doubles[i], (double)floats[i % 7]);
            cr_expect_eq(mysql_fixture_int(&f, sql), 1, "%s by %s", sql, loads[by]);
        }
        batch_free(s.rows);
    }
}

Test(mysql_bulk, every_byte_and_ten_megabytes)
{
    size_t n = 10 << 20;
    char *big = malloc(n), all[512];
    struct shape s = {0};

    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    for (size_t i = 0; i < n; i++)
        big[i] = "0123456789\t\n\\abc"[i * 7 % 16];
    add(&s, "n", type_plain(TYPE_INT));
    add(&s, "b", type_plain(TYPE_BYTES));
    add(&s, "t", type_plain(TYPE_STRING));
    ready(&s, "t");
    batch_put_int64(s.rows, 0, 1);
    batch_put_text(s.rows, 1, all, sizeof all);
    batch_put_text(s.rows, 2, big, n);
    batch_end_row(s.rows);
    batch_put_int64(s.rows, 0, 2);
    batch_put_text(s.rows, 1, "", 0);
    batch_put_text(s.rows, 2, "", 0);
    batch_end_row(s.rows);
    for (size_t by = 0; by < N_LOADS; by++) {
        const char *text;

        open_by(loads[by]);
        mysql_fixture_run(&f, "DROP TABLE IF EXISTS t");
        mysql_fixture_run(&f, "CREATE TABLE t (n bigint, b longblob, t longtext)");
        must_bulk(&s, 2);
        cr_expect_eq(mysql_fixture_int(&f, "SELECT length(t) FROM t WHERE n = 1"), (int64_t)n);
        text = mysql_fixture_text(&f, "SELECT t FROM t WHERE n = 1");
        cr_expect_eq(memcmp(text, big, n), 0);
        text = mysql_fixture_text(&f, "SELECT b FROM t WHERE n = 1");
        cr_expect_eq(memcmp(text, all, sizeof all), 0);
        cr_expect_eq(mysql_fixture_int(&f, "SELECT b = '' AND t = '' FROM t WHERE n = 2"), 1);
    }
    batch_free(s.rows);
    free(big);
}

Test(mysql_bulk, hostile_names)
{
    const char *const names[] = {
        "a`b", "`; DROP TABLE x; --", "\xF0\x9F\x98\x80", "select", "a\\b", "a'b\"c", "a\tb\nc"};
    const char *longest = "x123456789x123456789x123456789x123456789x123456789x123456789x123";

    for (size_t by = 0; by < N_LOADS; by++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct shape s = {0};
            CLEANUP(buf_release) struct buf sql = BUF_INIT(10000);

            /* The server itself takes no character beyond the basic plane in a name. */
            if (strcmp(names[i], "\xF0\x9F\x98\x80") == 0)
                continue;
            open_by(loads[by]);
            buf_puts(&sql, "CREATE OR REPLACE TABLE ");
            sql_put_name(&sql_mysql, names[i], &sql);
            buf_puts(&sql, " (");
            sql_put_name(&sql_mysql, names[i], &sql);
            buf_puts(&sql, " bigint, ");
            sql_put_name(&sql_mysql, longest, &sql);
            buf_puts(&sql, " bigint)");
            mysql_fixture_run(&f, buf_str(&sql));
            add(&s, names[i], type_plain(TYPE_INT));
            add(&s, longest, type_plain(TYPE_INT));
            ready(&s, names[i]);
            batch_put_int64(s.rows, 0, 7);
            batch_put_int64(s.rows, 1, 8);
            batch_end_row(s.rows);
            must_bulk(&s, 1);
            buf_clear(&sql);
            buf_puts(&sql, "SELECT sum(");
            sql_put_name(&sql_mysql, names[i], &sql);
            buf_puts(&sql, ") FROM ");
            sql_put_name(&sql_mysql, names[i], &sql);
            cr_expect_str_eq(mysql_fixture_text(&f, buf_str(&sql)), "7");
            batch_free(s.rows);
        }
    }
}

/* ------------------------------------------------------------ what the server would alter */

struct refusal {
    const char *table; /* columns */
    enum type type;
    const char *value, *reason;
};

static const struct refusal refusals[] = {
    {"v varchar(3)", TYPE_STRING, "abcd", "value_rejected"},
    {"v varchar(9) CHARACTER SET ascii", TYPE_STRING, "\xE2\x82\xAC\xD0\xAF", "value_rejected"},
    {"v decimal(5,2)", TYPE_DECIMAL, "1.239", "value_rejected"}, /* only a note */
    {"v decimal(5,2)", TYPE_DECIMAL, "1000", "value_rejected"},
    {"v int", TYPE_INT, "2147483648", "value_rejected"},
    {"v int unsigned", TYPE_INT, "-1", "value_rejected"},
    {"v int", TYPE_STRING, "12x", "value_rejected"},
    {"v float", TYPE_FLOAT, "1e300", "value_rejected"},
    {"v date", TYPE_STRING, "2023-02-29", "value_rejected"},
    {"v date", TYPE_STRING, "2023-02-28 10:11:12", "value_rejected"}, /* only a note */
    {"v date", TYPE_TIMESTAMP, "2024-01-01T12:00:00", "value_rejected"},
    {"v varchar(5)", TYPE_DATE, "2024-01-01", "value_rejected"},
    {"v enum('a','b')", TYPE_STRING, "c", "value_rejected"},
    {"v json", TYPE_STRING, "{", "constraint"},
    {"v varbinary(3)", TYPE_BYTES, "YWJjZA==", "value_rejected"},
    {"v bigint, UNIQUE (v)", TYPE_INT, "5", "constraint"}, /* is there */
    {"v bigint CHECK (v <> 7)", TYPE_INT, "7", "constraint"},
    {"v bigint NOT NULL", TYPE_INT, NULL, "constraint"},
};

static void expect_refusals(bool foreign)
{
    for (size_t by = 0; by < N_LOADS; by++) {
        open_by(loads[by]);
        for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
            const struct refusal *r = &refusals[i];
            struct error err = ERROR_INIT;
            struct shape s = {0};
            int64_t n;
            int rc;

            if (!foreign && strstr(r->table, "CHARACTER SET"))
                continue; /* a column of ours is utf8mb4 */
            mysql_fixture_run(&f, arena_printf(f.mem, "CREATE OR REPLACE TABLE t (%s)", r->table));
            if (strstr(r->table, "UNIQUE"))
                mysql_fixture_run(&f, "INSERT INTO t VALUES (5)");
            add(&s, "v", type_plain(r->type));
            s.to[0].declared = foreign ? "varchar(3)" : NULL;
            ready(&s, "t");
            if (r->value)
                put(&s, 0, r->value);
            batch_end_row(s.rows);
            mysql_fixture_run(&f, "START TRANSACTION");
            rc = bulk(&s, &n, &err);
            if (rc == 0)
                rc = sql_exec(f.conn, "COMMIT", &err);
            cr_expect_eq(rc, -1, "%s \"%s\" by %s", r->table, r->value, loads[by]);
            cr_expect_eq(err.code, ERR_DATA, "%s \"%s\" by %s: %s", r->table, r->value, loads[by],
                         err.message);
            cr_expect_str_eq(error_reason(&err), r->reason, "%s \"%s\" by %s: %s", r->table,
                             r->value, loads[by], err.message);
            if (r->value && strlen(r->value) > 2)
                cr_expect_not(strstr(err.message, r->value), "%s", err.message);
            mysql_fixture_run(&f, "ROLLBACK");
            batch_free(s.rows);
        }
    }
}

Test(mysql_bulk, what_would_be_altered_is_refused)
{
    expect_refusals(false);
}

Test(mysql_bulk, what_would_be_altered_in_columns_of_others_is_refused)
{
    expect_refusals(true);
}

/* Columns that others made keep their character sets, and get text, not its bytes. */
Test(mysql_bulk, text_arrives_in_every_character_set)
{
    static const char *const sets[] = {"latin1", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"};

    for (size_t by = 0; by < N_LOADS; by++) {
        open_by(loads[by]);
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
            struct shape s = {0};

            mysql_fixture_run(&f, arena_printf(f.mem,
                                               "CREATE OR REPLACE TABLE t (n bigint,"
                                               " v varchar(20) CHARACTER SET %s, b varbinary(20))",
                                               sets[i]));
            add(&s, "n", type_plain(TYPE_INT));
            add(&s, "v", type_plain(TYPE_STRING));
            add(&s, "b", type_plain(TYPE_BYTES));
            ready(&s, "t");
            s.to[0].declared = "bigint(20)";
            s.to[1].declared = "varchar(20)";
            s.to[2].declared = "varbinary(20)";
            put(&s, 0, "7");
            put(&s, 1, "na\xC3\xAFve \\ \t \xC3\xA9\xC3\xB1");
            batch_put_text(s.rows, 2, "\xff\0\xC3", 3);
            batch_end_row(s.rows);
            batch_end_row(s.rows);
            must_bulk(&s, 2);
            cr_expect_str_eq(mysql_fixture_text(&f, "SELECT v FROM t WHERE n = 7"),
                             "na\xC3\xAFve \\ \t \xC3\xA9\xC3\xB1", "%s by %s", sets[i], loads[by]);
            cr_expect_eq(mysql_fixture_int(&f, "SELECT char_length(v) FROM t WHERE n = 7"), 12);
            cr_expect_str_eq(mysql_fixture_text(&f, "SELECT hex(b) FROM t WHERE n = 7"), "FF00C3");
            cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM t WHERE n IS NULL"
                                               " AND v IS NULL AND b IS NULL"),
                         1);
            batch_free(s.rows);
        }
    }
}

/* -------------------------------------------------------------------- rows under way */

static void fill_ints(struct shape *s, const char *table, int64_t from, int64_t n)
{
    add(s, "n", type_plain(TYPE_INT));
    ready(s, table);
    for (int64_t i = 0; i < n; i++) {
        batch_put_int64(s->rows, 0, from + i);
        batch_end_row(s->rows);
    }
}

Test(mysql_bulk, any_other_call_ends_what_is_under_way)
{
    for (size_t by = 0; by < N_LOADS; by++) {
        struct shape a = {0}, b = {0};

        open_by(loads[by]);
        mysql_fixture_run(&f, "CREATE OR REPLACE TABLE a (n bigint)");
        mysql_fixture_run(&f, "CREATE OR REPLACE TABLE b (n bigint)");
        fill_ints(&a, "a", 0, 1000);
        fill_ints(&b, "b", 0, 3);
        must_bulk(&a, 1000);
        must_bulk(&a, 1000);
        must_bulk(&b, 3);
        must_bulk(&a, 1000);
        cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM a"), 3000);
        cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM b"), 3);
        mysql_fixture_run(&f, "START TRANSACTION");
        must_bulk(&a, 1000);
        mysql_fixture_run(&f, "SAVEPOINT s");
        must_bulk(&a, 1000);
        mysql_fixture_run(&f, "ROLLBACK TO SAVEPOINT s");
        mysql_fixture_run(&f, "COMMIT");
        cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM a"), 4000);
        mysql_fixture_run(&f, "START TRANSACTION");
        must_bulk(&a, 1000);
        mysql_fixture_run(&f, "ROLLBACK");
        cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM a"), 4000);
        batch_free(a.rows);
        batch_free(b.rows);
    }
}

Test(mysql_bulk, rows_are_skipped_and_filled)
{
    for (size_t by = 0; by < N_LOADS; by++) {
        struct shape s = {0};
        const bool skip[] = {false, true, false};
        const char *const meta[] = {"{\"a\":1}", "x", NULL};

        open_by(loads[by]);
        mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (n bigint, m longtext, r longtext,"
                              " g bigint, z longtext, o bigint)");
        add(&s, "n", type_plain(TYPE_INT));
        ready(&s, "t");
        for (int64_t i = 0; i < 3; i++) {
            batch_put_int64(s.rows, 0, i);
            batch_end_row(s.rows);
        }
        add(&s, "m", type_plain(TYPE_JSON));
        add(&s, "r", type_plain(TYPE_STRING));
        add(&s, "g", type_plain(TYPE_INT));
        add(&s, "z", type_plain(TYPE_STRING));
        add(&s, "o", type_plain(TYPE_INT));
        s.fill[1].fill = SQL_FILL_META;
        s.fill[2] = (struct sql_bulk_column){.fill = SQL_FILL_TEXT, .text = "run\t1"};
        s.fill[3] = (struct sql_bulk_column){.fill = SQL_FILL_INT, .number = 42};
        s.fill[4].fill = SQL_FILL_NULL;
        s.fill[5].fill = SQL_FILL_ORDER;
        s.table.n_columns = 6;
        s.what.skip = skip;
        s.what.meta = meta;
        s.what.first_order = 100;
        must_bulk(&s, 2);
        /* What was the same in those rows is another in these. */
        s.fill[2].text = "run 2";
        s.fill[3].number = -1;
        s.what.meta = NULL;
        s.what.first_order = 200;
        must_bulk(&s, 2);
        cr_expect_str_eq(mysql_fixture_text(&f, "SELECT group_concat(concat_ws('|', n,"
                                                " ifnull(m, 'null'), r, g, ifnull(z, 'null'), o)"
                                                " ORDER BY o) FROM t"),
                         "0|{\"a\":1}|run\t1|42|null|100,2|null|run\t1|42|null|102,"
                         "0|null|run 2|-1|null|200,2|null|run 2|-1|null|202");
        batch_free(s.rows);
    }
}

Test(mysql_bulk, a_grown_column_takes_the_narrower_type)
{
    for (size_t by = 0; by < N_LOADS; by++) {
        struct shape s = {0};

        open_by(loads[by]);
        mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (a longtext, b json, c datetime(6))");
        add(&s, "a", type_plain(TYPE_TIMESTAMPTZ));
        add(&s, "b", type_plain(TYPE_STRING));
        add(&s, "c", type_plain(TYPE_DATE));
        ready(&s, "t");
        put(&s, 0, "2024-01-02T03:04:05Z");
        put(&s, 1, "a\"b\\\t");
        put(&s, 2, "2024-01-02");
        batch_end_row(s.rows);
        s.to[0].type = type_plain(TYPE_STRING);
        s.to[1].type = type_plain(TYPE_JSON);
        s.to[2].type = type_plain(TYPE_TIMESTAMP);
        must_bulk(&s, 1);
        cr_expect_str_eq(mysql_fixture_text(&f, "SELECT concat_ws('|', a, b, c) FROM t"),
                         "2024-01-02T03:04:05Z|\"a\\\"b\\\\\\t\"|2024-01-02 00:00:00.000000");
        batch_free(s.rows);
    }
}

/* More than is gathered for one statement, and rows that make INSERT take fewer at a time. */
static void write_many(const char *load)
{
    struct shape s = {0};
    int64_t n = 0, bytes = 0;
    char *text = malloc(300000);

    memset(text, 'x', 300000);
    open_by(load);
    mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (n bigint, t longtext)");
    add(&s, "n", type_plain(TYPE_INT));
    add(&s, "t", type_plain(TYPE_STRING));
    ready(&s, "t");
    mysql_fixture_run(&f, "START TRANSACTION");
    for (size_t round = 0; round < 40; round++) {
        size_t rows = round * 137 % 1500 + 1, size = round % 5 ? round * 7 : 300000 / rows;

        batch_clear(s.rows);
        for (size_t i = 0; i < rows; i++) {
            batch_put_int64(s.rows, 0, n++);
            batch_put_text(s.rows, 1, text, size);
            batch_end_row(s.rows);
            bytes += (int64_t)size;
        }
        must_bulk(&s, (int64_t)rows);
    }
    mysql_fixture_run(&f, "COMMIT");
    cr_expect_eq(mysql_fixture_int(&f, "SELECT count(DISTINCT n) FROM t"), n);
    cr_expect_eq(mysql_fixture_int(&f, "SELECT cast(sum(length(t)) AS signed) FROM t"), bytes);
    free(text);
    batch_free(s.rows);
}

Test(mysql_bulk, many_rows_of_many_sizes)
{
    for (size_t by = 0; by < N_LOADS; by++)
        write_many(loads[by]);
}

Test(mysql_bulk, the_same_through_tls)
{
    f.to.ssl_mode = "require";
    for (size_t by = 0; by < N_LOADS; by++)
        write_many(loads[by]);
}

/* A packet has a limit, a stream has none: such a row goes by LOAD DATA among the others. */
Test(mysql_bulk, a_row_larger_than_a_packet)
{
    static const char *const tried[] = {"auto", "insert"};
    size_t n = 10 << 20;
    char *big = malloc(n);
    struct shape s = {0};

    memset(big, 'x', n);
    add(&s, "n", type_plain(TYPE_INT));
    add(&s, "a", type_plain(TYPE_STRING));
    add(&s, "b", type_plain(TYPE_STRING));
    add(&s, "at", type_plain(TYPE_TIMESTAMP));
    ready(&s, "t");
    for (int64_t i = 0; i < 5; i++) {
        batch_put_int64(s.rows, 0, i);
        batch_put_text(s.rows, 1, big, i == 2 ? n : 3);
        batch_put_text(s.rows, 2, big, i == 2 ? n : 3);
        put(&s, 3, "2024-01-01T00:00:00.5");
        batch_end_row(s.rows);
    }
    for (size_t by = 0; by < 2; by++) {
        struct error err = ERROR_INIT;
        int64_t inserted;

        open_by(tried[by]);
        mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (n bigint, a longtext, b longtext,"
                              " at datetime(6))");
        if (by == 0) {
            must_bulk(&s, 5);
            cr_expect_str_eq(mysql_fixture_text(&f,
                                                "SELECT group_concat(concat_ws('|', n,"
                                                " length(a), length(b), at) ORDER BY n) FROM t"),
                             "0|3|3|2024-01-01 00:00:00.500000,1|3|3|2024-01-01 00:00:00.500000,"
                             "2|10485760|10485760|2024-01-01 00:00:00.500000,"
                             "3|3|3|2024-01-01 00:00:00.500000,4|3|3|2024-01-01 00:00:00.500000");
        } else {
            cr_expect_eq(bulk(&s, &inserted, &err), -1);
            cr_expect_eq(err.code, ERR_TOO_LARGE, "%s", err.message);
        }
    }
    batch_free(s.rows);
    free(big);
}

/* The statement stays prepared while its table becomes another one. */
Test(mysql_bulk, a_table_that_changes_between_two_batches)
{
    static const char *const changes[] = {
        "ALTER TABLE t MODIFY v longtext",
        "ALTER TABLE t ADD COLUMN w bigint FIRST",
        "DROP TABLE t",
        "CREATE TABLE t (v decimal(20), n bigint)",
        "CREATE TEMPORARY TABLE t (n bigint, v varchar(20))",
    };

    for (size_t by = 0; by < N_LOADS; by++) {
        struct shape s = {0};
        struct error err = ERROR_INIT;
        int64_t inserted;

        open_by(loads[by]);
        mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (n bigint, v bigint)");
        add(&s, "n", type_plain(TYPE_INT));
        add(&s, "v", type_plain(TYPE_INT));
        ready(&s, "t");
        for (int64_t i = 0; i < 3; i++) {
            batch_put_int64(s.rows, 0, i);
            batch_put_int64(s.rows, 1, -i);
            batch_end_row(s.rows);
        }
        must_bulk(&s, 3);
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
            bool gone = strncmp(changes[i], "DROP", 4) == 0;
            int rc;

            mysql_fixture_run(&f, changes[i]);
            rc = bulk(&s, &inserted, &err);
            if (rc == 0)
                rc = sql_exec(f.conn, "COMMIT", &err);
            cr_expect_eq(rc, gone ? -1 : 0, "%s by %s: %s", changes[i], loads[by], err.message);
            if (gone)
                cr_expect_eq(err.code, ERR_SCHEMA, "%s", err.message);
            err = ERROR_INIT;
        }
        cr_expect_str_eq(mysql_fixture_text(&f, "SELECT concat_ws('|', count(*), sum(n), sum(v))"
                                                " FROM t"),
                         "3|3|-3");
        mysql_fixture_run(&f, "DROP TEMPORARY TABLE t");
        cr_expect_str_eq(mysql_fixture_text(&f, "SELECT concat_ws('|', count(*), sum(n), sum(v))"
                                                " FROM t"),
                         "3|3|-3");
        batch_free(s.rows);
    }
}

/* The server waits for a lock, and we for nobody. */
Test(mysql_bulk, cancelled_while_rows_are_under_way)
{
    struct mysql_fixture other;
    struct shape s = {0};
    struct error err = ERROR_INIT;
    int64_t inserted;

    open_by("auto");
    mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (n bigint)");
    mysql_fixture_init(&other);
    other.to.database = f.database;
    mysql_fixture_open(&other);
    mysql_fixture_run(&other, "LOCK TABLES t WRITE");
    fill_ints(&s, "t", 0, 3);
    must_bulk(&s, 3);
    cancel_request(f.cancel, CANCEL_USER);
    cr_expect_eq(sql_exec(f.conn, "COMMIT", &err), -1);
    cr_expect_eq(err.code, ERR_CANCELLED, "%s", err.message);
    err = ERROR_INIT;
    cr_expect_eq(bulk(&s, &inserted, &err), -1);
    mysql_fixture_close(&f);
    cr_expect_eq(mysql_fixture_int(&other, "SELECT count(*) FROM t"), 0);
    mysql_fixture_release(&other);
    batch_free(s.rows);
}

/* A connection that is closed with rows under way rolls them back. */
Test(mysql_bulk, closed_while_rows_are_under_way)
{
    struct shape s = {0};

    open_by("auto");
    mysql_fixture_run(&f, "CREATE OR REPLACE TABLE t (n bigint)");
    fill_ints(&s, "t", 0, 3);
    mysql_fixture_run(&f, "START TRANSACTION");
    must_bulk(&s, 3);
    open_by("auto");
    cr_expect_eq(mysql_fixture_int(&f, "SELECT count(*) FROM t"), 0);
    batch_free(s.rows);
}

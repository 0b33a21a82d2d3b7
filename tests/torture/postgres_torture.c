/*
 * What we encode is what the server reads: very many values of every type that is computed on the
 * way, each sent as itself and, beside it, as text that the server turns into the type by its own
 * means. Not one pair may differ.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/hash.h"
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

TestSuite(postgres_torture, .init = setup, .fini = teardown, .timeout = 600);

/* The same numbers in every run, so that a failure can be looked at again. */
static uint64_t state = 88172645463325252u;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t below(uint64_t n)
{
    return draw() % n;
}

static size_t put_digits(char *out, size_t n)
{
    /* Long runs of one digit are where groups of zeros come from. */
    for (size_t i = 0; i < n;) {
        char digit = (char)('0' + (below(3) ? below(10) : 9 * below(2)));
        size_t run = 1 + below(below(4) ? 2 : 9);

        for (; run > 0 && i < n; run--)
            out[i++] = digit;
    }
    return n;
}

/* Canonical: no zeros in front, no minus before zero. */
static void draw_decimal(char out[static 256])
{
    size_t whole = below(4) ? below(8) : below(60), fraction = below(3) ? below(6) : below(60);
    char digits[128], *at = out;
    bool zero = true;

    put_digits(digits, whole + fraction);
    for (size_t i = 0; i < whole + fraction; i++)
        zero &= digits[i] == '0';
    if (!zero && below(2))
        *at++ = '-';
    if (whole > 0 && digits[0] == '0')
        digits[0] = '1'; /* no longer zero either, which needs no sign */
    if (whole == 0)
        *at++ = '0';
    memcpy(at, digits, whole);
    at += whole;
    if (fraction > 0) {
        *at++ = '.';
        memcpy(at, digits + whole, fraction);
        at += fraction;
    }
    *at = '\0';
}

#define assert_rows(sql, expected)                         \
    do {                                                   \
        const char *got_ = postgres_fixture_rows(&f, sql); \
        cr_assert_str_eq(got_, expected, "%s", got_);      \
    } while (0)

/* Sends n values of a type, drawn by `put`, beside their text. */
static void compare(enum type type, const char *declared, int n,
                    void (*put)(struct rows *r, char text[static 256]))
{
    char text[256];
    struct rows r;

    postgres_fixture_sql(&f, arena_printf(f.mem,
                                          "drop table if exists t;"
                                          "create table t(c0 %s, c1 text)",
                                          declared));
    rows_init_plain(&r, &f, type, TYPE_STRING);
    postgres_fixture_run(&f, "BEGIN");
    for (int i = 0; i < n; i++) {
        put(&r, text);
        batch_put_text(r.batch, 1, text, strlen(text));
        batch_end_row(r.batch);
        if (!batch_is_full(r.batch) && i + 1 < n)
            continue;
        cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
        batch_clear(r.batch);
    }
    postgres_fixture_run(&f, "COMMIT");
    assert_rows("select count(*) from t", arena_printf(f.mem, "%d", n));
    rows_free(&r);
}

static void put_decimal(struct rows *r, char text[static 256])
{
    draw_decimal(text);
    batch_put_text(r->batch, 0, text, strlen(text));
}

Test(postgres_torture, numerics)
{
    compare(TYPE_DECIMAL, "numeric", 300000, put_decimal);
    assert_rows("select c1, c0 from t where c0::text <> c1 or c0 is distinct from c1::numeric"
                " limit 5",
                "");
}

static void put_double(struct rows *r, char text[static 256])
{
    double v;
    uint64_t bits = draw();

    /* Every other one is a number that people write. */
    memcpy(&v, &bits, sizeof v);
    if (below(2))
        v = (double)(int64_t)below(2000000) / 1000 - 1000;
    text[value_format_float(v, 64, text)] = '\0';
    batch_put_double(r->batch, 0, v);
}

Test(postgres_torture, floats)
{
    compare(TYPE_FLOAT, "double precision", 300000, put_double);
    assert_rows("select c1, c0 from t where float8send(c0) <> float8send(c1::float8)"
                " and c1 <> 'NaN' limit 5",
                "");
}

static void put_date(struct rows *r, char text[static 256])
{
    int64_t days = (int64_t)below(3652059) - 719162; /* years 1 to 9999 */

    text[value_format_date(days, text)] = '\0';
    batch_put_int64(r->batch, 0, days);
}

Test(postgres_torture, dates)
{
    compare(TYPE_DATE, "date", 200000, put_date);
    assert_rows("select c1, c0 from t where c0 is distinct from c1::date limit 5", "");
}

static void put_timestamp(struct rows *r, char text[static 256])
{
    int64_t us = ((int64_t)below(3652059) - 719162) * 86400000000 + (int64_t)below(86400000000);

    text[value_format_timestamp(us, text)] = '\0';
    batch_put_int64(r->batch, 0, us);
}

Test(postgres_torture, timestamps)
{
    compare(TYPE_TIMESTAMP, "timestamp", 200000, put_timestamp);
    assert_rows("select c1, c0 from t where c0 is distinct from c1::timestamp limit 5", "");
}

static void put_interval(struct rows *r, char text[static 256])
{
    struct interval v = {.months = (int32_t)below(4000) - 2000,
                         .days = (int32_t)below(4000) - 2000,
                         .micros = (int64_t)below(400000000000) - 200000000000};

    if (below(4) == 0)
        v.micros -= v.micros % 1000000;
    text[value_format_interval(v, text)] = '\0';
    batch_put_interval(r->batch, 0, v);
}

Test(postgres_torture, intervals)
{
    compare(TYPE_INTERVAL, "interval", 200000, put_interval);
    assert_rows("set intervalstyle = iso_8601; select c1, c0 from t where interval_send(c0) <>"
                " interval_send(c1::interval) limit 5",
                "");
}

static void put_int(struct rows *r, char text[static 256])
{
    int64_t v = (int64_t)(draw() >> below(64));

    if (below(2))
        v = -v;
    snprintf(text, 256, "%lld", (long long)v);
    batch_put_int64(r->batch, 0, v);
}

Test(postgres_torture, integers)
{
    compare(TYPE_INT, "bigint", 200000, put_int);
    assert_rows("select c1, c0 from t where c0 is distinct from c1::bigint limit 5", "");
}

/* Into a column of fewer decimals a value goes unaltered or not at all. */
Test(postgres_torture, numerics_that_a_column_would_round)
{
    int kept = 0;

    postgres_fixture_sql(&f, "create table t(c0 numeric(12,3), c1 text)");
    for (int i = 0; i < 3000; i++) {
        char text[256];
        struct rows r;
        bool fits;

        rows_init_plain(&r, &f, TYPE_DECIMAL, TYPE_STRING);
        draw_decimal(text);
        rows_put(&r, (const char *[]){text, text});
        postgres_fixture_run(&f, "BEGIN");
        fits = rows_send(&r) == 0 && sql_exec(f.conn, "COMMIT", &r.err) == 0;
        if (!fits)
            postgres_fixture_run(&f, "ROLLBACK");
        kept += fits;
        rows_free(&r);
    }
    assert_rows("select c1, c0 from t where c0 is distinct from c1::numeric limit 5", "");
    assert_rows("select count(*) from t", arena_printf(f.mem, "%d", kept));
    cr_assert(kept > 300 && kept < 2700, "%d", kept);
}

/* precision, scale, coefficient, expected */
Test(postgres_torture, the_table_of_numerics)
{
    struct column_type types[] = {type_plain(TYPE_DECIMAL), type_plain(TYPE_STRING),
                                  type_plain(TYPE_DECIMAL)};
    const char *folder = getenv("CONNECTORD_FIXTURES");
    char line[256], column[64] = "";
    struct rows r;
    int n = 0;
    FILE *file;

    if (!folder)
        cr_skip_test("skipped: CONNECTORD_FIXTURES is not set");
    file = fopen(arena_printf(f.mem, "%s/postgres/numeric_roundtrip_fixtures.csv", folder), "r");
    cr_assert(file, "the table of numerics is not in the folder of fixtures");
    cr_assert(fgets(line, sizeof line, file));
    rows_init(&r, &f, types, 3);
    postgres_fixture_sql(&f, "create table seen(v numeric, shown text, free numeric)");
    while (fgets(line, sizeof line, file)) {
        char precision[16], scale[16], expected[64], declared[64];

        line[strcspn(line, "\r\n")] = '\0';
        cr_assert_eq(sscanf(line, "%15[^,],%15[^,],%*[^,],%63s", precision, scale, expected), 3);
        snprintf(declared, sizeof declared, "numeric(%s,%s)", precision, scale);
        if (strcmp(declared, column) != 0 || batch_is_full(r.batch)) {
            if (n > 0) {
                cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
                postgres_fixture_run(&f, "COMMIT");
            }
            batch_clear(r.batch);
            snprintf(column, sizeof column, "%s", declared);
            postgres_fixture_sql(&f, arena_printf(f.mem,
                                                  "do 'begin if to_regclass(''t'') is not null then"
                                                  " insert into seen select * from t;"
                                                  " drop table t; end if; end';"
                                                  "create table t(c0 %s, c1 text, c2 numeric)",
                                                  declared));
            postgres_fixture_run(&f, "BEGIN");
        }
        rows_put(&r, (const char *[]){expected, expected, expected});
        n++;
    }
    fclose(file);
    cr_assert_eq(rows_send(&r), 0, "%s", r.err.message);
    postgres_fixture_run(&f, "COMMIT");
    rows_free(&r);
    postgres_fixture_sql(&f, "insert into seen select * from t");
    assert_rows("select count(*) from seen", arena_printf(f.mem, "%d", n));
    assert_rows("select v, shown, free from seen where v is distinct from shown::numeric or"
                " free::text <> shown limit 5",
                "");
    cr_assert_gt(n, 100000);
}

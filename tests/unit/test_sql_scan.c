/*
 * Scans with filters, queries and casts, in every dialect, against tests/golden/scan; the plain
 * ones are in test_sql_statement. CONNECTORD_GOLDEN=write in the environment writes the files anew.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/sql/scan.h"
#include "connectors/sql/statement.h"

static const struct sql_dialect *const dialects[] = {&sql_sqlite, &sql_postgres, &sql_mysql};

/* clang-format off */
static const struct column columns[] = {
    {.name = "id",      .type = {.type = TYPE_INT}},
    {.name = "na\"me",  .type = {.type = TYPE_STRING}},
    {.name = "updated", .type = {.type = TYPE_TIMESTAMPTZ}},
};
static const struct filter_value one[] = {{.number = 1, .real = 0.5, .text = {"1", 1}}};
static const struct filter_value three[] = {{.text = {"a", 1}}, {.text = {"b", 1}}, {.text = {"", 0}}};
static const struct row_filter ops[] = {
    {"c`o\"l", {.type = TYPE_INT}, FILTER_EQ, one, 1},
    {"c",      {.type = TYPE_INT}, FILTER_NE, one, 1},
    {"c",      {.type = TYPE_INT}, FILTER_LT, one, 1},
    {"c",      {.type = TYPE_INT}, FILTER_LE, one, 1},
    {"c",      {.type = TYPE_INT}, FILTER_GT, one, 1},
    {"c",      {.type = TYPE_INT}, FILTER_GE, one, 1},
    {"s",      {.type = TYPE_STRING}, FILTER_IN, three, 3},
    {"s",      {.type = TYPE_STRING}, FILTER_NOT_IN, one, 1},
    {"j",      {.type = TYPE_JSON}, FILTER_IS_NULL, NULL, 0},
    {"d",      {.type = TYPE_DATE}, FILTER_IS_NOT_NULL, NULL, 0},
};
static const struct row_filter types[] = {
    {"c", {.type = TYPE_BOOL}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_INT}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_DECIMAL}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_FLOAT}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_STRING}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_BYTES}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_DATE}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_TIME}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_TIMESTAMP}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_TIMESTAMPTZ}, FILTER_EQ, one, 1},
    {"c", {.type = TYPE_UUID}, FILTER_EQ, one, 1},
};
/* clang-format on */
#define N_OPS   (sizeof ops / sizeof ops[0])
#define N_TYPES (sizeof types / sizeof types[0])

static const struct schema schema = {columns, 3, NULL, 0};
static const char *const key[] = {"id", "na\"me"};
static struct sql_value params[SQL_SCAN_PARAMS];

static void put(const struct sql_dialect *d, const struct sql_scan *s, const char *what,
                struct buf *all)
{
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);
    size_t n = sql_put_scan(d, s, &out, params);

    cr_assert_not(out.failed);
    buf_printf(all, "-- %s (%zu parameters)\n%s;\n\n", what, n, buf_str(&out));
    buf_release(&out);
}

static void put_scans(const struct sql_dialect *d, struct buf *all)
{
    static const char *const cast[] = {NULL, "{column}::text", "CAST({column} AS char)"};
    static const char *const key_cast[] = {"{column}::text", NULL};
    static const struct sql_value at[] = {{.kind = SQL_INT}, {.kind = SQL_TEXT}};
    struct sql_scan s = {.schema = "shop", .table = "orders", .columns = &schema};
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    s.filters = ops;
    s.n_filters = N_OPS;
    put(d, &s, "every operator", all);
    s.filters = types;
    s.n_filters = N_TYPES;
    put(d, &s, "every type", all);
    s.filters = ops;
    s.n_filters = 1;
    s.key = key;
    s.n_key = 2;
    s.window = SQL_WINDOW_RANGE;
    s.cursor = "updated";
    s.cursor_type = TYPE_TIMESTAMPTZ;
    s.has_lower = s.after_cursor = s.after_key = true;
    s.resume_key = at;
    s.hint = "2024-01-01";
    put(d, &s, "a filter in a window that is continued", all);
    cr_assert_gt(sql_put_scan_count(d, &s, &out, params), 0);
    buf_printf(all, "-- the same, counted\n%s;\n\n", buf_str(&out));
    buf_clear(&out);
    (void)sql_put_scan_max(d, &s, &out, params);
    buf_printf(all, "-- the greatest cursor, whatever the filter\n%s;\n\n", buf_str(&out));
    s = (struct sql_scan){.schema = "",
                          .table = "daily",
                          .columns = &schema,
                          .query = "SELECT 1 AS id -- all of them"};
    put(d, &s, "a query", all);
    s.filters = &ops[8];
    s.n_filters = 1;
    put(d, &s, "a query and a filter", all);
    s = (struct sql_scan){.schema = "shop",
                          .table = "orders",
                          .columns = &schema,
                          .key = key,
                          .n_key = 2,
                          .cast = cast,
                          .key_cast = key_cast};
    put(d, &s, "casts", all);
    buf_release(&out);
}

static void compare(const char *name, const struct buf *all)
{
    struct buf golden = BUF_INIT((size_t)1 << 20);
    char path[100];
    FILE *f;
    int c;

    snprintf(path, sizeof path, "tests/golden/scan/%s.sql", name);
    if (getenv("CONNECTORD_GOLDEN")) {
        f = fopen(path, "w");
        cr_assert_not_null(f);
        fwrite(all->data, 1, all->len, f);
        fclose(f);
    }
    f = fopen(path, "r");
    cr_assert_not_null(f, "%s is missing", path);
    while ((c = fgetc(f)) != EOF)
        buf_putc(&golden, (char)c);
    fclose(f);
    cr_assert_str_eq(buf_str(all), buf_str(&golden), "%s differs", path);
    buf_release(&golden);
}

Test(scan, is_what_the_golden_files_say)
{
    for (size_t i = 0; i < 3; i++) {
        struct buf all = BUF_INIT((size_t)1 << 20);

        put_scans(dialects[i], &all);
        compare(dialects[i]->name, &all);
        buf_release(&all);
    }
}

Test(scan, gives_filter_values_the_kind_and_type_of_their_column)
{
    static const enum sql_kind kinds[N_TYPES] = {
        SQL_INT, SQL_INT,  SQL_TEXT, SQL_REAL, SQL_TEXT, SQL_BLOB,
        SQL_INT, SQL_TEXT, SQL_INT,  SQL_INT,  SQL_TEXT,
    };
    const struct sql_scan s = {
        .schema = "", .table = "t", .columns = &schema, .filters = types, .n_filters = N_TYPES};
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    cr_assert_eq(sql_put_scan(&sql_postgres, &s, &out, params), N_TYPES);
    for (size_t i = 0; i < N_TYPES; i++) {
        cr_assert_eq(params[i].kind, kinds[i], "%zu", i);
        cr_assert_eq(params[i].type, &types[i].type);
    }
    cr_assert_eq(params[0].number, 1);
    cr_assert_eq(params[3].real, 0.5);
    cr_assert_eq(params[5].bytes.len, 1);
    buf_release(&out);
}

/* The widest key, continued, under as many values as a filter may have. */
Test(scan, has_room_for_every_parameter)
{
    static struct filter_value values[FILTER_MAX_VALUES];
    static const char *names[64];
    static struct sql_value at[64];
    const struct row_filter many = {"c", {.type = TYPE_INT}, FILTER_IN, values, FILTER_MAX_VALUES};
    struct sql_scan s = {.schema = "",
                         .table = "t",
                         .columns = &schema,
                         .filters = &many,
                         .n_filters = 1,
                         .key = names,
                         .n_key = 64,
                         .resume_key = at,
                         .window = SQL_WINDOW_RANGE,
                         .cursor = "c",
                         .cursor_type = TYPE_DATE,
                         .has_lower = true,
                         .after_cursor = true,
                         .after_key = true,
                         .hint = "2024-01-01"};

    for (size_t i = 0; i < 64; i++)
        names[i] = "k";
    for (size_t i = 0; i < 3; i++) {
        struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

        cr_assert_leq(sql_put_scan(dialects[i], &s, &out, params), SQL_SCAN_PARAMS);
        cr_assert_not(out.failed);
        buf_release(&out);
    }
}

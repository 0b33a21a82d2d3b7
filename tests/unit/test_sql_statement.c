/*
 * Every statement of every dialect against tests/golden/sql. CONNECTORD_GOLDEN=write in the
 * environment writes the files anew; the difference is then read by a person.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/sql/scan.h"
#include "connectors/sql/statement.h"

/* clang-format off */
static const struct sql_column columns[] = {
    {"id",              {.type = TYPE_INT},                                  SQL_ROLE_KEY},
    {"re\"gi`on",       {.type = TYPE_STRING},                               SQL_ROLE_KEY},
    {"paid",            {.type = TYPE_BOOL},                                 SQL_ROLE_DATA},
    {"price",           {.type = TYPE_DECIMAL, .precision = 15, .scale = 2}, SQL_ROLE_DATA},
    {"exact",           {.type = TYPE_DECIMAL},                              SQL_ROLE_DATA},
    {"ratio",           {.type = TYPE_FLOAT, .bits = 64},                    SQL_ROLE_DATA},
    {"small",           {.type = TYPE_FLOAT, .bits = 32},                    SQL_ROLE_DATA},
    {"raw",             {.type = TYPE_BYTES},                                SQL_ROLE_DATA},
    {"day",             {.type = TYPE_DATE},                                 SQL_ROLE_DATA},
    {"at",              {.type = TYPE_TIME},                                 SQL_ROLE_DATA},
    {"seen",            {.type = TYPE_TIMESTAMP},                            SQL_ROLE_DATA},
    {"updated",         {.type = TYPE_TIMESTAMPTZ},                          SQL_ROLE_DATA},
    {"span",            {.type = TYPE_INTERVAL},                             SQL_ROLE_DATA},
    {"ref",             {.type = TYPE_UUID},                                 SQL_ROLE_DATA},
    {"extra",           {.type = TYPE_JSON},                                 SQL_ROLE_DATA},
    {"_connectord_synced_at", {.type = TYPE_TIMESTAMPTZ},                    SQL_ROLE_STAMP},
};
static const struct sql_column key_only[] = {{"a", {.type = TYPE_INT}, SQL_ROLE_KEY},
                                             {"b", {.type = TYPE_INT}, SQL_ROLE_KEY}};
/* Columns of others: one whose type text is cast to, one without equality. */
static const struct sql_column foreign[] = {
    {"id",   {.type = TYPE_INT},    SQL_ROLE_KEY,  "integer", false},
    {"mood", {.type = TYPE_STRING}, SQL_ROLE_DATA, "\"Mood\"", true},
    {"doc",  {.type = TYPE_JSON},   SQL_ROLE_DATA, "json", false},
};
static const struct column scan_columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}}, {.name = "na\"me", .type = {.type = TYPE_STRING}},
    {.name = "updated", .type = {.type = TYPE_TIMESTAMP}},
};
/* clang-format on */
#define N_COLUMNS (sizeof columns / sizeof columns[0])

static const struct sql_dialect *const dialects[] = {&sql_sqlite, &sql_postgres, &sql_mysql};

static void end(struct buf *out, const char *what, struct buf *all)
{
    cr_assert_not(out->failed);
    buf_printf(all, "-- %s\n%s;\n\n", what, buf_str(out));
    buf_clear(out);
}

static void put_tables(const struct sql_dialect *d, struct buf *all)
{
    struct sql_table t = {"shop", "orders", columns, N_COLUMNS};
    struct sql_column text = {"note", {.type = TYPE_STRING}, SQL_ROLE_DATA};
    const struct sql_column both[] = {text, {"grade", {.type = TYPE_INT}, SQL_ROLE_DATA}};
    const struct sql_table constants = {"", "_connectord_older", both, 2};
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    sql_put_create(d, &t, SQL_CREATE_PLAIN, &out);
    end(&out, "create", all);
    if (!d->ddl_in_transaction) {
        sql_put_create_indexed(d, &t, SQL_CREATE_OURS, "_connectord_key_1", &out);
        end(&out, "create with its key", all);
    }
    sql_put_key_index(d, &t, "_connectord_key_1", &out);
    end(&out, "index the key", all);
    if (d->promote_key) {
        sql_put_promote_key(d, &t, "_connectord_key_1", &out);
        end(&out, "make the index the primary key", all);
    }
    sql_put_drop_index(d, "shop", "orders", "_connectord_key_1", &out);
    end(&out, "drop the index", all);
    sql_put_add_column(d, &t, &text, &out);
    end(&out, "add a column", all);
    if (d->quote_value) {
        sql_put_drop_default(d, &t, &text, &out);
        end(&out, "and take its default from it", all);
    }
    sql_put_fill(d, &t, &constants, &out);
    end(&out, "fill columns", all);
    sql_put_rename_column(d, &t, "memo", "note", &out);
    end(&out, "rename a column", all);
    if (d->widen == SQL_WIDEN_ALTER) {
        sql_put_widen(d, &t, &text, TYPE_INT, &out);
        end(&out, "widen a column", all);
        sql_put_widen(d, &t, &text, TYPE_TIMESTAMPTZ, &out);
        end(&out, "widen an instant to text", all);
        if (sql_put_widen_after(d, &t, &text, TYPE_TIMESTAMPTZ, &out))
            end(&out, "and write it as we do", all);
        cr_assert_not(sql_put_widen_after(d, &t, &text, TYPE_INT, &out));
    }
    sql_put_drop(d, "shop", "orders", &out);
    end(&out, "drop", all);
    sql_put_rename(d, "shop", "orders__g2", "orders", &out);
    end(&out, "rename", all);
    if (d->swap == SQL_SWAP_EXCHANGE) {
        sql_put_exchange(d, "shop", "orders", "orders__g1", "orders__g2", &out);
        end(&out, "exchange", all);
    }
    sql_put_delete_all(d, "shop", "orders", &out);
    end(&out, "delete all", all);
    sql_put_count(d, "", "or\"ders", &out);
    end(&out, "count, default schema", all);
    sql_put_count_repeated(d, &t, &out);
    end(&out, "count repeated keys", all);
    if (d->row_id[0]) {
        sql_put_fold_loaded(d, &t, d->row_id[0], &out);
        end(&out, "fold a loaded table", all);
    }
    sql_put_insert_select(d, &t, "orders__g2", &out);
    end(&out, "copy all rows", all);
    buf_release(&out);
}

static void put_merges(const struct sql_dialect *d, struct buf *all)
{
    struct sql_column staged[N_COLUMNS + 1] = {
        {"_connectord_order", {.type = TYPE_INT}, SQL_ROLE_ORDER}};
    struct sql_table t = {"shop", "orders", columns, N_COLUMNS};
    struct sql_table stage = {"", "_connectord_stage_0", staged, N_COLUMNS + 1};
    struct sql_table keys = {"", "pairs", key_only, 2};
    static const struct sql_span part = {5, 9};
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    memcpy(staged + 1, columns, sizeof columns);
    sql_put_create(d, &stage, SQL_CREATE_STAGE, &out);
    end(&out, "create a staging table", all);
    sql_put_drop_stage(d, stage.name, &out);
    end(&out, "drop a staging table", all);
    if (d->update == SQL_UPDATE_JOIN) {
        sql_put_fold_note(d, &stage, "_connectord_kept", SQL_KEEP_FIRST, &out);
        end(&out, "fold, note the first of each key", all);
        sql_put_fold_rest(d, &stage, "_connectord_kept", &out);
        end(&out, "fold, delete the others", all);
    } else {
        sql_put_fold(d, &stage, SQL_KEEP_LAST, &out);
        end(&out, "fold, the last wins", all);
        sql_put_fold(d, &stage, SQL_KEEP_FIRST, &out);
        end(&out, "fold, the first wins", all);
    }
    if (d->merge == SQL_MERGE_UPSERT) {
        sql_put_upsert(d, &t, &stage, true, &out);
        end(&out, "merge over the index of the key", all);
        sql_put_upsert(d, &t, &stage, false, &out);
        end(&out, "insert what is missing over the index of the key", all);
    }
    cr_assert(sql_put_merge_update(d, &t, &stage, NULL, &out));
    end(&out, "merge: rewrite what differs", all);
    sql_put_merge_insert(d, &t, &stage, &part, &out);
    end(&out, "merge: insert what is missing, a part", all);
    sql_put_delete_missing(d, &t, &stage, &out);
    end(&out, "delete what is missing", all);
    cr_assert_not(sql_put_merge_update(d, &keys, &keys, NULL, &out), "only keys: nothing differs");
    cr_assert_eq(out.len, 0);
    for (size_t i = 0; i < 3; i++)
        staged[i + 1] = foreign[i];
    stage.n_columns = 4;
    cr_assert(sql_put_merge_update(d, &t, &stage, &part, &out));
    end(&out, "rewrite in a table of others, a part", all);
    sql_put_stage_insert(d, &t, &stage, &part, &out);
    end(&out, "insert into a table of others, a part", all);
    sql_put_stage_from(d, &stage, "shop", "orders__g2", &out);
    end(&out, "number the rows of a generation", all);
    if (sql_put_stage_index(d, &stage, &out))
        end(&out, "index the numbers", all);
    sql_put_stage_row(d, &stage, 7, &out);
    end(&out, "what a staged row was", all);
    buf_release(&out);
}

static void put_inserts(const struct sql_dialect *d, struct buf *all)
{
    static const struct sql_bulk_column fill[] = {
        {.fill = SQL_FILL_COLUMN}, {.fill = SQL_FILL_TEXT}, {.fill = SQL_FILL_META}};
    struct sql_table t = {"shop", "orders", columns, 3};
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    sql_put_insert(d, &t, NULL, 2, &out);
    end(&out, "insert two rows", all);
    sql_put_insert(d, &t, fill, 2, &out);
    end(&out, "insert two rows that share a value", all);
    buf_release(&out);
}

static void put_state(const struct sql_dialect *d, struct buf *all)
{
    struct sql_table state = sql_state_table("shop"), bad = sql_quarantine_table("shop");
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    sql_put_create(d, &state, SQL_CREATE_KEYED, &out);
    end(&out, "create the state table", all);
    sql_put_create(d, &bad, SQL_CREATE_OURS, &out);
    end(&out, "create the quarantine", all);
    sql_put_state_select(d, "shop", &out);
    end(&out, "read the state", all);
    sql_put_owners_select(d, "shop", &out);
    end(&out, "whose table is it", all);
    sql_put_state_update(d, "shop", &out);
    end(&out, "commit the state", all);
    sql_put_state_delete(d, "shop", &out);
    end(&out, "forget the state", all);
    sql_put_quarantine_delete(d, "shop", &out);
    end(&out, "forget the quarantine", all);
    buf_release(&out);
}

static void put_scan(const struct sql_dialect *d, const struct sql_scan *s, const char *what,
                     struct buf *all)
{
    struct sql_value params[SQL_SCAN_PARAMS];
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);
    size_t n = sql_put_scan(d, s, &out, params);
    char title[100];

    snprintf(title, sizeof title, "scan: %s (%zu parameters)", what, n);
    end(&out, title, all);
    buf_release(&out);
}

static void put_scans(const struct sql_dialect *d, struct buf *all)
{
    static const struct schema schema = {scan_columns, 3, NULL, 0};
    static const char *const key[] = {"id", "na\"me"};
    static const struct sql_value at[] = {{.kind = SQL_INT}, {.kind = SQL_TEXT}};
    struct sql_scan s = {.schema = "shop", .table = "orders", .columns = &schema};
    struct sql_value params[SQL_SCAN_PARAMS];
    struct buf out = BUF_INIT(SQL_MAX_STATEMENT);

    put_scan(d, &s, "everything, without a key", all);
    s.key = key;
    s.n_key = 2;
    put_scan(d, &s, "everything by key", all);
    s.after_key = true;
    s.resume_key = at;
    put_scan(d, &s, "behind a key", all);
    s.window = SQL_WINDOW_NULL;
    s.cursor = "updated";
    s.cursor_type = TYPE_TIMESTAMP;
    put_scan(d, &s, "no cursor, behind a key", all);
    s.after_key = false;
    s.window = SQL_WINDOW_RANGE;
    put_scan(d, &s, "first run", all);
    s.has_lower = true;
    s.hint = "2024-01-01";
    put_scan(d, &s, "a window", all);
    s.after_cursor = s.after_key = true;
    put_scan(d, &s, "behind cursor and key", all);
    s.n_key = 0;
    s.after_key = false;
    put_scan(d, &s, "behind a cursor, without a key", all);
    sql_put_scan_count(d, &s, &out, params);
    end(&out, "count a window", all);
    sql_put_scan_max(d, &s, &out, params);
    end(&out, "the greatest time", all);
    s.cursor = "id";
    s.cursor_type = TYPE_INT;
    s.hint = NULL;
    sql_put_scan_max(d, &s, &out, params);
    end(&out, "the greatest number", all);
    buf_release(&out);
}

static void compare(const struct sql_dialect *d, const struct buf *all)
{
    char path[100];
    struct buf golden = BUF_INIT((size_t)1 << 20);
    FILE *f;
    int c;

    snprintf(path, sizeof path, "tests/golden/sql/%s.sql", d->name);
    if (getenv("CONNECTORD_GOLDEN")) {
        f = fopen(path, "w");
        cr_assert_not_null(f);
        fwrite(all->data, 1, all->len, f);
        fclose(f);
    }
    f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    while ((c = getc(f)) != EOF)
        buf_putc(&golden, (char)c);
    fclose(f);
    cr_assert_str_eq(buf_str(all), buf_str(&golden), "%s differs; see the head of this file", path);
    buf_release(&golden);
}

Test(statement, is_what_the_golden_files_say)
{
    for (size_t i = 0; i < 3; i++) {
        struct buf all = BUF_INIT((size_t)1 << 20);

        put_tables(dialects[i], &all);
        put_merges(dialects[i], &all);
        put_inserts(dialects[i], &all);
        put_state(dialects[i], &all);
        put_scans(dialects[i], &all);
        compare(dialects[i], &all);
        buf_release(&all);
    }
}

static void format(const struct sql_dialect *d, struct column_type type,
                   char out[static SQL_TYPE_BYTES])
{
    const struct sql_column column = {.name = "c", .type = type};
    const struct sql_table table = {"", "t", &column, 1};

    sql_column_type(d, &table, &column, out);
}

Test(dialect, has_a_column_type_for_every_logical_type)
{
    for (size_t i = 0; i < 3; i++) {
        for (int t = 0; t < TYPE_COUNT; t++) {
            char text[SQL_TYPE_BYTES];

            cr_assert_not_null(dialects[i]->type[t], "%s has no %s", dialects[i]->name,
                               type_name((enum type)t));
            format(dialects[i], type_plain((enum type)t), text);
            cr_assert_str_eq(text, dialects[i]->type[t]);
        }
        cr_assert_not_null(dialects[i]->columns_query);
        cr_assert_not_null(dialects[i]->dependents_query);
        cr_assert_not_null(dialects[i]->tables_query);
        cr_assert_not_null(dialects[i]->key_index_query);
        cr_assert_eq(dialects[i]->has_schemas, dialects[i]->schema_query != NULL);
        cr_assert_eq(dialects[i]->swap == SQL_SWAP_REMAKE, dialects[i]->attached_query != NULL);
        cr_assert_eq(dialects[i]->swap == SQL_SWAP_CARRY, dialects[i]->carry_query[0] != NULL);
        cr_assert((dialects[i]->widen == SQL_WIDEN_ALTER) == (dialects[i]->widen_column != NULL));
    }
}

Test(dialect, shares_an_index_entry_among_the_texts_of_a_key)
{
    struct sql_column c[] = {{"a", {.type = TYPE_STRING}, SQL_ROLE_KEY},
                             {"b", {.type = TYPE_INT}, SQL_ROLE_KEY},
                             {"c", {.type = TYPE_STRING}, SQL_ROLE_DATA},
                             {"d", {.type = TYPE_DECIMAL, .precision = 5}, SQL_ROLE_KEY}};
    struct sql_table t = {"", "t", c, 1};

    cr_assert_eq(sql_key_characters(&sql_mysql, &t), 768);
    t.n_columns = 3;
    cr_assert_eq(sql_key_characters(&sql_mysql, &t), 758);
    t.n_columns = 4;
    cr_assert_eq(sql_key_characters(&sql_mysql, &t), 748, "a decimal is no text");
    c[2].role = SQL_ROLE_KEY;
    cr_assert_eq(sql_key_characters(&sql_mysql, &t), 374);
    cr_assert_eq(sql_key_characters(&sql_sqlite, &t), 0);
    cr_assert_eq(sql_key_characters(&sql_postgres, &t), 0);
}

Test(dialect, doubles_the_quote_inside_a_name)
{
    struct buf out = BUF_INIT(100);

    sql_put_name(&sql_sqlite, "a\"b`c", &out);
    cr_assert_str_eq(buf_str(&out), "\"a\"\"b`c\"");
    buf_clear(&out);
    sql_put_name(&sql_mysql, "a\"b`c", &out);
    cr_assert_str_eq(buf_str(&out), "`a\"b``c`");
    buf_release(&out);
}

/* Q3: the shapes of CVE-2025-1094: in one encoding or another the quote, or a backslash before it,
 * would be the second half of a character. */
Test(dialect, refuses_a_name_in_a_broken_encoding)
{
    static const char *const broken[] = {
        "\xc0\"; drop table x; --",
        "\xc3\"",
        "\xe2\"",
        "\xe2\x82\"",
        "\xf0\"",
        "\xf0\x9f\"",
        "\xf0\x9f\x98`",
        "\xf8\"",
        "\x80",
        "a\xbf\"",
        "\xff",
        "\xfe`",
        "\xbf\x5c\"" /* GBK */,
        "\x95\x5c`" /* SJIS */,
        "\xa5\x5c\"" /* BIG5 */,
        "\x8f\xa2\"" /* EUC_JP */,
        "\x81\"" /* GB18030, UHC, JOHAB */,
        "\xc0\xaf" /* overlong */,
        "\xc0\x80",
        "\xe0\x80\xa2",
        "\xf0\x80\x80\xa2",
        "\xed\xa0\x80" /* a surrogate */,
        "\xf4\x90\x80\x80",
        "end\xc3",
    };

    for (size_t k = 0; k < sizeof dialects / sizeof *dialects; k++) {
        for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
            CLEANUP(buf_release) struct buf out = BUF_INIT(1000);
            struct error err = ERROR_INIT;

            buf_puts(&out, "DROP TABLE ");
            sql_put_table(dialects[k], "s", broken[i], &out);
            buf_puts(&out, " CASCADE");
            cr_expect_eq(buf_ok(&out, "a statement", &err), -1, "%zu", i);
            cr_expect_eq(err.code, ERR_DATA);
            cr_expect_str_eq(err.message, "a statement has a name that is not UTF-8");
            cr_expect_null(strstr(buf_str(&out), broken[i]));
        }
    }
}

Test(dialect, quotes_a_type_that_may_be_any_text)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1000);

    sql_put_declared(&sql_sqlite, "int); drop table \"b\"; --", &out);
    sql_put_declared(&sql_postgres, "numeric(3,1)", &out);
    cr_expect_str_eq(buf_str(&out), "\"int); drop table \"\"b\"\"; --\"numeric(3,1)");
}

Test(dialect, fits_decimals_into_mysql_where_they_fit)
{
    char text[SQL_TYPE_BYTES];
    struct column_type t = {.type = TYPE_DECIMAL, .precision = 65, .scale = 30};

    format(&sql_mysql, t, text);
    cr_assert_str_eq(text, "decimal(65,30)");
    t = (struct column_type){.type = TYPE_DECIMAL, .precision = 66};
    format(&sql_mysql, t, text);
    cr_assert_str_eq(text, "longtext CHARACTER SET utf8mb4");
    t = (struct column_type){.type = TYPE_DECIMAL, .precision = 65, .scale = 31};
    format(&sql_mysql, t, text);
    cr_assert_str_eq(text, "longtext CHARACTER SET utf8mb4");
}

Test(dialect, knows_how_many_digits_fit)
{
    struct sql_column c = {"n", {.type = TYPE_DECIMAL, .precision = 10, .scale = 2}, SQL_ROLE_DATA};
    size_t whole, fraction;

    cr_assert_not(sql_decimal_room(&sql_sqlite, &c, &whole, &fraction), "text holds everything");
    cr_assert(sql_decimal_room(&sql_mysql, &c, &whole, &fraction));
    cr_assert(whole == 63 && fraction == 2);
    cr_assert(sql_decimal_room(&sql_postgres, &c, &whole, &fraction));
    cr_assert(whole == 131072 && fraction == 16383);
    c.declared = "numeric(10,2)";
    cr_assert(sql_decimal_room(&sql_postgres, &c, &whole, &fraction));
    cr_assert(whole == 8 && fraction == 2);
    c = (struct sql_column){"n", {.type = TYPE_DECIMAL}, SQL_ROLE_DATA};
    cr_assert_not(sql_decimal_room(&sql_mysql, &c, &whole, &fraction));
}

Test(dialect, reads_the_types_of_foreign_columns)
{
    cr_assert_eq(sql_read_type(&sql_sqlite, "VARCHAR(20)").type, TYPE_STRING);
    cr_assert_eq(sql_read_type(&sql_sqlite, "INTEGER").type, TYPE_INT);
    cr_assert_eq(sql_read_type(&sql_postgres, "text").type, TYPE_STRING);
    cr_assert_eq(sql_read_type(&sql_postgres, "boolean").type, TYPE_BOOL);
    cr_assert_eq(sql_read_type(&sql_postgres, "timestamptz").type, TYPE_TIMESTAMPTZ);
    cr_assert_eq(sql_read_type(&sql_postgres, "tsvector").type, TYPE_STRING);
    cr_assert_eq(sql_read_type(&sql_mysql, "tinyint(1)").type, TYPE_BOOL);
    cr_assert_eq(sql_read_type(&sql_postgres, "character varying(20)").type, TYPE_STRING);
    cr_assert_eq(sql_read_type(&sql_postgres, "timestamp(3) with time zone").type,
                 TYPE_TIMESTAMPTZ);
    cr_assert_eq(sql_read_type(&sql_postgres, "timestamp without time zone").type, TYPE_TIMESTAMP);
    cr_assert_eq(sql_read_type(&sql_postgres, "real").bits, 32);
    cr_assert_eq(sql_read_type(&sql_postgres, "numeric(12,3)").scale, 3);
    cr_assert_eq(sql_read_type(&sql_postgres, "numeric").precision, 0);
    cr_assert_eq(sql_read_type(&sql_postgres, "interval").type, TYPE_INTERVAL);
    cr_assert_eq(sql_read_type(&sql_postgres, "int4range").type, TYPE_STRING);
    cr_assert_eq(sql_read_type(&sql_mysql, "bigint(20) unsigned").precision, 20);
    cr_assert_eq(sql_read_type(&sql_mysql, "int(10) unsigned zerofill").type, TYPE_INT);
    cr_assert_eq(sql_read_type(&sql_mysql, "decimal(65,4)").scale, 4);
    cr_assert_eq(sql_read_type(&sql_mysql, "datetime").type, TYPE_TIMESTAMP);
    cr_assert_eq(sql_read_type(&sql_mysql, "enum('int','b')").type, TYPE_STRING);
}

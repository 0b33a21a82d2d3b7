/*
 * Values that a database may not hold: stored as they are, or left out and kept in quarantine with
 * the reason; never altered, and never a batch that fails, unless the user wants it so. Tables of
 * others that refuse rows.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/target_fixture.h"

static struct target t;

#define ALL_ROWS "select id, v, n from t order by id"

static void release(void)
{
    if (t.mem)
        target_release(&t);
    t.mem = NULL;
}

TestSuite(sql_values, .fini = release);
TestSuite(sql_policies, .fini = release);
TestSuite(sql_adopted, .fini = release);

#define ok(call) cr_assert_eq((call), 0, "%s: %s", engine_names[t.engine], t.err.message)
#define rows_are(sql, text) \
    cr_assert_str_eq(target_text(&t, (sql)), (text), "%s", engine_names[t.engine])

/* What the column holds afterwards, in the words of the database; NULL = the cell is left out. */
struct value {
    const char *type, *text;
    const char *held[ENGINE_COUNT];
    const char *reason; /* where it is left out */
};

/* clang-format off */
#define OUT  NULL
#define SAME(text) {text, text, text}
static const struct value values[] = {
    {"float",  "NaN",       {OUT, "NaN", OUT}, "out_of_range"},
    {"float",  "Infinity",  {"Inf", "Infinity", OUT}, "out_of_range"},
    {"float",  "-Infinity", {"-Inf", "-Infinity", OUT}, "out_of_range"},
    {"float",  "0.1",       SAME("0.1"), NULL},
    {"float32", "0.1",      {"0.100000001490116", "0.1", "0.1"}, NULL},
    {"decimal", "NaN",      {"NaN", "NaN", OUT}, "out_of_range"},
    {"decimal", "Infinity", {"Infinity", "Infinity", OUT}, "out_of_range"},
    {"decimal", "1.10",     SAME("1.10"), NULL},
    {"decimal(10,2)", "12345678.25", SAME("12345678.25"), NULL},
    {"decimal(10,2)", "1.255", {"1.255", "1.255", OUT}, "out_of_range"},
    {"decimal(10,2)", "1.2500", {"1.2500", "1.2500", "1.25"}, NULL},
    {"decimal(65,30)", "12345678901234567890123456789012345.5",
        {"12345678901234567890123456789012345.5", "12345678901234567890123456789012345.5",
         "12345678901234567890123456789012345.500000000000000000000000000000"}, NULL},
    {"decimal(65,30)", "123456789012345678901234567890123456",
        {"123456789012345678901234567890123456", "123456789012345678901234567890123456", OUT},
        "out_of_range"},
    {"int",    "-9223372036854775808", SAME("-9223372036854775808"), NULL},
    {"int",    "9223372036854775807",  SAME("9223372036854775807"), NULL},
    {"string", "",          SAME(""), NULL},
    {"string", "\xf0\x9f\x9a\x80", SAME("\xf0\x9f\x9a\x80"), NULL},
    {"string", "a\\0b",     {"a", OUT, "a"}, "nul"}, /* as far as the text of a test goes */
    {"string", "O'Brien\\\\\"`", SAME("O'Brien\\\"`"), NULL},
    {"date",   "infinity",  {"infinity", "infinity", OUT}, "out_of_range"},
    {"date",   "-infinity", {"-infinity", "-infinity", OUT}, "out_of_range"},
    {"date",   "0000-01-01", {"0000-01-01", "0001-01-01 BC", OUT}, "out_of_range"},
    {"date",   "0000-03-01", {"0000-03-01", "0001-03-01 BC", "0000-03-01"}, NULL},
    {"date",   "-0001-12-31", {"-0001-12-31", "0002-12-31 BC", OUT}, "out_of_range"},
    {"date",   "9999-12-31", SAME("9999-12-31"), NULL},
    {"date",   "+10000-01-01", {"+10000-01-01", "10000-01-01", OUT}, "out_of_range"},
    {"date",   "+5874897-12-31", {"+5874897-12-31", "5874897-12-31", OUT}, "out_of_range"},
    {"date",   "+5874898-01-01", {"+5874898-01-01", OUT, OUT}, "out_of_range"},
    {"date",   "-4713-11-24", {"-4713-11-24", "4714-11-24 BC", OUT}, "out_of_range"},
    {"date",   "-4713-11-23", {"-4713-11-23", OUT, OUT}, "out_of_range"},
    {"time",   "24:00:00",  {"24:00:00", "24:00:00", "24:00:00.000000"}, NULL},
    {"time",   "23:59:59.999999", SAME("23:59:59.999999"), NULL},
    {"timestamp", "infinity", {"infinity", "infinity", OUT}, "out_of_range"},
    {"timestamp", "9999-12-31T23:59:59.999999",
        {"9999-12-31T23:59:59.999999", "9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"},
        NULL},
    {"timestamp", "+10000-01-01T00:00:00",
        {"+10000-01-01T00:00:00", "10000-01-01 00:00:00", OUT}, "out_of_range"},
    {"timestamp", "-4713-11-24T00:00:00",
        {"-4713-11-24T00:00:00", "4714-11-24 00:00:00 BC", OUT}, "out_of_range"},
    {"timestamp", "-4713-11-23T23:59:59.999999",
        {"-4713-11-23T23:59:59.999999", OUT, OUT}, "out_of_range"},
    {"timestamptz", "2024-03-31T02:30:00Z",
        {"2024-03-31T02:30:00Z", "2024-03-31 02:30:00+00", "2024-03-31 02:30:00.000000"}, NULL},
    {"timestamptz", "-infinity", {"-infinity", "-infinity", OUT}, "out_of_range"},
    {"bool",   "true",      {"1", "true", "1"}, NULL},
    {"uuid",   "0F0E0D0C-0B0A-0908-0706-050403020100",
        SAME("0f0e0d0c-0b0a-0908-0706-050403020100"), NULL},
    {"interval", "P1M-2DT3.5S", {"P1M-2DT3.5S", "1 mon -2 days +00:00:03.5", "P1M-2DT3.5S"}, NULL},
    {"json",   "{\"a\": [1\\, 2.50]}",
        {"{\"a\": [1, 2.50]}", "{\"a\": [1, 2.50]}", "{\"a\": [1, 2.50]}"}, NULL},
    {"json",   "\"\\\\u0000\"", {"\"\\u0000\"", OUT, "\"\\u0000\""}, "out_of_range"},
    {"json",   "\"\\\\\\\\u0000\"", {"\"\\\\u0000\"", "\"\\\\u0000\"", "\"\\\\u0000\""}, NULL},
    {"json",   "\"\\\\ud800\"", {"\"\\ud800\"", OUT, OUT}, "out_of_range"},
    {"json",   "\"\\\\ud83d\\\\ude80\"",
        {"\"\\ud83d\\ude80\"", "\"\xf0\x9f\x9a\x80\"", "\"\\ud83d\\ude80\""}, NULL},
    {"json",   "1e20000",   {"1e20000", OUT, "1e20000"}, "out_of_range"},
};
/* clang-format on */

static const char *cell(void)
{
    return target_text(
        &t, target_words(&t, "select x from t", "select x::text from t", "select x from t"));
}

static const char *nested(int depth)
{
    char *s = arena_alloc(t.mem, (size_t)depth * 2 + 1);

    memset(s, '[', (size_t)depth);
    memset(s + depth, ']', (size_t)depth);
    return s;
}

/* One value in a row of its own, and what became of it. */
static void check_value(enum engine engine, const struct value *v)
{
    const char *held = v->held[engine];

    target_exec(&t, "drop table if exists t");
    target_exec(&t, target_words(&t, "drop table if exists _connectord_quarantine",
                                 "drop table if exists _connectord_quarantine",
                                 "drop table if exists _connectord_quarantine"));
    target_set_schema(&t, 0, target_columns(&t, arena_printf(t.mem, "id:int! x:%s", v->type)));
    cr_assert_eq(target_run(&t, arena_printf(t.mem, "1,%s", v->text), NULL), 0, "%s %s %s: %s",
                 engine_names[engine], v->type, v->text, t.err.message);
    if (held && strncmp(held, "a", 2) == 0) { /* behind a NUL a text of this test ends */
        rows_are(
            target_words(&t, "select hex(x) from t", "select x from t", "select hex(x) from t"),
            "610062");
    } else {
        const char *is = cell();

        cr_assert_str_eq(is, held ? held : "~", "%s %s %s: %.200s", engine_names[engine], v->type,
                         v->text, is);
    }
    cr_assert_str_eq(
        target_text(&t, "select reason, \"column\", level from \"_connectord_quarantine\""),
        held ? "" : arena_printf(t.mem, "%s|x|cell", v->reason), "%s %s %s", engine_names[engine],
        v->type, v->text);
    cr_assert_eq(t.did.quarantined_cells, !held);
    cr_assert_eq(t.did.inserted, 1);
}

Test(sql_values, are_held_or_left_out_and_never_altered, .timeout = 300)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        target_init(&t, e, "");
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
            check_value(e, &values[i]);
        release();
    }
}

Test(sql_values, are_json_of_any_depth_that_the_database_bears)
{
    static const int most[ENGINE_COUNT] = {2000, 1000, 31};

    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        target_init(&t, e, "");
        for (int more = 0; more < 2; more++) {
            struct value v = {"json", nested(most[e] + more), {0}, "out_of_range"};

            v.held[e] = more == 0 || e == ENGINE_SQLITE ? v.text : NULL;
            check_value(e, &v);
        }
        release();
    }
}

Test(sql_values, are_decimals_of_as_many_digits_as_the_database_bears)
{
    char *digits;

    target_init(&t, ENGINE_POSTGRES, "");
    digits = arena_alloc(t.mem, 140000);
    for (size_t n = 131072; n <= 131073; n++) {
        struct value v = {"decimal", digits, {0}, "out_of_range"};

        memset(digits, '7', n);
        v.held[ENGINE_POSTGRES] = n == 131072 ? digits : NULL;
        check_value(ENGINE_POSTGRES, &v);
    }
    memset(digits, 0, 140000);
    for (size_t n = 16383; n <= 16384; n++) {
        struct value v = {"decimal", digits, {0}, "out_of_range"};

        memcpy(digits, "0.", 2);
        memset(digits + 2, '7', n);
        v.held[ENGINE_POSTGRES] = n == 16383 ? digits : NULL;
        check_value(ENGINE_POSTGRES, &v);
    }
}

/* The good rows of a batch arrive, whatever is wrong with the others. */
Test(sql_values, spare_the_rows_around_them)
{
    for (enum engine e = ENGINE_POSTGRES; e < ENGINE_COUNT; e++) {
        target_init(&t, e, "");
        target_set_schema(&t, 0,
                          target_columns(&t, "id:int! f:float d:date s:string b:bytes u:uuid"
                                             " i:interval o:bool"));
        ok(target_run(&t,
                      "1,1.5,2024-01-01,x,AAE=,00000000-0000-0000-0000-000000000001,P1D,true;"
                      "2,NaN,infinity,y\\0,AAE=,00000000-0000-0000-0000-000000000002,P2D,false;"
                      "3,~,~,~,~,~,~,~",
                      NULL));
        rows_are("select count(*), count(b), count(u), count(i), count(o) from t", "3|2|2|2|2");
        rows_are("select count(*) from \"_connectord_quarantine\"",
                 e == ENGINE_POSTGRES ? "1" : "2");
        rows_are("select id from t where \"_connectord_meta\" is not null", "2");
        release();
    }
}

/* ------------------------------------------------------------------------- keys */

Test(sql_values, are_no_keys_when_an_index_cannot_hold_them)
{
    static const int most[ENGINE_COUNT] = {100000, 2664, 768};

    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        char *key;

        target_init(&t, e, "");
        target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
        target_set_schema(&t, 0, target_columns(&t, "k:string! v:string"));
        key = arena_alloc(t.mem, (1 << 20) + 1);
        srand(1);
        for (int i = 0; i < 1 << 20; i++) /* nothing that could be compressed */
            key[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[rand() % 62];
        ok(target_run(
            &t,
            arena_printf(t.mem, "%.*s,a;%.*s,b;%s,c;short,d", most[e], key, most[e] + 1, key, key),
            "{}"));
        cr_assert_eq(t.did.quarantined_rows, e == ENGINE_SQLITE ? 0 : 2, "%s", engine_names[e]);
        cr_assert_eq(t.did.inserted, e == ENGINE_SQLITE ? 4 : 2);
        rows_are("select distinct level, reason, \"column\" from \"_connectord_quarantine\"",
                 e == ENGINE_SQLITE ? "" : "row|out_of_range|k");
        release();
    }
}

Test(sql_values, in_keys_take_their_row_with_them)
{
    target_init(&t, ENGINE_POSTGRES, "");
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    target_set_schema(&t, 0, target_columns(&t, "k:string! v:string"));
    ok(target_run(&t, "a\\0b,lost;ab,kept;~,lost", "{}"));
    rows_are("select k, v from t", "ab|kept");
    rows_are("select level, reason from _connectord_quarantine order by reason",
             "row|nul;row|null_key");
    cr_assert_eq(t.did.quarantined_rows, 2);
}

/* ------------------------------------------------------------- what the user wants */

static void begin_policy(enum engine e, enum write_mode write, enum misfit_policy misfits)
{
    target_init(&t, e, "");
    target_modes(&t, 0, write == WRITE_OVERWRITE ? SYNC_FULL_REFRESH : SYNC_INCREMENTAL, write);
    t.selected[0].misfits = misfits;
    target_set_schema(&t, 0, target_columns(&t, "id:int! n:int d:decimal(10,2) b:string"));
}

/* Row 2 has a cell that the source could not read, row 3 two of them and one that MariaDB cannot
 * hold, row 4 one that PostgreSQL cannot hold, row 5 has no key. */
#define MISFITS "1,1,1.5,a;2,many,2,b;3,much,1.255,\xff;4,4,4,x\\0y;~,5,5,e;6,6,6,f"

Test(sql_policies, quarantine_whole_rows)
{
    static const enum write_mode modes[] = {WRITE_OVERWRITE, WRITE_APPEND_DEDUP};

    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        for (size_t m = 0; m < 2; m++) {
            bool nul = e == ENGINE_POSTGRES;

            begin_policy(e, modes[m], MISFIT_QUARANTINE_ROW);
            ok(target_run(&t, MISFITS, m ? "{}" : NULL));
            rows_are("select id, n from t order by id", nul ? "1|1;6|6" : "1|1;4|4;6|6");
            rows_are("select count(*) from t where \"_connectord_meta\" is not null", "0");
            cr_assert_eq(t.did.read, 6);
            cr_assert_eq(t.did.quarantined_rows, nul ? 4 : 3);
            cr_assert_eq(t.did.quarantined_cells, 0);
            cr_assert(counts_balance(&t.did));
            rows_are("select level, \"column\", reason from \"_connectord_quarantine\" order by "
                     "ordinal",
                     nul ? "row|id|null_key;row|n|parse;row|n|parse;row|b|nul"
                         : "row|id|null_key;row|n|parse;row|n|parse");
            rows_are("select raw from \"_connectord_quarantine\" where \"key\" like '%3%'",
                     "{\"id\":\"3\",\"n\":\"much\",\"d\":\"1.255\",\"b\":{\"base64\":\"/w==\"}}");
            release();
        }
    }
}

Test(sql_policies, keep_the_former_version_of_a_row)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        begin_policy(e, WRITE_APPEND_DEDUP, MISFIT_QUARANTINE_ROW);
        ok(target_run(&t, "1,1,1,a;2,2,2,b", "{}"));
        ok(target_run(&t, "1,9,9,A;2,many,9,B", "{}"));
        rows_are("select id, n, b from t order by id", "1|9|A;2|2|b");
        release();
    }
}

/* Rows behind the limit are not written, whatever the policy. */
Test(sql_policies, count_whole_rows_against_the_limit)
{
    begin_policy(ENGINE_POSTGRES, WRITE_APPEND, MISFIT_QUARANTINE_ROW);
    t.plan.max_quarantined_rows = 1;
    ok(target_run(&t, "", "{}"));
    cr_assert_lt(target_run(&t, "1,x,1,a;2,x,2,b;3,3,3,c", "{}"), 0);
    cr_assert_str_eq(error_reason(&t.err), "quarantine_limit", "%s", t.err.message);
    rows_are("select count(*) from t", "0");
}

static void fails(const char *rows, const char *column, const char *key, const char *reason)
{
    t.err = ERROR_INIT;
    cr_assert_lt(target_run(&t, rows, "{}"), 0, "%s %s", engine_names[t.engine], rows);
    cr_assert_eq(t.err.code, ERR_DATA);
    cr_assert_str_eq(error_reason(&t.err), "unrepresentable", "%s", t.err.message);
    cr_assert_not_null(strstr(t.err.message, arena_printf(t.mem, "column \"%s\", %s", column, key)),
                       "%s", t.err.message);
    cr_assert_not_null(strstr(t.err.message, arena_printf(t.mem, "(%s)", reason)), "%s",
                       t.err.message);
    rows_are("select count(*) from t", "1");
    rows_are("select count(*) from \"_connectord_quarantine\"", "0");
}

Test(sql_policies, end_the_stream_and_nothing_is_written)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        begin_policy(e, WRITE_APPEND_DEDUP, MISFIT_FAIL);
        ok(target_run(&t, "1,1,1,a", "{}"));
        fails("2,2,2,b;3,many,3,c", "n", "key [\"3\"]", "parse");
        fails("2,2,2,b;x,3,3,c", "id", "key [null]", "parse");
        fails("2,2,2,\xff", "b", "key [\"2\"]", "encoding");
        if (e == ENGINE_POSTGRES)
            fails("2,2,2,b;4,4,4,x\\0y", "b", "key [\"4\"]", "nul");
        if (e == ENGINE_MYSQL)
            fails("2,2,2,b;4,4,1.255,d", "d", "key [\"4\"]", "out_of_range");
        ok(target_run(&t, "2,2,2,b;~,3,3,c", "{}")); /* no key is no value that does not fit */
        rows_are("select id from t order by id", "1;2");
        cr_assert_eq(t.did.quarantined_rows, 1);
        release();
    }
}

Test(sql_policies, end_the_stream_at_a_key_that_is_too_long)
{
    static const size_t most[ENGINE_COUNT] = {0, 2664, 768};

    for (enum engine e = ENGINE_POSTGRES; e < ENGINE_COUNT; e++) {
        char *key;

        begin_policy(e, WRITE_APPEND_DEDUP, MISFIT_FAIL);
        target_set_schema(&t, 0, target_columns(&t, "k:string! v:string"));
        key = arena_alloc(t.mem, most[e] + 2);
        memset(key, 'k', most[e] + 1);
        key[most[e] + 1] = '\0';
        ok(target_run(&t, "short,a", "{}"));
        fails(arena_printf(t.mem, "%s,b", key), "k", "key [\"kkk", "out_of_range");
        cr_assert_lt(strlen(t.err.message), 500);
        release();
    }
}

/* A column whose type has changed to one that does not fit; see engine_values of drift. */
Test(sql_policies, hold_for_columns_in_conflict)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        for (enum misfit_policy p = MISFIT_QUARANTINE_ROW; p <= MISFIT_FAIL; p++) {
            begin_policy(e, WRITE_APPEND_DEDUP, p);
            t.selected[0].drift = DRIFT_IGNORE;
            target_set_schema(&t, 0, target_columns(&t, "id:int! n:bool"));
            ok(target_run(&t, "1,true", "{}"));
            target_set_schema(&t, 0, target_columns(&t, "id:int! n:date"));
            if (p == MISFIT_FAIL) {
                fails("2,~;3,2024-01-01", "n", "key [\"3\"]", "type");
            } else {
                ok(target_run(&t, "2,~;3,2024-01-01", "{}"));
                cr_assert_eq(t.did.quarantined_rows, 1, "%s", engine_names[e]);
                rows_are("select level, reason, raw from \"_connectord_quarantine\"",
                         "row|type|{\"id\":\"3\",\"n\":\"2024-01-01\"}");
            }
            release();
        }
    }
}

Test(sql_policies, end_the_stream_at_a_key_in_conflict)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        begin_policy(e, WRITE_APPEND_DEDUP, MISFIT_FAIL);
        t.selected[0].drift = DRIFT_IGNORE;
        target_set_schema(&t, 0, target_columns(&t, "id:bool! n:int"));
        ok(target_run(&t, "true,1", "{}"));
        target_set_schema(&t, 0, target_columns(&t, "id:date! n:int"));
        fails("2024-01-01,2", "id", "key [\"2024-01-01\"]", "type");
        release();
    }
}

/* --------------------------------------------------------------------------- U+0000 */

static void begin_nul(enum engine e, enum nul_policy nul, const char *columns)
{
    target_init(&t, e, "");
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    t.selected[0].nul = nul;
    target_set_schema(&t, 0, target_columns(&t, columns));
}

#define WITH_NUL                                                                                \
    "1,a\\0b,\"x\\\\u0000y\";2,~,~;3,\\0,{\"k\": [\"\\\\\\\\u0000\\\\u0000\\\\n\"]};4,\\0c\\0," \
    "\"\\\\u00001\";5,plain,\"\\\\\\\\u0000\""

Test(sql_policies, write_texts_without_nul)
{
    static const char *const texts[] = {
        [NUL_STRIP] = "1|ab|\"xy\";2|~|~;3||{\"k\": [\"\\\\u0000\\n\"]};4|c|\"1\";"
                      "5|plain|\"\\\\u0000\"",
        [NUL_REPLACE] = "1|a\xef\xbf\xbd"
                        "b|\"x\xef\xbf\xbdy\";2|~|~;3|\xef\xbf\xbd|{\"k\": "
                        "[\"\\\\u0000\xef\xbf\xbd\\n\"]};4|\xef\xbf\xbd"
                        "c\xef\xbf\xbd|\"\xef\xbf\xbd"
                        "1\";5|plain|\"\\\\u0000\"",
    };

    for (enum nul_policy nul = NUL_STRIP; nul <= NUL_REPLACE; nul++) {
        begin_nul(ENGINE_POSTGRES, nul, "id:int! s:string j:json");
        ok(target_run(&t, WITH_NUL, "{}"));
        rows_are("select id, s, j from t order by id", texts[nul]);
        cr_assert_eq(t.did.altered_cells, 6);
        cr_assert_eq(t.did.quarantined_cells, 0);
        cr_assert(t.did.read == 5 && t.did.inserted == 5 && counts_balance(&t.did));
        rows_are("select count(*) from \"_connectord_quarantine\"", "0");
        rows_are("select counters::json->>'altered_cells' from \"_connectord_state\"", "6");
        release();
    }
}

Test(sql_policies, leave_nul_alone_where_it_is_held)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        if (e == ENGINE_POSTGRES)
            continue;
        begin_nul(e, NUL_STRIP, "id:int! s:string j:json");
        ok(target_run(&t, WITH_NUL, "{}"));
        rows_are("select hex(s) from t where s is not null order by id",
                 "610062;00;006300;706C61696E");
        cr_assert_eq(t.did.altered_cells, 0);
        cr_assert_eq(t.did.inserted, 5);
        release();
    }
}

/* Two keys, or two names, could become one. */
Test(sql_policies, keep_nul_out_of_keys_and_names)
{
    begin_nul(ENGINE_POSTGRES, NUL_STRIP, "k:string! j:json");
    ok(target_run(&t, "ab,{\"a\\\\u0000\" : 1\\, \"a\": 2};a\\0b,1;c,{\"a\": \"\\\\u0000\"}",
                  "{}"));
    rows_are("select k, j from t order by k", "ab|~;c|{\"a\": \"\"}");
    rows_are("select level, reason from _connectord_quarantine order by level",
             "cell|out_of_range;row|nul");
    cr_assert(t.did.altered_cells == 1 && t.did.quarantined_rows == 1);
}

/* The row is quarantined as it came, and what is not written is not counted. */
Test(sql_policies, count_only_what_is_written_without_nul)
{
    begin_nul(ENGINE_POSTGRES, NUL_STRIP, "id:int! s:string n:int d:date");
    t.selected[0].misfits = MISFIT_QUARANTINE_ROW;
    ok(target_run(&t, "1,a\\0,1,~;2,b\\0,many,~;3,c\\0,3,-4713-11-23", "{}"));
    rows_are("select id, s, n from t", "1|a|1");
    rows_are("select raw from _connectord_quarantine order by ordinal",
             "{\"id\":\"2\",\"s\":\"b\\u0000\",\"n\":\"many\",\"d\":null};"
             "{\"id\":\"3\",\"s\":\"c\\u0000\",\"n\":\"3\",\"d\":\"-4713-11-23\"}");
    cr_assert(t.did.altered_cells == 1 && t.did.quarantined_rows == 2);
}

Test(sql_policies, write_texts_without_nul_into_json)
{
    begin_nul(ENGINE_POSTGRES, NUL_REPLACE, "id:int! v:json");
    t.selected[0].misfits = MISFIT_FAIL;
    ok(target_run(&t, "1,[]", "{}"));
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string"));
    ok(target_run(&t, "2,a\\0\"b", "{}"));
    rows_are("select id, v::text from t order by id", "1|[];2|\"a\xef\xbf\xbd\\\"b\"");
    cr_assert_eq(t.did.altered_cells, 1);
}

/* What is longer with U+FFFD than a value may be is not altered. */
Test(sql_policies, replace_no_nul_where_that_is_too_long)
{
    size_t n = BATCH_MAX_VALUE / 3;
    struct batch *rows;
    char *nuls;

    begin_nul(ENGINE_POSTGRES, NUL_REPLACE, "id:int! v:string");
    nuls = arena_alloc(t.mem, n + 1);
    memset(nuls, 0, n + 1);
    for (size_t more = 0; more < 2; more++) {
        struct destination *d = target_open(&t);

        cr_assert_not_null(d, "%s", t.err.message);
        rows = batch_new(t.selected[0].schema);
        batch_put_int64(rows, 0, (int64_t)more);
        batch_put_text(rows, 1, nuls, n + more);
        batch_end_row(rows);
        ok(d->ops->write(d, 0, rows, &t.err));
        ok(target_commit(&t, d, "{}"));
        d->ops->close(d);
        batch_free(rows);
    }
    rows_are("select id, length(v) from t order by id", arena_printf(t.mem, "0|%zu;1|~", n));
    rows_are("select reason from _connectord_quarantine", "nul");
}

/* ----------------------------------------------------------------- tables of others */

static void adopt(enum engine engine, const char *table)
{
    target_init(&t, engine, ",\"adopt_table\":true");
    target_exec(&t, table);
}

/* 2,000 rows, those named refused. */
static const char *rows_with(const int *bad, int n_bad, int n)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)1 << 20);

    for (int i = 1; i <= n; i++) {
        bool is_bad = false;

        for (int k = 0; k < n_bad; k++)
            is_bad |= bad[k] == i;
        buf_printf(&out, "%s%d,v,%d", i > 1 ? ";" : "", i, is_bad ? -1 : i);
    }
    return arena_strdup(t.mem, buf_str(&out));
}

#define CHECKED_TABLE \
    "create table t (id bigint primary key, v varchar(100), n bigint check (n > 0))"

Test(sql_adopted, refuse_single_rows_and_not_their_batch)
{
    static const int bad[][3] = {{1}, {2000}, {1000}, {1, 1000, 2000}};
    static const enum write_mode modes[] = {WRITE_APPEND, WRITE_APPEND_DEDUP};

    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        for (size_t m = 0; m < 2; m++) {
            for (int i = 0; i < 4; i++) {
                int n_bad = i == 3 ? 3 : 1;

                adopt(e, CHECKED_TABLE);
                target_modes(&t, 0, SYNC_INCREMENTAL, modes[m]);
                ok(target_run(&t, rows_with(bad[i], n_bad, 2000), "{}"));
                cr_assert_eq(t.did.inserted, 2000 - n_bad);
                cr_assert_eq(t.did.quarantined_rows, n_bad);
                cr_assert_eq(target_int(&t, "select count(*) from t"), 2000 - n_bad);
                cr_assert_eq(target_int(&t, "select count(*) from \"_connectord_quarantine\" where"
                                            " level = 'row' and reason = 'dest_rejected'"
                                            " and raw like '%-1%' and detail is not null"),
                             n_bad);
                release();
            }
        }
    }
}

Test(sql_adopted, refuse_too_many_rows_and_the_run_stops)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        int *bad;

        adopt(e, CHECKED_TABLE);
        target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
        t.plan.max_quarantined_rows = 100000;
        bad = arena_array(t.mem, 2000, sizeof *bad);
        for (int i = 0; i < 2000; i++)
            bad[i] = i + 1;
        cr_assert_lt(target_run(&t, rows_with(bad, 2000, 2000), "{}"), 0);
        cr_assert_str_eq(error_reason(&t.err), "rows_rejected", "%s", t.err.message);
        rows_are("select count(*) from t", "0");
        rows_are("select count(*) from \"_connectord_quarantine\"", "0");
        release();
    }
}

Test(sql_adopted, count_against_the_limit_of_the_run)
{
    static const int bad[] = {5, 6, 7};

    adopt(ENGINE_POSTGRES, CHECKED_TABLE);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    t.plan.max_quarantined_rows = 2;
    cr_assert_lt(target_run(&t, rows_with(bad, 3, 10), "{}"), 0);
    cr_assert_str_eq(error_reason(&t.err), "quarantine_limit", "%s", t.err.message);
    rows_are("select count(*) from t", "0");
}

Test(sql_adopted, refuse_at_the_merge_what_only_the_merge_shows)
{
    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        adopt(e, "create table t (id bigint primary key, v varchar(100) unique, n bigint)");
        target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
        ok(target_run(&t, "1,one,1;2,two,2", "{}"));
        ok(target_run(&t, "3,one,3;4,four,4;2,TWO!,2", "{}"));
        cr_assert_eq(t.did.quarantined_rows, 1, "%s", engine_names[e]);
        cr_assert(t.did.inserted == 1 && t.did.updated == 1);
        rows_are("select id, v from t order by id", "1|one;2|TWO!;4|four");
        release();
    }
}

/* What a narrower column would cut or round is left out of the row before it is sent. */
Test(sql_adopted, columns_of_narrower_types_take_what_they_hold_exactly)
{
    static const char *const tables[ENGINE_COUNT] = {
        [ENGINE_POSTGRES] = "create table t (id integer primary key, s varchar(3), d numeric(4,1),"
                            " i smallint, f real, at timestamp(0), c timestamptz(3))",
        [ENGINE_MYSQL] = "create table t (id int primary key, s varchar(3), d decimal(4,1),"
                         " i smallint, f float, at datetime, c datetime(3)) character set utf8mb4",
    };

    for (enum engine e = ENGINE_POSTGRES; e < ENGINE_COUNT; e++) {
        adopt(e, tables[e]);
        target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
        target_set_schema(&t, 0,
                          target_columns(&t, "id:int! s:string d:decimal i:int f:float"
                                             " at:timestamp c:timestamp"));
        if (e == ENGINE_POSTGRES)
            target_set_schema(&t, 0,
                              target_columns(&t, "id:int! s:string d:decimal i:int f:float"
                                                 " at:timestamp c:timestamptz"));
        ok(target_run(&t,
                      e == ENGINE_POSTGRES
                          ? "1,\xc3\xa9\xc3\xa9\xc3\xa9,123.4,-32768,0.5,2024-01-01T00:00:01,"
                            "2024-01-01T00:00:01.125Z;"
                            "2,abc ,1.25,32768,0.1,2024-01-01T00:00:01.5,2024-01-01T00:00:01.0001Z;"
                            "3,~,~,~,~,~,~"
                          : "1,\xc3\xa9\xc3\xa9\xc3\xa9,123.4,-32768,0.5,2024-01-01T00:00:01,"
                            "2024-01-01T00:00:01.125;"
                            "2,abc ,1.25,32768,0.1,2024-01-01T00:00:01.5,2024-01-01T00:00:01.0001;"
                            "3,~,~,~,~,~,~",
                      "{}"));
        rows_are("select count(*), count(s), count(d), count(i), count(f), count(at), count(c)"
                 " from t where id = 1",
                 "1|1|1|1|1|1|1");
        rows_are("select count(*), count(s), count(d), count(i), count(f), count(at), count(c)"
                 " from t where id = 2",
                 "1|0|0|0|0|0|0");
        rows_are("select count(*) from \"_connectord_quarantine\" where level = 'cell'", "6");
        ok(target_run(&t, "1,\xc3\xa9\xc3\xa9\xc3\xa9,123.4,-32768,0.5,2024-01-01T00:00:01,~",
                      "{}"));
        cr_assert_eq(t.did.updated, 1);
        release();
    }
}

Test(sql_adopted, columns_are_filled_without_nul)
{
    adopt(ENGINE_POSTGRES, "create table t (id bigint primary key, s varchar(3), m text[])");
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    target_set_schema(&t, 0, target_columns(&t, "id:int! s:string"));
    t.selected[0].nul = NUL_STRIP;
    ok(target_run(&t, "1,ab\\0c,;2,ab\\0cd,", "{}"));
    rows_are("select id, s from t order by id", "1|abc;2|~");
    cr_assert(t.did.altered_cells == 1 && t.did.quarantined_cells == 1);
    t.selected[0].nul = NUL_REPLACE;
    ok(target_run(&t, "1,ab\\0c,;2,a\\0b,", "{}"));
    rows_are("select id, s from t order by id", "1|~;2|a\xef\xbf\xbd"
                                                "b");
}

Test(sql_adopted, columns_of_types_of_their_own_take_text)
{
    adopt(ENGINE_POSTGRES, "create type mood as enum ('sad', 'glad');"
                           "create table t (id int primary key, m mood, a inet, j json, x xml)");
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    target_set_schema(&t, 0, target_columns(&t, "id:int! m:string a:string j:json x:string"));
    ok(target_run(&t, "1,sad,10.0.0.1,{\"b\":1},<a/>;2,angry,10.0.0.2,[],<b/>;3,glad,::1,1,<c/>",
                  "{}"));
    rows_are("select id, m, a from t order by id", "1|sad|10.0.0.1;3|glad|::1");
    rows_are("select level, reason from _connectord_quarantine", "row|dest_rejected");
    ok(target_run(&t, "1,glad,10.0.0.1,{\"b\":1},<a/>;3,glad,::1,1,<c/>", "{}"));
    rows_are("select m from t where id = 1", "glad");
}

Test(sql_adopted, are_replaced_row_by_row)
{
    static const char *const kept[ENGINE_COUNT] = {"n", "n", "n"};

    for (enum engine e = 0; e < ENGINE_COUNT; e++) {
        adopt(e, "create table t (id bigint primary key, note varchar(10) default 'n',"
                 " v varchar(100), n bigint)");
        target_exec(&t, "insert into t values (9, 'mine', 'old', 1)");
        ok(target_run(&t, "1,a,10;2,b,20", NULL));
        rows_are("select id, note, v, n from t order by id",
                 arena_printf(t.mem, "1|%s|a|10;2|%s|b|20", kept[e], kept[e]));
        ok(target_run(&t, "1,A,10;3,c,30", NULL));
        rows_are(ALL_ROWS, "1|A|10;3|c|30");
        ok(t.connector->clear(t.config, &t.run, &t.plan, &t.err));
        rows_are("select count(*) from t", "2");
        release();
    }
}

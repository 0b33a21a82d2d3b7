/*
 * Values and names through the destination: special values, every pair of types in both orders,
 * names that collide.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/sql/convert.h"
#include "connectors/sql/destination.h"
#include "connectors/sql/sqlite.h"
#include "tests/support/sqlite_fixture.h"

static struct sqlite_fixture f;
static struct arena *mem;
static struct cancel *stop;
static struct run run;
static struct sqlite_destination to = {.busy_timeout_s = 5};
static struct counts total;

static void setup(void)
{
    struct error err = ERROR_INIT;

    fixture_open(&f);
    mem = arena_new();
    cr_assert_eq(cancel_new(&stop, &err), 0);
    run = (struct run){.mem = mem, .cancel = stop, .log = &log_nowhere, .id = "1"};
    to.path = f.to;
}

static void teardown(void)
{
    cancel_free(stop);
    arena_free(mem);
    fixture_close(&f);
}

TestSuite(sqlite_types, .init = setup, .fini = teardown, .timeout = 300);

/* A stream t(id int key, v TYPE). */
static const struct schema *schema_of(struct column_type type)
{
    static const size_t key[] = {0};
    struct column *columns = arena_array(mem, 2, sizeof *columns);
    struct schema *s = arena_alloc(mem, sizeof *s);

    columns[0] = (struct column){"id", {.type = TYPE_INT}, "", false};
    columns[1] = (struct column){"v", type, "", true};
    *s = (struct schema){columns, 2, key, 1};
    return s;
}

struct opened {
    struct destination *d;
    struct write_plan plan;
    struct selected_stream selected;
    struct stream stream;
};

static void open_stream(struct opened *o, const struct schema *schema, enum write_mode mode)
{
    struct stream_position at;
    struct error err = ERROR_INIT;

    *o = (struct opened){.stream = {.namespace = "", .name = "t", .schema = schema}};
    o->selected = (struct selected_stream){.stream = &o->stream,
                                           .schema = schema,
                                           .sync_mode = SYNC_INCREMENTAL,
                                           .write_mode = mode,
                                           .cursor = 0,
                                           .alias = "t",
                                           .destination_namespace = ""};
    o->plan = (struct write_plan){.pipeline = "p",
                                  .streams = &o->selected,
                                  .n = 1,
                                  .max_quarantined_rows = 100,
                                  .max_quarantined_ratio = 1,
                                  .metadata = METADATA_MINIMAL};
    cr_assert_eq(sql_destination_open(&sqlite_driver, &to, false, &run, &o->plan, &o->d, &err), 0,
                 "%s", err.message);
    cr_assert_eq(o->d->ops->recover(o->d, &at, &err), 0, "%s", err.message);
}

static void put(struct opened *o, const struct schema *schema, int id, const char *text, size_t n)
{
    struct batch *b = batch_new(schema);
    struct error err = ERROR_INIT;

    batch_put_int64(b, 0, id);
    if (text)
        batch_put_parsed(b, 1, text, n);
    batch_end_row(b);
    cr_assert_eq(o->d->ops->write(o->d, 0, b, &err), 0, "%s", err.message);
    batch_free(b);
}

static void commit(struct opened *o)
{
    const char *upto = "{\"n\":1}";
    struct counts none = {0};
    struct error err = ERROR_INIT;

    cr_assert_eq(o->d->ops->commit(o->d, &upto, &none, &total, &err), 0, "%s", err.message);
    cr_assert(counts_balance(&total));
}

static void forget(void)
{
    remove(f.to);
}

/* clang-format off */
static const struct {
    enum type type;
    const char *text; /* canonical */
} samples[] = {
    {TYPE_BOOL,        "true"},
    {TYPE_INT,         "-7"},
    {TYPE_DECIMAL,     "123456789012345678901234567890.10"},
    {TYPE_FLOAT,       "0.1"},
    {TYPE_STRING,      "007"},
    {TYPE_BYTES,       "AP8="},
    {TYPE_DATE,        "2024-02-29"},
    {TYPE_TIME,        "12:30:00.5"},
    {TYPE_TIMESTAMP,   "2024-02-29T10:00:00"},
    {TYPE_TIMESTAMPTZ, "2024-02-29T10:00:00Z"},
    {TYPE_INTERVAL,    "P1D"},
    {TYPE_UUID,        "6f9619ff-8b86-d011-b42d-00cf4fc964ff"},
    {TYPE_JSON,        "{\"a\":1.10}"},
};
/* clang-format on */
#define N_SAMPLES (sizeof samples / sizeof samples[0])

/* What fixture_text shows for a value of type `from` in a column of type `column`. */
static const char *stored(enum type from, enum type column, const char *text)
{
    struct buf out = BUF_INIT(1000);
    const char *s;

    if (column == TYPE_BOOL)
        return strcmp(text, "true") == 0 ? "1" : "0";
    if (column == TYPE_BYTES)
        return "x'00ff'";
    sql_convert_text(from, column, text, strlen(text), &out);
    s = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return s;
}

static void check_pair(size_t first, size_t second, bool one_run, enum write_mode mode)
{
    const struct schema *a = schema_of(type_plain(samples[first].type));
    const struct schema *b = schema_of(type_plain(samples[second].type));
    struct column_type joined;
    bool joins = type_join(a->columns[1].type, b->columns[1].type, &joined);
    struct opened o;
    const char *expected;

    forget();
    open_stream(&o, a, mode);
    put(&o, a, 1, samples[first].text, strlen(samples[first].text));
    if (!one_run) {
        commit(&o);
        o.d->ops->close(o.d);
        open_stream(&o, b, mode);
    }
    put(&o, b, 2, samples[second].text, strlen(samples[second].text));
    commit(&o);
    o.d->ops->close(o.d);
    if (joins)
        expected = arena_printf(mem, "1|%s;2|%s",
                                stored(samples[first].type, joined.type, samples[first].text),
                                stored(samples[second].type, joined.type, samples[second].text));
    else
        expected = arena_printf(
            mem, "1|%s;2|~", stored(samples[first].type, samples[first].type, samples[first].text));
    cr_assert_str_eq(fixture_text(f.to, "select id, v from t order by id"), expected, "%s, then %s",
                     type_name(samples[first].type), type_name(samples[second].type));
    cr_assert_str_eq(fixture_text(f.to, "select reason, raw from _connectord_quarantine"),
                     joins ? "" : arena_printf(mem, "type|%s", samples[second].text));
    cr_assert_eq(total.quarantined_cells, joins ? 0 : 1);
}

Test(sqlite_types, hold_every_pair_of_types_in_both_orders)
{
    for (size_t i = 0; i < N_SAMPLES; i++) {
        for (size_t j = 0; j < N_SAMPLES; j++)
            check_pair(i, j, false, WRITE_APPEND);
    }
}

Test(sqlite_types, hold_every_pair_of_types_within_one_commit)
{
    for (size_t i = 0; i < N_SAMPLES; i++) {
        for (size_t j = 0; j < N_SAMPLES; j++)
            check_pair(i, j, true, WRITE_APPEND_DEDUP);
    }
}

Test(sqlite_types, keep_rows_in_order_of_types_that_grow_twice)
{
    const struct schema *ints = schema_of(type_plain(TYPE_INT));
    const struct schema *decimals = schema_of(type_plain(TYPE_DECIMAL));
    const struct schema *strings = schema_of(type_plain(TYPE_STRING));
    struct opened o;

    open_stream(&o, ints, WRITE_APPEND_DEDUP);
    put(&o, ints, 1, "7", 1);
    put(&o, decimals, 2, "1.50", 4);
    put(&o, strings, 3, "007", 3);
    put(&o, ints, 4, "9", 1);
    commit(&o);
    o.d->ops->close(o.d);
    cr_assert_str_eq(fixture_text(f.to, "select id, v, typeof(v) from t order by id"),
                     "1|7|text;2|1.50|text;3|007|text;4|9|text");
    cr_assert_eq(total.inserted, 4);
}

/* Special values: what is stored, NULL = quarantined. */
static const struct {
    enum type type;
    const char *text, *stored;
} specials[] = {
    {TYPE_FLOAT, "NaN", NULL},
    {TYPE_FLOAT, "Infinity", "Inf"},
    {TYPE_FLOAT, "-Infinity", "-Inf"},
    {TYPE_FLOAT, "-0.0", "0.0"}, /* SQLite stores it as 0, which is equal to it */
    {TYPE_FLOAT, "5e-324", "4.94065645841247e-324"},
    {TYPE_FLOAT, "1.7976931348623157e+308", "1.79769313486232e+308"},
    {TYPE_DECIMAL, "NaN", "NaN"},
    {TYPE_DECIMAL, "Infinity", "Infinity"},
    {TYPE_DECIMAL, "1.10", "1.10"},
    {TYPE_DECIMAL, "9007199254740993", "9007199254740993"},
    {TYPE_DECIMAL, "18446744073709551615", "18446744073709551615"},
    {TYPE_INT, "9223372036854775807", "9223372036854775807"},
    {TYPE_INT, "-9223372036854775808", "-9223372036854775808"},
    {TYPE_DATE, "infinity", "infinity"},
    {TYPE_DATE, "-infinity", "-infinity"},
    {TYPE_DATE, "-0043-03-15", "-0043-03-15"},
    {TYPE_DATE, "+12345-01-01", "+12345-01-01"},
    {TYPE_DATE, "0000-00-00", NULL},
    {TYPE_TIMESTAMP, "infinity", "infinity"},
    {TYPE_TIMESTAMP, "1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999"},
    {TYPE_TIMESTAMPTZ, "2024-01-01T00:00:00-15:59", "2024-01-01T15:59:00Z"},
    {TYPE_STRING, "", ""},
    {TYPE_STRING, "\xf0\x9f\x9a\x80 e\xcc\x81", "\xf0\x9f\x9a\x80 e\xcc\x81"},
    {TYPE_STRING, "NULL", "NULL"},
    {TYPE_STRING, " 0012 ", " 0012 "},
    {TYPE_STRING, "1e400", "1e400"},
    {TYPE_BYTES, "", "x''"},
    {TYPE_JSON, "{\"a\":1,\"a\":2,\"n\":1e400}", "{\"a\":1,\"a\":2,\"n\":1e400}"},
    {TYPE_JSON, "12345678901234567890.10", "12345678901234567890.10"},
    {TYPE_JSON, "null", "null"},
    {TYPE_UUID, "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"},
    {TYPE_BOOL, "false", "0"},
};

Test(sqlite_types, alter_no_special_value)
{
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        const struct schema *s = schema_of(type_plain(specials[i].type));
        struct opened o;
        const char *v;

        forget();
        open_stream(&o, s, WRITE_APPEND_DEDUP);
        put(&o, s, 1, specials[i].text, strlen(specials[i].text));
        commit(&o);
        o.d->ops->close(o.d);
        v = fixture_text(f.to, "select v from t");
        if (specials[i].stored)
            cr_assert_str_eq(v, specials[i].stored, "%s", specials[i].text);
        else
            cr_assert_str_eq(fixture_text(f.to, "select t.v, q.raw, q.reason in ('out_of_range',"
                                                "'parse') from t, _connectord_quarantine as q"),
                             arena_printf(mem, "~|%s|1", specials[i].text));
    }
}

Test(sqlite_types, keep_a_thousand_digits)
{
    const struct schema *s = schema_of(type_plain(TYPE_DECIMAL));
    char digits[1002];
    struct opened o;

    memset(digits, '7', 1001);
    digits[500] = '.';
    digits[1001] = '\0';
    open_stream(&o, s, WRITE_APPEND_DEDUP);
    put(&o, s, 1, digits, 1001);
    put(&o, s, 2, "1e-400", 6);
    commit(&o);
    o.d->ops->close(o.d);
    cr_assert_str_eq(fixture_text(f.to, "select v from t where id = 1"), digits);
    cr_assert_eq(fixture_int(f.to, "select length(v) from t where id = 2"), 402);
}

Test(sqlite_types, keep_text_with_a_nul_inside)
{
    const struct schema *s = schema_of(type_plain(TYPE_STRING));
    struct opened o;

    open_stream(&o, s, WRITE_APPEND_DEDUP);
    put(&o, s, 1, "a\0b", 3);
    commit(&o);
    o.d->ops->close(o.d);
    cr_assert_str_eq(fixture_text(f.to, "select hex(v) from t"), "610062");
}

Test(sqlite_types, tell_the_empty_string_from_null)
{
    for (int t = 0; t < TYPE_COUNT; t++) {
        const struct schema *s = schema_of(type_plain((enum type)t));
        struct opened o;

        forget();
        open_stream(&o, s, WRITE_APPEND_DEDUP);
        put(&o, s, 1, NULL, 0);
        put(&o, s, 2, "", 0);
        commit(&o);
        o.d->ops->close(o.d);
        cr_assert_str_eq(fixture_text(f.to, "select v from t where id = 1"), "~");
        /* Where it is a value it is kept; where it is none, it is not taken for NULL in silence. */
        if (t == TYPE_STRING)
            cr_assert_str_eq(fixture_text(f.to, "select quote(v) from t where id = 2"), "''");
        else if (t == TYPE_BYTES)
            cr_assert_str_eq(fixture_text(f.to, "select quote(v) from t where id = 2"), "X''");
        else
            cr_assert_eq(fixture_int(f.to, "select count(*) from _connectord_quarantine"), 1);
    }
}

/* -------------------------------------------------------------------- names */

Test(sqlite_types, give_names_that_stay)
{
    static const char awkward[] =
        "create table t(id integer primary key, \"userId\" text, \"user_id\" text,"
        " \"user id\" text, \"select\" text, \"\xf0\x9f\x9a\x80\" text, \"\xd7\x90\xd7\x91\" text,"
        " \"trailing \" text, \"quo\"\"te\" text, \"_connectord_meta\" text);"
        "insert into t values (1,'a','b','c','d','e','f','g','h','i')";

    fixture_exec(f.from, awkward);
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append_dedup\"}]");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to,
                                  "select userId, user_id, \"user id\", \"select\","
                                  " \"\xf0\x9f\x9a\x80\", \"\xd7\x90\xd7\x91\", \"trailing \","
                                  " \"quo\"\"te\", _connectord_meta from t"),
                     "a|b|c|d|e|f|g|h|~");
    cr_assert_eq(fixture_int(f.to, "select count(*) from pragma_table_info('t')"
                                   " where name like 'connectord\\_meta\\_________' escape '\\'"),
                 1);
    /* A sibling that means a column that is there does not rename it. */
    fixture_exec(f.from, "alter table t add column \"trailing\" text default 'new'");
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                       "\"append_dedup\"}]");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select \"trailing \", \"trailing\" from t"), "g|new");
}

Test(sqlite_types, give_streams_of_one_alias_tables_of_their_own)
{
    fixture_exec(f.from, "create table a(x int); create table b(x int);"
                         "insert into a values (1); insert into b values (2)");
    fixture_select(&f, "[{\"name\":\"a\",\"alias\":\"both\"},{\"name\":\"b\",\"alias\":\"BOTH\"}]");
    fixture_run(&f);
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from sqlite_master where type = 'table'"
                                   " and name like 'both\\_________' escape '\\'"),
                 2);
}

/* -------------------------------------------------------------------- drift */

#define KEYED "\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append_dedup\""

Test(sqlite_types, follow_new_and_lost_columns)
{
    fixture_exec(f.from,
                 "create table t(id integer primary key, a text); insert into t values (1,'a')");
    fixture_select(&f, "[{\"name\":\"t\"," KEYED "}]");
    fixture_run(&f);
    fixture_exec(f.from,
                 "alter table t add column b decimal(5,2); insert into t values (2,'x',1.5)");
    fixture_select(&f, "[{\"name\":\"t\"," KEYED "}]");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select id, a, b from t order by id"), "1|a|~;2|x|1.5");
    fixture_exec(f.from, "alter table t drop column a; insert into t values (3,2.5)");
    fixture_select(&f, "[{\"name\":\"t\"," KEYED "}]");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select id, a, b from t order by id"),
                     "1|a|~;2|x|1.5;3|~|2.5", "what the source lost stays");
}

Test(sqlite_types, ignore_or_refuse_drift_when_told_to)
{
    fixture_exec(f.from,
                 "create table t(id integer primary key, a integer); insert into t values (1,1)");
    fixture_select(&f, "[{\"name\":\"t\"," KEYED ",\"new_columns\":\"ignore\"}]");
    fixture_run(&f);
    fixture_exec(
        f.from,
        "create table u(id integer primary key, a text, b text);"
        "insert into u values (1,'1','b'),(2,'two','b'); drop table t; alter table u rename to t");
    fixture_select(&f, "[{\"name\":\"t\"," KEYED ",\"new_columns\":\"ignore\"}]");
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from pragma_table_info('t') where name = 'b'"),
                 0);
    cr_assert_str_eq(
        fixture_text(f.to, "select raw, reason from _connectord_quarantine order by 1"),
        "1|type;two|type");
    fixture_select(&f, "[{\"name\":\"t\"," KEYED ",\"new_columns\":\"freeze\"}]");
    cr_assert_eq(fixture_fail(&f)->code, ERR_SCHEMA);
    cr_assert_str_eq(error_reason(&f.err), "schema_frozen");
}

Test(sqlite_types, freeze_a_full_refresh_as_well)
{
    fixture_exec(f.from,
                 "create table t(id integer primary key, a integer); insert into t values (1,1)");
    fixture_select(&f, "[{\"name\":\"t\",\"new_columns\":\"freeze\"}]");
    fixture_run(&f);
    fixture_run(&f);
    fixture_exec(f.from, "alter table t add column b text");
    fixture_select(&f, "[{\"name\":\"t\",\"new_columns\":\"freeze\"}]");
    cr_assert_str_eq(error_reason(fixture_fail(&f)), "schema_frozen");
    fixture_select(&f, "[{\"name\":\"t\",\"new_columns\":\"ignore\"}]");
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from pragma_table_info('t') where name = 'b'"),
                 0);
    fixture_select(&f, "[{\"name\":\"t\"}]");
    fixture_run(&f);
    cr_assert_eq(fixture_int(f.to, "select count(*) from pragma_table_info('t') where name = 'b'"),
                 1);
}

Test(sqlite_types, widen_the_table_that_is_appended_to)
{
    fixture_exec(f.from, "create table t(id integer, a integer); insert into t values (1,1)");
    fixture_select(&f, "[{\"name\":\"t\",\"destination_sync_mode\":\"append\"}]");
    fixture_run(&f);
    fixture_exec(f.to, "create index mine on t(a); create view v as select a from t");
    fixture_exec(f.from,
                 "create table u(id integer, a text, b text); insert into u values (2,'007','b');"
                 "drop table t; alter table u rename to t");
    fixture_select(&f, "[{\"name\":\"t\",\"destination_sync_mode\":\"append\"}]");
    fixture_run(&f);
    cr_assert_str_eq(fixture_text(f.to, "select id, a, b from t order by id"), "1|1|~;2|007|b");
    cr_assert_str_eq(fixture_text(f.to, "select a from v order by 1"), "007;1");
    cr_assert_eq(fixture_int(f.to, "select count(*) from sqlite_master where name = 'mine'"), 1);
    cr_assert_str_eq(fixture_text(f.to, "pragma integrity_check"), "ok");
}

/* What stands between written rows and committed ones: fences, counts, the state that is kept. */
#include <criterion/criterion.h>

#include <string.h>

#include "connectors/base/cancel.h"
#include "tests/support/target_fixture.h"

static struct target t;

/* The n-th question after cancellation is answered with yes; counts that do not balance. The
 * linker puts these in front of the real ones. */
static size_t n_asked, cancelled_at;
static bool unbalanced;
int __real_cancel_check(const struct cancel *c, struct error *err);
int __wrap_cancel_check(const struct cancel *c, struct error *err);
bool __real_counts_balance(const struct counts *c);
bool __wrap_counts_balance(const struct counts *c);

int __wrap_cancel_check(const struct cancel *c, struct error *err)
{
    if (cancelled_at > 0 && ++n_asked == cancelled_at)
        return error_set(err, ERR_CANCELLED, "question %zu", n_asked);
    return __real_cancel_check(c, err);
}

bool __wrap_counts_balance(const struct counts *c)
{
    return !unbalanced && __real_counts_balance(c);
}

static void release(void)
{
    if (t.mem)
        target_release(&t);
    t.mem = NULL;
}

TestSuite(sql_commit, .fini = release, .timeout = 120);

static void begin(enum engine engine, enum sync_mode sync, enum write_mode write)
{
    target_init(&t, engine, "");
    target_modes(&t, 0, sync, write);
}

static struct destination *must_open(void)
{
    struct destination *d = target_open(&t);

    cr_assert_not_null(d, "%s: %s", engine_names[t.engine], t.err.message);
    return d;
}

#define ok(call) cr_assert_eq((call), 0, "%s: %s", engine_names[t.engine], t.err.message)
#define rows_are(text) \
    cr_assert_str_eq(target_text(&t, "select id, v, n from t order by id, v, n"), (text))

static void fails_with(int rc, enum error_code code)
{
    cr_assert_lt(rc, 0, "it was to fail");
    cr_assert_eq(t.err.code, code, "%s: %s", engine_names[t.engine], t.err.message);
    t.err = ERROR_INIT;
}

/* ------------------------------------------------------------------- what may not be committed */

Test(sql_commit, nothing_is_done_after_a_failure)
{
    const struct destination_ops *ops;
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_next_run(&t);
    d = must_open();
    ok(target_write(&t, d, 0, "2,b,20"));
    fails_with(target_commit(&t, d, NULL), ERR_INTERNAL); /* rows without a position */
    fails_with(target_write(&t, d, 0, "2,b,20"), ERR_INTERNAL);
    fails_with(target_finish(&t, d, 0, "{\"p\":2}"), ERR_INTERNAL);
    fails_with(target_commit(&t, d, "{\"p\":2}"), ERR_INTERNAL);
    ops = d->ops;
    ops->close(d);
    ops->close(NULL);
    rows_are("1|a|10");
    cr_assert_str_eq(target_text(&t, "select position from _connectord_state"), "{\"p\":1}");
}

Test(sql_commit, counts_that_do_not_add_up_are_not_committed)
{
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_next_run(&t);
    d = must_open();
    ok(target_write(&t, d, 0, "2,b,20"));
    unbalanced = true;
    fails_with(target_commit(&t, d, "{\"p\":2}"), ERR_INTERNAL);
    d->ops->close(d);
    rows_are("1|a|10");
}

/* A trigger of the table's owner drops a row: that is no row of ours that has arrived. */
Test(sql_commit, rows_that_do_not_arrive_are_noticed)
{
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_exec(&t, "create trigger g before insert on t when new.id = 3 begin"
                    " select raise(ignore); end");
    target_next_run(&t);
    d = must_open();
    ok(target_write(&t, d, 0, "2,b,20"));
    fails_with(target_write(&t, d, 0, "3,c,30;4,d,40"), ERR_INTERNAL);
    d->ops->close(d);
    rows_are("1|a|10");
}

Test(sql_commit, with_nothing_to_say_does_nothing)
{
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_next_run(&t);
    d = must_open();
    ok(target_commit(&t, d, NULL));
    cr_assert_eq(t.did.read, 0);
    d->ops->close(d);
    cr_assert_str_eq(target_text(&t, "select position, seq from _connectord_state"), "{\"p\":1}|1");
}

/* A position, or rows that others have dropped, are something to say. */
Test(sql_commit, keeps_positions_and_counts_of_rows_that_were_dropped_before)
{
    struct counts filtered = {.filtered = 3}, overlap = {.overlap_dropped = 2}, out = {0};
    const char *none[TARGET_MAX_STREAMS] = {NULL};
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    d = must_open();
    ok(target_commit(&t, d, "{\"p\":1}")); /* before any row: the table is there all the same */
    ok(d->ops->commit(d, none, &filtered, &out, &t.err));
    cr_assert_eq(out.read, 3);
    cr_assert_eq(out.filtered, 3);
    ok(d->ops->commit(d, none, &overlap, &out, &t.err));
    cr_assert_eq(out.read, 2);
    cr_assert_eq(out.overlap_dropped, 2);
    d->ops->close(d);
    cr_assert_eq(target_int(&t, "select count(*) from t"), 0);
    cr_assert_str_eq(target_text(&t, "select position, seq from _connectord_state"), "{\"p\":1}|3");
    cr_assert_eq(
        target_int(&t, "select json_extract(counters, '$.filtered') from _connectord_state"), 3);
}

/* Nothing has come of a stream yet: its table waits for a row or a position. */
Test(sql_commit, counts_alone_make_no_table)
{
    struct counts filtered = {.filtered = 3}, out = {0};
    const char *none[TARGET_MAX_STREAMS] = {NULL};
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    d = must_open();
    ok(d->ops->commit(d, none, &filtered, &out, &t.err));
    d->ops->close(d);
    cr_assert_eq(out.filtered, 3);
    cr_assert_eq(target_int(&t, "select count(*) from sqlite_master where name = 't'"), 0);
    cr_assert_eq(
        target_int(&t, "select json_extract(counters, '$.filtered') from _connectord_state"), 3);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_next_run(&t);
    d = must_open();
    ok(target_commit(&t, d, "{\"p\":2}")); /* nothing new, and a table that is there */
    d->ops->close(d);
    rows_are("1|a|10");
    cr_assert_str_eq(target_text(&t, "select position from _connectord_state"), "{\"p\":2}");
}

/* Rows that are merged by key may come again: they need no position to be committed. */
Test(sql_commit, merged_rows_are_committed_without_a_position)
{
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    d = must_open();
    ok(target_write(&t, d, 0, "1,a,10;2,b,20"));
    ok(target_commit(&t, d, NULL));
    rows_are("1|a|10;2|b|20");
    d->ops->close(d); /* as if the process had ended */
    d = must_open();
    cr_assert_null(t.at[0].position);
    ok(target_write(&t, d, 0, "1,a,10;2,c,21;3,d,30"));
    ok(target_finish(&t, d, 0, "{\"p\":1}"));
    d->ops->close(d);
    rows_are("1|a|10;2|c|21;3|d|30");
}

/* What MariaDB has not committed is read again when the table gets another shape. */
static int write_two_schemas(struct destination *d)
{
    const struct schema *wider = target_columns(&t, "id:int! v:string n:int w:string");

    if (target_write(&t, d, 0, "1,a,10;2,b,20;2,c,20") < 0 ||
        (t.engine == ENGINE_MYSQL && target_commit(&t, d, NULL) < 0))
        return -1;
    return target_write_as(&t, d, 0, wider, "3,d,30,x");
}

/* Whichever question after cancellation is answered with yes while it opens, commits a first
 * position, writes rows of one schema and of another, and finishes: an undisturbed attempt ends as
 * if nothing had been. */
static int attempt(void)
{
    struct destination *d = target_open(&t);
    int rc;

    if (!d)
        return -1;
    rc = t.at[0].position ? 0 : target_commit(&t, d, "{\"p\":1}");
    if (rc == 0 && (!t.at[0].position || !strcmp(t.at[0].position, "{\"p\":1}")))
        rc = write_two_schemas(d);
    if (rc == 0)
        rc = target_finish(&t, d, 0, "{\"p\":2}");
    d->ops->close(d);
    return rc;
}

static void cancelled_anywhere(enum engine engine)
{
    for (size_t n = 1;; n++) {
        int rc;

        begin(engine, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
        n_asked = 0;
        cancelled_at = n;
        rc = attempt();
        cancelled_at = 0;
        if (rc < 0) {
            fails_with(rc, ERR_CANCELLED);
            ok(attempt());
        }
        rows_are("1|a|10;2|c|20;3|d|30");
        cr_assert_str_eq(target_text(&t, "select position from _connectord_state"), "{\"p\":2}");
        release();
        if (n_asked < n) {
            cr_assert_gt(n, 15, "only %zu questions", n);
            return;
        }
    }
}

Test(sql_commit, can_be_cancelled_at_any_moment_in_sqlite)
{
    cancelled_anywhere(ENGINE_SQLITE);
}

Test(sql_commit, can_be_cancelled_at_any_moment_in_postgres)
{
    cancelled_anywhere(ENGINE_POSTGRES);
}

Test(sql_commit, can_be_cancelled_at_any_moment_in_mysql)
{
    cancelled_anywhere(ENGINE_MYSQL);
}

/* ------------------------------------------------------------------- who has taken over */

/* Its generation is gone, and a missing table is not what it has to be told. */
Test(sql_commit, a_worker_that_slept_is_told_that_it_was_replaced)
{
    struct destination *older, *newer;
    struct target mine;

    begin(ENGINE_SQLITE, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_next_run(&t);
    older = must_open();
    ok(target_write(&t, older, 0, "2,b,20"));
    ok(target_commit(&t, older, "{\"p\":2}"));
    mine = t;
    target_next_run(&t);
    newer = must_open();
    ok(target_write(&t, newer, 0, "3,c,30"));
    ok(target_finish(&t, newer, 0, "{\"p\":3}"));
    newer->ops->close(newer);
    t.run.id = mine.run.id;
    fails_with(target_write(&t, older, 0, "4,d,40"), ERR_FENCED);
    older->ops->close(older);
    rows_are("2|b|20;3|c|30"); /* the newer one went on with what was committed */
}

/* Streams go to two schemas, and another pipeline run has taken one of them. */
Test(sql_commit, a_worker_is_told_which_of_its_streams_was_taken)
{
    struct destination *older, *newer;
    struct target other;

    begin(ENGINE_POSTGRES, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
    target_add(&t, "u", &target_schema);
    target_modes(&t, 1, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
    t.selected[1].destination_namespace = "elsewhere";
    older = must_open();
    ok(target_write(&t, older, 0, "1,a,10"));
    ok(target_write(&t, older, 1, "2,b,20"));
    ok(target_commit(&t, older, "{\"p\":1}"));
    other = t;
    other.selected[0] = t.selected[1];
    other.plan.streams = other.selected;
    other.plan.n = 1;
    target_next_run(&other);
    newer = target_open(&other);
    cr_assert_not_null(newer, "%s", other.err.message);
    cr_assert_eq(target_write(&other, newer, 0, "3,c,30"), 0, "%s", other.err.message);
    cr_assert_eq(target_finish(&other, newer, 0, "{\"p\":3}"), 0, "%s", other.err.message);
    newer->ops->close(newer);
    cr_assert_lt(target_write(&t, older, 1, "4,d,40"), 0);
    cr_assert_eq(t.err.code, ERR_FENCED, "%s", t.err.message);
    cr_assert_not_null(strstr(t.err.message, "stream \"u\""), "%s", t.err.message);
    t.err = ERROR_INIT;
    older->ops->close(older);
    cr_assert_str_eq(target_text(&t, "select id, v from elsewhere.u order by id"), "3|c");
}

/* A table that somebody has dropped is what it is. */
Test(sql_commit, without_a_taker_a_missing_table_is_a_missing_table)
{
    static const char *const dropped[] = {"", "drop table _connectord_state"};

    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) {
        struct destination *d;

        begin(ENGINE_SQLITE, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
        d = must_open();
        ok(target_write(&t, d, 0, "2,b,20"));
        ok(target_commit(&t, d, "{\"p\":2}"));
        target_exec(&t,
                    arena_printf(t.mem, "drop table \"%s\"; %s",
                                 target_text(&t, "select name from sqlite_master where type ="
                                                 " 'table' and name like 't\\_\\_%' escape '\\'"),
                                 dropped[i]));
        fails_with(target_write(&t, d, 0, "4,d,40"), ERR_SCHEMA);
        d->ops->close(d);
        release();
    }
}

/* ------------------------------------------------------------------- keys and states */

/* Rows of one run whose schema has its key elsewhere are merged by it all the same. */
Test(sql_commit, merges_rows_whose_key_stands_elsewhere)
{
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    d = must_open();
    ok(target_write(&t, d, 0, "1,a,10;2,b,20"));
    ok(target_write_as(&t, d, 0, target_columns(&t, "v:string id:int! n:int"),
                       "B,2,21;C,3,30;D,3,31"));
    ok(target_finish(&t, d, 0, "{\"p\":1}"));
    d->ops->close(d);
    rows_are("1|a|10;2|B|21;3|D|31");
}

Test(sql_commit, finds_its_state_among_many)
{
    struct destination *d;

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_exec(&t,
                "create temp table i as select * from _connectord_state;"
                "with recursive n(k) as (select 1 union all select k+1 from n where k < 40)"
                " insert into _connectord_state select pipeline, 'other' || k, part, generation,"
                " live_generation, fence, seq, '{\"p\":' || (k+100) || '}', counters,"
                " schema_version, run_id, committed_at, wanted_name || k, target || k,"
                " identity || k, schema_hash, columns, garbage from i, n");
    target_next_run(&t);
    d = must_open();
    cr_assert_str_eq(t.at[0].position, "{\"p\":1}");
    d->ops->close(d);
}

/* What somebody has broken is not guessed at. */
Test(sql_commit, refuses_a_state_that_is_damaged)
{
    static const char *const broken[] = {"counters = '{'", "columns = '['",
                                         "garbage = '{\"drop\":'",
                                         "columns = replace(columns, '\"int\"', '\"integers\"')"};

    begin(ENGINE_SQLITE, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    target_exec(&t, "create table backup as select * from _connectord_state");
    target_next_run(&t);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        target_exec(&t, arena_printf(t.mem, "update _connectord_state set %s", broken[i]));
        cr_assert_null(target_open(&t), "%s", broken[i]);
        cr_assert_not_null(strstr(t.err.message, "reading the state of stream \"t\""), "%s: %s",
                           broken[i], t.err.message);
        target_exec(&t, "delete from _connectord_state;"
                        "insert into _connectord_state select * from backup");
    }
    ok(target_run(&t, "2,b,20", "{\"p\":2}"));
    rows_are("1|a|10;2|b|20");
}

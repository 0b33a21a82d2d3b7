/*
 * One scenario, three databases: what the destination engine promises holds for each of them.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/target_fixture.h"

static struct target t;

static struct criterion_test_params engines(void)
{
    static enum engine all[] = {ENGINE_SQLITE, ENGINE_POSTGRES, ENGINE_MYSQL};

    return cr_make_param_array(enum engine, all, ENGINE_COUNT);
}

/* Each scenario is run once for every engine. */
#define Scenario(name)                                  \
    ParameterizedTestParameters(sql_destinations, name) \
    {                                                   \
        return engines();                               \
    }                                                   \
    ParameterizedTest(enum engine *engine, sql_destinations, name, .fini = release)

static void release(void)
{
    if (t.mem)
        target_release(&t);
    t.mem = NULL;
}

static void begin(enum engine engine)
{
    target_init(&t, engine, "");
    cr_log_info("%s", engine_names[engine]);
}

static struct destination *must_open(void)
{
    struct destination *d = target_open(&t);

    cr_assert_not_null(d, "%s: %s", engine_names[t.engine], t.err.message);
    return d;
}

#define ok(call) cr_assert_eq((call), 0, "%s: %s", engine_names[t.engine], t.err.message)
#define refused(call, why)                                                              \
    do {                                                                                \
        cr_assert_lt((call), 0, "%s: it was to fail", engine_names[t.engine]);          \
        cr_assert_str_eq(error_reason(&t.err), (why), "%s: %s", engine_names[t.engine], \
                         t.err.message);                                                \
        t.err = ERROR_INIT;                                                             \
    } while (0)
#define rows_are(sql, text) \
    cr_assert_str_eq(target_text(&t, (sql)), (text), "%s", engine_names[t.engine])

static void counts_are(int64_t inserted, int64_t updated, int64_t unchanged, int64_t folded)
{
    cr_assert(t.did.inserted == inserted && t.did.updated == updated &&
                  t.did.unchanged == unchanged && t.did.folded == folded,
              "%s: %lld inserted, %lld updated, %lld unchanged, %lld folded",
              engine_names[t.engine], (long long)t.did.inserted, (long long)t.did.updated,
              (long long)t.did.unchanged, (long long)t.did.folded);
}

/* All tables that are not ours, by name. */
static const char *tables(void)
{
    return target_text(
        &t, target_words(&t,
                         "select name from sqlite_master where type = 'table'"
                         " and name not like '\\_connectord\\_%' escape '\\' order by name",
                         "select tablename from pg_tables where schemaname = 'public'"
                         " and left(tablename, 12) <> '_connectord_' order by tablename",
                         "select table_name from information_schema.tables where table_schema ="
                         " database() and left(table_name, 12) <> '_connectord_'"
                         " and table_type = 'BASE TABLE' order by table_name"));
}

#define ALL "select id, v, n from t order by id, v, n"

/* ------------------------------------------------------------------- modes */

Scenario(replace_the_rows_of_a_full_refresh)
{
    begin(*engine);
    ok(target_run(&t, "1,a,10;2,b,20;3,~,~", "{\"p\":1}"));
    rows_are(ALL, "1|a|10;2|b|20;3|~|~");
    ok(target_run(&t, "1,A,10;4,d,40", "{\"p\":2}"));
    rows_are(ALL, "1|A|10;4|d|40");
    counts_are(2, 0, 0, 0);
    cr_assert_str_eq(tables(), "t", "%s", engine_names[t.engine]);
}

Scenario(append_every_full_refresh_once)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_FULL_REFRESH, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"p\":1}"));
    ok(target_run(&t, "1,a,10;2,b,20", "{\"p\":2}"));
    rows_are(ALL, "1|a|10;1|a|10;2|b|20");
    cr_assert_str_eq(tables(), "t");
}

Scenario(merge_by_key_and_count_what_it_did)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "1,a,10;2,b,20;3,~,30", "{\"p\":1}"));
    counts_are(3, 0, 0, 0);
    ok(target_run(&t, "1,a,10;2,B,20;3,x,30;4,d,40", "{\"p\":2}"));
    counts_are(1, 2, 1, 0);
    ok(target_run(&t, "3,~,30;5,e,1;5,e,2;5,E,2", "{\"p\":3}"));
    counts_are(1, 1, 0, 2);
    rows_are(ALL, "1|a|10;2|B|20;3|~|30;4|d|40;5|E|2");
}

Scenario(tell_texts_apart_that_an_order_takes_for_equal)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "1,word,1;2,tail,1", "{\"p\":1}"));
    ok(target_run(&t, "1,WORD,1;2,tail ,1", "{\"p\":2}"));
    counts_are(0, 2, 0, 0);
    rows_are("select id, v from t order by id", "1|WORD;2|tail ");
}

Scenario(leave_rows_alone_that_are_there_when_it_only_inserts)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_INSERT_ONLY);
    ok(target_run(&t, "1,a,1", "{\"p\":1}"));
    ok(target_run(&t, "1,x,9;2,b,2;2,c,3", "{\"p\":2}"));
    counts_are(1, 0, 1, 1);
    rows_are(ALL, "1|a|1;2|b|2");
}

/* Keys above all others need no merging where the database merges dearly; nothing shows it. */
Scenario(merge_keys_in_whatever_order_they_come)
{
    struct destination *d;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    d = must_open();
    ok(target_write(&t, d, 0, "5,a,1;6,b,2"));
    ok(target_write(&t, d, 0, "7,c,3;6,B,2"));
    ok(target_write(&t, d, 0, "9,x,1;8,y,1"));
    ok(target_write(&t, d, 0, "10,z,1;9,X,1;-3,neg,0"));
    ok(target_commit(&t, d, "{\"p\":1}"));
    cr_assert(counts_balance(&t.did) && t.did.inserted == 7 && t.did.updated + t.did.folded == 2);
    rows_are(ALL, "-3|neg|0;5|a|1;6|B|2;7|c|3;8|y|1;9|X|1;10|z|1");
    ok(target_write(&t, d, 0, "11,p,1;12,q,1"));
    ok(target_finish(&t, d, 0, "{\"p\":2}"));
    d->ops->close(d);
    ok(target_run(&t, "12,Q,1;13,r,1;13,R,1;14,s,1;1,low,1", "{\"p\":3}"));
    rows_are("select id, v from t where id not between 5 and 10 order by id",
             "-3|neg;1|low;11|p;12|Q;13|R;14|s");
}

Scenario(keep_the_first_of_a_key_in_whatever_order_they_come)
{
    struct destination *d;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_INSERT_ONLY);
    d = must_open();
    ok(target_write(&t, d, 0, "2,b,1"));
    ok(target_write(&t, d, 0, "2,x,1;3,c,1"));
    ok(target_write(&t, d, 0, "1,a,1;3,x,1"));
    ok(target_finish(&t, d, 0, "{\"p\":1}"));
    d->ops->close(d);
    rows_are("select id, v from t order by id", "1|a;2|b;3|c");
}

Scenario(merge_keys_that_become_text_on_the_way)
{
    struct destination *d;
    const struct schema *wide;

    begin(*engine);
    wide = target_columns(&t, "id:string! v:string n:int");
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "8,a,1;9,b,1", "{\"p\":1}"));
    target_set_schema(&t, 0, wide);
    ok(target_run(&t, "10,c,1;9,b2,1;x,d,1", "{\"p\":2}"));
    target_set_schema(&t, 0, &target_schema);
    d = must_open();
    ok(target_write(&t, d, 0, "9,b3,1;10,c2,1;11,e,1"));
    ok(target_finish(&t, d, 0, "{\"p\":3}"));
    d->ops->close(d);
    rows_are("select id, v from t order by v", "8|a;9|b3;10|c2;x|d;11|e");
}

Test(sql_destinations, postgres_tries_again_when_somebody_else_brought_a_new_key, .fini = release)
{
    struct destination *d;

    begin(ENGINE_POSTGRES);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    d = must_open();
    ok(target_write(&t, d, 0, "1,a,1"));
    ok(target_commit(&t, d, "{\"p\":1}"));
    target_exec(&t, "insert into t(id, v, n) values (5, 'theirs', 0)");
    cr_assert(target_write(&t, d, 0, "4,b,1;5,ours,1") < 0 ||
              target_commit(&t, d, "{\"p\":2}") < 0);
    cr_assert_str_eq(error_reason(&t.err), "key_appeared", "%s", t.err.message);
    cr_assert_eq(t.err.code, ERR_CONTENTION);
    d->ops->close(d);
    t.err = ERROR_INIT;
    ok(target_run(&t, "4,b,1;5,ours,1", "{\"p\":2}"));
    rows_are("select id, v from t order by id", "1|a;4|b;5|ours");
}

Test(sql_destinations, postgres_refuses_what_a_constraint_of_others_does, .fini = release)
{
    struct destination *d;

    begin(ENGINE_POSTGRES);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "1,a,1", "{\"p\":1}"));
    target_exec(&t, "create unique index on t(n)");
    d = must_open();
    cr_assert(target_write(&t, d, 0, "2,b,1") < 0 || target_commit(&t, d, "{\"p\":2}") < 0);
    cr_assert_str_eq(error_reason(&t.err), "constraint", "%s", t.err.message);
    d->ops->close(d);
}

Scenario(tell_composite_text_keys_apart)
{
    const struct schema *pair;

    begin(*engine);
    pair = target_columns(&t, "a:string! b:string! n:int");
    target_set_schema(&t, 0, pair);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "x\\,y,z,1;x,y\\,z,2;,,3;A,k,4;a,k,5;a ,k,6;\xf0\x9f\x9a\x80,k,7", "{}"));
    counts_are(7, 0, 0, 0);
    ok(target_run(&t, "a,k,50;x,y\\,z,20", "{}"));
    counts_are(0, 2, 0, 0);
    rows_are("select count(*), sum(n) from t", "7|91");
}

/* ------------------------------------------------------------ exactly once */

Scenario(fence_the_older_of_two_workers_that_merge)
{
    struct destination *older, *newer;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    older = must_open();
    ok(target_write(&t, older, 0, "1,a,1"));
    ok(target_commit(&t, older, "{\"n\":1}"));
    newer = must_open();
    ok(target_write(&t, newer, 0, "2,newer,2"));
    ok(target_commit(&t, newer, "{\"n\":2}"));
    cr_assert(target_write(&t, older, 0, "2,older,2") < 0 ||
              target_commit(&t, older, "{\"n\":2}") < 0);
    cr_assert_eq(t.err.code, ERR_FENCED, "%s: %s", engine_names[t.engine], t.err.message);
    older->ops->close(older);
    newer->ops->close(newer);
    t.err = ERROR_INIT;
    rows_are("select id, v from t order by id", "1|a;2|newer");
}

Scenario(fence_the_older_of_two_workers)
{
    struct destination *older, *newer;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    older = must_open();
    ok(target_write(&t, older, 0, "1,a,1"));
    ok(target_commit(&t, older, "{\"n\":1}"));
    newer = must_open();
    cr_assert_str_eq(t.at[0].position, "{\"n\":1}");
    ok(target_write(&t, newer, 0, "2,b,2"));
    ok(target_commit(&t, newer, "{\"n\":2}"));
    ok(target_write(&t, older, 0, "9,z,9"));
    cr_assert_lt(target_commit(&t, older, "{\"n\":9}"), 0);
    cr_assert_eq(t.err.code, ERR_FENCED, "%s", t.err.message);
    t.err = ERROR_INIT;
    older->ops->close(older);
    newer->ops->close(newer);
    rows_are(ALL, "1|a|1;2|b|2");
    rows_are("select \"position\", seq from \"_connectord_state\"", "{\"n\":2}|2");
}

/* The answer to a COMMIT was lost, and the old session is still at it when the next attempt asks.
 */
Scenario(wait_for_a_commit_under_way)
{
    begin(*engine);
    if (*engine == ENGINE_SQLITE)
        return; /* a file has one writer, and the next one waits for it */
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    target_hold(&t,
                "begin; insert into t (id, v, n) values (2, 'b', 2);"
                "update \"_connectord_state\" set seq = seq + 1, \"position\" = '[2]'",
                1500, "commit");
    ok(target_run(&t, "3,c,3", "{\"n\":3}"));
    target_let_go(&t);
    cr_assert_str_eq(t.at[0].position, "[2]", "%s", engine_names[*engine]);
    rows_are(ALL, "1|a|1;2|b|2;3|c|3");
}

Scenario(find_out_that_a_commit_did_not_happen)
{
    begin(*engine);
    if (*engine == ENGINE_SQLITE)
        return;
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    target_hold(&t,
                "begin; insert into t (id, v, n) values (2, 'b', 2);"
                "update \"_connectord_state\" set seq = seq + 1, \"position\" = '[2]'",
                1500, "");
    ok(target_run(&t, "2,b,2", "{\"n\":2}"));
    target_let_go(&t);
    cr_assert_str_eq(t.at[0].position, "{\"n\":1}", "%s", engine_names[*engine]);
    rows_are(ALL, "1|a|1;2|b|2");
}

/* ------------------------------------------------------- workers at the same moment */

#define WORKERS 4

struct worker {
    pthread_t thread;
    struct run run;
    struct cancel *cancel;
    struct destination *d;
    struct stream_position at;
    struct error err;
    int rc;
};

static void *start(void *arg)
{
    struct worker *w = arg;

    w->rc = t.connector->open(t.config, &w->run, &t.plan, &w->d, &w->err);
    if (w->rc == 0)
        w->rc = w->d->ops->recover(w->d, &w->at, &w->err);
    return NULL;
}

static int write_one(struct worker *w, int id)
{
    char row[40];
    const char *position = "{}";
    struct counts none = {0}, out;
    struct batch *b;
    int rc;

    snprintf(row, sizeof row, "%d,w,1", id);
    b = target_batch(&t, &target_schema, row);
    w->err = ERROR_INIT;
    rc = w->d->ops->write(w->d, 0, b, &w->err);
    if (rc == 0)
        rc = w->d->ops->commit(w->d, &position, &none, &out, &w->err);
    batch_free(b);
    return rc;
}

/* All of them create the same tables and the same row; one is the last, and it alone may write. */
Scenario(start_at_the_same_moment_and_one_writes)
{
    struct worker workers[WORKERS] = {0};
    int written = 0;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    for (int i = 0; i < WORKERS; i++) {
        cr_assert_eq(cancel_new(&workers[i].cancel, &t.err), 0);
        workers[i].run = t.run;
        workers[i].run.mem = arena_new();
        workers[i].run.cancel = workers[i].cancel;
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, start, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];

        cr_assert(w->rc == 0 || w->err.code == ERR_FENCED || error_is_retryable(&w->err), "%s: %s",
                  engine_names[*engine], w->err.message);
        if (w->rc == 0 && write_one(w, i) == 0)
            written++;
        else if (w->rc == 0)
            cr_assert_eq(w->err.code, ERR_FENCED, "%s", w->err.message);
        if (w->d)
            w->d->ops->close(w->d);
        cancel_free(w->cancel);
        arena_free(w->run.mem);
    }
    cr_assert_leq(written, 1);
    rows_are("select count(*) from \"_connectord_state\"", "1");
    ok(target_run(&t, "9,x,1", "{}"));
    cr_assert_eq(target_int(&t, "select count(*) from t"), written + 1);
}

Scenario(forget_what_was_not_committed)
{
    struct destination *d;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    d = must_open();
    ok(target_write(&t, d, 0, "1,a,1"));
    ok(target_commit(&t, d, "{\"n\":1}"));
    ok(target_write(&t, d, 0, "2,b,2"));
    d->ops->close(d);
    d = must_open();
    cr_assert_str_eq(t.at[0].position, "{\"n\":1}");
    ok(target_write(&t, d, 0, "2,b,2"));
    ok(target_finish(&t, d, 0, "{\"n\":2}"));
    d->ops->close(d);
    rows_are(ALL, "1|a|1;2|b|2");
}

Scenario(continue_a_generation_that_was_begun)
{
    struct destination *d;

    begin(*engine);
    ok(target_run(&t, "1,old,0;2,old,0", "{\"p\":1}"));
    target_next_run(&t);
    d = must_open();
    ok(target_write(&t, d, 0, "1,a,1"));
    ok(target_commit(&t, d, "{\"n\":1}"));
    ok(target_write(&t, d, 0, "2,lost,2"));
    d->ops->close(d);
    rows_are(ALL, "1|old|0;2|old|0");
    d = must_open();
    cr_assert_str_eq(t.at[0].position, "{\"n\":1}");
    ok(target_write(&t, d, 0, "2,b,2"));
    ok(target_finish(&t, d, 0, "{\"n\":2}"));
    d->ops->close(d);
    rows_are(ALL, "1|a|1;2|b|2");
    cr_assert_str_eq(tables(), "t");
}

Scenario(begin_anew_when_told_to)
{
    struct destination *d;

    begin(*engine);
    d = must_open();
    ok(target_write(&t, d, 0, "1,a,1"));
    ok(target_commit(&t, d, "{\"n\":1}"));
    d->ops->close(d);
    t.plan.restart = true;
    d = must_open();
    cr_assert_null(t.at[0].position);
    ok(target_write(&t, d, 0, "2,b,2"));
    ok(target_finish(&t, d, 0, "{\"n\":2}"));
    d->ops->close(d);
    rows_are(ALL, "2|b|2");
    cr_assert_str_eq(tables(), "t");
}

/* -------------------------------------------------- what is there and what is gone */

Scenario(load_anew_when_the_table_is_gone)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    target_exec(&t, "drop table t");
    t.at[0].position = "";
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    cr_assert_null(t.at[0].position);
    cr_assert_eq(t.at[0].generation, 2);
    rows_are(ALL, "1|a|1");
}

Scenario(leave_foreign_tables_alone)
{
    begin(*engine);
    target_exec(&t, "create table t (mine int)");
    target_exec(&t, "insert into t values (7)");
    refused(target_run(&t, "1,a,1", NULL), "table_exists");
    rows_are("select * from t", "7");
}

Scenario(take_no_view_for_a_table)
{
    begin(*engine);
    target_exec(&t, "create table mine (a int)");
    target_exec(&t, "create view t as select * from mine");
    refused(target_run(&t, "1,a,1", NULL), "table_exists");
}

Scenario(not_write_into_the_table_of_another_pipeline)
{
    begin(*engine);
    ok(target_run(&t, "1,a,1", NULL));
    t.plan.pipeline = "other";
    refused(target_run(&t, "2,b,2", NULL), "table_owned");
    rows_are(ALL, "1|a|1");
}

Scenario(refuse_a_table_whose_state_is_lost)
{
    struct stream_copy heard = {.known = true, .generation = 3, .seq = 7, .position = "{\"n\":1}"};
    const char *edit = "{\"n\":1}";

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    target_exec(&t, "delete from \"_connectord_state\"");
    t.plan.copies = &heard;
    refused(target_run(&t, "2,b,2", "{\"n\":2}"), "state_lost");
    t.plan.override_positions = &edit;
    ok(target_run(&t, "2,b,2", "{\"n\":2}"));
    rows_are(ALL, "1|a|1;2|b|2");
    rows_are("select generation, \"position\" from \"_connectord_state\"", "3|{\"n\":2}");
}

Scenario(build_anew_when_the_state_is_lost_and_a_refresh_is_asked_for)
{
    struct stream_copy heard = {.known = true, .generation = 3, .seq = 7, .position = "{\"n\":1}"};

    begin(*engine);
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    target_exec(&t, "delete from \"_connectord_state\"");
    t.plan.copies = &heard;
    refused(target_run(&t, "2,b,2", "{\"n\":2}"), "state_lost");
    t.plan.restart = true;
    ok(target_run(&t, "2,b,2", "{\"n\":2}"));
    rows_are(ALL, "2|b|2");
    cr_assert_str_eq(tables(), "t");
}

Scenario(load_anew_when_table_and_state_are_gone)
{
    struct stream_copy heard = {.known = true, .generation = 3, .seq = 7, .position = "{\"n\":1}"};

    begin(*engine);
    t.plan.copies = &heard;
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    rows_are("select generation, live_generation from \"_connectord_state\"", "4|4");
}

Scenario(go_on_from_the_position_of_a_restored_destination)
{
    struct stream_copy heard = {.known = true, .generation = 1, .seq = 9, .position = "{\"n\":9}"};

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,1", "{\"n\":1}"));
    t.plan.copies = &heard;
    ok(target_run(&t, "2,b,2", "{\"n\":2}"));
    cr_assert_str_eq(t.at[0].position, "{\"n\":1}");
    rows_are(ALL, "1|a|1;2|b|2");
}

Scenario(not_trip_over_tables_that_a_lost_state_left_behind)
{
    begin(*engine);
    target_exec(&t, "create table \"t__g1\" (a int)");
    ok(target_run(&t, "1,a,1", NULL));
    rows_are(ALL, "1|a|1");
    rows_are("select generation from \"_connectord_state\"", "2");
}

Scenario(clear_only_what_is_its_own)
{
    begin(*engine);
    target_exec(&t, "create table mine (a int)");
    ok(target_run(&t, "1,a,1", NULL));
    t.plan.pipeline = "other";
    ok(t.connector->clear(t.config, &t.run, &t.plan, &t.err));
    cr_assert_str_eq(tables(), "mine;t");
    t.plan.pipeline = "test";
    ok(t.connector->clear(t.config, &t.run, &t.plan, &t.err));
    cr_assert_str_eq(tables(), "mine");
    rows_are("select count(*) from \"_connectord_state\"", "0");
    ok(target_run(&t, "1,a,1", NULL));
}

Scenario(guard_against_a_source_that_is_suddenly_empty)
{
    begin(*engine);
    ok(target_run(&t, "1,a,1;2,b,2;3,c,3", NULL));
    refused(target_run(&t, "1,a,1", NULL), "shrink_guard");
    refused(target_run(&t, "", NULL), "shrink_guard");
    rows_are("select count(*) from t", "3");
    cr_assert_str_eq(tables(), "t");
    t.selected[0].allow_empty = true;
    ok(target_run(&t, "", NULL));
    rows_are("select count(*) from t", "0");
}

Scenario(guard_by_what_is_there_when_others_have_deleted)
{
    begin(*engine);
    ok(target_run(&t, "1,a,1;2,b,2;3,c,3", NULL));
    target_exec(&t, "delete from t where id > 1");
    ok(target_run(&t, "1,a,1", NULL));
    rows_are("select count(*) from t", "1");
}

Scenario(guard_by_what_is_there_when_rows_came_in_another_mode)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_FULL_REFRESH, WRITE_APPEND);
    ok(target_run(&t, "1,a,1;2,b,2", NULL));
    ok(target_run(&t, "3,c,3", NULL));
    target_modes(&t, 0, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
    refused(target_run(&t, "1,a,1", NULL), "shrink_guard");
    rows_are("select count(*) from t", "3");
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "1,a,1;2,b,2;3,c,3;4,d,4;5,e,5", "{}"));
    target_modes(&t, 0, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
    refused(target_run(&t, "1,a,1;2,b,2", NULL), "shrink_guard");
}

/* ---------------------------------------------------------------------- drift */

Scenario(add_columns_between_runs_and_keep_those_that_are_gone)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "1,a,10", "{}"));
    target_set_schema(&t, 0, target_columns(&t, "id:int! extra:decimal(10,2) v:string"));
    ok(target_run(&t, "1,1.50,b;2,2.25,c", "{}"));
    rows_are("select id, v, n, extra from t order by id", "1|b|10|1.50;2|c|~|2.25");
    ok(target_run(&t, "2,2.25,c", "{}"));
    counts_are(0, 0, 1, 0);
}

Scenario(widen_columns_between_runs)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    ok(target_run(&t, "1,a,10;2,b,20", "{}"));
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string n:string"));
    ok(target_run(&t, "2,b,twenty;3,c,007", "{}"));
    rows_are(ALL, "1|a|10;2|b|twenty;3|c|007");
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string n:int"));
    ok(target_run(&t, "4,d,40", "{}"));
    rows_are(ALL, "1|a|10;2|b|twenty;3|c|007;4|d|40");
}

#define UUID "0f0e0d0c-0b0a-0908-0706-050403020100"

/* What is there already becomes what would have been written in the wider type. */
static const struct widening {
    const char *from, *value, *to, *held; /* the value, and what it is in the wider type */
    bool not_mysql;                       /* which has no such value */
    bool not_text;                        /* servers show it in a way of their own */
    const char *mysql;                    /* another text there, which means the same */
} widenings[] = {
    {"int", "7", "decimal", "7"},
    {"float", "0.30000000000000004", "decimal", "0.30000000000000004"},
    {"float32", "0.5", "float", "0.5"},
    {"bool", "true", "string", "true"},
    {"int", "7", "string", "7"},
    {"decimal(10,2)", "1.50", "string", "1.50"},
    {"decimal", "1.50", "string", "1.50"},
    {"float", "0.1", "string", "0.1"},
    {"float", "1e+22", "string", "1e+22", .mysql = "1e22"},
    {"float32", "0.12345679", "string", "0.12345679", .mysql = "0.12345679104328156"},
    {"float32", "0.12345679", "decimal", "0.12345679", .mysql = "0.12345679104328156"},
    {"float32", "0.12345679", "json", "0.12345679", .mysql = "0.12345679104328156"},
    {"date", "2024-02-29", "timestamp", "2024-02-29T00:00:00", .not_text = true},
    {"date", "2024-02-29", "string", "2024-02-29"},
    {"date", "-0043-03-15", "string", "-0043-03-15", .not_mysql = true},
    {"date", "0000-03-15", "json", "\"0000-03-15\""},
    {"date", "+12000-01-01", "json", "\"+12000-01-01\"", .not_mysql = true},
    {"date", "infinity", "string", "infinity", .not_mysql = true},
    {"time", "01:02:03.5", "string", "01:02:03.5"},
    {"time", "01:02:00", "string", "01:02:00"},
    {"timestamp", "2024-02-29T01:02:03.25", "string", "2024-02-29T01:02:03.25"},
    {"timestamp", "2024-02-29T00:00:00", "string", "2024-02-29T00:00:00"},
    {"timestamp", "-0043-03-15T01:02:03.5", "string", "-0043-03-15T01:02:03.5", .not_mysql = true},
    {"timestamp", "-infinity", "json", "\"-infinity\"", .not_mysql = true},
    {"timestamptz", "2024-02-29T01:00:00Z", "string", "2024-02-29T01:00:00Z"},
    {"timestamptz", "+12000-01-01T00:00:00Z", "string", "+12000-01-01T00:00:00Z",
     .not_mysql = true},
    {"timestamptz", "-0001-12-31T00:00:00Z", "json", "\"-0001-12-31T00:00:00Z\"",
     .not_mysql = true},
    {"interval", "P1Y2M-2DT26H3.5S", "string", "P1Y2M-2DT26H3.5S"},
    {"uuid", UUID, "string", UUID},
    {"bool", "true", "json", "true"},
    {"int", "7", "json", "7"},
    {"decimal(10,2)", "1.50", "json", "1.50"},
    {"float", "0.5", "json", "0.5"},
    {"string", "7", "json", "\"7\""},
    {"string", "a\"b", "json", "\"a\\\"b\""},
    {"bytes", "AAECAwQ=", "json", "\"AAECAwQ=\""},
    {"date", "2024-02-29", "json", "\"2024-02-29\""},
    {"time", "01:02:03.5", "json", "\"01:02:03.5\""},
    {"timestamp", "2024-02-29T01:02:03", "json", "\"2024-02-29T01:02:03\""},
    {"timestamptz", "2024-02-29T01:00:00Z", "json", "\"2024-02-29T01:00:00Z\""},
    {"interval", "P1M-2DT3.5S", "json", "\"P1M-2DT3.5S\""},
    {"uuid", UUID, "json", "\"" UUID "\""},
};

static void widen(const struct widening *w)
{
    const char *held = t.engine == ENGINE_MYSQL && w->mysql ? w->mysql : w->held, *is;

    if (t.engine == ENGINE_MYSQL && w->not_mysql)
        return;
    target_exec(&t, "drop table if exists t");
    target_set_schema(&t, 0, target_columns(&t, arena_printf(t.mem, "id:int! x:%s", w->from)));
    ok(target_run(&t, arena_printf(t.mem, "1,%s;2,~", w->value), "{}"));
    target_set_schema(&t, 0, target_columns(&t, arena_printf(t.mem, "id:int! x:%s", w->to)));
    ok(target_run(&t, "3,~", "{}"));
    is = target_text(&t, target_words(&t, "select x from t where id = 1",
                                      "select x::text from t where id = 1",
                                      "select x from t where id = 1"));
    cr_log_info("%s: %s %s to %s gives %s", engine_names[t.engine], w->from, w->value, w->to, is);
    if (t.engine == ENGINE_SQLITE || !w->not_text)
        cr_assert_str_eq(is, held, "%s: %s %s to %s gives %s", engine_names[t.engine], w->from,
                         w->value, w->to, is);
    rows_are("select count(*) from \"_connectord_quarantine\"", "0");
    /* And so it is when it comes in the wider type. */
    ok(target_run(&t, arena_printf(t.mem, "1,%s;2,~;3,~", held), "{}"));
    counts_are(0, 0, 3, 0);
}

Scenario(turn_old_values_into_those_of_the_wider_type)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    for (size_t i = 0; i < sizeof widenings / sizeof widenings[0]; i++)
        widen(&widenings[i]);
}

Test(sql_destinations, postgres_names_the_view_that_keeps_a_column_as_it_is)
{
    begin(ENGINE_POSTGRES);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    target_set_schema(&t, 0, target_columns(&t, "id:int! x:int"));
    ok(target_run(&t, "1,7", "{}"));
    target_exec(&t, "create view doubles as select 2 * x as y from t");
    target_set_schema(&t, 0, target_columns(&t, "id:int! x:string"));
    cr_assert_lt(target_run(&t, "2,b", "{}"), 0);
    cr_assert_str_eq(error_reason(&t.err), "widening_blocked");
    cr_assert_not_null(strstr(t.err.message, "view doubles"), "%s", t.err.message);
    cr_assert_not(error_is_retryable(&t.err));
    t.err = ERROR_INIT;
    rows_are("select id, x from t", "1|7");
    target_exec(&t, "drop view doubles");
    ok(target_run(&t, "2,b", "{}"));
    rows_are("select id, x from t order by id", "1|7;2|b");
}

/* A shape that changes in the middle: one attempt may have to be repeated from its checkpoint. */
static int run_two_shapes(const struct schema *second, const char *first_rows,
                          const char *second_rows)
{
    int attempts = 0;

    target_next_run(&t);
    for (;;) {
        struct destination *d = must_open();
        int rc = 0;

        attempts++;
        if (!t.at[0].position || strcmp(t.at[0].position, "{\"n\":1}") != 0)
            rc = target_write(&t, d, 0, first_rows);
        if (rc == 0)
            rc = target_write_as(&t, d, 0, second, second_rows);
        if (rc == 0)
            rc = target_finish(&t, d, 0, "{\"n\":2}");
        d->ops->close(d);
        if (rc == 0)
            return attempts;
        cr_assert_eq(t.err.code, ERR_TRANSIENT, "%s: %s", engine_names[t.engine], t.err.message);
        cr_assert_str_eq(error_reason(&t.err), "schema_changed");
        cr_assert_lt(attempts, 4, "each attempt makes progress");
        t.err = ERROR_INIT;
    }
}

Scenario(change_shape_in_the_middle_of_a_run)
{
    const struct schema *wider;

    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"n\":0}"));
    wider = target_columns(&t, "id:int! v:string n:decimal extra:timestamptz");
    cr_assert_eq(run_two_shapes(wider, "2,b,20", "3,c,1.5,2024-01-02T03:04:05Z"),
                 t.engine == ENGINE_MYSQL ? 2 : 1);
    rows_are("select id, v, n from t order by id", "1|a|10;2|b|20;3|c|1.5");
    rows_are("select count(*) from t where extra is not null", "1");
    rows_are("select count(*) from \"_connectord_quarantine\"", "0");
}

Scenario(change_shape_in_the_middle_of_a_generation)
{
    const struct schema *wider;

    begin(*engine);
    ok(target_run(&t, "1,a,10", "{\"n\":0}"));
    wider = target_columns(&t, "id:int! v:string n:string extra:json");
    run_two_shapes(wider, "2,b,20", "3,c,x,{}");
    rows_are(ALL, "2|b|20;3|c|x");
    rows_are("select count(extra) from t", "1");
    cr_assert_str_eq(tables(), "t");
}

Scenario(change_shape_in_the_middle_of_an_append)
{
    const struct schema *wider;

    begin(*engine);
    target_modes(&t, 0, SYNC_FULL_REFRESH, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{\"n\":0}"));
    wider = target_columns(&t, "id:int! v:string n:string extra:date");
    run_two_shapes(wider, "2,b,20", "3,c,x,2024-02-29");
    rows_are("select id, v, n, extra from t order by id", "1|a|10|~;2|b|20|~;3|c|x|2024-02-29");
    cr_assert_str_eq(tables(), "t");
}

Scenario(stop_when_the_shape_is_frozen)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{}"));
    t.selected[0].drift = DRIFT_FREEZE;
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string n:int extra:int"));
    refused(target_run(&t, "2,b,20,30", "{}"), "schema_frozen");
    rows_are(ALL, "1|a|10");
}

Scenario(keep_new_columns_out_when_they_are_ignored)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{}"));
    t.selected[0].drift = DRIFT_IGNORE;
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string n:int extra:int"));
    ok(target_run(&t, "2,b,20,30", "{}"));
    rows_are(ALL, "1|a|10;2|b|20");
}

Scenario(quarantine_cells_of_a_type_in_conflict)
{
    begin(*engine);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND);
    ok(target_run(&t, "1,a,10", "{}"));
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string n:bool"));
    ok(target_run(&t, "2,b,true", "{}"));
    rows_are(ALL, "1|a|10;2|b|~");
    rows_are("select level, \"column\", reason, raw from \"_connectord_quarantine\"",
             "cell|n|type|true");
}

/* ------------------------------------------------------------------------ names */

Scenario(name_columns_as_the_database_allows)
{
    char long1[220], long2[220], text[1200];
    const struct schema *s;
    struct destination *d;

    begin(*engine);
    memset(long1, 'p', 200);
    memset(long2, 'p', 200);
    strcpy(long1 + 200, ":int");
    strcpy(long2 + 200, "x:int");
    snprintf(text, sizeof text,
             "id:int! userId:int UserID:int user_id:int select:int a\"b`c:int %s %s"
             " \xf0\x9f\x9a\x80:int \xd7\x90\xd7\x91:int \xc3\x89:int \xc3\xa9:int a.b:int 1st:int"
             " _connectord_meta:int ctid:int",
             long1, long2);
    s = target_columns(&t, text);
    /* Names that the list above cannot hold. */
    ((struct column *)(uintptr_t)s->columns)[3].name = "user id";
    ((struct column *)(uintptr_t)s->columns)[4].name = "tail ";
    ((struct column *)(uintptr_t)s->columns)[10].name = "";
    target_set_schema(&t, 0, s);
    target_modes(&t, 0, SYNC_INCREMENTAL, WRITE_APPEND_DEDUP);
    for (int i = 1; i <= 2; i++) {
        target_next_run(&t);
        d = must_open();
        ok(target_write(&t, d, 0, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"));
        ok(target_finish(&t, d, 0, "{}"));
        d->ops->close(d);
        counts_are(i == 1, 0, i == 2, 0);
    }
}

Scenario(name_tables_as_the_database_allows)
{
    begin(*engine);
    t.plan.n = 0;
    target_add(&t, "Orders", &target_schema);
    target_add(&t, "orders", &target_schema);
    target_add(&t, "a very long name that begins as another one does, and goes on and on 1",
               &target_schema);
    target_add(&t, "a very long name that begins as another one does, and goes on and on 2",
               &target_schema);
    target_add(&t, "rocket \xf0\x9f\x9a\x80", &target_schema);
    target_add(&t, "tail ", &target_schema);
    for (int run = 0; run < 2; run++) {
        struct destination *d;

        target_next_run(&t);
        d = must_open();
        for (size_t i = 0; i < t.plan.n; i++)
            ok(target_write(&t, d, i, "1,a,1"));
        for (size_t i = 0; i < t.plan.n; i++)
            ok(target_finish(&t, d, i, "{}"));
        d->ops->close(d);
    }
    rows_are("select count(*), count(distinct target) from \"_connectord_state\"", "6|6");
}

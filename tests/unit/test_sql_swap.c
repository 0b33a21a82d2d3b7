/*
 * What others have made on a table of ours survives a full refresh, whichever way it goes.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/target_fixture.h"

static struct target t;

static void release(void)
{
    if (t.mem)
        target_release(&t);
    t.mem = NULL;
}

#define ok(call) cr_assert_eq((call), 0, "%s", t.err.message)
#define refused(call, why)                                                  \
    do {                                                                    \
        cr_assert_lt((call), 0, "it was to fail");                          \
        cr_assert_str_eq(error_reason(&t.err), (why), "%s", t.err.message); \
        t.err = ERROR_INIT;                                                 \
    } while (0)
#define rows_are(sql, text) cr_assert_str_eq(target_text(&t, (sql)), (text))

/* Without a key there is nothing but rows. */
static const char *const plain = "id:int v:string n:int";

static void begin(enum engine engine)
{
    target_init(&t, engine, "");
    ok(target_run(&t, "1,a,10;2,b,20;3,c,30", NULL));
}

static const char *oid(void)
{
    return target_text(&t, "select 't'::regclass::oid");
}

TestSuite(sql_swap, .fini = release);

/* ----------------------------------------------------------------------- PostgreSQL */

static const char *reader, *owner;

/* @READER and @OWNER stand for the roles of this test. */
static const char *with_roles(const char *sql)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 16);

    while (*sql) {
        bool is_reader = strncmp(sql, "@READER", 7) == 0, is_owner = strncmp(sql, "@OWNER", 6) == 0;

        if (is_reader || is_owner)
            buf_puts(&out, is_reader ? reader : owner);
        else
            buf_putc(&out, *sql);
        sql += is_reader ? 7 : is_owner ? 6 : 1;
    }
    return arena_strdup(t.mem, buf_str(&out));
}

static void exec_as(const char *sql)
{
    target_exec(&t, with_roles(sql));
}

Test(sql_swap, postgres_carries_over_what_others_made)
{
    const char *before;

    begin(ENGINE_POSTGRES);
    /* Roles are of the whole server, so they have the name of the database. */
    reader = arena_printf(t.mem, "%s reader", t.database);
    owner = arena_printf(t.mem, "%s_owner", t.database);
    exec_as("create role \"@READER\"; create role @OWNER; grant create on schema public to @OWNER");
    exec_as("create index \"by V\" on t (v desc nulls last) include (n) where n > 0;"
            "create unique index by_lower on t (lower(v), id);"
            "create index plain_brin on t using brin (n) with (pages_per_range = 4);"
            "comment on index by_lower is 'an index''s comment';"
            "comment on table t is 'it''s ours';"
            "comment on column t.v is 'a \"value\"';"
            "alter table t alter column v set statistics 777;"
            "alter table t alter column n set (n_distinct = -0.5);"
            "alter table t alter column v set storage external;"
            "alter table t set (fillfactor = 71, autovacuum_enabled = false);"
            "alter table t owner to @OWNER;"
            "grant select, insert on t to \"@READER\" with grant option;"
            "grant update (v) on t to \"@READER\"; grant select on t to public;"
            "alter default privileges grant delete on tables to \"@READER\"");
    before = oid();
    ok(target_run(&t, "1,A,11;4,d,40", NULL));
    cr_assert_str_neq(oid(), before, "nothing depends on it: it is renamed");
    rows_are("select id, v from t order by id", "1|A;4|d");
    rows_are("select indexname, indexdef from pg_indexes where tablename = 't' and"
             " left(indexname, 12) <> '_connectord_' order by indexname",
             "by V|CREATE INDEX \"by V\" ON public.t USING btree (v DESC NULLS LAST) INCLUDE (n)"
             " WHERE (n > 0);"
             "by_lower|CREATE UNIQUE INDEX by_lower ON public.t USING btree (lower(v), id);"
             "plain_brin|CREATE INDEX plain_brin ON public.t USING brin (n) WITH"
             " (pages_per_range='4')");
    rows_are("select obj_description('by_lower'::regclass), obj_description('t'::regclass),"
             " col_description('t'::regclass, (select attnum from pg_attribute where attrelid ="
             " 't'::regclass and attname = 'v'))",
             "an index's comment|it's ours|a \"value\"");
    rows_are("select attname, attstattarget, coalesce(array_to_string(attoptions, ',') like "
             "'%n_distinct=-0.5%', false),"
             " attstorage from pg_attribute"
             " where attrelid = 't'::regclass and attname in ('v', 'n') order by attname",
             "n|-1|t|p;v|777|f|e");
    rows_are(with_roles("select reloptions, pg_get_userbyid(relowner) = '@OWNER' from pg_class"
                        " where oid = 't'::regclass"),
             "{fillfactor=71,autovacuum_enabled=false}|t");
    rows_are(
        with_roles(
            "select has_table_privilege('@READER', 't', 'select with grant option'),"
            " has_table_privilege('@READER', 't', 'delete'),"
            " has_column_privilege('@READER', 't', 'v', 'update'),"
            " has_column_privilege('@READER', 't', 'n', 'update'),"
            " (select count(*) from pg_class c, aclexplode(relacl) a where c.oid = 't'::regclass"
            " and grantee = 0)"),
        "t|f|t|f|1");
    rows_are("select count(*) from pg_class where relname like '\\_connectord\\_%x%'"
             " and relkind = 'i' and relname not like '\\_connectord\\_key%'"
             " and relname not like '\\_connectord\\_state%'",
             "0");
    ok(target_run(&t, "1,B,11;5,e,50", NULL));
    rows_are("select count(*) from pg_indexes where tablename = 't'", "4");
    exec_as("alter default privileges revoke delete on tables from \"@READER\";"
            "drop owned by \"@READER\"; drop role \"@READER\";"
            "reassign owned by @OWNER to current_user; drop owned by @OWNER;"
            "drop role @OWNER");
}

Test(sql_swap, postgres_keeps_columns_that_others_added)
{
    begin(ENGINE_POSTGRES);
    target_exec(&t, "alter table t add column note varchar(20); create index by_note on t (note)");
    ok(target_run(&t, "1,A,11;4,d,40", NULL));
    rows_are("select id, v, note from t order by id", "1|A|~;4|d|~");
    rows_are("select count(*) from pg_indexes where indexname = 'by_note'", "1");
}

/* Whatever needs the table itself makes it stay the table it is. */
Test(sql_swap, postgres_copies_when_something_depends_on_the_table)
{
    static const char *const dependents[] = {
        "create view d as select id, v from t",
        "create materialized view d as select id from t",
        "create table d (t_id bigint references t (id))",
        ("create function d() returns trigger language plpgsql as 'begin return new; end';"
         "create trigger d before insert on t for each row execute function d()"),
        "create rule d as on update to t do also notify d",
        "alter table t enable row level security",
        "create policy d on t using (true)",
        "create publication d for table t",
        "create publication d for all tables",
        "create statistics d on v, n from t",
        "alter table t alter column n set default 7",
        "alter table t add constraint d check (n > 0)",
        "alter table t add constraint d unique (n)",
        "create table d () inherits (t)",
        "create function d(x t) returns int language sql as 'select 1'",
        "alter table t alter column v set not null",
    };

    for (size_t i = 0; i < sizeof dependents / sizeof dependents[0]; i++) {
        const char *before;

        begin(ENGINE_POSTGRES);
        target_exec(&t, dependents[i]);
        before = oid();
        cr_assert_eq(target_run(&t, "1,A,11;2,b,20;4,d,40", NULL), 0, "%s: %s", dependents[i],
                     t.err.message);
        cr_assert_str_eq(oid(), before, "%s", dependents[i]);
        cr_assert_str_eq(target_text(&t, "select id, v, n from only t order by id"),
                         "1|A|11;2|b|20;4|d|40", "%s", dependents[i]);
        cr_assert_str_eq(target_text(&t,
                                     "select count(*) from pg_index where indrelid = 't'::regclass"
                                     " and indisprimary"),
                         "1", "%s", dependents[i]);
        ok(target_run(&t, "1,A,11;2,b,20", NULL));
        cr_assert_str_eq(target_text(&t, "select tablename from pg_tables where schemaname ="
                                         " 'public' and tablename like 't%'"),
                         "t", "%s", dependents[i]);
        release();
    }
}

Test(sql_swap, postgres_shows_a_view_the_new_rows)
{
    begin(ENGINE_POSTGRES);
    target_exec(&t, "create view names as select upper(v) as n from t");
    ok(target_run(&t, "1,x,1;2,y,2", NULL));
    rows_are("select n from names order by n", "X;Y");
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:string n:int extra:date"));
    ok(target_run(&t, "1,z,1,2024-01-01;2,y,2,~", NULL));
    rows_are("select n from names order by n", "Y;Z");
    rows_are("select count(extra) from t", "1");
    target_set_schema(&t, 0, target_columns(&t, "id:int! v:int n:int"));
    refused(target_run(&t, "1,1,1;2,2,2", NULL), "swap_blocked");
    rows_are("select n from names order by n", "Y;Z");
    target_exec(&t, "drop view names");
    ok(target_run(&t, "1,1,1;2,2,2", NULL));
    rows_are("select v from t order by v", "1;2");
}

/* Deleting all rows would delete those of others. */
Test(sql_swap, rows_that_others_point_at_stay_the_rows_they_are)
{
    for (enum engine e = ENGINE_POSTGRES; e < ENGINE_COUNT; e++) {
        target_init(&t, e, "");
        ok(target_run(&t, "1,a,10;2,b,20;3,c,30", NULL));
        if (e == ENGINE_MYSQL) /* a foreign key needs the key to be the first of an index */
            target_exec(&t, "create table child (t_id bigint, foreign key (t_id) references t (id)"
                            " on delete cascade)");
        else
            target_exec(&t, "create table child (t_id bigint references t (id)"
                            " on delete cascade)");
        target_exec(&t, "insert into child values (1), (2), (3)");
        ok(target_run(&t, "1,A,10;3,c,30;4,d,40", NULL));
        rows_are("select id, v from t order by id", "1|A;3|c;4|d");
        rows_are("select t_id from child order by t_id", "1;3");
        release();
    }
}

Test(sql_swap, rows_without_a_key_that_others_point_at_are_not_deleted)
{
    target_init(&t, ENGINE_POSTGRES, "");
    target_set_schema(&t, 0, target_columns(&t, plain));
    ok(target_run(&t, "1,a,10;2,b,20", NULL));
    target_exec(&t, "alter table t add constraint u unique (id);"
                    "create table child (t_id bigint references t (id) on delete cascade);"
                    "insert into child values (1)");
    refused(target_run(&t, "1,a,10;2,b,20", NULL), "swap_blocked");
    rows_are("select count(*) from child", "1");
    rows_are("select count(*) from t", "2");
}

Test(sql_swap, postgres_folds_keys_that_the_source_repeats)
{
    begin(ENGINE_POSTGRES);
    ok(target_run(&t, "1,a,1;2,b,1;1,c,2;1,d,3;2,e,2", NULL));
    rows_are("select id, v from t order by id", "1|d;2|e");
    rows_are("select (counters::json)->>'folded', (counters::json)->>'inserted'"
             " from _connectord_state",
             "3|2");
}

/* A reader that holds on to the table is waited for, in turns. */
Test(sql_swap, postgres_gives_way_to_a_reader_and_comes_back)
{
    const char *before;

    begin(ENGINE_POSTGRES);
    before = oid();
    target_hold(&t, "begin; select * from t", 6500, "");
    ok(target_run(&t, "1,A,11;4,d,40", NULL));
    target_let_go(&t);
    cr_assert_str_neq(oid(), before);
    rows_are("select id, v from t order by id", "1|A;4|d");
    cr_assert_str_eq(target_text(&t, "select generation, seq from _connectord_state"), "2|4",
                     "the generation was not built twice");
}

/* ---------------------------------------------------------------------------- MariaDB */

Test(sql_swap, mysql_copies_when_something_depends_on_the_table)
{
    static const char *const dependents[] = {
        "create index by_v on t (v(20))",
        "create trigger d before insert on t for each row set new.n = new.n",
        "alter table t add constraint d check (n > 0)",
        "alter table t comment 'of others'",
        "alter table t modify column n bigint comment 'of others'",
        "alter table t alter column n set default 7",
    };

    for (size_t i = 0; i < sizeof dependents / sizeof dependents[0]; i++) {
        begin(ENGINE_MYSQL);
        target_exec(&t, dependents[i]);
        cr_assert_eq(target_run(&t, "1,A,11;2,b,20;4,d,40", NULL), 0, "%s: %s", dependents[i],
                     t.err.message);
        cr_assert_str_eq(target_text(&t, "select id, v, n from t order by id"),
                         "1|A|11;2|b|20;4|d|40", "%s", dependents[i]);
        ok(target_run(&t, "1,A,11;2,b,20", NULL));
        cr_assert_str_eq(
            target_text(&t, "select (select count(*) from information_schema.statistics where"
                            " table_schema = database() and index_name = 'by_v')"
                            " + (select count(*) from information_schema.triggers where"
                            " event_object_schema = database())"
                            " + (select count(*) from information_schema.table_constraints where"
                            " table_schema = database() and constraint_name = 'd')"
                            " + (select count(*) from information_schema.tables where table_schema"
                            " = database() and table_comment = 'of others')"
                            " + (select count(*) from information_schema.columns where table_schema"
                            " = database() and (column_comment = 'of others' or (table_name = 't'"
                            " and column_default = '7')))"),
            "1", "%s", dependents[i]);
        cr_assert_str_eq(target_text(&t, "select table_name from information_schema.tables where"
                                         " table_schema = database() and table_name like 't%'"),
                         "t", "%s", dependents[i]);
        release();
    }
}

Test(sql_swap, mysql_keeps_views_grants_and_columns_of_others)
{
    begin(ENGINE_MYSQL);
    target_exec(&t, "create view names as select upper(v) as n from t;"
                    "alter table t add column note varchar(20)");
    ok(target_run(&t, "1,x,1;2,y,2", NULL));
    rows_are("select n from names order by n", "X;Y");
    rows_are("select id, note from t order by id", "1|~;2|~");
}

/* ------------------------------------------------------------- the announced exchange */

/* What a crash leaves behind: the state row announces an exchange, and it was made or not. */
static void announce(const char *live_generation)
{
    char sql[300];

    snprintf(sql, sizeof sql,
             "update `_connectord_state` set garbage = json_object('swapping', true),"
             " live_generation = %s, generation = 2",
             live_generation);
    target_exec(&t, sql);
}

Test(sql_swap, mysql_makes_an_exchange_that_was_announced)
{
    begin(ENGINE_MYSQL);
    target_exec(&t, "create table t__g2 like t; insert into t__g2 select id, 'new', n, `"
                    "_connectord_synced_at`, `_connectord_meta` from t");
    announce("1");
    target_modes(&t, 0, SYNC_FULL_REFRESH, WRITE_OVERWRITE);
    cr_assert_not_null(target_open(&t), "%s", t.err.message);
    target_last(&t)->ops->close(target_last(&t));
    cr_assert_str_eq(target_text(&t, "select distinct v from t"), "new");
    rows_are("select table_name from information_schema.tables where table_schema = database()"
             " and table_name like 't%' order by table_name",
             "t;t__g3");
}

Test(sql_swap, mysql_takes_an_exchange_that_was_made_for_made)
{
    begin(ENGINE_MYSQL);
    target_exec(&t, "create table t__g1 like t; update t set v = 'new'");
    announce("1");
    cr_assert_not_null(target_open(&t), "%s", t.err.message);
    target_last(&t)->ops->close(target_last(&t));
    cr_assert_str_eq(target_text(&t, "select distinct v from t"), "new");
    rows_are("select table_name from information_schema.tables where table_schema = database()"
             " and table_name like 't%' order by table_name",
             "t;t__g3");
    ok(target_run(&t, "1,A,11;2,b,20;4,d,40", NULL));
    rows_are("select id, v from t order by id", "1|A;2|b;4|d");
}

/*
 * The MariaDB source among other sessions: who is seen to be open, what is held, and what happens
 * when somebody ends us.
 */
#include <criterion/criterion.h>

#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/sql/mysql.h"
#include "connectors/sql/source.h"
#include "tests/support/source_fixture.h"

extern const struct source_connector source_mysql;

static struct source_fixture f;
static struct arena *mem;

static void setup(void)
{
    source_fixture_open(&f, DATABASE_MYSQL, &source_mysql);
    mem = f.mem;
}

static void teardown(void)
{
    source_fixture_close(&f);
}

TestSuite(mysql_sessions, .init = setup, .fini = teardown, .timeout = 120);

/* Another session, which stays open. */
static MYSQL *session(void)
{
    MYSQL *my = mysql_init(NULL);

    cr_assert(mysql_real_connect(my, "127.0.0.1", DATABASES_USER, DATABASES_PASSWORD, f.database,
                                 (unsigned)databases_port(DATABASE_MYSQL), NULL, 0),
              "%s", mysql_error(my));
    return my;
}

static void say(MYSQL *my, const char *sql)
{
    cr_assert_eq(mysql_query(my, sql), 0, "%s: %s", sql, mysql_error(my));
    mysql_free_result(mysql_store_result(my));
}

/* --------------------------------------------------------------------- moments */

static struct sql_reader *open_reader(void)
{
    struct sql_reader *r;

    f.err = ERROR_INIT;
    cr_assert_eq(mysql_source_driver.open(f.h.config, &f.h.run, &r, &f.err), 0, "%s",
                 f.err.message);
    return r;
}

static struct sql_moment look(struct sql_reader *r)
{
    struct sql_moment m;

    cr_assert_eq(mysql_source_driver.moment(r, mem, &m, &f.err), 0, "%s", f.err.message);
    return m;
}

/* Other tests share the server: only tokens of our own sessions are looked for. */
static const char *token_of(const struct sql_moment *m, MYSQL *my)
{
    const char *begin = arena_printf(mem, "t%lu ", mysql_thread_id(my));

    for (size_t i = 0; i < m->n_open; i++) {
        if (strncmp(m->open[i], begin, strlen(begin)) == 0)
            return m->open[i];
    }
    return NULL;
}

static bool has_token(const struct sql_moment *m, const char *token)
{
    for (size_t i = 0; i < m->n_open; i++) {
        if (strcmp(m->open[i], token) == 0)
            return true;
    }
    return false;
}

Test(mysql_sessions, sees_transactions_that_may_write_and_no_others)
{
    MYSQL *writer, *idle, *reader, *prepared;
    struct sql_reader *r, *ours;
    struct sql_moment m;
    const char *token;
    size_t n_xa = 0;

    source_fixture_run(&f, "create table t(id int primary key); insert into t values (1)");
    source_fixture_select(&f, NULL);
    r = open_reader();
    ours = open_reader();
    cr_assert_eq(mysql_source_driver.snapshot(ours, &f.err), 0);
    writer = session(), idle = session(), reader = session(), prepared = session();
    say(writer, "begin");
    say(writer, "insert into t values (2)");
    say(idle, "begin");
    say(idle, "select * from t");
    say(reader, "start transaction with consistent snapshot, read only");
    say(prepared, "xa start 'x'");
    say(prepared, "insert into t values (3)");
    m = look(r);
    cr_assert(m.visible);
    token = token_of(&m, writer);
    cr_assert(token && token_of(&m, idle) && token_of(&m, prepared));
    cr_assert_not(token_of(&m, reader), "it cannot write");
    cr_assert_lt(llabs(m.unix_us - clock_unix_us()), 10000000);
    say(writer, "commit");
    say(writer, "begin");
    m = look(r);
    cr_assert_not(has_token(&m, token), "an answer that is up to date, however quickly asked");
    say(prepared, "xa end 'x'");
    say(prepared, "xa prepare 'x'");
    mysql_close(prepared);
    prepared = session();
    m = look(r);
    for (size_t i = 0; i < m.n_open; i++)
        n_xa += m.open[i][0] == 'x';
    cr_assert_geq(n_xa, 1, "prepared, and its session is gone");
    say(prepared, "xa rollback 'x'");
    mysql_source_driver.close(ours);
    mysql_source_driver.close(r);
    mysql_close(writer);
    mysql_close(idle);
    mysql_close(reader);
    mysql_close(prepared);
}

struct waiting {
    MYSQL *my;
    const char *sql;
    int rc;
};

static void *run_waiting(void *arg)
{
    struct waiting *w = arg;

    w->rc = mysql_query(w->my, w->sql);
    return NULL;
}

static bool is_waiting(MYSQL *my)
{
    return strcmp(source_fixture_ask(
                      &f, arena_printf(mem,
                                       "select count(*) from information_schema.processlist where"
                                       " id = %lu and state like 'Waiting for table%%'",
                                       mysql_thread_id(my))),
                  "1") == 0;
}

/* Its time was taken when it began, and InnoDB does not know of it yet. */
Test(mysql_sessions, sees_a_statement_that_waits_before_its_transaction_begins)
{
    struct waiting w = {.sql = "insert into t values (1, now(6))"};
    struct sql_moment before, then;
    size_t same = 0, n = 0;
    struct sql_reader *r;
    pthread_t thread;
    MYSQL *locker;

    source_fixture_run(&f, "create table t(id int primary key, at datetime(6))");
    source_fixture_select(&f, NULL);
    r = open_reader();
    locker = session(), w.my = session();
    say(locker, "lock tables t write");
    before = look(r);
    pthread_create(&thread, NULL, run_waiting, &w);
    while (!is_waiting(w.my))
        usleep(10000);
    then = look(r);
    for (size_t i = 0; i < then.n_open; i++) {
        n += then.open[i][0] == 's' && !has_token(&before, then.open[i]);
        same += has_token(&before, then.open[i]);
    }
    cr_assert_geq(n, 1, "%zu tokens, %zu of them old", then.n_open, same);
    say(locker, "unlock tables");
    pthread_join(thread, NULL);
    cr_assert_eq(w.rc, 0);
    mysql_source_driver.close(r);
    mysql_close(locker);
    mysql_close(w.my);
}

Test(mysql_sessions, says_when_it_may_not_see_anything)
{
    const char *user = arena_printf(mem, "u_%s", f.database);
    struct sql_reader *r;

    source_fixture_run(&f, "create table t(id int primary key)");
    source_fixture_run(&f, arena_printf(mem,
                                        "create user %s@'%%' identified by 'p';"
                                        "grant select on %s.* to %s",
                                        user, f.database, user));
    f.config = arena_printf(mem,
                            "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                            "\"username\":\"%s\",\"password\":\"p\",\"ssl_mode\":\"disable\"}",
                            (long long)databases_port(DATABASE_MYSQL), f.database, user);
    source_fixture_select(&f, NULL);
    r = open_reader();
    cr_assert_not(look(r).visible);
    cr_assert_eq(mysql_source_driver.snapshot(r, &f.err), 0, "the session is as good as before");
    mysql_source_driver.close(r);
    source_fixture_run(&f, arena_printf(mem, "grant process on *.* to %s", user));
    r = open_reader();
    cr_assert(look(r).visible);
    mysql_source_driver.close(r);
    source_fixture_run(&f, arena_printf(mem, "drop user %s", user));
}

Test(mysql_sessions, knows_the_last_number_given_out)
{
    struct sql_reader *r;
    int64_t n = 0;
    bool known;

    source_fixture_run(&f, "create table t(id int auto_increment primary key, v int);"
                           "create table u(id int primary key);"
                           "insert into t(v) select seq from seq_1_to_10; delete from t");
    source_fixture_select(&f, NULL);
    r = open_reader();
    cr_assert_eq(mysql_source_driver.last_number(r, "", "t", "id", &n, &known, &f.err), 0, "%s",
                 f.err.message);
    cr_assert(known && n >= 10 && n < 16, "%lld", (long long)n);
    source_fixture_run(&f, "insert into t values (1000, 1)");
    cr_assert_eq(mysql_source_driver.last_number(r, f.database, "t", "id", &n, &known, &f.err), 0);
    cr_assert(known && n == 1000, "%lld", (long long)n);
    cr_assert_eq(mysql_source_driver.last_number(r, "", "t", "v", &n, &known, &f.err), 0);
    cr_assert_not(known);
    cr_assert_eq(mysql_source_driver.last_number(r, "", "u", "id", &n, &known, &f.err), 0);
    cr_assert_not(known);
    cr_assert_eq(mysql_source_driver.last_number(r, "", "none", "id", &n, &known, &f.err), 0);
    cr_assert_not(known);
    mysql_source_driver.close(r);
}

/* --------------------------------------------------------------------- trouble */

/* A sink that does something when the first rows of a stream come. */
struct hook {
    struct sink sink;
    struct fake_sink *to;
    size_t stream;
    void (*act)(void *arg);
    void *arg;
    bool acted;
};

static struct hook *hook_of(struct sink *s)
{
    return (struct hook *)s;
}

static int hook_begin(struct sink *s, size_t i, struct error *err)
{
    return sink_begin(&hook_of(s)->to->sink, i, err);
}

static int hook_write(struct sink *s, size_t i, struct batch *rows, struct error *err)
{
    struct hook *h = hook_of(s);

    if (i == h->stream && !h->acted) {
        h->acted = true;
        h->act(h->arg);
    }
    return sink_write(&h->to->sink, i, rows, err);
}

static int hook_checkpoint(struct sink *s, size_t i, const char *position, struct error *err)
{
    return sink_checkpoint(&hook_of(s)->to->sink, i, position, err);
}

static int hook_count(struct sink *s, size_t i, int64_t filtered, int64_t dropped,
                      struct error *err)
{
    return sink_count_dropped(&hook_of(s)->to->sink, i, filtered, dropped, err);
}

static int hook_end(struct sink *s, size_t i, const char *position, struct error *err)
{
    return sink_end(&hook_of(s)->to->sink, i, position, err);
}

static int hook_fail(struct sink *s, size_t i, const struct error *why, struct error *err)
{
    return sink_fail(&hook_of(s)->to->sink, i, why, err);
}

static const struct sink_ops hook_ops = {hook_begin, hook_write, hook_checkpoint,
                                         hook_count, hook_end,   hook_fail};

static int read_and(size_t stream, void (*act)(void *), void *arg)
{
    struct hook h = {.sink.ops = &hook_ops, .stream = stream, .act = act, .arg = arg};
    int rc;

    fake_sink_free(f.got);
    f.got = h.to = fake_sink_new(f.h.selection.n);
    f.err = ERROR_INIT;
    rc = harness_read(&f.h, NULL, &h.sink, &f.err);
    cr_assert(h.acted, "%s", f.err.message);
    cr_assert_str_eq(f.got->violation, "");
    return rc;
}

/* More than fits into the buffers between the server and us. */
static void fill_much(void)
{
    source_fixture_run(&f, "create table t(id int primary key, v varchar(400));"
                           "insert into t select seq, repeat('x', 400) from seq_1_to_100000");
    source_fixture_select(&f, NULL);
}

static void kill_reader(void *arg)
{
    (void)arg;
    source_fixture_run(
        &f, arena_printf(mem, "kill connection %s",
                         source_fixture_ask(&f, arena_printf(mem,
                                                             "select id from"
                                                             " information_schema.processlist where"
                                                             " db = '%s' and id <> connection_id()",
                                                             f.database))));
}

Test(mysql_sessions, fails_when_it_is_killed_and_goes_on_behind_its_checkpoint)
{
    const struct fake_stream *s;
    size_t before;

    fill_much();
    read_and(0, kill_reader, NULL);
    s = &f.got->streams[0];
    cr_assert(s->failed && !s->ended);
    cr_assert_eq(s->why.code, ERR_TRANSIENT, "%s", s->why.message);
    cr_assert_lt(s->n_lines, 100000, "the end of the connection is not the end of the rows");
    cr_assert_gt(s->n_checkpoints, 0);
    before = s->checkpoints[s->n_checkpoints - 1].n_lines;
    snprintf(f.position, sizeof f.position, "%s", s->checkpoints[s->n_checkpoints - 1].position);
    cr_assert_eq(source_fixture_read(&f)->n_lines, 100000 - before);
}

static void kill_query(void *arg)
{
    (void)arg;
    source_fixture_run(
        &f, arena_printf(mem, "kill query %s",
                         source_fixture_ask(&f, arena_printf(mem,
                                                             "select id from"
                                                             " information_schema.processlist where"
                                                             " db = '%s' and id <> connection_id()",
                                                             f.database))));
}

Test(mysql_sessions, fails_when_its_statement_is_killed)
{
    fill_much();
    source_fixture_run(&f, "create table u(id int); insert into u values (1)");
    source_fixture_select(&f, NULL);
    read_and(0, kill_query, NULL);
    cr_assert(f.got->streams[0].failed);
    cr_assert_eq(f.got->streams[0].why.code, ERR_TRANSIENT, "%s", f.got->streams[0].why.message);
    cr_assert(f.got->streams[1].ended, "the session is whole: %s", f.got->streams[1].why.message);
}

static void alter_first(void *arg)
{
    MYSQL *my = session();

    (void)arg;
    say(my, "set lock_wait_timeout = 1");
    say(my, "alter table a add column z int");
    mysql_close(my);
}

Test(mysql_sessions, lets_a_table_go_when_its_stream_has_ended)
{
    source_fixture_run(&f, "create table a(id int primary key); insert into a values (1);"
                           "create table b(id int primary key); insert into b values (1)");
    source_fixture_select(&f, NULL);
    cr_assert_eq(read_and(1, alter_first, NULL), 0);
    cr_assert(f.got->streams[1].ended);
}

static void alter_second(void *arg)
{
    MYSQL *my = session();

    (void)arg;
    say(my, "alter table b add column z int not null default 7 first, algorithm = copy");
    say(my, "drop table c");
    mysql_close(my);
}

Test(mysql_sessions, fails_for_tables_that_others_change_before_their_turn)
{
    source_fixture_run(&f, "create table a(id int primary key); insert into a values (1);"
                           "create table b(id int primary key); insert into b values (1);"
                           "create table c(id int primary key); insert into c values (1)");
    source_fixture_select(&f, NULL);
    cr_assert_eq(read_and(0, alter_second, NULL), 0);
    cr_assert(f.got->streams[0].ended);
    cr_assert(f.got->streams[1].failed);
    cr_assert_str_eq(error_reason(&f.got->streams[1].why), "schema_changed");
    cr_assert(error_is_retryable(&f.got->streams[1].why));
    cr_assert(f.got->streams[2].failed);
    cr_assert_str_eq(error_reason(&f.got->streams[2].why), "table_missing");
    cr_assert_eq(f.got->streams[2].why.code, ERR_SCHEMA);
}

Test(mysql_sessions, notices_columns_that_have_gone_or_changed)
{
    source_fixture_run(&f, "create table t(id int primary key, a int, b int);"
                           "insert into t values (1, 2, 3)");
    source_fixture_select(&f, NULL);
    source_fixture_run(&f, "alter table t modify a varchar(20); update t set a = 'text'");
    cr_assert(source_fixture_read(&f)->ended);
    cr_assert_str_eq(f.got->streams[0].lines[0],
                     "{\"id\":\"1\",\"a\":null,\"b\":\"3\",\"?a\":[\"parse\",\"text\"]}");
    source_fixture_run(&f, "alter table t drop column b");
    f.position[0] = '\0';
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "column_missing");
}

Test(mysql_sessions, holds_a_statement_to_its_time)
{
    f.options = ",\"statement_timeout_s\":1,\"queries\":{\"q\":\"select sleep(20) as a\"}";
    source_fixture_select(&f, NULL);
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "statement_timeout", "%s",
                     f.got->streams[0].why.message);
}

static void *cancel_soon(void *arg)
{
    usleep(300000);
    cancel_request(arg, CANCEL_USER);
    return NULL;
}

static const char *busy_statements(void)
{
    return source_fixture_ask(&f, arena_printf(mem,
                                               "select count(*) from information_schema.processlist"
                                               " where db = '%s' and command <> 'Sleep' and"
                                               " id <> connection_id()",
                                               f.database));
}

Test(mysql_sessions, stops_in_the_middle_of_a_statement)
{
    int64_t begun = clock_monotonic_us();
    pthread_t thread;

    f.options = ",\"queries\":{\"q\":\"select sleep(100) as a\"}";
    source_fixture_select(&f, NULL);
    f.got = fake_sink_new(1);
    pthread_create(&thread, NULL, cancel_soon, f.h.cancel);
    cr_assert_lt(harness_read(&f.h, NULL, &f.got->sink, &f.err), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(f.err.code, ERR_CANCELLED, "%s", f.err.message);
    cr_assert_lt(clock_monotonic_us() - begun, 10000000);
    for (int i = 0; i < 100 && strcmp(busy_statements(), "0") != 0; i++)
        usleep(50000);
    cr_assert_str_eq(busy_statements(), "0", "the server does not go on either");
}

static void cancel_now(void *arg)
{
    cancel_request(arg, CANCEL_USER);
}

Test(mysql_sessions, does_not_wait_for_the_rows_that_nobody_wants)
{
    int64_t begun;

    source_fixture_run(&f, "create view t as select seq as id, repeat('x', 100) as v"
                           " from seq_1_to_1000000000");
    source_fixture_select(&f, NULL);
    begun = clock_monotonic_us();
    cr_assert_lt(read_and(0, cancel_now, f.h.cancel), 0);
    cr_assert_eq(f.err.code, ERR_CANCELLED);
    cr_assert_lt(clock_monotonic_us() - begun, 10000000);
}

Test(mysql_sessions, never_writes_to_the_source)
{
    static const char writing[] = "create or replace function w() returns int modifies sql data"
                                  " begin insert into t values (2); return 1; end";
    MYSQL *my = session();

    source_fixture_run(&f, "create table t(id int primary key); insert into t values (1);"
                           "create function w() returns int return 1");
    f.options = ",\"queries\":{\"q\":\"select w() as a\"}";
    source_fixture_select(&f, "[{\"name\":\"q\"}]");
    say(my, writing);
    cr_assert(source_fixture_read(&f)->failed);
    source_fixture_refuse(&f);
    cr_assert_str_eq(error_reason(&f.err), "query_invalid");
    cr_assert_str_eq(source_fixture_ask(&f, "select count(*) from t"), "1");
    mysql_close(my);
}

/*
 * The MariaDB source among other sessions: what is held, and what happens when somebody ends us.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "tests/support/mysql_session.h"
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
    MYSQL *my = mysql_session_open(f.database);

    (void)arg;
    mysql_session_run(my, "set lock_wait_timeout = 1");
    mysql_session_run(my, "alter table a add column z int");
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
    MYSQL *my = mysql_session_open(f.database);

    (void)arg;
    mysql_session_run(my,
                      "alter table b add column z int not null default 7 first, algorithm = copy");
    mysql_session_run(my, "drop table c");
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
    source_fixture_run(&f, "create table t(id int primary key, a int, b int, c datetime);"
                           "insert into t values (1, 2, 3, '2024-01-02')");
    source_fixture_select(&f, NULL);
    source_fixture_run(&f, "alter table t modify a varchar(20), modify c date;"
                           "update t set a = 'text'");
    cr_assert(source_fixture_read(&f)->ended);
    cr_assert_str_eq(f.got->streams[0].lines[0],
                     "{\"id\":\"1\",\"a\":null,\"b\":\"3\",\"c\":null,"
                     "\"?a\":[\"parse\",\"text\"],\"?c\":[\"type\",\"2024-01-02\"]}");
    source_fixture_run(&f, "alter table t drop column b");
    f.position[0] = '\0';
    cr_assert(source_fixture_read(&f)->failed);
    cr_assert_str_eq(error_reason(&f.got->streams[0].why), "column_missing");
}

/* How check fails with this in place of a member of the configuration. */
static const char *failure_with(const char *member, const char *value)
{
    const char *config = databases_config(DATABASE_MYSQL, f.database, "", mem);
    struct error err = ERROR_INIT;
    struct doc *d, *out_doc;
    void *decoded;

    cr_assert_eq(doc_parse(config, strlen(config), &d, &err), 0);
    doc_set(d, member, doc_new_string(value));
    CLEANUP(buf_release) struct buf text = BUF_INIT(65536);
    doc_write(d, &text);
    doc_free(d);
    cr_assert_eq(harness_decode(source_mysql.options, source_mysql.config_size, buf_str(&text), mem,
                                &decoded, &out_doc, &err),
                 0, "%s", err.message);
    cr_assert_lt(source_mysql.check(decoded, &f.h.run, &err), 0, "%s %s", member, value);
    doc_free(out_doc);
    cr_assert_not(strstr(err.message, DATABASES_PASSWORD), "%s", err.message);
    return error_reason(&err);
}

Test(mysql_sessions, says_what_is_wrong_with_its_settings)
{
    source_fixture_select(&f, NULL);
    f.err = ERROR_INIT;
    cr_assert_eq(source_mysql.check(f.h.config, &f.h.run, &f.err), 0, "%s", f.err.message);
    cr_assert_str_eq(failure_with("password", "wrong"), "auth_failed");
    cr_assert_str_eq(failure_with("username", "nobody"), "auth_failed");
    cr_assert_str_eq(failure_with("database", "no_such_database"), "database_missing");
    cr_assert_str_eq(failure_with("host", "no-such-host.invalid"), "host_unknown");
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
    MYSQL *my = mysql_session_open(f.database);

    source_fixture_run(&f, "create table t(id int primary key); insert into t values (1);"
                           "create function w() returns int return 1");
    f.options = ",\"queries\":{\"q\":\"select w() as a\"}";
    source_fixture_select(&f, "[{\"name\":\"q\"}]");
    mysql_session_run(my, writing);
    cr_assert(source_fixture_read(&f)->failed);
    source_fixture_refuse(&f);
    cr_assert_str_eq(error_reason(&f.err), "query_invalid");
    cr_assert_str_eq(source_fixture_ask(&f, "select count(*) from t"), "1");
    mysql_close(my);
}

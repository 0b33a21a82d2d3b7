/*
 * Who is seen to be open on a MariaDB, and which number was given out last.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/sql/mysql.h"
#include "connectors/sql/source.h"
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

TestSuite(mysql_moment, .init = setup, .fini = teardown, .timeout = 120);

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

static bool has_token(const struct sql_moment *m, const char *token)
{
    for (size_t i = 0; i < m->n_open; i++) {
        if (strcmp(m->open[i], token) == 0)
            return true;
    }
    return false;
}

/* Other tests share the server: only what is known of our own sessions is looked for. */
static const char *session_of(MYSQL *my)
{
    return arena_printf(mem, "c%lu", mysql_thread_id(my));
}

/* A transaction is known by its beginning and its number; its session is told beside them. */
static bool sees_transaction(const struct sql_moment *m, MYSQL *my)
{
    for (size_t i = 0; i < m->n_also; i++) {
        if (strcmp(m->also[i], session_of(my)) == 0)
            return true;
    }
    return false;
}

static const char *number_of(MYSQL *my)
{
    const char *sql = arena_printf(mem,
                                   "select trx_id from information_schema.innodb_trx"
                                   " where trx_mysql_thread_id = %lu",
                                   mysql_thread_id(my));

    return arena_printf(mem, "x%s", source_fixture_ask(&f, sql));
}

Test(mysql_moment, sees_transactions_that_may_write_and_no_others)
{
    MYSQL *writer, *idle, *reader, *prepared;
    struct sql_reader *r, *ours;
    struct sql_moment m;
    const char *written, *xa;

    source_fixture_run(&f, "create table t(id int primary key); insert into t values (1)");
    source_fixture_select(&f, NULL);
    r = open_reader();
    ours = open_reader();
    cr_assert_eq(mysql_source_driver.snapshot(ours, &f.err), 0);
    writer = mysql_session_open(f.database), idle = mysql_session_open(f.database),
    reader = mysql_session_open(f.database), prepared = mysql_session_open(f.database);
    mysql_session_run(writer, "begin");
    mysql_session_run(writer, "insert into t values (2)");
    mysql_session_run(idle, "begin");
    mysql_session_run(idle, "select * from t");
    mysql_session_run(reader, "start transaction with consistent snapshot, read only");
    mysql_session_run(prepared, "xa start 'x'");
    mysql_session_run(prepared, "insert into t values (3)");
    m = look(r);
    cr_assert(m.visible);
    written = number_of(writer);
    xa = number_of(prepared);
    cr_assert(has_token(&m, written), "%s", written);
    cr_assert(has_token(&m, xa), "%s", xa);
    cr_assert(sees_transaction(&m, writer) && sees_transaction(&m, idle) &&
              sees_transaction(&m, prepared));
    cr_assert_not(sees_transaction(&m, reader), "it cannot write");
    cr_assert_lt(llabs(m.unix_us - clock_unix_us()), 10000000);
    mysql_session_run(writer, "commit");
    mysql_session_run(writer, "begin");
    m = look(r);
    cr_assert_not(has_token(&m, written), "an answer that is up to date, however quickly asked");
    mysql_session_run(prepared, "xa end 'x'");
    mysql_session_run(prepared, "xa prepare 'x'");
    mysql_close(prepared);
    prepared = mysql_session_open(f.database);
    m = look(r);
    cr_assert(has_token(&m, xa), "prepared, and its session is gone");
    mysql_session_run(prepared, "xa rollback 'x'");
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
Test(mysql_moment, sees_a_statement_that_waits_before_its_transaction_begins)
{
    struct waiting w = {.sql = "insert into t values (1, now(6))"};
    struct sql_moment before, then;
    struct sql_reader *r;
    pthread_t thread;
    MYSQL *locker;

    source_fixture_run(&f, "create table t(id int primary key, at datetime(6))");
    source_fixture_select(&f, NULL);
    r = open_reader();
    locker = mysql_session_open(f.database), w.my = mysql_session_open(f.database);
    mysql_session_run(locker, "lock tables t write");
    before = look(r);
    pthread_create(&thread, NULL, run_waiting, &w);
    while (!is_waiting(w.my))
        usleep(10000);
    then = look(r);
    cr_assert_not(has_token(&before, session_of(w.my)));
    cr_assert(has_token(&then, session_of(w.my)), "of %zu", then.n_open);
    mysql_session_run(locker, "unlock tables");
    pthread_join(thread, NULL);
    cr_assert_eq(w.rc, 0);
    mysql_source_driver.close(r);
    mysql_close(locker);
    mysql_close(w.my);
}

Test(mysql_moment, says_when_it_may_not_see_anything)
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

Test(mysql_moment, knows_the_last_number_given_out)
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

struct looker {
    struct sql_reader *r;
    int n_visible;
};

static void *look_often(void *arg)
{
    struct looker *l = arg;
    CLEANUP(arena_free_cleanup) struct arena *scratch = arena_new();

    for (int i = 0; i < 5; i++) {
        struct error err = ERROR_INIT;
        struct sql_moment m;

        if (mysql_source_driver.moment(l->r, scratch, &m, &err) == 0)
            l->n_visible += m.visible;
        else
            fprintf(stderr, "%s\n", err.message);
    }
    return NULL;
}

/* InnoDB gives the same old answer to all as long as they ask quickly enough. */
Test(mysql_moment, looks_while_others_look_too)
{
    struct looker lookers[5] = {0};
    pthread_t threads[5];

    source_fixture_select(&f, NULL);
    for (int i = 0; i < 5; i++) {
        lookers[i].r = open_reader();
        pthread_create(&threads[i], NULL, look_often, &lookers[i]);
    }
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(lookers[i].n_visible, 5, "%d", lookers[i].n_visible);
        mysql_source_driver.close(lookers[i].r);
    }
}

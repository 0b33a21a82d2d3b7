/*
 * Whichever call fails, nothing is lost and nothing doubled: the driver below fails its n-th call,
 * for n = 1, 2, 3 ... until a run gets through untouched, once before the call is made and once
 * after it (the answer is lost). Then an undisturbed attempt of the same run must leave exactly
 * what a run without any failure leaves.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/sql/destination.h"
#include "connectors/sql/sqlite.h"
#include "tests/support/sqlite_fixture.h"

enum loss { LOST_CALL, LOST_ANSWER };

static struct sqlite_fixture f;
static struct {
    size_t n_calls, fail_at; /* 0 = never */
    enum loss loss;
} plan;

struct fake_conn {
    struct sql_conn base;
    struct sql_conn *real;
};

/* Whether this call is the one; `before` tells which side of it we are on. */
static bool strikes(bool before)
{
    if (before)
        plan.n_calls++;
    return plan.n_calls == plan.fail_at && before == (plan.loss == LOST_CALL);
}

static int strike(struct error *err)
{
    return error_set(err, ERR_TRANSIENT, "call %zu failed as planned", plan.n_calls);
}

static struct sql_conn *real(struct sql_conn *c)
{
    return ((struct fake_conn *)c)->real;
}

static const struct sql_driver fake_driver;

static int fake_open(const void *config, struct run *run, struct sql_conn **out, struct error *err)
{
    struct fake_conn *c;

    if (strikes(true))
        return strike(err);
    c = xalloc(sizeof *c);
    c->base = (struct sql_conn){&fake_driver, &sql_sqlite};
    if (sqlite_driver.open(config, run, &c->real, err) < 0) {
        free(c);
        return -1;
    }
    if (strikes(false)) {
        sqlite_driver.close(c->real);
        free(c);
        return strike(err);
    }
    *out = &c->base;
    return 0;
}

static int fake_exec(struct sql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                     int64_t *out_changed, struct error *err)
{
    if (strikes(true))
        return strike(err);
    if (sqlite_driver.exec(real(c), sql, params, n, out_changed, err) < 0)
        return -1;
    return strikes(false) ? strike(err) : 0;
}

static int fake_query(struct sql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                      sql_row_fn *each, void *arg, struct error *err)
{
    if (strikes(true))
        return strike(err);
    if (sqlite_driver.query(real(c), sql, params, n, each, arg, err) < 0)
        return -1;
    return strikes(false) ? strike(err) : 0;
}

static int fake_bulk(struct sql_conn *c, const struct sql_bulk *what, const struct batch *rows,
                     int64_t *out_inserted, struct error *err)
{
    if (strikes(true))
        return strike(err);
    if (sqlite_driver.bulk(real(c), what, rows, out_inserted, err) < 0)
        return -1;
    return strikes(false) ? strike(err) : 0;
}

static void fake_close(struct sql_conn *c)
{
    sqlite_driver.close(real(c));
    free(c);
}

static const struct sql_driver fake_driver = {
    .open = fake_open,
    .exec = fake_exec,
    .query = fake_query,
    .bulk = fake_bulk,
    .close = fake_close,
};

static int open_fake(const void *config, struct run *run, const struct write_plan *writes,
                     struct destination **out, struct error *err)
{
    return sql_destination_open(&fake_driver, config, false, run, writes, out, err);
}

static const struct destination_connector fake = {.name = "fake", .open = open_fake};

static void setup(void)
{
    fixture_open(&f);
    memset(&plan, 0, sizeof plan);
}

static void teardown(void)
{
    fixture_close(&f);
}

TestSuite(torture, .init = setup, .fini = teardown, .timeout = 600);

/* One way of writing, and what the source does between its two runs. */
static const struct scenario {
    const char *name, *streams, *change;
} scenarios[] = {
    {"overwrite", "[{\"name\":\"t\"}]", "update t set v = 'new' where id < 100"},
    {"append", "[{\"name\":\"t\",\"destination_sync_mode\":\"append\"}]",
     "update t set v = 'new' where id < 100"},
    {"incremental append",
     "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append\"}]",
     "insert into t select id + 10000, 'new' from t"},
    {"dedup",
     "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append_dedup\"}]",
     "insert into t select id + 10000, 'new' from t"},
    {"insert only",
     "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"insert_only\"}]",
     "insert into t select id + 10000, 'new' from t"},
};

#define ALL_ROWS "select id, v, count(*) from t group by id, v order by id, v"
#define TABLES                                                                             \
    "select group_concat(name) from (select name from sqlite_master where type = 'table' " \
    "order by name)"

static void prepare(const struct scenario *s)
{
    unlink(f.from);
    unlink(f.to);
    fixture_exec(f.from,
                 "create table t(id integer primary key, v text);"
                 "insert into t with recursive n(i) as (select 1 union all select i+1 from n"
                 " where i < 4500) select i, 'old' from n");
    fixture_select(&f, s->streams);
    f.pump.destination = &fake;
    f.pump.commit_every = 1;
    plan.fail_at = 0;
    fixture_run(&f);
    fixture_exec(f.from, s->change);
}

/* The second run is struck at call n. False when it got through. */
static bool struck(const struct scenario *s, size_t n, enum loss loss, const char *expected)
{
    bool failed;

    prepare(s);
    plan.n_calls = 0;
    plan.fail_at = n;
    plan.loss = loss;
    fixture_next_run(&f);
    f.err = ERROR_INIT;
    failed = pump_attempt(&f.pump, &f.err) < 0;
    plan.fail_at = 0;
    if (failed) {
        cr_assert_neq(f.err.code, ERR_NONE);
        cr_assert_str_eq(fixture_text(f.to, "pragma integrity_check"), "ok");
        f.err = ERROR_INIT;
        cr_assert_eq(pump_attempt(&f.pump, &f.err), 0, "%s, call %zu: %s", s->name, n,
                     f.err.message);
    }
    f.n_runs++;
    cr_assert_str_eq(fixture_text(f.to, ALL_ROWS), expected, "%s, call %zu %s", s->name, n,
                     loss == LOST_CALL ? "failed" : "lost its answer");
    cr_assert_str_eq(fixture_text(f.to, TABLES), "_connectord_quarantine,_connectord_state,t",
                     "%s, call %zu", s->name, n);
    return failed;
}

static void torture(const struct scenario *s)
{
    struct buf expected = BUF_INIT((size_t)4 << 20);

    prepare(s);
    fixture_run(&f);
    buf_puts(&expected, fixture_text(f.to, ALL_ROWS));
    for (int loss = LOST_CALL; loss <= LOST_ANSWER; loss++) {
        size_t n = 1;

        while (struck(s, n, (enum loss)loss, buf_str(&expected)))
            n++;
        cr_assert_gt(n, 15, "%s: only %zu calls were struck", s->name, n);
    }
    buf_release(&expected);
}

Test(torture, of_overwrite)
{
    torture(&scenarios[0]);
}

Test(torture, of_append)
{
    torture(&scenarios[1]);
}

Test(torture, of_incremental_append)
{
    torture(&scenarios[2]);
}

Test(torture, of_dedup)
{
    torture(&scenarios[3]);
}

Test(torture, of_insert_only)
{
    torture(&scenarios[4]);
}

/* The same for the other side: the source is cut off after each of its calls. */
Test(torture, of_every_call_of_the_source)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const struct scenario *s = &scenarios[i];
        struct buf expected = BUF_INIT((size_t)4 << 20);

        prepare(s);
        fixture_run(&f);
        buf_puts(&expected, fixture_text(f.to, ALL_ROWS));
        for (size_t n = 1; n < 100; n++) {
            bool failed;

            prepare(s);
            fixture_next_run(&f);
            f.pump.crash_after = n;
            f.err = ERROR_INIT;
            failed = pump_attempt(&f.pump, &f.err) < 0;
            f.pump.crash_after = 0;
            f.err = ERROR_INIT;
            cr_assert(!failed || pump_attempt(&f.pump, &f.err) == 0, "%s", f.err.message);
            cr_assert_str_eq(fixture_text(f.to, ALL_ROWS), buf_str(&expected), "%s, call %zu",
                             s->name, n);
            if (!failed)
                break;
        }
        buf_release(&expected);
    }
}

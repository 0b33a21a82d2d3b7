/*
 * Whichever check of ours refuses, nothing is lost and nothing doubled. Between the calls of a
 * driver, which sqlite_torture.c is about, a run asks whether it is cancelled, whether a statement
 * has fitted into its buffer, and (in a build that has them) meets fail points. Each of them says
 * no at its n-th question, for n = 1, 2, 3 ... until a run gets through; then an undisturbed
 * attempt of the same run must leave what a run without any refusal leaves.
 */
#include <criterion/criterion.h>

#include <string.h>
#include <unistd.h>

#include "connectors/base/cancel.h"
#include "connectors/base/failpoint.h"
#include "tests/support/sqlite_fixture.h"

extern const struct destination_connector destination_sqlite;

static struct sqlite_fixture f;
static struct {
    const char *check;
    size_t n_asked, refuse_at; /* 0 = never */
} plan;

static bool refuses(const char *check)
{
    return plan.refuse_at > 0 && !strcmp(plan.check, check) && ++plan.n_asked == plan.refuse_at;
}

/* The linker puts these in front of the real ones. */
int __real_cancel_check(const struct cancel *c, struct error *err);
int __wrap_cancel_check(const struct cancel *c, struct error *err);
int __real_buf_ok(const struct buf *b, const char *what, struct error *err);
int __wrap_buf_ok(const struct buf *b, const char *what, struct error *err);

int __wrap_cancel_check(const struct cancel *c, struct error *err)
{
    if (refuses("cancel"))
        return error_set(err, ERR_CANCELLED, "question %zu was refused", plan.n_asked);
    return __real_cancel_check(c, err);
}

int __wrap_buf_ok(const struct buf *b, const char *what, struct error *err)
{
    if (refuses("statement"))
        return error_set(err, ERR_TOO_LARGE, "question %zu was refused", plan.n_asked);
    return __real_buf_ok(b, what, err);
}

#ifdef CONNECTORD_FAILPOINTS
int __real_failpoint(const char *name, struct error *err);
int __wrap_failpoint(const char *name, struct error *err);

int __wrap_failpoint(const char *name, struct error *err)
{
    if (refuses("fail point"))
        return error_set(err, ERR_TRANSIENT, "fail point %s was met", name);
    return __real_failpoint(name, err);
}
#endif

static void setup(void)
{
    fixture_open(&f);
    memset(&plan, 0, sizeof plan);
}

static void teardown(void)
{
    fixture_close(&f);
}

TestSuite(checks, .init = setup, .fini = teardown, .timeout = 600);

static const struct scenario {
    const char *name, *streams, *change;
} scenarios[] = {
    {"overwrite", "[{\"name\":\"t\"}]", "update t set v = 'new' where id < 10"},
    {"append", "[{\"name\":\"t\",\"destination_sync_mode\":\"append\"}]",
     "update t set v = 'new' where id < 10"},
    {"nothing", "[{\"name\":\"t\",\"destination_sync_mode\":\"append\"}]", "delete from t"},
    {"incremental append",
     "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append\"}]",
     "insert into t select id + 1000, 'new' from t"},
    {"dedup",
     "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append_dedup\"}]",
     "insert into t select id + 1000, 'new' from t"},
};

#define ALL_ROWS "select id, v, count(*) from t group by id, v order by id, v"

static void prepare(const struct scenario *s)
{
    unlink(f.from);
    unlink(f.to);
    fixture_exec(f.from, "create table t(id integer primary key, v text);"
                         "insert into t with recursive n(i) as (select 1 union all select i+1 from"
                         " n where i < 60) select i, 'old' from n");
    fixture_select(&f, s->streams);
    f.pump.destination = &destination_sqlite;
    f.pump.commit_every = 1;
    plan.refuse_at = 0;
    fixture_run(&f);
    fixture_exec(f.from, s->change);
}

/* The second run is refused at question n; false when it did not ask so often. */
static bool refused(const struct scenario *s, size_t n, const char *expected)
{
    bool failed;

    prepare(s);
    plan.n_asked = 0;
    plan.refuse_at = n;
    fixture_next_run(&f);
    f.err = ERROR_INIT;
    failed = pump_attempt(&f.pump, &f.err) < 0;
    plan.refuse_at = 0;
    if (failed) {
        cr_assert_neq(f.err.code, ERR_NONE);
        cr_assert_str_eq(fixture_text(f.to, "pragma integrity_check"), "ok");
        f.err = ERROR_INIT;
        cr_assert_eq(pump_attempt(&f.pump, &f.err), 0, "%s, %s %zu: %s", s->name, plan.check, n,
                     f.err.message);
    }
    f.n_runs++;
    cr_assert_str_eq(fixture_text(f.to, ALL_ROWS), expected, "%s, %s %zu", s->name, plan.check, n);
    return plan.n_asked >= n;
}

static void torture(const char *check, size_t at_least)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        struct buf expected = BUF_INIT((size_t)1 << 20);
        size_t n = 1;

        plan.check = check;
        prepare(&scenarios[i]);
        fixture_run(&f);
        buf_puts(&expected, fixture_text(f.to, ALL_ROWS));
        while (refused(&scenarios[i], n, buf_str(&expected)))
            n++;
        cr_assert_gt(n, at_least, "%s: only %zu questions", scenarios[i].name, n - 1);
        buf_release(&expected);
    }
}

Test(checks, of_cancellation)
{
    torture("cancel", 15);
}

Test(checks, of_statements_that_do_not_fit)
{
    torture("statement", 5);
}

#ifdef CONNECTORD_FAILPOINTS
Test(checks, of_fail_points)
{
    torture("fail point", 3);
}
#endif

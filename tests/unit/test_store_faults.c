/* Every file operation of the store fails once, one after the other. */
#include <criterion/criterion.h>

#include <sqlite3.h>

#include "tests/support/store_fixture.h"

/* ------------------------------------------- SQLite's files, with a fault inside */

enum fault { FAULT_READ, FAULT_WRITE, FAULT_FULL, FAULT_SYNC, FAULT_OPEN, FAULT_COUNT };

static const char *const fault_names[] = {"read", "write", "full disk", "sync", "open"};

/* SQLite has several sets of methods; ours stand in front of each. */
static struct wrapped {
    sqlite3_io_methods methods; /* first: a file points here */
    const sqlite3_io_methods *real;
} wrapped[4];
static sqlite3_vfs *below, vfs;
static enum fault fault;
static int countdown; /* the fault happens when it reaches 0; negative = never */
static bool lasting;  /* and then again and again */

static bool strikes(enum fault what)
{
    if (fault != what || countdown < 0)
        return false;
    if (countdown > 0)
        countdown--;
    if (countdown > 0)
        return false;
    if (!lasting)
        countdown = -1;
    return true;
}

static bool struck(void)
{
    return countdown <= 0;
}

static const sqlite3_io_methods *real_of(const sqlite3_file *f)
{
    return ((const struct wrapped *)(const void *)f->pMethods)->real;
}

static int fault_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return strikes(FAULT_READ) ? SQLITE_IOERR_READ : real_of(f)->xRead(f, to, n, at);
}

static int fault_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    if (strikes(FAULT_WRITE)) {
        real_of(f)->xWrite(f, from, n / 2, at); /* half of it arrives */
        return SQLITE_IOERR_WRITE;
    }
    return strikes(FAULT_FULL) ? SQLITE_FULL : real_of(f)->xWrite(f, from, n, at);
}

static int fault_sync(sqlite3_file *f, int flags)
{
    return strikes(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : real_of(f)->xSync(f, flags);
}

static void wrap(sqlite3_file *f)
{
    struct wrapped *w = wrapped;

    while (w->real && w->real != f->pMethods)
        w++;
    cr_assert_lt(w - wrapped, 4);
    if (!w->real) {
        w->real = f->pMethods;
        w->methods = *w->real;
        w->methods.xRead = fault_read;
        w->methods.xWrite = fault_write;
        w->methods.xSync = fault_sync;
    }
    f->pMethods = &w->methods;
}

static int fault_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    int rc;

    (void)v;
    if (strikes(FAULT_OPEN)) {
        f->pMethods = NULL;
        return SQLITE_CANTOPEN;
    }
    rc = below->xOpen(below, name, f, flags, out_flags);
    if (f->pMethods)
        wrap(f);
    return rc;
}

static void init(void)
{
    countdown = -1;
    lasting = false;
    below = sqlite3_vfs_find(NULL);
    vfs = *below;
    vfs.zName = "faulty";
    vfs.xOpen = fault_open;
    cr_assert_eq(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
    fixture_open();
}

TestSuite(store_faults, .init = init, .fini = fixture_close);

static void arm(enum fault what, int nth)
{
    fault = what;
    countdown = nth;
}

static void disarm(void)
{
    countdown = -1;
    lasting = false;
}

/* What a fault in this place may be called. */
static void is_honest(const struct error *err, int nth)
{
    cr_assert(err->code == ERR_RESOURCE || err->code == ERR_DATA, "%s %d: %s: %s",
              fault_names[fault], nth, error_reason(err), err->message);
}

/* --------------------------------------------------------------- what is done */

enum { STEPS = 7 };

struct job {
    struct resource resource;
    struct run_row run;
    bool done[STEPS];
};

static int step(struct job *j, const char *connection, int i, struct error *err)
{
    struct state_row state = {.stream = "s", .position = "{\"x\":1}", .counters = "{}"};
    int64_t active;

    switch (i) {
    case 0:
        return store_create_resource(fx.store, RESOURCE_SOURCE, &j->resource, fx.mem, err);
    case 1:
        return store_create_run(fx.store, &j->run, true, &active, err);
    case 2:
        return store_claim_run(fx.store, ~0u, fx.mem, &j->run, err) < 0 ? -1 : 0;
    case 3:
        return store_progress_run(fx.store, j->run.id, "{\"n\":1}", 1, err);
    case 4:
        return store_copy_state(fx.store, connection, &state, 1, err);
    case 5:
        j->run.status = RUN_SUCCEEDED;
        return store_finish_run(fx.store, &j->run, err) < 0 ? -1 : 0;
    default:
        return store_ping(fx.store, 5000, err);
    }
}

/* What was acknowledged is there, what was refused is not, now and after a restart. */
static void check(const struct job *j, const char *connection)
{
    struct state_row *rows;
    struct resource r;
    struct run_row run;
    int64_t revision;
    size_t n;

    if (j->done[0])
        ok(store_get_resource(fx.store, RESOURCE_SOURCE, j->resource.name, fx.mem, &r, &fx.err));
    else
        fails(store_get_resource(fx.store, RESOURCE_SOURCE, j->resource.name, fx.mem, &r, &fx.err),
              ERR_NOT_FOUND, "not_found");
    if (j->done[1])
        ok(store_get_run(fx.store, j->run.id, fx.mem, &run, &fx.err));
    if (j->done[1] && j->done[5])
        cr_assert_eq(run.status, RUN_SUCCEEDED);
    ok(store_get_state(fx.store, connection, fx.mem, &rows, &n, &revision, &fx.err));
    if (j->done[4])
        cr_assert_eq(n, 1);
}

static bool torture_once(enum fault what, int nth, const char *connection)
{
    struct job j = {.resource = {.connector = "c", .config = "{}"},
                    .run = {.kind = RUN_SYNC, .connection_id = connection}};
    bool hit;

    j.resource.name = arena_printf(fx.mem, "%s-%d-%d", "r", (int)what, nth);
    arm(what, nth);
    for (int i = 0; i < STEPS; i++) {
        struct error err = ERROR_INIT;

        /* Without a run there is nothing to claim, and so on. */
        if ((i == 2 || i == 5) && !j.done[1])
            continue;
        if (i == 3 && !j.done[2])
            continue;
        j.done[i] = step(&j, connection, i, &err) == 0;
        if (!j.done[i])
            is_honest(&err, nth);
    }
    hit = struck();
    disarm();
    ok(store_ping(fx.store, 5000, &fx.err));
    check(&j, connection);
    fixture_reopen();
    check(&j, connection);
    if (j.done[1] && !j.done[5]) {
        j.run.status = RUN_FAILED;
        cr_assert_geq(store_finish_run(fx.store, &j.run, &fx.err), 0);
    }
    return hit;
}

Test(store_faults, a_failing_operation_is_told_and_undone)
{
    struct connection c = make_connection("a");

    for (enum fault what = 0; what < FAULT_COUNT; what++) {
        int nth = 1;

        while (torture_once(what, nth, c.id)) {
            nth++;
            cr_assert_lt(nth, 500, "%s never ends", fault_names[what]);
        }
        /* The files of the connections are open already, and what is read comes from memory. */
        if (what == FAULT_WRITE || what == FAULT_FULL || what == FAULT_SYNC)
            cr_assert_gt(nth, 5, "%s: %d", fault_names[what], nth);
    }
}

Test(store_faults, opening_fails_as_a_whole_or_not_at_all)
{
    make_resource(RESOURCE_SOURCE, "kept");
    for (enum fault what = 0; what < FAULT_COUNT; what++) {
        bool hit = true;

        for (int nth = 1; hit; nth++) {
            struct error err = ERROR_INIT;
            struct resource r;

            store_close(fx.store);
            fx.store = NULL;
            arm(what, nth);
            if (store_open(fx.path, &fx.store, &err) < 0)
                is_honest(&err, nth);
            hit = struck();
            disarm();
            if (!fx.store)
                ok(store_open(fx.path, &fx.store, &fx.err));
            ok(store_get_resource(fx.store, RESOURCE_SOURCE, "kept", fx.mem, &r, &fx.err));
            cr_assert_lt(nth, 500, "%s never ends", fault_names[what]);
        }
    }
}

Test(store_faults, a_first_start_that_fails_can_be_repeated)
{
    char path[128];

    for (enum fault what = 0; what < FAULT_COUNT; what++) {
        bool hit = true;

        for (int nth = 1; hit; nth++) {
            struct error err = ERROR_INIT;
            struct store *s = NULL;

            snprintf(path, sizeof path, "%s/new-%d-%d", fx.dir, (int)what, nth);
            arm(what, nth);
            if (store_open(path, &s, &err) < 0)
                is_honest(&err, nth);
            hit = struck();
            disarm();
            store_close(s);
            ok(store_open(path, &s, &fx.err));
            ok(store_ping(s, 5000, &fx.err));
            store_close(s);
            cr_assert_lt(nth, 500, "%s never ends", fault_names[what]);
        }
    }
}

/* F6. */
Test(store_faults, a_disk_that_stays_broken_is_said_every_time)
{
    struct connection c = make_connection("a");
    struct run_row run = {.kind = RUN_SYNC, .connection_id = c.id};
    int64_t active;

    lasting = true;
    arm(FAULT_SYNC, 1);
    for (int i = 0; i < 5; i++)
        fails(store_create_run(fx.store, &run, true, &active, &fx.err), ERR_RESOURCE, "store_io");
    fails(store_ping(fx.store, 5000, &fx.err), ERR_RESOURCE, "store_io");
    ok(store_get_connection(fx.store, "a", fx.mem, &c, &fx.err));
    disarm();
    ok(store_ping(fx.store, 5000, &fx.err));
    ok(store_create_run(fx.store, &run, true, &active, &fx.err));
}

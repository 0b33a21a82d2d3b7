#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/store_sql.h"

TestSuite(store_open, .init = fixture_open, .fini = fixture_close);

/* The store is closed, and opening it again is what the test is about. */
static void shut(void)
{
    store_close(fx.store);
    fx.store = NULL;
}

static int try_open(void)
{
    return store_open(fx.path, &fx.store, &fx.err);
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : -1;
}

static const char *beside(const char *suffix)
{
    return arena_printf(fx.mem, "%s%s", fx.path, suffix);
}

/* What a start has made sure of, and somebody may undo while the store is open. */
Test(store_open, tells_when_its_schema_was_changed_meanwhile)
{
    struct store_stats stats;

    cr_assert_eq(store_check_schema(fx.store, 1000, &fx.err), 0, "%s", fx.err.message);
    cr_assert_eq(store_get_stats(fx.store, &stats, &fx.err), 0);
    store_sql(arena_printf(fx.mem, "PRAGMA user_version=%d", (int)stats.schema_version - 1));
    cr_expect_eq(store_check_schema(fx.store, 1000, &fx.err), 1);
    store_sql(arena_printf(fx.mem, "PRAGMA user_version=%d", (int)stats.schema_version + 1));
    cr_expect_eq(store_check_schema(fx.store, 1000, &fx.err), -1);
    cr_expect_str_eq(error_reason(&fx.err), "store_newer");
}

Test(store_open, tells_when_its_lock_is_gone)
{
    struct store *other = NULL;

    cr_expect(store_has_lock(fx.store));
    cr_assert_eq(store_open_beside(fx.path, &other, &fx.err), 0, "%s", fx.err.message);
    cr_expect_not(store_has_lock(other), "whoever stands beside it has none");
    store_close(other);
    cr_assert_eq(rename(beside(".lock"), beside(".kept")), 0);
    cr_expect_not(store_has_lock(fx.store));
    close(open(beside(".lock"), O_RDWR | O_CREAT, 0600));
    cr_expect_not(store_has_lock(fx.store), "another file of its name");
    cr_assert_eq(rename(beside(".kept"), beside(".lock")), 0);
    cr_expect(store_has_lock(fx.store));
}

/* Rows of every kind. */
static void fill(void)
{
    struct connection c = make_connection("a");
    struct state_row row = {.stream = "s", .position = "{\"x\":1}", .counters = "{}"};
    struct stored_catalog catalog = {.source_id = "a", .hash = "h", .text = "{\"streams\":[]}"};
    struct stored_answer answer;
    char name[16];

    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "r%d", i);
        make_resource(RESOURCE_SOURCE, name);
        make_run(RUN_SYNC, c.id);
    }
    ok(store_copy_state(fx.store, c.id, &row, 1, &fx.err));
    ok(store_put_catalog(fx.store, &catalog, fx.mem, &fx.err));
    ok(store_idempotency_begin(fx.store, "k", "f", fx.mem, &answer, &fx.err));
}

/* ---------------------------------------------------------------- the usual */

Test(store_open, a_new_store_is_for_its_owner_only)
{
    struct stat st;

    cr_assert_eq(stat(fx.path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(stat(beside("-wal"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(stat(beside(".lock"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(store_open, closing_leaves_one_whole_file)
{
    fill();
    shut();
    cr_assert_eq(size_of(beside("-wal")), -1);
    cr_assert_gt(size_of(fx.path), 0);
    ok(try_open());
    ok(store_ping(fx.store, 5000, &fx.err));
    store_close(NULL);
}

Test(store_open, the_file_says_what_it_is)
{
    unsigned char header[100];
    int fd;

    shut();
    fd = open(fx.path, O_RDONLY);
    cr_assert_eq(read(fd, header, sizeof header), (ssize_t)sizeof header);
    close(fd);
    cr_assert_eq(memcmp(header, "SQLite format 3", 16), 0);
    cr_assert_eq(memcmp(header + 68, "cond", 4), 0, "application_id");
    cr_assert_eq(memcmp(header + 60, "\0\0\0", 3), 0, "user_version");
    cr_assert_geq(header[63], 3, "user_version");
    cr_assert_eq(header[18], 2, "WAL");
}

Test(store_open, a_path_that_looks_like_a_uri_is_a_path)
{
    struct store *s;

    cr_assert_eq(chdir(fx.dir), 0);
    ok(store_open("file:x.db?mode=memory", &s, &fx.err));
    store_close(s);
    cr_assert_gt(size_of("file:x.db?mode=memory"), 0);
}

Test(store_open, needs_its_directory)
{
    struct store *s;

    fails(store_open("/tmp/no/such/directory/store.db", &s, &fx.err), ERR_NOT_FOUND, "not_found");
}

Test(store_open, a_directory_is_no_store)
{
    struct store *s;

    shut();
    unlink(fx.path);
    cr_assert_eq(mkdir(fx.path, 0700), 0);
    cr_assert_eq(store_open(fx.path, &s, &fx.err), -1);
    cr_assert_eq(fx.err.code, ERR_CONFIG);
    rmdir(fx.path);
}

/* ---------------------------------------------------------- two at one store */

/* F18, the part of one machine. */
Test(store_open, is_refused_to_a_second_one_until_the_first_closes)
{
    struct store *second;
    pid_t pid;
    int status;

    fails(store_open(fx.path, &second, &fx.err), ERR_CONFLICT, "store_in_use");
    pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;

        _exit(store_open(fx.path, &second, &err) < 0 && err.code == ERR_CONFLICT &&
                      !strcmp(error_reason(&err), "store_in_use")
                  ? 0
                  : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "another process came in");
    ok(store_ping(fx.store, 5000, &fx.err));
    shut();
    ok(store_open(fx.path, &second, &fx.err));
    store_close(second);
}

Test(store_open, a_killed_owner_leaves_an_open_door_and_its_work)
{
    int fds[2], status;
    char byte = 0;
    pid_t pid;

    shut();
    cr_assert_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        if (try_open() == 0) {
            make_resource(RESOURCE_SOURCE, "kept");
            byte = 1;
        }
        if (write(fds[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    cr_assert_eq(read(fds[0], &byte, 1), 1);
    cr_assert_eq(byte, 1);
    fails(try_open(), ERR_CONFLICT, "store_in_use");
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    ok(try_open());
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "kept", fx.mem, &(struct resource){0},
                          &fx.err));
    close(fds[0]);
    close(fds[1]);
}

static int64_t monotonic_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* fault F7 */
Test(store_open, a_foreign_writer_makes_writers_wait_five_seconds_and_readers_not)
{
    struct resource r = {.name = "b", .connector = "c", .config = "{}"}, out;
    int64_t before, waited;
    sqlite3 *db;

    make_resource(RESOURCE_SOURCE, "a");
    cr_assert_eq(sqlite3_open(fx.path, &db), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE health SET pinged_us = 5", NULL, NULL, NULL),
        SQLITE_OK);
    before = monotonic_ms();
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "a", fx.mem, &out, &fx.err));
    cr_assert_lt(monotonic_ms() - before, 2000);
    before = monotonic_ms();
    fails(store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err), ERR_CONTENTION,
          "database_busy");
    waited = monotonic_ms() - before;
    cr_assert(waited >= 4500 && waited < 15000, "%lld ms", (long long)waited);
    cr_assert_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err));
}

/* --------------------------------------------------------- not what it was */

/* F8. */
Test(store_open, refuses_a_newer_schema_and_leaves_it_alone)
{
    struct store_stats stats;

    fill();
    ok(store_get_stats(fx.store, &stats, &fx.err));
    shut();
    store_sql(arena_printf(fx.mem, "PRAGMA user_version=%d", (int)stats.schema_version + 1));
    fails(try_open(), ERR_CONFLICT, "store_newer");
    store_sql(arena_printf(fx.mem, "PRAGMA user_version=%d", (int)stats.schema_version));
    ok(try_open());
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "r0", fx.mem, &(struct resource){0}, &fx.err));
}

Test(store_open, refuses_a_schema_that_was_made_by_other_steps)
{
    shut();
    store_sql("UPDATE migrations SET checksum = 'x'");
    fails(try_open(), ERR_DATA, "store_corrupt");
    store_sql("DELETE FROM migrations");
    fails(try_open(), ERR_DATA, "store_corrupt");
}

Test(store_open, refuses_a_database_of_somebody_else)
{
    shut();
    unlink(fx.path);
    store_sql("CREATE TABLE customers (id)");
    fails(try_open(), ERR_DATA, "store_corrupt");
    store_sql("INSERT INTO customers VALUES (1)"); /* it was left alone */
    store_sql("PRAGMA user_version=1");
    fails(try_open(), ERR_DATA, "store_corrupt");
}

static void overwrite(off_t at, const void *bytes, size_t n)
{
    int fd = open(fx.path, O_WRONLY);

    cr_assert_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
    close(fd);
}

Test(store_open, refuses_what_is_no_database)
{
    shut();
    overwrite(0, "PK\3\4", 4);
    fails(try_open(), ERR_DATA, "store_corrupt");
    cr_assert_eq(truncate(fx.path, 3), 0);
    fails(try_open(), ERR_DATA, "store_corrupt");
    cr_assert_eq(size_of(fx.path), 3, "it is not replaced");
}

Test(store_open, refuses_an_empty_file_where_there_was_a_store)
{
    fill();
    shut();
    cr_assert_eq(truncate(fx.path, 0), 0);
    fails(try_open(), ERR_DATA, "store_corrupt");
    cr_assert_eq(size_of(fx.path), 0);
    unlink(fx.path); /* whoever removes it wants a new one */
    ok(try_open());
    fails(
        store_get_resource(fx.store, RESOURCE_SOURCE, "a", fx.mem, &(struct resource){0}, &fx.err),
        ERR_NOT_FOUND, "not_found");
}

Test(store_open, begins_anew_after_a_first_start_that_was_cut_off)
{
    static const char *const left[] = {"", "PRAGMA journal_mode=WAL"};

    for (size_t i = 0; i < 2; i++) {
        shut();
        unlink(fx.path);
        unlink(beside(".lock"));
        close(open(fx.path, O_CREAT | O_WRONLY, 0600));
        if (*left[i])
            store_sql(left[i]);
        ok(try_open());
        ok(store_ping(fx.store, 5000, &fx.err));
    }
}

/* F8. */
Test(store_open, refuses_a_truncated_file_wherever_it_is_cut)
{
    off_t whole;
    char *copy;
    int fd, refused = 0;

    fill();
    shut();
    whole = size_of(fx.path);
    copy = arena_alloc(fx.mem, (size_t)whole);
    fd = open(fx.path, O_RDONLY);
    cr_assert_eq(read(fd, copy, (size_t)whole), whole);
    close(fd);
    for (off_t n = 1; n < whole; n += n < 200 ? 33 : 4096 / 2 + 1, refused++) {
        overwrite(0, copy, (size_t)whole);
        cr_assert_eq(truncate(fx.path, n), 0);
        fails(try_open(), ERR_DATA, "store_corrupt");
        cr_assert_eq(size_of(fx.path), n);
    }
    cr_assert_gt(refused, 20);
    overwrite(0, copy, (size_t)whole);
    ok(try_open());
}

/* ------------------------------------------------------------------ bit flips */

/* Reads everything there is; false when some of it is refused. What is read must be well-formed
 * enough to be looked at, which the sanitizers check. */
static bool read_all(size_t *n_seen)
{
    struct list_query q = {.limit = 500, .paused = -1};
    struct run_query rq = {.limit = 500, .kinds = ~0u};
    struct error err = ERROR_INIT;
    struct stored_catalog catalog;
    struct connection *connections;
    struct resource *resources;
    struct state_row *states;
    struct run_row *runs;
    const char *next;
    int64_t last;
    size_t n;

    if (store_list_resources(fx.store, RESOURCE_SOURCE, &q, fx.mem, &resources, &n, &next, &err) <
        0)
        return false;
    for (size_t i = 0; i < n; i++)
        *n_seen += strlen(resources[i].name) > 0;
    if (store_list_runs(fx.store, &rq, fx.mem, &runs, &n, &last, &err) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        *n_seen += *run_kind_name(runs[i].kind) && *run_status_name(runs[i].status);
    if (store_list_connections(fx.store, &q, fx.mem, &connections, &n, &next, &err) < 0)
        return false;
    if (n == 0 ||
        store_get_state(fx.store, connections[0].id, fx.mem, &states, &n, &last, &err) < 0)
        return false;
    return store_get_catalog(fx.store, "a", 0, fx.mem, &catalog, &err) == 0;
}

static bool is_still(const char *content, off_t n)
{
    char *now = arena_alloc(fx.mem, (size_t)n);
    int fd = open(fx.path, O_RDONLY);
    bool same = read(fd, now, (size_t)n) == n && memcmp(now, content, (size_t)n) == 0;

    close(fd);
    return same;
}

/*
 * Every byte of page headers, cell pointers and record headers decides where others are; a flip
 * there has to be found. A flip inside the text of a value makes another text, which SQLite cannot
 * know: then everything else has to be there. And what is refused is left as it was. (fault F8)
 */
Test(store_open, works_or_refuses_after_a_bit_flip)
{
    size_t opened = 0, refused = 0, partly = 0;
    off_t whole;
    char *copy;
    int fd;

    fill();
    shut();
    whole = size_of(fx.path);
    copy = arena_alloc(fx.mem, (size_t)whole);
    fd = open(fx.path, O_RDONLY);
    cr_assert_eq(read(fd, copy, (size_t)whole), whole);
    close(fd);
    for (int i = 0; i < 200; i++) {
        /* Half of them at the structure: the beginnings of pages. */
        off_t at = i < 100 ? (off_t)(i * 4096 / 2 + i) % whole : (off_t)i * 2654435761 % whole;
        char was = copy[at], flipped = (char)(was ^ 1 << i % 8);
        size_t seen = 0;

        overwrite(0, copy, (size_t)whole);
        overwrite(at, &flipped, 1);
        unlink(beside("-wal"));
        unlink(beside("-shm"));
        fx.err = ERROR_INIT;
        if (try_open() < 0) {
            refused++;
            cr_assert(fx.err.code == ERR_DATA || fx.err.code == ERR_CONFLICT, "byte %lld: %s",
                      (long long)at, fx.err.message);
            fx.err = ERROR_INIT;
            copy[at] = flipped;
            cr_assert(is_still(copy, whole), "byte %lld: it was changed", (long long)at);
            copy[at] = was;
            continue;
        }
        opened++;
        if (!read_all(&seen))
            partly++;
        else
            cr_assert_geq(seen, 120, "byte %lld: rows are missing: %zu", (long long)at, seen);
        shut();
    }
    cr_assert_gt(refused, 30, "%zu", refused);
    cr_assert_gt(opened, 30, "%zu", opened);
    cr_assert_lt(partly, 10, "%zu", partly);
}

/* --------------------------------------------------------------- the machine */

Test(store_open, says_when_it_may_not_write)
{
    struct store *s;

    shut();
    if (geteuid() == 0 && seteuid(65534) < 0)
        cr_skip_test("cannot become an ordinary user");
    cr_assert_eq(store_open(fx.path, &s, &fx.err), -1);
    cr_assert_eq(fx.err.code, ERR_PERMISSION, "%s", fx.err.message);
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
}

/* Creates resources until one is refused. */
static int fill_up(int max)
{
    static char config[64 << 10];
    char name[16];

    memset(config, 'x', sizeof config - 1);
    config[0] = '"';
    config[sizeof config - 2] = '"';
    for (int i = 0; i < max; i++) {
        struct resource r = {.name = name, .connector = "c", .config = config};

        snprintf(name, sizeof name, "f%d", i);
        if (store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err) < 0)
            return i;
    }
    return max;
}

Test(store_open, survives_a_file_that_must_not_grow)
{
    struct rlimit old, small;
    int n;

    signal(SIGXFSZ, SIG_IGN);
    make_resource(RESOURCE_SOURCE, "a");
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1 << 20;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    n = fill_up(100);
    cr_assert(n > 0 && n < 100, "%d", n);
    cr_assert_eq(fx.err.code, ERR_RESOURCE, "%s", fx.err.message);
    fx.err = ERROR_INIT;
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "a", fx.mem, &(struct resource){0}, &fx.err));
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    make_resource(RESOURCE_SOURCE, "b"); /* it has recovered by itself */
    ok(store_ping(fx.store, 5000, &fx.err));
    fixture_reopen();
    for (int i = 0; i <= n; i++) {
        char name[16];

        snprintf(name, sizeof name, "f%d", i);
        if (i < n)
            ok(store_get_resource(fx.store, RESOURCE_SOURCE, name, fx.mem, &(struct resource){0},
                                  &fx.err));
        else
            fails(store_get_resource(fx.store, RESOURCE_SOURCE, name, fx.mem, &(struct resource){0},
                                     &fx.err),
                  ERR_NOT_FOUND, "not_found");
    }
}

/* fault F5. */
Test(store_open, survives_a_full_disk)
{
    const char *users;
    int n;

    shut();
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", fx.dir, "tmpfs", 0, "size=2m") < 0)
        cr_skip_test("a small file system cannot be mounted here");
    ok(try_open());
    n = fill_up(100);
    cr_assert(n > 0 && n < 100, "%d", n);
    cr_assert_eq(fx.err.code, ERR_RESOURCE, "%s", fx.err.message);
    cr_assert_str_eq(error_reason(&fx.err), "insufficient_storage", "%s", fx.err.message);
    fx.err = ERROR_INIT;
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "f0", fx.mem, &(struct resource){0}, &fx.err));
    cr_assert_eq(mount("tmpfs", fx.dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    make_resource(RESOURCE_SOURCE, "b");
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "f0", REVISION_ANY, fx.mem, &users,
                             &fx.err));
    fixture_reopen();
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "f1", fx.mem, &(struct resource){0}, &fx.err));
    shut();
    cr_assert_eq(umount(fx.dir), 0);
}

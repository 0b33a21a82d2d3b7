/* F1, F2, L1: paths stay below their roots, however they are spelled and whatever is swapped
 * meanwhile. Also run with openat2 refused by the kernel, see roots.cmake. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/roots.h"
#include "connectors/files/list.h"
#include "connectors/sql/sqlite_internal.h"
#include "tests/support/tempdir.h"

#define N(a) (sizeof(a) / sizeof(a)[0])

extern const struct destination_connector destination_sqlite;

static struct arena *mem;
static struct run run;
static char base[TEMPDIR_BYTES];

static const char *below(const char *rest)
{
    return arena_printf(mem, "%s/%s", base, rest);
}

static void put(const char *path, const char *text)
{
    int fd = open(below(path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void make_database(const char *path, int value)
{
    sqlite3 *db;

    cr_assert_eq(sqlite3_open(below(path), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "PRAGMA journal_mode=wal; CREATE TABLE t(v)", NULL, NULL, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, value ? "INSERT INTO t VALUES (1)" : "INSERT INTO t VALUES (0)",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(db);
}

/* base/in is a root, base/data the closed folder, base/out neither. */
static void set_up(void)
{
    struct error err = ERROR_INIT;

    mem = arena_new();
    tempdir_make(base);
    for (size_t i = 0; i < 6; i++) {
        static const char *const folders[] = {"in", "in/a", "in/a/b", "out", "data", "in/data"};

        cr_assert_eq(mkdir(below(folders[i]), 0700), 0);
    }
    put("in/a/x.csv", "n\n1\n");
    put("out/x.csv", "n\n2\n");
    cr_assert_eq(symlink("../out", below("in/link")), 0);
    cr_assert_eq(symlink("../../out/x.csv", below("in/a/link.csv")), 0);
    cr_assert_eq(symlink("x.csv", below("in/a/near.csv")), 0);
    cr_assert_eq(symlink("/proc/self/root", below("in/magic")), 0);
    cr_assert_eq(mkfifo(below("in/a/pipe.csv"), 0600), 0);
    run = (struct run){.mem = mem, .log = &log_nowhere, .id = ""};
    cr_assert_eq(cancel_new(&run.cancel, &err), 0);
}

static void tear_down(void)
{
    cancel_free(run.cancel);
    tempdir_remove(base);
    arena_free(mem);
}

TestSuite(roots, .init = set_up, .fini = tear_down);

static void limit(void)
{
    struct error err = ERROR_INIT;
    const char *roots[] = {below("in"), below("in/a/b/")};

    cr_assert_eq(roots_configure(
                     &(struct roots_policy){.roots = roots, .n = 2, .closed = below("data")}, &err),
                 0, "%s", err.message);
}

static const char *reason_of(const char *path)
{
    struct error err = ERROR_INIT;
    int fd;

    if (roots_open_folder(path, &fd, &err) < 0)
        return error_reason(&err);
    close(fd);
    return "open";
}

/* F1. */
Test(roots, hold_paths_below_them)
{
    /* clang-format off */
    static const struct { const char *path, *reason; } rows[] = {
        {"@/in", "open"}, {"@/in/", "open"}, {"@/in//a", "open"}, {"@/in/a", "open"}, {"@/in/a/", "open"},
        {"@/in/a//b", "open"}, {"@/in/a/b///", "open"}, {"a", "open"}, {"a/b", "open"}, {"a/b/", "open"},
        {"", "open"}, {"data", "open"},
        {"@/out", "path_denied"}, {"@/data", "path_denied"}, {"@", "path_denied"}, {"@/", "path_denied"},
        {"/", "path_denied"}, {"//", "path_denied"}, {"/etc", "path_denied"}, {"/proc/self/root", "path_denied"},
        {"@/in/../out", "path_denied"}, {"@/in/..", "path_denied"}, {"@/in/a/../../out", "path_denied"},
        {"..", "path_denied"}, {"../out", "path_denied"}, {"a/..", "path_denied"}, {"a/../..", "path_denied"},
        {".", "path_denied"}, {"./a", "path_denied"}, {"a/./b", "path_denied"}, {"...", "path_denied"},
        {".hidden", "path_denied"}, {"a/.hidden", "path_denied"}, {"@/in/.", "path_denied"},
        {"@/inn", "path_denied"}, {"@/in2", "path_denied"}, {"@/i", "path_denied"}, {"@//in", "path_denied"},
        {"/@/in", "path_denied"},
        {"@/in/link", "path_denied"}, {"@/in/link/", "path_denied"}, {"link", "path_denied"},
        {"link/..", "path_denied"}, {"@/in/magic", "path_denied"}, {"magic/etc", "path_denied"},
        {"@/in/a/near.csv", "path_denied"}, {"@/in/a/link.csv", "path_denied"}, {"@/in/a/x.csv", "path_denied"},
        {"a/x.csv/y", "path_denied"}, {"a\nb", "path_denied"}, {"a\x7f", "path_denied"}, {"\t", "path_denied"},
        {"a\xff", "path_denied"}, {"\xc0\xae\xc0\xae", "path_denied"}, {"a/\xed\xa0\x80", "path_denied"},
        {"none", "not_found"}, {"a/none/b", "not_found"}, {"@/in/none", "not_found"}, {"%2e%2e", "not_found"},
        {"~", "not_found"}, {"$HOME", "not_found"}, {"a\\..\\out", "not_found"}, {"‥", "not_found"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "path_denied"},
    };
    /* clang-format on */

    limit();
    cr_assert(roots_limited());
    cr_assert_geq(N(rows), 60);
    for (size_t i = 0; i < N(rows); i++) {
        const char *at = strchr(rows[i].path, '@');
        const char *path =
            at ? arena_printf(mem, "%.*s%s%s", (int)(at - rows[i].path), rows[i].path, base, at + 1)
               : rows[i].path;

        cr_expect_str_eq(reason_of(path), rows[i].reason, "\"%s\": %s", path, reason_of(path));
    }
}

/* F1, L1: not through a name, a link, or a mount of it. */
Test(roots, never_open_the_services_own_folder)
{
    struct error err = ERROR_INIT;
    const char *all[] = {base}, *inside[] = {below("data")};

    cr_assert_eq(symlink("data", below("alias")), 0);
    cr_assert_eq(mkdir(below("data/logs"), 0700), 0);
    cr_assert_eq(
        roots_configure(&(struct roots_policy){.open = true, .closed = below("data")}, &err), 0);
    cr_expect_not(roots_limited());
    cr_expect_str_eq(reason_of(below("data")), "path_denied");
    cr_expect_str_eq(reason_of(below("alias/logs")), "path_denied");
    cr_expect_str_eq(reason_of(below("out/../data/logs")), "path_denied");
    cr_expect_str_eq(reason_of(below("out")), "open");
    cr_assert_eq(roots_configure(
                     &(struct roots_policy){.roots = all, .n = 1, .closed = below("data")}, &err),
                 0);
    cr_expect_str_eq(reason_of(below("data")), "path_denied");
    cr_expect_str_eq(reason_of(below("out")), "open");
    cr_expect_eq(
        roots_configure(&(struct roots_policy){.roots = inside, .n = 1, .closed = below("data")},
                        &err),
        -1);
    cr_expect_eq(err.code, ERR_CONFIG);
}

Test(roots, may_be_none_at_all)
{
    struct error err = ERROR_INIT;
    const char *bad[] = {"relative"}, *missing[] = {below("none")};

    cr_assert_eq(roots_configure(&(struct roots_policy){.open = false}, &err), 0);
    cr_expect_str_eq(reason_of(below("out")), "path_denied");
    cr_expect_str_eq(reason_of("."), "path_denied");
    cr_expect_eq(roots_configure(&(struct roots_policy){.roots = bad, .n = 1}, &err), -1);
    err = ERROR_INIT;
    cr_expect_eq(roots_configure(&(struct roots_policy){.roots = missing, .n = 1}, &err), -1);
}

static const char *list(const char *path)
{
    struct files_config c = {.path = path, .format = "auto"};
    struct error err = ERROR_INIT;
    struct files_list l;
    size_t n;

    if (files_list_open(&c, &run, &l, &err) < 0)
        return error_reason(&err);
    n = l.n;
    files_list_close(&l);
    return arena_printf(mem, "%zu", n);
}

/* F1, F2: links, pipes and what is outside. */
Test(roots, hold_for_the_files_of_a_source)
{
    limit();
    cr_expect_str_eq(list(below("in/a")), "1");
    cr_expect_str_eq(list(below("in/a/x.csv")), "1");
    cr_expect_str_eq(list(below("in/a/*.csv")), "1");
    cr_expect_str_eq(list("a/x.csv"), "1");
    cr_expect_str_eq(list(below("in/a/pipe.csv")), "config_error");
    cr_expect_str_eq(list(below("in/a/link.csv")), "config_error");
    cr_expect_str_eq(list(below("in/a/near.csv")), "config_error");
    cr_expect_str_eq(list(below("out/x.csv")), "path_denied");
    cr_expect_str_eq(list(below("in/link/x.csv")), "path_denied");
    cr_expect_str_eq(list(below("in/../out/*.csv")), "path_denied");
    cr_expect_str_eq(list("/dev/null"), "path_denied");
}

static int open_database(const char *path, enum sqlite_mode mode, struct error *err)
{
    struct sqlite_conn *c;

    *err = ERROR_INIT;
    if (sqlite_open_conn(path, mode, 100, &run, &c, err) < 0)
        return -1;
    sqlite_close_conn(c);
    return 0;
}

/* L1. */
Test(roots, hold_for_databases)
{
    struct error err;

    make_database("in/a/d.db", 1);
    make_database("out/d.db", 0);
    cr_assert_eq(symlink("../../out/d.db", below("in/a/link.db")), 0);
    limit();
    cr_expect_eq(open_database(below("in/a/d.db"), SQLITE_MODE_READ, &err), 0, "%s", err.message);
    cr_expect_eq(open_database("a/d.db", SQLITE_MODE_WRITE, &err), 0, "%s", err.message);
    cr_expect_eq(open_database("a/new.db", SQLITE_MODE_CREATE, &err), 0, "%s", err.message);
    cr_expect_eq(access(below("in/a/new.db"), F_OK), 0);
    cr_expect_eq(sqlite_check_writable("a/newer.db", &run, &err), 0, "%s", err.message);
    cr_expect_eq(access(below("in/a/newer.db"), F_OK), -1);
    for (int mode = SQLITE_MODE_READ; mode <= SQLITE_MODE_CREATE; mode++) {
        cr_expect_eq(open_database(below("in/a/link.db"), (enum sqlite_mode)mode, &err), -1);
        cr_expect_eq(open_database(below("out/d.db"), (enum sqlite_mode)mode, &err), -1);
        cr_expect_str_eq(error_reason(&err), "path_denied");
        cr_expect_eq(open_database(below("in/link/d.db"), (enum sqlite_mode)mode, &err), -1);
        cr_expect_eq(open_database(below("in/a/pipe.csv"), (enum sqlite_mode)mode, &err), -1);
        cr_expect_eq(open_database("file:///etc/passwd?mode=ro", (enum sqlite_mode)mode, &err), -1);
    }
}

/* L1: whether something lies at a path outside is not told, whoever asks. */
Test(roots, hide_what_lies_outside_from_a_destination_that_is_cleared)
{
    const char *const paths[] = {below("out/d.db"), below("out/none.db"), below("in/link/d.db"),
                                 "../out/d.db"};
    struct stream t = {.namespace = "", .name = "t"};
    struct selected_stream stream = {.stream = &t, .alias = "t", .destination_namespace = ""};
    struct write_plan plan = {.pipeline = "p", .streams = &stream, .n = 1};
    struct sqlite_destination to = {.path = "a/none.db"};
    struct error err = ERROR_INIT;

    make_database("out/d.db", 0);
    limit();
    cr_expect_eq(destination_sqlite.clear(&to, &run, &plan, &err), 0, "%s", err.message);
    to.path = "none/none.db";
    cr_expect_eq(destination_sqlite.clear(&to, &run, &plan, &err), 0, "%s", err.message);
    for (size_t i = 0; i < N(paths); i++) {
        err = ERROR_INIT;
        to.path = paths[i];
        cr_expect_eq(destination_sqlite.clear(&to, &run, &plan, &err), -1, "%s", paths[i]);
        cr_expect_str_eq(error_reason(&err), "path_denied", "%s: %s", paths[i], err.message);
    }
    cr_expect_eq(access(below("in/a/none.db"), F_OK), -1);
}

static _Atomic bool stop;

static void *swap(void *arg)
{
    char *const *names = arg;

    while (!atomic_load(&stop))
        cr_assert_eq(renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE), 0);
    return NULL;
}

static int take_value(void *arg, int n, char **values, char **names)
{
    (void)n;
    (void)names;
    *(int *)arg = atoi(values[0]);
    return 0;
}

/* L1: a folder and a link to the outside change places all the time. */
Test(roots, survive_a_race)
{
    char *names[] = {arena_strdup(mem, below("in/turn")), arena_strdup(mem, below("in/other"))};
    int opened = 0, refused = 0;
    pthread_t t;

    cr_assert_eq(mkdir(names[0], 0700), 0);
    make_database("in/turn/d.db", 1);
    make_database("out/d.db", 0);
    cr_assert_eq(symlink("../out", names[1]), 0);
    limit();
    pthread_create(&t, NULL, swap, names);
    for (int i = 0; i < 100000 && (i < 2000 || opened < 100 || refused < 100); i++) {
        struct error err = ERROR_INIT;
        struct sqlite_conn *c;
        int value = -1;

        if (sqlite_open_conn("turn/d.db", SQLITE_MODE_READ, 100, &run, &c, &err) < 0) {
            refused++;
            continue;
        }
        opened++;
        cr_assert_eq(sqlite3_exec(c->db, "SELECT v FROM t", take_value, &value, NULL), SQLITE_OK);
        cr_assert_eq(value, 1, "a file outside was read");
        sqlite_close_conn(c);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    cr_expect_gt(opened, 0);
    cr_expect_gt(refused, 0);
}

/* L2: statements, by whom and whether. */
Test(roots, let_no_statement_out_of_its_database)
{
    /* clang-format off */
    static const struct { const char *sql; bool reader, writer; } rows[] = {
        {"SELECT v FROM t", true, true}, {"SELECT count(*) FROM sqlite_master", true, true},
        {"SELECT name FROM pragma_table_info('t')", true, true}, {"PRAGMA table_info(t)", true, true},
        {"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r LIMIT 3) SELECT * FROM r", true, true},
        {"ATTACH '/tmp/other.db' AS o", false, false}, {"DETACH main", false, false},
        {"ATTACH 'file:/tmp/other.db?mode=rwc' AS o", false, false}, {"VACUUM INTO '/tmp/copy.db'", false, false},
        {"SELECT load_extension('/tmp/x.so')", false, false}, {"SELECT fts3_tokenizer('x')", false, false},
        {"SELECT fts3_tokenizer('x', x'00')", false, false}, {"SELECT writefile('/tmp/x', 'y')", false, false},
        {"SELECT readfile('/etc/passwd')", false, false}, {"SELECT edit('x')", false, false},
        {"PRAGMA writable_schema = ON", false, false}, {"PRAGMA journal_mode = DELETE", false, false},
        {"PRAGMA trusted_schema = ON", false, false}, {"PRAGMA temp_store_directory = '/tmp'", false, false},
        {"PRAGMA data_store_directory = '/tmp'", false, false}, {"PRAGMA key = 'x'", false, false},
        {"SELECT * FROM pragma_database_list", false, false}, {"PRAGMA mmap_size = 1000000", false, false},
        {"INSERT INTO t VALUES (3)", false, true}, {"UPDATE t SET v = 2", false, true}, {"DELETE FROM t", false, true},
        {"CREATE TABLE u(v)", false, true}, {"DROP TABLE u", false, true}, {"CREATE TEMP TABLE w(v)", false, true},
        {"CREATE INDEX i ON t(v)", false, true}, {"ALTER TABLE t ADD COLUMN x", false, true},
        {"REINDEX i", false, true}, {"ANALYZE", false, true},
        {"CREATE VIRTUAL TABLE f USING fts4(x, tokenize=simple)", false, true},
    };
    /* clang-format on */
    struct sqlite_conn *reader, *writer;
    struct sqlite_destination to = {.path = "a/d.db", .busy_timeout_s = 1};
    struct error err = ERROR_INIT;

    make_database("in/a/d.db", 1);
    limit();
    cr_assert_eq(sqlite_driver.open(&to, &run, (struct sql_conn **)&writer, &err), 0, "%s",
                 err.message);
    cr_assert_eq(sqlite_open_conn("a/d.db", SQLITE_MODE_READ, 100, &run, &reader, &err), 0);
    for (size_t i = 0; i < N(rows); i++) {
        int as_reader = sqlite3_exec(reader->db, rows[i].sql, NULL, NULL, NULL);
        int as_writer = sqlite3_exec(writer->db, rows[i].sql, NULL, NULL, NULL);

        cr_expect_eq(as_reader == SQLITE_OK, rows[i].reader, "%s: %d %s", rows[i].sql, as_reader,
                     sqlite3_errmsg(reader->db));
        cr_expect_eq(as_writer == SQLITE_OK, rows[i].writer, "%s: %d %s", rows[i].sql, as_writer,
                     sqlite3_errmsg(writer->db));
    }
    cr_expect_eq(access("/tmp/copy.db", F_OK), -1);
    sqlite_close_conn(reader);
    sqlite_close_conn(writer);
}

/* So many more files may be opened from here on. */
static void leave_descriptors(int n)
{
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    struct rlimit most;

    cr_assert_geq(next, 0);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &most), 0);
    most.rlim_cur = (rlim_t)(next + n);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &most), 0);
}

static const char *message_of(const char *path)
{
    struct error err = ERROR_INIT;
    int fd;

    cr_assert_lt(roots_open_folder(path, &fd, &err), 0, "%s", path);
    return arena_strdup(mem, err.message);
}

/* L1: what cannot be told is the closed folder. */
Test(roots, refuse_what_they_cannot_look_at)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(
        roots_configure(&(struct roots_policy){.open = true, .closed = below("data")}, &err), 0);
    cr_expect_str_eq(reason_of(below("out")), "open");
    leave_descriptors(1); /* the folder opens, but nobody climbs from there */
    cr_expect_str_eq(reason_of(below("out")), "path_denied");
}

static int stats_until_failure = -1;
int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);

int __wrap_fstat(int fd, struct stat *st)
{
    if (stats_until_failure >= 0 && stats_until_failure-- == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fstat(fd, st);
}

Test(roots, refuse_what_the_disk_does_not_tell)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(
        roots_configure(&(struct roots_policy){.open = true, .closed = below("data")}, &err), 0);
    stats_until_failure = 1; /* half-way up */
    cr_expect_str_eq(reason_of(below("out")), "path_denied");
    cr_expect_str_eq(reason_of(below("out")), "open");
}

/* L1: the way up is not endless. */
Test(roots, refuse_what_lies_too_deep_to_be_sure)
{
    struct error err = ERROR_INIT;
    struct buf path = BUF_INIT(4000);

    cr_assert_eq(
        roots_configure(&(struct roots_policy){.open = true, .closed = below("data")}, &err), 0);
    buf_puts(&path, below("deep"));
    for (int i = 0; i < 260; i++) {
        cr_assert_eq(mkdir(buf_str(&path), 0700), 0);
        if (i == 200)
            cr_expect_str_eq(reason_of(buf_str(&path)), "open");
        buf_puts(&path, "/d");
    }
    cr_expect_str_eq(reason_of(arena_memdup(mem, buf_str(&path), path.len - 2)), "path_denied");
    buf_release(&path);
}

/* The closed folder may lie on another file system than what is opened. */
Test(roots, climb_over_the_borders_of_file_systems)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(
        roots_configure(&(struct roots_policy){.open = true, .closed = below("data")}, &err), 0);
    cr_expect_str_eq(reason_of("/proc/self"), "open");
}

Test(roots, may_be_the_whole_file_system)
{
    struct error err = ERROR_INIT;
    static const char *const all[] = {"/"};

    cr_assert_eq(roots_configure(
                     &(struct roots_policy){.roots = all, .n = 1, .closed = below("data")}, &err),
                 0, "%s", err.message);
    cr_expect_str_eq(reason_of(below("out")), "open");
    cr_expect_str_eq(reason_of(below("data")), "path_denied");
    cr_expect_str_eq(reason_of("/"), "open");
    cr_expect_str_eq(reason_of(below("out/../in")), "path_denied");
}

static int open_fails;
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    if (open_fails) {
        errno = open_fails;
        return -1;
    }
    return __real_open(path, flags, 0);
}

Test(roots, say_what_is_wrong_with_a_folder)
{
    static const int refused[] = {EACCES, EPERM};
    struct error err = ERROR_INIT;
    char name[5001];

    cr_assert_eq(roots_configure(&(struct roots_policy){.open = true}, &err), 0);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_expect_str_eq(reason_of(below("in/a/x.csv")), "config_error");
    cr_expect(strstr(message_of(below("in/a/x.csv")), "is no folder"));
    cr_expect(strstr(message_of(name), "opening"));
    for (size_t i = 0; i < N(refused); i++) {
        open_fails = refused[i];
        cr_expect(strstr(message_of(below("out")), "may not be read"), "%d", refused[i]);
    }
    open_fails = 0;
    limit();
    leave_descriptors(0);
    cr_expect(strstr(message_of("a"), "opening"), "%s", message_of("a"));
}

static const char *parent_of(const char *path)
{
    struct error err = ERROR_INIT;
    const char *name;
    int fd;

    if (roots_open_parent(path, mem, &fd, &name, &err) < 0)
        return error_reason(&err);
    close(fd);
    return name;
}

Test(roots, find_the_folder_that_holds_a_name)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(roots_configure(&(struct roots_policy){.open = true}, &err), 0);
    cr_expect_str_eq(parent_of("x.csv"), "x.csv");
    cr_expect_str_eq(parent_of("/x.csv"), "x.csv");
    cr_expect_str_eq(parent_of(below("in/a//")), "a");
    cr_expect_str_eq(parent_of(".hidden"), ".hidden");
    cr_expect_str_eq(parent_of("/"), "");
    cr_expect_str_eq(parent_of(below("none/x")), "not_found");
    limit();
    cr_expect_str_eq(parent_of("x.csv"), "x.csv");
    cr_expect_str_eq(parent_of("/x.csv"), "path_denied");
    cr_expect_str_eq(parent_of(".hidden"), "path_denied");
    cr_expect_str_eq(parent_of("a/.."), "path_denied");
    cr_assert_eq(roots_configure(&(struct roots_policy){.open = false}, &err), 0);
    cr_expect(roots_limited());
    cr_expect_str_eq(parent_of("x.csv"), "path_denied");
}

Test(roots, make_folders_where_they_may)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(roots_configure(&(struct roots_policy){.open = true}, &err), 0);
    cr_expect_eq(roots_make_folder("/", &err), 0);
    cr_expect_eq(roots_make_folder(below("out/new"), &err), 0);
    cr_expect_eq(roots_make_folder(below("out/new/"), &err), 0); /* it is there */
    cr_expect_eq(access(below("out/new"), F_OK), 0);
    cr_expect_eq(roots_make_folder("/proc/new", &err), -1);
    cr_expect(strstr(err.message, "creating the folder \"/proc/new\""), "%s", err.message);
    err = ERROR_INIT;
    limit();
    cr_expect_eq(roots_make_folder("", &err), 0); /* the root itself */
    cr_expect_eq(roots_make_folder("a/new", &err), 0);
    cr_expect_eq(access(below("in/a/new"), F_OK), 0);
    cr_expect_eq(roots_make_folder("/", &err), -1);
    err = ERROR_INIT;
    cr_expect_eq(roots_make_folder(below("out/other"), &err), -1);
    cr_expect_eq(access(below("out/other"), F_OK), -1);
}

Test(roots, need_the_folder_that_is_to_be_closed)
{
    struct error err = ERROR_INIT;

    cr_expect_eq(
        roots_configure(&(struct roots_policy){.open = true, .closed = below("none")}, &err), -1);
    cr_expect(strstr(err.message, "looking at"), "%s", err.message);
}

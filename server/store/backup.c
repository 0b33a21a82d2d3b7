/*
 * Copies of the store: online backups, what is restored from them, and the copy before a migration.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "server/store/backup.h"
#include "server/store/migrations.h"

/* Run numbers after a restore begin so far above those of the backup: what others still know by a
 * number that was given in between is not found, instead of being another run. */
#define RESTORE_GAP 1000000

/* The first version of the schema that remembers backups. */
#define NOTING_VERSION 3

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void unlink_part(const char **path)
{
    if (*path)
        unlink(*path);
}

/* -------------------------------------------------------------------- verifying */

static int corrupt(const char *path, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "store_corrupt", "%s is damaged (%s)", path, why);
}

static int check_whole(struct db *db, const char *path, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(query_close) struct query q = {0};
    const char *said = NULL;
    int orphans;

    if (db_get_text(db, "PRAGMA integrity_check(1)", mem, &said, err) < 0)
        return -1;
    if (!said || strcmp(said, "ok") != 0)
        return corrupt(path, said ? said : "no answer", err);
    if (query_open(db, "PRAGMA foreign_key_check", &q, err) < 0)
        return -1;
    orphans = query_next(&q, err);
    return orphans <= 0 ? orphans : corrupt(path, "a row refers to one that is missing", err);
}

static int check_copy(struct db *db, const char *path, struct store_summary *out, struct error *err)
{
    int is_empty = migrations_check(db, err);

    if (is_empty < 0)
        return error_wrap(err, "%s", path);
    if (is_empty > 0)
        return corrupt(path, "it holds no tables", err);
    if (check_whole(db, path, err) < 0)
        return -1;
    return db_get_int(db, "PRAGMA user_version", &out->schema_version, err) < 0 ||
                   db_get_int(db, "SELECT count(*) FROM resources", &out->resources, err) < 0 ||
                   db_get_int(db, "SELECT count(*) FROM connections", &out->connections, err) < 0 ||
                   db_get_int(db, "SELECT count(*) FROM runs", &out->runs, err) < 0
               ? -1
               : 0;
}

/* SQLite would make an empty database of a file that is not there, or say little. */
static int must_be_file(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return error_set_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CONFIG, "%s is not a file", path);
    return st.st_size > 0 ? 0 : corrupt(path, "it is empty", err);
}

int store_verify(const char *path, struct store_summary *out, struct error *err)
{
    CLEANUP(db_close_cleanup) struct db *db = NULL;

    *out = (struct store_summary){0};
    if (must_be_file(path, err) < 0)
        return -1;
    if (db_open(path, DB_READ, &db, err) < 0)
        return error_wrap(err, "opening %s", path);
    return check_copy(db, path, out, err);
}

/* ---------------------------------------------------------------------- copying */

/* Whoever reads the folder afterwards finds the name, also after a power failure. */
static int sync_folder_of(const char *path, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *slash = strrchr(path, '/');
    const char *folder = !slash          ? "."
                         : slash == path ? "/"
                                         : arena_memdup(mem, path, (size_t)(slash - path));
    CLEANUP(close_fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_set_errno(err, errno, "%s", folder);
    return 0;
}

static int sync_file(const char *path, struct error *err)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_set_errno(err, errno, "%s", path);
    return 0;
}

/* An empty file for nobody else to read; what an interrupted copy has left is taken away. */
static int make_part(const char *path, struct error *err)
{
    CLEANUP(close_fd) int fd = -1;

    unlink(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? error_set_errno(err, errno, "%s", path) : 0;
}

/* One file without a log beside it, whatever `from` has. `change` may be NULL. */
static int fill_part(struct db *from, const char *part, const char *change,
                     struct store_summary *out, struct error *err)
{
    CLEANUP(db_close_cleanup) struct db *to = NULL;

    if (db_open(part, DB_WRITE, &to, err) < 0 || db_copy(from, to, err) < 0 ||
        db_exec(to, "PRAGMA journal_mode=DELETE", err) < 0)
        return -1;
    if (change && db_exec(to, change, err) < 0)
        return -1;
    return check_copy(to, part, out, err);
}

static int copy_whole(struct db *from, const char *path, const char *change,
                      struct store_summary *out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(unlink_part) const char *part = arena_printf(mem, "%s.part", path);

    if (make_part(part, err) < 0) {
        part = NULL;
        return -1;
    }
    if (fill_part(from, part, change, out, err) < 0)
        return error_wrap(err, "writing %s", part);
    if (sync_file(part, err) < 0 || failpoint("backup_rename", err) < 0)
        return -1;
    if (rename(part, path) < 0)
        return error_set_errno(err, errno, "%s", path);
    part = NULL;
    return sync_folder_of(path, err);
}

/* ----------------------------------------------------------------------- backup */

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int store_backup(const char *path, const char *to, struct store_summary *out, struct error *err)
{
    CLEANUP(db_close_cleanup) struct db *db = NULL;

    *out = (struct store_summary){0};
    if (must_be_file(path, err) < 0)
        return -1;
    if (is_same_file(path, to))
        return error_set(err, ERR_CONFIG, "%s is the store itself", to);
    if (db_open(path, DB_READ, &db, err) < 0 || migrations_check(db, err) < 0)
        return error_wrap(err, "opening %s", path);
    return copy_whole(db, to, NULL, out, err);
}

int store_note_backup(const char *path, int64_t took_us, struct error *err)
{
    CLEANUP(db_close_cleanup) struct db *db = NULL;
    CLEANUP(query_close) struct query q = {0};
    int64_t version;

    if (db_open(path, DB_WRITE, &db, err) < 0 ||
        db_get_int(db, "PRAGMA user_version", &version, err) < 0)
        return -1;
    if (version < NOTING_VERSION)
        return 0;
    if (query_open(db, "UPDATE health SET backup_us = ?, backup_took_us = ?", &q, err) < 0)
        return -1;
    query_int(&q, clock_unix_us());
    query_int(&q, took_us);
    return query_run(&q, err);
}

int store_copy_before(struct db *db, const char *path, int64_t version, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct store_summary summary;
    struct statvfs fs;
    struct stat st;

    /* Half of what is free is for the copy, the other for the migration itself. */
    if (stat(path, &st) < 0 || statvfs(path, &fs) < 0)
        return error_set_errno(err, errno, "%s", path);
    if ((int64_t)fs.f_bavail * (int64_t)fs.f_frsize < (int64_t)st.st_size * 2)
        return 0;
    return copy_whole(db, arena_printf(mem, "%s.version-%d", path, (int)version), NULL, &summary,
                      err);
}

/* ---------------------------------------------------------------------- restore */

static int must_be_free(const char *path, struct error *err)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        const char *name = arena_printf(mem, "%s%s", path, suffixes[i]);
        struct stat st;

        if (lstat(name, &st) == 0)
            return error_set_reason(err, ERR_CONFLICT, "store_exists",
                                    "%s exists: a backup is restored only where there is no store; "
                                    "move it away first",
                                    name);
    }
    return 0;
}

int store_restore(const char *from, const char *path, struct store_summary *out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(db_close_cleanup) struct db *db = NULL;
    CLEANUP(close_fd) int lock = -1;
    const char *change = arena_printf(
        mem, "UPDATE sqlite_sequence SET seq = seq + %d WHERE name = 'runs'", RESTORE_GAP);

    if (store_verify(from, out, err) < 0)
        return -1;
    lock = store_lock(path, err);
    if (lock < 0 || must_be_free(path, err) < 0)
        return -1;
    if (db_open(from, DB_READ, &db, err) < 0)
        return error_wrap(err, "opening %s", from);
    return copy_whole(db, path, change, out, err);
}

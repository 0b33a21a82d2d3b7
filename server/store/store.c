#include "server/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/hash.h"
#include "connectors/base/metric.h"
#include "connectors/base/text.h"
#include "server/store/backup.h"
#include "server/store/migrations.h"
#include "server/store/txn.h"

/* As many as HTTP threads that read at once; more only wait for the processor. */
#define READERS 4

/* Looking for damage takes about a second per 100 MiB; a start must not take longer. */
#define FULL_CHECK_BYTES  ((int64_t)16 << 20)
#define QUICK_CHECK_BYTES ((int64_t)128 << 20)

/* Connections are handed out one by one; whoever finds none free waits for `freed`. */
struct seat {
    struct db *db; /* NULL at first and after an I/O error: opened by whoever needs it next */
    bool taken;
};

struct store {
    char *path;
    int lock_fd;
    pthread_mutex_t mutex; /* of the flags `taken` */
    pthread_cond_t writer_freed, reader_freed;
    bool writing; /* the turn: the two writing seats are used by its owner only */
    struct seat writer, progress, readers[READERS];
};

DEFINE_CLEANUP(struct store *, store_close_cleanup, store_close);

/* ------------------------------------------------------------------ lock file */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

int store_lock(const char *path, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *name = arena_printf(mem, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), why;
    char text[64] = "";

    if (fd < 0)
        return error_set_errno(err, errno, "%s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    why = errno;
    if (pread(fd, text, sizeof text - 1, 0) < 0)
        text[0] = '\0';
    close(fd);
    if (why != EWOULDBLOCK)
        return error_set_errno(err, why, "locking %s", name);
    return error_set_reason(err, ERR_CONFLICT, "store_in_use",
                            "%s is used by another process (%.*s)", path, (int)strcspn(text, "\n"),
                            text);
}

/*
 * Takes "<path>.lock" for this process. *out_made tells whether a store was completed here before:
 * then an empty file is not a new one but what is left of that store.
 */
static int take_lock(struct store *s, bool *out_made, struct error *err)
{
    struct stat st;

    s->lock_fd = store_lock(s->path, err);
    if (s->lock_fd < 0)
        return -1;
    if (fstat(s->lock_fd, &st) < 0)
        return error_set_errno(err, errno, "%s.lock", s->path);
    *out_made = st.st_size > 0;
    return 0;
}

/* From here on an empty store would be a damaged one. The number is for people. */
static int mark_made(struct store *s, struct error *err)
{
    char text[64];
    int n = snprintf(text, sizeof text, "process %ld\n", (long)getpid());

    if (pwrite(s->lock_fd, text, (size_t)n, 0) != n || ftruncate(s->lock_fd, n) < 0)
        return error_set_errno(err, errno, "writing %s.lock", s->path);
    return 0;
}

int store_lock_fd(const struct store *s, const char **out_path)
{
    *out_path = s->path;
    return s->lock_fd;
}

/* -------------------------------------------------------------------- opening */

static pthread_once_t configured = PTHREAD_ONCE_INIT;

static void configure(void)
{
    /* Refused when somebody has used SQLite before; db_open does not rely on it. */
    sqlite3_config(SQLITE_CONFIG_URI, 0);
    /* Pages are taken one by one when they are needed, not twenty at once for each connection. */
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    sqlite3_initialize();
}

static int corrupt(struct store *s, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "store_corrupt", "%s is damaged (%s)", s->path, why);
}

static int64_t size_of(const char *path, const char *suffix, struct arena *mem)
{
    struct stat st;

    return stat(arena_printf(mem, "%s%s", path, suffix), &st) == 0 ? (int64_t)st.st_size : -1;
}

/*
 * Creates the file for nobody else to read, and refuses what cannot be a store before SQLite
 * touches it. *io_made becomes false when there was no file: whoever removed it wants a new one.
 */
static int prepare_file(struct store *s, bool *io_made, int64_t *out_bytes, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(close_fd) int fd = open(s->path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT) {
        *io_made = false;
        fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "%s", s->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CONFIG, "%s is not a file", s->path);
    if (st.st_size == 0 && (*io_made || size_of(s->path, "-wal", mem) > 0))
        return corrupt(s, "the file is empty, but there was a store", err);
    *out_bytes = st.st_size;
    return 0;
}

static int check_intact(struct store *s, struct db *db, int64_t bytes, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *said = NULL;

    if (bytes > QUICK_CHECK_BYTES)
        return 0;
    if (db_get_text(
            db, bytes <= FULL_CHECK_BYTES ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)",
            mem, &said, err) < 0)
        return -1;
    return said && !strcmp(said, "ok") ? 0 : corrupt(s, said ? said : "no answer", err);
}

static int use_wal(struct store *s, struct db *db, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *mode = NULL;

    if (db_get_text(db, "PRAGMA journal_mode=WAL", mem, &mode, err) < 0)
        return -1;
    if (mode && !strcmp(mode, "wal"))
        return 0;
    return error_set(err, ERR_CONFIG,
                     "%s: write-ahead logging does not work here; is it a network file system?",
                     s->path);
}

/* Everything that is looked at before the first byte of an existing file is changed. */
static int check_file(struct store *s, bool made, int64_t bytes, struct error *err)
{
    int is_new = migrations_check(s->writer.db, err);

    if (is_new < 0)
        return -1;
    /* A first start that was interrupted leaves a file without tables. */
    if (is_new > 0)
        return made ? corrupt(s, "it holds no tables", err) : 0;
    return check_intact(s, s->writer.db, bytes, err);
}

/* A copy is kept of what a newer schema replaces. */
static int migrate(struct store *s, struct error *err)
{
    int64_t version;
    bool old;

    if (migrations_are_due(s->writer.db, &version, &old, err) < 0)
        return -1;
    if (old && store_copy_before(s->writer.db, s->path, version, err) < 0)
        return -1;
    return migrations_run(s->writer.db, err);
}

static int open_seats(struct store *s, struct error *err)
{
    /* The other readers are opened when there are so many at once, that for progress with the
     * first sync. */
    return db_open(s->path, DB_READ, &s->readers[0].db, err);
}

static struct store *store_new(const char *path)
{
    struct store *s = xalloc(sizeof *s);
    pthread_mutexattr_t adaptive;
    pthread_condattr_t attr;

    s->path = xstrdup(path);
    s->lock_fd = -1;
    /* Held for moments only: waiting for it awake is cheaper than asleep. */
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&s->mutex, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->writer_freed, &attr);
    pthread_cond_init(&s->reader_freed, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

/* Whatever found the damage, SQLite or we. */
static int say_what_to_do(struct error *err)
{
    size_t n = strlen(err->message);

    if (!strcmp(error_reason(err), "store_corrupt"))
        snprintf(err->message + n, sizeof err->message - n,
                 "; put it elsewhere and restore a backup: connectord restore FILE");
    return -1;
}

static int open_file(struct store *s, struct error *err)
{
    bool made = false;
    int64_t bytes = 0;

    if (take_lock(s, &made, err) < 0 || prepare_file(s, &made, &bytes, err) < 0)
        return -1;
    if (db_open(s->path, DB_WRITE, &s->writer.db, err) < 0 || check_file(s, made, bytes, err) < 0 ||
        use_wal(s, s->writer.db, err) < 0 || migrate(s, err) < 0 ||
        idempotency_recover(s->writer.db, err) < 0)
        return error_wrap(err, "opening %s", s->path);
    return 0;
}

int store_open(const char *path, struct store **out, struct error *err)
{
    CLEANUP(store_close_cleanup) struct store *s = store_new(path);

    pthread_once(&configured, configure);
    if (open_file(s, err) < 0)
        return say_what_to_do(err);
    /* Checking and migrating went through all of it. */
    db_trim(s->writer.db);
    if (open_seats(s, err) < 0)
        return error_wrap(err, "opening %s", path);
    if (mark_made(s, err) < 0)
        return -1;
    *out = TAKE(s);
    return 0;
}

/* The process that has the lock has checked the file and brought it to its version. */
static int open_without_lock(struct store *s, struct error *err)
{
    int64_t missing = 0;
    int is_new;

    if (db_open(s->path, DB_WRITE, &s->writer.db, err) < 0)
        return -1;
    is_new = migrations_check(s->writer.db, err);
    if (is_new < 0 || migrations_missing(s->writer.db, &missing, err) < 0)
        return -1;
    if (is_new > 0 || missing != 0)
        return error_set_reason(err, ERR_CONFLICT, "store_in_use",
                                "%s is used by another version of the program", s->path);
    return open_seats(s, err);
}

int store_open_beside(const char *path, struct store **out, struct error *err)
{
    CLEANUP(store_close_cleanup) struct store *s = NULL;

    if (access(path, F_OK) < 0)
        return error_set(err, ERR_NOT_FOUND, "there is no store \"%s\"", path);
    if (store_open(path, out, err) == 0)
        return 0;
    if (strcmp(error_reason(err), "store_in_use") != 0)
        return -1;
    *err = ERROR_INIT;
    s = store_new(path);
    if (open_without_lock(s, err) < 0)
        return -1;
    *out = TAKE(s);
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < READERS; i++)
        db_close(s->readers[i].db);
    db_close(s->progress.db);
    db_close(s->writer.db); /* the last one writes the log back into the file and removes it */
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_cond_destroy(&s->writer_freed);
    pthread_cond_destroy(&s->reader_freed);
    pthread_mutex_destroy(&s->mutex);
    free(s->path);
    free(s);
}

/* --------------------------------------------------------------- transactions */

static int64_t now_ms(void)
{
    struct timespec ts;

    /* Not clock.h: a faked clock must not make a wait endless. */
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int busy(int64_t limit_ms, struct error *err)
{
    metric_add(METRIC_STORE_BUSY, 1);
    return error_set_reason(err, ERR_CONTENTION, "database_busy",
                            "the store was busy for %" PRId64 " milliseconds", limit_ms);
}

/* With the mutex held: false when `until_ms` has come. */
static bool wait_for(struct store *s, pthread_cond_t *freed, int64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};

    return pthread_cond_timedwait(freed, &s->mutex, &until) != ETIMEDOUT || now_ms() < until_ms;
}

static struct seat *take_writer(struct store *s, enum txn_kind kind, int64_t until_ms)
{
    LOCK_GUARD(&s->mutex);

    while (s->writing) {
        if (!wait_for(s, &s->writer_freed, until_ms))
            return NULL;
    }
    s->writing = true;
    return kind == TXN_WRITE ? &s->writer : &s->progress;
}

static struct seat *take_reader(struct store *s, int64_t until_ms)
{
    LOCK_GUARD(&s->mutex);

    for (;;) {
        for (size_t i = 0; i < READERS; i++) {
            if (!s->readers[i].taken) {
                s->readers[i].taken = true;
                return &s->readers[i];
            }
        }
        if (!wait_for(s, &s->reader_freed, until_ms))
            return NULL;
    }
}

static void give_back(struct store *s, enum txn_kind kind, struct seat *seat)
{
    LOCK_GUARD(&s->mutex);

    if (kind <= TXN_LOOK) {
        seat->taken = false;
        pthread_cond_signal(&s->reader_freed);
    } else {
        s->writing = false;
        pthread_cond_signal(&s->writer_freed);
    }
}

static int begin_on(struct store *s, enum txn_kind kind, struct seat *seat, int64_t until_ms,
                    struct error *err)
{
    static const enum db_mode modes[] = {[TXN_READ] = DB_READ,
                                         [TXN_LOOK] = DB_READ,
                                         [TXN_WRITE] = DB_WRITE,
                                         [TXN_PROGRESS] = DB_RELAX};
    int64_t left_ms = until_ms - now_ms();

    if (!seat->db && db_open(s->path, modes[kind], &seat->db, err) < 0)
        return -1;
    db_set_busy_ms(seat->db, left_ms > 1 ? (int)left_ms : 1);
    if (kind == TXN_LOOK)
        return 0;
    /* IMMEDIATE, since a reader that becomes a writer may find that it cannot. */
    return db_run(seat->db, kind == TXN_READ ? "BEGIN" : "BEGIN IMMEDIATE", err);
}

int txn_begin_within(struct store *s, enum txn_kind kind, int64_t limit_ms, struct txn *out,
                     struct error *err)
{
    static const char *const kinds[] = {
        [TXN_READ] = "read", [TXN_LOOK] = "read", [TXN_WRITE] = "write", [TXN_PROGRESS] = "relax"};
    int64_t until_ms = now_ms() + limit_ms;
    struct seat *seat =
        kind <= TXN_LOOK ? take_reader(s, until_ms) : take_writer(s, kind, until_ms);

    if (!seat)
        return busy(limit_ms, err);
    *out = (struct txn){.store = s, .kind = kind, .seat = seat};
    if (begin_on(s, kind, seat, until_ms, err) < 0) {
        if (!strcmp(error_reason(err), "database_busy"))
            metric_add(METRIC_STORE_BUSY, 1); /* it was another process that wrote */
        txn_end(out);
        return -1;
    }
    out->db = seat->db;
    metric_add_for(METRIC_STORE_TRANSACTIONS, METRIC_LABELS(kinds[kind]), 1);
    return 0;
}

int txn_begin(struct store *s, enum txn_kind kind, struct txn *out, struct error *err)
{
    return txn_begin_within(s, kind, STORE_BUSY_MS, out, err);
}

int txn_commit(struct txn *t, struct error *err)
{
    if (failpoint("store_commit", err) < 0)
        return -1;
    return db_run(t->db, "COMMIT", err);
}

void txn_end(struct txn *t)
{
    struct seat *seat = t->seat;

    if (!seat)
        return;
    if (seat->db) {
        db_rollback(seat->db);
        if (db_is_broken(seat->db)) {
            db_close(seat->db);
            seat->db = NULL;
        }
    }
    give_back(t->store, t->kind, seat);
    *t = (struct txn){0};
}

void store_forget_log(struct store *s)
{
    struct error ignored = ERROR_INIT;
    struct seat *seat = take_writer(s, TXN_WRITE, now_ms() + STORE_BUSY_MS);

    if (!seat)
        return;
    if (seat->db) {
        db_set_busy_ms(seat->db, 1);
        (void)!db_exec(seat->db, "PRAGMA wal_checkpoint(TRUNCATE)", &ignored);
    }
    give_back(s, TXN_WRITE, seat);
}

void store_trim(struct store *s)
{
    LOCK_GUARD(&s->mutex);

    for (size_t i = 0; i < READERS; i++) {
        if (!s->readers[i].taken && s->readers[i].db)
            db_trim(s->readers[i].db);
    }
    if (!s->writing && s->writer.db)
        db_trim(s->writer.db);
    if (!s->writing && s->progress.db)
        db_trim(s->progress.db);
}

int store_ping(struct store *s, int64_t limit_ms, struct error *err)
{
    CLEANUP(txn_end) struct txn write = {0};
    CLEANUP(txn_end) struct txn read = {0};
    int64_t now_us = clock_unix_us(), seen_us;
    struct query q = {0};
    int rc;

    if (txn_begin_within(s, TXN_WRITE, limit_ms, &write, err) < 0 ||
        query_open(write.db, "UPDATE health SET pinged_us = ?", &q, err) < 0)
        return -1;
    query_int(&q, now_us);
    rc = query_run(&q, err);
    query_close(&q);
    if (rc < 0 || txn_commit(&write, err) < 0)
        return -1;
    txn_end(&write);
    if (txn_begin_within(s, TXN_READ, limit_ms, &read, err) < 0 ||
        db_get_int(read.db, "SELECT pinged_us FROM health", &seen_us, err) < 0)
        return -1;
    return 0;
}

int store_get_stats(struct store *s, struct store_stats *out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(txn_end) struct txn t = {0};
    struct statvfs fs;

    *out = (struct store_stats){.bytes = size_of(s->path, "", mem),
                                .wal_bytes = size_of(s->path, "-wal", mem)};
    if (statvfs(s->path, &fs) < 0)
        return error_set_errno(err, errno, "%s", s->path);
    out->free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (txn_begin(s, TXN_READ, &t, err) < 0 ||
        db_get_int(t.db, "PRAGMA user_version", &out->schema_version, err) < 0 ||
        db_get_int(t.db, "SELECT backup_us FROM health", &out->backup_us, err) < 0 ||
        db_get_int(t.db, "SELECT backup_took_us FROM health", &out->backup_took_us, err) < 0)
        return -1;
    return 0;
}

/* ---------------------------------------------------------------- what all use */

void store_new_id(int64_t now_us, char out[static STORE_ID_BYTES])
{
    uint64_t ms = (uint64_t)now_us / 1000, part = (uint64_t)now_us % 1000 * 4096 / 1000;
    unsigned char b[16];
    char hex[33];

    /* RFC 9562, version 7: milliseconds, a fraction of one, randomness. */
    hash_random(b, sizeof b);
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | part >> 8);
    b[7] = (unsigned char)part;
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    text_hex(b, sizeof b, hex);
    snprintf(out, STORE_ID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

const char *cursor_write(char list, int64_t seq, struct arena *mem)
{
    return arena_printf(mem, "%c%" PRId64, list, seq);
}

int cursor_read(char list, const struct list_query *q, int64_t *out_seq, struct error *err)
{
    int64_t seq = 0;

    if (q->after && (q->after[0] != list ||
                     !text_to_int64(q->after + 1, strlen(q->after + 1), &seq) || seq < 1))
        return error_set_reason(err, ERR_INVALID, "invalid_cursor",
                                "the cursor is not one of this list");
    *out_seq = seq;
    return 0;
}

int revision_check(int64_t actual, int64_t expected, struct error *err)
{
    if (expected == REVISION_ANY || expected == actual)
        return 0;
    if (expected == REVISION_NONE && actual == 0)
        return 0;
    if (expected == REVISION_NONE)
        return error_set_reason(err, ERR_CONFLICT, "revision_mismatch",
                                "it exists already, with revision %" PRId64, actual);
    return error_set_reason(err, ERR_CONFLICT, "revision_mismatch",
                            "the current revision is %" PRId64, actual);
}

bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

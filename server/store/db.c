#include "server/store/db.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/metric.h"
#include "connectors/base/text.h"

struct statement {
    char *sql;
    sqlite3_stmt *stmt;
    bool in_use;
    uint64_t used_at;
};

struct db {
    sqlite3 *handle;
    bool broken;
    uint64_t clock;
    struct statement statements[DB_STATEMENTS];
};

#define NO_SLOT DB_STATEMENTS /* a statement that is used twice at once is not cached */

/* --------------------------------------------------------------------- errors */

/* What SQLite says, by primary result code; the reasons are those of the API. */
/* clang-format off */
static const struct {
    int rc;
    enum error_code code;
    const char *reason;
} classes[] = {
    {SQLITE_BUSY,     ERR_CONTENTION, "database_busy"},
    {SQLITE_LOCKED,   ERR_CONTENTION, "database_busy"},
    {SQLITE_FULL,     ERR_RESOURCE,   "insufficient_storage"},
    {SQLITE_IOERR,    ERR_RESOURCE,   "store_io"},
    {SQLITE_NOMEM,    ERR_RESOURCE,   NULL},
    {SQLITE_CORRUPT,  ERR_DATA,       "store_corrupt"},
    {SQLITE_NOTADB,   ERR_DATA,       "store_corrupt"},
    {SQLITE_READONLY, ERR_PERMISSION, "read_only"},
    {SQLITE_PERM,     ERR_PERMISSION, NULL},
    {SQLITE_CANTOPEN, ERR_RESOURCE,   "store_io"},
    {SQLITE_TOOBIG,   ERR_TOO_LARGE,  NULL},
};
/* clang-format on */

static int fail(struct db *db, int rc, struct error *err)
{
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);

    rc &= 0xff;
    if (rc == SQLITE_IOERR || rc == SQLITE_CORRUPT || rc == SQLITE_CANTOPEN || rc == SQLITE_NOMEM)
        db->broken = true;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (classes[i].rc != rc)
            continue;
        if (classes[i].reason)
            metric_add_for(METRIC_STORE_ERRORS, METRIC_LABELS(classes[i].reason), 1);
        return error_set_reason(err, classes[i].code, classes[i].reason, "the store: %s", text);
    }
    return error_set(err, ERR_INTERNAL, "the store: %s (%d)", text, rc);
}

bool db_is_broken(const struct db *db)
{
    return db->broken;
}

/* -------------------------------------------------------------------- opening */

/* Settings that hold for the connection and are not kept in the file. */
static const char *const settings[] = {
    [DB_WRITE] = "PRAGMA synchronous=FULL",
    [DB_RELAX] = "PRAGMA synchronous=NORMAL",
    [DB_READ] = "PRAGMA query_only=ON",
};

/* A pool of small pieces that each connection has for itself; SQLite's own choice is eight times as
 * much, and all of it is touched. */
#define LOOKASIDE_BYTES 256
#define LOOKASIDE_N     64

static void harden(sqlite3 *handle)
{
    sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_BYTES, LOOKASIDE_N);
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, (int *)NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
}

int db_open(const char *path, enum db_mode mode, struct db **out, struct error *err)
{
    CLEANUP(db_close_cleanup) struct db *db = xalloc(sizeof *db);
    CLEANUP(buf_release) struct buf name = BUF_INIT(1 << 16);
    int rc;

    /* Debian's build takes any name that begins with "file:" for a URI. */
    if (text_starts_with(path, "file:"))
        buf_puts(&name, "./");
    buf_puts(&name, path);
    if (buf_ok(&name, "the path of the store", err) < 0)
        return -1;
    rc = sqlite3_open_v2(buf_str(&name), &db->handle,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                         NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, err);
    harden(db->handle);
    db_set_busy_ms(db, 5000);
    /* The page cache of the kernel is the real one; foreign keys hold for whoever writes. */
    if (db_exec(db,
                "PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;"
                "PRAGMA secure_delete=ON; PRAGMA journal_size_limit=67108864",
                err) < 0 ||
        db_exec(db, settings[mode], err) < 0)
        return -1;
    *out = TAKE(db);
    return 0;
}

static void forget(struct statement *s)
{
    sqlite3_finalize(s->stmt);
    free(s->sql);
    *s = (struct statement){0};
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < DB_STATEMENTS; i++)
        forget(&db->statements[i]);
    sqlite3_close(db->handle);
    free(db);
}

void db_set_busy_ms(struct db *db, int ms)
{
    sqlite3_busy_timeout(db->handle, ms);
}

void db_trim(struct db *db)
{
    for (size_t i = 0; i < DB_STATEMENTS; i++) {
        if (!db->statements[i].in_use)
            forget(&db->statements[i]);
    }
    sqlite3_db_release_memory(db->handle);
}

int db_exec(struct db *db, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

/* Pages, and the pause after them. */
#define COPY_PAGES    256
#define COPY_PAUSE_MS 5

static int copy_pages(struct db *from, struct db *to, struct error *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to->handle, "main", from->handle, "main");
    int rc, closed;

    if (!b)
        return fail(to, sqlite3_errcode(to->handle), err);
    do {
        rc = sqlite3_backup_step(b, COPY_PAGES);
        if (rc == SQLITE_OK)
            sqlite3_sleep(COPY_PAUSE_MS);
    } while (rc == SQLITE_OK);
    closed = sqlite3_backup_finish(b);
    if (rc == SQLITE_DONE && closed == SQLITE_OK)
        return 0;
    return fail(to, closed != SQLITE_OK ? closed : rc, err);
}

int db_copy(struct db *from, struct db *to, struct error *err)
{
    int64_t objects;
    int rc;

    /* A transaction of ours holds one moment of the source: without it, every write of another
     * process would begin the copy anew. */
    if (db_exec(from, "BEGIN", err) < 0 ||
        db_get_int(from, "SELECT count(*) FROM sqlite_schema", &objects, err) < 0) {
        db_rollback(from);
        return -1;
    }
    rc = copy_pages(from, to, err);
    db_rollback(from);
    return rc;
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t db_last_id(const struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

/* ----------------------------------------------------------------- statements */

/* The slot of this text, or the one to give up for it; NO_SLOT when its statement is in use. */
static size_t find_slot(const struct db *db, const char *sql)
{
    size_t oldest = NO_SLOT;

    for (size_t i = 0; i < DB_STATEMENTS; i++) {
        const struct statement *s = &db->statements[i];

        if (s->sql && !strcmp(s->sql, sql))
            return s->in_use ? NO_SLOT : i;
        if (!s->in_use && (oldest == NO_SLOT || s->used_at < db->statements[oldest].used_at))
            oldest = i;
    }
    return oldest;
}

static int prepare(struct db *db, const char *sql, unsigned flags, sqlite3_stmt **out,
                   struct error *err)
{
    int rc = sqlite3_prepare_v3(db->handle, sql, -1, flags, out, NULL);

    return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

int query_open(struct db *db, const char *sql, struct query *out, struct error *err)
{
    size_t slot = find_slot(db, sql);
    struct statement *s = slot == NO_SLOT ? NULL : &db->statements[slot];
    sqlite3_stmt *stmt = NULL;

    *out = (struct query){.db = db, .slot = slot};
    if (s && s->sql && !strcmp(s->sql, sql)) {
        stmt = s->stmt;
    } else if (prepare(db, sql, s ? SQLITE_PREPARE_PERSISTENT : 0, &stmt, err) < 0) {
        return -1;
    } else if (s) {
        forget(s);
        *s = (struct statement){.sql = xstrdup(sql), .stmt = stmt};
    }
    if (s) {
        s->in_use = true;
        s->used_at = ++db->clock;
    }
    out->stmt = stmt;
    return 0;
}

void query_close(struct query *q)
{
    if (!q->stmt)
        return;
    if (q->slot == NO_SLOT) {
        sqlite3_finalize(q->stmt);
    } else {
        sqlite3_reset(q->stmt);
        sqlite3_clear_bindings(q->stmt);
        q->db->statements[q->slot].in_use = false;
    }
    q->stmt = NULL;
}

/* The first failure of a binding is kept and told by the next step. */
static void bound(struct query *q, int rc)
{
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

void query_text(struct query *q, const char *s)
{
    int at = ++q->n_bound;

    if (s)
        bound(q, sqlite3_bind_text64(q->stmt, at, s, strlen(s), SQLITE_STATIC, SQLITE_UTF8));
    else
        bound(q, sqlite3_bind_null(q->stmt, at));
}

void query_int(struct query *q, int64_t v)
{
    bound(q, sqlite3_bind_int64(q->stmt, ++q->n_bound, v));
}

int query_next(struct query *q, struct error *err)
{
    int rc = q->rc != SQLITE_OK ? q->rc : sqlite3_step(q->stmt);

    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : fail(q->db, rc, err);
}

int query_run(struct query *q, struct error *err)
{
    int row;

    do {
        row = query_next(q, err);
    } while (row > 0);
    return row;
}

int64_t query_get_int(const struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

bool query_get_bool(const struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column) != 0;
}

const char *query_get_text(const struct query *q, int column, struct arena *mem)
{
    const unsigned char *s = sqlite3_column_text(q->stmt, column);

    if (!s)
        return NULL;
    return arena_memdup(mem, (const char *)s, (size_t)sqlite3_column_bytes(q->stmt, column));
}

const char *query_get_string(const struct query *q, int column, struct arena *mem)
{
    const char *s = query_get_text(q, column, mem);

    return s ? s : "";
}

int db_run(struct db *db, const char *sql, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};

    return query_open(db, sql, &q, err) < 0 ? -1 : query_run(&q, err);
}

void db_rollback(struct db *db)
{
    struct error ignored = ERROR_INIT;

    if (!sqlite3_get_autocommit(db->handle) && db_run(db, "ROLLBACK", &ignored) < 0)
        db->broken = true;
}

static int first_row(struct query *q, struct db *db, const char *sql, struct error *err)
{
    return query_open(db, sql, q, err) < 0 ? -1 : query_next(q, err);
}

int db_vacuum(struct db *db, struct error *err)
{
    int rc;

    /* SQLite attaches the file that it writes. */
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 1);
    rc = db_exec(db, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", err);
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    db_trim(db); /* every page has passed through it */
    return rc;
}

int db_get_int(struct db *db, const char *sql, int64_t *out, struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row = first_row(&q, db, sql, err);

    if (row < 0)
        return -1;
    *out = row ? query_get_int(&q, 0) : 0;
    return 0;
}

int db_get_text(struct db *db, const char *sql, struct arena *mem, const char **out,
                struct error *err)
{
    CLEANUP(query_close) struct query q = {0};
    int row = first_row(&q, db, sql, err);

    if (row < 0)
        return -1;
    *out = row ? query_get_text(&q, 0, mem) : NULL;
    return 0;
}

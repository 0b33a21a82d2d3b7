#include "connectors/sql/sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/sql/sqlite_internal.h"

/* Virtual machine steps between two looks at the cancel token: about a millisecond. */
#define STEPS_PER_LOOK 20000

/* clang-format off */
static const struct {
    int rc; /* primary code */
    enum error_code code;
    const char *reason;
} classes[] = {
    {SQLITE_BUSY,       ERR_CONTENTION, "database_locked"},
    {SQLITE_LOCKED,     ERR_CONTENTION, "database_locked"},
    {SQLITE_PROTOCOL,   ERR_CONTENTION, "database_locked"},
    {SQLITE_FULL,       ERR_RESOURCE,   "disk_full"},
    {SQLITE_NOMEM,      ERR_RESOURCE,   "out_of_memory"},
    {SQLITE_READONLY,   ERR_PERMISSION, "read_only"},
    {SQLITE_PERM,       ERR_PERMISSION, NULL},
    {SQLITE_AUTH,       ERR_PERMISSION, NULL},
    {SQLITE_CANTOPEN,   ERR_PERMISSION, "cannot_open"},
    {SQLITE_CORRUPT,    ERR_DATA,       "corrupt"},
    {SQLITE_NOTADB,     ERR_DATA,       "not_a_database"},
    {SQLITE_CONSTRAINT, ERR_DATA,       "constraint"},
    {SQLITE_MISMATCH,   ERR_DATA,       "constraint"},
    {SQLITE_TOOBIG,     ERR_TOO_LARGE,  NULL},
    {SQLITE_IOERR,      ERR_TRANSIENT,  "io_error"},
    {SQLITE_SCHEMA,     ERR_CONTENTION, "schema_changed"},
    {SQLITE_ERROR,      ERR_SCHEMA,     "sql_error"},
    {SQLITE_RANGE,      ERR_INTERNAL,   NULL},
    {SQLITE_MISUSE,     ERR_INTERNAL,   NULL},
};
/* clang-format on */

int sqlite_fail(struct sqlite_conn *c, int rc, const char *what, struct error *err)
{
    enum error_code code = ERR_INTERNAL;
    const char *reason = NULL, *said = c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);

    /* A statement that we interrupted, or stopped waiting for a lock, was cancelled. */
    if (cancel_check(c->run->cancel, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (classes[i].rc == (rc & 0xff)) {
            code = classes[i].code;
            reason = classes[i].reason;
        }
    }
    if (rc == SQLITE_IOERR_NOMEM)
        code = ERR_RESOURCE;
    error_set_at(err, code, reason, __FILE__, __LINE__, "\"%s\": %s: %s", c->path, what, said);
    return -1;
}

static int on_progress(void *arg)
{
    const struct sqlite_conn *c = arg;

    return cancel_requested(c->run->cancel) != CANCEL_NONE;
}

/* Waits a little longer each time, so that a short lock costs little and a long one no processor.
 */
static int on_busy(void *arg, int n)
{
    struct sqlite_conn *c = arg;
    int64_t ms = n < 6 ? 1 << n : 50;
    struct error ignored = ERROR_INIT;

    if (n == 0)
        c->waited_ms = 0;
    if (c->waited_ms >= c->busy_ms)
        return 0;
    c->waited_ms += ms;
    return cancel_sleep_ms(c->run->cancel, ms, &ignored) == 0;
}

static const int open_flags[] = {
    [SQLITE_MODE_READ] = SQLITE_OPEN_READONLY,
    [SQLITE_MODE_WRITE] = SQLITE_OPEN_READWRITE,
    [SQLITE_MODE_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
};

static struct sqlite_conn *new_conn(const char *path, enum sqlite_mode mode, int64_t busy_ms,
                                    struct run *run)
{
    struct sqlite_conn *c = xalloc(sizeof *c);

    c->run = run;
    c->busy_ms = busy_ms;
    c->path = xstrdup(path);
    c->folder = -1;
    c->mode = mode;
    c->base.dialect = &sql_sqlite;
    c->base.driver = &sqlite_driver;
    return c;
}

int sqlite_open_conn(const char *path, enum sqlite_mode mode, int64_t busy_ms, struct run *run,
                     struct sqlite_conn **out, struct error *err)
{
    struct sqlite_conn *c = new_conn(path, mode, busy_ms, run);
    const char *name, *vfs;
    int rc;

    if (sqlite_find_file(c, &name, &vfs, err) < 0) {
        sqlite_close_conn(c);
        return -1;
    }
    rc = sqlite3_open_v2(name, &c->db,
                         open_flags[mode] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
    if (rc == SQLITE_OK) {
        sqlite_protect(c);
        sqlite3_busy_handler(c->db, on_busy, c);
        sqlite3_progress_handler(c->db, STEPS_PER_LOOK, on_progress, c);
        /* Reads the header, so that a file that is no database is found here. */
        rc = sqlite3_exec(c->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        sqlite_fail(c, rc, "opening the database", err);
        sqlite_close_conn(c);
        return -1;
    }
    if (sqlite_add_functions(c, err) < 0) {
        sqlite_close_conn(c);
        return -1;
    }
    if (mode == SQLITE_MODE_READ)
        sqlite_authorize(c);
    *out = c;
    return 0;
}

void sqlite_close_conn(struct sqlite_conn *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SQLITE_CACHED; i++) {
        sqlite3_finalize(c->cached[i].stmt);
        free(c->cached[i].sql);
    }
    if (c->db && !sqlite3_get_autocommit(c->db)) {
        sqlite3_progress_handler(c->db, 0, NULL, NULL);
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    }
    sqlite3_close_v2(c->db);
    if (c->folder >= 0)
        close(c->folder);
    free(c->path);
    free(c);
}

void sqlite_finalize_cleanup(struct sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}

int sqlite_prepare(struct sqlite_conn *c, const char *sql, struct sqlite3_stmt **out,
                   struct error *err)
{
    int rc = sqlite3_prepare_v3(c->db, sql, -1, 0, out, NULL);

    return rc == SQLITE_OK ? 0 : sqlite_fail(c, rc, "preparing a statement", err);
}

static int bind_one(struct sqlite3_stmt *stmt, int at, const struct sql_value *v)
{
    switch (v->kind) {
    case SQL_NULL:
        return sqlite3_bind_null(stmt, at);
    case SQL_INT:
        return sqlite3_bind_int64(stmt, at, v->number);
    case SQL_REAL:
        return sqlite3_bind_double(stmt, at, v->real);
    case SQL_TEXT:
        return sqlite3_bind_text64(stmt, at, v->bytes.ptr ? v->bytes.ptr : "", v->bytes.len,
                                   SQLITE_STATIC, SQLITE_UTF8);
    case SQL_BLOB:
        /* A NULL pointer would bind NULL, and an empty blob is not that. */
        return sqlite3_bind_blob64(stmt, at, v->bytes.ptr ? v->bytes.ptr : "", v->bytes.len,
                                   SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

int sqlite_bind(struct sqlite_conn *c, struct sqlite3_stmt *stmt, const struct sql_value *params,
                size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        int rc = bind_one(stmt, (int)i + 1, &params[i]);

        if (rc != SQLITE_OK)
            return sqlite_fail(c, rc, "binding a parameter", err);
    }
    return 0;
}

struct sql_value sqlite_column(struct sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        return sql_int(sqlite3_column_int64(stmt, i));
    case SQLITE_FLOAT:
        return (struct sql_value){.kind = SQL_REAL, .real = sqlite3_column_double(stmt, i)};
    case SQLITE_TEXT:
    case SQLITE_BLOB: {
        enum sql_kind kind = sqlite3_column_type(stmt, i) == SQLITE_TEXT ? SQL_TEXT : SQL_BLOB;
        const void *p = kind == SQL_TEXT ? (const void *)sqlite3_column_text(stmt, i)
                                         : sqlite3_column_blob(stmt, i);

        return (struct sql_value){.kind = kind,
                                  .bytes = {p, (size_t)sqlite3_column_bytes(stmt, i)}};
    }
    default:
        return (struct sql_value){.kind = SQL_NULL};
    }
}

static int query(struct sql_conn *conn, const char *sql, const struct sql_value *params, size_t n,
                 sql_row_fn *each, void *arg, struct error *err)
{
    struct sqlite_conn *c = (struct sqlite_conn *)conn;
    CLEANUP(sqlite_finalize_cleanup) struct sqlite3_stmt *stmt = NULL;
    CLEANUP(free_cleanup) struct sql_value *row = NULL;
    int rc, width;

    if (cancel_check(c->run->cancel, err) < 0 || sqlite_prepare(c, sql, &stmt, err) < 0 ||
        sqlite_bind(c, stmt, params, n, err) < 0)
        return -1;
    width = sqlite3_column_count(stmt);
    row = xalloc((size_t)(width + 1) * sizeof *row);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < width; i++)
            row[i] = sqlite_column(stmt, i);
        if (each(arg, row, (size_t)width, err) < 0)
            return -1;
    }
    return rc == SQLITE_DONE ? 0 : sqlite_fail(c, rc, "reading", err);
}

static int exec(struct sql_conn *conn, const char *sql, const struct sql_value *params, size_t n,
                int64_t *out_changed, struct error *err)
{
    struct sqlite_conn *c = (struct sqlite_conn *)conn;
    CLEANUP(sqlite_finalize_cleanup) struct sqlite3_stmt *stmt = NULL;
    int rc;

    *out_changed = 0;
    if (sqlite_prepare(c, sql, &stmt, err) < 0 || sqlite_bind(c, stmt, params, n, err) < 0)
        return -1;
    do
        rc = sqlite3_step(stmt);
    while (rc == SQLITE_ROW);
    if (rc != SQLITE_DONE)
        return sqlite_fail(c, rc, "writing", err);
    *out_changed = sqlite3_changes64(c->db);
    return 0;
}

/*
 * The journal mode of an existing file is its owner's choice and is kept. Freed pages are not
 * overwritten (some builds do so by default): dropping an old generation would cost as much as
 * writing it. The cache is modest because a commit should spill rather than grow the process.
 * Renaming a table leaves the text of views and triggers alone: they mean the name, whichever
 * generation stands behind it, and one that is broken already must not stop us.
 */
static const char *const writer_pragmas[] = {
    "PRAGMA synchronous = FULL",      "PRAGMA secure_delete = OFF",
    "PRAGMA cache_size = -16384",     "PRAGMA temp_store = FILE",
    "PRAGMA foreign_keys = OFF",      "PRAGMA recursive_triggers = OFF",
    "PRAGMA legacy_alter_table = ON", "PRAGMA journal_size_limit = 67108864",
};

static int open_destination(const void *config, struct run *run, struct sql_conn **out,
                            struct error *err)
{
    const struct sqlite_destination *to = config;
    struct sqlite_conn *c;

    if (sqlite_open_conn(to->path, SQLITE_MODE_CREATE, to->busy_timeout_s * 1000, run, &c, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof writer_pragmas / sizeof writer_pragmas[0]; i++) {
        int rc = sqlite3_exec(c->db, writer_pragmas[i], NULL, NULL, NULL);

        if (rc != SQLITE_OK) {
            sqlite_fail(c, rc, "preparing the database", err);
            sqlite_close_conn(c);
            return -1;
        }
    }
    sqlite_authorize(c);
    *out = &c->base;
    return 0;
}

static void close_conn(struct sql_conn *conn)
{
    sqlite_close_conn((struct sqlite_conn *)conn);
}

const struct sql_driver sqlite_driver = {
    .open = open_destination,
    .exec = exec,
    .query = query,
    .bulk = sqlite_bulk,
    .close = close_conn,
};

int sqlite_check_writable(const char *path, struct run *run, struct error *err)
{
    struct sqlite_conn *c = new_conn(path, SQLITE_MODE_CREATE, 0, run);
    const char *name, *vfs;
    int64_t ignored;
    bool is_new;
    int rc;

    rc = sqlite_find_file(c, &name, &vfs, err);
    is_new = rc == 0 && access(name, F_OK) < 0;
    if (is_new && faccessat(c->folder, ".", W_OK | X_OK, 0) < 0)
        rc = error_set_errno(err, errno, "cannot create \"%s\" in its folder", path);
    sqlite_close_conn(c);
    if (rc < 0 || is_new)
        return rc;
    if (sqlite_open_conn(path, SQLITE_MODE_WRITE, 1000, run, &c, err) < 0)
        return -1;
    rc = exec(&c->base, "BEGIN IMMEDIATE", NULL, 0, &ignored, err);
    sqlite_close_conn(c);
    return rc;
}

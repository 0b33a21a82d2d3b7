/*
 * sqlite_internal.h - shared by the files of the SQLite driver and nobody else.
 */
#ifndef CONNECTORS_SQL_SQLITE_INTERNAL_H
#define CONNECTORS_SQL_SQLITE_INTERNAL_H

#include "connectors/sql/sqlite.h"

struct sqlite3;
struct sqlite3_stmt;

#define SQLITE_CACHED 4 /* bulk statements kept: two per stream being written */

enum sqlite_mode { SQLITE_MODE_READ, SQLITE_MODE_WRITE, SQLITE_MODE_CREATE };

struct sqlite_conn {
    struct sql_conn base;
    struct sqlite3 *db;
    struct run *run;
    char *path; /* as it was given */
    int folder; /* that the file is in; -1 = not yet opened */
    enum sqlite_mode mode;
    int64_t busy_ms, waited_ms; /* how long a lock is waited for, and was in this call */
    struct {
        char *sql;
        struct sqlite3_stmt *stmt;
    } cached[SQLITE_CACHED];
    size_t next_cached;
};

/* Opens the file below the roots of roots.h and protects the connection; says NOT_FOUND,
 * PERMISSION, "not_a_database", ... */
CHECKED int sqlite_open_conn(const char *path, enum sqlite_mode mode, int64_t busy_ms,
                             struct run *run, struct sqlite_conn **out, struct error *err);
void sqlite_close_conn(struct sqlite_conn *c);

/* Sets *err from a result code and the message of the connection; returns -1. */
int sqlite_fail(struct sqlite_conn *c, int rc, const char *what, struct error *err);

CHECKED int sqlite_prepare(struct sqlite_conn *c, const char *sql, struct sqlite3_stmt **out,
                           struct error *err);
__attribute__((nonnull(1, 2, 5), warn_unused_result)) int
sqlite_bind(struct sqlite_conn *c, struct sqlite3_stmt *stmt, const struct sql_value *params,
            size_t n, struct error *err);
/* A column of the current row; its bytes are valid until the next step. */
struct sql_value sqlite_column(struct sqlite3_stmt *stmt, int i);
void sqlite_finalize_cleanup(struct sqlite3_stmt **stmt);

/*
 * sqlite_guard.c: what is kept from files and statements of others. Before opening: where the file
 * is, and the name to open it by, with the VFS that takes that name as it is. NOT_FOUND when it is
 * not there and not to be made. After opening: no code, no other files, no writing by a reader.
 */
CHECKED int sqlite_find_file(struct sqlite_conn *c, const char **out_name, const char **out_vfs,
                             struct error *err);
void sqlite_protect(struct sqlite_conn *c);
/* Once our own settings are made: from here on no PRAGMA changes anything. */
void sqlite_authorize(struct sqlite_conn *c);

/* The driver's calls that live in files of their own. */
int sqlite_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
                int64_t *out_inserted, struct error *err);
/* SQL functions: connectord_convert(value, from, to) and connectord_instant(value, type). */
CHECKED int sqlite_add_functions(struct sqlite_conn *c, struct error *err);

#endif

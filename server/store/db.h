/*
 * db.h - one SQLite connection of the store: statements that are prepared once, and errors of ours.
 *
 * Private to server/store. A connection belongs to one thread at a time. Statement texts are
 * constants or few: the last DB_STATEMENTS of them stay prepared.
 */
#ifndef SERVER_STORE_DB_H
#define SERVER_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"

#define DB_STATEMENTS 40 /* a connection's working set is about half of it */

struct db; /* opaque */

enum db_mode {
    DB_WRITE, /* synchronous=FULL: a commit that returned survives a power failure */
    DB_RELAX, /* synchronous=NORMAL: the last commits may be lost, nothing else */
    DB_READ,
};

/* The file must exist. It is opened by path, never as a URI. */
CHECKED int db_open(const char *path, enum db_mode mode, struct db **out, struct error *err);
void db_close(struct db *db); /* accepts NULL */
DEFINE_CLEANUP(struct db *, db_close_cleanup, db_close);

/* How long a statement waits for a lock that another process holds; then CONTENTION,
 * "database_busy". */
void db_set_busy_ms(struct db *db, int ms);
/* After an I/O error nothing that the connection believes may be relied on: close it. */
bool db_is_broken(const struct db *db);
/* One statement without parameters and results that is run again and again: it stays prepared. */
CHECKED int db_run(struct db *db, const char *sql, struct error *err);
/* Rolls back whatever is open; never fails. */
void db_rollback(struct db *db);
/* Gives up the pages and statements that nobody uses: after work that is not done again soon. */
void db_trim(struct db *db);
/* Any number of statements without parameters and results. */
CHECKED int db_exec(struct db *db, const char *sql, struct error *err);
/* Makes `to` a copy of `from` as it is now, whoever writes meanwhile; page by page with pauses, so
 * that others get their turn. */
CHECKED int db_copy(struct db *from, struct db *to, struct error *err);
/* Writes the file anew, without what free pages still hold, and empties the log. */
CHECKED int db_vacuum(struct db *db, struct error *err);
/* The first column of the first row of a statement without parameters; 0 or NULL when empty. */
CHECKED int db_get_int(struct db *db, const char *sql, int64_t *out, struct error *err);
CHECKED int db_get_text(struct db *db, const char *sql, struct arena *mem, const char **out,
                        struct error *err);

int64_t db_changes(const struct db *db); /* rows changed by the last statement */
int64_t db_last_id(const struct db *db);

/* One execution of a statement. Parameters are bound in order; text must outlive the query. */
struct query {
    struct db *db;
    void *stmt; /* sqlite3_stmt */
    size_t slot;
    int n_bound, rc;
};
CHECKED int query_open(struct db *db, const char *sql, struct query *out, struct error *err);
void query_close(struct query *q);
void query_text(struct query *q, const char *s); /* NULL binds NULL */
void query_int(struct query *q, int64_t v);
/* 1 with a row, 0 at the end. */
CHECKED int query_next(struct query *q, struct error *err);
/* Runs to the end, passing over rows; *out_changed is how many rows it changed. */
CHECKED int query_run(struct query *q, struct error *err);

int64_t query_get_int(const struct query *q, int column);
bool query_get_bool(const struct query *q, int column);
/* Copies; the first form keeps NULL, the second makes it "". */
const char *query_get_text(const struct query *q, int column, struct arena *mem);
const char *query_get_string(const struct query *q, int column, struct arena *mem);

#endif

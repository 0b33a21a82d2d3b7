/*
 * mysql_internal.h - shared by the files of the MariaDB and MySQL driver and nobody else.
 *
 *   mysql_connect.c   connecting, the session, cancellation
 *   mysql.c           statements, results, errors
 *   mysql_error.c     the classes of errors
 *   mysql_bulk.c      the destination: rows of a batch, see mysql_bulk.h
 *   mysql_reader.c    the source: snapshot, horizon, numbers
 *   mysql_cursor.c    rows of a SELECT into a batch
 *   mysql_discover.c  the catalog of the database
 */
#ifndef CONNECTORS_SQL_MYSQL_INTERNAL_H
#define CONNECTORS_SQL_MYSQL_INTERNAL_H

#include <mysql.h>

#include "connectors/base/cleanup.h"
#include "connectors/base/text.h"
#include "connectors/sql/mysql.h"

struct mysql_bulk; /* rows on their way, see mysql_bulk.h */

struct mysql_conn {
    struct sql_conn base;
    MYSQL *my;
    const struct mysql_server *server; /* for the second connection that kills a statement */
    struct run *run;
    struct cancel_watch watch;
    int watched_fd;       /* our own descriptor of the socket; -1 = none */
    unsigned long thread; /* the server's number of this session; 0 = cannot be told */
    bool connected, is_mariadb;
    bool server_loads; /* LOAD DATA LOCAL is allowed there */
    bool server_binds; /* it takes arrays of parameters */
    bool server_logs_statements;
    long version;            /* 101119 for 10.11.19 */
    size_t max_packet;       /* the longest statement or row that the server takes */
    char server_name[360];   /* "host:port/database", for messages */
    struct mysql_bulk *bulk; /* NULL = none */
};

/* Connects; a source's session is read only. Unknown host, refused TLS, wrong password, missing
 * database each have their class and say what to do. */
CHECKED int mysql_connect_to(const struct mysql_server *to, bool read_only, struct run *run,
                             struct mysql_conn **out, struct error *err);
/* What the server is doing for a cancelled run is killed. */
void mysql_disconnect(struct mysql_conn *c); /* accepts NULL */
/* Whether a cancelled run ends the connection's calls at once: always, but for a COMMIT. */
void mysql_watch(struct mysql_conn *c);
void mysql_unwatch(struct mysql_conn *c);
/* What has happened of the events that the library waits for, or that it took too long. */
int mysql_wait(struct mysql_conn *c, int events, int64_t end_us);

/* Sets *err from the connection's (or the statement's, when not NULL) last error; returns -1. */
int mysql_fail(struct mysql_conn *c, MYSQL_STMT *stmt, const char *what, struct error *err);
/* The same for a number and a text that came otherwise, as in a warning. */
int mysql_fail_as(struct mysql_conn *c, unsigned number, const char *said, const char *what,
                  struct error *err);

/* Prepares `sql`, binds the parameters and executes: results are still to be fetched. The caller
 * closes *out. Parameters are always bound, never formatted into the text. */
__attribute__((nonnull(1, 2, 5, 6), warn_unused_result)) int
mysql_start(struct mysql_conn *c, const char *sql, const struct sql_value *params, size_t n,
            MYSQL_STMT **out, struct error *err);
/* How a parameter is bound; `v` must stay as it is until the statement has run. */
void mysql_bind(const struct sql_value *v, MYSQL_BIND *out);
void mysql_stmt_cleanup(MYSQL_STMT **stmt);

/* The value of the text of a result, by the type of its field: SQL_INT, SQL_REAL, SQL_TEXT or
 * SQL_BLOB; `text` NULL is SQL_NULL. Borrows the bytes. */
struct sql_value mysql_value(const MYSQL_FIELD *field, const char *text, size_t n);

int mysql_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
               int64_t *out_inserted, struct error *err);
/* Sends what is under way: every row has arrived, or it fails. */
CHECKED int mysql_bulk_end(struct mysql_conn *c, struct error *err);
/* Forgets what is under way: it is rolled back anyhow. */
void mysql_bulk_drop(struct mysql_conn *c);
/* How rows are loaded: "auto", "local_infile" or "insert". */
CHECKED int mysql_bulk_open(struct mysql_conn *c, const char *load, struct error *err);
void mysql_bulk_free(struct mysql_conn *c);
/* Before connecting: no file is ever opened for the server, whatever it asks for. */
void mysql_bulk_guard(struct mysql_conn *c);

#endif

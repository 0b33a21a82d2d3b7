/*
 * mysql_internal.h - shared by the files of the MariaDB and MySQL driver and nobody else.
 *
 *   mysql.c           connecting, statements, errors, cancellation
 *   mysql_bulk.c      the destination: rows of a batch by LOAD DATA LOCAL or INSERT
 *   mysql_reader.c    the source: snapshot, horizon, numbers
 *   mysql_cursor.c    rows of a SELECT into a batch
 *   mysql_discover.c  the catalog of the database
 */
#ifndef CONNECTORS_SQL_MYSQL_INTERNAL_H
#define CONNECTORS_SQL_MYSQL_INTERNAL_H

#include <mysql.h>

#include "connectors/base/cleanup.h"
#include "connectors/sql/mysql.h"

struct mysql_bulk; /* what a LOAD DATA needs, see mysql_bulk.c */

struct mysql_conn {
    struct sql_conn base;
    MYSQL *my;
    const struct mysql_server *server; /* for the second connection that kills a statement */
    struct run *run;
    struct cancel_watch watch;
    unsigned long thread; /* the server's number of this session */
    bool is_mariadb;
    long version;            /* 101119 for 10.11.19 */
    const char *server_name; /* "host:port/database", for messages */
    struct mysql_bulk *bulk;
};

/* Connects; a source's session is read only. Unknown host, refused TLS, wrong password, missing
 * database each have their class and say what to do. */
CHECKED int mysql_connect_to(const struct mysql_server *to, bool read_only, struct run *run,
                             struct mysql_conn **out, struct error *err);
void mysql_disconnect(struct mysql_conn *c); /* accepts NULL */

/* Sets *err from the connection's (or the statement's, when not NULL) last error; returns -1. */
int mysql_fail(struct mysql_conn *c, MYSQL_STMT *stmt, const char *what, struct error *err);

/* Prepares `sql`, binds the parameters and executes: results are still to be fetched. The caller
 * closes *out. Parameters are always bound, never formatted into the text. */
__attribute__((nonnull(1, 2, 5, 6), warn_unused_result)) int
mysql_start(struct mysql_conn *c, const char *sql, const struct sql_value *params, size_t n,
            MYSQL_STMT **out, struct error *err);
void mysql_stmt_cleanup(MYSQL_STMT **stmt);

int mysql_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
               int64_t *out_inserted, struct error *err);
void mysql_bulk_free(struct mysql_conn *c);

#endif

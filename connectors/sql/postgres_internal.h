/*
 * postgres_internal.h - shared by the files of the PostgreSQL driver and nobody else.
 *
 *   postgres.c           statements, and how they are stopped
 *   postgres_wait.c      waiting for the server
 *   postgres_connect.c   from typed options to a session
 *   postgres_error.c     what the server says, by SQLSTATE
 *   postgres_destination.c  the destination: the driver's calls
 *   postgres_copy.c      rows of a batch as COPY BINARY
 *   postgres_binary.c    values in the server's binary format
 *   postgres_reader.c    the source: snapshot, horizon, numbers
 *   postgres_cursor.c    rows of a SELECT into a batch
 *   postgres_decode.c    values from the server's binary format
 *   postgres_discover.c  the catalog of the database
 */
#ifndef CONNECTORS_SQL_POSTGRES_INTERNAL_H
#define CONNECTORS_SQL_POSTGRES_INTERNAL_H

#include <libpq-fe.h>

#include "connectors/base/cleanup.h"
#include "connectors/sql/postgres.h"

struct postgres_copy; /* a COPY under way, see postgres_copy.c */

struct postgres_conn {
    struct sql_conn base;
    PGconn *pg;
    PGcancel *stop; /* tells the server to end what it is doing */
    struct run *run;
    struct cancel_watch watch;
    const char *server_name; /* "host:port/database", for messages; memory of the run */
    const char *address;     /* numeric, of `host`; memory of the run */
    int64_t port;
    struct postgres_copy *copy; /* NULL = none */
    bool short_copies;          /* one per batch, since the time of a statement is limited */
    bool spoke;                 /* the server, since somebody set this to false */
};

/*
 * Connects; a source's session is read only. Unknown host, refused TLS, wrong password, missing
 * database each have their class and say what to do. While connected, the socket is shut down when
 * the run is cancelled, so that every blocking call of libpq returns.
 */
CHECKED int postgres_connect(const struct postgres_server *to, bool read_only, struct run *run,
                             struct postgres_conn **out, struct error *err);
/* Stops what the server is doing for us, if it is. Accepts NULL. */
void postgres_disconnect(struct postgres_conn *c);

/* The keywords libpq is given: all of ours, none of anybody else's. */
#define POSTGRES_MAX_KEYWORDS 40
struct postgres_keywords {
    const char *names[POSTGRES_MAX_KEYWORDS + 1], *values[POSTGRES_MAX_KEYWORDS + 1];
    size_t n;
};
/* `address` is numeric; `root_cert` is a path. */
void postgres_list_keywords(const struct postgres_server *to, const char *address,
                            const char *root_cert, struct arena *mem,
                            struct postgres_keywords *out);

/* Sets *err from a failed result (NULL = from the connection) by its SQLSTATE; returns -1. */
int postgres_fail(struct postgres_conn *c, const PGresult *result, const char *what,
                  struct error *err);
/* The same for a connection that did not come about, which has no results. */
int postgres_fail_connect(const PGconn *pg, ConnStatusType stage, const char *server_name,
                          struct error *err);

/* Whether a result is not a failure: it has rows, or the statement had none to give. */
bool postgres_is_good(const PGresult *r);
/*
 * Runs one statement by the extended protocol and waits for its end; `binary` is the format of the
 * result's columns, all of which are held in memory. The caller clears *out.
 */
__attribute__((nonnull(1, 2, 6, 7), warn_unused_result)) int
postgres_query(struct postgres_conn *c, const char *sql, const struct sql_value *params, size_t n,
               bool binary, PGresult **out, struct error *err);
/* The parameters of a statement as libpq takes them; memory of `mem`. */
struct postgres_params {
    const char **values;
    int *lengths, *formats;
    Oid *types;
};
void postgres_bind(struct arena *mem, const struct sql_value *params, size_t n,
                   struct postgres_params *out);

/* ------------------------------------------------------------- waiting */

/*
 * While a call of libpq waits it keeps each notification that the server sends, for which there is
 * no limit, until somebody takes them; so no call of it may wait. The connection is non-blocking
 * (PQsetnonblocking); statements are sent by PQsend..., and these wait for the rest to go out and
 * for answers, and throw notifications away: we listen to none. They end early when the socket is
 * shut down, as it is when the run is cancelled.
 */

/* As PQgetResult: the caller clears it, NULL = no more. */
PGresult *postgres_next_result(struct postgres_conn *c);
/* Of a statement that was sent, the last result or the first that begins a COPY, as PQexec gives
 * it. NULL = the connection has the reason. */
PGresult *postgres_last_result(struct postgres_conn *c);
/* As PQgetCopyData: the length of a row for PQfreemem, -1 at the end, -2 when there was none. */
int postgres_next_row(struct postgres_conn *c, char **out);
/* As PQputCopyData and PQputCopyEnd. False: the connection has the reason, or the next result. */
bool postgres_put(struct postgres_conn *c, const char *bytes, size_t n);
bool postgres_put_end(struct postgres_conn *c, const char *why); /* NULL = all rows were sent */
/* Throws away the notifications that are there. */
void postgres_drain(struct postgres_conn *c);

/*
 * Whether closing the socket breaks the connection instead of ending it. A server that cannot get
 * rid of rows does not see a request to cancel; only a broken connection ends that. It is so from
 * the beginning, since libpq closes a socket that failed by itself.
 */
void postgres_reset_on_close(struct postgres_conn *c, bool on);
/* Ends a statement whose rows are no longer wanted: the server stops, the connection is usable. */
void postgres_stop(struct postgres_conn *c);

static inline void postgres_clear(PGresult **result)
{
    PQclear(*result);
}

/* The driver's call that lives in a file of its own, and how a COPY that it left open is ended:
 * every row sent has arrived, or it fails; or all of it is given up. */
int postgres_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
                  int64_t *out_inserted, struct error *err);
CHECKED int postgres_copy_end(struct postgres_conn *c, struct error *err);
void postgres_copy_abandon(struct postgres_conn *c);

#endif

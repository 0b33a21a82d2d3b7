/*
 * mysql_bulk.h - what a destination's connection has beside a source's: rows on their way.
 *
 *   mysql_array.c   INSERTs that are given arrays, by MariaDB
 *   mysql_bulk.c    LOAD DATA LOCAL, and what the server says of rows
 *   mysql_insert.c  prepared INSERTs of many rows, where LOCAL is refused
 *   mysql_cell.c    cells as values and as fields
 */
#ifndef CONNECTORS_SQL_MYSQL_BULK_H
#define CONNECTORS_SQL_MYSQL_BULK_H

#include "connectors/sql/mysql_cell.h"
#include "connectors/sql/mysql_internal.h"
#include "connectors/sql/statement.h"

/* Prepared INSERTs kept: of the tables, or numbers of rows, written last. */
#define MYSQL_INSERTS 4

/* How rows go to the server, best first. */
enum mysql_way {
    MYSQL_BY_ARRAY,
    MYSQL_BY_LOAD,
    MYSQL_BY_LISTS,
};

struct mysql_array;
typedef int mysql_bulk_fn(struct mysql_conn *c, const struct sql_bulk *what,
                          const struct batch *rows, int64_t *out_inserted, struct error *err);

struct mysql_bulk {
    struct arena *mem; /* of converted cells; one call */
    struct mysql_place *places;
    enum mysql_way way;
    bool may_load; /* a row that no INSERT takes goes by LOAD DATA */

    /* LOAD DATA */
    struct buf load;   /* the statement; names the table of the rows gathered */
    struct buf shared; /* what is the same in all of them, as it was sent */
    struct buf text;   /* the rows gathered */
    int64_t n_rows;    /* of them */
    size_t n_own;      /* columns that differ from row to row */
    bool may_send;     /* a statement of ours runs and was not given its rows yet */
    size_t sent;       /* bytes of the text */

    /* INSERT */
    struct {
        char *sql;
        MYSQL_STMT *stmt;
    } inserts[MYSQL_INSERTS];
    size_t next_insert;        /* the one to be given up next */
    struct mysql_array *array; /* NULL before the first rows */
};

/* 0 when the server took every row as it was, else DATA with what it says. */
CHECKED int mysql_bulk_verdict(struct mysql_conn *c, unsigned warnings, int64_t sent, int64_t taken,
                               struct error *err);

/* The rows of the batch that are not skipped, by INSERT; the places are those of this batch. */
CHECKED int mysql_array_rows(struct mysql_conn *c, const struct sql_bulk *what,
                             const struct batch *rows, int64_t *out_inserted, struct error *err);
CHECKED int mysql_insert_rows(struct mysql_conn *c, const struct sql_bulk *what,
                              const struct batch *rows, int64_t *out_inserted, struct error *err);
/* Fetches the answer to the statement under way, or forgets it. */
CHECKED int mysql_array_end(struct mysql_conn *c, struct error *err);
void mysql_array_drop(struct mysql_conn *c);
void mysql_array_free(struct mysql_array *a);
/* A row that is larger than a statement may be: TOO_LARGE when there is no other way. */
CHECKED int mysql_bulk_one(struct mysql_conn *c, const struct sql_bulk *what,
                           const struct batch *rows, size_t row, struct error *err);

/* The prepared statement for `n_rows` rows, which stays ours. No statement may be under way. */
CHECKED int mysql_insert_prepare(struct mysql_conn *c, const struct sql_bulk *what, size_t n_rows,
                                 MYSQL_STMT **out, struct error *err);
void mysql_insert_free(struct mysql_bulk *b);

#endif

/*
 * mysql_source.h - shared by the files that read MariaDB and MySQL, and nobody else.
 *
 *   mysql_reader.c    one session: snapshot, numbers
 *   mysql_moment.c    which transactions are open
 *   mysql_cursor.c    rows of a SELECT
 *   mysql_rows.c      one row as it lies in memory, and its values
 *   mysql_discover.c  the catalog
 *   mysql_type.c      types
 *   mysql_time.c      dates and times
 */
#ifndef CONNECTORS_SQL_MYSQL_SOURCE_H
#define CONNECTORS_SQL_MYSQL_SOURCE_H

#include "connectors/sql/mysql_internal.h"
#include "connectors/sql/source.h"

struct mysql_reader {
    struct sql_reader base;
    struct mysql_conn *conn;
    const struct mysql_source *config;
    bool in_snapshot;
    bool blind;     /* what others do here cannot be told, see mysql_moment.c */
    unsigned looks; /* taken by moment */
};

/* ------------------------------------------------------------------ mysql_type.c */

/* As in information_schema.columns: the word alone, and the whole text of the type. */
struct column_type mysql_type_of_column(const char *data_type, const char *column_type,
                                        bool tinyint1_is_bool);
/* Of a column of a result; its type as text in *out_source_type, which lives in `mem`. */
struct column_type mysql_type_of_field(const MYSQL_FIELD *field, bool tinyint1_is_bool,
                                       struct arena *mem, const char **out_source_type);

/* ------------------------------------------------------------------ mysql_time.c */

/* DATE, TIME, TIMESTAMP or TIMESTAMPTZ: a datetime is no instant. */
enum type mysql_time_type(enum enum_field_types type);
/* Days, or microseconds; false for a date that is none and a time beyond one day. */
bool mysql_time_read(const MYSQL_TIME *t, enum enum_field_types type, int64_t *out);
/* The first moment that is not before what is no date: '2024-00-15' sorts below all of 2024. */
int64_t mysql_time_above(const MYSQL_TIME *t, enum enum_field_types type);
/* As the server writes it, with `fraction` digits: what is no date stays readable. */
size_t mysql_time_format(const MYSQL_TIME *t, enum enum_field_types type, unsigned fraction,
                         char out[static VALUE_TEXT_BYTES]);

/* ------------------------------------------------------------------ mysql_rows.c */

/* The rows of a statement, one at a time; opaque. */
struct mysql_rows;

/* The first byte of a text that a statement gives as bytes, because Unicode cannot express it. No
 * UTF-8 begins so. */
#define MYSQL_NOT_UNICODE 0xff

/* Binds all columns of an executed statement. */
CHECKED int mysql_rows_open(struct mysql_conn *c, MYSQL_STMT *stmt, struct mysql_rows **out,
                            struct error *err);
void mysql_rows_close(struct mysql_rows *r); /* accepts NULL */
DEFINE_CLEANUP(struct mysql_rows *, mysql_rows_cleanup, mysql_rows_close);

/* The next row: 1, 0 when there is none, -1. */
CHECKED int mysql_rows_next(struct mysql_rows *r, struct error *err);
/* Puts the first columns as a row of the batch. */
CHECKED int mysql_rows_put(struct mysql_rows *r, struct batch *rows, struct error *err);
/* A value that can be bound again; its bytes live in `mem`. */
CHECKED int mysql_rows_value(struct mysql_rows *r, size_t i, struct arena *mem,
                             struct sql_value *out, struct error *err);

enum mysql_number {
    MYSQL_NUMBER_NULL,
    MYSQL_NUMBER_EXACT,
    MYSQL_NUMBER_ABOVE, /* the next one above a date that is none */
};
/* Integers as they are, dates in days, timestamps in microseconds. Fails for anything else, and for
 * another type than `as` (TYPE_COUNT = whichever). */
CHECKED int mysql_rows_number(struct mysql_rows *r, size_t i, enum type as, int64_t *out,
                              enum mysql_number *out_kind, struct error *err);

/* ---------------------------------------------------------------- the driver's calls */

int mysql_discover(struct sql_reader *base, struct catalog *out, struct error *err);
int mysql_moment(struct sql_reader *base, struct arena *mem, struct sql_moment *out,
                 struct error *err);
int mysql_scan_select(struct sql_reader *base, const struct sql_scan *scan, struct sql_cursor **out,
                      struct error *err);
int mysql_scan_fetch(struct sql_cursor *base, struct batch *rows, struct error *err);
bool mysql_scan_put_key(struct sql_cursor *base, struct arena *mem, struct buf *out);
void mysql_scan_end(struct sql_cursor *base);

/* mysql_start with values as what they are compared with, in `mem`. */
__attribute__((nonnull(1, 2, 5, 6, 7), warn_unused_result)) int
mysql_start_typed(struct mysql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                  struct arena *mem, MYSQL_STMT **out, struct error *err);

#endif

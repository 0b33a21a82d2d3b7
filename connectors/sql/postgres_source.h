/*
 * postgres_source.h - shared by the files of the PostgreSQL source and nobody else.
 */
#ifndef CONNECTORS_SQL_POSTGRES_SOURCE_H
#define CONNECTORS_SQL_POSTGRES_SOURCE_H

#include "connectors/sql/postgres_decode.h"
#include "connectors/sql/postgres_internal.h"
#include "connectors/sql/source.h"

/* Sessions that hold this lock only read, so nobody needs to wait for them: "conn" and "read". */
#define POSTGRES_READERS_CLASS  "1668247150"
#define POSTGRES_READERS_OBJECT "1919246692"

struct postgres_reader {
    struct sql_reader base;
    struct postgres_conn *conn;
    const struct postgres_source *config;
    bool in_snapshot;
};

/* Parameters as the server's own values of the type of the column they are compared with. */
void postgres_bind_typed(struct arena *mem, const struct sql_value *params, size_t n,
                         struct postgres_params *out);

/* What a statement gives, without running it: PQfname, PQftype, PQfmod of *out, which the caller
 * clears. Fails when the text is more than one statement. */
CHECKED int postgres_describe(struct postgres_conn *c, const char *sql, PGresult **out,
                              struct error *err);
/* How the columns of such a result are read. */
CHECKED int postgres_readings(struct postgres_conn *c, const PGresult *described, struct arena *mem,
                              struct postgres_reading **out, struct error *err);

/* After a statement failed: the snapshot stays for the streams to come. */
void postgres_recover(struct postgres_reader *r);

/* The calls of the driver that live in files of their own. */
int postgres_discover(struct sql_reader *r, struct catalog *out, struct error *err);
int postgres_moment(struct sql_reader *r, struct arena *mem, struct sql_moment *out,
                    struct error *err);
int postgres_last_number(struct sql_reader *r, const char *schema, const char *table,
                         const char *column, int64_t *out, bool *out_known, struct error *err);
int postgres_select(struct sql_reader *r, const struct sql_scan *scan, struct sql_cursor **out,
                    struct error *err);
int postgres_fetch(struct sql_cursor *c, struct batch *rows, struct error *err);
bool postgres_put_key(struct sql_cursor *c, struct arena *mem, struct buf *out);
void postgres_end(struct sql_cursor *c);

#endif

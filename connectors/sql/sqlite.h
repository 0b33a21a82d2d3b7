/*
 * sqlite.h - SQLite behind the SQL engine: the driver, and what its source and destination share.
 *
 * Databases are opened below the roots of roots.h, by path (never as a URI), with DEFENSIVE on,
 * TRUSTED_SCHEMA and extension loading off, and an authorizer that knows no other files and no
 * settings, since a file may come from anybody, and so may a query. Every statement ends early when
 * its run is cancelled.
 */
#ifndef CONNECTORS_SQL_SQLITE_H
#define CONNECTORS_SQL_SQLITE_H

#include "connectors/sql/dialect.h"

struct sql_source_driver;

/* Names are files and never URIs, in the whole process: before SQLite is used for the first time.
 */
void sqlite_forget_uris(void);

/*
 * The logical type of a declared column type: "VARCHAR(20)", "BIGINT", "NUMERIC(15,2)", ... False
 * for none and for what we do not know: such a column is STRING and holds canonical text. Pure.
 */
bool sqlite_parse_type(const char *declared, struct column_type *out);

/* Destinations: opens for writing, creating the file when it is missing. `config` is this. */
struct sqlite_destination {
    const char *path;
    bool adopt_table;
    int64_t busy_timeout_s;
};
extern const struct sql_driver sqlite_driver;
/* 0 when the file can be written, or created where it would be; creates nothing. */
CHECKED int sqlite_check_writable(const char *path, struct run *run, struct error *err);

/* Sources: opens for reading only. `config` is this; see source.h for the settings. */
struct sqlite_source {
    const char *path;
    const struct doc *queries; /* {"stream name": "SELECT ..."} */
    int64_t lookback_s, skew_s, safe_wait_s;
    const char *null_cursor;
    int64_t busy_timeout_s;
};
extern const struct sql_source_driver sqlite_source_driver;

/* Which declared types become which of ours, for people. */
void sqlite_tell_types(tell_fn *tell, void *arg);

#endif

/*
 * sqlite_source.h - shared by the files that read SQLite, and nobody else.
 */
#ifndef CONNECTORS_SQL_SQLITE_SOURCE_H
#define CONNECTORS_SQL_SQLITE_SOURCE_H

#include "connectors/sql/source.h"
#include "connectors/sql/sqlite_internal.h"

struct sqlite_reader {
    struct sql_reader base;
    struct sqlite_conn *conn;
    const struct sqlite_source *config;
};

int sqlite_discover(struct sql_reader *base, struct catalog *out, struct error *err);
int sqlite_select(struct sql_reader *base, const struct sql_scan *scan, struct sql_cursor **out,
                  struct error *err);
int sqlite_fetch(struct sql_cursor *base, struct batch *rows, struct error *err);
bool sqlite_put_key(struct sql_cursor *base, struct arena *mem, struct buf *out);
void sqlite_end(struct sql_cursor *base);

__attribute__((nonnull(1, 2, 5, 6, 7), warn_unused_result)) int
sqlite_number(struct sqlite_conn *c, const char *sql, const struct sql_value *params, size_t n,
              int64_t *out, bool *out_null, struct error *err);

#endif

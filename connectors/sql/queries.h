/*
 * queries.h - custom SQL as streams: the option `queries` = {"stream name": "SELECT ..."}.
 *
 * The stream has no namespace and no key of its own; the user may give it one. A text is exactly
 * one SELECT: the driver prepares it alone before it is ever put into another statement, and runs
 * it read only. Read as struct sql_scan.query.
 */
#ifndef CONNECTORS_SQL_QUERIES_H
#define CONNECTORS_SQL_QUERIES_H

#include "connectors/connector.h"
#include "connectors/sql/source.h"

#define SQL_QUERIES_MAX    200 /* of one source */
#define SQL_QUERY_TEXT_MAX 65536
#define SQL_QUERIES_SCHEMA                                                              \
    "{\"type\":\"object\",\"maxProperties\":200,\"propertyNames\":{\"minLength\":1,"    \
    "\"maxLength\":255},\"additionalProperties\":{\"type\":\"string\",\"minLength\":1," \
    "\"maxLength\":65536}}"

/* For the row of the option table: .check = sql_queries_check, .schema = SQL_QUERIES_SCHEMA. */
void sql_queries_check(const struct doc *value, const char *pointer, struct problems *problems);

/* The text of a stream, without blanks and semicolons at its end; NULL = it is no query. `queries`
 * may be NULL. Memory of `mem`. */
__attribute__((nonnull(2, 3))) const char *
sql_queries_find(const struct doc *queries, struct arena *mem, const struct stream *stream);

/*
 * Finds the columns of one text: prepares it alone and refuses it with CONFIG, reason
 * "query_invalid", unless it is one whole statement that only reads. Memory of `mem`.
 */
typedef int sql_describe_fn(struct sql_reader *r, const char *text, struct arena *mem,
                            struct column **out, size_t *out_n, struct error *err);

/* Adds a stream for each query, once the tables are in the catalog: names that a table without a
 * namespace has, and columns without a name or with one that occurs twice, are refused with reason
 * "query_invalid". */
__attribute__((nonnull(1, 3, 4, 5), warn_unused_result)) int
sql_queries_discover(struct sql_reader *r, const struct doc *queries, sql_describe_fn *describe,
                     struct catalog *out, struct error *err);

#endif

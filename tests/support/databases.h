/*
 * databases.h - a new database on the PostgreSQL or MariaDB of this test run, for tests in C.
 *
 * The servers are those of tests/support/databases.py, named by CONNECTORD_TEST_DATABASES; ctest
 * starts them. Without it a test stops at once with a message that says how to start them.
 */
#ifndef TESTS_SUPPORT_DATABASES_H
#define TESTS_SUPPORT_DATABASES_H

#include <stdint.h>

#include "connectors/base/arena.h"

#define DATABASES_USER     "tester"
#define DATABASES_PASSWORD "correct horse"

enum database_kind { DATABASE_POSTGRES, DATABASE_MYSQL };

int64_t databases_port(enum database_kind kind);
/* Path of a PEM file: the certificate of the server, which signed itself for localhost. */
const char *databases_certificate(enum database_kind kind, struct arena *mem);
/* Creates an empty database; its name lives in `mem`. */
const char *databases_new(enum database_kind kind, struct arena *mem);
/* Runs statements, separated by semicolons, as a user of that database would; aborts the test on
 * an error. */
void databases_run(enum database_kind kind, const char *database, const char *sql);
/* The first column of the first row as text; "" for none and for NULL. */
const char *databases_ask(enum database_kind kind, const char *database, const char *sql,
                          struct arena *mem);
/* All rows as text: columns joined by '|', rows by ';', NULL as "~". */
const char *databases_rows(enum database_kind kind, const char *database, const char *sql,
                           struct arena *mem);
/* A session that has run these statements and stays: its transaction, its locks. */
struct databases_session;
struct databases_session *databases_open(enum database_kind kind, const char *database,
                                         const char *sql, struct arena *mem);
/* Runs one more statement ("" = none), then closes. */
void databases_close(struct databases_session *s, const char *sql);
/* A configuration of the connector: how to reach that database, without TLS. `more` is "" or
 * further members, each with a comma in front. */
const char *databases_config(enum database_kind kind, const char *database, const char *more,
                             struct arena *mem);

#endif

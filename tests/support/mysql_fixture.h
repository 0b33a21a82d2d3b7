/*
 * mysql_fixture.h - a database of its own on the MariaDB of this test run, and the driver on it.
 *
 * Setting up and closing belong to the suites that use it.
 */
#ifndef TESTS_SUPPORT_MYSQL_FIXTURE_H
#define TESTS_SUPPORT_MYSQL_FIXTURE_H

#include "connectors/data/batch.h"
#include "connectors/sql/mysql.h"
#include "tests/support/databases.h"

struct mysql_fixture {
    struct arena *mem;
    struct cancel *cancel;
    struct run run;
    const char *database;
    struct mysql_destination to; /* how to reach it; a test may change it */
    struct sql_conn *conn;
};

void mysql_fixture_init(struct mysql_fixture *f);
void mysql_fixture_release(struct mysql_fixture *f);
/* Opens the destination's connection; aborts the test when that fails. */
void mysql_fixture_open(struct mysql_fixture *f);
void mysql_fixture_close(struct mysql_fixture *f);
/* Statements over the driver; a failure fails the test. */
void mysql_fixture_run(struct mysql_fixture *f, const char *sql);
int64_t mysql_fixture_int(struct mysql_fixture *f, const char *sql);
/* All rows: columns joined by '|', rows by ';', NULL as "~". Opens the connection if need be. */
const char *mysql_fixture_rows(struct mysql_fixture *f, const char *sql);
/* The first column of the last row as text. */
const char *mysql_fixture_text(struct mysql_fixture *f, const char *sql);

#endif

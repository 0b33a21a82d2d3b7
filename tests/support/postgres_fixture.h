/*
 * postgres_fixture.h - a database of its own on the PostgreSQL of this test run, and the
 * destination's driver on it.
 */
#ifndef TESTS_SUPPORT_POSTGRES_FIXTURE_H
#define TESTS_SUPPORT_POSTGRES_FIXTURE_H

#include "connectors/sql/postgres.h"
#include "tests/support/databases.h"

struct postgres_fixture {
    struct arena *mem;
    struct cancel *cancel;
    struct run run;
    const char *database;
    struct postgres_destination to; /* how to reach it; a test may change it before it opens */
    struct sql_conn *conn;
    struct error err;
};

void postgres_fixture_init(struct postgres_fixture *f);
void postgres_fixture_release(struct postgres_fixture *f);
/* Opens the destination's connection; the test fails when that fails. */
void postgres_fixture_open(struct postgres_fixture *f);
void postgres_fixture_close(struct postgres_fixture *f);
/* One statement over the driver; a failure fails the test. */
void postgres_fixture_run(struct postgres_fixture *f, const char *sql);
/* One that must fail, and its error. */
const struct error *postgres_fixture_fail(struct postgres_fixture *f, const char *sql);
/* Statements, and the rows of one, over a connection of the test's own: columns joined by '|', rows
 * by ';', NULL as "~". The text lives as long as the fixture. */
void postgres_fixture_sql(struct postgres_fixture *f, const char *sql);
const char *postgres_fixture_rows(struct postgres_fixture *f, const char *sql);

#endif

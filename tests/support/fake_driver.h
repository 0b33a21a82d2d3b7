/*
 * fake_driver.h - a database that is not there: it notes every statement and says yes.
 *
 * For tests of a dialect, its builders and its type table: give `&fake_driver` and a
 * `struct fake_database` as configuration to sql_destination_open, run rows through it, and look at
 * what it was told. Every table and query is empty; every statement changes one row. The n-th call
 * can be made to fail.
 */
#ifndef TESTS_SUPPORT_FAKE_DRIVER_H
#define TESTS_SUPPORT_FAKE_DRIVER_H

#include "connectors/sql/dialect.h"

struct fake_database {
    const struct sql_dialect *dialect;
    struct buf statements; /* one a line, in order; BUF_INIT before use, released by the test */
    int64_t rows;          /* that bulk inserts brought */
    size_t n_calls;
    size_t fail_at; /* this call (from 1) fails with TRANSIENT; 0 = none */
};

extern const struct sql_driver fake_driver;

/* Whether a statement was run that has this text in it. */
bool fake_database_saw(const struct fake_database *d, const char *text);

#endif

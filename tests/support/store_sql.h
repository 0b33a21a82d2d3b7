/*
 * store_sql.h - the file of a test's store, changed behind the store's back. Needs sqlite3.
 */
#ifndef TESTS_SUPPORT_STORE_SQL_H
#define TESTS_SUPPORT_STORE_SQL_H

#include <sqlite3.h>

#include "tests/support/store_fixture.h"

/* As another process would. */
static inline void store_sql(const char *sql)
{
    char *why = NULL;
    sqlite3 *db;

    cr_assert_eq(sqlite3_open(fx.path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &why), SQLITE_OK, "%s", why);
    sqlite3_close(db);
}

#endif

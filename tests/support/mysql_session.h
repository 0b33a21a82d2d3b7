/*
 * mysql_session.h - a session on the MariaDB of this test run that stays open, for tests of what
 * others see of it.
 */
#ifndef TESTS_SUPPORT_MYSQL_SESSION_H
#define TESTS_SUPPORT_MYSQL_SESSION_H

#include <mysql.h>

/* Both abort the test when they fail. The caller ends it with mysql_close. */
MYSQL *mysql_session_open(const char *database);
void mysql_session_run(MYSQL *my, const char *sql);

#endif

#include "tests/support/mysql_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/databases.h"

static _Noreturn void give_up(const char *what, MYSQL *my)
{
    fprintf(stderr, "%s: %s\n", what, mysql_error(my));
    abort();
}

MYSQL *mysql_session_open(const char *database)
{
    MYSQL *my = mysql_init(NULL);

    if (!mysql_real_connect(my, "127.0.0.1", DATABASES_USER, DATABASES_PASSWORD, database,
                            (unsigned)databases_port(DATABASE_MYSQL), NULL, 0))
        give_up("connecting to MariaDB", my);
    return my;
}

void mysql_session_run(MYSQL *my, const char *sql)
{
    if (mysql_query(my, sql) != 0)
        give_up(sql, my);
    mysql_free_result(mysql_store_result(my));
}

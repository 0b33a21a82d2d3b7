/*
 * copy_loop - the yardstick: steps a SELECT and binds a prepared INSERT, all in one transaction.
 *
 *   copy_loop FROM.db TO.db TABLE
 *
 * Creates TABLE in TO.db with the statement of FROM.db. No types, no counts, no checks, no state:
 * what SQLite itself needs for the work.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

static void must(int ok, sqlite3 *db)
{
    if (ok)
        return;
    fprintf(stderr, "copy_loop: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void exec(sqlite3 *db, const char *sql)
{
    must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, db);
}

int main(int argc, char **argv)
{
    sqlite3 *from, *to;
    sqlite3_stmt *read, *write, *ddl;
    char *sql;
    int columns;

    if (argc != 4)
        return 2;
    must(sqlite3_open(argv[1], &from) == SQLITE_OK, from);
    must(sqlite3_open(argv[2], &to) == SQLITE_OK, to);
    must(sqlite3_prepare_v2(from, "select sql from sqlite_master where name = ?", -1, &ddl, NULL) ==
             SQLITE_OK,
         from);
    sqlite3_bind_text(ddl, 1, argv[3], -1, SQLITE_STATIC);
    must(sqlite3_step(ddl) == SQLITE_ROW, from);
    exec(to, (const char *)sqlite3_column_text(ddl, 0));
    sqlite3_finalize(ddl);

    sql = sqlite3_mprintf("select * from \"%w\"", argv[3]);
    must(sqlite3_prepare_v2(from, sql, -1, &read, NULL) == SQLITE_OK, from);
    sqlite3_free(sql);
    columns = sqlite3_column_count(read);
    sql = sqlite3_mprintf("insert into \"%w\" values (?", argv[3]);
    for (int i = 1; i < columns; i++)
        sql = sqlite3_mprintf("%z,?", sql);
    sql = sqlite3_mprintf("%z)", sql);
    must(sqlite3_prepare_v2(to, sql, -1, &write, NULL) == SQLITE_OK, to);
    sqlite3_free(sql);

    exec(to, "begin");
    while (sqlite3_step(read) == SQLITE_ROW) {
        for (int i = 0; i < columns; i++)
            sqlite3_bind_value(write, i + 1, sqlite3_column_value(read, i));
        must(sqlite3_step(write) == SQLITE_DONE, to);
        sqlite3_reset(write);
    }
    exec(to, "commit");
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    sqlite3_close(from);
    return sqlite3_close(to) == SQLITE_OK ? 0 : 1;
}

#include "tests/support/databases.h"

#include <libpq-fe.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectors/base/doc.h"

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

static const char *const names[] = {[DATABASE_POSTGRES] = "postgres", [DATABASE_MYSQL] = "mysql"};

static struct doc *servers(void)
{
    const char *path = getenv("CONNECTORD_TEST_DATABASES");
    struct error err = ERROR_INIT;
    char text[4096];
    struct doc *d;
    size_t n;
    FILE *f;

    if (!path)
        give_up("CONNECTORD_TEST_DATABASES", "is not set; run the tests by ctest, or start servers "
                                             "with tests/support/databases.py start FILE");
    f = fopen(path, "r");
    if (!f)
        give_up(path, "cannot be opened");
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    if (doc_parse_trusted(text, n, &d, &err) < 0)
        give_up(path, err.message);
    return d;
}

int64_t databases_port(enum database_kind kind)
{
    struct doc *d = servers();
    int64_t port = doc_int(doc_get(doc_get(d, names[kind]), "port"), 0);

    doc_free(d);
    if (port == 0)
        give_up(names[kind], "is not running");
    return port;
}

const char *databases_certificate(enum database_kind kind, struct arena *mem)
{
    struct doc *d = servers();
    const char *path =
        arena_strdup(mem, doc_string(doc_get(doc_get(d, names[kind]), "certificate"), ""));

    doc_free(d);
    return path;
}

static PGconn *open_postgres(const char *database)
{
    char info[512];
    PGconn *pg;

    snprintf(info, sizeof info,
             "host=127.0.0.1 port=%lld user=%s password='%s' dbname=%s sslmode=disable",
             (long long)databases_port(DATABASE_POSTGRES), DATABASES_USER, DATABASES_PASSWORD,
             database ? database : "postgres");
    pg = PQconnectdb(info);
    if (PQstatus(pg) != CONNECTION_OK)
        give_up("connecting to PostgreSQL", PQerrorMessage(pg));
    return pg;
}

static MYSQL *open_mysql(const char *database)
{
    MYSQL *my = mysql_init(NULL);

    if (!mysql_real_connect(my, "127.0.0.1", DATABASES_USER, DATABASES_PASSWORD, database,
                            (unsigned)databases_port(DATABASE_MYSQL), NULL,
                            CLIENT_MULTI_STATEMENTS) ||
        mysql_set_character_set(my, "utf8mb4") != 0)
        give_up("connecting to MariaDB", mysql_error(my));
    return my;
}

const char *databases_new(enum database_kind kind, struct arena *mem)
{
    static unsigned n;
    /* Process ids come again, and databases stay until their server stops. */
    const char *name =
        arena_printf(mem, "c_%llx_%ld_%u", (unsigned long long)time(NULL), (long)getpid(), ++n);

    databases_run(kind, NULL,
                  arena_printf(mem, "create database %s%s", name,
                               kind == DATABASE_MYSQL ? " character set utf8mb4" : ""));
    return name;
}

static void run_postgres(const char *database, const char *sql)
{
    PGconn *pg = open_postgres(database);
    PGresult *r = PQexec(pg, sql);

    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        give_up(sql, PQerrorMessage(pg));
    PQclear(r);
    PQfinish(pg);
}

static void run_mysql(const char *database, const char *sql)
{
    MYSQL *my = open_mysql(database);
    int rc = mysql_query(my, sql);

    while (rc == 0) {
        MYSQL_RES *r = mysql_store_result(my);

        mysql_free_result(r);
        rc = mysql_next_result(my);
    }
    if (rc > 0)
        give_up(sql, mysql_error(my));
    mysql_close(my);
}

void databases_run(enum database_kind kind, const char *database, const char *sql)
{
    if (kind == DATABASE_POSTGRES)
        run_postgres(database, sql);
    else
        run_mysql(database, sql);
}

static const char *ask_postgres(const char *database, const char *sql, struct arena *mem)
{
    PGconn *pg = open_postgres(database);
    PGresult *r = PQexec(pg, sql);
    const char *out;

    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        give_up(sql, PQerrorMessage(pg));
    out = arena_strdup(mem, PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(pg);
    return out;
}

static const char *ask_mysql(const char *database, const char *sql, struct arena *mem)
{
    MYSQL *my = open_mysql(database);
    const char *out;
    MYSQL_RES *r;
    MYSQL_ROW row;

    if (mysql_query(my, sql) != 0)
        give_up(sql, mysql_error(my));
    r = mysql_store_result(my);
    row = r ? mysql_fetch_row(r) : NULL;
    out = arena_strdup(mem, row && row[0] ? row[0] : "");
    mysql_free_result(r);
    mysql_close(my);
    return out;
}

const char *databases_ask(enum database_kind kind, const char *database, const char *sql,
                          struct arena *mem)
{
    return kind == DATABASE_POSTGRES ? ask_postgres(database, sql, mem)
                                     : ask_mysql(database, sql, mem);
}

static void put_cell(struct buf *out, int column, int row, const char *text, size_t n)
{
    buf_puts(out, column > 0 ? "|" : row > 0 ? ";" : "");
    if (text)
        buf_put(out, text, n);
    else
        buf_putc(out, '~');
}

static void put_rows_postgres(const char *database, const char *sql, struct buf *out)
{
    PGconn *pg = open_postgres(database);
    PGresult *r = PQexec(pg, sql);

    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        give_up(sql, PQerrorMessage(pg));
    for (int row = 0; row < PQntuples(r); row++) {
        for (int c = 0; c < PQnfields(r); c++)
            put_cell(out, c, row, PQgetisnull(r, row, c) ? NULL : PQgetvalue(r, row, c),
                     (size_t)PQgetlength(r, row, c));
    }
    PQclear(r);
    PQfinish(pg);
}

static void put_rows_mysql(const char *database, const char *sql, struct buf *out)
{
    MYSQL *my = open_mysql(database);
    MYSQL_RES *r;
    MYSQL_ROW row;
    int n = 0;

    if (mysql_query(my, sql) != 0)
        give_up(sql, mysql_error(my));
    r = mysql_store_result(my);
    while (r && (row = mysql_fetch_row(r))) {
        unsigned long *lengths = mysql_fetch_lengths(r);

        for (unsigned c = 0; c < mysql_num_fields(r); c++)
            put_cell(out, (int)c, n, row[c], lengths[c]);
        n++;
    }
    mysql_free_result(r);
    mysql_close(my);
}

const char *databases_rows(enum database_kind kind, const char *database, const char *sql,
                           struct arena *mem)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)64 << 20);

    if (kind == DATABASE_POSTGRES)
        put_rows_postgres(database, sql, &out);
    else
        put_rows_mysql(database, sql, &out);
    return arena_memdup(mem, buf_str(&out), out.len);
}

struct databases_session {
    PGconn *pg;
    MYSQL *my;
};

struct databases_session *databases_open(enum database_kind kind, const char *database,
                                         const char *sql, struct arena *mem)
{
    struct databases_session *s = arena_alloc(mem, sizeof *s);
    PGresult *r;

    if (kind == DATABASE_POSTGRES) {
        s->pg = open_postgres(database);
        r = PQexec(s->pg, sql);
        if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
            give_up(sql, PQerrorMessage(s->pg));
        PQclear(r);
        return s;
    }
    s->my = open_mysql(database);
    for (int rc = mysql_query(s->my, sql); rc <= 0; rc = mysql_next_result(s->my)) {
        if (rc < 0)
            return s;
        mysql_free_result(mysql_store_result(s->my));
    }
    give_up(sql, mysql_error(s->my));
}

void databases_close(struct databases_session *s, const char *sql)
{
    if (s->pg) {
        if (*sql)
            PQclear(PQexec(s->pg, sql));
        PQfinish(s->pg);
        return;
    }
    if (*sql && mysql_query(s->my, sql) != 0)
        give_up(sql, mysql_error(s->my));
    mysql_close(s->my);
}

const char *databases_config(enum database_kind kind, const char *database, const char *more,
                             struct arena *mem)
{
    return arena_printf(mem,
                        "{\"host\":\"127.0.0.1\",\"port\":%lld,\"database\":\"%s\","
                        "\"username\":\"%s\",\"password\":\"%s\",\"ssl_mode\":\"disable\"%s}",
                        (long long)databases_port(kind), database, DATABASES_USER,
                        DATABASES_PASSWORD, more);
}

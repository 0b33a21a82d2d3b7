#include "tests/support/postgres_fixture.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>

#include "connectors/base/buf.h"

void postgres_fixture_init(struct postgres_fixture *f)
{
    struct error err = ERROR_INIT;

    *f = (struct postgres_fixture){.mem = arena_new(), .err = ERROR_INIT};
    cr_assert_eq(cancel_new(&f->cancel, &err), 0, "%s", err.message);
    f->run = (struct run){.mem = f->mem, .cancel = f->cancel, .log = &log_nowhere, .id = "17"};
    f->database = databases_new(DATABASE_POSTGRES, f->mem);
    f->to = (struct postgres_destination){
        .server = {.host = "127.0.0.1",
                   .port = databases_port(DATABASE_POSTGRES),
                   .database = f->database,
                   .username = DATABASES_USER,
                   .password = DATABASES_PASSWORD,
                   .ssl_mode = "disable",
                   .connect_timeout_s = 10},
        .schema = "public",
    };
}

void postgres_fixture_release(struct postgres_fixture *f)
{
    postgres_fixture_close(f);
    cancel_free(f->cancel);
    arena_free(f->mem);
}

void postgres_fixture_open(struct postgres_fixture *f)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(postgres_driver.open(&f->to, &f->run, &f->conn, &err), 0, "%s", err.message);
}

void postgres_fixture_close(struct postgres_fixture *f)
{
    if (f->conn)
        f->conn->driver->close(f->conn);
    f->conn = NULL;
}

void postgres_fixture_run(struct postgres_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(sql_exec(f->conn, sql, &err), 0, "%s: %s", sql, err.message);
}

const struct error *postgres_fixture_fail(struct postgres_fixture *f, const char *sql)
{
    f->err = ERROR_INIT;
    cr_assert_lt(sql_exec(f->conn, sql, &f->err), 0, "%s was to fail", sql);
    return &f->err;
}

void postgres_fixture_sql(struct postgres_fixture *f, const char *sql)
{
    databases_run(DATABASE_POSTGRES, f->database, sql);
}

const char *postgres_fixture_rows(struct postgres_fixture *f, const char *sql)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)1 << 26);
    const char *info =
        arena_printf(f->mem, "host=127.0.0.1 port=%lld dbname=%s user=%s password='%s'",
                     (long long)f->to.server.port, f->database, DATABASES_USER, DATABASES_PASSWORD);
    PGconn *pg = PQconnectdb(info);
    PGresult *r = PQexec(pg, sql);

    cr_assert_eq(PQresultStatus(r), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(pg));
    for (int i = 0; i < PQntuples(r); i++) {
        if (i > 0)
            buf_putc(&out, ';');
        for (int j = 0; j < PQnfields(r); j++) {
            if (j > 0)
                buf_putc(&out, '|');
            buf_puts(&out, PQgetisnull(r, i, j) ? "~" : PQgetvalue(r, i, j));
        }
    }
    PQclear(r);
    PQfinish(pg);
    return arena_strdup(f->mem, buf_str(&out));
}

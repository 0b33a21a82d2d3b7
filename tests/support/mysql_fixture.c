#include "tests/support/mysql_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static void must(int rc, const char *what, const struct error *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

void mysql_fixture_init(struct mysql_fixture *f)
{
    struct error err = ERROR_INIT;

    *f = (struct mysql_fixture){.mem = arena_new()};
    must(cancel_new(&f->cancel, &err), "cancel", &err);
    f->run = (struct run){.mem = f->mem, .cancel = f->cancel, .log = &log_nowhere, .id = "1"};
    f->database = databases_new(DATABASE_MYSQL, f->mem);
    f->to = (struct mysql_destination){
        .host = "127.0.0.1",
        .port = databases_port(DATABASE_MYSQL),
        .database = f->database,
        .username = DATABASES_USER,
        .password = DATABASES_PASSWORD,
        .ssl_mode = "disable",
        .connect_timeout_s = 10,
        .load = "auto",
    };
}

void mysql_fixture_release(struct mysql_fixture *f)
{
    mysql_fixture_close(f);
    databases_run(DATABASE_MYSQL, f->database,
                  arena_printf(f->mem, "DROP DATABASE `%s`", f->database));
    cancel_free(f->cancel);
    arena_free(f->mem);
}

void mysql_fixture_open(struct mysql_fixture *f)
{
    struct error err = ERROR_INIT;

    must(mysql_driver.open(&f->to, &f->run, &f->conn, &err), "connecting", &err);
}

void mysql_fixture_close(struct mysql_fixture *f)
{
    if (f->conn)
        f->conn->driver->close(f->conn);
    f->conn = NULL;
}

void mysql_fixture_run(struct mysql_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;

    must(sql_exec(f->conn, sql, &err), sql, &err);
}

int64_t mysql_fixture_int(struct mysql_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;
    int64_t n;

    must(sql_query_int(f->conn, sql, &n, &err), sql, &err);
    return n;
}

struct first {
    struct arena *mem;
    const char *text;
};

static int take(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    struct first *first = arg;

    (void)n;
    (void)err;
    first->text = sql_value_text(first->mem, &row[0]);
    return 0;
}

const char *mysql_fixture_text(struct mysql_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;
    struct first first = {f->mem, ""};

    must(f->conn->driver->query(f->conn, sql, NULL, 0, take, &first, &err), sql, &err);
    return first.text;
}

struct all {
    struct arena *mem;
    struct buf text;
};

static int add_row(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    struct all *all = arg;

    (void)err;
    if (all->text.len)
        buf_putc(&all->text, ';');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&all->text, '|');
        buf_puts(&all->text, row[i].kind == SQL_NULL ? "~" : sql_value_text(all->mem, &row[i]));
    }
    return 0;
}

const char *mysql_fixture_rows(struct mysql_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;
    struct all all = {f->mem, BUF_INIT(1 << 20)};
    const char *text;

    if (!f->conn)
        mysql_fixture_open(f);
    must(f->conn->driver->query(f->conn, sql, NULL, 0, add_row, &all, &err), sql, &err);
    text = arena_strdup(f->mem, buf_str(&all.text));
    buf_release(&all.text);
    return text;
}

#include "tests/support/fake_driver.h"

#include <stdlib.h>
#include <string.h>

struct fake_conn {
    struct sql_conn base; /* first */
    struct fake_database *of;
};

static int note(struct sql_conn *c, const char *sql, struct error *err)
{
    struct fake_database *d = ((struct fake_conn *)(void *)c)->of;

    buf_puts(&d->statements, sql);
    buf_putc(&d->statements, '\n');
    if (++d->n_calls == d->fail_at)
        return error_set(err, ERR_TRANSIENT, "fake failure of call %zu", d->n_calls);
    return 0;
}

static int open_fake(const void *config, struct run *run, struct sql_conn **out, struct error *err)
{
    struct fake_database *d = (struct fake_database *)(uintptr_t)config;
    struct fake_conn *c = xalloc(sizeof *c);

    (void)run, (void)err;
    *c = (struct fake_conn){{&fake_driver, d->dialect, 0}, d};
    *out = &c->base;
    return 0;
}

static int exec(struct sql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                int64_t *out_changed, struct error *err)
{
    (void)params, (void)n;
    *out_changed = 1;
    return note(c, sql, err);
}

static int query(struct sql_conn *c, const char *sql, const struct sql_value *params, size_t n,
                 sql_row_fn *each, void *arg, struct error *err)
{
    (void)params, (void)n, (void)each, (void)arg;
    return note(c, sql, err);
}

static int bulk(struct sql_conn *c, const struct sql_bulk *what, const struct batch *rows,
                int64_t *out_inserted, struct error *err)
{
    struct fake_database *d = ((struct fake_conn *)(void *)c)->of;
    int64_t n = 0;

    for (size_t i = 0; i < batch_rows(rows); i++)
        n += !what->skip || !what->skip[i];
    d->rows += n;
    *out_inserted = n;
    return note(c, "(bulk insert)", err);
}

static void close_fake(struct sql_conn *c)
{
    free(c);
}

const struct sql_driver fake_driver = {
    .open = open_fake, .exec = exec, .query = query, .bulk = bulk, .close = close_fake};

bool fake_database_saw(const struct fake_database *d, const char *text)
{
    return strstr(buf_str(&d->statements), text) != NULL;
}

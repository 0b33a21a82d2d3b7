#include <errmsg.h>
#include <stdio.h>

#include "connectors/sql/mysql_internal.h"

static int refuse(void **out, const char *name, void *arg)
{
    (void)name;
    *out = arg;
    return 1;
}

static int refuse_read(void *arg, char *to, unsigned n)
{
    (void)arg;
    (void)to;
    (void)n;
    return -1;
}

static void refuse_end(void *arg)
{
    (void)arg;
}

static int refuse_error(void *arg, char *to, unsigned n)
{
    (void)arg;
    snprintf(to, n, "files are never sent to a server");
    return CR_UNKNOWN_ERROR;
}

void mysql_bulk_guard(struct mysql_conn *c)
{
    mysql_set_local_infile_handler(c->my, refuse, refuse_read, refuse_end, refuse_error, c);
}

int mysql_bulk_open(struct mysql_conn *c, const char *load, struct error *err)
{
    (void)c;
    (void)load;
    (void)err;
    return 0;
}

int mysql_bulk(struct sql_conn *conn, const struct sql_bulk *what, const struct batch *rows,
               int64_t *out_inserted, struct error *err)
{
    (void)conn;
    (void)what;
    (void)rows;
    *out_inserted = 0;
    return error_set(err, ERR_UNSUPPORTED, "bulk loading is not there");
}

int mysql_bulk_end(struct mysql_conn *c, struct error *err)
{
    (void)c;
    (void)err;
    return 0;
}

void mysql_bulk_drop(struct mysql_conn *c)
{
    (void)c;
}

void mysql_bulk_free(struct mysql_conn *c)
{
    (void)c;
}

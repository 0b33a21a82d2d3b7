/* redshift - a SQL destination with types and statements of its own. */
#include "redshift.h"

#include <string.h>

#include "connectors/main.h"
#include "connectors/sql/destination.h"
#include "connectors/sql/postgres.h"
#include "connectors/sql/statement.h"

CONNECTORD_WRITTEN_FOR(1);

/* What it is connected to, and how its tables are laid out. */
struct config {
    struct postgres_destination database; /* first: the driver's own */
    bool distribute;
};

static const struct option options[] = {
    POSTGRES_SERVER_OPTIONS(struct postgres_destination),
    OPTION(struct postgres_destination, schema, .title = "Schema", .def = "public", .min = 1,
           .max = 63, .help = "Where tables go."),
    OPTION(struct postgres_destination, adopt_table, .title = "Adopt tables", .def = "false",
           .help = "Write into tables that others have made."),
    OPTION(struct config, distribute, .title = "Distribute by key", .def = "false",
           .help = "New tables get DISTKEY and SORTKEY of the first key column."),
    OPTIONS_END,
};

struct redshift {
    struct sql_dialect base; /* first: it is what the builders are given */
    bool distribute;
};

/* ---------------------------------------------------------------------- builders */

/* The statement as it would be without this builder. */
static struct sql_dialect plain(const struct sql_dialect *d)
{
    struct sql_dialect copy = *d;

    copy.put_create = NULL;
    copy.put_add_column = NULL;
    return copy;
}

/* CREATE TABLE, and for the tables of streams where their rows lie. */
static void put_create(const struct sql_dialect *d, const struct sql_table *t, enum sql_create how,
                       const char *index, struct buf *out)
{
    const struct redshift *r = (const struct redshift *)d;
    const struct sql_dialect standard = plain(d);

    sql_put_create_indexed(&standard, t, how, index, out);
    if (!r->distribute || how != SQL_CREATE_PLAIN)
        return;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->columns[i].role != SQL_ROLE_KEY)
            continue;
        buf_puts(out, " DISTSTYLE KEY DISTKEY(");
        sql_put_name(d, t->columns[i].name, out);
        buf_puts(out, ") SORTKEY(");
        sql_put_name(d, t->columns[i].name, out);
        buf_puts(out, ")");
        return;
    }
}

/* One column per statement, with the default spelt out. */
static void put_add_column(const struct sql_dialect *d, const struct sql_table *t,
                           const struct sql_column *column, struct buf *out)
{
    const struct sql_dialect standard = plain(d);

    sql_put_add_column(&standard, t, column, out);
    buf_puts(out, " DEFAULT NULL");
}

/* ----------------------------------------------------------------------- dialect */

static struct redshift redshift; /* made once, before anything runs */

static void make_dialect(void)
{
    static const char *const types[TYPE_COUNT] = {
        [TYPE_BOOL] = "BOOLEAN",
        [TYPE_INT] = "BIGINT",
        [TYPE_DECIMAL] = "DECIMAL(18,6)",
        [TYPE_FLOAT] = "DOUBLE PRECISION",
        [TYPE_STRING] = "VARCHAR(65535)",
        [TYPE_BYTES] = "VARBYTE",
        [TYPE_DATE] = "DATE",
        [TYPE_TIME] = "TIME",
        [TYPE_TIMESTAMP] = "TIMESTAMP",
        [TYPE_TIMESTAMPTZ] = "TIMESTAMPTZ",
        [TYPE_INTERVAL] = "VARCHAR(64)",
        [TYPE_UUID] = "VARCHAR(36)",
        [TYPE_JSON] = "SUPER",
    };

    redshift.base = sql_postgres;
    redshift.base.name = "redshift";
    memcpy(redshift.base.type, types, sizeof types);
    /* What DECIMAL(18,6) cannot hold goes to quarantine and is never rounded. */
    redshift.base.decimal_with_scale = NULL;
    redshift.base.decimal_whole = 12;
    redshift.base.decimal_fraction = 6;
    redshift.base.decimal_holds_nan = false;
    redshift.base.decimal_infinity_since = 0;
    redshift.base.put_create = put_create;
    redshift.base.put_add_column = put_add_column;
}

/* ------------------------------------------------------------------------ driver */

static struct sql_driver driver;

static int open_redshift(const void *config, struct run *run, struct sql_conn **out,
                         struct error *err)
{
    if (postgres_driver.open(config, run, out, err) < 0)
        return -1;
    (*out)->driver = &driver;
    (*out)->dialect = &redshift.base;
    return 0;
}

static int check(const void *config, struct run *run, struct error *err)
{
    return postgres_check_writable(config, run, err);
}

static int open_destination(const void *config, struct run *run, const struct write_plan *plan,
                            struct destination **out, struct error *err)
{
    const struct config *c = config;

    redshift.distribute = c->distribute;
    return sql_destination_open(&driver, config, c->database.adopt_table, run, plan, out, err);
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    return sql_destination_clear(&driver, config, run, plan, err);
}

const struct destination_connector destination_redshift = {
    .name = "redshift",
    .title = "Redshift",
    .docs = "Tables with the types of Amazon Redshift, by the protocol of PostgreSQL.",
    .options = options,
    .config_size = sizeof(struct config),
    .write_modes = SQL_WRITE_MODES,
    .delivery = "exactly_once",
    .value_policies = true,
    .check = check,
    .open = open_destination,
    .clear = clear,
};

const struct sql_dialect *redshift_dialect(bool distribute)
{
    redshift.distribute = distribute;
    return &redshift.base;
}

void redshift_prepare(void)
{
    postgres_forget_environment();
    make_dialect();
    driver = postgres_driver;
    driver.open = open_redshift;
}

#ifndef TESTED /* the test has a main of its own */
int main(int argc, char **argv)
{
    redshift_prepare();
    return connector_main(argc, argv, &destination_redshift);
}
#endif

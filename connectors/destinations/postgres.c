/* postgres - a schema of a PostgreSQL database as a destination. */
#include "connectors/sql/postgres.h"
#include "connectors/sql/destination.h"

/* clang-format off */
static const struct option options[] = {
    POSTGRES_SERVER_OPTIONS(struct postgres_destination),
    OPTION(struct postgres_destination, schema, .title = "Schema", .def = "public", .min = 1,
           .max = 63, .example = "shop",
           .help = "Where streams go that name no schema of their own. It is created when it is "
                   "missing."),
    OPTION(struct postgres_destination, adopt_table, .title = "Adopt tables", .def = "false",
           .help = "Write into tables that are there already and were not made by this service. "
                   "Their columns keep their types; new columns are added."),
    OPTIONS_END,
};
/* clang-format on */

static int check(const void *config, struct run *run, struct error *err)
{
    return postgres_check_writable(config, run, err);
}

static int open_destination(const void *config, struct run *run, const struct write_plan *plan,
                            struct destination **out, struct error *err)
{
    const struct postgres_destination *to = config;

    return sql_destination_open(&postgres_driver, to, to->adopt_table, run, plan, out, err);
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    return sql_destination_clear(&postgres_driver, config, run, plan, err);
}

static void tell_limits(tell_fn *tell, void *arg)
{
    sql_tell_limits(&sql_postgres, tell, arg);
}

const struct destination_connector destination_postgres = {
    .name = "postgres",
    .title = "PostgreSQL",
    .docs = "Writes each stream into a table of a PostgreSQL database, version 11 or later, by "
            "binary COPY. Rows and the bookmark that covers them are committed together, so a "
            "crash neither loses nor doubles a row. A full refresh is built beside the live table "
            "and exchanged when it is complete: readers never see half a table, and views, grants, "
            "triggers and indexes on it stay. Every special value has its place: NaN and the "
            "infinities, dates BC and up to the year 294276. A value that the type of a column "
            "would round or cut is refused, never altered. The role needs the right to connect, to "
            "create temporary tables, and to create tables in the schema, or to create the schema "
            "when it is missing.",
    .options = options,
    .config_size = sizeof(struct postgres_destination),
    .write_modes = SQL_WRITE_MODES,
    .types = sql_postgres.type,
    .tell_limits = tell_limits,
    .delivery = "exactly_once",
    .parallel_writers = true,
    .value_policies = true,
    .check = check,
    .open = open_destination,
    .clear = clear,
};

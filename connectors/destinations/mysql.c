/* mysql - tables of a MariaDB or MySQL database as a destination. */
#include "connectors/sql/mysql.h"

#include "connectors/sql/destination.h"

static const char *const loads[] = {"auto", "local_infile", "insert", NULL};

/* clang-format off */
static const struct option options[] = {
    MYSQL_SERVER_OPTIONS(struct mysql_destination),
    OPTION(struct mysql_destination, adopt_table, .title = "Adopt tables", .def = "false",
           .help = "Write into tables that are there already and were not made by this service. "
                   "Their columns keep their types; new columns are added."),
    OPTION(struct mysql_destination, load, .title = "How rows are written", .def = "auto",
           .choices = loads,
           .help = "insert is a prepared INSERT, which MariaDB is given arrays of rows for, and "
                   "others are given lists of rows in; local_infile is LOAD DATA LOCAL from "
                   "memory, which the server must allow. auto takes what costs least: arrays, "
                   "else local_infile where it is allowed, else lists."),
    OPTIONS_END,
};
/* clang-format on */

static int check(const void *config, struct run *run, struct error *err)
{
    return mysql_check_writable(config, run, err);
}

static int open_destination(const void *config, struct run *run, const struct write_plan *plan,
                            struct destination **out, struct error *err)
{
    const struct mysql_destination *to = config;

    return sql_destination_open(&mysql_driver, to, to->adopt_table, run, plan, out, err);
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    return sql_destination_clear(&mysql_driver, config, run, plan, err);
}

static void tell_limits(tell_fn *tell, void *arg)
{
    sql_tell_limits(&sql_mysql, tell, arg);
}

const struct destination_connector destination_mysql = {
    .name = "mysql",
    .title = "MariaDB and MySQL",
    .docs = "Writes each stream into an InnoDB table. Streams without a namespace go into the "
            "configured database, others into the database of that name, which is made when it is "
            "missing. Rows and the bookmark that covers them are committed together, so a crash "
            "neither loses nor doubles a row; since every change of a table commits by itself "
            "here, such changes are announced in the state table first and finished after a "
            "crash. A full refresh is built beside the live table and exchanged with it in one "
            "statement. Text is utf8mb4 and compared byte by byte. Decimals without a precision, "
            "intervals and what a native type cannot hold are stored as text; NaN, the infinities "
            "and years beyond 9999 go to quarantine, and negative zero is stored as zero. No "
            "warning of the server passes unseen: a value it would alter is refused. LOAD DATA "
            "LOCAL is fed from memory; a server that asks for a file gets none.",
    .options = options,
    .config_size = sizeof(struct mysql_destination),
    .write_modes = SQL_WRITE_MODES,
    .types = sql_mysql.type,
    .tell_limits = tell_limits,
    .delivery = "exactly_once",
    .value_policies = true,
    .parallel_writers = true,
    .check = check,
    .open = open_destination,
    .clear = clear,
};

/* mysql - tables of a MariaDB or MySQL server as a source. */
#include "connectors/sql/mysql.h"

#include "connectors/sql/queries.h"
#include "connectors/sql/source.h"

static const char *const null_cursors[] = {"first_run", "every_run", "fail", NULL};

/* clang-format off */
static const struct option options[] = {
    MYSQL_SERVER_OPTIONS(struct mysql_source),
    OPTION(struct mysql_source, schemas, .title = "Databases",
           .help = "Databases whose tables are read. Without it, the configured one. Where it names "
                   "others or several, streams carry the name of their database.",
           .example = "[\"shop\"]"),
    OPTION(struct mysql_source, queries, .title = "Queries", .check = sql_queries_check,
           .schema = SQL_QUERIES_SCHEMA,
           .help = "SELECT statements of your own as streams: an object of names and texts. They "
                   "run read only and have no key of their own."),
    OPTION(struct mysql_source, tinyint1_is_bool, .title = "tinyint(1) is bool", .def = "true",
           .help = "Whether a column declared tinyint(1), which BOOLEAN stands for, is bool; other "
                   "values than 0 and 1 in it go to quarantine. Without it such a column is int."),
    OPTION(struct mysql_source, lookback_s, .title = "Lookback in seconds", .def = "0", .min = 0,
           .max = 31536000,
           .help = "How much older than now rows may still appear: the longest time between the "
                   "value of the cursor and the commit of its row. Needed only where programs ask "
                   "for the time in a transaction that has not touched a table yet, or where a "
                   "datetime is not in UTC: say its distance here."),
    OPTION(struct mysql_source, skew_s, .title = "Clock skew in seconds", .def = "1", .min = 0,
           .max = 86400,
           .help = "How far the clock that writes the cursor may be off that of the server."),
    OPTION(struct mysql_source, safe_wait_s, .title = "Seconds to wait for writers", .def = "5",
           .min = 0, .max = 600,
           .help = "How long an incremental run waits for transactions that are open when it "
                   "begins."),
    OPTION(struct mysql_source, null_cursor, .title = "Rows without a cursor", .def = "first_run",
           .choices = null_cursors,
           .help = "Whether rows that are NULL in the cursor column come with the first run, with "
                   "every run, or make the run fail."),
    OPTIONS_END,
};
/* clang-format on */

static int check(const void *config, struct run *run, struct error *err)
{
    const struct mysql_source *from = config;

    return sql_source_check(&mysql_source_driver, config, from->queries, run, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    return sql_source_discover(&mysql_source_driver, config, run, out, err);
}

static struct sql_source_settings settings_of(const struct mysql_source *from)
{
    return (struct sql_source_settings){
        .lookback_s = from->lookback_s,
        .skew_s = from->skew_s,
        .safe_wait_s = from->safe_wait_s,
        .null_cursor = from->null_cursor,
        .queries = from->queries,
    };
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    const struct sql_source_settings settings = settings_of(config);

    return sql_source_count(&mysql_source_driver, config, &settings, run, stream, out_count,
                            out_exact, err);
}

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    const struct sql_source_settings settings = settings_of(config);

    return sql_source_read(&mysql_source_driver, config, &settings, run, req, out, err);
}

const struct source_connector source_mysql = {
    .name = "mysql",
    .title = "MariaDB and MySQL",
    .docs =
        "Reads the tables and views of one server, and SELECTs of your own, in one consistent "
        "snapshot of InnoDB; a table is held against DDL only while it is read. Bookmarks stay "
        "below what is still uncommitted: for that the user needs the right PROCESS; without "
        "it, on a read-only replica and in a Galera cluster rows are read again for ten minutes "
        "instead. A timestamp is an instant, a datetime has no zone; the cursor of a datetime "
        "counts as UTC. Unsigned bigint is decimal(20,0). Dates that are none (0000-00-00), "
        "times beyond 24 hours and text that Unicode cannot express go to quarantine with "
        "their original. Geometry is bytes as stored: SRID and well-known binary.",
    .options = options,
    .config_size = sizeof(struct mysql_source),
    .filters_rows = true,
    .tell_types = mysql_tell_types,
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_streams,
};

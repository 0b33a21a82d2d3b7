/* sqlite - a SQLite database file as a source. */
#include "connectors/sql/sqlite.h"
#include "connectors/sql/queries.h"

static const char *const null_cursors[] = {"first_run", "every_run", "fail", NULL};

/* clang-format off */
static const struct option options[] = {
    OPTION(struct sqlite_source, path, .title = "File", .flags = OPTION_REQUIRED | OPTION_PATH,
           .help = "The database file. It is opened for reading only.", .min = 1, .max = 4096,
           .example = "/var/lib/app/app.db"),
    OPTION(struct sqlite_source, queries, .title = "Queries", .check = sql_queries_check,
           .schema = SQL_QUERIES_SCHEMA,
           .help = "SELECTs that become streams of their own, by the name of the stream. They run "
                   "read only. Columns that come straight from a table have its type, those that "
                   "are computed are text."),
    OPTION(struct sqlite_source, lookback_s, .title = "Lookback in seconds", .def = "0", .min = 0,
           .max = 31536000,
           .help = "How much older than now rows may still appear: the longest time between the "
                   "value of the cursor and the commit of its row. Times without a zone are taken "
                   "for UTC; where the program writes local time, say its distance here."),
    OPTION(struct sqlite_source, skew_s, .title = "Clock skew in seconds", .def = "1", .min = 0,
           .max = 86400,
           .help = "How far the clock that writes the cursor may be off."),
    OPTION(struct sqlite_source, safe_wait_s, .title = "Seconds to wait for writers", .def = "5",
           .min = 0, .max = 600,
           .help = "How long an incremental run waits for transactions that are open when it "
                   "begins. Where one stays open, the bookmark stays behind it."),
    OPTION(struct sqlite_source, null_cursor, .title = "Rows without a cursor", .def = "first_run",
           .choices = null_cursors,
           .help = "Whether rows that are NULL in the cursor column come with the first run, with "
                   "every run, or make the run fail."),
    OPTION(struct sqlite_source, busy_timeout_s, .title = "Seconds to wait for a lock",
           .def = "30", .min = 0, .max = 3600,
           .help = "How long another program may hold the lock of the file before the run fails "
                   "and is tried again."),
    OPTIONS_END,
};
/* clang-format on */

static int check(const void *config, struct run *run, struct error *err)
{
    const struct sqlite_source *from = config;

    return sql_source_check(&sqlite_source_driver, config, from->queries, run, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    return sql_source_discover(&sqlite_source_driver, config, run, out, err);
}

static struct sql_source_settings settings_of(const struct sqlite_source *from)
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

    return sql_source_count(&sqlite_source_driver, config, &settings, run, stream, out_count,
                            out_exact, err);
}

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    const struct sql_source_settings settings = settings_of(config);

    return sql_source_read(&sqlite_source_driver, config, &settings, run, req, out, err);
}

const struct source_connector source_sqlite = {
    .name = "sqlite",
    .title = "SQLite",
    .docs = "Reads the tables and views of one SQLite file in one snapshot. Types come from the "
            "declared column types; a value that is not of its column's type goes to quarantine "
            "with its original. Incremental reads keep a bookmark below which nothing can appear "
            "any more: for that the write lock is asked for, and given back, for a moment; where "
            "the file cannot be written, rows are read again for ten minutes instead.",
    .options = options,
    .config_size = sizeof(struct sqlite_source),
    .filters_rows = true,
    .tell_types = sqlite_tell_types,
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_streams,
};

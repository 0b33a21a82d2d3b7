/* postgres - a PostgreSQL database as a source. */
#include "connectors/sql/postgres.h"
#include "connectors/sql/queries.h"
#include "connectors/sql/source.h"

static const char *const null_cursors[] = {"first_run", "every_run", "fail", NULL};

/* clang-format off */
static const struct option options[] = {
    POSTGRES_SERVER_OPTIONS(struct postgres_source),
    OPTION(struct postgres_source, schemas, .title = "Schemas",
           .help = "Schemas to look for tables in. None means all but the system's.",
           .example = "[\"public\"]"),
    OPTION(struct postgres_source, queries, .title = "Queries", .check = sql_queries_check,
           .schema = SQL_QUERIES_SCHEMA,
           .help = "SELECTs that become streams of their own, by the name of the stream. They run "
                   "read only."),
    OPTION(struct postgres_source, lookback_s, .title = "Lookback in seconds", .def = "0",
           .min = 0, .max = 31536000,
           .help = "How much older than now rows may still appear for other reasons than a "
                   "transaction that is open: a program that writes times of its own, or a standby "
                   "as the source. Times without a zone are taken for UTC."),
    OPTION(struct postgres_source, skew_s, .title = "Clock skew in seconds", .def = "1", .min = 0,
           .max = 86400,
           .help = "How far the clock that writes the cursor may be off the server's."),
    OPTION(struct postgres_source, safe_wait_s, .title = "Seconds to wait for writers",
           .def = "5", .min = 0, .max = 600,
           .help = "How long an incremental run waits for transactions that are open when it "
                   "begins. Where one stays open, the bookmark stays behind it."),
    OPTION(struct postgres_source, null_cursor, .title = "Rows without a cursor",
           .def = "first_run", .choices = null_cursors,
           .help = "Whether rows that are NULL in the cursor column come with the first run, with "
                   "every run, or make the run fail."),
    OPTIONS_END,
};
/* clang-format on */

static int check(const void *config, struct run *run, struct error *err)
{
    const struct postgres_source *from = config;

    return sql_source_check(&postgres_source_driver, config, from->queries, run, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    return sql_source_discover(&postgres_source_driver, config, run, out, err);
}

static struct sql_source_settings settings_of(const struct postgres_source *from)
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

    return sql_source_count(&postgres_source_driver, config, &settings, run, stream, out_count,
                            out_exact, err);
}

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    const struct sql_source_settings settings = settings_of(config);

    return sql_source_read(&postgres_source_driver, config, &settings, run, req, out, err);
}

const struct source_connector source_postgres = {
    .name = "postgres",
    .title = "PostgreSQL",
    .docs =
        "Reads tables, partitioned tables, views, materialized views and foreign tables of one "
        "PostgreSQL database (11 and later), and SELECTs of your own, all in one snapshot; the "
        "session can only read. Types are told by their number: arrays become JSON (one that does "
        "not count from 1 becomes {\"lower_bounds\": [..], \"values\": [..]}), and types that no "
        "other database has (enums, addresses, money, ranges, geometry, composites) become text "
        "as the server writes it. Tables with a primary key, or else a unique index over columns "
        "that are NOT NULL, are read in its order and continue after an interruption. Incremental "
        "reads keep a bookmark below which nothing can appear any more, by looking at the "
        "transactions that are open; that needs no privilege. On a standby they cannot be seen: "
        "there set the lookback to the lag plus the longest transaction.",
    .options = options,
    .config_size = sizeof(struct postgres_source),
    .filters_rows = true,
    .tell_types = postgres_tell_types,
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_streams,
};

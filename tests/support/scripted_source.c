#include "tests/support/scripted_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/sql/source.h"
#include "connectors/sql/sqlite.h"

struct scripted scripted;

void scripted_reset(void)
{
    memset(&scripted, 0, sizeof scripted);
}

void scripted_begin(const char *token)
{
    if (scripted.n_open == SCRIPTED_MAX_OPEN)
        abort();
    scripted.open[scripted.n_open++] = token;
}

void scripted_end(const char *token)
{
    for (size_t i = 0; i < scripted.n_open; i++) {
        if (strcmp(scripted.open[i], token) == 0) {
            scripted.open[i] = scripted.open[--scripted.n_open];
            return;
        }
    }
    fprintf(stderr, "no transaction %s is open\n", token);
    abort();
}

static void called(const char *what)
{
    size_t n = strlen(scripted.calls);

    snprintf(scripted.calls + n, sizeof scripted.calls - n, "%s ", what);
}

static int moment(struct sql_reader *r, struct arena *mem, struct sql_moment *out,
                  struct error *err)
{
    const char **open = arena_array(mem, scripted.n_open, sizeof *open);

    (void)r;
    (void)err;
    called("moment");
    scripted.n_moments++;
    out->unix_us = scripted.now_us;
    if (scripted.at_moment)
        scripted.at_moment(scripted.n_moments);
    open = arena_array(mem, scripted.n_open, sizeof *open);
    for (size_t i = 0; i < scripted.n_open; i++)
        open[i] = arena_strdup(mem, scripted.open[i]); /* dies with `mem`, as a server's would */
    out->visible = !scripted.hidden;
    out->open = open;
    out->n_open = scripted.n_open;
    out->also = &scripted.also;
    out->n_also = scripted.also != NULL;
    return 0;
}

static int snapshot(struct sql_reader *r, struct error *err)
{
    called("snapshot");
    if (scripted.at_snapshot)
        scripted.at_snapshot();
    return sqlite_source_driver.snapshot(r, err);
}

static int last_number(struct sql_reader *r, const char *schema, const char *table,
                       const char *column, int64_t *out, bool *out_known, struct error *err)
{
    (void)r;
    (void)schema;
    (void)table;
    (void)column;
    (void)err;
    called("number");
    *out = scripted.number;
    *out_known = scripted.knows_number;
    return 0;
}

static int open_reader(const void *config, struct run *run, struct sql_reader **out,
                       struct error *err)
{
    static struct sql_source_driver driver;

    driver = sqlite_source_driver;
    driver.single_writer = false;
    driver.open = open_reader;
    driver.moment = moment;
    driver.snapshot = snapshot;
    driver.last_number = last_number;
    if (sqlite_source_driver.open(config, run, out, err) < 0)
        return -1;
    (*out)->driver = &driver;
    return 0;
}

static void close_reader(struct sql_reader *r)
{
    sqlite_source_driver.close(r);
}

static const struct sql_source_driver scripted_driver = {
    .open = open_reader,
    .close = close_reader,
};

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    const struct sqlite_source *from = config;
    const struct sql_source_settings settings = {
        .lookback_s = from->lookback_s,
        .skew_s = from->skew_s,
        .safe_wait_s = from->safe_wait_s,
        .null_cursor = from->null_cursor,
        .queries = from->queries,
    };

    scripted.n_moments = 0;
    scripted.calls[0] = '\0';
    return sql_source_read(&scripted_driver, config, &settings, run, req, out, err);
}

const struct source_connector source_scripted = {.name = "scripted", .read = read_streams};

/* counter - a source that counts; the smallest complete connector. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/connector.h"

struct counter_config {
    int64_t rows;
    const char *label;
};

/* clang-format off */
static const struct option options[] = {
    OPTION(struct counter_config, rows, .title = "Rows", .flags = OPTION_REQUIRED,
           .min = 0, .max = 1000000, .help = "How many rows to produce."),
    OPTION(struct counter_config, label, .title = "Label", .def = "row", .min = 1, .max = 100,
           .help = "Text put into every row."),
    OPTIONS_END,
};

static const struct column columns[] = {
    {.name = "n",     .type = {.type = TYPE_INT},    .source_type = "", .nullable = false},
    {.name = "label", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = false},
};
/* clang-format on */
static const size_t n_is_key_and_cursor[] = {0};
static const struct schema numbers = {columns, 2, n_is_key_and_cursor, 1};

static int check(const void *config, struct run *run, struct error *err)
{
    (void)config, (void)run, (void)err; /* nothing to reach, and the table has checked the rest */
    return 0;
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    const struct counter_config *c = config;
    struct stream *s = catalog_add(out);

    (void)run, (void)err;
    s->name = "numbers";
    s->schema = &numbers;
    s->cursors = n_is_key_and_cursor;
    s->n_cursors = 1;
    s->source_defined_cursor = true;
    s->incremental = true;
    s->resumable = true;
    s->row_estimate = c->rows;
    return 0;
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    const struct counter_config *c = config;

    (void)run, (void)stream, (void)err; /* there is one stream only */
    *out_count = c->rows;
    *out_exact = true;
    return 0;
}

/* The position says which number comes next. It is our own text, but it was kept by others. */
static int parse_position(const char *text, int64_t *out_next, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;

    *out_next = 0;
    if (!text)
        return 0;
    if (doc_parse_trusted(text, strlen(text), &d, err) < 0)
        return error_wrap(err, "reading the position");
    *out_next = doc_int(doc_get(d, "next"), -1);
    if (*out_next < 0)
        return error_set(err, ERR_RESYNC, "the position %s is none of this source", text);
    return 0;
}

/* Hands the rows on and declares that everything below `next` has been delivered. */
static int flush(struct sink *out, struct batch *rows, int64_t next, struct error *err)
{
    char position[64];

    snprintf(position, sizeof position, "{\"next\":%" PRId64 "}", next);
    if (sink_write(out, 0, rows, err) < 0)
        return -1;
    return sink_checkpoint(out, 0, position, err);
}

static int read_numbers(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    const struct counter_config *c = config;
    const struct selected_stream *want = req->streams[0].want;
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(want->schema);
    long n_column = schema_find(want->schema, "n"); /* -1: the user has left it out */
    long label_column = schema_find(want->schema, "label");
    char end[64];
    int64_t n;

    (void)run; /* sink_write notices cancellation for us */
    if (sink_begin(out, 0, err) < 0 || parse_position(req->streams[0].position, &n, err) < 0)
        return -1;
    for (; n < c->rows; n++) {
        if (n_column >= 0)
            batch_put_int64(rows, (size_t)n_column, n);
        if (label_column >= 0)
            batch_put_text(rows, (size_t)label_column, c->label, strlen(c->label));
        batch_end_row(rows);
        if (batch_is_full(rows) && flush(out, rows, n + 1, err) < 0)
            return -1;
    }
    if (!batch_is_empty(rows) && flush(out, rows, n, err) < 0)
        return -1;
    snprintf(end, sizeof end, "{\"next\":%" PRId64 "}", n);
    /* The next full refresh begins at the beginning: it has no position to keep. */
    return sink_end(out, 0, want->sync_mode == SYNC_INCREMENTAL ? end : NULL, err);
}

const struct source_connector source_counter = {
    .name = "counter",
    .title = "Counter",
    .docs = "Produces numbered rows, for demonstrations and tests.",
    .options = options,
    .config_size = sizeof(struct counter_config),
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_numbers,
};

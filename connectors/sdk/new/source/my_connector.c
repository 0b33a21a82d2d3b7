/* my_connector - a source. What is to be replaced by your own says so. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/main.h"

CONNECTORD_WRITTEN_FOR(1);

struct config {
    const char *base_url;
    int64_t rows;
};

static const struct option options[] = {
    OPTION(struct config, base_url, .title = "Address", .flags = OPTION_REQUIRED | OPTION_BINDING,
           .min = 1, .max = 2048, .help = "Where the data is.",
           .example = "https://api.example.com"),
    OPTION(struct config, rows, .title = "Rows", .def = "1000", .min = 0, .max = 1000000,
           .help = "How many there are. Yours will know."),
    OPTIONS_END,
};

/* Your columns. */
static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = "", .nullable = false},
    {.name = "name", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
};
static const size_t id_is_key_and_cursor[] = {0};
static const struct schema items = {columns, 2, id_is_key_and_cursor, 1};

/* Ask for something cheap that needs the credentials. */
static int check(const void *config, struct run *run, struct error *err)
{
    (void)config, (void)run, (void)err;
    return 0;
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    const struct config *c = config;
    struct stream *s = catalog_add(out);

    (void)run, (void)err;
    s->namespace = "";
    s->name = "items";
    s->schema = &items;
    s->cursors = id_is_key_and_cursor;
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
    const struct config *c = config;

    (void)run, (void)stream, (void)err;
    *out_count = c->rows;
    *out_exact = true;
    return 0;
}

/* The position is the number of the next row. It was kept by others: check it. */
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

/* Hands the rows on and says that everything below `next` has been delivered. */
static int hand_on(struct sink *out, size_t stream, struct batch *rows, int64_t next,
                   struct error *err)
{
    char position[64];

    snprintf(position, sizeof position, "{\"next\":%" PRId64 "}", next);
    if (sink_write(out, stream, rows, err) < 0)
        return -1;
    return sink_checkpoint(out, stream, position, err);
}

/* Your loop: get rows, put them, hand full batches on. */
static int read_stream(const struct config *c, const struct stream_request *request, size_t stream,
                       struct sink *out, struct error *err)
{
    const struct selected_stream *want = request->want;
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(want->schema);
    long id = schema_find(want->schema, "id"); /* -1: the user has left it out */
    long name = schema_find(want->schema, "name");
    char text[64];
    int64_t n;

    if (sink_begin(out, stream, err) < 0 || parse_position(request->position, &n, err) < 0)
        return -1;
    for (; n < c->rows; n++) {
        snprintf(text, sizeof text, "item %" PRId64, n);
        if (id >= 0)
            batch_put_int64(rows, (size_t)id, n);
        if (name >= 0)
            batch_put_text(rows, (size_t)name, text, strlen(text));
        batch_end_row(rows);
        if (batch_is_full(rows) && hand_on(out, stream, rows, n + 1, err) < 0)
            return -1;
    }
    if (!batch_is_empty(rows) && hand_on(out, stream, rows, n, err) < 0)
        return -1;
    snprintf(text, sizeof text, "{\"next\":%" PRId64 "}", n);
    return sink_end(out, stream, want->sync_mode == SYNC_INCREMENTAL ? text : NULL, err);
}

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    (void)run; /* cancel_check(run->cancel, err) in loops that wait for the outside */
    for (size_t i = 0; i < req->n; i++) {
        if (read_stream(config, &req->streams[i], i, out, err) < 0)
            return -1;
    }
    return 0;
}

const struct source_connector source_my_connector = {
    .name = "my_connector",
    .title = "my_connector",
    .docs = "What it reads, for people.",
    .options = options,
    .config_size = sizeof(struct config),
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_streams,
};

#ifndef TESTED /* the test has a main of its own */
int main(int argc, char **argv)
{
    return connector_main(argc, argv, &source_my_connector);
}
#endif

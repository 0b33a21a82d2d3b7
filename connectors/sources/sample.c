/* sample - a shop that exists nowhere, for first steps, demonstrations and tests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/connector.h"
#include "connectors/sources/sample_shop.h"

/* clang-format off */
static const struct option options[] = {
    OPTION(struct sample_config, rows, .title = "Users", .def = "1000", .min = 1,
           .max = SHOP_MAX_ROWS,
           .help = "How many users the shop has. There is one product for every ten of them, and "
                   "three purchases for each."),
    OPTION(struct sample_config, seed, .title = "Seed", .def = "1",
           .help = "Another seed is another shop; the same seed is always the same one."),
    OPTION(struct sample_config, updates_per_run, .title = "Changes per run", .def = "10",
           .min = 0, .max = SHOP_MAX_UPDATES,
           .help = "How many users change and how many purchases are added between two incremental "
                   "runs. A fifth as many products change."),
    OPTION(struct sample_config, batch_rows, .title = "Rows per batch", .def = "0", .min = 0,
           .max = BATCH_MAX_ROWS,
           .help = "A checkpoint after so many rows; 0 fills batches as other sources do."),
    OPTION(struct sample_config, batch_delay_ms, .title = "Pause after a batch", .def = "0",
           .min = 0, .max = 60000,
           .help = "Milliseconds, with a line in the log for each batch: a run that takes its time, "
                   "to watch progress, cancellation or a restart."),
    OPTIONS_END,
};
/* clang-format on */

/* ---------------------------------------------------------------- position */

/*
 * What comes next: row `next` of the whole shop as of `tick`, or of the changes of `tick`. A full
 * refresh that gets a position among changes begins with row 0 of that tick.
 */
struct place {
    int64_t tick, next;
    bool of_changes;
};

static const char *place_text(struct place p, char out[static 96])
{
    snprintf(out, 96,
             "{\"kind\":\"sample\",\"tick\":%" PRId64 ",\"next\":%" PRId64 ",\"of\":\"%s\"}",
             p.tick, p.next, p.of_changes ? "changes" : "rows");
    return out;
}

static int parse_place(const char *text, struct place *out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error why = ERROR_INIT;
    const char *of;

    *out = (struct place){0};
    if (!text)
        return 0;
    if (doc_parse_trusted(text, strlen(text), &d, &why) < 0)
        return error_set(err, ERR_RESYNC, "the position is no JSON: %s", why.message);
    of = doc_string(doc_get(d, "of"), "");
    out->tick = doc_int(doc_get(d, "tick"), -1);
    out->next = doc_int(doc_get(d, "next"), -1);
    out->of_changes = !strcmp(of, "changes");
    if (strcmp(doc_string(doc_get(d, "kind"), ""), "sample") != 0 || out->tick < 0 ||
        out->tick > SHOP_MAX_TICK || out->next < 0 ||
        (!out->of_changes && strcmp(of, "rows") != 0) || (out->of_changes && !out->tick))
        return error_set(err, ERR_RESYNC, "the position %s is none of this source", text);
    return 0;
}

/* ----------------------------------------------------------------- reading */

/* What one stream is read with. */
struct reading {
    const struct sample_config *config;
    struct run *run;
    struct sink *out;
    size_t index;               /* of the stream in the request */
    enum shop_stream_id stream; /* in the shop */
    void (**put)(struct batch *b, size_t column, const struct shop_row *r);
    struct batch *rows;
};

static int find_shop_stream(const char *name, enum shop_stream_id *out)
{
    for (size_t i = 0; i < SHOP_STREAMS; i++) {
        if (!strcmp(shop_streams[i].name, name)) {
            *out = (enum shop_stream_id)i;
            return 0;
        }
    }
    return -1;
}

static const struct shop_column *find_shop_column(enum shop_stream_id stream, const char *name)
{
    for (size_t i = 0; i < shop_streams[stream].n_columns; i++) {
        if (!strcmp(shop_streams[stream].columns[i].column.name, name))
            return &shop_streams[stream].columns[i];
    }
    return NULL;
}

static int plan(const struct selected_stream *want, struct arena *mem, struct reading *r,
                struct error *err)
{
    const struct schema *schema = want->schema;

    if (find_shop_stream(want->stream->name, &r->stream) < 0)
        return error_set(err, ERR_NOT_FOUND, "the shop has no stream \"%s\"", want->stream->name);
    r->put = arena_array(mem, schema->n_columns, sizeof *r->put);
    for (size_t i = 0; i < schema->n_columns; i++) {
        const struct shop_column *c = find_shop_column(r->stream, schema->columns[i].name);

        if (!c || !type_equal(c->column.type, schema->columns[i].type))
            return error_set(err, ERR_SCHEMA, "stream \"%s\" has no such column \"%s\"",
                             want->stream->name, schema->columns[i].name);
        r->put[i] = c->put;
    }
    return 0;
}

static int flush(const struct reading *r, struct place next, struct error *err)
{
    char position[96];

    size_t n_rows = batch_rows(r->rows);

    if (sink_write(r->out, r->index, r->rows, err) < 0 ||
        sink_checkpoint(r->out, r->index, place_text(next, position), err) < 0)
        return -1;
    if (r->config->batch_delay_ms == 0)
        return 0;
    log_info(r->run->log, .message = "batch read", .fields = {log_int("rows", (int64_t)n_rows)});
    return cancel_sleep_ms(r->run->cancel, r->config->batch_delay_ms, err);
}

static bool is_full(const struct reading *r)
{
    int64_t most = r->config->batch_rows;

    return batch_is_full(r->rows) || (most > 0 && (int64_t)batch_rows(r->rows) >= most);
}

static int read_from(const struct reading *r, struct place at, struct error *err)
{
    const struct sample_config *c = r->config;
    size_t n_columns = batch_schema(r->rows)->n_columns;
    int64_t n = at.of_changes ? shop_changes(c, r->stream) : shop_rows(c, r->stream, at.tick);
    struct place done = {.tick = at.tick + 1, .of_changes = true};
    char position[96];

    while (at.next < n) {
        int64_t number = at.of_changes ? shop_changed_row(c, r->stream, at.tick, at.next) : at.next;
        struct shop_row row = shop_row_at(c, r->stream, number, at.tick);

        for (size_t i = 0; i < n_columns; i++)
            r->put[i](r->rows, i, &row);
        batch_end_row(r->rows);
        at.next++;
        if (is_full(r) && flush(r, at, err) < 0)
            return -1;
    }
    if (!batch_is_empty(r->rows) && flush(r, at, err) < 0)
        return -1;
    return sink_end(r->out, r->index, place_text(done, position), err);
}

static int read_stream(const struct sample_config *c, struct run *run,
                       const struct stream_request *req, struct sink *out, size_t index,
                       struct error *err)
{
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(req->want->schema);
    struct reading r = {.config = c, .run = run, .out = out, .index = index, .rows = rows};
    struct error why = ERROR_INIT;
    struct place at;

    if (sink_begin(out, index, err) < 0)
        return -1;
    if (plan(req->want, run->mem, &r, &why) < 0 || parse_place(req->position, &at, &why) < 0)
        return sink_fail(out, index, &why, err);
    if (req->want->sync_mode == SYNC_FULL_REFRESH && at.of_changes)
        at = (struct place){.tick = at.tick};
    return read_from(&r, at, err);
}

static int read_shop(const void *config, struct run *run, const struct read_request *req,
                     struct sink *out, struct error *err)
{
    for (size_t i = 0; i < req->n; i++) {
        if (read_stream(config, run, &req->streams[i], out, i, err) < 0)
            return -1;
    }
    return 0;
}

/* --------------------------------------------------------------- the others */

static int check(const void *config, struct run *run, struct error *err)
{
    const struct sample_config *c = config;

    (void)run;
    /* The option table says so too, but not everybody who fills the struct goes through it. */
    if (c->rows < 1 || c->rows > SHOP_MAX_ROWS || c->updates_per_run < 0 ||
        c->updates_per_run > SHOP_MAX_UPDATES)
        return error_set(err, ERR_CONFIG, "rows must be 1 to %d, updates_per_run 0 to %d",
                         SHOP_MAX_ROWS, SHOP_MAX_UPDATES);
    return 0;
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    if (check(config, run, err) < 0)
        return -1;
    for (size_t i = 0; i < SHOP_STREAMS; i++) {
        struct column *columns = arena_array(out->mem, shop_streams[i].n_columns, sizeof *columns);
        struct schema *schema = arena_alloc(out->mem, sizeof *schema);
        size_t *cursor = arena_alloc(out->mem, sizeof *cursor);
        struct stream *s = catalog_add(out);

        for (size_t j = 0; j < shop_streams[i].n_columns; j++)
            columns[j] = shop_streams[i].columns[j].column;
        *schema = (struct schema){columns, shop_streams[i].n_columns, shop_streams[i].key,
                                  shop_streams[i].n_key};
        *cursor = shop_streams[i].n_columns - 1; /* updated_at stands last everywhere */
        s->name = shop_streams[i].name;
        s->schema = schema;
        s->cursors = cursor;
        s->n_cursors = 1;
        s->source_defined_cursor = true;
        s->incremental = true;
        s->resumable = true;
        s->row_estimate = shop_rows(config, (enum shop_stream_id)i, 0);
    }
    return 0;
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    enum shop_stream_id which;

    if (check(config, run, err) < 0)
        return -1;
    if (find_shop_stream(stream->name, &which) < 0)
        return error_set(err, ERR_NOT_FOUND, "the shop has no stream \"%s\"", stream->name);
    *out_count = shop_rows(config, which, 0);
    *out_exact = true;
    return 0;
}

const struct source_connector source_sample = {
    .name = "sample",
    .title = "Sample shop",
    .docs = "A shop that exists nowhere, with `users`, `products` and `purchases` in every type "
            "there is: keys of one and two columns, decimals, JSON, intervals, bytes, NULLs and "
            "names from everywhere. The same seed always gives the same rows. The first "
            "incremental run reads everything, each later one what an hour in the shop changed.",
    .options = options,
    .config_size = sizeof(struct sample_config),
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_shop,
};

/*
 * Sample: the first rows of a stream as JSON. Reads as a sync does, into a sink that has enough.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"
#include "server/sync/job.h"
#include "server/sync/record.h"

#define DEFAULT_LIMIT    100
#define MAX_LIMIT        1000
#define MAX_SAMPLE_BYTES ((size_t)4 << 20)

struct sampler {
    struct sink_of_rows sink; /* first */
    struct buf records;
    struct jsonw w;
    int64_t limit, n;
    bool truncated; /* there is more than was taken */
};

static int enough(struct sampler *s, struct error *err)
{
    s->truncated = true;
    return error_set_reason(err, ERR_CANCELLED, "enough", "the sample is complete");
}

static int take_rows(struct sink_of_rows *sink, struct batch *rows, struct error *err)
{
    struct sampler *s = (struct sampler *)sink;

    for (size_t row = 0; row < batch_rows(rows); row++) {
        size_t before = s->records.len;
        struct jsonw w = s->w;

        if (s->n == s->limit)
            return enough(s, err);
        record_put(&s->w, rows, row);
        if (s->records.failed || s->records.len > MAX_SAMPLE_BYTES) {
            s->records.len = before;
            s->records.failed = false;
            s->w = w;
            return enough(s, err);
        }
        s->n++;
    }
    batch_clear(rows);
    return 0;
}

/* The columns named in `fields`, in that order; a sample may leave out the key. */
static int pick_fields(const struct doc *fields, struct arena *mem, struct selected_stream *io,
                       struct error *err)
{
    const struct schema *schema = io->stream->schema;
    size_t *columns = arena_array(mem, doc_count(fields) + 1, sizeof *columns);

    if (doc_count(fields) == 0)
        return 0;
    for (size_t i = 0; i < doc_count(fields); i++) {
        const char *name = doc_string(doc_at(fields, i), "");
        long column = schema_find(schema, name);

        if (column < 0)
            return error_set_reason(err, ERR_INVALID, "unknown_field",
                                    "stream \"%s\" has no field \"%s\"", io->stream->name, name);
        for (size_t k = 0; k < i; k++) {
            if (columns[k] == (size_t)column)
                return error_set_reason(err, ERR_INVALID, "duplicate_field",
                                        "field \"%s\" is named twice", name);
        }
        columns[i] = (size_t)column;
    }
    io->schema = schema_pick(mem, schema, columns, doc_count(fields));
    return 0;
}

/* The one stream of the request, with the fields it wants. */
static int select_stream(struct job *j, const struct catalog *catalog, struct selection *out,
                         struct error *err)
{
    struct problems problems = PROBLEMS_INIT(j->mem);
    struct doc *streams = doc_new_array(), *entry = doc_new_object();
    bool ok;

    doc_set(entry, "name", doc_new_string(doc_string(doc_get(j->request, "stream"), "")));
    doc_set(entry, "namespace", doc_new_string(doc_string(doc_get(j->request, "namespace"), "")));
    doc_append(streams, entry);
    ok = selection_resolve(streams, catalog, "", j->mem, out, &problems);
    doc_free(streams);
    if (!ok)
        return error_set_reason(err, ERR_INVALID, problems.items[0].code, "%s",
                                problems.items[0].message);
    return pick_fields(doc_get(j->request, "fields"), j->mem, &out->streams[0], err);
}

static void put_schema(struct jsonw *w, const struct schema *schema)
{
    struct doc *properties = doc_new_object(), *whole = doc_new_object();
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < schema->n_columns; i++)
        doc_set(properties, schema->columns[i].name, column_to_json_schema(&schema->columns[i]));
    doc_set(whole, "type", doc_new_string("object"));
    doc_set(whole, "properties", properties);
    doc_write(whole, &text);
    doc_free(whole);
    jsonw_key(w, "schema");
    jsonw_raw(w, buf_str(&text), text.len);
}

/* What a source that asks over HTTP has asked, secrets masked. */
static void put_requests(struct jsonw *w, const struct job_notes *notes)
{
    jsonw_key(w, "requests");
    jsonw_array(w);
    if (notes->n > 0)
        jsonw_raw(w, buf_str(&notes->text), notes->text.len);
    jsonw_array_end(w);
}

static void keep_sample(struct job *j, const struct sampler *s, const struct schema *schema)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(2 * MAX_SAMPLE_BYTES + (16 << 20));
    struct jsonw w = JSONW_INIT(&b);
    struct error err = ERROR_INIT;

    jsonw_object(&w);
    jsonw_key(&w, "records");
    jsonw_array(&w);
    if (s->n > 0)
        jsonw_raw(&w, buf_str(&s->records), s->records.len);
    jsonw_array_end(&w);
    jsonw_put_bool(&w, "truncated", s->truncated);
    put_schema(&w, schema);
    put_requests(&w, j->notes);
    jsonw_object_end(&w);
    if (buf_ok(&b, "the sample", &err) < 0)
        job_fail(j, ORIGIN_ENGINE, &err);
    else
        j->result_text = arena_memdup(j->mem, buf_str(&b), b.len);
}

static void read_sample(struct job *j, const struct source_setup *source,
                        const struct selection *selection)
{
    int64_t limit = doc_int(doc_get(j->request, "limit"), DEFAULT_LIMIT);
    struct sampler s = {.sink = sink_of_rows(take_rows),
                        .records = BUF_INIT(2 * MAX_SAMPLE_BYTES),
                        .limit = limit < MAX_LIMIT ? limit : MAX_LIMIT};
    struct stream_request want = {.want = &selection->streams[0]};
    struct read_request request = {.streams = &want, .n = 1};
    struct run run = job_run(j, "source");
    struct error err = ERROR_INIT;

    s.w = JSONW_INIT(&s.records);
    if (source->connector->read(source->config, &run, &request, &s.sink.sink, &err) < 0 &&
        !s.truncated)
        job_fail(j, ORIGIN_SOURCE, &err);
    else
        keep_sample(j, &s, selection->streams[0].schema);
    buf_release(&s.records);
}

void job_sample(struct job *j)
{
    struct run run = job_run(j, "source");
    struct catalog catalog = CATALOG_INIT(j->mem);
    struct selection selection;
    struct source_setup source;
    struct error err = ERROR_INIT;
    struct job_notes notes = {.text = BUF_INIT((size_t)16 << 20)};

    notes.w = JSONW_INIT(&notes.text);
    j->notes = &notes;
    if (job_source(j, &source, &err) < 0 ||
        source.connector->discover(source.config, &run, &catalog, &err) < 0 ||
        select_stream(j, &catalog, &selection, &err) < 0)
        job_fail(j, ORIGIN_SOURCE, &err);
    else
        read_sample(j, &source, &selection);
    j->notes = NULL;
    buf_release(&notes.text);
}

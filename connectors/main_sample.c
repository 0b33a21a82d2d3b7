/*
 * --load_sample_data: the first rows of each stream, read as in a sync into a sink that has enough.
 */
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/main_source.h"
#include "connectors/singer/write.h"

#define SAMPLE_ROWS    100
#define SAMPLE_BYTES   ((size_t)4 << 20)
#define MAX_LINE_BYTES ((size_t)256 << 20) /* one row of many large values */

struct sampler {
    struct sink_of_rows sink; /* first */
    struct buf rows;
    size_t n, limit;
    bool complete; /* there is more than was taken */
};

/* At least one row, whatever its size, so that something is seen. */
static int take_rows(struct sink_of_rows *sink, struct batch *rows, struct error *err)
{
    struct sampler *s = (struct sampler *)sink;
    struct singer_rows *encoder = singer_rows_new_plain(batch_schema(rows));
    size_t row = 0;

    while (row < batch_rows(rows) && s->n < s->limit && s->rows.len < SAMPLE_BYTES &&
           !s->rows.failed) {
        size_t next = singer_rows_put(encoder, &s->rows, rows, row, row + 1, SIZE_MAX);

        s->n += next - row;
        row = next;
    }
    singer_rows_free(encoder);
    s->complete = row < batch_rows(rows);
    batch_clear(rows);
    return s->complete ? error_set_reason(err, ERR_CANCELLED, "enough", "the sample is complete")
                       : 0;
}

static int put_sample(const char *id, const struct sampler *s)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(MAX_LINE_BYTES);
    struct jsonw w = JSONW_INIT(&line);

    jsonw_object(&w);
    jsonw_put_string(&w, "type", "SAMPLE_DATA");
    jsonw_put_string(&w, "stream_id", id);
    jsonw_key(&w, "sample_data");
    jsonw_array(&w);
    if (s->rows.len > 0)
        jsonw_raw(&w, s->rows.data, s->rows.len - 1); /* but for the last comma */
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    return main_answer(&line);
}

static int sample_stream(struct main_run *p, const struct chosen *c, size_t i)
{
    const struct stream_request want = {.want = &c->selection.streams[i]};
    const struct read_request request = {.streams = &want, .n = 1};
    struct sampler s = {
        .sink = sink_of_rows(take_rows), .rows = BUF_INIT(MAX_LINE_BYTES), .limit = SAMPLE_ROWS};
    struct error err = ERROR_INIT;
    int rc, status;

    if (c->limit > 0)
        s.limit = (size_t)c->limit;
    rc = p->connector->source->read(p->config, &p->run, &request, &s.sink.sink, &err);
    if (rc < 0 && s.complete) {
        err = ERROR_INIT; /* it was told that there is enough */
        rc = 0;
    }
    if (rc == 0)
        rc = buf_ok(&s.rows, "the sample", &err);
    status = rc < 0 ? main_fail(&err) : put_sample(c->ids[i], &s);
    buf_release(&s.rows);
    return status;
}

int main_sample(struct main_run *p, const struct chosen *chosen)
{
    int status = MAIN_DONE;

    for (size_t i = 0; i < chosen->selection.n && status == MAIN_DONE; i++)
        status = sample_stream(p, chosen, i);
    return status;
}

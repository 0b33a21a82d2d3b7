/*
 * The sync of a source program: what a source pushes becomes messages on standard output.
 *
 * A STATE covers everything before it, whichever stream that belongs to, so it is written only at
 * checkpoints. One that would follow another closely waits for the next checkpoint; the last one of
 * a stream does not.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/main_source.h"
#include "connectors/singer/write.h"

#define FLUSH_BYTES     ((size_t)256 << 10)
#define MAX_OUT_BYTES   ((size_t)512 << 20) /* one record of many large values */
#define MAX_STATE_BYTES ((size_t)64 << 20)
#define STATE_ROWS      10000 /* between two STATE messages, at least one of both */
#define STATE_US        1000000

struct tap_stream {
    struct singer_rows *rows; /* NULL until the first batch */
    char *bookmark;           /* JSON text; NULL = none */
    int64_t version;          /* of a full refresh that is not complete; 0 = this is none */
    bool tells_version;       /* in its rows: they replace those of other versions */
    int64_t n_rows;
};

struct tap {
    struct sink sink; /* first */
    struct main_run *p;
    const struct chosen *chosen;
    struct tap_stream *streams;
    size_t first; /* the sink's stream 0 is this one */
    struct buf out, state;
    const char *others; /* bookmarks of streams that are not read, `"name":{..},...` */
    int64_t rows;       /* since the last STATE */
    int64_t told_us;    /* when that was */
    int64_t n_failed;
    int64_t left; /* rows until the limit of the stream */
    bool enough;
};

/* ------------------------------------------------------------------------ state */

static void put_versions(struct tap *t, struct jsonw *w)
{
    jsonw_key(w, "versions");
    jsonw_object(w);
    for (size_t i = 0; i < t->chosen->selection.n; i++) {
        if (t->streams[i].version && t->streams[i].bookmark)
            jsonw_put_int(w, t->chosen->ids[i], t->streams[i].version);
    }
    jsonw_object_end(w);
}

/* {"bookmarks": {"namespace.name": position}, "versions": {..}}: all of it, each time. */
static int put_state(struct tap *t, struct error *err)
{
    struct jsonw w = JSONW_INIT(&t->state);
    bool unfinished = false;

    buf_clear(&t->state);
    jsonw_object(&w);
    jsonw_key(&w, "bookmarks");
    jsonw_object(&w);
    if (*t->others)
        jsonw_raw(&w, t->others, strlen(t->others));
    for (size_t i = 0; i < t->chosen->selection.n; i++) {
        const struct tap_stream *s = &t->streams[i];

        if (s->bookmark)
            jsonw_put_raw(&w, t->chosen->ids[i], s->bookmark);
        unfinished |= s->bookmark && s->version;
    }
    jsonw_object_end(&w);
    if (unfinished)
        put_versions(t, &w);
    jsonw_object_end(&w);
    if (buf_ok(&t->state, "the state", err) < 0)
        return -1;
    singer_put_state(&t->out, t->state.data, t->state.len);
    t->rows = 0;
    t->told_us = clock_monotonic_us();
    return 0;
}

static int flush(struct tap *t, struct error *err)
{
    if (buf_ok(&t->out, "a record", err) < 0 || main_write(buf_str(&t->out), t->out.len, err) < 0)
        return -1;
    buf_clear(&t->out);
    return 0;
}

static void keep_bookmark(struct tap_stream *s, const char *position)
{
    free(s->bookmark);
    s->bookmark = position ? xstrdup(position) : NULL;
}

/* ------------------------------------------------------------------------- sink */

static void put_schema(struct tap *t, size_t stream, const struct schema *schema)
{
    struct tap_stream *s = &t->streams[stream];

    singer_put_schema(&t->out, t->chosen->names[stream], &t->chosen->selection.streams[stream],
                      schema);
    singer_rows_free(s->rows);
    s->rows =
        singer_rows_new(t->chosen->names[stream], schema, NULL, s->tells_version ? s->version : 0);
}

static int on_begin(struct sink *sink, size_t stream, struct error *err)
{
    struct tap *t = (struct tap *)sink;

    (void)err;
    stream += t->first;
    put_schema(t, stream, t->chosen->selection.streams[stream].schema);
    return 0;
}

/* Singer has no place for what cannot be represented, and nothing is dropped silently. */
static int refuse_bad(const struct tap *t, size_t stream, const struct batch *rows,
                      struct error *err)
{
    size_t n_odd, n_rejected;
    const struct odd_cell *odd = batch_odd_cells(rows, &n_odd);
    const struct rejected_row *rejected = batch_rejected(rows, &n_rejected);
    const char *name = t->chosen->names[stream];

    if (n_rejected > 0)
        return error_set(err, ERR_DATA, "a row of \"%s\" cannot be read: %s", name,
                         rejected[0].detail);
    if (n_odd > 0)
        return error_set(err, ERR_DATA,
                         "a value of column \"%s\" cannot be represented (%s); leave the column of "
                         "\"%s\" out, or sync through the service, which quarantines it",
                         batch_schema(rows)->columns[odd[0].column].name,
                         reason_name(odd[0].reason), name);
    return 0;
}

static int put_rows(struct tap *t, struct tap_stream *s, const struct batch *rows,
                    struct error *err)
{
    for (size_t row = 0; row < batch_rows(rows);) {
        row = singer_rows_put(s->rows, &t->out, rows, row, batch_rows(rows), FLUSH_BYTES);
        if (t->out.len >= FLUSH_BYTES || t->out.failed) {
            if (flush(t, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* The rows that the limit allows; the rest is not wanted. */
static int put_limited(struct tap *t, struct tap_stream *s, const struct batch *rows,
                       struct error *err)
{
    size_t row = 0;

    for (; row < batch_rows(rows) && t->left > 0; t->left--) {
        row = singer_rows_put(s->rows, &t->out, rows, row, row + 1, SIZE_MAX);
        if (buf_ok(&t->out, "a record", err) < 0)
            return -1;
    }
    if (flush(t, err) < 0)
        return -1;
    s->n_rows += (int64_t)row;
    t->enough = row < batch_rows(rows);
    if (t->enough)
        return error_set_reason(err, ERR_CANCELLED, "enough", "the limit is reached");
    return 0;
}

static int on_write(struct sink *sink, size_t stream, struct batch *rows, struct error *err)
{
    struct tap *t = (struct tap *)sink;
    struct tap_stream *s = &t->streams[stream += t->first];

    if (cancel_check(t->p->run.cancel, err) < 0 || refuse_bad(t, stream, rows, err) < 0)
        return -1;
    if (!singer_rows_fit(s->rows, batch_schema(rows)))
        put_schema(t, stream, batch_schema(rows));
    if (t->chosen->limit > 0) {
        if (put_limited(t, s, rows, err) < 0)
            return -1;
    } else {
        if (put_rows(t, s, rows, err) < 0)
            return -1;
        s->n_rows += (int64_t)batch_rows(rows);
    }
    t->rows += (int64_t)batch_rows(rows);
    batch_clear(rows);
    return 0;
}

static int on_checkpoint(struct sink *sink, size_t stream, const char *position, struct error *err)
{
    struct tap *t = (struct tap *)sink;

    keep_bookmark(&t->streams[t->first + stream], position);
    if (t->rows < STATE_ROWS && clock_monotonic_us() - t->told_us < STATE_US)
        return 0;
    return put_state(t, err) < 0 || flush(t, err) < 0 ? -1 : 0;
}

static int on_dropped(struct sink *sink, size_t stream, int64_t filtered, int64_t overlap_dropped,
                      struct error *err)
{
    (void)sink;
    (void)stream;
    (void)filtered;
    (void)overlap_dropped;
    (void)err;
    return 0;
}

static int on_end(struct sink *sink, size_t stream, const char *position, struct error *err)
{
    struct tap *t = (struct tap *)sink;
    struct tap_stream *s = &t->streams[stream += t->first];

    /* A full refresh that is complete leaves nothing to go on from: the next one begins anew. */
    keep_bookmark(s, s->version ? NULL : position);
    if (s->tells_version)
        singer_put_activate_version(&t->out, t->chosen->names[stream], s->version);
    s->version = 0;
    log_info(
        t->p->run.log, .message = "stream complete",
        .fields = {log_text("stream", t->chosen->names[stream]), log_int("records", s->n_rows)});
    return put_state(t, err) < 0 || flush(t, err) < 0 ? -1 : 0;
}

/* The other streams go on; the exit status tells. */
static int on_fail(struct sink *sink, size_t stream, const struct error *why, struct error *err)
{
    struct tap *t = (struct tap *)sink;

    (void)err;
    stream += t->first;
    t->n_failed++;
    log_error(t->p->run.log, .message = "stream failed",
              .fields = {log_text("stream", t->chosen->names[stream]),
                         log_text("error", why->message), log_text("reason", error_reason(why))});
    return 0;
}

static const struct sink_ops ops = {
    .begin = on_begin,
    .write = on_write,
    .checkpoint = on_checkpoint,
    .count_dropped = on_dropped,
    .end = on_end,
    .fail = on_fail,
};

/* ------------------------------------------------------------------------ setup */

static bool is_chosen(const struct chosen *c, const char *id)
{
    for (size_t i = 0; i < c->selection.n; i++) {
        if (!strcmp(c->ids[i], id))
            return true;
    }
    return false;
}

static char *text_of(const struct doc *d, struct arena *mem)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_STATE_BYTES);

    doc_write(d, &text);
    return arena_memdup(mem, buf_str(&text), text.len);
}

/* Streams that this run does not read keep their bookmarks. */
static const char *other_bookmarks(const struct chosen *c, const struct doc *bookmarks,
                                   struct arena *mem)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_STATE_BYTES);
    struct jsonw w = JSONW_INIT(&text);

    for (const struct doc_member *it = doc_first(bookmarks); it; it = doc_next(bookmarks, it)) {
        if (!is_chosen(c, doc_member_key(it)))
            jsonw_put_raw(&w, doc_member_key(it), text_of(doc_member_value(it), mem));
    }
    return arena_strdup(mem, buf_str(&text));
}

/* Where each stream goes on, by its full name or else its plain one. */
static void take_state(struct tap *t, const struct doc *state)
{
    const struct doc *bookmarks = doc_get(state, "bookmarks");
    const struct doc *versions = doc_get(state, "versions");
    struct arena *mem = t->p->run.mem;

    t->others = other_bookmarks(t->chosen, bookmarks, mem);
    for (size_t i = 0; i < t->chosen->selection.n; i++) {
        const struct selected_stream *want = &t->chosen->selection.streams[i];
        const struct doc *bookmark = doc_get(bookmarks, t->chosen->ids[i]);
        struct tap_stream *s = &t->streams[i];

        if (!bookmark)
            bookmark = doc_get(bookmarks, want->stream->name);
        if (want->sync_mode == SYNC_FULL_REFRESH) {
            s->version = doc_int(doc_get(versions, t->chosen->ids[i]), 0);
            s->tells_version = want->write_mode == WRITE_OVERWRITE;
        }
        /* One that was interrupted goes on in the version that it began with. */
        if (doc_count(bookmark) > 0 && (s->version || want->sync_mode == SYNC_INCREMENTAL))
            keep_bookmark(s, text_of(bookmark, mem));
        if (want->sync_mode == SYNC_FULL_REFRESH && s->version <= 0)
            s->version = t->p->run.started_unix_us / 1000;
    }
}

static int read_streams(struct tap *t, size_t first, size_t n, struct error *err)
{
    struct stream_request *wants = arena_array(t->p->run.mem, n + 1, sizeof *wants);
    const struct read_request request = {.streams = wants, .n = n};

    t->first = first;
    for (size_t i = 0; i < n; i++)
        wants[i] = (struct stream_request){.want = &t->chosen->selection.streams[first + i],
                                           .position = t->streams[first + i].bookmark};
    return t->p->connector->source->read(t->p->config, &t->p->run, &request, &t->sink, err);
}

/* With a limit each stream is read alone: one that has enough must not end the others. */
static int read_all(struct tap *t, struct error *err)
{
    size_t n = t->chosen->selection.n;

    if (t->chosen->limit <= 0)
        return read_streams(t, 0, n, err);
    for (size_t i = 0; i < n; i++) {
        t->left = t->chosen->limit;
        t->enough = false;
        if (read_streams(t, i, 1, err) == 0)
            continue;
        if (!t->enough)
            return -1;
        *err = ERROR_INIT;
    }
    return 0;
}

static int sync_streams(struct tap *t)
{
    struct error err = ERROR_INIT, flushing = ERROR_INIT;
    int rc = t->chosen->selection.n ? read_all(t, &err) : 0;

    /* What stands behind the last STATE counts for nothing when it failed, yet it may be useful. */
    if (flush(t, &flushing) < 0 && rc == 0) {
        err = flushing;
        rc = -1;
    }
    if (rc < 0)
        return main_fail(&err);
    return t->n_failed > 0 ? MAIN_FAILED : MAIN_DONE;
}

int main_sync(struct main_run *p, const struct chosen *chosen, const struct doc *state)
{
    struct tap t = {.sink = {&ops},
                    .p = p,
                    .chosen = chosen,
                    .out = BUF_INIT(MAX_OUT_BYTES),
                    .state = BUF_INIT(MAX_STATE_BYTES),
                    .told_us = clock_monotonic_us()};
    int status;

    t.streams = arena_array(p->run.mem, chosen->selection.n + 1, sizeof *t.streams);
    take_state(&t, state);
    status = sync_streams(&t);
    for (size_t i = 0; i < chosen->selection.n; i++) {
        singer_rows_free(t.streams[i].rows);
        free(t.streams[i].bookmark);
    }
    buf_release(&t.out);
    buf_release(&t.state);
    return status;
}

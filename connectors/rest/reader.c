#include "connectors/rest/reader_internal.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/rest/rows.h"
#include "connectors/rest/walk.h"

#define CHECKPOINT_ROWS 2048 /* between two checkpoints, at least, or ... */
#define CHECKPOINT_US   INT64_C(1000000)

/* One stream being read. */
struct reading {
    const struct rest_source *src;
    const struct rest_stream *stream;
    const struct selected_stream *want;
    struct family *family;
    struct run *run;
    struct sink *out;
    size_t index;
    struct arena *mem;
    struct rows *rows;
    struct rows_sink to;
    struct increment increment;
    bool incremental, keyed, sink_failed, wrote;
    struct walk walk;
    const char *etag; /* of the last complete run */
    int64_t rows_behind, checkpoint_us;
    struct buf position, behind; /* behind: where it stood after the last page */
    struct arena *place;         /* of a position while it is written, of a cursor */
};

static int from_sink(struct reading *r, int rc)
{
    r->sink_failed |= rc < 0;
    return rc;
}

/* ------------------------------------------------------------------------- rows */

static int flush(void *arg, struct batch *rows, struct error *err)
{
    struct reading *r = arg;

    r->rows_behind += (int64_t)batch_rows(rows);
    if (from_sink(r, sink_write(r->out, r->index, rows, err)) < 0)
        return -1;
    if (!r->wrote && failpoint("after_first_row", err) < 0)
        return -1;
    r->wrote = true;
    return 0;
}

static int keep(void *arg, const struct rest_value *cursor, bool *out, struct error *err)
{
    struct reading *r = arg;

    *out = true;
    arena_clear(r->place); /* a page may have more records than there is memory */
    if (r->incremental && increment_keep(&r->increment, cursor, r->place, out, err) < 0)
        return -1;
    r->walk.page_kept += *out;
    return 0;
}

static int take_record(void *arg, struct slice record, const struct scopes *s, struct error *err)
{
    struct reading *r = arg;
    struct rows_counts c = {0};

    if (rows_put(r->rows, record, s, &r->to, &c, err) < 0)
        return error_wrap(err, "record %lld of the page", (long long)r->walk.page_records);
    if (!r->stream->incremental.present)
        r->walk.page_kept++;
    if (c.filtered == 0 && c.overlap == 0)
        return 0;
    return from_sink(r, sink_count_dropped(r->out, r->index, c.filtered, c.overlap, err));
}

/* -------------------------------------------------------------------- positions */

/* `known`: the parents that the bookmarks speak for. */
static void put_bookmarks(struct reading *r, struct jsonw *w, const struct known *known)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(2 * KNOWN_MAX * sizeof(uint64_t));
    const struct increment *i = &r->increment;
    enum rest_cursor_type type = i->how->type;

    if (i->safe.known)
        jsonw_put_string(w, "safe", bound_text(type, &i->safe, r->place));
    if (i->high.known)
        jsonw_put_string(w, "high", bound_text(type, &i->high, r->place));
    known_put(known, &names);
    if (names.len > 0)
        jsonw_put_string(w, "known", buf_str(&names));
}

/* Within a run. */
static const char *position_here(struct reading *r, bool in_pages)
{
    struct jsonw w = JSONW_INIT(&r->position);

    buf_clear(&r->position);
    arena_clear(r->place);
    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "page");
    if (r->incremental) {
        put_bookmarks(r, &w, &r->walk.known);
        if (r->walk.lower.known)
            jsonw_put_string(&w, "lower",
                             bound_text(r->increment.how->type, &r->walk.lower, r->place));
        if (r->increment.upper.known)
            jsonw_put_string(&w, "upper",
                             bound_text(r->increment.how->type, &r->increment.upper, r->place));
    }
    walk_put(&r->walk, in_pages, &r->position);
    buf_putc(&r->position, '}');
    return buf_str(&r->position);
}

static const char *position_done(struct reading *r)
{
    struct jsonw w = JSONW_INIT(&r->position);

    buf_clear(&r->position);
    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "page");
    if (r->incremental)
        put_bookmarks(r, &w, &r->walk.now);
    else
        jsonw_put_bool(&w, "done", true);
    if (r->walk.etag && r->stream->etag)
        jsonw_put_string(&w, "etag", r->walk.etag);
    jsonw_object_end(&w);
    return buf_str(&r->position);
}

static int checkpoint_at(struct reading *r, const char *position, struct error *err)
{
    int rc;

    if (rows_flush(r->rows, &r->to, err) < 0)
        return -1;
    r->rows_behind = 0;
    r->checkpoint_us = clock_monotonic_us();
    rc = from_sink(r, sink_checkpoint(r->out, r->index, position, err));
    buf_clear(&r->behind);
    return rc;
}

static int checkpoint(struct reading *r, bool in_pages, struct error *err)
{
    return checkpoint_at(r, position_here(r, in_pages), err);
}

/* The pages that came whole before a failure are kept. Rows of the page that failed may be among
 * them: they are merged by key when that page is read again. */
static int keep_what_came(struct reading *r, struct error *err)
{
    if (r->behind.len == 0)
        return 0;
    return checkpoint_at(r, buf_str(&r->behind), err);
}

static int on_page(void *arg, struct walk *w, bool more, struct error *err)
{
    struct reading *r = arg;
    bool due = r->rows_behind >= CHECKPOINT_ROWS ||
               clock_monotonic_us() - r->checkpoint_us >= CHECKPOINT_US;

    if (failpoint("after_page", err) < 0)
        return -1;
    /* The first rows at once: a sample has enough of them, and asks for no more pages. */
    if (!r->wrote && rows_flush(r->rows, &r->to, err) < 0)
        return -1;
    /* Between the pages of one parent there is no place to go on from. */
    if (!r->keyed || (w->parents ? more || w->page_records > 0 : !more))
        return 0;
    if (due)
        return checkpoint(r, true, err);
    buf_clear(&r->behind);
    buf_puts(&r->behind, position_here(r, true));
    return 0;
}

/* Nothing can join a closed window any more, so its end is a place to go on from without a key. */
static int on_window(void *arg, struct walk *w, struct error *err)
{
    struct reading *r = arg;

    if (r->keyed || w->parents || !r->increment.closed || !r->stream->incremental.window_us)
        return 0;
    return checkpoint(r, false, err);
}

/* ---------------------------------------------------------------------- reading */

static const char *member(const char *position, const char *name, struct arena *mem)
{
    const struct path_step step = {PATH_KEY, name, 0};
    const struct path path = {name, &step, 1};
    struct error ignored = ERROR_INIT;
    struct rest_value v;

    if (!position ||
        path_find(&path, (struct slice){position, strlen(position)}, mem, &v, &ignored) < 0 ||
        v.kind == VALUE_MISSING || v.kind == VALUE_NULL)
        return NULL;
    return rest_value_text(&v, mem);
}

static struct bound bound_member(struct reading *r, const char *position, const char *name)
{
    const char *text = member(position, name, r->mem);
    struct rest_value v = {.kind = VALUE_STRING};
    struct bound b = {0};

    if (text)
        v.text = (struct slice){text, strlen(text)};
    if (!text || !bound_read(r->increment.how->type, &v, r->mem, &b))
        b = (struct bound){0};
    return b;
}

static int bound_of(struct reading *r, const struct template *t, const char *what,
                    struct bound *out, struct error *err)
{
    struct scopes s = *r->src->values;
    struct rest_value v;

    *out = (struct bound){0};
    if (!t)
        return 0;
    s.json[SCOPE_run] = (struct slice){r->walk.run_json, strlen(r->walk.run_json)};
    if (template_render(t, &s, r->mem, &v, err) < 0)
        return error_wrap(err, "the %s of incremental", what);
    if (!bound_read(r->increment.how->type, &v, r->mem, out))
        return error_set_reason(err, ERR_CONFIG, "cursor_type",
                                "the %s of incremental, \"%s\", is of another type", what,
                                rest_value_text(&v, r->mem));
    return 0;
}

static int begin_increment(struct reading *r, const char *position, struct error *err)
{
    struct increment *i = &r->increment;
    struct bound start, end, upper;

    if (!r->stream->incremental.present)
        return 0;
    r->walk.increment = i;
    known_read(&r->walk.known, member(position, "known", r->mem));
    i->safe = r->incremental ? bound_member(r, position, "safe") : (struct bound){0};
    i->high = r->incremental ? bound_member(r, position, "high") : (struct bound){0};
    if (bound_of(r, r->stream->incremental.start, "start", &start, err) < 0 ||
        bound_of(r, r->stream->incremental.end, "end", &end, err) < 0 ||
        increment_begin(i, &start, &end, r->run->started_unix_us, err) < 0)
        return -1;
    r->walk.start = start;
    /* What the first attempt set out to read, and no more: newer rows belong to the next run. */
    upper = bound_member(r, position, "upper");
    if (upper.known) {
        struct bound lower = bound_member(r, position, "lower");

        i->upper = upper;
        i->lower = lower.known ? lower : i->lower;
    }
    return 0;
}

static int read_rows(struct reading *r, const char *position, struct error *err)
{
    const char *etag = member(position, "etag", r->mem);
    const char *kind = member(position, "kind", r->mem);

    if (position && (!kind || strcmp(kind, "page") != 0))
        return error_set_reason(err, ERR_RESYNC, "position_unknown",
                                "the position of stream \"%s\" is not one of an API",
                                r->stream->name);
    if (member(position, "done", r->mem))
        return from_sink(r, sink_end(r->out, r->index, position, err));
    if (r->stream->paginate.split_records && !r->keyed)
        return error_set_reason(err, ERR_CONFIG, "key_needed",
                                "the API gives %lld records for one question, and what comes twice "
                                "behind them can only be merged by a key",
                                (long long)r->stream->paginate.split_records);
    r->walk.etag = etag;
    r->walk.to = (struct walker){.record = take_record,
                                 .page = on_page,
                                 .window = on_window,
                                 .arg = r,
                                 .keeps = true,
                                 .merges = r->keyed};
    if (begin_increment(r, position, err) < 0 || walk_all(&r->walk, position, err) < 0)
        return -1;
    if (r->incremental)
        increment_end(&r->increment, r->walk.date_us);
    if (rows_flush(r->rows, &r->to, err) < 0)
        return -1;
    return from_sink(r, sink_end(r->out, r->index, position_done(r), err));
}

static int read_stream(struct reading *r, struct fetcher *f, const char *position,
                       struct error *err)
{
    struct error why = ERROR_INIT;
    int rc;

    r->stream = document_find(r->src->doc, r->want->stream->name);
    if (!r->stream)
        return error_set(err, ERR_NOT_FOUND, "the document has no stream \"%s\"",
                         r->want->stream->name);
    if (from_sink(r, sink_begin(r->out, r->index, err)) < 0)
        return -1;
    r->incremental = r->want->sync_mode == SYNC_INCREMENTAL;
    r->keyed = selected_stream_merges(r->want);
    r->mem = arena_new();
    r->place = arena_new();
    r->position = r->behind = BUF_INIT((size_t)4 << 20);
    r->rows = rows_new(r->stream, r->want, r->run);
    r->to = (struct rows_sink){flush, keep, r};
    r->checkpoint_us = clock_monotonic_us();
    increment_init(&r->increment, &r->stream->incremental,
                   r->incremental && r->want->write_mode == WRITE_APPEND);
    walk_init(&r->walk, f, r->stream, r->src->values, r->family, r->run);
    rc = read_rows(r, position, &why);
    if (rc < 0 && !r->sink_failed && why.code != ERR_CANCELLED && keep_what_came(r, err) < 0)
        why = *err;
    walk_release(&r->walk);
    increment_release(&r->increment);
    rows_free(r->rows);
    buf_release(&r->position);
    buf_release(&r->behind);
    arena_free(r->place);
    arena_free(r->mem);
    if (rc == 0)
        return 0;
    error_wrap(&why, "stream \"%s\"", r->stream->name);
    if (r->sink_failed || why.code == ERR_CANCELLED) {
        *err = why;
        return -1;
    }
    return sink_fail(r->out, r->index, &why, err);
}

int rest_open(const struct rest_source *src, struct run *run, struct fetcher **out,
              struct error *err)
{
    return fetcher_new(src->doc, src->values, run, src->secrets_at, out, err);
}

int rest_read(const struct rest_source *src, struct run *run, const struct read_request *req,
              struct sink *out, struct error *err)
{
    CLEANUP(fetcher_free_cleanup) struct fetcher *f = NULL;
    struct family family = {0};
    int rc = rest_open(src, run, &f, err);

    family_init(&family, run, src->doc);
    for (size_t i = 0; i < req->n; i++)
        family_add(&family, document_find(src->doc, req->streams[i].want->stream->name));
    for (size_t i = 0; i < req->n && rc == 0; i++) {
        struct reading r = {.src = src,
                            .want = req->streams[i].want,
                            .family = &family,
                            .run = run,
                            .out = out,
                            .index = i};

        rc = cancel_check(run->cancel, err);
        if (rc == 0)
            rc = read_stream(&r, f, req->streams[i].position, err);
    }
    family_release(&family);
    return rc;
}

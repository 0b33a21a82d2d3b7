#include "connectors/rest/reader.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/rest/rows.h"
#include "connectors/rest/walk.h"

#define CHECKPOINT_ROWS 2048 /* between two checkpoints, at least, or ... */
#define CHECKPOINT_US   INT64_C(1000000)
#define INFER_RECORDS   1000
#define INFER_PAGES     10

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
        if (r->increment.lower.known)
            jsonw_put_string(&w, "lower",
                             bound_text(r->increment.how->type, &r->increment.lower, r->place));
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
    r->walk.to = (struct walker){take_record, on_page, on_window, r, true};
    if (begin_increment(r, position, err) < 0 || walk_all(&r->walk, position, err) < 0)
        return -1;
    if (r->incremental)
        increment_end(&r->increment, r->walk.date_us);
    if (rows_flush(r->rows, &r->to, err) < 0)
        return -1;
    return from_sink(r, sink_end(r->out, r->index, position_done(r), err));
}

static const struct rest_stream *find_stream(const struct rest_document *d, const char *name)
{
    for (size_t i = 0; i < d->n_streams; i++) {
        if (strcmp(d->streams[i].name, name) == 0)
            return &d->streams[i];
    }
    return NULL;
}

static int read_stream(struct reading *r, struct fetcher *f, const char *position,
                       struct error *err)
{
    struct error why = ERROR_INIT;
    int rc;

    r->stream = find_stream(r->src->doc, r->want->stream->name);
    if (!r->stream)
        return error_set(err, ERR_NOT_FOUND, "the document has no stream \"%s\"",
                         r->want->stream->name);
    if (from_sink(r, sink_begin(r->out, r->index, err)) < 0)
        return -1;
    r->incremental = r->want->sync_mode == SYNC_INCREMENTAL;
    r->keyed = r->want->schema->n_key > 0 && r->want->write_mode != WRITE_APPEND;
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

static int open_fetcher(const struct rest_source *src, struct run *run, struct fetcher **out,
                        struct error *err)
{
    return fetcher_new(src->doc, src->values, run, src->secrets_at, out, err);
}

int rest_read(const struct rest_source *src, struct run *run, const struct read_request *req,
              struct sink *out, struct error *err)
{
    CLEANUP(fetcher_free_cleanup) struct fetcher *f = NULL;
    struct family family = {0};
    int rc = open_fetcher(src, run, &f, err);

    for (size_t i = 0; i < req->n; i++) {
        const struct rest_stream *s = find_stream(src->doc, req->streams[i].want->stream->name);

        if (s)
            family_add(&family, s);
    }
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

/* --------------------------------------------------------------------- discovery */

struct looking {
    struct rows_infer *infer;
    struct walk *walk;
};

static int look(void *arg, struct slice record, const struct scopes *s, struct error *err)
{
    struct looking *l = arg;

    if (rows_infer_seen(l->infer) >= INFER_RECORDS) {
        l->walk->ended = true;
        return 0;
    }
    return rows_infer_look(l->infer, record, s, err);
}

/* Begins where an incremental stream would the first time. */
static int begin_sample(const struct rest_source *src, struct walk *w, struct increment *i,
                        struct error *err)
{
    const struct rest_incremental *how = &w->stream->incremental;
    struct bound start = {0}, end = {0};
    struct scopes s = *src->values;
    struct rest_value v;

    if (!how->present)
        return 0;
    s.json[SCOPE_run] = (struct slice){w->run_json, strlen(w->run_json)};
    w->increment = i;
    if (template_render(how->start, &s, w->mem, &v, err) < 0)
        return -1;
    if (!bound_read(how->type, &v, w->mem, &start))
        return error_set_reason(err, ERR_CONFIG, "cursor_type",
                                "the start of incremental is of another type");
    return increment_begin(i, &start, &end, w->run->started_unix_us, err);
}

static int sample_stream(const struct rest_source *src, struct fetcher *f,
                         const struct rest_stream *s, struct run *run, struct rows_infer *infer,
                         struct error *err)
{
    struct looking l = {.infer = infer};
    struct family family = {0};
    struct increment i;
    struct walk w;
    int rc;

    family_add(&family, s);
    walk_init(&w, f, s, src->values, &family, run);
    increment_init(&i, &s->incremental, false);
    l.walk = &w;
    w.max_pages = INFER_PAGES;
    w.to = (struct walker){.record = look, .arg = &l};
    rc = begin_sample(src, &w, &i, err);
    if (rc == 0)
        rc = walk_all(&w, NULL, err);
    increment_release(&i);
    walk_release(&w);
    family_release(&family);
    return rc;
}

static int discover_stream(const struct rest_source *src, struct fetcher *f,
                           const struct rest_stream *s, struct run *run, struct catalog *out,
                           struct error *err)
{
    CLEANUP(rows_infer_free_cleanup) struct rows_infer *infer = rows_infer_new(s);
    const struct rest_incremental *inc = &s->incremental;
    const struct schema *schema;
    struct stream *stream;
    long cursor = -1;

    if (s->schema_kind == REST_SCHEMA_INFER && sample_stream(src, f, s, run, infer, err) < 0)
        return error_wrap(err, "stream \"%s\"", s->name);
    if (rows_infer_schema(infer, out->mem, &schema, err) < 0)
        return -1;
    stream = catalog_add(out);
    stream->name = arena_strdup(out->mem, s->name);
    stream->schema = schema;
    stream->namespace = "";
    stream->row_estimate = -1;
    stream->incremental = stream->source_defined_cursor = inc->present;
    stream->resumable = schema->n_key > 0;
    if (inc->present && inc->field.n == 1 && inc->field.steps[0].kind == PATH_KEY)
        cursor = schema_find(schema, inc->field.steps[0].key);
    if (cursor >= 0) {
        size_t *cursors = arena_array(out->mem, 1, sizeof *cursors);

        cursors[0] = (size_t)cursor;
        stream->cursors = cursors;
        stream->n_cursors = 1;
    }
    return 0;
}

int rest_discover(const struct rest_source *src, struct run *run, struct catalog *out,
                  struct error *err)
{
    CLEANUP(fetcher_free_cleanup) struct fetcher *f = NULL;

    if (open_fetcher(src, run, &f, err) < 0)
        return -1;
    for (size_t i = 0; i < src->doc->n_streams; i++) {
        if (!src->doc->streams[i].selected)
            continue;
        if (cancel_check(run->cancel, err) < 0 ||
            discover_stream(src, f, &src->doc->streams[i], run, out, err) < 0)
            return -1;
    }
    return 0;
}

/* -------------------------------------------------------------------- check, count */

static int ignore_record(void *arg, struct slice record, struct error *err)
{
    (void)arg;
    (void)record;
    (void)err;
    return 0;
}

/* The request that the document names for it, else the first page of the first stream. */
int rest_check(const struct rest_source *src, struct run *run, struct error *err)
{
    /* No body has this member, so all of it is there for the error rules to look at. */
    static const struct path_step nothing = {PATH_KEY, "\001", 0};
    static const struct rest_stream none = {.name = "check",
                                            .records = {.records = {"", &nothing, 1}}};
    CLEANUP(fetcher_free_cleanup) struct fetcher *f = NULL;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct fetch_taker to = {ignore_record, NULL, NULL};
    struct fetch_request r;
    struct fetch_result page;
    struct error why = ERROR_INIT;

    if (open_fetcher(src, run, &f, err) < 0)
        return -1;
    if (!src->doc->has_check) {
        CLEANUP(rows_infer_free_cleanup)
        struct rows_infer *infer = rows_infer_new(&src->doc->streams[0]);

        return sample_stream(src, f, &src->doc->streams[0], run, infer, err);
    }
    if (fetch_render(f, &src->doc->check, src->values, mem, &r, err) < 0)
        return error_wrap(err, "check");
    if (fetch_page(f, &none, &r, &to, &page, &why) == 0)
        return 0;
    /* What it answers when all is well is its own affair, as long as it answers. */
    if (strcmp(error_reason(&why), "body_not_decodable") == 0)
        return 0;
    *err = why;
    return error_wrap(err, "check");
}

struct counting {
    const struct rest_stream *stream;
    struct arena *mem;
    int64_t total;
};

static int read_total(void *arg, const struct fetch_result *page, struct error *err)
{
    struct counting *c = arg;
    struct rest_value v;

    c->total = -1;
    if (path_find(&c->stream->paginate.total, page->envelope, c->mem, &v, err) < 0)
        return -1;
    if (v.kind == VALUE_NUMBER && !text_to_int64(v.text.ptr, v.text.len, &c->total))
        c->total = -1;
    return 0;
}

int rest_count(const struct rest_source *src, struct run *run, const struct stream *stream,
               int64_t *out_count, bool *out_exact, struct error *err)
{
    const struct rest_stream *s = find_stream(src->doc, stream->name);
    CLEANUP(fetcher_free_cleanup) struct fetcher *f = NULL;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct counting c = {.stream = s, .mem = mem, .total = -1};
    const struct fetch_taker to = {ignore_record, read_total, &c};
    struct fetch_request r;
    struct fetch_result page;
    struct pager pager;
    int rc;

    if (!s || !s->paginate.has_total || s->for_each.parent || s->incremental.present)
        return error_set(err, ERR_UNSUPPORTED, "the API does not tell how many there are");
    if (open_fetcher(src, run, &f, err) < 0)
        return -1;
    pager_init(&pager, &s->paginate);
    rc = fetch_render(f, &s->request, src->values, mem, &r, err);
    if (rc == 0)
        rc = pager_apply(&pager, &r, mem, err);
    if (rc == 0)
        rc = fetch_page(f, s, &r, &to, &page, err);
    pager_release(&pager);
    if (rc < 0)
        return -1;
    if (c.total < 0)
        return error_set(err, ERR_UNSUPPORTED, "the API does not tell how many there are");
    *out_count = c.total;
    *out_exact = false; /* what another sees may be more than what we may read */
    return 0;
}

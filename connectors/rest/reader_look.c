/*
 * What there is to read, whether it can be, and how much: without reading it.
 */
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/rest/reader_internal.h"
#include "connectors/rest/rows.h"
#include "connectors/rest/walk.h"

#define INFER_RECORDS 1000
#define INFER_PAGES   10

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
    struct family family;
    struct increment i;
    struct walk w;
    int rc;

    family_init(&family, run, src->doc);
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

/* What is deleted while pages are counted through pulls rows past the reading, and what comes
 * pushes some of them into the next page again. */
static void doubt_pages(const struct rest_stream *s, struct stream *out)
{
    const struct rest_paginate *how = &s->paginate;
    bool numbered = how->type == REST_PAGE_NUMBER || how->type == REST_PAGE_OFFSET;

    if (!numbered || how->stable)
        return;
    if (how->overlap)
        out->doubt_unmerged = "pages are counted: what changes while they are read may be missed, "
                              "or come twice, where rows are not merged by a key";
    else
        out->doubt = "pages are counted: what changes while they are read may be missed, or come "
                     "twice without a key (see stable and overlap of paginate)";
}

/* Children are as certain as the list of their parents, which is read for its fields alone. */
static void doubt_parents(const struct rest_stream *s, struct stream *out)
{
    for (; s->for_each.parent && !out->doubt; s = s->for_each.parent) {
        struct stream parents = {0};

        doubt_pages(s->for_each.parent, &parents);
        if (parents.doubt || (parents.doubt_unmerged && !s->for_each.distinct))
            out->doubt = "pages of the parents are counted: what changes while they are read may "
                         "be missed (see stable and overlap of paginate)";
    }
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
    doubt_pages(s, stream);
    doubt_parents(s, stream);
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

    if (rest_open(src, run, &f, err) < 0)
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
    const struct fetch_taker to = {.each = ignore_record};
    struct fetch_request r;
    struct fetch_result page;
    struct error why = ERROR_INIT;

    if (rest_open(src, run, &f, err) < 0)
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
    const struct rest_stream *s = document_find(src->doc, stream->name);
    CLEANUP(fetcher_free_cleanup) struct fetcher *f = NULL;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct counting c = {.stream = s, .mem = mem, .total = -1};
    const struct fetch_taker to = {.each = ignore_record, .complete = read_total, .arg = &c};
    struct fetch_request r;
    struct fetch_result page;
    struct pager pager;
    int rc;

    if (!s || !s->paginate.has_total || s->for_each.parent || s->incremental.present)
        return error_set(err, ERR_UNSUPPORTED, "the API does not tell how many there are");
    if (rest_open(src, run, &f, err) < 0)
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

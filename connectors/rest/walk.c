#include "connectors/rest/walk_internal.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

void walk_init(struct walk *w, struct fetcher *f, const struct rest_stream *s,
               const struct scopes *values, struct family *family, struct run *run)
{
    char started[CLOCK_TEXT_BYTES];

    *w = (struct walk){.fetcher = f, .stream = s, .run = run, .values = values, .family = family};
    w->mem = arena_new();
    w->page_mem = arena_new();
    w->next_mem = arena_new();
    w->parent = BUF_INIT(PAGE_MAX_RECORD);
    pager_init(&w->pager, &s->paginate);
    overlap_init(&w->overlap);
    clock_format_us(run->started_unix_us, started);
    w->run_json = arena_printf(w->mem, "{\"started_at\":\"%s\"}", started);
}

void walk_release(struct walk *w)
{
    pager_release(&w->pager);
    overlap_release(&w->overlap);
    parents_reader_release(&w->reading);
    parents_free(w->own_parents);
    known_release(&w->known);
    known_release(&w->now);
    buf_release(&w->parent);
    arena_free(w->mem);
    arena_free(w->page_mem);
    arena_free(w->next_mem);
}

static struct slice json_of(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* All windows of one slice; with `within` the first is known and the pager stands in it. */
static int read_windows(struct walk *w, bool within, struct error *err)
{
    bool first = true;

    if (!w->increment)
        return walk_pages(w, err);
    while (!w->ended && ((within && first) || increment_next_window(w->increment))) {
        if (!(within && first))
            walk_new_sequence(w);
        first = false;
        if (walk_pages(w, err) < 0 || (w->to.window && w->to.window(w->to.arg, w, err) < 0))
            return -1;
    }
    return 0;
}

int walk_slices(struct walk *w, enum walk_begin begin, struct error *err)
{
    size_t n = w->n_slices;

    for (; w->slice < n && !w->ended; w->slice++) {
        walk_begin_slice(w);
        if (begin == WALK_NEW) {
            walk_new_sequence(w);
            if (w->increment)
                w->increment->read_any = false;
        }
        if (read_windows(w, begin == WALK_IN_WINDOW, err) < 0)
            return n > 1 ? error_wrap(err, "slice %zu", w->slice) : -1;
        begin = WALK_NEW;
    }
    w->slice = 0;
    return 0;
}

static const char *member(const char *position, const char *name, struct arena *mem)
{
    const struct path_step step = {PATH_KEY, name, 0};
    const struct path path = {name, &step, 1};
    struct error ignored = ERROR_INIT;
    struct rest_value v;

    if (!position || path_find(&path, json_of(position), mem, &v, &ignored) < 0 ||
        v.kind != VALUE_STRING)
        return NULL;
    return rest_value_text(&v, mem);
}

static int64_t number_member(const char *position, const char *name, struct arena *mem)
{
    const char *text = member(position, name, mem);
    int64_t n;

    return text && text_to_int64(text, strlen(text), &n) ? n : -1;
}

static void resume_window(struct walk *w, const char *position)
{
    struct increment *i = w->increment;
    struct rest_value v = {.kind = VALUE_STRING};
    const char *names[] = {"from", "to"};
    struct bound *bounds[] = {&i->from, &i->to};

    for (int k = 0; k < 2; k++) {
        const char *text = member(position, names[k], w->page_mem);

        if (text) {
            v.text = json_of(arena_strdup(w->mem, text));
            if (!bound_read(i->how->type, &v, w->mem, bounds[k]))
                *bounds[k] = (struct bound){0};
        }
    }
    i->read_any = true;
}

/* Takes up slice, window and page of a position. A cursor that is too old is not used again: its
 * window begins anew. */
static int resume_pages(struct walk *w, const char *position, enum walk_begin *out,
                        struct error *err)
{
    int64_t since = number_member(position, "since", w->page_mem);
    int64_t slice = number_member(position, "slice", w->page_mem);
    const char *digest = member(position, "digest", w->page_mem);

    *out = WALK_NEW;
    if (slice < 0)
        return 0;
    if (w->slices_digest && (!digest || strcmp(digest, w->slices_digest) != 0))
        return 0; /* other slices than these: its number means nothing */
    if (slice < (int64_t)w->n_slices)
        w->slice = (size_t)slice;
    if (w->increment)
        resume_window(w, position);
    *out = since < 0 ? WALK_BEHIND_WINDOW : WALK_IN_WINDOW;
    if (since < 0 || clock_unix_us() / 1000 - since > w->stream->paginate.token_ttl_ms)
        return 0;
    walk_new_sequence(w);
    if (pager_resume(&w->pager, json_of(position), w->page_mem, err) < 0)
        return -1;
    return overlap_resume(&w->overlap, &w->pager, json_of(position), err);
}

static void resume_parents(struct walk *w, const char *position)
{
    const char *digest = member(position, "digest", w->page_mem);
    int64_t done = number_member(position, "parents", w->page_mem);
    char now[33];

    parents_digest(w->parents, now);
    if (done >= 0 && digest && strcmp(digest, now) == 0 && done <= parents_count(w->parents))
        w->parents_done = done;
}

int walk_all(struct walk *w, const char *position, struct error *err)
{
    enum walk_begin begin = WALK_NEW;

    if (walk_find_slices(w, err) < 0)
        return -1;
    if (w->stream->for_each.parent) {
        if (family_parents(w, err) < 0)
            return error_wrap(err, "the parents of \"%s\"", w->stream->name);
        resume_parents(w, position);
        return walk_children(w, err);
    }
    if (position && resume_pages(w, position, &begin, err) < 0)
        return -1;
    return walk_slices(w, begin, err);
}

void walk_put(const struct walk *w, bool in_pages, struct buf *out)
{
    struct jsonw jw = {.out = out, .comma = true};
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    char digits[33];

    if (w->parents) {
        jsonw_key(&jw, "parents");
        jsonw_string_n(&jw, digits, text_from_int64(w->parents_done, digits));
        parents_digest(w->parents, digits);
        jsonw_put_string(&jw, "digest", digits);
        return;
    }
    if (w->slices_digest)
        jsonw_put_string(&jw, "digest", w->slices_digest);
    jsonw_key(&jw, "slice");
    jsonw_string_n(&jw, digits, text_from_int64((int64_t)w->slice, digits));
    if (w->increment) {
        const struct increment *i = w->increment;

        if (i->from.known)
            jsonw_put_string(&jw, "from", bound_text(i->how->type, &i->from, mem));
        if (i->to.known)
            jsonw_put_string(&jw, "to", bound_text(i->how->type, &i->to, mem));
    }
    if (!in_pages)
        return;
    jsonw_key(&jw, "since");
    jsonw_string_n(&jw, digits, text_from_int64(clock_unix_us() / 1000, digits));
    pager_put(&w->pager, out);
    overlap_put(&w->overlap, out);
}

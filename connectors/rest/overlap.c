#include "connectors/rest/overlap.h"

#include <string.h>

#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"

void overlap_init(struct overlap *o)
{
    *o = (struct overlap){.mem = arena_new(), .record_mem = arena_new()};
}

void overlap_release(struct overlap *o)
{
    arena_free(o->mem);
    arena_free(o->record_mem);
}

bool overlap_is_on(const struct overlap *o)
{
    return o->stream != NULL;
}

void overlap_begin(struct overlap *o, const struct rest_stream *s, struct pager *p)
{
    struct arena *mem = o->mem, *record_mem = o->record_mem;

    *o = (struct overlap){.mem = mem, .record_mem = record_mem, .stream = s, .at = p->number};
    arena_clear(mem);
    o->borders = p->retraces = s && s->paginate.overlap;
    if (!o->borders)
        return;
    o->stride = s->paginate.size - 1;
    o->key = arena_array(mem, s->n_key, sizeof *o->key);
    for (size_t i = 0; i < s->n_key; i++) /* they were good when the document was compiled */
        (void)path_compile(mem, s->key[i], false, &o->key[i]);
}

/* ---------------------------------------------------------------------- records */

/* By its key, or as a whole where it has none. */
static int identify(struct overlap *o, struct slice record, struct overlap_mark *out,
                    struct error *err)
{
    CLEANUP(buf_release) struct buf id = BUF_INIT(2 * PAGE_MAX_RECORD);
    char hex[HASH_HEX_BYTES];
    struct rest_value v;

    arena_clear(o->record_mem);
    for (size_t i = 0; i < o->stream->n_key; i++) {
        if (path_find(&o->key[i], record, o->record_mem, &v, err) < 0)
            return -1;
        if (v.kind == VALUE_MISSING || v.kind == VALUE_NULL) {
            buf_clear(&id);
            buf_put(&id, record.ptr, record.len);
            break;
        }
        rest_value_put_json(&v, &id);
        buf_putc(&id, '\n');
    }
    hash_bytes_hex(buf_str(&id), id.len, hex);
    memcpy(out->id, hex, sizeof out->id - 1);
    out->id[sizeof out->id - 1] = '\0';
    return 0;
}

static void push(struct overlap_marks *m, const struct overlap_mark *last)
{
    size_t kept = m->n < OVERLAP_MARKS ? m->n : OVERLAP_MARKS - 1;

    memmove(&m->of[1], &m->of[0], kept * sizeof m->of[0]);
    m->of[0] = *last;
    m->n = kept + 1;
}

static bool has_mark(const struct overlap_marks *m, const struct overlap_mark *one)
{
    for (size_t i = 0; i < m->n; i++) {
        if (memcmp(m->of[i].id, one->id, sizeof one->id) == 0)
            return true;
    }
    return false;
}

int overlap_look(struct overlap *o, int64_t number, struct slice record, struct error *err)
{
    struct overlap_mark id;

    if (!o->borders)
        return 0;
    if (number == 0) {
        o->page.n = 0;
        o->found = false;
    }
    if (identify(o, record, &id, err) < 0)
        return -1;
    o->found |= has_mark(&o->marks, &id);
    push(&o->page, &id);
    return 0;
}

/* ------------------------------------------------------------------------ order */

static void go(struct overlap *o, struct pager *p, int64_t to)
{
    p->number = o->at = to;
    p->records = to - o->stream->paginate.start;
}

static int count_lost(struct overlap *o, struct error *err)
{
    if (++o->lost > OVERLAP_LOST_MAX)
        return error_set_reason(err, ERR_TRANSIENT, "pages_moving",
                                "the pages change faster than they can be read");
    return 0;
}

/* All was read, and nothing slipped but what may have moved to the front. */
static int finish(struct overlap *o, struct pager *p, enum overlap_front front, bool *more,
                  struct error *err)
{
    *more = front != OVERLAP_NO_FRONT && o->pass_pages > 1;
    if (!*more)
        return 0;
    if (o->in_front && count_lost(o, err) < 0)
        return -1;
    p->retraces = o->in_front = true;
    o->pass_pages = 0;
    o->marks.n = 0;
    go(o, p, o->stream->paginate.start);
    return 0;
}

/* With the last record of the page that was just read. */
static void forward(struct overlap *o, struct pager *p)
{
    int64_t n = p->last_records;

    o->searching = false;
    o->marks = o->page;
    if (n > 1)
        o->stride = n - 1;
    go(o, p, o->at + (n > 1 ? n - 1 : 0));
}

/* No mark is in this page: it lies further back, or all of them are gone. */
static int backward(struct overlap *o, struct pager *p, bool *more, struct error *err)
{
    int64_t start = o->stream->paginate.start;

    *more = true;
    if (o->at > start) {
        o->searching = true;
        go(o, p, o->at - o->stride > start ? o->at - o->stride : start);
        return 0;
    }
    if (count_lost(o, err) < 0)
        return -1;
    *more = p->last_records > 0;
    forward(o, p);
    return 0;
}

/* The page ends with the record that the one before it ended with. */
static bool ends_alike(const struct overlap *o)
{
    return o->marks.n > 0 && o->page.n > 0 &&
           memcmp(o->marks.of[0].id, o->page.of[0].id, sizeof o->page.of[0].id) == 0;
}

int overlap_next(struct overlap *o, struct pager *p, enum overlap_front front, bool *more,
                 struct error *err)
{
    bool alone = ends_alike(o) && p->last_records == 1; /* nothing is behind the border */

    o->pass_pages++;
    if (o->in_front && front == OVERLAP_REACHED)
        *more = false;
    if (!o->borders)
        return *more ? 0 : finish(o, p, front, more, err);
    if (p->last_records == 0) {
        o->page.n = 0;
        o->found = false;
    }
    if (o->marks.n > 0 && !o->found)
        return backward(o, p, more, err);
    o->n_same = ends_alike(o) && !o->searching ? o->n_same + 1 : 0;
    if (!o->searching && (!*more || alone || o->n_same > OVERLAP_SAME_MAX))
        return finish(o, p, front, more, err);
    *more = true;
    forward(o, p);
    return 0;
}

int overlap_stop(struct overlap *o, struct pager *p, enum overlap_front front, bool *more,
                 struct error *err)
{
    return o->searching ? 0 : finish(o, p, front, more, err);
}

/* -------------------------------------------------------------------- positions */

void overlap_put(const struct overlap *o, struct buf *out)
{
    struct jsonw w = {.out = out, .comma = true};
    char text[OVERLAP_MARKS * sizeof o->marks.of[0].id + 1] = "";
    size_t at = 0;

    if (!o->borders || o->marks.n == 0)
        return;
    for (size_t i = 0; i < o->marks.n; i++) {
        if (i > 0)
            text[at++] = ' ';
        memcpy(text + at, o->marks.of[i].id, sizeof o->marks.of[i].id - 1);
        at += sizeof o->marks.of[i].id - 1;
    }
    jsonw_key(&w, "marks");
    jsonw_string_n(&w, text, at);
}

int overlap_resume(struct overlap *o, struct pager *p, struct slice position, struct error *err)
{
    static const struct path_step step = {PATH_KEY, "marks", 0};
    static const struct path path = {"marks", &step, 1};
    const size_t n = sizeof o->marks.of[0].id - 1;
    struct rest_value v;

    o->at = p->number;
    o->pass_pages = 1; /* there were some before, so the front is read again */
    if (!o->borders)
        return 0;
    arena_clear(o->record_mem);
    if (path_find(&path, position, o->record_mem, &v, err) < 0)
        return -1;
    if (v.kind != VALUE_STRING)
        return 0;
    for (size_t at = 0; at + n <= v.text.len && o->marks.n < OVERLAP_MARKS; at += n + 1)
        memcpy(o->marks.of[o->marks.n++].id, v.text.ptr + at, n);
    o->searching = o->marks.n > 0;
    return 0;
}

/*
 * Parents: the streams that others are asked for with, and their children.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/commons.h"
#include "connectors/rest/walk_internal.h"

/* --------------------------------------------------------------------- parents */

void family_add(struct family *f, const struct rest_stream *s)
{
    for (; s && s->for_each.parent; s = s->for_each.parent) {
        bool known = false;

        for (size_t i = 0; i < f->n; i++)
            known |= f->members[i] == s;
        if (known)
            continue;
        f->members = xrealloc(f->members, (f->n + 1) * sizeof(void *));
        f->members[f->n++] = s;
    }
}

void family_init(struct family *f, const struct run *run, const struct rest_document *doc)
{
    static const struct selection nothing = {0};
    const struct selection *all = run->commons ? commons_selection(run->commons) : &nothing;

    *f = (struct family){.commons = run->commons};
    if (!f->commons)
        f->commons = f->own = commons_new(&nothing);
    for (size_t i = 0; i < all->n; i++)
        family_add(f, document_find(doc, all->streams[i].stream->name));
}

void family_release(struct family *f)
{
    commons_free(f->own);
    free(f->members);
    *f = (struct family){0};
}

/* What is kept of one parent stream: the parents of each child, by the child's name. The documents
 * of two calls are alike and not the same. */
struct brood {
    struct brood_member {
        char *child;
        struct parents *parents; /* NULL = they could not be read along with the others */
    } * members;
    size_t n;
};

static void free_brood(void *arg)
{
    struct brood *b = arg;

    for (size_t i = 0; i < b->n; i++) {
        parents_free(b->members[i].parents);
        free(b->members[i].child);
    }
    free(b->members);
    free(b);
}

/* A walk through the parent stream for several children at once. */
struct gathering {
    const struct rest_stream *const *children;
    struct parents **into; /* [n]; NULL = one that could not be read */
    size_t n, host;        /* host: whose failure is a failure of all */
};

static int take_parent(void *arg, struct slice record, const struct scopes *s, struct error *err)
{
    struct gathering *g = arg;

    for (size_t i = 0; i < g->n; i++) {
        struct error its_own = ERROR_INIT;

        if (!g->into[i] || parents_add(g->into[i], record, s, &its_own) == 0)
            continue;
        if (i == g->host) {
            *err = its_own;
            return -1;
        }
        parents_free(g->into[i]);
        g->into[i] = NULL;
    }
    return 0;
}

/* All of them, whatever the bookmark of the parent: a child may have changed alone. */
static int walk_whole(struct walk *w, struct error *err)
{
    const struct rest_incremental *how = &w->stream->incremental;
    struct bound start = {0}, end = {0};
    struct increment all;
    struct rest_value v;
    int rc = 0;

    increment_init(&all, how, false);
    if (how->present) {
        walk_scopes(w, w->mem);
        rc = template_render(how->start, &w->scopes, w->mem, &v, err);
        if (rc == 0 && bound_read(how->type, &v, w->mem, &start))
            rc = increment_begin(&all, &start, &end, w->run->started_unix_us, err);
        w->increment = &all;
    }
    if (rc == 0)
        rc = walk_all(w, NULL, err);
    w->increment = NULL;
    increment_release(&all);
    return rc;
}

/* Whether a parent that comes twice is asked for once. */
static bool are_distinct(const struct gathering *g)
{
    for (size_t i = 0; i < g->n; i++) {
        if (!g->children[i]->for_each.distinct)
            return false;
    }
    return true;
}

static int gather(struct gathering *g, const struct walk *child, struct error *err)
{
    struct walk w;
    int rc;

    for (size_t i = 0; i < g->n; i++)
        g->into[i] = parents_new(&g->children[i]->for_each);
    walk_init(&w, child->fetcher, child->stream->for_each.parent, child->values, child->family,
              child->run);
    w.to = (struct walker){.record = take_parent, .arg = g, .merges = are_distinct(g)};
    rc = walk_whole(&w, err);
    walk_release(&w);
    for (size_t i = 0; i < g->n; i++) {
        if (rc == 0 && g->into[i])
            rc = parents_seal(g->into[i], err);
    }
    for (size_t i = 0; i < g->n && rc < 0; i++)
        parents_free(g->into[i]);
    return rc;
}

/* Those of `w` and of all who are asked for with the same records. */
static int make_brood(const struct walk *w, struct brood **out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct family *f = w->family;
    const struct rest_stream **children = arena_array(mem, f->n, sizeof(void *));
    struct gathering g = {.children = children, .into = arena_array(mem, f->n, sizeof(void *))};
    struct brood *b;

    for (size_t i = 0; i < f->n; i++) {
        if (f->members[i]->for_each.parent != w->stream->for_each.parent)
            continue;
        if (f->members[i] == w->stream)
            g.host = g.n;
        children[g.n++] = f->members[i];
    }
    if (gather(&g, w, err) < 0)
        return -1;
    b = xalloc(sizeof *b);
    b->n = g.n;
    b->members = xalloc(g.n * sizeof *b->members);
    for (size_t i = 0; i < g.n; i++)
        b->members[i] = (struct brood_member){xstrdup(children[i]->name), g.into[i]};
    *out = b;
    return 0;
}

/* What could not be read along with others is read for itself, and fails for itself. */
static int read_alone(struct walk *w, struct error *err)
{
    struct gathering g = {.children = &w->stream, .into = &w->own_parents, .n = 1};

    if (gather(&g, w, err) < 0) {
        w->own_parents = NULL;
        return -1;
    }
    w->parents = w->own_parents;
    return 0;
}

int family_parents(struct walk *w, struct error *err)
{
    struct commons *k = w->family->commons;
    const char *name = arena_printf(w->mem, "parents of %s", w->stream->for_each.parent->name);
    struct brood *b = NULL;
    void *kept;
    int rc = commons_take(k, name, w->run->cancel, &kept, err);

    if (rc < 0)
        return -1;
    if (rc == 0) {
        b = kept;
    } else if (make_brood(w, &b, err) < 0) {
        commons_give_up(k, name);
        return -1;
    } else {
        commons_put(k, name, b, free_brood);
    }
    for (size_t i = 0; i < b->n && !w->parents; i++) {
        if (strcmp(b->members[i].child, w->stream->name) == 0)
            w->parents = b->members[i].parents;
    }
    if (!w->parents && read_alone(w, err) < 0)
        return -1;
    parents_read(&w->reading, w->parents);
    return 0;
}

/* -------------------------------------------------------------------- children */

/* Several parents that are asked for with one request: each field holds the values of all of them,
 * with commas in between. */
struct together {
    struct arena *mem;
    struct slice *parents;
    int64_t n;
};

static int put_together(const struct rest_for_each *how, const struct together *t, struct buf *out,
                        struct error *err)
{
    struct jsonw w = JSONW_INIT(out);

    buf_clear(out);
    if (t->n == 1) {
        buf_put(out, t->parents[0].ptr, t->parents[0].len);
        return buf_ok(out, "the fields of a parent", err);
    }
    jsonw_object(&w);
    for (size_t f = 0; f < how->n_fields; f++) {
        const struct path_step step = {PATH_KEY, how->fields[f].name, 0};
        const struct path path = {how->fields[f].name, &step, 1};
        CLEANUP(buf_release) struct buf list = BUF_INIT(PAGE_MAX_RECORD);
        struct rest_value v;

        for (int64_t i = 0; i < t->n; i++) {
            if (path_find(&path, t->parents[i], t->mem, &v, err) < 0)
                return -1;
            buf_printf(&list, "%s%s", i ? "," : "", rest_value_text(&v, t->mem));
        }
        jsonw_put_string(&w, how->fields[f].name, buf_str(&list));
    }
    jsonw_object_end(&w);
    return buf_ok(out, "the fields of several parents", err);
}

/* Everything of these parents. No bookmark speaks for one that was not there when it was set. */
static int read_parents(struct walk *w, const struct together *t, struct error *err)
{
    struct increment *i = w->increment;
    struct bound lower = i ? i->lower : (struct bound){0};
    bool known = true;
    int rc;

    for (int64_t k = 0; k < t->n; k++)
        known &= known_has(&w->known, t->parents[k]);
    if (i && i->safe.known && !known) {
        i->fresh = true;
        i->lower = w->start;
    }
    rc = walk_slices(w, WALK_NEW, err);
    if (i) {
        i->fresh = false;
        i->lower = lower;
    }
    return rc;
}

/* The next ones that are not done with; none at the end. */
static int take_next(struct walk *w, int64_t *n_seen, struct together *t, struct error *err)
{
    struct slice parent;

    arena_clear(t->mem);
    t->parents = arena_array(t->mem, (size_t)w->stream->for_each.batch, sizeof *t->parents);
    t->n = 0;
    while (t->n < w->stream->for_each.batch) {
        if (parents_next(&w->reading, &parent, err) < 0)
            return -1;
        if (!parent.ptr)
            return 0;
        known_add(&w->now, parent);
        if ((*n_seen)++ < w->parents_done)
            continue;
        t->parents[t->n++] =
            (struct slice){arena_memdup(t->mem, parent.ptr, parent.len), parent.len};
    }
    return 0;
}

int walk_children(struct walk *w, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct together t = {.mem = mem};
    int64_t n_seen = 0;

    while (!w->ended) {
        if (take_next(w, &n_seen, &t, err) < 0)
            return -1;
        if (t.n == 0)
            return 0;
        if (put_together(&w->stream->for_each, &t, &w->parent, err) < 0)
            return -1;
        w->scopes.json[SCOPE_parent] = (struct slice){buf_str(&w->parent), w->parent.len};
        if (read_parents(w, &t, err) < 0)
            return error_wrap(err, "for %.200s", buf_str(&w->parent));
        w->parents_done += t.n;
        w->page_records = 0; /* those of its last page are told already */
        if (w->to.page && w->to.page(w->to.arg, w, false, err) < 0)
            return -1;
    }
    return 0;
}

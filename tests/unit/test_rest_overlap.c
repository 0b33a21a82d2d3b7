/*
 * A list that changes while its pages are counted through: whatever was there all the time has to
 * come. The seed of a history that loses a row is in the message.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/rest/overlap.h"

#define MAX_ROWS 4096

struct row {
    int id;
    int changed; /* the greatest first, in a list that has its newest first */
};

struct play {
    struct arena *mem;
    const struct rest_stream *stream;
    struct row rows[MAX_ROWS];
    int n, next_id, clock;
    bool newest_first;
    bool seen[MAX_ROWS], gone[MAX_ROWS], fresh[MAX_ROWS]; /* by id */
    int seen_changed[MAX_ROWS];
    int64_t requests;
    uint64_t random;
};

static uint64_t draw(struct play *p, uint64_t below)
{
    p->random = p->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (p->random >> 33) % below;
}

static void open_play(struct play *p, const char *paginate)
{
    struct problems problems;
    struct error err = ERROR_INIT;
    const struct rest_document *doc;
    const char *text;
    struct doc *d;

    memset(p, 0, sizeof *p);
    p->mem = arena_new();
    problems = PROBLEMS_INIT(p->mem);
    text = arena_printf(p->mem,
                        "{\"client\":{\"base_url\":\"http://a.example\"},\"streams\":[{\"name\":"
                        "\"s\",\"key\":[\"id\"],\"paginate\":%s}]}",
                        paginate);
    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s", err.message);
    doc = rest_document_compile(p->mem, d, "", &problems);
    cr_assert_not_null(doc, "%s %s", problems.items[0].pointer, problems.items[0].message);
    doc_free(d);
    p->stream = &doc->streams[0];
    cr_assert(p->stream->paginate.overlap);
}

static void insert(struct play *p, int at, struct row r)
{
    cr_assert_lt(p->n, MAX_ROWS);
    memmove(&p->rows[at + 1], &p->rows[at], (size_t)(p->n - at) * sizeof p->rows[0]);
    p->rows[at] = r;
    p->n++;
}

static struct row take_out(struct play *p, int at)
{
    struct row r = p->rows[at];

    p->n--;
    memmove(&p->rows[at], &p->rows[at + 1], (size_t)(p->n - at) * sizeof p->rows[0]);
    return r;
}

static void add(struct play *p, int at)
{
    cr_assert_lt(p->next_id, MAX_ROWS);
    p->fresh[p->next_id] = true;
    insert(p, at, (struct row){p->next_id++, ++p->clock});
}

/* What others do between two requests. */
static void disturb(struct play *p, uint64_t most)
{
    for (uint64_t times = draw(p, most + 1); times > 0; times--) {
        switch (draw(p, p->newest_first ? 3 : 2)) {
        case 0:
            add(p, p->newest_first ? 0 : (int)draw(p, (uint64_t)p->n + 1));
            break;
        case 1:
            if (p->n > 0)
                p->gone[take_out(p, (int)draw(p, (uint64_t)p->n)).id] = true;
            break;
        default: /* a change moves a row to the front */
            if (p->n > 0) {
                struct row r = take_out(p, (int)draw(p, (uint64_t)p->n));

                r.changed = ++p->clock;
                insert(p, 0, r);
            }
        }
    }
}

static struct slice record_of(struct play *p, const struct row *r)
{
    const char *text = arena_printf(p->mem, "{\"id\":%d,\"changed\":%d}", r->id, r->changed);

    return (struct slice){text, strlen(text)};
}

static void fetch(struct play *p, struct overlap *o, const struct pager *pager,
                  struct fetch_result *out, int *out_first, int *out_last)
{
    const struct rest_paginate *how = &p->stream->paginate;
    int64_t first = how->type == REST_PAGE_OFFSET ? pager->number : (pager->number - 1) * how->size;
    struct error err = ERROR_INIT;

    *out = (struct fetch_result){.envelope = {"{}", 2}, .headers = {"{}", 2}};
    p->requests++;
    for (int64_t i = first; i < p->n && i < first + how->size; i++) {
        const struct row *r = &p->rows[i];

        out->last = record_of(p, r);
        if (i == first)
            *out_first = r->changed;
        cr_assert_eq(overlap_look(o, out->n_records++, out->last, &err), 0, "%s", err.message);
        p->seen[r->id] = true;
        p->seen_changed[r->id] = r->changed;
        *out_last = r->changed;
    }
}

/* A crash: what is known afterwards is the position behind the last page. */
static void crash(struct play *p, struct overlap *o, struct pager *pager)
{
    struct buf position = BUF_INIT(1 << 16);
    struct error err = ERROR_INIT;
    struct slice text;

    buf_puts(&position, "{\"kind\":\"page\"");
    pager_put(pager, &position);
    overlap_put(o, &position);
    buf_putc(&position, '}');
    text = (struct slice){buf_str(&position), position.len};
    pager_release(pager);
    pager_init(pager, &p->stream->paginate);
    overlap_begin(o, p->stream, pager);
    cr_assert_eq(pager_resume(pager, text, p->mem, &err), 0, "%s", err.message);
    cr_assert_eq(overlap_resume(o, pager, text, &err), 0, "%s", err.message);
    buf_release(&position);
}

/* Reads the list; `calm` requests later nothing changes any more. */
static int read_list(struct play *p, uint64_t disturbance, int64_t calm, struct error *err)
{
    struct scopes scopes = {0};
    struct overlap o;
    struct pager pager;
    bool more = true, repeated;
    int front = 0, next_front = 0, first = 0, last = 0, rc = 0;

    pager_init(&pager, &p->stream->paginate);
    overlap_init(&o);
    overlap_begin(&o, p->stream, &pager);
    while (more && rc == 0) {
        struct fetch_result page;
        enum overlap_front where = OVERLAP_NO_FRONT;

        fetch(p, &o, &pager, &page, &first, &last);
        if (o.pass_pages == 0 || next_front == 0) {
            front = next_front;
            next_front = page.n_records > 0 ? first : 0;
        }
        if (p->newest_first && next_front > 0)
            where = page.n_records > 0 && last <= front ? OVERLAP_REACHED : OVERLAP_ABOVE;
        rc = pager_next(&pager, &page, &scopes, p->mem, &more, &repeated, err);
        if (rc == 0)
            rc = overlap_next(&o, &pager, where, &more, err);
        if (p->requests < calm)
            disturb(p, disturbance);
        if (rc == 0 && more && draw(p, 8) == 0) {
            crash(p, &o, &pager);
            front = next_front = 0;
        }
        cr_assert_lt(p->requests, 100000);
    }
    pager_release(&pager);
    overlap_release(&o);
    return rc;
}

static void fill(struct play *p, int n)
{
    for (int i = 0; i < n; i++)
        insert(p, p->n, (struct row){p->next_id++, 1000000 - i});
    p->clock = 1000000;
}

static void close_play(struct play *p)
{
    arena_free(p->mem);
}

/* Everything that stayed has come; true when the reading ended well. */
static bool play_history(const char *paginate, bool newest_first, uint64_t seed)
{
    static struct play p;
    struct error err = ERROR_INIT;
    int rc;

    open_play(&p, paginate);
    p.random = seed;
    p.newest_first = newest_first;
    fill(&p, (int)draw(&p, 60));
    rc = read_list(&p, 1 + draw(&p, 3), 60, &err);
    cr_assert(rc == 0 || strcmp(error_reason(&err), "pages_moving") == 0, "%s", err.message);
    for (int id = 0; rc == 0 && id < p.next_id; id++)
        cr_assert(p.seen[id] || p.gone[id] || p.fresh[id], "seed %llu of %s: row %d of %d is lost",
                  (unsigned long long)seed, paginate, id, p.next_id);
    close_play(&p);
    return rc == 0;
}

static void play_many(const char *paginate, bool newest_first)
{
    int well = 0;

    for (uint64_t seed = 1; seed <= 2000; seed++)
        well += play_history(paginate, newest_first, seed);
    /* The property would hold of a reading that always gives up. */
    cr_assert_gt(well, 1500, "%d of 2000", well);
}

#define BY_OFFSET "{\"type\":\"offset\",\"limit\":7,\"overlap\":\"always\"}"

Test(rest_overlap, loses_no_row_of_pages_by_offset)
{
    play_many(BY_OFFSET, false);
    play_many("{\"type\":\"offset\",\"limit\":2,\"overlap\":\"always\"}", false);
}

Test(rest_overlap, loses_no_row_that_moves_to_the_front)
{
    play_many(BY_OFFSET, true);
}

static int64_t requests_for(const char *paginate, int rows)
{
    static struct play p;
    struct error err = ERROR_INIT;
    int64_t n;

    open_play(&p, paginate);
    fill(&p, rows);
    cr_assert_eq(read_list(&p, 0, 0, &err), 0, "%s", err.message);
    for (int id = 0; id < rows; id++)
        cr_assert(p.seen[id]);
    n = p.requests;
    close_play(&p);
    return n;
}

Test(rest_overlap, costs_one_record_of_each_page)
{
    cr_assert_eq(requests_for(BY_OFFSET, 0), 1);
    cr_assert_eq(requests_for(BY_OFFSET, 1), 2);
    cr_assert_eq(requests_for(BY_OFFSET, 60), 11);
}

static size_t problems_of(const char *stream, const char **out_pointer)
{
    static char pointer[200];
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct error err = ERROR_INIT;
    const char *text = arena_printf(
        mem, "{\"client\":{\"base_url\":\"http://a.example\"},\"streams\":[{\"name\":\"s\",%s}]}",
        stream);
    struct doc *d;

    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s", err.message);
    (void)rest_document_compile(mem, d, "", &problems);
    doc_free(d);
    snprintf(pointer, sizeof pointer, "%s", problems.n ? problems.items[0].pointer : "");
    *out_pointer = pointer;
    return problems.n;
}

Test(rest_overlap, is_refused_where_it_cannot_be)
{
    const char *at;

    cr_assert_eq(problems_of("\"key\":[\"id\"],\"paginate\":" BY_OFFSET, &at), 0);
    cr_assert_eq(problems_of("\"paginate\":" BY_OFFSET, &at), 1);
    cr_assert_eq(
        problems_of("\"key\":[\"id\"],\"paginate\":{\"type\":\"page\",\"overlap\":\"always\"}",
                    &at),
        1);
    cr_assert_str_eq(at, "/streams/0/paginate/overlap");
    cr_assert_eq(problems_of("\"key\":[\"id\"],\"paginate\":{\"type\":\"link_header\",\"overlap\":"
                             "\"always\"}",
                             &at),
                 1);
    cr_assert_eq(problems_of("\"key\":[\"id\"],\"paginate\":{\"type\":\"offset\",\"stable\":true,"
                             "\"overlap\":\"always\"}",
                             &at),
                 1);
    cr_assert_eq(problems_of("\"key\":[\"id\"],\"paginate\":{\"type\":\"offset\",\"limit\":1,"
                             "\"overlap\":\"always\"}",
                             &at),
                 1);
    cr_assert_eq(
        problems_of("\"key\":[\"id\"],\"add\":{\"id\":\"{{ record.x }}\"},\"paginate\":" BY_OFFSET,
                    &at),
        1);
}

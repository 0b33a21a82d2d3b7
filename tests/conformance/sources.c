/*
 * What holds for every source, whatever it reads: the same assertions for each row of cases.c.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "connectors/base/text.h"
#include "tests/conformance/cases.h"
#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"
#include "tests/support/tempdir.h"

static struct harness h;
static char dir[TEMPDIR_BYTES];
static const struct source_case *now; /* for messages */

#define EACH_SOURCE(c) \
    for (const struct source_case *c = source_cases; c->source && open_case(c); close_case(), c++)

static bool open_case(const struct source_case *c)
{
    struct error err = ERROR_INIT;
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    now = c;
    tempdir_make(dir);
    if (c->prepare)
        c->prepare(dir);
    cr_assert_eq(harness_open(&h, c->source, c->config(mem, dir), &err), 0, "%s: %s",
                 c->source->name, err.message);
    return true;
}

static void close_case(void)
{
    harness_close(&h);
    tempdir_remove(dir);
}

static void select_streams(const char *json)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_select(&h, json, &err), 0, "%s: %s", now->source->name, err.message);
}

static struct fake_sink *read_all(const char *const *positions)
{
    struct fake_sink *f = fake_sink_new(h.selection.n);
    struct error err = ERROR_INIT;

    cr_assert_eq(harness_read(&h, positions, &f->sink, &err), 0, "%s: %s", now->source->name,
                 err.message);
    cr_assert_str_eq(f->violation, "", "%s: %s", now->source->name, f->violation);
    for (size_t i = 0; i < f->n_streams; i++)
        cr_assert(f->streams[i].ended, "%s: stream %zu did not end: %s", now->source->name, i,
                  f->streams[i].why.message);
    return f;
}

/* The streams that can be read incrementally without being told a cursor, as a selection. They are
 * appended: then each row must come once, while rows that are merged by key may come again. */
static const char *incremental_streams(void)
{
    struct buf json = BUF_INIT(1 << 16);
    const char *text;
    size_t n = 0;

    buf_puts(&json, "[");
    for (size_t i = 0; i < h.catalog.n; i++) {
        const struct stream *s = &h.catalog.streams[i];

        if (s->incremental && (s->source_defined_cursor || s->n_cursors))
            buf_printf(&json,
                       "%s{\"name\":\"%s\",\"sync_mode\":\"incremental\","
                       "\"destination_sync_mode\":\"append\"}",
                       n++ ? "," : "", stream_full_name(h.mem, s));
    }
    buf_puts(&json, "]");
    text = arena_strdup(h.mem, buf_str(&json));
    buf_release(&json);
    return n ? text : NULL;
}

Test(sources, have_complete_tables)
{
    EACH_SOURCE(c)
    {
        const struct source_connector *s = c->source;

        cr_assert(text_is_slug(s->name), "%s", s->name);
        cr_assert(*s->title && *s->docs, "%s", s->name);
        cr_assert(s->options && s->config_size);
        cr_assert(s->check && s->discover && s->count && s->read, "%s", s->name);
    }
}

Test(sources, check_what_works)
{
    EACH_SOURCE(c)
    {
        struct error err = ERROR_INIT;

        cr_assert_eq(c->source->check(h.config, &h.run, &err), 0, "%s: %s", c->source->name,
                     err.message);
    }
}

Test(sources, refuse_what_does_not_work)
{
    EACH_SOURCE(c)
    {
        struct error err = ERROR_INIT;
        struct doc *d = NULL;
        void *config = NULL;

        if (!c->broken)
            continue;
        cr_assert_eq(harness_decode(c->source->options, c->source->config_size,
                                    c->broken(h.mem, dir), h.mem, &config, &d, &err),
                     0, "%s: %s", c->source->name, err.message);
        cr_assert_eq(c->source->check(config, &h.run, &err), -1, "%s", c->source->name);
        cr_assert(err.code != ERR_NONE && err.code != ERR_INTERNAL, "%s: %s", c->source->name,
                  err.message);
        cr_assert(*err.message);
        doc_free(d);
    }
}

Test(sources, refuse_unknown_settings)
{
    EACH_SOURCE(c)
    {
        struct error err = ERROR_INIT;
        struct doc *d = NULL;
        void *config;

        cr_assert_eq(harness_decode(c->source->options, c->source->config_size,
                                    "{\"no_such_setting\":1}", h.mem, &config, &d, &err),
                     -1, "%s", c->source->name);
        doc_free(d);
    }
}

static void check_stream(const struct stream *s)
{
    const char *name = now->source->name;

    cr_assert(s->name && *s->name && s->namespace, "%s", name);
    cr_assert(s->schema && s->schema->n_columns, "%s %s", name, s->name);
    for (size_t i = 0; i < s->schema->n_columns; i++) {
        cr_assert(s->schema->columns[i].name && s->schema->columns[i].source_type, "%s %s", name,
                  s->name);
        cr_assert_lt(s->schema->columns[i].type.type, TYPE_COUNT);
    }
    for (size_t i = 0; i < s->schema->n_key; i++)
        cr_assert_lt(s->schema->key[i], s->schema->n_columns, "%s %s", name, s->name);
    for (size_t i = 0; i < s->n_cursors; i++)
        cr_assert_lt(s->cursors[i], s->schema->n_columns, "%s %s", name, s->name);
}

Test(sources, discover_streams_that_make_sense)
{
    EACH_SOURCE(c)
    {
        cr_assert_gt(h.catalog.n, 0, "%s", c->source->name);
        for (size_t i = 0; i < h.catalog.n; i++)
            check_stream(&h.catalog.streams[i]);
    }
}

Test(sources, discover_the_same_twice)
{
    EACH_SOURCE(c)
    {
        struct catalog again = CATALOG_INIT(h.mem);
        struct error err = ERROR_INIT;
        char first[65], second[65];

        cr_assert_eq(c->source->discover(h.config, &h.run, &again, &err), 0, "%s", err.message);
        catalog_hash(&h.catalog, first);
        catalog_hash(&again, second);
        cr_assert_str_eq(first, second, "%s", c->source->name);
    }
}

Test(sources, discover_what_comes_back_from_both_forms)
{
    EACH_SOURCE(c)
    {
        struct catalog native = CATALOG_INIT(h.mem), singer = CATALOG_INIT(h.mem);
        struct doc *as_native = catalog_to_doc(&h.catalog);
        struct doc *as_singer = catalog_to_singer(&h.catalog, NULL);
        struct error err = ERROR_INIT;
        char before[65], after[65];

        catalog_hash(&h.catalog, before);
        cr_assert_eq(catalog_from_doc(as_native, &native, &err), 0, "%s", err.message);
        catalog_hash(&native, after);
        cr_assert_str_eq(before, after, "%s", c->source->name);
        cr_assert_eq(catalog_from_singer(as_singer, &singer, &err), 0, "%s", err.message);
        catalog_hash(&singer, after);
        cr_assert_str_eq(before, after, "%s", c->source->name);
        doc_free(as_native);
        doc_free(as_singer);
    }
}

Test(sources, count_what_they_deliver)
{
    EACH_SOURCE(c)
    {
        struct fake_sink *f;

        select_streams(NULL);
        f = read_all(NULL);
        for (size_t i = 0; i < h.catalog.n; i++) {
            struct error err = ERROR_INIT;
            int64_t n = -1;
            bool exact = false;

            if (c->source->count(h.config, &h.run, &h.catalog.streams[i], &n, &exact, &err) < 0)
                cr_assert_eq(err.code, ERR_UNSUPPORTED, "%s: %s", c->source->name, err.message);
            else if (exact)
                cr_assert_eq(n, (int64_t)f->streams[i].n_lines, "%s %s: %lld", c->source->name,
                             h.catalog.streams[i].name, (long long)n);
        }
        fake_sink_free(f);
    }
}

Test(sources, deliver_the_same_rows_twice)
{
    EACH_SOURCE(c)
    {
        struct fake_sink *a, *b;
        size_t rows = 0;

        select_streams(NULL);
        a = read_all(NULL);
        b = read_all(NULL);
        for (size_t i = 0; i < h.selection.n; i++) {
            cr_assert(fake_sink_same_rows(&a->streams[i], &b->streams[i]), "%s", c->source->name);
            rows += a->streams[i].n_lines;
        }
        cr_assert_gt(rows, 0, "%s has an empty fixture", c->source->name);
        fake_sink_free(a);
        fake_sink_free(b);
    }
}

/* Everything but the last column that may go; the rows must lose exactly that. */
Test(sources, deliver_only_the_selected_columns)
{
    EACH_SOURCE(c)
    {
        const struct schema *all = h.catalog.streams[0].schema;
        const char *name = stream_full_name(h.mem, &h.catalog.streams[0]);
        const char *column = all->columns[all->n_columns - 1].name;
        struct problems problems = PROBLEMS_INIT(h.mem);
        struct fake_sink *f;
        struct doc *d, *row;
        struct error err = ERROR_INIT;
        const char *json = arena_printf(
            h.mem, "[{\"name\":\"%s\",\"fields\":{\"exclude\":[\"%s\"]}}]", name, column);

        cr_assert_eq(doc_parse(json, strlen(json), &d, &err), 0);
        cr_assert(selection_resolve(d, &h.catalog, "", h.mem, &h.selection, &problems), "%s: %s",
                  c->source->name, problems.n ? problems.items[0].message : "");
        doc_free(d);
        f = read_all(NULL);
        cr_assert_gt(f->streams[0].n_lines, 0);
        row = fake_sink_row(&f->streams[0], 0);
        cr_assert_eq(doc_count(row), all->n_columns - 1, "%s", c->source->name);
        cr_assert_null(doc_get(row, column), "%s", c->source->name);
        doc_free(row);
        fake_sink_free(f);
    }
}

/* A crash after checkpoint k: what was committed, and what a read from there delivers. */
static void assert_resumes(const struct fake_sink *whole, size_t stream, size_t k)
{
    const struct fake_checkpoint *c = &whole->streams[stream].checkpoints[k];
    const char **positions = arena_array(h.mem, h.selection.n, sizeof *positions);
    struct fake_sink *f;
    struct fake_sink *joined = fake_sink_new(h.selection.n);

    positions[stream] = c->position;
    f = read_all(positions);
    fake_sink_copy(joined, whole, stream, c->n_lines);
    for (size_t i = 0; i < f->streams[stream].n_lines; i++) {
        const char *line = f->streams[stream].lines[i];

        fake_sink_add_line(&joined->streams[stream], line, strlen(line));
    }
    cr_assert(fake_sink_same_rows(&whole->streams[stream], &joined->streams[stream]),
              "%s %s: checkpoint %zu of %zu, %s: %zu rows instead of %zu", now->source->name,
              h.selection.streams[stream].stream->name, k, whole->streams[stream].n_checkpoints,
              c->position, joined->streams[stream].n_lines, whole->streams[stream].n_lines);
    fake_sink_free(joined);
    fake_sink_free(f);
}

static void assert_resumes_everywhere(void)
{
    struct fake_sink *whole = read_all(NULL);

    for (size_t i = 0; i < h.selection.n; i++) {
        const struct fake_stream *s = &whole->streams[i];

        if (h.selection.streams[i].stream->resumable && s->n_lines > BATCH_MAX_ROWS)
            cr_assert_gt(s->n_checkpoints, 0, "%s %s says that it can resume", now->source->name,
                         h.selection.streams[i].stream->name);
        for (size_t k = 0; k < s->n_checkpoints; k++)
            assert_resumes(whole, i, k);
    }
    fake_sink_free(whole);
}

Test(sources, resume_a_full_refresh_from_every_checkpoint)
{
    EACH_SOURCE(c)
    {
        select_streams(NULL);
        assert_resumes_everywhere();
    }
}

Test(sources, resume_the_first_incremental_run_from_every_checkpoint)
{
    EACH_SOURCE(c)
    {
        const char *streams = incremental_streams();

        if (!streams)
            continue;
        select_streams(streams);
        assert_resumes_everywhere();
    }
}

Test(sources, end_an_incremental_run_with_a_position)
{
    EACH_SOURCE(c)
    {
        const char *streams = incremental_streams();
        struct fake_sink *f;

        if (!streams)
            continue;
        select_streams(streams);
        f = read_all(NULL);
        for (size_t i = 0; i < f->n_streams; i++)
            cr_assert_not_null(f->streams[i].end_position, "%s", c->source->name);
        fake_sink_free(f);
    }
}

Test(sources, refuse_positions_that_are_not_theirs)
{
    EACH_SOURCE(c)
    {
        const char *streams = incremental_streams();
        const char **positions;
        struct fake_sink *f;
        struct error err = ERROR_INIT;

        if (!streams)
            continue;
        select_streams(streams);
        positions = arena_array(h.mem, h.selection.n, sizeof *positions);
        positions[0] = "{\"kind\":\"of another source\",\"lsn\":\"0/1\"}";
        f = fake_sink_new(h.selection.n);
        if (harness_read(&h, positions, &f->sink, &err) == 0) {
            cr_assert(f->streams[0].failed, "%s took a foreign position", c->source->name);
            err = f->streams[0].why;
        }
        cr_assert(err.code == ERR_RESYNC || err.code == ERR_INVALID || err.code == ERR_CONFIG,
                  "%s: %s", c->source->name, err.message);
        fake_sink_free(f);
    }
}

/* The sink fails at call 1, 2, 3, ...: the source returns at once with that very error. */
Test(sources, stop_wherever_the_sink_fails)
{
    EACH_SOURCE(c)
    {
        struct fake_sink *f;
        size_t n_calls;

        select_streams(NULL);
        f = read_all(NULL);
        n_calls = f->n_calls;
        fake_sink_free(f);
        for (size_t n = 1; n <= n_calls; n++) {
            struct error err = ERROR_INIT;

            f = fake_sink_new(h.selection.n);
            f->fail_at = n;
            cr_assert_eq(harness_read(&h, NULL, &f->sink, &err), -1, "%s call %zu", c->source->name,
                         n);
            cr_assert_str_eq(error_reason(&err), "fake", "%s call %zu: %s", c->source->name, n,
                             err.message);
            cr_assert_eq(f->n_calls, n, "%s went on after call %zu failed", c->source->name, n);
            fake_sink_free(f);
        }
    }
}

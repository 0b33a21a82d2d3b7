#include "tests/support/source_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

void source_fixture_open(struct source_fixture *f, enum database_kind kind,
                         const struct source_connector *source)
{
    *f = (struct source_fixture){
        .kind = kind, .source = source, .mem = arena_new(), .options = "", .err = ERROR_INIT};
    f->database = databases_new(kind, f->mem);
}

static void forget(struct source_fixture *f)
{
    if (f->open)
        harness_close(&f->h);
    f->open = false;
}

void source_fixture_close(struct source_fixture *f)
{
    fake_sink_free(f->got);
    forget(f);
    arena_free(f->mem);
}

void source_fixture_run(struct source_fixture *f, const char *sql)
{
    databases_run(f->kind, f->database, sql);
}

const char *source_fixture_ask(struct source_fixture *f, const char *sql)
{
    return databases_ask(f->kind, f->database, sql, f->mem);
}

static int open_harness(struct source_fixture *f)
{
    const char *config =
        f->config ? f->config : databases_config(f->kind, f->database, f->options, f->mem);

    forget(f);
    f->err = ERROR_INIT;
    f->open = true;
    return harness_open(&f->h, f->source, config, &f->err);
}

void source_fixture_select(struct source_fixture *f, const char *streams_json)
{
    if (open_harness(f) < 0 || harness_select(&f->h, streams_json, &f->err) < 0)
        cr_assert_fail("%s", f->err.message);
}

void source_fixture_refuse(struct source_fixture *f)
{
    cr_assert_lt(open_harness(f), 0, "discovery should have failed");
}

const struct stream *source_fixture_stream(struct source_fixture *f, const char *name)
{
    for (size_t i = 0; i < f->h.catalog.n; i++) {
        if (strcmp(f->h.catalog.streams[i].name, name) == 0)
            return &f->h.catalog.streams[i];
    }
    cr_assert_fail("no stream %s", name);
    return NULL;
}

const char *source_fixture_shape(struct source_fixture *f, const char *name)
{
    const struct schema *s = source_fixture_stream(f, name)->schema;
    struct buf out = BUF_INIT((size_t)1 << 20);
    const char *text;

    for (size_t i = 0; i < s->n_columns; i++) {
        char type[32];
        bool key = false;

        type_format(s->columns[i].type, type);
        for (size_t k = 0; k < s->n_key; k++)
            key |= s->key[k] == i;
        buf_printf(&out, "%s%s %s%s%s", i ? ", " : "", s->columns[i].name, type,
                   s->columns[i].nullable ? "" : " not null", key ? " key" : "");
    }
    text = arena_strdup(f->mem, buf_str(&out));
    buf_release(&out);
    return text;
}

struct fake_stream *source_fixture_read(struct source_fixture *f)
{
    const char **at = arena_array(f->mem, f->h.selection.n + 1, sizeof *at);

    at[0] = f->position[0] ? f->position : NULL;
    fake_sink_free(f->got);
    f->got = fake_sink_new(f->h.selection.n);
    f->err = ERROR_INIT;
    if (harness_read(&f->h, at, &f->got->sink, &f->err) < 0)
        cr_assert_fail("%s", f->err.message);
    cr_assert_str_eq(f->got->violation, "");
    if (f->got->streams[0].ended && f->got->streams[0].end_position)
        snprintf(f->position, sizeof f->position, "%s", f->got->streams[0].end_position);
    return &f->got->streams[0];
}

const char *source_fixture_lines(struct source_fixture *f)
{
    struct fake_stream *s = source_fixture_read(f);
    struct buf out = BUF_INIT((size_t)256 << 20);
    const char *text;

    cr_assert(s->ended, "%s", s->why.message);
    for (size_t i = 0; i < s->n_lines; i++)
        buf_printf(&out, "%s%s", i ? " " : "", s->lines[i]);
    text = arena_strdup(f->mem, buf_str(&out));
    buf_release(&out);
    return text;
}

static bool has_line(const struct fake_stream *s, const char *line)
{
    for (size_t i = 0; i < s->n_lines; i++) {
        if (strcmp(s->lines[i], line) == 0)
            return true;
    }
    return false;
}

/* A run that finishes the window of one before it reads its own too, which overlaps that one. */
static void check_overlap(const struct source_fixture *f, const struct fake_stream *whole,
                          const struct fake_stream *joined)
{
    const struct selected_stream *s = &f->h.selection.streams[0];

    cr_assert(joined->n_lines == whole->n_lines ||
                  (s->sync_mode == SYNC_INCREMENTAL && s->write_mode != WRITE_APPEND),
              "%zu rows came twice", joined->n_lines - whole->n_lines);
    for (size_t i = whole->n_lines; i < joined->n_lines; i++)
        cr_assert(has_line(whole, joined->lines[i]), "%s", joined->lines[i]);
}

void source_fixture_resume_everywhere(struct source_fixture *f)
{
    struct fake_sink *whole;

    f->position[0] = '\0';
    cr_assert(source_fixture_read(f)->ended, "%s", f->got->streams[0].why.message);
    whole = f->got;
    f->got = NULL;
    for (size_t i = 0; i < whole->streams[0].n_checkpoints; i++) {
        const struct fake_checkpoint *from = &whole->streams[0].checkpoints[i];
        struct fake_sink *joined = fake_sink_new(f->h.selection.n);
        const char *at = from->position;
        long differ;

        fake_sink_copy(joined, whole, 0, from->n_lines);
        f->err = ERROR_INIT;
        cr_assert_eq(harness_read(&f->h, &at, &joined->sink, &f->err), 0, "%s", f->err.message);
        cr_assert(joined->streams[0].ended, "%s", joined->streams[0].why.message);
        differ = fake_sink_differ(&whole->streams[0], &joined->streams[0]);
        cr_assert(differ == -1 || differ == (long)whole->streams[0].n_lines,
                  "line %ld differs after resuming from %s", differ, at);
        check_overlap(f, &whole->streams[0], &joined->streams[0]);
        fake_sink_free(joined);
    }
    f->got = whole;
}

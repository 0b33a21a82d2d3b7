#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/doc.h"
#include "connectors/base/text.h"
#include "tests/support/fake_api.h"
#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

extern const struct source_connector source_rest;

#define ITEMS 25

/* What the server has; tests change it between runs. */
struct world {
    int n, page_size, calls;
    int stamps[100]; /* seconds after the hour, per item */
    char query[300];
};

static int param(const struct fake_request *r, const char *name, int fallback)
{
    const char *text = fake_param(r, name);
    int64_t v;

    return text && text_to_int64(text, strlen(text), &v) ? (int)v : fallback;
}

static void item(struct buf *out, const struct world *w, int i)
{
    buf_printf(out, "{\"id\":%d,\"price\":%d.10,\"at\":\"2024-01-01T00:%02d:%02dZ\"}", i, i,
               w->stamps[i] / 60, w->stamps[i] % 60);
}

/* Items `from` on, at most `max`; `tail` stands behind them. */
static const char *page(struct arena *mem, const struct world *w, int from, int max,
                        const char *tail)
{
    struct buf out = BUF_INIT(1 << 20);
    const char *text;

    buf_puts(&out, "{\"data\":[");
    for (int i = from; i < from + max && i < w->n; i++) {
        buf_puts(&out, i > from ? "," : "");
        item(&out, w, i);
    }
    buf_printf(&out, "]%s}", tail);
    text = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return text;
}

static const char *since_page(struct arena *mem, const struct world *w,
                              const struct fake_request *r)
{
    const char *since = fake_param(r, "since");
    struct buf out = BUF_INIT(1 << 20);
    const char *text, *comma = "";

    buf_puts(&out, "{\"data\":[");
    for (int i = 0; i < w->n; i++) {
        char at[32];

        snprintf(at, sizeof at, "2024-01-01T00:%02d:%02dZ", w->stamps[i] / 60, w->stamps[i] % 60);
        if (since && strcmp(at, since) < 0)
            continue;
        buf_puts(&out, comma);
        item(&out, w, i);
        comma = ",";
    }
    buf_puts(&out, "]}");
    text = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return text;
}

static void answer(void *arg, const struct fake_request *r, struct arena *mem,
                   struct fake_answer *out)
{
    struct world *w = arg;
    int size = w->page_size, at;

    w->calls++;
    snprintf(w->query, sizeof w->query, "%s", r->query);
    if (strcmp(r->path, "/page") == 0) {
        out->body = page(mem, w, (param(r, "page", 1) - 1) * size, size, "");
    } else if (strcmp(r->path, "/pages-told") == 0) {
        out->body = page(mem, w, (param(r, "page", 1) - 1) * size, size,
                         arena_printf(mem, ",\"pages\":%d", (w->n + size - 1) / size));
    } else if (strcmp(r->path, "/offset") == 0) {
        /* Gives fewer than asked for. */
        out->body = page(mem, w, param(r, "offset", 0), size, ",\"total\":25");
    } else if (strcmp(r->path, "/cursor") == 0) {
        at = param(r, "after", 0);
        out->body =
            page(mem, w, at, size,
                 at + size < w->n ? arena_printf(mem, ",\"meta\":{\"next\":\"%d\"}", at + size)
                 : at % 2         ? ",\"meta\":{\"next\":null}"
                                  : ",\"meta\":{\"next\":\"\"}");
    } else if (strcmp(r->path, "/link") == 0) {
        at = param(r, "from", 0);
        out->body = page(mem, w, at, size, "");
        if (at + size < w->n) {
            out->headers[0].name = "Link";
            out->headers[0].value = arena_printf(
                mem, "</link?from=%d&x=1>; rel=\"next\", </link?from=0>; rel=\"first\"", at + size);
        }
    } else if (strcmp(r->path, "/next") == 0) {
        at = param(r, "from", 0);
        out->body = page(
            mem, w, at, size,
            at + size < w->n ? arena_printf(mem, ",\"next\":\"next?from=%d\"", at + size) : "");
    } else if (strcmp(r->path, "/last") == 0) {
        at = param(r, "starting_after", -1) + 1;
        out->body =
            page(mem, w, at, size, at + size < w->n ? ",\"has_more\":true" : ",\"has_more\":false");
    } else if (strcmp(r->path, "/same-cursor") == 0) {
        out->body = page(mem, w, param(r, "after", 0), size, ",\"meta\":{\"next\":\"7\"}");
    } else if (strcmp(r->path, "/circle") == 0) {
        at = param(r, "after", 0);
        out->body = page(mem, w, at % 20, size,
                         arena_printf(mem, ",\"meta\":{\"next\":\"%d\"}", at == 5 ? 10 : 5));
    } else if (strcmp(r->path, "/repeats") == 0) {
        out->body = page(mem, w, 20, size, "");
    } else if (strcmp(r->path, "/away") == 0) {
        out->body = page(mem, w, 0, size, ",\"next\":\"http://elsewhere.example/x\"");
    } else if (strcmp(r->path, "/hole") == 0) {
        at = param(r, "page", 1);
        out->body = at == 2 ? "{\"data\":[{\"id\":0}],\"more\":true}"
                            : page(mem, w, (at - 1) * size, size, at < 5 ? ",\"more\":true" : "");
    } else if (strcmp(r->path, "/csv") == 0) {
        out->headers[0].name = "Content-Type";
        out->headers[0].value = "text/csv; charset=utf-8";
        out->body = "id,name\n1,\"a, b\"\n2,\n";
    } else if (strcmp(r->path, "/odd-csv") == 0) {
        out->body = "1|caf\xe9\n2|none\n";
    } else if (strcmp(r->path, "/since") == 0) {
        out->body = since_page(mem, w, r);
    } else if (strncmp(r->path, "/children/", 10) == 0) {
        at = atoi(r->path + 10);
        if (at == 3)
            out->status = 404;
        out->body =
            at == 3 ? "gone"
                    : arena_printf(mem, "{\"data\":[{\"c\":\"%d-a\"},{\"c\":\"%d-b\"}]}", at, at);
    } else {
        out->status = 404;
        out->body = "?";
    }
}

struct fixture {
    struct world world;
    struct fake_api *api;
    /* More members of the client and the document, each with a comma behind it; NULL = none. */
    const char *client, *document;
    struct harness h;
    struct fake_sink *sink;
};

static void open_fixture(struct fixture *f)
{
    f->world.n = ITEMS;
    f->world.page_size = 10;
    for (int i = 0; i < 100; i++)
        f->world.stamps[i] = i * 10;
    f->api = fake_api_start(answer, &f->world);
}

static void describe(struct fixture *f, const char *streams, const char *selection)
{
    struct error err = ERROR_INIT;
    struct arena *mem = arena_new();
    const char *config = arena_printf(
        mem,
        "{\"document\":{%s\"client\":{%s\"base_url\":\"%s\","
        "\"retry\":{\"tries\":2,\"base\":\"1ms\"}},"
        "\"defaults\":{\"records\":{\"path\":\"data\"},\"key\":[\"id\"]},\"streams\":[%s]}}",
        f->document ? f->document : "", f->client ? f->client : "", fake_api_url(f->api), streams);

    cr_assert_eq(harness_open(&f->h, &source_rest, config, &err), 0, "%s in %s", err.message,
                 config);
    f->h.run.started_unix_us = INT64_C(1704070800000000); /* 2024-01-01T01:00:00Z */
    cr_assert_eq(harness_select(&f->h, selection, &err), 0, "%s", err.message);
    arena_free(mem);
}

static void read_from(struct fixture *f, const char *position)
{
    struct error err = ERROR_INIT;
    const char *positions[] = {position, NULL, NULL};

    fake_sink_free(f->sink);
    f->sink = fake_sink_new(f->h.selection.n);
    cr_assert_eq(harness_read(&f->h, positions, &f->sink->sink, &err), 0, "%s", err.message);
    cr_assert_str_eq(f->sink->violation, "");
}

static void close_described(struct fixture *f)
{
    fake_sink_free(f->sink);
    f->sink = NULL;
    harness_close(&f->h);
}

static void close_fixture(struct fixture *f)
{
    fake_api_stop(f->api);
}

/* Every item of 0..n-1 came exactly once, in the lines of stream 0. */
static void expect_all(struct fixture *f, int n)
{
    struct fake_stream *s = &f->sink->streams[0];

    cr_assert(s->ended, "%s", s->why.message);
    cr_assert_eq(s->n_lines, (size_t)n, "%zu rows", s->n_lines);
    for (int i = 0; i < n; i++) {
        char id[32];
        int found = 0;

        snprintf(id, sizeof id, "\"id\":\"%d\"", i);
        for (size_t j = 0; j < s->n_lines; j++)
            found += strstr(s->lines[j], id) != NULL;
        cr_assert_eq(found, 1, "item %d came %d times", i, found);
    }
}

static const char full[] =
    "[{\"name\":\"s\",\"sync_mode\":\"full_refresh\",\"destination_sync_mode\":\"overwrite\"}]";

Test(rest_source, follows_every_kind_of_page)
{
    static const char *const kinds[] = {
        "\"path\":\"/page\",\"paginate\":{\"type\":\"page\"}",
        "\"path\":\"/page\",\"paginate\":{\"type\":\"page\",\"size\":10,\"stop\":\"short_page\"}",
        "\"path\":\"/pages-told\",\"paginate\":{\"type\":\"page\",\"total_pages_path\":\"pages\"}",
        "\"path\":\"/"
        "offset\",\"paginate\":{\"type\":\"offset\",\"limit\":50,\"total_path\":\"total\"}",
        "\"path\":\"/offset\",\"paginate\":{\"type\":\"offset\",\"limit\":50}",
        "\"path\":\"/cursor\",\"paginate\":{\"type\":\"cursor\",\"path\":\"meta.next\",\"param\":"
        "\"after\"}",
        "\"path\":\"/link\",\"paginate\":{\"type\":\"link_header\"}",
        "\"path\":\"/next\",\"paginate\":{\"type\":\"next_url\",\"path\":\"next\"}",
        "\"path\":\"/last\",\"paginate\":{\"type\":\"last_record\",\"field\":\"id\",\"param\":"
        "\"starting_after\",\"more_path\":\"has_more\"}",
        "\"path\":\"/cursor?after={{ page.token | default:0 }}\",\"paginate\":{\"type\":\"cursor\","
        "\"path\":\"meta.next\",\"in\":\"path\",\"param\":\"after\"}",
    };
    static const int calls[] = {4, 3, 3, 3, 4, 3, 3, 3, 3, 3};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct fixture f = {0};
        char stream[400];

        open_fixture(&f);
        snprintf(stream, sizeof stream, "{\"name\":\"s\",%s}", kinds[i]);
        describe(&f, stream, full);
        f.world.calls = 0;
        read_from(&f, NULL);
        expect_all(&f, ITEMS);
        cr_assert_eq(f.world.calls, calls[i], "%s: %d calls", kinds[i], f.world.calls);
        close_described(&f);
        close_fixture(&f);
    }
}

static void fails_with(struct fixture *f, const char *stream, const char *reason)
{
    /* A schema, so that discovery does not meet what reading is to meet. */
    char text[600];

    snprintf(text, sizeof text,
             "{\"name\":\"s\",\"schema\":{\"properties\":{\"id\":{\"type\":\"integer\"}}},%s}",
             stream);
    describe(f, text, full);
    read_from(f, NULL);
    cr_assert(f->sink->streams[0].failed, "%s", stream);
    cr_assert_str_eq(f->sink->streams[0].why.reason, reason, "%s: %s", stream,
                     f->sink->streams[0].why.message);
    close_described(f);
}

Test(rest_source, does_not_go_in_circles)
{
    struct fixture f = {0};

    open_fixture(&f);
    fails_with(&f,
               "\"path\":\"/same-cursor\",\"paginate\":{\"type\":\"cursor\",\"path\":\"meta.next\","
               "\"param\":\"after\"}",
               "pagination_loop");
    fails_with(&f,
               "\"path\":\"/circle\",\"paginate\":{\"type\":\"cursor\",\"path\":\"meta.next\","
               "\"param\":\"after\"}",
               "pagination_loop");
    fails_with(&f, "\"path\":\"/away\",\"paginate\":{\"type\":\"next_url\",\"path\":\"next\"}",
               "url_refused");
    fails_with(&f, "\"path\":\"/page\",\"max_pages\":2,\"paginate\":{\"type\":\"page\"}",
               "max_pages");
    fails_with(&f, "\"path\":\"/page?page=9\",\"empty_ok\":false", "empty_stream");
    close_fixture(&f);
}

Test(rest_source, ends_when_a_numbered_page_repeats)
{
    struct fixture f = {0};

    open_fixture(&f);
    describe(&f, "{\"name\":\"s\",\"path\":\"/repeats\",\"paginate\":{\"type\":\"page\"}}", full);
    read_from(&f, NULL);
    cr_assert(f.sink->streams[0].ended);
    cr_assert_eq(f.sink->streams[0].n_lines, 10, "twice five: the key folds them");
    close_described(&f);
    close_fixture(&f);
}

Test(rest_source, passes_over_a_short_page_in_the_middle)
{
    struct fixture f = {0};

    open_fixture(&f);
    f.world.n = 50;
    describe(&f,
             "{\"name\":\"s\",\"path\":\"/"
             "hole\",\"paginate\":{\"type\":\"page\",\"more_path\":\"more\"}}",
             full);
    read_from(&f, NULL);
    cr_assert(f.sink->streams[0].ended);
    cr_assert_eq(f.sink->streams[0].n_lines, 41);
    close_described(&f);
    close_fixture(&f);
}

static const char since_stream[] =
    "{\"name\":\"s\",\"path\":\"/since\",\"incremental\":{\"field\":\"at\",\"start\":"
    "\"2024-01-01T00:00:00Z\",\"lookback\":\"10s\",\"end\":\"2024-01-01T00:04:00Z\","
    "\"send\":{\"param\":\"since\",\"value\":\"{{ state.start | iso }}\"}}}";

Test(rest_source, keeps_a_bookmark_below_the_horizon)
{
    static const char upsert[] = "[{\"name\":\"s\",\"sync_mode\":\"incremental\","
                                 "\"destination_sync_mode\":\"append_dedup\"}]";
    struct fixture f = {0};
    char *position;

    open_fixture(&f);
    describe(&f, since_stream, upsert);
    read_from(&f, NULL);
    expect_all(&f, ITEMS);
    cr_assert_str_eq(f.world.query, "since=2024-01-01T00%3A00%3A00Z");
    position = strdup(f.sink->streams[0].end_position);
    cr_assert_not_null(strstr(position, "\"safe\":\"2024-01-01T00:03:50Z\""), "%s", position);
    read_from(&f, position);
    cr_assert_str_eq(f.world.query, "since=2024-01-01T00%3A03%3A50Z");
    cr_assert_eq(f.sink->streams[0].n_lines, 2, "what is at or behind 3:50");
    free(position);
    close_described(&f);
    close_fixture(&f);
}

Test(rest_source, appends_each_version_once)
{
    static const char append[] = "[{\"name\":\"s\",\"sync_mode\":\"incremental\","
                                 "\"destination_sync_mode\":\"append\"}]";
    struct fixture f = {0};
    char *position;
    size_t first;

    open_fixture(&f);
    describe(&f, since_stream, append);
    read_from(&f, NULL);
    first = f.sink->streams[0].n_lines;
    cr_assert_eq(first, 23, "below 3:50: %zu", first);
    cr_assert_eq(f.sink->streams[0].overlap_dropped, 2);
    position = strdup(f.sink->streams[0].end_position);
    /* A late row, stamped behind the horizon, comes now; nothing comes twice. */
    f.world.stamps[0] = 3 * 60 + 51;
    read_from(&f, position);
    cr_assert_eq(f.sink->streams[0].n_lines, 0, "the end has not moved");
    free(position);
    close_described(&f);
    close_fixture(&f);
}

Test(rest_source, goes_on_behind_every_checkpoint)
{
    static const char stream[] =
        "{\"name\":\"s\",\"path\":\"/cursor\",\"paginate\":{\"type\":\"cursor\",\"path\":"
        "\"meta.next\",\"param\":\"after\"}}";
    struct fixture f = {0};
    struct fake_sink *whole;

    open_fixture(&f);
    f.world.n = 95;
    f.world.page_size = 5;
    describe(&f, stream, full);
    read_from(&f, NULL);
    expect_all(&f, 95);
    whole = f.sink;
    f.sink = NULL;
    /* Checkpoints come by time and number; the ends of streams always have one. */
    for (size_t i = 0; i < whole->streams[0].n_checkpoints; i++) {
        struct fake_checkpoint *c = &whole->streams[0].checkpoints[i];

        read_from(&f, c->position);
        cr_assert_eq(c->n_lines + f.sink->streams[0].n_lines, 95, "behind %s", c->position);
    }
    read_from(&f,
              "{\"kind\":\"page\",\"slice\":\"0\",\"since\":\"99999999999999\",\"token\":\"40\","
              "\"pages\":\"8\",\"count\":\"40\"}");
    cr_assert_eq(f.sink->streams[0].n_lines, 55);
    read_from(&f, "{\"kind\":\"page\",\"slice\":\"0\",\"since\":\"5\",\"token\":\"40\"}");
    cr_assert_eq(f.sink->streams[0].n_lines, 95, "an old cursor is not used again");
    read_from(&f, "{\"kind\":\"page\",\"done\":true}");
    cr_assert_eq(f.sink->streams[0].n_lines, 0);
    fake_sink_free(whole);
    close_described(&f);
    close_fixture(&f);
}

Test(rest_source, asks_for_the_children_of_every_parent)
{
    static const char streams[] =
        "{\"name\":\"p\",\"path\":\"/page\",\"paginate\":{\"type\":\"page\"}},"
        "{\"name\":\"c\",\"path\":\"/children/{{ parent.id }}\",\"key\":[\"c\"],"
        "\"for_each\":{\"stream\":\"p\",\"fields\":{\"id\":\"id\"},\"include\":[\"id\"],"
        "\"on_missing\":\"empty\"}}";
    struct fixture f = {0};
    struct fake_stream *s;

    open_fixture(&f);
    describe(&f, streams,
             "[{\"name\":\"c\",\"sync_mode\":\"full_refresh\",\"destination_sync_mode\":"
             "\"overwrite\"}]");
    f.world.calls = 0;
    read_from(&f, NULL);
    s = &f.sink->streams[0];
    cr_assert(s->ended, "%s", s->why.message);
    cr_assert_eq(s->n_lines, 2 * (ITEMS - 1), "%zu", s->n_lines);
    cr_assert_not_null(strstr(s->lines[1], "\"c\":\"0-b\""), "%s", s->lines[1]);
    cr_assert_not_null(strstr(s->lines[1], "\"parent_id\":\"0\""), "%s", s->lines[1]);
    cr_assert_eq(f.world.calls, 4 + ITEMS);
    close_described(&f);
    close_fixture(&f);
}

Test(rest_source, decodes_csv_by_its_type_and_as_it_is_told)
{
    struct fixture f = {0};

    open_fixture(&f);
    describe(&f, "{\"name\":\"s\",\"path\":\"/csv\"}", full);
    read_from(&f, NULL);
    cr_assert_eq(f.sink->streams[0].n_lines, 2);
    cr_assert_str_eq(f.sink->streams[0].lines[0], "{\"id\":\"1\",\"name\":\"a, b\"}");
    cr_assert_str_eq(f.sink->streams[0].lines[1], "{\"id\":\"2\",\"name\":null}");
    close_described(&f);
    f.client = "\"decoder\":{\"csv\":{\"delimiter\":\"|\",\"header\":false,"
               "\"encoding\":\"latin-1\",\"null\":[\"none\"]}},";
    describe(&f, "{\"name\":\"s\",\"path\":\"/odd-csv\",\"key\":[\"column1\"]}", full);
    read_from(&f, NULL);
    cr_assert_eq(f.sink->streams[0].n_lines, 2);
    cr_assert_str_eq(f.sink->streams[0].lines[0],
                     "{\"column1\":\"1\",\"column2\":\"caf\xc3\xa9\"}");
    cr_assert_str_eq(f.sink->streams[0].lines[1], "{\"column1\":\"2\",\"column2\":null}");
    close_described(&f);
    close_fixture(&f);
}

/* What a bookmark says is said of the slices that were there when it was set. */
Test(rest_source, reads_a_new_slice_of_a_list_from_the_beginning)
{
    static const char stream[] =
        "{\"name\":\"s\",\"path\":\"/since\",\"params\":{\"part\":\"{{ slice.value }}\"},"
        "\"slices\":\"{{ vars.parts }}\",\"incremental\":{\"field\":\"at\",\"lookback\":\"0s\","
        "\"start\":\"2024-01-01T00:00:00Z\",\"end\":\"2024-01-01T00:02:00Z\","
        "\"send\":{\"param\":\"since\",\"value\":\"{{ state.start | iso }}\"}}}";
    static const char *const lists[] = {"[\"x\"]", "[\"x\",\"y\"]", "[\"x\",\"y\"]", "[]"};
    static const char *const last[] = {"part=x&since=2024-01-01T00%3A00%3A00Z",
                                       "part=y&since=2024-01-01T00%3A00%3A00Z",
                                       "part=y&since=2024-01-01T00%3A02%3A00Z"};
    static const int calls[] = {1, 2, 2, 0};
    struct arena *mem = arena_new();
    const char *position = NULL;
    struct fixture f = {0};

    open_fixture(&f);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        f.document =
            arena_printf(mem, "\"vars\":{\"parts\":{\"type\":\"list\",\"default\":%s}},", lists[i]);
        describe(&f, stream,
                 "[{\"name\":\"s\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
                 "\"append_dedup\"}]");
        f.world.calls = 0;
        read_from(&f, position);
        cr_assert(f.sink->streams[0].ended, "%s", f.sink->streams[0].why.message);
        cr_assert_eq(f.world.calls, calls[i], "%zu: %d calls", i, f.world.calls);
        if (calls[i])
            cr_assert_str_eq(f.world.query, last[i]);
        position = arena_strdup(mem, f.sink->streams[0].end_position);
        if (i == 2) { /* within a run of other slices: which is the second one is not known */
            f.world.calls = 0;
            read_from(&f, "{\"kind\":\"page\",\"digest\":\"other\",\"slice\":\"1\"}");
            cr_assert_eq(f.world.calls, 2);
        }
        close_described(&f);
    }
    close_fixture(&f);
    arena_free(mem);
}

Test(rest_source, reads_slices_and_windows)
{
    static const char streams[] =
        "{\"name\":\"s\",\"path\":\"/since\",\"params\":{\"to\":\"{{ state.end | iso }}\","
        "\"part\":\"{{ slice.part }}\"},\"slices\":[{\"part\":\"x\"},{\"part\":\"y\"}],"
        "\"incremental\":{\"field\":\"at\",\"start\":\"2024-01-01T00:00:00Z\",\"window\":\"2m\","
        "\"lookback\":\"0s\",\"end\":\"2024-01-01T00:05:00Z\","
        "\"send\":{\"param\":\"since\",\"value\":\"{{ state.start | iso }}\"}}}";
    struct fixture f = {0};

    open_fixture(&f);
    describe(&f, streams,
             "[{\"name\":\"s\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":"
             "\"append_dedup\"}]");
    f.world.calls = 0;
    read_from(&f, NULL);
    cr_assert(f.sink->streams[0].ended, "%s", f.sink->streams[0].why.message);
    cr_assert_eq(f.world.calls, 6, "three windows of two slices, %d", f.world.calls);
    cr_assert_not_null(strstr(f.world.query, "to=2024-01-01T00%3A05%3A00Z&part=y"), "%s",
                       f.world.query);
    close_described(&f);
    close_fixture(&f);
}

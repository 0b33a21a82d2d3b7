/*
 * A source as a program: which streams are meant, and what is answered about them.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/main.h"
#include "connectors/main_source.h"

/* -------------------------------------------------------------------- discovery */

static int put_discovered(const struct main_run *p, const struct catalog *catalog)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)1 << 30);
    struct jsonw w = JSONW_INIT(&text);

    if (!p->line.discover_streams) {
        struct doc *d = catalog_to_singer(catalog, NULL);

        doc_write(d, &text);
        doc_free(d);
        return main_answer(&text);
    }
    jsonw_array(&w);
    for (size_t i = 0; i < catalog->n; i++) {
        jsonw_object(&w);
        jsonw_put_string(&w, "stream", catalog->streams[i].name);
        jsonw_put_string(&w, "tap_stream_id", stream_full_name(p->run.mem, &catalog->streams[i]));
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    return main_answer(&text);
}

static int discover(struct main_run *p)
{
    struct catalog catalog = CATALOG_INIT(p->run.mem);
    struct error err = ERROR_INIT;

    if (p->connector->source->discover(p->config, &p->run, &catalog, &err) < 0)
        return main_fail(&err);
    return put_discovered(p, &catalog);
}

/* -------------------------------------------------------------------- selection */

/* What was asked for, in documents that belong to the struct. */
struct asked {
    struct doc *catalog, *state, *query, *only;
    struct doc *streams; /* the native array, NULL = all */
};

static void asked_release(struct asked *a)
{
    doc_free(a->catalog);
    doc_free(a->state);
    doc_free(a->query);
    doc_free(a->only);
    doc_free(a->streams);
}

static bool read_asked(const struct main_line *line, struct asked *out)
{
    return main_document("catalog", line->catalog, line->catalog_json, &out->catalog) &&
           main_document("state", line->state, line->state_json, &out->state) &&
           main_document("query", NULL, line->query, &out->query) &&
           main_document("selected_streams_json", NULL, line->selected_streams_json, &out->only);
}

/* {"column": value} as conditions; "_limit" is none. */
static struct doc *conditions_of(const struct doc *query, int64_t *out_limit,
                                 struct problems *problems)
{
    struct doc *list = doc_new_array();

    for (const struct doc_member *it = doc_first(query); it; it = doc_next(query, it)) {
        const struct doc *value = doc_member_value(it);
        struct doc *condition;

        if (!strcmp(doc_member_key(it), "_limit")) {
            *out_limit = doc_int(value, 0);
            if (*out_limit <= 0)
                problems_add(problems, "/_limit", "out_of_range", "expected a number of rows");
            continue;
        }
        condition = doc_new_object();
        doc_set(condition, "column", doc_new_string(doc_member_key(it)));
        doc_set(condition, "op", doc_new_string(doc_is(value, DOC_NULL) ? "is_null" : "eq"));
        if (!doc_is(value, DOC_NULL))
            doc_set(condition, "value", doc_copy(value));
        doc_append(list, condition);
    }
    return list;
}

static struct doc *every_stream(const struct catalog *catalog)
{
    struct doc *list = doc_new_array();

    for (size_t i = 0; i < catalog->n; i++) {
        struct doc *entry = doc_new_object();

        doc_set(entry, "name", doc_new_string(catalog->streams[i].name));
        doc_set(entry, "namespace", doc_new_string(catalog->streams[i].namespace));
        doc_append(list, entry);
    }
    return list;
}

/* The conditions of --query count for every stream, beside those of the catalog. */
static void apply_query(struct asked *a, struct chosen *out, struct problems *problems)
{
    struct doc *conditions;
    struct doc *changed;

    if (!a->query)
        return;
    if (!doc_is(a->query, DOC_OBJECT) && !doc_is(a->query, DOC_ARRAY)) {
        problems_add(problems, "", "wrong_type", "expected an object or an array of conditions");
        return;
    }
    conditions = doc_is(a->query, DOC_OBJECT) ? conditions_of(a->query, &out->limit, problems)
                                              : doc_copy(a->query);
    if (doc_count(conditions) > 0) {
        if (!a->streams)
            a->streams = every_stream(&out->catalog);
        changed = doc_new_array();
        for (size_t i = 0; i < doc_count(a->streams); i++) {
            struct doc *entry = doc_copy(doc_at(a->streams, i));
            const struct doc *had = doc_get(entry, "filter");
            struct doc *filter = had ? doc_copy(had) : doc_new_array();

            for (size_t k = 0; k < doc_count(conditions); k++)
                doc_append(filter, doc_copy(doc_at(conditions, k)));
            doc_set(entry, "filter", filter);
            doc_append(changed, entry);
        }
        doc_free(a->streams);
        a->streams = changed;
    }
    doc_free(conditions);
}

static bool means(const char *name, const struct stream *s, struct arena *mem)
{
    return !strcmp(name, s->name) || !strcmp(name, stream_full_name(mem, s));
}

/* Reduces the selection to the names in --selected_streams_json, each of which means something. */
static void keep_only(const struct doc *only, struct arena *mem, struct selection *io,
                      struct problems *problems)
{
    bool *keep = arena_array(mem, io->n + 1, sizeof *keep);
    size_t n = 0;

    if (!doc_is(only, DOC_ARRAY)) {
        problems_add(problems, "", "wrong_type", "expected an array of names of streams");
        return;
    }
    for (size_t i = 0; i < doc_count(only); i++) {
        const char *name = doc_string(doc_at(only, i), "");
        bool found = false;

        for (size_t k = 0; k < io->n; k++) {
            if (means(name, io->streams[k].stream, mem))
                keep[k] = found = true;
        }
        if (!found)
            problems_add(problems, arena_printf(mem, "/%zu", i), "unknown_stream",
                         "no stream \"%s\" is selected", name);
    }
    for (size_t k = 0; k < io->n; k++) {
        if (keep[k])
            io->streams[n++] = io->streams[k];
    }
    io->n = n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A stream is called by its alias; where two have the same, "namespace-alias", which is how targets
 * of databases read it. */
static void name_streams(struct arena *mem, struct chosen *c)
{
    const char **sorted = arena_array(mem, c->selection.n + 1, sizeof *sorted);
    size_t n = c->selection.n;

    c->names = arena_array(mem, n + 1, sizeof *c->names);
    c->ids = arena_array(mem, n + 1, sizeof *c->ids);
    for (size_t i = 0; i < n; i++)
        sorted[i] = c->selection.streams[i].alias;
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < n; i++) {
        const struct selected_stream *s = &c->selection.streams[i];
        const char **at = bsearch(&s->alias, sorted, n, sizeof *sorted, by_name);
        bool twice = at && ((at > sorted && !strcmp(at[-1], *at)) ||
                            (at + 1 < sorted + n && !strcmp(at[1], *at)));

        c->ids[i] = stream_full_name(mem, s->stream);
        c->names[i] = twice && *s->stream->namespace
                          ? arena_printf(mem, "%s-%s", s->stream->namespace, s->alias)
                          : s->alias;
    }
}

static int choose(struct main_run *p, struct asked *a, struct chosen *out)
{
    struct problems problems = PROBLEMS_INIT(p->run.mem);
    struct error err = ERROR_INIT;

    *out = (struct chosen){.catalog = CATALOG_INIT(p->run.mem)};
    if (a->catalog)
        a->streams = selection_from_singer(a->catalog, &problems);
    if (problems.n > 0)
        return main_refuse("catalog", &problems);
    if (p->connector->source->discover(p->config, &p->run, &out->catalog, &err) < 0)
        return main_fail(&err);
    apply_query(a, out, &problems);
    if (problems.n > 0)
        return main_refuse("query", &problems);
    if (!selection_check_filters(a->streams, "/streams", p->connector->name,
                                 p->connector->source->filters_rows, &problems) ||
        !selection_resolve(a->streams, &out->catalog, "/streams", p->run.mem, &out->selection,
                           &problems))
        return main_refuse("selection", &problems);
    if (a->only)
        keep_only(a->only, p->run.mem, &out->selection, &problems);
    if (problems.n > 0)
        return main_refuse("selected_streams_json", &problems);
    name_streams(p->run.mem, out);
    if (out->selection.n == 0)
        log_warn(p->run.log, .message = "no stream is selected");
    return MAIN_DONE;
}

/* ------------------------------------------------------------------------ modes */

static int count(struct main_run *p, const struct chosen *c)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)64 << 20);
    struct jsonw w = JSONW_INIT(&text);

    jsonw_array(&w);
    for (size_t i = 0; i < c->selection.n; i++) {
        struct error err = ERROR_INIT;
        bool exact = true;
        int64_t n = 0;

        if (p->connector->source->count(p->config, &p->run, c->selection.streams[i].stream, &n,
                                        &exact, &err) < 0)
            return main_fail(&err);
        jsonw_object(&w);
        jsonw_put_int(&w, "count", n);
        jsonw_put_string(&w, "id", c->ids[i]);
        jsonw_put_string(&w, "stream", c->selection.streams[i].stream->name);
        if (!exact)
            jsonw_put_bool(&w, "exact", false);
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    return main_answer(&text);
}

/* A STATE message is taken for its value. */
static const struct doc *state_of(const struct doc *given)
{
    if (!strcmp(doc_string(doc_get(given, "type"), ""), "STATE"))
        return doc_get(given, "value");
    return given;
}

static int choose_and_work(struct main_run *p, struct asked *a)
{
    struct chosen chosen;
    int status = choose(p, a, &chosen);

    if (status != MAIN_DONE)
        return status;
    if (p->line.count_records)
        return count(p, &chosen);
    if (p->line.load_sample_data)
        return main_sample(p, &chosen);
    return main_sync(p, &chosen, state_of(a->state));
}

static int work(struct main_run *p)
{
    CLEANUP(asked_release) struct asked asked = {0};

    if (p->line.discover)
        return discover(p);
    return read_asked(&p->line, &asked) ? choose_and_work(p, &asked) : MAIN_USAGE;
}

int connector_main_source(int argc, char **argv, const struct source_connector *c)
{
    const struct main_connector connector = {
        .kind = MAIN_SOURCE,
        .name = c->name,
        .title = c->title,
        .docs = c->docs,
        .options = c->options,
        .config_size = c->config_size,
        .config_start = c->config_start,
        .source = c,
    };

    return main_run(argc, argv, &connector, work);
}

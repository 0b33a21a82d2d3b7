#include "server/sync/setup.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/registry.h"

static void unknown_connector(const char *name, const char *kind, const char *pointer,
                              struct arena *mem, struct problems *problems)
{
    problems_add(problems, arena_printf(mem, "%s/connector", pointer), "unknown_connector",
                 "there is no %s connector \"%s\"", kind, name);
}

bool setup_source_config(const struct source_connector *c, const struct doc *config,
                         const char *pointer, struct arena *mem, struct source_setup *out,
                         struct problems *problems)
{
    void *decoded = arena_alloc(mem, c->config_size);

    if (c->config_start)
        memcpy(decoded, c->config_start, c->config_size);
    *out = (struct source_setup){c, decoded};
    return options_decode(c->options, config, arena_printf(mem, "%s/config", pointer), decoded, mem,
                          problems);
}

bool setup_source(const char *name, const struct doc *config, const char *pointer,
                  struct arena *mem, struct source_setup *out, struct problems *problems)
{
    const struct source_connector *c = registry_source(name);

    if (c)
        return setup_source_config(c, config, pointer, mem, out, problems);
    unknown_connector(name, "source", pointer, mem, problems);
    return false;
}

bool setup_destination(const char *name, const struct doc *config, const char *pointer,
                       struct arena *mem, struct destination_setup *out, struct problems *problems)
{
    const struct destination_connector *c = registry_destination(name);
    void *decoded;

    if (!c) {
        unknown_connector(name, "destination", pointer, mem, problems);
        return false;
    }
    decoded = arena_alloc(mem, c->config_size);
    *out = (struct destination_setup){c, decoded};
    return options_decode(c->options, config, arena_printf(mem, "%s/config", pointer), decoded, mem,
                          problems);
}

/* ---------------------------------------------------------------------- streams */

static const struct stream *stream_of_entry(const struct doc *entry, const struct catalog *catalog)
{
    return catalog_find(catalog, doc_string(doc_get(entry, "namespace"), ""),
                        doc_string(doc_get(entry, "name"), ""));
}

/* The user's array without streams that the source has no longer; those are named in `out`. The
 * others go on without them. NULL when nothing is missing. */
static struct doc *without_missing(const struct doc *streams, struct run *run,
                                   struct stream_setup *out)
{
    struct doc *rest = doc_new_array();

    out->missing = arena_array(run->mem, doc_count(streams) + 1, sizeof *out->missing);
    for (size_t i = 0; i < doc_count(streams); i++) {
        const struct doc *entry = doc_at(streams, i);
        const char *name = doc_string(doc_get(entry, "name"), NULL);

        if (!name || stream_of_entry(entry, &out->catalog)) {
            doc_append(rest, doc_copy(entry));
        } else if (doc_bool(doc_get(entry, "selected"), true)) {
            out->missing[out->n_missing++] = arena_strdup(run->mem, name);
        }
    }
    if (out->n_missing > 0)
        return rest;
    doc_free(rest);
    return NULL;
}

static bool is_named(const struct doc *only, const struct stream *s, struct arena *mem)
{
    for (size_t i = 0; i < doc_count(only); i++) {
        const char *name = doc_string(doc_at(only, i), "");

        if (!strcmp(name, s->name) || !strcmp(name, stream_full_name(mem, s)))
            return true;
    }
    return false;
}

static bool names_one(const char *name, const struct stream_setup *setup, struct arena *mem)
{
    for (size_t i = 0; i < setup->selection.n; i++) {
        const struct stream *s = setup->selection.streams[i].stream;

        if (!strcmp(name, s->name) || !strcmp(name, stream_full_name(mem, s)))
            return true;
    }
    for (size_t i = 0; i < setup->n_missing; i++) {
        if (!strcmp(name, setup->missing[i]))
            return true;
    }
    return false;
}

/* Reduces the selection to the names in `only`, each of which must mean something. */
static void keep_only(const struct doc *only, struct arena *mem, struct stream_setup *out,
                      struct problems *problems)
{
    size_t n = 0;

    for (size_t i = 0; i < doc_count(only); i++) {
        const char *name = doc_string(doc_at(only, i), "");

        if (!names_one(name, out, mem))
            problems_add(problems, arena_printf(mem, "/streams/%zu", i), "unknown_stream",
                         "no stream \"%s\" is selected", name);
    }
    for (size_t i = 0; i < out->selection.n; i++) {
        if (is_named(only, out->selection.streams[i].stream, mem))
            out->selection.streams[n++] = out->selection.streams[i];
    }
    out->selection.n = n;
    n = 0;
    for (size_t i = 0; i < out->n_missing; i++) {
        for (size_t k = 0; k < doc_count(only); k++) {
            if (!strcmp(doc_string(doc_at(only, k), ""), out->missing[i])) {
                out->missing[n++] = out->missing[i];
                break;
            }
        }
    }
    out->n_missing = n;
}

/* Whether the user has said for this stream what becomes of new columns. */
static bool names_drift(const struct doc *streams, const struct catalog *catalog,
                        const struct stream *s)
{
    for (size_t i = 0; i < doc_count(streams); i++) {
        const struct doc *entry = doc_at(streams, i);

        if (stream_of_entry(entry, catalog) == s)
            return doc_is(doc_get(entry, "new_columns"), DOC_STRING);
    }
    return false;
}

static void apply_settings(const struct sync_settings *settings, const struct doc *streams,
                           struct arena *mem, struct stream_setup *out)
{
    for (size_t i = 0; i < out->selection.n; i++) {
        struct selected_stream *s = &out->selection.streams[i];

        if (*settings->prefix)
            s->alias = arena_printf(mem, "%s%s", settings->prefix, s->alias);
        if (!names_drift(streams, &out->catalog, s->stream))
            s->drift = settings->drift;
        switch (settings->namespace_mode) {
        case NAMESPACE_SOURCE:
            s->destination_namespace = s->stream->namespace;
            break;
        case NAMESPACE_DESTINATION:
            s->destination_namespace = "";
            break;
        case NAMESPACE_CUSTOM:
            s->destination_namespace = settings->namespace_format;
            break;
        }
    }
}

struct target {
    const struct selected_stream *of;
};

static int by_target(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    int order = strcmp(x->of->destination_namespace, y->of->destination_namespace);

    return order ? order : strcmp(x->of->alias, y->of->alias);
}

/* Two streams must not share a table. */
static void check_targets(struct arena *mem, const struct selection *selection,
                          struct problems *problems)
{
    struct target *sorted = arena_array(mem, selection->n + 1, sizeof *sorted);

    for (size_t i = 0; i < selection->n; i++)
        sorted[i].of = &selection->streams[i];
    qsort(sorted, selection->n, sizeof *sorted, by_target);
    for (size_t i = 1; i < selection->n; i++) {
        if (by_target(&sorted[i - 1], &sorted[i]) != 0)
            continue;
        problems_add(problems, "/streams", "duplicate_alias",
                     "streams \"%s\" and \"%s\" would both be written to \"%s\"",
                     stream_full_name(mem, sorted[i - 1].of->stream),
                     stream_full_name(mem, sorted[i].of->stream), sorted[i].of->alias);
    }
}

static void check_modes(const struct destination_setup *destination, struct arena *mem,
                        const struct selection *selection, struct problems *problems)
{
    for (size_t i = 0; i < selection->n; i++) {
        const struct selected_stream *s = &selection->streams[i];

        if (!(destination->connector->write_modes & 1u << s->write_mode))
            problems_add(problems, arena_printf(mem, "/streams/%zu/destination_sync_mode", i),
                         "mode_not_supported", "destination %s cannot write stream \"%s\" as %s",
                         destination->connector->name, s->stream->name,
                         write_mode_name(s->write_mode));
    }
}

int setup_streams(const struct source_setup *source, const struct destination_setup *destination,
                  struct run *run, const struct doc *streams, const struct doc *only,
                  const struct sync_settings *settings, struct stream_setup *out,
                  struct problems *problems, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *rest = NULL;
    size_t before = problems->n;

    *out = (struct stream_setup){.catalog = CATALOG_INIT(run->mem)};
    if (source->connector->discover(source->config, run, &out->catalog, err) < 0)
        return -1;
    if (streams)
        rest = without_missing(streams, run, out);
    if (!selection_check_filters(rest ? rest : streams, "/streams", source->connector->name,
                                 source->connector->filters_rows, problems))
        return 0;
    if (!selection_check_policies(rest ? rest : streams, "/streams", destination->connector->name,
                                  destination->connector->value_policies, problems))
        return 0;
    if (!selection_resolve(rest ? rest : streams, &out->catalog, "/streams", run->mem,
                           &out->selection, problems))
        return 0;
    if (only)
        keep_only(only, run->mem, out, problems);
    if (problems->n > before)
        return 0;
    apply_settings(settings, rest ? rest : streams, run->mem, out);
    selection_set_merging(&out->selection, destination->connector->write_modes);
    check_modes(destination, run->mem, &out->selection, problems);
    check_targets(run->mem, &out->selection, problems);
    return 0;
}

int setup_error(const struct problems *problems, const char *what, struct error *err)
{
    const struct problem *first = &problems->items[0];
    size_t more = problems->n + problems->dropped - 1;

    if (more == 0)
        return error_set_reason(err, ERR_CONFIG, first->code, "%s: %s: %s", what, first->pointer,
                                first->message);
    return error_set_reason(err, ERR_CONFIG, first->code, "%s: %s: %s (and %zu more)", what,
                            first->pointer, first->message, more);
}

#include "tests/support/harness.h"

#include <string.h>

int harness_decode(const struct option *table, size_t config_size, const char *json,
                   struct arena *mem, void **out, struct doc **out_doc, struct error *err)
{
    struct problems problems = PROBLEMS_INIT(mem);
    void *config = arena_alloc(mem, config_size);
    struct doc *d;

    if (doc_parse(json, strlen(json), &d, err) < 0)
        return -1;
    *out_doc = d;
    if (!options_decode(table, d, "", config, mem, &problems))
        return error_set(err, ERR_CONFIG, "%s: %s: %s", problems.items[0].pointer,
                         problems.items[0].code, problems.items[0].message);
    *out = config;
    return 0;
}

int harness_open(struct harness *h, const struct source_connector *source, const char *config_json,
                 struct error *err)
{
    *h = (struct harness){.mem = arena_new(), .source = source};
    h->catalog = CATALOG_INIT(h->mem);
    h->run = (struct run){.mem = h->mem, .log = &log_nowhere, .id = ""};
    if (cancel_new(&h->cancel, err) < 0)
        return -1;
    h->run.cancel = h->cancel;
    if (harness_decode(source->options, source->config_size, config_json, h->mem, &h->config,
                       &h->config_doc, err) < 0)
        return -1;
    return source->discover(h->config, &h->run, &h->catalog, err);
}

void harness_close(struct harness *h)
{
    cancel_free(h->cancel);
    doc_free(h->config_doc);
    arena_free(h->mem);
    *h = (struct harness){.mem = NULL};
}

int harness_select(struct harness *h, const char *streams_json, struct error *err)
{
    struct problems problems = PROBLEMS_INIT(h->mem);
    struct doc *d = NULL;
    bool ok;

    if (streams_json && doc_parse(streams_json, strlen(streams_json), &d, err) < 0)
        return -1;
    ok = selection_resolve(d, &h->catalog, "/streams", h->mem, &h->selection, &problems);
    doc_free(d);
    if (!ok)
        return error_set(err, ERR_INVALID, "%s: %s: %s", problems.items[0].pointer,
                         problems.items[0].code, problems.items[0].message);
    return 0;
}

int harness_read(struct harness *h, const char *const *positions, struct sink *out,
                 struct error *err)
{
    size_t n = h->selection.n;
    struct stream_request *streams = arena_array(h->mem, n, sizeof *streams);
    struct read_request req = {streams, n};

    for (size_t i = 0; i < n; i++)
        streams[i] =
            (struct stream_request){&h->selection.streams[i], positions ? positions[i] : NULL};
    return h->source->read(h->config, &h->run, &req, out, err);
}

#include "handlers/delivery.h"

#include <string.h>

#include "handlers/connection.h"
#include "server/sync/promise.h"

static bool find(struct app *app, struct arena *mem, enum resource_kind kind, const char *id,
                 struct connector *out)
{
    struct error ignored = ERROR_INIT;
    struct resource r;

    return store_get_resource(app->store, kind, id, mem, &r, &ignored) == 0 &&
           connector_find(app->store, kind, r.connector, mem, out, &ignored) > 0;
}

/* The streams as they would be selected now; none when that cannot be told. */
static struct selection select_streams(struct app *app, struct arena *mem,
                                       const struct connection *c)
{
    CLEANUP(doc_free_cleanup) struct doc *streams = NULL;
    struct problems problems = PROBLEMS_INIT(mem);
    struct error ignored = ERROR_INIT;
    struct selection selection = {0};
    struct catalog *catalog = arena_alloc(mem, sizeof *catalog);

    if (connection_catalog(app, c->source_id, mem, catalog, &ignored) != 0)
        return selection;
    if (c->streams && doc_parse_trusted(c->streams, strlen(c->streams), &streams, &ignored) < 0)
        return selection;
    if (!selection_resolve(doc_is(streams, DOC_NULL) ? NULL : streams, catalog, "", mem, &selection,
                           &problems))
        selection.n = 0;
    return selection;
}

void delivery_of(struct app *app, struct arena *mem, const struct connection *c,
                 struct delivery *out)
{
    struct connector source, destination;
    struct selection selection = {0};
    struct promise_ends ends;

    *out = (struct delivery){0};
    if (!find(app, mem, RESOURCE_SOURCE, c->source_id, &source) ||
        !find(app, mem, RESOURCE_DESTINATION, c->destination_id, &destination))
        return;
    ends = (struct promise_ends){source.reads_together, destination.delivery};
    out->why = promise_weakness(&ends, NULL);
    if (!out->why && source.doubts_streams)
        selection = select_streams(app, mem, c);
    selection_set_merging(&selection, destination.write_modes);
    for (size_t i = 0; i < selection.n && !out->why; i++) {
        const char *why = promise_weakness(&ends, &selection.streams[i]);

        if (why)
            out->why = arena_printf(mem, "stream \"%s\": %s",
                                    stream_full_name(mem, selection.streams[i].stream), why);
    }
    out->name = promise_name(out->why);
}

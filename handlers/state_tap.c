#include "handlers/state_tap.h"

#include <string.h>

#include "connectors/catalog.h"
#include "connectors/singer/position.h"
#include "handlers/connectors.h"

#define MAX_STATE_BYTES ((size_t)32 << 20)

int state_tap_is(struct app *app, struct arena *mem, const struct connection *c, bool *out,
                 struct error *err)
{
    struct connector connector;
    struct resource r;
    int found;

    *out = false;
    if (store_get_resource(app->store, RESOURCE_SOURCE, c->source_id, mem, &r, err) < 0)
        return -1;
    found = connector_find(app->store, RESOURCE_SOURCE, r.connector, mem, &connector, err);
    *out = found > 0 && connector.reads_together;
    return found < 0 ? -1 : 0;
}

int state_tap_value(struct arena *mem, const struct state_row *rows, size_t n, const char **out,
                    struct error *err)
{
    int64_t epoch = -1;

    *out = "{}";
    for (size_t i = 0; i < n; i++) {
        struct singer_position p;

        if (!rows[i].position)
            continue;
        if (singer_position_read(rows[i].position, mem, &p, err) < 0)
            return error_wrap(err, "the state of stream \"%s\"", rows[i].stream);
        if (p.value && p.epoch > epoch) {
            epoch = p.epoch;
            *out = p.value;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------ import */

static const char *full_name(struct arena *mem, const struct doc *entry)
{
    const char *space = doc_string(doc_get(entry, "namespace"), "");
    const char *name = doc_string(doc_get(entry, "name"), "");

    return *space ? arena_printf(mem, "%s.%s", space, name) : name;
}

/* The entries of the selection, or of the newest catalog when everything is selected. */
static int read_entries(struct app *app, struct arena *mem, const struct connection *c,
                        struct doc **out, struct error *err)
{
    struct stored_catalog catalog;
    struct doc *d;

    if (c->streams)
        return doc_parse_trusted(c->streams, strlen(c->streams), out, err);
    if (store_get_catalog(app->store, c->source_id, 0, mem, &catalog, err) < 0)
        return -1;
    if (doc_parse_trusted(catalog.text, strlen(catalog.text), &d, err) < 0)
        return -1;
    *out = doc_copy(doc_get(d, "streams"));
    doc_free(d);
    return 0;
}

int state_tap_rows(struct app *app, struct request *req, const struct connection *c,
                   struct state_row **out, size_t *out_n, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *entries = NULL;
    CLEANUP(buf_release) struct buf position = BUF_INIT(MAX_STATE_BYTES);
    struct arena *mem = request_mem(req);
    const struct doc *sent;
    const char *text;
    size_t n;

    if (request_doc(req, false, &sent, err) < 0)
        return -1;
    if (!doc_is(sent, DOC_OBJECT))
        return error_set(err, ERR_INVALID, "the state of a tap is an object, found %s",
                         doc_kind_name(doc_kind(sent)));
    if (read_entries(app, mem, c, &entries, err) < 0)
        return -1;
    text = request_body(req, &n); /* the digits of its numbers included */
    singer_position_put(1, NULL, arena_memdup(mem, text, n), &position);
    if (buf_ok(&position, "the state", err) < 0)
        return -1;
    *out = arena_array(mem, doc_count(entries) + 1, sizeof **out);
    *out_n = 0;
    for (size_t i = 0; i < doc_count(entries); i++) {
        const struct doc *e = doc_at(entries, i);

        if (doc_bool(doc_get(e, "selected"), true))
            (*out)[(*out_n)++] = (struct state_row){
                .stream = arena_strdup(mem, full_name(mem, e)),
                .position = arena_memdup(mem, position.data, position.len),
            };
    }
    return 0;
}

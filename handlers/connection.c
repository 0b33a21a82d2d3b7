#include "handlers/connection.h"

#include <string.h>

#include "handlers/body.h"
#include "handlers/connectors.h"
#include "handlers/policy.h"
#include "handlers/resource.h"

struct connection_body {
    const char *name, *display_name, *source, *destination;
    bool paused;
    const struct doc *labels, *streams;
};

static void check_streams_shape(const struct doc *value, const char *pointer,
                                struct problems *problems)
{
    (void)selection_check(value, pointer, problems);
}

/* clang-format off */
static const struct option connection_options[] = {
    OPTION(struct connection_body, name, .title = "Name", .help = "Unique name, usable as an id."),
    OPTION(struct connection_body, display_name, .title = "Display name", .max = 200,
           .help = "Free text for people."),
    OPTION(struct connection_body, source, .title = "Source", .flags = OPTION_REQUIRED,
           .help = "Name or id of the source."),
    OPTION(struct connection_body, destination, .title = "Destination", .flags = OPTION_REQUIRED,
           .help = "Name or id of the destination."),
    OPTION(struct connection_body, paused, .title = "Paused", .def = "false",
           .help = "Refuses runs that are not forced."),
    OPTION(struct connection_body, labels, .title = "Labels", .check = body_check_labels,
           .help = "Words of your own to filter by."),
    OPTION(struct connection_body, streams, .title = "Streams", .check = check_streams_shape,
           .schema = "{\"type\":\"array\"}",
           .help = "What to read and how to write it; every stream, full refresh with overwrite, "
                   "when it is left out."),
    OPTIONS_END,
};
/* clang-format on */

int connection_catalog(const struct app *app, const char *source_id, struct arena *mem,
                       struct catalog *out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error why = ERROR_INIT;
    struct stored_catalog stored;

    *out = CATALOG_INIT(mem);
    if (store_get_catalog(app->store, source_id, 0, mem, &stored, &why) < 0) {
        if (!strcmp(error_reason(&why), "not_discovered"))
            return 1;
        *err = why;
        return -1;
    }
    if (doc_parse_trusted(stored.text, strlen(stored.text), &d, err) < 0 ||
        catalog_from_doc(d, out, err) < 0)
        return error_wrap(err, "the stored catalog");
    return 0;
}

/* ------------------------------------------------------------------- streams */

/* The place in the user's array of the n-th entry that is selected. */
static size_t place_of(const struct doc *streams, size_t n)
{
    size_t i = 0;

    for (;; i++) {
        if (doc_bool(doc_get(doc_at(streams, i), "selected"), true) && n-- == 0)
            return i;
    }
}

static void check_write_modes(const struct selection *selection, const struct doc *streams,
                              const struct connector *destination, struct problems *problems)
{
    for (size_t i = 0; i < selection->n; i++) {
        const struct selected_stream *s = &selection->streams[i];
        const char *pointer = "/destination";

        if (destination->write_modes & 1u << s->write_mode)
            continue;
        if (streams)
            pointer = arena_printf(problems->mem, "/streams/%zu/destination_sync_mode",
                                   place_of(streams, i));
        problems_add(problems, pointer, "mode_not_supported", "the destination \"%s\" cannot do %s",
                     destination->name, write_mode_name(s->write_mode));
    }
}

/* Whether the source leaves rows out that the streams' filters exclude, where there are any. */
static int check_filters(const struct app *app, const struct doc *streams, const char *source_id,
                         struct arena *mem, struct problems *problems, struct error *err)
{
    struct connector connector;
    struct resource source;
    int found;

    if (store_get_resource(app->store, RESOURCE_SOURCE, source_id, mem, &source, err) < 0)
        return -1;
    found = connector_find(app->store, RESOURCE_SOURCE, source.connector, mem, &connector, err);
    if (found < 0)
        return -1;
    if (found)
        (void)selection_check_filters(streams, "/streams", connector.name, connector.filters_rows,
                                      problems);
    return 0;
}

static int find_destination(const struct app *app, const char *id, struct arena *mem,
                            struct connector *out, struct error *err)
{
    struct resource destination;

    if (store_get_resource(app->store, RESOURCE_DESTINATION, id, mem, &destination, err) < 0)
        return -1;
    return connector_find(app->store, RESOURCE_DESTINATION, destination.connector, mem, out, err);
}

int connection_check_streams(const struct app *app, const struct doc *streams,
                             const char *source_id, const char *destination_id, struct arena *mem,
                             struct problems *problems, struct error *err)
{
    struct selection selection;
    struct connector connector;
    struct catalog catalog;
    int known = find_destination(app, destination_id, mem, &connector, err);
    int missing = known < 0 ? -1 : connection_catalog(app, source_id, mem, &catalog, err);

    if (missing < 0 || check_filters(app, streams, source_id, mem, problems, err) < 0)
        return -1;
    if (known)
        (void)selection_check_policies(streams, "/streams", connector.name,
                                       connector.value_policies, problems);
    if (missing) {
        if (streams && !doc_is(streams, DOC_NULL))
            (void)selection_check(streams, "/streams", problems);
        return 0;
    }
    if (!selection_resolve(streams, &catalog, "/streams", mem, &selection, problems))
        return 0;
    if (known)
        check_write_modes(&selection, streams, &connector, problems);
    return 0;
}

/* --------------------------------------------------------------------- bodies */

/* The stored connection as a body. The caller owns it. */
static struct doc *as_body(const struct connection *old)
{
    CLEANUP(doc_free_cleanup) struct doc *settings = NULL;
    struct doc *body = doc_new_object(), *part = NULL;
    struct error ignored = ERROR_INIT;

    doc_set(body, "name", doc_new_string(old->name));
    doc_set(body, "display_name", doc_new_string(old->display_name));
    doc_set(body, "source", doc_new_string(old->source_id));
    doc_set(body, "destination", doc_new_string(old->destination_id));
    doc_set(body, "paused", doc_new_bool(old->paused));
    if (old->labels && doc_parse_trusted(old->labels, strlen(old->labels), &part, &ignored) == 0)
        doc_set(body, "labels", part);
    if (old->streams && doc_parse_trusted(old->streams, strlen(old->streams), &part, &ignored) == 0)
        doc_set(body, "streams", part);
    if (doc_parse_trusted(old->settings, strlen(old->settings), &settings, &ignored) == 0) {
        for (const struct doc_member *it = doc_first(settings); it; it = doc_next(settings, it))
            doc_set(body, doc_member_key(it), doc_copy(doc_member_value(it)));
    }
    return body;
}

static bool is_known(const char *name)
{
    return option_find(connection_options, name) || policy_has(name);
}

static struct doc *patched(const struct connection *old, const struct doc *patch,
                           struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *before = as_body(old);

    /* Removing what nobody knows would otherwise go unnoticed. */
    for (const struct doc_member *it = doc_first(patch); it; it = doc_next(patch, it)) {
        if (doc_is(doc_member_value(it), DOC_NULL) && !is_known(doc_member_key(it)))
            problems_add(problems, "", "unknown_field", "\"%s\" is not known", doc_member_key(it));
    }
    return doc_merge_patch(before, patch);
}

/* The members of `d` that are policy, or those that are not. The caller owns the copy. */
static struct doc *part_of(const struct doc *d, bool policy)
{
    struct doc *part = doc_new_object();

    for (const struct doc_member *it = doc_first(d); it; it = doc_next(d, it)) {
        if (policy == policy_has(doc_member_key(it)))
            doc_set(part, doc_member_key(it), doc_copy(doc_member_value(it)));
    }
    return part;
}

/* Looks up one end of the connection: its id and name, or a problem. */
static int resolve(const struct app *app, enum resource_kind kind, const char *id_or_name,
                   struct arena *mem, struct problems *problems, struct resource *out,
                   struct error *err)
{
    const char *word = connector_kind_name(kind);
    struct error why = ERROR_INIT;

    if (store_get_resource(app->store, kind, id_or_name, mem, out, &why) == 0)
        return 0;
    if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    problems_add(problems, arena_printf(mem, "/%s", word), "unresolved_reference",
                 "there is no %s \"%s\"", word, id_or_name);
    return 1;
}

static int resolve_ends(struct app *app, struct arena *mem, const struct connection_body *body,
                        struct problems *problems, struct connection *out, struct error *err)
{
    struct resource source, destination;
    int rc = resolve(app, RESOURCE_SOURCE, body->source, mem, problems, &source, err);
    int rd;

    if (rc < 0)
        return -1;
    rd = resolve(app, RESOURCE_DESTINATION, body->destination, mem, problems, &destination, err);
    if (rd != 0 || rc != 0)
        return rd < 0 ? -1 : 0;
    out->source_id = source.id;
    out->source_name = source.name;
    out->destination_id = destination.id;
    out->destination_name = destination.name;
    return connection_check_streams(app, body->streams, source.id, destination.id, mem, problems,
                                    err);
}

static void choose_name(const struct connection_body *body, const struct connection *old,
                        const char *name, struct problems *problems, struct connection *out)
{
    out->name = body->name ? body->name : old ? old->name : name;
    if (!out->name)
        problems_add(problems, "/name", "required", "\"name\" is required");
    else if (!old && name && strcmp(out->name, name) != 0)
        problems_add(problems, "/name", "invalid_name", "the address says \"%s\"", name);
    else
        resource_name_is_fine(out->name, problems);
}

int connection_build(struct app *app, struct request *req, struct response *res,
                     const struct doc *sent, const struct connection *old, const char *name,
                     enum connection_how how, struct connection *out, struct error *err)
{
    struct problems *problems = body_problems(req, res);
    CLEANUP(doc_free_cleanup) struct doc *whole = NULL;
    CLEANUP(doc_free_cleanup) struct doc *policy = NULL;
    CLEANUP(doc_free_cleanup) struct doc *rest = NULL;
    struct arena *mem = request_mem(req);
    struct connection_body body = {0};

    if (how == CONNECTION_PATCH && old) {
        whole = patched(old, sent, problems);
        sent = whole;
    }
    policy = part_of(sent, true);
    rest = part_of(sent, false);
    *out = (struct connection){.settings = policy_text(mem, policy, "", problems)};
    if (!options_decode(connection_options, rest, "", &body, mem, problems) && !body.source)
        return 0;
    choose_name(&body, old, name, problems, out);
    out->display_name = body.display_name;
    out->paused = body.paused;
    out->labels = body_text(mem, body.labels);
    out->streams = body.streams ? body_text(mem, body.streams) : NULL;
    if (problems->n || !body.source || !body.destination)
        return 0;
    return resolve_ends(app, mem, &body, problems, out, err);
}

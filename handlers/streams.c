/* The selection of a connection: native or Singer, and its refresh from the newest catalog. */
#include <string.h>

#include "handlers/body.h"
#include "handlers/connection.h"
#include "handlers/encode.h"
#include "handlers/precondition.h"
#include "handlers/query.h"
#include "handlers/routes.h"

static int read_format(struct request *req, bool *out_singer, struct error *err)
{
    static const char *const known[] = {"format", NULL};

    if (request_query_only(req, known, err) < 0)
        return -1;
    return query_singer(req, out_singer, err);
}

static int find(struct app *app, struct request *req, struct connection *out, struct error *err)
{
    return store_get_connection(app->store, request_param(req, "connection"), request_mem(req), out,
                                err);
}

/* The stored array; NULL stands for every stream. The caller owns it. */
static int parse_streams(const struct connection *c, struct doc **out, struct error *err)
{
    *out = NULL;
    if (c->streams && doc_parse_trusted(c->streams, strlen(c->streams), out, err) < 0)
        return error_wrap(err, "the streams of \"%s\"", c->name);
    return 0;
}

static int need_catalog(struct app *app, struct request *req, const struct connection *c,
                        struct catalog *out, struct error *err)
{
    int found = connection_catalog(app, c->source_id, request_mem(req), out, err);

    if (found > 0)
        return error_set_reason(err, ERR_NOT_FOUND, "not_discovered",
                                "the source \"%s\" was never discovered", c->source_name);
    return found;
}

/* ------------------------------------------------------------------ get and put */

static int answer_singer(struct app *app, struct request *req, struct response *res,
                         const struct connection *c, const struct doc *streams, struct error *err)
{
    struct problems ignored = PROBLEMS_INIT(request_mem(req));
    CLEANUP(doc_free_cleanup) struct doc *shown = NULL;
    struct selection selection;
    struct catalog catalog;

    if (need_catalog(app, req, c, &catalog, err) < 0)
        return -1;
    /* A stream that has gone from the catalog cannot be shown as part of it. */
    (void)selection_resolve(streams, &catalog, "/streams", request_mem(req), &selection, &ignored);
    shown = catalog_to_singer(&catalog, &selection);
    doc_write(shown, &res->body);
    return 0;
}

static int answer(struct app *app, struct request *req, struct response *res,
                  const struct connection *c, bool singer, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *streams = NULL;
    struct jsonw w = JSONW_INIT(&res->body);

    response_etag(res, c->revision);
    if (singer)
        return parse_streams(c, &streams, err) < 0 ? -1
                                                   : answer_singer(app, req, res, c, streams, err);
    jsonw_object(&w);
    jsonw_put_string(&w, "connection", c->name);
    jsonw_put_raw(&w, "streams", c->streams);
    jsonw_put_int(&w, "revision", c->revision);
    jsonw_object_end(&w);
    return 0;
}

int handle_streams(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct connection c;
    bool singer;

    if (read_format(req, &singer, err) < 0 || find(app, req, &c, err) < 0)
        return -1;
    return answer(app, req, res, &c, singer, err);
}

struct streams_body {
    const char *connection; /* shown by GET; may come back, means nothing */
    const struct doc *streams;
    int64_t revision;
};

static void check_streams_shape(const struct doc *value, const char *pointer,
                                struct problems *problems)
{
    (void)selection_check(value, pointer, problems);
}

/* clang-format off */
static const struct option streams_options[] = {
    OPTION(struct streams_body, connection, .title = "Connection",
           .help = "As shown by GET; not changed."),
    OPTION(struct streams_body, streams, .title = "Streams", .check = check_streams_shape,
           .schema = "{\"type\":\"array\"}",
           .help = "The selection; null or absent takes every stream."),
    OPTION(struct streams_body, revision, .title = "Revision",
           .help = "As shown by GET; use If-Match to name a revision."),
    OPTIONS_END,
};
/* clang-format on */

/* The selection that the body asks for, in *out or NULL for every stream; the caller owns it. */
static int read_streams(struct request *req, struct response *res, bool singer, struct doc **out,
                        struct error *err)
{
    struct streams_body body = {0};
    const struct doc *sent;

    *out = NULL;
    if (request_doc(req, false, &sent, err) < 0)
        return -1;
    if (singer) {
        *out = selection_from_singer(sent, body_problems(req, res));
        return body_accept(res, err);
    }
    if (!options_decode(streams_options, sent, "", &body, request_mem(req),
                        body_problems(req, res)))
        return body_accept(res, err);
    *out = body.streams ? doc_copy(body.streams) : NULL;
    return 0;
}

static int put_once(struct app *app, struct request *req, struct response *res, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *streams = NULL;
    struct connection c;
    bool singer;
    int64_t expected;

    if (read_format(req, &singer, err) < 0 || find(app, req, &c, err) < 0 ||
        precondition_read(app, req, c.revision, &expected, err) < 0 ||
        read_streams(req, res, singer, &streams, err) < 0)
        return -1;
    if (connection_check_streams(app, streams, c.source_id, c.destination_id, request_mem(req),
                                 body_problems(req, res), err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    c.streams = streams ? body_text(request_mem(req), streams) : NULL;
    if (store_update_connection(app->store, &c, c.revision, request_mem(req), err) < 0)
        return -1;
    return answer(app, req, res, &c, singer, err);
}

int handle_streams_put(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    return precondition_retry(put_once, app, req, res, err);
}

/* --------------------------------------------------------------------- refresh */

/* What a refresh changes: names for the answer, and the new array. */
struct refresh {
    const struct catalog *catalog;
    struct arena *mem;
    struct doc *streams, *added, *removed, *changed;
};

static const struct stream *stream_of(const struct refresh *r, const struct doc *entry)
{
    return catalog_find(r->catalog, doc_string(doc_get(entry, "namespace"), NULL),
                        doc_string(doc_get(entry, "name"), ""));
}

static const char *path_name(const struct doc *d)
{
    return doc_is(d, DOC_ARRAY) ? doc_string(doc_at(d, 0), "") : doc_string(d, "");
}

/* The names of `list` that are columns still; *gone collects the others. */
static struct doc *still_there(const struct doc *list, const struct schema *schema,
                               struct doc *gone)
{
    struct doc *kept = doc_new_array();

    for (size_t i = 0; i < doc_count(list); i++) {
        if (schema_find(schema, path_name(doc_at(list, i))) >= 0)
            doc_append(kept, doc_copy(doc_at(list, i)));
        else
            doc_append(gone, doc_new_string(path_name(doc_at(list, i))));
    }
    return kept;
}

/* Takes columns that have gone out of "fields" of an entry. */
static void refresh_fields(struct refresh *r, struct doc *entry, const struct stream *s)
{
    static const char *const lists[] = {"include", "exclude"};
    struct doc *fields = doc_get_mutable(entry, "fields"), *change;
    struct doc *gone = doc_new_array();

    for (size_t i = 0; i < 2; i++) {
        if (doc_is(doc_get(fields, lists[i]), DOC_ARRAY))
            doc_set(fields, lists[i], still_there(doc_get(fields, lists[i]), s->schema, gone));
    }
    if (!doc_count(gone)) {
        doc_free(gone);
        return;
    }
    change = doc_new_object();
    doc_set(change, "stream", doc_new_string(stream_full_name(r->mem, s)));
    doc_set(change, "removed", gone);
    doc_append(r->changed, change);
}

static void refresh_entries(struct refresh *r, const struct doc *before)
{
    for (size_t i = 0; i < doc_count(before); i++) {
        const struct stream *s = stream_of(r, doc_at(before, i));
        struct doc *entry;

        if (!s) {
            doc_append(r->removed,
                       doc_new_string(doc_string(doc_get(doc_at(before, i), "name"), "")));
            continue;
        }
        entry = doc_copy(doc_at(before, i));
        refresh_fields(r, entry, s);
        doc_append(r->streams, entry);
    }
}

static bool has_entry(const struct refresh *r, const struct doc *entries, const struct stream *s)
{
    for (size_t i = 0; i < doc_count(entries); i++) {
        if (stream_of(r, doc_at(entries, i)) == s)
            return true;
    }
    return false;
}

static void add_new_streams(struct refresh *r, const struct doc *before)
{
    for (size_t i = 0; i < r->catalog->n; i++) {
        const struct stream *s = &r->catalog->streams[i];
        struct doc *entry;

        if (has_entry(r, before, s))
            continue;
        entry = doc_new_object();
        doc_set(entry, "name", doc_new_string(s->name));
        if (*s->namespace)
            doc_set(entry, "namespace", doc_new_string(s->namespace));
        doc_append(r->streams, entry);
        doc_append(r->added, doc_new_string(stream_full_name(r->mem, s)));
    }
}

/* "propagate_all" takes new streams too; "ignore" and "freeze" leave the selection as it is. */
static const char *schema_change_of(const struct connection *c, struct arena *mem)
{
    CLEANUP(doc_free_cleanup) struct doc *settings = NULL;
    struct error ignored = ERROR_INIT;

    if (doc_parse_trusted(c->settings, strlen(c->settings), &settings, &ignored) < 0)
        return "freeze";
    return arena_strdup(mem, doc_string(doc_get(settings, "schema_change"), "propagate_columns"));
}

static void write_refresh(struct jsonw *w, const struct refresh *r, const struct connection *c)
{
    jsonw_object(w);
    jsonw_key(w, "added");
    encode_doc(w, r->added);
    jsonw_key(w, "removed");
    encode_doc(w, r->removed);
    jsonw_key(w, "changed");
    encode_doc(w, r->changed);
    jsonw_put_raw(w, "streams", c->streams);
    jsonw_put_int(w, "revision", c->revision);
    jsonw_object_end(w);
}

static void refresh_all(struct refresh *r, const struct doc *before, const char *rule)
{
    if (!strcmp(rule, "ignore") || !strcmp(rule, "freeze"))
        return;
    refresh_entries(r, before);
    if (!strcmp(rule, "propagate_all"))
        add_new_streams(r, before);
}

static bool has_changed(const struct refresh *r)
{
    return doc_count(r->added) || doc_count(r->removed) || doc_count(r->changed);
}

static int refresh_once(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *before = NULL;
    CLEANUP(doc_free_cleanup) struct doc *streams = doc_new_array();
    CLEANUP(doc_free_cleanup) struct doc *added = doc_new_array();
    CLEANUP(doc_free_cleanup) struct doc *removed = doc_new_array();
    CLEANUP(doc_free_cleanup) struct doc *changed = doc_new_array();
    struct jsonw w = JSONW_INIT(&res->body);
    struct catalog catalog;
    struct connection c;
    int64_t expected;
    struct refresh r = {.catalog = &catalog,
                        .mem = request_mem(req),
                        .streams = streams,
                        .added = added,
                        .removed = removed,
                        .changed = changed};

    if (find(app, req, &c, err) < 0 ||
        precondition_read(app, req, c.revision, &expected, err) < 0 ||
        need_catalog(app, req, &c, &catalog, err) < 0 || parse_streams(&c, &before, err) < 0)
        return -1;
    if (before) /* every stream stays every stream */
        refresh_all(&r, before, schema_change_of(&c, request_mem(req)));
    if (has_changed(&r)) {
        c.streams = body_text(request_mem(req), streams);
        if (store_update_connection(app->store, &c, c.revision, request_mem(req), err) < 0)
            return -1;
    }
    response_etag(res, c.revision);
    write_refresh(&w, &r, &c);
    return 0;
}

int handle_streams_refresh(struct app *app, struct request *req, struct response *res,
                           struct error *err)
{
    if (body_read_nothing(req, err) < 0)
        return -1;
    return precondition_retry(refresh_once, app, req, res, err);
}

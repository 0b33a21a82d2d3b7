#include <string.h>

#include "connectors/base/text.h"
#include "connectors/catalog.h"
#include "handlers/encode.h"
#include "handlers/page.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "server/app.h"

static int source_id_of(struct app *app, struct request *req, const char **out, struct error *err)
{
    struct resource source;

    if (store_get_resource(app->store, RESOURCE_SOURCE, request_param(req, "source"),
                           request_mem(req), &source, err) < 0)
        return -1;
    *out = source.id;
    return 0;
}

/* A catalog by the number in the address. */
static int stored_by_param(struct app *app, struct request *req, struct stored_catalog *out,
                           struct error *err)
{
    const char *text = request_param(req, "catalog"), *source_id;
    int64_t id;

    if (source_id_of(app, req, &source_id, err) < 0)
        return -1;
    if (!text_to_int64(text, strlen(text), &id) || id <= 0)
        return error_set(err, ERR_NOT_FOUND, "there is no catalog \"%s\"", text);
    return store_get_catalog(app->store, source_id, id, request_mem(req), out, err);
}

static int parse(const struct stored_catalog *stored, struct arena *mem, struct catalog *out,
                 struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;

    *out = CATALOG_INIT(mem);
    if (doc_parse_trusted(stored->text, strlen(stored->text), &d, err) < 0 ||
        catalog_from_doc(d, out, err) < 0)
        return error_wrap(err, "catalog %lld", (long long)stored->id);
    return 0;
}

static int answer_singer(struct request *req, struct response *res,
                         const struct stored_catalog *stored, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *singer = NULL;
    struct catalog catalog;

    if (parse(stored, request_mem(req), &catalog, err) < 0)
        return -1;
    singer = catalog_to_singer(&catalog, NULL);
    doc_write(singer, &res->body);
    return 0;
}

static int answer_native(struct response *res, const struct stored_catalog *stored,
                         struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct jsonw w = JSONW_INIT(&res->body);

    if (doc_parse_trusted(stored->text, strlen(stored->text), &d, err) < 0)
        return error_wrap(err, "catalog %lld", (long long)stored->id);
    jsonw_object(&w);
    encode_catalog_members(&w, stored);
    encode_members(&w, d);
    jsonw_object_end(&w);
    return 0;
}

static int answer(struct request *req, struct response *res, const struct stored_catalog *stored,
                  struct error *err)
{
    static const char *const known[] = {"format", NULL};
    bool singer;

    if (request_query_only(req, known, err) < 0 || query_singer(req, &singer, err) < 0)
        return -1;
    response_header(res, "ETag", "\"%s%s\"", stored->hash, singer ? "-singer" : "");
    response_header(res, "Cache-Control", "no-cache");
    return singer ? answer_singer(req, res, stored, err) : answer_native(res, stored, err);
}

int handle_catalog(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct stored_catalog stored;
    const char *source_id;

    if (source_id_of(app, req, &source_id, err) < 0 ||
        store_get_catalog(app->store, source_id, 0, request_mem(req), &stored, err) < 0)
        return -1;
    return answer(req, res, &stored, err);
}

int handle_catalog_by_id(struct app *app, struct request *req, struct response *res,
                         struct error *err)
{
    struct stored_catalog stored;

    if (stored_by_param(app, req, &stored, err) < 0)
        return -1;
    return answer(req, res, &stored, err);
}

int handle_catalogs(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    struct stored_catalog *items;
    const char *source_id;
    size_t n;

    if (source_id_of(app, req, &source_id, err) < 0 ||
        store_list_catalogs(app->store, source_id, request_mem(req), &items, &n, err) < 0)
        return -1;
    page_begin(&w);
    for (size_t i = 0; i < n; i++) {
        jsonw_object(&w);
        encode_catalog_members(&w, &items[i]);
        jsonw_object_end(&w);
    }
    page_end_whole(&w);
    return 0;
}

int handle_catalog_diff(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    static const char *const known[] = {"to", NULL};
    CLEANUP(doc_free_cleanup) struct doc *diff = NULL;
    struct stored_catalog from, to;
    struct catalog before, after;
    int64_t id;

    if (request_query_only(req, known, err) < 0 ||
        request_query_int(req, "to", 0, 0, INT64_MAX, &id, err) < 0 ||
        stored_by_param(app, req, &from, err) < 0 ||
        store_get_catalog(app->store, from.source_id, id, request_mem(req), &to, err) < 0 ||
        parse(&from, request_mem(req), &before, err) < 0 ||
        parse(&to, request_mem(req), &after, err) < 0)
        return -1;
    diff = catalog_diff(&before, &after);
    doc_write(diff, &res->body);
    return 0;
}

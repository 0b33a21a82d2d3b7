#include "handlers/connectors.h"

#include <string.h>

#include "connectors/registry.h"
#include "connectors/singer/asked.h"
#include "handlers/body.h"
#include "handlers/custom.h"
#include "handlers/encode.h"
#include "handlers/page.h"
#include "handlers/routes.h"
#include "server/app.h"
#include "server/sync/connectors.h"

const char *connector_kind_name(enum resource_kind kind)
{
    return kind == RESOURCE_SOURCE ? "source" : "destination";
}

bool connector_kind_from_name(const char *name, enum resource_kind *out)
{
    *out = !strcmp(name, "source") ? RESOURCE_SOURCE : RESOURCE_DESTINATION;
    return *out == RESOURCE_SOURCE || !strcmp(name, "destination");
}

static bool from_source(const struct source_connector *s, struct connector *out)
{
    if (s)
        *out = (struct connector){.kind = RESOURCE_SOURCE,
                                  .name = s->name,
                                  .title = s->title,
                                  .docs = s->docs,
                                  .options = s->options,
                                  .config_size = s->config_size,
                                  .document = s->document,
                                  .streams = s->streams,
                                  .filters_rows = s->filters_rows,
                                  .reads_together = s->reads_together,
                                  .doubts_streams = s->doubts_streams,
                                  .tell_types = s->tell_types,
                                  .tell_limits = s->tell_limits,
                                  .judge = s->judge,
                                  .delivery = s->reads_together ? "at_least_once" : NULL};
    return s;
}

static bool from_destination(const struct destination_connector *d, struct connector *out)
{
    if (d)
        *out = (struct connector){.kind = RESOURCE_DESTINATION,
                                  .name = d->name,
                                  .title = d->title,
                                  .docs = d->docs,
                                  .options = d->options,
                                  .config_size = d->config_size,
                                  .write_modes = d->write_modes,
                                  .value_policies = d->value_policies,
                                  .delivery = d->delivery,
                                  .judge = d->judge,
                                  .types = d->types,
                                  .tell_types = d->tell_types,
                                  .tell_limits = d->tell_limits};
    return d;
}

/* A document that is none any more makes no connector: what it was for can still be looked at. */
static int from_stored(const struct stored_connector *row, struct arena *mem, struct connector *out,
                       struct error *err)
{
    const struct source_connector *s;
    struct error why = ERROR_INIT;

    if (connectors_described(row, mem, &s, &why) == 0) {
        bool found = from_source(s, out);

        out->custom = row;
        out->document = row->document;
        return found;
    }
    if (!strcmp(error_reason(&why), "invalid_document"))
        return 0;
    *err = why;
    return -1;
}

static int find_custom(struct store *store, const char *name, struct arena *mem,
                       struct connector *out, struct error *err)
{
    struct stored_connector *row = arena_alloc(mem, sizeof *row);
    struct error why = ERROR_INIT;

    if (store_get_connector(store, name, mem, row, &why) == 0)
        return from_stored(row, mem, out, err);
    if (why.code == ERR_NOT_FOUND)
        return 0;
    *err = why;
    return -1;
}

int connector_find(struct store *store, enum resource_kind kind, const char *name,
                   struct arena *mem, struct connector *out, struct error *err)
{
    if (kind == RESOURCE_DESTINATION)
        return from_destination(registry_destination(name), out);
    return from_source(registry_source(name), out) ? 1 : find_custom(store, name, mem, out, err);
}

bool connector_at(enum resource_kind kind, size_t i, struct connector *out)
{
    return kind == RESOURCE_SOURCE ? from_source(registry_source_at(i), out)
                                   : from_destination(registry_destination_at(i), out);
}

bool connector_accepts(const struct connector *c, const struct doc *config, const char *pointer,
                       struct arena *mem, struct problems *problems)
{
    void *decoded = arena_alloc(mem, c->config_size);
    size_t before = problems->n;

    if (options_decode(c->options, config, pointer, decoded, mem, problems) && c->judge)
        c->judge(decoded, pointer, problems);
    return problems->n == before;
}

/* ------------------------------------------------------------------- encoding */

static void write_capabilities(struct jsonw *w, const struct connector *c)
{
    jsonw_key(w, "capabilities");
    jsonw_object(w);
    if (c->kind == RESOURCE_SOURCE) {
        jsonw_put_raw(w, "sync_modes", "[\"full_refresh\",\"incremental\"]");
        jsonw_put_raw(w, "operations", "[\"check\",\"discover\",\"count\",\"sample\",\"read\"]");
        jsonw_put_bool(w, "filters_rows", c->filters_rows);
    } else {
        jsonw_key(w, "destination_sync_modes");
        jsonw_array(w);
        for (enum write_mode m = WRITE_OVERWRITE; m <= WRITE_INSERT_ONLY; m++) {
            if (c->write_modes & 1u << m)
                jsonw_string(w, write_mode_name(m));
        }
        jsonw_array_end(w);
        jsonw_put_raw(w, "operations", "[\"check\",\"write\",\"clear\"]");
        jsonw_put_string(w, "delivery", c->delivery);
        jsonw_put_bool(w, "value_policies", c->value_policies);
    }
    jsonw_object_end(w);
}

static void write_summary(struct jsonw *w, const struct connector *c)
{
    jsonw_put_string(w, "kind", connector_kind_name(c->kind));
    jsonw_put_string(w, "name", c->name);
    jsonw_put_string(w, "title", c->title);
    jsonw_put_string(w, "version", CONNECTORD_VERSION);
    jsonw_put_string(w, "docs", c->docs);
    jsonw_put_bool(w, "custom", c->custom);
    write_capabilities(w, c);
}

static bool is_wanted(const struct connector *c, const char *q)
{
    return !q || strcasestr(c->name, q) || strcasestr(c->title, q);
}

static void write_item(struct jsonw *w, const struct connector *c, const char *q)
{
    if (!is_wanted(c, q))
        return;
    jsonw_object(w);
    write_summary(w, c);
    jsonw_object_end(w);
}

static int write_custom(struct store *store, struct arena *mem, struct jsonw *w, const char *q,
                        struct error *err)
{
    struct stored_connector *rows;
    struct connector c;
    size_t n;

    if (store_list_connectors(store, mem, &rows, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int found = from_stored(&rows[i], mem, &c, err);

        if (found < 0)
            return -1;
        if (found)
            write_item(w, &c, q);
    }
    return 0;
}

/* Built-in ones first. */
static int write_kind(struct store *store, struct request *req, struct jsonw *w,
                      enum resource_kind kind, struct error *err)
{
    const char *q = request_query(req, "q");
    struct connector c;

    for (size_t i = 0; connector_at(kind, i, &c); i++)
        write_item(w, &c, q);
    return kind == RESOURCE_SOURCE ? write_custom(store, request_mem(req), w, q, err) : 0;
}

/* ------------------------------------------------------------------- handlers */

int handle_connectors(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"kind", "q", NULL};
    const char *kind = request_query(req, "kind");
    struct jsonw w = JSONW_INIT(&res->body);
    enum resource_kind only = RESOURCE_SOURCE;

    if (request_query_only(req, known, err) < 0)
        return -1;
    if (kind && !connector_kind_from_name(kind, &only))
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "\"kind\" is source or destination");
    page_begin(&w);
    if ((!kind || only == RESOURCE_SOURCE) &&
        write_kind(app->store, req, &w, RESOURCE_SOURCE, err) < 0)
        return -1;
    if ((!kind || only == RESOURCE_DESTINATION) &&
        write_kind(app->store, req, &w, RESOURCE_DESTINATION, err) < 0)
        return -1;
    page_end_whole(&w);
    return 0;
}

static int connector_of(const struct app *app, struct request *req, struct connector *out,
                        struct error *err)
{
    const char *kind = request_param(req, "kind"), *name = request_param(req, "name");
    enum resource_kind k;
    int found = 0;

    if (connector_kind_from_name(kind, &k))
        found = connector_find(app->store, k, name, request_mem(req), out, err);
    if (found < 0)
        return -1;
    if (!found)
        return error_set(err, ERR_NOT_FOUND, "there is no %s connector \"%s\"", kind, name);
    return 0;
}

static void write_streams(struct jsonw *w, const struct known_stream *streams)
{
    jsonw_key(w, "streams");
    jsonw_array(w);
    for (; streams->name; streams++) {
        jsonw_object(w);
        jsonw_put_string(w, "name", streams->name);
        jsonw_put_string(w, "notes", streams->notes);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

int connector_encode(struct jsonw *w, const struct connector *c, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *schema = options_schema(c->options);
    CLEANUP(doc_free_cleanup) struct doc *document = NULL;

    if (c->document && doc_parse_trusted(c->document, strlen(c->document), &document, err) < 0)
        return -1;
    jsonw_object(w);
    write_summary(w, c);
    jsonw_key(w, "config_schema");
    encode_doc(w, schema);
    if (c->streams)
        write_streams(w, c->streams);
    if (c->document) {
        jsonw_key(w, "document");
        encode_doc(w, document);
    }
    if (c->custom) {
        jsonw_put_int(w, "revision", c->custom->revision);
        jsonw_put_time_ms(w, "created_at", c->custom->created_us);
        jsonw_put_time_ms(w, "updated_at", c->custom->updated_us);
    }
    jsonw_object_end(w);
    return 0;
}

int handle_connector(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    struct connector c;

    if (connector_of(app, req, &c, err) < 0)
        return -1;
    if (c.custom)
        response_etag(res, c.custom->revision);
    return connector_encode(&w, &c, err);
}

/* NULL = none is named. Only the connectors called singer run programs. */
static int program_of(const struct request *req, const struct connector *c, const char **out,
                      struct error *err)
{
    *out = request_query(req, "program");
    if (*out && strcmp(c->name, "singer") != 0)
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "\"program\" is for the connectors called singer");
    return 0;
}

int handle_connector_schema(struct app *app, struct request *req, struct response *res,
                            struct error *err)
{
    static const char *const known[] = {"program", NULL};
    CLEANUP(doc_free_cleanup) struct doc *schema = NULL;
    const char *program;
    struct connector c;

    if (request_query_only(req, known, err) < 0 || connector_of(app, req, &c, err) < 0 ||
        program_of(req, &c, &program, err) < 0)
        return -1;
    schema = options_schema(c.options);
    if (program && asked_complete_schema(program, schema, err) < 0)
        return -1;
    doc_write(schema, &res->body);
    return 0;
}

int handle_connector_template(struct app *app, struct request *req, struct response *res,
                              struct error *err)
{
    static const char *const known[] = {"required_only", "program", NULL};
    CLEANUP(doc_free_cleanup) struct doc *template = NULL;
    const char *program;
    struct connector c;
    bool required_only;

    if (request_query_only(req, known, err) < 0 || connector_of(app, req, &c, err) < 0 ||
        request_query_bool(req, "required_only", false, &required_only, err) < 0 ||
        program_of(req, &c, &program, err) < 0)
        return -1;
    template = options_template(c.options, required_only);
    if (program && asked_complete_template(program, template, err) < 0)
        return -1;
    doc_write(template, &res->body);
    return 0;
}

int handle_connector_validate(struct app *app, struct request *req, struct response *res,
                              struct error *err)
{
    static const char *const known[] = {"document", NULL};
    CLEANUP(doc_free_cleanup) struct doc *normalized = NULL;
    struct problems problems = PROBLEMS_INIT(request_mem(req));
    struct jsonw w = JSONW_INIT(&res->body);
    const struct doc *config;
    struct connector c = {.options = NULL};
    bool valid, document;

    if (request_query_only(req, known, err) < 0 ||
        request_query_bool(req, "document", false, &document, err) < 0)
        return -1;
    if (document && strcmp(request_param(req, "kind"), "source") != 0)
        return error_set(err, ERR_NOT_FOUND, "only a source is made of a document");
    if ((!document && connector_of(app, req, &c, err) < 0) ||
        request_doc(req, true, &config, err) < 0)
        return -1;
    valid = document
                ? custom_accepts(request_mem(req), request_param(req, "name"), config, &problems)
                : connector_accepts(&c, config, "", request_mem(req), &problems);
    jsonw_object(&w);
    jsonw_put_bool(&w, "valid", valid);
    jsonw_key(&w, "errors");
    encode_problems(&w, &problems);
    jsonw_key(&w, "normalized");
    if (valid && !document)
        normalized = options_normalized(c.options, config);
    encode_doc(&w, normalized);
    jsonw_object_end(&w);
    return 0;
}

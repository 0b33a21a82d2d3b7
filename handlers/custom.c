#include "handlers/custom.h"

#include <string.h>

#include "connectors/base/text.h"
#include "connectors/registry.h"
#include "connectors/rest/described.h"
#include "handlers/body.h"
#include "handlers/connectors.h"
#include "handlers/encode.h"
#include "handlers/precondition.h"
#include "handlers/routes.h"
#include "server/app.h"

static bool holds(const struct doc *names, const char *name)
{
    for (size_t i = 0; i < doc_count(names); i++) {
        if (!strcmp(doc_string(doc_at(names, i), ""), name))
            return true;
    }
    return false;
}

/*
 * The names that ever were secrets of this connector, with those of the new document. A source may
 * still hold a value under such a name: as a variable it would be shown.
 */
static const char *secrets_of(struct arena *mem, const struct stored_connector *old,
                              const struct source_connector *c, struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *names = NULL;
    struct error ignored = ERROR_INIT;

    if (!old || doc_parse_trusted(old->secrets, strlen(old->secrets), &names, &ignored) < 0)
        names = doc_new_array();
    for (const struct option *o = c->options; o->name; o++) {
        bool was = holds(names, o->name);

        if (was && !(o->flags & OPTION_SECRET))
            problems_add(problems, arena_printf(mem, "/vars/%s", o->name), "was_secret",
                         "\"%s\" was a secret: take another name", o->name);
        else if (!was && (o->flags & OPTION_SECRET))
            doc_append(names, doc_new_string(o->name));
    }
    return body_text(mem, names);
}

static void check_name(const char *name, const struct doc *document, struct problems *problems)
{
    const char *own = doc_string(doc_get(document, "name"), name);

    if (!text_is_slug(name))
        problems_add(problems, "", "invalid_name",
                     "a name is up to 63 of a-z, 0-9, _ and -, does not begin with _ or -, and "
                     "does not look like a UUID");
    if (strcmp(own, name) != 0)
        problems_add(problems, "/name", "invalid_name", "the address says \"%s\"", name);
}

static bool check_document(struct arena *mem, const char *name, const struct doc *document,
                           const struct stored_connector *old, struct stored_connector *out,
                           struct problems *problems)
{
    const struct source_connector *c;
    size_t before = problems->n;

    check_name(name, document, problems);
    c = described_source(mem, name, document, "", problems);
    if (!c)
        return false;
    *out = (struct stored_connector){.name = name,
                                     .document = body_text(mem, document),
                                     .binding = described_binding(mem, document),
                                     .secrets = secrets_of(mem, old, c, problems)};
    return problems->n == before;
}

bool custom_accepts(struct arena *mem, const char *name, const struct doc *document,
                    struct problems *problems)
{
    struct stored_connector row;

    return check_document(mem, name, document, NULL, &row, problems);
}

/* Reads the stored one; *out_revision is PRECONDITION_ABSENT when there is none. */
static int find(struct app *app, struct request *req, const char *name,
                struct stored_connector *out, int64_t *out_revision, struct error *err)
{
    struct error why = ERROR_INIT;

    *out_revision = PRECONDITION_ABSENT;
    if (store_get_connector(app->store, name, request_mem(req), out, &why) == 0)
        *out_revision = out->revision;
    else if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    return 0;
}

/* "a, b" as the member "sources": ["a","b"] of the problem document. */
static const char *users_member(struct request *req, const char *users)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 20);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_key(&w, "sources");
    jsonw_array(&w);
    while (*users) {
        size_t n = strcspn(users, ",");

        jsonw_string_n(&w, users, n);
        users += n + strspn(users + n, ", ");
    }
    jsonw_array_end(&w);
    return arena_strdup(request_mem(req), buf_str(&b));
}

/* The name in the address, which has to be free for a description. */
static int read_name(const struct request *req, const char **out, struct error *err)
{
    const char *kind = request_param(req, "kind"), *name = request_param(req, "name");

    if (strcmp(kind, "source") != 0)
        return error_set_reason(err, ERR_NOT_FOUND, "not_offered",
                                "only sources can be described by a document");
    *out = name;
    if (!registry_source(name))
        return 0;
    return error_set_reason(err, ERR_CONFLICT, "name_taken", "\"%s\" is a built-in connector",
                            name);
}

static int save(struct app *app, struct request *req, struct response *res,
                struct stored_connector *row, int64_t expected, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    const char *users = NULL;
    struct connector c;
    int found;

    if (store_put_connector(app->store, row, expected, request_mem(req), &users, err) < 0) {
        if (users)
            res->extra = users_member(req, users);
        return -1;
    }
    if (row->revision == 1 && expected == REVISION_NONE) {
        res->status = 201;
        response_header(res, "Location", "/v1/connectors/source/%s", row->name);
    }
    response_etag(res, row->revision);
    found = connector_find(app->store, RESOURCE_SOURCE, row->name, request_mem(req), &c, err);
    if (found == 0)
        return error_set_reason(err, ERR_CONFLICT, "revision_mismatch", "it is gone again");
    return found < 0 ? -1 : connector_encode(&w, &c, err);
}

static int answer_dry_run(struct response *res)
{
    struct jsonw w = JSONW_INIT(&res->body);

    jsonw_object(&w);
    jsonw_put_bool(&w, "valid", true);
    jsonw_put_raw(&w, "errors", "[]");
    jsonw_put_null(&w, "normalized");
    jsonw_object_end(&w);
    return 0;
}

static int put_once(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"dry_run", NULL};
    struct stored_connector old, row;
    const char *name = NULL;
    const struct doc *document;
    int64_t current, expected;
    bool dry_run, exists;

    if (request_query_only(req, known, err) < 0 ||
        request_query_bool(req, "dry_run", false, &dry_run, err) < 0 ||
        read_name(req, &name, err) < 0 || request_doc(req, false, &document, err) < 0 ||
        find(app, req, name, &old, &current, err) < 0 ||
        precondition_read(app, req, current, &expected, err) < 0)
        return -1;
    exists = current != PRECONDITION_ABSENT;
    (void)check_document(request_mem(req), name, document, exists ? &old : NULL, &row,
                         body_problems(req, res));
    if (body_accept(res, err) < 0)
        return -1;
    return dry_run ? answer_dry_run(res)
                   : save(app, req, res, &row, exists ? current : REVISION_NONE, err);
}

int handle_connector_put(struct app *app, struct request *req, struct response *res,
                         struct error *err)
{
    return precondition_retry(put_once, app, req, res, err);
}

int handle_connector_delete(struct app *app, struct request *req, struct response *res,
                            struct error *err)
{
    const char *name = NULL, *users = NULL;
    struct stored_connector old;
    int64_t current, expected;

    if (read_name(req, &name, err) < 0 ||
        store_get_connector(app->store, name, request_mem(req), &old, err) < 0)
        return -1;
    current = old.revision;
    if (precondition_read(app, req, current, &expected, err) < 0)
        return -1;
    if (store_delete_connector(app->store, name, expected, request_mem(req), &users, err) < 0) {
        if (users)
            res->extra = users_member(req, users);
        return -1;
    }
    res->status = 204;
    return 0;
}

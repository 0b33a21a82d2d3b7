/* Sources and destinations: one implementation, the kind is a parameter. */
#include <inttypes.h>
#include <string.h>

#include "handlers/body.h"
#include "handlers/encode.h"
#include "handlers/idempotency.h"
#include "handlers/jobs.h"
#include "handlers/page.h"
#include "handlers/precondition.h"
#include "handlers/resource.h"
#include "handlers/routes.h"
#include "server/sync/runs.h"

static const char *plural(enum resource_kind kind)
{
    return kind == RESOURCE_SOURCE ? "sources" : "destinations";
}

static const char *id_of(const struct request *req, enum resource_kind kind)
{
    return request_param(req, connector_kind_name(kind));
}

static const char *location_of(struct request *req, enum resource_kind kind, const char *name)
{
    return arena_printf(request_mem(req), "/v1/%s/%s", plural(kind), name);
}

/* A token that may start runs need not know where the data lies. */
static enum resource_detail detail_for(const struct request *req)
{
    return request_may(req, "write") ? RESOURCE_WHOLE : RESOURCE_NAMED;
}

static int answer(struct app *app, struct request *req, struct response *res,
                  enum resource_kind kind, const struct resource *r, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);

    response_etag(res, r->revision);
    return encode_resource(app->store, request_mem(req), &w, kind, r, detail_for(req), err);
}

/* ----------------------------------------------------------------------- lists */

static int list(struct app *app, struct request *req, struct response *res, enum resource_kind kind,
                struct error *err)
{
    static const char *const known[] = {"connector", "label", "q", "cursor",
                                        "limit",     "count", NULL};
    struct jsonw w = JSONW_INIT(&res->body);
    int64_t total = PAGE_NO_TOTAL;
    struct resource *items;
    struct list_query q;
    const char *next;
    bool counted;
    size_t n;

    if (request_query_only(req, known, err) < 0 || page_read(req, &q, err) < 0 ||
        page_wants_total(req, &counted, err) < 0)
        return -1;
    q.connector = request_query(req, "connector");
    if (counted && store_count_resources(app->store, kind, &q, &total, err) < 0)
        return -1;
    if (store_list_resources(app->store, kind, &q, request_mem(req), &items, &n, &next, err) < 0)
        return -1;
    page_begin(&w);
    for (size_t i = 0; i < n; i++) {
        if (encode_resource(app->store, request_mem(req), &w, kind, &items[i], detail_for(req),
                            err) < 0)
            return -1;
    }
    page_end_part(&w, req, res, next, total);
    return 0;
}

static int get(struct app *app, struct request *req, struct response *res, enum resource_kind kind,
               struct error *err)
{
    struct resource r;

    if (store_get_resource(app->store, kind, id_of(req, kind), request_mem(req), &r, err) < 0)
        return -1;
    return answer(app, req, res, kind, &r, err);
}

/* ------------------------------------------------------------------- creating */

/* What a POST keeps while a worker checks the configuration it came with. */
struct creation {
    struct run_wait wait; /* first: see wait.h */
    struct app *app;
    struct idempotency idem;
    struct resource row;
    enum resource_kind kind;
    bool checking, checked;
};

/* Runs on every way out. A check that nobody waits for any more is of no use. */
static void release_creation(void *state)
{
    struct creation *c = state;
    struct error ignored = ERROR_INIT;
    enum run_status status;

    idempotency_abandon(&c->idem);
    if (c->checking && !c->checked &&
        runs_cancel(c->app->runs, c->wait.run, "disconnect", false, &status, &ignored) < 0)
        return; /* it has ended by itself */
}

static int save_new(struct app *app, struct request *req, struct response *res, struct creation *c,
                    struct error *err)
{
    struct created created;
    struct jsonw w = JSONW_INIT(&res->body);

    c->row.idempotency_key = c->idem.key;
    if (store_create_resource(app->store, c->kind, &c->row, request_mem(req), err) < 0 ||
        encode_resource(app->store, request_mem(req), &w, c->kind, &c->row, RESOURCE_WHOLE, err) <
            0)
        return -1;
    created = (struct created){.status = 201,
                               .location = location_of(req, c->kind, c->row.name),
                               .revision = c->row.revision};
    created_answer(res, &created);
    idempotency_end(&c->idem, &created, buf_str(&res->body));
    return 0;
}

static int answer_dry_run(struct app *app, struct request *req, struct response *res,
                          const struct creation *c, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *config = NULL;
    CLEANUP(doc_free_cleanup) struct doc *normalized = NULL;
    struct jsonw w = JSONW_INIT(&res->body);
    struct error none = ERROR_INIT;
    struct connector connector;
    struct resource other;
    int found;

    if (store_get_resource(app->store, c->kind, c->row.name, request_mem(req), &other, &none) == 0)
        return error_set_reason(err, ERR_CONFLICT, "name_taken", "there is a %s \"%s\" already",
                                connector_kind_name(c->kind), c->row.name);
    if (doc_parse_trusted(c->row.config, strlen(c->row.config), &config, err) < 0)
        return -1;
    found =
        connector_find(app->store, c->kind, c->row.connector, request_mem(req), &connector, err);
    if (found < 0)
        return -1;
    if (found)
        normalized = options_normalized(connector.options, config);
    jsonw_object(&w);
    jsonw_put_bool(&w, "valid", true);
    jsonw_put_raw(&w, "errors", "[]");
    jsonw_key(&w, "normalized");
    encode_doc(&w, normalized);
    jsonw_object_end(&w);
    return 0;
}

/* What is about to be stored, sealed anew for the run that tries it. */
static int check_request(struct app *app, struct request *req, const struct creation *c,
                         const char **out, struct error *err)
{
    const struct sealed_owner owner = {connector_kind_name(c->kind), c->row.id};
    CLEANUP(doc_free_cleanup) struct doc *stored = NULL;
    CLEANUP(doc_free_cleanup) struct doc *opened = NULL;
    struct connector connector = {.kind = c->kind, .name = c->row.connector};

    if (doc_parse_trusted(c->row.config, strlen(c->row.config), &stored, err) < 0 ||
        sealed_open(&app->vault, &owner, stored, &opened, err) < 0 ||
        connector_find(app->store, c->kind, c->row.connector, request_mem(req), &connector, err) <
            0)
        return -1;
    *out = job_check_request(app, request_mem(req), &connector, opened);
    return 0;
}

static int begin_check(struct app *app, struct request *req, struct response *res,
                       struct creation *c, struct error *err)
{
    struct run_row run = {.kind = RUN_CHECK, .trigger = "api"};

    if (check_request(app, req, c, &run.request, err) < 0)
        return -1;
    if (job_submit(app, &run, err) < 0)
        return -1;
    run_wait_init(&c->wait, app, run.id, wait_preference(req, res, WAIT_DEFAULT_S));
    c->checking = true;
    return 0;
}

static int finish_check(struct request *req, struct response *res, struct creation *c,
                        struct error *err)
{
    struct run_row run;
    int rc = run_wait_poll(&c->wait, res, request_mem(req), &run, err);

    if (rc != 0)
        return rc;
    (void)wait_preference(req, res, 0);
    c->checked = run_status_is_final(run.status);
    if (!c->checked)
        return error_set_reason(err, ERR_CONFLICT, "check_failed",
                                "the check took longer than the request may wait");
    return run.status == RUN_SUCCEEDED ? 0 : job_failed(req, res, &run, err);
}

/* The part of a POST that happens once: everything up to the check. 1 = `res` is the answer. */
static int begin_creation(struct app *app, struct request *req, struct response *res,
                          struct creation *c, struct error *err)
{
    static const char *const known[] = {"check", "dry_run", NULL};
    struct stored_answer stored;
    const struct doc *sent;
    bool check, dry_run;
    int64_t run;
    int rc;

    if (request_query_only(req, known, err) < 0 ||
        request_query_bool(req, "check", false, &check, err) < 0 ||
        request_query_bool(req, "dry_run", false, &dry_run, err) < 0 ||
        request_doc(req, false, &sent, err) < 0)
        return -1;
    rc = idempotency_begin(app, req, &c->idem, &stored, err);
    if (rc != 0)
        return rc < 0 || idempotency_replay(res, &stored, &run, err) < 0 ? -1 : 1;
    if (resource_build(app, req, res, c->kind, sent, NULL, NULL, SECRETS_REPLACE, &c->row, err) <
            0 ||
        body_accept(res, err) < 0)
        return -1;
    if (dry_run)
        return answer_dry_run(app, req, res, c, err) < 0 ? -1 : 1;
    return check ? begin_check(app, req, res, c, err) : 0;
}

static int create(struct app *app, struct request *req, struct response *res,
                  enum resource_kind kind, struct error *err)
{
    struct creation *c = request_kept(req);
    int rc = 0;

    if (!c) {
        c = arena_alloc(request_mem(req), sizeof *c);
        c->app = app;
        c->kind = kind;
        request_keep(req, c, release_creation);
        rc = begin_creation(app, req, res, c, err);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    if (c->checking)
        rc = finish_check(req, res, c, err);
    return rc != 0 ? rc : save_new(app, req, res, c, err);
}

/* ------------------------------------------------------------------ replacing */

/* Reads the stored one; *out_revision is PRECONDITION_ABSENT when there is none. */
static int find(struct app *app, struct request *req, enum resource_kind kind, struct resource *out,
                int64_t *out_revision, struct error *err)
{
    struct error why = ERROR_INIT;

    *out_revision = PRECONDITION_ABSENT;
    if (store_get_resource(app->store, kind, id_of(req, kind), request_mem(req), out, &why) == 0)
        *out_revision = out->revision;
    else if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    return 0;
}

static int put_once(struct app *app, struct request *req, struct response *res,
                    enum resource_kind kind, struct error *err)
{
    struct resource old, row;
    const struct doc *sent;
    int64_t current, expected;
    bool exists;

    if (request_doc(req, false, &sent, err) < 0 || find(app, req, kind, &old, &current, err) < 0 ||
        precondition_read(app, req, current, &expected, err) < 0)
        return -1;
    exists = current != PRECONDITION_ABSENT;
    if (resource_build(app, req, res, kind, sent, exists ? &old : NULL,
                       exists ? NULL : id_of(req, kind), SECRETS_REPLACE, &row, err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    if (exists) {
        row.id = old.id;
        if (store_update_resource(app->store, kind, &row, old.revision, request_mem(req), err) < 0)
            return -1;
    } else {
        if (store_create_resource(app->store, kind, &row, request_mem(req), err) < 0)
            return -1;
        res->status = 201;
        response_header(res, "Location", "%s", location_of(req, kind, row.name));
    }
    return answer(app, req, res, kind, &row, err);
}

static int patch_once(struct app *app, struct request *req, struct response *res,
                      enum resource_kind kind, struct error *err)
{
    struct resource old, row;
    const struct doc *sent;
    int64_t expected;

    if (request_doc(req, false, &sent, err) < 0 ||
        store_get_resource(app->store, kind, id_of(req, kind), request_mem(req), &old, err) < 0 ||
        precondition_read(app, req, old.revision, &expected, err) < 0)
        return -1;
    if (resource_build(app, req, res, kind, sent, &old, NULL, SECRETS_PATCH, &row, err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    row.id = old.id;
    if (store_update_resource(app->store, kind, &row, old.revision, request_mem(req), err) < 0)
        return -1;
    return answer(app, req, res, kind, &row, err);
}

/* "a,b" as the member "connections": ["a","b"] of the problem document. */
static const char *users_member(struct request *req, const char *users)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 20);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_key(&w, "connections");
    jsonw_array(&w);
    while (*users) {
        size_t n = strcspn(users, ",");

        jsonw_string_n(&w, users, n);
        users += n + strspn(users + n, ", ");
    }
    jsonw_array_end(&w);
    return arena_strdup(request_mem(req), buf_str(&b));
}

static int drop(struct app *app, struct request *req, struct response *res, enum resource_kind kind,
                struct error *err)
{
    const char *users = NULL;
    struct resource old;
    int64_t expected;

    if (store_get_resource(app->store, kind, id_of(req, kind), request_mem(req), &old, err) < 0 ||
        precondition_read(app, req, old.revision, &expected, err) < 0)
        return -1;
    if (store_delete_resource(app->store, kind, old.id, expected, request_mem(req), &users, err) <
        0) {
        if (users)
            res->extra = users_member(req, users);
        return -1;
    }
    res->status = 204;
    return 0;
}

/* ------------------------------------------------------------------- handlers */

int handle_sources(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return list(app, req, res, RESOURCE_SOURCE, err);
}

int handle_source_create(struct app *app, struct request *req, struct response *res,
                         struct error *err)
{
    return create(app, req, res, RESOURCE_SOURCE, err);
}

int handle_source(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return get(app, req, res, RESOURCE_SOURCE, err);
}

static int put_source_once(struct app *app, struct request *req, struct response *res,
                           struct error *err)
{
    return put_once(app, req, res, RESOURCE_SOURCE, err);
}

int handle_source_put(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return precondition_retry(put_source_once, app, req, res, err);
}

static int patch_source_once(struct app *app, struct request *req, struct response *res,
                             struct error *err)
{
    return patch_once(app, req, res, RESOURCE_SOURCE, err);
}

int handle_source_patch(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    return precondition_retry(patch_source_once, app, req, res, err);
}

int handle_source_delete(struct app *app, struct request *req, struct response *res,
                         struct error *err)
{
    return drop(app, req, res, RESOURCE_SOURCE, err);
}

int handle_destinations(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    return list(app, req, res, RESOURCE_DESTINATION, err);
}

int handle_destination_create(struct app *app, struct request *req, struct response *res,
                              struct error *err)
{
    return create(app, req, res, RESOURCE_DESTINATION, err);
}

int handle_destination(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    return get(app, req, res, RESOURCE_DESTINATION, err);
}

static int put_destination_once(struct app *app, struct request *req, struct response *res,
                                struct error *err)
{
    return put_once(app, req, res, RESOURCE_DESTINATION, err);
}

int handle_destination_put(struct app *app, struct request *req, struct response *res,
                           struct error *err)
{
    return precondition_retry(put_destination_once, app, req, res, err);
}

static int patch_destination_once(struct app *app, struct request *req, struct response *res,
                                  struct error *err)
{
    return patch_once(app, req, res, RESOURCE_DESTINATION, err);
}

int handle_destination_patch(struct app *app, struct request *req, struct response *res,
                             struct error *err)
{
    return precondition_retry(patch_destination_once, app, req, res, err);
}

int handle_destination_delete(struct app *app, struct request *req, struct response *res,
                              struct error *err)
{
    return drop(app, req, res, RESOURCE_DESTINATION, err);
}

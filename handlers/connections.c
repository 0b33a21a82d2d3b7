#include <inttypes.h>
#include <string.h>

#include "handlers/body.h"
#include "handlers/connection.h"
#include "handlers/delivery.h"
#include "handlers/encode.h"
#include "handlers/idempotency.h"
#include "handlers/page.h"
#include "handlers/precondition.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "handlers/wait.h"
#include "server/sync/runs.h"

static const char *id_of(const struct request *req)
{
    return request_param(req, "connection");
}

static const char *location_of(struct request *req, const char *name)
{
    return arena_printf(request_mem(req), "/v1/connections/%s", name);
}

/* Writes one connection with its newest run. */
static int write_one(struct app *app, struct arena *mem, struct jsonw *w,
                     const struct connection *c, struct error *err)
{
    struct delivery delivery;
    struct error why = ERROR_INIT;
    struct run_row last;

    delivery_of(app, mem, c, &delivery);
    if (store_latest_run(app->store, c->id, mem, &last, &why) == 0)
        return encode_connection(w, c, &last, &delivery, err);
    if (why.code == ERR_NOT_FOUND)
        return encode_connection(w, c, NULL, &delivery, err);
    *err = why;
    return -1;
}

static int answer(struct app *app, struct request *req, struct response *res,
                  const struct connection *c, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);

    response_etag(res, c->revision);
    return write_one(app, request_mem(req), &w, c, err);
}

static int read_filters(struct request *req, struct list_query *q, struct error *err)
{
    bool paused;

    q->source = request_query(req, "source");
    q->destination = request_query(req, "destination");
    q->status = request_query(req, "status");
    if (!request_query(req, "paused"))
        return 0;
    if (request_query_bool(req, "paused", false, &paused, err) < 0)
        return -1;
    q->paused = paused;
    return 0;
}

int handle_connections(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    static const char *const known[] = {"source", "destination", "paused", "status", "label", "q",
                                        "cursor", "limit",       "expand", "count",  NULL};
    static const char *const expansions[] = {"last_run", NULL};
    struct jsonw w = JSONW_INIT(&res->body);
    int64_t total = PAGE_NO_TOTAL;
    struct connection *items;
    struct list_query q;
    const char *next;
    bool counted;
    size_t n, expansion;

    if (request_query_only(req, known, err) < 0 || page_read(req, &q, err) < 0 ||
        query_word(req, "expand", expansions, &expansion, err) < 0 ||
        read_filters(req, &q, err) < 0 || page_wants_total(req, &counted, err) < 0)
        return -1;
    if (counted && store_count_connections(app->store, &q, &total, err) < 0)
        return -1;
    if (store_list_connections(app->store, &q, request_mem(req), &items, &n, &next, err) < 0)
        return -1;
    page_begin(&w);
    for (size_t i = 0; i < n; i++) {
        if (write_one(app, request_mem(req), &w, &items[i], err) < 0)
            return -1;
    }
    page_end_part(&w, req, res, next, total);
    return 0;
}

int handle_connection(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct connection c;

    if (store_get_connection(app->store, id_of(req), request_mem(req), &c, err) < 0)
        return -1;
    return answer(app, req, res, &c, err);
}

/* -------------------------------------------------------------------- creating */

static void abandon(void *idempotency)
{
    idempotency_abandon(idempotency);
}

static int answer_dry_run(struct app *app, struct request *req, struct response *res,
                          const struct connection *c, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    struct error none = ERROR_INIT;
    struct connection other;

    if (store_get_connection(app->store, c->name, request_mem(req), &other, &none) == 0)
        return error_set_reason(err, ERR_CONFLICT, "name_taken",
                                "there is a connection \"%s\" already", c->name);
    jsonw_object(&w);
    jsonw_put_bool(&w, "valid", true);
    jsonw_put_raw(&w, "errors", "[]");
    jsonw_put_raw(&w, "normalized", c->settings);
    jsonw_object_end(&w);
    return 0;
}

static int save_new(struct app *app, struct request *req, struct response *res,
                    struct connection *c, struct idempotency *idem, struct error *err)
{
    struct created created;

    c->idempotency_key = idem->key;
    if (store_create_connection(app->store, c, request_mem(req), err) < 0 ||
        answer(app, req, res, c, err) < 0)
        return -1;
    created = (struct created){
        .status = 201, .location = location_of(req, c->name), .revision = c->revision};
    created_answer(res, &created);
    idempotency_end(idem, &created, buf_str(&res->body));
    return 0;
}

int handle_connection_create(struct app *app, struct request *req, struct response *res,
                             struct error *err)
{
    static const char *const known[] = {"dry_run", NULL};
    struct idempotency *idem = arena_alloc(request_mem(req), sizeof *idem);
    struct stored_answer stored;
    const struct doc *sent;
    struct connection c;
    bool dry_run;
    int64_t run;
    int rc;

    if (request_query_only(req, known, err) < 0 ||
        request_query_bool(req, "dry_run", false, &dry_run, err) < 0 ||
        request_doc(req, false, &sent, err) < 0)
        return -1;
    rc = idempotency_begin(app, req, idem, &stored, err);
    if (rc != 0)
        return rc < 0 ? -1 : idempotency_replay(res, &stored, &run, err);
    request_keep(req, idem, abandon);
    if (connection_build(app, req, res, sent, NULL, NULL, CONNECTION_REPLACE, &c, err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    if (dry_run)
        return answer_dry_run(app, req, res, &c, err);
    return save_new(app, req, res, &c, idem, err);
}

/* ------------------------------------------------------------------- replacing */

static int find(struct app *app, struct request *req, struct connection *out, int64_t *out_revision,
                struct error *err)
{
    struct error why = ERROR_INIT;

    *out_revision = PRECONDITION_ABSENT;
    if (store_get_connection(app->store, id_of(req), request_mem(req), out, &why) == 0)
        *out_revision = out->revision;
    else if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    return 0;
}

static int put_once(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct connection old, row;
    const struct doc *sent;
    int64_t current, expected;
    bool exists;

    if (request_doc(req, false, &sent, err) < 0 || find(app, req, &old, &current, err) < 0 ||
        precondition_read(app, req, current, &expected, err) < 0)
        return -1;
    exists = current != PRECONDITION_ABSENT;
    if (connection_build(app, req, res, sent, exists ? &old : NULL, exists ? NULL : id_of(req),
                         CONNECTION_REPLACE, &row, err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    if (exists) {
        row.id = old.id;
        if (store_update_connection(app->store, &row, old.revision, request_mem(req), err) < 0)
            return -1;
    } else {
        if (store_create_connection(app->store, &row, request_mem(req), err) < 0)
            return -1;
        res->status = 201;
        response_header(res, "Location", "%s", location_of(req, row.name));
    }
    return answer(app, req, res, &row, err);
}

static int patch_once(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct connection old, row;
    const struct doc *sent;
    int64_t expected;

    if (request_doc(req, false, &sent, err) < 0 ||
        store_get_connection(app->store, id_of(req), request_mem(req), &old, err) < 0 ||
        precondition_read(app, req, old.revision, &expected, err) < 0)
        return -1;
    if (connection_build(app, req, res, sent, &old, NULL, CONNECTION_PATCH, &row, err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    row.id = old.id;
    if (store_update_connection(app->store, &row, old.revision, request_mem(req), err) < 0)
        return -1;
    return answer(app, req, res, &row, err);
}

int handle_connection_put(struct app *app, struct request *req, struct response *res,
                          struct error *err)
{
    return precondition_retry(put_once, app, req, res, err);
}

int handle_connection_patch(struct app *app, struct request *req, struct response *res,
                            struct error *err)
{
    return precondition_retry(patch_once, app, req, res, err);
}

#define OPEN_RUNS (1u << RUN_QUEUED | 1u << RUN_RUNNING | 1u << RUN_CANCELLING)

/* Queued runs are cancelled at once; the one that runs is told to stop, and *out_running is its
 * number, 0 when there is none. */
static int cancel_all(struct app *app, struct request *req, const struct connection *c,
                      int64_t *out_running, struct error *err)
{
    struct run_query q = {
        .connection_id = c->id, .statuses = OPEN_RUNS, .ascending = false, .limit = PAGE_MAX};
    struct run_row *runs;
    int64_t next;
    size_t n;

    *out_running = 0;
    do { /* newest first, so that none of them begins meanwhile */
        if (store_list_runs(app->store, &q, request_mem(req), &runs, &n, &next, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++) {
            struct error ended = ERROR_INIT; /* by itself, between the list and now */
            enum run_status status;

            if (runs_cancel(app->runs, runs[i].id, "user", false, &status, &ended) == 0 &&
                status == RUN_CANCELLING)
                *out_running = runs[i].id;
        }
        q.after = next;
    } while (next);
    return 0;
}

/* With ?cancel=true whatever is active is asked to stop and the request waits for it. */
static int stop_active(struct app *app, struct request *req, struct response *res,
                       const struct connection *c, struct error *err)
{
    struct run_wait *wait = request_kept(req);
    struct run_row run;
    int64_t running;

    if (!wait) {
        if (cancel_all(app, req, c, &running, err) < 0)
            return -1;
        if (!running)
            return 0;
        wait = arena_alloc(request_mem(req), sizeof *wait);
        run_wait_init(wait, app, running, WAIT_DEFAULT_S);
        request_keep(req, wait, NULL);
    }
    return run_wait_poll(wait, res, request_mem(req), &run, err);
}

int handle_connection_delete(struct app *app, struct request *req, struct response *res,
                             struct error *err)
{
    static const char *const known[] = {"cancel", NULL};
    struct connection old;
    int64_t expected;
    bool cancel;
    int rc;

    if (request_query_only(req, known, err) < 0 ||
        request_query_bool(req, "cancel", false, &cancel, err) < 0 ||
        store_get_connection(app->store, id_of(req), request_mem(req), &old, err) < 0 ||
        precondition_read(app, req, old.revision, &expected, err) < 0)
        return -1;
    rc = cancel ? stop_active(app, req, res, &old, err) : 0;
    if (rc != 0)
        return rc;
    if (store_delete_connection(app->store, old.id, expected, err) < 0)
        return -1;
    if (runs_tally(app->runs))
        tally_forget(runs_tally(app->runs), old.id);
    res->status = 204;
    return 0;
}

/* --------------------------------------------------------------- pause, resume */

static int set_paused(struct app *app, struct request *req, struct response *res, bool paused,
                      struct error *err)
{
    struct connection c;
    int64_t expected;

    if (body_read_nothing(req, err) < 0 ||
        store_get_connection(app->store, id_of(req), request_mem(req), &c, err) < 0 ||
        precondition_read(app, req, c.revision, &expected, err) < 0)
        return -1;
    if (c.paused != paused) {
        c.paused = paused;
        if (store_update_connection(app->store, &c, c.revision, request_mem(req), err) < 0)
            return -1;
    }
    return answer(app, req, res, &c, err);
}

static int pause_once(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return set_paused(app, req, res, true, err);
}

static int resume_once(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    return set_paused(app, req, res, false, err);
}

int handle_connection_pause(struct app *app, struct request *req, struct response *res,
                            struct error *err)
{
    return precondition_retry(pause_once, app, req, res, err);
}

int handle_connection_resume(struct app *app, struct request *req, struct response *res,
                             struct error *err)
{
    return precondition_retry(resume_once, app, req, res, err);
}

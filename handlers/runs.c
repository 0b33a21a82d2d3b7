#include <inttypes.h>
#include <string.h>

#include "connectors/base/text.h"
#include "handlers/body.h"
#include "handlers/encode.h"
#include "handlers/jobs.h"
#include "handlers/page.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "handlers/run.h"
#include "handlers/wait.h"
#include "server/sync/runs.h"

int run_of_request(struct app *app, struct request *req, struct arena *mem, struct run_row *out,
                   struct error *err)
{
    const char *text = request_param(req, "run"), *connection = request_param(req, "connection");
    struct connection c;
    int64_t id;

    if (connection && store_get_connection(app->store, connection, mem, &c, err) < 0)
        return -1;
    if (connection && !strcmp(text, "latest"))
        return store_latest_run(app->store, c.id, mem, out, err);
    if (!text_to_int64(text, strlen(text), &id) || id <= 0)
        return error_set(err, ERR_NOT_FOUND, "there is no run \"%s\"", text);
    if (store_get_run(app->store, id, mem, out, err) < 0)
        return -1;
    if (connection && (!out->connection_id || strcmp(out->connection_id, c.id) != 0))
        return error_set(err, ERR_NOT_FOUND, "connection \"%s\" has no run %" PRId64, c.name, id);
    return 0;
}

static int answer(struct response *res, const struct run_row *run, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);

    return encode_run(&w, run, RUN_WHOLE, err);
}

/* ----------------------------------------------------------------------- lists */

/* In the order of enum run_kind and enum run_status. */
static const char *const kinds[] = {"sync", "clear", "check", "discover", "sample", "count", NULL};
static const char *const statuses[] = {"queued", "running",   "cancelling", "succeeded",
                                       "failed", "cancelled", NULL};
static const char *const orders[] = {"desc", "asc", NULL};

/* The cursor of a list of runs is the id of the last one shown. */
static int read_cursor(struct request *req, int64_t *out, struct error *err)
{
    const char *text = request_query(req, "cursor");

    *out = 0;
    if (text && (!text_to_int64(text, strlen(text), out) || *out <= 0))
        return error_set_reason(err, ERR_INVALID, "invalid_cursor",
                                "\"cursor\" is a next_cursor of an earlier answer");
    return 0;
}

/* The connection of the address or of the query; none at all is fine. */
static int read_connection(struct app *app, struct request *req, const char **out,
                           struct error *err)
{
    const char *name = request_param(req, "connection");
    struct connection c;

    *out = NULL;
    if (!name)
        name = request_query(req, "connection");
    if (!name)
        return 0;
    if (store_get_connection(app->store, name, request_mem(req), &c, err) < 0)
        return -1;
    *out = c.id;
    return 0;
}

static int read_filters(struct app *app, struct request *req, struct run_query *q,
                        struct error *err)
{
    static const char *const triggers[] = {"api", "retry", "cli", NULL};
    size_t order, trigger;

    *q = (struct run_query){.trigger = request_query(req, "trigger")};
    if (read_connection(app, req, &q->connection_id, err) < 0 ||
        query_words(req, "kind", kinds, &q->kinds, err) < 0 ||
        query_words(req, "status", statuses, &q->statuses, err) < 0 ||
        query_word(req, "trigger", triggers, &trigger, err) < 0 ||
        query_time(req, "since", &q->since_us, err) < 0 ||
        query_time(req, "until", &q->until_us, err) < 0 ||
        query_word(req, "order", orders, &order, err) < 0 || read_cursor(req, &q->after, err) < 0)
        return -1;
    q->ascending = order == 1;
    return request_query_int(req, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &q->limit, err);
}

int handle_runs(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"connection", "kind",    "status", "since",
                                        "until",      "trigger", "order",  "cursor",
                                        "limit",      "count",   NULL};
    struct jsonw w = JSONW_INIT(&res->body);
    int64_t total = PAGE_NO_TOTAL;
    struct run_row *items;
    struct run_query q;
    int64_t next;
    bool counted;
    size_t n;

    if (request_query_only(req, known, err) < 0 || read_filters(app, req, &q, err) < 0 ||
        page_wants_total(req, &counted, err) < 0)
        return -1;
    if ((counted && store_count_listed_runs(app->store, &q, &total, err) < 0) ||
        store_list_runs(app->store, &q, request_mem(req), &items, &n, &next, err) < 0)
        return -1;
    page_begin(&w);
    for (size_t i = 0; i < n; i++) {
        if (encode_run(&w, &items[i], RUN_IN_LIST, err) < 0)
            return -1;
    }
    page_end_part(&w, req, res, next ? arena_printf(request_mem(req), "%" PRId64, next) : NULL,
                  total);
    return 0;
}

/* -------------------------------------------------------------- one run, waiting */

/* The run of the address, waited for as `wait` says: 0, HANDLER_WAIT or -1. */
static int find_and_wait(struct app *app, struct request *req, struct response *res,
                         struct run_row *out, struct error *err)
{
    struct run_wait *wait = request_kept(req);
    int64_t seconds;

    if (wait)
        return run_wait_poll(wait, res, request_mem(req), out, err);
    if (request_query_int(req, "wait", 0, 0, WAIT_MAX_S, &seconds, err) < 0 ||
        run_of_request(app, req, request_mem(req), out, err) < 0)
        return -1;
    if (!seconds || run_status_is_final(out->status))
        return 0;
    wait = arena_alloc(request_mem(req), sizeof *wait);
    run_wait_init(wait, app, out->id, seconds);
    request_keep(req, wait, NULL);
    return run_wait_poll(wait, res, request_mem(req), out, err);
}

int handle_run(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"wait", NULL};
    struct run_row run;
    int rc;

    if (request_query_only(req, known, err) < 0)
        return -1;
    rc = find_and_wait(app, req, res, &run, err);
    return rc != 0 ? rc : answer(res, &run, err);
}

int handle_run_streams(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    struct run_row run;

    if (run_of_request(app, req, request_mem(req), &run, err) < 0)
        return -1;
    page_begin(&w);
    if (encode_run_streams(&w, &run, err) < 0)
        return -1;
    page_end_whole(&w);
    return 0;
}

#define RETRY_AFTER_S "1" /* curl --retry waits this long and asks again */

static int answer_pending(struct response *res, const struct run_row *run, bool as_error,
                          struct error *err)
{
    response_header(res, "Retry-After", RETRY_AFTER_S);
    if (as_error)
        return error_set_reason(err, ERR_CONFLICT, "run_pending", "run %" PRId64 " is %s", run->id,
                                run_status_name(run->status));
    res->status = 202;
    return answer(res, run, err);
}

int handle_run_outcome(struct app *app, struct request *req, struct response *res,
                       struct error *err)
{
    static const char *const known[] = {"wait", "pending", NULL};
    static const char *const pendings[] = {"202", "408", NULL};
    struct run_row run;
    size_t pending;
    int rc;

    if (request_query_only(req, known, err) < 0 ||
        query_word(req, "pending", pendings, &pending, err) < 0)
        return -1;
    rc = find_and_wait(app, req, res, &run, err);
    if (rc != 0)
        return rc;
    if (!run_status_is_final(run.status))
        return answer_pending(res, &run, pending == 1, err);
    return run.status == RUN_SUCCEEDED ? answer(res, &run, err) : job_failed(req, res, &run, err);
}

/* ---------------------------------------------------------------- cancel, delete */

int handle_run_cancel(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"force", NULL};
    struct run_row before, after;
    enum run_status status;
    bool force;

    if (request_query_only(req, known, err) < 0 ||
        request_query_bool(req, "force", false, &force, err) < 0 ||
        body_read_nothing(req, err) < 0 ||
        run_of_request(app, req, request_mem(req), &before, err) < 0 ||
        runs_cancel(app->runs, before.id, "user", force, &status, err) < 0 ||
        store_get_run(app->store, before.id, request_mem(req), &after, err) < 0)
        return -1;
    /* 202 only for the request that set it going; asking again changes nothing. */
    if (status == RUN_CANCELLING && before.status != RUN_CANCELLING)
        res->status = 202;
    return answer(res, &after, err);
}

int handle_run_delete(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct run_row run;

    if (run_of_request(app, req, request_mem(req), &run, err) < 0 ||
        store_delete_run(app->store, run.id, err) < 0)
        return -1;
    logstreams_remove(app->logs, run.id);
    res->status = 204;
    return 0;
}

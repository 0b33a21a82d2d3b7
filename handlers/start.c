/* Starting runs: of a connection, ad hoc, a clear, a retry; and the ways to be answered. */
#include <inttypes.h>
#include <string.h>

#include "handlers/body.h"
#include "handlers/connection.h"
#include "handlers/encode.h"
#include "handlers/idempotency.h"
#include "handlers/logs.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "handlers/start.h"
#include "handlers/wait.h"
#include "server/sync/runs.h"

enum on_conflict { CONFLICT_REJECT, CONFLICT_JOIN, CONFLICT_QUEUE };
enum shape { SHAPE_RUN, SHAPE_ID, SHAPE_LOG };

/* What the query asks for. */
struct manner {
    enum on_conflict on_conflict;
    enum shape shape;
    enum log_format log_format;
    enum logs_disconnect on_disconnect;
    int64_t wait_s;
    bool force;
};

/* What is kept while a request waits for the run that it has started. */
struct start {
    struct run_wait wait; /* first: see wait.h */
    struct idempotency idem;
    struct created created;
    bool replayed;
};

static void release_start(void *state)
{
    struct start *s = state;

    idempotency_abandon(&s->idem);
}

static int read_shape(struct request *req, bool follow, struct manner *out, struct error *err)
{
    static const char *const words[] = {"json", "id", NULL};
    size_t word;

    if (follow) {
        out->shape = SHAPE_LOG;
        return logs_format(req, &out->log_format, err);
    }
    if (query_word(req, "format", words, &word, err) < 0)
        return -1;
    out->shape = word == 1 ? SHAPE_ID : SHAPE_RUN;
    return 0;
}

static int read_manner(struct request *req, struct manner *out, struct error *err)
{
    static const char *const known[] = {"on_conflict",   "wait",  "follow", "format",
                                        "on_disconnect", "force", NULL};
    static const char *const conflicts[] = {"reject", "join", "queue", NULL};
    static const char *const disconnects[] = {"continue", "cancel", NULL};
    size_t conflict, disconnect;
    bool follow;

    *out = (struct manner){0};
    if (request_query_only(req, known, err) < 0 ||
        query_word(req, "on_conflict", conflicts, &conflict, err) < 0 ||
        query_word(req, "on_disconnect", disconnects, &disconnect, err) < 0 ||
        request_query_bool(req, "follow", false, &follow, err) < 0 ||
        request_query_bool(req, "force", false, &out->force, err) < 0 ||
        request_query_int(req, "wait", 0, 0, WAIT_MAX_S, &out->wait_s, err) < 0)
        return -1;
    out->on_conflict = (enum on_conflict)conflict;
    out->on_disconnect = (enum logs_disconnect)disconnect;
    return read_shape(req, follow, out, err);
}

/* -------------------------------------------------------------------- answers */

static const char *run_text(struct arena *mem, const struct run_row *run, struct error *err)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(START_REQUEST_BYTES);
    struct jsonw w = JSONW_INIT(&b);

    if (encode_run(&w, run, RUN_WHOLE, err) < 0 || buf_ok(&b, "the run", err) < 0)
        return NULL;
    return arena_memdup(mem, buf_str(&b), b.len);
}

/* The run first, then its log to the end. */
static int answer_log(struct app *app, struct request *req, struct response *res,
                      const struct run_row *run, const struct manner *m, struct error *err)
{
    struct log_query q = {.follow = true,
                          .tail = -1,
                          .format = m->log_format,
                          .timestamps = true,
                          .heartbeat_us = LOGS_HEARTBEAT_US};
    const char *text = run_text(request_mem(req), run, err);

    if (!text)
        return -1;
    q.first = arena_printf(request_mem(req), "{\"type\":\"run\",\"run\":%s}", text);
    return logs_answer(app, req, res, run->id, &q, m->on_disconnect, err);
}

static int answer(struct app *app, struct request *req, struct response *res, const struct start *s,
                  const struct run_row *run, const struct manner *m, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);

    created_answer(res, &s->created);
    if (s->replayed)
        response_header(res, "Idempotency-Replayed", "true");
    if (m->shape == SHAPE_LOG)
        return answer_log(app, req, res, run, m, err);
    if (m->shape == SHAPE_RUN)
        return encode_run(&w, run, RUN_WHOLE, err);
    res->content_type = "text/plain; charset=utf-8";
    buf_printf(&res->body, "%" PRId64 "\n", run->id);
    return 0;
}

/* Waits as long as was asked for, then answers. */
static int wait_and_answer(struct app *app, struct request *req, struct response *res,
                           const struct manner *m, struct error *err)
{
    struct start *s = request_kept(req);
    struct run_row run;
    int rc = run_wait_poll(&s->wait, res, request_mem(req), &run, err);

    return rc != 0 ? rc : answer(app, req, res, s, &run, m, err);
}

/* ------------------------------------------------------------------- submitting */

static int refuse_active(struct request *req, struct response *res, int64_t active,
                         struct error *err, const struct error *why)
{
    if (active) {
        response_header(res, "Location", "/v1/runs/%" PRId64, active);
        res->extra = arena_printf(request_mem(req), "\"active_run_id\":%" PRId64, active);
    }
    *err = *why;
    return -1;
}

/* Queues the run, or joins the one that is active: *out_status is 201 or 200, run->id is set. */
static int submit(struct app *app, struct request *req, struct response *res, struct run_row *run,
                  const struct manner *m, int *out_status, struct error *err)
{
    struct error why = ERROR_INIT;
    int64_t active = 0;

    *out_status = 201;
    if (runs_submit(app->runs, run, m->on_conflict == CONFLICT_QUEUE, &active, &why) == 0)
        return 0;
    if (m->on_conflict != CONFLICT_JOIN || !active)
        return refuse_active(req, res, active, err, &why);
    *out_status = 200;
    run->id = active;
    return 0;
}

/* Stores the answer for the key and prepares the wait; `run` has its id. */
static int started(struct app *app, struct request *req, struct start *s, struct run_row *run,
                   int status, const struct manner *m, struct error *err)
{
    const char *body;

    if (store_get_run(app->store, run->id, request_mem(req), run, err) < 0)
        return -1;
    body = run_text(request_mem(req), run, err);
    if (!body)
        return -1;
    s->created =
        (struct created){.status = status,
                         .location = arena_printf(request_mem(req), "/v1/runs/%" PRId64, run->id),
                         .run = run->id};
    idempotency_end(&s->idem, &s->created, body);
    run_wait_init(&s->wait, app, run->id, m->wait_s);
    return 0;
}

/* The same request came before: what it started is shown, or followed, again. */
static int replay(struct app *app, struct request *req, struct response *res,
                  const struct stored_answer *stored, const struct manner *m, struct start *s,
                  struct error *err)
{
    struct run_row run;
    int64_t id;

    if (idempotency_replay(res, stored, &id, err) < 0)
        return -1;
    if (m->shape == SHAPE_RUN)
        return 0;
    buf_clear(&res->body);
    if (store_get_run(app->store, id, request_mem(req), &run, err) < 0)
        return -1;
    s->replayed = true;
    s->created =
        (struct created){.status = (int)stored->status,
                         .location = arena_printf(request_mem(req), "/v1/runs/%" PRId64, id),
                         .run = id};
    return answer(app, req, res, s, &run, m, err);
}

int start_run(struct app *app, struct request *req, struct response *res, start_fn *prepare,
              struct error *err)
{
    struct run_row run = {.trigger = "api"};
    struct start *s = request_kept(req);
    struct stored_answer stored;
    struct manner m;
    int rc, status;

    if (read_manner(req, &m, err) < 0)
        return -1;
    if (s)
        return wait_and_answer(app, req, res, &m, err);
    s = arena_alloc(request_mem(req), sizeof *s);
    request_keep(req, s, release_start);
    rc = idempotency_begin(app, req, &s->idem, &stored, err);
    if (rc != 0)
        return rc < 0 ? -1 : replay(app, req, res, &stored, &m, s, err);
    if (prepare(app, req, res, m.force, &run, err) < 0 || body_accept(res, err) < 0)
        return -1;
    run.idempotency_key = s->idem.key;
    if (submit(app, req, res, &run, &m, &status, err) < 0 ||
        started(app, req, s, &run, status, &m, err) < 0)
        return -1;
    return m.wait_s ? wait_and_answer(app, req, res, &m, err)
                    : answer(app, req, res, s, &run, &m, err);
}

/* ---------------------------------------------------------- of a connection, clear */

struct start_body {
    struct string_list streams;
    bool full_refresh, allow_shrink;
    int64_t timeout_s, max_attempts, parallel_streams;
    const struct doc *labels;
    const char *note;
};

static struct start_settings settings_of(const struct start_body *b)
{
    return (struct start_settings){b->streams,   b->full_refresh, b->allow_shrink,
                                   b->timeout_s, b->max_attempts, b->parallel_streams};
}

/* clang-format off */
static const struct option start_options[] = {
    OPTION(struct start_body, streams, .title = "Streams",
           .help = "Only these of the selection."),
    OPTION(struct start_body, full_refresh, .title = "Full refresh", .def = "false",
           .help = "Forget positions and read everything again."),
    OPTION(struct start_body, allow_shrink, .title = "Allow shrinking", .def = "false",
           .help = "Let a full refresh replace many rows by few."),
    OPTION(struct start_body, timeout_s, .title = "Time limit", .min = 0, .max = 604800,
           .help = "Seconds for this run; the connection's policy when it is left out."),
    OPTION(struct start_body, max_attempts, .title = "Attempts", .min = 1, .max = 100,
           .help = "For this run; the connection's policy when it is left out."),
    OPTION(struct start_body, parallel_streams, .title = "Streams at the same time", .min = 1,
           .max = 16, .help = "For this run; the connection's policy when it is left out."),
    OPTION(struct start_body, labels, .title = "Labels", .check = body_check_labels,
           .help = "Words of your own to find the run by."),
    OPTION(struct start_body, note, .title = "Note", .max = 2000, .help = "Free text for people."),
    OPTIONS_END,
};

static const struct option clear_options[] = {
    OPTION(struct start_body, streams, .title = "Streams",
           .help = "Only these of the selection."),
    OPTIONS_END,
};
/* clang-format on */

static bool has_stream(const struct selection *selection, const char *name, struct arena *mem)
{
    for (size_t i = 0; i < selection->n; i++) {
        const struct stream *s = selection->streams[i].stream;

        if (!strcmp(name, s->name) || !strcmp(name, stream_full_name(mem, s)))
            return true;
    }
    return false;
}

/* Every name must be one of the selected streams, as far as the newest catalog knows them. */
static int check_names(struct app *app, struct request *req, const struct connection *c,
                       const struct string_list *names, struct problems *problems,
                       struct error *err)
{
    struct problems ignored = PROBLEMS_INIT(request_mem(req));
    CLEANUP(doc_free_cleanup) struct doc *streams = NULL;
    struct selection selection;
    struct catalog catalog;
    int found;

    if (!names->n)
        return 0;
    found = connection_catalog(app, c->source_id, request_mem(req), &catalog, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (c->streams && doc_parse_trusted(c->streams, strlen(c->streams), &streams, err) < 0)
        return -1;
    (void)selection_resolve(streams, &catalog, "/streams", request_mem(req), &selection, &ignored);
    for (size_t i = 0; i < names->n; i++) {
        if (!has_stream(&selection, names->items[i], request_mem(req)))
            problems_add(problems, arena_printf(request_mem(req), "/streams/%zu", i),
                         "unknown_stream", "connection \"%s\" has no selected stream \"%s\"",
                         c->name, names->items[i]);
    }
    return 0;
}

void start_put_settings(struct jsonw *w, const struct start_settings *s)
{
    encode_list(w, "streams", &s->streams);
    jsonw_put_bool(w, "full_refresh", s->full_refresh);
    jsonw_put_bool(w, "allow_shrink", s->allow_shrink);
    if (s->timeout_s)
        jsonw_put_int(w, "timeout_s", s->timeout_s);
    if (s->max_attempts)
        jsonw_put_int(w, "max_attempts", s->max_attempts);
    if (s->parallel_streams)
        jsonw_put_int(w, "parallel_streams", s->parallel_streams);
}

static const char *start_request(struct arena *mem, const struct start_body *body)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(START_REQUEST_BYTES);
    struct start_settings settings = settings_of(body);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_object(&w);
    start_put_settings(&w, &settings);
    jsonw_object_end(&w);
    return arena_memdup(mem, buf_str(&b), b.len);
}

static int prepare_for_connection(struct app *app, struct request *req, struct response *res,
                                  const struct option *table, struct start_body *body,
                                  struct connection *c, struct run_row *out, struct error *err)
{
    const struct doc *sent;

    if (store_get_connection(app->store, request_param(req, "connection"), request_mem(req), c,
                             err) < 0 ||
        body_read(req, res, true, table, body, &sent, err) < 0 ||
        check_names(app, req, c, &body->streams, body_problems(req, res), err) < 0)
        return -1;
    out->connection_id = c->id;
    out->connection_name = c->name;
    out->source_id = c->source_id;
    out->destination_id = c->destination_id;
    out->labels = body_text(request_mem(req), body->labels);
    out->note = body->note;
    out->request = start_request(request_mem(req), body);
    return 0;
}

static int prepare_run(struct app *app, struct request *req, struct response *res, bool force,
                       struct run_row *out, struct error *err)
{
    struct start_body body = {0};
    struct connection c;

    out->kind = RUN_SYNC;
    if (prepare_for_connection(app, req, res, start_options, &body, &c, out, err) < 0)
        return -1;
    if (c.paused && !force)
        return error_set_reason(err, ERR_CONFLICT, "paused",
                                "connection \"%s\" is paused; force=true starts it all the same",
                                c.name);
    return 0;
}

static int prepare_clear(struct app *app, struct request *req, struct response *res, bool force,
                         struct run_row *out, struct error *err)
{
    struct start_body body = {0};
    struct connection c;

    (void)force;
    out->kind = RUN_CLEAR;
    return prepare_for_connection(app, req, res, clear_options, &body, &c, out, err);
}

int handle_run_start(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return start_run(app, req, res, prepare_run, err);
}

int handle_clear(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return start_run(app, req, res, prepare_clear, err);
}

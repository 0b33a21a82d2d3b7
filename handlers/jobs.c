#include "handlers/jobs.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonread.h"
#include "connectors/option.h"
#include "handlers/body.h"
#include "handlers/encode.h"
#include "handlers/resource.h"
#include "handlers/routes.h"
#include "server/sync/runs.h"

#define REQUEST_BYTES ((size_t)16 << 20)

/* What a request keeps while its run is executed. */
struct job {
    struct run_wait wait; /* first: see wait.h */
    bool strict;
    const char *source; /* name, for the answer */
};

int job_submit(struct app *app, struct run_row *fill, struct error *err)
{
    int64_t active = 0;

    fill->trigger = "api";
    return runs_submit(app->runs, fill, true, &active, err);
}

const char *job_seal_id(struct arena *mem)
{
    char id[STORE_ID_BYTES];

    store_new_id(clock_unix_us(), id);
    return arena_strdup(mem, id);
}

const char *job_seal(const struct app *app, struct arena *mem, const char *id,
                     const struct connector *c, const struct doc *config)
{
    CLEANUP(doc_free_cleanup) struct doc *sealed = config ? doc_copy(config) : doc_new_object();
    const struct sealed_owner owner = sealed_owner_in_run(connector_kind_name(c->kind), id);

    if (c->options)
        sealed_config(&app->vault, c->options, &owner, sealed, NULL);
    return body_text(mem, sealed);
}

const char *job_check_request(const struct app *app, struct arena *mem, const struct connector *c,
                              const struct doc *config)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(REQUEST_BYTES);
    const char *id = job_seal_id(mem);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_object(&w);
    jsonw_put_string(&w, "kind", connector_kind_name(c->kind));
    jsonw_put_string(&w, "connector", c->name);
    jsonw_put_string(&w, SEALED_FOR, id);
    jsonw_put_raw(&w, "config", job_seal(app, mem, id, c, config));
    jsonw_object_end(&w);
    return arena_memdup(mem, buf_str(&b), b.len);
}

/* ------------------------------------------------------------------- failures */

/* Codes of run errors that are mistakes of the request rather than failures of the work. */
static int own_fault(const char *code, const char *message, struct error *err)
{
    if (!strcmp(code, "not_supported"))
        return error_set_reason(err, ERR_UNSUPPORTED, "not_supported_by_connector", "%s", message);
    if (!strcmp(code, "unknown_stream"))
        return error_set_reason(err, ERR_INVALID, "unknown_stream", "%s", message);
    if (!strcmp(code, "unknown_field"))
        return error_set_reason(err, ERR_INVALID, "unknown_field", "%s", message);
    return 0;
}

int job_failed(struct request *req, struct response *res, const struct run_row *run,
               struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *why = NULL;
    CLEANUP(buf_release) struct buf b = BUF_INIT(REQUEST_BYTES);
    struct jsonw w = JSONW_INIT(&b);
    struct error ignored = ERROR_INIT;
    const char *code, *message;

    jsonw_key(&w, "run");
    if (encode_run(&w, run, RUN_WHOLE, err) < 0)
        return -1;
    res->extra = arena_memdup(request_mem(req), buf_str(&b), b.len);
    if (run->status == RUN_CANCELLED)
        return error_set_reason(err, ERR_CONFLICT, "run_cancelled", "run %lld was cancelled",
                                (long long)run->id);
    if (run->error && doc_parse_trusted(run->error, strlen(run->error), &why, &ignored) < 0)
        why = NULL;
    code = doc_string(doc_get(why, "code"), "");
    message = doc_string(doc_get(why, "message"), "the run failed");
    if (run->kind == RUN_CHECK)
        return error_set_reason(err, ERR_CONFLICT, "check_failed", "%s", message);
    if (run->kind != RUN_SYNC && run->kind != RUN_CLEAR && own_fault(code, message, err) < 0)
        return -1;
    return error_set_reason(err, ERR_CONFLICT, "run_failed", "%s", message);
}

/* ---------------------------------------------------------------- the waiting */

/* 202 and where to look: the bound is over and the run goes on. */
static int answer_pending(struct response *res, const struct run_row *run, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);

    res->status = 202;
    response_header(res, "Location", "/v1/runs/%lld", (long long)run->id);
    response_header(res, "Retry-After", "1");
    return encode_run(&w, run, RUN_WHOLE, err);
}

static int begin(struct app *app, struct request *req, struct response *res, struct run_row *run,
                 struct job *job, struct error *err)
{
    struct job *kept = arena_alloc(request_mem(req), sizeof *kept);

    if (job_submit(app, run, err) < 0)
        return -1;
    *kept = *job;
    run_wait_init(&kept->wait, app, run->id, wait_preference(req, res, WAIT_DEFAULT_S));
    request_keep(req, kept, NULL);
    return 0;
}

typedef int answer_fn(struct request *req, struct response *res, const struct job *job,
                      const struct run_row *run, struct error *err);

/* Waits for the run of the kept job and answers with what it brought. */
static int finish(struct request *req, struct response *res, answer_fn *answer, struct error *err)
{
    struct job *job = request_kept(req);
    struct run_row run;
    int rc = run_wait_poll(&job->wait, res, request_mem(req), &run, err);

    if (rc != 0)
        return rc;
    (void)wait_preference(req, res, 0);
    if (!run_status_is_final(run.status))
        return answer_pending(res, &run, err);
    return answer(req, res, job, &run, err);
}

/* ---------------------------------------------------------------------- check */

static int answer_check(struct request *req, struct response *res, const struct job *job,
                        const struct run_row *run, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);
    bool failed = run->status != RUN_SUCCEEDED;

    if (failed && (job->strict || run->status == RUN_CANCELLED))
        return job_failed(req, res, run, err);
    jsonw_object(&w);
    jsonw_put_string(&w, "status", failed ? "failed" : "succeeded");
    jsonw_put_raw(&w, "error", run->error);
    jsonw_put_int(&w, "run_id", run->id);
    jsonw_put_time_ms(&w, "checked_at", run->ended_us);
    jsonw_put_int(&w, "duration_ms",
                  run->started_us ? (run->ended_us - run->started_us) / 1000 : 0);
    jsonw_object_end(&w);
    return 0;
}

static int read_strict(struct request *req, struct job *job, struct error *err)
{
    static const char *const known[] = {"strict", NULL};

    if (request_query_only(req, known, err) < 0)
        return -1;
    return request_query_bool(req, "strict", false, &job->strict, err);
}

static int check_stored(struct app *app, struct request *req, struct response *res,
                        enum resource_kind kind, struct error *err)
{
    struct run_row run = {.kind = RUN_CHECK, .request = "{}"};
    struct resource r;
    struct job job = {0};

    if (request_kept(req))
        return finish(req, res, answer_check, err);
    if (body_read_nothing(req, err) < 0 || read_strict(req, &job, err) < 0 ||
        store_get_resource(app->store, kind, request_param(req, connector_kind_name(kind)),
                           request_mem(req), &r, err) < 0)
        return -1;
    if (kind == RESOURCE_SOURCE)
        run.source_id = r.id;
    else
        run.destination_id = r.id;
    if (begin(app, req, res, &run, &job, err) < 0)
        return -1;
    return finish(req, res, answer_check, err);
}

int handle_source_check(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    return check_stored(app, req, res, RESOURCE_SOURCE, err);
}

int handle_destination_check(struct app *app, struct request *req, struct response *res,
                             struct error *err)
{
    return check_stored(app, req, res, RESOURCE_DESTINATION, err);
}

struct check_body {
    const char *kind, *connector;
    const struct doc *config;
};

static const char *const kinds[] = {"source", "destination", NULL};

/* clang-format off */
static const struct option check_options[] = {
    OPTION(struct check_body, kind, .title = "Kind", .flags = OPTION_REQUIRED, .choices = kinds,
           .help = "Source or destination."),
    OPTION(struct check_body, connector, .title = "Connector", .flags = OPTION_REQUIRED,
           .help = "Which connector it is."),
    OPTION(struct check_body, config, .title = "Configuration",
           .help = "The settings to try, as they would be stored."),
    OPTIONS_END,
};
/* clang-format on */

int handle_check(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct run_row run = {.kind = RUN_CHECK};
    struct check_body body = {0};
    struct job job = {0};
    enum resource_kind kind = RESOURCE_SOURCE;
    const struct doc *sent;
    struct connector c;
    int found;

    if (request_kept(req))
        return finish(req, res, answer_check, err);
    if (read_strict(req, &job, err) < 0 ||
        body_read(req, res, false, check_options, &body, &sent, err) < 0)
        return -1;
    connector_kind_from_name(body.kind, &kind);
    found = connector_find(app->store, kind, body.connector, request_mem(req), &c, err);
    if (found < 0)
        return -1;
    if (found)
        resource_check_config(app, &c, body.config, "/config", request_mem(req),
                              body_problems(req, res));
    else
        problems_add(body_problems(req, res), "/connector", "unknown_connector",
                     "there is no %s connector \"%s\"", body.kind, body.connector);
    if (body_accept(res, err) < 0)
        return -1;
    run.request = job_check_request(app, request_mem(req), &c, body.config);
    if (begin(app, req, res, &run, &job, err) < 0)
        return -1;
    return finish(req, res, answer_check, err);
}

/* ---------------------------------------------- discover, sample, count: results */

static int parse_result(const struct run_row *run, struct doc **out, struct error *err)
{
    const char *text = run->result ? run->result : "{}";

    if (doc_parse_trusted(text, strlen(text), out, err) < 0)
        return error_wrap(err, "the result of run %lld", (long long)run->id);
    return 0;
}

static int begin_for_source(struct app *app, struct request *req, struct response *res,
                            struct run_row *run, struct error *err)
{
    struct resource source;
    struct job job = {0};

    if (store_get_resource(app->store, RESOURCE_SOURCE, request_param(req, "source"),
                           request_mem(req), &source, err) < 0)
        return -1;
    run->source_id = source.id;
    job.source = source.name;
    return begin(app, req, res, run, &job, err);
}

static int answer_discover(struct request *req, struct response *res, const struct job *job,
                           const struct run_row *run, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *result = NULL;
    CLEANUP(doc_free_cleanup) struct doc *catalog = NULL;
    struct jsonw w = JSONW_INIT(&res->body);
    struct stored_catalog c;

    if (run->status != RUN_SUCCEEDED)
        return job_failed(req, res, run, err);
    if (parse_result(run, &result, err) < 0 ||
        store_get_catalog(job->wait.app->store, run->source_id,
                          doc_int(doc_get(result, "catalog_id"), 0), request_mem(req), &c,
                          err) < 0 ||
        doc_parse_trusted(c.text, strlen(c.text), &catalog, err) < 0)
        return -1;
    jsonw_object(&w);
    encode_catalog_members(&w, &c);
    encode_members(&w, catalog);
    jsonw_key(&w, "diff");
    encode_doc(&w, doc_get(result, "diff"));
    jsonw_put_int(&w, "run_id", run->id);
    jsonw_object_end(&w);
    return 0;
}

int handle_discover(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct run_row run = {.kind = RUN_DISCOVER, .request = "{}"};

    if (!request_kept(req) &&
        (body_read_nothing(req, err) < 0 || begin_for_source(app, req, res, &run, err) < 0))
        return -1;
    return finish(req, res, answer_discover, err);
}

/* --------------------------------------------------------------------- sample */

struct sample_body {
    const char *stream, *namespace;
    int64_t limit;
    struct string_list fields;
};

/* clang-format off */
static const struct option sample_options[] = {
    OPTION(struct sample_body, stream, .title = "Stream", .flags = OPTION_REQUIRED, .min = 1,
           .max = 1000, .help = "Name of the stream."),
    OPTION(struct sample_body, namespace, .title = "Namespace", .help = "Of the stream, if any."),
    OPTION(struct sample_body, limit, .title = "Limit", .def = "100", .min = 1, .max = 1000,
           .help = "Rows at most."),
    OPTION(struct sample_body, fields, .title = "Fields",
           .help = "Columns to show; all when it is left out."),
    OPTIONS_END,
};
/* clang-format on */

static bool wants_ndjson(const struct request *req)
{
    const char *accept = request_header(req, "Accept");

    return accept && strstr(accept, "application/x-ndjson");
}

/* The elements of the array that comes next, one a line, as they were written. */
static int put_lines(struct jsonread *r, struct buf *out, struct error *err)
{
    enum jsonread_token token;
    struct slice record;

    if (jsonread_next(r, &token, err) < 0)
        return -1;
    while (token == JSONREAD_ARRAY) {
        enum jsonread_token element;

        if (jsonread_next(r, &element, err) < 0)
            return -1;
        if (element == JSONREAD_ARRAY_END)
            return 0;
        if (jsonread_skip(r, element, &record, err) < 0)
            return -1;
        buf_put(out, record.ptr, record.len);
        buf_putc(out, '\n');
    }
    return error_set(err, ERR_INTERNAL, "the records of a sample are not an array");
}

/* The records of a result; numbers keep every digit because no document is built. */
static int put_records(const char *result, struct jsonread *r, struct buf *out, struct error *err)
{
    enum jsonread_token token;
    struct slice ignored;

    jsonread_start(r, result, strlen(result));
    if (jsonread_next(r, &token, err) < 0)
        return -1;
    while (token != JSONREAD_END) {
        if (jsonread_next(r, &token, err) < 0)
            return -1;
        if (token != JSONREAD_KEY)
            continue;
        if (r->text.len == 7 && !memcmp(r->text.ptr, "records", 7))
            return put_lines(r, out, err);
        if (jsonread_next(r, &token, err) < 0 || jsonread_skip(r, token, &ignored, err) < 0)
            return -1;
    }
    return 0;
}

static int answer_sample(struct request *req, struct response *res, const struct job *job,
                         const struct run_row *run, struct error *err)
{
    const char *result = run->result ? run->result : "{}";
    struct jsonread r;
    int rc;

    (void)job;
    if (run->status != RUN_SUCCEEDED)
        return job_failed(req, res, run, err);
    if (!wants_ndjson(req)) { /* the text goes out as it is: no digit of a row changes */
        buf_puts(&res->body, result);
        return 0;
    }
    res->content_type = "application/x-ndjson";
    jsonread_init(&r);
    rc = put_records(result, &r, &res->body, err);
    jsonread_release(&r);
    return rc;
}

int handle_sample(struct app *app, struct request *req, struct response *res, struct error *err)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(REQUEST_BYTES);
    struct run_row run = {.kind = RUN_SAMPLE};
    struct jsonw w = JSONW_INIT(&b);
    struct sample_body body = {0};
    const struct doc *sent;

    if (request_kept(req))
        return finish(req, res, answer_sample, err);
    if (body_read(req, res, false, sample_options, &body, &sent, err) < 0)
        return -1;
    jsonw_object(&w);
    jsonw_put_string(&w, "stream", body.stream);
    jsonw_put_string(&w, "namespace", body.namespace ? body.namespace : "");
    jsonw_put_int(&w, "limit", body.limit);
    encode_list(&w, "fields", &body.fields);
    jsonw_object_end(&w);
    run.request = arena_memdup(request_mem(req), buf_str(&b), b.len);
    if (begin_for_source(app, req, res, &run, err) < 0)
        return -1;
    return finish(req, res, answer_sample, err);
}

/* ---------------------------------------------------------------------- count */

struct count_body {
    struct string_list streams;
    bool exact;
    int64_t timeout_s;
};

/* clang-format off */
static const struct option count_options[] = {
    OPTION(struct count_body, streams, .title = "Streams",
           .help = "Which ones; all when it is left out."),
    OPTION(struct count_body, exact, .title = "Exact", .def = "true",
           .help = "False accepts an estimate where the source has one."),
    OPTION(struct count_body, timeout_s, .title = "Time limit", .def = "60", .min = 1, .max = 3600,
           .help = "Seconds after which the streams not counted yet are given up."),
    OPTIONS_END,
};
/* clang-format on */

static int answer_count(struct request *req, struct response *res, const struct job *job,
                        const struct run_row *run, struct error *err)
{
    (void)job;
    if (run->status != RUN_SUCCEEDED)
        return job_failed(req, res, run, err);
    buf_puts(&res->body, run->result ? run->result : "{\"items\":[]}");
    return 0;
}

int handle_count(struct app *app, struct request *req, struct response *res, struct error *err)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(REQUEST_BYTES);
    struct run_row run = {.kind = RUN_COUNT};
    struct jsonw w = JSONW_INIT(&b);
    struct count_body body = {0};
    const struct doc *sent;

    if (request_kept(req))
        return finish(req, res, answer_count, err);
    if (body_read(req, res, true, count_options, &body, &sent, err) < 0)
        return -1;
    jsonw_object(&w);
    encode_list(&w, "streams", &body.streams);
    jsonw_put_bool(&w, "exact", body.exact);
    jsonw_put_int(&w, "timeout_s", body.timeout_s);
    jsonw_object_end(&w);
    run.request = arena_memdup(request_mem(req), buf_str(&b), b.len);
    if (begin_for_source(app, req, res, &run, err) < 0)
        return -1;
    return finish(req, res, answer_count, err);
}

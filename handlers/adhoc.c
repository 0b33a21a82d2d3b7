/* Runs without a connection, and runs of a former run. */
#include <inttypes.h>
#include <string.h>

#include "connectors/catalog.h"
#include "handlers/body.h"
#include "handlers/connectors.h"
#include "handlers/encode.h"
#include "handlers/jobs.h"
#include "handlers/policy.h"
#include "handlers/resource.h"
#include "handlers/routes.h"
#include "handlers/run.h"
#include "handlers/start.h"

/* ---------------------------------------------------------------------- ad hoc */

struct adhoc_body {
    const struct doc *source, *destination, *streams, *settings, *labels;
    bool full_refresh, allow_shrink;
    int64_t timeout_s, max_attempts, parallel_streams;
    const char *note;
};

struct inline_body {
    const char *connector;
    const struct doc *config;
};

/* clang-format off */
static const struct option inline_options[] = {
    OPTION(struct inline_body, connector, .title = "Connector", .flags = OPTION_REQUIRED,
           .help = "Which connector it is."),
    OPTION(struct inline_body, config, .title = "Configuration",
           .help = "The settings of the connector."),
    OPTIONS_END,
};
/* clang-format on */

static void check_end(const struct doc *value, const char *pointer, struct problems *problems)
{
    struct inline_body body = {0};

    if (doc_is(value, DOC_STRING)) /* a name: looked up later */
        return;
    if (!doc_is(value, DOC_OBJECT)) {
        problems_add(problems, pointer, "wrong_type", "expected a name or an object, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    options_decode(inline_options, value, pointer, &body, problems->mem, problems);
}

static void check_streams_shape(const struct doc *value, const char *pointer,
                                struct problems *problems)
{
    (void)selection_check(value, pointer, problems);
}

static void check_settings(const struct doc *value, const char *pointer, struct problems *problems)
{
    (void)policy_text(problems->mem, value, pointer, problems);
}

/* clang-format off */
static const struct option adhoc_options[] = {
    OPTION(struct adhoc_body, source, .title = "Source", .flags = OPTION_REQUIRED,
           .check = check_end, .help = "Name or id of a source, or {connector, config}."),
    OPTION(struct adhoc_body, destination, .title = "Destination", .flags = OPTION_REQUIRED,
           .check = check_end,
           .help = "Name or id of a destination, or {connector, config}."),
    OPTION(struct adhoc_body, streams, .title = "Streams", .check = check_streams_shape,
           .schema = "{\"type\":\"array\"}",
           .help = "As in a connection; every stream when it is left out."),
    OPTION(struct adhoc_body, settings, .title = "Settings", .check = check_settings,
           .help = "Namespace, prefix, run_policy and so on, as in a connection."),
    OPTION(struct adhoc_body, labels, .title = "Labels", .check = body_check_labels,
           .help = "Words of your own to find the run by."),
    OPTION(struct adhoc_body, full_refresh, .title = "Full refresh", .def = "false",
           .help = "Forget positions and read everything again."),
    OPTION(struct adhoc_body, allow_shrink, .title = "Allow shrinking", .def = "false",
           .help = "Let a full refresh replace many rows by few."),
    OPTION(struct adhoc_body, timeout_s, .title = "Time limit", .min = 0, .max = 604800,
           .help = "Seconds for this run."),
    OPTION(struct adhoc_body, max_attempts, .title = "Attempts", .min = 1, .max = 100,
           .help = "For this run."),
    OPTION(struct adhoc_body, parallel_streams, .title = "Streams at the same time", .min = 1,
           .max = 16, .help = "For this run."),
    OPTION(struct adhoc_body, note, .title = "Note", .max = 2000, .help = "Free text for people."),
    OPTIONS_END,
};
/* clang-format on */

/* An end that is given inline, whose shape was looked at already. */
static int check_inline(struct app *app, enum resource_kind kind, const struct doc *end,
                        struct arena *mem, struct problems *problems, struct error *err)
{
    const char *pointer = arena_printf(mem, "/%s", connector_kind_name(kind));
    struct problems known = PROBLEMS_INIT(mem);
    struct inline_body body = {0};
    struct connector c;
    int found;

    if (!doc_is(end, DOC_OBJECT) ||
        !options_decode(inline_options, end, pointer, &body, mem, &known))
        return 0;
    found = connector_find(app->store, kind, body.connector, mem, &c, err);
    if (found > 0)
        resource_check_config(app, &c, body.config, arena_printf(mem, "%s/config", pointer), mem,
                              problems);
    else if (found == 0)
        problems_add(problems, arena_printf(mem, "%s/connector", pointer), "unknown_connector",
                     "there is no %s connector \"%s\"", connector_kind_name(kind), body.connector);
    return found < 0 ? -1 : 0;
}

/* The id of the end that is named; NULL when it is given inline, or with a problem. */
static int find_end(struct app *app, enum resource_kind kind, const struct doc *end,
                    struct arena *mem, struct problems *problems, const char **out_id,
                    struct error *err)
{
    const char *name = doc_string(end, NULL);
    struct error why = ERROR_INIT;
    struct resource r;

    *out_id = NULL;
    if (!name)
        return check_inline(app, kind, end, mem, problems, err);
    if (store_get_resource(app->store, kind, name, mem, &r, &why) == 0) {
        *out_id = r.id;
        return 0;
    }
    if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    problems_add(problems, arena_printf(mem, "/%s", connector_kind_name(kind)),
                 "unresolved_reference", "there is no %s \"%s\"", connector_kind_name(kind), name);
    return 0;
}

/* An end that is given inline, its secrets sealed for this run. */
static int put_end(struct jsonw *w, const struct app *app, enum resource_kind kind,
                   const struct doc *end, const char *id, struct arena *mem, struct error *err)
{
    const char *name = doc_string(doc_get(end, "connector"), "");
    struct connector c;
    int found;

    if (!doc_is(end, DOC_OBJECT))
        return 0;
    found = connector_find(app->store, kind, name, mem, &c, err);
    if (found <= 0)
        return found < 0 ? -1 : error_set(err, ERR_CONFLICT, "the connector \"%s\" is gone", name);
    jsonw_key(w, connector_kind_name(kind));
    jsonw_object(w);
    jsonw_put_string(w, "connector", name);
    jsonw_put_raw(w, "config", job_seal(app, mem, id, &c, doc_get(end, "config")));
    jsonw_object_end(w);
    return 0;
}

static int adhoc_request(const struct app *app, struct arena *mem, const struct adhoc_body *b,
                         struct problems *problems, const char **out, struct error *err)
{
    const char *id = job_seal_id(mem);
    CLEANUP(buf_release) struct buf text = BUF_INIT(START_REQUEST_BYTES);
    struct jsonw w = JSONW_INIT(&text);
    const struct start_settings settings = {.full_refresh = b->full_refresh,
                                            .allow_shrink = b->allow_shrink,
                                            .timeout_s = b->timeout_s,
                                            .max_attempts = b->max_attempts,
                                            .parallel_streams = b->parallel_streams};

    jsonw_object(&w);
    jsonw_put_string(&w, SEALED_FOR, id);
    if (put_end(&w, app, RESOURCE_SOURCE, b->source, id, mem, err) < 0 ||
        put_end(&w, app, RESOURCE_DESTINATION, b->destination, id, mem, err) < 0)
        return -1;
    if (b->streams)
        jsonw_put_raw(&w, "selection", body_text(mem, b->streams));
    jsonw_put_raw(&w, "settings", policy_text(mem, b->settings, "/settings", problems));
    start_put_settings(&w, &settings);
    jsonw_object_end(&w);
    *out = arena_memdup(mem, buf_str(&text), text.len);
    return 0;
}

static int prepare_adhoc(struct app *app, struct request *req, struct response *res, bool force,
                         struct run_row *out, struct error *err)
{
    struct problems *problems = body_problems(req, res);
    struct arena *mem = request_mem(req);
    struct adhoc_body body = {0};
    const struct doc *sent;

    (void)force;
    if (request_doc(req, false, &sent, err) < 0)
        return -1;
    options_decode(adhoc_options, sent, "", &body, mem, problems);
    if (find_end(app, RESOURCE_SOURCE, body.source, mem, problems, &out->source_id, err) < 0 ||
        find_end(app, RESOURCE_DESTINATION, body.destination, mem, problems, &out->destination_id,
                 err) < 0 ||
        body_accept(res, err) < 0)
        return -1;
    out->kind = RUN_SYNC;
    out->labels = body_text(mem, body.labels);
    out->note = body.note;
    return adhoc_request(app, mem, &body, problems, &out->request, err);
}

int handle_run_adhoc(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return start_run(app, req, res, prepare_adhoc, err);
}

/* ----------------------------------------------------------------------- retry */

struct retry_body {
    const char *streams;
};

static const char *const retry_choices[] = {"failed", "all", NULL};

/* clang-format off */
static const struct option retry_options[] = {
    OPTION(struct retry_body, streams, .title = "Streams", .def = "failed",
           .choices = retry_choices,
           .help = "Those that did not complete, or all that the run was asked for."),
    OPTIONS_END,
};
/* clang-format on */

static const char *full_name(const struct doc *stream, struct arena *mem)
{
    const char *name = doc_string(doc_get(stream, "name"), "");
    const char *namespace = doc_string(doc_get(stream, "namespace"), "");

    return *namespace ? arena_printf(mem, "%s.%s", namespace, name) : name;
}

/* The names of the streams that did not complete; NULL when the run never got to any. */
static int failed_streams(const struct run_row *run, struct arena *mem, struct doc **out,
                          struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *stats = NULL;
    const struct doc *streams;

    *out = NULL;
    if (run->stats && doc_parse_trusted(run->stats, strlen(run->stats), &stats, err) < 0)
        return error_wrap(err, "the numbers of run %" PRId64, run->id);
    streams = doc_get(stats, "streams");
    if (!doc_count(streams))
        return 0;
    *out = doc_new_array();
    for (size_t i = 0; i < doc_count(streams); i++) {
        const struct doc *s = doc_at(streams, i);

        if (strcmp(doc_string(doc_get(s, "status"), ""), "complete") != 0)
            doc_append(*out, doc_new_string(full_name(s, mem)));
    }
    return 0;
}

/* The request of the old run, with its streams replaced. */
static int narrowed(const struct run_row *old, struct doc *streams, struct arena *mem,
                    const char **out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *request = NULL;

    if (doc_parse_trusted(old->request, strlen(old->request), &request, err) < 0)
        return error_wrap(err, "the request of run %" PRId64, old->id);
    doc_set(request, "streams", doc_copy(streams));
    *out = body_text(mem, request);
    return 0;
}

static int only_failed(const struct run_row *old, struct arena *mem, struct run_row *out,
                       struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *failed = NULL;

    if (old->status == RUN_SUCCEEDED)
        return error_set_reason(err, ERR_CONFLICT, "nothing_to_retry",
                                "run %" PRId64 " has succeeded; {\"streams\": \"all\"} repeats it",
                                old->id);
    if (failed_streams(old, mem, &failed, err) < 0)
        return -1;
    return failed && doc_count(failed) ? narrowed(old, failed, mem, &out->request, err) : 0;
}

static int prepare_retry(struct app *app, struct request *req, struct response *res, bool force,
                         struct run_row *out, struct error *err)
{
    struct retry_body body = {0};
    const struct doc *sent;
    struct run_row old;

    (void)force;
    if (run_of_request(app, req, request_mem(req), &old, err) < 0 ||
        body_read(req, res, true, retry_options, &body, &sent, err) < 0)
        return -1;
    if (!run_status_is_final(old.status))
        return error_set_reason(err, ERR_CONFLICT, "run_active", "run %" PRId64 " is %s", old.id,
                                run_status_name(old.status));
    *out = (struct run_row){.kind = old.kind,
                            .connection_id = old.connection_id,
                            .connection_name = old.connection_name,
                            .source_id = old.source_id,
                            .destination_id = old.destination_id,
                            .trigger = "retry",
                            .request = old.request,
                            .labels = old.labels,
                            .note = old.note,
                            .retry_of = old.id};
    return !strcmp(body.streams, "all") ? 0 : only_failed(&old, request_mem(req), out, err);
}

int handle_run_retry(struct app *app, struct request *req, struct response *res, struct error *err)
{
    return start_run(app, req, res, prepare_retry, err);
}

/*
 * What every kind of run begins with: source and destination from the store or from its request.
 */
#include "server/sync/job.h"

#include <assert.h>
#include <string.h>

#include "connectors/base/hash.h"
#include "connectors/registry.h"
#include "server/sync/connectors.h"
#include "server/sync/retry.h"

#define NOTES_MAX 100 /* requests that are shown */

static int begin_credential(void *arg, const char *pointer, struct arena *mem,
                            const char **out_value, struct error *err)
{
    const struct job *j = arg;

    return credentials_begin(&j->credentials, pointer, mem, out_value, err);
}

static int end_credential(void *arg, const char *pointer, const char *value, struct error *err)
{
    const struct job *j = arg;

    return credentials_end(&j->credentials, pointer, value, err);
}

static void note_request(void *arg, const struct request_note *note)
{
    const struct job *j = arg;
    struct job_notes *notes = j->notes;

    if (!notes || notes->n == NOTES_MAX)
        return;
    notes->n++;
    jsonw_object(&notes->w);
    jsonw_put_string(&notes->w, "method", note->method);
    jsonw_put_string(&notes->w, "url", note->url);
    jsonw_put_int(&notes->w, "status", note->status);
    jsonw_put_int(&notes->w, "ms", note->ms);
    jsonw_put_int(&notes->w, "records", note->n_records);
    jsonw_object_end(&notes->w);
}

struct run job_run(struct job *j, const char *origin)
{
    j->credentials.store = j->runs->store;
    j->credentials.vault = &j->runs->config.vault;
    j->credentials.source_id = j->row.source_id;
    j->credentials.cancel = j->cancel;
    j->credentials.redactor = j->redactor;
    j->host = (struct run_host){begin_credential, end_credential, note_request, j};
    return (struct run){.mem = j->mem,
                        .cancel = j->cancel,
                        .redactor = j->redactor,
                        .log = logstream_log(j->log, origin),
                        .id = arena_printf(j->mem, "%lld", (long long)j->row.id),
                        .started_unix_us = j->row.started_us,
                        .host = &j->host};
}

int job_parse(struct job *j, const char *text, const struct doc **out, struct error *err)
{
    *out = NULL;
    if (!text)
        return 0;
    assert(j->n_docs < JOB_MAX_DOCS);
    if (doc_parse_trusted(text, strlen(text), &j->docs[j->n_docs], err) < 0)
        return error_wrap(err, "a stored text");
    *out = j->docs[j->n_docs++];
    return 0;
}

/* Connector and configuration of one end, from wherever the row says. */
struct end {
    const char *connector, *what;
    const struct doc *config;
    struct sealed_owner owner;
};

static int find_end(struct job *j, enum resource_kind kind, const char *id, const char *member,
                    struct end *out, struct error *err)
{
    const struct doc *inline_end = doc_get(j->request, member);
    struct resource r;

    if (id) {
        if (store_get_resource(j->runs->store, kind, id, j->mem, &r, err) < 0)
            return -1;
        out->connector = r.connector;
        out->what = arena_printf(j->mem, "%s \"%s\"", member, r.name);
        out->owner = (struct sealed_owner){member, r.id};
        return job_parse(j, r.config, &out->config, err);
    }
    if (!inline_end) /* a check of a configuration that is not stored */
        inline_end = j->request;
    out->connector = doc_string(doc_get(inline_end, "connector"), "");
    out->config = doc_get(inline_end, "config");
    out->what = member;
    out->owner = sealed_owner_in_run(member, doc_string(doc_get(j->request, SEALED_FOR), ""));
    return 0;
}

/* From here on the secrets are in the open, and kept out of everything that is said. */
static int open_end(struct job *j, const struct option *table, struct end *end, struct error *err)
{
    struct doc *opened;

    if (!end->config)
        return 0;
    assert(j->n_docs < JOB_MAX_DOCS);
    if (sealed_use(&j->runs->config.vault, &end->owner, table, end->config, j->redactor, &opened,
                   err) < 0)
        return error_wrap(err, "%s", end->what);
    j->docs[j->n_docs++] = opened;
    end->config = opened;
    return 0;
}

int job_source(struct job *j, struct source_setup *out, struct error *err)
{
    struct problems problems = PROBLEMS_INIT(j->mem);
    struct end end;

    const struct source_connector *connector;
    int found;

    if (find_end(j, RESOURCE_SOURCE, j->row.source_id, "source", &end, err) < 0)
        return -1;
    found = connectors_source(j->runs->store, end.connector, j->mem, &connector, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return error_set_reason(err, ERR_CONFIG, "unknown_connector",
                                "%s: there is no source connector \"%s\"", end.what, end.connector);
    j->source = connector->name;
    j->credentials.table = connector->options;
    if (open_end(j, connector->options, &end, err) < 0)
        return -1;
    if (setup_source_config(connector, end.config, "", j->mem, out, &problems))
        return 0;
    return setup_error(&problems, end.what, err);
}

int job_destination(struct job *j, struct destination_setup *out, struct error *err)
{
    struct problems problems = PROBLEMS_INIT(j->mem);
    const struct destination_connector *connector;
    struct end end;

    if (find_end(j, RESOURCE_DESTINATION, j->row.destination_id, "destination", &end, err) < 0)
        return -1;
    j->destination = end.connector;
    connector = registry_destination(end.connector);
    if (connector && open_end(j, connector->options, &end, err) < 0)
        return -1;
    if (setup_destination(end.connector, end.config, "", j->mem, out, &problems))
        return 0;
    return setup_error(&problems, end.what, err);
}

/* --------------------------------------------------------------------- catalogs */

static const char *diff_text(struct arena *mem, const struct catalog *before,
                             const struct catalog *after)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(64 << 20);
    struct doc *diff = catalog_diff(before, after);

    doc_write(diff, &b);
    doc_free(diff);
    return arena_memdup(mem, buf_str(&b), b.len);
}

/* The newest stored catalog; an empty one when there is none. */
static int newest_catalog(struct job *j, struct catalog *out, struct error *err)
{
    struct stored_catalog stored;
    struct error none = ERROR_INIT;
    const struct doc *d;

    *out = CATALOG_INIT(j->mem);
    if (store_get_catalog(j->runs->store, j->row.source_id, 0, j->mem, &stored, &none) < 0) {
        if (none.code == ERR_NOT_FOUND)
            return 0;
        *err = none;
        return -1;
    }
    if (job_parse(j, stored.text, &d, err) < 0)
        return -1;
    return d ? catalog_from_doc(d, out, err) : 0;
}

int job_store_catalog(struct job *j, const struct catalog *catalog, int64_t *out_id,
                      const char **out_diff, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(256 << 20);
    struct stored_catalog row = {.source_id = j->row.source_id};
    char hash[HASH_HEX_BYTES], old_hash[HASH_HEX_BYTES];
    struct catalog before;
    struct doc *d;

    *out_id = 0;
    *out_diff = NULL;
    if (!j->row.source_id)
        return 0;
    if (newest_catalog(j, &before, err) < 0)
        return -1;
    catalog_hash(catalog, hash);
    catalog_hash(&before, old_hash);
    if (before.n == 0 || strcmp(hash, old_hash) != 0)
        *out_diff = diff_text(j->mem, &before, catalog);
    d = catalog_to_doc(catalog);
    doc_write(d, &text);
    doc_free(d);
    if (buf_ok(&text, "the catalog", err) < 0)
        return -1;
    row.hash = hash;
    row.text = buf_str(&text);
    if (store_put_catalog(j->runs->store, &row, j->mem, err) < 0)
        return -1;
    *out_id = row.id;
    return 0;
}

/* ------------------------------------------------------------------------- plan */

/*
 * Who owns the state of a run without a connection: the same two ends are the same owner, so that
 * doing it again continues. Secrets are not part of it.
 */
static const char *owner_of(struct job *j, const struct sync_plan *plan)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(16 << 20);
    char hash[HASH_HEX_BYTES];
    struct doc *source = options_normalized(plan->source.connector->options,
                                            doc_get(doc_get(j->request, "source"), "config"));
    struct doc *destination =
        options_normalized(plan->destination.connector->options,
                           doc_get(doc_get(j->request, "destination"), "config"));

    buf_printf(&b, "%s %s ", plan->source.connector->name,
               j->row.source_id ? j->row.source_id : "");
    doc_write(source, &b);
    buf_printf(&b, " %s %s ", plan->destination.connector->name,
               j->row.destination_id ? j->row.destination_id : "");
    doc_write(destination, &b);
    doc_free(source);
    doc_free(destination);
    hash_bytes_hex(buf_str(&b), b.len, hash);
    return arena_printf(j->mem, "adhoc-%.24s", hash);
}

/* What the request of this run says over the policy of the connection. */
static void apply_request(struct job *j, struct sync_plan *plan)
{
    struct run_policy *p = &plan->settings.policy;

    p->timeout_s = doc_int(doc_get(j->request, "timeout_s"), p->timeout_s);
    p->max_attempts = doc_int(doc_get(j->request, "max_attempts"), p->max_attempts);
    p->parallel_streams = doc_int(doc_get(j->request, "parallel_streams"), p->parallel_streams);
    plan->full_refresh = doc_bool(doc_get(j->request, "full_refresh"), false);
    if (!doc_bool(doc_get(j->request, "allow_shrink"), false))
        return;
    for (size_t i = 0; i < plan->streams.selection.n; i++)
        plan->streams.selection.streams[i].allow_shrink = true;
}

/* The stored catalog follows what was found; a change of shape is told to the user. */
static int keep_catalog(struct job *j, const struct sync_plan *plan, struct error *err)
{
    const char *diff;
    int64_t id;

    if (job_store_catalog(j, &plan->streams.catalog, &id, &diff, err) < 0)
        return -1;
    if (diff)
        log_info(logstream_log(j->log, "engine"), .message = "the source has a new catalog",
                 .fields = {log_int("catalog", id), log_text("diff", diff)});
    return 0;
}

/* Asks the source again after transient failures, as a run does. */
static int discover_streams(struct job *j, const struct doc *streams, struct sync_plan *plan,
                            struct problems *problems, struct error *err)
{
    struct run run = job_run(j, "source");
    struct retry retry = {0};

    for (;;) {
        struct retry_step step;

        if (setup_streams(&plan->source, &plan->destination, &run, streams,
                          doc_get(j->request, "streams"), &plan->settings, &plan->streams, problems,
                          err) == 0)
            return 0;
        step = retry_after(&retry, &plan->settings.policy, err);
        if (!step.again)
            return error_wrap(err, "discovering the streams");
        log_warn(run.log, .message = "discovery failed, trying again",
                 .fields = {log_text("reason", err->message)});
        *err = ERROR_INIT;
        if (cancel_sleep_ms(j->cancel, step.wait_ms, err) < 0)
            return -1;
    }
}

static int load_texts(struct job *j, const struct doc **out_streams,
                      const struct doc **out_settings, const char **out_pipeline, struct error *err)
{
    struct connection c;

    if (!j->row.connection_id) {
        *out_streams = doc_get(j->request, "selection");
        *out_settings = doc_get(j->request, "settings");
        *out_pipeline = NULL;
        return 0;
    }
    if (store_get_connection(j->runs->store, j->row.connection_id, j->mem, &c, err) < 0)
        return -1;
    *out_pipeline = c.id;
    j->row.source_id = c.source_id;
    j->row.destination_id = c.destination_id;
    return job_parse(j, c.streams, out_streams, err) < 0 ||
                   job_parse(j, c.settings, out_settings, err) < 0
               ? -1
               : 0;
}

bool job_plan(struct job *j, struct sync_plan *out)
{
    struct problems problems = PROBLEMS_INIT(j->mem);
    const struct doc *streams, *settings;
    struct error err = ERROR_INIT;

    *out = (struct sync_plan){0};
    if (load_texts(j, &streams, &settings, &out->pipeline, &err) < 0 ||
        job_source(j, &out->source, &err) < 0 || job_destination(j, &out->destination, &err) < 0) {
        job_fail(j, ORIGIN_ENGINE, &err);
        return false;
    }
    if (!sync_settings_decode(settings, "/settings", j->mem, &out->settings, &problems)) {
        setup_error(&problems, "the settings of the connection", &err);
        job_fail(j, ORIGIN_ENGINE, &err);
        return false;
    }
    if (discover_streams(j, streams, out, &problems, &err) < 0) {
        job_fail(j, ORIGIN_SOURCE, &err);
        return false;
    }
    if (keep_catalog(j, out, &err) < 0) {
        job_fail(j, ORIGIN_ENGINE, &err);
        return false;
    }
    if (problems.n > 0) {
        setup_error(&problems, "the selected streams", &err);
        job_fail(j, ORIGIN_ENGINE, &err);
        return false;
    }
    if (!out->pipeline)
        out->pipeline = owner_of(j, out);
    apply_request(j, out);
    return true;
}

#include "handlers/encode.h"

#include <string.h>

#include "handlers/body.h"
#include "handlers/secrets.h"

void encode_doc(struct jsonw *w, const struct doc *d)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BODY_MAX_TEXT);

    if (!d) {
        jsonw_null(w);
        return;
    }
    doc_write(d, &text);
    if (text.failed)
        w->out->failed = true;
    else
        jsonw_raw(w, text.data, text.len);
}

void encode_members(struct jsonw *w, const struct doc *object)
{
    for (const struct doc_member *it = doc_first(object); it; it = doc_next(object, it)) {
        jsonw_key(w, doc_member_key(it));
        encode_doc(w, doc_member_value(it));
    }
}

void encode_problems(struct jsonw *w, const struct problems *problems)
{
    jsonw_array(w);
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *p = &problems->items[i];

        jsonw_object(w);
        jsonw_put_string(w, "pointer", p->pointer);
        jsonw_put_string(w, "code", p->code);
        jsonw_put_string(w, "message", p->message);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

/* ---------------------------------------------------------------------- runs */

static bool moves_data(enum run_kind kind)
{
    return kind == RUN_SYNC || kind == RUN_CLEAR;
}

/* Totals exist from the beginning, so that their shape is stable. */
static const char *const totals[] = {"records_read",     "records_committed", "records_rejected",
                                     "bytes_read",       "bytes_committed",   "states_committed",
                                     "cells_quarantined"};

static int parse_stats(const struct run_row *run, struct doc **out, struct error *err)
{
    if (!run->stats) {
        *out = doc_new_object();
        return 0;
    }
    return doc_parse_trusted(run->stats, strlen(run->stats), out, err);
}

static int write_stats(struct jsonw *w, const struct run_row *run, enum run_detail detail,
                       struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *stats = NULL;

    jsonw_key(w, "stats");
    if (!moves_data(run->kind)) {
        jsonw_null(w);
        return 0;
    }
    if (parse_stats(run, &stats, err) < 0)
        return error_wrap(err, "the numbers of run %lld", (long long)run->id);
    jsonw_object(w);
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        jsonw_put_int(w, totals[i], doc_int(doc_get(stats, totals[i]), 0));
    if (detail == RUN_WHOLE) {
        jsonw_put_int(w, "lanes", doc_int(doc_get(stats, "lanes"), 1));
        jsonw_key(w, "streams");
        if (doc_is(doc_get(stats, "streams"), DOC_ARRAY))
            encode_doc(w, doc_get(stats, "streams"));
        else
            jsonw_raw(w, "[]", 2);
    }
    jsonw_object_end(w);
    return 0;
}

int encode_run_streams(struct jsonw *w, const struct run_row *run, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *stats = NULL;
    const struct doc *streams;

    if (parse_stats(run, &stats, err) < 0)
        return error_wrap(err, "the numbers of run %lld", (long long)run->id);
    streams = doc_get(stats, "streams");
    for (size_t i = 0; i < doc_count(streams); i++)
        encode_doc(w, doc_at(streams, i));
    return 0;
}

static void put_id(struct jsonw *w, const char *key, int64_t id)
{
    if (id)
        jsonw_put_int(w, key, id);
    else
        jsonw_put_null(w, key);
}

static void put_span_ms(struct jsonw *w, const char *key, int64_t from_us, int64_t to_us)
{
    if (from_us && to_us)
        jsonw_put_int(w, key, to_us > from_us ? (to_us - from_us) / 1000 : 0);
    else
        jsonw_put_null(w, key);
}

static void write_times(struct jsonw *w, const struct run_row *run)
{
    jsonw_put_time_ms(w, "created_at", run->created_us);
    jsonw_put_time_ms(w, "started_at", run->started_us);
    jsonw_put_time_ms(w, "ended_at", run->ended_us);
    jsonw_put_time_ms(w, "heartbeat_at", run->heartbeat_us);
    put_span_ms(w, "queued_ms", run->created_us, run->started_us);
    put_span_ms(w, "duration_ms", run->started_us, run->ended_us);
}

int encode_run(struct jsonw *w, const struct run_row *run, enum run_detail detail,
               struct error *err)
{
    jsonw_object(w);
    jsonw_put_int(w, "id", run->id);
    jsonw_put_string(w, "kind", run_kind_name(run->kind));
    jsonw_put_string(w, "status", run_status_name(run->status));
    jsonw_put_string(w, "connection", run->connection_name);
    jsonw_put_string(w, "connection_id", run->connection_id);
    jsonw_put_string(w, "source_id", run->source_id);
    jsonw_put_string(w, "destination_id", run->destination_id);
    jsonw_put_string(w, "trigger", run->trigger);
    put_id(w, "retry_of", run->retry_of);
    jsonw_put_int(w, "attempts", run->attempts);
    jsonw_put_bool(w, "partial_success", run->partial_success);
    jsonw_put_string(w, "cancel_reason", run->cancel_reason);
    jsonw_put_raw(w, "labels", run->labels ? run->labels : "{}");
    jsonw_put_string(w, "note", run->note);
    jsonw_put_raw(w, "error", run->error);
    if (write_stats(w, run, detail, err) < 0)
        return -1;
    if (detail == RUN_WHOLE)
        jsonw_put_raw(w, "result", run->result);
    write_times(w, run);
    jsonw_object_end(w);
    return 0;
}

/* ----------------------------------------------------------------- resources */

void encode_catalog_members(struct jsonw *w, const struct stored_catalog *c)
{
    jsonw_put_int(w, "id", c->id);
    jsonw_put_string(w, "source_id", c->source_id);
    jsonw_put_string(w, "hash", c->hash);
    jsonw_put_time_ms(w, "discovered_at", c->discovered_us);
}

int encode_resource(struct store *store, struct arena *mem, struct jsonw *w,
                    enum resource_kind kind, const struct resource *r, enum resource_detail detail,
                    struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *config = NULL;
    CLEANUP(doc_free_cleanup) struct doc *shown = NULL;
    struct connector c = {.options = NULL};

    if (doc_parse_trusted(r->config, strlen(r->config), &config, err) < 0)
        return error_wrap(err, "the configuration of \"%s\"", r->name);
    /* Without its table nobody knows which members are secret, so none is shown. */
    if (connector_find(store, kind, r->connector, mem, &c, err) < 0)
        return -1;
    shown = secrets_strip(c.options, config);
    jsonw_object(w);
    jsonw_put_string(w, "id", r->id);
    jsonw_put_string(w, "name", r->name);
    jsonw_put_string(w, "display_name", r->display_name);
    jsonw_put_string(w, "connector", r->connector);
    jsonw_key(w, "config");
    encode_doc(w, detail == RESOURCE_WHOLE ? shown : NULL);
    jsonw_key(w, "secrets");
    if (detail == RESOURCE_WHOLE)
        secrets_write_meta(w, c.options, config);
    else
        jsonw_null(w);
    jsonw_put_raw(w, "labels", r->labels ? r->labels : "{}");
    jsonw_put_int(w, "revision", r->revision);
    jsonw_put_time_ms(w, "created_at", r->created_us);
    jsonw_put_time_ms(w, "updated_at", r->updated_us);
    jsonw_object_end(w);
    return 0;
}

static void write_last_run(struct jsonw *w, const struct run_row *last)
{
    jsonw_key(w, "last_run");
    if (!last) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    jsonw_put_int(w, "id", last->id);
    jsonw_put_string(w, "kind", run_kind_name(last->kind));
    jsonw_put_string(w, "status", run_status_name(last->status));
    jsonw_put_time_ms(w, "ended_at", last->ended_us);
    jsonw_object_end(w);
}

int encode_connection(struct jsonw *w, const struct connection *c, const struct run_row *last,
                      const char *delivery, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *settings = NULL;

    if (doc_parse_trusted(c->settings, strlen(c->settings), &settings, err) < 0)
        return error_wrap(err, "the settings of \"%s\"", c->name);
    jsonw_object(w);
    jsonw_put_string(w, "id", c->id);
    jsonw_put_string(w, "name", c->name);
    jsonw_put_string(w, "display_name", c->display_name);
    jsonw_put_string(w, "source", c->source_name);
    jsonw_put_string(w, "source_id", c->source_id);
    jsonw_put_string(w, "destination", c->destination_name);
    jsonw_put_string(w, "destination_id", c->destination_id);
    jsonw_put_bool(w, "paused", c->paused);
    jsonw_put_raw(w, "labels", c->labels ? c->labels : "{}");
    jsonw_put_raw(w, "streams", c->streams);
    encode_members(w, settings);
    jsonw_put_string(w, "delivery", delivery);
    write_last_run(w, last);
    jsonw_put_int(w, "revision", c->revision);
    jsonw_put_time_ms(w, "created_at", c->created_us);
    jsonw_put_time_ms(w, "updated_at", c->updated_us);
    jsonw_object_end(w);
    return 0;
}

void encode_list(struct jsonw *w, const char *key, const struct string_list *list)
{
    if (!list->n)
        return;
    jsonw_key(w, key);
    jsonw_array(w);
    for (size_t i = 0; i < list->n; i++)
        jsonw_string(w, list->items[i]);
    jsonw_array_end(w);
}

#include "handlers/encode.h"

#include <string.h>

#include "connectors/base/jsonread.h"
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

/* The numbers as the worker wrote them: JSON of our own, which is shown as it is. */
struct stats_text {
    struct slice totals[sizeof totals / sizeof *totals];
    struct slice lanes, streams;
};

/* Where the value of this member belongs; NULL for one that is not shown. */
static struct slice *place_of(struct stats_text *t, const struct slice *key)
{
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        if (key->len == strlen(totals[i]) && !memcmp(key->ptr, totals[i], key->len))
            return &t->totals[i];
    }
    if (key->len == strlen("lanes") && !memcmp(key->ptr, "lanes", key->len))
        return &t->lanes;
    return key->len == strlen("streams") && !memcmp(key->ptr, "streams", key->len) ? &t->streams
                                                                                   : NULL;
}

static int read_members(struct jsonread *r, struct stats_text *out, struct error *err)
{
    enum jsonread_token token;

    if (jsonread_next(r, &token, err) < 0)
        return -1;
    if (token != JSONREAD_OBJECT)
        return error_set(err, ERR_INTERNAL, "they are no object");
    for (;;) {
        struct slice ignored, *place;

        if (jsonread_next(r, &token, err) < 0)
            return -1;
        if (token == JSONREAD_OBJECT_END)
            return 0;
        place = place_of(out, &r->text);
        if (jsonread_next(r, &token, err) < 0 ||
            jsonread_skip(r, token, place ? place : &ignored, err) < 0)
            return -1;
    }
}

/* What a run has not counted yet is 0, and one lane. */
static int read_stats(const struct run_row *run, struct stats_text *out, struct error *err)
{
    struct jsonread r;
    int rc = 0;

    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        out->totals[i] = (struct slice){"0", 1};
    out->lanes = (struct slice){"1", 1};
    out->streams = (struct slice){"[]", 2};
    if (!run->stats)
        return 0;
    jsonread_init(&r);
    jsonread_start(&r, run->stats, strlen(run->stats));
    rc = read_members(&r, out, err);
    jsonread_release(&r);
    return rc < 0 ? error_wrap(err, "the numbers of run %lld", (long long)run->id) : 0;
}

static int write_stats(struct jsonw *w, const struct run_row *run, enum run_detail detail,
                       struct error *err)
{
    struct stats_text stats;

    jsonw_key(w, "stats");
    if (!moves_data(run->kind)) {
        jsonw_null(w);
        return 0;
    }
    if (read_stats(run, &stats, err) < 0)
        return -1;
    jsonw_object(w);
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        jsonw_key(w, totals[i]);
        jsonw_raw(w, stats.totals[i].ptr, stats.totals[i].len);
    }
    if (detail == RUN_WHOLE) {
        jsonw_key(w, "lanes");
        jsonw_raw(w, stats.lanes.ptr, stats.lanes.len);
        jsonw_key(w, "streams");
        jsonw_raw(w, stats.streams.ptr, stats.streams.len);
    }
    jsonw_object_end(w);
    return 0;
}

int encode_run_streams(struct jsonw *w, const struct run_row *run, struct error *err)
{
    struct stats_text stats;

    if (read_stats(run, &stats, err) < 0)
        return -1;
    /* The elements, into the array of the caller. */
    if (stats.streams.len > 2)
        jsonw_raw(w, stats.streams.ptr + 1, stats.streams.len - 2);
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
                      const struct delivery *delivery, struct error *err)
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
    jsonw_put_string(w, "delivery", delivery->name);
    jsonw_put_string(w, "delivery_why", delivery->why);
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

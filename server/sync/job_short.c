/*
 * Check, discover and count: short runs that change nothing at either end.
 */
#include <string.h>

#include "connectors/base/clock.h"
#include "server/sync/job.h"

#define MAX_RESULT_BYTES ((size_t)16 << 20)

static void keep_result(struct job *j, struct buf *b, const char *what)
{
    struct error err = ERROR_INIT;

    if (buf_ok(b, what, &err) < 0)
        job_fail(j, ORIGIN_ENGINE, &err);
    else
        j->result_text = arena_memdup(j->mem, buf_str(b), b->len);
}

static bool is_destination(const struct job *j)
{
    return j->row.destination_id ||
           (!j->row.source_id &&
            !strcmp(doc_string(doc_get(j->request, "kind"), "source"), "destination"));
}

void job_check(struct job *j)
{
    struct destination_setup destination;
    struct source_setup source;
    struct error err = ERROR_INIT;
    struct run run;

    if (is_destination(j)) {
        run = job_run(j, "destination");
        if (job_destination(j, &destination, &err) < 0 ||
            destination.connector->check(destination.config, &run, &err) < 0)
            job_fail(j, ORIGIN_DESTINATION, &err);
        return;
    }
    run = job_run(j, "source");
    if (job_source(j, &source, &err) < 0 || source.connector->check(source.config, &run, &err) < 0)
        job_fail(j, ORIGIN_SOURCE, &err);
}

void job_discover(struct job *j)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(MAX_RESULT_BYTES);
    struct jsonw w = JSONW_INIT(&b);
    struct run run = job_run(j, "source");
    struct catalog catalog = CATALOG_INIT(j->mem);
    struct source_setup source;
    struct error err = ERROR_INIT;
    const char *diff;
    int64_t id;

    if (job_source(j, &source, &err) < 0 ||
        source.connector->discover(source.config, &run, &catalog, &err) < 0) {
        job_fail(j, ORIGIN_SOURCE, &err);
        return;
    }
    if (job_store_catalog(j, &catalog, &id, &diff, &err) < 0) {
        job_fail(j, ORIGIN_ENGINE, &err);
        return;
    }
    jsonw_object(&w);
    jsonw_put_int(&w, "catalog_id", id);
    jsonw_put_raw(&w, "diff", diff ? diff : "{\"added\":[],\"removed\":[],\"changed\":[]}");
    jsonw_object_end(&w);
    keep_result(j, &b, "the result of the discovery");
}

/* ------------------------------------------------------------------------ count */

static void put_count(struct jsonw *w, const struct stream *s, const struct error *err,
                      int64_t count, bool exact)
{
    bool failed = err->code != ERR_NONE;

    jsonw_object(w);
    jsonw_put_string(w, "stream", s->name);
    jsonw_put_string(w, "namespace", s->namespace);
    if (failed) {
        jsonw_put_null(w, "count");
        jsonw_put_null(w, "exact");
    } else {
        jsonw_put_int(w, "count", count);
        jsonw_put_bool(w, "exact", exact);
    }
    jsonw_put_time_ms(w, "as_of", clock_unix_us());
    jsonw_key(w, "error");
    if (failed)
        fault_put(w, ORIGIN_SOURCE, s->name, err);
    else
        jsonw_null(w);
    jsonw_object_end(w);
}

/* Estimates are free where discovery has brought them; exact numbers are asked for. */
static void count_one(struct job *j, const struct source_setup *source, const struct stream *s,
                      bool want_exact, int64_t deadline_us, struct jsonw *w)
{
    struct run run = job_run(j, "source");
    struct error err = ERROR_INIT;
    int64_t count = s->row_estimate;
    bool exact = false;

    if (cancel_requested(j->cancel) == CANCEL_NONE && deadline_us > 0 &&
        clock_monotonic_us() >= deadline_us)
        error_set_reason(&err, ERR_CANCELLED, "timeout", "the time limit was over before");
    else if ((want_exact || count < 0) &&
             source->connector->count(source->config, &run, s, &count, &exact, &err) < 0)
        count = -1;
    put_count(w, s, &err, count, exact);
}

static bool is_wanted(const struct doc *names, const struct stream *s, struct arena *mem)
{
    if (!names)
        return true;
    for (size_t i = 0; i < doc_count(names); i++) {
        const char *name = doc_string(doc_at(names, i), "");

        if (!strcmp(name, s->name) || !strcmp(name, stream_full_name(mem, s)))
            return true;
    }
    return false;
}

static int check_names(const struct doc *names, const struct catalog *catalog, struct arena *mem,
                       struct error *err)
{
    for (size_t i = 0; i < doc_count(names); i++) {
        const char *name = doc_string(doc_at(names, i), "");
        bool found = false;

        for (size_t k = 0; k < catalog->n && !found; k++)
            found = !strcmp(name, catalog->streams[k].name) ||
                    !strcmp(name, stream_full_name(mem, &catalog->streams[k]));
        if (!found)
            return error_set_reason(err, ERR_INVALID, "unknown_stream",
                                    "the source has no stream \"%s\"", name);
    }
    return 0;
}

void job_count(struct job *j)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(MAX_RESULT_BYTES);
    const struct doc *names = doc_get(j->request, "streams");
    bool exact = doc_bool(doc_get(j->request, "exact"), true);
    int64_t limit_s = doc_int(doc_get(j->request, "timeout_s"), 0);
    int64_t deadline_us = limit_s > 0 ? clock_monotonic_us() + limit_s * 1000000 : 0;
    struct jsonw w = JSONW_INIT(&b);
    struct run run = job_run(j, "source");
    struct catalog catalog = CATALOG_INIT(j->mem);
    struct source_setup source;
    struct error err = ERROR_INIT;

    if (job_source(j, &source, &err) < 0 ||
        source.connector->discover(source.config, &run, &catalog, &err) < 0 ||
        check_names(names, &catalog, j->mem, &err) < 0) {
        job_fail(j, ORIGIN_SOURCE, &err);
        return;
    }
    jsonw_object(&w);
    jsonw_key(&w, "items");
    jsonw_array(&w);
    for (size_t i = 0; i < catalog.n; i++) {
        if (is_wanted(names, &catalog.streams[i], j->mem))
            count_one(j, &source, &catalog.streams[i], exact, deadline_us, &w);
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    if (cancel_check(j->cancel, &err) < 0)
        job_fail(j, ORIGIN_SOURCE, &err);
    keep_result(j, &b, "the result of the count");
}

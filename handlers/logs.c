#include "handlers/logs.h"

#include <string.h>

#include "connectors/base/text.h"
#include "handlers/query.h"
#include "handlers/routes.h"
#include "handlers/run.h"
#include "server/sync/runs.h"

/* clang-format off */
static const struct {
    const char *name, *media; /* ?format and Accept */
    const char *content_type;
} formats[] = {
    [LOG_FORMAT_NDJSON] = {"ndjson", "application/x-ndjson", "application/x-ndjson"},
    [LOG_FORMAT_TEXT]   = {"text",   "text/plain",           "text/plain; charset=utf-8"},
    [LOG_FORMAT_SSE]    = {"sse",    "text/event-stream",    "text/event-stream"},
};
/* clang-format on */

#define N_FORMATS (sizeof formats / sizeof *formats)

int logs_format(struct request *req, enum log_format *out, struct error *err)
{
    const char *format = request_query(req, "format"), *accept = request_header(req, "Accept");

    for (size_t i = 0; i < N_FORMATS; i++) {
        *out = (enum log_format)i;
        if (format ? !strcmp(format, formats[i].name)
                   : accept && strstr(accept, formats[i].media) != NULL)
            return 0;
    }
    if (format)
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "\"format\" is ndjson, text or sse");
    *out = LOG_FORMAT_NDJSON;
    /* JSON callers who ask for their usual type get lines of it. */
    if (!accept || !*accept || strstr(accept, "*/*") || strstr(accept, "application/*") ||
        strstr(accept, "application/json"))
        return 0;
    return error_set_reason(err, ERR_INVALID, "not_acceptable",
                            "logs come as application/x-ndjson, text/plain or text/event-stream");
}

/* ------------------------------------------------------------------- streaming */

/* A follower with what was read ahead of it, and what its end means to the run. */
struct log_response {
    struct app *app;
    struct log_follower *follower;
    int64_t run;
    enum logs_disconnect gone;
    bool ended;        /* it said so itself: the caller did not just go away */
    const char *ahead; /* in the request's arena; NULL = nothing was read ahead */
    size_t ahead_n, ahead_sent;
};

static int64_t read_log(void *ctx, char *out, size_t max, int64_t *wake_us)
{
    struct log_response *l = ctx;
    size_t left = l->ahead_n - l->ahead_sent;
    int64_t n;

    if (left) {
        left = left < max ? left : max;
        memcpy(out, l->ahead + l->ahead_sent, left);
        l->ahead_sent += left;
        return (int64_t)left;
    }
    if (l->ended)
        return STREAM_END;
    n = log_follower_read(l->follower, out, max, wake_us);
    l->ended = n < 0;
    return n;
}

static bool is_ready(void *ctx)
{
    const struct log_response *l = ctx;

    return l->ahead_sent < l->ahead_n || log_follower_ready(l->follower);
}

static void release(void *ctx)
{
    struct log_response *l = ctx;
    struct error ignored = ERROR_INIT;
    enum run_status status;

    log_follower_free(l->follower);
    /* A failure means that the run has ended by itself. */
    if (l->gone == LOGS_CANCEL && !l->ended &&
        runs_cancel(l->app->runs, l->run, "disconnect", false, &status, &ignored) < 0)
        l->ended = true;
}

/*
 * Reads the beginning before the answer is chosen. Only where that decides something: what is kept
 * for it lives as long as the follower.
 */
static void read_ahead(struct log_response *l, struct arena *mem)
{
    char first[16 << 10];
    int64_t wake_us = 0;
    int64_t n = log_follower_read(l->follower, first, sizeof first, &wake_us);

    l->ahead_n = n > 0 ? (size_t)n : 0;
    l->ahead = arena_memdup(mem, first, l->ahead_n);
    l->ended = n < 0;
}

int logs_answer(struct app *app, struct request *req, struct response *res, int64_t run,
                const struct log_query *q, enum logs_disconnect gone, struct error *err)
{
    struct log_response *l = arena_alloc(request_mem(req), sizeof *l);

    *l = (struct log_response){.app = app, .run = run, .gone = gone};
    if (log_follow(app->logs, run, q, &l->follower, err) < 0)
        return -1;
    if (q->follow && q->format == LOG_FORMAT_SSE && q->after > 0)
        read_ahead(l, request_mem(req));
    if (l->ended) {
        /* Everything was seen before: 204 is what stops an EventSource from coming back. */
        log_follower_free(l->follower);
        res->status = 204;
        return 0;
    }
    res->content_type = formats[q->format].content_type;
    response_header(res, "X-Accel-Buffering", "no");
    response_header(res, "Cache-Control", "no-store, no-transform");
    response_header(res, "Run-Id", "%lld", (long long)run);
    response_stream(res, &(struct response_stream){
                             .read = read_log, .ready = is_ready, .release = release, .ctx = l});
    return 0;
}

/* ----------------------------------------------------------------------- query */

/* Last-Event-ID is what an EventSource sends by itself, so it wins over ?after. */
static int read_after(struct request *req, int64_t *out, struct error *err)
{
    const char *last = request_header(req, "Last-Event-ID");

    if (request_query_int(req, "after", 0, 0, INT64_MAX, out, err) < 0)
        return -1;
    if (last && *last && (!text_to_int64(last, strlen(last), out) || *out < 0))
        return error_set_reason(err, ERR_INVALID, "invalid_header",
                                "Last-Event-ID is the number of an event");
    return 0;
}

static int read_query(struct request *req, struct log_query *q, struct error *err)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    static const char *const origins[] = {"source", "destination", "engine", NULL};
    size_t level, origin;

    *q = (struct log_query){.tail = -1, .heartbeat_us = LOGS_HEARTBEAT_US};
    q->stream = request_query(req, "stream");
    q->origin = request_query(req, "origin");
    q->type = request_query(req, "type");
    if (logs_format(req, &q->format, err) < 0 ||
        query_word(req, "level", levels, &level, err) < 0 ||
        query_word(req, "origin", origins, &origin, err) < 0 ||
        read_after(req, &q->after, err) < 0 || query_time(req, "since", &q->since_us, err) < 0 ||
        query_time(req, "until", &q->until_us, err) < 0)
        return -1;
    if (request_query_bool(req, "follow", false, &q->follow, err) < 0 ||
        request_query_bool(req, "timestamps", true, &q->timestamps, err) < 0 ||
        request_query_int(req, "tail", -1, 0, INT32_MAX, &q->tail, err) < 0 ||
        request_query_int(req, "limit", 0, 1, INT32_MAX, &q->limit, err) < 0)
        return -1;
    q->level = (enum log_level)level;
    return 0;
}

int handle_run_logs(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"follow", "after",      "tail",     "since", "until",
                                        "level",  "stream",     "origin",   "type",  "limit",
                                        "format", "timestamps", "download", NULL};
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct log_query q;
    struct run_row run;
    bool download;

    if (request_query_only(req, known, err) < 0 || read_query(req, &q, err) < 0 ||
        request_query_bool(req, "download", false, &download, err) < 0 ||
        run_of_request(app, req, mem, &run, err) < 0)
        return -1;
    if (download)
        response_header(res, "Content-Disposition", "attachment; filename=\"run-%lld.%s\"",
                        (long long)run.id, q.format == LOG_FORMAT_TEXT ? "log" : "ndjson");
    return logs_answer(app, req, res, run.id, &q, LOGS_LEAVE, err);
}

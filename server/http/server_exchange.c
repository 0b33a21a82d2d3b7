#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "server/http/server_exchange.h"

/* ---------------------------------------------------------------- connections */

enum MHD_Result exchange_accept(void *cls, const struct sockaddr *address, socklen_t n)
{
    struct http *h = cls;

    (void)address;
    (void)n;
    /* Beyond this the descriptors would run out: better closed at once than a silent hang. */
    return atomic_load(&h->connections) < h->hard_limit ? MHD_YES : MHD_NO;
}

/* The text of the peer's address, without a port; "" when there is none to be had. */
static void name_peer(struct MHD_Connection *mhd, char out[static AUTH_SOURCE_BYTES])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;

    *out = '\0';
    if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, out,
                  AUTH_SOURCE_BYTES);
    else if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out,
                  AUTH_SOURCE_BYTES);
}

static struct conn *conn_new(struct http *h, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn *c = xalloc(sizeof *c);

    atomic_fetch_add(&h->connections, 1);
    c->http = h;
    c->mhd = mhd;
    c->fd = info->connect_fd;
    name_peer(mhd, c->peer);
    c->over_limit = http_is_crowded(h);
    pthread_mutex_init(&c->mutex, NULL);
    conn_mark(c, PHASE_HEADERS);
    keeper_conn_opened(h, c);
    return c;
}

void exchange_connection(void *cls, struct MHD_Connection *mhd, void **state,
                         enum MHD_ConnectionNotificationCode what)
{
    struct http *h = cls;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *state = conn_new(h, mhd);
        return;
    }
    atomic_fetch_sub(&h->connections, 1);
    keeper_conn_closed(h, *state);
    *state = NULL;
}

void exchange_suspend(struct conn *c)
{
    MHD_suspend_connection(c->mhd);
}

void exchange_resume(struct conn *c)
{
    MHD_resume_connection(c->mhd);
}

/* ------------------------------------------------------------- request begins */

void *exchange_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct request *req = xalloc(sizeof *req);
    struct conn *c = info->socket_context;

    req->http = cls;
    req->conn = c;
    req->mem = arena_new();
    req->started_us = clock_monotonic_us();
    req->body = BUF_INIT((size_t)1);
    /* libmicrohttpd cuts the target at the question mark after this. */
    req->raw = arena_strdup(req->mem, uri ? uri : "");
    if (conn_phase(c) == PHASE_IDLE)
        conn_mark(c, PHASE_HEADERS);
    return req;
}

static enum MHD_Result put_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct request *req = cls;

    (void)kind;
    req->headers[req->n_headers++] = (struct pair){name, value ? value : ""};
    return MHD_YES;
}

static void take_headers(struct request *req)
{
    int n = MHD_get_connection_values(req->conn->mhd, MHD_HEADER_KIND, NULL, NULL);

    req->headers = arena_array(req->mem, n > 0 ? (size_t)n : 1, sizeof *req->headers);
    MHD_get_connection_values(req->conn->mhd, MHD_HEADER_KIND, put_header, req);
}

/* The caller's request id when it is harmless in logs and headers, else one of ours. */
static void choose_id(struct request *req)
{
    const char *given = request_header(req, "X-Request-Id");
    size_t n = given ? strlen(given) : 0;
    uint32_t number;
    unsigned char mine[12];

    if (n && n <= HTTP_MAX_ID &&
        strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n) {
        memcpy(req->id, given, n + 1);
        return;
    }
    /* Of this process, and a number: asking the system for randomness each time costs more than
     * most of an answer. */
    number = atomic_fetch_add_explicit(&req->http->n_ids, 1, memory_order_relaxed);
    memcpy(mine, req->http->id_base, sizeof req->http->id_base);
    memcpy(mine + sizeof req->http->id_base, &number, sizeof number);
    text_hex(mine, sizeof mine, req->id);
}

__attribute__((format(printf, 4, 5))) static int refuse(struct request *req, enum error_code code,
                                                        const char *reason, const char *fmt, ...)
{
    char message[ERROR_MESSAGE_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    req->refusal = arena_alloc(req->mem, sizeof *req->refusal);
    return error_set_reason(req->refusal, code, reason, "%s", message);
}

static size_t header_bytes(const struct request *req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return info ? info->header_size : 0;
}

static bool is_plain(struct request *req, const char *method, const char *url, const char *version)
{
    struct layout l = {.method = method,
                       .target = url,
                       .version = version,
                       .target_n = strlen(req->raw),
                       .block_n = header_bytes(req)};

    return gate_is_plain(&l, req->headers, req->n_headers);
}

/* What makes the rest of the connection untrustworthy or unwelcome: answered at once, and closed.
 */
static int check_envelope(struct request *req, bool plain)
{
    struct http *h = req->http;
    struct error err = ERROR_INIT;

    if (!plain) {
        return refuse(
            req, ERR_INVALID, "bad_request",
            "The request holds a NUL, a folded line, or a line that does not end in CRLF.");
    }
    if (gate_check(req->headers, req->n_headers, req->http10, &req->framing, &err) < 0) {
        req->refusal = arena_alloc(req->mem, sizeof *req->refusal);
        *req->refusal = err;
        return -1;
    }
    if (strlen(req->raw) > HTTP_MAX_TARGET) {
        return refuse(req, ERR_TOO_LARGE, "target_too_long",
                      "The request target is longer than %zu bytes.", HTTP_MAX_TARGET);
    }
    if (header_bytes(req) > HTTP_MAX_HEADER_BYTES) {
        return refuse(req, ERR_TOO_LARGE, "headers_too_large",
                      "The headers are larger than %zu bytes.", HTTP_MAX_HEADER_BYTES);
    }
    if (req->method == METHOD_UNKNOWN) {
        return refuse(req, ERR_UNSUPPORTED, "method_not_implemented",
                      "The method of the request is not known.");
    }
    if (req->conn->over_limit) {
        return refuse(req, ERR_TRANSIENT, "overloaded",
                      "There are more than %" PRId64 " connections.",
                      h->config.max_connections - h->config.max_streams);
    }
    if (atomic_load(&h->stopping)) {
        return refuse(req, ERR_TRANSIENT, "shutting_down", "The service is shutting down.");
    }
    return 0;
}

/* What there is at the target; says nothing to who asks. */
static int find_route(struct request *req)
{
    struct error err = ERROR_INIT;
    bool server_wide = req->method == METHOD_OPTIONS && !strcmp(req->raw, "*");

    if (!server_wide && target_parse(req->mem, req->raw, &req->target, &err) < 0)
        return refuse(req, err.code, err.reason, "%s", err.message);
    router_find(req->http->router, req->method, &req->target, &req->match);
    if (server_wide || req->method == METHOD_TRACE || req->method == METHOD_CONNECT)
        req->match.allowed |= 1U << METHOD_GET | 1U << METHOD_HEAD | 1U << METHOD_OPTIONS;
    if (req->match.allowed) {
        req->allow = arena_alloc(req->mem, 128);
        router_allow(req->match.allowed, req->allow, 128);
    }
    if (req->match.route || (req->method == METHOD_OPTIONS && req->match.allowed))
        return 0;
    if (!req->match.allowed)
        return refuse(req, ERR_NOT_FOUND, "not_found", "There is nothing at this path.");
    return refuse(req, ERR_INVALID, "method_not_allowed", "The methods allowed here are %s.",
                  req->allow);
}

static bool is_public(const struct request *req)
{
    return req->match.route && req->match.route->flags & ROUTE_PUBLIC;
}

/*
 * Who asks, before anything is told of what there is: the answer is the same at any path. A route
 * is closed unless its row says otherwise.
 */
static int authenticate(struct request *req)
{
    const struct auth_request asks = {.authorization = request_header(req, "Authorization"),
                                      .host = request_header(req, "Host"),
                                      .forwarded_for = request_header(req, "X-Forwarded-For"),
                                      .peer = req->conn->peer};
    struct auth *auth = req->http->config.auth;
    struct error err = ERROR_INIT;

    req->who = (struct auth_result){.scope = SCOPE_ADMIN};
    if (is_public(req))
        req->who.scope = SCOPE_NONE;
    else if (auth && auth_check(auth, &asks, &req->who, &err) < 0)
        return refuse(req, err.code, err.reason, "%s", err.message);
    return 0;
}

static int authorize(struct request *req)
{
    struct error err = ERROR_INIT;

    if (!req->match.route || is_public(req) ||
        auth_may(&req->who, req->match.route->scope, &err) == 0)
        return 0;
    return refuse(req, err.code, err.reason, "%s", err.message);
}

static int64_t body_limit(const struct request *req)
{
    const struct http_config *config = &req->http->config;
    const struct route *route = req->match.route;

    return route && route->flags & ROUTE_BIG_BODY ? config->max_big_body_bytes
                                                  : config->max_body_bytes;
}

/* What can be said about the body before a byte of it is read. */
static int check_body(struct request *req)
{
    struct http *h = req->http;
    int64_t limit = body_limit(req), n = req->framing.content_length;

    if (n > limit) {
        return refuse(req, ERR_TOO_LARGE, "body_too_large",
                      "The body is larger than %" PRId64 " bytes.", limit);
    }
    if (n > 0 && atomic_load(&h->body_bytes) + n > h->config.max_bodies_bytes)
        return refuse(req, ERR_TRANSIENT, "overloaded", "Too many bodies are being received.");
    return 0;
}

static int check_media(struct request *req)
{
    const struct route *route = req->match.route;
    enum media media = gate_media(req->headers, req->n_headers);

    if (request_header(req, "Content-Encoding")) {
        return refuse(req, ERR_UNSUPPORTED, "unsupported_media_type",
                      "A body with a Content-Encoding is not accepted.");
    }
    if (!route || req->method == METHOD_GET || req->method == METHOD_HEAD)
        return 0;
    if (media == MEDIA_OTHER || (media == MEDIA_YAML && !(route->flags & ROUTE_YAML))) {
        return refuse(req, ERR_UNSUPPORTED, "unsupported_media_type",
                      "The Content-Type of the body must be application/json%s.",
                      route->flags & ROUTE_YAML ? " or application/yaml" : "");
    }
    return 0;
}

/* ------------------------------------------------------------------- answers */

/* Chunks are the one framing that we cannot check byte by byte (the library takes a bare LF inside
 * an extension for the end of the line), so what follows them on the connection is not read. */
static bool must_close(const struct request *req)
{
    return req->framing.chunked || req->conn->n_requests >= HTTP_MAX_PER_CONN ||
           atomic_load(&req->http->stopping);
}

static void log_failure(struct request *req, const struct error *err)
{
    log_error(req->http->log, .message = "request failed",
              .fields = {log_text("request_id", req->id),
                         log_text("route", req->match.route ? req->match.route->operation : ""),
                         log_text("code", error_reason(err)), log_text("error", err->message),
                         log_text("file", err->file), log_int("line", err->line)});
}

static enum MHD_Result send_problem(struct request *req, struct response *res,
                                    const struct error *err, bool close)
{
    enum MHD_Result rc;

    response_problem(res, err, req->id);
    if (problem_is_private(err))
        log_failure(req, err);
    if (res->status == 405)
        response_header(res, "Allow", "%s", req->allow);
    if (res->status == 401)
        response_header(res, "WWW-Authenticate", "Bearer");
    if (err == req->refusal && !strcmp(error_reason(err), "rate_limited"))
        response_header(res, "Retry-After", "%d", AUTH_WINDOW_MS / 1000);
    rc = reply_send(req, res, close || must_close(req));
    buf_release(&res->body);
    return rc;
}

static enum MHD_Result send_refusal(struct request *req, bool close)
{
    struct response_private priv;
    struct response res;

    response_init(&res, &priv, req->mem);
    measure_refusal(req->refusal->reason);
    return send_problem(req, &res, req->refusal, close);
}

static enum MHD_Result send_options(struct request *req)
{
    struct response_private priv;
    struct response res;

    response_init(&res, &priv, req->mem);
    res.status = 204;
    response_header(&res, "Allow", "%s", req->allow);
    return reply_send(req, &res, must_close(req));
}

static enum MHD_Result wait_for(struct request *req, struct response *res)
{
    struct response_private *priv = res->priv;

    assert(!priv->streaming && "a handler that waits has no answer yet");
    buf_release(&res->body);
    req->wait.conn = req->conn;
    req->wait.ready = priv->ready;
    req->wait.ctx = req->kept;
    req->wait.deadline_us = priv->deadline_us;
    if (keeper_suspend(req->http, &req->wait))
        return MHD_YES;
    refuse(req, ERR_TRANSIENT, "shutting_down", "The service is shutting down.");
    return send_refusal(req, true);
}

static enum MHD_Result refuse_stream(struct request *req, struct response *res)
{
    struct response_stream *stream = &res->priv->stream;

    if (stream->release)
        stream->release(stream->ctx);
    refuse(req, ERR_RATE_LIMITED, "too_many_followers",
           "There are more than %" PRId64 " streams open.", req->http->config.max_streams);
    buf_release(&res->body);
    return send_refusal(req, false);
}

static enum MHD_Result call_handler(struct request *req)
{
    struct response_private priv;
    struct response res;
    struct error err = ERROR_INIT;
    int rc;

    response_init(&res, &priv, req->mem);
    req->wait.seen = atomic_load(&req->http->keeper.changes);
    rc = req->match.route->handler(req->http->app, req, &res, &err);
    if (rc == HANDLER_WAIT)
        return wait_for(req, &res);
    if (rc == 0 && res.body.failed)
        rc = error_set(&err, ERR_INTERNAL, "the response is larger than %zu bytes",
                       HTTP_MAX_RESPONSE);
    if (rc < 0) {
        if (priv.streaming && priv.stream.release)
            priv.stream.release(priv.stream.ctx);
        priv.streaming = false;
        return send_problem(req, &res, &err, false);
    }
    if (priv.streaming && atomic_load(&req->http->streams) >= req->http->config.max_streams)
        return refuse_stream(req, &res);
    return reply_send(req, &res, must_close(req));
}

/* ----------------------------------------------------------------- the request */

/* Everything but the body is there. */
static enum MHD_Result first_call(struct request *req, const char *url, const char *method,
                                  const char *version)
{
    bool has_body, expects;
    int found;

    req->seen = true;
    req->conn->n_requests++;
    atomic_fetch_add(&req->http->in_flight, 1);
    req->method_name = arena_strdup(req->mem, method);
    req->method = method_from_name(method);
    req->http10 = !strcmp(version, "HTTP/1.0");
    take_headers(req);
    choose_id(req);
    if (check_envelope(req, is_plain(req, method, url, version)) < 0)
        return send_refusal(req, true);
    has_body = req->framing.chunked || req->framing.content_length > 0;
    expects = has_body && request_header(req, "Expect");
    found = find_route(req);
    /* Nothing is read from who may not ask. */
    if (authenticate(req) < 0 && has_body)
        return send_refusal(req, true);
    /* A refusal that leaves the framing intact waits for the end of the body, so that the
     * connection can go on; a client that asks before it sends is told at once. */
    if (found == 0 && !req->refusal && authorize(req) == 0 && has_body)
        (void)check_media(req);
    if (req->refusal && expects)
        return send_refusal(req, true);
    if (has_body && check_body(req) < 0)
        return send_refusal(req, true);
    req->body = BUF_INIT((size_t)body_limit(req));
    atomic_store(&req->conn->body_bytes, 0);
    if (has_body)
        conn_mark(req->conn, PHASE_BODY);
    return MHD_YES;
}

/* Takes a piece of the body, or drops it once the request is refused: only a whole request can be
 * answered, since libmicrohttpd resets the connection of one that is answered in the middle. */
static void take_body(struct request *req, const char *data, size_t n)
{
    struct http *h = req->http;

    atomic_fetch_add(&req->conn->body_bytes, (int64_t)n);
    if (req->refusal)
        return;
    if (n > req->body.max_bytes - req->body.len) {
        refuse(req, ERR_TOO_LARGE, "body_too_large", "The body is larger than %zu bytes.",
               req->body.max_bytes);
    } else if (atomic_fetch_add(&h->body_bytes, (int64_t)n) + (int64_t)n >
               h->config.max_bodies_bytes) {
        atomic_fetch_sub(&h->body_bytes, (int64_t)n);
        refuse(req, ERR_TRANSIENT, "overloaded", "Too many bodies are being received.");
    } else {
        req->body_charged += (int64_t)n;
        buf_put(&req->body, data, n);
    }
}

static void release_body(struct request *req)
{
    atomic_fetch_sub(&req->http->body_bytes, req->body_charged);
    req->body_charged = 0;
    buf_release(&req->body);
    doc_free(req->doc);
    req->doc = NULL;
}

/* curl sends JSON as a form unless told otherwise: believed when it looks like JSON. */
static void check_form(struct request *req)
{
    const char *body = buf_str(&req->body);

    if (req->refusal || !req->body.len || req->method == METHOD_GET || req->method == METHOD_HEAD ||
        gate_media(req->headers, req->n_headers) != MEDIA_FORM)
        return;
    body += strspn(body, " \t\r\n");
    if (*body != '{') {
        refuse(req, ERR_UNSUPPORTED, "unsupported_media_type",
               "The Content-Type of the body must be application/json.");
    }
}

/* The request is complete, or has been woken. */
static enum MHD_Result final_call(struct request *req)
{
    conn_mark(req->conn, PHASE_BUSY);
    /* Waited, and the peer has gone: nobody would read the answer. */
    if (req->wait.conn && atomic_load(&req->conn->gone))
        return MHD_NO;
    if (!req->wait.conn)
        check_form(req);
    if (req->refusal)
        return send_refusal(req, false);
    if (!req->match.route)
        return send_options(req);
    return call_handler(req);
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *c, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_n, void **state)
{
    struct request *req = *state;

    (void)cls;
    (void)c;
    if (!req->seen)
        return first_call(req, url, method, version);
    if (*data_n) {
        take_body(req, data, *data_n);
        *data_n = 0;
        return MHD_YES;
    }
    return final_call(req);
}

/* --------------------------------------------------------------- request ends */

static void log_request(struct request *req)
{
    bool known = req->method != METHOD_UNKNOWN;

    log_info(req->http->log, .message = "request",
             .fields = {log_text("method", known ? req->method_name : "_OTHER"),
                        log_text("route", req->match.route ? req->match.route->operation : ""),
                        log_int("status", req->status ? req->status : 499),
                        log_int("bytes", req->bytes_out),
                        log_int("duration_us", clock_monotonic_us() - req->started_us),
                        log_text("request_id", req->id), log_text("token_id", req->who.id)});
}

void exchange_end(void *cls, struct MHD_Connection *c, void **state,
                  enum MHD_RequestTerminationCode why)
{
    struct http *h = cls;
    struct request *req = *state;

    (void)c;
    (void)why;
    if (!req)
        return;
    *state = NULL;
    if (req->streaming) {
        if (req->stream.release)
            req->stream.release(req->stream.ctx);
        atomic_fetch_sub(&h->streams, 1);
    }
    if (req->release)
        req->release(req->kept);
    release_body(req);
    conn_mark(req->conn, PHASE_IDLE);
    if (req->seen) {
        log_request(req);
        measure_request(req);
        if (atomic_fetch_sub(&h->in_flight, 1) == 1 && atomic_load(&h->stopping)) {
            LOCK_GUARD(&h->mutex);
            pthread_cond_broadcast(&h->idle);
        }
    }
    arena_free(req->mem);
    free(req);
}

/*
 * http.h - the HTTP server as handlers see it: requests in, responses or streams out.
 *
 * Hides libmicrohttpd: the header gate and deadlines, limits, routing, suspended connections,
 * problem documents. Handlers run on the event threads and never block on anything but our own
 * store; a handler that must wait returns HANDLER_WAIT and is called again. Requests belong to
 * their thread; http_notify is safe from any.
 */
#ifndef SERVER_HTTP_HTTP_H
#define SERVER_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/doc.h"
#include "connectors/base/log.h"
#include "connectors/base/problem.h"

struct app;     /* what handlers may reach: server/app.h */
struct http;    /* the running server, opaque */
struct request; /* opaque; see the getters */

/* Not yet: call me again after http_notify, or at response_wait's deadline. */
#define HANDLER_WAIT 1

/* Where a stream that has nothing to say now, or ever again, says so. */
#define STREAM_AGAIN 0
#define STREAM_END   (-1)
#define STREAM_ABORT (-2) /* drop the connection without the terminating chunk */

/* ------------------------------------------------------------------ requests */

struct arena *request_mem(struct request *req);
const char *request_id(const struct request *req);
const char *request_method(const struct request *req);
const char *request_target(const struct request *req);                  /* as sent, for logs */
const char *request_param(const struct request *req, const char *name); /* from the route pattern */
const char *request_query(const struct request *req, const char *name); /* NULL = not given */
/* Case-insensitive; NULL = not given. */
const char *request_header(const struct request *req, const char *name);
const char *request_body(const struct request *req, size_t *out_n); /* "" without a body */
/* The id of the token that asks; "" when the service is open or the route public. */
const char *request_token(const struct request *req);
/* Does it hold this scope? Handlers show less to who does not; the scope of the route was checked
 * before. */
bool request_may(const struct request *req, const char *scope);
bool request_is_http10(const struct request *req);
/* True once the peer has closed its connection. */
bool request_is_gone(const struct request *req);

/*
 * The body as a document that lives as long as the request; an empty body is an empty object when
 * `optional`. Fails with INVALID (invalid_json, invalid_yaml, duplicate_key) or UNSUPPORTED media
 * type.
 */
CHECKED int request_doc(struct request *req, bool optional, const struct doc **out,
                        struct error *err);

/* Strict reading of query parameters: absent gives the fallback; nonsense fails with INVALID,
 * reason "invalid_query", naming the parameter and what is accepted. */
CHECKED int request_query_bool(struct request *req, const char *name, bool fallback, bool *out,
                               struct error *err);
CHECKED int request_query_int(struct request *req, const char *name, int64_t fallback, int64_t min,
                              int64_t max, int64_t *out, struct error *err);
/* Fails with "invalid_query" when a parameter was sent that is not in the NULL-terminated list.
 * "pretty" is accepted everywhere. */
CHECKED int request_query_only(struct request *req, const char *const *names, struct error *err);

/* What a handler keeps between HANDLER_WAIT and the next call; NULL the first time. `release` (may
 * be NULL) runs when the request ends, whatever happened. */
void request_keep(struct request *req, void *state, void (*release)(void *state));
void *request_kept(const struct request *req);

/* ----------------------------------------------------------------- responses */

struct response {
    int status;               /* 200 unless set */
    struct buf body;          /* JSON unless content_type says otherwise */
    const char *content_type; /* NULL = application/json */
    struct problems problems; /* become "errors" of a problem document */
    const char *extra;        /* members of a problem document: "\"active_run_id\":7", or NULL */
    /* The rest is private to the functions below. */
    struct response_private *priv;
};

void response_header(struct response *res, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void response_etag(struct response *res, int64_t revision); /* ETag: "7" */
/* Called again at this time of clock_monotonic_us at the latest, after HANDLER_WAIT. `ready` (may
 * be NULL = always) is asked by the notifier thread before it wakes the request: cheap, no locks
 * held across it. */
void response_wait(struct response *res, int64_t deadline_us, bool (*ready)(void *state));

/*
 * The body is produced piecemeal by `read`: a number of bytes > 0, or one of STREAM_*. After
 * STREAM_AGAIN it is called again when `ready(ctx)` is true after an http_notify, or at the time
 * *wake_us that `read` has set (clock_monotonic_us). `release` runs exactly once. Chunked on
 * HTTP/1.1, identity and close on HTTP/1.0.
 */
struct response_stream {
    int64_t (*read)(void *ctx, char *out, size_t max, int64_t *wake_us);
    bool (*ready)(void *ctx);
    void (*release)(void *ctx);
    void *ctx;
};
void response_stream(struct response *res, const struct response_stream *stream);

/* -------------------------------------------------------------------- routes */

/* 0 with `res` filled, HANDLER_WAIT, or -1: the adapter turns err into problem+json. */
typedef int handler_fn(struct app *app, struct request *req, struct response *res,
                       struct error *err);

enum route_flags {
    ROUTE_PUBLIC = 1 << 0,   /* no token, ever: spelled out, and in a golden list */
    ROUTE_BIG_BODY = 1 << 1, /* 8 MiB instead of 1 MiB */
    ROUTE_ANY_QUERY = 1 << 2,
    ROUTE_YAML = 1 << 3,     /* the body may be application/yaml */
    ROUTE_OPERATOR = 1 << 4, /* for whoever runs the service: may have an address of its own */
};

struct route {
    const char *method;  /* GET serves HEAD too */
    const char *pattern; /* "/v1/sources/{source}/check" */
    handler_fn *handler;
    const char *operation; /* operationId in openapi.yaml; label of logs and metrics */
    const char *scope;     /* "read", "run", "write", "admin" */
    unsigned flags;
};

/* -------------------------------------------------------------------- server */

/* Which of the routes a server answers. */
enum http_role {
    HTTP_ALL,
    HTTP_API,      /* all but those with ROUTE_OPERATOR */
    HTTP_OPERATOR, /* only those */
};

/* A value of 0 stands for the default of the service. */
struct auth; /* auth.h */
struct http_config {
    struct auth *auth;   /* NULL = everybody may everything; must outlive the server */
    const char *address; /* "127.0.0.1:8080", "[::1]:0"; port 0 picks one */
    int64_t threads;
    int64_t max_connections; /* streams included */
    int64_t max_streams;     /* 0 leaves 1,024 connections, or half of few, to other requests */
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    int64_t max_body_bytes, max_big_body_bytes;
    int64_t max_bodies_bytes; /* of all requests together */
    enum http_role role;
    const char *base_path; /* "" or "/prefix", put in front of every route */
};

/* `routes` ends with a NULL method and must stay valid. *out is set before the first request can
 * arrive, so it may be a member of `app`. */
CHECKED int http_start(const struct http_config *config, const struct route *routes,
                       struct app *app, struct log *access_log, struct http **out,
                       struct error *err);
const char *http_address(const struct http *h); /* as bound, "127.0.0.1:41233" */
/* Something that waiting requests may wait for has changed. Any thread; cheap; coalesced. */
void http_notify(struct http *h);
/* Readiness turns 503 for whoever asks; new connections are still accepted. */
void http_drain(struct http *h);
bool http_is_draining(const struct http *h);
/* Ends streams and waiting requests, answers what is in flight (at most `grace_ms`), stops. */
void http_stop(struct http *h, int64_t grace_ms);

/* A thread that was not awake for so long, in microseconds, hangs: it wakes up every two seconds.
 */
#define HTTP_STALE_US 10000000

struct http_stats {
    int64_t connections, in_flight, streams;
    int64_t
        beat_age_us; /* since the thread that keeps deadlines and wakes waiters was last awake */
};
struct http_stats http_stats(const struct http *h);

/* ------------------------------------------------------------------- problems */

/* The HTTP status of an error: by its reason where one is known, else by its class. A reason has
 * exactly one status; the table is in status.c. */
int status_of(const struct error *err);
/* The title of a reason: "A run is already active". */
const char *status_title(const char *reason);

#endif

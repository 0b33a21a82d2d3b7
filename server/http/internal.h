/*
 * internal.h - what the files of server/http share; nobody else includes it.
 *
 * Three kinds of objects: the server, the accepted connections and the requests. A request belongs
 * to the event thread of its connection; while it waits it belongs to the keeper thread, which
 * alone wakes it. A connection is written by its event thread; the keeper reads its atomics and
 * touches the descriptor under the mutex of the connection.
 */
#ifndef SERVER_HTTP_INTERNAL_H
#define SERVER_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "connectors/base/arena.h"
#include "server/http/auth.h"
#include "server/http/gate.h"
#include "server/http/http.h"
#include "server/http/router.h"
#include "server/http/target.h"

#define HTTP_MAX_TARGET       ((size_t)8 << 10)  /* longer ones are answered 414 */
#define HTTP_MAX_HEADER_BYTES ((size_t)32 << 10) /* request line and headers: 431 */
#define HTTP_MAX_PER_CONN     1000               /* requests; then the connection closes */
#define HTTP_MAX_ID           128                /* of X-Request-Id */
#define HTTP_MAX_RESPONSE     ((size_t)64 << 20) /* a body that is not streamed */
#define HTTP_MAX_THREADS      16
#define HTTP_RETRY_AFTER_S    "1" /* with 429 and 503, unless the handler says otherwise */

struct MHD_Connection;
struct MHD_Daemon;

/* -------------------------------------------------------------------- wait.c */

/* One waiting request or dry stream. */
struct wait {
    struct wait *next;
    struct conn *conn;
    bool (*ready)(void *ctx); /* NULL = always */
    void *ctx;
    int64_t deadline_us; /* of clock_monotonic_us; 0 = none */
    uint64_t seen;       /* http->changes before the last look at the state */
};

/* The thread that wakes waiting requests, notices vanished peers and keeps the deadlines. */
struct keeper {
    pthread_t thread;
    bool running;
    int epoll_fd, event_fd;
    _Atomic bool poked;
    _Atomic uint64_t changes; /* http_notify counts here */
    _Atomic int64_t waiting;
    _Atomic int64_t beat_us; /* when the thread was last awake */
    pthread_mutex_t mutex;   /* of the fields down to quit */
    struct wait *arrived;
    struct conn *opened, *closed;
    bool quit, no_more_waits;
    /* The keeper's own. */
    struct wait *waits;
    struct conn *conns;
    int64_t next_pass_us, next_watch_us, next_deadline_us;
};

CHECKED int keeper_start(struct http *h, struct error *err);
/* Ends the thread; before, everything that waits is woken and nobody waits from then on. */
void keeper_stop(struct http *h);
/* After the daemons have stopped: frees the connections that are left. */
void keeper_free(struct http *h);
void keeper_poke(struct keeper *k);
/*
 * Suspends the connection of `w` and watches over it; false when the server no longer allows
 * waiting. Event thread only; the request must not be touched afterwards until it is called again.
 */
bool keeper_suspend(struct http *h, struct wait *w);
void keeper_conn_opened(struct http *h, struct conn *c);
/* The descriptor is about to be closed; the keeper frees `c` later. */
void keeper_conn_closed(struct http *h, struct conn *c);
/* From now on nobody can start to wait; whoever waits is woken. */
void keeper_end_waits(struct http *h);

/* ---------------------------------------------------------------- deadline.c */

enum conn_phase {
    PHASE_HEADERS, /* from accept, or from the first line of a later request */
    PHASE_IDLE,    /* between requests */
    PHASE_BODY,
    PHASE_BUSY,  /* a handler runs or waits: no deadline here */
    PHASE_WRITE, /* an answer or a stream is on its way */
};

/* One accepted connection. */
struct conn {
    struct http *http;
    struct MHD_Connection *mhd;
    int fd;
    char peer[AUTH_SOURCE_BYTES]; /* its address */
    pthread_mutex_t mutex;        /* fd may be used by others than the event thread while !closed */
    bool closed;
    _Atomic uint64_t mark; /* phase and the time at which it began, in one */
    _Atomic int64_t body_bytes;
    _Atomic bool gone;    /* the peer has closed its side */
    _Atomic bool watched; /* registered with the keeper's epoll */
    bool over_limit;      /* accepted from the reserve: every request is answered 503 */
    int64_t n_requests;
    struct conn *next_opened, *next_closed; /* in the lists of the keeper */
    /* The keeper's own. */
    struct conn *next, *prev;
    bool listed;
    uint64_t last_mark;    /* what follows was observed under this mark */
    int64_t idle_received; /* bytes that had arrived when it fell idle; -1 = not looked yet */
    int64_t left_us;       /* when the peer was seen to have closed */
    int64_t moved_us;      /* when its output last moved, or its next request began */
    uint64_t moved_acked;  /* acknowledged then */
    int moved_queued;      /* and still queued */
};

void conn_mark(struct conn *c, enum conn_phase phase);
enum conn_phase conn_phase(const struct conn *c);
/* Cuts the connection if it is past its deadline. Keeper thread only. */
void deadline_check(struct http *h, struct conn *c, int64_t now_us);
/* How often deadlines have to be looked at. */
int64_t deadline_tick_us(const struct http_config *config);

/* -------------------------------------------------------- requests, responses */

struct request {
    struct http *http;
    struct conn *conn;
    struct arena *mem;
    char id[HTTP_MAX_ID + 1];
    const char *raw;         /* the target as sent */
    const char *method_name; /* as sent */
    enum http_method method;
    bool http10;
    bool seen; /* the handler side knows of it: counted and logged */
    bool streaming;
    bool dirty; /* the stream has filled more of its buffer than it needs when dry */
    struct auth_result who;
    struct error *refusal; /* decided before the handler; NULL = none */
    char *allow;           /* for 405 and OPTIONS */
    struct pair *headers;
    size_t n_headers;
    struct framing framing;
    struct target target;
    struct match match;
    struct buf body;
    int64_t body_charged; /* to the budget of all requests */
    struct doc *doc;      /* of the body, once asked for */
    struct wait wait;
    void *kept;
    void (*release)(void *state);
    struct response_stream stream;
    int status;
    int64_t bytes_out;
    int64_t started_us;
};

#define RESPONSE_MAX_HEADERS 24

struct response_private {
    struct arena *mem;
    struct pair headers[RESPONSE_MAX_HEADERS];
    size_t n_headers;
    int64_t deadline_us;
    bool (*ready)(void *state);
    struct response_stream stream;
    bool streaming;
};

void response_init(struct response *res, struct response_private *priv, struct arena *mem);
const char *response_find_header(const struct response *res, const char *name);
/* Replaces the body by the problem document of `err`. */
void response_problem(struct response *res, const struct error *err, const char *request_id);
/* Is the message of this error for our log only? The caller gets the title then. */
bool problem_is_private(const struct error *err);
/* Does If-None-Match name this entity tag? */
bool etag_matches(const char *if_none_match, const char *etag);
/* Appends `json` indented by two blanks; numbers and strings are copied as they are. */
void json_indent(struct buf *out, const char *json, size_t n);

/* ------------------------------------------------------------------ measure.c */

/* Of a request that has ended. */
void measure_request(const struct request *req);
/* Of one that is refused with this reason, where that says something about the load. */
void measure_refusal(const char *reason);
/* Of a connection that is cut in this phase. */
void measure_late(enum conn_phase phase);

/* -------------------------------------------------------------------- server */

struct http {
    struct http_config config; /* every value set */
    struct app *app;
    struct log *log;
    struct route *routes; /* those of our role */
    struct router *router;
    char address[80];
    int listen_fd;
    struct MHD_Daemon *daemons[HTTP_MAX_THREADS];
    size_t n_daemons;
    int64_t hard_limit;       /* connections beyond are closed at once */
    unsigned char id_base[8]; /* of request ids: random */
    _Atomic uint32_t n_ids;
    _Atomic bool draining, stopping;
    _Atomic int64_t connections, in_flight, streams, body_bytes;
    pthread_mutex_t mutex; /* of `idle` */
    pthread_cond_t idle;   /* in_flight may have become 0 */
    struct keeper keeper;
};

/* Are there more connections besides streams than such may be? */
static inline bool http_is_crowded(const struct http *h)
{
    return atomic_load(&h->connections) - atomic_load(&h->streams) >
           h->config.max_connections - h->config.max_streams;
}

/* server_exchange.c: the callbacks, declared with their libmicrohttpd types where they are used. */
void exchange_resume(struct conn *c);
void exchange_suspend(struct conn *c);

#endif

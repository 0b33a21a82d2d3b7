#include "tests/support/fake_api.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/buf.h"

struct fake_api {
    struct MHD_Daemon *daemon;
    fake_api_fn *answer;
    void *arg;
    char url[64];
    _Atomic unsigned requests, connections;
};

/* One request, from its first line to the end of its answer. */
struct talk {
    struct buf body;
    struct arena *mem;
    struct fake_answer out;
    uint64_t total;
};

const char *fake_api_url(const struct fake_api *a)
{
    return a->url;
}

unsigned fake_api_requests(const struct fake_api *a)
{
    return atomic_load(&a->requests);
}

unsigned fake_api_connections(const struct fake_api *a)
{
    return atomic_load(&a->connections);
}

const char *fake_header(const struct fake_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *fake_param(const struct fake_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

static ssize_t send_piece(void *arg, uint64_t at, char *to, size_t room)
{
    struct talk *t = arg;
    size_t n = room, offset;

    if (t->out.cut_after > 0 && at >= t->out.cut_after)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (at >= t->total)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (t->out.pause_ms > 0)
        usleep((useconds_t)t->out.pause_ms * 1000);
    offset = (size_t)(at % t->out.n_body);
    if (n > t->out.n_body - offset)
        n = t->out.n_body - offset;
    if (t->out.piece > 0 && n > t->out.piece)
        n = t->out.piece;
    if (t->out.cut_after > 0 && n > t->out.cut_after - at)
        n = t->out.cut_after - (size_t)at;
    memcpy(to, t->out.body + offset, n);
    return (ssize_t)n;
}

static void finish(void *arg, struct MHD_Connection *c, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct talk *t = *state;

    (void)arg;
    (void)c;
    (void)why;
    if (!t)
        return;
    buf_release(&t->body);
    arena_free(t->mem);
    free(t);
    *state = NULL;
}

static enum MHD_Result reply(struct MHD_Connection *c, struct talk *t)
{
    struct MHD_Response *r;
    enum MHD_Result rc;

    if (t->out.status < 0)
        return MHD_NO;
    if (!t->out.body)
        t->out.body = "";
    if (t->out.n_body == 0)
        t->out.n_body = strlen(t->out.body);
    t->total = t->out.n_body * (t->out.repeat ? t->out.repeat : 1);
    if (t->total == 0)
        r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    else
        r = MHD_create_response_from_callback(t->out.chunked ? MHD_SIZE_UNKNOWN : t->total,
                                              256 << 10, send_piece, t, NULL);
    for (int i = 0; i < FAKE_HEADERS && t->out.headers[i].name; i++)
        MHD_add_response_header(r, t->out.headers[i].name, t->out.headers[i].value);
    rc = MHD_queue_response(c, t->out.status ? (unsigned)t->out.status : 200, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *n, void **state)
{
    struct fake_api *a = arg;
    struct talk *t = *state;
    struct fake_request r = {.method = method, .path = url, .connection = c};
    const union MHD_ConnectionInfo *info;

    (void)version;
    if (!t) {
        t = xalloc(sizeof *t);
        t->body = BUF_INIT((size_t)64 << 20);
        t->mem = arena_new();
        *state = t;
        return MHD_YES;
    }
    if (*n > 0) {
        buf_put(&t->body, bytes, *n);
        *n = 0;
        return MHD_YES;
    }
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    r.query = info && info->socket_context ? *(char **)info->socket_context : "";
    r.body = buf_str(&t->body);
    r.n_body = t->body.len;
    atomic_fetch_add(&a->requests, 1);
    a->answer(a->arg, &r, t->mem, &t->out);
    return reply(c, t);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    struct fake_api *a = arg;

    (void)c;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_fetch_add(&a->connections, 1);
        *state = xalloc(sizeof(char *));
        *(char **)*state = xstrdup("");
    } else {
        free(*(char **)*state);
        free(*state);
    }
}

/* Keeps the query as it was sent: what the test asks for is whether it was encoded right. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const char *query = strchr(uri, '?');
    char **kept = info ? info->socket_context : NULL;

    (void)arg;
    if (kept) {
        free(*kept);
        *kept = xstrdup(query ? query + 1 : "");
    }
    return NULL;
}

struct fake_api *fake_api_start(fake_api_fn *answer, void *arg)
{
    struct fake_api *a = xalloc(sizeof *a);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    a->answer = answer;
    a->arg = arg;
    a->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
        NULL, on_request, a, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at,
        MHD_OPTION_NOTIFY_COMPLETED, finish, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, a,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)1 << 20, MHD_OPTION_END);
    if (!a->daemon)
        abort();
    snprintf(a->url, sizeof a->url, "http://127.0.0.1:%u",
             MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    return a;
}

void fake_api_stop(struct fake_api *a)
{
    MHD_stop_daemon(a->daemon);
    free(a);
}

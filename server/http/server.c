#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "server/http/server_exchange.h"

/*
 * Memory of one connection. It has to hold 32 KiB of headers and what libmicrohttpd keeps beside
 * them. Above 32 KiB the library maps it, so that a follower, which uses little of it, costs the
 * few pages it touches and not the whole.
 */
#define CONN_MEMORY         ((size_t)48 << 10)
#define RESERVE_CONNECTIONS 128 /* accepted beyond the limit, to be told so */
#define OTHER_DESCRIPTORS   256 /* the store, logs, files and databases of runs */

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

/* How many of the connections may be streams when nobody has said. */
static int64_t streams_of(int64_t connections)
{
    return connections - (connections > 2048 ? 1024 : connections / 2);
}

static void set_config(struct http *h, const struct http_config *given)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct http_config *c = &h->config;

    *c = *given;
    c->threads = or_default(c->threads, cores > 1 ? 2 : 1);
    if (c->threads > HTTP_MAX_THREADS)
        c->threads = HTTP_MAX_THREADS;
    c->max_connections = or_default(c->max_connections, 12000);
    c->max_streams = or_default(c->max_streams, streams_of(c->max_connections));
    if (c->max_streams >= c->max_connections)
        c->max_streams = c->max_connections - 1;
    c->header_timeout_ms = or_default(c->header_timeout_ms, 10000);
    c->body_timeout_ms = or_default(c->body_timeout_ms, 60000);
    c->idle_timeout_ms = or_default(c->idle_timeout_ms, 75000);
    c->write_timeout_ms = or_default(c->write_timeout_ms, 60000);
    c->max_body_bytes = or_default(c->max_body_bytes, (int64_t)1 << 20);
    c->max_big_body_bytes = or_default(c->max_big_body_bytes, (int64_t)8 << 20);
    c->max_bodies_bytes = or_default(c->max_bodies_bytes, (int64_t)64 << 20);
    if (!c->base_path)
        c->base_path = "";
}

/* Takes fewer connections than configured, so that the service keeps descriptors for its work. */
static void make_do_with(struct http_config *c, rlim_t limit)
{
    const int64_t kept = RESERVE_CONNECTIONS + OTHER_DESCRIPTORS;
    int64_t room = limit > (rlim_t)kept + 64 ? (int64_t)limit - kept : 64;

    c->max_connections = room;
    if (c->max_streams > streams_of(room))
        c->max_streams = streams_of(room);
}

/*
 * Descriptors for every connection we promise to take. Where the system does not give them, we
 * promise less and say so: a server at the end of its descriptors neither accepts nor refuses.
 */
static void reserve_descriptors(struct http *h)
{
    struct http_config *c = &h->config;
    rlim_t wanted = (rlim_t)c->max_connections + RESERVE_CONNECTIONS + OTHER_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        struct rlimit more = {.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max,
                              .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
        if (limit.rlim_cur < wanted) {
            make_do_with(c, limit.rlim_cur);
            log_warn(h->log, .message = "too few file descriptors",
                     .fields = {log_int("wanted", (int64_t)wanted),
                                log_int("limit", (int64_t)limit.rlim_cur),
                                log_int("max_connections", c->max_connections),
                                log_int("max_streams", c->max_streams)});
        }
    }
    h->hard_limit = c->max_connections + RESERVE_CONNECTIONS;
}

/* ------------------------------------------------------------------- listening */

/* "127.0.0.1:80", "[::1]:80", ":80" for every address. */
static int resolve(const char *address, struct addrinfo **out, struct error *err)
{
    const char *colon = strrchr(address, ':');
    char host[64];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    size_t n = colon ? (size_t)(colon - address) : 0;
    int64_t port;
    int rc;

    if (!colon || n >= sizeof host || !text_to_int64(colon + 1, strlen(colon + 1), &port) ||
        port < 0 || port > 65535)
        return error_set(err, ERR_CONFIG, "\"%s\" is not an address and a port", address);
    if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    memcpy(host, address, n);
    host[n] = '\0';
    rc = getaddrinfo(!strcmp(host, "localhost") ? "127.0.0.1"
                     : n                        ? host
                                                : NULL,
                     colon + 1, &hints, out);
    if (rc) {
        return error_set(err, ERR_CONFIG, "\"%s:%s\" is not an address and a port: %s", host,
                         colon + 1, gai_strerror(rc));
    }
    return 0;
}

static int bind_socket(struct http *h, const struct addrinfo *info, struct error *err)
{
    int one = 1;

    h->listen_fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (h->listen_fd < 0)
        return error_set_errno(err, errno, "listening on %s", h->config.address);
    setsockopt(h->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(h->listen_fd, info->ai_addr, info->ai_addrlen) < 0 ||
        listen(h->listen_fd, SOMAXCONN) < 0)
        return error_set_errno(err, errno, "listening on %s", h->config.address);
    return 0;
}

static int name_socket(struct http *h, struct error *err)
{
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char host[64], port[8];

    if (getsockname(h->listen_fd, (struct sockaddr *)&bound, &n) < 0)
        return error_set_errno(err, errno, "listening on %s", h->config.address);
    if (getnameinfo((struct sockaddr *)&bound, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return error_set(err, ERR_INTERNAL, "the address of the server has no text");
    snprintf(h->address, sizeof h->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return 0;
}

static int open_listener(struct http *h, struct error *err)
{
    struct addrinfo *info = NULL;
    int rc;

    if (resolve(h->config.address, &info, err) < 0 || !info)
        return -1;
    rc = bind_socket(h, info, err);
    freeaddrinfo(info);
    return rc < 0 ? -1 : name_socket(h, err);
}

/* -------------------------------------------------------------- start and stop */

/* Escapes are decoded once, by us, after the path has been split. */
static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
    (void)cls;
    (void)c;
    return strlen(s);
}

/*
 * Each event thread is a daemon of its own on the shared listening socket, not a member of the
 * library's pool: quiescing a pool while its threads are busy can abort the process, because a
 * descriptor that a thread has just taken out of its epoll set is taken out again.
 */
static struct MHD_Daemon *start_daemon(struct http *h)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME;

    return MHD_start_daemon(
        flags, 0, exchange_accept, h, exchange_handle, h, MHD_OPTION_LISTEN_SOCKET, h->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)h->hard_limit + 1,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONN_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, h, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, exchange_end, h, MHD_OPTION_NOTIFY_CONNECTION,
        exchange_connection, h, MHD_OPTION_END);
}

/* The descriptor stays open until the threads have ended, since they may still name it; but from
 * now on nobody can connect. */
static void stop_listening(struct http *h)
{
    for (size_t i = 0; i < h->n_daemons; i++)
        MHD_quiesce_daemon(h->daemons[i]);
    if (h->listen_fd >= 0)
        shutdown(h->listen_fd, SHUT_RDWR);
}

static void http_free(struct http *h)
{
    /* First, because the library aborts when it is stopped while a connection is suspended. */
    keeper_stop(h);
    for (size_t i = 0; i < h->n_daemons; i++)
        MHD_stop_daemon(h->daemons[i]);
    keeper_free(h);
    if (h->listen_fd >= 0)
        close(h->listen_fd);
    router_free(h->router);
    free(h->routes);
    pthread_cond_destroy(&h->idle);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

/* The routes of the table that this server answers. */
static struct route *choose_routes(enum http_role role, const struct route *routes)
{
    struct route *chosen;
    size_t n = 0, kept = 0;

    while (routes[n].method)
        n++;
    chosen = xalloc((n + 1) * sizeof *chosen);
    for (size_t i = 0; i < n; i++) {
        bool is_operator = routes[i].flags & ROUTE_OPERATOR;

        if (role == HTTP_ALL || is_operator == (role == HTTP_OPERATOR))
            chosen[kept++] = routes[i];
    }
    return chosen;
}

static int start(struct http *h, const struct route *routes, struct error *err)
{
    h->routes = choose_routes(h->config.role, routes);
    if (router_new(h->routes, h->config.base_path, &h->router, err) < 0)
        return -1;
    if (open_listener(h, err) < 0 || keeper_start(h, err) < 0)
        return -1;
    for (int64_t i = 0; i < h->config.threads; i++) {
        struct MHD_Daemon *daemon = start_daemon(h);

        if (!daemon)
            return error_set(err, ERR_RESOURCE, "an event thread cannot be started");
        h->daemons[h->n_daemons++] = daemon;
    }
    return 0;
}

int http_start(const struct http_config *config, const struct route *routes, struct app *app,
               struct log *access_log, struct http **out, struct error *err)
{
    struct http *h = xalloc(sizeof *h);
    pthread_condattr_t attr;

    hash_random(h->id_base, sizeof h->id_base);
    h->app = app;
    h->log = access_log;
    h->listen_fd = h->keeper.epoll_fd = h->keeper.event_fd = -1;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_mutex_init(&h->keeper.mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->idle, &attr);
    pthread_condattr_destroy(&attr);
    set_config(h, config);
    reserve_descriptors(h);
    *out = h; /* before the first event thread: `out` may be what its handlers look at */
    if (start(h, routes, err) < 0) {
        *out = NULL;
        stop_listening(h);
        http_free(h);
        return -1;
    }
    return 0;
}

const char *http_address(const struct http *h)
{
    return h->address;
}

void http_drain(struct http *h)
{
    atomic_store(&h->draining, true);
}

bool http_is_draining(const struct http *h)
{
    return atomic_load(&h->draining);
}

/* Until nothing is in flight, but at least a moment: what has arrived gets read. */
static void wait_until_idle(struct http *h, int64_t grace_ms)
{
    const int64_t settle_us = 20000;
    int64_t now = clock_monotonic_us(), begin = now, end = now + grace_ms * 1000;
    LOCK_GUARD(&h->mutex);

    while (now < end && (atomic_load(&h->in_flight) || now < begin + settle_us)) {
        int64_t until = atomic_load(&h->in_flight) ? end : begin + settle_us;
        struct timespec at = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};

        pthread_cond_timedwait(&h->idle, &h->mutex, &at);
        now = clock_monotonic_us();
    }
}

void http_stop(struct http *h, int64_t grace_ms)
{
    atomic_store(&h->draining, true);
    stop_listening(h);
    atomic_store(&h->stopping, true);
    keeper_end_waits(h);
    wait_until_idle(h, grace_ms);
    http_free(h);
}

struct http_stats http_stats(const struct http *h)
{
    return (struct http_stats){
        .connections = atomic_load(&h->connections),
        .in_flight = atomic_load(&h->in_flight),
        .streams = atomic_load(&h->streams),
        .beat_age_us = clock_monotonic_us() - atomic_load(&h->keeper.beat_us),
    };
}

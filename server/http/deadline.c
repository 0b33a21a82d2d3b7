#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "connectors/base/clock.h"
#include "server/http/internal.h"

/*
 * The timeout of libmicrohttpd counts inactivity: a client that sends one byte a second keeps its
 * connection for ever. Here every phase has a deadline of its own, and what is past it is shut
 * down; the event thread then sees the end of the connection as it sees any other.
 */

#define MIN_BODY_RATE 1024 /* bytes per second, after a grace */
#define RATE_GRACE_US 5000000

#define PHASE_BITS 3

void conn_mark(struct conn *c, enum conn_phase phase)
{
    uint64_t mark = (uint64_t)clock_monotonic_us() << PHASE_BITS | phase;

    atomic_store(&c->mark, mark);
}

enum conn_phase conn_phase(const struct conn *c, int64_t *out_since_us)
{
    uint64_t mark = atomic_load(&c->mark);

    *out_since_us = (int64_t)(mark >> PHASE_BITS);
    return (enum conn_phase)(mark & ((1U << PHASE_BITS) - 1));
}

/* Received bytes, as the kernel counts them; -1 where it does not tell. */
static int64_t received_bytes(int fd, int64_t *out_acked)
{
    struct tcp_info info;
    socklen_t n = sizeof info;

    info.tcpi_bytes_received = 0;
    info.tcpi_bytes_acked = 0;
    *out_acked = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        return -1;
    *out_acked = (int64_t)info.tcpi_bytes_acked;
    return (int64_t)info.tcpi_bytes_received;
}

static int64_t header_limit_us(const struct http *h)
{
    /* While places are short, whoever has not said what it wants has to hurry. */
    int64_t ms = h->config.header_timeout_ms;

    if (atomic_load(&h->connections) - atomic_load(&h->streams) > h->config.max_connections &&
        ms > 1000)
        ms = 1000;
    return ms * 1000;
}

/* Between requests: the long limit until the first byte of the next one, then the short one. */
static bool idle_is_late(struct http *h, struct conn *c, int64_t since, int64_t now, bool fresh)
{
    int64_t acked, received = received_bytes(c->fd, &acked);

    if (fresh)
        c->idle_received = received;
    if (received > c->idle_received) {
        if (!c->moved_us)
            c->moved_us = now;
        return now - c->moved_us > header_limit_us(h);
    }
    c->moved_us = 0;
    return now - since > h->config.idle_timeout_ms * 1000;
}

static bool body_is_late(const struct http *h, struct conn *c, int64_t since, int64_t now)
{
    int64_t age = now - since, limit = h->config.body_timeout_ms * 1000;
    int64_t grace = limit / 2 < RATE_GRACE_US ? limit / 2 : RATE_GRACE_US;

    if (age > limit)
        return true;
    return age > grace && atomic_load(&c->body_bytes) < age / 1000000 * MIN_BODY_RATE;
}

/* A peer that reads nothing while there is something to read. */
static bool write_is_stalled(const struct http *h, struct conn *c, int64_t now, bool fresh)
{
    int64_t acked;
    int queued = 0;

    received_bytes(c->fd, &acked);
    if (ioctl(c->fd, SIOCOUTQ, &queued) < 0)
        queued = 0;
    if (fresh || !queued || queued != c->moved_queued || (uint64_t)acked != c->moved_acked) {
        c->moved_us = now;
        c->moved_queued = queued;
        c->moved_acked = (uint64_t)acked;
        return false;
    }
    return now - c->moved_us > h->config.write_timeout_ms * 1000;
}

static bool is_late(struct http *h, struct conn *c, int64_t now)
{
    int64_t since;
    enum conn_phase phase = conn_phase(c, &since);
    uint64_t mark = (uint64_t)since << PHASE_BITS | phase;
    bool fresh = mark != c->last_mark;

    c->last_mark = mark;
    if (fresh)
        c->moved_us = 0;
    switch (phase) {
    case PHASE_HEADERS:
        return now - since > header_limit_us(h);
    case PHASE_IDLE:
        return idle_is_late(h, c, since, now, fresh);
    case PHASE_BODY:
        return body_is_late(h, c, since, now);
    case PHASE_WRITE:
        return write_is_stalled(h, c, now, fresh);
    case PHASE_BUSY:
        return false;
    }
    return false;
}

void deadline_check(struct http *h, struct conn *c, int64_t now_us)
{
    LOCK_GUARD(&c->mutex);

    if (!c->closed && is_late(h, c, now_us))
        shutdown(c->fd, SHUT_RDWR);
}

int64_t deadline_tick_us(const struct http_config *config)
{
    int64_t least = config->header_timeout_ms;

    if (config->body_timeout_ms < least)
        least = config->body_timeout_ms;
    if (config->idle_timeout_ms < least)
        least = config->idle_timeout_ms;
    if (config->write_timeout_ms < least)
        least = config->write_timeout_ms;
    least = least * 1000 / 8;
    return least < 20000 ? 20000 : least > 500000 ? 500000 : least;
}

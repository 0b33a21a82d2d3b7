#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
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

#define LEFT_US 1000000

#define PHASE_BITS 3

void conn_mark(struct conn *c, enum conn_phase phase)
{
    uint64_t mark = (uint64_t)clock_monotonic_us() << PHASE_BITS | phase;

    atomic_store(&c->mark, mark);
}

static enum conn_phase mark_phase(uint64_t mark)
{
    return (enum conn_phase)(mark & ((1U << PHASE_BITS) - 1));
}

static int64_t mark_time(uint64_t mark)
{
    return (int64_t)(mark >> PHASE_BITS);
}

enum conn_phase conn_phase(const struct conn *c)
{
    return mark_phase(atomic_load(&c->mark));
}

/* The states of RFC 9293 as the kernel numbers them; the C library's header cannot be included
 * beside the kernel's, which alone has the counters. */
enum { TCP_STATE_CLOSE = 7, TCP_STATE_CLOSE_WAIT = 8 };

/* What the kernel knows of a connection; zeros where it does not tell. */
static void look_at(int fd, struct tcp_info *out)
{
    socklen_t n = sizeof *out;

    memset(out, 0, sizeof *out);
    (void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, out, &n);
}

static int64_t header_limit_us(const struct http *h)
{
    /* While places are short, whoever has not said what it wants has to hurry. */
    int64_t ms = h->config.header_timeout_ms;

    return (ms > 1000 && http_is_crowded(h) ? 1000 : ms) * 1000;
}

/*
 * The peer has said its last while we still expect something. When its last bytes and the end come
 * together, libmicrohttpd reads the bytes and never learns of the end.
 */
static bool has_left(struct conn *c, const struct tcp_info *info, int64_t now)
{
    if (info->tcpi_state != TCP_STATE_CLOSE_WAIT && info->tcpi_state != TCP_STATE_CLOSE)
        return false;
    if (!c->left_us)
        c->left_us = now;
    return now - c->left_us > LEFT_US;
}

/* Between requests: the long limit until the first byte of the next one, then the short one. */
static bool idle_is_late(struct http *h, struct conn *c, const struct tcp_info *info, int64_t since,
                         int64_t now)
{
    int64_t received = (int64_t)info->tcpi_bytes_received;

    if (!c->moved_us && c->idle_received < 0)
        c->idle_received = received;
    if (received > c->idle_received) {
        if (!c->moved_us)
            c->moved_us = now;
        return now - c->moved_us > header_limit_us(h);
    }
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
static bool write_is_stalled(const struct http *h, struct conn *c, const struct tcp_info *info,
                             int64_t now)
{
    uint64_t acked = info->tcpi_bytes_acked;
    int queued = 0;

    if (ioctl(c->fd, SIOCOUTQ, &queued) < 0)
        queued = 0;
    if (!c->moved_us || !queued || queued != c->moved_queued || acked != c->moved_acked) {
        c->moved_us = now;
        c->moved_queued = queued;
        c->moved_acked = acked;
        return false;
    }
    return now - c->moved_us > h->config.write_timeout_ms * 1000;
}

/* A new phase begins: what was observed of the last one says nothing about it. */
static void forget(struct conn *c, uint64_t mark)
{
    c->last_mark = mark;
    c->moved_us = c->left_us = 0;
    c->idle_received = -1;
}

static bool is_late(struct http *h, struct conn *c, int64_t now)
{
    uint64_t mark = atomic_load(&c->mark);
    int64_t since = mark_time(mark);
    struct tcp_info info;

    if (mark != c->last_mark)
        forget(c, mark);
    if (mark_phase(mark) == PHASE_BUSY)
        return false;
    look_at(c->fd, &info);
    switch (mark_phase(mark)) {
    case PHASE_HEADERS:
        return has_left(c, &info, now) || now - since > header_limit_us(h);
    case PHASE_IDLE:
        return has_left(c, &info, now) || idle_is_late(h, c, &info, since, now);
    case PHASE_BODY:
        return has_left(c, &info, now) || body_is_late(h, c, since, now);
    case PHASE_WRITE:
        return write_is_stalled(h, c, &info, now);
    case PHASE_BUSY:
        break;
    }
    return false;
}

void deadline_check(struct http *h, struct conn *c, int64_t now_us)
{
    LOCK_GUARD(&c->mutex);

    if (!c->closed && is_late(h, c, now_us)) {
        if (!c->left_us)
            measure_late(mark_phase(c->last_mark));
        shutdown(c->fd, SHUT_RDWR);
    }
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

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "server/http/internal.h"

/*
 * The keeper. Event threads hand over what waits; from then on only this thread touches it, so
 * that `ready` is asked without a lock and a request is woken exactly once. Each wake-up makes
 * libmicrohttpd walk its whole list of suspended connections, and it never notices that the peer
 * of a suspended one has gone: so wake-ups are collected, only what is ready is woken, and a
 * descriptor that has waited once is watched by an epoll set of our own for the rest of its life.
 */

#define BEAT_US    2000000 /* the thread is awake at least so often */
#define PASS_US    10000   /* at most one look at all that wait in this time */
#define MAX_EVENTS 256

void keeper_poke(struct keeper *k)
{
    uint64_t one = 1;

    if (!atomic_exchange(&k->poked, true) && write(k->event_fd, &one, sizeof one) < 0) {
        /* Only a full counter can fail, and then the keeper is awake anyway. */
        atomic_store(&k->poked, false);
    }
}

void http_notify(struct http *h)
{
    struct keeper *k = &h->keeper;

    atomic_fetch_add(&k->changes, 1);
    /* Whoever begins to wait after this reads the new count and pokes by itself. */
    if (atomic_load(&k->waiting))
        keeper_poke(k);
}

bool keeper_suspend(struct http *h, struct wait *w)
{
    struct keeper *k = &h->keeper;

    {
        LOCK_GUARD(&k->mutex);

        if (k->no_more_waits)
            return false;
        atomic_fetch_add(&k->waiting, 1);
        exchange_suspend(w->conn);
        w->next = k->arrived;
        k->arrived = w;
    }
    /* `w` may already run again on behalf of the keeper. */
    keeper_poke(k);
    return true;
}

void keeper_conn_opened(struct http *h, struct conn *c)
{
    {
        LOCK_GUARD(&h->keeper.mutex);
        c->next_opened = h->keeper.opened;
        h->keeper.opened = c;
    }
    keeper_poke(&h->keeper);
}

void keeper_conn_closed(struct http *h, struct conn *c)
{
    {
        LOCK_GUARD(&c->mutex);
        c->closed = true;
        /* Before the keeper can free it: an event of this descriptor must not come later. */
        if (atomic_load(&c->watched))
            epoll_ctl(h->keeper.epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    }
    LOCK_GUARD(&h->keeper.mutex);
    c->next_closed = h->keeper.closed;
    h->keeper.closed = c;
}

void keeper_end_waits(struct http *h)
{
    {
        LOCK_GUARD(&h->keeper.mutex);
        h->keeper.no_more_waits = true;
    }
    keeper_poke(&h->keeper);
}

/* ---------------------------------------------------------------- keeper thread */

static void list_conn(struct keeper *k, struct conn *c)
{
    c->listed = true;
    c->prev = NULL;
    c->next = k->conns;
    if (k->conns)
        k->conns->prev = c;
    k->conns = c;
}

static void free_conn(struct keeper *k, struct conn *c)
{
    if (c->listed) {
        if (c->next)
            c->next->prev = c->prev;
        if (c->prev)
            c->prev->next = c->next;
        else
            k->conns = c->next;
    }
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

static void watch_peer(struct keeper *k, struct conn *c)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

    /* The connection is suspended, so nobody closes its descriptor meanwhile. */
    if (!atomic_load(&c->watched) && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0)
        atomic_store(&c->watched, true);
}

/* Takes over what the event threads have left; true when nobody is to wait any longer. */
static bool take_over(struct keeper *k, bool *out_quit)
{
    struct wait *arrived;
    struct conn *opened, *closed;
    bool end;

    {
        LOCK_GUARD(&k->mutex);
        arrived = k->arrived;
        opened = k->opened;
        closed = k->closed;
        k->arrived = NULL;
        k->opened = k->closed = NULL;
        end = k->no_more_waits;
        *out_quit = k->quit;
    }
    for (struct conn *c = opened, *next; c; c = next) {
        next = c->next_opened;
        list_conn(k, c);
    }
    for (struct wait *w = arrived, *next; w; w = next) {
        next = w->next;
        watch_peer(k, w->conn);
        w->next = k->waits;
        k->waits = w;
        if (w->deadline_us && w->deadline_us < k->next_deadline_us)
            k->next_deadline_us = w->deadline_us;
    }
    for (struct conn *c = closed, *next; c; c = next) {
        next = c->next_closed;
        free_conn(k, c);
    }
    return end;
}

static bool is_due(struct wait *w, uint64_t changes, int64_t now)
{
    if (atomic_load(&w->conn->gone) || (w->deadline_us && now >= w->deadline_us))
        return true;
    if (w->seen == changes)
        return false;
    w->seen = changes;
    return !w->ready || w->ready(w->ctx);
}

/* One look at everything that waits. */
static void pass(struct keeper *k, bool end)
{
    int64_t now = clock_monotonic_us();
    uint64_t changes = atomic_load(&k->changes);
    struct wait **link = &k->waits;

    k->next_deadline_us = INT64_MAX;
    while (*link) {
        struct wait *w = *link;

        if (end || is_due(w, changes, now)) {
            *link = w->next;
            atomic_fetch_sub(&k->waiting, 1);
            exchange_resume(w->conn);
            continue;
        }
        if (w->deadline_us && w->deadline_us < k->next_deadline_us)
            k->next_deadline_us = w->deadline_us;
        link = &w->next;
    }
    k->next_pass_us = now + PASS_US;
}

static void watch_deadlines(struct http *h, int64_t now)
{
    for (struct conn *c = h->keeper.conns; c; c = c->next)
        deadline_check(h, c, now);
    h->keeper.next_watch_us = now + deadline_tick_us(&h->config);
}

/* Milliseconds until something has to be done without being asked, or to show that we are alive. */
static int time_left(const struct keeper *k, bool wanted)
{
    int64_t now = clock_monotonic_us(), at = now + BEAT_US;

    if (k->waits && k->next_deadline_us < at)
        at = k->next_deadline_us;
    if (wanted || at < k->next_pass_us)
        at = k->next_pass_us;
    if (k->conns && k->next_watch_us < at)
        at = k->next_watch_us;
    return at <= now ? 0 : (int)((at - now + 999) / 1000);
}

/* Collects events; true when a peer has gone or somebody has poked. */
static bool collect(struct keeper *k, int timeout_ms)
{
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(k->epoll_fd, events, MAX_EVENTS, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        uint64_t count;

        if (c)
            atomic_store(&c->gone, true);
        else if (read(k->event_fd, &count, sizeof count) < 0)
            continue; /* drained already */
    }
    return n > 0;
}

static void *keeper_main(void *arg)
{
    struct http *h = arg;
    struct keeper *k = &h->keeper;
    bool wanted = false, quit = false;

    pthread_setname_np(pthread_self(), "http-keeper");
    while (!quit) {
        int64_t now;
        bool watch;

        wanted |= collect(k, time_left(k, wanted));
        now = clock_monotonic_us();
        atomic_store(&k->beat_us, now);
        watch = k->conns && now >= k->next_watch_us;
        if (now >= k->next_pass_us && (wanted || watch || now >= k->next_deadline_us)) {
            /* Not earlier: as long as it is set, pokes cost nothing, however many they are. */
            atomic_store(&k->poked, false);
            pass(k, take_over(k, &quit));
            wanted = false;
        }
        if (watch)
            watch_deadlines(h, now);
    }
    return NULL;
}

int keeper_start(struct http *h, struct error *err)
{
    struct keeper *k = &h->keeper;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int rc;

    k->next_deadline_us = INT64_MAX;
    k->beat_us = clock_monotonic_us();
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    k->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->epoll_fd < 0 || k->event_fd < 0)
        return error_set_errno(err, errno, "preparing to wait for connections");
    if (epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, k->event_fd, &event) < 0)
        return error_set_errno(err, errno, "preparing to wait for connections");
    rc = pthread_create(&k->thread, NULL, keeper_main, h);
    if (rc)
        return error_set_errno(err, rc, "starting the thread of the HTTP server");
    k->running = true;
    return 0;
}

void keeper_stop(struct http *h)
{
    struct keeper *k = &h->keeper;

    if (!k->running)
        return;
    {
        LOCK_GUARD(&k->mutex);
        k->no_more_waits = k->quit = true;
    }
    keeper_poke(k);
    pthread_join(k->thread, NULL);
    k->running = false;
}

void keeper_free(struct http *h)
{
    struct keeper *k = &h->keeper;
    bool quit;

    take_over(k, &quit);
    while (k->conns)
        free_conn(k, k->conns);
    if (k->epoll_fd >= 0)
        close(k->epoll_fd);
    if (k->event_fd >= 0)
        close(k->event_fd);
    pthread_mutex_destroy(&k->mutex);
}

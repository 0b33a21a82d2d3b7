#include "connectors/base/cancel.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"

struct cancel {
    _Atomic int why;
    int fd;
    pthread_mutex_t lock; /* of the list; never held across anything that waits */
    struct cancel_watch *watches;
};

int cancel_new(struct cancel **out, struct error *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct cancel *c;

    if (fd < 0)
        return error_set_errno(err, errno, "creating a cancellation token");
    c = xalloc(sizeof *c);
    c->fd = fd;
    if (pthread_mutex_init(&c->lock, NULL) != 0)
        abort();
    *out = c;
    return 0;
}

void cancel_free(struct cancel *c)
{
    if (!c)
        return;
    assert(!c->watches);
    pthread_mutex_destroy(&c->lock);
    close(c->fd);
    free(c);
}

void cancel_request(struct cancel *c, enum cancel_reason why)
{
    int none = CANCEL_NONE;
    uint64_t one = 1;

    assert(why != CANCEL_NONE);
    if (!atomic_compare_exchange_strong(&c->why, &none, (int)why))
        return;
    /* An eventfd that nobody reads cannot be full after one write. */
    if (write(c->fd, &one, sizeof one) < 0)
        abort();
    pthread_mutex_lock(&c->lock);
    for (struct cancel_watch *w = c->watches; w; w = w->next)
        shutdown(w->fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->lock);
}

enum cancel_reason cancel_requested(const struct cancel *c)
{
    return (enum cancel_reason)atomic_load(&c->why);
}

int cancel_fd(const struct cancel *c)
{
    return c->fd;
}

const char *cancel_reason_name(enum cancel_reason why)
{
    static const char *const names[] = {
        [CANCEL_NONE] = "none",
        [CANCEL_USER] = "user",
        [CANCEL_TIMEOUT] = "timeout",
        [CANCEL_IDLE_TIMEOUT] = "idle_timeout",
        [CANCEL_SHUTDOWN] = "shutdown",
        [CANCEL_DISCONNECT] = "disconnect",
        [CANCEL_SUPERSEDED] = "superseded",
    };

    return names[why];
}

int cancel_check(const struct cancel *c, struct error *err)
{
    enum cancel_reason why = cancel_requested(c);

    if (why == CANCEL_NONE)
        return 0;
    return error_set(err, ERR_CANCELLED, "stopped (%s)", cancel_reason_name(why));
}

int cancel_sleep_ms(const struct cancel *c, int64_t ms, struct error *err)
{
    int64_t end = clock_monotonic_us() + ms * 1000;

    for (;;) {
        int64_t left = end - clock_monotonic_us();
        struct pollfd p = {.fd = c->fd, .events = POLLIN};

        if (cancel_check(c, err) < 0)
            return -1;
        if (left <= 0)
            return 0;
        poll(&p, 1, left > 60000000 ? 60000 : (int)((left + 999) / 1000));
    }
}

void cancel_watch_socket(struct cancel *c, struct cancel_watch *w, int fd)
{
    *w = (struct cancel_watch){.of = c, .fd = fd};
    pthread_mutex_lock(&c->lock);
    w->next = c->watches;
    c->watches = w;
    /* A request that came before has walked the list without this one. */
    if (atomic_load(&c->why) != CANCEL_NONE)
        shutdown(fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->lock);
}

void cancel_unwatch(struct cancel_watch *w)
{
    struct cancel *c = w->of;

    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    for (struct cancel_watch **at = &c->watches; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    *w = (struct cancel_watch){0};
}

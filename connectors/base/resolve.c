#include "connectors/base/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/egress.h"
#include "connectors/base/text.h"

/* More addresses than this are more than anybody wants to wait for. */
#define MAX_ADDRESSES 8

/*
 * One question. It belongs to its asker and to the C library's thread at once, since a question
 * under way cannot be taken back: whoever lets go last frees it.
 */
struct question {
    struct gaicb ask;
    struct addrinfo hints;
    char *host, port[24];
    int done; /* readable once there is an answer */
    _Atomic int owners;
};

static void let_go(struct question *q)
{
    if (atomic_fetch_sub(&q->owners, 1) > 1)
        return;
    if (q->ask.ar_result)
        freeaddrinfo(q->ask.ar_result);
    close(q->done);
    free(q->host);
    free(q);
}

static void on_answer(union sigval arg)
{
    struct question *q = arg.sival_ptr;
    uint64_t one = 1;

    if (write(q->done, &one, sizeof one) < 0)
        abort(); /* an eventfd with one write in it is not full */
    let_go(q);
}

static int check_host(const char *host, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-_:";

    if (*host == '\0' || host[strspn(host, allowed)] != '\0')
        return error_set_reason(err, ERR_CONFIG, "host_invalid",
                                "the host \"%s\" is not one name or address", host);
    return 0;
}

static int ask(const char *host, int64_t port, struct question **out, struct error *err)
{
    struct question *q = xalloc(sizeof *q);
    struct gaicb *list[1] = {&q->ask};
    struct sigevent when_done = {.sigev_notify = SIGEV_THREAD,
                                 .sigev_notify_function = on_answer,
                                 .sigev_value = {.sival_ptr = q}};
    int rc;

    q->done = eventfd(0, EFD_CLOEXEC);
    if (q->done < 0) {
        free(q);
        return error_set_errno(err, errno, "resolving \"%s\"", host);
    }
    q->host = xstrdup(host);
    text_from_int64(port, q->port);
    q->hints = (struct addrinfo){
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    q->ask.ar_name = q->host;
    q->ask.ar_service = q->port;
    q->ask.ar_request = &q->hints;
    atomic_store(&q->owners, 2);
    rc = getaddrinfo_a(GAI_NOWAIT, list, 1, &when_done);
    if (rc != 0) {
        atomic_store(&q->owners, 1);
        let_go(q);
        return error_set(err, ERR_RESOURCE, "resolving \"%s\": %s", host, gai_strerror(rc));
    }
    *out = q;
    return 0;
}

static int wait_for_answer(struct question *q, int64_t deadline_us, struct cancel *cancel,
                           struct error *err)
{
    for (;;) {
        int64_t left_ms = (deadline_us - clock_monotonic_us()) / 1000;
        struct pollfd p[] = {{.fd = q->done, .events = POLLIN},
                             {.fd = cancel_fd(cancel), .events = POLLIN}};

        if (cancel_check(cancel, err) < 0)
            return -1;
        if (left_ms <= 0)
            return error_set_reason(err, ERR_TRANSIENT, "host_unknown",
                                    "no name server answered in time for the host \"%s\"", q->host);
        poll(p, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (p[0].revents)
            return 0;
    }
}

/* Everything else may be a passing fault of the name servers. */
static bool name_is_wrong(int rc)
{
    return rc == EAI_NONAME || rc == EAI_NODATA || rc == EAI_FAMILY;
}

static int take_answer(struct question *q, struct arena *mem, struct resolved *out,
                       struct error *err)
{
    /* The callback ran after the answer was stored, and its eventfd orders the two. */
    int rc = gai_error(&q->ask);
    struct error refused = ERROR_INIT;
    char text[NI_MAXHOST];

    if (rc != 0)
        return error_set_reason(err, name_is_wrong(rc) ? ERR_CONFIG : ERR_TRANSIENT, "host_unknown",
                                "the host \"%s\" has no address: %s", q->host, gai_strerror(rc));
    out->n = 0;
    out->addresses = arena_array(mem, MAX_ADDRESSES, sizeof *out->addresses);
    for (struct addrinfo *a = q->ask.ar_result; a && out->n < MAX_ADDRESSES; a = a->ai_next) {
        refused = ERROR_INIT;
        if (egress_check(q->host, a->ai_addr, &refused) == 0 &&
            getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            out->addresses[out->n++] = arena_strdup(mem, text);
    }
    if (out->n == 0 && refused.code != ERR_NONE) {
        *err = refused;
        return -1;
    }
    if (out->n == 0)
        return error_set_reason(err, ERR_CONFIG, "host_unknown", "the host \"%s\" has no address",
                                q->host);
    return 0;
}

int resolve_host(const char *host, int64_t port, int64_t deadline_us, struct cancel *cancel,
                 struct arena *mem, struct resolved *out, struct error *err)
{
    struct question *q;
    int rc;

    if (check_host(host, err) < 0 || ask(host, port, &q, err) < 0)
        return -1;
    rc = wait_for_answer(q, deadline_us, cancel, err);
    if (rc == 0)
        rc = take_answer(q, mem, out, err);
    let_go(q);
    return rc;
}

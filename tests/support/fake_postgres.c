#include "tests/support/fake_postgres.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_postgres {
    const struct fake_answer *answers;
    size_t n;
    int listener, stop[2];
    int64_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    char seen[1 << 16];
    size_t n_seen;
};

/* False when there is nothing more to read, or all is to end. */
static bool wait_readable(const struct fake_postgres *s, int fd)
{
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};

    poll(p, 2, -1);
    return !p[1].revents;
}

static bool hear(struct fake_postgres *s, int fd)
{
    char bytes[4096];
    ssize_t n;

    if (!wait_readable(s, fd))
        return false;
    n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        return false;
    pthread_mutex_lock(&s->lock);
    if (s->n_seen + (size_t)n <= sizeof s->seen) {
        memcpy(s->seen + s->n_seen, bytes, (size_t)n);
        s->n_seen += (size_t)n;
    }
    pthread_mutex_unlock(&s->lock);
    return true;
}

static bool say(const struct fake_answer *a, int fd)
{
    for (size_t i = 0; i < (a->times ? a->times : 1); i++) {
        for (size_t done = 0; done < a->n;) {
            ssize_t n = send(fd, a->bytes + done, a->n - done, MSG_NOSIGNAL);

            if (n <= 0)
                return false;
            done += (size_t)n;
        }
    }
    return !a->hang_up;
}

static void serve(struct fake_postgres *s, int fd)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!hear(s, fd) || !say(&s->answers[i], fd))
            return;
    }
    while (hear(s, fd))
        ;
}

static void *run(void *arg)
{
    struct fake_postgres *s = arg;

    while (wait_readable(s, s->listener)) {
        int fd = accept(s->listener, NULL, NULL);

        if (fd < 0)
            continue;
        serve(s, fd);
        close(fd);
    }
    return NULL;
}

struct fake_postgres *fake_postgres_start(const struct fake_answer *answers, size_t n)
{
    struct fake_postgres *s = calloc(1, sizeof *s);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    s->answers = answers;
    s->n = n;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&at, len) < 0 || listen(s->listener, 8) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&at, &len) < 0 || pipe(s->stop) < 0)
        abort();
    s->port = ntohs(at.sin_port);
    pthread_mutex_init(&s->lock, NULL);
    pthread_create(&s->thread, NULL, run, s);
    return s;
}

int64_t fake_postgres_port(const struct fake_postgres *s)
{
    return s->port;
}

bool fake_postgres_saw(struct fake_postgres *s, const char *bytes)
{
    bool saw;

    pthread_mutex_lock(&s->lock);
    saw = memmem(s->seen, s->n_seen, bytes, strlen(bytes)) != NULL;
    pthread_mutex_unlock(&s->lock);
    return saw;
}

void fake_postgres_stop(struct fake_postgres *s)
{
    close(s->stop[1]); /* makes the other end readable for ever */
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

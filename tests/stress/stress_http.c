/*
 * Clients of every temper against a server that is notified all the time and stopped in the middle.
 * A plain program, for ThreadSanitizer: `stress_http [SECONDS]`. It ends with 0 when everything
 * that was taken has been released and every honest request was answered.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/http_peer.h"

#define CLIENTS 64
#define ROUNDS  3

static struct test_server server;
static _Atomic bool over;     /* clients: finish */
static _Atomic bool stopping; /* from here on answers may be missing */
static _Atomic int answered, missing, vanished;

static bool read_answer(int fd, const char *wanted)
{
    char all[8192];
    size_t len = 0;
    ssize_t n;

    while (len + 1 < sizeof all && (n = recv(fd, all + len, sizeof all - 1 - len, 0)) > 0) {
        len += (size_t)n;
        all[len] = '\0';
        if (strstr(all, wanted))
            return true;
    }
    return false;
}

static void count(bool ok)
{
    if (ok)
        atomic_fetch_add(&answered, 1);
    else if (!atomic_load(&stopping))
        atomic_fetch_add(&missing, 1);
}

static void say(int fd, const char *text)
{
    peer_send(fd, text, strlen(text));
}

/* Several requests on one connection. */
static void honest(int fd)
{
    for (int i = 0; i < 5; i++) {
        say(fd, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
        count(read_answer(fd, "plain\n"));
        say(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n{\"abc\": 12}");
        count(read_answer(fd, "{\"abc\":12}\n"));
    }
}

static void waits(int fd)
{
    say(fd, "GET /wait?ms=30 HTTP/1.1\r\nHost: t\r\n\r\n");
    count(read_answer(fd, "{\"open\":"));
}

static void follows(int fd)
{
    say(fd, "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
    count(read_answer(fd, "line 3\n"));
}

static void sends_chunks(int fd)
{
    say(fd, "POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    say(fd, "2\r\n{ \r\n");
    say(fd, "1\r\n}\r\n0\r\n\r\n");
    count(read_answer(fd, "{\"bytes\":3}"));
}

static void vanishes_waiting(int fd)
{
    say(fd, "GET /wait HTTP/1.1\r\nHost: t\r\n\r\n");
    atomic_fetch_add(&vanished, 1);
}

static void vanishes_following(int fd)
{
    say(fd, "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
    (void)read_answer(fd, "line 1\n");
    atomic_fetch_add(&vanished, 1);
}

static void vanishes_in_the_body(int fd)
{
    say(fd, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{");
    atomic_fetch_add(&vanished, 1);
}

static void resets_a_flood(int fd)
{
    struct linger hard = {.l_onoff = 1};

    say(fd, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
    (void)read_answer(fd, "    ");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    atomic_fetch_add(&vanished, 1);
}

static void talks_nonsense(int fd)
{
    say(fd, "POST /small HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}");
    count(read_answer(fd, "bad_request"));
}

static void (*const tempers[])(int fd) = {
    honest,
    waits,
    follows,
    sends_chunks,
    vanishes_waiting,
    vanishes_following,
    vanishes_in_the_body,
    resets_a_flood,
    talks_nonsense,
};

static void *client(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg * 7919 + 1;

    while (!atomic_load(&over)) {
        int fd = peer_try_connect(&server);

        if (fd < 0)
            break; /* stopped */
        seed = seed * 1103515245 + 12345;
        tempers[(seed >> 16) % (sizeof tempers / sizeof tempers[0])](fd);
        close(fd);
    }
    return NULL;
}

static void *notifies(void *arg)
{
    (void)arg;
    for (int i = 0; !atomic_load(&stopping); i++) {
        if (i % 64 == 0)
            test_server_add_lines(&server, 1);
        else
            http_notify(server.http);
        if (i % 4096 == 0)
            usleep(1000);
    }
    return NULL;
}

static bool round_of(int64_t ms)
{
    struct http_config config = {.max_connections = 8192, .max_streams = 100};
    pthread_t clients[CLIENTS], notifier;
    bool balanced;

    atomic_store(&over, false);
    atomic_store(&stopping, false);
    test_server_start(&server, &config);
    pthread_create(&notifier, NULL, notifies, NULL);
    for (uintptr_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, client, (void *)i);
    usleep((useconds_t)ms * 1000);
    atomic_store(&stopping, true);
    pthread_join(notifier, NULL);
    test_server_stop(&server, 500);
    atomic_store(&over, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    balanced = server.kept == server.released;
    printf("answered %d, missing %d, vanished %d; states taken %d, released %d\n", answered,
           missing, vanished, server.kept, server.released);
    return balanced;
}

int main(int argc, char **argv)
{
    int64_t seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 3;
    bool ok = true;

    for (int i = 0; i < ROUNDS; i++)
        ok &= round_of(seconds * 1000 / ROUNDS);
    return ok && missing == 0 && answered > 100 ? 0 : 1;
}

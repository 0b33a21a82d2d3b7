/*
 * connectord health: a probe for containers, which have no curl. One request over a plain socket.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "server/cli.h"

#define TIMEOUT_S 5

static int dial(const char *listen, struct arena *mem)
{
    const struct timeval limit = {.tv_sec = TIMEOUT_S};
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(listen, ':');
    size_t n = (size_t)(colon - listen);
    bool bracketed = n > 2 && listen[0] == '[';
    char *host = arena_memdup(mem, listen + bracketed, bracketed ? n - 2 : n);
    struct addrinfo *address;
    int fd;

    if (getaddrinfo(*host ? host : "127.0.0.1", colon + 1, &hints, &address) != 0)
        return -1;
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(address);
    return fd;
}

/* "HTTP/1.1 200", as much as there is of it. */
static size_t ask(int fd, const char *request, char *out, size_t max)
{
    size_t n = 0;
    ssize_t got;

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return 0;
    do {
        got = recv(fd, out + n, max - n, 0);
        n += got > 0 ? (size_t)got : 0;
    } while (got > 0 && n < max);
    return n;
}

int cli_health(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct settings *settings = &call->config->settings;
    const char *address = *settings->admin_listen ? settings->admin_listen : settings->listen;
    const char *request = arena_printf(mem,
                                       "GET %s/readyz HTTP/1.1\r\nHost: %s\r\n"
                                       "Connection: close\r\n\r\n",
                                       settings->base_path, address);
    char answer[12];
    int fd = dial(address, mem);
    size_t n;

    if (fd < 0) {
        fprintf(stderr, "connectord: nothing answers at %s\n", address);
        return EXIT_RUNTIME;
    }
    n = ask(fd, request, answer, sizeof answer);
    close(fd);
    if (n == sizeof answer && !memcmp(answer, "HTTP/1.", 7) && !memcmp(answer + 9, "200", 3)) {
        puts("ready");
        return EXIT_OK;
    }
    fprintf(stderr, "connectord: the service at %s is not ready (%.*s)\n", address, (int)n, answer);
    return EXIT_RUNTIME;
}

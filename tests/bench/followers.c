/*
 * followers - many clients that follow the log of one run, and what they received.
 *
 *   followers HOST PORT PATH CLIENTS
 *
 * Opens CLIENTS connections to PATH (an NDJSON log with follow=true), reads until every stream has
 * ended, checks that each saw every sequence number once and in order, and prints the latency from
 * a line's timestamp to its arrival. One thread, one epoll set.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384
#define LATENCY_MS_MAX 10000

struct client {
    int fd;
    size_t n;
    long last_seq, lines;
    int broken, ended;
    char *line; /* what has arrived of the present line */
};

static long latencies[LATENCY_MS_MAX + 1];

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Milliseconds since 1970 of "2026-01-02T03:04:05.678Z" at `s`. */
static double when(const char *s)
{
    struct tm tm = {0};
    int ms = 0;

    if (sscanf(s, "%d-%d-%dT%d:%d:%d.%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec, &ms) != 7)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (double)timegm(&tm) * 1e3 + ms;
}

static void take_line(struct client *c, const char *line, double now, int measure)
{
    const char *seq = strstr(line, "\"seq\":");
    const char *ts = strstr(line, "\"ts\":\"");

    if (!seq)
        return; /* heartbeat, chunk size or header */
    long n = strtol(seq + 6, NULL, 10);

    if (n != c->last_seq + 1)
        c->broken = 1;
    c->last_seq = n;
    c->lines++;
    if (strstr(line, "\"type\":\"end\""))
        c->ended = 1;
    if (ts && measure) {
        double late = now - when(ts + 6);

        latencies[late < 0 ? 0 : late > LATENCY_MS_MAX ? LATENCY_MS_MAX : (long)late]++;
    }
}

static void feed(struct client *c, const char *p, size_t n, int measure)
{
    double now = now_ms();

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            c->line[c->n] = '\0';
            take_line(c, c->line, now, measure);
            c->n = 0;
        } else if (c->n < LINE_MAX_BYTES - 1) {
            c->line[c->n++] = p[i];
        }
    }
}

int main(int argc, char **argv)
{
    struct rlimit files = {20000, 20000};
    struct sockaddr_in to = {.sin_family = AF_INET};
    char request[1024], buffer[65536];
    int n_clients, open_clients, set = epoll_create1(0), broken = 0, ended = 0;
    long lines = 0, least = -1, total = 0, seen = 0, p50 = -1, p99 = -1, worst = 0;
    struct client *clients;
    double all_open;

    if (argc != 5)
        return 2;
    setrlimit(RLIMIT_NOFILE, &files);
    n_clients = atoi(argv[4]);
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3], argv[1]);
    clients = calloc((size_t)n_clients, sizeof *clients);
    for (int i = 0; i < n_clients; i++) {
        struct client *c = &clients[i];
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

        c->line = malloc(LINE_MAX_BYTES);
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 ||
            write(c->fd, request, strlen(request)) < 0) {
            perror("connect");
            return 1;
        }
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &ev);
    }
    open_clients = n_clients;
    all_open = now_ms() + 1000; /* what was stored before is not late */
    while (open_clients) {
        struct epoll_event ready[256];
        int n = epoll_wait(set, ready, 256, 120000);

        if (n <= 0)
            break;
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            ssize_t got = read(c->fd, buffer, sizeof buffer);

            if (got > 0)
                feed(c, buffer, (size_t)got, now_ms() > all_open);
            if (got == 0 || (got < 0 && errno != EAGAIN) || c->ended) {
                close(c->fd);
                open_clients--;
            }
        }
    }
    for (int i = 0; i < n_clients; i++) {
        broken += clients[i].broken;
        ended += clients[i].ended;
        lines += clients[i].lines;
        if (least < 0 || clients[i].lines < least)
            least = clients[i].lines;
    }
    for (long ms = 0; ms <= LATENCY_MS_MAX; ms++)
        total += latencies[ms];
    for (long ms = 0; ms <= LATENCY_MS_MAX; ms++) {
        seen += latencies[ms];
        if (p50 < 0 && seen * 2 >= total)
            p50 = ms;
        if (p99 < 0 && seen * 100 >= total * 99)
            p99 = ms;
        if (latencies[ms])
            worst = ms;
    }
    printf("{\"clients\":%d,\"ended\":%d,\"out_of_order\":%d,\"lines\":%ld,\"fewest_lines\":%ld,"
           "\"p50_ms\":%ld,\"p99_ms\":%ld,\"max_ms\":%ld}\n",
           n_clients, ended, broken, lines, least, p50, p99, worst);
    return broken || ended != n_clients;
}

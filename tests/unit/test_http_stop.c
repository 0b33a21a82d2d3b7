/* Stopping: what is in flight is answered, streams end properly, nothing hangs and nothing dies. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "server/http/internal.h"
#include "tests/support/http_peer.h"

static struct test_server server;

static void set_up(void)
{
    test_server_start(&server, NULL);
}

TestSuite(stop, .init = set_up, .timeout = 60);

static void *stop_it(void *arg)
{
    test_server_stop(&server, *(int64_t *)arg);
    return NULL;
}

#define IN_FLIGHT 16

Test(stop, answers_what_is_in_flight)
{
    int fds[IN_FLIGHT];
    int64_t grace_ms = 5000;
    pthread_t stopper;

    for (int i = 0; i < IN_FLIGHT; i++) {
        fds[i] = peer_connect(&server);
        peer_print(fds[i], "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n{");
    }
    for (int i = 0; i < 1000 && http_stats(server.http).in_flight < IN_FLIGHT; i++)
        usleep(2000);
    cr_assert_eq(http_stats(server.http).in_flight, IN_FLIGHT);
    pthread_create(&stopper, NULL, stop_it, &grace_ms);
    for (int i = 0; i < 1000 && !http_is_draining(server.http); i++)
        usleep(2000);
    usleep(50000);
    for (int i = 0; i < IN_FLIGHT; i++) {
        const char *answer;
        bool closed = false;

        peer_print(fds[i], "} \n");
        answer = peer_read_all(fds[i], 10000, &closed);
        cr_assert_eq(peer_status(answer), 200, "request %d: %s", i, answer);
        cr_assert_str_eq(peer_header(answer, "Connection"), "close");
        cr_assert(closed);
        close(fds[i]);
    }
    pthread_join(stopper, NULL);
}

Test(stop, ends_waiting_requests_and_streams)
{
    int waiting[IN_FLIGHT], following[IN_FLIGHT];

    for (int i = 0; i < IN_FLIGHT; i++) {
        waiting[i] = peer_connect(&server);
        peer_print(waiting[i], "GET /wait HTTP/1.1\r\nHost: t\r\n\r\n");
        following[i] = peer_connect(&server);
        peer_print(following[i], "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    cr_assert(eventually_equal(&server.kept, 2 * IN_FLIGHT));
    /* A line that comes just before the end is still delivered. */
    atomic_fetch_add(&server.lines, 1);
    test_server_stop(&server, 5000);
    cr_assert_eq(server.released, 2 * IN_FLIGHT);
    for (int i = 0; i < IN_FLIGHT; i++) {
        const char *answer = peer_read_all(waiting[i], 10000, NULL);

        cr_assert_eq(peer_status(answer), 503, "%s", answer);
        cr_assert_not_null(strstr(answer, "\"code\":\"shutting_down\""));
        answer = peer_read_all(following[i], 10000, NULL);
        cr_assert_not_null(strstr(answer, "line 1\n\r\n0\r\n\r\n"), "%s", answer);
        close(waiting[i]);
        close(following[i]);
    }
}

Test(stop, gives_a_waiting_request_its_answer_if_there_is_one)
{
    int fd = peer_connect(&server);

    peer_print(fd, "GET /wait HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(eventually_equal(&server.kept, 1));
    atomic_store(&server.gate_open, true); /* without a notice */
    test_server_stop(&server, 5000);
    cr_assert_str_eq(peer_body(peer_read_all(fd, 10000, NULL)), "{\"open\":true}\n");
    close(fd);
}

Test(stop, does_not_wait_longer_than_the_grace)
{
    int fd = peer_connect(&server), flood = peer_connect(&server);
    int64_t begin;

    peer_print(fd, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n{");
    peer_print(flood, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(flood, "\r\n\r\n"));
    begin = clock_monotonic_us();
    test_server_stop(&server, 300);
    cr_assert_lt(clock_monotonic_us() - begin, 3000000);
    cr_assert_eq(server.released, 1);
    close(fd);
    close(flood);
}

Test(stop, without_grace_leaves_nobody_suspended)
{
    int fds[2 * IN_FLIGHT];

    for (int i = 0; i < 2 * IN_FLIGHT; i++) {
        fds[i] = peer_connect(&server);
        peer_print(fds[i], "GET /%s HTTP/1.1\r\nHost: t\r\n\r\n", i % 2 ? "wait" : "lines");
    }
    cr_assert(eventually_equal(&server.kept, 2 * IN_FLIGHT));
    test_server_stop(&server, 0); /* the library would abort */
    cr_assert_eq(server.released, 2 * IN_FLIGHT);
    for (int i = 0; i < 2 * IN_FLIGHT; i++)
        close(fds[i]);
}

Test(stop, is_quick_when_nothing_is_in_flight)
{
    int idle = peer_connect(&server);
    int64_t begin;

    peer_print(idle, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(idle, "plain\n"));
    begin = clock_monotonic_us();
    test_server_stop(&server, 10000);
    cr_assert_lt(clock_monotonic_us() - begin, 1000000);
    close(idle);
}

Test(stop, only_draining_still_answers)
{
    http_drain(server.http);
    cr_assert(http_is_draining(server.http));
    cr_assert_eq(peer_status(peer_ask(&server, "GET", "/text", "", NULL)), 200);
    test_server_stop(&server, 1000);
}

Test(start, refuses_what_is_no_address_and_what_is_taken)
{
    static const char *const bad[] = {"",
                                      "localhost",
                                      "127.0.0.1",
                                      "127.0.0.1:http",
                                      "127.0.0.1:70000",
                                      "example.org:80",
                                      "[::1:80",
                                      "300.1.1.1:80"};
    const struct route none[] = {{0}};
    struct http_config config = {0};
    struct http *h;

    test_server_start(&server, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;

        config.address = bad[i];
        cr_assert_eq(http_start(&config, none, (struct app *)&server, &log_nowhere, &h, &err), -1,
                     "%s", bad[i]);
        cr_assert_eq(err.code, ERR_CONFIG, "%s: %s", bad[i], err.message);
    }
    {
        struct error err = ERROR_INIT;

        config.address = server.address;
        cr_assert_eq(http_start(&config, none, (struct app *)&server, &log_nowhere, &h, &err), -1);
        cr_assert_not_null(strstr(err.message, server.address), "%s", err.message);
    }
    test_server_stop(&server, 0);
}

static _Atomic int warnings;

static void count_warnings(struct log *log, enum log_level level, const struct log_line *line)
{
    (void)log;
    if (level == LOG_WARN && !strcmp(line->message, "too few file descriptors"))
        atomic_fetch_add(&warnings, 1);
}

Test(start, promises_less_where_descriptors_are_short)
{
    const struct rlimit few = {.rlim_cur = 600, .rlim_max = 600};
    struct http_config config = {.address = "127.0.0.1:0"};
    const struct route none[] = {{0}};
    struct error err = ERROR_INIT;
    struct log log = {count_warnings, LOG_INFO};
    struct http *h;

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    cr_assert_eq(http_start(&config, none, (struct app *)&server, &log, &h, &err), 0);
    cr_assert_eq(warnings, 1);
    /* 384 are kept for the rest of the service and for refusals. */
    cr_assert_eq(h->config.max_connections, 216);
    cr_assert_eq(h->config.max_streams, 108);
    http_stop(h, 0);
}

Test(start, raises_the_soft_limit_to_what_it_needs)
{
    const int64_t needed = 2000 + 384;
    struct http_config config = {.address = "127.0.0.1:0", .max_connections = 2000};
    const struct route none[] = {{0}};
    struct error err = ERROR_INIT;
    struct log log = {count_warnings, LOG_INFO};
    struct rlimit limit;
    struct http *h;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < (rlim_t)needed) {
        cr_skip_test("the hard limit is lower");
        return;
    }
    limit.rlim_cur = 256;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(http_start(&config, none, (struct app *)&server, &log, &h, &err), 0);
    cr_assert_eq(warnings, 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    cr_assert_eq(limit.rlim_cur, (rlim_t)needed);
    http_stop(h, 0);
}

Test(start, says_where_it_listens)
{
    const struct route none[] = {{0}};
    struct http_config config = {.address = "[::1]:0", .threads = 1};
    struct error err = ERROR_INIT;
    struct http *h;

    if (http_start(&config, none, (struct app *)&server, &log_nowhere, &h, &err) < 0) {
        cr_skip_test("no IPv6 here");
        return;
    }
    cr_assert_eq(strncmp(http_address(h), "[::1]:", 6), 0, "%s", http_address(h));
    cr_assert_str_neq(http_address(h), "[::1]:0");
    http_stop(h, 0);
}

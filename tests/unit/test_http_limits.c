/* Every limit at n - 1, n and n + 1, and that being over it costs the connection at most. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/internal.h"
#include "tests/support/http_peer.h"

static struct test_server server;

static void set_up(void)
{
    test_server_start(&server, NULL);
}

static void tear_down(void)
{
    test_server_stop(&server, 2000);
}

TestSuite(limits, .init = set_up, .fini = tear_down, .timeout = 120);

static bool has_code(const char *answer, const char *code)
{
    char member[80];

    snprintf(member, sizeof member, "\"code\":\"%s\"", code);
    return strstr(answer, member) != NULL;
}

/* A request with a target of exactly n bytes. */
static int ask_target(size_t n)
{
    char *bytes = malloc(n + 100);
    bool closed = true;
    int status;
    size_t len;

    memcpy(bytes, "GET /text?x=", 12);
    memset(bytes + 12, 'a', n - 8);
    len = 12 + n - 8;
    len += (size_t)sprintf(bytes + len, " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    status = peer_status(peer_talk(&server, bytes, len, &closed));
    free(bytes);
    return status;
}

/* H3. */
Test(limits, target)
{
    cr_assert_eq(ask_target(HTTP_MAX_TARGET - 1), 200);
    cr_assert_eq(ask_target(HTTP_MAX_TARGET), 200);
    cr_assert_eq(ask_target(HTTP_MAX_TARGET + 1), 414);
    cr_assert_eq(ask_target(4 * HTTP_MAX_TARGET), 414);
    cr_assert_eq(ask_target(20 * HTTP_MAX_TARGET), 414, "even when the library itself answers");
}

/* Request line and headers of exactly n bytes. */
static int ask_headers(size_t n)
{
    static const char head[] = "GET /text HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Long: ";
    char *bytes = malloc(n + 1);
    bool closed = true;
    int status;

    memset(bytes, 'a', n);
    memcpy(bytes, head, sizeof head - 1);
    memcpy(bytes + n - 4, "\r\n\r\n", 4);
    status = peer_status(peer_talk(&server, bytes, n, &closed));
    free(bytes);
    return status;
}

/* H3. */
Test(limits, headers)
{
    cr_assert_eq(ask_headers(HTTP_MAX_HEADER_BYTES - 1), 200);
    cr_assert_eq(ask_headers(HTTP_MAX_HEADER_BYTES), 200);
    cr_assert_eq(ask_headers(HTTP_MAX_HEADER_BYTES + 1), 431);
    cr_assert_eq(ask_headers(4 * HTTP_MAX_HEADER_BYTES), 431);
}

static int ask_many_headers(int n)
{
    char bytes[8192] = "GET /text HTTP/1.1\r\nHost: t\r\nConnection: close\r\n";
    bool closed = true;

    for (int i = 2; i < n; i++)
        strcat(bytes, "X-A: b\r\n");
    strcat(bytes, "\r\n");
    return peer_status(peer_talk(&server, bytes, strlen(bytes), &closed));
}

Test(limits, number_of_headers)
{
    cr_assert_eq(ask_many_headers(GATE_MAX_HEADERS), 200);
    cr_assert_eq(ask_many_headers(GATE_MAX_HEADERS + 1), 431);
}

static const char *post_length(const char *target, size_t n)
{
    int fd = peer_connect(&server);
    char *body = malloc(n);
    const char *answer;

    memset(body, ' ', n);
    body[0] = '{';
    peer_print(fd,
               "POST %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
               target, n);
    peer_send(fd, body, n);
    answer = peer_read_all(fd, 10000, NULL);
    free(body);
    close(fd);
    return answer;
}

static const char *post_chunks(const char *target, size_t n)
{
    int fd = peer_connect(&server);
    char *body = malloc(n);
    const char *answer;

    memset(body, ' ', n);
    body[0] = '{';
    peer_print(fd, "POST %s HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", target);
    for (size_t sent = 0; sent < n;) {
        size_t part = n - sent < 60000 ? n - sent : 60000;

        peer_print(fd, "%zx\r\n", part);
        peer_send(fd, body + sent, part);
        peer_print(fd, "\r\n");
        sent += part;
    }
    peer_print(fd, "0\r\n\r\n");
    answer = peer_read_all(fd, 10000, NULL);
    free(body);
    close(fd);
    return answer;
}

static void is_over(const char *answer)
{
    cr_assert_eq(peer_status(answer), 413, "%s", answer);
    cr_assert(has_code(answer, "body_too_large"), "%s", answer);
}

Test(limits, body_of_an_ordinary_route)
{
    const size_t n = (size_t)1 << 20;

    cr_assert_eq(peer_status(post_length("/small", n - 1)), 200);
    cr_assert_str_eq(peer_body(post_length("/small", n)), "{\"bytes\":1048576}\n");
    is_over(post_length("/small", n + 1));
    cr_assert_eq(peer_status(post_chunks("/small", n - 1)), 200);
    cr_assert_str_eq(peer_body(post_chunks("/small", n)), "{\"bytes\":1048576}\n");
    is_over(post_chunks("/small", n + 1));
}

Test(limits, body_of_a_big_route)
{
    const size_t n = (size_t)8 << 20;

    cr_assert_str_eq(peer_body(post_length("/big", n)), "{\"bytes\":8388608}\n");
    is_over(post_length("/big", n + 1));
    cr_assert_str_eq(peer_body(post_chunks("/big", n)), "{\"bytes\":8388608}\n");
    is_over(post_chunks("/big", n + 1));
}

/* H3. */
Test(limits, answers_a_length_over_the_limit_before_the_body)
{
    int fd = peer_connect(&server);

    peer_print(fd, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 2000000\r\n"
                   "Expect: 100-continue\r\n\r\n");
    is_over(peer_read_all(fd, 10000, NULL));
    close(fd);
}

Test(limits, asks_for_the_body_of_a_request_that_may_send_one)
{
    int fd = peer_connect(&server);

    peer_print(fd, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nConnection: close\r\n"
                   "Expect: 100-continue\r\n\r\n");
    cr_assert(peer_read_until(fd, "HTTP/1.1 100 Continue\r\n\r\n"));
    peer_print(fd, "{}");
    cr_assert_eq(peer_status(peer_read_all(fd, 10000, NULL)), 200);
    close(fd);
}

Test(limits, size_of_a_response_that_is_not_streamed)
{
    const char *answer = peer_ask(&server, "GET", "/large?bytes=67109888", "", NULL);

    cr_assert_eq(peer_status(answer), 500, "%.200s", answer);
    cr_assert_eq(server.errors, 1);
}

/* --------------------------------------------------- with limits of their own */

static void start_with(const struct http_config *config)
{
    test_server_start(&server, config);
}

TestSuite(small_limits, .fini = tear_down, .timeout = 120);

Test(small_limits, memory_of_all_bodies)
{
    struct http_config config = {.max_bodies_bytes = 300000};
    int fds[2];
    const char *answer;

    start_with(&config);
    for (int i = 0; i < 2; i++) {
        char body[100000] = "{";

        fds[i] = peer_connect(&server);
        memset(body + 1, ' ', sizeof body - 1);
        peer_print(fds[i], "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 100001\r\n\r\n");
        peer_send(fds[i], body, sizeof body);
    }
    /* 200,000 bytes are held: 100,000 still fit, 150,000 do not, in either framing. */
    for (int i = 0; i < 500 && atomic_load(&server.http->body_bytes) < 200000; i++)
        usleep(2000);
    cr_assert_eq(atomic_load(&server.http->body_bytes), 200000);
    cr_assert_eq(peer_status(post_length("/small", 100000)), 200);
    answer = post_length("/small", 150000);
    cr_assert_eq(peer_status(answer), 503, "%s", answer);
    cr_assert(has_code(answer, "overloaded"));
    cr_assert_str_eq(peer_header(answer, "Retry-After"), "1");
    answer = post_chunks("/small", 150000);
    cr_assert_eq(peer_status(answer), 503, "%s", answer);
    for (int i = 0; i < 2; i++) {
        peer_print(fds[i], "}");
        cr_assert(peer_read_until(fds[i], "{\"bytes\":100001}"));
        close(fds[i]);
    }
    for (int i = 0; i < 500 && atomic_load(&server.http->body_bytes); i++)
        usleep(2000);
    cr_assert_eq(atomic_load(&server.http->body_bytes), 0);
}

Test(small_limits, connections)
{
    struct http_config config = {.max_connections = 6, .max_streams = 2};
    int fds[5];

    start_with(&config);
    /* One after the other: the threads take what is waiting in no particular order. */
    for (int i = 0; i < 4; i++) {
        fds[i] = peer_connect(&server);
        peer_print(fds[i], "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
        cr_assert(peer_read_until(fds[i], "plain\n"), "connection %d", i);
    }
    fds[4] = peer_connect(&server);
    peer_print(fds[4], "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
    {
        const char *answer = peer_read_all(fds[4], 10000, NULL);

        cr_assert_eq(peer_status(answer), 503, "%s", answer);
        cr_assert(has_code(answer, "overloaded"));
    }
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}

Test(small_limits, streams)
{
    struct http_config config = {.max_connections = 4, .max_streams = 2};
    int fds[3];
    const char *answer;

    start_with(&config);
    for (int i = 0; i < 2; i++) {
        fds[i] = peer_connect(&server);
        peer_print(fds[i], "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
        cr_assert(peer_read_until(fds[i], "\r\n\r\n"));
    }
    answer = peer_ask(&server, "GET", "/lines", "", NULL);
    cr_assert_eq(peer_status(answer), 429, "%s", answer);
    cr_assert(has_code(answer, "too_many_followers"));
    cr_assert(eventually_equal(&server.released, 1));
    /* Streams do not take the places of ordinary requests. */
    cr_assert_eq(peer_status(peer_ask(&server, "GET", "/text", "", NULL)), 200);
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    cr_assert(eventually_equal(&server.released, 3));
}

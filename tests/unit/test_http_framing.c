/*
 * Conversations of a smuggler: each request is framed so that a gateway could see its end somewhere
 * else than we do, and is followed by a second request that must never run.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/http_peer.h"

#define STEAL "GET /stolen HTTP/1.1\r\nHost: t\r\n\r\n"
#define POST  "POST /small HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
#define GET   "GET /text HTTP/1.1\r\n"

struct conversation {
    const char *what;
    const char *bytes;
    size_t n;   /* 0 = up to the NUL */
    int status; /* 0 = closed without an answer, -1 = an error answer of any kind */
};

/* clang-format off */
static const struct conversation conversations[] = {
    /* lengths */
    {"two lengths",             POST "Content-Length: 0\r\nContent-Length: 60\r\n\r\n" STEAL, 0, 400},
    {"two lengths, other order", POST "Content-Length: 60\r\nContent-Length: 0\r\n\r\n" STEAL, 0, 400},
    {"the same length twice",   POST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" STEAL, 0, 400},
    {"lengths in two cases",    POST "Content-Length: 2\r\nCONTENT-LENGTH: 3\r\n\r\n{}" STEAL, 0, 400},
    {"a list of lengths",       POST "Content-Length: 2, 2\r\n\r\n{}" STEAL, 0, 400},
    {"a negative length",       POST "Content-Length: -1\r\n\r\n" STEAL, 0, 400},
    {"a signed length",         POST "Content-Length: +2\r\n\r\n{}" STEAL, 0, 400},
    {"a hexadecimal length",    POST "Content-Length: 0x2\r\n\r\n{}" STEAL, 0, 400},
    {"a length with text",      POST "Content-Length: 2a\r\n\r\n{}" STEAL, 0, 400},
    {"a length with a fraction", POST "Content-Length: 2.0\r\n\r\n{}" STEAL, 0, 400},
    {"an empty length",         POST "Content-Length:\r\n\r\n" STEAL, 0, 400},
    {"a length in quotes",      POST "Content-Length: \"2\"\r\n\r\n{}" STEAL, 0, 400},
    {"a length beyond 64 bits", POST "Content-Length: 99999999999999999999\r\n\r\n" STEAL, 0, -1},
    {"a length beyond 63 bits", POST "Content-Length: 9223372036854775808\r\n\r\n" STEAL, 0, -1},
    {"a blank before the colon", POST "Content-Length : 60\r\n\r\n" STEAL, 0, 400},
    {"a tab before the colon",  POST "Content-Length\t: 60\r\n\r\n" STEAL, 0, 400},
    {"a blank before the name", POST "X: y\r\n Content-Length: 60\r\n\r\n" STEAL, 0, -1},
    {"a length of a GET twice", GET "Host: t\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n" STEAL, 0, 400},
    {"a control in a name",     POST "Content-\x01Length: 60\r\n\r\n" STEAL, 0, 400},
    {"two lengths in 1.0",      "POST /small HTTP/1.0\r\nContent-Length: 0\r\nContent-Length: 60\r\n\r\n" STEAL, 0, 400},

    /* encodings */
    {"length and encoding",     POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"encoding and length",     POST "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"encoding twice",          POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"chunked, then identity",  POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"gzip",                    POST "Transfer-Encoding: gzip\r\n\r\n" STEAL, 0, 400},
    {"gzip, chunked",           POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"identity",                POST "Transfer-Encoding: identity\r\n\r\n" STEAL, 0, 400},
    {"chunked with a comma",    POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"chunked in quotes",       POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"a misspelt chunked",      POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"an empty encoding",       POST "Transfer-Encoding:\r\n\r\n" STEAL, 0, 400},
    {"a vertical tab",          POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"chunked with a semicolon", POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"a blank after the name",  POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"chunked in 1.0",          "POST /small HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},
    {"a folded length",         POST "Content-Length:\r\n 60\r\n\r\n" STEAL, 0, 400},
    {"a folded length after 0", POST "Content-Length: 0\r\n\t60\r\n\r\n" STEAL, 0, 400},
    {"a folded header",         GET "Host: t\r\nX-A: a\r\n b\r\n\r\n" STEAL, 0, 400},
    {"a bare LF",               GET "Host: t\nX-A: a\r\n\r\n" STEAL, 0, 400},
    {"a bare LF at the end",    GET "Host: t\r\n\n" STEAL, 0, 400},
    {"only bare LF",            "GET /text HTTP/1.1\nHost: t\n\n" STEAL, 0, 400},
    {"two blanks",              "GET  /text HTTP/1.1\r\nHost: t\r\n\r\n" STEAL, 0, 400},
    {"two blanks at the end",   "GET /text  HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" STEAL, 0, 400},
    {"a folded encoding",       POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" STEAL, 0, 400},

    /* chunks */
    {"a chunk size with text",  POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" STEAL, 0, -1},
    {"a negative chunk size",   POST "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n" STEAL, 0, -1},
    {"a chunk size with 0x",    POST "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n" STEAL, 0, -1},
    {"a chunk size too big",    POST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}\r\n0\r\n\r\n" STEAL, 0, -1},
    {"a chunk that is longer",  POST "Transfer-Encoding: chunked\r\n\r\n2\r\n{}}}\r\n0\r\n\r\n" STEAL, 0, -1},
    {"an empty chunk size",     POST "Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n" STEAL, 0, -1},

    /* hosts and tokens */
    {"no host",                 GET "\r\n" STEAL, 0, 400},
    {"two hosts",               GET "Host: a\r\nHost: b\r\n\r\n" STEAL, 0, 400},
    {"the same host twice",     GET "Host: a\r\nHost: a\r\n\r\n" STEAL, 0, 400},
    {"a host list",             GET "Host: a, b\r\n\r\n" STEAL, 0, 400},
    {"a path in the host",      GET "Host: a/b\r\n\r\n" STEAL, 0, 400},
    {"a user in the host",      GET "Host: u@a\r\n\r\n" STEAL, 0, 400},
    {"two tokens",              GET "Host: t\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n" STEAL, 0, 400},
    {"a bare CR in a value",    GET "Host: t\r\nX-A: a\rContent-Length: 60\r\n\r\n" STEAL, 0, 400},
    {"a control in a value",    GET "Host: t\r\nX-A: \x1b[2J\r\n\r\n" STEAL, 0, 400},
    {"a line without a colon",  GET "Host: t\r\nnonsense\r\n\r\n" STEAL, 0, -1},
    {"an empty name",           GET "Host: t\r\n: x\r\n\r\n" STEAL, 0, -1},
    {"a name in parentheses",   GET "Host: t\r\n(x): x\r\n\r\n" STEAL, 0, 400},

    /* request lines */
    {"a NUL in the path",       "GET /text%00 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" STEAL, 0, 400},
    {"an unknown method",       "F@@ /text HTTP/1.1\r\nHost: t\r\n\r\n" STEAL, 0, 501},
    {"a method in small letters", "get /text HTTP/1.1\r\nHost: t\r\n\r\n" STEAL, 0, 501},
    {"version 2",               "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" STEAL, 0, -1},
    {"version 9.9",             "GET /text HTTP/9.9\r\nHost: t\r\n\r\n" STEAL, 0, -1},
    {"a misspelt version",      "GET /text HTTP/1.x\r\nHost: t\r\n\r\n" STEAL, 0, -1},
    {"version in small letters", "GET /text http/1.1\r\nHost: t\r\n\r\n" STEAL, 0, -1},
    {"no version",              "GET /text\r\n\r\n" STEAL, 0, -1},
    {"TLS at the wrong door",   "\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n" STEAL, 0, -1},
    {"a NUL in the target",     "GET /te\0xt HTTP/1.1\r\nHost: t\r\n\r\n" STEAL,
                                sizeof "GET /te\0xt HTTP/1.1\r\nHost: t\r\n\r\n" STEAL - 1, 400},
    {"a NUL in the last value", GET "Host: t\0x\r\n\r\n" STEAL,
                                sizeof GET "Host: t\0x\r\n\r\n" STEAL - 1, 400},
    {"a length and a raw NUL",  POST "Content-Length: 0\0 \r\nContent-Length: 60\r\n\r\n" STEAL,
                                sizeof POST "Content-Length: 0\0 \r\nContent-Length: 60\r\n\r\n" STEAL - 1, 400},
};
/* clang-format on */

static struct test_server server;

static void set_up(void)
{
    test_server_start(&server, NULL);
}

static void tear_down(void)
{
    test_server_stop(&server, 2000);
}

TestSuite(framing, .init = set_up, .fini = tear_down, .timeout = 120);

static void check_answer(const struct conversation *c, const char *answer)
{
    int status = peer_status(answer);

    if (c->status > 0)
        cr_assert_eq(status, c->status, "%s: %s", c->what, answer);
    /* Some are refused by the library itself, before us: 1.0 or 1.1, and never a success. */
    if (c->status == -1)
        cr_assert(!*answer || strstr(answer, "HTTP/1.1 4") == answer ||
                      strstr(answer, "HTTP/1.1 5") == answer ||
                      strstr(answer, "HTTP/1.0 4") == answer ||
                      strstr(answer, "HTTP/1.0 5") == answer,
                  "%s: %s", c->what, answer);
    /* Of a length it cannot read, libmicrohttpd 0.9.75 answers with its status line twice. */
    cr_assert_leq(peer_count(answer), 2, "%s: %s", c->what, answer);
    cr_assert_null(strstr(answer, " 200 "), "%s: %s", c->what, answer);
}

/* H1. */
Test(framing, never_lets_the_second_request_run)
{
    size_t n = sizeof conversations / sizeof conversations[0];

    cr_assert_geq(n, 60);
    for (size_t i = 0; i < n; i++) {
        const struct conversation *c = &conversations[i];
        bool closed = true;
        const char *answer = peer_talk(&server, c->bytes, c->n ? c->n : strlen(c->bytes), &closed);

        check_answer(c, answer);
        cr_assert(closed, "%s: the connection stays open", c->what);
        cr_assert_eq(server.stolen, 0, "%s: the second request ran", c->what);
    }
}

Test(framing, runs_the_second_request_of_an_honest_client)
{
    const char *bytes = POST "Content-Length: 2\r\n\r\n{}" STEAL
                             "GET /text HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    bool closed = true;
    const char *answer = peer_talk(&server, bytes, strlen(bytes), &closed);

    /* The control: without it, a server that drops every second request would pass above. */
    cr_assert_eq(peer_count(answer), 3, "%s", answer);
    cr_assert_eq(server.stolen, 1);
}

Test(framing, answers_a_chunked_request_and_closes)
{
    const char *bytes = POST "Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\n{}\r\n0\r\nTrailer: "
                             "x\r\n\r\n" STEAL;
    bool closed = true;
    const char *answer = peer_talk(&server, bytes, strlen(bytes), &closed);

    cr_assert_eq(peer_status(answer), 200, "%s", answer);
    cr_assert_str_eq(peer_header(answer, "Connection"), "close");
    cr_assert(closed);
    cr_assert_eq(server.stolen, 0);
}

Test(framing, gives_the_same_answer_to_a_request_in_single_bytes)
{
    const char *bytes = POST "Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    int fd = peer_connect(&server);

    for (size_t i = 0; i < strlen(bytes); i++)
        peer_send(fd, bytes + i, 1);
    cr_assert_eq(peer_status(peer_read_all(fd, 10000, NULL)), 200);
    close(fd);
}

/* What is refused at once must not leave its body behind as the next request. */
Test(framing, does_not_read_an_unread_body_as_a_request)
{
    static const char *const heads[] = {
        POST "Content-Length: 99999999\r\n\r\n", /* 413 before the body */
        "POST /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: 35\r\nExpect: 100-continue\r\n\r\n",
        "F@@ /text HTTP/1.1\r\nHost: t\r\nContent-Length: 35\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char bytes[1024];
        bool closed = true;
        const char *answer;

        snprintf(bytes, sizeof bytes, "%s%s%s", heads[i], STEAL, STEAL);
        answer = peer_talk(&server, bytes, strlen(bytes), &closed);
        cr_assert_eq(peer_count(answer), 1, "%s", answer);
        cr_assert(closed);
        cr_assert_eq(server.stolen, 0);
    }
}

/*
 * http_peer.h - a server with a handful of routes, and a peer that speaks to it byte by byte.
 *
 * For conversations that no HTTP library would hold. Helpers abort with a message instead of
 * returning errors: a test without its server cannot go on.
 */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http/http.h"

/* What the routes of the test server do:
 *   GET    /hello/{name}   {"hello":"<name>"}, ETag "7"
 *   GET    /stolen         counts itself: what a smuggled request would reach
 *   POST   /echo           the document of the body; PATCH too
 *   POST   /action         needs no body
 *   POST   /big            8 MiB body, answers its length
 *   GET    /fail/{reason}  fails with that reason, extra member and one problem
 *   GET    /wait           waits until `open_gate`, at most ?ms=
 *   GET    /lines          streams the lines that test_server_line appends, to the end
 *   GET    /flood          streams blanks without end
 *   GET    /text, /empty, /large?bytes=
 */
struct test_server {
    struct http *http;
    char address[80];
    _Atomic bool gate_open;
    _Atomic int lines; /* lines that followers may read */
    _Atomic bool lines_end;
    _Atomic int stolen;   /* calls of /stolen */
    _Atomic int released; /* states of waiting requests and streams that were released */
    _Atomic int kept;     /* and taken */
    _Atomic int logged;   /* lines of the access log */
    _Atomic int errors;   /* lines of level error */
    _Atomic int last_status;
};

/* `config` may be NULL; its address is replaced by 127.0.0.1:0. */
void test_server_start(struct test_server *t, const struct http_config *config);
void test_server_stop(struct test_server *t, int64_t grace_ms);
void test_server_open_gate(struct test_server *t);
void test_server_add_lines(struct test_server *t, int n);
void test_server_end_lines(struct test_server *t);

int peer_connect(const struct test_server *t);
int peer_try_connect(const struct test_server *t); /* -1 when nobody listens */
void peer_send(int fd, const void *bytes, size_t n);
void peer_print(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Everything until the server closes, or `timeout_ms` pass without a byte; a static buffer. */
const char *peer_read_all(int fd, int timeout_ms, bool *out_closed);
/* Until `text` has been seen, at most 10 s; false when the peer closes before. */
bool peer_read_until(int fd, const char *text);
/* Sends a whole conversation on a connection of its own and reads to the end of it. */
const char *peer_talk(const struct test_server *t, const char *bytes, size_t n, bool *out_closed);
/* One request that ends the connection: "GET", "/hello/x", headers with CRLF or "", body. */
const char *peer_ask(const struct test_server *t, const char *method, const char *target,
                     const char *headers, const char *body);
/* Status of the first answer in `text`; 0 when there is none. */
int peer_status(const char *text);
/* How many answers begin in `text`. */
int peer_count(const char *text);
/* The body of the first answer. */
const char *peer_body(const char *text);
/* The value of a header of the first answer, in a static buffer; NULL when it is missing. */
const char *peer_header(const char *text, const char *name);

/* Waits at most 10 s; false when the condition did not come true. */
bool eventually(bool (*condition)(void *), void *arg);
bool eventually_equal(_Atomic int *value, int wanted);

#endif

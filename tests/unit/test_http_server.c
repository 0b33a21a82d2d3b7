/* What a well-behaved client sees: answers, problems, headers, waiting and streams. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "tests/support/http_peer.h"

static struct test_server server;

static void set_up(void)
{
    test_server_start(&server, NULL);
}

static void tear_down(void)
{
    if (server.http)
        test_server_stop(&server, 2000);
}

TestSuite(http, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *get(const char *target)
{
    return peer_ask(&server, "GET", target, "", NULL);
}

static void has_header(const char *answer, const char *name, const char *value)
{
    const char *got = peer_header(answer, name);

    cr_assert_not_null(got, "%s is missing in %s", name, answer);
    cr_assert_str_eq(got, value, "%s: %s", name, got);
}

static void is_problem(const char *answer, int status, const char *code)
{
    char member[80];

    cr_assert_eq(peer_status(answer), status, "%s", answer);
    has_header(answer, "Content-Type", "application/problem+json");
    snprintf(member, sizeof member, "\"code\":\"%s\"", code);
    cr_assert_not_null(strstr(peer_body(answer), member), "%s", answer);
    snprintf(member, sizeof member, "\"type\":\"/errors/%s\"", code);
    cr_assert_not_null(strstr(peer_body(answer), member), "%s", answer);
}

/* H5. */
Test(http, answers_json_with_a_newline_and_the_headers_of_every_answer)
{
    const char *answer = get("/hello/a%20b");

    cr_assert_eq(peer_status(answer), 200);
    cr_assert_str_eq(peer_body(answer),
                     "{\"hello\":\"a b\",\"numbers\":[1.10,1e400],\"none\":{}}\n");
    has_header(answer, "Content-Type", "application/json");
    has_header(answer, "X-Content-Type-Options", "nosniff");
    has_header(answer, "Cache-Control", "no-store");
    has_header(answer, "ETag", "\"7\"");
    cr_assert_not_null(peer_header(answer, "X-Request-Id"));
    cr_assert_null(peer_header(answer, "Server"));
    cr_assert(eventually_equal(&server.logged, 1));
    cr_assert_eq(server.last_status, 200);
}

Test(http, indents_when_asked_and_alters_no_number)
{
    cr_assert_str_eq(peer_body(get("/hello/x?pretty")),
                     "{\n  \"hello\": \"x\",\n  \"numbers\": [\n    1.10,\n    1e400\n  ],\n"
                     "  \"none\": {}\n}\n");
}

Test(http, says_the_charset_of_text_and_keeps_the_handlers_caching)
{
    const char *answer = get("/text");

    has_header(answer, "Content-Type", "text/plain; charset=utf-8");
    has_header(answer, "Cache-Control", "no-cache");
    cr_assert_str_eq(peer_body(answer), "plain\n");
    /* A line break in a value is no new header. */
    cr_assert_null(peer_header(answer, "X-Split"));
    has_header(answer, "X-Name", "a  X-Split: yes");
}

/* H7. */
Test(http, echoes_a_harmless_request_id_and_replaces_any_other)
{
    char long_id[200] = "X-Request-Id: ";

    has_header(peer_ask(&server, "GET", "/text", "X-Request-Id: Ab-9._z\r\n", NULL), "X-Request-Id",
               "Ab-9._z");
    cr_assert_str_neq(peer_header(peer_ask(&server, "GET", "/text", "X-Request-Id: a b\r\n", NULL),
                                  "X-Request-Id"),
                      "a b");
    memset(long_id + 14, 'a', 128);
    strcpy(long_id + 14 + 128, "\r\n");
    cr_assert_eq(
        strlen(peer_header(peer_ask(&server, "GET", "/text", long_id, NULL), "X-Request-Id")), 128);
    memset(long_id + 14, 'a', 129);
    strcpy(long_id + 14 + 129, "\r\n");
    cr_assert_neq(
        strlen(peer_header(peer_ask(&server, "GET", "/text", long_id, NULL), "X-Request-Id")), 129);
}

Test(http, answers_304_to_who_has_it_already)
{
    const char *answer = peer_ask(&server, "GET", "/hello/x", "If-None-Match: \"7\"\r\n", NULL);

    cr_assert_eq(peer_status(answer), 304);
    cr_assert_str_eq(peer_body(answer), "");
    cr_assert_eq(peer_status(peer_ask(&server, "GET", "/hello/x",
                                      "If-None-Match: \"6\", W/\"7\"\r\n", NULL)),
                 304);
    cr_assert_eq(
        peer_status(peer_ask(&server, "GET", "/hello/x", "If-None-Match: \"77\"\r\n", NULL)), 200);
}

/* H8. */
Test(http, answers_head_like_get_without_the_body)
{
    const char *answer = peer_ask(&server, "HEAD", "/hello/x", "", NULL);

    cr_assert_eq(peer_status(answer), 200);
    has_header(answer, "Content-Length", "47");
    cr_assert_str_eq(peer_body(answer), "");
    answer = peer_ask(&server, "HEAD", "/flood", "", NULL);
    cr_assert_eq(peer_status(answer), 200);
    cr_assert_str_eq(peer_body(answer), "");
    cr_assert_eq(server.kept, 1);
    cr_assert(eventually_equal(&server.released, 1));
}

/* H8. */
Test(http, tells_unknown_paths_methods_and_options_apart)
{
    const char *answer = get("/nowhere");

    is_problem(answer, 404, "not_found");
    answer = peer_ask(&server, "DELETE", "/echo", "", NULL);
    is_problem(answer, 405, "method_not_allowed");
    has_header(answer, "Allow", "POST, PATCH, OPTIONS");
    answer = peer_ask(&server, "OPTIONS", "/text", "", NULL);
    cr_assert_eq(peer_status(answer), 204);
    has_header(answer, "Allow", "GET, HEAD, DELETE, OPTIONS");
    answer = peer_ask(&server, "OPTIONS", "*", "", NULL);
    cr_assert_eq(peer_status(answer), 204);
    is_problem(peer_ask(&server, "OPTIONS", "/nowhere", "", NULL), 404, "not_found");
    is_problem(peer_ask(&server, "TRACE", "/text", "", NULL), 405, "method_not_allowed");
    is_problem(peer_ask(&server, "QUERY", "/text", "", NULL), 405, "method_not_allowed");
    is_problem(peer_ask(&server, "BREW", "/text", "", NULL), 501, "method_not_implemented");
    is_problem(peer_ask(&server, "get", "/text", "", NULL), 501, "method_not_implemented");
}

Test(http, turns_errors_into_problem_documents)
{
    const char *answer =
        peer_ask(&server, "GET", "/fail/run_already_active", "X-Request-Id: r1\r\n", NULL);

    cr_assert_eq(peer_status(answer), 409);
    cr_assert_str_eq(
        peer_body(answer),
        "{\"type\":\"/errors/run_already_active\",\"title\":\"A run is already active\","
        "\"status\":409,\"code\":\"run_already_active\",\"detail\":\"A \\\"detail\\\".\","
        "\"retryable\":true,\"request_id\":\"r1\",\"errors\":[{\"pointer\":\"/name\","
        "\"code\":\"too_long\",\"message\":\"at most 5\"}],\"active_run_id\":7}\n");
}

/* G2. */
Test(http, keeps_internals_to_itself)
{
    const char *answer = get("/fail/internal");

    is_problem(answer, 500, "internal");
    cr_assert_null(strstr(answer, "secret"));
    is_problem(get("/fail/disk_full"), 507, "disk_full");
    cr_assert_eq(server.errors, 2);
    answer = get("/fail/transient");
    is_problem(answer, 503, "transient");
    cr_assert_null(strstr(answer, "secret"));
    cr_assert_eq(server.errors, 3, "what the caller is not told stands in the log");
    has_header(answer, "Retry-After", "1");
    /* What we name ourselves is meant for the caller. */
    answer = get("/fail/queue_full");
    is_problem(answer, 503, "queue_full");
    cr_assert_not_null(strstr(answer, "detail\\\""));
    cr_assert_eq(server.errors, 3);
}

static const char *post(const char *target, const char *headers, const char *body)
{
    return peer_ask(&server, "POST", target, headers, body);
}

#define JSON "Content-Type: application/json\r\n"
#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

Test(http, reads_json_bodies)
{
    cr_assert_str_eq(peer_body(post("/echo", JSON, "{\"a\":1}")), "{\"a\":1}\n");
    cr_assert_str_eq(
        peer_body(peer_ask(&server, "PATCH", "/echo",
                           "Content-Type: application/merge-patch+json\r\n", "{\"a\":null}")),
        "{\"a\":null}\n");
    is_problem(post("/echo", JSON, "{\"a\":"), 400, "invalid_json");
    is_problem(post("/echo", JSON, "{\"a\":1,\"a\":2}"), 400, "duplicate_key");
    is_problem(post("/echo", JSON, ""), 400, "invalid_json");
    is_problem(post("/echo", "", NULL), 400, "invalid_json");
}

Test(http, needs_no_body_for_an_action)
{
    const char *answer = post("/action", "", NULL);

    cr_assert_eq(peer_status(answer), 202);
    has_header(answer, "Location", "/x/9");
    cr_assert_eq(peer_status(post("/action", "Content-Length: 0\r\n", NULL)), 202);
    cr_assert_eq(peer_status(post("/action", JSON, "")), 202);
}

Test(http, believes_a_form_that_is_json_unless_a_browser_sent_it)
{
    cr_assert_eq(peer_status(post("/echo", FORM, " {\"a\":1}")), 200);
    cr_assert_eq(peer_status(post("/echo", "", "{\"a\":1}")), 200);
    is_problem(post("/echo", FORM, "a=1"), 415, "unsupported_media_type");
    is_problem(post("/echo", FORM "Origin: http://evil\r\n", "{\"a\":1}"), 415,
               "unsupported_media_type");
    is_problem(post("/echo", FORM "Cookie: a=b\r\n", "{\"a\":1}"), 415, "unsupported_media_type");
    is_problem(post("/echo", "Content-Type: text/plain\r\n", "{\"a\":1}"), 415,
               "unsupported_media_type");
    is_problem(post("/echo", JSON "Content-Encoding: gzip\r\n", "{\"a\":1}"), 415,
               "unsupported_media_type");
}

Test(http, reads_query_parameters_strictly)
{
    cr_assert_str_eq(peer_body(post("/action?n=10&flag", "", NULL)),
                     "{\"n\":10,\"flag\":true,\"members\":0}\n");
    cr_assert_str_eq(peer_body(post("/action?flag=false", "", NULL)),
                     "{\"n\":5,\"flag\":false,\"members\":0}\n");
    is_problem(post("/action?n=0", "", NULL), 400, "invalid_query");
    is_problem(post("/action?n=11", "", NULL), 400, "invalid_query");
    is_problem(post("/action?n=1x", "", NULL), 400, "invalid_query");
    is_problem(post("/action?n=", "", NULL), 400, "invalid_query");
    is_problem(post("/action?flag=maybe", "", NULL), 400, "invalid_query");
    is_problem(post("/action?other=1", "", NULL), 400, "invalid_query");
    is_problem(post("/action?n=1&n=1", "", NULL), 400, "invalid_query");
    is_problem(get("/hello/a%2Fb"), 400, "invalid_target");
}

Test(http, keeps_the_connection_after_an_answer_and_after_a_refusal)
{
    int fd = peer_connect(&server);
    const char *answer;

    peer_print(fd, "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n"
                   "POST /text HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nabcde"
                   "POST /echo HTTP/1.1\r\nHost: t\r\n" JSON "Content-Length: 2\r\n\r\n{}"
                   "GET /text HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    answer = peer_read_all(fd, 10000, NULL);
    cr_assert_eq(peer_count(answer), 4, "%s", answer);
    close(fd);
}

Test(http, closes_after_a_thousand_requests)
{
    int fd = peer_connect(&server);
    bool closed = false;

    for (int i = 0; i < 1000; i++) {
        peer_print(fd, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
        cr_assert(peer_read_until(fd, "plain\n"), "request %d", i);
    }
    cr_assert_str_eq(peer_read_all(fd, 10000, &closed), "");
    cr_assert(closed);
    close(fd);
}

Test(http, wakes_a_waiting_request)
{
    int fd = peer_connect(&server);

    peer_print(fd, "GET /wait HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    cr_assert(eventually_equal(&server.kept, 1));
    http_notify(server.http); /* without a reason: nobody is woken for good */
    test_server_open_gate(&server);
    cr_assert_str_eq(peer_body(peer_read_all(fd, 10000, NULL)), "{\"open\":true}\n");
    cr_assert(eventually_equal(&server.released, 1));
    close(fd);
}

Test(http, calls_a_waiting_request_at_its_deadline)
{
    int64_t begin = clock_monotonic_us(), took;

    cr_assert_str_eq(peer_body(get("/wait?ms=150")), "{\"open\":false}\n");
    took = clock_monotonic_us() - begin;
    cr_assert(took >= 150000 && took < 5000000, "%d us", (int)took);
    cr_assert(eventually_equal(&server.released, 1));
}

static bool nobody_streams(void *arg)
{
    (void)arg;
    return http_stats(server.http).streams == 0;
}

Test(http, streams_in_chunks_as_lines_come)
{
    int fd = peer_connect(&server);
    bool closed = false;

    peer_print(fd, "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(fd, "\r\n\r\n"), "the headers come before the first line");
    cr_assert_eq(http_stats(server.http).streams, 1);
    test_server_add_lines(&server, 1);
    cr_assert(peer_read_until(fd, "7\r\nline 1\n\r\n"));
    test_server_add_lines(&server, 2);
    cr_assert(peer_read_until(fd, "line 2\n\r\n7\r\nline 3\n\r\n"));
    test_server_end_lines(&server);
    cr_assert_str_eq(peer_read_all(fd, 10000, &closed), "0\r\n\r\n");
    cr_assert(closed, "a kept connection would hold its memory for nothing");
    cr_assert(eventually_equal(&server.released, 1));
    cr_assert(eventually(nobody_streams, NULL));
    close(fd);
}

Test(http, streams_plainly_to_http_1_0)
{
    int fd = peer_connect(&server);
    bool closed = false;
    const char *answer;

    test_server_add_lines(&server, 3);
    peer_print(fd, "GET /lines HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    cr_assert(peer_read_until(fd, "line 3\n"));
    test_server_add_lines(&server, 1);
    test_server_end_lines(&server);
    answer = peer_read_all(fd, 10000, &closed);
    cr_assert_str_eq(answer, "line 4\n");
    cr_assert(closed);
    close(fd);
}

Test(http, cuts_an_aborted_stream_without_the_last_chunk)
{
    const char *answer = get("/cut");

    cr_assert_eq(peer_status(answer), 200);
    cr_assert_not_null(strstr(answer, "half\n"));
    cr_assert_null(strstr(answer, "0\r\n\r\n"));
    cr_assert(eventually_equal(&server.released, 1));
}

Test(http, forgets_peers_that_vanish_while_nothing_happens)
{
    int waiting = peer_connect(&server), following = peer_connect(&server);
    int64_t begin;

    peer_print(waiting, "GET /wait HTTP/1.1\r\nHost: t\r\n\r\n");
    peer_print(following, "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(following, "\r\n\r\n"));
    cr_assert(eventually_equal(&server.kept, 2));
    begin = clock_monotonic_us();
    close(waiting);
    close(following);
    cr_assert(eventually_equal(&server.released, 2));
    cr_assert_lt(clock_monotonic_us() - begin, 2000000);
}

Test(http, serves_absolute_targets_and_doubled_slashes)
{
    cr_assert_eq(peer_status(get("http://other.example/hello/x")), 200);
    cr_assert_eq(peer_status(get("//hello//x/")), 200);
}

static bool is_drained(void *arg)
{
    (void)arg;
    return http_stats(server.http).in_flight == 0 && http_stats(server.http).connections == 0;
}

Test(http, counts_back_to_nothing)
{
    for (int i = 0; i < 20; i++)
        get("/text");
    cr_assert(eventually(is_drained, NULL));
    cr_assert(eventually_equal(&server.logged, 20));
}

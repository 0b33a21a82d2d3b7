/* Slow peers are cut, each phase by its own deadline, and honest ones do not notice. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "tests/support/http_peer.h"

/* Deadlines that a test can wait for; the rules do not depend on their length. */
#define HEADER_MS 300
#define BODY_MS   800
#define IDLE_MS   900
#define WRITE_MS  500

static struct test_server server;

static void set_up(void)
{
    struct http_config config = {.header_timeout_ms = HEADER_MS,
                                 .body_timeout_ms = BODY_MS,
                                 .idle_timeout_ms = IDLE_MS,
                                 .write_timeout_ms = WRITE_MS};

    test_server_start(&server, &config);
}

static void tear_down(void)
{
    test_server_stop(&server, 2000);
}

TestSuite(deadlines, .init = set_up, .fini = tear_down, .timeout = 120);

/* Sends `text` byte by byte, one each 20 ms, until the server closes; the milliseconds that took.
 */
static int64_t drip(int fd, const char *text, size_t n)
{
    int64_t begin = clock_monotonic_us();

    for (size_t i = 0; i < n; i++) {
        bool closed = false;

        peer_send(fd, text + i, 1);
        (void)peer_read_all(fd, 20, &closed);
        if (closed)
            return (clock_monotonic_us() - begin) / 1000;
    }
    return -1;
}

static void is_between(int64_t took_ms, int64_t least, int64_t most)
{
    cr_assert(took_ms >= least && took_ms <= most, "cut after %d ms", (int)took_ms);
}

Test(deadlines, cuts_a_connection_that_says_nothing)
{
    int fd = peer_connect(&server);
    int64_t begin = clock_monotonic_us();
    bool closed = false;

    peer_read_all(fd, 10000, &closed);
    cr_assert(closed);
    is_between((clock_monotonic_us() - begin) / 1000, HEADER_MS, HEADER_MS + 2000);
    close(fd);
}

/* H2. */
Test(deadlines, cuts_headers_that_drip)
{
    char text[1000] = "GET /text HTTP/1.1\r\nHost: t\r\nX-Slow: ";
    int fd = peer_connect(&server);

    memset(text + strlen(text), 'a', sizeof text - strlen(text));
    is_between(drip(fd, text, sizeof text), HEADER_MS, HEADER_MS + 2000);
    close(fd);
}

Test(deadlines, keeps_an_idle_connection_longer_than_the_header_deadline)
{
    int fd = peer_connect(&server);
    int64_t begin;
    bool closed = false;

    peer_print(fd, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(fd, "plain\n"));
    begin = clock_monotonic_us();
    peer_read_all(fd, 10000, &closed);
    cr_assert(closed);
    is_between((clock_monotonic_us() - begin) / 1000, IDLE_MS, IDLE_MS + 2000);
    close(fd);
}

Test(deadlines, cuts_a_later_request_that_drips)
{
    char text[1000] = "GET /text HTTP/1.1\r\nHost: t\r\nX-Slow: ";
    int fd = peer_connect(&server);

    memset(text + strlen(text), 'a', sizeof text - strlen(text));
    peer_print(fd, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(fd, "plain\n"));
    /* A while for the server to see that it is idle. */
    cr_assert(eventually_equal(&server.logged, 1));
    usleep(150000);
    is_between(drip(fd, text, sizeof text), HEADER_MS, HEADER_MS + 2000);
    close(fd);
}

/* H2. */
Test(deadlines, cuts_a_body_below_the_least_rate)
{
    int fd = peer_connect(&server);
    char body[1000];

    memset(body, ' ', sizeof body);
    peer_print(fd, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n");
    is_between(drip(fd, body, sizeof body), BODY_MS / 2, BODY_MS + 2000);
    cr_assert(eventually_equal(&server.logged, 1));
    cr_assert_eq(server.last_status, 499);
    close(fd);
}

Test(deadlines, cuts_a_body_that_is_fast_but_does_not_end)
{
    int fd = peer_connect(&server);
    int64_t begin = clock_monotonic_us();
    char chunk[1100];
    bool closed = false;

    memset(chunk, ' ', sizeof chunk);
    peer_print(fd, "POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (!closed && clock_monotonic_us() - begin < 10000000) {
        peer_print(fd, "400\r\n%.1024s\r\n", chunk);
        peer_read_all(fd, 10, &closed);
    }
    cr_assert(closed);
    is_between((clock_monotonic_us() - begin) / 1000, BODY_MS, BODY_MS + 2000);
    close(fd);
}

Test(deadlines, notices_a_peer_that_leaves_with_its_last_bytes)
{
    struct http_config patient = {.header_timeout_ms = 60000, .body_timeout_ms = 60000};
    int64_t begin;

    test_server_stop(&server, 0);
    test_server_start(&server, &patient);
    begin = clock_monotonic_us();
    for (int i = 0; i < 20; i++) {
        int fd = peer_connect(&server);

        peer_print(fd, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{");
        close(fd);
    }
    cr_assert(eventually_equal(&server.logged, 20), "%d", server.logged);
    cr_assert_lt(clock_monotonic_us() - begin, 4000000);
}

/* H2. */
Test(deadlines, cuts_a_reader_that_stops_reading)
{
    int fd = peer_connect(&server), small = 4096;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    peer_print(fd, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(fd, "\r\n\r\n"));
    cr_assert(eventually_equal(&server.released, 1), "the stream of a stuck reader lives on");
    close(fd);
}

Test(deadlines, lets_a_slow_reader_go_on)
{
    int fd = peer_connect(&server);
    int64_t begin = clock_monotonic_us();
    static char part[65536];

    peer_print(fd, "GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
    /* Four times the deadline, with a pause before each piece. */
    while (clock_monotonic_us() - begin < 4 * WRITE_MS * 1000) {
        usleep(50000);
        cr_assert_gt(recv(fd, part, sizeof part, 0), 0, "cut although it reads");
    }
    cr_assert_eq(server.released, 0);
    close(fd);
    cr_assert(eventually_equal(&server.released, 1));
}

Test(deadlines, does_not_count_the_time_of_a_waiting_request_or_a_dry_stream)
{
    int following = peer_connect(&server);

    peer_print(following, "GET /lines HTTP/1.1\r\nHost: t\r\n\r\n");
    cr_assert(peer_read_until(following, "\r\n\r\n"));
    /* Longer than every deadline of this server. */
    cr_assert_eq(peer_status(peer_ask(&server, "GET", "/wait?ms=1500", "", NULL)), 200);
    test_server_add_lines(&server, 1);
    cr_assert(peer_read_until(following, "line 1\n"));
    close(following);
}

#define SLOW 300

/* H2. */
Test(deadlines, serves_honest_clients_among_three_hundred_slow_ones)
{
    static int fds[SLOW];
    int64_t worst = 0;

    for (int i = 0; i < SLOW; i++) {
        fds[i] = peer_connect(&server);
        if (i % 3 == 0)
            peer_print(fds[i], "GET /text HTTP/1.1\r\nHost: t\r\nX-Slow: ");
        else if (i % 3 == 1)
            peer_print(fds[i], "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n{");
    }
    for (int round = 0; round < 50; round++) {
        int64_t begin = clock_monotonic_us(), took;

        for (int i = round; i < SLOW; i += 50)
            peer_send(fds[i], "a", 1);
        cr_assert_eq(peer_status(peer_ask(&server, "GET", "/text", "", NULL)), 200);
        took = clock_monotonic_us() - begin;
        worst = took > worst ? took : worst;
    }
    cr_assert_lt(worst, 1000000, "an honest client waited %d us", (int)worst);
    for (int i = 0; i < SLOW; i++)
        close(fds[i]);
}

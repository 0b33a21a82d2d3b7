/*
 * H1, H3: any bytes on a connection to the HTTP adapter. What comes back are whole answers of HTTP,
 * the connection ends, and the next client is served.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/http_peer.h"

static struct test_server server;

static void start(void)
{
    struct http_config config = {.threads = 1,
                                 .max_connections = 64,
                                 .header_timeout_ms = 300,
                                 .body_timeout_ms = 300,
                                 .idle_timeout_ms = 300,
                                 .write_timeout_ms = 300,
                                 .max_body_bytes = 4096,
                                 .max_big_body_bytes = 8192,
                                 .max_bodies_bytes = 1 << 20,
                                 .base_path = ""};

    test_server_start(&server, &config);
    test_server_open_gate(&server); /* nobody is kept waiting */
    test_server_end_lines(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *answer;
    bool closed = false;
    int fd;

    if (!server.http)
        start();
    fd = peer_connect(&server);
    peer_send(fd, data, size);
    shutdown(fd, SHUT_WR);
    answer = peer_read_all(fd, 5000, &closed);
    close(fd);
    MUST(!*answer || peer_status(answer) >= 100);
    /* More than a client reads is the one answer without end. */
    MUST(closed || memmem(data, size, "flood", 5));
    MUST(peer_status(peer_ask(&server, "GET", "/hello/x", "", NULL)) == 200);
    return 0;
}

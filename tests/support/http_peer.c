#include "tests/support/http_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "server/app.h"

#define PATIENCE_MS 10000

struct test_log {
    struct log log;
    struct test_server *server;
};

/* The routes find their server by this; one server at a time in a process. */
static struct test_server *current;
static struct app app_of_tests;
static struct test_log test_log;

static void give_up(const char *what)
{
    fprintf(stderr, "http_peer: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---------------------------------------------------------------------- routes */

static int hello(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)err;
    buf_printf(&res->body, "{\"hello\":\"%s\",\"numbers\":[1.10,1e400],\"none\":{}}",
               request_param(req, "name"));
    response_etag(res, 7);
    return 0;
}

static int stolen(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    atomic_fetch_add(&current->stolen, 1);
    buf_puts(&res->body, "{\"stolen\":true}");
    return 0;
}

static int echo(struct app *app, struct request *req, struct response *res, struct error *err)
{
    const struct doc *doc;

    (void)app;
    if (request_doc(req, false, &doc, err) < 0)
        return -1;
    doc_write(doc, &res->body);
    return 0;
}

static int action(struct app *app, struct request *req, struct response *res, struct error *err)
{
    const struct doc *doc;
    int64_t n;
    bool flag;

    (void)app;
    if (request_doc(req, true, &doc, err) < 0 ||
        request_query_int(req, "n", 5, 1, 10, &n, err) < 0 ||
        request_query_bool(req, "flag", false, &flag, err) < 0 ||
        request_query_only(req, (const char *const[]){"n", "flag", NULL}, err) < 0) {
        return -1;
    }
    res->status = 202;
    response_header(res, "Location", "/x/%d", 9);
    buf_printf(&res->body, "{\"n\":%d,\"flag\":%s,\"members\":%zu}", (int)n,
               flag ? "true" : "false", doc_count(doc));
    return 0;
}

static int big(struct app *app, struct request *req, struct response *res, struct error *err)
{
    size_t n;

    (void)app;
    (void)err;
    request_body(req, &n);
    buf_printf(&res->body, "{\"bytes\":%zu}", n);
    return 0;
}

static int fail(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const struct {
        const char *reason;
        enum error_code code;
    } known[] = {{"run_already_active", ERR_CONFLICT}, {"validation_failed", ERR_INVALID},
                 {"queue_full", ERR_RESOURCE},         {"check_failed", ERR_CONFIG},
                 {"database_busy", ERR_CONTENTION},    {"disk_full", ERR_RESOURCE}};
    const char *reason = request_param(req, "reason");

    (void)app;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].reason, reason))
            continue;
        problems_add(&res->problems, "/name", "too_long", "at most %d", 5);
        res->extra = "\"active_run_id\":7";
        return error_set_reason(err, known[i].code, known[i].reason, "A \"detail\".");
    }
    if (!strcmp(reason, "transient"))
        return error_set(err, ERR_TRANSIENT, "/var/secret/path is locked");
    return error_set(err, ERR_INTERNAL, "/var/secret/path is broken");
}

static bool gate_is_open(void *state)
{
    (void)state;
    return atomic_load(&current->gate_open);
}

struct kept {
    int64_t deadline_us;
};

static void release(void *state)
{
    atomic_fetch_add(&current->released, 1);
    free(state);
}

static int wait_for_gate(struct app *app, struct request *req, struct response *res,
                         struct error *err)
{
    struct kept *kept = request_kept(req);
    int64_t ms;

    (void)app;
    if (!kept) {
        if (request_query_int(req, "ms", 60000, 0, 60000, &ms, err) < 0)
            return -1;
        kept = xalloc(sizeof *kept);
        kept->deadline_us = clock_monotonic_us() + ms * 1000;
        atomic_fetch_add(&current->kept, 1);
        request_keep(req, kept, release);
    }
    if (!atomic_load(&current->gate_open) && clock_monotonic_us() < kept->deadline_us) {
        response_wait(res, kept->deadline_us, gate_is_open);
        return HANDLER_WAIT;
    }
    buf_printf(&res->body, "{\"open\":%s}", atomic_load(&current->gate_open) ? "true" : "false");
    return 0;
}

struct follower {
    int sent;
};

static int64_t read_lines(void *ctx, char *out, size_t max, int64_t *wake_us)
{
    struct follower *f = ctx;
    int n;

    (void)wake_us;
    if (f->sent == atomic_load(&current->lines))
        return atomic_load(&current->lines_end) ? STREAM_END : STREAM_AGAIN;
    n = snprintf(out, max, "line %d\n", f->sent + 1);
    f->sent++;
    return n;
}

static bool lines_ready(void *ctx)
{
    const struct follower *f = ctx;

    return f->sent < atomic_load(&current->lines) || atomic_load(&current->lines_end);
}

static int lines(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    atomic_fetch_add(&current->kept, 1);
    res->content_type = "application/x-ndjson";
    response_stream(res, &(struct response_stream){.read = read_lines,
                                                   .ready = lines_ready,
                                                   .release = release,
                                                   .ctx = xalloc(sizeof(struct follower))});
    return 0;
}

static int64_t read_flood(void *ctx, char *out, size_t max, int64_t *wake_us)
{
    (void)ctx;
    (void)wake_us;
    memset(out, ' ', max);
    return (int64_t)max;
}

static int flood(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    atomic_fetch_add(&current->kept, 1);
    res->content_type = "text/plain";
    response_stream(
        res, &(struct response_stream){.read = read_flood, .release = release, .ctx = xalloc(1)});
    return 0;
}

static int64_t read_abort(void *ctx, char *out, size_t max, int64_t *wake_us)
{
    int *calls = ctx;

    (void)wake_us;
    return (*calls)++ ? STREAM_ABORT : snprintf(out, max, "half\n");
}

static int cut(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    atomic_fetch_add(&current->kept, 1);
    response_stream(res, &(struct response_stream){
                             .read = read_abort, .release = release, .ctx = xalloc(sizeof(int))});
    return 0;
}

static int text(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    res->content_type = "text/plain";
    response_header(res, "Cache-Control", "no-cache");
    response_header(res, "X-Name", "a\r\nX-Split: %s", "yes");
    buf_puts(&res->body, "plain");
    return 0;
}

static int empty(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)err;
    res->status = 204;
    return 0;
}

static int large(struct app *app, struct request *req, struct response *res, struct error *err)
{
    int64_t n;

    (void)app;
    if (request_query_int(req, "bytes", 0, 0, (int64_t)128 << 20, &n, err) < 0)
        return -1;
    res->content_type = "application/octet-stream";
    for (int64_t i = 0; i < n; i += 1024)
        buf_printf(&res->body, "%1024s", "");
    return 0;
}

/* clang-format off */
static const struct route routes[] = {
    {"GET",   "/hello/{name}",  hello,         "hello",  "read",  0},
    {"GET",   "/stolen",        stolen,        "stolen", "read",  0},
    {"POST",  "/stolen",        stolen,        "stolen", "read",  0},
    {"POST",  "/echo",          echo,          "echo",   "write", 0},
    {"PATCH", "/echo",          echo,          "patch",  "write", 0},
    {"POST",  "/action",        action,        "action", "run",   0},
    {"POST",  "/big",           big,           "big",    "write", ROUTE_BIG_BODY},
    {"POST",  "/small",         big,           "small",  "write", 0},
    {"GET",   "/fail/{reason}", fail,          "fail",   "read",  0},
    {"GET",   "/wait",          wait_for_gate, "wait",   "read",  0},
    {"GET",   "/lines",         lines,         "lines",  "read",  0},
    {"GET",   "/flood",         flood,         "flood",  "read",  0},
    {"GET",   "/cut",           cut,           "cut",    "read",  0},
    {"GET",   "/text",          text,          "text",   "read",  0},
    {"DELETE", "/text",         empty,         "empty",  "read",  0},
    {"GET",   "/large",         large,         "large",  "read",  0},
    {NULL,    NULL,             NULL,          NULL,     NULL,    0},
};
/* clang-format on */

/* ---------------------------------------------------------------------- server */

static void emit(struct log *log, enum log_level level, const struct log_line *line)
{
    struct test_server *t = ((struct test_log *)log)->server;

    if (level == LOG_ERROR)
        atomic_fetch_add(&t->errors, 1);
    if (strcmp(line->message, "request"))
        return;
    atomic_store(&t->last_status, (int)line->fields[2].number);
    atomic_fetch_add(&t->logged, 1);
}

void test_server_start(struct test_server *t, const struct http_config *config)
{
    struct http_config c = config ? *config : (struct http_config){0};
    struct error err = ERROR_INIT;

    memset(t, 0, sizeof *t);
    current = t;
    test_log = (struct test_log){.log = {emit, LOG_DEBUG}, .server = t};
    c.address = "127.0.0.1:0";
    if (!c.threads)
        c.threads = 2;
    if (http_start(&c, routes, &app_of_tests, &test_log.log, &t->http, &err) < 0) {
        fprintf(stderr, "http_start: %s\n", err.message);
        abort();
    }
    snprintf(t->address, sizeof t->address, "%s", http_address(t->http));
}

void test_server_stop(struct test_server *t, int64_t grace_ms)
{
    http_stop(t->http, grace_ms);
    t->http = NULL;
}

void test_server_open_gate(struct test_server *t)
{
    atomic_store(&t->gate_open, true);
    http_notify(t->http);
}

void test_server_add_lines(struct test_server *t, int n)
{
    atomic_fetch_add(&t->lines, n);
    http_notify(t->http);
}

void test_server_end_lines(struct test_server *t)
{
    atomic_store(&t->lines_end, true);
    http_notify(t->http);
}

/* ------------------------------------------------------------------------ peer */

int peer_try_connect(const struct test_server *t)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    to.sin_port = htons((uint16_t)strtoul(strrchr(t->address, ':') + 1, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        give_up("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int peer_connect(const struct test_server *t)
{
    int fd = peer_try_connect(t);

    if (fd < 0)
        give_up("connect");
    return fd;
}

void peer_send(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        /* The server may answer and close before it has read everything. */
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return;
        if (sent < 0)
            give_up("send");
        p += sent;
        n -= (size_t)sent;
    }
}

void peer_print(int fd, const char *fmt, ...)
{
    char text_[8192];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text_, sizeof text_, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text_)
        give_up("a request that is too long for the test");
    peer_send(fd, text_, (size_t)n);
}

static ssize_t read_some(int fd, char *out, size_t max, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int rc = poll(&p, 1, timeout_ms);
    ssize_t n;

    if (rc == 0)
        return -1;
    n = recv(fd, out, max, 0);
    return n < 0 ? 0 : n; /* a reset ends it like a close */
}

const char *peer_read_all(int fd, int timeout_ms, bool *out_closed)
{
    static char all[4 << 20];
    size_t len = 0;
    ssize_t n = 1;

    while (len + 1 < sizeof all &&
           (n = read_some(fd, all + len, sizeof all - 1 - len, timeout_ms)) > 0)
        len += (size_t)n;
    all[len] = '\0';
    if (out_closed)
        *out_closed = n == 0;
    return all;
}

bool peer_read_until(int fd, const char *wanted)
{
    char all[16384];
    size_t len = 0;

    while (len + 1 < sizeof all) {
        ssize_t n = read_some(fd, all + len, 1, PATIENCE_MS);

        if (n <= 0)
            return false;
        all[++len] = '\0';
        if (strstr(all, wanted))
            return true;
    }
    return false;
}

const char *peer_talk(const struct test_server *t, const char *bytes, size_t n, bool *out_closed)
{
    int fd = peer_connect(t);
    const char *answer;

    peer_send(fd, bytes, n);
    answer = peer_read_all(fd, out_closed && !*out_closed ? 300 : PATIENCE_MS, out_closed);
    close(fd);
    return answer;
}

const char *peer_ask(const struct test_server *t, const char *method, const char *target,
                     const char *headers, const char *body)
{
    int fd = peer_connect(t);
    char length[64] = "";
    const char *answer;

    if (body)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    peer_print(fd, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s%s\r\n%s", method,
               target, length, headers, body ? body : "");
    answer = peer_read_all(fd, PATIENCE_MS, NULL);
    close(fd);
    return answer;
}

int peer_status(const char *text_)
{
    return strncmp(text_, "HTTP/1.1 ", 9) ? 0 : (int)strtol(text_ + 9, NULL, 10);
}

int peer_count(const char *text_)
{
    int n = 0;

    while ((text_ = strstr(text_, "HTTP/1.1 "))) {
        n++;
        text_++;
    }
    return n;
}

const char *peer_body(const char *text_)
{
    const char *end = strstr(text_, "\r\n\r\n");

    return end ? end + 4 : "";
}

const char *peer_header(const char *text_, const char *name)
{
    static char value[1024];
    size_t n = strlen(name);
    const char *end = strstr(text_, "\r\n\r\n");

    for (const char *line = strstr(text_, "\r\n"); line && line < end;
         line = strstr(line + 2, "\r\n")) {
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':') {
            size_t len = strcspn(line + 2 + n + 2, "\r");

            snprintf(value, sizeof value, "%.*s", (int)len, line + 2 + n + 2);
            return value;
        }
    }
    return NULL;
}

bool eventually(bool (*condition)(void *), void *arg)
{
    struct timespec nap = {.tv_nsec = 2000000};

    for (int i = 0; i < PATIENCE_MS / 2; i++) {
        if (condition(arg))
            return true;
        nanosleep(&nap, NULL);
    }
    return false;
}

bool eventually_equal(_Atomic int *value, int wanted)
{
    struct timespec nap = {.tv_nsec = 2000000};

    for (int i = 0; i < PATIENCE_MS / 2; i++) {
        if (atomic_load(value) == wanted)
            return true;
        nanosleep(&nap, NULL);
    }
    return false;
}

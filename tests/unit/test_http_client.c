#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "connectors/base/clock.h"
#include "connectors/http/client.h"
#include "tests/support/fake_api.h"

/* `n` MiB of zeros as gzip: a thousandth of that. */
static const char *pack_zeros(struct arena *mem, int n, size_t *out_n)
{
    static char zeros[1 << 20];
    size_t room = (size_t)n * 2048 + 4096;
    char *packed = arena_alloc(mem, room);
    z_stream z = {.next_out = (void *)packed, .avail_out = (uInt)room};

    deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
    for (int i = 0; i < n; i++) {
        z.next_in = (void *)zeros;
        z.avail_in = sizeof zeros;
        deflate(&z, i + 1 < n ? Z_NO_FLUSH : Z_FINISH);
    }
    *out_n = z.total_out;
    deflateEnd(&z);
    return packed;
}

/* What the server does is named by the path. */
static void answer(void *arg, const struct fake_request *r, struct arena *mem,
                   struct fake_answer *out)
{
    (void)arg;
    if (strcmp(r->path, "/echo") == 0) {
        out->body =
            arena_printf(mem, "%s %s|%s|%.*s|%s", r->method, r->path, r->query, (int)r->n_body,
                         r->body, fake_header(r, "Authorization") ? "keyed" : "plain");
        out->headers[0].name = "X-Seen";
        out->headers[0].value = fake_header(r, "X-Give") ? fake_header(r, "X-Give") : "none";
    } else if (strncmp(r->path, "/to/", 4) == 0) {
        out->status = atoi(r->path + 4);
        out->headers[0].name = "Location";
        out->headers[0].value = fake_param(r, "where");
        out->body = "moved";
    } else if (strcmp(r->path, "/large") == 0) {
        out->body = "0123456789abcdef";
        out->repeat = (uint64_t)4 << 20; /* 64 MiB */
    } else if (strcmp(r->path, "/drip") == 0) {
        out->body = "drop";
        out->repeat = 1000000;
        out->piece = 1;
        out->pause_ms = 20;
    } else if (strcmp(r->path, "/cut") == 0) {
        out->body = "0123456789";
        out->cut_after = 4;
    } else if (strcmp(r->path, "/bomb") == 0) {
        out->body = pack_zeros(mem, 256, &out->n_body);
        out->headers[0].name = "Content-Encoding";
        out->headers[0].value = "gzip";
    } else if (strcmp(r->path, "/circle") == 0) {
        out->status = 302;
        out->headers[0].name = "Location";
        out->headers[0].value = "/circle";
    } else if (strcmp(r->path, "/gone") == 0) {
        out->status = -1;
    } else {
        out->status = 404;
        out->body = "nothing here";
    }
}

struct fixture {
    struct fake_api *api;
    struct cancel *cancel;
    struct http_client *client;
    struct arena *mem;
    struct http_settings set;
};

static void open_fixture(struct fixture *f)
{
    struct error err = ERROR_INIT;

    f->api = fake_api_start(answer, NULL);
    f->mem = arena_new();
    if (f->set.total_ms == 0)
        f->set = (struct http_settings){
            .connect_ms = 5000, .idle_ms = 60000, .total_ms = 60000, .max_body = (int64_t)1 << 40};
    f->set.concurrency = 2;
    f->set.base_url = fake_api_url(f->api);
    cr_assert_eq(cancel_new(&f->cancel, &err), 0);
    cr_assert_eq(http_client_new(&f->set, f->cancel, &f->client, &err), 0, "%s", err.message);
}

static void close_fixture(struct fixture *f)
{
    http_client_free(f->client);
    cancel_free(f->cancel);
    fake_api_stop(f->api);
    arena_free(f->mem);
}

static int try_get(struct fixture *f, const char *path, struct http_exchange **out,
                   struct error *err)
{
    struct http_request r = {
        .method = "GET",
        .url = path[0] == '/' ? arena_printf(f->mem, "%s%s", f->set.base_url, path) : path};

    if (http_send(f->client, &r, out, err) < 0)
        return -1;
    return http_wait(*out, err);
}

static struct http_exchange *get(struct fixture *f, const char *path)
{
    struct error err = ERROR_INIT;
    struct http_exchange *x = NULL;

    cr_assert_eq(try_get(f, path, &x, &err), 0, "%s", err.message);
    return x;
}

static const char *body_of(struct fixture *f, struct http_exchange *x)
{
    struct buf body = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    const char *out;

    cr_assert_eq(http_read_all(x, &body, &err), 0, "%s", err.message);
    out = arena_strdup(f->mem, buf_str(&body));
    buf_release(&body);
    return out;
}

Test(http_client, asks_and_is_answered_over_one_connection)
{
    struct fixture f = {0};

    open_fixture(&f);
    for (int i = 0; i < 5; i++) {
        struct http_exchange *x = get(&f, "/echo?a=1&b=%20");

        cr_assert_eq(http_status(x), 200);
        cr_assert_str_eq(http_header(x, "x-seen"), "none");
        cr_assert_null(http_header(x, "x-see"));
        cr_assert_str_eq(body_of(&f, x), "GET /echo|a=1&b=%20||plain");
        http_end(x);
    }
    cr_assert_eq(fake_api_connections(f.api), 1);
    close_fixture(&f);
}

Test(http_client, sends_bodies_and_headers)
{
    const struct http_header headers[] = {{"X-Give", "something", false},
                                          {"Authorization", "Bearer k", true}};
    struct error err = ERROR_INIT;
    struct fixture f = {0};
    struct http_exchange *x;

    open_fixture(&f);
    const struct http_request r = {
        "POST", arena_printf(f.mem, "%s/echo", f.set.base_url), headers, 2, {"{\"a\":1}", 7}};

    cr_assert_eq(http_send(f.client, &r, &x, &err), 0);
    cr_assert_eq(http_wait(x, &err), 0, "%s", err.message);
    cr_assert_str_eq(http_header(x, "X-Seen"), "something");
    cr_assert_str_eq(body_of(&f, x), "POST /echo||{\"a\":1}|keyed");
    http_end(x);
    close_fixture(&f);
}

Test(http_client, hands_out_a_large_body_in_constant_memory)
{
    struct error err = ERROR_INIT;
    struct fixture f = {0};
    struct http_exchange *x;
    size_t n, total = 0, most = 0;
    const char *piece;

    open_fixture(&f);
    x = get(&f, "/large");
    usleep(200000); /* the server runs ahead as far as it may */
    do {
        cr_assert_eq(http_read(x, &piece, &n, &err), 0, "%s", err.message);
        total += n;
        most = n > most ? n : most;
    } while (n > 0);
    cr_assert_eq(total, (size_t)64 << 20);
    cr_assert_leq(most, HTTP_INBOX + (256 << 10));
    http_end(x);
    close_fixture(&f);
}

Test(http_client, keeps_two_answers_apart)
{
    struct error err = ERROR_INIT;
    struct fixture f = {0};
    struct http_exchange *a, *b = NULL;

    open_fixture(&f);
    a = get(&f, "/large");
    cr_assert_eq(try_get(&f, "/echo?second", &b, &err), 0, "%s", err.message);
    cr_assert_str_eq(body_of(&f, b), "GET /echo|second||plain");
    http_end(b);
    http_end(a); /* in the middle */
    http_end(get(&f, "/echo"));
    close_fixture(&f);
}

/* E4. */
Test(http_client, follows_redirects_and_keeps_credentials_at_home)
{
    const struct http_header key[] = {{"Authorization", "Bearer k", true}};
    struct error err = ERROR_INIT;
    struct fixture f = {0}, other = {0};
    struct http_exchange *x;

    open_fixture(&other);
    f.set = other.set;
    const char *listed[] = {"localhost", NULL};

    f.set.allowed_hosts = listed;
    open_fixture(&f);
    struct http_request r = {.method = "POST", .headers = key, .n_headers = 1, .body = {"x", 1}};

    r.url = arena_printf(f.mem, "%s/to/307?where=/echo", f.set.base_url);
    cr_assert_eq(http_send(f.client, &r, &x, &err), 0);
    cr_assert_eq(http_wait(x, &err), 0, "%s", err.message);
    cr_assert_str_eq(body_of(&f, x), "POST /echo||x|keyed");
    http_end(x);

    r.url = arena_printf(f.mem, "%s/to/303?where=/echo", f.set.base_url);
    cr_assert_eq(http_send(f.client, &r, &x, &err), 0);
    cr_assert_eq(http_wait(x, &err), 0, "%s", err.message);
    cr_assert_str_eq(body_of(&f, x), "GET /echo|||keyed");
    http_end(x);

    /* Another port is another origin, though the host is allowed. */
    r.url = arena_printf(f.mem, "%s/to/302?where=http%%3A%%2F%%2Flocalhost%s%%2Fecho",
                         f.set.base_url, strrchr(other.set.base_url, ':'));
    cr_assert_eq(http_send(f.client, &r, &x, &err), 0, "%s", err.message);
    cr_assert_eq(http_wait(x, &err), 0, "%s", err.message);
    cr_assert_str_eq(body_of(&f, x), "GET /echo|||plain");
    http_end(x);
    close_fixture(&f);
    close_fixture(&other);
}

/* E5, E6, E7. */
Test(http_client, refuses_what_it_must_not_ask)
{
    static const char *const urls[] = {"http://other.example/x",
                                       "https://127.0.0.2/x",
                                       "ftp://127.0.0.1/x",
                                       "file:///etc/passwd",
                                       "http://user:pw@127.0.0.1/x",
                                       "http://127.0.0.1/a b",
                                       "http://127.0.0.1\r\nX: y/",
                                       "gopher://127.0.0.1/",
                                       "",
                                       "nonsense"};
    static const struct http_header bad[] = {{"Host", "x", false},
                                             {"content-length", "5", false},
                                             {"Transfer-Encoding", "chunked", false},
                                             {"X-A", "b\r\nX-C: d", false},
                                             {"X A", "b", false},
                                             {"", "b", false}};
    struct fixture f = {0};
    struct http_exchange *x = NULL;

    open_fixture(&f);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct error err = ERROR_INIT;
        struct http_request r = {.method = "GET", .url = urls[i]};

        cr_assert_eq(http_send(f.client, &r, &x, &err), -1, "%s", urls[i]);
        cr_assert_eq(err.code, ERR_CONFIG);
        cr_assert_str_eq(err.reason, "url_refused");
        cr_assert_null(strstr(err.message, "pw"));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;
        struct http_request r = {
            .method = "GET", .url = f.set.base_url, .headers = &bad[i], .n_headers = 1};

        cr_assert_eq(http_send(f.client, &r, &x, &err), -1, "%s", bad[i].name);
        cr_assert_str_eq(err.reason, "header_refused");
    }
    cr_assert_eq(fake_api_requests(f.api), 0);
    close_fixture(&f);
}

static void fails(struct fixture *f, const char *path, enum error_code code, const char *reason)
{
    struct buf body = BUF_INIT((size_t)256 << 20);
    struct error err = ERROR_INIT;
    struct http_exchange *x = NULL;

    if (try_get(f, path, &x, &err) == 0)
        cr_assert_eq(http_read_all(x, &body, &err), -1, "%s", path);
    cr_assert_eq(err.code, code, "%s: %s", path, err.message);
    if (reason)
        cr_assert_str_eq(err.reason, reason, "%s: %s", path, err.message);
    buf_release(&body);
    http_end(x);
}

Test(http_client, says_what_went_wrong)
{
    struct fixture f = {
        .set = {
            .connect_ms = 2000, .idle_ms = 500, .total_ms = 1000, .max_body = (int64_t)32 << 20}};

    open_fixture(&f);
    fails(&f, "/gone", ERR_TRANSIENT, "connection_lost");
    fails(&f, "/cut", ERR_TRANSIENT, "connection_lost");
    fails(&f, "/to/302?where=/to/302%3Fwhere%3D/echo%2520", ERR_CONFIG, NULL);
    fails(&f, "/to/302?where=http%3A%2F%2Fother.example%2F", ERR_CONFIG, "url_refused");
    close_fixture(&f);
}

Test(http_client, does_not_wait_for_ever_for_a_slow_answer)
{
    struct fixture f = {
        .set = {
            .connect_ms = 2000, .idle_ms = 500, .total_ms = 1000, .max_body = (int64_t)32 << 20}};

    open_fixture(&f);
    fails(&f, "/drip", ERR_TRANSIENT, "timeout");
    close_fixture(&f);
}

/* J4, F11. */
Test(http_client, stops_a_bomb)
{
    struct fixture f = {0};

    open_fixture(&f);
    fails(&f, "/bomb", ERR_TOO_LARGE, NULL);
    close_fixture(&f);
}

Test(http_client, gives_up_in_a_circle)
{
    struct fixture f = {0};

    open_fixture(&f);
    fails(&f, "/circle", ERR_CONFIG, "redirect_refused");
    cr_assert_eq(fake_api_requests(f.api), HTTP_MAX_REDIRECTS + 1);
    close_fixture(&f);
}

Test(http_client, follows_as_many_redirects_as_it_is_told)
{
    struct fixture f = {0}, none = {0};
    struct http_exchange *x;

    open_fixture(&f);
    none.set = f.set;
    close_fixture(&f);
    f = (struct fixture){.set = none.set};
    f.set.redirects = 2;
    open_fixture(&f);
    fails(&f, "/circle", ERR_CONFIG, "redirect_refused");
    cr_assert_eq(fake_api_requests(f.api), 3);
    close_fixture(&f);
    none.set.redirects = HTTP_NO_REDIRECTS;
    open_fixture(&none);
    fails(&none, "/to/302?where=/echo", ERR_CONFIG, "redirect_refused");
    x = get(&none, "/echo");
    http_end(x);
    close_fixture(&none);
}

Test(http_client, reports_hosts_that_are_not_there)
{
    struct fixture f = {0};
    struct error err = ERROR_INIT;
    struct http_client *c;
    struct http_exchange *x;

    open_fixture(&f);
    f.set.base_url = "http://no-such-host.invalid";
    cr_assert_eq(http_client_new(&f.set, f.cancel, &c, &err), 0);
    struct http_request r = {.method = "GET", .url = f.set.base_url};

    cr_assert_eq(http_send(c, &r, &x, &err), 0);
    cr_assert_eq(http_wait(x, &err), -1);
    cr_assert_eq(err.code, ERR_TRANSIENT);
    cr_assert_str_eq(err.reason, "host_unknown");
    http_end(x);
    http_client_free(c);
    close_fixture(&f);
}

static void *stop_soon(void *arg)
{
    usleep(200000);
    cancel_request(arg, CANCEL_USER);
    return NULL;
}

Test(http_client, ends_every_wait_when_cancelled)
{
    struct error err = ERROR_INIT;
    struct buf body = BUF_INIT(1 << 20);
    struct fixture f = {0};
    struct http_exchange *x;
    int64_t began = clock_monotonic_us();
    pthread_t t;

    open_fixture(&f);
    x = get(&f, "/drip");
    cr_assert_eq(pthread_create(&t, NULL, stop_soon, f.cancel), 0);
    cr_assert_eq(http_read_all(x, &body, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    cr_assert_lt(clock_monotonic_us() - began, 20000000);
    pthread_join(t, NULL);
    http_end(x);
    buf_release(&body);
    close_fixture(&f);
}

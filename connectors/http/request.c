/*
 * Requests on their way out: what may be asked of whom, and how curl is told.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "connectors/base/clock.h"
#include "connectors/base/egress.h"
#include "connectors/base/unconst.h"
#include "connectors/http/client_internal.h"

/* Nothing that is honest grows more than this when it is unpacked; gzip can by a thousand. */
#define EXPANSION_MAX   200
#define EXPANSION_FLOOR ((int64_t)16 << 20) /* decoded bytes from which on it is looked at */

/* ------------------------------------------------------------------ callbacks */

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct http_exchange *x = arg;
    size_t len = size * n;

    x->last_us = clock_monotonic_us();
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    /* A status line begins a new set: what came before was a 1xx. */
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
        buf_clear(&x->head);
    else if (len > 0 && memchr(line, ':', len)) {
        buf_put(&x->head, line, len);
        buf_putc(&x->head, '\0');
    }
    x->head_too_large |= x->head.failed;
    return x->head.failed ? 0 : size * n;
}

static bool is_bomb(const struct http_exchange *x)
{
    curl_off_t raw = 0;

    if (x->n_body < EXPANSION_FLOOR ||
        curl_easy_getinfo(x->easy, CURLINFO_SIZE_DOWNLOAD_T, &raw) != CURLE_OK)
        return false;
    return x->n_body / EXPANSION_MAX > raw;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_exchange *x = arg;
    size_t len = size * n;

    x->last_us = clock_monotonic_us();
    if (x->inbox.len > 0 && x->inbox.len + len > HTTP_INBOX) {
        x->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    x->stage = STAGE_BODY;
    x->n_body += (int64_t)len;
    x->bomb = x->n_body > x->client->set.max_body || is_bomb(x);
    if (x->bomb)
        return 0;
    buf_put(&x->inbox, bytes, len);
    return x->inbox.failed ? 0 : len;
}

/* Where the connection really goes, whatever the name said before; also for a redirect. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct http_exchange *x = arg;

    (void)purpose;
    x->denied = ERROR_INIT;
    if (egress_check(x->host, &to->addr, &x->denied) < 0)
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* -------------------------------------------------------------------- starting */

static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++) {
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f ||
            strchr("\"(),/:;<=>?@[\\]{}", *s))
            return false;
    }
    return true;
}

/* The first four decide how a message is framed; they are the client's own. */
static int check_header(const struct http_header *h, struct error *err)
{
    static const char *const ours[] = {"Host",       "Content-Length", "Transfer-Encoding",
                                       "Connection", "Expect",         "Accept-Encoding",
                                       "Upgrade"};

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcasecmp(h->name, ours[i]) == 0)
            return error_set_reason(err, ERR_CONFIG, "header_refused",
                                    "the header %s cannot be set", h->name);
    }
    if (!is_token(h->name) || strpbrk(h->value, "\r\n"))
        return error_set_reason(err, ERR_CONFIG, "header_refused",
                                "a header has a name or value that is not allowed");
    return 0;
}

int request_check(const struct http_request *r, struct error *err)
{
    if (!is_token(r->method))
        return error_set_reason(err, ERR_CONFIG, "header_refused", "the method is no token");
    for (size_t i = 0; i < r->n_headers; i++) {
        if (check_header(&r->headers[i], err) < 0)
            return -1;
    }
    return 0;
}

static bool host_is_listed(const struct http_client *c, const char *host)
{
    for (size_t i = 0; c->set.allowed_hosts && c->set.allowed_hosts[i]; i++) {
        if (strcasecmp(c->set.allowed_hosts[i], host) == 0)
            return true;
    }
    return false;
}

/* A response may name any address; only those that the user meant are asked. */
int request_check_host(const struct http_client *c, const char *url, struct arena *mem,
                       struct url_origin *out, struct error *err)
{
    if (url_origin(mem, url, out, err) < 0)
        return -1;
    if (url_same_origin(out, &c->base))
        return 0;
    if (strcmp(c->base.scheme, "https") == 0 && strcmp(out->scheme, "http") == 0)
        return error_set_reason(err, ERR_CONFIG, "url_refused",
                                "from https to http at %s: nothing is sent in clear", out->host);
    if (strcmp(out->host, c->base.host) == 0 || host_is_listed(c, out->host))
        return 0;
    return error_set_reason(err, ERR_CONFIG, "url_refused",
                            "the host %s is not among the allowed hosts", out->host);
}

static void add_header(struct http_exchange *x, const char *name, const char *value)
{
    /* An empty value needs the form "Name;", or curl would take the header out. */
    const char *line =
        *value ? arena_printf(x->mem, "%s: %s", name, value) : arena_printf(x->mem, "%s;", name);
    struct curl_slist *list = curl_slist_append(x->list, line);

    if (!list)
        abort();
    x->list = list;
}

static void set_headers(struct http_exchange *x)
{
    curl_slist_free_all(x->list);
    x->list = NULL;
    for (size_t i = 0; i < x->n_headers; i++) {
        if (x->keep_credentials || !x->headers[i].credential)
            add_header(x, x->headers[i].name, x->headers[i].value);
    }
    add_header(x, "Expect", ""); /* no waiting for a 100 that few servers send */
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->list);
}

/* The text outlives the request. */
static struct curl_blob blob_of(const char *pem)
{
    return (struct curl_blob){unconst(pem), strlen(pem), CURL_BLOB_NOCOPY};
}

static void set_tls(struct http_exchange *x)
{
    const struct http_settings *s = &x->client->set;
    struct curl_blob ca, cert, key;

    curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYPEER, s->insecure ? 0L : 1L);
    curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYHOST, s->insecure ? 0L : 2L);
    curl_easy_setopt(x->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (s->ca_pem) {
        ca = blob_of(s->ca_pem);
        curl_easy_setopt(x->easy, CURLOPT_CAINFO_BLOB, &ca);
    }
    if (s->cert_pem && s->key_pem) {
        cert = blob_of(s->cert_pem);
        key = blob_of(s->key_pem);
        curl_easy_setopt(x->easy, CURLOPT_SSLCERT_BLOB, &cert);
        curl_easy_setopt(x->easy, CURLOPT_SSLKEY_BLOB, &key);
    }
}

static void set_options(struct http_exchange *x)
{
    const struct http_settings *s = &x->client->set;
    CURL *e = x->easy;

    curl_easy_setopt(e, CURLOPT_URL, x->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PROXY, s->proxy ? s->proxy : "");
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_ms);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_USERAGENT, s->user_agent ? s->user_agent : "connectord");
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->why);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(e, CURLOPT_PRIVATE, x);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, x->method);
    if (strcmp(x->method, "HEAD") == 0)
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    if (x->body.ptr) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body.len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->body.ptr);
    }
    set_tls(x);
    set_headers(x);
}

/* Whose address the socket will have; what a proxy connects to can only be judged by its name. */
static int set_host(struct http_exchange *x, struct error *err)
{
    const char *proxy = x->client->set.proxy;
    struct url_origin to;

    if (url_origin(x->mem, x->url, &to, err) < 0)
        return -1;
    x->host = to.host;
    if (!proxy || !*proxy)
        return 0;
    if (egress_check_name(to.host, (int)to.port, err) < 0)
        return -1;
    x->host = proxy;
    return 0;
}

int request_launch(struct http_exchange *x, struct error *err)
{
    if (set_host(x, err) < 0)
        return -1;
    x->denied = ERROR_INIT;
    curl_easy_reset(x->easy);
    set_options(x);
    x->stage = STAGE_HEAD;
    x->status = 0;
    x->why[0] = '\0';
    x->paused = false;
    x->last_us = clock_monotonic_us();
    buf_clear(&x->head);
    buf_clear(&x->inbox);
    if (curl_multi_add_handle(x->client->multi, x->easy) != CURLM_OK)
        return error_set(err, ERR_RESOURCE, "a request cannot be started");
    x->in_multi = true;
    return 0;
}

void request_copy(struct http_exchange *x, const struct http_request *r)
{
    struct http_header *headers = arena_array(x->mem, r->n_headers + 1, sizeof *headers);

    for (size_t i = 0; i < r->n_headers; i++)
        headers[i] = (struct http_header){arena_strdup(x->mem, r->headers[i].name),
                                          arena_strdup(x->mem, r->headers[i].value),
                                          r->headers[i].credential};
    x->headers = headers;
    x->n_headers = r->n_headers;
    x->method = arena_strdup(x->mem, r->method);
    if (r->body.ptr)
        x->body = (struct slice){arena_memdup(x->mem, r->body.ptr, r->body.len), r->body.len};
}

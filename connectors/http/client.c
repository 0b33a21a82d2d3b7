#include "connectors/http/client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/clock.h"
#include "connectors/http/client_internal.h"

/* --------------------------------------------------------------------- errors */

/* clang-format off */
static const struct {
    CURLcode curl;
    enum error_code code;
    const char *reason;
} classes[] = {
    {CURLE_COULDNT_RESOLVE_HOST,      ERR_TRANSIENT, "host_unknown"},
    {CURLE_COULDNT_RESOLVE_PROXY,     ERR_TRANSIENT, "host_unknown"},
    {CURLE_COULDNT_CONNECT,           ERR_TRANSIENT, "host_unreachable"},
    {CURLE_OPERATION_TIMEDOUT,        ERR_TRANSIENT, "timeout"},
    {CURLE_SSL_CONNECT_ERROR,         ERR_CONFIG,    "tls_failed"},
    {CURLE_PEER_FAILED_VERIFICATION,  ERR_CONFIG,    "tls_failed"},
    {CURLE_SSL_CACERT_BADFILE,        ERR_CONFIG,    "tls_failed"},
    {CURLE_SSL_CERTPROBLEM,           ERR_CONFIG,    "tls_failed"},
    {CURLE_URL_MALFORMAT,             ERR_CONFIG,    "url_refused"},
    {CURLE_UNSUPPORTED_PROTOCOL,      ERR_CONFIG,    "url_refused"},
    {CURLE_OUT_OF_MEMORY,             ERR_RESOURCE,  "out_of_memory"},
};
/* clang-format on */

static int fail(struct http_exchange *x, CURLcode rc, struct error *err)
{
    enum error_code code = ERR_TRANSIENT;
    const char *reason = "connection_lost";
    struct url_origin at = {"", "", 0};
    struct error ignored = ERROR_INIT;

    if (cancel_check(x->client->cancel, err) < 0)
        return -1;
    if (url_origin(x->mem, x->url, &at, &ignored) < 0)
        at.host = "?";
    if (rc == CURLE_COULDNT_CONNECT && x->denied.code != ERR_NONE) {
        *err = x->denied;
        return -1;
    }
    if (x->head_too_large)
        return error_set(err, ERR_TOO_LARGE, "%s: the headers of the answer are beyond %zu bytes",
                         at.host, HTTP_MAX_HEADERS);
    if (x->bomb)
        return error_set(err, ERR_TOO_LARGE,
                         "%s: the answer is larger than allowed, or was compressed beyond reason",
                         at.host);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (classes[i].curl == rc) {
            code = classes[i].code;
            reason = classes[i].reason;
        }
    }
    error_set_at(err, code, reason, __FILE__, __LINE__, "%s port %ld: %s", at.host, at.port,
                 x->why[0] ? x->why : curl_easy_strerror(rc));
    return -1;
}

int http_send(struct http_client *c, const struct http_request *r, struct http_exchange **out,
              struct error *err)
{
    CLEANUP(http_end_cleanup) struct http_exchange *x = xalloc(sizeof *x);
    struct url_origin at;

    x->client = c;
    x->mem = arena_new();
    x->head = BUF_INIT(HTTP_MAX_HEADERS);
    x->inbox = x->handed = BUF_INIT(2 * HTTP_INBOX);
    c->n_open++;
    if (request_check(r, err) < 0 || url_resolve(x->mem, NULL, r->url, &x->url, err) < 0 ||
        request_check_host(c, x->url, x->mem, &at, err) < 0)
        return -1;
    x->keep_credentials = url_same_origin(&at, &c->base);
    request_copy(x, r);
    x->easy = c->idle ? TAKE(c->idle) : curl_easy_init();
    if (!x->easy)
        abort();
    if (request_launch(x, err) < 0)
        return -1;
    *out = TAKE(x);
    return 0;
}

/* --------------------------------------------------------------------- waiting */

static void take_finished(struct http_client *c)
{
    struct http_exchange *x;
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left))) {
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x) != CURLE_OK)
            continue;
        x->result = m->data.result;
        x->stage = STAGE_DONE;
        curl_multi_remove_handle(c->multi, x->easy);
        x->in_multi = false;
    }
}

void http_move(struct http_client *c)
{
    int running;

    curl_multi_perform(c->multi, &running);
    take_finished(c);
}

/* Moves everything on, and waits when nothing moves. */
static int drive(struct http_exchange *x, struct error *err)
{
    struct http_client *c = x->client;
    struct curl_waitfd stop = {.fd = cancel_fd(c->cancel), .events = CURL_WAIT_POLLIN};
    int64_t began = clock_monotonic_us(), now;
    int running;

    if (cancel_check(c->cancel, err) < 0)
        return -1;
    if (curl_multi_perform(c->multi, &running) != CURLM_OK ||
        (x->stage == STAGE_HEAD && curl_multi_poll(c->multi, &stop, 1, 100, NULL) != CURLM_OK) ||
        (x->stage == STAGE_BODY && x->inbox.len == 0 &&
         curl_multi_poll(c->multi, &stop, 1, 100, NULL) != CURLM_OK))
        return error_set(err, ERR_INTERNAL, "the HTTP library lost track of its requests");
    take_finished(c);
    now = clock_monotonic_us();
    x->waited_us += now - began;
    if (x->stage == STAGE_DONE || x->inbox.len > 0)
        return 0;
    if (x->waited_us > c->set.total_ms * 1000 || now - x->last_us > c->set.idle_ms * 1000)
        return error_set_reason(err, ERR_TRANSIENT, "timeout", "%.*s: no answer in time",
                                (int)strcspn(x->url, "?"), x->url);
    return 0;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    const char *found = NULL;
    size_t n = strlen(name);

    for (size_t at = 0; at < x->head.len; at += strlen(x->head.data + at) + 1) {
        const char *line = x->head.data + at;

        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            found = line + n + 1 + strspn(line + n + 1, " \t");
    }
    return found;
}

const char *http_header_next(const struct http_exchange *x, const char *at, const char **name,
                             const char **value)
{
    const char *line = at ? at + strlen(at) + 1 : buf_str(&x->head), *colon;

    if (line >= buf_str(&x->head) + x->head.len)
        return NULL;
    colon = strchr(line, ':');
    *name = line;
    *value = colon + 1 + strspn(colon + 1, " \t");
    return line;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* 303 always, and 301 and 302 of a POST as everybody does it, ask with GET. */
static void follow_method(struct http_exchange *x)
{
    bool post = strcmp(x->method, "POST") == 0;

    if (x->status == 303 || (post && (x->status == 301 || x->status == 302))) {
        if (strcmp(x->method, "HEAD") != 0)
            x->method = "GET";
        x->body = (struct slice){0};
    }
}

static int follow(struct http_exchange *x, const char *location, struct error *err)
{
    int given = x->client->set.redirects, most = given ? given : HTTP_MAX_REDIRECTS;
    struct url_origin from, to;
    const char *next;

    if (++x->hops > most)
        return error_set_reason(err, ERR_CONFIG, "redirect_refused", "%.*s: more than %d redirects",
                                (int)strcspn(x->url, "?"), x->url, most > 0 ? most : 0);
    if (url_resolve(x->mem, x->url, location, &next, err) < 0 ||
        url_origin(x->mem, x->url, &from, err) < 0 ||
        request_check_host(x->client, next, x->mem, &to, err) < 0)
        return error_wrap(err, "following a redirect");
    if (strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "http") == 0)
        return error_set_reason(err, ERR_CONFIG, "redirect_refused",
                                "a redirect from https to http at %s", to.host);
    x->keep_credentials = x->keep_credentials && url_same_origin(&from, &to);
    follow_method(x);
    x->url = next;
    if (x->in_multi)
        curl_multi_remove_handle(x->client->multi, x->easy);
    x->in_multi = false;
    return request_launch(x, err);
}

static void read_status(struct http_exchange *x)
{
    long status = 0;

    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    x->status = (int)status;
}

int http_wait(struct http_exchange *x, struct error *err)
{
    const char *location;

    for (;;) {
        while (x->stage == STAGE_HEAD) {
            if (drive(x, err) < 0)
                return -1;
        }
        read_status(x);
        if (x->stage == STAGE_DONE && x->result != CURLE_OK && x->inbox.len == 0)
            return fail(x, x->result, err);
        location = http_header(x, "Location");
        if (!is_redirect(x->status) || !location)
            return 0;
        if (follow(x, arena_strdup(x->mem, location), err) < 0)
            return -1;
    }
}

int http_status(const struct http_exchange *x)
{
    return x->status;
}

const char *http_url(const struct http_exchange *x)
{
    return x->url;
}

int http_read(struct http_exchange *x, const char **out, size_t *out_n, struct error *err)
{
    struct buf lent = x->handed;

    while (x->inbox.len == 0 && x->stage != STAGE_DONE) {
        if (x->paused) {
            x->paused = false;
            curl_easy_pause(x->easy, CURLPAUSE_CONT);
        }
        if (drive(x, err) < 0)
            return -1;
    }
    if (x->inbox.len == 0 && x->result != CURLE_OK)
        return fail(x, x->result, err);
    buf_clear(&lent);
    x->handed = x->inbox;
    x->inbox = lent;
    *out = buf_str(&x->handed);
    *out_n = x->handed.len;
    return 0;
}

int http_read_all(struct http_exchange *x, struct buf *out, struct error *err)
{
    const char *piece = "";
    size_t n = 0;

    do {
        if (http_read(x, &piece, &n, err) < 0)
            return -1;
        buf_put(out, piece, n);
    } while (n > 0 && !out->failed);
    return buf_ok(out, "the body of an answer", err);
}

void http_end(struct http_exchange *x)
{
    struct http_client *c;

    if (!x)
        return;
    c = x->client;
    if (x->in_multi)
        curl_multi_remove_handle(c->multi, x->easy);
    if (x->easy && !c->idle) {
        curl_easy_reset(x->easy);
        c->idle = TAKE(x->easy);
    }
    curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->list);
    buf_release(&x->head);
    buf_release(&x->inbox);
    buf_release(&x->handed);
    arena_free(x->mem);
    c->n_open--;
    free(x);
}

/* --------------------------------------------------------------------- clients */

static void start_library(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

static const char *copy_or_null(struct arena *mem, const char *s)
{
    return s ? arena_strdup(mem, s) : NULL;
}

static const char *const *copy_list(struct arena *mem, const char *const *list)
{
    size_t n = 0;
    const char **out;

    while (list && list[n])
        n++;
    out = arena_array(mem, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = arena_strdup(mem, list[i]);
    return out;
}

int http_client_new(const struct http_settings *s, const struct cancel *cancel,
                    struct http_client **out, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CLEANUP(http_client_free_cleanup) struct http_client *c = xalloc(sizeof *c);
    const char *base;

    pthread_once(&once, start_library);
    c->mem = arena_new();
    c->cancel = cancel;
    c->set = *s;
    if (url_resolve(c->mem, NULL, s->base_url, &base, err) < 0 ||
        url_origin(c->mem, base, &c->base, err) < 0)
        return -1;
    c->set.base_url = base;
    c->set.allowed_hosts = copy_list(c->mem, s->allowed_hosts);
    c->set.proxy = copy_or_null(c->mem, s->proxy);
    c->set.ca_pem = copy_or_null(c->mem, s->ca_pem);
    c->set.cert_pem = copy_or_null(c->mem, s->cert_pem);
    c->set.key_pem = copy_or_null(c->mem, s->key_pem);
    c->set.user_agent = copy_or_null(c->mem, s->user_agent);
    c->multi = curl_multi_init();
    if (!c->multi)
        abort();
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)(s->concurrency ? s->concurrency : 1));
    *out = TAKE(c);
    return 0;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->idle);
    curl_multi_cleanup(c->multi);
    arena_free(c->mem);
    free(c);
}

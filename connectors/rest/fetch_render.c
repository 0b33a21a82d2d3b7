/*
 * Requests of a document, rendered: address, parameters, headers, body.
 */
#include <string.h>
#include <strings.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/http/url.h"
#include "connectors/rest/fetch_internal.h"

#define HEADERS_MAX 64

int render_text(struct fetcher *f, const struct template *t, const struct scopes *s,
                struct arena *mem, const char **out, struct error *err)
{
    struct rest_value v;

    (void)f;
    *out = NULL;
    if (!t)
        return 0;
    if (template_render(t, s, mem, &v, err) < 0)
        return -1;
    if (v.kind == VALUE_NULL)
        return 0;
    *out = rest_value_text(&v, mem);
    if (strlen(*out) != v.text.len)
        return error_set_reason(err, ERR_CONFIG, "template_value",
                                "a value that goes into a request holds a NUL");
    return 0;
}

int render_settings(struct fetcher *f, const char *base_url, struct http_settings *out,
                    struct error *err)
{
    const struct rest_client *c = &f->doc->client;
    const char *ca, *cert, *key;

    if (render_text(f, c->ca, &f->base, f->mem, &ca, err) < 0 ||
        render_text(f, c->cert, &f->base, f->mem, &cert, err) < 0 ||
        render_text(f, c->key, &f->base, f->mem, &key, err) < 0)
        return error_wrap(err, "tls");
    *out = (struct http_settings){
        .connect_ms = c->connect_ms,
        .idle_ms = c->idle_ms,
        .total_ms = c->total_ms,
        .max_body = c->max_body,
        .redirects = c->redirects ? (int)c->redirects : HTTP_NO_REDIRECTS,
        .concurrency = (unsigned)c->concurrency,
        .allowed_hosts = c->allowed_hosts,
        .base_url = base_url,
        .proxy = c->proxy,
        .insecure = c->insecure,
        .ca_pem = ca,
        .cert_pem = cert,
        .key_pem = key,
        .user_agent = "connectord",
    };
    return 0;
}

int render_client(struct fetcher *f, struct error *err)
{
    struct http_settings set;
    const char *url;

    if (f->client)
        return 0;
    if (template_scopes(f->doc->client.base_url) & SCOPE_BIT(token) && auth_ready(f, err) < 0)
        return -1;
    if (render_text(f, f->doc->client.base_url, &f->base, f->mem, &url, err) < 0)
        return error_wrap(err, "base_url");
    if (!url || url_resolve(f->mem, NULL, url, &f->base_url, err) < 0)
        return url ? -1 : error_set(err, ERR_CONFIG, "base_url is empty");
    if (f->doc->client.insecure)
        log_warn(f->run->log, .message = "certificates are not checked, as the document asks");
    if (render_settings(f, f->base_url, &set, err) < 0)
        return -1;
    return http_client_new(&set, f->run->cancel, &f->client, err);
}

/* An absolute address stands for itself; everything else goes behind the base, its path kept. */
static int render_url(struct fetcher *f, const char *path, struct arena *mem, const char **out,
                      struct error *err)
{
    size_t n = strlen(f->base_url);

    if (strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0)
        return url_resolve(mem, NULL, path, out, err);
    while (n > 0 && f->base_url[n - 1] == '/')
        n--;
    while (*path == '/')
        path++;
    return url_resolve(mem, NULL, arena_printf(mem, "%.*s/%s", (int)n, f->base_url, path), out,
                       err);
}

static bool is_set(const struct rest_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcasecmp(p->items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Those of the client that the request does not set itself, then its own. */
static int render_params(struct fetcher *f, const struct rest_pairs *pairs,
                         const struct rest_pairs *over, const struct scopes *s, struct arena *mem,
                         const char **url, struct error *err)
{
    for (size_t i = 0; i < pairs->n; i++) {
        const char *value;

        if (over && is_set(over, pairs->items[i].name))
            continue;
        if (render_text(f, pairs->items[i].value, s, mem, &value, err) < 0)
            return error_wrap(err, "parameter \"%s\"", pairs->items[i].name);
        if (value)
            *url = url_add_query(mem, *url, pairs->items[i].name, value);
    }
    return 0;
}

struct headers {
    struct http_header *items;
    size_t n;
};

static int put_header(struct headers *h, const char *name, const char *value, bool credential,
                      struct error *err)
{
    if (h->n == HEADERS_MAX)
        return error_set(err, ERR_CONFIG, "a request has more than %d headers", HEADERS_MAX);
    h->items[h->n++] = (struct http_header){name, value, credential};
    return 0;
}

static int render_headers(struct fetcher *f, const struct rest_pairs *pairs,
                          const struct rest_pairs *over, const struct scopes *s, struct arena *mem,
                          struct headers *out, struct error *err)
{
    for (size_t i = 0; i < pairs->n; i++) {
        bool credential =
            template_scopes(pairs->items[i].value) & (SCOPE_BIT(secret) | SCOPE_BIT(token));
        const char *value;

        if (over && is_set(over, pairs->items[i].name))
            continue;
        if (render_text(f, pairs->items[i].value, s, mem, &value, err) < 0)
            return error_wrap(err, "header \"%s\"", pairs->items[i].name);
        if (value && put_header(out, pairs->items[i].name, value, credential, err) < 0)
            return -1;
    }
    return 0;
}

/* {"a":1,"b":"x y"} as a=1&b=x%20y */
static int render_form(const struct rest_value *v, struct arena *mem, struct slice *out,
                       struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    struct rest_value item;
    enum jsonread_token t;
    struct slice raw;

    jsonread_init(&r);
    if (v->kind != VALUE_OBJECT)
        return error_set(err, ERR_CONFIG, "a form is made of an object");
    jsonread_start(&r, v->text.ptr, v->text.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        const char *name, *value;

        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_OBJECT_END)
            break;
        name = url_encode(mem, r.text.ptr, r.text.len);
        if (jsonread_next(&r, &t, err) < 0 || jsonread_skip(&r, t, &raw, err) < 0 ||
            rest_value_read(raw, mem, &item, err) < 0)
            return -1;
        if (item.kind == VALUE_NULL)
            continue;
        value = rest_value_text(&item, mem);
        buf_printf(&text, "%s%s=%s", text.len ? "&" : "", name,
                   url_encode(mem, value, item.text.len));
    }
    if (buf_ok(&text, "a form", err) < 0)
        return -1;
    *out = (struct slice){arena_memdup(mem, buf_str(&text), text.len), text.len};
    return 0;
}

static int render_body(const struct rest_request *r, const struct scopes *s, struct arena *mem,
                       struct fetch_request *out, const char **out_type, struct error *err)
{
    struct buf json = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    struct rest_value v;
    int rc;

    *out_type = NULL;
    if (r->body_kind == REST_BODY_NONE || !r->body)
        return 0;
    if (template_render(r->body, s, mem, &v, err) < 0)
        return error_wrap(err, "body");
    switch (r->body_kind) {
    case REST_BODY_FORM:
        *out_type = "application/x-www-form-urlencoded";
        return render_form(&v, mem, &out->body, err);
    case REST_BODY_TEXT:
        *out_type = "text/plain; charset=utf-8";
        out->body = v.text;
        return 0;
    case REST_BODY_JSON:
    case REST_BODY_NONE:
        break;
    }
    *out_type = "application/json";
    rest_value_put_json(&v, &json);
    rc = buf_ok(&json, "a body", err);
    if (rc == 0)
        out->body = (struct slice){arena_memdup(mem, buf_str(&json), json.len), json.len};
    buf_release(&json);
    return rc;
}

static bool has_header(const struct headers *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++) {
        if (strcasecmp(h->items[i].name, name) == 0)
            return true;
    }
    return false;
}

int fetch_render(struct fetcher *f, const struct rest_request *r, const struct scopes *s,
                 struct arena *mem, struct fetch_request *out, struct error *err)
{
    const struct rest_client *c = &f->doc->client;
    struct headers h = {arena_array(mem, HEADERS_MAX, sizeof *h.items), 0};
    struct scopes all = *s;
    const char *path, *type;

    *out = (struct fetch_request){.method = r->method};
    if (render_client(f, err) < 0)
        return -1;
    for (int i = 0; i < SCOPE_COUNT; i++)
        all.json[i] = all.json[i].ptr ? all.json[i] : f->base.json[i];
    if (render_text(f, r->path, &all, mem, &path, err) < 0)
        return error_wrap(err, "path");
    if (render_url(f, path ? path : "", mem, &out->url, err) < 0 ||
        render_params(f, &c->params, &r->params, &all, mem, &out->url, err) < 0 ||
        render_params(f, &r->params, NULL, &all, mem, &out->url, err) < 0 ||
        render_headers(f, &c->headers, &r->headers, &all, mem, &h, err) < 0 ||
        render_headers(f, &r->headers, NULL, &all, mem, &h, err) < 0 ||
        render_body(r, &all, mem, out, &type, err) < 0)
        return -1;
    if (type && !has_header(&h, "Content-Type") &&
        put_header(&h, "Content-Type", type, false, err) < 0)
        return -1;
    if (!has_header(&h, "Accept") && put_header(&h, "Accept", c->accept, false, err) < 0)
        return -1;
    out->headers = h.items;
    out->n_headers = h.n;
    return 0;
}

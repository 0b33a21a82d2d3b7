/*
 * Who we are to the API: fixed credentials, and tokens that have to be asked for and end.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/http/url.h"
#include "connectors/rest/fetch_internal.h"
#include "connectors/rest/jwt.h"

#define TOKEN_ANSWER_MAX ((size_t)1 << 20)

static bool has_token(enum rest_auth_type type)
{
    return type == REST_AUTH_OAUTH2 || type == REST_AUTH_SESSION;
}

bool auth_can_refresh(const struct fetcher *f)
{
    return has_token(f->doc->client.auth.type);
}

/* ------------------------------------------------------------------- requests */

static void put_form(struct buf *out, struct arena *mem, const char *name, const char *value)
{
    if (value)
        buf_printf(out, "%s%s=%s", out->len ? "&" : "", name,
                   url_encode(mem, value, strlen(value)));
}

static const char *basic(struct fetcher *f, const char *user, const char *password)
{
    struct buf pair = BUF_INIT(65536), text = BUF_INIT(131072);
    const char *out;

    buf_printf(&pair, "%s:%s", user ? user : "", password ? password : "");
    buf_puts(&text, "Basic ");
    text_put_base64(&text, buf_str(&pair), pair.len);
    out = arena_strdup(f->mem, buf_str(&text));
    if (password && *password)
        mask_add(f, out + strlen("Basic "));
    buf_release(&pair);
    buf_release(&text);
    return out;
}

static int text_of(struct fetcher *f, const struct template *t, const char **out, struct error *err)
{
    return render_text(f, t, &f->base, f->mem, out, err);
}

#define ASSERTION_S 180 /* the time that Salesforce gives, and others more */

/* The issuer is the client, the subject who it acts for; the audience, where none is given, whoever
 * gives tokens. */
static int put_assertion(struct fetcher *f, struct buf *form, struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;
    struct jwt_claims claims = {.issued_s = clock_unix_us() / 1000000, .valid_s = ASSERTION_S};
    const char *key, *assertion;

    if (text_of(f, a->client_id, &claims.issuer, err) < 0 ||
        text_of(f, a->username, &claims.subject, err) < 0 ||
        text_of(f, a->audience ? a->audience : a->token_url, &claims.audience, err) < 0 ||
        text_of(f, a->key_id, &claims.key_id, err) < 0 ||
        text_of(f, a->private_key, &key, err) < 0 ||
        jwt_sign(&claims, key ? key : "", f->mem, &assertion, err) < 0)
        return -1;
    mask_add(f, assertion);
    put_form(form, f->mem, "assertion", assertion);
    return 0;
}

/* The members that each grant sends, besides those of every one. */
static int put_grant(struct fetcher *f, struct buf *form, struct error *err)
{
    static const char *const names[] = {"client_credentials", "refresh_token", "password",
                                        "urn:ietf:params:oauth:grant-type:jwt-bearer"};
    const struct rest_auth *a = &f->doc->client.auth;
    const char *user, *password;

    put_form(form, f->mem, "grant_type", names[a->grant]);
    if (a->grant == REST_GRANT_REFRESH_TOKEN) {
        if (!f->auth.refresh_token && text_of(f, a->refresh_token, &f->auth.refresh_token, err) < 0)
            return -1;
        put_form(form, f->mem, "refresh_token", f->auth.refresh_token);
    }
    if (a->grant == REST_GRANT_JWT_BEARER)
        return put_assertion(f, form, err);
    if (a->grant != REST_GRANT_PASSWORD)
        return 0;
    if (text_of(f, a->username, &user, err) < 0 || text_of(f, a->password, &password, err) < 0)
        return -1;
    put_form(form, f->mem, "username", user);
    put_form(form, f->mem, "password", password);
    return 0;
}

static int oauth2_form(struct fetcher *f, struct buf *form, const char **out_basic,
                       struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;
    const char *id, *secret, *scope, *audience, *extra;

    *out_basic = NULL;
    if (put_grant(f, form, err) < 0 || text_of(f, a->client_id, &id, err) < 0 ||
        text_of(f, a->client_secret, &secret, err) < 0 || text_of(f, a->scope, &scope, err) < 0 ||
        text_of(f, a->audience, &audience, err) < 0)
        return -1;
    put_form(form, f->mem, "scope", scope);
    if (a->grant != REST_GRANT_JWT_BEARER) /* else it is within the assertion */
        put_form(form, f->mem, "audience", audience);
    for (size_t i = 0; i < a->extra.n; i++) {
        if (text_of(f, a->extra.items[i].value, &extra, err) < 0)
            return -1;
        put_form(form, f->mem, a->extra.items[i].name, extra);
    }
    if (a->client_basic) {
        *out_basic = basic(f, id, secret);
        return 0;
    }
    if (a->grant != REST_GRANT_JWT_BEARER || secret)
        put_form(form, f->mem, "client_id", id);
    put_form(form, f->mem, "client_secret", secret);
    return 0;
}

/* ---------------------------------------------------------------------- tokens */

static int64_t expiry_us(const struct rest_auth *a, const struct rest_value *v, struct arena *mem)
{
    const char *text = rest_value_text(v, mem);
    int64_t number, unix_us;

    if (a->expires_unit == REST_EXPIRES_ISO)
        return clock_parse(text, &unix_us) ? unix_us : 0;
    if (!text_to_int64(text, strlen(text), &number) || number < 0 || number > INT64_C(100000000000))
        return 0;
    return a->expires_unit == REST_EXPIRES_EPOCH ? number * 1000000
                                                 : clock_unix_us() + number * 1000000;
}

/* The refresh token that came with the answer, when it is another one; NULL = the old one stays. */
static int find_rotated(struct fetcher *f, struct slice answer, const char **out, struct error *err)
{
    const struct path_step step = {PATH_KEY, "refresh_token", 0};
    const struct path p = {"refresh_token", &step, 1};
    struct rest_value v;
    const char *token;

    *out = NULL;
    if (f->doc->client.auth.grant != REST_GRANT_REFRESH_TOKEN)
        return 0;
    if (path_find(&p, answer, f->mem, &v, err) < 0)
        return -1;
    if (v.kind != VALUE_STRING || v.text.len == 0)
        return 0;
    token = rest_value_text(&v, f->mem);
    mask_add(f, token);
    if (!f->auth.refresh_token || strcmp(token, f->auth.refresh_token) != 0)
        *out = token;
    return 0;
}

static int take_token(struct fetcher *f, struct slice answer, struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;
    struct rest_value v;

    if (path_find(&a->token_path, answer, f->mem, &v, err) < 0)
        return error_wrap(err, "the answer to the token request");
    if (v.kind != VALUE_STRING && v.kind != VALUE_NUMBER)
        return error_set_reason(err, ERR_UNAUTHORIZED, "auth_failed",
                                "the answer to the token request has no \"%s\"",
                                a->token_path.text);
    f->auth.token = rest_value_text(&v, f->mem);
    mask_add(f, f->auth.token);
    if (find_rotated(f, answer, &f->auth.rotated, err) < 0)
        return -1;
    f->auth.expires_us = a->type == REST_AUTH_SESSION ? clock_unix_us() + a->ttl_ms * 1000 : 0;
    if (a->type == REST_AUTH_OAUTH2 && path_find(&a->expires_path, answer, f->mem, &v, err) == 0)
        f->auth.expires_us = expiry_us(a, &v, f->mem);
    f->auth.have = true;
    f->base.json[SCOPE_token] =
        (struct slice){arena_memdup(f->mem, answer.ptr, answer.len), answer.len};
    return 0;
}

static int refused(struct fetcher *f, int status, struct error *err)
{
    (void)f;
    if (status == 429 || status >= 500)
        return error_set_reason(err, ERR_TRANSIENT, "server_error",
                                "the token request was answered with %d", status);
    return error_set_reason(err, ERR_UNAUTHORIZED, "auth_failed",
                            "the token request was answered with %d", status);
}

static int ask_for_token(struct fetcher *f, struct http_client *client,
                         const struct http_request *r, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct slice body;
    int status;

    if (fetch_once(f, client, r, mem, &status, &body, err) < 0)
        return -1;
    if (status < 200 || status > 299)
        return refused(f, status, err);
    return take_token(f, body, err);
}

static int oauth2_refresh(struct fetcher *f, struct error *err)
{
    CLEANUP(buf_release) struct buf form = BUF_INIT(TOKEN_ANSWER_MAX);
    CLEANUP(http_client_free_cleanup) struct http_client *client = NULL;
    struct http_header headers[] = {
        {"Content-Type", "application/x-www-form-urlencoded", false},
        {"Accept", "application/json", false},
        {"Authorization", NULL, true},
    };
    struct http_settings set;
    const char *url, *identity;

    if (text_of(f, f->doc->client.auth.token_url, &url, err) < 0)
        return error_wrap(err, "token_url");
    if (!url)
        return error_set(err, ERR_CONFIG, "token_url is empty");
    if (oauth2_form(f, &form, &identity, err) < 0 || render_settings(f, url, &set, err) < 0 ||
        buf_ok(&form, "the token request", err) < 0)
        return -1;
    headers[2].value = identity;
    if (http_client_new(&set, f->run->cancel, &client, err) < 0)
        return -1;
    return ask_for_token(f, client,
                         &(struct http_request){
                             "POST", url, headers, identity ? 3u : 2u, {buf_str(&form), form.len}},
                         err);
}

static int session_refresh(struct fetcher *f, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct fetch_request r;

    if (fetch_render(f, &f->doc->client.auth.request, &f->base, mem, &r, err) < 0)
        return error_wrap(err, "the session request");
    return ask_for_token(
        f, f->client, &(struct http_request){r.method, r.url, r.headers, r.n_headers, r.body}, err);
}

/*
 * A refresh token may be good once, so one run at a time exchanges it, beginning with the newest
 * one there is, and the one that comes back is kept before the access token beside it is used:
 * whoever dies in between has lost nothing but an access token.
 */
static int rotating_refresh(struct fetcher *f, const char *pointer, struct error *err)
{
    const struct run_host *host = f->run->host;
    struct error ignored = ERROR_INIT;
    const char *kept = NULL;
    int rc;

    if (host && host->credential_begin(host->arg, pointer, f->mem, &kept, err) < 0)
        return -1;
    if (kept) {
        mask_add(f, kept);
        f->auth.refresh_token = kept;
    }
    f->auth.rotated = NULL;
    rc = oauth2_refresh(f, err);
    if (rc == 0)
        rc = failpoint("after_token_answer", err);
    if (rc == 0 && f->auth.rotated && !kept)
        log_warn(f->run->log, .message = "the API gave a new refresh token, which is kept nowhere: "
                                         "the one in this configuration may not be good again");
    if (host && rc == 0)
        rc = host->credential_end(host->arg, pointer, kept ? f->auth.rotated : NULL, err);
    else if (host)
        (void)!host->credential_end(host->arg, pointer, NULL, &ignored);
    if (rc == 0 && f->auth.rotated)
        f->auth.refresh_token = f->auth.rotated;
    f->auth.have = rc == 0;
    return rc == 0 ? failpoint("after_token_kept", err) : -1;
}

int auth_refresh(struct fetcher *f, struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;

    f->auth.have = false;
    if (a->type != REST_AUTH_OAUTH2)
        return session_refresh(f, err);
    if (a->grant != REST_GRANT_REFRESH_TOKEN || !a->refresh_secret)
        return oauth2_refresh(f, err);
    return rotating_refresh(f, arena_printf(f->mem, "%s/%s", f->secrets_at, a->refresh_secret),
                            err);
}

int auth_ready(struct fetcher *f, struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;
    bool ends = f->auth.expires_us && clock_unix_us() + a->early_ms * 1000 >= f->auth.expires_us;

    if (!has_token(a->type) || (f->auth.have && !ends))
        return 0;
    return auth_refresh(f, err);
}

/* -------------------------------------------------------------------- applying */

static const char *prefixed(struct arena *mem, const char *prefix, const char *value)
{
    return arena_printf(mem, "%s%s", prefix ? prefix : "", value ? value : "");
}

/* Name and value of what is sent; *out_name NULL for nothing. */
static int credential(struct fetcher *f, struct arena *mem, const char **out_name,
                      const char **out_value, struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;
    const char *user, *secret;

    *out_name = "Authorization";
    switch (a->type) {
    case REST_AUTH_NONE:
        *out_name = NULL;
        return 0;
    case REST_AUTH_BEARER:
        if (text_of(f, a->token, &secret, err) < 0)
            return -1;
        *out_value = prefixed(mem, "Bearer ", secret);
        return 0;
    case REST_AUTH_BASIC:
        if (text_of(f, a->username, &user, err) < 0 || text_of(f, a->password, &secret, err) < 0)
            return -1;
        *out_value = basic(f, user, secret);
        return 0;
    case REST_AUTH_API_KEY:
        if (text_of(f, a->name, out_name, err) < 0 || text_of(f, a->value, &secret, err) < 0)
            return -1;
        *out_value = prefixed(mem, a->prefix, secret);
        return 0;
    case REST_AUTH_OAUTH2:
        *out_value = prefixed(mem, "Bearer ", f->auth.token);
        return 0;
    case REST_AUTH_SESSION:
        if (text_of(f, a->name, out_name, err) < 0)
            return -1;
        *out_value = prefixed(mem, a->prefix, f->auth.token);
        return 0;
    }
    abort();
}

int auth_apply(struct fetcher *f, const struct fetch_request *r, struct arena *mem,
               struct http_request *out, struct error *err)
{
    const struct rest_auth *a = &f->doc->client.auth;
    struct http_header *headers = arena_array(mem, r->n_headers + 3, sizeof *headers);
    bool fixed_place = a->type != REST_AUTH_API_KEY && a->type != REST_AUTH_SESSION;
    const char *name, *value = NULL;

    if (r->n_headers > 0)
        memcpy(headers, r->headers, r->n_headers * sizeof *headers);
    *out = (struct http_request){r->method, r->url, headers, r->n_headers, r->body};
    if (r->etag)
        headers[out->n_headers++] = (struct http_header){"If-None-Match", r->etag, false};
    if (credential(f, mem, &name, &value, err) < 0)
        return error_wrap(err, "auth");
    if (!name)
        return 0;
    if (!fixed_place && a->in == REST_IN_QUERY) {
        out->url = url_add_query(mem, r->url, name, value);
        return 0;
    }
    if (!fixed_place && a->in == REST_IN_COOKIE) {
        value = arena_printf(mem, "%s=%s", name, value);
        name = "Cookie";
    }
    headers[out->n_headers++] = (struct http_header){name, value, true};
    return 0;
}

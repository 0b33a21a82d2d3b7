/* Access tokens. What a token is stands in one answer, the one to its creation. */
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "handlers/body.h"
#include "handlers/page.h"
#include "handlers/resource.h"
#include "handlers/routes.h"
#include "server/app.h"
#include "server/http/auth.h"
#include "server/store/store.h"

#define DAY_US ((int64_t)24 * 3600 * 1000000)

struct token_body {
    const char *name, *scope;
    int64_t expires_in_s;
};

static const char *const scopes[] = {"read", "run", "write", "admin", NULL};

/* clang-format off */
static const struct option token_options[] = {
    OPTION(struct token_body, name, .title = "Name", .flags = OPTION_REQUIRED,
           .help = "What it is for."),
    OPTION(struct token_body, scope, .title = "Scope", .flags = OPTION_REQUIRED, .choices = scopes,
           .help = "What it allows; each includes those before it."),
    OPTION(struct token_body, expires_in_s, .title = "Life", .def = "7776000", .min = 60,
           .max = 31622400, .help = "Seconds until it expires, at most a year."),
    OPTIONS_END,
};
/* clang-format on */

/* The members of a token; `w` stands in its object. */
static void put_token(struct jsonw *w, const struct stored_token *t)
{
    char used[CLOCK_TEXT_BYTES];

    jsonw_put_string(w, "id", t->id);
    jsonw_put_string(w, "name", t->name);
    jsonw_put_string(w, "scope", t->scope);
    jsonw_put_string(w, "created_by", t->created_by);
    jsonw_put_time_ms(w, "created_at", t->created_us);
    jsonw_put_time_ms(w, "expires_at", t->expires_us);
    jsonw_put_time_ms(w, "revoked_at", t->revoked_us);
    clock_format_us(t->used_day * DAY_US, used);
    jsonw_key(w, "last_used_on");
    if (t->used_day)
        jsonw_string_n(w, used, strlen("2026-01-01"));
    else
        jsonw_null(w);
}

int handle_tokens(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {NULL};
    struct jsonw w = JSONW_INIT(&res->body);
    struct stored_token *rows;
    size_t n;

    if (request_query_only(req, known, err) < 0 ||
        store_list_tokens(app->store, request_mem(req), &rows, &n, err) < 0)
        return -1;
    page_begin(&w);
    for (size_t i = 0; i < n; i++) {
        jsonw_object(&w);
        put_token(&w, &rows[i]);
        jsonw_object_end(&w);
    }
    page_end_whole(&w);
    return 0;
}

static void answer(struct response *res, const struct stored_token *row, const char *token)
{
    struct jsonw w = JSONW_INIT(&res->body);

    res->status = 201;
    response_header(res, "Location", "/v1/tokens/%s", row->id);
    jsonw_object(&w);
    put_token(&w, row);
    jsonw_put_string(&w, "token", token);
    jsonw_object_end(&w);
}

/* An answer that is kept under a key would keep the token in the store. */
static int refuse_key(struct request *req, struct error *err)
{
    if (!request_header(req, "Idempotency-Key"))
        return 0;
    return error_set_reason(err, ERR_INVALID, "invalid_header",
                            "Idempotency-Key cannot be used here: the token would have to be kept");
}

int handle_token_create(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    static const char *const known[] = {NULL};
    char token[AUTH_TOKEN_BYTES], id[AUTH_ID_CHARS + 1], hex[2 * AUTH_DIGEST_BYTES + 1];
    unsigned char digest[AUTH_DIGEST_BYTES];
    struct token_body body = {0};
    struct stored_token row;
    const struct doc *sent;

    if (request_query_only(req, known, err) < 0 || refuse_key(req, err) < 0 ||
        request_doc(req, false, &sent, err) < 0)
        return -1;
    options_decode(token_options, sent, "", &body, request_mem(req), body_problems(req, res));
    if (body.name)
        resource_name_is_fine(body.name, body_problems(req, res));
    if (body_accept(res, err) < 0)
        return -1;
    auth_make_token(auth_config(app->auth), token, id, digest);
    text_hex(digest, sizeof digest, hex);
    row = (struct stored_token){
        .id = id,
        .name = body.name,
        .scope = body.scope,
        .digest = hex,
        .created_by = *request_token(req) ? request_token(req) : "open",
        .expires_us = clock_unix_us() + body.expires_in_s * 1000000,
    };
    if (store_create_token(app->store, &row, err) < 0)
        return -1;
    auth_forget(app->auth);
    answer(res, &row, token);
    return 0;
}

int handle_token_revoke(struct app *app, struct request *req, struct response *res,
                        struct error *err)
{
    if (store_revoke_token(app->store, request_param(req, "token"), err) < 0)
        return -1;
    auth_forget(app->auth);
    res->status = 204;
    return 0;
}

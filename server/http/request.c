#include <inttypes.h>
#include <string.h>

#include "connectors/base/docyaml.h"
#include "connectors/base/text.h"
#include "server/http/gate.h"
#include "server/http/internal.h"

struct arena *request_mem(struct request *req)
{
    return req->mem;
}

const char *request_id(const struct request *req)
{
    return req->id;
}

const char *request_method(const struct request *req)
{
    return req->method_name;
}

const char *request_target(const struct request *req)
{
    return req->raw;
}

static int parse_body(const struct request *req, struct doc **out, struct error *err)
{
    if (gate_media(req->headers, req->n_headers) == MEDIA_YAML)
        return doc_parse_yaml(req->body.data, req->body.len, out, err);
    return doc_parse(req->body.data, req->body.len, out, err);
}

static const char *find(const struct pair *pairs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(pairs[i].name, name))
            return pairs[i].value;
    }
    return NULL;
}

const char *request_param(const struct request *req, const char *name)
{
    return find(req->match.params, req->match.n_params, name);
}

const char *request_query(const struct request *req, const char *name)
{
    return find(req->target.query, req->target.n_query, name);
}

const char *request_header(const struct request *req, const char *name)
{
    return gate_header(req->headers, req->n_headers, name);
}

const char *request_body(const struct request *req, size_t *out_n)
{
    *out_n = req->body.len;
    return buf_str(&req->body);
}

const char *request_token(const struct request *req)
{
    return req->who.id;
}

bool request_may(const struct request *req, const char *scope)
{
    return req->who.scope >= scope_from_name(scope);
}

bool request_is_http10(const struct request *req)
{
    return req->http10;
}

bool request_is_gone(const struct request *req)
{
    return atomic_load(&req->conn->gone);
}

int request_doc(struct request *req, bool optional, const struct doc **out, struct error *err)
{
    struct doc *doc;

    if (req->doc) {
        *out = req->doc;
        return 0;
    }
    if (!req->body.len && optional) {
        doc = doc_new_object();
    } else if (!req->body.len) {
        return error_set_reason(err, ERR_INVALID, "invalid_json",
                                "The request needs a JSON document as its body.");
    } else if (parse_body(req, &doc, err) < 0) {
        return -1;
    }
    req->doc = doc;
    *out = doc;
    return 0;
}

static int bad_query(struct error *err, const char *name, const char *value, const char *accepted)
{
    return error_set_reason(err, ERR_INVALID, "invalid_query",
                            "The query parameter \"%s\" is \"%.64s\"; accepted: %s.", name, value,
                            accepted);
}

int request_query_bool(struct request *req, const char *name, bool fallback, bool *out,
                       struct error *err)
{
    const char *value = request_query(req, name);

    /* "?follow" alone means yes, as people write it. */
    if (!value)
        *out = fallback;
    else if (!*value || !strcmp(value, "true") || !strcmp(value, "1"))
        *out = true;
    else if (!strcmp(value, "false") || !strcmp(value, "0"))
        *out = false;
    else
        return bad_query(err, name, value, "true, false");
    return 0;
}

int request_query_int(struct request *req, const char *name, int64_t fallback, int64_t min,
                      int64_t max, int64_t *out, struct error *err)
{
    const char *value = request_query(req, name);
    int64_t n = fallback;

    if (value && (!text_to_int64(value, strlen(value), &n) || n < min || n > max)) {
        return bad_query(
            err, name, value,
            arena_printf(req->mem, "an integer from %" PRId64 " to %" PRId64, min, max));
    }
    *out = n;
    return 0;
}

int request_query_only(struct request *req, const char *const *names, struct error *err)
{
    for (size_t i = 0; i < req->target.n_query; i++) {
        const char *name = req->target.query[i].name;
        bool known = !strcmp(name, "pretty");

        for (size_t k = 0; !known && names[k]; k++)
            known = !strcmp(name, names[k]);
        if (!known) {
            return error_set_reason(err, ERR_INVALID, "invalid_query",
                                    "The query parameter \"%.64s\" is not known here.", name);
        }
    }
    return 0;
}

void request_keep(struct request *req, void *state, void (*release)(void *state))
{
    req->kept = state;
    req->release = release;
}

void *request_kept(const struct request *req)
{
    return req->kept;
}

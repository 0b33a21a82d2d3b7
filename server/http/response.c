#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/redact.h"
#include "server/http/internal.h"
#include "server/http/status.h"

void response_init(struct response *res, struct response_private *priv, struct arena *mem)
{
    *priv = (struct response_private){.mem = mem};
    *res = (struct response){
        .status = 200,
        .body = BUF_INIT(HTTP_MAX_RESPONSE),
        .problems = PROBLEMS_INIT(mem),
        .priv = priv,
    };
}

void response_header(struct response *res, const char *name, const char *fmt, ...)
{
    struct response_private *priv = res->priv;
    char value[4096];
    struct pair *slot = NULL;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    /* Values may carry names that users chose: a line break would end the header. */
    for (char *p = value; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
    for (size_t i = 0; i < priv->n_headers; i++) {
        if (!strcasecmp(priv->headers[i].name, name))
            slot = &priv->headers[i];
    }
    assert((slot || priv->n_headers < RESPONSE_MAX_HEADERS) && "a handler sets a few headers");
    if (!slot)
        slot = &priv->headers[priv->n_headers++];
    *slot = (struct pair){arena_strdup(priv->mem, name), arena_strdup(priv->mem, value)};
}

const char *response_find_header(const struct response *res, const char *name)
{
    return gate_header(res->priv->headers, res->priv->n_headers, name);
}

void response_etag(struct response *res, int64_t revision)
{
    response_header(res, "ETag", "\"%" PRId64 "\"", revision);
}

void response_wait(struct response *res, int64_t deadline_us, bool (*ready)(void *state))
{
    res->priv->deadline_us = deadline_us;
    res->priv->ready = ready;
}

void response_stream(struct response *res, const struct response_stream *stream)
{
    assert(!res->priv->streaming && "a response has one stream");
    res->priv->stream = *stream;
    res->priv->streaming = true;
}

bool etag_matches(const char *if_none_match, const char *etag)
{
    size_t n = strlen(etag);

    while (*if_none_match) {
        if_none_match += strspn(if_none_match, " \t,");
        if (*if_none_match == '*')
            return true;
        if (!strncmp(if_none_match, "W/", 2))
            if_none_match += 2;
        if (!strncmp(if_none_match, etag, n) &&
            (!if_none_match[n] || strchr(", \t", if_none_match[n])))
            return true;
        if_none_match += strcspn(if_none_match, ",");
    }
    return false;
}

/* ------------------------------------------------------------------- problems */

/*
 * The detail of a problem goes to outsiders. What we name ourselves (a full queue, a missing
 * connector feature) is made for them; anything else of the 5xx family may quote a path, a
 * statement or a remote, so it stays in our log, under the request id.
 */
bool problem_is_private(const struct error *err)
{
    int status = status_of(err);
    bool named = err->reason && status_find(err->reason);

    return status == 500 || status == 507 || (status > 500 && !named);
}

/* A text may quote what a run at work, or the caller, has said: no secret in use leaves with it. */
static void put_text(struct jsonw *w, const char *key, const char *text)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(1 << 20);

    if (redact_live_is_empty()) {
        jsonw_put_string(w, key, text);
        return;
    }
    redact_live_put(&clean, text, strlen(text));
    jsonw_put_string(w, key, buf_str(&clean));
}

static void put_errors(struct jsonw *w, const struct problems *p)
{
    jsonw_key(w, "errors");
    jsonw_array(w);
    for (size_t i = 0; i < p->n; i++) {
        jsonw_object(w);
        put_text(w, "pointer", p->items[i].pointer);
        jsonw_put_string(w, "code", p->items[i].code);
        put_text(w, "message", p->items[i].message);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
    if (p->dropped)
        jsonw_put_int(w, "errors_dropped", (int64_t)p->dropped);
}

void response_problem(struct response *res, const struct error *err, const char *id)
{
    const char *code = error_reason(err);
    const struct status_row *row = status_find(code);
    struct jsonw w = JSONW_INIT(&res->body);
    char type[128];

    if (!row) {
        code = error_code_name(err->code);
        row = status_find(code);
    }
    assert(row && "every class has a row");
    res->status = row->status;
    res->content_type = "application/problem+json";
    buf_clear(&res->body);
    snprintf(type, sizeof type, "/errors/%s", code);
    jsonw_object(&w);
    jsonw_put_string(&w, "type", type);
    jsonw_put_string(&w, "title", row->title);
    jsonw_put_int(&w, "status", row->status);
    jsonw_put_string(&w, "code", code);
    put_text(&w, "detail", problem_is_private(err) ? row->title : err->message);
    jsonw_put_bool(&w, "retryable", row->retryable);
    jsonw_put_string(&w, "request_id", id);
    if (res->problems.n)
        put_errors(&w, &res->problems);
    if (res->extra && *res->extra) {
        buf_putc(&res->body, ',');
        buf_puts(&res->body, res->extra);
    }
    jsonw_object_end(&w);
}

/* --------------------------------------------------------------------- pretty */

static void new_line(struct buf *out, size_t depth)
{
    buf_putc(out, '\n');
    for (size_t i = 0; i < depth; i++)
        buf_puts(out, "  ");
}

/* The bytes of the string that begins at `s`, quotes included. */
static size_t string_length(const char *s, size_t n)
{
    size_t i = 1;

    while (i < n && s[i] != '"')
        i += s[i] == '\\' ? 2 : 1;
    return i < n ? i + 1 : n;
}

void json_indent(struct buf *out, const char *json, size_t n)
{
    size_t depth = 0;

    for (size_t i = 0; i < n; i++) {
        char c = json[i];

        if (strchr(" \t\r\n", c)) {
            continue;
        } else if (c == '"') {
            size_t len = string_length(json + i, n - i);

            buf_put(out, json + i, len);
            i += len - 1;
        } else if (c == '{' || c == '[') {
            size_t next = i + 1 + strspn(json + i + 1, " \t\r\n");

            buf_putc(out, c);
            depth++;
            if (next < n && (json[next] == '}' || json[next] == ']')) {
                buf_putc(out, json[next]);
                depth--;
                i = next;
            } else {
                new_line(out, depth);
            }
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
            new_line(out, depth);
            buf_putc(out, c);
        } else {
            buf_putc(out, c);
            if (c == ',')
                new_line(out, depth);
            else if (c == ':')
                buf_putc(out, ' ');
        }
    }
}

#include "server/http/gate.h"

#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"

/*
 * What a gateway in front of us and we could read differently is the door of request smuggling,
 * and libmicrohttpd 0.9.75 leaves it open: of two lengths it takes the first, it accepts a length
 * together with an encoding, and reads an encoding it does not know to the end of the connection.
 * So nothing runs before this check has passed, and what fails it also closes the connection.
 */

/* More than one of these is ambiguous. */
static const char *const single[] = {
    "Content-Length",  "Transfer-Encoding", "Host",   "Authorization",
    "Content-Type",    "Content-Encoding",  "Expect", "Last-Event-ID",
    "Idempotency-Key", "X-Request-Id",
};

#define N_SINGLE (sizeof single / sizeof single[0])

static int bad(struct error *err, const char *what)
{
    return error_set_reason(err, ERR_INVALID, "bad_request", "%s", what);
}

static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z');

        if (!alnum && !strchr("!#$%&'*+-.^_`|~", *s))
            return false;
    }
    return true;
}

static bool has_control(const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* A name, an IPv4 or a bracketed IPv6 address, and a port: nothing that could be a path, a user
 * or a second host. */
static bool is_host(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr(",/\\?#@<>\"'", *s))
            return false;
    }
    return true;
}

static int count_singles(const struct pair *headers, size_t n, const char **values,
                         struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < N_SINGLE; k++) {
            if (strcasecmp(headers[i].name, single[k]) != 0)
                continue;
            if (values[k]) {
                return error_set_reason(err, ERR_INVALID, "bad_request",
                                        "The header %s is given more than once.", single[k]);
            }
            values[k] = headers[i].value;
        }
    }
    return 0;
}

static int check_framing(const char *length, const char *encoding, bool http10, struct framing *out,
                         struct error *err)
{
    *out = (struct framing){.content_length = -1};
    if (length && encoding)
        return bad(err, "Content-Length and Transfer-Encoding are given together.");
    if (encoding && http10)
        return bad(err, "Transfer-Encoding does not exist in HTTP/1.0.");
    if (encoding && strcasecmp(encoding, "chunked") != 0)
        return bad(err, "The only Transfer-Encoding accepted is \"chunked\".");
    out->chunked = encoding != NULL;
    /* No sign: text_to_int64 would take a minus. */
    if (length && (*length < '0' || *length > '9' ||
                   !text_to_int64(length, strlen(length), &out->content_length))) {
        return bad(err, "Content-Length is not a number.");
    }
    return 0;
}

bool gate_is_plain(const struct layout *l, const struct pair *headers, size_t n)
{
    const char *at = l->method + strlen(l->method) + 1;

    if (at != l->target || at + l->target_n + 1 != l->version)
        return false;
    at = l->version + strlen(l->version) + 2;
    for (size_t i = 0; i < n; i++) {
        if (headers[i].name != at)
            return false;
        at += strlen(at) + 1;
        at += strspn(at, " \t");
        if (headers[i].value != at)
            return false;
        at += strlen(at) + 2;
    }
    return at + 2 == l->method + l->block_n;
}

int gate_check(const struct pair *headers, size_t n, bool http10, struct framing *out,
               struct error *err)
{
    const char *values[N_SINGLE] = {NULL};

    if (n > GATE_MAX_HEADERS) {
        return error_set_reason(err, ERR_TOO_LARGE, "headers_too_large",
                                "The request has more than %d headers.", GATE_MAX_HEADERS);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_token(headers[i].name))
            return bad(err, "The name of a header is malformed.");
        if (has_control(headers[i].value))
            return bad(err, "The value of a header holds a control character.");
    }
    if (count_singles(headers, n, values, err) < 0)
        return -1;
    if (!values[2] && !http10)
        return bad(err, "The header Host is missing.");
    if (values[2] && !is_host(values[2]))
        return bad(err, "The header Host is malformed.");
    return check_framing(values[0], values[1], http10, out, err);
}

const char *gate_header(const struct pair *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcasecmp(headers[i].name, name))
            return headers[i].value;
    }
    return NULL;
}

/* Is `value` this media type, with or without parameters? */
static bool is_type(const char *value, const char *type)
{
    size_t n = strlen(type);

    return !strncasecmp(value, type, n) && (!value[n] || strchr("; \t", value[n]));
}

enum media gate_media(const struct pair *headers, size_t n)
{
    const char *type = gate_header(headers, n, "Content-Type");

    if (type &&
        (is_type(type, "application/json") || is_type(type, "application/merge-patch+json")))
        return MEDIA_JSON;
    if (type && is_type(type, "application/yaml"))
        return MEDIA_YAML;
    if (type && !is_type(type, "application/x-www-form-urlencoded"))
        return MEDIA_OTHER;
    /* A page of another origin can make a browser send a form, but not without one of these. */
    if (gate_header(headers, n, "Origin") || gate_header(headers, n, "Cookie"))
        return MEDIA_OTHER;
    return MEDIA_FORM;
}

#include "server/http/target.h"

#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/*
 * Decodes percent escapes once. NULL when an escape is broken, or when the result holds a control
 * character or is not UTF-8: what comes out is text that can be logged and compared.
 */
static char *decode(struct arena *mem, const char *s, size_t n, bool plus_is_blank)
{
    char *out = arena_alloc(mem, n + 1);
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '%') {
            int high = n - i > 2 ? hex_digit(s[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(s[i + 2]) : -1;

            if (low < 0)
                return NULL;
            c = (unsigned char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return NULL;
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return text_is_utf8(out, len) ? out : NULL;
}

static int bad_path(struct error *err, const char *why)
{
    return error_set_reason(err, ERR_INVALID, "invalid_target", "The path of the request %s.", why);
}

static int put_segment(struct arena *mem, const char *s, size_t n, struct target *out,
                       struct error *err)
{
    char *text;

    /* One decoding, after the split: a slash or a NUL that was hidden in an escape would mean one
     * thing to a gateway and another to us. */
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ' || s[i] == '#' || s[i] == '\\')
            return bad_path(err, "holds a character that must be escaped");
    }
    text = decode(mem, s, n, false);
    if (!text)
        return bad_path(err, "holds a broken escape, a control character or invalid UTF-8");
    if (strchr(text, '/'))
        return bad_path(err, "holds an escaped slash");
    if (!strcmp(text, ".") || !strcmp(text, ".."))
        return bad_path(err, "holds \".\" or \"..\"");
    out->segments[out->n_segments++] = text;
    return 0;
}

static int parse_path(struct arena *mem, const char *s, size_t n, struct target *out,
                      struct error *err)
{
    size_t slashes = 0;

    for (size_t i = 0; i < n; i++)
        slashes += s[i] == '/';
    out->segments = arena_array(mem, slashes + 1, sizeof *out->segments);
    for (size_t i = 0; i < n;) {
        const char *end = memchr(s + i, '/', n - i);
        size_t len = end ? (size_t)(end - (s + i)) : n - i;

        if (len && put_segment(mem, s + i, len, out, err) < 0)
            return -1;
        i += len + 1;
    }
    return 0;
}

static int put_parameter(struct arena *mem, const char *s, size_t n, struct target *out,
                         struct error *err)
{
    const char *eq = memchr(s, '=', n);
    size_t name_n = eq ? (size_t)(eq - s) : n;
    const char *name = decode(mem, s, name_n, true);
    const char *value = eq ? decode(mem, eq + 1, n - name_n - 1, true) : "";

    if (!name || !value) {
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "The query holds a broken escape, a control character or invalid "
                                "UTF-8.");
    }
    for (size_t i = 0; i < out->n_query; i++) {
        if (!strcmp(out->query[i].name, name)) {
            return error_set_reason(err, ERR_INVALID, "invalid_query",
                                    "The query parameter \"%s\" is given twice.", name);
        }
    }
    if (out->n_query == TARGET_MAX_QUERY) {
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "The query has more than %d parameters.", TARGET_MAX_QUERY);
    }
    out->query[out->n_query++] = (struct pair){name, value};
    return 0;
}

static int parse_query(struct arena *mem, const char *s, size_t n, struct target *out,
                       struct error *err)
{
    size_t pieces = 1;

    for (size_t i = 0; i < n && pieces < TARGET_MAX_QUERY; i++)
        pieces += s[i] == '&';
    out->query = arena_array(mem, pieces, sizeof *out->query); /* a follower keeps it */
    for (size_t i = 0; i < n;) {
        const char *end = memchr(s + i, '&', n - i);
        size_t len = end ? (size_t)(end - (s + i)) : n - i;

        if (len && put_parameter(mem, s + i, len, out, err) < 0)
            return -1;
        i += len + 1;
    }
    return 0;
}

/* "http://host/path" is what a client sends to a proxy, and a server has to accept it. */
static const char *skip_authority(const char *raw)
{
    size_t scheme = !strncasecmp(raw, "http://", 7) ? 7 : !strncasecmp(raw, "https://", 8) ? 8 : 0;

    return scheme ? raw + scheme + strcspn(raw + scheme, "/?#") : raw;
}

int target_parse(struct arena *mem, const char *raw, struct target *out, struct error *err)
{
    const char *path = skip_authority(raw);
    size_t path_n = strcspn(path, "?");
    const char *query = path[path_n] ? path + path_n + 1 : NULL;

    *out = (struct target){0};
    if (path == raw && *path != '/')
        return bad_path(err, "does not begin with a slash");
    if (parse_path(mem, path, path_n, out, err) < 0)
        return -1;
    if (query && strpbrk(query, "# "))
        return bad_path(err, "holds a character that must be escaped");
    return query && *query ? parse_query(mem, query, strlen(query), out, err) : 0;
}

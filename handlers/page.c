#include "handlers/page.h"

#include <string.h>

/* "team:bi" becomes a key and a value; a value may hold colons. */
static int read_label(struct request *req, struct list_query *out, struct error *err)
{
    const char *label = request_query(req, "label");
    const char *colon = label ? strchr(label, ':') : NULL;

    if (!label)
        return 0;
    if (!colon || colon == label)
        return error_set_reason(err, ERR_INVALID, "invalid_query",
                                "\"label\" is key:value, such as team:bi");
    out->label_key = arena_memdup(request_mem(req), label, (size_t)(colon - label));
    out->label_value = colon + 1;
    return 0;
}

int page_read(struct request *req, struct list_query *out, struct error *err)
{
    *out = (struct list_query){.paused = -1};
    if (request_query_int(req, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &out->limit, err) < 0)
        return -1;
    out->after = request_query(req, "cursor");
    out->q = request_query(req, "q");
    return read_label(req, out, err);
}

int page_wants_total(struct request *req, bool *out, struct error *err)
{
    return request_query_bool(req, "count", false, out, err);
}

void page_begin(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_key(w, "items");
    jsonw_array(w);
}

/* The target of the request without its cursor, and with another one. */
static const char *next_target(struct request *req, const char *next)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(64 << 10);
    const char *target = request_target(req);
    size_t path = strcspn(target, "?");
    const char *part = target[path] ? target + path + 1 : "";
    char separator = '?';

    buf_put(&b, target, path);
    while (*part) {
        size_t n = strcspn(part, "&");

        if (n && strncmp(part, "cursor=", 7) != 0) {
            buf_putc(&b, separator);
            buf_put(&b, part, n);
            separator = '&';
        }
        part += n + (part[n] == '&');
    }
    buf_printf(&b, "%ccursor=", separator);
    for (const char *c = next; *c; c++) {
        if (strchr("+/=%&#? ", *c))
            buf_printf(&b, "%%%02X", (unsigned)(unsigned char)*c);
        else
            buf_putc(&b, *c);
    }
    return arena_strdup(request_mem(req), buf_str(&b));
}

void page_end_part(struct jsonw *w, struct request *req, struct response *res, const char *next,
                   int64_t total)
{
    jsonw_array_end(w);
    jsonw_put_string(w, "next_cursor", next);
    if (total != PAGE_NO_TOTAL)
        jsonw_put_int(w, "total", total);
    jsonw_object_end(w);
    if (next)
        response_header(res, "Link", "<%s>; rel=\"next\"", next_target(req, next));
}

void page_end_whole(struct jsonw *w)
{
    jsonw_array_end(w);
    jsonw_put_null(w, "next_cursor");
    jsonw_object_end(w);
}

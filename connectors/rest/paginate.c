#include "connectors/rest/paginate.h"

#include <string.h>
#include <strings.h>

#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/http/url.h"
#include "connectors/rest/jsonset.h"

#define TOKEN_MAX ((size_t)256 << 10)

void pager_init(struct pager *p, const struct rest_paginate *how)
{
    *p = (struct pager){
        .how = how, .number = how->start, .token = BUF_INIT(TOKEN_MAX), .next_power = 1};
}

void pager_release(struct pager *p)
{
    buf_release(&p->token);
}

static bool is_numbered(const struct rest_paginate *how)
{
    return how->type == REST_PAGE_NUMBER || how->type == REST_PAGE_OFFSET;
}

const char *pager_scope(const struct pager *p, struct arena *mem)
{
    struct buf out = BUF_INIT(2 * TOKEN_MAX);
    struct jsonw w = JSONW_INIT(&out);
    const char *text;

    jsonw_object(&w);
    jsonw_put_int(&w, "index", p->pages);
    jsonw_put_int(&w, "size", p->how->size);
    if (p->how->type == REST_PAGE_NUMBER)
        jsonw_put_int(&w, "number", p->number);
    if (p->how->type == REST_PAGE_OFFSET)
        jsonw_put_int(&w, "offset", p->number);
    jsonw_put_string(&w, "token", p->has_token ? buf_str(&p->token) : NULL);
    jsonw_object_end(&w);
    text = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return text;
}

/* -------------------------------------------------------------------- requests */

static int put_in_body(const char *where, const char *value, bool number, struct fetch_request *r,
                       struct arena *mem, struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(TEMPLATE_MAX_OUTPUT);
    CLEANUP(buf_release) struct buf json = BUF_INIT(2 * TOKEN_MAX);
    struct jsonw w = JSONW_INIT(&json);
    struct slice body = r->body.ptr ? r->body : (struct slice){"{}", 2};
    struct path path;

    if (path_compile(mem, where, false, &path))
        return error_set(err, ERR_CONFIG, "\"%s\" is no path into a body", where);
    if (number)
        buf_puts(&json, value);
    else
        jsonw_string(&w, value);
    if (json_set(body, &path, buf_str(&json), &out, err) < 0)
        return -1;
    r->body = (struct slice){arena_memdup(mem, buf_str(&out), out.len), out.len};
    return 0;
}

static int put_header(const char *name, const char *value, struct fetch_request *r,
                      struct arena *mem)
{
    struct http_header *headers = arena_array(mem, r->n_headers + 1, sizeof *headers);

    if (r->n_headers > 0)
        memcpy(headers, r->headers, r->n_headers * sizeof *headers);
    headers[r->n_headers++] = (struct http_header){name, value, false};
    r->headers = headers;
    return 0;
}

static int put(const struct rest_paginate *how, const char *name, const char *value, bool number,
               struct fetch_request *r, struct arena *mem, struct error *err)
{
    switch (how->in) {
    case REST_IN_BODY:
        return put_in_body(name, value, number, r, mem, err);
    case REST_IN_HEADER:
        return put_header(name, value, r, mem);
    case REST_IN_PATH:
        return 0; /* the template of the path names page.* */
    case REST_IN_QUERY:
    case REST_IN_COOKIE:
        break;
    }
    r->url = url_add_query(mem, r->url, name, value);
    return 0;
}

int pager_apply(const struct pager *p, struct fetch_request *r, struct arena *mem,
                struct error *err)
{
    const struct rest_paginate *how = p->how;
    const char *place = how->in == REST_IN_BODY && how->body_path ? how->body_path : how->param;
    const char *number = arena_printf(mem, "%lld", (long long)p->number);
    const char *size = arena_printf(mem, "%lld", (long long)how->size);

    switch (how->type) {
    case REST_PAGE_NONE:
        return 0;
    case REST_PAGE_NUMBER:
    case REST_PAGE_OFFSET:
        if (put(how, place, number, true, r, mem, err) < 0)
            return -1;
        return how->size_param ? put(how, how->size_param, size, true, r, mem, err) : 0;
    case REST_PAGE_CURSOR:
    case REST_PAGE_LAST_RECORD:
        if (!p->has_token)
            return 0;
        return put(how, place, buf_str(&p->token), false, r, mem, err);
    case REST_PAGE_LINK_HEADER:
    case REST_PAGE_NEXT_URL:
        /* The address as it was given: it holds all the parameters it needs. */
        return p->has_token ? url_resolve(mem, r->url, buf_str(&p->token), &r->url, err) : 0;
    }
    return 0;
}

/* --------------------------------------------------------------------- answers */

static int64_t number_at(const struct path *path, struct slice json, struct arena *mem)
{
    struct error ignored = ERROR_INIT;
    struct rest_value v;
    int64_t n;

    if (path_find(path, json, mem, &v, &ignored) < 0 ||
        (v.kind != VALUE_NUMBER && v.kind != VALUE_STRING) ||
        !text_to_int64(v.text.ptr, v.text.len, &n))
        return -1;
    return n;
}

/* Absent, null, false, "", "false" and 0 all say that there is no more. */
static bool says_more(const struct rest_paginate *how, struct slice json, struct arena *mem)
{
    struct error ignored = ERROR_INIT;
    struct rest_value v;

    if (path_find(&how->more, json, mem, &v, &ignored) < 0)
        return false;
    if (v.kind == VALUE_BOOL)
        return v.text.len == 4;
    if (v.kind == VALUE_NUMBER)
        return !(v.text.len == 1 && v.text.ptr[0] == '0');
    return v.kind == VALUE_STRING && v.text.len > 0 &&
           !(v.text.len == 5 && memcmp(v.text.ptr, "false", 5) == 0);
}

static void set_token(struct pager *p, const char *text)
{
    buf_clear(&p->token);
    p->has_token = text && *text;
    if (p->has_token)
        buf_puts(&p->token, text);
}

static const char *header_of(const struct fetch_result *page, const char *name, struct arena *mem)
{
    struct error ignored = ERROR_INIT;
    char *lower = arena_strdup(mem, name);
    struct path_step step = {PATH_KEY, lower, 0};
    struct path path = {name, &step, 1};
    struct rest_value v;

    for (char *c = lower; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    if (path_find(&path, page->headers, mem, &v, &ignored) < 0 || v.kind != VALUE_STRING)
        return NULL;
    return rest_value_text(&v, mem);
}

static const char *text_at(const struct path *path, struct slice json, struct arena *mem)
{
    struct error ignored = ERROR_INIT;
    struct rest_value v;

    if (path_find(path, json, mem, &v, &ignored) < 0 ||
        (v.kind != VALUE_STRING && v.kind != VALUE_NUMBER))
        return NULL;
    return rest_value_text(&v, mem);
}

/* <https://a/b?page=2>; rel="next", <...>; rel="last" (RFC 8288) */
static const char *link_of(const char *header, const char *rel, struct arena *mem)
{
    while (header && (header = strchr(header, '<'))) {
        const char *end = strchr(header, '>'), *next = end ? strchr(end, '<') : NULL;
        const char *at = end ? strcasestr(end, "rel=") : NULL;
        size_t n = strlen(rel);

        if (!end)
            return NULL;
        if (at && (!next || at < next)) {
            at += 4 + (at[4] == '"');
            if (strncasecmp(at, rel, n) == 0 && strchr("\"; ,", at[n]))
                return arena_memdup(mem, header + 1, (size_t)(end - header - 1));
        }
        header = end;
    }
    return NULL;
}

static uint64_t place_hash(const struct pager *p)
{
    struct hash128 h = is_numbered(p->how) ? hash_keyed(&p->number, sizeof p->number)
                                           : hash_keyed(buf_str(&p->token), p->token.len);
    uint64_t out;

    memcpy(&out, &h, sizeof out);
    return out ? out : 1;
}

static bool was_here(struct pager *p)
{
    uint64_t h = place_hash(p);
    bool found = h == p->tortoise;

    for (size_t i = 0; i < PAGER_SEEN; i++)
        found |= p->seen[i] == h;
    p->seen[p->pages % PAGER_SEEN] = h;
    if (p->pages == p->next_power) {
        p->tortoise = h;
        p->next_power *= 2;
    }
    return found;
}

/* Whether the numbers say that this was the last page; without any the empty page does. */
static bool numbers_end(const struct pager *p, const struct fetch_result *page, struct arena *mem)
{
    const struct rest_paginate *how = p->how;
    int64_t total;

    if (how->has_total_pages) {
        total = number_at(&how->total_pages, page->envelope, mem);
        return total < 0 ? page->n_records == 0 : p->number - how->start + 1 >= total;
    }
    if (how->has_total) {
        total = number_at(&how->total, page->envelope, mem);
        return total < 0 ? page->n_records == 0 : p->records >= total || page->n_records == 0;
    }
    if (how->has_more)
        return false; /* looked at already */
    return page->n_records == 0 || (how->stop_on_short && page->n_records < how->size);
}

static bool next_place(struct pager *p, const struct fetch_result *page, struct arena *mem)
{
    const struct rest_paginate *how = p->how;

    switch (how->type) {
    case REST_PAGE_NONE:
        return false;
    case REST_PAGE_NUMBER:
        if (numbers_end(p, page, mem))
            return false;
        p->number++;
        return true;
    case REST_PAGE_OFFSET:
        if (numbers_end(p, page, mem) || page->n_records == 0)
            return false;
        p->number += page->n_records; /* as many as came: the server may give fewer than asked */
        return true;
    case REST_PAGE_CURSOR:
        set_token(p, how->from_header ? header_of(page, how->header, mem)
                                      : text_at(&how->path, page->envelope, mem));
        return p->has_token;
    case REST_PAGE_LINK_HEADER:
        set_token(p, link_of(header_of(page, "link", mem), how->rel, mem));
        return p->has_token;
    case REST_PAGE_NEXT_URL:
        set_token(p, how->path.text ? text_at(&how->path, page->envelope, mem)
                                    : header_of(page, how->header, mem));
        return p->has_token;
    case REST_PAGE_LAST_RECORD:
        if (page->n_records == 0)
            return false;
        set_token(p, text_at(&how->field, page->last, mem));
        return p->has_token;
    }
    return false;
}

int pager_next(struct pager *p, const struct fetch_result *page, const struct scopes *s,
               struct arena *mem, bool *out_more, bool *out_repeated, struct error *err)
{
    const struct rest_paginate *how = p->how;
    bool same =
        p->pages > 0 && page->n_records > 0 && memcmp(p->hash, page->hash, sizeof p->hash) == 0;
    bool ended = false;

    *out_more = false;
    *out_repeated = same && is_numbered(how) && !p->retraces;
    if (p->pages == 0)
        (void)was_here(p); /* the first place is one to come back to as well */
    p->pages++;
    p->records += page->n_records;
    p->last_records = page->n_records;
    memcpy(p->hash, page->hash, sizeof p->hash);
    if (*out_repeated || how->type == REST_PAGE_NONE)
        return 0;
    if (how->until && condition_holds(how->until, s, mem, &ended, err) < 0)
        return -1;
    if (ended || (how->has_more && !says_more(how, page->envelope, mem)))
        return 0;
    if (!next_place(p, page, mem))
        return 0;
    if (p->token.failed)
        return buf_ok(&p->token, "a cursor", err);
    if (was_here(p) && !p->retraces)
        return error_set_reason(err, ERR_DATA, "pagination_loop",
                                "page %lld leads back to a page that was there before",
                                (long long)p->pages);
    *out_more = true;
    return 0;
}

/* -------------------------------------------------------------------- positions */

void pager_put(const struct pager *p, struct buf *out)
{
    struct jsonw w = {.out = out, .comma = true};
    char digits[24];

    if (is_numbered(p->how)) {
        jsonw_key(&w, "number");
        jsonw_string_n(&w, digits, text_from_int64(p->number, digits));
    } else if (p->has_token) {
        jsonw_put_string(&w, "token", buf_str(&p->token));
    }
    jsonw_key(&w, "pages");
    jsonw_string_n(&w, digits, text_from_int64(p->pages, digits));
    jsonw_key(&w, "count");
    jsonw_string_n(&w, digits, text_from_int64(p->records, digits));
}

static bool member(struct slice position, const char *name, struct arena *mem,
                   struct rest_value *out)
{
    const struct path_step step = {PATH_KEY, name, 0};
    const struct path path = {name, &step, 1};
    struct error ignored = ERROR_INIT;

    return path_find(&path, position, mem, out, &ignored) == 0 && out->kind == VALUE_STRING;
}

int pager_resume(struct pager *p, struct slice position, struct arena *mem, struct error *err)
{
    struct rest_value v;

    if (is_numbered(p->how)) {
        if (!member(position, "number", mem, &v) ||
            !text_to_int64(v.text.ptr, v.text.len, &p->number))
            return error_set_reason(err, ERR_RESYNC, "position_unknown",
                                    "the position names no page");
    } else if (member(position, "token", mem, &v)) {
        set_token(p, rest_value_text(&v, mem));
    }
    if (member(position, "pages", mem, &v) && !text_to_int64(v.text.ptr, v.text.len, &p->pages))
        p->pages = 0;
    if (member(position, "count", mem, &v) && !text_to_int64(v.text.ptr, v.text.len, &p->records))
        p->records = 0;
    return 0;
}

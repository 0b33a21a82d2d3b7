#include "connectors/rest/page.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/rest/page_internal.h"

/* The path up to [*] leads to the records, what stands behind it is looked up in each of them. */
static void split_path(struct page *p)
{
    const struct path *whole = &p->how.records;

    p->prefix = *whole;
    for (size_t i = 0; i < whole->n; i++) {
        if (whole->steps[i].kind != PATH_EACH)
            continue;
        p->prefix.n = i;
        p->each_suffix = i + 1 < whole->n;
        p->suffix = (struct path){
            .text = whole->text, .steps = whole->steps + i + 1, .n = whole->n - i - 1};
        return;
    }
}

struct page *page_new(const struct page_settings *s, page_record_fn *each, void *arg)
{
    struct page *p = xalloc(sizeof *p);

    p->how = *s;
    p->each = each;
    p->arg = arg;
    p->mem = arena_new();
    p->envelope = BUF_INIT(PAGE_MAX_ENVELOPE);
    p->value = p->key = p->made = BUF_INIT(PAGE_MAX_RECORD);
    p->header = BUF_INIT(PAGE_MAX_ENVELOPE);
    p->state = PAGE_AROUND;
    split_path(p);
    return p;
}

void page_free(struct page *p)
{
    if (!p)
        return;
    buf_release(&p->envelope);
    buf_release(&p->value);
    buf_release(&p->key);
    buf_release(&p->made);
    buf_release(&p->header);
    arena_free(p->mem);
    free(p);
}

int64_t page_records(const struct page *p)
{
    return p->n_records;
}

int page_broken(const struct page *p, size_t at, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "body_not_decodable",
                            "the body cannot be read at byte %lld: %s",
                            (long long)(p->offset + (int64_t)at), why);
}

static int hand_on(struct page *p, struct slice record, struct error *err)
{
    p->n_records++;
    return p->each(p->arg, record, err);
}

/* What [*] left is itself a list: its elements are the records. */
static int emit_elements(struct page *p, struct slice array, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;
    struct slice raw;

    jsonread_init(&r);
    jsonread_start(&r, array.ptr, array.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_ARRAY_END)
            return 0;
        if (jsonread_skip(&r, t, &raw, err) < 0 || hand_on(p, raw, err) < 0)
            return -1;
    }
}

int page_emit(struct page *p, struct slice text, struct error *err)
{
    struct rest_value v;

    if (!p->each_suffix)
        return hand_on(p, text, err);
    arena_clear(p->mem);
    buf_clear(&p->made);
    if (path_find(&p->suffix, text, p->mem, &v, err) < 0)
        return -1;
    if (v.kind == VALUE_MISSING || v.kind == VALUE_NULL)
        return 0;
    if (v.kind == VALUE_ARRAY)
        return emit_elements(p, v.text, err);
    rest_value_put_json(&v, &p->made);
    return hand_on(p, (struct slice){buf_str(&p->made), p->made.len}, err);
}

/* -------------------------------------------------------------------- NDJSON */

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r')
            return false;
    }
    return true;
}

static int emit_line(struct page *p, struct slice line, struct error *err)
{
    struct rest_value v;

    p->found = true;
    if (is_blank(line))
        return 0;
    if (p->prefix.n == 0)
        return page_emit(p, line, err);
    arena_clear(p->mem);
    if (path_find(&p->prefix, line, p->mem, &v, err) < 0)
        return -1;
    if (v.kind == VALUE_ARRAY)
        return emit_elements(p, v.text, err);
    return v.kind == VALUE_OBJECT ? page_emit(p, v.text, err) : 0;
}

static int feed_lines(struct page *p, const char *bytes, size_t n, struct error *err)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t len = end ? (size_t)(end - bytes) : n;
        struct slice line = {bytes, len};

        if (!end || p->value.len > 0) {
            buf_put(&p->value, bytes, len);
            if (buf_ok(&p->value, "a record", err) < 0)
                return -1;
            line = (struct slice){buf_str(&p->value), p->value.len};
        }
        if (!end)
            return 0;
        if (emit_line(p, line, err) < 0)
            return -1;
        buf_clear(&p->value);
        bytes += len + 1;
        n -= len + 1;
    }
    return 0;
}

/* ---------------------------------------------------------------------- calls */

int page_feed(struct page *p, const char *bytes, size_t n, struct error *err)
{
    int rc = 0;

    switch (p->how.format) {
    case PAGE_JSON:
        rc = page_feed_json(p, bytes, n, err);
        break;
    case PAGE_NDJSON:
        rc = feed_lines(p, bytes, n, err);
        break;
    case PAGE_CSV:
        rc = page_feed_csv(p, bytes, n, err);
        break;
    }
    p->offset += (int64_t)n;
    return rc;
}

static int end_lines(struct page *p, struct error *err)
{
    p->found = true;
    return emit_line(p, (struct slice){buf_str(&p->value), p->value.len}, err);
}

int page_end(struct page *p, struct slice *out_envelope, bool *out_found, struct error *err)
{
    int rc = 0;

    switch (p->how.format) {
    case PAGE_JSON:
        rc = page_end_json(p, err);
        break;
    case PAGE_NDJSON:
        rc = end_lines(p, err);
        break;
    case PAGE_CSV:
        rc = page_end_csv(p, err);
        break;
    }
    *out_found = p->found;
    *out_envelope = p->envelope.len > 0 ? (struct slice){buf_str(&p->envelope), p->envelope.len}
                                        : (struct slice){"{}", 2};
    return rc;
}

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

enum page_format page_format_of(const char *content_type, enum page_format otherwise)
{
    static const struct {
        const char *word;
        enum page_format format;
    } words[] = {{"ndjson", PAGE_NDJSON}, {"jsonl", PAGE_NDJSON}, {"text/csv", PAGE_CSV}};

    for (size_t i = 0; content_type && i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(content_type, words[i].word))
            return words[i].format;
    }
    return otherwise;
}

enum page_packing page_packing_of(const char *content_type, enum page_packing otherwise)
{
    if (content_type && strcasestr(content_type, "gzip"))
        return PAGE_GZIP;
    return content_type && strcasestr(content_type, "/zip") ? PAGE_ZIP : otherwise;
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
    p->state = PAGE_AROUND;
    split_path(p);
    if (s->packing != PAGE_UNPACKED)
        page_init_packed(p);
    else if (s->format != PAGE_JSON)
        page_init_lines(p);
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
    if (p->unpack)
        page_release_packed(p);
    else if (p->how.format != PAGE_JSON)
        page_release_lines(p);
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

int page_emit_elements(struct page *p, struct slice array, struct error *err)
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
        return page_emit_elements(p, v.text, err);
    rest_value_put_json(&v, &p->made);
    return hand_on(p, (struct slice){buf_str(&p->made), p->made.len}, err);
}

/* ---------------------------------------------------------------------- calls */

int page_feed(struct page *p, const char *bytes, size_t n, struct error *err)
{
    int rc = 0;

    if (p->unpack)
        return page_feed_packed(p, bytes, n, err);
    switch (p->how.format) {
    case PAGE_JSON:
        rc = page_feed_json(p, bytes, n, err);
        break;
    case PAGE_NDJSON:
    case PAGE_CSV:
        rc = page_feed_lines(p, bytes, n, err);
        break;
    }
    p->offset += (int64_t)n;
    return rc;
}

static int end_plain(struct page *p, struct error *err)
{
    switch (p->how.format) {
    case PAGE_JSON:
        return page_end_json(p, err);
    case PAGE_NDJSON:
    case PAGE_CSV:
        break;
    }
    return page_end_lines(p, err);
}

int page_end(struct page *p, struct slice *out_envelope, bool *out_found, struct error *err)
{
    int rc = p->unpack ? page_end_packed(p, err) : end_plain(p, err);

    *out_found = p->found;
    *out_envelope = p->envelope.len > 0 ? (struct slice){buf_str(&p->envelope), p->envelope.len}
                                        : (struct slice){"{}", 2};
    return rc;
}

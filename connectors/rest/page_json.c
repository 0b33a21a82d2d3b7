/*
 * JSON as it arrives. Only the structure is looked at here: where strings, values and containers
 * begin and end. Records are checked by whoever reads them, the envelope at the end of the page.
 */
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/rest/page_internal.h"

static struct page_frame *top(struct page *p)
{
    return p->depth > 0 ? &p->stack[p->depth - 1] : NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The key as it is meant; `key` holds it as it was written. */
static bool key_is(struct page *p, const char *want)
{
    struct buf quoted = BUF_INIT(PAGE_MAX_RECORD + 2);
    struct error ignored = ERROR_INIT;
    struct rest_value v = {0};
    bool same;

    if (!memchr(buf_str(&p->key), '\\', p->key.len))
        return p->key.len == strlen(want) && memcmp(buf_str(&p->key), want, p->key.len) == 0;
    buf_printf(&quoted, "\"%s\"", buf_str(&p->key));
    arena_clear(p->mem);
    same =
        rest_value_read((struct slice){buf_str(&quoted), quoted.len}, p->mem, &v, &ignored) == 0 &&
        v.text.len == strlen(want) && memcmp(v.text.ptr, want, v.text.len) == 0;
    buf_release(&quoted);
    return same;
}

/* Whether the value that begins now lies on the path; *out_target whether it is its end. */
static bool on_path(struct page *p, bool *out_target)
{
    const struct page_frame *f = top(p);
    const struct path_step *step;

    *out_target = false;
    if (!f) {
        *out_target = p->prefix.n == 0;
        return true;
    }
    if (!f->on_path || p->depth > p->prefix.n)
        return false;
    step = &p->prefix.steps[p->depth - 1];
    if (f->is_object ? step->kind != PATH_KEY || !key_is(p, step->key)
                     : step->kind != PATH_INDEX || step->index != f->index)
        return false;
    *out_target = p->depth == p->prefix.n;
    return true;
}

static void begin_record(struct page *p, enum page_state back, char c)
{
    p->value_back = back;
    p->value_kind = c;
    p->value_depth = 0;
    p->value_in_string = p->escaped = false;
    p->state = PAGE_VALUE;
    p->last = PAGE_RECORD;
    buf_clear(&p->value);
}

/* The value the path names: what its records are depends on its kind. */
static int begin_target(struct page *p, char c, bool *out_handled)
{
    bool list = c == '[' && !p->how.single;
    bool map = c == '{' && p->how.map_entries && !p->how.single;

    *out_handled = true;
    if (list || map) {
        p->found = true;
        p->state = list ? PAGE_ELEMENTS : PAGE_ENTRIES;
        p->last = PAGE_OPENED;
        buf_puts(&p->envelope, list ? "[]" : "{}");
        return 1;
    }
    if (c == '{' || p->how.single) {
        p->found = true;
        p->one = true;
        buf_puts(&p->envelope, p->depth == 0 ? "{}" : "null");
        begin_record(p, p->depth == 0 ? PAGE_OVER : PAGE_AROUND, c);
        return 0;
    }
    *out_handled = false;
    p->found = c == 'n'; /* null: there are none */
    return 0;
}

static int push(struct page *p, bool is_object, bool path, size_t at, struct error *err)
{
    if (p->depth == PAGE_MAX_DEPTH)
        return page_broken(p, at, "it is nested too deeply", err);
    p->stack[p->depth++] = (struct page_frame){.is_object = is_object, .on_path = path};
    p->key_ready = false;
    return 0;
}

/* A value begins outside of the records. *used is 1 when the byte is dealt with. */
static int begin_value(struct page *p, char c, size_t at, size_t *used, struct error *err)
{
    bool target, handled = false, path = on_path(p, &target);

    p->key_ready = false;
    *used = 1;
    if (target) {
        *used = (size_t)begin_target(p, c, &handled);
        if (handled)
            return 0;
        *used = 1;
    }
    buf_putc(&p->envelope, c);
    if (c == '{' || c == '[')
        return push(p, c == '{', path, at, err);
    if (c == '"')
        p->state = PAGE_STRING;
    else
        p->begun = true;
    return 0;
}

static int around(struct page *p, char c, size_t at, size_t *used, struct error *err)
{
    struct page_frame *f = top(p);

    *used = 1;
    if (is_space(c)) {
        if (p->begun) /* 1 2 is not 12 */
            buf_putc(&p->envelope, ' ');
        p->begun = false;
        return 0;
    }
    if (c == '}' || c == ']') {
        if (!f || f->is_object != (c == '}'))
            return page_broken(p, at, "a bracket does not match", err);
        p->depth--;
        p->begun = p->key_ready = false;
        buf_putc(&p->envelope, c);
        if (p->depth == 0)
            p->state = PAGE_OVER;
        return 0;
    }
    if (c == ',' || c == ':') {
        if (!f)
            return page_broken(p, at, "a value is expected", err);
        p->begun = false;
        p->key_ready = c == ':';
        f->index += c == ',';
        buf_putc(&p->envelope, c);
        return 0;
    }
    if (p->begun) { /* the rest of a number or word */
        buf_putc(&p->envelope, c);
        return 0;
    }
    if (f && f->is_object && !p->key_ready) {
        if (c != '"')
            return page_broken(p, at, "a key is expected", err);
        buf_putc(&p->envelope, c);
        buf_clear(&p->key);
        p->state = PAGE_KEY;
        p->value_back = PAGE_AROUND;
        return 0;
    }
    return begin_value(p, c, at, used, err);
}

/* Up to the end of a string; *out_done when its closing quote was read, which is counted. */
static size_t string_part(struct page *p, const char *s, size_t n, bool *out_done)
{
    *out_done = false;
    for (size_t i = 0; i < n; i++) {
        if (p->escaped) {
            p->escaped = false;
        } else if (s[i] == '\\') {
            p->escaped = true;
        } else if (s[i] == '"') {
            *out_done = true;
            return i + 1;
        }
    }
    return n;
}

/* Bytes of a record that belong to it; *out_done when it is complete. */
static size_t value_part(struct page *p, const char *s, size_t n, bool *out_done)
{
    static const unsigned char special[256] = {
        ['{'] = 1, ['}'] = 1, ['['] = 1, [']'] = 1, ['"'] = 1,
    };
    bool scalar = p->value_kind != '{' && p->value_kind != '[' && p->value_kind != '"';

    *out_done = false;
    for (size_t i = 0; i < n; i++) {
        if (p->value_in_string) {
            bool closed;

            i += string_part(p, s + i, n - i, &closed);
            if (!closed)
                return n;
            p->value_in_string = false;
            if (p->value_depth == 0) {
                *out_done = true;
                return i;
            }
            i--;
            continue;
        }
        if (scalar) {
            *out_done = s[i] == ',' || s[i] == ']' || s[i] == '}' || is_space(s[i]);
            if (*out_done)
                return i;
            continue;
        }
        while (i < n && !special[(unsigned char)s[i]])
            i++;
        if (i == n)
            return n;
        if (s[i] == '"') {
            p->value_in_string = true;
        } else if (s[i] == '{' || s[i] == '[') {
            p->value_depth++;
        } else if (p->value_depth <= 1) {
            *out_done = true;
            return i + 1;
        } else {
            p->value_depth--;
        }
    }
    return n;
}

/* {"a":1} of the key k becomes {"_key":"k","a":1}. */
static int emit_entry(struct page *p, struct slice value, struct error *err)
{
    struct buf *out = &p->made;
    size_t inside = 1;

    buf_clear(out);
    buf_puts(out, "{\"_key\":\"");
    buf_put(out, buf_str(&p->key), p->key.len);
    buf_putc(out, '"');
    if (value.ptr[0] == '{') {
        while (inside < value.len && is_space(value.ptr[inside]))
            inside++;
        if (inside < value.len && value.ptr[inside] != '}')
            buf_putc(out, ',');
        buf_put(out, value.ptr + inside, value.len - inside);
    } else {
        buf_puts(out, ",\"value\":");
        buf_put(out, value.ptr, value.len);
        buf_putc(out, '}');
    }
    if (buf_ok(out, "a record", err) < 0)
        return -1;
    p->n_records++;
    return p->each(p->arg, (struct slice){buf_str(out), out->len}, err);
}

static int end_record(struct page *p, struct slice text, struct error *err)
{
    p->state = p->value_back;
    if (p->state == PAGE_ENTRIES)
        return emit_entry(p, text, err);
    return page_emit(p, text, err);
}

static int in_record(struct page *p, const char *s, size_t n, size_t *used, struct error *err)
{
    bool done;
    struct slice text;

    *used = value_part(p, s, n, &done);
    text = (struct slice){s, *used};
    if (!done || p->value.len > 0) {
        buf_put(&p->value, s, *used);
        if (buf_ok(&p->value, "a record", err) < 0)
            return -1;
        text = (struct slice){buf_str(&p->value), p->value.len};
    }
    return done ? end_record(p, text, err) : 0;
}

/* Between records: a comma, the end, or the beginning of the next. */
static int between(struct page *p, char c, size_t at, size_t *used, struct error *err)
{
    bool map = p->state == PAGE_ENTRIES;

    *used = 1;
    if (is_space(c))
        return 0;
    if (c == ',' || c == ':') {
        if (p->last != (c == ',' ? PAGE_RECORD : PAGE_NAMED))
            return page_broken(p, at, "a value is expected", err);
        p->last = c == ',' ? PAGE_COMMA : PAGE_COLON;
        return 0;
    }
    if (c == (map ? '}' : ']') && (p->last == PAGE_OPENED || p->last == PAGE_RECORD)) {
        p->state = p->depth == 0 ? PAGE_OVER : PAGE_AROUND;
        return 0;
    }
    if (c == '}' || c == ']')
        return page_broken(p, at, "a bracket does not match", err);
    if (p->last == PAGE_RECORD || p->last == PAGE_NAMED)
        return page_broken(p, at, "a comma or colon is expected", err);
    if (map && p->last != PAGE_COLON) {
        if (c != '"')
            return page_broken(p, at, "a key is expected", err);
        buf_clear(&p->key);
        p->state = PAGE_KEY;
        p->value_back = PAGE_ENTRIES;
        p->last = PAGE_NAMED;
        return 0;
    }
    begin_record(p, p->state, c);
    *used = 0;
    return 0;
}

static int in_string(struct page *p, const char *s, size_t n, size_t *used, struct error *err)
{
    bool done, key = p->state == PAGE_KEY, outside = !key || p->value_back == PAGE_AROUND;

    *used = string_part(p, s, n, &done);
    if (outside)
        buf_put(&p->envelope, s, *used);
    if (key)
        buf_put(&p->key, s, *used - done);
    if (!done)
        return buf_ok(&p->key, "a key", err);
    p->state = key ? p->value_back : PAGE_AROUND;
    p->key_ready = key;
    if (!key && p->depth == 0)
        p->state = PAGE_OVER;
    return 0;
}

static int step(struct page *p, const char *s, size_t n, size_t at, size_t *used, struct error *err)
{
    switch (p->state) {
    case PAGE_AROUND:
        return around(p, *s, at, used, err);
    case PAGE_KEY:
    case PAGE_STRING:
        return in_string(p, s, n, used, err);
    case PAGE_ELEMENTS:
    case PAGE_ENTRIES:
        return between(p, *s, at, used, err);
    case PAGE_VALUE:
        return in_record(p, s, n, used, err);
    case PAGE_OVER:
        break;
    }
    *used = 1;
    return is_space(*s) ? 0 : page_broken(p, at, "something stands behind the value", err);
}

int page_feed_json(struct page *p, const char *bytes, size_t n, struct error *err)
{
    size_t used = 0;

    for (size_t at = 0; at < n; at += used) {
        if (step(p, bytes + at, n - at, at, &used, err) < 0)
            return -1;
        if (p->envelope.failed)
            return buf_ok(&p->envelope, "what is around the records", err);
    }
    return 0;
}

int page_end_json(struct page *p, struct error *err)
{
    struct error why = ERROR_INIT;
    struct rest_value v;
    bool scalar = p->state == PAGE_AROUND && p->depth == 0 && p->envelope.len > 0;

    /* A record that is a number or word alone ends with the body. */
    if (p->state == PAGE_VALUE && p->value_back == PAGE_OVER && p->value_kind != '{' &&
        p->value_kind != '[' && p->value_kind != '"') {
        if (end_record(p, (struct slice){buf_str(&p->value), p->value.len}, err) < 0)
            return -1;
    } else if (p->state != PAGE_OVER && !scalar) {
        return page_broken(p, 0, "it is cut short", err);
    }
    arena_clear(p->mem);
    if (rest_value_read((struct slice){buf_str(&p->envelope), p->envelope.len}, p->mem, &v, &why) <
        0)
        return error_set_reason(err, ERR_DATA, "body_not_decodable",
                                "the body cannot be read, around its records: %s", why.message);
    return 0;
}

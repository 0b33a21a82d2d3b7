#include "connectors/rest/rows_shape.h"

#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"

void shape_init(struct shape *h, const struct rest_stream *s)
{
    *h = (struct shape){.stream = s, .mem = arena_new(), .text = BUF_INIT(PAGE_MAX_RECORD)};
}

void shape_release(struct shape *h)
{
    arena_free(h->mem);
    buf_release(&h->text);
}

static bool is_step(const struct path *p, size_t depth, const struct jsonread *r)
{
    return depth < p->n && p->steps[depth].kind == PATH_KEY &&
           strlen(p->steps[depth].key) == r->text.len &&
           memcmp(p->steps[depth].key, r->text.ptr, r->text.len) == 0;
}

static bool is_computed(const struct rest_stream *s, const struct jsonread *r)
{
    for (size_t i = 0; i < s->add.n; i++) {
        if (strlen(s->add.items[i].name) == r->text.len &&
            memcmp(s->add.items[i].name, r->text.ptr, r->text.len) == 0)
            return true;
    }
    return false;
}

/* Copies an object without what `remove` names; `live` are the paths that lead here. */
static int copy_object(struct shape *h, struct slice object, size_t depth, uint64_t live,
                       struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    const struct rest_stream *s = h->stream;
    enum jsonread_token t;
    const char *comma = "";
    struct slice raw;

    jsonread_init(&r);
    jsonread_start(&r, object.ptr, object.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    buf_putc(&h->text, '{');
    for (;;) {
        struct jsonw w = JSONW_INIT(&h->text);
        uint64_t deeper = 0;
        bool gone;

        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_OBJECT_END)
            break;
        gone = depth == 0 && is_computed(s, &r);
        for (size_t i = 0; i < s->n_remove && i < 64; i++) {
            if (!(live >> i & 1) || !is_step(&s->remove[i], depth, &r))
                continue;
            gone |= s->remove[i].n == depth + 1;
            deeper |= UINT64_C(1) << i;
        }
        if (!gone) {
            buf_puts(&h->text, comma);
            jsonw_string_n(&w, r.text.ptr, r.text.len);
            buf_putc(&h->text, ':');
            comma = ",";
        }
        if (jsonread_next(&r, &t, err) < 0 || jsonread_skip(&r, t, &raw, err) < 0)
            return -1;
        if (gone)
            continue;
        if (deeper && t == JSONREAD_OBJECT) {
            if (copy_object(h, raw, depth + 1, deeper, err) < 0)
                return -1;
        } else {
            buf_put(&h->text, raw.ptr, raw.len);
        }
    }
    buf_putc(&h->text, '}');
    return buf_ok(&h->text, "a record", err);
}

static int add_field(struct shape *h, const char *name, const struct rest_value *v,
                     struct error *err)
{
    struct jsonw w = JSONW_INIT(&h->text);

    h->text.len--; /* the closing bracket */
    if (h->text.data[h->text.len - 1] != '{')
        buf_putc(&h->text, ',');
    jsonw_string(&w, name);
    buf_putc(&h->text, ':');
    rest_value_put_json(v, &h->text);
    buf_putc(&h->text, '}');
    return buf_ok(&h->text, "a record", err);
}

static int add_fields(struct shape *h, const struct scopes *s, struct error *err)
{
    const struct rest_stream *stream = h->stream;
    struct rest_value v;

    for (size_t i = 0; i < stream->add.n; i++) {
        if (template_render(stream->add.items[i].value, s, h->mem, &v, err) < 0)
            return error_wrap(err, "the computed field \"%s\"", stream->add.items[i].name);
        if (add_field(h, stream->add.items[i].name, &v, err) < 0)
            return -1;
    }
    for (size_t i = 0; stream->for_each.include && stream->for_each.include[i]; i++) {
        const char *name = stream->for_each.include[i];
        const struct path_step step = {PATH_KEY, name, 0};
        const struct path p = {name, &step, 1};

        if (!s->json[SCOPE_parent].ptr)
            continue;
        if (path_find(&p, s->json[SCOPE_parent], h->mem, &v, err) < 0 ||
            add_field(h, arena_printf(h->mem, "%s%s", stream->for_each.prefix, name), &v, err) < 0)
            return -1;
    }
    return 0;
}

static bool changes(const struct rest_stream *s)
{
    return s->add.n > 0 || s->n_remove > 0 ||
           (s->for_each.include && s->for_each.include[0] != NULL);
}

/* `record` is the row to be, `s` has the record it came with in its scope. */
static int finish(struct shape *h, struct slice record, const struct scopes *s, shape_fn *each,
                  void *arg, struct error *err)
{
    struct rest_value v;

    if (!changes(h->stream))
        return each(arg, record, err);
    if (rest_value_read(record, h->mem, &v, err) < 0)
        return -1;
    if (v.kind != VALUE_OBJECT)
        return each(arg, record, err);
    buf_clear(&h->text);
    if (copy_object(h, record, 0, ~UINT64_C(0), err) < 0 || add_fields(h, s, err) < 0)
        return -1;
    return each(arg, (struct slice){buf_str(&h->text), h->text.len}, err);
}

/* Lists may hold plain values: each becomes an object with one member. */
static struct slice wrapped(struct shape *h, struct slice value)
{
    return (struct slice){arena_printf(h->mem, "{\"value\":%.*s}", (int)value.len, value.ptr),
                          value.len + strlen("{\"value\":}")};
}

/* Strings, numbers, true and false. */
static bool is_plain(struct slice value)
{
    return value.len > 0 && strchr("\"-0123456789tf", value.ptr[0]) != NULL;
}

static int explode(struct shape *h, const struct rest_value *list, const struct scopes *s,
                   shape_fn *each, void *arg, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;
    struct slice raw;

    jsonread_init(&r);
    if (list->kind == VALUE_OBJECT)
        return finish(h, list->text, s, each, arg, err);
    if (list->kind != VALUE_ARRAY)
        return 0;
    jsonread_start(&r, list->text.ptr, list->text.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_ARRAY_END)
            return 0;
        if (jsonread_skip(&r, t, &raw, err) < 0)
            return -1;
        if (finish(h, t == JSONREAD_OBJECT ? raw : wrapped(h, raw), s, each, arg, err) < 0)
            return -1;
    }
}

int shape_feed(struct shape *h, struct slice record, const struct scopes *base, shape_fn *each,
               void *arg, int64_t *out_filtered, struct error *err)
{
    const struct rest_stream *stream = h->stream;
    struct scopes s = *base;
    struct rest_value list;
    bool wanted = true;

    arena_clear(h->mem);
    if (is_plain(record))
        record = wrapped(h, record);
    s.json[SCOPE_record] = record;
    if (stream->where && condition_holds(stream->where, &s, h->mem, &wanted, err) < 0)
        return -1;
    if (!wanted) {
        ++*out_filtered;
        return 0;
    }
    if (!stream->has_explode)
        return finish(h, record, &s, each, arg, err);
    if (path_find(&stream->explode, record, h->mem, &list, err) < 0)
        return -1;
    return explode(h, &list, &s, each, arg, err);
}

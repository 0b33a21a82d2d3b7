/*
 * Which slices a stream has, by the document or by a variable.
 *
 * A bookmark tells nothing about a slice that was not there when it was set: such a one is read
 * from the beginning, as a new parent is.
 */
#include <string.h>

#include "connectors/base/hash.h"
#include "connectors/base/jsonread.h"
#include "connectors/rest/walk_internal.h"

static struct slice text_of(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* ["a", "b"] as {"value":"a"} and {"value":"b"}. */
static int take_list(struct walk *w, struct slice list, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    const char **slices = arena_array(w->mem, list.len, sizeof *slices);
    enum jsonread_token t;
    struct slice raw;

    jsonread_init(&r);
    jsonread_start(&r, list.ptr, list.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_ARRAY_END)
            break;
        if (jsonread_skip(&r, t, &raw, err) < 0)
            return -1;
        slices[w->n_slices++] = arena_printf(w->mem, "{\"value\":%.*s}", (int)raw.len, raw.ptr);
    }
    w->slices = slices;
    return 0;
}

static int from_variable(struct walk *w, struct error *err)
{
    struct rest_value v;

    if (template_render(w->stream->slices_from, w->values, w->mem, &v, err) < 0)
        return error_wrap(err, "slices");
    if (v.kind != VALUE_ARRAY)
        return error_set_reason(err, ERR_CONFIG, "template_value",
                                "slices: the value of the template is no list");
    return take_list(w, v.text, err);
}

static const char *digest(const struct walk *w)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT((size_t)64 << 20);
    char hex[HASH_HEX_BYTES];

    for (size_t i = 0; i < w->n_slices; i++)
        buf_printf(&all, "%s\n", w->slices[i]);
    hash_bytes_hex(buf_str(&all), all.len, hex);
    hex[32] = '\0';
    return arena_strdup(w->mem, hex);
}

int walk_find_slices(struct walk *w, struct error *err)
{
    static const char *const whole[] = {NULL};

    if (w->increment)
        w->lower = w->increment->lower;
    w->slices = w->stream->slices;
    w->n_slices = w->stream->n_slices;
    if (w->stream->slices_from && from_variable(w, err) < 0)
        return -1;
    if (w->n_slices == 0 && !w->stream->slices_from) {
        w->slices = whole;
        w->n_slices = 1;
        return 0;
    }
    w->slices_digest = digest(w);
    for (size_t i = 0; i < w->n_slices && !w->stream->for_each.parent; i++)
        known_add(&w->now, text_of(w->slices[i]));
    return 0;
}

void walk_begin_slice(struct walk *w)
{
    struct increment *i = w->increment;

    if (!i || !w->slices_digest || w->stream->for_each.parent)
        return;
    i->fresh = i->safe.known && !known_has(&w->known, text_of(w->slices[w->slice]));
    i->lower = i->fresh ? w->start : w->lower;
}

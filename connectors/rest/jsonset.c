#include "connectors/rest/jsonset.h"

#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/jsonwrite.h"

/* Steps that are not there yet: {"a":{"b":value}}. */
static void put_missing(const struct path_step *steps, size_t n, const char *value, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        struct jsonw w = JSONW_INIT(out);

        buf_putc(out, '{');
        jsonw_string(&w, steps[i].key);
        buf_putc(out, ':');
    }
    buf_puts(out, value);
    for (size_t i = 0; i < n; i++)
        buf_putc(out, '}');
}

static int set(struct slice object, const struct path_step *steps, size_t n, const char *value,
               struct buf *out, struct error *err)
{
    CLEANUP(jsonread_release) struct jsonread r;
    enum jsonread_token t;
    const char *comma = "";
    struct slice raw;
    bool done = false;

    jsonread_init(&r);
    jsonread_start(&r, object.ptr, object.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    if (t != JSONREAD_OBJECT) {
        put_missing(steps, n, value, out);
        return 0;
    }
    buf_putc(out, '{');
    for (;;) {
        struct jsonw w = JSONW_INIT(out);
        bool here;

        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t == JSONREAD_OBJECT_END)
            break;
        here =
            strlen(steps[0].key) == r.text.len && memcmp(steps[0].key, r.text.ptr, r.text.len) == 0;
        buf_puts(out, comma);
        jsonw_string_n(&w, r.text.ptr, r.text.len);
        buf_putc(out, ':');
        comma = ",";
        if (jsonread_next(&r, &t, err) < 0 || jsonread_skip(&r, t, &raw, err) < 0)
            return -1;
        if (!here)
            buf_put(out, raw.ptr, raw.len);
        else if (n == 1)
            buf_puts(out, value);
        else if (set(raw, steps + 1, n - 1, value, out, err) < 0)
            return -1;
        done |= here;
    }
    if (!done) {
        struct jsonw w = JSONW_INIT(out);

        buf_puts(out, comma);
        jsonw_string(&w, steps[0].key);
        buf_putc(out, ':');
        put_missing(steps + 1, n - 1, value, out);
    }
    buf_putc(out, '}');
    return 0;
}

int json_set(struct slice object, const struct path *path, const char *value, struct buf *out,
             struct error *err)
{
    for (size_t i = 0; i < path->n; i++) {
        if (path->steps[i].kind != PATH_KEY)
            return error_set(err, ERR_CONFIG, "the path \"%s\" into a body has an index",
                             path->text);
    }
    if (path->n == 0)
        return error_set(err, ERR_CONFIG, "the path into a body is empty");
    if (set(object, path->steps, path->n, value, out, err) < 0)
        return -1;
    return buf_ok(out, "a body", err);
}

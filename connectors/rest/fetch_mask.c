/*
 * What is said of a request must not tell a secret: every value of the scope `secret`, every token
 * gained with one, and their usual encodings are replaced wherever they stand.
 */
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/text.h"
#include "connectors/http/url.h"
#include "connectors/rest/fetch_internal.h"

#define MASK_MIN 4 /* shorter values would blacken half of every text */

static void add_one(struct fetcher *f, const char *text)
{
    if (strlen(text) < MASK_MIN)
        return;
    for (size_t i = 0; i < f->n_masks; i++) {
        if (strcmp(f->masks[i], text) == 0)
            return;
    }
    if (f->n_masks == f->cap_masks) {
        size_t cap = f->cap_masks ? 2 * f->cap_masks : 16;
        const char **more = arena_array(f->mem, cap, sizeof *more);

        if (f->n_masks > 0)
            memcpy(more, f->masks, f->n_masks * sizeof *more);
        f->masks = more;
        f->cap_masks = cap;
    }
    f->masks[f->n_masks++] = arena_strdup(f->mem, text);
}

void mask_add(struct fetcher *f, const char *secret)
{
    struct buf encoded = BUF_INIT((size_t)1 << 20);

    add_one(f, secret);
    add_one(f, url_encode(f->mem, secret, strlen(secret)));
    text_put_base64(&encoded, secret, strlen(secret));
    add_one(f, buf_str(&encoded));
    buf_release(&encoded);
}

/* All strings of one JSON object. */
void mask_add_scope(struct fetcher *f, struct slice json)
{
    struct error ignored = ERROR_INIT;
    struct jsonread r;
    enum jsonread_token t;

    jsonread_init(&r);
    jsonread_start(&r, json.ptr, json.len);
    while (jsonread_next(&r, &t, &ignored) == 0 && t != JSONREAD_END) {
        if (t == JSONREAD_STRING)
            mask_add(f, arena_memdup(f->mem, r.text.ptr, r.text.len));
    }
    jsonread_release(&r);
}

static const char *earliest(const struct fetcher *f, const char *text, size_t *out_len)
{
    const char *found = NULL;

    for (size_t i = 0; i < f->n_masks; i++) {
        const char *at = strstr(text, f->masks[i]);
        size_t n = strlen(f->masks[i]);

        if (at && (!found || at < found || (at == found && n > *out_len))) {
            found = at;
            *out_len = n;
        }
    }
    return found;
}

const char *mask_text(const struct fetcher *f, struct arena *mem, const char *text)
{
    struct buf out = BUF_INIT((size_t)4 << 20);
    const char *copy, *at;
    size_t n = 0;

    while ((at = earliest(f, text, &n))) {
        buf_put(&out, text, (size_t)(at - text));
        buf_puts(&out, "***");
        text = at + n;
    }
    buf_puts(&out, text);
    copy = arena_strdup(mem, buf_str(&out));
    buf_release(&out);
    return copy;
}

void mask_error(const struct fetcher *f, struct error *err)
{
    const char *masked;
    size_t n = 0;

    if (!earliest(f, err->message, &n))
        return;
    masked = mask_text(f, f->page, err->message);
    n = strlen(masked) < sizeof err->message - 1 ? strlen(masked) : sizeof err->message - 1;
    memcpy(err->message, masked, n);
    err->message[n] = '\0';
}

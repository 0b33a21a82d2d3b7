/*
 * What is said of a request must not tell a secret: every value of the scope `secret`, and every
 * token gained with one, is kept out, here and in all that the run says.
 */
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/redact.h"
#include "connectors/rest/fetch_internal.h"

void mask_add(struct fetcher *f, const char *secret)
{
    redactor_add(f->redactor, secret, strlen(secret));
    if (f->run->redactor)
        redactor_add(f->run->redactor, secret, strlen(secret));
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

const char *mask_text(const struct fetcher *f, struct arena *mem, const char *text)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT((size_t)4 << 20);

    redactor_put(f->redactor, &out, text, strlen(text));
    return arena_strdup(mem, buf_str(&out));
}

void mask_error(const struct fetcher *f, struct error *err)
{
    redactor_error(f->redactor, err);
}

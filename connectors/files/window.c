#include "connectors/files/window.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES (2 * INPUT_CHUNK_BYTES)

void window_init(struct window *w, struct input *in, size_t max_bytes, uint64_t offset,
                 int64_t line)
{
    *w = (struct window){.in = in, .max_bytes = max_bytes, .offset = offset, .line = line};
    w->eof = !in;
    w->cap = FIRST_BYTES;
    w->data = xalloc(w->cap);
}

void window_release(struct window *w)
{
    input_close(w->in);
    free(w->data);
    *w = (struct window){0};
}

static void make_room(struct window *w)
{
    size_t live = w->end - w->at;

    if (w->at) {
        memmove(w->data, w->data + w->at, live);
        w->at = 0;
        w->end = live;
    }
    if (w->cap - live >= INPUT_CHUNK_BYTES)
        return;
    /* Doubling keeps the repeated scan of a long record linear; the chunk more than the limit lets
     * a record of exactly the limit be told from a longer one. */
    w->cap = 2 * w->cap;
    if (w->cap > w->max_bytes + 2 * INPUT_CHUNK_BYTES)
        w->cap = w->max_bytes + 2 * INPUT_CHUNK_BYTES;
    w->data = xrealloc(w->data, w->cap);
}

void window_put(struct window *w, const char *bytes, size_t n)
{
    make_room(w);
    memcpy(w->data + w->end, bytes, n);
    w->end += n;
}

int window_more(struct window *w, enum window_more *out, struct error *err)
{
    size_t got;

    if (w->eof) {
        *out = WINDOW_EOF;
        return 0;
    }
    /* Two bytes more than the limit: the line break behind a record of exactly the limit. */
    if (w->end - w->at >= w->max_bytes + 2) {
        *out = WINDOW_FULL;
        return 0;
    }
    make_room(w);
    if (input_read(w->in, w->data + w->end, w->cap - w->end, &got, err) < 0)
        return -1;
    w->end += got;
    w->eof = got == 0;
    *out = got ? WINDOW_GREW : WINDOW_EOF;
    return 0;
}

int window_skip_line(struct window *w, uint64_t *out_bytes, struct error *err)
{
    uint64_t skipped = 0;

    for (;;) {
        const char *from = w->data + w->at;
        const char *stop = memchr(from, '\n', w->end - w->at);
        enum window_more more;

        if (stop) {
            skipped += (uint64_t)(stop - from);
            window_advance(w, (size_t)(stop - from) + 1, 1);
            break;
        }
        skipped += w->end - w->at;
        window_advance(w, w->end - w->at, 0);
        if (window_more(w, &more, err) < 0)
            return -1;
        if (more == WINDOW_EOF)
            break;
    }
    *out_bytes = skipped;
    return 0;
}

int window_skip_mark(struct window *w, struct error *err)
{
    enum window_more more = WINDOW_GREW;
    const char *p;
    size_t n;

    while (w->end - w->at < 3 && more == WINDOW_GREW) {
        if (window_more(w, &more, err) < 0)
            return -1;
    }
    p = w->data + w->at;
    n = w->end - w->at;
    if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
        window_advance(w, 3, 0);
    else if (n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2)))
        return error_set(err, ERR_DATA, "\"%s\" is encoded in UTF-16; convert it to UTF-8 first",
                         w->in ? input_name(w->in) : "the text");
    return 0;
}

#include "connectors/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "connectors/base/arena.h"

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max_bytes = b->max_bytes};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    b->refused = NULL;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t want, cap;

    if (b->failed)
        return NULL;
    if (n > b->max_bytes || b->len > b->max_bytes - n) {
        b->failed = true;
        return NULL;
    }
    want = b->len + n + 1;
    if (want <= b->cap)
        return b->data + b->len;
    for (cap = b->cap ? b->cap : 64; cap < want; cap *= 2)
        ;
    if (cap - 1 > b->max_bytes)
        cap = b->max_bytes + 1;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
    b->data[b->len] = '\0';
    return b->data + b->len;
}

void buf_grow_and_put(struct buf *b, const void *p, size_t n)
{
    char *at = buf_reserve(b, n);

    if (!at)
        return;
    if (n)
        memcpy(at, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *at;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    at = buf_reserve(b, (size_t)n);
    if (!at)
        return;
    va_start(ap, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

int buf_ok(const struct buf *b, const char *what, struct error *err)
{
    if (!b->failed)
        return 0;
    if (b->refused)
        return error_set(err, ERR_DATA, "%s has %s", what, b->refused);
    return error_set(err, ERR_TOO_LARGE, "%s exceeds %zu bytes", what, b->max_bytes);
}

/*
 * buf.h - a growing byte buffer that cannot exist without a limit.
 *
 * When an append would pass the limit, `failed` is set and every later append does nothing, so
 * code that formats has no error branches: check once, with buf_ok, before use. Open: callers own
 * it by value. Not shared between threads.
 */
#ifndef CONNECTORS_BASE_BUF_H
#define CONNECTORS_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "connectors/base/error.h"

struct buf {
    char *data; /* NUL-terminated once anything was appended */
    size_t len;
    size_t cap;
    size_t max_bytes;
    bool failed;
    const char *refused; /* why it failed, where that is not the limit */
};

/* A view of bytes that someone else owns. */
struct slice {
    const char *ptr;
    size_t len;
};

#define BUF_INIT(max) ((struct buf){.max_bytes = (max)})

void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* empty and usable again; keeps its memory */

/* Room for `n` more bytes at data + len, or NULL when the limit forbids it. Advance len yourself.
 */
char *buf_reserve(struct buf *b, size_t n);
void buf_grow_and_put(struct buf *b, const void *p, size_t n);

static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    if (b->data && !b->failed && n < b->cap - b->len) {
        memcpy(b->data + b->len, p, n);
        b->len += n;
        b->data[b->len] = '\0';
        return;
    }
    buf_grow_and_put(b, p, n);
}

static inline void buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

static inline void buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);

/* The content as a C string; "" when nothing was appended. Valid until the next append. */
const char *buf_str(const struct buf *b);

/* 0, or -1 with TOO_LARGE naming `what` when the limit was passed. */
CHECKED int buf_ok(const struct buf *b, const char *what, struct error *err);

#endif

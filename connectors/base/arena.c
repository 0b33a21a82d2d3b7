#include "connectors/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Blocks grow: a request that only follows a log keeps little, a catalog fits in a few. */
#define FIRST_BYTES ((size_t)1024)
#define BLOCK_BYTES ((size_t)16 * 1024)

struct block {
    struct block *next;
    size_t size, used;
    max_align_t data[];
};

struct arena {
    struct block *head;
    size_t used;
};

static struct block *block_new(size_t size)
{
    struct block *b;

    if (size > SIZE_MAX - sizeof *b)
        xalloc_failed(size);
    b = xalloc(sizeof *b + size);
    b->size = size;
    return b;
}

struct arena *arena_new(void)
{
    return xalloc(sizeof(struct arena));
}

void arena_free(struct arena *mem)
{
    if (!mem)
        return;
    for (struct block *b = mem->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(mem);
}

/* The block in use is kept, so that a loop that clears does not allocate. */
void arena_clear(struct arena *mem)
{
    struct block *keep = NULL;

    for (struct block *b = mem->head, *next; b; b = next) {
        next = b->next;
        if (!keep && b->size <= BLOCK_BYTES)
            keep = b;
        else
            free(b);
    }
    if (keep) {
        memset(keep->data, 0, keep->used);
        keep->used = 0;
        keep->next = NULL;
    }
    mem->head = keep;
    mem->used = 0;
}

/* The size of the next block when `n_bytes` did not fit into the current one. */
static size_t next_size(const struct arena *mem, size_t n_bytes)
{
    size_t size = mem->head ? mem->head->size * 2 : FIRST_BYTES;

    if (n_bytes > BLOCK_BYTES / 4)
        return n_bytes;
    while (size < BLOCK_BYTES && n_bytes > size / 4)
        size *= 2;
    return size < BLOCK_BYTES ? size : BLOCK_BYTES;
}

void *arena_alloc(struct arena *mem, size_t n_bytes)
{
    const size_t align = _Alignof(max_align_t);
    struct block *b = mem->head;
    char *p;

    if (n_bytes > SIZE_MAX - align)
        xalloc_failed(n_bytes);
    n_bytes = (n_bytes + align - 1) / align * align;
    if (!b || b->size - b->used < n_bytes) {
        b = block_new(next_size(mem, n_bytes));
        /* A large piece goes behind the current block, whose rest stays usable. */
        if (n_bytes > BLOCK_BYTES / 4 && mem->head) {
            b->next = mem->head->next;
            mem->head->next = b;
        } else {
            b->next = mem->head;
            mem->head = b;
        }
    }
    p = (char *)b->data + b->used;
    b->used += n_bytes;
    mem->used += n_bytes;
    return p;
}

void *arena_array(struct arena *mem, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        xalloc_failed(SIZE_MAX);
    return arena_alloc(mem, bytes);
}

char *arena_memdup(struct arena *mem, const char *s, size_t n)
{
    char *copy = arena_alloc(mem, n + 1);

    if (n)
        memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(struct arena *mem, const char *s)
{
    return arena_memdup(mem, s, strlen(s));
}

char *arena_printf(struct arena *mem, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    text = arena_alloc(mem, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

size_t arena_used(const struct arena *mem)
{
    return mem->used;
}

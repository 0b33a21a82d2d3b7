/*
 * arena.h - memory with one lifetime: allocated piecemeal, released at once.
 *
 * The three arenas of this program are the request, the run, and the scratch that a loop clears.
 * A function that returns memory of an arena names it `mem` in its signature. Not shared between
 * threads. Exhaustion of memory aborts: sizes that outsiders choose are bounded before they come
 * here.
 */
#ifndef CONNECTORS_BASE_ARENA_H
#define CONNECTORS_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "connectors/base/cleanup.h"

struct arena; /* opaque */

struct arena *arena_new(void);
void arena_free(struct arena *mem);  /* accepts NULL */
void arena_clear(struct arena *mem); /* everything allocated so far becomes invalid */

/* Zeroed, aligned for any type; never NULL. */
void *arena_alloc(struct arena *mem, size_t n_bytes) __attribute__((returns_nonnull));
/* Zeroed array; aborts when n * size overflows. */
void *arena_array(struct arena *mem, size_t n, size_t size) __attribute__((returns_nonnull));

char *arena_strdup(struct arena *mem, const char *s) __attribute__((returns_nonnull, nonnull));
char *arena_memdup(struct arena *mem, const char *s, size_t n)
    __attribute__((returns_nonnull)); /* NUL-terminated */
char *arena_printf(struct arena *mem, const char *fmt, ...)
    __attribute__((returns_nonnull, format(printf, 2, 3)));

/* Bytes handed out since the last clear, for limits and tests. */
size_t arena_used(const struct arena *mem);

DEFINE_CLEANUP(struct arena *, arena_free_cleanup, arena_free);

/*
 * Heap memory outside an arena, for what lives as long as one struct. Both abort when memory is
 * exhausted; release with free(). Nothing else in this program calls malloc.
 */
void *xalloc(size_t n_bytes) __attribute__((returns_nonnull, malloc)); /* zeroed */
void *xrealloc(void *p, size_t n_bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull, nonnull));
/* What they do when there is none: says how much was wanted, and aborts. */
_Noreturn void xalloc_failed(size_t n_bytes);

/* For CLEANUP on any pointer that came from the heap. */
void free_cleanup(void *p);

#endif

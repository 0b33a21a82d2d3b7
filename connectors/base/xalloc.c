/* Memory that is there or the program is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/ceiling.h"

void xalloc_failed(size_t n)
{
    fprintf(stderr, "connectord: out of memory (%zu bytes wanted)\n", n);
    abort();
}

_Thread_local volatile bool ceiling_lifted;

static void *large_calloc(size_t n_bytes)
{
    void *p;

    ceiling_lifted = true;
    p = calloc(1, n_bytes);
    ceiling_lifted = false;
    return p;
}

static void *large_realloc(void *p, size_t n_bytes)
{
    void *q;

    ceiling_lifted = true;
    q = realloc(p, n_bytes);
    ceiling_lifted = false;
    return q;
}

void *xalloc(size_t n_bytes)
{
    void *p = n_bytes > CEILING_BYTES ? large_calloc(n_bytes) : calloc(1, n_bytes ? n_bytes : 1);

    if (!p)
        xalloc_failed(n_bytes);
    return p;
}

void *xrealloc(void *p, size_t n_bytes)
{
    void *q =
        n_bytes > CEILING_BYTES ? large_realloc(p, n_bytes) : realloc(p, n_bytes ? n_bytes : 1);

    if (!q)
        xalloc_failed(n_bytes);
    return q;
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(xalloc(n), s, n);
}

void free_cleanup(void *p)
{
    free(*(void **)p);
}

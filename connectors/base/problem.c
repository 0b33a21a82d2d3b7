#include "connectors/base/problem.h"

#include <stdarg.h>
#include <stdio.h>

void problems_add(struct problems *p, const char *pointer, const char *code, const char *fmt, ...)
{
    char message[512];
    va_list ap;

    if (p->n == PROBLEMS_MAX) {
        p->dropped++;
        return;
    }
    if (!p->items)
        p->items = arena_array(p->mem, PROBLEMS_MAX, sizeof *p->items);
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    p->items[p->n++] =
        (struct problem){arena_strdup(p->mem, pointer), code, arena_strdup(p->mem, message)};
}

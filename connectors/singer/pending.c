#include "connectors/singer/pending.h"

#include <stdlib.h>

#include "connectors/base/arena.h"

char *pending_take(struct pending *p)
{
    char *text;

    if (p->n == 0)
        return NULL;
    text = p->texts[p->first];
    p->first = (p->first + 1) % PENDING_MAX_STATES;
    p->n--;
    p->bytes -= strlen(text);
    return text;
}

void pending_put(struct pending *p, struct slice value)
{
    char *own = xalloc(value.len + 1);

    memcpy(own, value.ptr, value.len);
    own[value.len] = '\0';
    while (p->n > 0 && (p->n == PENDING_MAX_STATES || p->bytes + value.len > PENDING_MAX_BYTES))
        free(pending_take(p));
    p->texts[(p->first + p->n) % PENDING_MAX_STATES] = own;
    p->n++;
    p->bytes += value.len;
}

void pending_release(struct pending *p)
{
    while (p->n > 0)
        free(pending_take(p));
}

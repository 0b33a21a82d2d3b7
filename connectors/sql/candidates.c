#include "connectors/sql/candidates.h"

#include <string.h>

#define WORST 4

static bool tells_change(const char *name)
{
    return strcasestr(name, "updat") || strcasestr(name, "modif") || strcasestr(name, "chang");
}

/* How good a cursor a column makes; 0 = none, less is better. */
static int rank(const struct sql_dialect *d, const struct schema *schema, size_t i)
{
    const struct column *c = &schema->columns[i];
    bool time = c->type.type == TYPE_TIMESTAMP || c->type.type == TYPE_TIMESTAMPTZ;
    bool text = c->type.type == TYPE_STRING;

    if (!d->cursor[c->type.type])
        return 0;
    if ((time || text) && tells_change(c->name))
        return 1;
    if (c->type.type == TYPE_INT && schema->n_key == 1 && schema->key[0] == i)
        return 2;
    if (time)
        return 3;
    return c->type.type == TYPE_DATE ? WORST : 0;
}

void candidates_choose(const struct sql_dialect *d, struct arena *mem, struct stream *s)
{
    size_t *cursors = arena_array(mem, s->schema->n_columns + 1, sizeof *cursors);

    s->n_cursors = 0;
    s->incremental = false;
    for (size_t i = 0; i < s->schema->n_columns; i++)
        s->incremental |= d->cursor[s->schema->columns[i].type.type] != NULL;
    for (int wanted = 1; wanted <= WORST; wanted++) {
        for (size_t i = 0; i < s->schema->n_columns; i++) {
            if (rank(d, s->schema, i) == wanted)
                cursors[s->n_cursors++] = i;
        }
    }
    s->cursors = cursors;
}

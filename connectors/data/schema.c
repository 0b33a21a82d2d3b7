#include "connectors/data/schema.h"

#include <string.h>

static struct column copy_column(struct arena *mem, const struct column *c)
{
    struct column copy = *c;

    copy.name = arena_strdup(mem, c->name);
    copy.source_type = arena_strdup(mem, c->source_type ? c->source_type : "");
    copy.older = c->older ? arena_strdup(mem, c->older) : NULL;
    return copy;
}

const struct schema *schema_copy(struct arena *mem, const struct schema *s)
{
    return schema_pick(mem, s, NULL, 0);
}

/* The new number of column `old`, or -1 when it was not picked. */
static long picked_as(const size_t *columns, size_t n_pick, size_t old)
{
    for (size_t i = 0; i < n_pick; i++) {
        if (columns[i] == old)
            return (long)i;
    }
    return -1;
}

/* The key in the new numbers; false when a column of it is missing. */
static bool pick_key(const struct schema *s, const size_t *columns, size_t n_pick, size_t *key)
{
    for (size_t i = 0; i < s->n_key; i++) {
        long at = n_pick ? picked_as(columns, n_pick, s->key[i]) : (long)s->key[i];

        if (at < 0)
            return false;
        key[i] = (size_t)at;
    }
    return true;
}

const struct schema *schema_pick(struct arena *mem, const struct schema *s, const size_t *columns,
                                 size_t n_pick)
{
    struct schema *out = arena_alloc(mem, sizeof *out);
    size_t n = n_pick ? n_pick : s->n_columns;
    struct column *copies = arena_array(mem, n, sizeof *copies);
    size_t *key = arena_array(mem, s->n_key, sizeof *key);

    for (size_t i = 0; i < n; i++)
        copies[i] = copy_column(mem, &s->columns[n_pick ? columns[i] : i]);
    out->columns = copies;
    out->n_columns = n;
    out->key = key;
    out->n_key = pick_key(s, columns, n_pick, key) ? s->n_key : 0;
    return out;
}

long schema_find(const struct schema *s, const char *name)
{
    for (size_t i = 0; i < s->n_columns; i++) {
        if (!strcmp(s->columns[i].name, name))
            return (long)i;
    }
    return -1;
}

bool schema_equal(const struct schema *a, const struct schema *b)
{
    if (a->n_columns != b->n_columns || a->n_key != b->n_key)
        return false;
    for (size_t i = 0; i < a->n_columns; i++) {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 ||
            !type_equal(a->columns[i].type, b->columns[i].type))
            return false;
    }
    for (size_t i = 0; i < a->n_key; i++) {
        if (a->key[i] != b->key[i])
            return false;
    }
    return true;
}

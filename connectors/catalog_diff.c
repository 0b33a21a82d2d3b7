#include <stdlib.h>
#include <string.h>

#include "connectors/catalog.h"

/* Streams and columns are matched by sorted names: catalogs may hold thousands of each. */
struct named {
    const char *name;
    const void *item;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static const void *find(const struct named *sorted, size_t n, const char *name)
{
    const struct named wanted = {name, NULL};
    const struct named *found =
        n ? bsearch(&wanted, sorted, n, sizeof *sorted, compare_names) : NULL;

    return found ? found->item : NULL;
}

static const struct named *index_streams(struct arena *mem, const struct catalog *c)
{
    struct named *index = arena_array(mem, c->n, sizeof *index);

    for (size_t i = 0; i < c->n; i++)
        index[i] = (struct named){stream_full_name(mem, &c->streams[i]), &c->streams[i]};
    qsort(index, c->n, sizeof *index, compare_names);
    return index;
}

static const struct named *index_columns(struct arena *mem, const struct schema *s)
{
    struct named *index = arena_array(mem, s->n_columns, sizeof *index);

    for (size_t i = 0; i < s->n_columns; i++)
        index[i] = (struct named){s->columns[i].name, &s->columns[i]};
    qsort(index, s->n_columns, sizeof *index, compare_names);
    return index;
}

static struct doc *type_text(struct arena *mem, const struct column *c)
{
    char type[32];

    type_format(c->type, type);
    return doc_new_string(arena_printf(mem, "%s%s", type, c->nullable ? "" : " not null"));
}

/* Names of the columns of `s` that the other schema has not. */
static struct doc *columns_only_in(const struct schema *s, const struct named *others,
                                   size_t n_others)
{
    struct doc *names = doc_new_array();

    for (size_t i = 0; i < s->n_columns; i++) {
        if (!find(others, n_others, s->columns[i].name))
            doc_append(names, doc_new_string(s->columns[i].name));
    }
    return names;
}

static struct doc *retyped(struct arena *mem, const struct schema *before,
                           const struct named *after, size_t n_after)
{
    struct doc *list = doc_new_array();

    for (size_t i = 0; i < before->n_columns; i++) {
        const struct column *was = &before->columns[i];
        const struct column *is = find(after, n_after, was->name);
        struct doc *d;

        if (!is || (type_equal(was->type, is->type) && was->nullable == is->nullable))
            continue;
        d = doc_new_object();
        doc_set(d, "name", doc_new_string(was->name));
        doc_set(d, "before", type_text(mem, was));
        doc_set(d, "after", type_text(mem, is));
        doc_append(list, d);
    }
    return list;
}

static bool same_key(const struct schema *a, const struct schema *b)
{
    if (a->n_key != b->n_key)
        return false;
    for (size_t i = 0; i < a->n_key; i++) {
        if (strcmp(a->columns[a->key[i]].name, b->columns[b->key[i]].name) != 0)
            return false;
    }
    return true;
}

/* The change of one stream, or NULL. */
static struct doc *stream_diff(struct arena *mem, const char *name, const struct schema *before,
                               const struct schema *after)
{
    struct doc *d = doc_new_object();
    bool rekeyed = !same_key(before, after);

    doc_set(d, "stream", doc_new_string(name));
    doc_set(d, "added", columns_only_in(after, index_columns(mem, before), before->n_columns));
    doc_set(d, "removed", columns_only_in(before, index_columns(mem, after), after->n_columns));
    doc_set(d, "retyped", retyped(mem, before, index_columns(mem, after), after->n_columns));
    doc_set(d, "key_changed", doc_new_bool(rekeyed));
    if (rekeyed || doc_count(doc_get(d, "added")) || doc_count(doc_get(d, "removed")) ||
        doc_count(doc_get(d, "retyped")))
        return d;
    doc_free(d);
    return NULL;
}

struct doc *catalog_diff(const struct catalog *before, const struct catalog *after)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct named *were = index_streams(mem, before), *are = index_streams(mem, after);
    struct doc *d = doc_new_object();
    struct doc *added = doc_new_array(), *removed = doc_new_array(), *changed = doc_new_array();

    for (size_t i = 0; i < before->n; i++) {
        if (!find(are, after->n, were[i].name))
            doc_append(removed, doc_new_string(were[i].name));
    }
    for (size_t i = 0; i < after->n; i++) {
        const struct stream *is = are[i].item, *was = find(were, before->n, are[i].name);
        struct doc *change = NULL;

        if (!was)
            doc_append(added, doc_new_string(are[i].name));
        else
            change = stream_diff(mem, are[i].name, was->schema, is->schema);
        if (change)
            doc_append(changed, change);
    }
    doc_set(d, "added", added);
    doc_set(d, "removed", removed);
    doc_set(d, "changed", changed);
    return d;
}

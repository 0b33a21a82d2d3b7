#include "connectors/renames.h"

#include <string.h>

static const char *name_at(const struct doc_member *it)
{
    return doc_string(doc_member_value(it), "");
}

static bool is_given_twice(const struct doc *value, const struct doc_member *self)
{
    for (const struct doc_member *it = doc_first(value); it && it != self;
         it = doc_next(value, it)) {
        if (strcmp(name_at(it), name_at(self)) == 0)
            return true;
    }
    return false;
}

void renames_check(const struct doc *value, const char *pointer, struct problems *problems)
{
    if (!doc_is(value, DOC_OBJECT)) {
        problems_add(problems, pointer, "wrong_type",
                     "expected an object of names, {\"old\": \"new\"}, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    for (const struct doc_member *it = doc_first(value); it; it = doc_next(value, it)) {
        if (!*name_at(it))
            problems_add(problems, pointer, "wrong_type",
                         "the new name of column \"%s\" is no name", doc_member_key(it));
        else if (is_given_twice(value, it))
            problems_add(problems, pointer, "duplicate_field", "two columns would be called \"%s\"",
                         name_at(it));
    }
}

void renames_resolve(const struct doc *value, struct arena *mem, const struct column_rename **out,
                     size_t *out_n)
{
    struct column_rename *list = arena_array(mem, doc_count(value) + 1, sizeof *list);
    size_t n = 0;

    for (const struct doc_member *it = value ? doc_first(value) : NULL; it;
         it = doc_next(value, it))
        list[n++] = (struct column_rename){arena_strdup(mem, doc_member_key(it)),
                                           arena_strdup(mem, name_at(it))};
    *out = list;
    *out_n = n;
}

struct doc *renames_to_doc(const struct column_rename *renames, size_t n)
{
    struct doc *d = doc_new_object();

    for (size_t i = 0; i < n; i++)
        doc_set(d, renames[i].from, doc_new_string(renames[i].to));
    return d;
}

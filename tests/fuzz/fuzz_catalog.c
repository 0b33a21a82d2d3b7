/*
 * Catalogs and selections: {"catalog": ours, "singer": Singer's, "streams": a selection}. What is
 * accepted comes back from both forms, and a selection that resolves still does after Singer.
 */
#include <string.h>

#include "connectors/catalog.h"
#include "tests/fuzz/fuzz.h"

static void check_forms(const struct catalog *c)
{
    struct catalog native = CATALOG_INIT(c->mem), singer = CATALOG_INIT(c->mem);
    struct doc *as_native = catalog_to_doc(c), *as_singer = catalog_to_singer(c, NULL);
    struct error err = ERROR_INIT;
    char before[65], after[65];

    catalog_hash(c, before);
    MUST(!catalog_from_doc(as_native, &native, &err));
    catalog_hash(&native, after);
    MUST(!strcmp(before, after));
    MUST(!catalog_from_singer(as_singer, &singer, &err));
    catalog_hash(&singer, after);
    MUST(!strcmp(before, after));
    doc_free(catalog_diff(c, &native));
    doc_free(as_native);
    doc_free(as_singer);
}

static void check_selection(const struct doc *streams, const struct catalog *c)
{
    struct problems problems = PROBLEMS_INIT(c->mem);
    struct selection before, after;
    struct doc *singer, *again;

    if (!selection_resolve(streams, c, "/streams", c->mem, &before, &problems)) {
        MUST(problems.n);
        return;
    }
    MUST(!streams || !doc_is(streams, DOC_ARRAY) ||
         selection_check(streams, "/streams", &problems));
    singer = catalog_to_singer(c, &before);
    again = selection_from_singer(singer, &problems);
    MUST(selection_resolve(again, c, "/streams", c->mem, &after, &problems));
    MUST(before.n == after.n);
    for (size_t i = 0; i < after.n; i++) {
        const struct selected_stream *b = &after.streams[i], *a = before.streams;

        while (a->stream != b->stream)
            a++;
        MUST(a->sync_mode == b->sync_mode && a->write_mode == b->write_mode);
        MUST(a->cursor == b->cursor && a->drift == b->drift && !strcmp(a->alias, b->alias));
        MUST(schema_equal(a->schema, b->schema));
        MUST(b->cursor < (long)b->schema->n_columns);
    }
    doc_free(singer);
    doc_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new();
    struct catalog ours = CATALOG_INIT(mem), theirs = CATALOG_INIT(mem);
    struct problems problems = PROBLEMS_INIT(mem);
    struct error err = ERROR_INIT, other = ERROR_INIT;
    struct doc *d = NULL;

    if (!doc_parse((const char *)data, size, &d, &err)) {
        if (doc_get(d, "catalog") && !catalog_from_doc(doc_get(d, "catalog"), &ours, &err)) {
            check_forms(&ours);
            check_selection(doc_get(d, "streams"), &ours);
        }
        if (doc_get(d, "singer")) {
            doc_free(selection_from_singer(doc_get(d, "singer"), &problems));
            if (!catalog_from_singer(doc_get(d, "singer"), &theirs, &other))
                check_forms(&theirs);
        }
    }
    doc_free(d);
    arena_free(mem);
    return 0;
}

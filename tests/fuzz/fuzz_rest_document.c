/*
 * Any JSON as a document: it compiles, or every problem has a pointer and a word about it. One that
 * compiles has the options of its variables, and compiles again.
 */
#include <string.h>

#include "connectors/rest/document.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct doc *text;
    struct arena *mem;
    const struct rest_document *d;

    if (size > 1 << 14 || doc_parse((const char *)data, size, &text, &err) < 0)
        return 0;
    mem = arena_new();
    {
        struct problems problems = PROBLEMS_INIT(mem), again = PROBLEMS_INIT(mem);
        size_t bytes;

        d = rest_document_compile(mem, text, "/document", &problems);
        MUST(!d == (problems.n > 0));
        for (size_t i = 0; i < problems.n; i++)
            MUST(strncmp(problems.items[i].pointer, "/document", 9) == 0 &&
                 *problems.items[i].message);
        MUST(!rest_document_compile(mem, text, "/document", &again) == !d);
        MUST(again.n == problems.n);
        if (d) {
            MUST(d->n_streams > 0 && d->client.base_url);
            MUST(rest_options(mem, d, &bytes) && bytes > 0);
        }
    }
    arena_free(mem);
    doc_free(text);
    return 0;
}

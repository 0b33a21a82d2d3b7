/*
 * J1. Documents: what is parsed and written is read again as the same document, in both forms; what
 * a document takes, the scanner of row data takes too.
 */
#include <string.h>

#include "connectors/base/doc.h"
#include "connectors/base/jsonread.h"
#include "tests/fuzz/fuzz.h"

#define MAX_TEXT ((size_t)256 << 20)

static void check_again(const struct doc *d, void (*write)(const struct doc *, struct buf *))
{
    struct buf text = BUF_INIT(MAX_TEXT);
    struct error err = ERROR_INIT;
    struct doc *again;

    write(d, &text);
    MUST(!text.failed);
    MUST(!doc_parse_trusted(text.data, text.len, &again, &err));
    MUST(doc_equal(d, again));
    doc_free(again);
    buf_release(&text);
}

static void check_scanner(const char *text, size_t n)
{
    enum jsonread_token token = JSONREAD_NULL;
    struct error err = ERROR_INIT;
    struct jsonread r;

    jsonread_init(&r);
    jsonread_start(&r, text, n);
    while (token != JSONREAD_END)
        MUST(!jsonread_next(&r, &token, &err));
    jsonread_release(&r);
}

/* A patch applied twice changes nothing more: null removes once, the rest replaces. */
static void check_merge(const struct doc *target, const struct doc *patch)
{
    struct doc *once = doc_merge_patch(target, patch);
    struct doc *twice = doc_merge_patch(once, patch);

    MUST(doc_equal(once, twice));
    doc_free(once);
    doc_free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct error err = ERROR_INIT;
    struct doc *d, *copy;

    if (doc_parse(text, size, &d, &err) < 0) {
        MUST(err.code == ERR_INVALID || err.code == ERR_TOO_LARGE);
        return 0;
    }
    check_scanner(text, size);
    check_again(d, doc_write);
    check_again(d, doc_write_pretty);
    copy = doc_copy(d);
    MUST(doc_equal(d, copy));
    doc_free(copy);
    if (doc_count(d) >= 2 && doc_is(d, DOC_ARRAY))
        check_merge(doc_at(d, 0), doc_at(d, 1));
    doc_free(d);
    return 0;
}

/*
 * Any bytes as the body of a page, in any pieces: the records and what is around them are the same
 * as in one piece, and a body that is taken is one that the JSON reader takes.
 *
 * The first byte chooses the path, the second how long the pieces are.
 */
#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/rest/page.h"
#include "tests/fuzz/fuzz.h"

struct taken {
    struct buf text;
    int64_t n;
};

static int take(void *arg, struct slice record, struct error *err)
{
    struct taken *t = arg;

    (void)err;
    buf_put(&t->text, record.ptr, record.len);
    buf_putc(&t->text, '\n');
    t->n++;
    return 0;
}

/* Whether the body was taken. */
static bool read_page(const struct page_settings *how, const char *bytes, size_t n, size_t piece,
                      struct taken *out)
{
    struct page *p = page_new(how, take, out);
    struct error err = ERROR_INIT;
    struct slice envelope;
    bool found, ok = true;

    for (size_t at = 0; ok && at < n; at += piece)
        ok = page_feed(p, bytes + at, n - at < piece ? n - at : piece, &err) == 0;
    ok = ok && page_end(p, &envelope, &found, &err) == 0;
    if (ok) {
        MUST(page_records(p) == out->n);
        buf_put(&out->text, envelope.ptr, envelope.len);
        buf_putc(&out->text, found ? '1' : '0');
    } else {
        MUST(err.code != ERR_NONE);
    }
    page_free(p);
    return ok;
}

static bool is_json(const char *bytes, size_t n)
{
    CLEANUP(jsonread_release) struct jsonread r;
    struct error err = ERROR_INIT;
    enum jsonread_token t;

    jsonread_init(&r);
    jsonread_start(&r, bytes, n);
    do {
        if (jsonread_next(&r, &t, &err) < 0)
            return false;
    } while (t != JSONREAD_END);
    return true;
}

static bool holds_only_json(const struct taken *t)
{
    const char *at = buf_str(&t->text), *end;

    for (int64_t i = 0; i < t->n; i++, at = end + 1) {
        end = strchr(at, '\n');
        if (!end || !is_json(at, (size_t)(end - at)))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"$", "data", "a.b[0]", "data[*]", "data[*].x", "[1]", "_m"};
    /* Records are handed on as they stand; 512 bytes are not nested deeper than JSON may be. */
    static const bool is_whole[] = {true, true, true, true, false, true, true};
    struct page_settings how = {.format = PAGE_JSON, .delimiter = ','};
    struct taken whole = {.text = BUF_INIT(64 << 20)}, pieces = {.text = BUF_INIT(64 << 20)};
    struct arena *mem;
    const char *bytes;
    bool one, many;
    size_t path;

    if (size < 2 || size > 1 << 14 || memchr(data + 2, 0, size - 2))
        return 0;
    mem = arena_new();
    how.map_entries = data[0] & 0x40;
    how.single = (data[0] & 0xc0) == 0x80;
    how.format = (data[0] & 0x30) == 0x10   ? PAGE_NDJSON
                 : (data[0] & 0x30) == 0x20 ? PAGE_CSV
                                            : PAGE_JSON;
    how.no_header = data[0] & 0x40;
    how.latin1 = data[0] & 0x80;
    path = (data[0] & 15) % (sizeof paths / sizeof paths[0]);
    MUST(!path_compile(mem, paths[path], true, &how.records));
    bytes = arena_memdup(mem, (const char *)data + 2, size - 2);
    one = read_page(&how, bytes, size - 2, size, &whole);
    many = read_page(&how, bytes, size - 2, 1 + data[1] % 16, &pieces);
    MUST(one == many);
    if (one) {
        MUST(whole.n == pieces.n && whole.text.len == pieces.text.len);
        MUST(memcmp(buf_str(&whole.text), buf_str(&pieces.text), whole.text.len) == 0);
    }
    /* Records are checked by whoever reads them: what is JSON all through is JSON as a whole. */
    if (one && how.format == PAGE_JSON && !how.map_entries && !how.single && is_whole[path] &&
        size < 512 && !memchr(bytes, '\n', size - 2) && holds_only_json(&whole))
        MUST(is_json(bytes, size - 2));
    buf_release(&whole.text);
    buf_release(&pieces.text);
    arena_free(mem);
    return 0;
}

/*
 * Security requirement S7: secrets and a text of the fuzzer's choice. Nothing that is left holds
 * a secret, the search agrees with one that looks at every position, and pieces with the whole.
 *
 * Input: lines of secrets, an empty line, the text.
 */
#include <stdbool.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/redact.h"
#include "connectors/base/redact_forms.h"
#include "tests/fuzz/fuzz.h"

#define MAX_INPUT 4096

struct text {
    const char *s;
    size_t n;
    bool covered[MAX_INPUT];
};

static void cover(void *text, const char *form, size_t n)
{
    struct text *t = text;

    if (n < REDACT_MIN)
        return;
    for (size_t i = 0; i + n <= t->n; i++) {
        if (!memcmp(t->s + i, form, n))
            memset(t->covered + i, true, n);
    }
}

static void expect(const struct text *t, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!t->covered[i])
            buf_putc(out, t->s[i]);
        else if (i == 0 || !t->covered[i - 1])
            buf_puts(out, "***");
    }
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && !memcmp(buf_str(a), buf_str(b), a->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct text t;
    const char *at = (const char *)data, *end = at + size;
    struct redactor *r = redactor_new();
    struct buf wanted = BUF_INIT(1 << 20), whole = BUF_INIT(1 << 20), pieces = BUF_INIT(1 << 20);
    struct redact_stream *s;
    const char *secrets = at;

    if (size > MAX_INPUT) {
        redactor_free(r);
        return -1;
    }
    while (at < end && *at != '\n') {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline ? newline : end) - at);

        redactor_add(r, at, n);
        at += n + (newline != NULL);
    }
    t = (struct text){.s = at, .n = (size_t)(end - at)};
    for (const char *p = secrets; p < t.s && *p != '\n';) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);

        redact_forms(p, n, cover, &t);
        p += n + (newline != NULL);
    }
    expect(&t, &wanted);
    redactor_put(r, &whole, t.s, t.n);
    MUST(same(&wanted, &whole));
    s = redact_stream_new(r);
    for (size_t i = 0; i < t.n;) {
        size_t n = 1 + (size_t)(unsigned char)t.s[i] % 7;

        n = n < t.n - i ? n : t.n - i;
        redact_stream_put(s, &pieces, t.s + i, n);
        i += n;
    }
    redact_stream_end(s, &pieces);
    MUST(same(&wanted, &pieces));
    redact_stream_free(s);
    redactor_free(r);
    buf_release(&wanted);
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}

/*
 * J3: the scanner of row data against yajl: both accept the same texts and see the same tokens,
 * except where yajl is known to be lax (broken UTF-8, \v and \f as blanks, half a token behind the
 * value) or puts '?' for a lone surrogate.
 */
#include <string.h>

#include <yajl/yajl_parse.h>

#include "connectors/base/jsonread.h"
#include "connectors/base/text.h"
#include "tests/fuzz/fuzz.h"

#define MAX_TOKENS ((size_t)256 << 20)

static void put_text(struct buf *out, char kind, const char *s, size_t n)
{
    buf_printf(out, "%c%zu:", kind, n);
    buf_put(out, s, n);
}

/* ------------------------------------------------------------------------ yajl */

static int on_null(void *out)
{
    buf_putc(out, '0');
    return 1;
}

static int on_boolean(void *out, int v)
{
    buf_putc(out, v ? 't' : 'f');
    return 1;
}

static int on_number(void *out, const char *s, size_t n)
{
    put_text(out, 'n', s, n);
    return 1;
}

static int on_string(void *out, const unsigned char *s, size_t n)
{
    put_text(out, 's', (const char *)s, n);
    return 1;
}

static int on_key(void *out, const unsigned char *s, size_t n)
{
    put_text(out, 'k', (const char *)s, n);
    return 1;
}

static int on_open_object(void *out)
{
    buf_putc(out, '{');
    return 1;
}

static int on_close_object(void *out)
{
    buf_putc(out, '}');
    return 1;
}

static int on_open_array(void *out)
{
    buf_putc(out, '[');
    return 1;
}

static int on_close_array(void *out)
{
    buf_putc(out, ']');
    return 1;
}

static bool read_with_yajl(const uint8_t *data, size_t size, struct buf *out)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_open_object,
        .yajl_map_key = on_key,
        .yajl_end_map = on_close_object,
        .yajl_start_array = on_open_array,
        .yajl_end_array = on_close_array,
    };
    yajl_handle h = yajl_alloc(&callbacks, NULL, out);
    bool ok =
        yajl_parse(h, data, size) == yajl_status_ok && yajl_complete_parse(h) == yajl_status_ok;

    yajl_free(h);
    return ok;
}

/* ------------------------------------------------------------------------ ours */

static bool read_with_ours(struct jsonread *r, const char *text, size_t n, struct buf *out,
                           bool *lone, struct error *err)
{
    static const char shown[] = ".{}[]ksntf0"; /* in the order of the enumerators */
    enum jsonread_token token = JSONREAD_NULL;

    jsonread_start(r, text, n);
    for (;;) {
        if (jsonread_next(r, &token, err) < 0)
            return false;
        if (token == JSONREAD_END)
            return true;
        if (token == JSONREAD_KEY || token == JSONREAD_STRING) {
            *lone |= r->has_lone_surrogate;
            MUST(text_is_utf8(r->text.ptr, r->text.len));
        }
        if (token == JSONREAD_KEY || token == JSONREAD_STRING || token == JSONREAD_NUMBER)
            put_text(out, shown[token], r->text.ptr, r->text.len);
        else
            buf_putc(out, shown[token]);
    }
}

/* The text of the whole value, blanks around it left out, is what skipping it gives. */
static void check_skip(struct jsonread *r, const char *text, size_t n)
{
    struct error err = ERROR_INIT;
    enum jsonread_token token;
    struct slice raw;
    size_t from = 0;

    while (strchr(" \t\r\n", text[from]))
        from++;
    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    jsonread_start(r, text, n);
    MUST(!jsonread_next(r, &token, &err));
    MUST(!jsonread_skip(r, token, &raw, &err));
    MUST(raw.ptr == text + from && raw.len == n - from);
    MUST(!jsonread_next(r, &token, &err) && token == JSONREAD_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct buf ours = BUF_INIT(MAX_TOKENS), theirs = BUF_INIT(MAX_TOKENS);
    struct error err = ERROR_INIT;
    bool lone = false, accepted, accepted_by_yajl;
    struct jsonread r;

    jsonread_init(&r);
    accepted = read_with_ours(&r, text, size, &ours, &lone, &err);
    accepted_by_yajl = read_with_yajl(data, size, &theirs);
    if (accepted) {
        MUST(accepted_by_yajl);
        MUST(lone || (ours.len == theirs.len && !memcmp(ours.data, theirs.data, ours.len)));
        check_skip(&r, text, size);
    } else {
        MUST(err.code == ERR_DATA || err.code == ERR_TOO_LARGE);
        MUST(!accepted_by_yajl || err.code == ERR_TOO_LARGE || !text_is_utf8(text, size) ||
             memchr(text, '\v', size) || memchr(text, '\f', size) ||
             strstr(err.message, "something follows"));
    }
    jsonread_release(&r);
    buf_release(&ours);
    buf_release(&theirs);
    return 0;
}

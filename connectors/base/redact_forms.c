#include "connectors/base/redact_forms.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/redact.h"
#include "connectors/base/text.h"

#define FORM_BYTES ((size_t)16 * 2 * REDACT_CHUNK)
#define MIN_LINE   16 /* a shorter line of a key file says nothing */

/* What is told of the forms to come. */
struct forms {
    redact_form_fn *each;
    void *arg;
    struct buf form; /* of one of them */
};

static void tell(struct forms *f)
{
    f->each(f->arg, buf_str(&f->form), f->form.len);
    buf_clear(&f->form);
}

/* Percent escapes. `kept` besides letters and digits; a plus in it is the way of forms. */
static void in_url(struct forms *f, const char *s, size_t n, const char *format, const char *kept)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (alnum || (c && c != '+' && strchr(kept, c)))
            buf_putc(&f->form, (char)c);
        else if (c == ' ' && strchr(kept, '+'))
            buf_putc(&f->form, '+');
        else if (*format == 'X')
            buf_printf(&f->form, "%%%02X", (unsigned)c);
        else
            buf_printf(&f->form, "%%%02x", (unsigned)c);
    }
    tell(f);
}

/*
 * Behind `before` other bytes, as "user:password" is: the characters that hold bits of the secret
 * alone. `url` is the alphabet of RFC 4648 5.
 */
static void in_base64(struct forms *f, const char *s, size_t n, size_t before, bool url)
{
    CLEANUP(buf_release) struct buf plain = BUF_INIT(2 * REDACT_CHUNK + 3);
    CLEANUP(buf_release) struct buf encoded = BUF_INIT(FORM_BYTES);
    size_t skip = (before * 8 + 5) / 6, end = (before + n) * 8 / 6;

    buf_put(&plain, "\0\0", before);
    buf_put(&plain, s, n);
    text_put_base64(&encoded, plain.data, plain.len);
    for (char *c = encoded.data; url && *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    buf_put(&f->form, encoded.data + skip, end - skip);
    tell(f);
    if (before > 0)
        return;
    buf_put(&f->form, encoded.data, encoded.len);
    tell(f);
}

/* `slash`: some writers escape it. */
static void in_json(struct forms *f, const char *s, size_t n, bool slash)
{
    CLEANUP(buf_release) struct buf escaped = BUF_INIT(FORM_BYTES);

    jsonw_escape(&escaped, s, n);
    for (size_t i = 0; i < escaped.len; i++) {
        if (slash && escaped.data[i] == '/')
            buf_putc(&f->form, '\\');
        buf_putc(&f->form, escaped.data[i]);
    }
    tell(f);
}

/* The code point of a well-formed sequence; *io moves behind it. */
static unsigned code_point(const char *s, size_t *io)
{
    unsigned char first = (unsigned char)s[*io];
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    unsigned code = more == 3 ? first & 0x07U : more == 2 ? first & 0x0fU : first & 0x1fU;

    if (more == 0)
        code = first;
    for (++*io; more > 0; more--, ++*io)
        code = code << 6 | ((unsigned char)s[*io] & 0x3fU);
    return code;
}

/* With every character beyond ASCII escaped. */
static void in_ascii_json(struct forms *f, const char *s, size_t n)
{
    if (!text_is_utf8(s, n))
        return;
    for (size_t i = 0; i < n;) {
        size_t at = i;
        unsigned code = code_point(s, &i);

        if (code < 0x80)
            jsonw_escape(&f->form, s + at, 1);
        else if (code < 0x10000)
            buf_printf(&f->form, "\\u%04x", code);
        else
            buf_printf(&f->form, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                       0xdc00 + (code & 0x3ff));
    }
    tell(f);
}

/* A quote is doubled, or preceded by a backslash as the backslash itself is. */
static void in_sql(struct forms *f, const char *s, size_t n, const char *escaped, bool doubled)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] && strchr(escaped, s[i]))
            buf_putc(&f->form, doubled ? s[i] : '\\');
        buf_putc(&f->form, s[i]);
    }
    tell(f);
}

static void all_forms(struct forms *f, const char *s, size_t n)
{
    f->each(f->arg, s, n);
    in_url(f, s, n, "X", "-._~");
    in_url(f, s, n, "x", "-._~");
    in_url(f, s, n, "X", "-._~+");
    in_url(f, s, n, "X", "-._*+");               /* a form as browsers send it */
    in_url(f, s, n, "X", "-._~!*'()");           /* encodeURIComponent */
    in_url(f, s, n, "X", "-._~!$&'()*+,;=:@/?"); /* only what a query must not hold */
    for (size_t before = 0; before < 3; before++) {
        in_base64(f, s, n, before, false);
        in_base64(f, s, n, before, true);
    }
    in_json(f, s, n, false);
    in_json(f, s, n, true);
    in_ascii_json(f, s, n);
    in_sql(f, s, n, "'", true);
    in_sql(f, s, n, "'\\", true);
    in_sql(f, s, n, "'\\", false);
    in_sql(f, s, n, "'\"\\", false);
}

static void lines(struct forms *f, const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const char *newline = memchr(s + i, '\n', n - i);
        size_t k = newline ? (size_t)(newline - s) - i : n - i;

        if (k >= MIN_LINE && k < n)
            all_forms(f, s + i, k > 2 * REDACT_CHUNK - 1 ? 2 * REDACT_CHUNK - 1 : k);
        i += k + 1;
    }
}

void redact_forms(const char *secret, size_t n, redact_form_fn *each, void *arg)
{
    struct forms f = {.each = each, .arg = arg, .form = BUF_INIT(FORM_BYTES)};

    lines(&f, secret, n);
    /* The last piece is the longest, so that none is short. */
    while (n > 0) {
        size_t k = n >= (size_t)2 * REDACT_CHUNK ? REDACT_CHUNK : n;

        all_forms(&f, secret, k);
        secret += k;
        n -= k;
    }
    buf_release(&f.form);
}

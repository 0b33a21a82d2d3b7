#include "connectors/base/jsonwrite.h"

#include <stdio.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"

/* What follows the backslash; 'u' means the \u00xx form; 'm' that more bytes have to be looked at;
 * 0 means the byte stands for itself. */
static const char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
    ['\t'] = 't', [0] = 'u',     [1] = 'u',    [2] = 'u',    [3] = 'u',    [4] = 'u',
    [5] = 'u',    [6] = 'u',     [7] = 'u',    [11] = 'u',   [14] = 'u',   [15] = 'u',
    [16] = 'u',   [17] = 'u',    [18] = 'u',   [19] = 'u',   [20] = 'u',   [21] = 'u',
    [22] = 'u',   [23] = 'u',    [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',
    [28] = 'u',   [29] = 'u',    [30] = 'u',   [31] = 'u',   [127] = 'u',  [0xc2] = 'm',
    [0xe2] = 'm',
};

/*
 * What JSON allows and a terminal, a script or a reader of lines takes for more than text: U+0080
 * to U+009F, U+2028 and U+2029. The length of such a character at `s`, or 0.
 */
static size_t control_at(const char *s, size_t n, unsigned *code)
{
    const unsigned char *u = (const unsigned char *)s;

    if (u[0] == 0xc2 && n > 1 && u[1] < 0xa0) {
        *code = u[1];
        return 2;
    }
    if (u[0] == 0xe2 && n > 2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9)) {
        *code = 0x2000U + (u[2] & 0x3fU);
        return 3;
    }
    return 0;
}

static void escape_utf8(struct buf *out, const char *s, size_t n)
{
    size_t start = 0, length;

    for (size_t i = 0; i < n; i += length) {
        unsigned code = (unsigned char)s[i];
        char e = escapes[code];

        length = e == 'm' ? control_at(s + i, n - i, &code) : e != 0;
        if (length == 0) {
            length = 1;
            continue;
        }
        buf_put(out, s + start, i - start);
        if (e == 'u' || e == 'm')
            buf_printf(out, "\\u%04x", code);
        else
            buf_put(out, (const char[]){'\\', e}, 2);
        start = i + length;
    }
    buf_put(out, s + start, n - start);
}

void jsonw_escape(struct buf *out, const char *s, size_t n)
{
    struct buf clean = BUF_INIT(out->max_bytes);

    if (text_is_utf8(s, n)) {
        escape_utf8(out, s, n);
        return;
    }
    text_put_utf8(&clean, s, n);
    if (clean.failed)
        out->failed = true;
    else
        escape_utf8(out, buf_str(&clean), clean.len);
    buf_release(&clean);
}

static void before_value(struct jsonw *w)
{
    if (w->comma)
        buf_putc(w->out, ',');
    w->comma = true;
}

static void open_with(struct jsonw *w, char bracket)
{
    before_value(w);
    buf_putc(w->out, bracket);
    w->comma = false;
}

static void close_with(struct jsonw *w, char bracket)
{
    buf_putc(w->out, bracket);
    w->comma = true;
}

void jsonw_object(struct jsonw *w)
{
    open_with(w, '{');
}

void jsonw_object_end(struct jsonw *w)
{
    close_with(w, '}');
}

void jsonw_array(struct jsonw *w)
{
    open_with(w, '[');
}

void jsonw_array_end(struct jsonw *w)
{
    close_with(w, ']');
}

void jsonw_key_n(struct jsonw *w, const char *key, size_t n)
{
    jsonw_string_n(w, key, n);
    buf_putc(w->out, ':');
    w->comma = false;
}

void jsonw_key(struct jsonw *w, const char *key)
{
    jsonw_key_n(w, key, strlen(key));
}

void jsonw_raw(struct jsonw *w, const char *json, size_t n)
{
    before_value(w);
    buf_put(w->out, json, n);
}

void jsonw_null(struct jsonw *w)
{
    jsonw_raw(w, "null", 4);
}

void jsonw_bool(struct jsonw *w, bool v)
{
    jsonw_raw(w, v ? "true" : "false", v ? 4 : 5);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
    char text[24];

    jsonw_raw(w, text, text_from_int64(v, text));
}

void jsonw_double(struct jsonw *w, double v)
{
    char text[32];

    jsonw_raw(w, text, text_from_double(v, text));
}

void jsonw_string_n(struct jsonw *w, const char *s, size_t n)
{
    before_value(w);
    buf_putc(w->out, '"');
    jsonw_escape(w->out, s, n);
    buf_putc(w->out, '"');
}

void jsonw_string(struct jsonw *w, const char *s)
{
    if (s)
        jsonw_string_n(w, s, strlen(s));
    else
        jsonw_null(w);
}

void jsonw_time_ms(struct jsonw *w, int64_t unix_us)
{
    char text[CLOCK_TEXT_BYTES];

    if (!unix_us) {
        jsonw_null(w);
        return;
    }
    clock_format_ms(unix_us, text);
    jsonw_string(w, text);
}

void jsonw_put_string(struct jsonw *w, const char *key, const char *s)
{
    jsonw_key(w, key);
    jsonw_string(w, s);
}

void jsonw_put_int(struct jsonw *w, const char *key, int64_t v)
{
    jsonw_key(w, key);
    jsonw_int(w, v);
}

void jsonw_put_bool(struct jsonw *w, const char *key, bool v)
{
    jsonw_key(w, key);
    jsonw_bool(w, v);
}

void jsonw_put_null(struct jsonw *w, const char *key)
{
    jsonw_key(w, key);
    jsonw_null(w);
}

void jsonw_put_time_ms(struct jsonw *w, const char *key, int64_t unix_us)
{
    jsonw_key(w, key);
    jsonw_time_ms(w, unix_us);
}

void jsonw_put_raw(struct jsonw *w, const char *key, const char *json)
{
    jsonw_key(w, key);
    if (json && *json)
        jsonw_raw(w, json, strlen(json));
    else
        jsonw_null(w);
}

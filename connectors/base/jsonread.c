#include "connectors/base/jsonread.h"

#include <endian.h>
#include <string.h>

/* What may come next. */
enum {
    TOP_VALUE,        /* the only value of the text */
    FIRST_KEY_OR_END, /* behind '{' */
    MEMBER_VALUE,     /* behind a key and its colon */
    AFTER_MEMBER,     /* ',' and a key, or '}' */
    FIRST_OR_END,     /* behind '[' */
    AFTER_ELEMENT,    /* ',' and a value, or ']' */
    DONE,             /* nothing but blanks */
};

void jsonread_init(struct jsonread *r)
{
    memset(r, 0, sizeof *r);
    r->unescaped = BUF_INIT(JSONREAD_MAX_STRING);
}

void jsonread_release(struct jsonread *r)
{
    buf_release(&r->unescaped);
}

void jsonread_start(struct jsonread *r, const char *text, size_t n)
{
    r->start = r->at = r->token = text;
    r->end = n ? text + n : text;
    r->depth = 0;
    r->state = TOP_VALUE;
    r->has_lone_surrogate = false;
}

static int refuse(struct jsonread *r, const char *at, const char *what, struct error *err)
{
    r->at = at;
    return error_set_reason(err, ERR_DATA, "invalid_json", "%s at byte %zu",
                            at == r->end ? "the JSON text ends unexpectedly" : what,
                            (size_t)(at - r->start));
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* What comes behind a value that is complete. */
static unsigned after_value(const struct jsonread *r)
{
    unsigned level = r->depth - 1;

    if (!r->depth)
        return DONE;
    return r->is_object[level / 64] >> (level % 64) & 1 ? AFTER_MEMBER : AFTER_ELEMENT;
}

/* ------------------------------------------------------------------- strings */

/* True for the bytes that end a run of plain characters: quote, backslash, controls, not ASCII. */
static bool is_special(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * The first special byte from p on, eight bytes at a time: the high bit of a byte of `hits` is set
 * where it is special. Borrows of the subtractions run towards later bytes only, so the first hit
 * is a true one.
 */
static const char *plain_run(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w, hits;

        memcpy(&w, p, 8);
        w = le64toh(w);
        hits = (w - EACH(0x20)) | ((w ^ EACH('"')) - EACH(1)) | ((w ^ EACH('\\')) - EACH(1)) | w;
        hits &= EACH(0x80);
        if (hits)
            return p + (__builtin_ctzll(hits) >> 3);
        p += 8;
    }
    while (p < end && !is_special((unsigned char)*p))
        p++;
    return p;
}

/* Bytes of the well-formed character that is not ASCII at p, or 0. */
static size_t wide_char(const char *s, const char *end)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t n = (size_t)(end - s);
    unsigned second;

    if (n < 2 || (p[1] & 0xc0) != 0x80)
        return 0;
    second = p[1];
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return 2;
    if (n < 3 || (p[2] & 0xc0) != 0x80)
        return 0;
    if ((p[0] & 0xf0) == 0xe0)
        return (p[0] == 0xe0 && second < 0xa0) || (p[0] == 0xed && second > 0x9f) ? 0 : 3;
    if (n < 4 || (p[3] & 0xc0) != 0x80 || p[0] < 0xf0 || p[0] > 0xf4)
        return 0;
    return (p[0] == 0xf0 && second < 0x90) || (p[0] == 0xf4 && second > 0x8f) ? 0 : 4;
}

static bool four_hex(const char *p, const char *end, unsigned *out)
{
    unsigned v = 0;

    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i], lower = c | 0x20;

        if (c >= '0' && c <= '9')
            v = v << 4 | (unsigned)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            v = v << 4 | (unsigned)(lower - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

static void put_code_point(struct buf *out, unsigned c)
{
    char s[4];
    size_t n = 0;

    if (c < 0x80) {
        s[n++] = (char)c;
    } else if (c < 0x800) {
        s[n++] = (char)(0xc0 | c >> 6);
        s[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        s[n++] = (char)(0xe0 | c >> 12);
        s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        s[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        s[n++] = (char)(0xf0 | c >> 18);
        s[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        s[n++] = (char)(0x80 | (c & 0x3f));
    }
    buf_put(out, s, n);
}

/* The escape \uXXXX whose digits begin at p, and its second half; NULL when it is none. */
static const char *take_unicode(struct jsonread *r, const char *p)
{
    unsigned c, low;

    if (!four_hex(p, r->end, &c))
        return NULL;
    p += 4;
    if (c >= 0xd800 && c <= 0xdbff && r->end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
        four_hex(p + 2, r->end, &low) && low >= 0xdc00 && low <= 0xdfff) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    } else if (c >= 0xd800 && c <= 0xdfff) {
        r->has_lone_surrogate = true;
        c = 0xfffd;
    }
    put_code_point(&r->unescaped, c);
    return p;
}

/* The escape whose backslash is at p; where it ends, or NULL when it is none. */
static const char *take_escape(struct jsonread *r, const char *p)
{
    static const char meaning[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    char c;

    if (r->end - p < 2)
        return NULL;
    if (p[1] == 'u')
        return take_unicode(r, p + 2);
    c = meaning[(unsigned char)p[1]];
    if (!c)
        return NULL;
    buf_putc(&r->unescaped, c);
    return p + 2;
}

/* The first byte from p on that is no plain and no well-formed wide character. */
static const char *text_run(const char *p, const char *end)
{
    size_t wide;

    for (;;) {
        p = plain_run(p, end);
        if (p == end || !(*p & 0x80))
            return p;
        wide = wide_char(p, end);
        if (!wide)
            return p;
        p += wide;
    }
}

/* The rest of a string with escapes: `from` is its first byte, `p` its first backslash. */
static int unescape(struct jsonread *r, const char *from, const char *p, struct error *err)
{
    buf_clear(&r->unescaped);
    for (;;) {
        const char *escape = p;

        buf_put(&r->unescaped, from, (size_t)(p - from));
        if (p == r->end)
            return refuse(r, p, "", err);
        if (*p == '"')
            break;
        if (*p != '\\')
            return refuse(r, p, "a control character or broken UTF-8 in a string", err);
        from = take_escape(r, escape);
        if (!from)
            return refuse(r, escape, "a broken escape in a string", err);
        p = text_run(from, r->end);
    }
    if (buf_ok(&r->unescaped, "a JSON string", err) < 0)
        return -1;
    r->text = (struct slice){buf_str(&r->unescaped), r->unescaped.len};
    r->at = p + 1;
    return 0;
}

/* The string whose opening quote is at p. */
static inline int take_string(struct jsonread *r, const char *p, struct error *err)
{
    const char *from = p + 1;

    r->token = p;
    r->has_lone_surrogate = false;
    p = plain_run(from, r->end);
    if (__builtin_expect(p < r->end && (*p & 0x80), 0))
        p = text_run(p, r->end);
    if (__builtin_expect(p < r->end && *p == '"', 1)) {
        r->text = (struct slice){from, (size_t)(p - from)};
        r->at = p + 1;
        return 0;
    }
    if (p < r->end && *p == '\\')
        return unescape(r, from, p, err);
    return refuse(r, p, "a control character or broken UTF-8 in a string", err);
}

/* ------------------------------------------------------------ numbers, words */

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && (unsigned char)(*p - '0') < 10)
        p++;
    return p;
}

static int take_number(struct jsonread *r, const char *p, struct error *err)
{
    const char *from = p, *digits;

    r->token = p;
    p += *p == '-';
    digits = p;
    p = skip_digits(p, r->end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return refuse(r, p == digits ? p : digits, "a broken number", err);
    r->is_integer = true;
    if (p < r->end && *p == '.') {
        r->is_integer = false;
        digits = p + 1;
        p = skip_digits(digits, r->end);
        if (p == digits)
            return refuse(r, p, "a broken number", err);
    }
    if (p < r->end && (*p == 'e' || *p == 'E')) {
        r->is_integer = false;
        p++;
        p += p < r->end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(digits, r->end);
        if (p == digits)
            return refuse(r, p, "a broken number", err);
    }
    r->text = (struct slice){from, (size_t)(p - from)};
    r->at = p;
    return 0;
}

static int take_word(struct jsonread *r, const char *p, const char *word, size_t n,
                     struct error *err)
{
    if ((size_t)(r->end - p) < n || memcmp(p, word, n) != 0)
        return refuse(r, p, "an unknown word", err);
    r->token = p;
    r->at = p + n;
    return 0;
}

/* -------------------------------------------------------------------- values */

static int open_at(struct jsonread *r, const char *p, bool object, struct error *err)
{
    uint64_t bit = UINT64_C(1) << (r->depth % 64);

    if (r->depth == JSONREAD_MAX_DEPTH) {
        r->at = p;
        return error_set(err, ERR_TOO_LARGE, "the JSON text is nested deeper than %d at byte %zu",
                         JSONREAD_MAX_DEPTH, (size_t)(p - r->start));
    }
    if (object)
        r->is_object[r->depth / 64] |= bit;
    else
        r->is_object[r->depth / 64] &= ~bit;
    r->depth++;
    r->state = object ? FIRST_KEY_OR_END : FIRST_OR_END;
    r->token = p;
    r->at = p + 1;
    return 0;
}

static int close_at(struct jsonread *r, const char *p)
{
    r->depth--;
    r->state = after_value(r);
    r->token = p;
    r->at = p + 1;
    return 0;
}

static int take_scalar(struct jsonread *r, const char *p, enum jsonread_token *out,
                       struct error *err)
{
    switch (*p) {
    case '"':
        *out = JSONREAD_STRING;
        return take_string(r, p, err);
    case 't':
        *out = JSONREAD_TRUE;
        return take_word(r, p, "true", 4, err);
    case 'f':
        *out = JSONREAD_FALSE;
        return take_word(r, p, "false", 5, err);
    case 'n':
        *out = JSONREAD_NULL;
        return take_word(r, p, "null", 4, err);
    default:
        if (*p != '-' && (*p < '0' || *p > '9'))
            return refuse(r, p, "a value is missing", err);
        *out = JSONREAD_NUMBER;
        return take_number(r, p, err);
    }
}

static int take_value(struct jsonread *r, const char *p, enum jsonread_token *out,
                      struct error *err)
{
    if (p == r->end)
        return refuse(r, p, "", err);
    if (*p == '{' || *p == '[') {
        *out = *p == '{' ? JSONREAD_OBJECT : JSONREAD_ARRAY;
        return open_at(r, p, *p == '{', err);
    }
    if (take_scalar(r, p, out, err) < 0)
        return -1;
    r->state = after_value(r);
    return 0;
}

/* A key and the colon behind it. */
static int take_key(struct jsonread *r, const char *p, enum jsonread_token *out, struct error *err)
{
    if (p == r->end || *p != '"')
        return refuse(r, p, "a key is missing", err);
    if (take_string(r, p, err) < 0)
        return -1;
    p = skip_blanks(r->at, r->end);
    if (p == r->end || *p != ':')
        return refuse(r, p, "a colon is missing", err);
    r->at = p + 1;
    r->state = MEMBER_VALUE;
    *out = JSONREAD_KEY;
    return 0;
}

int jsonread_next(struct jsonread *r, enum jsonread_token *out, struct error *err)
{
    const char *p = skip_blanks(r->at, r->end);

    switch (r->state) {
    case AFTER_MEMBER:
        if (p < r->end && *p == ',')
            return take_key(r, skip_blanks(p + 1, r->end), out, err);
        break;
    case FIRST_KEY_OR_END:
        if (p == r->end || *p != '}')
            return take_key(r, p, out, err);
        break;
    case AFTER_ELEMENT:
        if (p < r->end && *p == ',')
            return take_value(r, skip_blanks(p + 1, r->end), out, err);
        break;
    case FIRST_OR_END:
        if (p == r->end || *p != ']')
            return take_value(r, p, out, err);
        break;
    case DONE:
        if (p < r->end)
            return refuse(r, p, "something follows the JSON value", err);
        *out = JSONREAD_END;
        return 0;
    default:
        return take_value(r, p, out, err);
    }
    *out = r->state <= AFTER_MEMBER ? JSONREAD_OBJECT_END : JSONREAD_ARRAY_END;
    if (p == r->end || *p != (*out == JSONREAD_OBJECT_END ? '}' : ']'))
        return refuse(r, p, "a comma or a closing bracket is missing", err);
    return close_at(r, p);
}

int jsonread_skip(struct jsonread *r, enum jsonread_token token, struct slice *out_raw,
                  struct error *err)
{
    const char *from = r->token;
    bool lone = r->has_lone_surrogate;

    if (token == JSONREAD_OBJECT || token == JSONREAD_ARRAY) {
        unsigned outside = r->depth - 1;

        lone = false;
        while (r->depth > outside) {
            if (jsonread_next(r, &token, err) < 0)
                return -1;
            lone |= (token == JSONREAD_STRING || token == JSONREAD_KEY) && r->has_lone_surrogate;
        }
    }
    r->has_lone_surrogate = lone;
    *out_raw = (struct slice){from, (size_t)(r->at - from)};
    return 0;
}

/* COPY's text format, for tables with columns of types whose binary form we do not know. */
#include "connectors/base/text.h"
#include "connectors/sql/postgres_encode.h"

static void put_escaped(struct postgres_out *o, const char *s, size_t n)
{
    /* What stands behind the backslash, by the byte; 0 = the byte stands for itself. */
    static const char letters[256] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                      ['\t'] = 't', ['\v'] = 'v', ['\\'] = '\\'};
    size_t begin = 0;

    for (size_t i = 0; i < n; i++) {
        char letter = letters[(unsigned char)s[i]];

        if (!letter)
            continue;
        postgres_out_put(o, s + begin, i - begin);
        postgres_out_put(o, (char[]){'\\', letter}, 2);
        begin = i + 1;
    }
    postgres_out_put(o, s + begin, n - begin);
}

/* Our years have a sign and a year 0; the server's have an era instead: 0 is 1 BC. */
static void put_with_era(struct postgres_out *o, const char *s, size_t n)
{
    bool signed_year = n > 0 && (*s == '-' || *s == '+');
    const char *dash = n > 1 ? memchr(s + 1, '-', n - 1) : NULL;
    char digits[32];
    int64_t year;

    if (!dash || !text_to_int64(s + (*s == '+'), (size_t)(dash - s) - (*s == '+'), &year) ||
        (year > 0 && !signed_year)) {
        postgres_out_put(o, s, n); /* an infinity, or a year that is the same for both */
        return;
    }
    postgres_out_put(o, "0000", 4); /* with three digits or fewer it would be taken for a day */
    postgres_out_put(o, digits, text_from_int64(year > 0 ? year : 1 - year, digits));
    postgres_out_put(o, dash, (size_t)(s + n - dash));
    if (year <= 0)
        postgres_out_put(o, " BC", 3);
}

static void put_hex(struct postgres_out *o, const char *s, size_t n)
{
    CLEANUP(buf_release) struct buf raw = BUF_INIT(2 * BATCH_MAX_VALUE);
    char hex[2 * 64 + 1];

    (void)text_unbase64(&raw, s, n); /* it was looked at before */
    postgres_out_put(o, "\\\\x", 3);
    for (size_t i = 0; i < raw.len; i += 64) {
        size_t piece = raw.len - i < 64 ? raw.len - i : 64;

        text_hex(raw.data + i, piece, hex);
        postgres_out_put(o, hex, 2 * piece);
    }
}

void postgres_encode_copy_text(struct postgres_out *o, uint32_t oid, const char *s, size_t n)
{
    if (oid == POSTGRES_BYTEA)
        put_hex(o, s, n);
    else if (oid == POSTGRES_DATE || oid == POSTGRES_TIMESTAMP || oid == POSTGRES_TIMESTAMPTZ)
        put_with_era(o, s, n);
    else
        put_escaped(o, s, n);
}

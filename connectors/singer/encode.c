/*
 * Rows as RECORD lines. Per row the room is reserved once for the longest text that it may become,
 * then every column writes behind a bare pointer.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/singer/write.h"

#define MAX_HEAD_BYTES ((size_t)16 << 20)
/* A text is taken for six times as long as it is, unless it is longer than this. */
#define SHORT_TEXT     1024
#define MAX_TAIL_BYTES 8

typedef char *put_fn(char *p, const struct column_view *v, size_t row);

struct encoded {
    put_fn *put;
    size_t column;   /* of the batch */
    size_t head_end; /* of what stands before the value, in `heads` */
};

struct singer_rows {
    struct arena *mem;
    const struct schema *schema;
    struct encoded *columns; /* those that are written */
    size_t n_columns;
    struct buf heads; /* `,"name":` of all columns in a row; of the first with what begins */
    struct buf tail;  /* what ends a row */
    size_t fixed;     /* bytes of a row without its texts, at most */
    size_t *texts;    /* columns whose values have any length */
    size_t n_texts;
    struct column_view *seen; /* of the batch being written */
};

/* -------------------------------------------------------------------- values */

/* What follows the backslash; 'u' means the \u00xx form; 0 means the byte stands for itself. */
static const char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
    ['\t'] = 't', [0] = 'u',     [1] = 'u',    [2] = 'u',    [3] = 'u',    [4] = 'u',
    [5] = 'u',    [6] = 'u',     [7] = 'u',    [11] = 'u',   [14] = 'u',   [15] = 'u',
    [16] = 'u',   [17] = 'u',    [18] = 'u',   [19] = 'u',   [20] = 'u',   [21] = 'u',
    [22] = 'u',   [23] = 'u',    [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',
    [28] = 'u',   [29] = 'u',    [30] = 'u',   [31] = 'u',
};

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Whether one of eight bytes is a control character, a quote or a backslash. Exact for bytes below
 * 128; others may be taken for one, which costs time only. */
static bool has_escape(uint64_t w)
{
    uint64_t quote = w ^ (ONES * '"'), slash = w ^ (ONES * '\\');

    return (((w - ONES * 0x20) | (quote - ONES) | (slash - ONES)) & ~w & HIGHS) != 0;
}

static char *put_byte(char *p, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char e = escapes[c];

    if (!e) {
        *p++ = (char)c;
        return p;
    }
    *p++ = '\\';
    *p++ = e;
    if (e != 'u')
        return p;
    *p++ = '0';
    *p++ = '0';
    *p++ = hex[c >> 4];
    *p++ = hex[c & 15];
    return p;
}

static char *put_escaped(char *p, const char *s, size_t n)
{
    size_t i = 0;

    while (i + 8 <= n) {
        uint64_t w;

        memcpy(&w, s + i, 8);
        if (!has_escape(w)) {
            memcpy(p, &w, 8);
            p += 8;
            i += 8;
            continue;
        }
        for (size_t end = i + 8; i < end; i++)
            p = put_byte(p, (unsigned char)s[i]);
    }
    for (; i < n; i++)
        p = put_byte(p, (unsigned char)s[i]);
    return p;
}

static char *put_string(char *p, const struct column_view *v, size_t row)
{
    struct slice s = column_text(v, row);

    *p++ = '"';
    p = put_escaped(p, s.ptr, s.len);
    *p++ = '"';
    return p;
}

static char *put_decimal(char *p, const struct column_view *v, size_t row)
{
    struct slice s = column_text(v, row);

    *p++ = '"';
    memcpy(p, s.ptr, s.len);
    p += s.len;
    *p++ = '"';
    return p;
}

/* JSON as it was written, but on one line: outside strings a line break is a blank. */
static char *put_json(char *p, const struct column_view *v, size_t row)
{
    struct slice s = column_text(v, row);

    for (size_t i = 0; i < s.len; i++)
        *p++ = s.ptr[i] == '\n' || s.ptr[i] == '\r' ? ' ' : s.ptr[i];
    return p;
}

static char *put_bytes(char *p, const struct column_view *v, size_t row)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct slice s = column_text(v, row);
    const unsigned char *b = (const unsigned char *)s.ptr;

    *p++ = '"';
    for (; s.len >= 3; s.len -= 3, b += 3) {
        *p++ = digits[b[0] >> 2];
        *p++ = digits[(b[0] & 3) << 4 | b[1] >> 4];
        *p++ = digits[(b[1] & 15) << 2 | b[2] >> 6];
        *p++ = digits[b[2] & 63];
    }
    if (s.len) {
        unsigned second = s.len > 1 ? b[1] : 0;

        *p++ = digits[b[0] >> 2];
        *p++ = digits[(b[0] & 3u) << 4 | second >> 4];
        *p++ = s.len > 1 ? digits[(second & 15) << 2] : '=';
        *p++ = '=';
    }
    *p++ = '"';
    return p;
}

static char *put_bool(char *p, const struct column_view *v, size_t row)
{
    size_t n = v->bools[row] ? 4 : 5;

    memcpy(p, v->bools[row] ? "true" : "false", n);
    return p + n;
}

static char *put_int(char *p, const struct column_view *v, size_t row)
{
    return p + text_from_int64(v->ints[row], p);
}

static char *put_float_of(char *p, double value, unsigned bits)
{
    bool quoted = !isfinite(value);

    if (quoted)
        *p++ = '"';
    p += value_format_float(value, bits, p);
    if (quoted)
        *p++ = '"';
    return p;
}

static char *put_float(char *p, const struct column_view *v, size_t row)
{
    return put_float_of(p, v->doubles[row], 64);
}

static char *put_float32(char *p, const struct column_view *v, size_t row)
{
    return put_float_of(p, v->doubles[row], 32);
}

/* The rest is ASCII without anything to escape. */
#define QUOTED(name, format, member)                                    \
    static char *name(char *p, const struct column_view *v, size_t row) \
    {                                                                   \
        *p++ = '"';                                                     \
        p += format(v->member[row], p);                                 \
        *p++ = '"';                                                     \
        return p;                                                       \
    }
QUOTED(put_date, value_format_date, ints)
QUOTED(put_time, value_format_time, ints)
QUOTED(put_timestamp, value_format_timestamp, ints)
QUOTED(put_timestamptz, value_format_timestamptz, ints)
QUOTED(put_uuid, value_format_uuid, fixed)

static char *put_interval(char *p, const struct column_view *v, size_t row)
{
    struct interval value;

    memcpy(&value, v->fixed[row], sizeof value);
    *p++ = '"';
    p += value_format_interval(value, p);
    *p++ = '"';
    return p;
}

static put_fn *const puts_of[TYPE_COUNT] = {
    [TYPE_BOOL] = put_bool,           [TYPE_INT] = put_int,
    [TYPE_DECIMAL] = put_decimal,     [TYPE_FLOAT] = put_float,
    [TYPE_STRING] = put_string,       [TYPE_BYTES] = put_bytes,
    [TYPE_DATE] = put_date,           [TYPE_TIME] = put_time,
    [TYPE_TIMESTAMP] = put_timestamp, [TYPE_TIMESTAMPTZ] = put_timestamptz,
    [TYPE_INTERVAL] = put_interval,   [TYPE_UUID] = put_uuid,
    [TYPE_JSON] = put_json,
};

/* ---------------------------------------------------------------------- rows */

static void prepare_columns(struct singer_rows *r, const struct schema *wanted, const char *begin)
{
    const struct schema *s = r->schema;

    r->columns = arena_array(r->mem, s->n_columns + 1, sizeof *r->columns);
    r->texts = arena_array(r->mem, s->n_columns + 1, sizeof *r->texts);
    r->seen = arena_array(r->mem, s->n_columns + 1, sizeof *r->seen);
    r->heads = BUF_INIT(MAX_HEAD_BYTES);
    buf_puts(&r->heads, begin);
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct column *c = &s->columns[i];
        put_fn *put =
            c->type.type == TYPE_FLOAT && c->type.bits == 32 ? put_float32 : puts_of[c->type.type];

        if (wanted && schema_find(wanted, c->name) < 0)
            continue;
        if (r->n_columns > 0)
            buf_putc(&r->heads, ',');
        buf_putc(&r->heads, '"');
        jsonw_escape(&r->heads, c->name, strlen(c->name));
        buf_puts(&r->heads, "\":");
        r->columns[r->n_columns++] = (struct encoded){put, i, r->heads.len};
        if (type_storage(c->type.type) == STORAGE_TEXT)
            r->texts[r->n_texts++] = i;
    }
    r->fixed = r->heads.len + r->n_columns * (VALUE_TEXT_BYTES + 2);
}

static struct singer_rows *rows_new(const struct schema *schema, const struct schema *wanted,
                                    const char *begin, const char *end)
{
    struct singer_rows *r = xalloc(sizeof *r);

    r->mem = arena_new();
    r->schema = schema_copy(r->mem, schema);
    r->tail = BUF_INIT(MAX_TAIL_BYTES);
    buf_puts(&r->tail, end);
    prepare_columns(r, wanted, begin);
    return r;
}

struct singer_rows *singer_rows_new(const char *name, const struct schema *schema,
                                    const struct schema *wanted, int64_t version)
{
    CLEANUP(buf_release) struct buf begin = BUF_INIT(MAX_HEAD_BYTES);

    buf_puts(&begin, "{\"type\":\"RECORD\",\"stream\":\"");
    jsonw_escape(&begin, name, strlen(name));
    buf_puts(&begin, "\",");
    if (version)
        buf_printf(&begin, "\"version\":%lld,", (long long)version);
    buf_puts(&begin, "\"record\":{");
    return rows_new(schema, wanted, buf_str(&begin), "}}\n");
}

struct singer_rows *singer_rows_new_plain(const struct schema *schema)
{
    return rows_new(schema, NULL, "{", "},");
}

void singer_rows_free(struct singer_rows *r)
{
    if (!r)
        return;
    buf_release(&r->heads);
    buf_release(&r->tail);
    arena_free(r->mem);
    free(r);
}

bool singer_rows_fit(const struct singer_rows *r, const struct schema *schema)
{
    return schema_equal(r->schema, schema);
}

/* How long the text may become. */
static size_t room_of(struct slice s)
{
    size_t n = s.len + 4;

    if (s.len <= SHORT_TEXT)
        return 6 * s.len + 4;
    for (size_t i = 0; i < s.len; i++)
        n += escapes[(unsigned char)s.ptr[i]] ? 5 : 0;
    return n + s.len / 3 + 4; /* base64 is longer by a third */
}

static size_t room_of_row(const struct singer_rows *r, size_t row)
{
    size_t n = r->fixed + MAX_TAIL_BYTES;

    for (size_t i = 0; i < r->n_texts; i++) {
        const struct column_view *v = &r->seen[r->texts[i]];

        if (column_has(v, row))
            n += room_of(column_text(v, row));
    }
    return n;
}

static const char null_text[] = {'n', 'u', 'l', 'l'};

static char *put_row(const struct singer_rows *r, char *p, size_t row)
{
    const char *head = r->heads.data;
    size_t at = 0;

    for (size_t i = 0; i < r->n_columns; i++) {
        const struct encoded *c = &r->columns[i];

        memcpy(p, head + at, c->head_end - at);
        p += c->head_end - at;
        at = c->head_end;
        if (column_has(&r->seen[c->column], row)) {
            p = c->put(p, &r->seen[c->column], row);
        } else {
            memcpy(p, null_text, sizeof null_text);
            p += sizeof null_text;
        }
    }
    if (r->n_columns == 0) {
        memcpy(p, head, r->heads.len);
        p += r->heads.len;
    }
    memcpy(p, r->tail.data, r->tail.len);
    return p + r->tail.len;
}

size_t singer_rows_put(const struct singer_rows *r, struct buf *out, const struct batch *rows,
                       size_t first, size_t end, size_t enough)
{
    size_t row = first;

    for (size_t i = 0; i < r->schema->n_columns; i++)
        r->seen[i] = batch_column(rows, i);
    for (; row < end && out->len < enough; row++) {
        char *p = buf_reserve(out, room_of_row(r, row));

        if (!p)
            break; /* buf_ok tells */
        out->len = (size_t)(put_row(r, p, row) - out->data);
    }
    if (out->data)
        out->data[out->len] = '\0';
    return row;
}

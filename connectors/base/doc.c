#include "connectors/base/doc.h"

#include <ctype.h>
#include <stdlib.h>

#include <jansson.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"

/* The library takes no const pointers, although its readers change nothing. */
static void *without_const(const void *p)
{
    const union {
        const void *in;
        void *out;
    } u = {.in = p};

    return u.out;
}

/* A doc is a json_t under another name: these two are the only place that knows it. */
static json_t *json_of(const struct doc *d)
{
    return without_const(d);
}

static struct doc *doc_of(const json_t *j)
{
    return without_const(j);
}

struct limits {
    size_t depth, values, string;
};

static const struct limits from_outside = {DOC_MAX_DEPTH, DOC_MAX_VALUES, DOC_MAX_STRING};
static const struct limits from_ourselves = {512, SIZE_MAX, SIZE_MAX};

static int too_large(const char *what, size_t limit, size_t at, struct error *err)
{
    return error_set(err, ERR_TOO_LARGE, "the JSON text has %s than %zu at byte %zu", what, limit,
                     at);
}

/* Bytes of the string that begins behind the quote at `s`, up to its closing quote or the end. */
static size_t string_length(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && s[i] != '"')
        i += s[i] == '\\' ? 2 : 1;
    return i < n ? i : n;
}

/* Of a number, or of true, false and null. */
static size_t word_length(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && (isalnum((unsigned char)s[i]) || s[i] == '+' || s[i] == '-' || s[i] == '.'))
        i++;
    return i;
}

/*
 * Counts what costs memory, without judging the grammar: whatever passes here and is not JSON is
 * refused by the parser, which then works within these limits.
 */
static int check_limits(const char *text, size_t n, const struct limits *limits, struct error *err)
{
    size_t depth = 0, values = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len;

        switch (text[i]) {
        case '{':
        case '[':
            if (++depth > limits->depth)
                return too_large("deeper nesting", limits->depth, i, err);
            values++;
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            break;
        case '"':
            len = string_length(text + i + 1, n - i - 1);
            if (len > limits->string)
                return too_large("a longer string", limits->string, i, err);
            i += len + 1;
            values++;
            break;
        default:
            len = word_length(text + i, n - i);
            if (len > DOC_MAX_NUMBER)
                return too_large("a longer number", DOC_MAX_NUMBER, i, err);
            if (len)
                i += len - 1;
            values += len > 0;
        }
        if (values > limits->values)
            return too_large("more values", limits->values, i, err);
    }
    return 0;
}

static int parse(const char *text, size_t n, const struct limits *limits, struct doc **out,
                 struct error *err)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    const char *nul = n ? memchr(text, '\0', n) : NULL;
    json_error_t why;
    json_t *j;

    /* The library loses a NUL that follows a number. */
    if (nul)
        return error_set_reason(err, ERR_INVALID, "invalid_json", "a NUL at byte %zu",
                                (size_t)(nul - text));
    if (check_limits(text, n, limits, err) < 0)
        return -1;
    j = json_loadb(text, n, flags, &why);
    if (j) {
        *out = doc_of(j);
        return 0;
    }
    if (json_error_code(&why) == json_error_duplicate_key)
        return error_set_reason(err, ERR_INVALID, "duplicate_key", "line %d, column %d: %s",
                                why.line, why.column, why.text);
    return error_set_reason(err, ERR_INVALID, "invalid_json", "line %d, column %d: %s", why.line,
                            why.column, why.text);
}

int doc_parse(const char *text, size_t n, struct doc **out, struct error *err)
{
    return parse(text, n, &from_outside, out, err);
}

int doc_parse_trusted(const char *text, size_t n, struct doc **out, struct error *err)
{
    return parse(text, n, &from_ourselves, out, err);
}

void doc_free(struct doc *d)
{
    json_decref(json_of(d));
}

enum doc_kind doc_kind(const struct doc *d)
{
    switch (json_typeof(json_of(d))) {
    case JSON_TRUE:
    case JSON_FALSE:
        return DOC_BOOL;
    case JSON_INTEGER:
        return DOC_INT;
    case JSON_REAL:
        return DOC_REAL;
    case JSON_STRING:
        return DOC_STRING;
    case JSON_ARRAY:
        return DOC_ARRAY;
    case JSON_OBJECT:
        return DOC_OBJECT;
    case JSON_NULL:
        return DOC_NULL;
    }
    abort();
}

const char *doc_kind_name(enum doc_kind kind)
{
    static const char *const names[] = {
        [DOC_NULL] = "null",     [DOC_BOOL] = "boolean",  [DOC_INT] = "integer",
        [DOC_REAL] = "number",   [DOC_STRING] = "string", [DOC_ARRAY] = "array",
        [DOC_OBJECT] = "object",
    };

    return names[kind];
}

bool doc_is(const struct doc *d, enum doc_kind kind)
{
    return d && doc_kind(d) == kind;
}

const struct doc *doc_get(const struct doc *object, const char *key)
{
    return doc_of(json_object_get(json_of(object), key));
}

struct doc *doc_get_mutable(struct doc *object, const char *key)
{
    return doc_of(json_object_get(json_of(object), key));
}

const struct doc *doc_at(const struct doc *array, size_t i)
{
    return doc_of(json_array_get(json_of(array), i));
}

size_t doc_count(const struct doc *d)
{
    return doc_is(d, DOC_OBJECT) ? json_object_size(json_of(d)) : json_array_size(json_of(d));
}

const char *doc_string(const struct doc *d, const char *fallback)
{
    return doc_is(d, DOC_STRING) ? json_string_value(json_of(d)) : fallback;
}

int64_t doc_int(const struct doc *d, int64_t fallback)
{
    return doc_is(d, DOC_INT) ? json_integer_value(json_of(d)) : fallback;
}

double doc_real(const struct doc *d, double fallback)
{
    return doc_is(d, DOC_INT) || doc_is(d, DOC_REAL) ? json_number_value(json_of(d)) : fallback;
}

bool doc_bool(const struct doc *d, bool fallback)
{
    return doc_is(d, DOC_BOOL) ? json_is_true(json_of(d)) : fallback;
}

static const struct doc_member *member_of(const void *it)
{
    return it;
}

const struct doc_member *doc_first(const struct doc *object)
{
    return doc_is(object, DOC_OBJECT) ? member_of(json_object_iter(json_of(object))) : NULL;
}

static void *iter_of(const struct doc_member *it)
{
    return without_const(it);
}

const struct doc_member *doc_next(const struct doc *object, const struct doc_member *it)
{
    return member_of(json_object_iter_next(json_of(object), iter_of(it)));
}

const char *doc_member_key(const struct doc_member *it)
{
    return json_object_iter_key(iter_of(it));
}

const struct doc *doc_member_value(const struct doc_member *it)
{
    return doc_of(json_object_iter_value(iter_of(it)));
}

/* Building fails only without memory or with text that is not UTF-8, which no caller has. */
static struct doc *made(json_t *j)
{
    if (!j)
        abort();
    return doc_of(j);
}

struct doc *doc_new_object(void)
{
    return made(json_object());
}

struct doc *doc_new_array(void)
{
    return made(json_array());
}

struct doc *doc_new_string_n(const char *s, size_t n)
{
    struct buf clean = BUF_INIT(3 * n + 1);
    json_t *j = json_stringn(s, n);

    if (!j) {
        text_put_utf8(&clean, s, n);
        j = json_stringn(buf_str(&clean), clean.len);
        buf_release(&clean);
    }
    return made(j);
}

struct doc *doc_new_string(const char *s)
{
    return s ? doc_new_string_n(s, strlen(s)) : doc_new_null();
}

struct doc *doc_new_int(int64_t v)
{
    return made(json_integer(v));
}

struct doc *doc_new_real(double v)
{
    return made(json_real(v));
}

struct doc *doc_new_bool(bool v)
{
    return made(json_boolean(v));
}

struct doc *doc_new_null(void)
{
    return made(json_null());
}

void doc_set(struct doc *object, const char *key, struct doc *value)
{
    if (json_object_set_new(json_of(object), key, json_of(value)) < 0)
        abort();
}

void doc_remove(struct doc *object, const char *key)
{
    json_object_del(json_of(object), key);
}

void doc_append(struct doc *array, struct doc *value)
{
    if (json_array_append_new(json_of(array), json_of(value)) < 0)
        abort();
}

struct doc *doc_copy(const struct doc *d)
{
    return made(json_deep_copy(json_of(d)));
}

bool doc_equal(const struct doc *a, const struct doc *b)
{
    return a == b || json_equal(json_of(a), json_of(b));
}

struct doc *doc_merge_patch(const struct doc *target, const struct doc *patch)
{
    struct doc *out;

    if (!doc_is(patch, DOC_OBJECT))
        return doc_copy(patch);
    out = doc_is(target, DOC_OBJECT) ? doc_copy(target) : doc_new_object();
    for (const struct doc_member *it = doc_first(patch); it; it = doc_next(patch, it)) {
        const char *key = doc_member_key(it);
        const struct doc *value = doc_member_value(it);

        if (doc_is(value, DOC_NULL))
            doc_remove(out, key);
        else
            doc_set(out, key, doc_merge_patch(doc_get(out, key), value));
    }
    return out;
}

/* "0.1" as it was written, not as 17 digits of it; a real stays one ("1.0") when read again. */
static void write_real(const struct doc *d, struct buf *out)
{
    char text[32];
    size_t n = text_from_double(json_real_value(json_of(d)), text);

    buf_put(out, text, n);
    if (!memchr(text, '.', n) && !memchr(text, 'e', n))
        buf_puts(out, ".0");
}

static void write_string(const char *s, size_t n, struct buf *out)
{
    buf_putc(out, '"');
    jsonw_escape(out, s, n);
    buf_putc(out, '"');
}

/* Levels of two blanks; -1 writes everything in one line. */
static void new_line(struct buf *out, int level)
{
    if (level < 0)
        return;
    buf_putc(out, '\n');
    for (; level > 0; level--)
        buf_puts(out, "  ");
}

static void write_value(const struct doc *d, struct buf *out, int level);

static void write_members(const struct doc *d, struct buf *out, int level)
{
    int inner = level < 0 ? -1 : level + 1;

    buf_putc(out, '{');
    for (const struct doc_member *it = doc_first(d), *first = it; it; it = doc_next(d, it)) {
        if (it != first)
            buf_putc(out, ',');
        new_line(out, inner);
        write_string(doc_member_key(it), strlen(doc_member_key(it)), out);
        buf_puts(out, level < 0 ? ":" : ": ");
        write_value(doc_member_value(it), out, inner);
    }
    if (doc_count(d))
        new_line(out, level);
    buf_putc(out, '}');
}

static void write_elements(const struct doc *d, struct buf *out, int level)
{
    int inner = level < 0 ? -1 : level + 1;

    buf_putc(out, '[');
    for (size_t i = 0; i < doc_count(d); i++) {
        if (i)
            buf_putc(out, ',');
        new_line(out, inner);
        write_value(doc_at(d, i), out, inner);
    }
    if (doc_count(d))
        new_line(out, level);
    buf_putc(out, ']');
}

static void write_value(const struct doc *d, struct buf *out, int level)
{
    char text[24];

    switch (doc_kind(d)) {
    case DOC_NULL:
        buf_puts(out, "null");
        break;
    case DOC_BOOL:
        buf_puts(out, doc_bool(d, false) ? "true" : "false");
        break;
    case DOC_INT:
        buf_put(out, text, text_from_int64(doc_int(d, 0), text));
        break;
    case DOC_REAL:
        write_real(d, out);
        break;
    case DOC_STRING:
        write_string(json_string_value(json_of(d)), json_string_length(json_of(d)), out);
        break;
    case DOC_ARRAY:
        write_elements(d, out, level);
        break;
    case DOC_OBJECT:
        write_members(d, out, level);
        break;
    }
}

void doc_write(const struct doc *d, struct buf *out)
{
    write_value(d, out, -1);
}

void doc_write_pretty(const struct doc *d, struct buf *out)
{
    write_value(d, out, 0);
}

void doc_pointer_put(struct buf *pointer, const char *token)
{
    buf_putc(pointer, '/');
    for (; *token; token++) {
        if (*token == '~')
            buf_puts(pointer, "~0");
        else if (*token == '/')
            buf_puts(pointer, "~1");
        else
            buf_putc(pointer, *token);
    }
}

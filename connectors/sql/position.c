#include "connectors/sql/position.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/doc.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/data/value.h"

#define US_PER_DAY    86400000000
#define POSITION_MAX  ((size_t)64 << 20)
#define KEY_VALUE_MAX ((size_t)32 << 20)

static size_t format_cursor(enum type cursor, int64_t v, char out[static VALUE_TEXT_BYTES])
{
    if (cursor == TYPE_INT)
        return text_from_int64(v, out);
    if (cursor == TYPE_DATE)
        return value_format_date(v, out);
    return value_format_timestamptz(v, out);
}

static bool parse_cursor(enum type cursor, const char *s, int64_t *out)
{
    size_t n = strlen(s);

    if (cursor == TYPE_INT)
        return text_to_int64(s, n, out);
    if (cursor == TYPE_DATE)
        return value_parse_date(s, n, out);
    return value_parse_timestamptz(s, n, out) || value_parse_timestamp(s, n, out);
}

static enum sql_kind natural_kind(enum type t)
{
    if (t == TYPE_INT || t == TYPE_BOOL)
        return SQL_INT;
    if (t == TYPE_FLOAT)
        return SQL_REAL;
    return t == TYPE_BYTES ? SQL_BLOB : SQL_TEXT;
}

static bool is_plain_text(struct slice s)
{
    if (s.len == 0)
        return true;
    return text_is_utf8(s.ptr, s.len) && !memchr(s.ptr, 0, s.len);
}

static void put_value_text(const struct sql_value *v, struct buf *out)
{
    char text[VALUE_TEXT_BYTES];

    switch (v->kind) {
    case SQL_NULL:
        break;
    case SQL_INT:
        buf_put(out, text, text_from_int64(v->number, text));
        break;
    case SQL_REAL:
        buf_put(out, text, value_format_float(v->real, 64, text));
        break;
    case SQL_TEXT:
        if (is_plain_text(v->bytes))
            buf_put(out, v->bytes.ptr, v->bytes.len);
        else
            text_put_base64(out, v->bytes.ptr, v->bytes.len);
        break;
    case SQL_BLOB:
        text_put_base64(out, v->bytes.ptr, v->bytes.len);
        break;
    }
}

static const char *kind_name(const struct sql_value *v)
{
    switch (v->kind) {
    case SQL_INT:
        return "int";
    case SQL_REAL:
        return "real";
    case SQL_BLOB:
        return "blob";
    case SQL_TEXT:
        return is_plain_text(v->bytes) ? "text" : "text64";
    case SQL_NULL:
        break;
    }
    return "null";
}

void position_put_value(const struct sql_value *v, struct column_type type, struct buf *out)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(KEY_VALUE_MAX);
    struct jsonw w = JSONW_INIT(out);
    bool natural =
        v->kind == natural_kind(type.type) && (v->kind != SQL_TEXT || is_plain_text(v->bytes));

    put_value_text(v, &text);
    if (!natural) {
        jsonw_object(&w);
        jsonw_key(&w, kind_name(v));
    }
    jsonw_string_n(&w, buf_str(&text), text.len);
    if (!natural)
        jsonw_object_end(&w);
}

static bool read_bytes(struct arena *mem, const char *base64, struct slice *out)
{
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(KEY_VALUE_MAX);

    if (!text_unbase64(&bytes, base64, strlen(base64)))
        return false;
    *out = (struct slice){arena_memdup(mem, buf_str(&bytes), bytes.len), bytes.len};
    return true;
}

static bool read_as(const char *kind, const char *text, struct arena *mem, struct sql_value *out)
{
    *out = (struct sql_value){.kind = SQL_TEXT};
    if (strcmp(kind, "int") == 0) {
        out->kind = SQL_INT;
        return text_to_int64(text, strlen(text), &out->number);
    }
    if (strcmp(kind, "real") == 0) {
        out->kind = SQL_REAL;
        return value_parse_float(text, strlen(text), &out->real);
    }
    if (strcmp(kind, "blob") == 0) {
        out->kind = SQL_BLOB;
        return read_bytes(mem, text, &out->bytes);
    }
    if (strcmp(kind, "text64") == 0)
        return read_bytes(mem, text, &out->bytes);
    *out = sql_text(arena_strdup(mem, text));
    return strcmp(kind, "text") == 0;
}

static bool read_value(const struct doc *d, struct column_type type, struct arena *mem,
                       struct sql_value *out)
{
    static const char *const natural[] = {
        [SQL_NULL] = "null", [SQL_INT] = "int",   [SQL_REAL] = "real",
        [SQL_TEXT] = "text", [SQL_BLOB] = "blob",
    };
    const struct doc_member *m = doc_is(d, DOC_OBJECT) ? doc_first(d) : NULL;

    if (doc_is(d, DOC_STRING))
        return read_as(natural[natural_kind(type.type)], doc_string(d, ""), mem, out);
    return m && doc_is(doc_member_value(m), DOC_STRING) &&
           read_as(doc_member_key(m), doc_string(doc_member_value(m), ""), mem, out);
}

/* An absent key is none; anything but n_key values is a mistake. */
static bool read_key(const struct doc *d, const struct column_type *types, size_t n_key,
                     struct arena *mem, struct sql_value **out, bool *out_has)
{
    *out_has = doc_is(d, DOC_ARRAY) && doc_count(d) > 0;
    if (!*out_has)
        return true;
    if (doc_count(d) != n_key)
        return false;
    *out = arena_array(mem, n_key, sizeof **out);
    for (size_t i = 0; i < n_key; i++) {
        if (!read_value(doc_at(d, i), types[i], mem, &(*out)[i]))
            return false;
        (*out)[i].type = &types[i];
    }
    return true;
}

static bool read_maybe(const struct doc *d, enum type cursor, struct maybe_int *out)
{
    *out = (struct maybe_int){0};
    if (!d || doc_is(d, DOC_NULL))
        return true;
    out->known = doc_is(d, DOC_STRING) && parse_cursor(cursor, doc_string(d, ""), &out->value);
    return out->known;
}

static int compare_tokens(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool read_tokens(const struct doc *d, struct arena *mem, struct candidate *out)
{
    size_t n = doc_count(d);
    const char **tokens = arena_array(mem, n, sizeof *tokens);

    if (!doc_is(d, DOC_ARRAY))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!doc_is(doc_at(d, i), DOC_STRING))
            return false;
        tokens[i] = arena_strdup(mem, doc_string(doc_at(d, i), ""));
    }
    if (n > 0)
        qsort(tokens, n, sizeof *tokens, compare_tokens);
    out->open = tokens;
    out->n_open = n;
    return true;
}

static bool read_candidates(const struct doc *d, enum type cursor, struct arena *mem,
                            struct cursor_position *out)
{
    out->n_candidates = doc_count(d);
    if (!d)
        return true;
    if (!doc_is(d, DOC_ARRAY) || out->n_candidates > POSITION_CANDIDATES)
        return false;
    for (size_t i = 0; i < out->n_candidates; i++) {
        const struct doc *one = doc_at(d, i);
        struct candidate *c = &out->candidates[i];
        const char *bound = doc_string(doc_get(one, "bound"), "");
        const char *at = doc_string(doc_get(one, "at"), "");

        if (!parse_cursor(cursor, bound, &c->bound) ||
            !value_parse_timestamptz(at, strlen(at), &c->unix_us) ||
            !read_tokens(doc_get(one, "open"), mem, c))
            return false;
    }
    return true;
}

static int unknown(const char *text, struct error *err)
{
    return error_set_reason(err, ERR_RESYNC, "position_unknown",
                            "the position %.200s does not fit the stream as it is now", text);
}

int position_read_keyset(const char *text, const struct column_type *types, size_t n_key,
                         struct arena *mem, struct keyset_position *out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error why = ERROR_INIT;

    *out = (struct keyset_position){0};
    if (doc_parse_trusted(text, strlen(text), &d, &why) < 0 ||
        strcmp(doc_string(doc_get(d, "kind"), ""), "keyset") != 0)
        return unknown(text, err);
    out->filter = arena_strdup(mem, doc_string(doc_get(d, "filter"), ""));
    out->done = doc_bool(doc_get(d, "done"), false);
    if (!read_key(doc_get(doc_get(d, "resume"), "key"), types, n_key, mem, &out->key,
                  &out->has_key) ||
        (!out->done && !out->has_key))
        return unknown(text, err);
    return 0;
}

int position_read_cursor(const char *text, enum type cursor, const struct column_type *types,
                         size_t n_key, struct arena *mem, struct cursor_position *out,
                         struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error why = ERROR_INIT;
    const struct doc *resume;
    struct maybe_int upper;

    *out = (struct cursor_position){0};
    if (doc_parse_trusted(text, strlen(text), &d, &why) < 0 ||
        strcmp(doc_string(doc_get(d, "kind"), ""), "cursor") != 0)
        return unknown(text, err);
    resume = doc_get(d, "resume");
    out->within = doc_is(resume, DOC_OBJECT);
    if (!read_maybe(doc_get(d, "safe"), cursor, &out->safe) ||
        !read_maybe(doc_get(d, "high"), cursor, &out->high) ||
        !read_maybe(doc_get(d, "lower"), cursor, &out->lower) ||
        !read_maybe(doc_get(d, "upper"), cursor, &upper) ||
        !read_maybe(doc_get(resume, "cursor"), cursor, &out->cursor) ||
        !read_candidates(doc_get(d, "candidates"), cursor, mem, out) ||
        !read_key(doc_get(resume, "key"), types, n_key, mem, &out->key, &out->has_key))
        return unknown(text, err);
    out->upper = upper.value;
    if (out->within && !upper.known)
        return unknown(text, err);
    out->has_resume = out->cursor.known || out->has_key;
    return 0;
}

const char *position_write_keyset(struct arena *mem, const char *filter, const char *key, bool done)
{
    if (done)
        return "{\"kind\":\"keyset\",\"done\":true}";
    if (*filter)
        return arena_printf(
            mem, "{\"kind\":\"keyset\",\"filter\":\"%s\",\"resume\":{\"key\":[%s]}}", filter, key);
    return arena_printf(mem, "{\"kind\":\"keyset\",\"resume\":{\"key\":[%s]}}", key);
}

static void put_maybe(struct jsonw *w, const char *name, enum type cursor, struct maybe_int v)
{
    char text[VALUE_TEXT_BYTES];

    jsonw_key(w, name);
    if (v.known)
        jsonw_string_n(w, text, format_cursor(cursor, v.value, text));
    else
        jsonw_null(w);
}

static void put_candidates(struct jsonw *w, enum type cursor, const struct cursor_position *p)
{
    char at[VALUE_TEXT_BYTES];

    if (p->n_candidates == 0)
        return;
    jsonw_key(w, "candidates");
    jsonw_array(w);
    for (size_t i = 0; i < p->n_candidates; i++) {
        const struct candidate *c = &p->candidates[i];

        jsonw_object(w);
        put_maybe(w, "bound", cursor, (struct maybe_int){true, c->bound});
        jsonw_key(w, "at");
        jsonw_string_n(w, at, value_format_timestamptz(c->unix_us, at));
        jsonw_key(w, "open");
        jsonw_array(w);
        for (size_t k = 0; k < c->n_open; k++)
            jsonw_string(w, c->open[k]);
        jsonw_array_end(w);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

const char *position_write_cursor(struct arena *mem, enum type cursor,
                                  const struct cursor_position *p, const char *key)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(POSITION_MAX);
    CLEANUP(buf_release) struct buf array = BUF_INIT(POSITION_MAX);
    struct jsonw w = JSONW_INIT(&out);

    jsonw_object(&w);
    jsonw_put_string(&w, "kind", "cursor");
    put_maybe(&w, "safe", cursor, p->safe);
    put_maybe(&w, "high", cursor, p->high);
    put_candidates(&w, cursor, p);
    if (p->within) {
        put_maybe(&w, "lower", cursor, p->lower);
        put_maybe(&w, "upper", cursor, (struct maybe_int){true, p->upper});
        jsonw_key(&w, "resume");
        jsonw_object(&w);
        put_maybe(&w, "cursor", cursor, p->cursor);
        buf_printf(&array, "[%s]", key);
        jsonw_put_raw(&w, "key", buf_str(&array));
        jsonw_object_end(&w);
    }
    jsonw_object_end(&w);
    return arena_strdup(mem, buf_str(&out));
}

int64_t position_from_unix_us(enum type cursor, int64_t unix_us)
{
    return cursor == TYPE_DATE ? unix_us / US_PER_DAY : unix_us;
}

int64_t position_skew(enum type cursor, int64_t skew_s)
{
    if (cursor == TYPE_INT || cursor == TYPE_DATE)
        return 1;
    return skew_s * 1000000;
}

int64_t position_lookback(enum type cursor, int64_t lookback_s)
{
    if (cursor == TYPE_INT)
        return 0;
    if (cursor == TYPE_DATE)
        return (lookback_s + 86399) / 86400;
    return lookback_s * 1000000;
}

int64_t position_minus(int64_t a, int64_t b)
{
    int64_t out;

    if (__builtin_sub_overflow(a, b, &out))
        return b > 0 ? INT64_MIN : INT64_MAX;
    return out;
}

const char *position_hint(struct arena *mem, enum type cursor, int64_t value)
{
    char text[VALUE_TEXT_BYTES];
    int64_t days = cursor == TYPE_DATE ? value : value / US_PER_DAY;

    /* Only years of four digits sort as text; before them everything may be behind the bound. */
    if (cursor == TYPE_INT || days < -719000 || days > 2932000)
        return NULL;
    return arena_memdup(mem, text, value_format_date(days - 2, text));
}

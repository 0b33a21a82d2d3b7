#include "connectors/sql/dialect.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/text.h"

/* What the columns of a key that are no text take of an index entry, at most. */
#define KEY_FIXED_BYTES 40
/* A character of four bytes. */
#define CHARACTER_BYTES 4
/* No longer even where it would fit: such a key is a document. */
#define KEY_MAX_CHARACTERS 768

void sql_put_name(const struct sql_dialect *d, const char *name, struct buf *out)
{
    /* A lead byte in front of the quote would take it for a part of its character. */
    if (!text_is_utf8(name, strlen(name))) {
        out->failed = true;
        out->refused = "a name that is not UTF-8";
        return;
    }
    buf_putc(out, d->quote);
    for (; *name; name++) {
        if (*name == d->quote)
            buf_putc(out, d->quote);
        buf_putc(out, *name);
    }
    buf_putc(out, d->quote);
}

void sql_put_table(const struct sql_dialect *d, const char *schema, const char *name,
                   struct buf *out)
{
    if (d->has_schemas && *schema) {
        sql_put_name(d, schema, out);
        buf_putc(out, '.');
    }
    sql_put_name(d, name, out);
}

void sql_put_declared(const struct sql_dialect *d, const char *type, struct buf *out)
{
    if (*type && d->types_are_any_text)
        sql_put_name(d, type, out);
    else
        buf_puts(out, type);
}

void sql_put_placeholder(const struct sql_dialect *d, size_t number, struct buf *out)
{
    char digits[24];

    buf_putc(out, d->placeholder == SQL_PLACEHOLDER_DOLLAR ? '$' : '?');
    if (d->placeholder != SQL_PLACEHOLDER_PLAIN)
        buf_put(out, digits, text_from_int64((int64_t)number, digits));
}

static void put_hole(const struct sql_dialect *d, const char *name, size_t n,
                     const struct sql_holes *h, struct buf *out)
{
    if (n == 5 && memcmp(name, "table", n) == 0) {
        sql_put_table(d, h->schema ? h->schema : "", h->table, out);
    } else if (n == 6 && memcmp(name, "column", n) == 0) {
        buf_puts(out, h->prefix ? h->prefix : "");
        sql_put_name(d, h->column, out);
    } else if (n == 5 && memcmp(name, "index", n) == 0) {
        sql_put_name(d, h->index, out);
    } else if (n == 5 && memcmp(name, "using", n) == 0) {
        sql_put_template(d, h->value, h, out);
    } else {
        buf_puts(out, h->type);
    }
}

void sql_put_template(const struct sql_dialect *d, const char *text, const struct sql_holes *holes,
                      struct buf *out)
{
    while (*text) {
        const char *hole = strchr(text, '{'), *end = hole ? strchr(hole, '}') : NULL;

        if (!end) {
            buf_puts(out, text);
            return;
        }
        buf_put(out, text, (size_t)(hole - text));
        put_hole(d, hole + 1, (size_t)(end - hole) - 1, holes, out);
        text = end + 1;
    }
}

/* MySQL's decimal has at most 65 digits, 30 of them behind the point. */
static bool decimal_fits(struct column_type t)
{
    return t.precision > 0 && t.scale >= 0 && t.scale <= 30 && t.precision <= 65;
}

bool sql_decimal_room(const struct sql_dialect *d, const struct sql_column *c, size_t *out_whole,
                      size_t *out_fraction)
{
    struct column_type t = c->declared ? sql_read_type(d, c->declared) : c->type;
    bool fixed = t.type == TYPE_DECIMAL && t.precision > 0 &&
                 (c->declared || (d->decimal_with_scale && decimal_fits(t)));
    int whole = c->declared ? t.precision - t.scale : 65 - t.scale;

    *out_whole = fixed ? (size_t)(whole > 0 ? whole : 0) : d->decimal_whole;
    *out_fraction = fixed && t.scale > 0 ? (size_t)t.scale : fixed ? 0 : d->decimal_fraction;
    return fixed || d->decimal_whole > 0;
}

size_t sql_key_characters(const struct sql_dialect *d, const struct sql_table *t)
{
    size_t texts = 0, others = 0, most;

    for (size_t i = 0; i < t->n_columns; i++) {
        const struct sql_column *c = &t->columns[i];
        bool decimal =
            c->type.type == TYPE_DECIMAL && d->decimal_with_scale && decimal_fits(c->type);

        if (c->role != SQL_ROLE_KEY)
            continue;
        texts += d->key_type[c->type.type] && !decimal;
        others += !d->key_type[c->type.type] || decimal;
    }
    if (texts == 0)
        return 0;
    most = d->key_bytes > others * KEY_FIXED_BYTES ? d->key_bytes - others * KEY_FIXED_BYTES : 0;
    most /= CHARACTER_BYTES * texts;
    return most > KEY_MAX_CHARACTERS ? KEY_MAX_CHARACTERS : most > 0 ? most : 1;
}

/* `text` with its only %d replaced. */
static void put_number(const char *text, size_t number, char out[static SQL_TYPE_BYTES])
{
    CLEANUP(buf_release) struct buf type = BUF_INIT(SQL_TYPE_BYTES - 1);
    const char *hole = strstr(text, "%d");

    if (!hole)
        buf_puts(&type, text);
    else
        buf_printf(&type, "%.*s%zu%s", (int)(hole - text), text, number, hole + 2);
    assert(!type.failed); /* all of them are constants of the dialects */
    memcpy(out, buf_str(&type), type.len + 1);
}

void sql_column_type(const struct sql_dialect *d, const struct sql_table *t,
                     const struct sql_column *c, char out[static SQL_TYPE_BYTES])
{
    size_t key_characters = c->role == SQL_ROLE_KEY ? sql_key_characters(d, t) : 0;

    if (c->type.type == TYPE_DECIMAL && d->decimal_with_scale && decimal_fits(c->type))
        put_number(d->decimal_with_scale, (size_t)c->type.scale, out);
    else if (key_characters > 0 && d->key_type[c->type.type])
        put_number(d->key_type[c->type.type], key_characters, out);
    else if (c->type.type == TYPE_FLOAT && c->type.bits == 32 && d->float32)
        put_number(d->float32, 0, out);
    else
        put_number(d->type[c->type.type], 0, out);
}

const char *sql_conversion(const struct sql_conversion *list, enum type from, enum type to)
{
    for (; list && list->text; list++) {
        if (list->from == from && list->to == to)
            return list->text;
    }
    return NULL;
}

struct sql_digits sql_read_digits(const char *declared, struct buf *rest)
{
    const char *open = strchr(declared, '('), *end = open ? strchr(open, ')') : NULL;
    struct sql_digits digits = {0};

    if (!end) {
        buf_puts(rest, declared);
        return digits;
    }
    buf_put(rest, declared, (size_t)(open - declared));
    buf_puts(rest, end + 1);
    for (const char *p = open + 1; p < end && digits.n < 2; p++) {
        int *number = digits.n++ ? &digits.second : &digits.first;

        for (; *p >= '0' && *p <= '9' && *number < 100000; p++)
            *number = *number * 10 + (*p - '0');
    }
    return digits;
}

struct column_type sql_read_type(const struct sql_dialect *d, const char *declared)
{
    struct column_type t;

    if (d->parse_type && d->parse_type(declared, &t))
        return t;
    return type_plain(TYPE_STRING);
}

struct sql_value sql_text(const char *s)
{
    if (!s)
        return (struct sql_value){.kind = SQL_NULL};
    return (struct sql_value){.kind = SQL_TEXT, .bytes = {s, strlen(s)}};
}

const char *sql_value_text(struct arena *mem, const struct sql_value *v)
{
    if (v->kind == SQL_INT)
        return arena_printf(mem, "%lld", (long long)v->number);
    if (v->kind != SQL_TEXT && v->kind != SQL_BLOB)
        return "";
    return arena_memdup(mem, v->bytes.ptr, v->bytes.len);
}

static int take_int(void *arg, const struct sql_value *row, size_t n, struct error *err)
{
    int64_t *out = arg;

    (void)n;
    (void)err;
    *out = row[0].kind == SQL_INT ? row[0].number : 0;
    return 0;
}

int sql_query_int(struct sql_conn *c, const char *sql, int64_t *out, struct error *err)
{
    *out = 0;
    return c->driver->query(c, sql, NULL, 0, take_int, out, err);
}

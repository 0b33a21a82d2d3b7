#include "connectors/option.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"

/* A pointer to the longest member name that a document can hold fits in here, escaped. */
#define TEXT_BYTES ((size_t)1 << 20)

/* What decoding carries through the rows of one table. */
struct decoder {
    const struct option *table;
    void *config;
    struct arena *mem;
    struct problems *problems;
};

const struct option *option_find(const struct option *table, const char *name)
{
    for (const struct option *o = table; o->name; o++) {
        if (!strcmp(o->name, name))
            return o;
    }
    return NULL;
}

static const char *below(struct arena *mem, const char *pointer, const char *token)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(TEXT_BYTES);

    buf_puts(&b, pointer);
    doc_pointer_put(&b, token);
    return arena_strdup(mem, buf_str(&b));
}

/* "\"a\", \"b\", \"c\"" of the names of a table or the words of a closed set. */
static const char *listed(struct arena *mem, const char *const *words)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(TEXT_BYTES);

    for (size_t i = 0; words[i]; i++)
        buf_printf(&b, "%s\"%s\"", i ? ", " : "", words[i]);
    return arena_strdup(mem, buf_str(&b));
}

static const char *known_names(struct arena *mem, const struct option *table)
{
    const char **names;
    size_t n = 0;

    while (table[n].name)
        n++;
    names = arena_array(mem, n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = table[i].name;
    return listed(mem, names);
}

/* Letters that must be inserted, removed or replaced to make `b` of `a`; short names only. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], len = strlen(b);

    if (len + 1 > sizeof row / sizeof *row)
        return SIZE_MAX;
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < len; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            size_t least = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;

            diagonal = row[j + 1];
            row[j + 1] = replaced < least ? replaced : least;
        }
    }
    return row[len];
}

static const struct option *meant(const struct option *table, const char *name)
{
    const struct option *best = NULL;
    size_t least = 3; /* two slips are a typing mistake, three are another word */

    if (strlen(name) > 63)
        return NULL;
    for (const struct option *o = table; o->name; o++) {
        size_t d = distance(name, o->name);

        if (d < least && d < strlen(o->name)) {
            least = d;
            best = o;
        }
    }
    return best;
}

static void refuse_unknown(const struct decoder *d, const struct doc *object, const char *pointer)
{
    for (const struct doc_member *it = doc_first(object); it; it = doc_next(object, it)) {
        const char *name = doc_member_key(it);
        const char *at;
        const struct option *o;

        if (option_find(d->table, name))
            continue;
        at = below(d->problems->mem, pointer, name);
        o = meant(d->table, name);
        if (o)
            problems_add(d->problems, at, "unknown_field", "\"%s\" is not known; \"%s\" is", name,
                         o->name);
        else
            problems_add(d->problems, at, "unknown_field",
                         "\"%s\" is not known; expected one of %s", name,
                         known_names(d->problems->mem, d->table));
    }
}

static void wrong_type(const struct decoder *d, const char *pointer, const char *expected,
                       const struct doc *found)
{
    problems_add(d->problems, pointer, "wrong_type", "expected %s, found %s", expected,
                 doc_kind_name(doc_kind(found)));
}

static size_t characters(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Room for what a message quotes of a value, which may be long; nothing of a secret. */
static const char *quoted(const struct decoder *d, const struct option *o, const char *value)
{
    if (o->flags & OPTION_SECRET)
        return "a secret";
    return arena_printf(d->problems->mem, "\"%.*s\"",
                        (int)text_utf8_prefix(value, strlen(value), 80), value);
}

static bool is_choice(const struct option *o, const char *value)
{
    for (size_t i = 0; o->choices[i]; i++) {
        if (!strcmp(o->choices[i], value))
            return true;
    }
    return false;
}

static void decode_string(const struct decoder *d, const struct option *o, const struct doc *value,
                          const char *pointer, void *member)
{
    const char *s = doc_string(value, NULL);
    int64_t length;

    if (!s) {
        wrong_type(d, pointer, "a string", value);
        return;
    }
    if (o->choices && !is_choice(o, s)) {
        problems_add(d->problems, pointer, "not_a_choice", "expected one of %s, found %s",
                     listed(d->problems->mem, o->choices), quoted(d, o, s));
        return;
    }
    length = (int64_t)characters(s);
    if (o->max > 0 && length > o->max) {
        problems_add(d->problems, pointer, "too_long",
                     "expected at most %" PRId64 " characters, found %" PRId64, o->max, length);
        return;
    }
    if (o->max > 0 && length < o->min) {
        problems_add(d->problems, pointer, "too_short",
                     "expected at least %" PRId64 " characters, found %" PRId64, o->min, length);
        return;
    }
    *(const char **)member = arena_strdup(d->mem, s);
}

static void decode_int(const struct decoder *d, const struct option *o, const struct doc *value,
                       const char *pointer, void *member)
{
    int64_t v = doc_int(value, 0);

    if (!doc_is(value, DOC_INT)) {
        wrong_type(d, pointer, "an integer", value);
        return;
    }
    if (o->min < o->max && (v < o->min || v > o->max)) {
        problems_add(d->problems, pointer, "out_of_range",
                     "expected a number from %" PRId64 " to %" PRId64 ", found %s", o->min, o->max,
                     o->flags & OPTION_SECRET ? "another"
                                              : arena_printf(d->problems->mem, "%" PRId64, v));
        return;
    }
    *(int64_t *)member = v;
}

static void decode_bool(const struct decoder *d, const struct option *o, const struct doc *value,
                        const char *pointer, void *member)
{
    (void)o;
    if (!doc_is(value, DOC_BOOL)) {
        wrong_type(d, pointer, "a boolean", value);
        return;
    }
    *(bool *)member = doc_bool(value, false);
}

static void decode_list(const struct decoder *d, const struct option *o, const struct doc *value,
                        const char *pointer, void *member)
{
    struct string_list list = {.n = doc_count(value)};

    (void)o;
    if (!doc_is(value, DOC_ARRAY)) {
        wrong_type(d, pointer, "an array of strings", value);
        return;
    }
    list.items = arena_array(d->mem, list.n, sizeof *list.items);
    for (size_t i = 0; i < list.n; i++) {
        const struct doc *item = doc_at(value, i);

        if (doc_is(item, DOC_STRING))
            list.items[i] = arena_strdup(d->mem, doc_string(item, ""));
        else
            wrong_type(d, arena_printf(d->problems->mem, "%s/%zu", pointer, i), "a string", item);
    }
    *(struct string_list *)member = list;
}

static void decode_doc(const struct decoder *d, const struct option *o, const struct doc *value,
                       const char *pointer, void *member)
{
    if (o->check)
        o->check(value, pointer, d->problems);
    else if (!doc_is(value, DOC_OBJECT))
        wrong_type(d, pointer, "an object", value);
    *(const struct doc **)member = value;
}

typedef void decode_fn(const struct decoder *d, const struct option *o, const struct doc *value,
                       const char *pointer, void *member);

static decode_fn *const decoders[] = {
    [OPTION_STRING] = decode_string, [OPTION_INT] = decode_int, [OPTION_BOOL] = decode_bool,
    [OPTION_LIST] = decode_list,     [OPTION_DOC] = decode_doc,
};

static void decode(const struct decoder *d, const struct option *o, const struct doc *value,
                   const char *pointer)
{
    decoders[o->type](d, o, value, pointer, (char *)d->config + o->offset);
}

/* The value that `text` of the row (a default, an example) stands for. */
static struct doc *value_of_text(const struct option *o, const char *text)
{
    struct doc *value = NULL;
    struct error why = ERROR_INIT;

    if (o->type == OPTION_STRING)
        return doc_new_string(text);
    if (doc_parse_trusted(text, strlen(text), &value, &why) < 0)
        abort(); /* whoever makes a table writes JSON there; tests parse all of ours */
    return value;
}

/* A default goes the same way as a value of the user, so it is checked against its own row. */
static void decode_default(const struct decoder *d, const struct option *o, const char *pointer)
{
    CLEANUP(doc_free_cleanup) struct doc *value = value_of_text(o, o->def);

    /* A document is borrowed, and there is nobody to borrow this one from. */
    assert(o->type != OPTION_DOC);
    decode(d, o, value, pointer);
}

bool options_decode(const struct option *table, const struct doc *object, const char *pointer,
                    void *config, struct arena *mem, struct problems *problems)
{
    const struct decoder d = {table, config, mem, problems};
    size_t before = problems->n + problems->dropped;

    if (object && !doc_is(object, DOC_OBJECT)) {
        wrong_type(&d, pointer, "an object", object);
        return false;
    }
    refuse_unknown(&d, object, pointer);
    for (const struct option *o = table; o->name; o++) {
        const struct doc *value = doc_get(object, o->name);
        const char *at = below(mem, pointer, o->name);

        if (value && !doc_is(value, DOC_NULL))
            decode(&d, o, value, at);
        else if (o->def)
            decode_default(&d, o, at);
        else if (o->flags & OPTION_REQUIRED)
            problems_add(problems, at, "required", "\"%s\" is required: %s", o->name, o->title);
    }
    return problems->n + problems->dropped == before;
}

/* ------------------------------------------------------------- what is shown */

static struct doc *type_schema(const struct option *o)
{
    static const char *const types[] = {
        [OPTION_STRING] = "string", [OPTION_INT] = "integer", [OPTION_BOOL] = "boolean",
        [OPTION_LIST] = "array",    [OPTION_DOC] = "object",
    };
    struct doc *s, *items;

    if (o->schema) {
        assert(o->type == OPTION_DOC);
        s = value_of_text(o, o->schema);
    } else {
        s = doc_new_object();
        doc_set(s, "type", doc_new_string(types[o->type]));
    }
    if (o->type == OPTION_LIST) {
        items = doc_new_object();
        doc_set(items, "type", doc_new_string("string"));
        doc_set(s, "items", items);
    }
    return s;
}

static void put_bounds(const struct option *o, struct doc *schema)
{
    if (o->type == OPTION_INT && o->min < o->max) {
        doc_set(schema, "minimum", doc_new_int(o->min));
        doc_set(schema, "maximum", doc_new_int(o->max));
    }
    if (o->type == OPTION_STRING && o->max > 0) {
        if (o->min > 0)
            doc_set(schema, "minLength", doc_new_int(o->min));
        doc_set(schema, "maxLength", doc_new_int(o->max));
    }
}

static struct doc *row_schema(const struct option *o)
{
    struct doc *s = type_schema(o);

    doc_set(s, "title", doc_new_string(o->title));
    doc_set(s, "description", doc_new_string(o->help));
    if (o->def)
        doc_set(s, "default", value_of_text(o, o->def));
    if (o->choices) {
        struct doc *words = doc_new_array();

        for (size_t i = 0; o->choices[i]; i++)
            doc_append(words, doc_new_string(o->choices[i]));
        doc_set(s, "enum", words);
    }
    put_bounds(o, s);
    if (o->example) {
        struct doc *examples = doc_new_array();

        doc_append(examples, value_of_text(o, o->example));
        doc_set(s, "examples", examples);
    }
    if (o->flags & OPTION_SECRET) {
        doc_set(s, "writeOnly", doc_new_bool(true));
        if (o->type == OPTION_STRING)
            doc_set(s, "format", doc_new_string("password"));
    }
    return s;
}

struct doc *options_schema(const struct option *table)
{
    struct doc *schema = doc_new_object();
    struct doc *properties = doc_new_object();
    struct doc *required = doc_new_array();

    for (const struct option *o = table; o->name; o++) {
        doc_set(properties, o->name, row_schema(o));
        if (o->flags & OPTION_REQUIRED && !o->def)
            doc_append(required, doc_new_string(o->name));
    }
    doc_set(schema, "$schema", doc_new_string("https://json-schema.org/draft/2020-12/schema"));
    doc_set(schema, "type", doc_new_string("object"));
    doc_set(schema, "properties", properties);
    doc_set(schema, "required", required);
    doc_set(schema, "additionalProperties", doc_new_bool(false));
    return schema;
}

/* Something of the right type to write over. */
static struct doc *placeholder(const struct option *o)
{
    char text[80];

    switch (o->type) {
    case OPTION_STRING:
        if (o->choices)
            return doc_new_string(o->choices[0]);
        if (!(o->flags & OPTION_REQUIRED))
            return doc_new_string("");
        snprintf(text, sizeof text, "<%s>", o->name);
        return doc_new_string(text);
    case OPTION_INT:
        return doc_new_int(o->min < o->max ? o->min : 0);
    case OPTION_BOOL:
        return doc_new_bool(false);
    case OPTION_LIST:
        return doc_new_array();
    case OPTION_DOC:
        return doc_new_object();
    }
    abort();
}

struct doc *options_template(const struct option *table, bool required_only)
{
    struct doc *config = doc_new_object();

    for (const struct option *o = table; o->name; o++) {
        const char *text = o->def ? o->def : o->example;

        if (!(o->flags & OPTION_REQUIRED) && required_only)
            continue;
        doc_set(config, o->name, text ? value_of_text(o, text) : placeholder(o));
    }
    return config;
}

struct doc *options_normalized(const struct option *table, const struct doc *config)
{
    struct doc *out = doc_new_object();

    /* Built from the table, so that a misspelt secret is not copied either. */
    for (const struct option *o = table; o->name; o++) {
        const struct doc *value = doc_get(config, o->name);

        if (o->flags & OPTION_SECRET)
            continue;
        if (value && !doc_is(value, DOC_NULL))
            doc_set(out, o->name, doc_copy(value));
        else if (o->def)
            doc_set(out, o->name, value_of_text(o, o->def));
    }
    return out;
}

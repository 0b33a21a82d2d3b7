#include <string.h>

#include "connectors/catalog.h"
#include "connectors/connector.h"

/* How a logical type is written: one row each, JSON aside, which is every shape there is. */
static const struct shape {
    const char *type, *format;
} shapes[TYPE_COUNT] = {
    [TYPE_BOOL] = {"boolean", NULL},
    [TYPE_INT] = {"integer", NULL},
    [TYPE_DECIMAL] = {"string", "singer.decimal"},
    [TYPE_FLOAT] = {"number", NULL},
    [TYPE_STRING] = {"string", NULL},
    [TYPE_BYTES] = {"string", NULL},
    [TYPE_DATE] = {"string", "date"},
    [TYPE_TIME] = {"string", "time"},
    [TYPE_TIMESTAMP] = {"string", "date-time-local"},
    [TYPE_TIMESTAMPTZ] = {"string", "date-time"},
    [TYPE_INTERVAL] = {"string", "duration"},
    [TYPE_UUID] = {"string", "uuid"},
    [TYPE_JSON] = {NULL, NULL},
};

static void put_types(const struct column *c, struct doc *schema)
{
    static const char *const everything[] = {"object", "array", "string", "number", "boolean"};
    struct doc *types = doc_new_array();

    if (c->nullable)
        doc_append(types, doc_new_string("null"));
    if (shapes[c->type.type].type)
        doc_append(types, doc_new_string(shapes[c->type.type].type));
    for (size_t i = 0; !shapes[c->type.type].type && i < 5; i++)
        doc_append(types, doc_new_string(everything[i]));
    doc_set(schema, "type", types);
}

struct doc *column_to_json_schema(const struct column *c)
{
    struct doc *d = doc_new_object();

    put_types(c, d);
    if (shapes[c->type.type].format)
        doc_set(d, "format", doc_new_string(shapes[c->type.type].format));
    if (c->type.type == TYPE_BYTES)
        doc_set(d, "contentEncoding", doc_new_string("base64"));
    if (c->type.type == TYPE_FLOAT)
        doc_set(d, "x-float", doc_new_int(c->type.bits));
    if (c->type.type == TYPE_DECIMAL && c->type.precision) {
        doc_set(d, "x-precision", doc_new_int(c->type.precision));
        doc_set(d, "x-scale", doc_new_int(c->type.scale));
    }
    return d;
}

/* What the shapes seen so far amount to. */
struct found {
    bool any, nullable;
    bool is_base16;
    struct column_type type;
};

/* Several shapes become the least type that holds them all; if there is none, JSON holds it. */
static void add(struct found *f, struct column_type t)
{
    if (!f->any)
        f->type = t;
    else if (!type_join(f->type, t, &f->type))
        f->type = type_plain(TYPE_JSON);
    f->any = true;
}

static struct column_type decimal_type(const struct doc *schema)
{
    struct column_type t = type_plain(TYPE_DECIMAL);
    int64_t precision = doc_int(doc_get(schema, "x-precision"), 0);
    int64_t scale = doc_int(doc_get(schema, "x-scale"), 0);

    if (precision > 0 && precision <= UINT16_MAX && scale >= INT16_MIN && scale <= INT16_MAX) {
        t.precision = (uint16_t)precision;
        t.scale = (int16_t)scale;
    }
    return t;
}

/*
 * Numbers are decimals, so that no digit is lost, unless the schema says that they are binary
 * floats. multipleOf, minimum and maximum, by which some taps describe numeric(p,s), only narrow a
 * decimal and are not needed to hold it.
 */
static struct column_type number_type(const struct doc *schema)
{
    const char *format = doc_string(doc_get(schema, "format"), "");
    int64_t bits = doc_int(doc_get(schema, "x-float"), 0);
    struct column_type t = type_plain(TYPE_FLOAT);

    if (bits == 32 || !strcmp(format, "float"))
        t.bits = 32;
    else if (bits != 64 && strcmp(format, "double") != 0)
        return decimal_type(schema);
    return t;
}

/* An integer that may pass 64 bits (unsigned ones do) is a decimal. */
static struct column_type integer_type(const struct doc *schema)
{
    const double limit = 9223372036854775808.0;

    if (doc_real(doc_get(schema, "maximum"), 0) >= limit ||
        doc_real(doc_get(schema, "minimum"), 0) < -limit)
        return type_plain(TYPE_DECIMAL);
    return type_plain(TYPE_INT);
}

static struct column_type string_type(const struct doc *schema, struct found *f)
{
    static const struct {
        const char *format;
        enum type type;
    } formats[] = {
        {"date", TYPE_DATE},
        {"date-time", TYPE_TIMESTAMPTZ},
        {"date-time-local", TYPE_TIMESTAMP},
        {"time", TYPE_TIME},
        {"duration", TYPE_INTERVAL},
        {"interval", TYPE_INTERVAL},
        {"uuid", TYPE_UUID},
        {"byte", TYPE_BYTES},
    };
    const char *encoding = doc_string(doc_get(schema, "contentEncoding"), "");
    const char *format = doc_string(doc_get(schema, "format"), "");

    f->is_base16 = !strcmp(encoding, "base16");
    if (!strcmp(encoding, "base64") || f->is_base16)
        return type_plain(TYPE_BYTES);
    if (!strcmp(format, "singer.decimal") || !strcmp(format, "x-singer.decimal") ||
        !strcmp(format, "decimal"))
        return decimal_type(schema);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!strcmp(formats[i].format, format))
            return type_plain(formats[i].type);
    }
    return type_plain(TYPE_STRING);
}

static void add_named(struct found *f, const char *name, const struct doc *schema)
{
    if (!strcmp(name, "null"))
        f->nullable = true;
    else if (!strcmp(name, "boolean"))
        add(f, type_plain(TYPE_BOOL));
    else if (!strcmp(name, "integer"))
        add(f, integer_type(schema));
    else if (!strcmp(name, "number"))
        add(f, number_type(schema));
    else if (!strcmp(name, "string"))
        add(f, string_type(schema, f));
    else
        add(f, type_plain(TYPE_JSON));
}

/* Alternatives may hold alternatives; how deep, the limits of a document decide. */
static void read_shape(struct found *f, const struct doc *schema);

/* True when `list` is a list of alternatives, which are then read. */
static bool read_branches(struct found *f, const struct doc *list)
{
    if (!doc_is(list, DOC_ARRAY))
        return false;
    for (size_t i = 0; i < doc_count(list); i++)
        read_shape(f, doc_at(list, i));
    return doc_count(list) > 0;
}

/* The one branch that says what a value is, where the others only narrow it; NULL = none or several
 * do. */
static const struct doc *telling_branch(const struct doc *all)
{
    static const char *const words[] = {"type",   "anyOf", "oneOf",           "allOf", "enum",
                                        "format", "const", "contentEncoding", NULL};
    const struct doc *found = NULL;

    for (size_t i = 0; i < doc_count(all); i++) {
        const char *const *word = words;

        while (*word && !doc_get(doc_at(all, i), *word))
            word++;
        if (*word && found)
            return NULL;
        if (*word)
            found = doc_at(all, i);
    }
    return found;
}

/* One of the values that there can be. */
static void add_value(struct found *f, const struct doc *value, const struct doc *schema)
{
    static const char *const types[] = {
        [DOC_NULL] = "null",    [DOC_BOOL] = "boolean",  [DOC_INT] = "integer",
        [DOC_REAL] = "number",  [DOC_STRING] = "string", [DOC_ARRAY] = "array",
        [DOC_OBJECT] = "object"};

    add_named(f, types[doc_kind(value)], schema);
}

/* A schema that names no type: by its alternatives, its values, its format; else it is anything. */
static void read_untyped(struct found *f, const struct doc *schema)
{
    const struct doc *telling = telling_branch(doc_get(schema, "allOf"));
    const struct doc *values = doc_get(schema, "enum"), *only = doc_get(schema, "const");

    if (read_branches(f, doc_get(schema, "anyOf")) || read_branches(f, doc_get(schema, "oneOf")))
        return;
    if (telling) {
        read_shape(f, telling);
    } else if (only) {
        add_value(f, only, schema);
    } else if (doc_count(values) > 0) {
        for (size_t i = 0; i < doc_count(values); i++)
            add_value(f, doc_at(values, i), schema);
    } else if (doc_get(schema, "format") || doc_get(schema, "contentEncoding")) {
        add(f, string_type(schema, f));
    } else {
        f->nullable = true;
        add(f, type_plain(TYPE_JSON));
    }
}

static void read_shape(struct found *f, const struct doc *schema)
{
    const struct doc *type = doc_get(schema, "type");

    if (doc_bool(doc_get(schema, "nullable"), false))
        f->nullable = true;
    if (doc_is(type, DOC_STRING)) {
        add_named(f, doc_string(type, ""), schema);
    } else if (doc_is(type, DOC_ARRAY) && doc_count(type)) {
        for (size_t i = 0; i < doc_count(type); i++)
            add_named(f, doc_string(doc_at(type, i), ""), schema);
    } else {
        read_untyped(f, schema);
    }
}

int column_from_json_schema(const struct doc *schema, struct column *out, struct error *err)
{
    struct found f = {.any = false};

    if (!doc_is(schema, DOC_OBJECT) && !doc_is(schema, DOC_BOOL))
        return error_set(err, ERR_INVALID, "a JSON Schema is an object, found %s",
                         doc_kind_name(doc_kind(schema)));
    read_shape(&f, schema);
    if (!f.any) { /* nothing but "null" */
        f.nullable = true;
        f.type = type_plain(TYPE_JSON);
    }
    out->type = f.type;
    out->nullable = f.nullable;
    /* Bytes are base64 everywhere else, so whoever reads such a source has to be told. */
    out->source_type = f.type.type == TYPE_BYTES && f.is_base16 ? "base16" : "";
    return 0;
}

/* By asking, so that what is told is what is done. */
void json_schema_tell_types(tell_fn *tell, void *arg)
{
    static const char *const shown[] = {
        "{\"type\":\"boolean\"}",
        "{\"type\":\"integer\"}",
        "{\"type\":\"integer\",\"maximum\":18446744073709551615}",
        "{\"type\":\"number\"}",
        "{\"type\":\"number\",\"format\":\"double\"}",
        "{\"type\":\"number\",\"format\":\"float\"}",
        "{\"type\":\"string\"}",
        "{\"type\":\"string\",\"format\":\"singer.decimal\"}",
        "{\"type\":\"string\",\"format\":\"date\"}",
        "{\"type\":\"string\",\"format\":\"time\"}",
        "{\"type\":\"string\",\"format\":\"date-time\"}",
        "{\"type\":\"string\",\"format\":\"date-time-local\"}",
        "{\"type\":\"string\",\"format\":\"duration\"}",
        "{\"type\":\"string\",\"format\":\"uuid\"}",
        "{\"type\":\"string\",\"contentEncoding\":\"base64\"}",
        "{\"type\":[\"integer\",\"string\"]}",
        "{\"type\":\"array\"}",
        "{\"type\":\"object\"}",
        "{}",
    };

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        CLEANUP(doc_free_cleanup) struct doc *schema = NULL;
        struct error ignored = ERROR_INIT;
        struct column column;
        char text[32];

        if (doc_parse_trusted(shown[i], strlen(shown[i]), &schema, &ignored) < 0 ||
            column_from_json_schema(schema, &column, &ignored) < 0)
            continue;
        (void)type_format(column.type, text);
        tell(arg, shown[i], text);
    }
}

void json_schema_tell_shapes(tell_fn *tell, void *arg)
{
    for (enum type t = 0; t < TYPE_COUNT; t++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(1024);
        struct column column = {.type = type_plain(t)};
        CLEANUP(doc_free_cleanup) struct doc *schema = column_to_json_schema(&column);

        doc_write(schema, &text);
        tell(arg, type_name(t), buf_str(&text));
    }
}

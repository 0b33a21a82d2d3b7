/* A SCHEMA message: JSON Schema of draft 4 to 7 on its way to columns. */
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/singer/message.h"

/* References inside references; deeper ones go round in circles. */
#define MAX_REFS 32

/* ------------------------------------------------------------------- references */

/* A token of a JSON pointer, with ~1 and ~0 decoded. */
static void put_token(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '~' && i + 1 < n && (s[i + 1] == '0' || s[i + 1] == '1'))
            buf_putc(out, s[++i] == '0' ? '~' : '/');
        else
            buf_putc(out, s[i]);
    }
}

static const struct doc *follow(const struct doc *root, const char *ref)
{
    CLEANUP(buf_release) struct buf token = BUF_INIT(4096);
    const struct doc *at = root;

    if (*ref != '#')
        return NULL;
    ref++;
    while (at && *ref == '/') {
        size_t n = strcspn(ref + 1, "/");

        buf_clear(&token);
        put_token(&token, ref + 1, n);
        at = doc_get(at, buf_str(&token));
        ref += n + 1;
    }
    return *ref ? NULL : at;
}

static int inlined(const struct doc *root, const struct doc *schema, int depth, struct doc **out,
                   struct error *err);

/* The alternatives of a schema, each with its references in their place. */
static int inline_branches(const struct doc *root, struct doc *schema, int depth, struct error *err)
{
    static const char *const lists[] = {"anyOf", "oneOf", "allOf"};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct doc *list = doc_get(schema, lists[i]);
        struct doc *fresh;

        if (!doc_is(list, DOC_ARRAY))
            continue;
        fresh = doc_new_array();
        for (size_t k = 0; k < doc_count(list); k++) {
            struct doc *branch;

            if (inlined(root, doc_at(list, k), depth + 1, &branch, err) < 0) {
                doc_free(fresh);
                return -1;
            }
            doc_append(fresh, branch);
        }
        doc_set(schema, lists[i], fresh);
    }
    return 0;
}

static int inlined(const struct doc *root, const struct doc *schema, int depth, struct doc **out,
                   struct error *err)
{
    const char *ref = doc_string(doc_get(schema, "$ref"), NULL);
    const struct doc *target = ref ? follow(root, ref) : schema;
    CLEANUP(doc_free_cleanup) struct doc *own = NULL;

    if (!target)
        return error_set_reason(err, ERR_SCHEMA, "bad_schema",
                                "the reference \"%s\" leads nowhere in the schema", ref);
    if (depth > MAX_REFS)
        return error_set_reason(err, ERR_SCHEMA, "bad_schema",
                                "references and alternatives are nested more than %d deep",
                                MAX_REFS);
    if (ref)
        return inlined(root, target, depth + 1, out, err);
    own = doc_copy(schema);
    if (doc_is(own, DOC_OBJECT) && inline_branches(root, own, depth, err) < 0)
        return -1;
    *out = TAKE(own);
    return 0;
}

int singer_inline_refs(const struct doc *schema, struct doc **out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *whole = NULL;
    CLEANUP(doc_free_cleanup) struct doc *fresh = doc_new_object();
    const struct doc *properties;

    if (inlined(schema, schema, 0, &whole, err) < 0)
        return -1;
    properties = doc_get(whole, "properties");
    for (const struct doc_member *m = doc_first(properties); m; m = doc_next(properties, m)) {
        struct doc *property;

        if (inlined(schema, doc_member_value(m), 0, &property, err) < 0)
            return error_wrap(err, "property \"%s\"", doc_member_key(m));
        doc_set(fresh, doc_member_key(m), property);
    }
    if (properties)
        doc_set(whole, "properties", TAKE(fresh));
    *out = TAKE(whole);
    return 0;
}

/* ---------------------------------------------------------------------- columns */

static int read_columns(const struct doc *schema, struct arena *mem, struct schema *out,
                        struct error *err)
{
    const struct doc *properties = doc_get(schema, "properties");
    size_t n = doc_count(properties);
    struct column *columns;

    if (!doc_is(properties, DOC_OBJECT) || n == 0)
        return error_set_reason(err, ERR_SCHEMA, "bad_schema",
                                "the schema has no properties, so its records have no columns");
    if (n > SCHEMA_MAX_COLUMNS)
        return error_set_reason(err, ERR_SCHEMA, "bad_schema", "%zu columns are more than %d", n,
                                SCHEMA_MAX_COLUMNS);
    columns = arena_array(mem, n, sizeof *columns);
    out->columns = columns;
    for (const struct doc_member *m = doc_first(properties); m; m = doc_next(properties, m)) {
        struct column *c = &columns[out->n_columns++];

        if (column_from_json_schema(doc_member_value(m), c, err) < 0)
            return error_wrap(err, "property \"%s\"", doc_member_key(m));
        c->name = arena_strdup(mem, doc_member_key(m));
    }
    return 0;
}

static int read_numbers(const struct doc *names, const char *what, const struct schema *schema,
                        struct arena *mem, const size_t **out, size_t *out_n, struct error *err)
{
    size_t *numbers = arena_array(mem, doc_count(names) + 1, sizeof *numbers), n = 0;

    *out = numbers;
    *out_n = 0;
    if (names && !doc_is(names, DOC_ARRAY) && !doc_is(names, DOC_NULL))
        return error_set_reason(err, ERR_SCHEMA, "bad_schema", "\"%s\" is no array", what);
    for (size_t i = 0; i < doc_count(names); i++) {
        const char *name = doc_string(doc_at(names, i), "");
        long column = schema_find(schema, name);

        if (column < 0)
            return error_set_reason(err, ERR_SCHEMA, "bad_schema",
                                    "\"%s\" names \"%s\", which is no property", what, name);
        numbers[n++] = (size_t)column;
    }
    *out_n = n;
    return 0;
}

/* What every record must have: `required`, as far as it names properties, and the key. */
static void read_required(const struct doc *schema, const struct schema *columns, struct arena *mem,
                          struct singer_schema *out)
{
    const struct doc *names = doc_get(schema, "required");
    size_t *required = arena_array(mem, doc_count(names) + columns->n_key + 1, sizeof *required);

    for (size_t i = 0; i < columns->n_key; i++)
        required[out->n_required++] = columns->key[i];
    for (size_t i = 0; i < doc_count(names); i++) {
        long column = schema_find(columns, doc_string(doc_at(names, i), ""));

        if (column >= 0)
            required[out->n_required++] = (size_t)column;
    }
    out->required = required;
}

static int read_schema(const struct doc *d, struct arena *mem, struct singer_schema *out,
                       struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *schema = NULL;
    const struct doc *key = doc_get(d, "key_properties");
    struct schema *columns = arena_alloc(mem, sizeof *columns);

    out->stream = arena_strdup(mem, doc_string(doc_get(d, "stream"), ""));
    if (!doc_is(doc_get(d, "schema"), DOC_OBJECT))
        return error_set_reason(err, ERR_SCHEMA, "bad_schema", "\"schema\" is no object");
    if (!key || doc_is(key, DOC_NULL) || (doc_is(key, DOC_ARRAY) && !doc_count(key)))
        key = doc_get(d, "unique_constraints"); /* how the framework says it without a key */
    if (singer_inline_refs(doc_get(d, "schema"), &schema, err) < 0 ||
        read_columns(schema, mem, columns, err) < 0 ||
        read_numbers(key, "key_properties", columns, mem, &columns->key, &columns->n_key, err) < 0)
        return -1;
    out->schema = columns;
    read_required(schema, columns, mem, out);
    out->closed = !doc_bool(doc_get(schema, "additionalProperties"), true) &&
                  doc_count(doc_get(schema, "patternProperties")) == 0;
    return 0;
}

int singer_read_schema(struct slice line, struct arena *mem, struct singer_schema *out,
                       struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;

    *out = (struct singer_schema){.n_required = 0};
    if (doc_parse(line.ptr, line.len, &d, err) < 0)
        return error_wrap(err, "a SCHEMA");
    if (read_schema(d, mem, out, err) < 0)
        return error_wrap(err, "the SCHEMA of stream \"%s\"", doc_string(doc_get(d, "stream"), ""));
    doc_remove(d, "schema");
    out->settings = TAKE(d);
    return 0;
}

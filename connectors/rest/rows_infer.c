/*
 * Which columns a stream has: from its inline schema, or from records.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/data/value.h"
#include "connectors/jsonrow.h"
#include "connectors/rest/rows.h"
#include "connectors/rest/rows_shape.h"

struct guess {
    char *name;
    struct column_type type;
    bool instants; /* every value was a string that is one */
};

struct rows_infer {
    const struct rest_stream *stream;
    struct shape shape;
    struct guess *columns;
    size_t n, cap, hint, seen;
};

struct rows_infer *rows_infer_new(const struct rest_stream *s)
{
    struct rows_infer *in = xalloc(sizeof *in);

    in->stream = s;
    shape_init(&in->shape, s);
    return in;
}

void rows_infer_free(struct rows_infer *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n; i++)
        free(in->columns[i].name);
    free(in->columns);
    shape_release(&in->shape);
    free(in);
}

size_t rows_infer_seen(const struct rows_infer *in)
{
    return in->seen;
}

/* Records look alike: the next member is usually the next column. */
static struct guess *find(struct rows_infer *in, const char *name)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t at = (in->hint + i) % in->n;

        if (strcmp(in->columns[at].name, name) == 0) {
            in->hint = at + 1;
            return &in->columns[at];
        }
    }
    return NULL;
}

static void look_at(struct rows_infer *in, const char *name, enum jsonread_token t,
                    const struct jsonread *r, struct slice raw)
{
    struct column_type type = jsonrow_type(t, r, raw);
    struct guess *g = find(in, name);
    int64_t ignored;
    bool instant =
        t == JSONREAD_STRING && value_parse_timestamptz(r->text.ptr, r->text.len, &ignored);

    if (!g) {
        if (in->n == SCHEMA_MAX_COLUMNS)
            return;
        if (in->n == in->cap) {
            in->cap = in->cap ? 2 * in->cap : 32;
            in->columns = xrealloc(in->columns, in->cap * sizeof *in->columns);
        }
        in->columns[in->n++] = (struct guess){xstrdup(name), type, instant};
        in->hint = in->n;
        return;
    }
    if (!type_join(g->type, type, &g->type))
        g->type = type_plain(TYPE_JSON);
    g->instants = g->instants && instant;
}

static int look(void *arg, struct slice record, struct error *err)
{
    struct rows_infer *in = arg;
    CLEANUP(jsonread_release) struct jsonread r;
    CLEANUP(buf_release) struct buf name = BUF_INIT(1 << 20);
    enum jsonread_token t;
    struct slice raw;

    jsonread_init(&r);
    jsonread_start(&r, record.ptr, record.len);
    if (jsonread_next(&r, &t, err) < 0)
        return -1;
    if (t != JSONREAD_OBJECT)
        return 0;
    in->seen++;
    for (;;) {
        if (jsonread_next(&r, &t, err) < 0)
            return -1;
        if (t != JSONREAD_KEY)
            return 0;
        buf_clear(&name);
        buf_put(&name, r.text.ptr, r.text.len);
        if (jsonread_next(&r, &t, err) < 0 || jsonread_skip(&r, t, &raw, err) < 0)
            return -1;
        if (t != JSONREAD_NULL && !memchr(buf_str(&name), '\0', name.len))
            look_at(in, buf_str(&name), t, &r, raw);
    }
}

int rows_infer_look(struct rows_infer *in, struct slice record, const struct scopes *s,
                    struct error *err)
{
    int64_t ignored;

    return shape_feed(&in->shape, record, s, look, in, &ignored, err);
}

/* ------------------------------------------------------------------------ schema */

static bool is_cursor(const struct rest_stream *s, const char *name)
{
    const struct rest_incremental *inc = &s->incremental;

    return inc->present && inc->type == REST_CURSOR_TIMESTAMP && inc->field.n == 1 &&
           strcmp(inc->field.steps[0].key ? inc->field.steps[0].key : "", name) == 0;
}

static void put(struct arena *mem, struct column *columns, size_t *n, const char *name,
                struct column_type type)
{
    columns[(*n)++] = (struct column){
        .name = arena_strdup(mem, name), .type = type, .source_type = "", .nullable = true};
}

static void override_types(const struct rest_stream *s, struct arena *mem, struct column *columns,
                           size_t *n)
{
    for (size_t i = 0; i < s->n_types; i++) {
        bool found = false;

        for (size_t j = 0; j < *n; j++) {
            if (strcmp(columns[j].name, s->types[i].column) == 0) {
                columns[j].type = s->types[i].type;
                found = true;
            }
        }
        if (!found)
            put(mem, columns, n, s->types[i].column, s->types[i].type);
    }
}

static int set_key(const struct rest_stream *s, struct arena *mem, struct schema *out,
                   struct column *columns, struct error *err)
{
    size_t *key = arena_array(mem, s->n_key + 1, sizeof *key);

    for (size_t i = 0; i < s->n_key; i++) {
        long at = schema_find(out, s->key[i]);

        if (at < 0 && s->schema_kind == REST_SCHEMA_INLINE)
            return error_set_reason(err, ERR_CONFIG, "key_missing",
                                    "stream \"%s\": the schema has no column \"%s\" of the key",
                                    s->name, s->key[i]);
        if (at < 0) {
            put(mem, columns, &out->n_columns, s->key[i], type_plain(TYPE_STRING));
            at = (long)out->n_columns - 1;
        }
        key[i] = (size_t)at;
    }
    out->key = key;
    out->n_key = s->n_key;
    return 0;
}

int rows_infer_schema(const struct rows_infer *in, struct arena *mem, const struct schema **out,
                      struct error *err)
{
    const struct rest_stream *s = in->stream;
    size_t given = s->schema_kind == REST_SCHEMA_INLINE ? s->schema->n_columns : 0;
    struct column *columns =
        arena_array(mem, given + in->n + s->n_types + s->n_key + 1, sizeof *columns);
    struct schema *schema = arena_alloc(mem, sizeof *schema);
    size_t n = 0;

    for (size_t i = 0; i < given; i++)
        put(mem, columns, &n, s->schema->columns[i].name, s->schema->columns[i].type);
    for (size_t i = 0; given == 0 && i < in->n; i++) {
        const struct guess *g = &in->columns[i];
        bool instant = g->instants && is_cursor(s, g->name);

        put(mem, columns, &n, g->name, instant ? type_plain(TYPE_TIMESTAMPTZ) : g->type);
    }
    override_types(s, mem, columns, &n);
    *schema = (struct schema){.columns = columns, .n_columns = n};
    *out = schema;
    return set_key(s, mem, schema, columns, err);
}

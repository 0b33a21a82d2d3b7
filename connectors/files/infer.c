#include "connectors/files/infer.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"
#include "connectors/files/cell.h"
#include "connectors/files/reader_rows.h"

/* What all values of a column have looked like so far. */
struct guess {
    char *name;
    bool in_header; /* of CSV: a column even without a value */
    bool in_object; /* of NDJSON */
    size_t n_values;
    struct column_type type; /* NDJSON: the join of the tokens */
    bool ints, decimals, bools;
    bool uuids, dates, instants; /* looked at with detect_formats only */
};

struct infer {
    const struct files_config *config;
    struct guess *columns;
    size_t n, cap;
};

struct infer *infer_new(const struct files_config *config)
{
    struct infer *in = xalloc(sizeof *in);

    in->config = config;
    return in;
}

void infer_free(struct infer *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n; i++)
        free(in->columns[i].name);
    free(in->columns);
    free(in);
}

static const struct guess *find(const struct infer *in, const char *name, size_t n)
{
    for (size_t i = 0; i < in->n; i++) {
        if (strlen(in->columns[i].name) == n && !memcmp(in->columns[i].name, name, n))
            return &in->columns[i];
    }
    return NULL;
}

static struct guess *add(struct infer *in, const char *name, size_t n)
{
    const struct guess *known = find(in, name, n);
    struct guess *g;

    if (known)
        return &in->columns[known - in->columns];
    if (in->n == in->cap) {
        in->cap = in->cap ? 2 * in->cap : 32;
        in->columns = xrealloc(in->columns, in->cap * sizeof *in->columns);
    }
    g = &in->columns[in->n++];
    *g = (struct guess){.ints = true,
                        .decimals = true,
                        .bools = true,
                        .uuids = true,
                        .dates = true,
                        .instants = true};
    g->name = xalloc(n + 1);
    memcpy(g->name, name, n);
    return g;
}

static void look_at_formats(struct guess *g, const char *s, size_t n)
{
    int64_t ignored;

    g->uuids = g->uuids && text_is_uuid(s, n);
    g->dates = g->dates && n == 10 && value_parse_date(s, n, &ignored);
    g->instants = g->instants && value_parse_timestamptz(s, n, &ignored);
}

static void look_at_text(struct guess *g, bool formats, const char *s, size_t n)
{
    int64_t number;
    bool truth, is_int = g->decimals && cell_looks_int(s, n, &number);

    g->n_values++;
    g->ints = g->ints && is_int;
    g->decimals = g->decimals && (is_int || cell_looks_decimal(s, n));
    g->bools = g->bools && cell_looks_bool(s, n, &truth);
    if (formats)
        look_at_formats(g, s, n);
}

static enum type text_type(const struct guess *g, bool formats)
{
    if (!g->n_values)
        return TYPE_STRING;
    if (g->ints)
        return TYPE_INT;
    if (g->decimals)
        return TYPE_DECIMAL;
    if (g->bools)
        return TYPE_BOOL;
    if (formats && g->uuids)
        return TYPE_UUID;
    if (formats && g->dates)
        return TYPE_DATE;
    if (formats && g->instants)
        return TYPE_TIMESTAMPTZ;
    return TYPE_STRING;
}

/* ---------------------------------------------------------------------- CSV */

static void look_at_record(struct infer *in, struct reader *r, struct guess **columns)
{
    const struct csv_record *rec = &r->csv.record;

    for (size_t i = 0; rec->n_fields == r->n_names && i < rec->n_fields; i++) {
        const struct csv_field *f = &rec->fields[i];
        struct slice s;

        if (!f->quoted && cell_is_null(r->dialect.null_values, f->ptr, f->len))
            continue;
        s = csv_field_text(f, &r->dialect, &r->text);
        look_at_text(columns[i], in->config->detect_formats, s.ptr, s.len);
    }
}

static int sample_csv(struct infer *in, struct reader *r, size_t max, struct error *err)
{
    CLEANUP(free_cleanup) struct guess **columns = NULL;
    enum csv_outcome outcome = CSV_RECORD;

    if (!r->n_names)
        return 0;
    columns = xalloc(r->n_names * sizeof(struct guess *));
    for (size_t i = 0; i < r->n_names; i++)
        add(in, r->names[i], strlen(r->names[i]))->in_header = true;
    for (size_t i = 0; i < r->n_names; i++) /* adding moves them */
        columns[i] = add(in, r->names[i], strlen(r->names[i]));
    for (size_t i = 0; i < max && reader_offset(r) < INFER_BYTES; i++) {
        if (!r->again && csv_next(&r->csv, &outcome, err) < 0)
            return -1;
        r->again = false;
        if (outcome == CSV_END || outcome == CSV_OPEN)
            break;
        if (outcome == CSV_RECORD)
            look_at_record(in, r, columns);
    }
    return 0;
}

/* ------------------------------------------------------------------- NDJSON */

static void look_at_value(struct infer *in, struct guess *g, enum jsonread_token token,
                          const struct jsonread *json, struct slice raw)
{
    struct column_type type = jsonrow_type(token, json, raw);

    if (!g->in_object)
        g->type = type;
    else if (!type_join(g->type, type, &g->type))
        g->type = type_plain(TYPE_JSON); /* keeps every value as it was written */
    g->in_object = true;
    if (token != JSONREAD_STRING)
        g->uuids = g->dates = g->instants = false;
    else if (in->config->detect_formats)
        look_at_formats(g, json->text.ptr, json->text.len);
}

static enum type json_type(const struct guess *g, bool formats)
{
    if (g->type.type != TYPE_STRING || !formats)
        return g->type.type;
    if (g->uuids)
        return TYPE_UUID;
    if (g->dates)
        return TYPE_DATE;
    return g->instants ? TYPE_TIMESTAMPTZ : TYPE_STRING;
}

static int look_at_member(struct infer *in, struct reader *r, struct error *err)
{
    enum jsonread_token token;
    struct slice raw;

    buf_clear(&r->text.plain);
    buf_put(&r->text.plain, r->json.text.ptr, r->json.text.len);
    if (jsonread_next(&r->json, &token, err) < 0 || jsonread_skip(&r->json, token, &raw, err) < 0)
        return -1;
    if (token == JSONREAD_NULL || in->n >= SCHEMA_MAX_COLUMNS ||
        memchr(buf_str(&r->text.plain), 0, r->text.plain.len))
        return 0;
    look_at_value(in, add(in, buf_str(&r->text.plain), r->text.plain.len), token, &r->json, raw);
    return 0;
}

static void look_at_line(struct infer *in, struct reader *r)
{
    struct error ignored = ERROR_INIT;
    enum jsonread_token token;

    if (!value_is_json(r->ndjson.text.ptr, r->ndjson.text.len))
        return; /* half a line would leave columns that nobody meant */
    jsonread_start(&r->json, r->ndjson.text.ptr, r->ndjson.text.len);
    if (jsonread_next(&r->json, &token, &ignored) < 0 || token != JSONREAD_OBJECT)
        return;
    while (jsonread_next(&r->json, &token, &ignored) == 0 && token == JSONREAD_KEY) {
        if (look_at_member(in, r, &ignored) < 0)
            return;
    }
}

static int sample_ndjson(struct infer *in, struct reader *r, size_t max, struct error *err)
{
    enum ndjson_outcome outcome;

    for (size_t i = 0; i < max && reader_offset(r) < INFER_BYTES; i++) {
        if (ndjson_next(&r->ndjson, &outcome, err) < 0)
            return -1;
        if (outcome == NDJSON_END || outcome == NDJSON_OPEN)
            break;
        if (outcome == NDJSON_LINE)
            look_at_line(in, r);
    }
    return 0;
}

int infer_sample(struct infer *in, struct reader *r, size_t max, struct error *err)
{
    if (r->dialect.format == FILES_CSV)
        return sample_csv(in, r, max, err);
    return sample_ndjson(in, r, max, err);
}

/* ------------------------------------------------------------------- result */

static struct column_type type_of(const struct infer *in, const struct guess *g)
{
    bool formats = in->config->detect_formats;

    struct column_type text = type_plain(text_type(g, formats)), both;

    if (!g->in_object)
        return text;
    if (!g->in_header || !g->n_values)
        return type_plain(json_type(g, formats));
    /* Files of both formats. */
    return type_join(text, type_plain(json_type(g, formats)), &both) ? both
                                                                     : type_plain(TYPE_STRING);
}

struct column_type infer_type(const struct infer *in, const char *name)
{
    const struct guess *g = find(in, name, strlen(name));

    return g ? type_of(in, g) : type_plain(TYPE_STRING);
}

static int find_key(const struct infer *in, struct arena *mem, struct schema *s, struct error *err)
{
    const struct string_list *key = &in->config->key;
    size_t *numbers = arena_array(mem, key->n ? key->n : 1, sizeof *numbers);

    for (size_t i = 0; i < key->n; i++) {
        long column = schema_find(s, key->items[i]);

        if (column < 0)
            return error_set(err, ERR_CONFIG, "\"key\" names \"%s\", which no file has",
                             key->items[i]);
        numbers[i] = (size_t)column;
    }
    s->key = numbers;
    s->n_key = key->n;
    return 0;
}

static size_t add_column(struct column *columns, size_t n, struct arena *mem, const char *name,
                         struct column_type type)
{
    columns[n] = (struct column){
        .name = arena_strdup(mem, name), .type = type, .source_type = "", .nullable = true};
    return n + 1;
}

/* Declared members that the sample of NDJSON did not hold; a CSV file shows all it has. */
static int add_declared(const struct infer *in, struct arena *mem, struct column *columns,
                        size_t *n, struct error *err)
{
    const struct doc *types = in->config->types;
    bool csv = in->n && in->columns[0].in_header;

    for (const struct doc_member *m = doc_first(types); m; m = doc_next(types, m)) {
        const char *name = doc_member_key(m);
        struct column_type type;

        if (find(in, name, strlen(name)))
            continue;
        if (csv)
            return error_set(err, ERR_CONFIG, "\"types\" names \"%s\", which no file has", name);
        if (*n < SCHEMA_MAX_COLUMNS && files_declared_type(in->config, name, &type))
            *n = add_column(columns, *n, mem, name, type);
    }
    return 0;
}

int infer_schema(const struct infer *in, struct arena *mem, const struct schema **out,
                 struct error *err)
{
    struct schema *s = arena_alloc(mem, sizeof *s);
    size_t room = in->n + doc_count(in->config->types), n = 0;
    struct column *columns = arena_array(mem, room ? room : 1, sizeof *columns);

    for (size_t i = 0; i < in->n && n < SCHEMA_MAX_COLUMNS; i++) {
        const struct guess *g = &in->columns[i];
        struct column_type type = type_of(in, g);

        files_declared_type(in->config, g->name, &type);
        n = add_column(columns, n, mem, g->name, type);
    }
    if (add_declared(in, mem, columns, &n, err) < 0)
        return -1;
    s->columns = columns;
    s->n_columns = n;
    if (find_key(in, mem, s, err) < 0)
        return -1;
    *out = s;
    return 0;
}

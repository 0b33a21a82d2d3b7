#include "connectors/files/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"

#define OUR_PREFIX      "_connectord_"
#define MAX_NAMES_BYTES ((size_t)16 << 20)
#define MAX_META_BYTES  ((size_t)1 << 20)

struct encoder {
    struct arena *mem;
    struct encode_options options;
    const struct schema *seen;    /* of the batches */
    const struct schema *written; /* of the file: some of their columns, perhaps renamed */
    const size_t *columns;        /* of the batch, per written column */
    struct buf names;             /* NDJSON: `,"name":` of all columns in a row */
    size_t *name_ends;
    struct buf tail; /* what stands behind every row, but for the meta column */
    struct buf meta; /* of one row */
};

/* ------------------------------------------------------------------ columns */

static int frozen(const struct selected_stream *want, const char *what, const char *column,
                  struct error *err)
{
    return error_set_reason(err, ERR_SCHEMA, "schema_frozen",
                            "the column \"%s\" of \"%s\" %s, and its schema is frozen", column,
                            want->stream->name, what);
}

static int check_frozen(const struct selected_stream *want, const struct schema *schema,
                        struct error *err)
{
    for (size_t i = 0; i < schema->n_columns; i++) {
        const struct column *c = &schema->columns[i];
        long at = schema_find(want->schema, c->name);

        if (at < 0)
            return frozen(want, "is new", c->name, err);
        if (!type_equal(want->schema->columns[at].type, c->type))
            return frozen(want, "has another type", c->name, err);
    }
    for (size_t i = 0; i < want->schema->n_columns; i++) {
        if (schema_find(schema, want->schema->columns[i].name) < 0)
            return frozen(want, "is gone", want->schema->columns[i].name, err);
    }
    return 0;
}

/* A column of the source that is called like one of ours keeps its name and gets a mark. */
static const char *written_name(struct arena *mem, const char *name)
{
    char hex[HASH_HEX_BYTES];

    if (strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0)
        return name;
    hash_bytes_hex(name, strlen(name), hex);
    return arena_printf(mem, "%s_%.8s", name, hex);
}

static void choose_columns(struct encoder *e, const struct selected_stream *want)
{
    size_t *columns = arena_array(e->mem, e->seen->n_columns + 1, sizeof *columns), n = 0;
    struct column *written = arena_array(e->mem, e->seen->n_columns + 1, sizeof *written);
    struct schema *schema = arena_alloc(e->mem, sizeof *schema);

    for (size_t i = 0; i < e->seen->n_columns; i++) {
        const struct column *c = &e->seen->columns[i];

        if (want->drift == DRIFT_IGNORE && schema_find(want->schema, c->name) < 0)
            continue;
        columns[n] = i;
        written[n] = *c;
        written[n++].name = written_name(e->mem, c->name);
    }
    *schema = (struct schema){.columns = written, .n_columns = n};
    e->columns = columns;
    e->written = schema;
}

static void prepare_names(struct encoder *e)
{
    e->names = BUF_INIT(MAX_NAMES_BYTES);
    e->name_ends = arena_array(e->mem, e->written->n_columns + 1, sizeof *e->name_ends);
    for (size_t i = 0; i < e->written->n_columns; i++) {
        const char *name = e->written->columns[i].name;

        buf_puts(&e->names, i ? ",\"" : "\"");
        jsonw_escape(&e->names, name, strlen(name));
        buf_puts(&e->names, "\":");
        e->name_ends[i + 1] = e->names.len;
    }
}

/* ------------------------------------------------------- describing columns */

/* `key` and `text` are ours and need no escapes. */
static void put_described(struct encoder *e, const char *key, const char *text, bool quoted)
{
    const char *quote = quoted ? "\"" : "";

    if (e->options.format == FILES_NDJSON) {
        buf_printf(&e->tail, "%s\"" OUR_PREFIX "%s\":%s%s%s", e->tail.len ? "," : "", key, quote,
                   text, quote);
        return;
    }
    if (e->tail.len)
        buf_putc(&e->tail, e->options.csv.delimiter);
    csv_put_text(&e->tail, &e->options.csv, text, strlen(text));
}

static void prepare_tail(struct encoder *e)
{
    const struct encode_options *o = &e->options;
    char when[CLOCK_TEXT_BYTES], generation[24];

    e->tail = BUF_INIT(4096);
    e->meta = BUF_INIT(MAX_META_BYTES);
    if (o->metadata == METADATA_NONE)
        return;
    clock_format_us(o->synced_unix_us, when);
    put_described(e, "synced_at", when, true);
    if (o->metadata == METADATA_MINIMAL)
        return;
    snprintf(generation, sizeof generation, "%lld", (long long)o->generation);
    put_described(e, "run_id", o->run_id, true);
    clock_format_us(clock_unix_us(), when);
    put_described(e, "extracted_at", when, true);
    put_described(e, "generation", generation, false);
}

static void put_header_tail(const struct encoder *e, struct buf *out)
{
    static const char *const names[] = {"synced_at", "run_id", "extracted_at", "generation"};
    size_t n = e->options.metadata == METADATA_FULL ? 4 : 1;

    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%c" OUR_PREFIX "%s", e->options.csv.delimiter, names[i]);
    buf_printf(out, "%c" OUR_PREFIX "meta", e->options.csv.delimiter);
}

/* {"q":["column"]}: the cells that went to quarantine. */
static void write_meta(struct buf *out, const struct schema *schema, const struct odd_cell *odd,
                       size_t n_odd)
{
    struct jsonw w = JSONW_INIT(out);

    jsonw_object(&w);
    jsonw_key(&w, "q");
    jsonw_array(&w);
    for (size_t i = 0; i < n_odd; i++)
        jsonw_string(&w, schema->columns[odd[i].column].name);
    jsonw_array_end(&w);
    jsonw_object_end(&w);
}

/* -------------------------------------------------------------------- rows */

static void put_csv_row(const struct encoder *e, struct buf *out, const struct batch *rows,
                        size_t row, const struct buf *meta)
{
    const struct csv_style *style = &e->options.csv;

    for (size_t i = 0; i < e->written->n_columns; i++) {
        if (i)
            buf_putc(out, style->delimiter);
        csv_put_cell(out, style, rows, e->columns[i], row);
    }
    if (e->options.metadata == METADATA_NONE)
        return;
    buf_putc(out, style->delimiter);
    buf_put(out, e->tail.data, e->tail.len);
    buf_putc(out, style->delimiter);
    if (meta)
        csv_put_text(out, style, meta->data, meta->len);
    else
        buf_puts(out, style->null_value);
}

static void put_json_row(const struct encoder *e, struct buf *out, const struct batch *rows,
                         size_t row, const struct buf *meta)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < e->written->n_columns; i++) {
        buf_put(out, e->names.data + e->name_ends[i], e->name_ends[i + 1] - e->name_ends[i]);
        ndjson_put_cell(out, rows, e->columns[i], row);
    }
    if (e->options.metadata != METADATA_NONE) {
        if (e->written->n_columns)
            buf_putc(out, ',');
        buf_put(out, e->tail.data, e->tail.len);
        buf_puts(out, ",\"" OUR_PREFIX "meta\":");
        buf_puts(out, meta ? buf_str(meta) : "null");
    }
    buf_putc(out, '}');
}

int encoder_new(const struct encode_options *options, const struct selected_stream *want,
                const struct schema *schema, struct encoder **out, struct error *err)
{
    struct encoder *e;

    if (want->drift == DRIFT_FREEZE && check_frozen(want, schema, err) < 0)
        return -1;
    e = xalloc(sizeof *e);
    e->mem = arena_new();
    e->options = *options;
    e->seen = schema_copy(e->mem, schema);
    choose_columns(e, want);
    prepare_names(e);
    prepare_tail(e);
    *out = e;
    return 0;
}

void encoder_free(struct encoder *e)
{
    if (!e)
        return;
    buf_release(&e->names);
    buf_release(&e->tail);
    buf_release(&e->meta);
    arena_free(e->mem);
    free(e);
}

bool encoder_fits(const struct encoder *e, const struct schema *schema)
{
    return schema_equal(e->seen, schema);
}

const struct schema *encoder_schema(const struct encoder *e)
{
    return e->written;
}

void encoder_put_header(const struct encoder *e, struct buf *out)
{
    if (e->options.format != FILES_CSV)
        return;
    for (size_t i = 0; i < e->written->n_columns; i++) {
        const char *name = e->written->columns[i].name;

        if (i)
            buf_putc(out, e->options.csv.delimiter);
        csv_put_text(out, &e->options.csv, name, strlen(name));
    }
    if (e->options.metadata != METADATA_NONE)
        put_header_tail(e, out);
    buf_putc(out, '\n');
}

void encoder_put_row(struct encoder *e, struct buf *out, const struct batch *rows, size_t row,
                     const struct odd_cell *odd, size_t n_odd)
{
    const struct buf *meta = n_odd ? &e->meta : NULL;

    if (n_odd) {
        buf_clear(&e->meta);
        write_meta(&e->meta, e->seen, odd, n_odd);
    }
    if (e->options.format == FILES_CSV)
        put_csv_row(e, out, rows, row, meta);
    else
        put_json_row(e, out, rows, row, meta);
    buf_putc(out, '\n');
}

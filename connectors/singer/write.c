#include "connectors/singer/write.h"

#include "connectors/base/jsonwrite.h"

#define MAX_SCHEMA_BYTES ((size_t)16 << 20)

static void put_names(struct jsonw *w, const char *key, const struct schema *s, bool wanted)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (size_t i = 0; wanted && i < s->n_key; i++)
        jsonw_string(w, s->columns[s->key[i]].name);
    jsonw_array_end(w);
}

static void put_properties(struct jsonw *w, const struct schema *s)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_SCHEMA_BYTES);

    jsonw_key(w, "schema");
    jsonw_object(w);
    jsonw_put_string(w, "type", "object");
    jsonw_key(w, "properties");
    jsonw_object(w);
    for (size_t i = 0; i < s->n_columns; i++) {
        struct doc *d = column_to_json_schema(&s->columns[i]);

        buf_clear(&text);
        doc_write(d, &text);
        doc_free(d);
        jsonw_key(w, s->columns[i].name);
        jsonw_raw(w, buf_str(&text), text.len);
    }
    jsonw_object_end(w);
    jsonw_object_end(w);
}

/* What Mage's framework adds. */
static void put_additions(struct jsonw *w, const struct selected_stream *want,
                          const struct schema *schema, bool has_key)
{
    bool incremental = want->sync_mode == SYNC_INCREMENTAL;
    bool ignore = want->write_mode == WRITE_INSERT_ONLY;

    jsonw_put_string(w, "replication_method", incremental ? "INCREMENTAL" : "FULL_TABLE");
    jsonw_put_string(w, "unique_conflict_method", ignore ? "IGNORE" : "UPDATE");
    put_names(w, "unique_constraints", schema, has_key);
    jsonw_key(w, "partition_keys");
    jsonw_array(w);
    jsonw_array_end(w);
    jsonw_put_bool(w, "auto_add_new_fields", want->drift == DRIFT_EVOLVE);
    jsonw_put_bool(w, "disable_column_type_check", false);
}

void singer_put_schema(struct buf *out, const char *name, const struct selected_stream *want,
                       const struct schema *schema)
{
    struct jsonw w = JSONW_INIT(out);
    bool has_key = want->write_mode != WRITE_APPEND;
    const char *cursor = want->cursor >= 0 ? want->schema->columns[want->cursor].name : NULL;

    jsonw_object(&w);
    jsonw_put_string(&w, "type", "SCHEMA");
    jsonw_put_string(&w, "stream", name);
    put_properties(&w, schema);
    put_names(&w, "key_properties", schema, has_key);
    jsonw_key(&w, "bookmark_properties");
    jsonw_array(&w);
    if (cursor && want->sync_mode == SYNC_INCREMENTAL && schema_find(schema, cursor) >= 0)
        jsonw_string(&w, cursor);
    jsonw_array_end(&w);
    put_additions(&w, want, schema, has_key);
    jsonw_object_end(&w);
    buf_putc(out, '\n');
}

void singer_put_activate_version(struct buf *out, const char *name, int64_t version)
{
    struct jsonw w = JSONW_INIT(out);

    jsonw_object(&w);
    jsonw_put_string(&w, "type", "ACTIVATE_VERSION");
    jsonw_put_string(&w, "stream", name);
    jsonw_put_int(&w, "version", version);
    jsonw_object_end(&w);
    buf_putc(out, '\n');
}

void singer_put_state(struct buf *out, const char *value, size_t n)
{
    buf_puts(out, "{\"type\":\"STATE\",\"value\":");
    buf_put(out, value, n);
    buf_puts(out, "}\n");
}

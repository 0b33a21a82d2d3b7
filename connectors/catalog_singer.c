/*
 * Singer's catalog, written and read. What Singer cannot say travels in members that begin with
 * "x-" or are named as in our own selections, so that a catalog of ours comes back whole.
 */
#include <string.h>

#include "connectors/catalog.h"
#include "connectors/catalog_internal.h"
#include "connectors/filter.h"
#include "connectors/renames.h"

/* ------------------------------------------------------------------- writing */

static struct doc *metadata_entry(const char *column, struct doc *metadata)
{
    struct doc *entry = doc_new_object();
    struct doc *breadcrumb = doc_new_array();

    if (column) {
        doc_append(breadcrumb, doc_new_string("properties"));
        doc_append(breadcrumb, doc_new_string(column));
    }
    doc_set(entry, "breadcrumb", breadcrumb);
    doc_set(entry, "metadata", metadata);
    return entry;
}

/* How a stream is written: with the selection there is for it, or without any. */
struct singer_stream {
    const struct stream *stream;
    const struct selected_stream *selected; /* NULL: this stream is not */
    bool has_selection;                     /* there is one, be it without this stream */
};

static struct doc *stream_metadata(const struct singer_stream *w)
{
    const struct stream *s = w->stream;
    struct doc *m = doc_new_object();

    doc_set(m, "inclusion", doc_new_string("available"));
    if (w->has_selection)
        doc_set(m, "selected", doc_new_bool(w->selected != NULL));
    doc_set(m, "table-key-properties",
            catalog_column_names(s->schema, s->schema->key, s->schema->n_key));
    if (!s->incremental)
        doc_set(m, "forced-replication-method", doc_new_string(SINGER_FULL_TABLE));
    doc_set(m, "valid-replication-keys", catalog_column_names(s->schema, s->cursors, s->n_cursors));
    if (*s->namespace)
        doc_set(m, "schema-name", doc_new_string(s->namespace));
    if (s->row_estimate >= 0)
        doc_set(m, "row-count", doc_new_int(s->row_estimate));
    if (s->source_defined_cursor)
        doc_set(m, "x-source-defined-cursor", doc_new_bool(true));
    if (s->resumable)
        doc_set(m, "x-resumable", doc_new_bool(true));
    if (s->doubt)
        doc_set(m, "x-doubt", doc_new_string(s->doubt));
    if (s->doubt_unmerged)
        doc_set(m, "x-doubt-unmerged", doc_new_string(s->doubt_unmerged));
    return m;
}

/* Whether this is a column of the key that counts: the user's, when there is one. */
static bool is_key(const struct singer_stream *w, const char *name)
{
    const struct schema *s = w->selected ? w->selected->schema : w->stream->schema;

    for (size_t i = 0; i < s->n_key; i++) {
        if (!strcmp(s->columns[s->key[i]].name, name))
            return true;
    }
    return false;
}

static struct doc *column_metadata(const struct singer_stream *w, const struct column *c)
{
    struct doc *m = doc_new_object();

    doc_set(m, "inclusion", doc_new_string(is_key(w, c->name) ? "automatic" : "available"));
    if (w->selected)
        doc_set(m, "selected", doc_new_bool(schema_find(w->selected->schema, c->name) >= 0));
    if (*c->source_type)
        doc_set(m, "sql-datatype", doc_new_string(c->source_type));
    return m;
}

static struct doc *all_metadata(const struct singer_stream *w)
{
    const struct schema *s = w->stream->schema;
    struct doc *list = doc_new_array();

    doc_append(list, metadata_entry(NULL, stream_metadata(w)));
    for (size_t i = 0; i < s->n_columns; i++)
        doc_append(list, metadata_entry(s->columns[i].name, column_metadata(w, &s->columns[i])));
    return list;
}

static struct doc *stream_schema(const struct schema *s)
{
    struct doc *d = doc_new_object();
    struct doc *properties = doc_new_object();

    for (size_t i = 0; i < s->n_columns; i++)
        doc_set(properties, s->columns[i].name, column_to_json_schema(&s->columns[i]));
    doc_set(d, "type", doc_new_string("object"));
    doc_set(d, "properties", properties);
    return d;
}

/* The methods, keys and names that the framework adds; what a default run would do when nothing
 * is selected. */
static void put_replication(const struct singer_stream *w, struct doc *d)
{
    const struct selected_stream *s = w->selected;
    const struct schema *schema = s ? s->schema : w->stream->schema;
    bool incremental = s && s->sync_mode == SYNC_INCREMENTAL;
    bool ignore = s && s->write_mode == WRITE_INSERT_ONLY;
    /* Without keys a target appends: that is how Singer says it. */
    size_t n_key = s && s->write_mode == WRITE_APPEND ? 0 : schema->n_key;
    const char *cursor = s && s->cursor >= 0 ? schema->columns[s->cursor].name : NULL;
    struct doc *bookmarks = doc_new_array();

    if (cursor)
        doc_append(bookmarks, doc_new_string(cursor));
    doc_set(d, "key_properties", catalog_column_names(schema, schema->key, n_key));
    doc_set(d, "replication_method",
            doc_new_string(incremental ? SINGER_INCREMENTAL : SINGER_FULL_TABLE));
    doc_set(d, "replication_key", doc_new_string(cursor));
    doc_set(d, "bookmark_properties", bookmarks);
    doc_set(d, "bookmark_property_operators", doc_new_object());
    doc_set(d, "unique_conflict_method", doc_new_string(ignore ? SINGER_IGNORE : SINGER_UPDATE));
    doc_set(d, "unique_constraints", catalog_column_names(schema, schema->key, n_key));
    if (n_key < schema->n_key)
        doc_set(d, "primary_key", catalog_column_names(schema, schema->key, schema->n_key));
    if (s && s->write_mode != singer_write_mode(s->sync_mode, n_key, ignore))
        doc_set(d, "destination_sync_mode", doc_new_string(write_mode_name(s->write_mode)));
}

static struct doc *stream_to_singer(struct arena *mem, const struct singer_stream *w)
{
    const struct selected_stream *s = w->selected;
    const struct stream *stream = w->stream;
    struct doc *d = doc_new_object();

    doc_set(d, "tap_stream_id", doc_new_string(stream_full_name(mem, stream)));
    doc_set(d, "stream", doc_new_string(stream->name));
    doc_set(d, "stream_alias",
            doc_new_string(s && strcmp(s->alias, stream->name) != 0 ? s->alias : NULL));
    doc_set(d, "schema", stream_schema(stream->schema));
    doc_set(d, "metadata", all_metadata(w));
    put_replication(w, d);
    doc_set(d, "auto_add_new_fields", doc_new_bool(!s || s->drift == DRIFT_EVOLVE));
    if (s && s->drift == DRIFT_FREEZE)
        doc_set(d, "new_columns", doc_new_string(drift_policy_name(s->drift)));
    doc_set(d, "disable_column_type_check", doc_new_bool(false));
    doc_set(d, "partition_keys", doc_new_array());
    doc_set(d, "run_in_parallel", doc_new_bool(!s || !s->one_lane));
    if (s && s->allow_empty)
        doc_set(d, "allow_empty", doc_new_bool(true));
    if (s && s->allow_shrink)
        doc_set(d, "allow_shrink", doc_new_bool(true));
    if (s && s->backfill)
        doc_set(d, "backfill_new_columns", doc_new_bool(true));
    if (s && s->snake)
        doc_set(d, "naming", doc_new_string("snake"));
    if (s && s->misfits != MISFIT_QUARANTINE_CELL)
        doc_set(d, "on_unrepresentable", doc_new_string(misfit_policy_name(s->misfits)));
    if (s && s->nul != NUL_QUARANTINE)
        doc_set(d, "nul", doc_new_string(nul_policy_name(s->nul)));
    if (s && s->n_renames)
        doc_set(d, "renames", renames_to_doc(s->renames, s->n_renames));
    if (s && s->n_filters)
        doc_set(d, "filter", filters_to_doc(s->filters, s->n_filters));
    return d;
}

/* The search begins behind the last one found: selections mostly stand in the catalog's order. */
static const struct selected_stream *selected_of(const struct selection *selection,
                                                 const struct stream *s, size_t *hint)
{
    for (size_t i = 0; selection && i < selection->n; i++) {
        size_t at = (*hint + i) % selection->n;
        const struct stream *other = selection->streams[at].stream;

        if (!strcmp(other->name, s->name) && !strcmp(other->namespace, s->namespace)) {
            *hint = at + 1;
            return &selection->streams[at];
        }
    }
    return NULL;
}

struct doc *catalog_to_singer(const struct catalog *c, const struct selection *selection)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct doc *d = doc_new_object();
    struct doc *streams = doc_new_array();
    size_t hint = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct singer_stream w = {
            &c->streams[i], selected_of(selection, &c->streams[i], &hint), selection != NULL};

        doc_append(streams, stream_to_singer(mem, &w));
    }
    doc_set(d, "streams", streams);
    return d;
}

/* ------------------------------------------------------------------- reading */

static int columns_from_singer(const struct doc *d, struct arena *mem, struct schema *out,
                               struct error *err)
{
    const struct doc *properties = doc_get(doc_get(d, "schema"), "properties");
    size_t n = doc_count(properties), used = 0;
    struct column *columns;

    if (!doc_is(properties, DOC_OBJECT))
        return error_set(err, ERR_INVALID, "\"schema\" has no \"properties\"");
    if (n > SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_TOO_LARGE, "%zu columns are more than %d", n, SCHEMA_MAX_COLUMNS);
    columns = arena_array(mem, n, sizeof *columns);
    for (const struct doc_member *it = doc_first(properties); it; it = doc_next(properties, it)) {
        const char *name = doc_member_key(it);
        const struct doc *m = singer_metadata(d, name);
        struct column *c = &columns[used];

        if (!strcmp(doc_string(doc_get(m, "inclusion"), ""), "unsupported"))
            continue;
        if (column_from_json_schema(doc_member_value(it), c, err) < 0)
            return error_wrap(err, "column \"%s\"", name);
        c->name = arena_strdup(mem, name);
        c->source_type = arena_strdup(mem, doc_string(doc_get(m, "sql-datatype"), c->source_type));
        used++;
    }
    out->columns = columns;
    out->n_columns = used;
    return 0;
}

static int stream_from_singer(const struct doc *d, struct arena *mem, struct stream *out,
                              struct error *err)
{
    const struct doc *m = singer_metadata(d, NULL);
    const struct doc *key = doc_get(m, "table-key-properties");
    const char *forced = doc_string(doc_get(m, "forced-replication-method"), "");
    const char *name = singer_stream_name(d);
    struct schema *schema = arena_alloc(mem, sizeof *schema);

    if (!*name)
        return error_set(err, ERR_INVALID, "it has neither \"stream\" nor \"tap_stream_id\"");
    out->name = arena_strdup(mem, name);
    out->namespace = arena_strdup(mem, doc_string(doc_get(m, "schema-name"), ""));
    out->schema = schema;
    if (!doc_is(key, DOC_ARRAY))
        key = doc_get(m, "view-key-properties");
    if (!doc_is(key, DOC_ARRAY))
        key = doc_get(d, "key_properties");
    if (columns_from_singer(d, mem, schema, err) < 0 ||
        catalog_column_numbers(key, "table-key-properties", schema, mem, &schema->key,
                               &schema->n_key, err) < 0 ||
        catalog_column_numbers(doc_get(m, "valid-replication-keys"), "valid-replication-keys",
                               schema, mem, &out->cursors, &out->n_cursors, err) < 0)
        return error_wrap(err, "stream \"%s\"", name);
    out->incremental = strcmp(forced, SINGER_FULL_TABLE) != 0;
    out->source_defined_cursor =
        doc_bool(doc_get(m, "x-source-defined-cursor"), false) || !strcmp(forced, SINGER_LOG_BASED);
    out->resumable = doc_bool(doc_get(m, "x-resumable"), false);
    out->row_estimate = doc_int(doc_get(m, "row-count"), -1);
    out->doubt = catalog_text(mem, doc_get(m, "x-doubt"));
    out->doubt_unmerged = catalog_text(mem, doc_get(m, "x-doubt-unmerged"));
    return 0;
}

int catalog_from_singer(const struct doc *d, struct catalog *out, struct error *err)
{
    return catalog_read(d, out, stream_from_singer, err);
}

/* A selection of ours as marks in the catalog of a tap. */
#include <string.h>

#include "connectors/catalog_internal.h"
#include "connectors/singer/tap_internal.h"

static const char *namespace_of(const struct doc *entry)
{
    return doc_string(doc_get(singer_metadata(entry, NULL), "schema-name"), "");
}

/* The number in the request of an entry of the catalog, or -1. */
static long wanted(const struct doc *entry, const struct read_request *req)
{
    const char *name = singer_stream_name(entry), *space = namespace_of(entry);

    for (size_t i = 0; i < req->n; i++) {
        const struct stream *s = req->streams[i].want->stream;

        if (!strcmp(s->name, name) && !strcmp(s->namespace, space))
            return (long)i;
    }
    return -1;
}

/* ---------------------------------------------------------------------- marking */

static const char *cursor_of(const struct selected_stream *s)
{
    return s->cursor >= 0 ? s->schema->columns[s->cursor].name : NULL;
}

/* What the tap says of the stream, and what we want of it; NULL = nothing. */
static void mark_stream(struct doc *m, const struct selected_stream *s)
{
    const char *forced = doc_string(doc_get(m, "forced-replication-method"), "");
    const char *method = !s                                  ? NULL
                         : *forced                           ? forced
                         : s->sync_mode == SYNC_FULL_REFRESH ? SINGER_FULL_TABLE
                                                             : SINGER_INCREMENTAL;

    doc_set(m, "selected", doc_new_bool(s != NULL));
    if (method)
        doc_set(m, "replication-method", doc_new_string(method));
    if (s && cursor_of(s))
        doc_set(m, "replication-key", doc_new_string(cursor_of(s)));
}

static void mark_column(struct doc *m, const struct selected_stream *s, const char *name)
{
    doc_set(m, "selected", doc_new_bool(s && schema_find(s->schema, name) >= 0));
}

/* A column whose entry leads to it alone; deeper ones are about what lies inside of it. */
static const char *column_of(const struct doc *breadcrumb)
{
    return doc_count(breadcrumb) == 2 ? doc_string(doc_at(breadcrumb, 1), NULL) : NULL;
}

static struct doc *new_entry(const char *column)
{
    struct doc *entry = doc_new_object(), *breadcrumb = doc_new_array();

    if (column) {
        doc_append(breadcrumb, doc_new_string("properties"));
        doc_append(breadcrumb, doc_new_string(column));
    }
    doc_set(entry, "breadcrumb", breadcrumb);
    doc_set(entry, "metadata", doc_new_object());
    return entry;
}

/* The metadata of an entry, marked; what the tap has no metadata for gets some. */
static struct doc *marked_metadata(const struct doc *entry, const struct selected_stream *s)
{
    const struct doc *list = doc_get(entry, "metadata");
    const struct doc *properties = doc_get(doc_get(entry, "schema"), "properties");
    struct doc *fresh = doc_new_array();

    if (!singer_metadata(entry, NULL)) {
        struct doc *root = new_entry(NULL);

        mark_stream(doc_get_mutable(root, "metadata"), s);
        doc_append(fresh, root);
    }
    for (size_t i = 0; i < doc_count(list); i++) {
        struct doc *one = doc_copy(doc_at(list, i));
        const struct doc *breadcrumb = doc_get(one, "breadcrumb");
        struct doc *m = doc_get_mutable(one, "metadata");

        if (m && doc_count(breadcrumb) == 0)
            mark_stream(m, s);
        else if (m && column_of(breadcrumb))
            mark_column(m, s, column_of(breadcrumb));
        doc_append(fresh, one);
    }
    for (const struct doc_member *p = doc_first(properties); p; p = doc_next(properties, p)) {
        struct doc *one;

        if (singer_metadata(entry, doc_member_key(p)))
            continue;
        one = new_entry(doc_member_key(p));
        mark_column(doc_get_mutable(one, "metadata"), s, doc_member_key(p));
        doc_append(fresh, one);
    }
    return fresh;
}

/* Both ways in which taps look: at the metadata, and as the first ones did, at the entry. */
static struct doc *marked(const struct doc *entry, const struct selected_stream *s)
{
    struct doc *fresh = doc_copy(entry);

    doc_set(fresh, "metadata", marked_metadata(entry, s));
    doc_set(fresh, "selected", doc_new_bool(s != NULL));
    if (s) {
        bool full = s->sync_mode == SYNC_FULL_REFRESH;

        doc_set(fresh, "replication_method",
                doc_new_string(full ? SINGER_FULL_TABLE : SINGER_INCREMENTAL));
        if (cursor_of(s))
            doc_set(fresh, "replication_key", doc_new_string(cursor_of(s)));
    }
    return fresh;
}

void tap_choose(struct doc *catalog, const struct read_request *req)
{
    const struct doc *streams = doc_get(catalog, "streams");
    struct doc *fresh = doc_new_array();

    for (size_t i = 0; i < doc_count(streams); i++) {
        const struct doc *entry = doc_at(streams, i);
        long n = wanted(entry, req);

        doc_append(fresh, marked(entry, n >= 0 ? req->streams[n].want : NULL));
    }
    doc_set(catalog, "streams", fresh);
}

/* ---------------------------------------------------------------------- finding */

/* "schema-table", "schema.table" or "schema_table". */
static bool is_joined(const char *name, const char *space, const char *table)
{
    size_t n = strlen(space);

    return n > 0 && !strncmp(name, space, n) && name[n] && strchr("-._", name[n]) &&
           !strcmp(name + n + 1, table);
}

enum likeness { IS_NAME, IS_ID, IS_JOINED, N_LIKENESSES };

static bool is_like(const struct doc *entry, const char *name, enum likeness how)
{
    switch (how) {
    case IS_NAME:
        return !strcmp(doc_string(doc_get(entry, "stream"), ""), name);
    case IS_ID:
        return !strcmp(doc_string(doc_get(entry, "tap_stream_id"), ""), name);
    case IS_JOINED:
        return is_joined(name, namespace_of(entry), singer_stream_name(entry));
    case N_LIKENESSES:
        break;
    }
    return false;
}

long tap_find(const struct doc *catalog, const struct read_request *req, const char *name)
{
    const struct doc *streams = doc_get(catalog, "streams");

    for (enum likeness how = IS_NAME; how < N_LIKENESSES; how++) {
        for (size_t i = 0; i < doc_count(streams); i++) {
            const struct doc *entry = doc_at(streams, i);
            long found = is_like(entry, name, how) ? wanted(entry, req) : -1;

            if (found >= 0)
                return found;
        }
    }
    return -1;
}

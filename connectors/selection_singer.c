#include <string.h>

#include "connectors/catalog.h"
#include "connectors/catalog_internal.h"

/* One stream of a Singer catalog on its way to an entry of ours. */
struct reading {
    const struct doc *stream;
    const struct doc *metadata; /* of breadcrumb [] */
    const char *pointer;
    struct problems *problems;
};

const char *singer_stream_name(const struct doc *stream)
{
    return doc_string(doc_get(stream, "stream"), doc_string(doc_get(stream, "tap_stream_id"), ""));
}

/* Breadcrumbs are [] and ["properties", column]; deeper ones are about what lies inside a column.
 */
static bool leads_to(const struct doc *breadcrumb, const char *column)
{
    if (!column)
        return doc_is(breadcrumb, DOC_ARRAY) && !doc_count(breadcrumb);
    return doc_count(breadcrumb) == 2 &&
           !strcmp(doc_string(doc_at(breadcrumb, 0), ""), "properties") &&
           !strcmp(doc_string(doc_at(breadcrumb, 1), ""), column);
}

const struct doc *singer_metadata(const struct doc *stream, const char *column)
{
    const struct doc *list = doc_get(stream, "metadata");

    for (size_t i = 0; i < doc_count(list); i++) {
        if (leads_to(doc_get(doc_at(list, i), "breadcrumb"), column))
            return doc_get(doc_at(list, i), "metadata");
    }
    return NULL;
}

enum write_mode singer_write_mode(enum sync_mode m, size_t n_key, bool ignore)
{
    if (m == SYNC_FULL_REFRESH)
        return WRITE_OVERWRITE;
    if (!n_key)
        return WRITE_APPEND;
    return ignore ? WRITE_INSERT_ONLY : WRITE_APPEND_DEDUP;
}

/* "selected" decides; where it is absent, "selected-by-default"; where that is too, `otherwise`. */
static bool is_selected(const struct doc *metadata, bool otherwise)
{
    bool by_default = doc_bool(doc_get(metadata, "selected-by-default"), otherwise);

    return doc_bool(doc_get(metadata, "selected"), by_default);
}

static const char *at(const struct reading *r, const char *member)
{
    return arena_printf(r->problems->mem, "%s/%s", r->pointer, member);
}

/* One of the words, its index in *out; absent is the first one. */
static bool word_of(const struct reading *r, const char *member, const char *const *words,
                    size_t *out)
{
    const struct doc *value = doc_get(r->stream, member);
    const char *word = doc_string(value, NULL);

    *out = 0;
    if (!value || doc_is(value, DOC_NULL) || (word && !*word))
        return true;
    for (size_t i = 0; word && words[i]; i++) {
        if (!strcmp(words[i], word)) {
            *out = i;
            return true;
        }
    }
    problems_add(r->problems, at(r, member), "not_a_choice", "expected \"%s\" or \"%s\", found %s",
                 words[0], words[1], word ? word : doc_kind_name(doc_kind(value)));
    return false;
}

static enum sync_mode read_method(const struct reading *r)
{
    static const char *const methods[] = {SINGER_FULL_TABLE, SINGER_INCREMENTAL, NULL};
    const char *member = "replication_method";
    const char *forced = doc_string(doc_get(r->metadata, "forced-replication-method"), "");
    size_t found;

    if (!strcmp(doc_string(doc_get(r->stream, member), ""), SINGER_LOG_BASED)) {
        problems_add(r->problems, at(r, member), "mode_not_supported",
                     "LOG_BASED is not supported; use INCREMENTAL or FULL_TABLE");
        return SYNC_FULL_REFRESH;
    }
    (void)word_of(r, member, methods, &found);
    if (!doc_get(r->stream, member) && !strcmp(forced, SINGER_INCREMENTAL))
        return SYNC_INCREMENTAL;
    return found ? SYNC_INCREMENTAL : SYNC_FULL_REFRESH;
}

/* replication_key, or the only one of bookmark_properties; NULL when there is none. */
static const char *read_cursor(const struct reading *r)
{
    const struct doc *bookmarks = doc_get(r->stream, "bookmark_properties");
    const char *key = doc_string(doc_get(r->stream, "replication_key"), "");
    const char *first = doc_string(doc_at(bookmarks, 0), "");

    if (doc_count(bookmarks) > 1) {
        problems_add(r->problems, at(r, "bookmark_properties"), "mode_not_supported",
                     "expected one bookmark column, found %zu", doc_count(bookmarks));
        return NULL;
    }
    if (*key && *first && strcmp(key, first) != 0)
        problems_add(r->problems, at(r, "bookmark_properties/0"), "conflict",
                     "the bookmark \"%s\" is another than the replication_key \"%s\"", first, key);
    if (*key)
        return key;
    return *first ? first : NULL;
}

/* Bookmarks are read with >=, which also is what > wants once rows are merged by their key. */
static void check_operators(const struct reading *r)
{
    const struct doc *operators = doc_get(r->stream, "bookmark_property_operators");

    for (const struct doc_member *it = doc_first(operators); it; it = doc_next(operators, it)) {
        const char *relation = doc_string(doc_member_value(it), "");

        if (strcmp(relation, ">=") != 0 && strcmp(relation, ">") != 0)
            problems_add(r->problems, at(r, "bookmark_property_operators"), "not_a_choice",
                         "expected \">=\" or \">\" for \"%s\"", doc_member_key(it));
    }
}

/* The columns that are not wanted; absent `selected` means wanted, as singer-python reads it. */
static struct doc *excluded(const struct reading *r)
{
    const struct doc *properties = doc_get(doc_get(r->stream, "schema"), "properties");
    struct doc *names = doc_new_array();

    for (const struct doc_member *it = doc_first(properties); it; it = doc_next(properties, it)) {
        const struct doc *m = singer_metadata(r->stream, doc_member_key(it));
        const char *inclusion = doc_string(doc_get(m, "inclusion"), "");

        if (strcmp(inclusion, "automatic") != 0 && strcmp(inclusion, "unsupported") != 0 &&
            !is_selected(m, true))
            doc_append(names, doc_new_string(doc_member_key(it)));
    }
    return names;
}

static void put_modes(const struct reading *r, struct doc *entry)
{
    static const char *const methods[] = {SINGER_UPDATE, SINGER_IGNORE, NULL};
    const struct doc *key = doc_get(r->stream, "key_properties");
    const struct doc *exact = doc_get(r->stream, "destination_sync_mode");
    enum sync_mode mode = read_method(r);
    size_t ignore;

    if (!doc_count(key))
        key = doc_get(r->stream, "unique_constraints");
    (void)word_of(r, "unique_conflict_method", methods, &ignore);
    doc_set(entry, "sync_mode", doc_new_string(sync_mode_name(mode)));
    if (exact)
        doc_set(entry, "destination_sync_mode", doc_copy(exact));
    else
        doc_set(entry, "destination_sync_mode",
                doc_new_string(write_mode_name(singer_write_mode(mode, doc_count(key), ignore))));
    if (doc_get(r->stream, "primary_key"))
        key = doc_get(r->stream, "primary_key"); /* of a stream of ours that is appended */
    if (doc_count(key))
        doc_set(entry, "primary_key", doc_copy(key));
}

static void put_drift(const struct reading *r, struct doc *entry)
{
    const struct doc *exact = doc_get(r->stream, "new_columns");

    if (exact)
        doc_set(entry, "new_columns", doc_copy(exact));
    else if (!doc_bool(doc_get(r->stream, "auto_add_new_fields"), true))
        doc_set(entry, "new_columns", doc_new_string(drift_policy_name(DRIFT_IGNORE)));
}

static void put_copy(const struct reading *r, const char *member, struct doc *entry,
                     const char *name)
{
    const struct doc *value = doc_get(r->stream, member);

    if (value && !doc_is(value, DOC_NULL))
        doc_set(entry, name, doc_copy(value));
}

static struct doc *entry_of(const struct reading *r)
{
    struct doc *entry = doc_new_object();
    struct doc *fields = doc_new_object();
    const char *namespace = doc_string(doc_get(r->metadata, "schema-name"), "");
    const char *cursor = read_cursor(r);

    doc_set(entry, "name", doc_new_string(singer_stream_name(r->stream)));
    if (*namespace)
        doc_set(entry, "namespace", doc_new_string(namespace));
    put_modes(r, entry);
    if (cursor)
        doc_set(entry, "cursor_field", doc_new_string(cursor));
    check_operators(r);
    doc_set(fields, "exclude", excluded(r));
    doc_set(entry, "fields", fields);
    put_copy(r, "stream_alias", entry, "alias");
    put_drift(r, entry);
    put_copy(r, "allow_empty", entry, "allow_empty");
    put_copy(r, "allow_shrink", entry, "allow_shrink");
    put_copy(r, "backfill_new_columns", entry, "backfill_new_columns");
    put_copy(r, "naming", entry, "naming");
    put_copy(r, "renames", entry, "renames");
    put_copy(r, "on_unrepresentable", entry, "on_unrepresentable");
    put_copy(r, "nul", entry, "nul");
    put_copy(r, "filter", entry, "filter");
    if (!doc_bool(doc_get(r->stream, "run_in_parallel"), true))
        doc_set(entry, "run_in_parallel", doc_new_bool(false));
    return entry;
}

struct doc *selection_from_singer(const struct doc *singer, struct problems *problems)
{
    const struct doc *streams = doc_get(singer, "streams");
    struct doc *list = doc_new_array();

    if (!doc_is(streams, DOC_ARRAY))
        problems_add(problems, "/streams", streams ? "wrong_type" : "required",
                     "expected an array of streams");
    for (size_t i = 0; doc_is(streams, DOC_ARRAY) && i < doc_count(streams); i++) {
        struct reading r = {.stream = doc_at(streams, i), .problems = problems};

        r.metadata = singer_metadata(r.stream, NULL);
        r.pointer = arena_printf(problems->mem, "/streams/%zu", i);
        if (!is_selected(r.metadata, doc_bool(doc_get(r.stream, "selected"), false)))
            continue;
        if (*singer_stream_name(r.stream))
            doc_append(list, entry_of(&r));
        else
            problems_add(problems, at(&r, "stream"), "required", "\"stream\" is required");
    }
    return list;
}

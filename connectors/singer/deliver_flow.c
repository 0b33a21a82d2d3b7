/* How a stream is written: what the catalog and its SCHEMA say of it. */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/singer/deliver_internal.h"

/* Streams share this much, so that a thousand of them do not hold a thousand full batches. */
#define BATCHES_BYTES ((size_t)16 << 20)
#define LEAST_BATCH   ((size_t)16 << 10)

static const struct doc *catalog_entry(const struct doc *catalog, const char *stream)
{
    const struct doc *streams = doc_get(catalog, "streams");

    for (size_t i = 0; i < doc_count(streams); i++) {
        const struct doc *entry = doc_at(streams, i);

        if (!strcmp(doc_string(doc_get(entry, "stream"), ""), stream) ||
            !strcmp(doc_string(doc_get(entry, "tap_stream_id"), ""), stream))
            return entry;
    }
    return NULL;
}

/* A member of the catalog's entry, or else of the SCHEMA. */
static const struct doc *setting(const struct doc *entry, const struct singer_schema *s,
                                 const char *name)
{
    const struct doc *of_catalog = doc_get(entry, name);

    return of_catalog && !doc_is(of_catalog, DOC_NULL) ? of_catalog : doc_get(s->settings, name);
}

static enum write_mode write_mode_of(const struct doc *entry, const struct singer_schema *s)
{
    const char *method = doc_string(setting(entry, s, "replication_method"), "");
    const char *conflict = doc_string(setting(entry, s, "unique_conflict_method"), "");
    const struct doc *metadata = doc_get(entry, "metadata");

    for (size_t i = 0; !*method && i < doc_count(metadata); i++) {
        if (doc_count(doc_get(doc_at(metadata, i), "breadcrumb")) == 0)
            method = doc_string(
                doc_get(doc_get(doc_at(metadata, i), "metadata"), "replication-method"), "");
    }
    if (!strcmp(method, "FULL_TABLE"))
        return WRITE_OVERWRITE;
    if (s->schema->n_key == 0)
        return WRITE_APPEND;
    return !strcmp(conflict, "IGNORE") ? WRITE_INSERT_ONLY : WRITE_APPEND_DEDUP;
}

static void limit_batches(struct delivery *x)
{
    size_t each = BATCHES_BYTES / (x->n + 1);

    if (each > BATCH_FULL_BYTES)
        each = BATCH_FULL_BYTES;
    for (size_t i = 0; i < x->n; i++)
        batch_limit(x->flows[i]->intake.rows, each > LEAST_BATCH ? each : LEAST_BATCH);
}

static void add(struct delivery *x, struct flow *f)
{
    if (x->n == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 16;
        x->flows = xrealloc(x->flows, x->cap * sizeof *x->flows);
    }
    x->flows[x->n++] = f;
    limit_batches(x);
}

int flow_new(struct delivery *x, const struct singer_schema *s, struct flow **out,
             struct error *err)
{
    const struct doc *entry = catalog_entry(x->how->catalog, s->stream);
    struct flow *f;

    if (x->n == SINGER_MAX_STREAMS)
        return error_set(err, ERR_TOO_LARGE, "there are more than %d streams", SINGER_MAX_STREAMS);
    f = xalloc(sizeof *f);
    f->last = *s;
    f->stream = (struct stream){.namespace = "",
                                .name = s->stream,
                                .schema = s->schema,
                                .incremental = true,
                                .row_estimate = -1};
    f->want = (struct selected_stream){
        .stream = &f->stream,
        .schema = s->schema,
        .write_mode = write_mode_of(entry, s),
        .cursor = -1,
        .alias = arena_strdup(x->mem, doc_string(setting(entry, s, "stream_alias"), s->stream)),
        .destination_namespace = "",
        .drift =
            doc_bool(setting(entry, s, "auto_add_new_fields"), true) ? DRIFT_EVOLVE : DRIFT_IGNORE,
        .allow_empty = doc_bool(setting(entry, s, "allow_empty"), false),
        .allow_shrink = doc_bool(setting(entry, s, "allow_shrink"), false),
    };
    f->anew = f->want.write_mode == WRITE_OVERWRITE;
    f->want.sync_mode = f->anew ? SYNC_FULL_REFRESH : SYNC_INCREMENTAL;
    intake_init(&f->intake, &f->want, &x->parser, x->mem, x->how->run->log);
    f->intake.strict = true;
    *out = f;
    add(x, f);
    return intake_schema(&f->intake, s, err);
}

void flow_free(struct flow *f)
{
    intake_release(&f->intake);
    doc_free(f->last.settings);
    free(f);
}

static bool same_key(const struct schema *a, const struct schema *b)
{
    if (a->n_key != b->n_key)
        return false;
    for (size_t i = 0; i < a->n_key; i++) {
        if (strcmp(a->columns[a->key[i]].name, b->columns[b->key[i]].name) != 0)
            return false;
    }
    return true;
}

static bool same_types(const struct schema *a, const struct schema *b)
{
    for (size_t i = 0; i < b->n_columns; i++) {
        long column = schema_find(a, b->columns[i].name);

        if (column >= 0 && !type_equal(a->columns[column].type, b->columns[i].type))
            return false;
    }
    return true;
}

int flow_change(struct delivery *x, struct flow *f, const struct singer_schema *s,
                struct error *err)
{
    bool retyped = !same_types(f->last.schema, s->schema);

    if (!same_key(f->last.schema, s->schema))
        return error_set_reason(err, ERR_SCHEMA, "key_changed",
                                "the key of stream \"%s\" changes in the middle of the input",
                                s->stream);
    if (f->was_opened && (!retyped || f->anew)) {
        doc_free(f->last.settings);
        f->last = *s;
        return intake_schema(&f->intake, s, err);
    }
    /* Columns of other types, or no row yet: the destination looks at its table again. */
    if (deliver_flush(x, err) < 0 || deliver_commit(x, err) < 0)
        return -1;
    doc_free(f->last.settings);
    f->last = *s;
    f->is_open = false;
    f->stream.schema = f->want.schema = s->schema;
    intake_release(&f->intake);
    intake_init(&f->intake, &f->want, &x->parser, x->mem, x->how->run->log);
    f->intake.strict = true;
    limit_batches(x);
    return intake_schema(&f->intake, s, err);
}

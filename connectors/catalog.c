#include "connectors/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/hash.h"
#include "connectors/catalog_internal.h"

const char *const sync_mode_words[] = {
    [SYNC_FULL_REFRESH] = "full_refresh",
    [SYNC_INCREMENTAL] = "incremental",
    NULL,
};

const char *const write_mode_words[] = {
    [WRITE_OVERWRITE] = "overwrite",
    [WRITE_APPEND] = "append",
    [WRITE_APPEND_DEDUP] = "append_dedup",
    [WRITE_INSERT_ONLY] = "insert_only",
    NULL,
};

const char *const drift_policy_words[] = {
    [DRIFT_EVOLVE] = "evolve",
    [DRIFT_IGNORE] = "ignore",
    [DRIFT_FREEZE] = "freeze",
    NULL,
};

const char *const misfit_policy_words[] = {
    [MISFIT_QUARANTINE_CELL] = "quarantine_cell",
    [MISFIT_QUARANTINE_ROW] = "quarantine_row",
    [MISFIT_FAIL] = "fail",
    NULL,
};

const char *const nul_policy_words[] = {
    [NUL_QUARANTINE] = "quarantine",
    [NUL_STRIP] = "strip",
    [NUL_REPLACE] = "replace",
    NULL,
};

const char *sync_mode_name(enum sync_mode m)
{
    return sync_mode_words[m];
}

const char *write_mode_name(enum write_mode m)
{
    return write_mode_words[m];
}

const char *drift_policy_name(enum drift_policy p)
{
    return drift_policy_words[p];
}

const char *misfit_policy_name(enum misfit_policy p)
{
    return misfit_policy_words[p];
}

const char *nul_policy_name(enum nul_policy p)
{
    return nul_policy_words[p];
}

struct stream *catalog_add(struct catalog *c)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        struct stream *streams = arena_array(c->mem, cap, sizeof *streams);

        if (c->n)
            memcpy(streams, c->streams, c->n * sizeof *streams);
        c->streams = streams;
        c->cap = cap;
    }
    c->streams[c->n] = (struct stream){.namespace = "", .row_estimate = -1};
    return &c->streams[c->n++];
}

/* "namespace.name" without making the text. */
static bool is_full_name(const struct stream *s, const char *full)
{
    size_t n = strlen(s->namespace);

    return n && !strncmp(full, s->namespace, n) && full[n] == '.' && !strcmp(full + n + 1, s->name);
}

static const struct stream *find_exact(const struct catalog *c, const char *namespace,
                                       const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strcmp(c->streams[i].name, name) && !strcmp(c->streams[i].namespace, namespace))
            return &c->streams[i];
    }
    return NULL;
}

const struct stream *catalog_find(const struct catalog *c, const char *namespace, const char *name)
{
    const struct stream *found = find_exact(c, namespace ? namespace : "", name);
    size_t n = 0;

    if (found || (namespace && *namespace))
        return found;
    for (size_t i = 0; i < c->n; i++) {
        if (is_full_name(&c->streams[i], name))
            return &c->streams[i];
        if (!strcmp(c->streams[i].name, name)) {
            found = &c->streams[i];
            n++;
        }
    }
    return n == 1 ? found : NULL; /* the bare name says enough when no other stream has it */
}

const char *stream_full_name(struct arena *mem, const struct stream *s)
{
    if (!*s->namespace)
        return s->name;
    return arena_printf(mem, "%s.%s", s->namespace, s->name);
}

bool selected_stream_merges(const struct selected_stream *s)
{
    return s->schema->n_key > 0 && s->write_mode != WRITE_APPEND && !s->unmerged;
}

void selection_set_merging(struct selection *s, unsigned write_modes)
{
    for (size_t i = 0; i < s->n; i++)
        s->streams[i].unmerged = !(write_modes & 1u << WRITE_APPEND_DEDUP);
}

const char *selected_stream_doubt(const struct selected_stream *s)
{
    const struct stream *of = s->stream;

    return of->doubt ? of->doubt : selected_stream_merges(s) ? NULL : of->doubt_unmerged;
}

/* ------------------------------------------------------------------- writing */

static struct doc *text_or_null(const char *s)
{
    return doc_new_string(s && *s ? s : NULL);
}

struct doc *catalog_column_names(const struct schema *s, const size_t *columns, size_t n)
{
    struct doc *names = doc_new_array();

    for (size_t i = 0; i < n; i++)
        doc_append(names, doc_new_string(s->columns[columns[i]].name));
    return names;
}

static struct doc *column_to_doc(const struct column *c)
{
    struct doc *d = doc_new_object();
    char type[32];

    type_format(c->type, type);
    doc_set(d, "name", doc_new_string(c->name));
    doc_set(d, "type", doc_new_string(type));
    doc_set(d, "nullable", doc_new_bool(c->nullable));
    doc_set(d, "source_type", text_or_null(c->source_type));
    return d;
}

static struct doc *stream_to_doc(const struct stream *s)
{
    struct doc *d = doc_new_object();
    struct doc *columns = doc_new_array();
    struct doc *modes = doc_new_array();

    for (size_t i = 0; i < s->schema->n_columns; i++)
        doc_append(columns, column_to_doc(&s->schema->columns[i]));
    doc_append(modes, doc_new_string(sync_mode_name(SYNC_FULL_REFRESH)));
    if (s->incremental)
        doc_append(modes, doc_new_string(sync_mode_name(SYNC_INCREMENTAL)));

    doc_set(d, "name", doc_new_string(s->name));
    doc_set(d, "namespace", text_or_null(s->namespace));
    doc_set(d, "columns", columns);
    doc_set(d, "primary_key", catalog_column_names(s->schema, s->schema->key, s->schema->n_key));
    doc_set(d, "cursor_fields", catalog_column_names(s->schema, s->cursors, s->n_cursors));
    doc_set(d, "source_defined_cursor", doc_new_bool(s->source_defined_cursor));
    doc_set(d, "sync_modes", modes);
    doc_set(d, "resumable", doc_new_bool(s->resumable));
    doc_set(d, "row_estimate", s->row_estimate < 0 ? doc_new_null() : doc_new_int(s->row_estimate));
    if (s->doubt)
        doc_set(d, "doubt", doc_new_string(s->doubt));
    if (s->doubt_unmerged)
        doc_set(d, "doubt_unmerged", doc_new_string(s->doubt_unmerged));
    return d;
}

struct doc *catalog_to_doc(const struct catalog *c)
{
    struct doc *d = doc_new_object();
    struct doc *streams = doc_new_array();

    for (size_t i = 0; i < c->n; i++)
        doc_append(streams, stream_to_doc(&c->streams[i]));
    doc_set(d, "streams", streams);
    return d;
}

void catalog_hash(const struct catalog *c, char out[static 65])
{
    CLEANUP(doc_free_cleanup) struct doc *d = catalog_to_doc(c);
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)1 << 40);

    doc_write(d, &text);
    hash_bytes_hex(buf_str(&text), text.len, out);
}

/* ------------------------------------------------------------------- reading */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first name that occurs twice, or NULL. Sorts a copy, since a table may have 4,096 columns. */
static const char *repeated(struct arena *mem, const char *const *names, size_t n)
{
    const char **sorted = arena_array(mem, n, sizeof *sorted);

    if (n)
        memcpy(sorted, names, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (!strcmp(sorted[i - 1], sorted[i]))
            return sorted[i];
    }
    return NULL;
}

static int column_from_doc(const struct doc *d, struct arena *mem, struct column *out,
                           struct error *err)
{
    const char *name = doc_string(doc_get(d, "name"), NULL);
    const char *type = doc_string(doc_get(d, "type"), "");

    if (!name)
        return error_set(err, ERR_INVALID, "a column has no name");
    if (!type_parse(type, &out->type))
        return error_set(err, ERR_INVALID, "column \"%s\" has the unknown type \"%s\"", name, type);
    out->name = arena_strdup(mem, name);
    out->nullable = doc_bool(doc_get(d, "nullable"), true);
    out->source_type = arena_strdup(mem, doc_string(doc_get(d, "source_type"), ""));
    return 0;
}

static int columns_from_doc(const struct doc *d, struct arena *mem, struct schema *out,
                            struct error *err)
{
    size_t n = doc_count(d);
    struct column *columns;
    const char **names;

    if (!doc_is(d, DOC_ARRAY))
        return error_set(err, ERR_INVALID, "\"columns\" is not an array");
    if (n > SCHEMA_MAX_COLUMNS)
        return error_set(err, ERR_TOO_LARGE, "%zu columns are more than %d", n, SCHEMA_MAX_COLUMNS);
    columns = arena_array(mem, n, sizeof *columns);
    names = arena_array(mem, n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        if (column_from_doc(doc_at(d, i), mem, &columns[i], err) < 0)
            return -1;
        names[i] = columns[i].name;
    }
    if (repeated(mem, names, n))
        return error_set(err, ERR_INVALID, "column \"%s\" occurs twice", repeated(mem, names, n));
    out->columns = columns;
    out->n_columns = n;
    return 0;
}

int catalog_column_numbers(const struct doc *names, const char *what, const struct schema *schema,
                           struct arena *mem, const size_t **out, size_t *out_n, struct error *err)
{
    size_t n = doc_count(names);
    size_t *numbers = arena_array(mem, n, sizeof *numbers);
    const char **found_names = arena_array(mem, n, sizeof *found_names);

    for (size_t i = 0; i < n; i++) {
        const char *name = doc_string(doc_at(names, i), "");
        long found = schema_find(schema, name);

        if (found < 0)
            return error_set(err, ERR_INVALID, "\"%s\" names the unknown column \"%s\"", what,
                             name);
        numbers[i] = (size_t)found;
        found_names[i] = name;
    }
    if (repeated(mem, found_names, n))
        return error_set(err, ERR_INVALID, "\"%s\" names the column \"%s\" twice", what,
                         repeated(mem, found_names, n));
    *out = numbers;
    *out_n = n;
    return 0;
}

const char *catalog_text(struct arena *mem, const struct doc *d)
{
    const char *text = doc_string(d, NULL);

    return text ? arena_strdup(mem, text) : NULL;
}

static bool names_mode(const struct doc *modes, enum sync_mode m)
{
    for (size_t i = 0; i < doc_count(modes); i++) {
        if (!strcmp(doc_string(doc_at(modes, i), ""), sync_mode_name(m)))
            return true;
    }
    return false;
}

static int stream_from_doc(const struct doc *d, struct arena *mem, struct stream *out,
                           struct error *err)
{
    const char *name = doc_string(doc_get(d, "name"), "");
    struct schema *schema = arena_alloc(mem, sizeof *schema);

    if (!*name)
        return error_set(err, ERR_INVALID, "it has no name");
    out->name = arena_strdup(mem, name);
    out->namespace = arena_strdup(mem, doc_string(doc_get(d, "namespace"), ""));
    out->schema = schema;
    if (columns_from_doc(doc_get(d, "columns"), mem, schema, err) < 0 ||
        catalog_column_numbers(doc_get(d, "primary_key"), "primary_key", schema, mem, &schema->key,
                               &schema->n_key, err) < 0 ||
        catalog_column_numbers(doc_get(d, "cursor_fields"), "cursor_fields", schema, mem,
                               &out->cursors, &out->n_cursors, err) < 0) {
        return error_wrap(err, "stream \"%s\"", name);
    }
    out->source_defined_cursor = doc_bool(doc_get(d, "source_defined_cursor"), false);
    out->incremental = names_mode(doc_get(d, "sync_modes"), SYNC_INCREMENTAL);
    out->resumable = doc_bool(doc_get(d, "resumable"), false);
    out->row_estimate = doc_int(doc_get(d, "row_estimate"), -1);
    out->doubt = catalog_text(mem, doc_get(d, "doubt"));
    out->doubt_unmerged = catalog_text(mem, doc_get(d, "doubt_unmerged"));
    return 0;
}

static int check_names(const struct catalog *c, struct error *err)
{
    const char **names = arena_array(c->mem, c->n, sizeof *names);

    for (size_t i = 0; i < c->n; i++)
        names[i] = stream_full_name(c->mem, &c->streams[i]);
    if (repeated(c->mem, names, c->n))
        return error_set(err, ERR_INVALID, "stream \"%s\" occurs twice",
                         repeated(c->mem, names, c->n));
    return 0;
}

int catalog_read(const struct doc *d, struct catalog *out, catalog_read_fn *read_one,
                 struct error *err)
{
    const struct doc *streams = doc_get(d, "streams");
    size_t n = doc_count(streams);

    if (!doc_is(streams, DOC_ARRAY))
        return error_set(err, ERR_INVALID, "a catalog is an object with an array \"streams\"");
    if (n > CATALOG_MAX_STREAMS)
        return error_set(err, ERR_TOO_LARGE, "%zu streams are more than %d", n,
                         CATALOG_MAX_STREAMS);
    for (size_t i = 0; i < n; i++) {
        if (read_one(doc_at(streams, i), out->mem, catalog_add(out), err) < 0)
            return error_wrap(err, "/streams/%zu", i);
    }
    return check_names(out, err);
}

int catalog_from_doc(const struct doc *d, struct catalog *out, struct error *err)
{
    return catalog_read(d, out, stream_from_doc, err);
}

#include <string.h>

#include "connectors/catalog_internal.h"
#include "connectors/filter.h"
#include "connectors/option.h"
#include "connectors/renames.h"

/* One element of `streams` as the user wrote it. */
struct entry {
    const char *name, *namespace;
    bool selected;
    const char *sync_mode, *destination_sync_mode;
    const struct doc *cursor_field, *primary_key, *fields, *filter, *renames;
    const char *alias, *new_columns, *naming, *on_unrepresentable, *nul;
    bool backfill_new_columns, allow_empty, allow_shrink, run_in_parallel;
};

static const char *const namings[] = {"preserve", "snake", NULL};

/* Names come as "c" or, as elsewhere, as the path ["c"]; NULL for anything else. */
static const char *name_of(const struct doc *d)
{
    if (doc_is(d, DOC_ARRAY) && doc_count(d) == 1)
        return doc_string(doc_at(d, 0), NULL);
    return doc_string(d, NULL);
}

static void check_cursor_field(const struct doc *value, const char *pointer,
                               struct problems *problems)
{
    if (!name_of(value))
        problems_add(problems, pointer, "wrong_type",
                     "expected a column name or an array with one, found %s",
                     doc_kind_name(doc_kind(value)));
}

static void check_names(const struct doc *value, const char *pointer, struct problems *problems)
{
    if (!doc_is(value, DOC_ARRAY)) {
        problems_add(problems, pointer, "wrong_type", "expected an array of column names, found %s",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    for (size_t i = 0; i < doc_count(value); i++) {
        if (!name_of(doc_at(value, i)))
            problems_add(problems, arena_printf(problems->mem, "%s/%zu", pointer, i), "wrong_type",
                         "expected a column name or an array with one, found %s",
                         doc_kind_name(doc_kind(doc_at(value, i))));
    }
}

struct field_lists {
    const struct doc *include, *exclude;
};

/* clang-format off */
static const struct option field_options[] = {
    OPTION(struct field_lists, include, .title = "Only these columns", .check = check_names,
           .help = "The columns to read; every one when absent."),
    OPTION(struct field_lists, exclude, .title = "Not these columns", .check = check_names,
           .help = "Columns to leave out."),
    OPTIONS_END,
};
/* clang-format on */

static void check_fields(const struct doc *value, const char *pointer, struct problems *problems)
{
    struct field_lists ignored = {0};

    (void)options_decode(field_options, value, pointer, &ignored, problems->mem, problems);
}

/* clang-format off */
static const struct option entry_options[] = {
    OPTION(struct entry, name, .title = "Stream", .flags = OPTION_REQUIRED, .min = 1, .max = 4096,
           .help = "Name of the stream in the catalog."),
    OPTION(struct entry, namespace, .title = "Namespace",
           .help = "Namespace of the stream, when the source has them."),
    OPTION(struct entry, selected, .title = "Selected", .def = "true",
           .help = "False leaves the stream out and keeps its settings."),
    OPTION(struct entry, sync_mode, .title = "How to read", .choices = sync_mode_words,
           .def = "full_refresh", .help = "Everything each time, or what is new."),
    OPTION(struct entry, destination_sync_mode, .title = "How to write", .choices = write_mode_words,
           .help = "By default overwrite for a full refresh; otherwise append_dedup with a key and "
                   "append without."),
    OPTION(struct entry, cursor_field, .title = "Cursor", .check = check_cursor_field,
           .help = "The column that grows with every change; the catalog's first candidate by "
                   "default."),
    OPTION(struct entry, primary_key, .title = "Key", .check = check_names,
           .help = "Columns that identify a row, instead of the key the source declares."),
    OPTION(struct entry, fields, .title = "Columns", .check = check_fields,
           .help = "Which columns to read; all of them by default."),
    OPTION(struct entry, filter, .title = "Only these rows", .check = filters_check,
           .help = "Conditions that a row fulfils, all of them; every row by default."),
    OPTION(struct entry, alias, .title = "Name at the destination", .min = 1, .max = 255,
           .help = "Table or file to write; the name of the stream by default."),
    OPTION(struct entry, new_columns, .title = "New columns", .choices = drift_policy_words,
           .def = "evolve", .help = "Add them, leave them out, or stop."),
    OPTION(struct entry, backfill_new_columns, .title = "Fill new columns", .def = "false",
           .help = "Read all rows again when a column is new, for what they have in it."),
    OPTION(struct entry, naming, .title = "Names", .choices = namings, .def = "preserve",
           .help = "Names of table and columns in a database: those of the source, or in small "
                   "letters, digits and underscores."),
    OPTION(struct entry, renames, .title = "Renamed columns", .check = renames_check,
           .help = "Old and new names of columns that the source calls otherwise now."),
    OPTION(struct entry, on_unrepresentable, .title = "Values that do not fit",
           .choices = misfit_policy_words, .def = "quarantine_cell",
           .help = "What becomes of a value that the destination cannot hold: quarantine, alone or "
                   "with its row, or the end of the stream."),
    OPTION(struct entry, nul, .title = "NUL in texts", .choices = nul_policy_words, .def = "quarantine",
           .help = "What becomes of U+0000 in a text, where the destination cannot hold it: it is a "
                   "value that does not fit, is left out, or is written as U+FFFD."),
    OPTION(struct entry, allow_empty, .title = "Allow empty", .def = "false",
           .help = "Let a full refresh that read nothing replace the rows that are there."),
    OPTION(struct entry, allow_shrink, .title = "Allow shrinking", .def = "false",
           .help = "Let a full refresh that read far fewer rows replace those that are there."),
    OPTION(struct entry, run_in_parallel, .title = "Run in parallel", .def = "true",
           .help = "False keeps the stream with its like in the first lane of a parallel run, where "
                   "they are read in one snapshot."),
    OPTIONS_END,
};
/* clang-format on */

/* What the steps below share for one entry. */
struct resolving {
    const struct entry *e;
    const struct stream *stream;
    struct arena *mem;
    struct problems *problems;
    const char *pointer; /* of the entry */
    struct selected_stream *out;
    const size_t *key; /* effective, as columns of the stream */
    size_t n_key;
    long cursor;  /* as column of the stream, -1 = none */
    bool *wanted; /* by column of the stream */
};

static const char *at(const struct resolving *r, const char *member)
{
    return arena_printf(r->mem, "%s/%s", r->pointer, member);
}

/* Column of the stream with this name, or -1 and a problem. */
static long find_column(const struct resolving *r, const char *name, const char *pointer)
{
    long found = schema_find(r->stream->schema, name);

    if (found < 0)
        problems_add(r->problems, pointer, "unknown_field", "stream \"%s\" has no column \"%s\"",
                     r->stream->name, name);
    return found;
}

static int choice_index(const char *const *choices, const char *word)
{
    int i = 0;

    /* The option table lets only these words through. */
    while (word && choices[i] && strcmp(choices[i], word) != 0)
        i++;
    return i;
}

static void resolve_key(struct resolving *r)
{
    const struct doc *names = r->e->primary_key;
    size_t n = doc_count(names), used = 0;
    size_t *key;

    r->key = r->stream->schema->key;
    r->n_key = r->stream->schema->n_key;
    if (!n)
        return;
    key = arena_array(r->mem, n, sizeof *key);
    for (size_t i = 0; i < n; i++) {
        const char *pointer = arena_printf(r->mem, "%s/primary_key/%zu", r->pointer, i);
        long found = find_column(r, name_of(doc_at(names, i)), pointer);
        bool repeated = false;

        for (size_t j = 0; j < used && found >= 0; j++)
            repeated |= key[j] == (size_t)found;
        if (repeated)
            problems_add(r->problems, pointer, "duplicate_field",
                         "column \"%s\" stands in the key already", name_of(doc_at(names, i)));
        else if (found >= 0)
            key[used++] = (size_t)found;
    }
    r->key = key;
    r->n_key = used;
}

static void resolve_modes(struct resolving *r)
{
    struct selected_stream *s = r->out;
    const char *write = r->e->destination_sync_mode;

    s->sync_mode = (enum sync_mode)choice_index(sync_mode_words, r->e->sync_mode);
    s->drift = (enum drift_policy)choice_index(drift_policy_words, r->e->new_columns);
    if (write)
        s->write_mode = (enum write_mode)choice_index(write_mode_words, write);
    else if (s->sync_mode == SYNC_FULL_REFRESH)
        s->write_mode = WRITE_OVERWRITE;
    else
        s->write_mode = r->n_key ? WRITE_APPEND_DEDUP : WRITE_APPEND;

    if (s->sync_mode == SYNC_INCREMENTAL && !r->stream->incremental)
        problems_add(r->problems, at(r, "sync_mode"), "mode_not_supported",
                     "stream \"%s\" can only be read with full_refresh", r->stream->name);
    if (s->sync_mode == SYNC_INCREMENTAL && s->write_mode == WRITE_OVERWRITE)
        problems_add(r->problems, at(r, "destination_sync_mode"), "mode_not_supported",
                     "overwrite would keep only what is new; use append, append_dedup or "
                     "insert_only with incremental");
    if (r->e->backfill_new_columns &&
        (s->write_mode == WRITE_APPEND || s->write_mode == WRITE_INSERT_ONLY))
        problems_add(r->problems, at(r, "backfill_new_columns"), "mode_not_supported",
                     "%s does not rewrite rows that are there", write_mode_name(s->write_mode));
    if ((s->write_mode == WRITE_APPEND_DEDUP || s->write_mode == WRITE_INSERT_ONLY) && !r->n_key)
        problems_add(r->problems, at(r, "primary_key"), "key_required",
                     "%s needs a key and stream \"%s\" declares none",
                     write_mode_name(s->write_mode), r->stream->name);
}

static bool is_candidate(const struct stream *s, size_t column)
{
    for (size_t i = 0; i < s->n_cursors; i++) {
        if (s->cursors[i] == column)
            return true;
    }
    return false;
}

/* Whether values of a type have an order in which a table can grow. */
static bool can_order(enum type t)
{
    switch (t) {
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_FLOAT:
    case TYPE_STRING:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
    case TYPE_UUID:
        return true;
    case TYPE_BOOL:
    case TYPE_BYTES:
    case TYPE_TIME:
    case TYPE_INTERVAL:
    case TYPE_JSON:
    case TYPE_COUNT:
        return false;
    }
    return false;
}

static void resolve_given_cursor(struct resolving *r)
{
    const struct stream *s = r->stream;
    const char *name = name_of(r->e->cursor_field);
    long found = find_column(r, name, at(r, "cursor_field"));

    if (found < 0)
        return;
    r->cursor = found;
    if (is_candidate(s, (size_t)found))
        return;
    if (s->source_defined_cursor)
        problems_add(r->problems, at(r, "cursor_field"), "not_a_choice",
                     "the source defines the cursor of stream \"%s\"; \"%s\" cannot replace it",
                     s->name, name);
    else if (!can_order(s->schema->columns[found].type.type))
        problems_add(r->problems, at(r, "cursor_field"), "not_a_choice",
                     "column \"%s\" is of type %s, which has no order to continue in", name,
                     type_name(s->schema->columns[found].type.type));
}

static void resolve_cursor(struct resolving *r)
{
    const struct stream *s = r->stream;

    r->cursor = -1;
    if (r->e->cursor_field)
        resolve_given_cursor(r);
    else if (r->out->sync_mode == SYNC_INCREMENTAL && s->n_cursors)
        r->cursor = (long)s->cursors[0];
    else if (r->out->sync_mode == SYNC_INCREMENTAL && s->incremental && !s->source_defined_cursor)
        problems_add(r->problems, at(r, "cursor_field"), "cursor_required",
                     "incremental needs a cursor_field and stream \"%s\" suggests none", s->name);
    if (r->out->sync_mode == SYNC_FULL_REFRESH)
        r->cursor = -1; /* named for later; a full refresh has no use for it */
}

static bool is_key(const struct resolving *r, size_t column)
{
    for (size_t i = 0; i < r->n_key; i++) {
        if (r->key[i] == column)
            return true;
    }
    return false;
}

/* A column that may not be left out was: `pointer` says by what. */
static void refuse_deselected(const struct resolving *r, size_t column, const char *pointer)
{
    const char *name = r->stream->schema->columns[column].name;

    if (is_key(r, column))
        problems_add(r->problems, pointer, "key_deselected",
                     "column \"%s\" belongs to the key and cannot be left out", name);
    else if (r->cursor == (long)column && !r->stream->source_defined_cursor)
        problems_add(r->problems, pointer, "cursor_deselected",
                     "column \"%s\" is the cursor and cannot be left out", name);
}

static void include_fields(struct resolving *r, const struct doc *include)
{
    size_t n_columns = r->stream->schema->n_columns;

    memset(r->wanted, 0, n_columns * sizeof *r->wanted);
    for (size_t i = 0; i < doc_count(include); i++) {
        const char *pointer = arena_printf(r->mem, "%s/fields/include/%zu", r->pointer, i);
        long found = find_column(r, name_of(doc_at(include, i)), pointer);

        if (found >= 0)
            r->wanted[found] = true;
    }
    for (size_t i = 0; i < n_columns; i++) {
        if (!r->wanted[i])
            refuse_deselected(r, i, at(r, "fields/include"));
    }
}

static void exclude_fields(struct resolving *r, const struct doc *exclude)
{
    for (size_t i = 0; i < doc_count(exclude); i++) {
        const char *pointer = arena_printf(r->mem, "%s/fields/exclude/%zu", r->pointer, i);
        long found = find_column(r, name_of(doc_at(exclude, i)), pointer);

        if (found < 0 || !r->wanted[found])
            continue;
        r->wanted[found] = false;
        refuse_deselected(r, (size_t)found, pointer);
    }
}

static void resolve_fields(struct resolving *r)
{
    const struct schema *all = r->stream->schema;
    const struct doc *include = doc_get(r->e->fields, "include");
    const struct doc *exclude = doc_get(r->e->fields, "exclude");
    size_t n = 0;

    r->wanted = arena_array(r->mem, all->n_columns, sizeof *r->wanted);
    memset(r->wanted, 1, all->n_columns * sizeof *r->wanted);
    if (doc_is(include, DOC_ARRAY))
        include_fields(r, include);
    exclude_fields(r, exclude);
    for (size_t i = 0; i < all->n_columns; i++)
        n += r->wanted[i];
    if (!n && all->n_columns)
        problems_add(r->problems, at(r, "fields"), "no_fields",
                     "no column of stream \"%s\" is left", r->stream->name);
}

/* The wanted columns in the source's order, with key and cursor renumbered. */
static void build_schema(struct resolving *r)
{
    const struct schema *all = r->stream->schema;
    struct schema *picked = arena_alloc(r->mem, sizeof *picked);
    struct column *columns = arena_array(r->mem, all->n_columns, sizeof *columns);
    size_t *key = arena_array(r->mem, r->n_key, sizeof *key);
    long *number = arena_array(r->mem, all->n_columns, sizeof *number);
    size_t n = 0;

    for (size_t i = 0; i < all->n_columns; i++) {
        number[i] = r->wanted[i] ? (long)n : -1;
        if (r->wanted[i])
            columns[n++] = all->columns[i];
    }
    for (size_t i = 0; i < r->n_key; i++)
        key[i] = (size_t)number[r->key[i]];
    *picked = (struct schema){columns, n, key, r->n_key};
    r->out->schema = picked;
    r->out->cursor = r->cursor < 0 ? -1 : number[r->cursor];
}

static void resolve_entry(struct resolving *r)
{
    size_t before = r->problems->n + r->problems->dropped;

    resolve_key(r);
    resolve_modes(r);
    resolve_cursor(r);
    resolve_fields(r);
    filters_resolve(r->e->filter, r->stream->schema, at(r, "filter"), r->mem, &r->out->filters,
                    &r->out->n_filters, r->problems);
    if (r->problems->n + r->problems->dropped == before)
        build_schema(r);
    r->out->stream = r->stream;
    r->out->alias = r->e->alias ? r->e->alias : r->stream->name;
    r->out->destination_namespace = "";
    r->out->snake = choice_index(namings, r->e->naming) == 1;
    r->out->snake_table = r->out->snake && !r->e->alias;
    r->out->backfill = r->e->backfill_new_columns;
    renames_resolve(r->e->renames, r->mem, &r->out->renames, &r->out->n_renames);
    r->out->misfits =
        (enum misfit_policy)choice_index(misfit_policy_words, r->e->on_unrepresentable);
    r->out->nul = (enum nul_policy)choice_index(nul_policy_words, r->e->nul);
    r->out->allow_empty = r->e->allow_empty;
    r->out->allow_shrink = r->e->allow_shrink;
    r->out->one_lane = !r->e->run_in_parallel;
}

/* Two streams in one table would overwrite each other. */
static void refuse_repeated(const struct selection *so_far, const struct resolving *r)
{
    for (size_t i = 0; i < so_far->n; i++) {
        const struct selected_stream *other = &so_far->streams[i];

        if (other->stream == r->stream)
            problems_add(r->problems, r->pointer, "duplicate_stream",
                         "stream \"%s\" is selected already", r->stream->name);
        else if (!strcmp(other->alias, r->out->alias) &&
                 !strcmp(other->stream->namespace, r->stream->namespace))
            problems_add(r->problems, at(r, "alias"), "duplicate_alias",
                         "stream \"%s\" is written to \"%s\" already", other->stream->name,
                         other->alias);
    }
}

static void add_entry(const struct doc *d, const struct catalog *catalog, const char *pointer,
                      struct arena *mem, struct selection *out, struct problems *problems)
{
    struct entry *e = arena_alloc(mem, sizeof *e);
    struct resolving r = {
        .e = e, .mem = mem, .problems = problems, .pointer = pointer, .out = &out->streams[out->n]};

    if (!options_decode(entry_options, d, pointer, e, mem, problems) || !e->selected)
        return;
    r.stream = catalog_find(catalog, e->namespace, e->name);
    if (!r.stream) {
        problems_add(problems, at(&r, "name"), "unknown_stream",
                     "the catalog has no stream \"%s\"%s%s%s", e->name,
                     e->namespace ? " in namespace \"" : "", e->namespace ? e->namespace : "",
                     e->namespace ? "\"" : "");
        return;
    }
    resolve_entry(&r);
    refuse_repeated(out, &r);
    out->n++;
}

static void select_everything(const struct catalog *catalog, struct selection *out)
{
    for (size_t i = 0; i < catalog->n; i++) {
        const struct stream *s = &catalog->streams[i];

        out->streams[i] = (struct selected_stream){
            .stream = s,
            .schema = s->schema,
            .sync_mode = SYNC_FULL_REFRESH,
            .write_mode = WRITE_OVERWRITE,
            .cursor = -1,
            .alias = s->name,
            .destination_namespace = "",
            .drift = DRIFT_EVOLVE,
        };
    }
    out->n = catalog->n;
}

static bool refuse_other_than_array(const struct doc *streams, const char *pointer,
                                    struct problems *problems)
{
    if (doc_is(streams, DOC_ARRAY))
        return false;
    problems_add(problems, pointer, "wrong_type", "expected an array of streams, found %s",
                 doc_kind_name(doc_kind(streams)));
    return true;
}

bool selection_check(const struct doc *streams, const char *pointer, struct problems *problems)
{
    size_t before = problems->n + problems->dropped;

    if (refuse_other_than_array(streams, pointer, problems))
        return false;
    for (size_t i = 0; i < doc_count(streams); i++) {
        struct entry ignored = {0};

        (void)options_decode(entry_options, doc_at(streams, i),
                             arena_printf(problems->mem, "%s/%zu", pointer, i), &ignored,
                             problems->mem, problems);
    }
    return problems->n + problems->dropped == before;
}

bool selection_resolve(const struct doc *streams, const struct catalog *catalog,
                       const char *pointer, struct arena *mem, struct selection *out,
                       struct problems *problems)
{
    size_t before = problems->n + problems->dropped;
    bool everything = !streams || doc_is(streams, DOC_NULL);
    size_t n = everything ? catalog->n : doc_count(streams);

    *out = (struct selection){.streams = arena_array(mem, n, sizeof *out->streams)};
    if (everything) {
        select_everything(catalog, out);
        return true;
    }
    if (refuse_other_than_array(streams, pointer, problems))
        return false;
    for (size_t i = 0; i < n; i++)
        add_entry(doc_at(streams, i), catalog, arena_printf(mem, "%s/%zu", pointer, i), mem, out,
                  problems);
    return problems->n + problems->dropped == before;
}

bool selection_check_filters(const struct doc *streams, const char *pointer, const char *connector,
                             bool filters_rows, struct problems *problems)
{
    size_t before = problems->n + problems->dropped;

    for (size_t i = 0; !filters_rows && i < doc_count(streams); i++) {
        if (doc_count(doc_get(doc_at(streams, i), "filter")) > 0)
            problems_add(problems, arena_printf(problems->mem, "%s/%zu/filter", pointer, i),
                         "filter_not_supported", "source %s cannot filter rows", connector);
    }
    return problems->n + problems->dropped == before;
}

/* What is said only when it is not the default, which needs no ability. */
static const struct {
    const char *member, *usual;
} policies[] = {
    {"on_unrepresentable", "quarantine_cell"},
    {"nul", "quarantine"},
};

bool selection_check_policies(const struct doc *streams, const char *pointer, const char *connector,
                              bool value_policies, struct problems *problems)
{
    size_t before = problems->n + problems->dropped;

    for (size_t i = 0; !value_policies && i < doc_count(streams); i++) {
        for (size_t k = 0; k < sizeof policies / sizeof policies[0]; k++) {
            const char *usual = policies[k].usual;
            const struct doc *said = doc_get(doc_at(streams, i), policies[k].member);

            if (strcmp(doc_string(said, usual), usual) != 0)
                problems_add(
                    problems,
                    arena_printf(problems->mem, "%s/%zu/%s", pointer, i, policies[k].member),
                    "policy_not_supported", "the destination \"%s\" can only do %s", connector,
                    usual);
        }
    }
    return problems->n + problems->dropped == before;
}

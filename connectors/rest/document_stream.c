/*
 * The section of one stream: its request, records, parents and schema.
 */
#include <string.h>

#include "connectors/rest/document_internal.h"

#define ANY .check = document_any, .schema = "{}"

/* -------------------------------------------------------------------- request */

static const char *const methods[] = {"GET", "POST", NULL};
struct raw_request {
    const char *method;
    const struct doc *path, *params, *headers, *body;
};
struct raw_body {
    const struct doc *json, *form, *text, *graphql;
};
/* clang-format off */
static const struct option request_table[] = {
    OPTION(struct raw_request, path, .title = "Path", .help = "Behind the address, or an address of its own.", .flags = OPTION_REQUIRED, ANY),
    OPTION(struct raw_request, method, .title = "Method", .help = "GET or POST.", .def = "GET", .choices = methods),
    OPTION(struct raw_request, params, .title = "Parameters", .help = "Of the query; one that is null is left out."),
    OPTION(struct raw_request, headers, .title = "Headers", .help = "Besides those of the client."),
    OPTION(struct raw_request, body, .title = "Body", .help = "json, form, text or graphql."),
    OPTIONS_END,
};
static const struct option body_table[] = {
    OPTION(struct raw_body, json, .title = "JSON", .help = "Any value.", ANY),
    OPTION(struct raw_body, form, .title = "Form", .help = "Names and values."),
    OPTION(struct raw_body, text, .title = "Text", .help = "As it is.", ANY),
    OPTION(struct raw_body, graphql, .title = "GraphQL", .help = "query and variables."),
    OPTIONS_END,
};
/* clang-format on */

static void compile_body(struct compile *c, const struct doc *object, const char *pointer,
                         struct rest_request *out)
{
    struct raw_body raw = {0};

    if (!object || !options_decode(body_table, object, pointer, &raw, c->mem, c->problems))
        return;
    if (doc_count(object) != 1) {
        problems_add(c->problems, pointer, "not_allowed",
                     "exactly one of json, form, text and graphql is expected");
        return;
    }
    out->body_kind = raw.form ? REST_BODY_FORM : raw.text ? REST_BODY_TEXT : REST_BODY_JSON;
    out->body = document_template(c,
                                  raw.form   ? raw.form
                                  : raw.text ? raw.text
                                  : raw.json ? raw.json
                                             : raw.graphql,
                                  SCOPES_REQUEST,
                                  document_at(c, pointer, doc_member_key(doc_first(object))));
}

static void compile_request(struct compile *c, const struct raw_request *raw, const char *pointer,
                            struct rest_request *out)
{
    *out = (struct rest_request){.method = document_text(c, raw->method)};
    out->path = document_template(c, raw->path, SCOPES_REQUEST, document_at(c, pointer, "path"));
    out->params = document_pairs(c, raw->params, SCOPES_REQUEST, document_at(c, pointer, "params"));
    out->headers =
        document_pairs(c, raw->headers, SCOPES_REQUEST, document_at(c, pointer, "headers"));
    compile_body(c, raw->body, document_at(c, pointer, "body"), out);
}

void document_request(struct compile *c, const struct doc *object, const char *pointer,
                      struct rest_request *out)
{
    struct raw_request raw = {0};

    *out = (struct rest_request){0};
    if (options_decode(request_table, object, pointer, &raw, c->mem, c->problems))
        compile_request(c, &raw, pointer, out);
}

/* -------------------------------------------------------------------- records */

struct raw_records {
    const char *path, *where, *explode;
    struct string_list keep_parent;
    bool map_entries, single;
};
/* clang-format off */
static const struct option records_table[] = {
    OPTION(struct raw_records, path, .title = "Path", .help = "To the list or object.", .def = "$"),
    OPTION(struct raw_records, where, .title = "Where", .help = "A condition over record."),
    OPTION(struct raw_records, map_entries, .title = "Map", .help = "An object of objects: each with its key as _key.", .def = "false"),
    OPTION(struct raw_records, explode, .title = "Explode", .help = "A list within the record, one row for each element; or an object, which is the row."),
    OPTION(struct raw_records, keep_parent, .title = "Keep", .help = "With explode: paths in the record that each row keeps, as _ and their last name."),
    OPTION(struct raw_records, single, .title = "Single", .help = "The value itself is the record.", .def = "false"),
    OPTIONS_END,
};
/* clang-format on */

/* What rows keep of the record that they were taken from: a computed field for each. */
static void compile_kept(struct compile *c, const struct raw_records *raw, const char *pointer,
                         struct rest_stream *out)
{
    size_t n = raw->keep_parent.n;
    struct rest_pair *all = arena_array(c->mem, out->add.n + n + 1, sizeof *all);

    if (n > 0 && !raw->explode)
        problems_add(c->problems, pointer, "not_allowed",
                     "there is nothing to keep without explode");
    if (out->add.n > 0)
        memcpy(all, out->add.items, out->add.n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        const char *at = arena_printf(c->mem, "%s/%zu", pointer, i),
                   *text = raw->keep_parent.items[i];
        const char *dot = strrchr(text, '.');
        CLEANUP(doc_free_cleanup)
        struct doc *value =
            doc_new_string(arena_printf(c->mem, "{{ record.%s | default:null }}", text));

        all[out->add.n].name = arena_printf(c->mem, "_%s", dot ? dot + 1 : text);
        all[out->add.n].value = document_template(c, value, SCOPES_RECORD, at);
        out->add.n += all[out->add.n].value != NULL;
    }
    out->add.items = all;
}

static void compile_records(struct compile *c, const struct doc *object, const char *pointer,
                            struct rest_stream *out)
{
    struct raw_records raw = {0};

    if (!options_decode(records_table, object, pointer, &raw, c->mem, c->problems))
        return;
    document_path(c, raw.path, true, document_at(c, pointer, "path"), &out->records.records);
    out->records.map_entries = raw.map_entries;
    out->records.single = raw.single;
    out->where = document_condition(c, raw.where, SCOPES_RECORD, document_at(c, pointer, "where"));
    out->has_explode =
        document_path(c, raw.explode, false, document_at(c, pointer, "explode"), &out->explode);
    compile_kept(c, &raw, document_at(c, pointer, "keep_parent"), out);
}

/* ------------------------------------------------------------------- for_each */

struct raw_for_each {
    const char *stream, *where, *as, *on_missing, *incremental;
    const struct doc *fields;
    struct string_list include;
    bool distinct;
    int64_t batch;
};
static const char *const on_missings[] = {"fail", "empty", NULL};
static const char *const each_incrementals[] = {"all", NULL};
/* clang-format off */
static const struct option for_each_table[] = {
    OPTION(struct raw_for_each, stream, .title = "Parent", .help = "Name of the stream.", .flags = OPTION_REQUIRED),
    OPTION(struct raw_for_each, fields, .title = "Fields", .help = "Names and paths in the parent's records.", .flags = OPTION_REQUIRED),
    OPTION(struct raw_for_each, where, .title = "Where", .help = "A condition over the parent's record."),
    OPTION(struct raw_for_each, distinct, .title = "Distinct", .help = "Each set of fields once.", .def = "true"),
    OPTION(struct raw_for_each, include, .title = "Include", .help = "Fields put into the records."),
    OPTION(struct raw_for_each, as, .title = "Prefix", .help = "Of the included fields.", .def = "parent_"),
    OPTION(struct raw_for_each, incremental, .title = "Incremental", .help = "Which parents are asked for.", .def = "all", .choices = each_incrementals),
    OPTION(struct raw_for_each, batch, .title = "Batch", .help = "Parents per request.", .def = "1", .min = 1, .max = 1000),
    OPTION(struct raw_for_each, on_missing, .title = "Missing", .help = "What a 404 of a child means.", .def = "fail", .choices = on_missings),
    OPTIONS_END,
};
/* clang-format on */

static void compile_for_each(struct compile *c, const struct doc *object, const char *pointer,
                             struct rest_for_each *out, const char **out_parent)
{
    struct raw_for_each raw = {0};
    size_t n = 0;

    *out_parent = NULL;
    if (!object || !options_decode(for_each_table, object, pointer, &raw, c->mem, c->problems))
        return;
    *out_parent = document_text(c, raw.stream);
    out->fields = arena_array(c->mem, doc_count(raw.fields) + 1, sizeof *out->fields);
    for (const struct doc_member *it = doc_first(raw.fields); it; it = doc_next(raw.fields, it)) {
        const char *name = doc_member_key(it);
        const char *at = document_at(c, document_at(c, pointer, "fields"), name);

        out->fields[n].name = document_text(c, name);
        if (!doc_is(doc_member_value(it), DOC_STRING))
            problems_add(c->problems, at, "wrong_type", "a path is expected");
        else if (strstr(doc_string(doc_member_value(it), ""), "{{"))
            n += (out->fields[n].value =
                      document_template(c, doc_member_value(it), SCOPES_RECORD, at)) != NULL;
        else
            n += document_path(c, doc_string(doc_member_value(it), ""), false, at,
                               &out->fields[n].path);
    }
    out->n_fields = n;
    out->where = document_condition(c, raw.where, SCOPE_BIT(record) | SCOPE_BIT(vars),
                                    document_at(c, pointer, "where"));
    out->distinct = raw.distinct;
    out->include = document_list(c, &raw.include);
    out->prefix = document_text(c, raw.as);
    out->batch = raw.batch;
    out->missing_is_empty = strcmp(raw.on_missing, "empty") == 0;
}

/* --------------------------------------------------------------------- schema */

/* What a JSON Schema does not require may be absent, whatever its type says. */
static bool is_required(const struct doc *schema, const char *name)
{
    const struct doc *required = doc_get(schema, "required");

    for (size_t i = 0; i < doc_count(required); i++) {
        if (strcmp(doc_string(doc_at(required, i), ""), name) == 0)
            return true;
    }
    return false;
}

static void compile_schema(struct compile *c, const struct doc *value, const char *pointer,
                           struct rest_stream *out)
{
    const struct doc *properties = doc_get(value, "properties");
    struct schema *s;
    struct column *columns;
    size_t n = 0;

    if (!value || (doc_is(value, DOC_STRING) && strcmp(doc_string(value, ""), "infer") == 0))
        return;
    if (!doc_is(properties, DOC_OBJECT) || doc_count(properties) == 0 ||
        doc_count(properties) > SCHEMA_MAX_COLUMNS) {
        problems_add(c->problems, pointer, "wrong_type",
                     "\"infer\" or a JSON Schema with properties is expected");
        return;
    }
    columns = arena_array(c->mem, doc_count(properties), sizeof *columns);
    for (const struct doc_member *it = doc_first(properties); it; it = doc_next(properties, it)) {
        struct error why = ERROR_INIT;

        columns[n] = (struct column){
            .name = document_text(c, doc_member_key(it)), .source_type = "", .nullable = true};
        if (column_from_json_schema(doc_member_value(it), &columns[n], &why) < 0)
            problems_add(c->problems,
                         document_at(c, document_at(c, pointer, "properties"), columns[n].name),
                         "wrong_type", "%s", why.message);
        columns[n].nullable |= !is_required(value, columns[n].name);
        n++;
    }
    s = arena_alloc(c->mem, sizeof *s);
    *s = (struct schema){.columns = columns, .n_columns = n};
    out->schema = s;
    out->schema_kind = REST_SCHEMA_INLINE;
}

static void compile_types(struct compile *c, const struct doc *types, const char *pointer,
                          struct rest_stream *out)
{
    out->types = arena_array(c->mem, doc_count(types) + 1, sizeof *out->types);
    for (const struct doc_member *it = types ? doc_first(types) : NULL; it;
         it = doc_next(types, it)) {
        struct rest_type *t = &out->types[out->n_types++];

        t->column = document_text(c, doc_member_key(it));
        if (!type_parse(doc_string(doc_member_value(it), ""), &t->type))
            problems_add(c->problems, document_at(c, pointer, t->column), "not_allowed",
                         "a type such as int, decimal(10,2), timestamptz or json is expected");
    }
}

/* --------------------------------------------------------------------- stream */

struct raw_stream {
    const char *name, *method, *write, *notes;
    const struct doc *path, *params, *headers, *body, *records, *add, *paginate, *incremental,
        *for_each, *slices, *schema, *types, *errors;
    struct string_list remove, key;
    bool selected, etag, empty_ok;
    int64_t max_pages, max_skipped;
};
static const char *const writes[] = {"append", "upsert", NULL};
/* clang-format off */
static const struct option stream_table[] = {
    OPTION(struct raw_stream, name, .title = "Name", .help = "Of the stream.", .flags = OPTION_REQUIRED, .min = 1, .max = 200),
    OPTION(struct raw_stream, path, .title = "Path", .help = "Behind the address; / and the name without it.", ANY),
    OPTION(struct raw_stream, method, .title = "Method", .help = "GET or POST.", .def = "GET", .choices = methods),
    OPTION(struct raw_stream, params, .title = "Parameters", .help = "Of the query; one that is null is left out."),
    OPTION(struct raw_stream, headers, .title = "Headers", .help = "Besides those of the client."),
    OPTION(struct raw_stream, body, .title = "Body", .help = "json, form, text or graphql."),
    OPTION(struct raw_stream, records, .title = "Records", .help = "Where they are in the answer."),
    OPTION(struct raw_stream, add, .title = "Add", .help = "Computed fields."),
    OPTION(struct raw_stream, remove, .title = "Remove", .help = "Paths that are dropped."),
    OPTION(struct raw_stream, key, .title = "Key", .help = "Names of the fields that identify a record."),
    OPTION(struct raw_stream, write, .title = "Write", .help = "upsert with a key, else append.", .choices = writes),
    OPTION(struct raw_stream, paginate, .title = "Pages", .help = "How they follow each other."),
    OPTION(struct raw_stream, incremental, .title = "Incremental", .help = "How only what is new is asked for."),
    OPTION(struct raw_stream, for_each, .title = "For each", .help = "The stream whose records this one is asked for with."),
    OPTION(struct raw_stream, slices, .title = "Slices", .help = "A list of objects, or the template of a list of texts: one sequence of requests each.", ANY),
    OPTION(struct raw_stream, schema, .title = "Schema", .help = "infer, or a JSON Schema.", ANY),
    OPTION(struct raw_stream, types, .title = "Types", .help = "Of single columns."),
    OPTION(struct raw_stream, errors, .title = "Errors", .help = "Rules, before those of the client.", ANY),
    OPTION(struct raw_stream, selected, .title = "Selected", .help = "Whether it is written.", .def = "true"),
    OPTION(struct raw_stream, etag, .title = "ETag", .help = "Whether an unchanged first page ends the stream.", .def = "false"),
    OPTION(struct raw_stream, empty_ok, .title = "Empty", .help = "Whether there may be no records at all.", .def = "true"),
    OPTION(struct raw_stream, max_pages, .title = "Most pages", .help = "More are an error.", .def = "100000", .min = 1, .max = 100000000),
    OPTION(struct raw_stream, max_skipped, .title = "Most skipped", .help = "Slices or parents given up.", .def = "0", .min = 0, .max = 1000000000),
    OPTION(struct raw_stream, notes, .title = "Notes", .help = "For people."),
    OPTIONS_END,
};
/* clang-format on */

static void compile_slices(struct compile *c, const struct doc *list, const char *pointer,
                           struct rest_stream *out)
{
    const char **slices;

    if (!list)
        return;
    if (doc_is(list, DOC_STRING)) {
        out->slices_from = document_template(c, list, SCOPE_BIT(vars), pointer);
        return;
    }
    if (!doc_is(list, DOC_ARRAY)) {
        problems_add(c->problems, pointer, "wrong_type",
                     "a list of objects, or a template such as {{ vars.regions }}, is expected");
        return;
    }
    slices = arena_array(c->mem, doc_count(list) + 1, sizeof *slices);
    for (size_t i = 0; i < doc_count(list); i++) {
        struct buf text = BUF_INIT(1 << 20);

        if (!doc_is(doc_at(list, i), DOC_OBJECT))
            problems_add(c->problems, arena_printf(c->mem, "%s/%zu", pointer, i), "wrong_type",
                         "an object is expected");
        doc_write(doc_at(list, i), &text);
        slices[out->n_slices++] = document_text(c, buf_str(&text));
        buf_release(&text);
    }
    out->slices = slices;
}

static void compile_remove(struct compile *c, const struct string_list *list, const char *pointer,
                           struct rest_stream *out)
{
    struct path *paths = arena_array(c->mem, list->n + 1, sizeof *paths);

    for (size_t i = 0; i < list->n; i++)
        out->n_remove +=
            document_path(c, list->items[i], false, arena_printf(c->mem, "%s/%zu", pointer, i),
                          &paths[out->n_remove]);
    out->remove = paths;
}

static void compile_parts(struct compile *c, const struct raw_stream *raw, const char *pointer,
                          struct rest_stream *out)
{
    struct raw_request request = {raw->method, raw->path, raw->params, raw->headers, raw->body};
    struct doc *path = NULL;

    if (!request.path) {
        path = doc_new_string(arena_printf(c->mem, "/%s", raw->name));
        request.path = path;
    }
    compile_request(c, &request, pointer, &out->request);
    doc_free(path);
    out->add = document_pairs(c, raw->add, SCOPES_RECORD, document_at(c, pointer, "add"));
    compile_records(c, raw->records, document_at(c, pointer, "records"), out);
    compile_remove(c, &raw->remove, document_at(c, pointer, "remove"), out);
    document_incremental(c, raw->incremental, document_at(c, pointer, "incremental"),
                         &out->incremental);
    document_paginate(c, raw->paginate, document_at(c, pointer, "paginate"), out);
    if (out->paginate.split_records &&
        !(out->incremental.present && out->incremental.order == REST_ORDER_ASC))
        problems_add(c->problems, document_at(c, document_at(c, pointer, "paginate"), "split"),
                     "not_allowed",
                     "it needs records that come in the order of their bookmark: incremental with "
                     "the order asc");
    compile_slices(c, raw->slices, document_at(c, pointer, "slices"), out);
    compile_schema(c, raw->schema, document_at(c, pointer, "schema"), out);
    compile_types(c, raw->types, document_at(c, pointer, "types"), out);
    out->errors = document_rules(c, raw->errors, document_at(c, pointer, "errors"));
}

/* A schema that is given is all there will be, but for what `types` adds. */
static void check_key(struct compile *c, const char *pointer, const struct rest_stream *s)
{
    for (size_t i = 0; i < s->n_key && s->schema_kind == REST_SCHEMA_INLINE && s->schema; i++) {
        bool found;

        if (!s->key[i])
            continue; /* no text, as was told already */
        found = schema_find(s->schema, s->key[i]) >= 0;
        for (size_t t = 0; t < s->n_types; t++)
            found |= strcmp(s->types[t].column, s->key[i]) == 0;
        if (!found)
            problems_add(c->problems, arena_printf(c->mem, "%s/key/%zu", pointer, i), "key_missing",
                         "the schema has no column \"%s\"", s->key[i]);
    }
}

void document_stream(struct compile *c, const struct doc *object, const char *pointer,
                     struct rest_stream *out, const char **out_parent)
{
    struct raw_stream raw = {0};

    *out = (struct rest_stream){.pointer = document_text(c, pointer)};
    *out_parent = NULL;
    /* What was decoded is looked at all the same: all problems are told at once. */
    if (!options_decode(stream_table, object, pointer, &raw, c->mem, c->problems) && !raw.name)
        return;
    out->name = document_text(c, raw.name);
    out->key = document_list(c, &raw.key);
    out->n_key = raw.key.n;
    out->notes = document_text(c, raw.notes ? raw.notes : "");
    out->selected = raw.selected;
    out->etag = raw.etag;
    out->empty_ok = raw.empty_ok;
    out->max_pages = raw.max_pages;
    out->max_skipped = raw.max_skipped;
    compile_parts(c, &raw, pointer, out);
    check_key(c, pointer, out);
    compile_for_each(c, raw.for_each, document_at(c, pointer, "for_each"), &out->for_each,
                     out_parent);
}

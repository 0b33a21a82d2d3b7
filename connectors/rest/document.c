#include "connectors/rest/document.h"

#include <string.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/rest/document_internal.h"

#define MAX_DEFAULT 65536 /* of a list; long enough for whoever writes one */

/* --------------------------------------------------------------- what all share */

void document_any(const struct doc *value, const char *pointer, struct problems *problems)
{
    (void)value;
    (void)pointer;
    (void)problems;
}

const char *document_at(struct compile *c, const char *pointer, const char *name)
{
    struct buf out = BUF_INIT(65536);
    const char *text;

    buf_puts(&out, pointer);
    doc_pointer_put(&out, name);
    text = arena_strdup(c->mem, buf_str(&out));
    buf_release(&out);
    return text;
}

const char *document_text(struct compile *c, const char *s)
{
    return s ? arena_strdup(c->mem, s) : NULL;
}

static bool is_declared(const void *arg, const char *name)
{
    return option_find(arg, name) != NULL;
}

/* A name that nobody can give a value would fail every request. */
static void check_declared(struct compile *c, const struct template *t, enum scope scope,
                           const struct option *table, const char *section, const char *pointer)
{
    const char *name = template_unknown(t, scope, is_declared, table);

    if (name)
        problems_add(c->problems, pointer, "unknown_variable",
                     "\"%s\" is not declared under %s of the document, and has no default", name,
                     section);
}

const struct template *document_template(struct compile *c, const struct doc *value,
                                         unsigned allowed, const char *pointer)
{
    const struct template *t;

    if (!value)
        return NULL;
    t = template_compile(c->mem, value, allowed, pointer, c->problems);
    if (t && c->vars)
        check_declared(c, t, SCOPE_vars, c->vars, "vars", pointer);
    if (t && c->secrets)
        check_declared(c, t, SCOPE_secret, c->secrets, "secrets", pointer);
    /* cppcheck-suppress CastIntegerToAddressAtReturn ; it takes `template` for C++'s */
    return t;
}

struct rest_pairs document_pairs(struct compile *c, const struct doc *object, unsigned allowed,
                                 const char *pointer)
{
    struct rest_pairs out = {0};
    struct rest_pair *items = arena_array(c->mem, doc_count(object) + 1, sizeof *items);

    for (const struct doc_member *it = object ? doc_first(object) : NULL; it;
         it = doc_next(object, it)) {
        const char *name = doc_member_key(it);

        items[out.n].name = document_text(c, name);
        items[out.n].value =
            document_template(c, doc_member_value(it), allowed, document_at(c, pointer, name));
        out.n += items[out.n].value != NULL;
    }
    out.items = items;
    return out;
}

const struct condition *document_condition(struct compile *c, const char *text, unsigned allowed,
                                           const char *pointer)
{
    return text ? condition_compile(c->mem, text, allowed, pointer, c->problems) : NULL;
}

int64_t document_duration_ms(struct compile *c, const char *text, const char *pointer)
{
    int64_t ms = 0;

    if (text && !text_to_duration_ms(text, &ms))
        problems_add(c->problems, pointer, "wrong_format",
                     "a duration such as 500ms, 10s, 5m, 2h or 1d is expected");
    return ms;
}

bool document_path(struct compile *c, const char *text, bool each, const char *pointer,
                   struct path *out)
{
    const char *why = text ? path_compile(c->mem, text, each, out) : NULL;

    if (why)
        problems_add(c->problems, pointer, "bad_path", "\"%s\" is no path: %s", text, why);
    return text && !why;
}

int document_choice(const char *word, const char *const *choices)
{
    for (int i = 0; word && choices[i]; i++) {
        if (strcmp(word, choices[i]) == 0)
            return i;
    }
    return 0;
}

const char *const *document_list(struct compile *c, const struct string_list *list)
{
    const char **out = arena_array(c->mem, list->n + 1, sizeof *out);

    for (size_t i = 0; i < list->n; i++)
        out[i] = document_text(c, list->items[i]);
    out[list->n] = NULL;
    return out;
}

/* ---------------------------------------------------------------- vars, secrets */

static const struct {
    const char *word;
    enum option_type type;
    enum doc_kind def;
} var_types[] = {
    {"string", OPTION_STRING, DOC_STRING},
    {"integer", OPTION_INT, DOC_INT},
    {"boolean", OPTION_BOOL, DOC_BOOL},
    {"list", OPTION_LIST, DOC_ARRAY},
};
#define VAR_TYPES (sizeof var_types / sizeof var_types[0])
struct raw_var {
    const char *type, *title, *description;
    const struct doc *def, *choices;
    bool required;
};

static void unknown_members(struct compile *c, const struct doc *object, const char *pointer,
                            const char *const *known)
{
    for (const struct doc_member *it = doc_first(object); it; it = doc_next(object, it)) {
        bool found = false;

        for (size_t i = 0; known[i]; i++)
            found |= strcmp(known[i], doc_member_key(it)) == 0;
        if (!found)
            problems_add(c->problems, document_at(c, pointer, doc_member_key(it)), "unknown_field",
                         "there is no such member here");
    }
}

static const char *const *read_choices(struct compile *c, const struct doc *list)
{
    const char **out;

    if (!doc_is(list, DOC_ARRAY) || doc_count(list) == 0)
        return NULL;
    out = arena_array(c->mem, doc_count(list) + 1, sizeof *out);
    for (size_t i = 0; i < doc_count(list); i++)
        out[i] = document_text(c, doc_string(doc_at(list, i), ""));
    out[doc_count(list)] = NULL;
    return out;
}

/* As the text of a row of options: JSON, and a text as it is. */
static const char *default_text(struct compile *c, const struct doc *value, const char *pointer)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_DEFAULT);

    if (!value || doc_is(value, DOC_NULL))
        return NULL;
    if (doc_is(value, DOC_STRING))
        return document_text(c, doc_string(value, ""));
    doc_write(value, &text);
    if (!text.failed)
        return document_text(c, buf_str(&text));
    problems_add(c->problems, document_at(c, pointer, "default"), "too_long",
                 "a default has at most %d bytes", MAX_DEFAULT);
    return NULL;
}

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return n > 0 && s[n] == '\0' && n <= 63 && (s[0] < '0' || s[0] > '9');
}

/* Lists are lists of texts. */
static bool is_default_of(size_t kind, const struct doc *def)
{
    bool fits = doc_is(def, var_types[kind].def);

    for (size_t i = 0; fits && doc_is(def, DOC_ARRAY) && i < doc_count(def); i++)
        fits = doc_is(doc_at(def, i), DOC_STRING);
    return fits;
}

static void read_var(struct compile *c, const char *name, const struct doc *d, const char *pointer,
                     bool secret, struct option *out)
{
    static const char *const known[] = {"type",     "title", "description", "default",
                                        "required", "enum",  NULL};
    const char *type = doc_string(doc_get(d, "type"), "string");
    const struct doc *def = doc_get(d, "default");
    size_t kind = 0;

    if (!doc_is(d, DOC_OBJECT)) {
        problems_add(c->problems, pointer, "wrong_type", "an object is expected");
        return;
    }
    unknown_members(c, d, pointer, known);
    if (!is_name(name))
        problems_add(c->problems, pointer, "wrong_format",
                     "a name has letters, digits and _, and does not begin with a digit");
    while (kind < VAR_TYPES && strcmp(var_types[kind].word, type) != 0)
        kind++;
    if (kind == VAR_TYPES || (secret && var_types[kind].type == OPTION_LIST)) {
        problems_add(c->problems, document_at(c, pointer, "type"), "not_allowed",
                     secret ? "string, integer or boolean is expected"
                            : "string, integer, boolean or list is expected");
        kind = 0;
    }
    if (def && !doc_is(def, DOC_NULL) && !is_default_of(kind, def))
        problems_add(c->problems, document_at(c, pointer, "default"), "wrong_type",
                     "the default is of another type than the variable");
    *out = (struct option){
        .type = var_types[kind].type,
        .name = document_text(c, name),
        .title = document_text(c, doc_string(doc_get(d, "title"), name)),
        .help = document_text(c, doc_string(doc_get(d, "description"), name)),
        .def = default_text(c, def, pointer),
        .choices = read_choices(c, doc_get(d, "enum")),
        .flags = secret ? OPTION_SECRET : 0,
    };
    if (doc_bool(doc_get(d, "required"), secret && !out->def))
        out->flags |= OPTION_REQUIRED;
}

static const struct option *read_vars(struct compile *c, const struct doc *object,
                                      const char *pointer, bool secret, size_t *out_n)
{
    struct option *vars = arena_array(c->mem, doc_count(object) + 1, sizeof *vars);
    size_t n = 0;

    for (const struct doc_member *it = object ? doc_first(object) : NULL; it;
         it = doc_next(object, it)) {
        vars[n] = (struct option){0};
        read_var(c, doc_member_key(it), doc_member_value(it),
                 document_at(c, pointer, doc_member_key(it)), secret, &vars[n]);
        n += vars[n].name != NULL;
    }
    *out_n = n;
    return vars;
}

/* -------------------------------------------------------------------- document */

struct raw_document {
    const char *name, *title, *docs, *version;
    const struct doc *vars, *secrets, *client, *check, *defaults, *streams;
};
/* clang-format off */
#define ANY .check = document_any, .schema = "{}"
static const struct option document_table[] = {
    OPTION(struct raw_document, name, .title = "Name", .help = "Of the connector.", .max = 63),
    OPTION(struct raw_document, title, .title = "Title", .help = "For people."),
    OPTION(struct raw_document, docs, .title = "Documentation", .help = "A paragraph of Markdown."),
    OPTION(struct raw_document, version, .title = "Version", .help = "Of the document."),
    OPTION(struct raw_document, vars, .title = "Variables", .help = "Settings of a source."),
    OPTION(struct raw_document, secrets, .title = "Secrets", .help = "Settings that are never shown."),
    OPTION(struct raw_document, client, .title = "Client", .help = "How the API is spoken to.", .flags = OPTION_REQUIRED),
    OPTION(struct raw_document, check, .title = "Check", .help = "The request that tests a configuration."),
    OPTION(struct raw_document, defaults, .title = "Defaults", .help = "Of every stream."),
    OPTION(struct raw_document, streams, .title = "Streams", .help = "What there is to read.", .flags = OPTION_REQUIRED, ANY),
    OPTIONS_END,
};
/* clang-format on */

static const struct rest_stream *find_stream(const struct rest_stream *streams, size_t n,
                                             const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (streams[i].name && strcmp(streams[i].name, name) == 0)
            return &streams[i];
    }
    return NULL;
}

/* A stream that is its own ancestor would never end. */
static bool has_cycle(const struct rest_stream *s, size_t n)
{
    const struct rest_stream *at = s->for_each.parent;

    for (size_t i = 0; at && i <= n; i++, at = at->for_each.parent) {
        if (at == s)
            return true;
    }
    return false;
}

static void link_parents(struct compile *c, struct rest_stream *streams, size_t n,
                         const char *const *parents)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = document_at(c, document_at(c, streams[i].pointer, "for_each"), "stream");

        if (!parents[i])
            continue;
        streams[i].for_each.parent = find_stream(streams, n, parents[i]);
        if (!streams[i].for_each.parent)
            problems_add(c->problems, at, "unknown_stream", "there is no stream \"%s\"",
                         parents[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (has_cycle(&streams[i], n)) {
            problems_add(c->problems, streams[i].pointer, "cycle",
                         "the stream is an ancestor of itself");
            streams[i].for_each.parent = NULL;
        }
    }
}

/* What answers are is the client's to say, where the records are the stream's. */
static void set_formats(struct rest_stream *streams, size_t n, const struct page_settings *decoder)
{
    for (size_t i = 0; i < n; i++) {
        struct page_settings of_stream = streams[i].records;

        streams[i].records = *decoder;
        streams[i].records.records = of_stream.records;
        streams[i].records.map_entries = of_stream.map_entries;
        streams[i].records.single = of_stream.single;
    }
}

/* The defaults of every stream under what this one says; another way of paging is no change of
 * theirs, but all of it is the stream's own. */
static struct doc *with_defaults(const struct doc *defaults, const struct doc *stream)
{
    struct doc *base, *whole;

    if (!defaults)
        return doc_copy(stream);
    base = doc_copy(defaults);
    if (doc_get(doc_get(stream, "paginate"), "type"))
        doc_remove(base, "paginate");
    whole = doc_merge_patch(base, stream);
    doc_free(base);
    return whole;
}

static void compile_streams(struct compile *c, const struct raw_document *raw, const char *pointer,
                            struct rest_document *out)
{
    size_t n = doc_count(raw->streams);
    struct rest_stream *streams = arena_array(c->mem, n + 1, sizeof *streams);
    const char **parents = arena_array(c->mem, n + 1, sizeof *parents);

    if (!doc_is(raw->streams, DOC_ARRAY) || n == 0) {
        problems_add(c->problems, pointer, "required", "a list of at least one stream is expected");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const char *at = arena_printf(c->mem, "%s/%zu", pointer, i);
        CLEANUP(doc_free_cleanup) struct doc *whole = NULL;

        if (!doc_is(doc_at(raw->streams, i), DOC_OBJECT)) {
            problems_add(c->problems, at, "wrong_type", "an object is expected");
            streams[i] = (struct rest_stream){.pointer = at};
            continue;
        }
        whole = with_defaults(raw->defaults, doc_at(raw->streams, i));
        document_stream(c, whole, at, &streams[i], &parents[i]);
        if (streams[i].name && find_stream(streams, i, streams[i].name))
            problems_add(c->problems, document_at(c, at, "name"), "duplicate",
                         "another stream has this name");
    }
    link_parents(c, streams, n, parents);
    set_formats(streams, n, &out->client.decoder);
    out->streams = streams;
    out->n_streams = n;
}

const struct rest_stream *document_find(const struct rest_document *d, const char *name)
{
    return find_stream(d->streams, d->n_streams, name);
}

const struct rest_document *rest_document_compile(struct arena *mem, const struct doc *text,
                                                  const char *pointer, struct problems *problems)
{
    struct rest_document *d = arena_alloc(mem, sizeof *d);
    struct compile c = {.mem = mem, .problems = problems};
    struct raw_document raw = {0};
    size_t before = problems->n + problems->dropped;

    *d = (struct rest_document){0};
    /* Even when a member is missing or wrong, the others are looked at: all mistakes at once. */
    (void)options_decode(document_table, text, pointer, &raw, mem, problems);
    d->name = document_text(&c, raw.name);
    d->title = document_text(&c, raw.title ? raw.title : raw.name);
    d->docs = document_text(&c, raw.docs);
    d->vars = read_vars(&c, raw.vars, document_at(&c, pointer, "vars"), false, &d->n_vars);
    d->secrets =
        read_vars(&c, raw.secrets, document_at(&c, pointer, "secrets"), true, &d->n_secrets);
    c.vars = d->vars;
    c.secrets = d->secrets;
    if (doc_is(raw.client, DOC_OBJECT))
        document_client(&c, raw.client, document_at(&c, pointer, "client"), &d->client);
    if (doc_is(raw.check, DOC_OBJECT)) {
        d->has_check = true;
        document_request(&c, raw.check, document_at(&c, pointer, "check"), &d->check);
    }
    if (raw.streams)
        compile_streams(&c, &raw, document_at(&c, pointer, "streams"), d);
    return problems->n + problems->dropped == before ? d : NULL;
}

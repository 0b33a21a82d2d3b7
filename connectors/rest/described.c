#include "connectors/rest/described.h"

#include <ctype.h>
#include <string.h>

#include "connectors/catalog.h"
#include "connectors/rest/reader.h"

/* What a configuration begins with; the slots of the option table follow. */
struct head {
    const struct rest_document *document;
};

struct opened {
    struct rest_source src;
    struct scopes values;
};

static int open_source(const void *config, struct run *run, struct opened *out, struct error *err)
{
    const struct head *head = config;

    *out = (struct opened){0};
    if (rest_values(run->mem, head->document, head + 1, &out->values, err) < 0)
        return -1;
    out->src =
        (struct rest_source){.doc = head->document, .values = &out->values, .secrets_at = ""};
    return 0;
}

static int check(const void *config, struct run *run, struct error *err)
{
    struct opened o;

    return open_source(config, run, &o, err) < 0 ? -1 : rest_check(&o.src, run, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    struct opened o;

    return open_source(config, run, &o, err) < 0 ? -1 : rest_discover(&o.src, run, out, err);
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    struct opened o;

    return open_source(config, run, &o, err) < 0
               ? -1
               : rest_count(&o.src, run, stream, out_count, out_exact, err);
}

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    struct opened o;

    return open_source(config, run, &o, err) < 0 ? -1 : rest_read(&o.src, run, req, out, err);
}

/* ------------------------------------------------------------- what binds secrets */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether a template in the text may mean the variable: its name stands there as a word. */
static bool text_mentions(const char *text, const char *name)
{
    size_t n = strlen(name);

    if (!strstr(text, "vars"))
        return false;
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        if (!is_word(at[n]) && (at == text || !is_word(at[-1])))
            return true;
    }
    return false;
}

static bool mentions(const struct doc *d, const char *name)
{
    if (doc_is(d, DOC_STRING))
        return text_mentions(doc_string(d, ""), name);
    if (doc_is(d, DOC_ARRAY)) {
        for (size_t i = 0; i < doc_count(d); i++) {
            if (mentions(doc_at(d, i), name))
                return true;
        }
    }
    if (doc_is(d, DOC_OBJECT)) {
        for (const struct doc_member *it = doc_first(d); it; it = doc_next(d, it)) {
            if (mentions(doc_member_value(it), name))
                return true;
        }
    }
    return false;
}

const char *described_binding(struct arena *mem, const struct doc *document)
{
    static const char *const parts[] = {"base_url", "allowed_hosts", "redirects", "auth",
                                        "proxy",    "tls",           NULL};
    CLEANUP(doc_free_cleanup) struct doc *binding = doc_new_object();
    CLEANUP(buf_release) struct buf text = BUF_INIT((size_t)16 << 20);
    const struct doc *client = doc_get(document, "client"), *vars = doc_get(document, "vars");

    for (size_t i = 0; parts[i]; i++) {
        if (doc_get(client, parts[i]))
            doc_set(binding, parts[i], doc_copy(doc_get(client, parts[i])));
    }
    for (const struct doc_member *it = vars ? doc_first(vars) : NULL; it; it = doc_next(vars, it)) {
        const struct doc *value = doc_get(doc_member_value(it), "default");
        const char *key = doc_member_key(it);

        if (value && mentions(client, key))
            doc_set(binding, arena_printf(mem, "vars.%s", key), doc_copy(value));
    }
    doc_write(binding, &text);
    return arena_memdup(mem, buf_str(&text), text.len);
}

/* The table of the document, behind the head of the configuration. */
static const struct option *table_of(struct arena *mem, const struct rest_document *d,
                                     const struct doc *client, size_t *out_size)
{
    const struct option *rows = rest_options(mem, d, out_size);
    size_t n = d->n_vars + d->n_secrets;
    struct option *table = arena_array(mem, n + 1, sizeof *table);

    memcpy(table, rows, (n + 1) * sizeof *table);
    for (size_t i = 0; i < n; i++) {
        table[i].offset += sizeof(struct head);
        if (i < d->n_vars && mentions(client, table[i].name))
            table[i].flags |= OPTION_BINDING;
    }
    *out_size += sizeof(struct head);
    return table;
}

static const struct known_stream *streams_of(struct arena *mem, const struct rest_document *d)
{
    struct known_stream *streams = arena_array(mem, d->n_streams + 1, sizeof *streams);
    size_t n = 0;

    for (size_t i = 0; i < d->n_streams; i++) {
        if (d->streams[i].selected)
            streams[n++] = (struct known_stream){d->streams[i].name, d->streams[i].notes};
    }
    return streams;
}

const struct source_connector *described_source(struct arena *mem, const char *name,
                                                const struct doc *document, const char *pointer,
                                                struct problems *problems)
{
    const struct rest_document *d = rest_document_compile(mem, document, pointer, problems);
    struct source_connector *c;
    struct head *start;

    if (!d)
        return NULL;
    c = arena_alloc(mem, sizeof *c);
    *c = (struct source_connector){
        .name = arena_strdup(mem, name),
        .title = d->title ? d->title : arena_strdup(mem, name),
        .docs = d->docs ? d->docs : "An API that is read by a description.",
        .check = check,
        .discover = discover,
        .count = count,
        .read = read_streams,
        .streams = streams_of(mem, d),
        .doubts_streams = true,
        .tell_types = json_schema_tell_types,
        .tell_limits = rest_tell_limits,
    };
    c->options = table_of(mem, d, doc_get(document, "client"), &c->config_size);
    start = arena_alloc(mem, c->config_size);
    start->document = d;
    c->config_start = start;
    return c;
}

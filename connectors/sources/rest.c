/* rest - any REST API as a source, by the description in its configuration. */
#include "connectors/catalog.h"
#include "connectors/rest/reader.h"

struct rest_config {
    const struct doc *document, *vars, *secrets;
};

static void check_document(const struct doc *value, const char *pointer, struct problems *problems)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    (void)rest_document_compile(mem, value, pointer, problems);
}

/* clang-format off */
static const struct option options[] = {
    OPTION(struct rest_config, document, .title = "Document", .flags = OPTION_REQUIRED | OPTION_BINDING,
           .check = check_document,
           .example = "{\"client\":{\"base_url\":\"https://api.example.com\"},\"streams\":[{\"name\":\"users\","
                      "\"path\":\"/users\",\"records\":{\"path\":\"data\"},\"key\":[\"id\"]}]}",
           .help = "The description of the API: client, streams, variables and secrets."),
    OPTION(struct rest_config, vars, .title = "Variables",
           .help = "Values of the variables that the document declares."),
    OPTION(struct rest_config, secrets, .title = "Secrets", .flags = OPTION_SECRET,
           .help = "Values of the secrets that the document declares."),
    OPTIONS_END,
};
/* clang-format on */

/* What a call works with; memory of the run. */
struct opened {
    struct rest_source src;
    struct scopes values;
};

static int first_problem(const struct problems *p, struct error *err)
{
    return error_set_reason(err, ERR_CONFIG, "invalid_document", "%s: %s", p->items[0].pointer,
                            p->items[0].message);
}

static struct doc *merged(const struct rest_config *c)
{
    struct doc *empty = doc_new_object(), *all;

    all = doc_merge_patch(c->vars ? c->vars : empty, c->secrets ? c->secrets : empty);
    doc_free(empty);
    return all;
}

static int open_source(const struct rest_config *c, struct run *run, struct opened *out,
                       struct error *err)
{
    struct problems problems = PROBLEMS_INIT(run->mem);
    const struct rest_document *d =
        rest_document_compile(run->mem, c->document, "/document", &problems);
    CLEANUP(doc_free_cleanup) struct doc *given = merged(c);
    const struct option *table;
    size_t size;
    void *config;

    if (!d)
        return first_problem(&problems, err);
    table = rest_options(run->mem, d, &size);
    config = arena_array(run->mem, size, 1);
    if (!options_decode(table, given, "/vars", config, run->mem, &problems))
        return first_problem(&problems, err);
    *out = (struct opened){0};
    if (rest_values(run->mem, d, config, &out->values, err) < 0)
        return -1;
    out->src = (struct rest_source){.doc = d, .values = &out->values, .secrets_at = "/secrets"};
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

const struct source_connector source_rest = {
    .name = "rest",
    .title = "REST API",
    .docs = "Reads any REST API by description: a document says where it is, who we are to it, "
            "where its records stand, how its pages follow each other, and how only what is new is "
            "asked for. Numbers keep every digit, objects and lists become JSON columns. A page "
            "that arrives broken is asked for again before a row of it is delivered; rate limits "
            "and Retry-After are kept; a page that repeats for ever is an error. Secrets are sent "
            "to the host of the document alone and never logged.",
    .options = options,
    .doubts_streams = true,
    .config_size = sizeof(struct rest_config),
    .tell_types = json_schema_tell_types,
    .tell_limits = rest_tell_limits,
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_streams,
};

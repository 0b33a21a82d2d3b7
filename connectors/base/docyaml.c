#include "connectors/base/docyaml.h"

#include <string.h>

#include <yaml.h>

/* What reading carries along. */
struct reader {
    yaml_parser_t *parser;
    size_t values; /* keys counted too */
};

static int refuse(const yaml_mark_t *at, const char *what, struct error *err)
{
    return error_set_reason(err, ERR_INVALID, "invalid_yaml", "line %zu, column %zu: %s",
                            at->line + 1, at->column + 1, what);
}

static int too_large(const yaml_mark_t *at, const char *what, size_t limit, struct error *err)
{
    return error_set(err, ERR_TOO_LARGE, "line %zu: the YAML text has %s than %zu", at->line + 1,
                     what, limit);
}

static int next(struct reader *r, yaml_event_t *out, struct error *err)
{
    if (yaml_parser_parse(r->parser, out))
        return 0;
    if (r->parser->error == YAML_READER_ERROR)
        return error_set_reason(err, ERR_INVALID, "invalid_yaml", "byte %zu: %s",
                                r->parser->problem_offset, r->parser->problem);
    return refuse(&r->parser->problem_mark,
                  r->parser->problem ? r->parser->problem : "the YAML text cannot be read", err);
}

/* --------------------------------------------------------------------- scalars */

static size_t digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* As JSON writes them. */
static bool is_number(const char *s)
{
    size_t n;

    s += *s == '-';
    n = digits(s);
    if (n == 0 || (*s == '0' && n > 1))
        return false;
    s += n;
    if (*s == '.') {
        n = digits(++s);
        s += n;
        if (n == 0)
            return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        n = digits(s);
        s += n;
        if (n == 0)
            return false;
    }
    return *s == '\0';
}

static int check_text(const yaml_event_t *e, struct error *err)
{
    const char *text = (const char *)e->data.scalar.value;

    if (e->data.scalar.length > DOC_MAX_STRING)
        return too_large(&e->start_mark, "a longer string", DOC_MAX_STRING, err);
    if (strlen(text) != e->data.scalar.length)
        return refuse(&e->start_mark, "a text contains the character NUL", err);
    return 0;
}

static int read_scalar(const yaml_event_t *e, struct doc **out, struct error *err)
{
    const char *text = (const char *)e->data.scalar.value;
    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (check_text(e, err) < 0)
        return -1;
    if (plain && (!*text || !strcmp(text, "~") || !strcmp(text, "null")))
        *out = doc_new_null();
    else if (plain && (!strcmp(text, "true") || !strcmp(text, "false")))
        *out = doc_new_bool(*text == 't');
    else if (plain && is_number(text))
        return doc_parse(text, e->data.scalar.length, out, err) < 0
                   ? error_wrap(err, "line %zu", e->start_mark.line + 1)
                   : 0;
    else
        *out = doc_new_string_n(text, e->data.scalar.length);
    return 0;
}

/* ----------------------------------------------------------------------- nodes */

/* What an event carries that JSON has no word for. */
static int check_plain(const yaml_event_t *e, struct error *err)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (e->type == YAML_ALIAS_EVENT)
        return refuse(&e->start_mark, "aliases are not accepted", err);
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor)
        return refuse(&e->start_mark, "anchors are not accepted", err);
    if (tag)
        return refuse(&e->start_mark, "tags are not accepted", err);
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *e, size_t depth, struct doc **out,
                     struct error *err);

static int read_sequence(struct reader *r, size_t depth, struct doc *out, struct error *err)
{
    for (;;) {
        CLEANUP(yaml_event_delete) yaml_event_t e = {0};
        struct doc *value;

        if (next(r, &e, err) < 0)
            return -1;
        if (e.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        if (read_node(r, &e, depth, &value, err) < 0)
            return -1;
        doc_append(out, value);
    }
}

static int check_key(struct reader *r, const yaml_event_t *e, const struct doc *object,
                     struct error *err)
{
    const char *key = (const char *)e->data.scalar.value;

    if (check_plain(e, err) < 0)
        return -1;
    if (e->type != YAML_SCALAR_EVENT)
        return refuse(&e->start_mark, "a key has to be a text", err);
    if (check_text(e, err) < 0)
        return -1;
    if (++r->values > DOC_MAX_VALUES)
        return too_large(&e->start_mark, "more values", DOC_MAX_VALUES, err);
    if (!strcmp(key, "<<") && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return refuse(&e->start_mark, "merge keys are not accepted", err);
    if (doc_get(object, key))
        return error_set_reason(err, ERR_INVALID, "duplicate_key",
                                "line %zu, column %zu: the key \"%.100s\" occurs twice",
                                e->start_mark.line + 1, e->start_mark.column + 1, key);
    return 0;
}

static int read_mapping(struct reader *r, size_t depth, struct doc *out, struct error *err)
{
    for (;;) {
        CLEANUP(yaml_event_delete) yaml_event_t key = {0};
        CLEANUP(yaml_event_delete) yaml_event_t e = {0};
        struct doc *value;

        if (next(r, &key, err) < 0)
            return -1;
        if (key.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (check_key(r, &key, out, err) < 0 || next(r, &e, err) < 0 ||
            read_node(r, &e, depth, &value, err) < 0)
            return -1;
        doc_set(out, (const char *)key.data.scalar.value, value);
    }
}

/* `depth` containers are around it. */
static int read_node(struct reader *r, const yaml_event_t *e, size_t depth, struct doc **out,
                     struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *made = NULL;
    bool is_mapping = e->type == YAML_MAPPING_START_EVENT;

    if (check_plain(e, err) < 0)
        return -1;
    if (++r->values > DOC_MAX_VALUES)
        return too_large(&e->start_mark, "more values", DOC_MAX_VALUES, err);
    if (e->type == YAML_SCALAR_EVENT)
        return read_scalar(e, out, err);
    if (depth == DOC_MAX_DEPTH)
        return too_large(&e->start_mark, "deeper nesting", DOC_MAX_DEPTH, err);
    made = is_mapping ? doc_new_object() : doc_new_array();
    if ((is_mapping ? read_mapping(r, depth + 1, made, err)
                    : read_sequence(r, depth + 1, made, err)) < 0)
        return -1;
    *out = TAKE(made);
    return 0;
}

/* ------------------------------------------------------------------- documents */

static int expect(struct reader *r, yaml_event_type_t type, const char *otherwise,
                  struct error *err)
{
    CLEANUP(yaml_event_delete) yaml_event_t e = {0};

    if (next(r, &e, err) < 0)
        return -1;
    if (e.type != type)
        return refuse(&e.start_mark, otherwise, err);
    if (type == YAML_DOCUMENT_START_EVENT &&
        e.data.document_start.tag_directives.start != e.data.document_start.tag_directives.end)
        return refuse(&e.start_mark, "tags are not accepted", err);
    return 0;
}

static int read_stream(struct reader *r, struct doc **out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *made = NULL;
    CLEANUP(yaml_event_delete) yaml_event_t e = {0};

    if (expect(r, YAML_STREAM_START_EVENT, "the YAML text cannot be read", err) < 0 ||
        expect(r, YAML_DOCUMENT_START_EVENT, "there is no document", err) < 0 ||
        next(r, &e, err) < 0 || read_node(r, &e, 0, &made, err) < 0 ||
        expect(r, YAML_DOCUMENT_END_EVENT, "the document does not end", err) < 0 ||
        expect(r, YAML_STREAM_END_EVENT, "only one document is accepted", err) < 0)
        return -1;
    *out = TAKE(made);
    return 0;
}

int doc_parse_yaml(const char *text, size_t n, struct doc **out, struct error *err)
{
    CLEANUP(yaml_parser_delete) yaml_parser_t parser = {0};
    struct reader r = {.parser = &parser};

    if (!yaml_parser_initialize(&parser))
        return error_set(err, ERR_RESOURCE, "no memory for reading YAML");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    return read_stream(&r, out, err);
}

/* A configuration, judged by the JSON Schema that its program says. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "connectors/singer/asked.h"

#define MAX_POINTER ((size_t)1 << 20)

struct judging {
    struct buf at;
    struct problems *problems;
};

static bool is_of(const struct doc *value, const char *type)
{
    static const struct {
        const char *name;
        enum doc_kind kind;
    } kinds[] = {{"null", DOC_NULL},   {"boolean", DOC_BOOL}, {"integer", DOC_INT},
                 {"number", DOC_INT},  {"number", DOC_REAL},  {"string", DOC_STRING},
                 {"array", DOC_ARRAY}, {"object", DOC_OBJECT}};
    double real = doc_real(value, 0.5);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!strcmp(kinds[i].name, type) && doc_is(value, kinds[i].kind))
            return true;
    }
    return !strcmp(type, "integer") && doc_is(value, DOC_REAL) && real == floor(real);
}

/* Whether one of the types of the schema is the value's; any is when it names none. */
static bool has_type(const struct doc *schema, const struct doc *value)
{
    const struct doc *type = doc_get(schema, "type");
    bool found = is_of(value, doc_string(type, ""));

    for (size_t i = 0; doc_is(type, DOC_ARRAY) && i < doc_count(type); i++)
        found |= is_of(value, doc_string(doc_at(type, i), ""));
    return !type || found;
}

static bool is_listed(const struct doc *list, const struct doc *value)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        if (doc_equal(doc_at(list, i), value))
            return true;
    }
    return false;
}

/* A text in place of which its secret is put when the configuration is used. */
static bool is_reference(const char *text)
{
    return text && !strncmp(text, "${", 2) && text[strlen(text) - 1] == '}';
}

static int64_t characters(const char *text)
{
    int64_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void judge_scalar(struct judging *j, const struct doc *schema, const struct doc *value)
{
    const struct doc *allowed = doc_get(schema, "enum");
    const char *text = doc_string(value, NULL), *at = buf_str(&j->at);
    bool number = doc_is(value, DOC_INT) || doc_is(value, DOC_REAL);
    double v = doc_real(value, 0);

    if (is_reference(text))
        return;
    if (doc_is(allowed, DOC_ARRAY) && !is_listed(allowed, value))
        problems_add(j->problems, at, "not_a_choice", "this is none of the values allowed");
    if (number && (v < doc_real(doc_get(schema, "minimum"), v) ||
                   v > doc_real(doc_get(schema, "maximum"), v)))
        problems_add(j->problems, at, "out_of_range", "the number is outside of its bounds");
    if (text && characters(text) < doc_int(doc_get(schema, "minLength"), 0))
        problems_add(j->problems, at, "too_short", "at least %" PRId64 " characters are needed",
                     doc_int(doc_get(schema, "minLength"), 0));
    if (text && characters(text) > doc_int(doc_get(schema, "maxLength"), INT64_MAX))
        problems_add(j->problems, at, "too_long", "at most %" PRId64 " characters are allowed",
                     doc_int(doc_get(schema, "maxLength"), 0));
}

static void judge(struct judging *j, const struct doc *schema, const struct doc *value);

static void judge_below(struct judging *j, const char *token, const struct doc *schema,
                        const struct doc *value)
{
    size_t before = j->at.len;

    doc_pointer_put(&j->at, token);
    judge(j, schema, value);
    j->at.len = before;
    j->at.data[before] = '\0';
}

static void refuse_member(struct judging *j, const char *name, const char *code, const char *why)
{
    size_t before = j->at.len;

    doc_pointer_put(&j->at, name);
    problems_add(j->problems, buf_str(&j->at), code, "\"%.200s\" %s", name, why);
    j->at.len = before;
    j->at.data[before] = '\0';
}

/* A member that is null counts as absent. */
static void judge_members(struct judging *j, const struct doc *schema, const struct doc *value)
{
    const struct doc *properties = doc_get(schema, "properties");
    const struct doc *required = doc_get(schema, "required");
    bool closed = !doc_bool(doc_get(schema, "additionalProperties"), true) &&
                  doc_count(doc_get(schema, "patternProperties")) == 0;

    for (size_t i = 0; i < doc_count(required); i++) {
        const char *name = doc_string(doc_at(required, i), "");
        const struct doc *have = doc_get(value, name);

        if (!have || (doc_is(have, DOC_NULL) && !has_type(doc_get(properties, name), have)))
            refuse_member(j, name, "required", "is required");
    }
    for (const struct doc_member *m = doc_first(value); m; m = doc_next(value, m)) {
        const char *name = doc_member_key(m);
        const struct doc *shape = doc_get(properties, name);

        if (!shape && closed)
            refuse_member(j, name, "unknown_field", "is not known to the program");
        else if (shape && !doc_is(doc_member_value(m), DOC_NULL))
            judge_below(j, name, shape, doc_member_value(m));
    }
}

static void judge(struct judging *j, const struct doc *schema, const struct doc *value)
{
    if (!has_type(schema, value) && !is_reference(doc_string(value, NULL))) {
        problems_add(j->problems, buf_str(&j->at), "wrong_type", "%s is of another type here",
                     doc_kind_name(doc_kind(value)));
        return;
    }
    if (doc_is(value, DOC_OBJECT))
        judge_members(j, schema, value);
    for (size_t i = 0; doc_is(value, DOC_ARRAY) && i < doc_count(value); i++) {
        char number[24];

        snprintf(number, sizeof number, "%zu", i);
        judge_below(j, number, doc_get(schema, "items"), doc_at(value, i));
    }
    judge_scalar(j, schema, value);
}

void asked_judge(const char *program, const struct doc *config, const char *pointer,
                 struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *schema = NULL;
    CLEANUP(doc_free_cleanup) struct doc *template = NULL;
    CLEANUP(doc_free_cleanup) struct doc *nothing = doc_new_object();
    struct judging j = {.at = BUF_INIT(MAX_POINTER), .problems = problems};
    struct error ignored = ERROR_INIT;
    const struct program *p = program_find(program, &ignored);

    if (!p)
        return;
    asked_config(p, &schema, &template);
    buf_puts(&j.at, pointer);
    if (schema)
        judge(&j, schema, config ? config : nothing);
    buf_release(&j.at);
}

/*
 * Every connector that is built in, walked row by row. With CONNECTORD_GOLDEN=write the schemas in
 * tests/golden/schema are written instead of compared.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/base/text.h"
#include "connectors/registry.h"
#include "connectors/secret.h"
#include "tests/conformance/cases.h"

#define SCHEMAS "tests/golden/schema"

struct entry {
    const char *kind, *name, *title, *docs;
    const struct option *options;
    size_t config_size;
};

/* Sources first, then destinations; false behind the last. */
static bool entry_at(size_t i, struct entry *out)
{
    const struct destination_connector *d;
    size_t n = 0;

    for (const struct source_connector *s; (s = registry_source_at(n)); n++) {
        if (n == i) {
            *out = (struct entry){"source", s->name, s->title, s->docs, s->options, s->config_size};
            return true;
        }
    }
    d = registry_destination_at(i - n);
    if (d) {
        *out =
            (struct entry){"destination", d->name, d->title, d->docs, d->options, d->config_size};
        return true;
    }
    return false;
}

#define EACH_CONNECTOR(e) \
    struct entry e;       \
    for (size_t i_ = 0; entry_at(i_, &e); i_++)
#define EACH_OPTION(e, o) for (const struct option *o = (e).options; o->name; o++)

Test(registry, finds_every_connector_by_its_name)
{
    size_t n = 0;

    for (const struct source_connector *s; (s = registry_source_at(n)); n++)
        cr_assert_eq(registry_source(s->name), s);
    cr_assert_gt(n, 0);
    cr_assert_null(registry_source_at(n + 1));
    for (n = 0; registry_destination_at(n); n++)
        cr_assert_eq(registry_destination(registry_destination_at(n)->name),
                     registry_destination_at(n));
    cr_assert_gt(n, 0);
    cr_assert_null(registry_destination_at(n + 1));
    cr_assert_null(registry_source("nothing"));
    cr_assert_null(registry_destination("sample"));
}

/* Ready-made documents: each says what it has, and gives itself to be copied. */
Test(registry, holds_documents_of_apis)
{
    static const char *const names[] = {"github",  "hubspot", "intercom",   "jira",   "notion",
                                        "shopify", "slack",   "salesforce", "stripe", "zendesk"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct source_connector *s = registry_source(names[i]);
        size_t n = 0;

        cr_assert(s && s->document && s->streams, "%s", names[i]);
        while (s->streams[n].name)
            n++;
        cr_assert(n >= 5, "%s has %zu streams", names[i], n);
        cr_assert_str_neq(s->title, s->name);
    }
}

Test(registry, holds_connectors_that_say_what_they_are)
{
    EACH_CONNECTOR(e)
    {
        cr_assert(text_is_slug(e.name), "%s", e.name);
        cr_assert(*e.title && *e.docs, "%s %s", e.kind, e.name);
        cr_assert(e.options && e.config_size, "%s %s", e.kind, e.name);
    }
    for (size_t i = 0; registry_destination_at(i); i++) {
        const struct destination_connector *d = registry_destination_at(i);

        cr_assert(d->check && d->open && d->clear, "%s", d->name);
        cr_assert(d->write_modes, "%s", d->name);
        cr_assert(!strcmp(d->delivery, "exactly_once") || !strcmp(d->delivery, "at_least_once"));
    }
}

Test(registry, explains_every_setting)
{
    EACH_CONNECTOR(e)
    {
        EACH_OPTION(e, o)
        {
            cr_assert(o->title && *o->title, "%s %s %s", e.kind, e.name, o->name);
            cr_assert(o->help && *o->help, "%s %s %s", e.kind, e.name, o->name);
            cr_assert_eq(o->help[strlen(o->help) - 1], '.', "%s %s %s: a sentence ends with a stop",
                         e.kind, e.name, o->name);
            cr_assert_lt(o->offset, e.config_size);
            cr_assert_eq(option_find(e.options, o->name), o, "%s %s has %s twice", e.kind, e.name,
                         o->name);
        }
    }
}

/* Decodes a table of this one row. */
static void assert_decodes(const struct entry *e, const struct option *o, const char *text)
{
    struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct option table[2] = {*o, OPTIONS_END};
    struct doc *schema, *config = doc_new_object();

    table[0].def = o->type == OPTION_DOC ? NULL : text;
    table[0].flags &= ~(unsigned)OPTION_REQUIRED;
    schema = options_schema(table);
    if (o->type == OPTION_DOC) {
        struct error err = ERROR_INIT;
        struct doc *value = NULL;

        cr_assert_eq(doc_parse(text, strlen(text), &value, &err), 0, "%s %s %s: %s", e->kind,
                     e->name, o->name, err.message);
        doc_set(config, o->name, value);
    }
    cr_assert(options_decode(table, config, "", arena_alloc(mem, e->config_size), mem, &problems),
              "%s %s %s: %s", e->kind, e->name, o->name,
              problems.n ? problems.items[0].message : "");
    doc_free(config);
    doc_free(schema);
    arena_free(mem);
}

Test(registry, has_defaults_and_examples_within_their_own_bounds)
{
    EACH_CONNECTOR(e)
    {
        EACH_OPTION(e, o)
        {
            cr_assert(!o->def || o->type != OPTION_DOC, "%s %s %s: documents have no default",
                      e.kind, e.name, o->name);
            if (o->def)
                assert_decodes(&e, o, o->def);
            if (o->example)
                assert_decodes(&e, o, o->example);
        }
    }
}

/* S3. */
Test(registry, marks_what_looks_like_a_secret)
{
    EACH_CONNECTOR(e)
    {
        EACH_OPTION(e, o)
        {
            bool of_rows = !strcmp(o->name, "key"); /* the columns of one */

            cr_assert(of_rows || !secret_is_name(o->name) || o->flags & OPTION_SECRET,
                      "%s %s %s is no secret", e.kind, e.name, o->name);
            cr_assert(!(o->flags & OPTION_SECRET) || !o->def, "a secret has no default");
        }
    }
}

Test(registry, gives_templates_that_only_need_values)
{
    EACH_CONNECTOR(e)
    {
        struct arena *mem = arena_new();
        struct problems problems = PROBLEMS_INIT(mem);
        struct doc *config = options_template(e.options, false);

        (void)options_decode(e.options, config, "", arena_alloc(mem, e.config_size), mem,
                             &problems);
        for (size_t i = 0; i < problems.n; i++) {
            const char *code = problems.items[i].code;

            cr_assert(strcmp(code, "unknown_field") && strcmp(code, "wrong_type") &&
                          strcmp(code, "required"),
                      "%s %s %s: %s", e.kind, e.name, problems.items[i].pointer, code);
        }
        doc_free(config);
        arena_free(mem);
    }
}

static void schema_path(const struct entry *e, char out[static 256])
{
    snprintf(out, 256, SCHEMAS "/%s_%s.json", e->kind, e->name);
}

static void write_file(const char *path, const struct buf *text)
{
    FILE *f = fopen(path, "wb");

    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fwrite(text->data, 1, text->len, f), text->len);
    cr_assert_eq(fclose(f), 0);
}

static void assert_file(const char *path, const struct buf *text)
{
    FILE *f = fopen(path, "rb");
    struct buf golden = BUF_INIT(1 << 20);
    char block[4096];
    size_t n;

    cr_assert_not_null(f, "%s is missing: run with CONNECTORD_GOLDEN=write", path);
    while ((n = fread(block, 1, sizeof block, f)))
        buf_put(&golden, block, n);
    fclose(f);
    cr_assert_str_eq(buf_str(text), buf_str(&golden),
                     "%s differs: run with CONNECTORD_GOLDEN=write and read the difference", path);
    buf_release(&golden);
}

Test(registry, keeps_its_schemas)
{
    const char *how = getenv("CONNECTORD_GOLDEN");

    EACH_CONNECTOR(e)
    {
        struct buf text = BUF_INIT(1 << 20);
        struct doc *schema = options_schema(e.options);
        char path[256];

        schema_path(&e, path);
        doc_write_pretty(schema, &text);
        buf_puts(&text, "\n");
        if (how && !strcmp(how, "write"))
            write_file(path, &text);
        else
            assert_file(path, &text);
        doc_free(schema);
        buf_release(&text);
    }
}

Test(registry, keeps_no_schema_of_a_connector_that_is_gone)
{
    DIR *dir = opendir(SCHEMAS);
    struct dirent *file;

    cr_assert_not_null(dir);
    while ((file = readdir(dir))) {
        char wanted[512], path[256];
        bool found = file->d_name[0] == '.';

        snprintf(wanted, sizeof wanted, SCHEMAS "/%s", file->d_name);
        EACH_CONNECTOR(e)
        {
            schema_path(&e, path);
            found |= !strcmp(path, wanted);
        }
        cr_assert(found, "%s belongs to no connector", wanted);
    }
    closedir(dir);
}

Test(registry, has_a_conformance_case_for_every_connector)
{
    for (size_t i = 0; registry_source_at(i); i++) {
        size_t k = 0;

        if (registry_source_at(i)->document) /* read by the source "rest", which has one */
            continue;
        while (source_cases[k].source && source_cases[k].source != registry_source_at(i))
            k++;
        cr_assert(source_cases[k].source, "source %s", registry_source_at(i)->name);
    }
    for (size_t i = 0; registry_destination_at(i); i++) {
        size_t k = 0;

        /* What it holds is the matter of a program; integration/singer_target has a zoo of them. */
        if (registry_destination_at(i)->state_by_service)
            continue;
        while (destination_cases[k].destination &&
               destination_cases[k].destination != registry_destination_at(i))
            k++;
        cr_assert(destination_cases[k].destination, "destination %s",
                  registry_destination_at(i)->name);
    }
}

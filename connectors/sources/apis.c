/* Sources that are documents: one YAML file in the folder apis, one source. */
#include "connectors/sources/apis.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/registry.h"
#include "connectors/rest/described.h"

/* What was asked for is compiled once and stays: connectors live as long as the program. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct source_connector *compiled[APIS_MAX];
static struct arena *memory;

/* The tests compile every document, so one that is wrong never leaves the workshop. */
static const struct source_connector *compile(const struct api_document *d)
{
    CLEANUP(doc_free_cleanup) struct doc *document = NULL;
    struct error err = ERROR_INIT;
    struct problems problems = PROBLEMS_INIT(memory);
    struct source_connector *c = NULL;
    const struct source_connector *made = NULL;

    if (doc_parse_trusted(d->text, strlen(d->text), &document, &err) == 0)
        made = described_source(memory, d->name, document, "", &problems);
    if (!made) {
        for (size_t i = 0; i < problems.n; i++)
            fprintf(stderr, "%s: %s: %s\n", d->name, problems.items[i].pointer,
                    problems.items[i].message);
        abort();
    }
    c = arena_alloc(memory, sizeof *c);
    *c = *made;
    c->document = d->text;
    return c;
}

const struct source_connector *source_api_at(size_t i)
{
    const struct source_connector *c;
    size_t n = 0;

    while (n < i && api_documents[n].name)
        n++;
    if (!api_documents[n].name || n >= APIS_MAX)
        return NULL;
    pthread_mutex_lock(&lock);
    if (!memory)
        memory = arena_new();
    if (!compiled[n])
        compiled[n] = compile(&api_documents[n]);
    c = compiled[n];
    pthread_mutex_unlock(&lock);
    return c;
}

const struct source_connector *source_api(const char *name)
{
    for (size_t i = 0; api_documents[i].name; i++) {
        if (strcmp(api_documents[i].name, name) == 0)
            return source_api_at(i);
    }
    return NULL;
}

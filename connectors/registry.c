#include "connectors/registry.h"

#include <string.h>

#define X(name) &source_##name,
static const struct source_connector *const sources[] = {SOURCES(X) NULL};
#undef X

#define X(name) &destination_##name,
static const struct destination_connector *const destinations[] = {DESTINATIONS(X) NULL};
#undef X

const struct source_connector *registry_source_at(size_t i)
{
    size_t n = sizeof sources / sizeof *sources - 1;

    return i < n ? sources[i] : source_api_at(i - n);
}

const struct destination_connector *registry_destination_at(size_t i)
{
    return i < sizeof destinations / sizeof *destinations ? destinations[i] : NULL;
}

const struct source_connector *registry_source(const char *name)
{
    for (size_t i = 0; sources[i]; i++) {
        if (!strcmp(sources[i]->name, name))
            return sources[i];
    }
    return source_api(name);
}

const struct destination_connector *registry_destination(const char *name)
{
    for (size_t i = 0; destinations[i]; i++) {
        if (!strcmp(destinations[i]->name, name))
            return destinations[i];
    }
    return NULL;
}

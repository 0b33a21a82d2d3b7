/* The registry of tests: the fakes under the name "fake", and nothing else. */
#include <string.h>

#include "connectors/registry.h"
#include "tests/support/fake_sync.h"

const struct source_connector *registry_source(const char *name)
{
    return strcmp(name, "fake") ? NULL : &fake_source;
}

const struct destination_connector *registry_destination(const char *name)
{
    return strcmp(name, "fake") ? NULL : &fake_destination;
}

const struct source_connector *registry_source_at(size_t i)
{
    return i == 0 ? &fake_source : NULL;
}

const struct destination_connector *registry_destination_at(size_t i)
{
    return i == 0 ? &fake_destination : NULL;
}

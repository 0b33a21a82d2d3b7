/*
 * registry.h - the connectors that are built in: an explicit list, one word each.
 */
#ifndef CONNECTORS_REGISTRY_H
#define CONNECTORS_REGISTRY_H

#include "connectors/connector.h"

/* clang-format off */
#define SOURCES(X) X(file) X(mysql) X(postgres) X(rest) X(sample) X(singer) X(sqlite)
#define DESTINATIONS(X) X(file) X(mysql) X(postgres) X(singer) X(sqlite)
/* clang-format on */

#define X(name) extern const struct source_connector source_##name;
SOURCES(X)
#undef X
#define X(name) extern const struct destination_connector destination_##name;
DESTINATIONS(X)
#undef X

/* Sources that are documents (connectors/sources/apis), compiled when they are first asked for. */
const struct source_connector *source_api(const char *name);
const struct source_connector *source_api_at(size_t i);

/* By name; NULL when there is none. */
const struct source_connector *registry_source(const char *name);
const struct destination_connector *registry_destination(const char *name);

/* All of them, in the order of the list, documents last; NULL behind the last. */
const struct source_connector *registry_source_at(size_t i);
const struct destination_connector *registry_destination_at(size_t i);

#endif

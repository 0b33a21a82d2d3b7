/*
 * setup.h - from names and JSON to what a run works with: connectors, configurations, a selection.
 *
 * Used by the workers and by the command line. Memory belongs to the arena given; configurations
 * borrow from the documents they were decoded from.
 */
#ifndef SERVER_SYNC_SETUP_H
#define SERVER_SYNC_SETUP_H

#include "connectors/connector.h"
#include "server/sync/settings.h"

struct source_setup {
    const struct source_connector *connector;
    const void *config;
};
struct destination_setup {
    const struct destination_connector *connector;
    const void *config;
};

/* `config` may be NULL. Built-in connectors only: see connectors.h for those that were described.
 * Problems get pointers below `pointer`: "<pointer>/connector" and
 * "<pointer>/config/...". */
__attribute__((nonnull(1, 3, 4, 5, 6))) bool
setup_source(const char *name, const struct doc *config, const char *pointer, struct arena *mem,
             struct source_setup *out, struct problems *problems);
__attribute__((nonnull(1, 3, 4, 5, 6))) bool
setup_destination(const char *name, const struct doc *config, const char *pointer,
                  struct arena *mem, struct destination_setup *out, struct problems *problems);

/* The same for a connector that was found already; the name of its place stays the caller's. */
__attribute__((nonnull(1, 3, 4, 5, 6))) bool
setup_source_config(const struct source_connector *c, const struct doc *config, const char *pointer,
                    struct arena *mem, struct source_setup *out, struct problems *problems);

/* The streams of one run. */
struct stream_setup {
    struct catalog catalog; /* as discovered just now */
    struct selection selection;
    const char **missing; /* selected by the user, no longer in the source */
    size_t n_missing;
};

/*
 * Discovers, resolves the native `streams` array (NULL = all), keeps only those in the array of
 * names `only` (NULL = all), applies prefix, namespace and drift policy, and checks that the
 * destination can write that way. Fails when discovery fails; mistakes in the selection are
 * problems, and then the result is unusable.
 */
__attribute__((nonnull(1, 2, 3, 6, 7, 8, 9), warn_unused_result)) int
setup_streams(const struct source_setup *source, const struct destination_setup *destination,
              struct run *run, const struct doc *streams, const struct doc *only,
              const struct sync_settings *settings, struct stream_setup *out,
              struct problems *problems, struct error *err);

/* All problems as one error of class CONFIG: the first in full, then how many more. Returns -1. */
int setup_error(const struct problems *problems, const char *what, struct error *err);

#endif

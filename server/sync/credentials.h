/*
 * credentials.h - credentials of stored sources that are good once: one run at a time exchanges
 * one, and the new one is in the store before it is used.
 */
#ifndef SERVER_SYNC_CREDENTIALS_H
#define SERVER_SYNC_CREDENTIALS_H

#include "connectors/connector.h"
#include "server/store/store.h"
#include "server/sync/sealed.h"

/* What the two calls of struct run_host that have to do with credentials work on. */
struct credentials {
    struct store *store;
    const struct vault *vault;
    const struct option *table; /* of the source's connector */
    const char *source_id;      /* NULL = the source is not stored: nothing is kept */
    const struct cancel *cancel;
    struct redactor *redactor; /* told every new one before anybody has it */
};

/* As the members of struct run_host; `c` lives as long as the run. Safe from any thread. */
CHECKED int credentials_begin(const struct credentials *c, const char *pointer, struct arena *mem,
                              const char **out_value, struct error *err);
__attribute__((nonnull(1, 2, 4), warn_unused_result)) int
credentials_end(const struct credentials *c, const char *pointer, const char *value,
                struct error *err);

#endif

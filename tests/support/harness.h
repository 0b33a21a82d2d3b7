/*
 * harness.h - runs one connector without a service: configuration, catalog and selection as JSON.
 */
#ifndef TESTS_SUPPORT_HARNESS_H
#define TESTS_SUPPORT_HARNESS_H

#include "connectors/connector.h"

struct harness {
    struct arena *mem;
    struct cancel *cancel;
    struct run run;
    const struct source_connector *source;
    struct doc *config_doc;
    void *config;
    struct catalog catalog;
    struct selection selection;
};

/* Decodes the configuration and discovers. */
CHECKED int harness_open(struct harness *h, const struct source_connector *source,
                         const char *config_json, struct error *err);
void harness_close(struct harness *h);

/* Resolves a `streams` array; NULL is everything. Fails with INVALID and the first problem. */
__attribute__((nonnull(1, 3), warn_unused_result)) int
harness_select(struct harness *h, const char *streams_json, struct error *err);

/* Reads the selection; positions[i] belongs to stream i, NULL positions are the beginning. */
__attribute__((nonnull(1, 3, 4), warn_unused_result)) int
harness_read(struct harness *h, const char *const *positions, struct sink *out, struct error *err);

/* Decodes a configuration of any table into a new struct of `mem`; the document is given back
 * because the struct may borrow from it. Fails with CONFIG and the first problem. */
CHECKED int harness_decode(const struct option *table, size_t config_size, const char *json,
                           struct arena *mem, void **out, struct doc **out_doc, struct error *err);

#endif

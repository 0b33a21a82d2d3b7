/*
 * main_source.h - what a source program reads, and its modes. Private to main*.c.
 */
#ifndef CONNECTORS_MAIN_SOURCE_H
#define CONNECTORS_MAIN_SOURCE_H

#include "connectors/main_run.h"

struct chosen {
    struct catalog catalog; /* as discovered just now */
    struct selection selection;
    const char **names; /* [selection.n] how messages call the streams */
    const char **ids;   /* [selection.n] how state and answers do: "namespace.name" */
    int64_t limit;      /* rows per stream, 0 = all */
};

/* main_sync.c: SCHEMA, RECORD and STATE messages. Returns the exit status. */
int main_sync(struct main_run *p, const struct chosen *chosen, const struct doc *state);
/* main_sample.c: a line per stream. */
int main_sample(struct main_run *p, const struct chosen *chosen);

#endif

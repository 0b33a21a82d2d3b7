/*
 * relay.h - a sink that passes everything on to a destination and commits at every checkpoint.
 *
 * What the runner does with threads, here in one: for sources that read one stream after the other.
 * It can crash, that is fail with CANCELLED, before or after a chosen commit.
 */
#ifndef TESTS_SUPPORT_RELAY_H
#define TESTS_SUPPORT_RELAY_H

#include "connectors/connector.h"

struct relay {
    struct sink sink; /* give &relay.sink to the source */
    struct destination *d;
    size_t n_streams;
    struct counts *totals;  /* by stream, of this relay's commits */
    struct counts *pending; /* dropped since the last commit */
    const char **upto;
    size_t n_checkpoints;
    size_t crash_at; /* this checkpoint (from 1) is the last one; 0 = none */
    bool after_commit;
    char violation[200]; /* the first wrong answer of the destination, or "" */
};

void relay_init(struct relay *r, struct arena *mem, struct destination *d, size_t n_streams);

#endif

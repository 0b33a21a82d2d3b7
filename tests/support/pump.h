/*
 * pump.h - a source straight into a destination, in one thread, without a service.
 *
 * Commits at checkpoints and finishes streams at their end, as the runner does, but with every
 * decision in the hands of the test. A crash is an attempt that closes the destination without
 * committing what is open; the next attempt goes on from what recover gives back.
 */
#ifndef TESTS_SUPPORT_PUMP_H
#define TESTS_SUPPORT_PUMP_H

#include "connectors/connector.h"

struct pump {
    const struct source_connector *source;
    const void *source_config;
    const struct destination_connector *destination;
    const void *destination_config;
    struct run *run;
    struct write_plan plan;
    size_t commit_every; /* checkpoints per commit; 0 = every one */
    size_t crash_after;  /* calls of the source after which the attempt is given up; 0 = never */
    /* What the last attempt did. */
    struct counts *counts; /* [plan.n], of its commits; belongs to run->mem */
    struct stream_position *recovered;
    size_t n_calls, n_commits;
    bool crashed;
};

/* A plan with generous limits and minimal metadata for `n` streams of a selection. */
void pump_init(struct pump *p, const struct source_connector *source, const void *source_config,
               const struct destination_connector *destination, const void *destination_config,
               struct run *run, const struct selection *selection);

/* One attempt. Fails with the error of a stream, of the source or of the destination; a crash that
 * was asked for is a failure with ERR_CANCELLED and `crashed` set. */
CHECKED int pump_attempt(struct pump *p, struct error *err);

#endif

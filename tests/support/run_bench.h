/*
 * run_bench.h - one run over fakes, and what was told of it.
 */
#ifndef TESTS_SUPPORT_RUN_BENCH_H
#define TESTS_SUPPORT_RUN_BENCH_H

#include "tests/support/fake_sync.h"

struct bench {
    struct run_observer observer; /* first */
    struct log log;               /* second: of the engine */
    struct arena *mem;
    struct selection selection;
    struct cancel *cancel;
    struct fake_source source;
    struct fake_destination destination;
    struct fake_memory memory;
    struct fake_source *source_config;
    struct fake_destination *destination_config;
    struct sync_job job;
    struct progress *progress;
    struct run_result result;
    int copies;
    char last_position[64];
    int complete_events;
    int retries, alerts; /* lines of the engine */
    int64_t longest_wait_ms;
};

/* A run of `n` streams of 100 rows in ten batches, each with a checkpoint. */
struct bench *bench_new(size_t n_streams);
void bench_run(struct bench *b);
void bench_free(struct bench *b);

/* A stopped run cannot be started again: its token is used up. */
void bench_renew_cancel(struct bench *b);

struct stream_progress bench_stream(struct bench *b, size_t i);
int64_t bench_committed(struct bench *b, size_t i);

#endif

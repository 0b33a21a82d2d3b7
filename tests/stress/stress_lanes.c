/*
 * Runs of up to eight lanes over the fakes, for ThreadSanitizer: calls of either side fail, answers
 * are lost, rows are bad, and some runs are cancelled on the way and started again. Ends with 0
 * when every run that was not stopped has brought and counted every row once.
 */
#include <stdio.h>

#include "tests/support/run_bench.h"

#define STREAMS 12
#define ROUNDS  400

static int failures;

#define FAIL(...) (fprintf(stderr, __VA_ARGS__), failures++)

static void prepare(struct bench *b, int round)
{
    b->job.policy.parallel_streams = 1 + round % 8;
    b->job.policy.max_attempts = 50;
    b->job.commit.rows = 10 + round % 50;
    b->job.queue_bytes = round % 3 ? RUN_QUEUE_BYTES : 1;
    b->source.checkpoint_every = round % 4;
    b->source.bad_rows = round % 5;
    b->source.fail_at = 1 + round % 97;
    b->source.fail_times = round % 3;
    b->destination.fail_at = 1 + round % 89;
    b->destination.fail_times = round % 4;
    b->destination.fail_code = round % 2 ? ERR_TRANSIENT : ERR_CONTENTION;
    b->destination.fail_reason = round % 2 ? NULL : "schema_changed";
    b->destination.lose_answer = round % 7 == 0;
    b->source.cancel = b->destination.cancel = b->cancel;
    if (round % 6 == 5)
        b->source.cancel_at = 1 + round % 113;
}

static void check(struct bench *b, int round, bool in_one_go)
{
    if (b->result.outcome != OUTCOME_SUCCEEDED)
        FAIL("round %d: %s: %s\n", round, run_outcome_name(b->result.outcome),
             b->result.error.message);
    for (size_t i = 0; i < STREAMS; i++) {
        if (!fake_table_is_complete(&b->memory.tables[i], 100))
            FAIL("round %d: stream %zu has %zu rows\n", round, i, b->memory.tables[i].n);
        if (in_one_go && bench_committed(b, i) != 100)
            FAIL("round %d: stream %zu counts %lld rows\n", round, i,
                 (long long)bench_committed(b, i));
    }
}

int main(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct bench *b = bench_new(STREAMS);

        bool stopped;

        prepare(b, round);
        bench_run(b);
        stopped = b->result.outcome == OUTCOME_CANCELLED;
        if (stopped) {
            b->source.cancel_at = 0;
            bench_renew_cancel(b);
            bench_run(b);
        }
        check(b, round, !stopped);
        bench_free(b);
    }
    printf("%d failures\n", failures);
    return failures > 0;
}

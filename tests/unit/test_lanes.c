#include <criterion/criterion.h>

#include <string.h>

#include "tests/support/run_bench.h"

static struct bench *with_lanes(size_t n_streams, int64_t lanes)
{
    struct bench *b = bench_new(n_streams);

    b->job.policy.parallel_streams = lanes;
    return b;
}

static void expect_complete(struct bench *b)
{
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    for (size_t i = 0; i < b->selection.n; i++) {
        cr_expect(fake_table_is_complete(&b->memory.tables[i], 100), "stream %zu", i);
        cr_expect(b->memory.tables[i].complete);
        cr_expect_eq(bench_stream(b, i).status, STREAM_COMPLETE);
        cr_expect_eq(bench_stream(b, i).rows_read, 100);
        cr_expect_eq(bench_committed(b, i), 100, "stream %zu: %lld", i,
                     (long long)bench_committed(b, i));
    }
}

static int64_t lanes_of(struct bench *b)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 16);
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct jsonw w = JSONW_INIT(&out);
    struct error err = ERROR_INIT;

    progress_put_stats(b->progress, true, &w);
    cr_assert_eq(doc_parse(out.data, out.len, &d, &err), 0);
    return doc_int(doc_get(d, "lanes"), -1);
}

Test(lanes, deliver_every_row_of_every_stream_once)
{
    static const int64_t counts[] = {1, 2, 4, 16};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct bench *b = with_lanes(10, counts[i]);

        b->job.commit.rows = 20;
        bench_run(b);
        expect_complete(b);
        cr_expect_eq(b->complete_events, 10);
        cr_expect_eq(progress_attempts(b->progress), 1);
        cr_expect_eq(lanes_of(b), counts[i] < 10 ? counts[i] : 10);
        bench_free(b);
    }
}

Test(lanes, run_at_the_same_time)
{
    struct bench *b = with_lanes(8, 4);

    b->source.meet = 4;
    bench_run(b);
    expect_complete(b);
    cr_expect_not(b->source.missed);
    bench_free(b);
}

Test(lanes, are_one_unless_they_are_asked_for)
{
    struct bench *b = bench_new(8);

    bench_run(b);
    expect_complete(b);
    cr_expect_eq(lanes_of(b), 1);
    cr_expect_eq(b->source.reads, 1);
    cr_expect_eq(b->memory.opens, 1);
    bench_free(b);
}

Test(lanes, are_no_more_than_the_service_allows)
{
    struct bench *b = with_lanes(8, 16);

    b->job.max_lanes = 3;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(lanes_of(b), 3);
    bench_free(b);
}

Test(lanes, are_one_for_a_destination_that_takes_one_writer)
{
    struct bench *b = with_lanes(8, 4);
    struct destination_connector one_writer = fake_destination;

    one_writer.parallel_writers = false;
    b->job.destination = &one_writer;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(lanes_of(b), 1);
    cr_expect_eq(b->source.reads, 1);
    bench_free(b);
}

Test(lanes, keep_streams_together_that_shall_not_run_in_parallel)
{
    struct bench *b = with_lanes(8, 4);

    for (size_t i = 0; i < 8; i++)
        b->selection.streams[i].one_lane = i != 3;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(lanes_of(b), 2);
    cr_expect_eq(b->source.reads, 2, "the one, and the seven in one snapshot");
    bench_free(b);
}

Test(lanes, settle_restart_and_edited_positions_once_for_all)
{
    struct bench *b = with_lanes(8, 4);
    const char *edits[8] = {[2] = "{\"next\":90}"};

    b->job.override_positions = edits;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    cr_expect_eq(b->memory.overrides, 1);
    cr_expect_eq(b->memory.tables[2].n, 10);
    cr_expect(fake_table_is_complete(&b->memory.tables[3], 100));
    bench_free(b);

    b = with_lanes(8, 4);
    bench_run(b);
    b->job.full_refresh = true;
    b->source.fail_at = 40;
    b->source.fail_times = 1;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(b->memory.restarts, 8);
    bench_free(b);
}

Test(lanes, survive_the_failing_nth_call_of_either_side)
{
    for (int side = 0; side < 2; side++) {
        for (int64_t at = 1; at < 120; at += 3) {
            struct bench *b = with_lanes(6, 3);

            b->job.commit.rows = 20;
            *(side ? &b->destination.fail_at : &b->source.fail_at) = at;
            *(side ? &b->destination.fail_times : &b->source.fail_times) = 1;
            bench_run(b);
            expect_complete(b);
            cr_expect_eq(progress_attempts(b->progress),
                         side ? 1 + b->destination.failed : 1 + b->source.failed);
            bench_free(b);
        }
    }
}

Test(lanes, count_a_commit_whose_answer_is_lost_once)
{
    for (int64_t at = 1; at < 90; at++) {
        struct bench *b = with_lanes(6, 3);

        b->job.commit.rows = 20;
        b->destination.fail_at = at;
        b->destination.fail_times = 1;
        b->destination.lose_answer = true;
        bench_run(b);
        expect_complete(b);
        bench_free(b);
    }
}

/* The others need not even notice. */
Test(lanes, go_on_while_one_tries_again)
{
    struct bench *b = with_lanes(8, 4);

    b->destination.fail_stream = 5;
    b->destination.fail_stream_code = ERR_TRANSIENT;
    b->destination.fail_stream_times = 3;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(progress_attempts(b->progress), 4);
    cr_expect_eq(b->retries, 3);
    bench_free(b);
}

Test(lanes, collisions_do_not_use_up_the_attempts)
{
    struct bench *b = with_lanes(4, 4);

    b->job.policy.max_attempts = 2;
    b->destination.fail_stream = 1;
    b->destination.fail_stream_code = ERR_CONTENTION;
    b->destination.fail_stream_times = 10;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(b->retries, 10);
    bench_free(b);
}

Test(lanes, a_full_disk_is_told_before_the_long_wait)
{
    struct bench *b = with_lanes(4, 2);

    b->job.policy.resource_backoff_ms = 50;
    b->destination.fail_stream = 1;
    b->destination.fail_stream_code = ERR_RESOURCE;
    b->destination.fail_stream_times = 2;
    bench_run(b);
    expect_complete(b);
    cr_expect_eq(b->alerts, 1);
    cr_expect_geq(b->longest_wait_ms, 50);
    bench_free(b);
}

Test(lanes, a_failed_stream_leaves_the_others_alone)
{
    for (int with_end = 0; with_end < 2; with_end++) {
        struct bench *b = with_lanes(8, 4);

        b->source.fail_stream = 5;
        b->source.checkpoint_every = with_end;
        bench_run(b);
        cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
        cr_expect_eq(b->result.error.code, ERR_PERMISSION);
        cr_expect_eq(b->result.stream, 5);
        cr_expect(b->result.partial_success);
        for (size_t i = 0; i < 8; i++) {
            cr_expect_eq(bench_stream(b, i).status, i == 5 ? STREAM_INCOMPLETE : STREAM_COMPLETE);
            cr_expect(i == 5 || fake_table_is_complete(&b->memory.tables[i], 100));
        }
        bench_free(b);
    }
}

Test(lanes, a_failed_stream_can_be_ignored)
{
    struct bench *b = with_lanes(8, 4);

    b->source.fail_stream = 5;
    b->job.policy.on_stream_error = ON_ERROR_IGNORE;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    cr_expect(fake_table_is_complete(&b->memory.tables[7], 100));
    bench_free(b);
}

/* The others are in the middle of streams that would never end by themselves. */
static void expect_all_stopped(struct bench *b, enum error_code code)
{
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_eq(b->result.error.code, code, "%s", b->result.error.message);
    cr_expect_lt(b->result.duration_us, 5000000);
    for (size_t i = 0; i < 4; i++)
        cr_expect_neq(bench_stream(b, i).status, STREAM_RUNNING);
}

Test(lanes, a_failed_stream_stops_them_all_when_that_is_the_policy)
{
    struct bench *b = with_lanes(4, 4);

    b->source.rows = 20;
    b->source.waits = true;
    b->source.fail_stream = 2;
    b->source.batch_rows = 10;
    b->job.policy.on_stream_error = ON_ERROR_ABORT;
    expect_all_stopped(b, ERR_PERMISSION);
    cr_expect_eq(b->result.stream, 2);
    bench_free(b);
}

Test(lanes, a_failure_of_the_run_stops_them_all)
{
    struct bench *b = with_lanes(4, 4);

    b->source.waits = true;
    b->source.meet = 4;
    b->destination.fail_stream = 2;
    b->destination.fail_stream_code = ERR_CONFIG;
    b->destination.fail_stream_times = 1;
    expect_all_stopped(b, ERR_CONFIG);
    cr_expect_eq(b->result.origin, ORIGIN_DESTINATION);
    bench_free(b);
}

Test(lanes, a_failure_that_is_tried_in_vain_stops_them_all)
{
    struct bench *b = with_lanes(4, 4);

    b->source.waits = true;
    b->destination.fail_stream = 2;
    b->destination.fail_stream_code = ERR_TRANSIENT;
    b->destination.fail_stream_times = 1000;
    expect_all_stopped(b, ERR_TRANSIENT);
    bench_free(b);
}

Test(lanes, stop_at_any_call_of_either_side_and_continue_later)
{
    for (int64_t at = 1; at < 90; at += 2) {
        for (int side = 0; side < 2; side++) {
            struct bench *b = with_lanes(6, 3);

            b->job.commit.rows = 20;
            b->source.cancel = b->destination.cancel = b->cancel;
            *(side ? &b->destination.cancel_at : &b->source.cancel_at) = at;
            bench_run(b);
            if (b->result.outcome != OUTCOME_SUCCEEDED) {
                cr_expect_eq(b->result.outcome, OUTCOME_CANCELLED);
                cr_expect_eq(b->result.error.code, ERR_CANCELLED);
                cr_expect_lt(b->result.duration_us, 2000000);
            }
            b->source.cancel_at = b->destination.cancel_at = 0;
            bench_renew_cancel(b);
            bench_run(b);
            cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
            for (size_t i = 0; i < 6; i++)
                cr_expect(fake_table_is_complete(&b->memory.tables[i], 100), "call %lld of %s",
                          (long long)at, side ? "destination" : "source");
            bench_free(b);
        }
    }
}

Test(lanes, a_shutdown_interrupts_them_all)
{
    struct bench *b = with_lanes(8, 4);

    b->source.cancel = b->cancel;
    b->source.cancel_at = 12;
    b->source.why = CANCEL_SHUTDOWN;
    b->source.waits = true;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_str_eq(error_reason(&b->result.error), "interrupted");
    cr_expect_lt(b->result.duration_us, 5000000);
    bench_free(b);
}

Test(lanes, that_wait_for_each_other_see_the_cancellation)
{
    struct bench *b = with_lanes(8, 4);

    b->destination.block_ms = 30000;
    b->source.cancel = b->cancel;
    b->source.cancel_at = 12;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_CANCELLED);
    cr_expect_lt(b->result.duration_us, 5000000);
    bench_free(b);
}

Test(lanes, a_lane_that_waits_for_its_next_try_sees_the_cancellation)
{
    struct bench *b = with_lanes(4, 4);

    b->source.fail_at = 1;
    b->source.fail_times = 1000;
    b->job.policy.backoff_ms = RUN_MAX_BACKOFF_MS;
    b->job.policy.max_attempts = 50;
    b->job.policy.timeout_s = 1;
    bench_run(b);
    cr_expect_str_eq(error_reason(&b->result.error), "timeout");
    cr_expect_lt(b->result.duration_us, 5000000);
    bench_free(b);
}

Test(lanes, a_stream_that_the_destination_refuses_does_not_stop_the_others)
{
    for (size_t refused = 0; refused < 8; refused++) {
        struct bench *b = with_lanes(8, 4);

        b->destination.refuse = (long)refused + 1;
        bench_run(b);
        cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
        cr_expect_str_eq(error_reason(&b->result.error), "table_exists");
        cr_expect_eq(b->result.stream, (long)refused);
        for (size_t i = 0; i < 8; i++)
            cr_expect_eq(bench_stream(b, i).status,
                         i == refused ? STREAM_INCOMPLETE : STREAM_COMPLETE, "%zu", i);
        bench_free(b);
    }
}

Test(lanes, a_destination_that_cannot_be_opened_fails_the_run_before_they_begin)
{
    struct bench *b = with_lanes(8, 4);

    b->destination.fail_at = 1;
    b->destination.fail_times = 1000;
    b->destination.fail_code = ERR_UNAUTHORIZED;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_eq(b->result.error.code, ERR_UNAUTHORIZED);
    cr_expect_eq(b->source.reads, 0);
    cr_expect_eq(progress_attempts(b->progress), 1);
    bench_free(b);
}

/* Three bad rows in each of eight streams. A source call fails on the way, or, when the number is
 * negative, the answer to a call of the destination is lost. */
static void with_bad_rows(int64_t lanes, int64_t limit, int64_t fail_at, enum run_outcome expected)
{
    struct bench *b = with_lanes(8, lanes);
    int64_t bad = 0;

    b->source.bad_rows = 3;
    b->source.fail_at = fail_at;
    b->source.fail_times = fail_at > 0;
    b->destination.fail_at = -fail_at;
    b->destination.fail_times = fail_at < 0;
    b->destination.lose_answer = true;
    b->job.commit.rows = 20;
    b->job.policy.max_quarantined_rows = limit;
    bench_run(b);
    cr_expect_eq(b->result.outcome, expected, "%lld lanes, limit %lld: %s", (long long)lanes,
                 (long long)limit, b->result.error.message);
    for (size_t i = 0; i < 8; i++)
        bad += bench_stream(b, i).committed.quarantined_rows;
    /* A commit whose answer is lost is counted when its stream is opened again. */
    cr_expect(bad <= limit || fail_at < 0, "%lld bad rows", (long long)bad);
    if (expected == OUTCOME_SUCCEEDED)
        cr_expect_eq(bad, 24);
    else
        cr_expect_str_eq(error_reason(&b->result.error), "quarantine_limit");
    bench_free(b);
}

Test(lanes, share_the_limit_for_bad_rows)
{
    for (int64_t lanes = 1; lanes <= 4; lanes++) {
        for (int64_t limit = 0; limit < 24; limit++)
            with_bad_rows(lanes, limit, 0, OUTCOME_FAILED);
        with_bad_rows(lanes, 24, 0, OUTCOME_SUCCEEDED);
        /* What is met again after a failure is counted once, what was committed before is kept. */
        for (int64_t at = 2; at < 60; at += 5) {
            with_bad_rows(lanes, 24, at, OUTCOME_SUCCEEDED);
            with_bad_rows(lanes, 23, at, OUTCOME_FAILED);
            with_bad_rows(lanes, 24, -at, OUTCOME_SUCCEEDED);
            with_bad_rows(lanes, 23, -at, OUTCOME_FAILED);
        }
    }
}

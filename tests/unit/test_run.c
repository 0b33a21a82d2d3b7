#include <criterion/criterion.h>

#include <string.h>

#include "tests/support/run_bench.h"

Test(run, delivers_every_row_once_and_counts_them)
{
    struct bench *b = bench_new(3);

    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    for (size_t i = 0; i < 3; i++) {
        struct stream_progress s = bench_stream(b, i);

        cr_expect(fake_table_is_complete(&b->memory.tables[i], 100));
        cr_expect(b->memory.tables[i].complete);
        cr_expect_eq(s.status, STREAM_COMPLETE);
        cr_expect_eq(s.rows_read, 100);
        cr_expect_eq(counts_records_committed(&s.committed), 100);
    }
    cr_expect_eq(b->complete_events, 3);
    cr_expect_eq(progress_attempts(b->progress), 1);
    cr_expect_str_eq(b->last_position, "{\"next\":100}");
    bench_free(b);
}

Test(run, counts_rows_the_source_left_out)
{
    struct bench *b = bench_new(1);

    b->source.dropped = 3;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    cr_expect_eq(bench_stream(b, 0).rows_read, 130);
    cr_expect_eq(bench_stream(b, 0).committed.filtered, 30);
    cr_expect_eq(counts_records_committed(&(struct counts){.inserted = 100, .filtered = 30}), 100);
    bench_free(b);
}

Test(run, an_empty_stream_is_finished)
{
    struct bench *b = bench_new(1);

    b->source.rows = 0;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    cr_expect(b->memory.tables[0].complete);
    bench_free(b);
}

Test(run, commits_at_the_row_limit_and_not_before)
{
    static const struct {
        int64_t limit, commits; /* of 100 rows by ten; the finish is none of them */
    } cases[] = {{29, 3}, {30, 3}, {31, 2}, {100, 1}, {101, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench *b = bench_new(1);

        b->job.commit.rows = cases[i].limit;
        bench_run(b);
        cr_expect_eq(b->destination.commits, cases[i].commits, "limit %lld: %lld commits",
                     (long long)cases[i].limit, (long long)b->destination.commits);
        bench_free(b);
    }
}

Test(run, commits_at_the_byte_limit)
{
    struct bench *b = bench_new(1);

    b->job.commit.bytes = 1;
    bench_run(b);
    cr_expect_eq(b->destination.commits, 10);
    bench_free(b);
}

Test(run, commits_old_rows_while_the_source_is_silent)
{
    struct bench *b = bench_new(1);

    b->job.commit.age_us = 20000;
    b->source.waits = true;
    b->job.policy.idle_timeout_s = 1;
    bench_run(b);
    cr_expect_eq(b->memory.tables[0].n, 10);
    cr_expect_str_eq(b->memory.tables[0].position, "{\"next\":10}");
    cr_expect_str_eq(error_reason(&b->result.error), "idle_timeout");
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect(b->result.partial_success);
    bench_free(b);
}

Test(run, never_commits_between_two_checkpoints)
{
    struct bench *b = bench_new(1);

    b->source.checkpoint_every = 4;
    b->job.commit.rows = 10;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED);
    cr_expect_eq(b->destination.commits, 2);
    cr_expect_not(b->destination.committed_without_position);
    bench_free(b);
}

Test(run, waits_with_a_commit_until_every_interleaved_stream_is_at_a_checkpoint)
{
    struct bench *b = bench_new(3);

    b->source.interleave = true;
    b->source.checkpoint_every = 3;
    b->job.commit.rows = 10;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    for (size_t i = 0; i < 3; i++)
        cr_expect(fake_table_is_complete(&b->memory.tables[i], 100));
    cr_expect_not(b->destination.committed_without_position);
    bench_free(b);
}

Test(run, a_source_without_checkpoints_commits_once)
{
    struct bench *b = bench_new(1);

    b->source.checkpoint_every = 0;
    b->job.commit.rows = 10;
    bench_run(b);
    cr_expect_eq(b->destination.commits, 0);
    cr_expect(fake_table_is_complete(&b->memory.tables[0], 100));
    bench_free(b);
}

Test(run, wrong_counts_of_the_destination_fail_it_as_internal)
{
    struct bench *b = bench_new(1);

    b->destination.miscount = true;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_eq(b->result.error.code, ERR_INTERNAL);
    cr_expect_str_eq(error_reason(&b->result.error), "accounting_error");
    cr_expect_eq(b->result.origin, ORIGIN_ENGINE);
    cr_expect_eq(progress_attempts(b->progress), 1);
    bench_free(b);
}

Test(run, a_source_that_does_not_end_its_stream_is_broken)
{
    struct bench *b = bench_new(1);

    b->source.no_end = true;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_eq(b->result.error.code, ERR_INTERNAL);
    bench_free(b);
}

Test(run, a_transient_failure_is_tried_again_from_the_last_commit)
{
    struct bench *b = bench_new(2);

    b->source.fail_at = 7;
    b->source.fail_times = 1;
    b->job.commit.rows = 20;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
    cr_expect_eq(progress_attempts(b->progress), 2);
    for (size_t i = 0; i < 2; i++) {
        cr_expect(fake_table_is_complete(&b->memory.tables[i], 100));
        cr_expect_eq(bench_stream(b, i).rows_read, 100);
        cr_expect_eq(bench_committed(b, i), 100);
    }
    bench_free(b);
}

Test(run, a_failed_source_leaves_what_it_had_covered_by_a_checkpoint)
{
    struct bench *b = bench_new(1);

    b->source.fail_at = 6; /* begin, then write and checkpoint twice */
    b->source.fail_times = 1;
    b->source.fail_code = ERR_DATA;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_eq(b->result.error.code, ERR_DATA);
    cr_expect_eq(b->result.origin, ORIGIN_SOURCE);
    cr_expect_eq(b->result.stream, 0);
    cr_expect_eq(b->memory.tables[0].n, 20);
    cr_expect_str_eq(b->memory.tables[0].position, "{\"next\":20}");
    cr_expect(b->result.partial_success);
    cr_expect_eq(bench_stream(b, 0).status, STREAM_INCOMPLETE);
    bench_free(b);
}

Test(run, gives_up_after_so_many_attempts_that_commit_nothing)
{
    for (int64_t most = 1; most <= 3; most++) {
        struct bench *b = bench_new(1);

        b->job.policy.max_attempts = most;
        b->source.fail_at = 1;
        b->source.fail_times = 100;
        bench_run(b);
        cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
        cr_expect_eq(b->result.error.code, ERR_TRANSIENT);
        cr_expect_eq(progress_attempts(b->progress), most);
        cr_expect_not(b->result.partial_success);
        cr_expect_eq(bench_stream(b, 0).status, STREAM_SKIPPED);
        bench_free(b);
    }
}

Test(run, attempts_that_commit_do_not_use_up_the_budget)
{
    struct bench *b = bench_new(1);

    b->job.policy.max_attempts = 2;
    b->job.commit.rows = 10;
    b->destination.fail_at = 4; /* recover, write, commit, then fails once per four calls */
    b->destination.fail_times = 3;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    b->destination.calls = 0;
    bench_free(b);

    b = bench_new(1);
    b->job.policy.max_attempts = 2;
    b->job.commit.rows = 10;
    b->source.fail_at = 4;
    b->source.fail_times = 1;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED);
    bench_free(b);
}

Test(run, a_permanent_failure_is_not_tried_again)
{
    struct bench *b = bench_new(1);

    b->destination.fail_at = 2;
    b->destination.fail_times = 100;
    b->destination.fail_code = ERR_CONFIG;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_eq(b->result.origin, ORIGIN_DESTINATION);
    cr_expect_eq(progress_attempts(b->progress), 1);
    bench_free(b);
}

Test(run, a_commit_whose_answer_is_lost_is_counted_once)
{
    for (int64_t at = 3; at < 30; at++) {
        struct bench *b = bench_new(2);

        b->job.commit.rows = 20;
        b->destination.fail_at = at;
        b->destination.fail_times = 1;
        b->destination.lose_answer = true;
        bench_run(b);
        cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "call %lld: %s", (long long)at,
                     b->result.error.message);
        for (size_t i = 0; i < 2; i++) {
            cr_expect(fake_table_is_complete(&b->memory.tables[i], 100), "call %lld",
                      (long long)at);
            cr_expect_eq(bench_committed(b, i), 100, "call %lld: %lld", (long long)at,
                         (long long)bench_committed(b, i));
        }
        bench_free(b);
    }
}

static void with_failed_stream(enum stream_error_policy policy, int64_t checkpoint_every,
                               bool interleave, enum run_outcome expected)
{
    struct bench *b = bench_new(3);

    b->source.fail_stream = 1;
    b->source.checkpoint_every = checkpoint_every;
    b->source.interleave = interleave;
    b->job.policy.on_stream_error = policy;
    bench_run(b);
    cr_expect_eq(b->result.outcome, expected, "policy %d: %s", (int)policy,
                 b->result.error.message);
    cr_expect_eq(bench_stream(b, 1).status, STREAM_INCOMPLETE);
    cr_expect_neq(bench_stream(b, 1).error, NULL);
    if (policy != ON_ERROR_ABORT) {
        cr_expect(fake_table_is_complete(&b->memory.tables[0], 100));
        cr_expect(fake_table_is_complete(&b->memory.tables[2], 100));
        cr_expect_eq(bench_stream(b, 2).status, STREAM_COMPLETE);
    }
    cr_expect_not(b->memory.tables[1].complete);
    cr_expect_not(b->destination.committed_without_position);
    if (expected == OUTCOME_FAILED) {
        cr_expect_eq(b->result.error.code, ERR_PERMISSION);
        cr_expect_eq(b->result.stream, 1);
    }
    bench_free(b);
}

Test(run, a_failed_stream_leaves_the_others_alone)
{
    for (int interleave = 0; interleave < 2; interleave++) {
        with_failed_stream(ON_ERROR_CONTINUE, 1, interleave, OUTCOME_FAILED);
        with_failed_stream(ON_ERROR_CONTINUE, 0, interleave, OUTCOME_FAILED);
        with_failed_stream(ON_ERROR_CONTINUE, 3, interleave, OUTCOME_FAILED);
    }
}

Test(run, a_failed_stream_can_be_ignored)
{
    with_failed_stream(ON_ERROR_IGNORE, 1, false, OUTCOME_SUCCEEDED);
    with_failed_stream(ON_ERROR_IGNORE, 0, true, OUTCOME_SUCCEEDED);
}

Test(run, a_failed_stream_can_end_it)
{
    with_failed_stream(ON_ERROR_ABORT, 1, false, OUTCOME_FAILED);
    with_failed_stream(ON_ERROR_ABORT, 2, true, OUTCOME_FAILED);
}

Test(run, a_refused_finish_fails_its_stream_only)
{
    struct bench *b = bench_new(2);

    b->destination.fail_at = 1;
    b->destination.fail_finish_only = true;
    b->destination.fail_times = 1;
    b->destination.fail_code = ERR_CONFLICT;
    b->destination.fail_reason = "shrink_guard";
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_str_eq(error_reason(&b->result.error), "shrink_guard");
    cr_expect_eq(bench_stream(b, 0).status, STREAM_INCOMPLETE);
    cr_expect_eq(bench_stream(b, 1).status, STREAM_COMPLETE);
    cr_expect(b->result.partial_success);
    bench_free(b);
}

Test(run, a_stream_that_the_destination_refuses_does_not_stop_the_others)
{
    for (size_t refused = 0; refused < 3; refused++) {
        struct bench *b = bench_new(3);

        b->destination.refuse = (long)refused + 1;
        bench_run(b);
        cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
        cr_expect_str_eq(error_reason(&b->result.error), "table_exists");
        cr_expect_eq(b->result.stream, (long)refused);
        for (size_t i = 0; i < 3; i++)
            cr_expect_eq(bench_stream(b, i).status,
                         i == refused ? STREAM_INCOMPLETE : STREAM_COMPLETE, "%zu", i);
        cr_expect(b->result.partial_success);
        bench_free(b);
    }
}

Test(run, a_refused_stream_ends_it_when_that_is_the_policy)
{
    struct bench *b = bench_new(3);

    b->destination.refuse = 2;
    b->job.policy.on_stream_error = ON_ERROR_ABORT;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_str_eq(error_reason(&b->result.error), "table_exists");
    cr_expect_eq(b->memory.tables[0].n, 0);
    bench_free(b);
}

Test(run, too_many_bad_rows_say_where_they_begin)
{
    struct bench *b = bench_new(1);

    b->source.bad_rows = 3;
    b->destination.fail_at = 2;
    b->destination.fail_times = 1;
    b->destination.fail_code = ERR_DATA;
    b->destination.fail_reason = "quarantine_limit";
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect(strstr(b->result.error.message, "numbers.csv line 1:"), "%s",
              b->result.error.message);
    bench_free(b);
}

Test(run, stops_at_any_call_of_either_side_and_continues_later)
{
    for (int64_t at = 1; at < 40; at++) {
        for (int side = 0; side < 2; side++) {
            struct bench *b = bench_new(2);

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
            for (size_t i = 0; i < 2; i++)
                cr_expect(fake_table_is_complete(&b->memory.tables[i], 100), "call %lld of %s",
                          (long long)at, side ? "destination" : "source");
            bench_free(b);
        }
    }
}

Test(run, a_blocked_destination_sees_the_cancellation)
{
    struct bench *b = bench_new(1);

    b->destination.block_ms = 30000;
    b->source.cancel = b->cancel;
    b->source.cancel_at = 3;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_CANCELLED);
    cr_expect_lt(b->result.duration_us, 5000000);
    bench_free(b);
}

Test(run, a_full_queue_sees_the_cancellation)
{
    struct bench *b = bench_new(1);

    b->job.queue_bytes = 1;
    b->destination.block_ms = 30000;
    b->job.policy.timeout_s = 1;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_str_eq(error_reason(&b->result.error), "timeout");
    cr_expect_lt(b->result.duration_us, 5000000);
    bench_free(b);
}

Test(run, waiting_for_the_next_attempt_sees_the_cancellation)
{
    struct bench *b = bench_new(1);

    b->source.fail_at = 1;
    b->source.fail_times = 100;
    b->job.policy.backoff_ms = RUN_MAX_BACKOFF_MS;
    b->job.policy.max_attempts = 50;
    b->job.policy.timeout_s = 1;
    bench_run(b);
    cr_expect_str_eq(error_reason(&b->result.error), "timeout");
    cr_expect_lt(b->result.duration_us, 5000000);
    bench_free(b);
}

Test(run, shutdown_is_a_failure_that_says_interrupted)
{
    struct bench *b = bench_new(1);

    b->source.cancel = b->cancel;
    b->source.cancel_at = 3;
    b->source.why = CANCEL_SHUTDOWN;
    b->destination.block_ms = 30000;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_FAILED);
    cr_expect_str_eq(error_reason(&b->result.error), "interrupted");
    bench_free(b);
}

/* The test of "state never runs ahead of data". */
Test(run, stopped_at_any_checkpoint_and_resumed_equals_an_undisturbed_run)
{
    for (int64_t every = 1; every <= 3; every++) {
        for (int64_t at = 1; at < 30; at++) {
            for (int interleave = 0; interleave < 2; interleave++) {
                struct bench *b = bench_new(2);

                b->source.checkpoint_every = every;
                b->source.interleave = interleave;
                b->job.commit.rows = 1;
                b->source.fail_at = at;
                b->source.fail_times = 1;
                b->source.fail_code = ERR_CONFIG;
                bench_run(b);
                bench_run(b);
                cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
                for (size_t i = 0; i < 2; i++)
                    cr_expect(fake_table_is_complete(&b->memory.tables[i], 100));
                bench_free(b);
            }
        }
    }
}

Test(run, hands_edited_positions_and_a_restart_to_the_destination_once)
{
    struct bench *b = bench_new(1);
    const char *edits[] = {"{\"next\":90}"};

    b->job.override_positions = edits;
    b->source.fail_at = 2;
    b->source.fail_times = 1;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED);
    cr_expect_str_eq(b->memory.override, "{\"next\":90}");
    cr_expect_eq(b->memory.tables[0].n, 10);
    bench_free(b);

    b = bench_new(1);
    b->job.full_refresh = true;
    b->job.commit.rows = 10;
    b->source.fail_at = 6;
    b->source.fail_times = 1;
    bench_run(b);
    cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED);
    cr_expect_eq(b->memory.restarts, 1);
    cr_expect(fake_table_is_complete(&b->memory.tables[0], 100));
    bench_free(b);
}

Test(run, the_failing_nth_call_of_either_side_is_survived)
{
    for (int side = 0; side < 2; side++) {
        for (int64_t at = 1;; at++) {
            struct bench *b = bench_new(2);
            int64_t *calls = side ? &b->destination.failed : &b->source.failed;

            b->job.commit.rows = 20;
            *(side ? &b->destination.fail_at : &b->source.fail_at) = at;
            *(side ? &b->destination.fail_times : &b->source.fail_times) = 1;
            bench_run(b);
            cr_expect_eq(b->result.outcome, OUTCOME_SUCCEEDED, "%s", b->result.error.message);
            for (size_t i = 0; i < 2; i++)
                cr_expect(fake_table_is_complete(&b->memory.tables[i], 100));
            if (*calls == 0) {
                bench_free(b);
                cr_expect_gt(at, 20);
                break;
            }
            bench_free(b);
        }
    }
}

Test(run, statistics_have_the_documented_shape)
{
    struct bench *b = bench_new(1);
    struct buf out = BUF_INIT(1 << 16);
    struct jsonw w = JSONW_INIT(&out);
    struct doc *d;
    struct error err = ERROR_INIT;
    const struct doc *s;

    b->source.fail_stream = 0;
    b->job.commit.rows = 10;
    bench_run(b);
    progress_put_stats(b->progress, false, &w);
    cr_assert_eq(doc_parse(out.data, out.len, &d, &err), 0, "%s", err.message);
    cr_expect_eq(doc_int(doc_get(d, "records_read"), -1), 50);
    cr_expect_eq(doc_int(doc_get(d, "records_committed"), -1), 40);
    cr_expect_eq(doc_int(doc_get(d, "records_rejected"), -1), 0);
    cr_expect_eq(doc_int(doc_get(d, "attempts"), -1), 1);
    cr_expect_eq(doc_int(doc_get(d, "lanes"), -1), 1);
    s = doc_at(doc_get(d, "streams"), 0);
    cr_expect_str_eq(doc_string(doc_get(s, "name"), ""), "s0");
    cr_expect_str_eq(doc_string(doc_get(s, "status"), ""), "incomplete");
    cr_expect_str_eq(doc_string(doc_get(s, "sync_mode"), ""), "full_refresh");
    cr_expect_eq(doc_int(doc_get(doc_get(s, "counts"), "inserted"), -1), 40);
    cr_expect_str_eq(doc_string(doc_get(doc_get(s, "error"), "code"), ""), "permission_denied");
    doc_free(d);
    buf_release(&out);
    bench_free(b);
}

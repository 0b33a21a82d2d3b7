#include <criterion/criterion.h>

#include "connectors/base/clock.h"
#include "connectors/base/doc.h"
#include "tests/support/store_fixture.h"

static struct connection a;

static int64_t now_us = 1000000;

static int64_t fake_now(void)
{
    return now_us;
}

static void init(void)
{
    fixture_open();
    a = make_connection("a");
}

static void fini(void)
{
    clock_fake(NULL);
    fixture_close();
}

TestSuite(store_runs, .init = init, .fini = fini);

#define SYNC  (1u << RUN_SYNC)
#define CLEAR (1u << RUN_CLEAR)
#define CHECK (1u << RUN_CHECK)
#define JOBS  (SYNC | CLEAR)

static struct run_row get(int64_t id)
{
    struct run_row run;

    ok(store_get_run(fx.store, id, fx.mem, &run, &fx.err));
    return run;
}

/* The id of the claimed run, or 0. */
static int64_t claim(unsigned kinds)
{
    struct run_row run;
    int rc = store_claim_run(fx.store, kinds, fx.mem, &run, &fx.err);

    if (rc == 1)
        return 0;
    ok(rc);
    cr_assert_eq(run.status, RUN_RUNNING);
    return run.id;
}

static void finish(int64_t id, enum run_status status)
{
    struct run_row done = {.id = id, .status = status};

    ok(store_finish_run(fx.store, &done, &fx.err));
}

static enum run_status cancel(int64_t id)
{
    enum run_status status;

    ok(store_cancel_run(fx.store, id, "user", &status, &fx.err));
    cr_assert_eq(get(id).status, status);
    return status;
}

Test(store_runs, names_are_those_of_the_api)
{
    cr_assert_str_eq(run_kind_name(RUN_SYNC), "sync");
    cr_assert_str_eq(run_kind_name(RUN_CLEAR), "clear");
    cr_assert_str_eq(run_kind_name(RUN_CHECK), "check");
    cr_assert_str_eq(run_kind_name(RUN_DISCOVER), "discover");
    cr_assert_str_eq(run_kind_name(RUN_SAMPLE), "sample");
    cr_assert_str_eq(run_kind_name(RUN_COUNT), "count");
    cr_assert_str_eq(run_status_name(RUN_QUEUED), "queued");
    cr_assert_str_eq(run_status_name(RUN_RUNNING), "running");
    cr_assert_str_eq(run_status_name(RUN_CANCELLING), "cancelling");
    cr_assert_str_eq(run_status_name(RUN_SUCCEEDED), "succeeded");
    cr_assert_str_eq(run_status_name(RUN_FAILED), "failed");
    cr_assert_str_eq(run_status_name(RUN_CANCELLED), "cancelled");
    cr_assert_not(run_status_is_final(RUN_QUEUED));
    cr_assert_not(run_status_is_final(RUN_RUNNING));
    cr_assert_not(run_status_is_final(RUN_CANCELLING));
    cr_assert(run_status_is_final(RUN_SUCCEEDED));
    cr_assert(run_status_is_final(RUN_FAILED));
    cr_assert(run_status_is_final(RUN_CANCELLED));
}

/* ------------------------------------------------------------------ creating */

Test(store_runs, keep_what_they_are_created_with)
{
    struct run_row in = {.kind = RUN_SYNC,
                         .connection_id = a.id,
                         .trigger = "retry",
                         .request = "{\"streams\":[\"x\"]}",
                         .labels = "{\"l\":\"1\"}",
                         .note = "why",
                         .retry_of = 7,
                         .status = RUN_FAILED};
    int64_t active = -1;
    struct run_row out;

    ok(store_create_run(fx.store, &in, false, &active, &fx.err));
    cr_assert_eq(active, 0);
    cr_assert_eq(in.status, RUN_QUEUED);
    cr_assert_gt(in.created_us, 0);
    out = get(in.id);
    cr_assert_eq(out.kind, RUN_SYNC);
    cr_assert_eq(out.status, RUN_QUEUED);
    cr_assert_str_eq(out.connection_id, a.id);
    cr_assert_str_eq(out.connection_name, "a");
    cr_assert_str_eq(out.source_id, a.source_id);
    cr_assert_str_eq(out.destination_id, a.destination_id);
    cr_assert_str_eq(out.trigger, "retry");
    cr_assert_str_eq(out.request, "{\"streams\":[\"x\"]}");
    cr_assert_str_eq(out.labels, "{\"l\":\"1\"}");
    cr_assert_str_eq(out.note, "why");
    cr_assert_eq(out.retry_of, 7);
    cr_assert_eq(out.created_us, in.created_us);
    cr_assert_eq(out.started_us + out.ended_us + out.heartbeat_us + out.attempts, 0);
    cr_assert_null(out.error);
    cr_assert_null(out.result);
    cr_assert_null(out.stats);
    cr_assert_null(out.cancel_reason);
    cr_assert_not(out.partial_success);
}

Test(store_runs, without_connection_keep_the_ends_given)
{
    struct run_row in = {.kind = RUN_CHECK, .source_id = a.source_id}, out;
    int64_t active;

    ok(store_create_run(fx.store, &in, false, &active, &fx.err));
    out = get(in.id);
    cr_assert_null(out.connection_id);
    cr_assert_null(out.connection_name);
    cr_assert_str_eq(out.source_id, a.source_id);
    cr_assert_null(out.destination_id);
    cr_assert_str_eq(out.request, "{}");
    cr_assert_str_eq(out.labels, "{}");
}

Test(store_runs, need_their_connection)
{
    struct run_row in = {.kind = RUN_SYNC, .connection_id = "none", .trigger = "api"};
    int64_t active;

    fails(store_create_run(fx.store, &in, true, &active, &fx.err), ERR_NOT_FOUND, "not_found");
    cr_assert_eq(in.id, 0);
}

Test(store_runs, show_the_name_of_a_renamed_connection)
{
    int64_t id = make_run(RUN_SYNC, a.id);

    a.name = "b";
    ok(store_update_connection(fx.store, &a, REVISION_ANY, fx.mem, &fx.err));
    cr_assert_str_eq(get(id).connection_name, "b");
}

Test(store_runs, ids_grow_and_never_come_again)
{
    int64_t first = make_run(RUN_CHECK, NULL), second = make_run(RUN_CHECK, NULL);

    cr_assert_gt(second, first);
    finish(second, RUN_FAILED);
    ok(store_delete_run(fx.store, second, &fx.err));
    fixture_reopen();
    cr_assert_gt(make_run(RUN_CHECK, NULL), second);
}

static void refused(enum run_kind kind, int64_t by)
{
    struct run_row in = {.kind = kind, .connection_id = a.id};
    int64_t active = 0;

    fails(store_create_run(fx.store, &in, false, &active, &fx.err), ERR_CONFLICT,
          "run_already_active");
    cr_assert_eq(active, by);
}

Test(store_runs, of_a_connection_exclude_each_other_unless_queueing_is_allowed)
{
    struct connection b = make_connection("b");
    struct run_row other = {.kind = RUN_SYNC, .connection_id = b.id};
    struct run_row check = {.kind = RUN_CHECK, .connection_id = a.id};
    int64_t first = make_run(RUN_SYNC, a.id), second, active;

    refused(RUN_SYNC, first); /* queued counts: it will run */
    second = make_run(RUN_CLEAR, a.id);
    refused(RUN_SYNC, first);
    cr_assert_eq(claim(JOBS), first);
    refused(RUN_CLEAR, first);
    cr_assert_eq(cancel(first), RUN_CANCELLING);
    refused(RUN_SYNC, first);
    finish(first, RUN_CANCELLED);
    refused(RUN_SYNC, second);
    ok(store_create_run(fx.store, &other, false, &active, &fx.err));
    ok(store_create_run(fx.store, &check, false, &active, &fx.err));
    finish(second, RUN_FAILED);
    ok(store_create_run(fx.store, &(struct run_row){.kind = RUN_SYNC, .connection_id = a.id}, false,
                        &active, &fx.err));
    cr_assert_eq(active, 0);
}

Test(store_runs, an_active_one_is_named_before_a_queued_one)
{
    int64_t first = make_run(RUN_SYNC, a.id), second = make_run(RUN_SYNC, a.id);

    cr_assert_eq(claim(JOBS), first);
    finish(first, RUN_SUCCEEDED);
    cr_assert_eq(claim(JOBS), second);
    first = make_run(RUN_SYNC, a.id);
    refused(RUN_SYNC, second);
    cr_assert_gt(first, second);
}

Test(store_runs, fill_a_queue_of_a_thousand)
{
    struct run_row in = {.kind = RUN_CHECK};
    int64_t active, queued;

    for (int i = 0; i < STORE_MAX_QUEUED; i++)
        make_run(RUN_SYNC, i % 2 ? a.id : NULL);
    fails(store_create_run(fx.store, &in, true, &active, &fx.err), ERR_RESOURCE, "queue_full");
    cr_assert_neq(claim(JOBS), 0);
    ok(store_create_run(fx.store, &in, true, &active, &fx.err));
    ok(store_count_runs(fx.store, &queued, &active, &fx.err));
    cr_assert_eq(queued, STORE_MAX_QUEUED);
    cr_assert_eq(active, 1);
}

/* ------------------------------------------------------------------ claiming */

Test(store_runs, are_claimed_oldest_first_and_by_kind)
{
    int64_t check = make_run(RUN_CHECK, NULL), sync = make_run(RUN_SYNC, a.id);
    int64_t later = make_run(RUN_CHECK, NULL);

    cr_assert_eq(claim(CLEAR), 0);
    cr_assert_eq(claim(JOBS), sync);
    cr_assert_eq(claim(JOBS), 0);
    cr_assert_eq(claim(~JOBS), check);
    cr_assert_eq(claim(CHECK), later);
    cr_assert_eq(claim(~0u), 0);
    cr_assert_gt(get(sync).started_us, 0);
    cr_assert_gt(get(sync).heartbeat_us, 0);
}

Test(store_runs, wait_for_the_active_run_of_their_connection)
{
    struct connection b = make_connection("b");
    int64_t first = make_run(RUN_SYNC, a.id), second = make_run(RUN_CLEAR, a.id);
    int64_t other = make_run(RUN_SYNC, b.id), adhoc = make_run(RUN_SYNC, NULL);
    int64_t adhoc2 = make_run(RUN_SYNC, NULL);

    cr_assert_eq(claim(JOBS), first);
    cr_assert_eq(claim(JOBS), other);
    cr_assert_eq(claim(JOBS), adhoc);
    cr_assert_eq(claim(JOBS), adhoc2, "ad-hoc runs wait for nobody");
    cr_assert_eq(claim(JOBS), 0);
    cr_assert_eq(cancel(first), RUN_CANCELLING);
    cr_assert_eq(claim(JOBS), 0, "until the thread has ended");
    finish(first, RUN_CANCELLED);
    cr_assert_eq(claim(JOBS), second);
}

/* ------------------------------------------------------------------- changing */

Test(store_runs, show_their_progress)
{
    int64_t id = make_run(RUN_SYNC, a.id);
    struct run_row run;

    fails(store_progress_run(fx.store, id, "{}", 1, &fx.err), ERR_CONFLICT, "run_not_active");
    claim(JOBS);
    now_us = get(id).heartbeat_us + 5000000;
    clock_fake(fake_now);
    ok(store_progress_run(fx.store, id, "{\"records_read\":5}", 2, &fx.err));
    run = get(id);
    cr_assert_str_eq(run.stats, "{\"records_read\":5}");
    cr_assert_eq(run.attempts, 2);
    cr_assert_eq(run.heartbeat_us, now_us);
    cancel(id);
    ok(store_progress_run(fx.store, id, "{\"records_read\":6}", 2, &fx.err));
    finish(id, RUN_CANCELLED);
    fails(store_progress_run(fx.store, id, "{}", 3, &fx.err), ERR_CONFLICT, "run_not_active");
    cr_assert_str_eq(get(id).stats, "{\"records_read\":6}");
    fails(store_progress_run(fx.store, 12345, "{}", 1, &fx.err), ERR_NOT_FOUND, "not_found");
}

Test(store_runs, end_once)
{
    struct run_row done = {.kind = RUN_SYNC,
                           .status = RUN_FAILED,
                           .error = "{\"code\":\"x\"}",
                           .result = "{\"r\":1}",
                           .stats = "{\"s\":1}",
                           .attempts = 3,
                           .partial_success = true,
                           .ended_us = 77,
                           .cancel_reason = "timeout"};
    struct run_row run;

    done.id = make_run(RUN_SYNC, a.id);
    claim(JOBS);
    ok(store_finish_run(fx.store, &done, &fx.err));
    run = get(done.id);
    cr_assert_eq(run.status, RUN_FAILED);
    cr_assert_str_eq(run.error, "{\"code\":\"x\"}");
    cr_assert_str_eq(run.result, "{\"r\":1}");
    cr_assert_str_eq(run.stats, "{\"s\":1}");
    cr_assert_str_eq(run.cancel_reason, "timeout");
    cr_assert_eq(run.attempts, 3);
    cr_assert_eq(run.ended_us, 77);
    cr_assert(run.partial_success);
    done.status = RUN_SUCCEEDED;
    cr_assert_eq(store_finish_run(fx.store, &done, &fx.err), 1);
    cr_assert_eq(get(done.id).status, RUN_FAILED);
}

Test(store_runs, keep_their_progress_when_they_end_without_numbers)
{
    int64_t id = make_run(RUN_SYNC, a.id);

    claim(JOBS);
    ok(store_progress_run(fx.store, id, "{\"s\":1}", 4, &fx.err));
    cancel(id);
    finish(id, RUN_SUCCEEDED);
    cr_assert_eq(get(id).status, RUN_SUCCEEDED, "it finished before it could be cancelled");
    cr_assert_str_eq(get(id).stats, "{\"s\":1}");
    cr_assert_str_eq(get(id).cancel_reason, "user");
    cr_assert_eq(get(id).attempts, 4);
    cr_assert_gt(get(id).ended_us, 0);
}

Test(store_runs, end_with_a_final_status_only)
{
    struct run_row done = {.id = make_run(RUN_SYNC, a.id), .status = RUN_RUNNING};

    fails(store_finish_run(fx.store, &done, &fx.err), ERR_INTERNAL, "internal");
    done = (struct run_row){.id = 999, .status = RUN_FAILED};
    fails(store_finish_run(fx.store, &done, &fx.err), ERR_NOT_FOUND, "not_found");
}

Test(store_runs, are_cancelled_by_where_they_are)
{
    int64_t queued = make_run(RUN_SYNC, a.id), id;
    enum run_status status;

    cr_assert_eq(cancel(queued), RUN_CANCELLED);
    cr_assert_gt(get(queued).ended_us, 0);
    cr_assert_str_eq(get(queued).cancel_reason, "user");
    cr_assert_eq(claim(JOBS), 0);
    cr_assert_eq(cancel(queued), RUN_CANCELLED, "again is fine");

    id = make_run(RUN_SYNC, a.id);
    claim(JOBS);
    cr_assert_eq(cancel(id), RUN_CANCELLING);
    cr_assert_eq(get(id).ended_us, 0);
    ok(store_cancel_run(fx.store, id, "shutdown", &status, &fx.err));
    cr_assert_eq(status, RUN_CANCELLING);
    cr_assert_str_eq(get(id).cancel_reason, "user", "the first reason counts");
    finish(id, RUN_SUCCEEDED);
    fails(store_cancel_run(fx.store, id, "user", &status, &fx.err), ERR_CONFLICT, "run_not_active");
    id = make_run(RUN_SYNC, a.id);
    finish(id, RUN_FAILED);
    fails(store_cancel_run(fx.store, id, "user", &status, &fx.err), ERR_CONFLICT, "run_not_active");
    fails(store_cancel_run(fx.store, 999, "user", &status, &fx.err), ERR_NOT_FOUND, "not_found");
}

Test(store_runs, left_active_are_failed_at_the_next_start)
{
    struct connection b = make_connection("b");
    int64_t running = make_run(RUN_SYNC, a.id), cancelling = make_run(RUN_SYNC, b.id);
    int64_t queued = make_run(RUN_SYNC, a.id), ended = make_run(RUN_CHECK, NULL), n = -1;
    CLEANUP(doc_free_cleanup) struct doc *why = NULL;
    struct run_row run;

    cr_assert_eq(claim(JOBS), running);
    cr_assert_eq(claim(JOBS), cancelling);
    cancel(cancelling);
    finish(ended, RUN_SUCCEEDED);
    fixture_reopen();
    ok(store_recover_runs(fx.store, &n, &fx.err));
    cr_assert_eq(n, 2);
    run = get(running);
    cr_assert_eq(run.status, RUN_FAILED);
    cr_assert_gt(run.ended_us, 0);
    ok(doc_parse(run.error, strlen(run.error), &why, &fx.err));
    cr_assert_str_eq(doc_string(doc_get(why, "code"), ""), "worker_lost");
    cr_assert_str_eq(doc_string(doc_get(why, "category"), ""), "system");
    cr_assert_str_eq(doc_string(doc_get(why, "origin"), ""), "engine");
    cr_assert(doc_bool(doc_get(why, "retryable"), false));
    cr_assert(doc_is(doc_get(why, "message"), DOC_STRING));
    cr_assert_eq(get(cancelling).status, RUN_FAILED);
    cr_assert_eq(get(queued).status, RUN_QUEUED);
    cr_assert_eq(get(ended).status, RUN_SUCCEEDED);
    cr_assert_eq(claim(JOBS), queued, "the connection is free again");
    ok(store_recover_runs(fx.store, &n, &fx.err));
    cr_assert_eq(n, 1);
    ok(store_recover_runs(fx.store, &n, &fx.err));
    cr_assert_eq(n, 0);
}

Test(store_runs, are_deleted_once_they_have_ended)
{
    int64_t id = make_run(RUN_SYNC, a.id);
    struct run_row run;

    fails(store_delete_run(fx.store, id, &fx.err), ERR_CONFLICT, "run_active");
    claim(JOBS);
    fails(store_delete_run(fx.store, id, &fx.err), ERR_CONFLICT, "run_active");
    cancel(id);
    fails(store_delete_run(fx.store, id, &fx.err), ERR_CONFLICT, "run_active");
    finish(id, RUN_CANCELLED);
    ok(store_delete_run(fx.store, id, &fx.err));
    fails(store_get_run(fx.store, id, fx.mem, &run, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_delete_run(fx.store, id, &fx.err), ERR_NOT_FOUND, "not_found");
}

static int64_t ended_at(enum run_kind kind, int64_t us)
{
    struct run_row done = {.id = make_run(kind, NULL), .status = RUN_SUCCEEDED, .ended_us = us};

    ok(store_finish_run(fx.store, &done, &fx.err));
    return done.id;
}

Test(store_runs, are_pruned_by_age_and_kind)
{
    int64_t old_sync = ended_at(RUN_SYNC, 99), sync = ended_at(RUN_CLEAR, 100);
    int64_t old_check = ended_at(RUN_CHECK, 499), check = ended_at(RUN_DISCOVER, 500);
    int64_t queued = make_run(RUN_CHECK, NULL), id = 0;
    struct run_row run;
    size_t n = 9;

    ok(store_prune_runs(fx.store, 100, 500, 1, &id, &n, &fx.err));
    cr_assert_eq(n, 1);
    cr_assert_eq(id, old_sync);
    ok(store_prune_runs(fx.store, 100, 500, 1, &id, &n, &fx.err));
    cr_assert_eq(n, 1);
    cr_assert_eq(id, old_check);
    ok(store_prune_runs(fx.store, 100, 500, 1, &id, &n, &fx.err));
    cr_assert_eq(n, 0);
    fails(store_get_run(fx.store, old_sync, fx.mem, &run, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_get_run(fx.store, old_check, fx.mem, &run, &fx.err), ERR_NOT_FOUND, "not_found");
    get(sync);
    get(check);
    get(queued);
}

/* -------------------------------------------------------------------- reading */

Test(store_runs, the_latest_of_a_connection_is_a_sync_or_clear)
{
    struct run_row run;
    int64_t id;

    fails(store_latest_run(fx.store, a.id, fx.mem, &run, &fx.err), ERR_NOT_FOUND, "not_found");
    make_run(RUN_CHECK, a.id);
    fails(store_latest_run(fx.store, a.id, fx.mem, &run, &fx.err), ERR_NOT_FOUND, "not_found");
    make_run(RUN_SYNC, a.id);
    id = make_run(RUN_CLEAR, a.id);
    make_run(RUN_DISCOVER, a.id);
    make_run(RUN_SYNC, NULL);
    ok(store_latest_run(fx.store, a.id, fx.mem, &run, &fx.err));
    cr_assert_eq(run.id, id);
}

/* The ids of one page relative to the first run, "3 2 1". */
static const char *page(struct run_query q, int64_t *next)
{
    struct run_row *rows;
    const char *ids = "";
    int64_t after;
    size_t n;

    q.limit = q.limit ? q.limit : 100;
    ok(store_list_runs(fx.store, &q, fx.mem, &rows, &n, &after, &fx.err));
    for (size_t i = 0; i < n; i++)
        ids = arena_printf(fx.mem, "%s%s%d", ids, i ? " " : "", (int)rows[i].id);
    if (next)
        *next = after;
    return ids;
}

/* A run of this kind, claimed and ended so long after. */
static int64_t ran(enum run_kind kind, const struct connection *c, enum run_status status,
                   int64_t took_us)
{
    struct run_row done = {.id = make_run(kind, c->id), .status = status};

    cr_assert_eq(claim(1u << kind), done.id);
    done.ended_us = get(done.id).started_us + took_us;
    ok(store_finish_run(fx.store, &done, &fx.err));
    return done.ended_us;
}

static void expect_activity(size_t i, const char *name, int64_t succeeded_us, int64_t took_us)
{
    struct activity *rows;
    size_t n;

    ok(store_list_activity(fx.store, 10, fx.mem, &rows, &n, &fx.err));
    cr_assert_lt(i, n);
    cr_expect_str_eq(rows[i].name, name);
    cr_expect_eq(rows[i].succeeded_us, succeeded_us);
    cr_expect_eq(rows[i].took_us, took_us);
}

Test(store_runs, say_when_a_connection_was_last_synced)
{
    struct connection b = make_connection("b");
    struct activity *rows;
    int64_t at_us, other_us;
    size_t n;

    expect_activity(0, "a", 0, 0);
    at_us = ran(RUN_SYNC, &a, RUN_SUCCEEDED, 5000000);
    other_us = ran(RUN_SYNC, &b, RUN_SUCCEEDED, 1000);
    expect_activity(0, "a", at_us, 5000000);
    expect_activity(1, "b", other_us, 1000);
    /* One that fails took its time, but is no success; a clear is neither, nor what never began. */
    ran(RUN_SYNC, &a, RUN_FAILED, 7000000);
    expect_activity(0, "a", at_us, 7000000);
    ran(RUN_CLEAR, &a, RUN_SUCCEEDED, 9000000);
    cr_assert_eq(cancel(make_run(RUN_SYNC, a.id)), RUN_CANCELLED);
    expect_activity(0, "a", at_us, 7000000);
    make_run(RUN_SYNC, a.id);
    claim(1u << RUN_SYNC);
    expect_activity(0, "a", at_us, 7000000);

    ok(store_list_activity(fx.store, 1, fx.mem, &rows, &n, &fx.err));
    cr_expect_eq(n, 1);
    cr_expect_str_eq(rows[0].id, a.id);
    ok(store_delete_connection(fx.store, b.id, REVISION_ANY, &fx.err));
    ok(store_list_activity(fx.store, 10, fx.mem, &rows, &n, &fx.err));
    cr_expect_eq(n, 1);
}

Test(store_runs, list_filters)
{
    struct connection b = make_connection("b");
    struct run_row retry = {.kind = RUN_SYNC, .connection_id = b.id, .trigger = "retry"};
    const char *connections[] = {NULL, a.id, a.id, NULL, b.id};
    enum run_kind kinds[] = {0, RUN_SYNC, RUN_SYNC, RUN_CHECK, RUN_CLEAR};
    int64_t active;

    clock_fake(fake_now);
    for (int i = 1; i <= 4; i++) {
        now_us = i * 100;
        cr_assert_eq(make_run(kinds[i], connections[i]), i);
    }
    now_us = 500;
    ok(store_create_run(fx.store, &retry, true, &active, &fx.err));
    finish(1, RUN_FAILED);
    finish(4, RUN_CANCELLED);

    cr_assert_str_eq(page((struct run_query){0}, NULL), "5 4 2 1", "checks only when asked for");
    cr_assert_str_eq(page((struct run_query){.ascending = true}, NULL), "1 2 4 5");
    cr_assert_str_eq(page((struct run_query){.kinds = CHECK}, NULL), "3");
    cr_assert_str_eq(page((struct run_query){.kinds = ~0u}, NULL), "5 4 3 2 1");
    cr_assert_str_eq(page((struct run_query){.kinds = CLEAR | CHECK}, NULL), "4 3");
    cr_assert_str_eq(page((struct run_query){.connection_id = a.id}, NULL), "2 1");
    cr_assert_str_eq(page((struct run_query){.connection_id = b.id}, NULL), "5 4");
    cr_assert_str_eq(page((struct run_query){.connection_id = "none"}, NULL), "");
    cr_assert_str_eq(page((struct run_query){.statuses = 1u << RUN_QUEUED}, NULL), "5 2");
    cr_assert_str_eq(
        page((struct run_query){.statuses = 1u << RUN_FAILED | 1u << RUN_CANCELLED}, NULL), "4 1");
    cr_assert_str_eq(page((struct run_query){.since_us = 200}, NULL), "5 4 2");
    cr_assert_str_eq(page((struct run_query){.until_us = 400}, NULL), "4 2 1");
    cr_assert_str_eq(page((struct run_query){.since_us = 201, .until_us = 499}, NULL), "4");
    cr_assert_str_eq(page((struct run_query){.trigger = "retry"}, NULL), "5");
    cr_assert_str_eq(
        page((struct run_query){.connection_id = b.id, .kinds = CLEAR, .trigger = "api"}, NULL),
        "4");
}

Test(store_runs, list_pages_in_both_directions)
{
    int64_t next;

    for (int i = 1; i <= 5; i++)
        make_run(RUN_SYNC, a.id);
    cr_assert_str_eq(page((struct run_query){.limit = 2}, &next), "5 4");
    make_run(RUN_SYNC, a.id);
    cr_assert_str_eq(page((struct run_query){.limit = 2, .after = next}, &next), "3 2");
    cr_assert_str_eq(page((struct run_query){.limit = 1, .after = next}, &next), "1");
    cr_assert_eq(next, 0);
    cr_assert_str_eq(page((struct run_query){.limit = 4, .ascending = true}, &next), "1 2 3 4");
    cr_assert_str_eq(page((struct run_query){.limit = 4, .ascending = true, .after = next}, &next),
                     "5 6");
    cr_assert_eq(next, 0);
}

Test(store_runs, a_list_leaves_out_what_may_be_large)
{
    struct run_row in = {.kind = RUN_SYNC, .connection_id = a.id, .request = "{\"streams\":[]}"};
    struct run_row *rows;
    int64_t active, next;
    size_t n;

    ok(store_create_run(fx.store, &in, true, &active, &fx.err));
    ok(store_finish_run(fx.store,
                        &(struct run_row){.id = in.id,
                                          .status = RUN_FAILED,
                                          .result = "{}",
                                          .stats = "{\"s\":1}",
                                          .error = "{\"e\":1}"},
                        &fx.err));
    ok(store_list_runs(fx.store, &(struct run_query){.limit = 1}, fx.mem, &rows, &n, &next,
                       &fx.err));
    cr_assert_eq(n, 1);
    cr_assert_str_eq(rows[0].request, "{}");
    cr_assert_null(rows[0].result);
    cr_assert_str_eq(rows[0].stats, "{\"s\":1}");
    cr_assert_str_eq(rows[0].error, "{\"e\":1}");
    cr_assert_str_eq(rows[0].connection_name, "a");
}

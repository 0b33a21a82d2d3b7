#include <criterion/criterion.h>

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "server/sync/runs.h"
#include "tests/support/fake_sync.h"

static char directory[64];
static struct arena *mem;
static struct store *store;
static struct logstreams *logs;
static struct runs *runs;
static struct error err;
static struct connection connection;
static struct resource source_row, destination_row;

static struct fake_source source;
static struct fake_destination destination;
static struct fake_memory memory;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void notify(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static const struct runs_config defaults = {.workers = 2,
                                            .short_workers = 1,
                                            .memory_budget_bytes = 1 << 20,
                                            .max_parallel_streams = 4,
                                            .cancel_grace_ms = 1000,
                                            .check_timeout_s = 60,
                                            .discover_timeout_s = 60,
                                            .sample_timeout_s = 60,
                                            .count_timeout_s = 60};

static void start(const struct runs_config *config)
{
    cr_assert_eq(runs_start(config, store, logs, notify, &runs, &log_nowhere, &runs, &err), 0, "%s",
                 err.message);
}

static void stop(void)
{
    cr_expect(runs_stop(runs, 10000));
    runs_free(runs);
    runs = NULL;
}

static void create_connection(const char *streams, const char *settings)
{
    source_row =
        (struct resource){.name = "src", .connector = "fake", .config = "{}", .labels = "{}"};
    destination_row =
        (struct resource){.name = "dst", .connector = "fake", .config = "{}", .labels = "{}"};
    cr_assert_eq(store_create_resource(store, RESOURCE_SOURCE, &source_row, mem, &err), 0, "%s",
                 err.message);
    cr_assert_eq(store_create_resource(store, RESOURCE_DESTINATION, &destination_row, mem, &err),
                 0);
    connection = (struct connection){.name = "con",
                                     .source_id = source_row.id,
                                     .destination_id = destination_row.id,
                                     .labels = "{}",
                                     .streams = streams,
                                     .settings = settings};
    cr_assert_eq(store_create_connection(store, &connection, mem, &err), 0, "%s", err.message);
}

static void setup(void)
{
    char path[128];

    snprintf(directory, sizeof directory, "/tmp/test_runs_XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    err = ERROR_INIT;
    mem = arena_new();
    snprintf(path, sizeof path, "%s/store.db", directory);
    cr_assert_eq(store_open(path, &store, &err), 0, "%s", err.message);
    snprintf(path, sizeof path, "%s/logs", directory);
    cr_assert_eq(logstreams_open(path, notify, &logs, &logs, &err), 0);
    source = (struct fake_source){
        .n_streams = 2, .rows = 100, .batch_rows = 10, .checkpoint_every = 1, .fail_stream = -1};
    destination = (struct fake_destination){.memory = &memory};
    fake_source_now = &source;
    fake_destination_now = &destination;
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void teardown(void)
{
    if (runs)
        stop();
    logstreams_close(logs);
    store_close(store);
    fake_memory_release(&memory);
    arena_free(mem);
    nftw(directory, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(runs, .init = setup, .fini = teardown, .timeout = 60);

/* Waits until `is_done` or for 20 seconds. */
static void wait_until(bool (*is_done)(int64_t id), int64_t id)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&mutex);
    while (!is_done(id)) {
        struct timespec slice;

        clock_gettime(CLOCK_REALTIME, &slice);
        cr_assert_lt(slice.tv_sec, until.tv_sec, "run %lld takes too long", (long long)id);
        slice.tv_nsec += 20000000;
        if (slice.tv_nsec >= 1000000000) {
            slice.tv_sec++;
            slice.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&changed, &mutex, &slice);
    }
    pthread_mutex_unlock(&mutex);
}

static bool is_over(int64_t id)
{
    return !runs_is_active(runs, id);
}

static struct run_row row_of(int64_t id)
{
    struct run_row row;

    cr_assert_eq(store_get_run(store, id, mem, &row, &err), 0, "%s", err.message);
    return row;
}

static bool is_running(int64_t id)
{
    (void)id;
    return runs_active_count(runs) > 0 && source.calls > 2;
}

static bool is_deaf(int64_t id)
{
    (void)id;
    return source.is_deaf;
}

static int64_t submit(struct run_row *row)
{
    int64_t active;

    cr_assert_eq(runs_submit(runs, row, false, &active, &err), 0, "%s", err.message);
    return row->id;
}

static int64_t submit_sync(const char *request)
{
    struct run_row row = {
        .kind = RUN_SYNC, .connection_id = connection.id, .trigger = "api", .request = request};

    return submit(&row);
}

static struct run_row finished(int64_t id)
{
    wait_until(is_over, id);
    return row_of(id);
}

static const struct doc *parse(const char *text)
{
    struct doc *d;

    cr_assert_not_null(text);
    cr_assert_eq(doc_parse_trusted(text, strlen(text), &d, &err), 0, "%s", err.message);
    return d; /* leaks into the test's process on purpose: freed by its end */
}

/* The number of lines of a log, and whether exactly one is an end with this status. */
static int lines_of(int64_t id, const char *status)
{
    struct log_query q = {.tail = -1};
    struct log_follower *f;
    char chunk[65536], wanted[64];
    struct buf text = BUF_INIT(1 << 20);
    int64_t n, wake;
    int lines = 0, ends = 0;

    cr_assert_eq(log_follow(logs, id, &q, &f, &err), 0, "%s", err.message);
    while ((n = log_follower_read(f, chunk, sizeof chunk, &wake)) > 0)
        buf_put(&text, chunk, (size_t)n);
    cr_expect_eq(n, -1);
    log_follower_free(f);
    for (const char *c = buf_str(&text); *c; c++)
        lines += *c == '\n';
    for (const char *c = buf_str(&text); (c = strstr(c, "\"type\":\"end\"")); c++)
        ends++;
    cr_expect_eq(ends, 1, "%d ends: %s", ends, buf_str(&text));
    snprintf(wanted, sizeof wanted, "\"type\":\"end\",\"status\":\"%s\"", status);
    cr_expect(strstr(buf_str(&text), wanted), "%s", buf_str(&text));
    buf_release(&text);
    return lines;
}

static void expect_failed(const struct run_row *row, const char *code)
{
    const struct doc *e;

    cr_expect_eq(row->status, RUN_FAILED, "%s", run_status_name(row->status));
    e = parse(row->error);
    cr_expect_str_eq(doc_string(doc_get(e, "code"), ""), code, "%s", row->error);
    doc_free((struct doc *)(uintptr_t)e);
}

Test(runs, a_sync_of_a_connection_succeeds_and_leaves_everything_in_the_store)
{
    struct state_row *states;
    int64_t revision;
    struct run_row row;
    const struct doc *stats;
    size_t n;

    create_connection(NULL, "{}");
    start(&defaults);
    row = finished(submit_sync("{}"));
    cr_expect_eq(row.status, RUN_SUCCEEDED, "%s", row.error);
    cr_expect_eq(row.attempts, 1);
    cr_expect_gt(row.ended_us, 0);
    stats = parse(row.stats);
    cr_expect_eq(doc_int(doc_get(stats, "records_read"), 0), 200);
    cr_expect_eq(doc_int(doc_get(stats, "records_committed"), 0), 200);
    cr_expect_eq(doc_count(doc_get(stats, "streams")), 2);
    doc_free((struct doc *)(uintptr_t)stats);
    cr_expect_gt(lines_of(row.id, "succeeded"), 4);
    cr_assert_eq(store_get_state(store, connection.id, mem, &states, &n, &revision, &err), 0);
    cr_assert_eq(n, 2);
    cr_expect_str_eq(states[0].position, "{\"next\":100}");
    cr_expect_eq(runs_active_count(runs), 0);
    for (size_t i = 0; i < 2; i++)
        cr_expect(fake_table_is_complete(&memory.tables[i], 100));
}

Test(runs, a_second_sync_of_a_connection_is_refused_or_queued)
{
    struct run_row row = {.kind = RUN_SYNC, .trigger = "api", .request = "{}"};
    enum run_status status;
    int64_t first, active;

    create_connection(NULL, "{}");
    source.waits = true;
    start(&defaults);
    first = submit_sync("{}");
    wait_until(is_running, first);
    row.connection_id = connection.id;
    cr_expect_eq(runs_submit(runs, &row, false, &active, &err), -1);
    cr_expect_str_eq(error_reason(&err), "run_already_active");
    cr_expect_eq(active, first);
    err = ERROR_INIT;
    cr_assert_eq(runs_submit(runs, &row, true, &active, &err), 0);
    cr_expect(runs_is_active(runs, row.id));
    cr_expect_eq(row_of(row.id).status, RUN_QUEUED);
    source.waits = false;
    cr_assert_eq(runs_cancel(runs, first, "user", false, &status, &err), 0);
    cr_expect_eq(status, RUN_CANCELLING);
    cr_expect_eq(finished(first).status, RUN_CANCELLED);
    cr_expect_str_eq(row_of(first).cancel_reason, "user");
    lines_of(first, "cancelled");
    cr_expect_eq(finished(row.id).status, RUN_SUCCEEDED);
}

Test(runs, a_queued_run_is_cancelled_at_once_and_its_followers_end)
{
    struct run_row row = {.kind = RUN_SYNC, .trigger = "api", .request = "{}"};
    struct log_query q = {.tail = -1, .follow = true};
    struct log_follower *f;
    enum run_status status;
    int64_t first, active, wake;
    char chunk[4096];

    create_connection(NULL, "{}");
    source.waits = true;
    start(&defaults);
    first = submit_sync("{}");
    wait_until(is_running, first);
    row.connection_id = connection.id;
    cr_assert_eq(runs_submit(runs, &row, true, &active, &err), 0);
    cr_assert_eq(log_follow(logs, row.id, &q, &f, &err), 0, "%s", err.message);
    cr_expect_eq(log_follower_read(f, chunk, sizeof chunk, &wake), 0);
    cr_assert_eq(runs_cancel(runs, row.id, "user", false, &status, &err), 0);
    cr_expect_eq(status, RUN_CANCELLED);
    cr_expect(is_over(row.id));
    cr_expect_gt(log_follower_read(f, chunk, sizeof chunk, &wake), 0);
    cr_expect_eq(log_follower_read(f, chunk, sizeof chunk, &wake), -1);
    log_follower_free(f);
    lines_of(row.id, "cancelled");
    cr_assert_eq(runs_cancel(runs, row.id, "user", false, &status, &err), 0);
    lines_of(row.id, "cancelled");
}

Test(runs, requests_choose_streams_and_override_the_policy)
{
    struct run_row row;

    create_connection(NULL, "{\"run_policy\":{\"backoff_s\":0}}");
    start(&defaults);
    row = finished(submit_sync("{\"streams\":[\"s1\"]}"));
    cr_expect_eq(row.status, RUN_SUCCEEDED);
    cr_expect_eq(memory.tables[0].n, 0);
    cr_expect_eq(memory.tables[1].n, 100);
    row = finished(submit_sync("{\"streams\":[\"nope\"]}"));
    expect_failed(&row, "unknown_stream");
    source.fail_at = 1;
    source.fail_times = 1000;
    row = finished(submit_sync("{\"max_attempts\":2}"));
    expect_failed(&row, "transient");
    cr_expect_eq(row.attempts, 2);
    source.fail_at = 0;
    source.waits = true;
    row = finished(submit_sync("{\"timeout_s\":1,\"full_refresh\":true}"));
    expect_failed(&row, "timeout");
    cr_expect_str_eq(row.cancel_reason, "timeout");
    cr_expect_eq(memory.restarts, 2);
}

Test(runs, what_is_wrong_with_a_connection_is_said)
{
    struct run_row row;

    create_connection("[{\"name\":\"s0\",\"sync_mode\":\"incremental\","
                      "\"destination_sync_mode\":\"append_dedup\"}]",
                      "{}");
    start(&defaults);
    row = finished(submit_sync("{}"));
    expect_failed(&row, "mode_not_supported");
    source.discover_code = ERR_UNAUTHORIZED;
    source.discover_times = 1;
    row = finished(submit_sync("{}"));
    expect_failed(&row, "auth_failed");
}

Test(runs, discovery_is_tried_again)
{
    struct run_row row;

    create_connection(NULL, "{\"run_policy\":{\"backoff_s\":0.001}}");
    source.discover_code = ERR_TRANSIENT;
    source.discover_times = 3;
    start(&defaults);
    row = finished(submit_sync("{}"));
    cr_expect_eq(row.status, RUN_SUCCEEDED, "%s", row.error);
}

Test(runs, a_stream_that_has_gone_does_not_stop_the_others)
{
    struct run_row row;

    create_connection("[{\"name\":\"s0\"},{\"name\":\"s7\"}]", "{}");
    start(&defaults);
    row = finished(submit_sync("{}"));
    expect_failed(&row, "stream_missing");
    cr_expect(row.partial_success);
    cr_expect(fake_table_is_complete(&memory.tables[0], 100));
    lines_of(row.id, "failed");
}

Test(runs, an_edited_position_reaches_the_destination_once)
{
    struct state_row edit = {.stream = "s0", .position = "{\"next\":90}"}, *states;
    int64_t revision;
    size_t n;

    create_connection("[{\"name\":\"s0\"}]", "{}");
    start(&defaults);
    cr_assert_eq(store_edit_state(store, connection.id, &edit, 1, false, -1, &revision, &err), 0,
                 "%s", err.message);
    cr_expect_eq(finished(submit_sync("{}")).status, RUN_SUCCEEDED);
    cr_expect_str_eq(memory.override, "{\"next\":90}");
    cr_expect_eq(memory.tables[0].n, 10);
    cr_assert_eq(store_get_state(store, connection.id, mem, &states, &n, &revision, &err), 0);
    cr_expect_not(states[0].edited);
    memory.override[0] = '\0';
    cr_expect_eq(finished(submit_sync("{}")).status, RUN_SUCCEEDED);
    cr_expect_str_eq(memory.override, "");
}

Test(runs, the_destination_is_told_once_what_was_last_heard_of_it)
{
    create_connection(NULL, "{\"run_policy\":{\"backoff_s\":0}}");
    start(&defaults);
    cr_expect_eq(finished(submit_sync("{}")).status, RUN_SUCCEEDED);
    cr_expect_eq(memory.reminders, 0, "nothing was heard yet");
    source.fail_at = source.calls + 3;
    source.fail_times = 1;
    cr_expect_eq(finished(submit_sync("{\"parallel_streams\":2}")).status, RUN_SUCCEEDED);
    cr_expect_eq(memory.reminders, 2, "each stream once, whatever is tried again");
    cr_expect_eq(memory.reminder.generation, 1);
    cr_expect_gt(memory.reminder.seq, 0);
}

Test(runs, lanes_are_capped_by_the_service)
{
    static const struct {
        const char *request;
        int64_t allowed;
        const char *lanes;
    } cases[] = {{"{}", 4, "\"lanes\":1,"},
                 {"{\"parallel_streams\":2}", 4, "\"lanes\":2,"},
                 {"{\"parallel_streams\":2}", 1, "\"lanes\":1,"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct runs_config config = defaults;
        struct run_row row;

        config.max_parallel_streams = cases[i].allowed;
        if (i == 0)
            create_connection(NULL, "{}");
        start(&config);
        row = finished(submit_sync(cases[i].request));
        cr_expect_eq(row.status, RUN_SUCCEEDED);
        cr_expect(strstr(row.stats, cases[i].lanes), "%s", row.stats);
        stop();
    }
}

Test(runs, clear_removes_data_and_state)
{
    struct run_row row = {.kind = RUN_CLEAR, .trigger = "api", .request = "{\"streams\":[\"s0\"]}"};
    struct state_row *states;
    int64_t revision;
    size_t n;

    create_connection(NULL, "{}");
    start(&defaults);
    cr_expect_eq(finished(submit_sync("{}")).status, RUN_SUCCEEDED);
    row.connection_id = connection.id;
    cr_expect_eq(finished(submit(&row)).status, RUN_SUCCEEDED);
    cr_expect_eq(memory.tables[0].n, 0);
    cr_expect_eq(memory.tables[1].n, 100);
    cr_assert_eq(store_get_state(store, connection.id, mem, &states, &n, &revision, &err), 0);
    cr_assert_eq(n, 1);
    cr_expect_str_eq(states[0].stream, "s1");
}

Test(runs, an_ad_hoc_run_continues_where_the_same_one_stopped)
{
    static const char request[] =
        "{\"source\":{\"connector\":\"fake\",\"config\":{}},\"destination\":{\"connector\":"
        "\"fake\",\"config\":{}},\"selection\":[{\"name\":\"s1\"}],\"settings\":{}}";
    struct run_row row = {.kind = RUN_SYNC, .trigger = "api", .request = request};

    start(&defaults);
    cr_expect_eq(finished(submit(&row)).status, RUN_SUCCEEDED);
    cr_expect_eq(memory.tables[0].n, 0);
    cr_expect(fake_table_is_complete(&memory.tables[1], 100));
    cr_expect_eq(finished(submit(&row)).status, RUN_SUCCEEDED);
    cr_expect(fake_table_is_complete(&memory.tables[1], 100));
}

Test(runs, check_says_what_failed)
{
    struct run_row row = {.kind = RUN_CHECK, .trigger = "api", .request = "{}"};
    struct run_row adhoc = {.kind = RUN_CHECK,
                            .trigger = "api",
                            .request = "{\"kind\":\"destination\",\"connector\":\"fake\","
                                       "\"config\":{\"x\":1}}"};
    struct run_row got;

    create_connection(NULL, "{}");
    start(&defaults);
    row.source_id = source_row.id;
    cr_expect_eq(finished(submit(&row)).status, RUN_SUCCEEDED);
    source.check_code = ERR_UNAUTHORIZED;
    got = finished(submit(&row));
    expect_failed(&got, "auth_failed");
    row.source_id = NULL;
    row.destination_id = destination_row.id;
    cr_expect_eq(finished(submit(&row)).status, RUN_SUCCEEDED);
    destination.check_code = ERR_NOT_FOUND;
    got = finished(submit(&row));
    expect_failed(&got, "not_found");
    got = finished(submit(&adhoc));
    expect_failed(&got, "unknown_field");
    adhoc.request = "{\"kind\":\"source\",\"connector\":\"nothing\",\"config\":{}}";
    got = finished(submit(&adhoc));
    expect_failed(&got, "unknown_connector");
}

Test(runs, a_check_that_takes_too_long_is_stopped)
{
    struct run_row row = {.kind = RUN_CHECK, .trigger = "api", .request = "{}"};
    struct runs_config config = defaults;
    struct run_row got;

    config.check_timeout_s = 1;
    create_connection(NULL, "{}");
    source.check_waits = true;
    start(&config);
    row.source_id = source_row.id;
    got = finished(submit(&row));
    expect_failed(&got, "timeout");
}

Test(runs, a_long_sync_does_not_hold_up_a_check)
{
    struct run_row row = {.kind = RUN_CHECK, .trigger = "api", .request = "{}"};
    struct runs_config config = defaults;
    int64_t sync;

    config.workers = 1;
    create_connection(NULL, "{}");
    source.waits = true;
    start(&config);
    sync = submit_sync("{}");
    wait_until(is_running, sync);
    row.source_id = source_row.id;
    cr_expect_eq(finished(submit(&row)).status, RUN_SUCCEEDED);
    cr_expect(runs_is_active(runs, sync));
}

Test(runs, discover_stores_the_catalog_and_tells_the_difference)
{
    struct run_row row = {.kind = RUN_DISCOVER, .trigger = "api", .request = "{}"};
    struct stored_catalog stored;
    struct run_row got;
    const struct doc *d;

    create_connection(NULL, "{}");
    start(&defaults);
    row.source_id = source_row.id;
    got = finished(submit(&row));
    cr_expect_eq(got.status, RUN_SUCCEEDED, "%s", got.error);
    d = parse(got.result);
    cr_expect_eq(doc_count(doc_get(doc_get(d, "diff"), "added")), 2);
    cr_assert_eq(store_get_catalog(store, source_row.id, 0, mem, &stored, &err), 0);
    cr_expect_eq(stored.id, doc_int(doc_get(d, "catalog_id"), 0));
    doc_free((struct doc *)(uintptr_t)d);
    source.n_streams = 1;
    got = finished(submit(&row));
    d = parse(got.result);
    cr_expect_eq(doc_count(doc_get(doc_get(d, "diff"), "removed")), 1);
    doc_free((struct doc *)(uintptr_t)d);
    got = finished(submit(&row));
    d = parse(got.result);
    cr_expect_eq(doc_count(doc_get(doc_get(d, "diff"), "removed")), 0);
    doc_free((struct doc *)(uintptr_t)d);
}

static void expect_sample(const char *request, size_t records, bool truncated)
{
    struct run_row row = {.kind = RUN_SAMPLE, .trigger = "api", .request = request};
    struct run_row got;
    const struct doc *d;

    row.source_id = source_row.id;
    got = finished(submit(&row));
    cr_assert_eq(got.status, RUN_SUCCEEDED, "%s", got.error);
    d = parse(got.result);
    cr_expect_eq(doc_count(doc_get(d, "records")), records, "%s: %s", request, got.result);
    cr_expect_eq(doc_bool(doc_get(d, "truncated"), !truncated), truncated, "%s", request);
    cr_expect_eq(doc_int(doc_get(doc_at(doc_get(d, "records"), 0), "id"), -1), 0);
    cr_expect(doc_get(doc_get(doc_get(d, "schema"), "properties"), "id"));
    doc_free((struct doc *)(uintptr_t)d);
}

Test(runs, sample_gives_the_first_rows)
{
    struct run_row row = {.kind = RUN_SAMPLE, .trigger = "api", .request = "{\"stream\":\"s9\"}"};
    struct run_row got;

    create_connection(NULL, "{}");
    start(&defaults);
    expect_sample("{\"stream\":\"s1\",\"limit\":5}", 5, true);
    expect_sample("{\"stream\":\"s1\",\"limit\":99}", 99, true);
    expect_sample("{\"stream\":\"s1\",\"limit\":100}", 100, false);
    expect_sample("{\"stream\":\"s1\",\"limit\":101}", 100, false);
    expect_sample("{\"stream\":\"s1\",\"limit\":5,\"fields\":[\"id\"]}", 5, true);
    row.source_id = source_row.id;
    got = finished(submit(&row));
    expect_failed(&got, "unknown_stream");
    row.request = "{\"stream\":\"s1\",\"fields\":[\"nope\"]}";
    got = finished(submit(&row));
    expect_failed(&got, "unknown_field");
    row.request = "{\"stream\":\"s1\",\"fields\":[\"id\",\"id\"]}";
    got = finished(submit(&row));
    expect_failed(&got, "duplicate_field");
}

Test(runs, count_tells_what_it_can)
{
    struct run_row row = {.kind = RUN_COUNT, .trigger = "api", .request = "{}"};
    struct run_row got;
    const struct doc *d, *items;

    create_connection(NULL, "{}");
    source.fail_stream = 1;
    start(&defaults);
    row.source_id = source_row.id;
    got = finished(submit(&row));
    cr_expect_eq(got.status, RUN_SUCCEEDED);
    d = parse(got.result);
    items = doc_get(d, "items");
    cr_assert_eq(doc_count(items), 2);
    cr_expect_eq(doc_int(doc_get(doc_at(items, 0), "count"), -1), 100);
    cr_expect(doc_bool(doc_get(doc_at(items, 0), "exact"), false));
    cr_expect(doc_is(doc_get(doc_at(items, 1), "count"), DOC_NULL));
    cr_expect_str_eq(doc_string(doc_get(doc_get(doc_at(items, 1), "error"), "code"), ""),
                     "not_supported");
    doc_free((struct doc *)(uintptr_t)d);
    row.request = "{\"streams\":[\"s0\"]}";
    got = finished(submit(&row));
    d = parse(got.result);
    cr_expect_eq(doc_count(doc_get(d, "items")), 1);
    doc_free((struct doc *)(uintptr_t)d);
    row.request = "{\"streams\":[\"s9\"]}";
    got = finished(submit(&row));
    expect_failed(&got, "unknown_stream");
}

Test(runs, what_a_crash_left_is_lost_or_goes_on)
{
    struct run_row lost = {.kind = RUN_SYNC, .trigger = "api", .request = "{}"};
    struct run_row waiting = {.kind = RUN_SYNC, .trigger = "api", .request = "{}"}, claimed;
    int64_t active;
    struct logstream *l;

    create_connection(NULL, "{}");
    lost.connection_id = waiting.connection_id = connection.id;
    cr_assert_eq(store_create_run(store, &lost, false, &active, &err), 0);
    cr_assert_eq(store_claim_run(store, 1u << RUN_SYNC, mem, &claimed, &err), 0);
    cr_assert_eq(store_create_run(store, &waiting, true, &active, &err), 0);
    cr_assert_eq(logstream_open(logs, lost.id, &l, &err), 0);
    log_info(logstream_log(l, "engine"), .message = "run started");
    logstream_close(l);
    start(&defaults);
    claimed = row_of(lost.id);
    expect_failed(&claimed, "worker_lost");
    cr_expect_eq(lines_of(lost.id, "failed"), 2);
    cr_expect_eq(finished(waiting.id).status, RUN_SUCCEEDED);
}

Test(runs, a_log_without_its_end_gets_one_at_the_next_start)
{
    struct logstream *l;
    int64_t id;
    char path[128];

    create_connection(NULL, "{}");
    start(&defaults);
    id = finished(submit_sync("{}")).id;
    stop();
    snprintf(path, sizeof path, "%s/logs/%lld.ndjson", directory, (long long)id);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(logstream_open(logs, id, &l, &err), 0);
    log_info(logstream_log(l, "engine"), .message = "run started");
    logstream_close(l);
    start(&defaults);
    cr_expect_eq(lines_of(id, "succeeded"), 2);
    stop();
    start(&defaults);
    cr_expect_eq(lines_of(id, "succeeded"), 2);
}

Test(runs, a_shutdown_interrupts_and_takes_nothing_new)
{
    struct run_row row = {.kind = RUN_SYNC, .trigger = "api", .request = "{}"};
    int64_t id, active;
    struct run_row got;

    create_connection(NULL, "{}");
    source.waits = true;
    start(&defaults);
    id = submit_sync("{}");
    wait_until(is_running, id);
    cr_expect(runs_stop(runs, 10000));
    got = row_of(id);
    expect_failed(&got, "interrupted");
    cr_expect_str_eq(got.cancel_reason, "shutdown");
    lines_of(id, "failed");
    row.connection_id = connection.id;
    cr_expect_eq(runs_submit(runs, &row, false, &active, &err), -1);
    cr_expect_str_eq(error_reason(&err), "shutting_down");
    err = ERROR_INIT;
}

Test(runs, one_that_does_not_stop_is_left_as_interrupted)
{
    static _Atomic bool deaf = true;
    struct run_row got;
    int64_t id;

    create_connection(NULL, "{}");
    source.deaf = &deaf;
    start(&defaults);
    id = submit_sync("{}");
    wait_until(is_deaf, id);
    cr_expect_not(runs_stop(runs, 50));
    got = row_of(id);
    expect_failed(&got, "interrupted");
    deaf = false;
    cr_expect(runs_stop(runs, 10000));
    got = row_of(id);
    expect_failed(&got, "interrupted");
}

/*
 * The horizon of an incremental read (B1 to B9), played without a server: see scripted_source.h.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/sql/horizon.h"
#include "tests/support/fake_sink.h"
#include "tests/support/scripted_source.h"
#include "tests/support/sqlite_fixture.h"

static struct sqlite_fixture f;
static struct fake_sink *got;
static char position[1 << 20];

/* The log of the runs, one message per line. */
static char logged[4096];

static void keep(struct log *log, enum log_level level, const struct log_line *line)
{
    size_t n = strlen(logged);

    (void)log;
    if (level < LOG_WARN)
        return;
    n += (size_t)snprintf(logged + n, sizeof logged - n, "%s", line->message);
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        const struct log_field *field = &line->fields[i];

        if (field->text)
            n += (size_t)snprintf(logged + n, sizeof logged - n, " %s=%s", field->key, field->text);
        else
            n += (size_t)snprintf(logged + n, sizeof logged - n, " %s=%lld", field->key,
                                  (long long)field->number);
    }
    snprintf(logged + n, sizeof logged - n, "\n");
}

static struct log keeping = {.emit = keep};

static void set_time(const char *text)
{
    cr_assert(clock_parse(text, &scripted.now_us), "%s", text);
}

static void after_s(double seconds)
{
    scripted.now_us += (int64_t)(seconds * 1e6);
}

static void setup(void)
{
    fixture_open(&f);
    scripted_reset();
    set_time("2024-01-01T12:00:00Z");
    position[0] = logged[0] = '\0';
    f.options = ",\"safe_wait_s\":0";
}

static void teardown(void)
{
    fake_sink_free(got);
    fixture_close(&f);
}

TestSuite(horizon, .init = setup, .fini = teardown, .timeout = 120);

#define TIMES "create table t(id integer primary key, updated_at datetime);"

static void follow(const char *method, const char *cursor)
{
    char json[300];

    snprintf(json, sizeof json,
             "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"%s\","
             "\"cursor_field\":\"%s\"}]",
             method, cursor);
    fixture_select(&f, json);
    f.h.source = &source_scripted;
    f.h.run.log = &keeping;
}

static void insert(int id, const char *at)
{
    char sql[200];

    snprintf(sql, sizeof sql, "insert into t values (%d, '%s')", id, at);
    fixture_exec(f.from, sql);
}

/* One run; what fails stays in the stream. */
static struct fake_stream *attempt(void)
{
    const char *at = position[0] ? position : NULL;

    fake_sink_free(got);
    got = fake_sink_new(f.h.selection.n);
    f.err = ERROR_INIT;
    if (harness_read(&f.h, &at, &got->sink, &f.err) < 0)
        cr_assert_fail("%s", f.err.message);
    cr_assert_str_eq(got->violation, "");
    if (got->streams[0].ended)
        snprintf(position, sizeof position, "%s", got->streams[0].end_position);
    return &got->streams[0];
}

/* The ids a run read, "1 2 3". */
static const char *ids(void)
{
    static char out[4096];
    const struct fake_stream *s = attempt();
    size_t n = 0;

    cr_assert(s->ended, "%s", s->why.message);
    out[0] = '\0';
    for (size_t i = 0; i < s->n_lines; i++) {
        CLEANUP(doc_free_cleanup) struct doc *d = fake_sink_row(s, i);

        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i ? " " : "",
                              doc_string(doc_get(d, "id"), "~"));
    }
    return out;
}

/* ------------------------------------------------------------ open transactions */

Test(horizon, asks_for_the_time_before_it_looks_and_looks_before_the_snapshot)
{
    fixture_exec(f.from, TIMES);
    follow("append", "id");
    scripted.knows_number = true;
    ids();
    cr_assert_str_eq(scripted.calls, "number moment snapshot ");
    follow("append", "updated_at");
    position[0] = '\0';
    ids();
    cr_assert_str_eq(scripted.calls, "moment snapshot ");
}

static void a_and_b_then_b_and_c_then_c(int n)
{
    if (n == 1) {
        scripted_begin("a");
        scripted_begin("b");
    } else if (n == 2) {
        scripted_end("a");
        scripted_begin("c");
    } else if (n == 3) {
        scripted_end("b");
    }
}

Test(horizon, waits_for_what_was_open_at_first_and_for_nothing_else)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:59:58");
    f.options = ",\"safe_wait_s\":60";
    follow("append", "updated_at");
    scripted.at_moment = a_and_b_then_b_and_c_then_c;
    cr_assert_str_eq(ids(), "1");
    cr_assert_eq(scripted.n_moments, 3);
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"2024-01-01T11:59:59Z\","
                               "\"high\":\"2024-01-01T11:59:58Z\"}");
}

Test(horizon, lets_rows_wait_while_nothing_is_proven)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:00:00");
    follow("append", "updated_at");
    scripted_begin("3/7");
    cr_assert_str_eq(ids(), "");
    cr_assert_str_eq(position,
                     "{\"kind\":\"cursor\",\"safe\":null,\"high\":\"2024-01-01T11:00:00Z\","
                     "\"candidates\":[{\"bound\":\"2024-01-01T11:59:59Z\","
                     "\"at\":\"2024-01-01T12:00:00Z\",\"open\":[\"3/7\"]}]}");
    after_s(60);
    cr_assert_str_eq(ids(), "");
    scripted_end("3/7");
    after_s(60);
    cr_assert_str_eq(ids(), "1");
    cr_assert_str_eq(ids(), "");
}

Test(horizon, reads_rows_again_while_nothing_is_proven)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:00:00");
    follow("append_dedup", "updated_at");
    scripted_begin("3/7");
    cr_assert_str_eq(ids(), "1");
    cr_assert_str_eq(ids(), "1");
    scripted_end("3/7");
    cr_assert_str_eq(ids(), "1");
    after_s(60);
    cr_assert_str_eq(ids(), "");
}

/* T3: it has looked at the clock, others commit newer rows, it commits the older one. */
static void late_commit(const char *method, bool once)
{
    static const char *const others[] = {"x1", "x2", "x3", "x4"};
    int seen[8] = {0};

    fixture_exec(f.from, TIMES);
    follow(method, "updated_at");
    insert(1, "2024-01-01 11:59:00");
    ids();
    seen[1]++;
    scripted_begin("late"); /* and keeps "2024-01-01 12:00:00" */
    for (int i = 0; i < 4; i++) {
        char at[40];

        after_s(10);
        scripted_begin(others[i]);
        snprintf(at, sizeof at, "2024-01-01 12:00:%02d", 10 * (i + 1));
        insert(2 + i, at);
        if (i > 0)
            scripted_end(others[i - 1]);
        for (const char *p = ids(); *p; p += strcspn(p, " "), p += *p == ' ')
            seen[atoi(p)]++;
    }
    insert(6, "2024-01-01 12:00:00");
    scripted_end("late");
    scripted_end(others[3]);
    for (int i = 0; i < 3; i++) {
        after_s(10);
        for (const char *p = ids(); *p; p += strcspn(p, " "), p += *p == ' ')
            seen[atoi(p)]++;
    }
    for (int i = 1; i <= 6; i++) {
        cr_assert_geq(seen[i], 1, "row %d is lost", i);
        cr_assert(!once || seen[i] == 1, "row %d came %d times", i, seen[i]);
    }
    cr_assert_null(strstr(position, "candidates"));
}

Test(horizon, does_not_lose_a_row_that_is_committed_after_newer_ones)
{
    late_commit("append", true);
}

Test(horizon, does_not_lose_a_late_row_where_rows_are_merged)
{
    late_commit("append_dedup", false);
}

Test(horizon, does_not_lose_a_row_whose_number_was_given_before)
{
    fixture_exec(f.from, "create table t(id int primary key, s text)");
    follow("append", "id");
    scripted.knows_number = true;
    insert(1, "");
    scripted.number = 1;
    cr_assert_str_eq(ids(), "1");
    scripted_begin("late"); /* it takes number 2 */
    scripted.number = 3;
    insert(3, "");
    cr_assert_str_eq(ids(), "");
    scripted.number = 4;
    insert(4, "");
    cr_assert_str_eq(ids(), "");
    insert(2, "");
    scripted_end("late");
    cr_assert_str_eq(ids(), "2 3 4");
    cr_assert_str_eq(ids(), "");
}

static void commit_number_9(void)
{
    if (scripted.number == 8) {
        scripted.number = 9;
        insert(9, "");
    }
}

Test(horizon, leaves_numbers_given_after_the_question_to_the_next_run)
{
    fixture_exec(f.from, "create table t(id int primary key, s text)");
    follow("append", "id");
    scripted.knows_number = true;
    scripted.number = 8;
    insert(7, "");
    scripted.at_snapshot = commit_number_9;
    cr_assert_str_eq(ids(), "7");
    insert(8, ""); /* it was given out and not committed: its transaction began after the look */
    cr_assert_str_eq(ids(), "9");
}

Test(horizon, takes_the_greatest_committed_number_where_the_database_gives_none)
{
    fixture_exec(f.from, "create table t(id int primary key, s text)");
    follow("append", "id");
    insert(5, "");
    scripted_begin("late");
    cr_assert_str_eq(ids(), "");
    insert(4, "");
    scripted_end("late");
    insert(6, "");
    cr_assert_str_eq(ids(), "4 5 6");
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"7\",\"high\":\"6\"}");
    fixture_exec(f.from, "delete from t where id = 6");
    cr_assert_str_eq((attempt(), error_reason(&got->streams[0].why)), "cursor_regressed");
}

/* ------------------------------------------------------------------ candidates */

static size_t n_candidates(void)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(position, strlen(position), &d, &err), 0, "%s", err.message);
    return doc_count(doc_get(d, "candidates"));
}

Test(horizon, keeps_one_candidate_beside_the_oldest_while_the_same_transaction_is_open)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 12:03:00");
    follow("append", "updated_at");
    scripted_begin("long");
    for (int i = 0; i < 5; i++) {
        ids();
        after_s(60);
    }
    cr_assert_eq(n_candidates(), 2);
    scripted_end("long");
    scripted_begin("new"); /* so that no candidate of the next run is proven */
    cr_assert_str_eq(ids(), "1");
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T12:03:59Z\""), "%s", position);
    cr_assert_eq(n_candidates(), 1);
}

Test(horizon, takes_tokens_that_several_transactions_share_once)
{
    fixture_exec(f.from, TIMES);
    follow("append", "updated_at");
    scripted_begin("b");
    scripted_begin("a");
    scripted_begin("b");
    ids();
    cr_assert(strstr(position, "\"open\":[\"a\",\"b\"]"), "%s", position);
    scripted_end("a");
    scripted_end("b");
    ids();
    cr_assert(strstr(position, "\"safe\":null"), "%s", position);
    scripted_end("b");
    ids();
    cr_assert(strstr(position, "\"safe\":\"2024"), "%s", position);
}

/* A statement that waits for a table has no transaction yet, and has its time already. */
Test(horizon, goes_on_waiting_for_what_has_changed_its_token)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:00:00");
    follow("append", "updated_at");
    scripted_begin("session 7");
    cr_assert_str_eq(ids(), "");
    scripted_end("session 7");
    scripted_begin("transaction of session 7");
    scripted.also = "session 7";
    after_s(60);
    cr_assert_str_eq(ids(), "");
    cr_assert(strstr(position, "\"open\":[\"session 7\"]"), "%s", position);
    cr_assert(strstr(position, "\"open\":[\"transaction of session 7\"]"), "%s", position);
    insert(2, "2024-01-01 11:59:58");
    scripted_end("transaction of session 7");
    scripted.also = NULL;
    cr_assert_str_eq(ids(), "1 2");
}

Test(horizon, takes_the_greatest_bound_that_is_free)
{
    fixture_exec(f.from, TIMES);
    follow("append", "updated_at");
    scripted_begin("a");
    ids(); /* 12:00 waits for a */
    after_s(60);
    scripted_begin("b");
    scripted_end("a");
    scripted_begin("c");
    ids(); /* 12:01 waits for b and c */
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T11:59:59Z\""), "%s", position);
    after_s(60);
    scripted_end("b");
    ids(); /* 12:02 waits for c, as 12:01 does now */
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T11:59:59Z\""), "%s", position);
    scripted_end("c");
    scripted_begin("d");
    after_s(60);
    ids();
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T12:01:59Z\""), "%s", position);
    cr_assert_eq(n_candidates(), 1);
}

Test(horizon, keeps_few_candidates_and_among_them_the_oldest_and_the_newest)
{
    static char names[40][8];

    fixture_exec(f.from, TIMES);
    follow("append", "updated_at");
    for (int i = 0; i < 40; i++) { /* each begins one and ends the one before: none is beaten */
        snprintf(names[i], sizeof names[i], "t%d", i);
        scripted_begin(names[i]);
    }
    for (int i = 0; i < 39; i++) {
        ids();
        after_s(60);
        if (i > 0)
            scripted_end(names[i]);
    }
    cr_assert_eq(n_candidates(), 2, "all wait for t0, so the newest is as good as any");
    position[0] = '\0';
    for (int i = 0; i < 40; i++) {
        static char more[40][8];

        snprintf(more[i], sizeof more[i], "u%d", i);
        scripted_begin(more[i]); /* none ends: each candidate has one more in its way */
        ids();
        after_s(60);
    }
    cr_assert_eq(n_candidates(), POSITION_CANDIDATES);
    cr_assert(strstr(position, "\"candidates\":[{\"bound\":\"2024-01-01T12:38:59Z\""), "%s",
              position);
    cr_assert(strstr(position, "{\"bound\":\"2024-01-01T13:17:59Z\""), "%s", position);
}

Test(horizon, keeps_the_oldest_candidate_however_many_are_open)
{
    static char names[5000][8];

    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:00:00");
    follow("append", "updated_at");
    for (int i = 0; i < 5000; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        scripted_begin(names[i]);
    }
    ids();
    after_s(60);
    scripted_begin("one more");
    ids();
    cr_assert_eq(n_candidates(), 1);
    for (int i = 0; i < 5000; i++)
        scripted_end(names[i]);
    cr_assert_str_eq(ids(), "1");
}

Test(horizon, never_goes_back)
{
    fixture_exec(f.from, TIMES);
    follow("append", "updated_at");
    ids();
    f.options = ",\"safe_wait_s\":0,\"lookback_s\":3600";
    follow("append", "updated_at");
    after_s(60);
    ids();
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T11:59:59Z\""), "%s", position);
    after_s(-62);
    cr_assert_str_eq((attempt(), error_reason(&got->streams[0].why)), "cursor_regressed");
    cr_assert_eq(got->streams[0].why.code, ERR_RESYNC);
}

Test(horizon, goes_on_without_rows)
{
    fixture_exec(f.from, TIMES);
    follow("append_dedup", "updated_at");
    ids();
    after_s(3600);
    ids();
    cr_assert_str_eq(position,
                     "{\"kind\":\"cursor\",\"safe\":\"2024-01-01T12:59:59Z\",\"high\":null}");
}

Test(horizon, warns_of_a_transaction_that_has_been_open_for_an_hour)
{
    fixture_exec(f.from, TIMES);
    follow("append", "updated_at");
    scripted_begin("3/7");
    ids();
    after_s(3599);
    ids();
    cr_assert_str_eq(logged, "");
    after_s(1);
    ids();
    cr_assert_str_eq(logged, "a transaction has been open at the source for long: until it ends, "
                             "rows since then are not settled stream=t transaction=3/7 "
                             "since=2024-01-01T12:00:00Z\n");
}

Test(horizon, looks_back_ten_minutes_where_open_transactions_are_hidden)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:49:58");
    insert(2, "2024-01-01 11:55:00");
    follow("append", "updated_at");
    scripted.hidden = true;
    cr_assert_str_eq(ids(), "1");
    cr_assert(strstr(logged, "lookback_s=600"), "%s", logged);
    insert(3, "2024-01-01 11:50:00");
    after_s(600);
    cr_assert_str_eq(ids(), "3 2");
    logged[0] = '\0';
    follow("append", "id");
    position[0] = '\0';
    cr_assert_str_eq(ids(), "1 2 3");
    cr_assert(strstr(logged, "a greater number may be missed"), "%s", logged);
}

Test(horizon, reads_positions_without_candidates)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:00:00");
    insert(2, "2024-01-01 11:30:00");
    follow("append", "updated_at");
    snprintf(position, sizeof position, "%s",
             "{\"kind\":\"cursor\",\"safe\":\"2024-01-01T11:15:00Z\",\"high\":null}");
    cr_assert_str_eq(ids(), "2");
}

Test(horizon, refuses_candidates_that_are_none)
{
    static const char *const bad[] = {
        "[{\"bound\":\"x\",\"at\":\"2024-01-01T11:15:00Z\",\"open\":[]}]",
        "[{\"bound\":\"2024-01-01T11:15:00Z\",\"at\":\"x\",\"open\":[]}]",
        "[{\"bound\":\"2024-01-01T11:15:00Z\",\"at\":\"2024-01-01T11:15:00Z\"}]",
        "[{\"bound\":\"2024-01-01T11:15:00Z\",\"at\":\"2024-01-01T11:15:00Z\",\"open\":[1]}]",
        "[1]",
        "{}",
        "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
    };

    fixture_exec(f.from, TIMES);
    follow("append", "updated_at");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(position, sizeof position,
                 "{\"kind\":\"cursor\",\"safe\":null,\"high\":null,\"candidates\":%s}", bad[i]);
        cr_assert_str_eq((attempt(), error_reason(&got->streams[0].why)), "position_unknown", "%s",
                         bad[i]);
    }
}

/* A change from merging to appending must not begin behind what may still be committed. */
Test(horizon, is_as_careful_when_the_next_run_appends)
{
    fixture_exec(f.from, TIMES);
    insert(1, "2024-01-01 11:00:00");
    follow("append_dedup", "updated_at");
    cr_assert_str_eq(ids(), "1");
    insert(2, "2024-01-01 11:59:59.5"); /* stamped just before the look, visible just after it */
    follow("append", "updated_at");
    after_s(60);
    cr_assert_str_eq(ids(), "2");
}

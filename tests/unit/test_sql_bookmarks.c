/*
 * Bookmarks over many runs: rows are neither lost nor doubled, whatever writers do between and
 * during runs and wherever a run stops. Played without a server: see scripted_source.h.
 */
#include <criterion/criterion.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "tests/support/scripted_source.h"
#include "tests/support/sqlite_fixture.h"

#define MAX_ROWS 60000

static struct sqlite_fixture f;
static sqlite3 *db;
static char position[1 << 20];
static int seen[MAX_ROWS]; /* how often a row with this id was delivered and committed */

static void exec(const char *sql)
{
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
}

static void setup(void)
{
    fixture_open(&f);
    scripted_reset();
    cr_assert(clock_parse("2024-01-01T12:00:00Z", &scripted.now_us));
    position[0] = '\0';
    f.options = ",\"safe_wait_s\":0";
    cr_assert_eq(sqlite3_open(f.from, &db), SQLITE_OK);
    exec("pragma journal_mode = wal; pragma synchronous = off");
}

static void teardown(void)
{
    sqlite3_close(db);
    fixture_close(&f);
}

TestSuite(bookmarks, .init = setup, .fini = teardown, .timeout = 300);

static void follow(const char *method, const char *cursor)
{
    char json[300];

    snprintf(json, sizeof json,
             "[{\"name\":\"t\",\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"%s\","
             "\"primary_key\":[\"id\"],\"cursor_field\":\"%s\",\"fields\":{\"exclude\":[]}}]",
             method, cursor);
    fixture_select(&f, json);
    f.h.source = &source_scripted;
}

/*
 * A destination that commits at every checkpoint: what was written before it and the position are
 * kept together, what comes after the last one is lost with the attempt.
 */
struct ledger {
    struct sink sink;
    size_t n_calls, fail_at; /* this call fails and all behind it; 0 = none */
    int pending[MAX_ROWS];
    size_t n_pending;
    bool ended;
};

static int call(struct sink *sink, struct error *err)
{
    struct ledger *l = (struct ledger *)sink;

    l->n_calls++;
    if (l->fail_at > 0 && l->n_calls >= l->fail_at)
        return error_set(err, ERR_TRANSIENT, "the destination has gone");
    return 0;
}

static int take_begin(struct sink *sink, size_t stream, struct error *err)
{
    (void)stream;
    return call(sink, err);
}

static int take_rows(struct sink *sink, size_t stream, struct batch *rows, struct error *err)
{
    struct ledger *l = (struct ledger *)sink;
    struct column_view ids = batch_column(rows, 0);

    (void)stream;
    for (size_t i = 0; i < batch_rows(rows); i++) {
        cr_assert(ids.ints[i] >= 0 && ids.ints[i] < MAX_ROWS && l->n_pending < MAX_ROWS);
        l->pending[l->n_pending++] = (int)ids.ints[i];
    }
    batch_clear(rows);
    return call(sink, err);
}

static int take_checkpoint(struct sink *sink, size_t stream, const char *at, struct error *err)
{
    struct ledger *l = (struct ledger *)sink;

    (void)stream;
    if (call(sink, err) < 0)
        return -1;
    for (size_t i = 0; i < l->n_pending; i++)
        seen[l->pending[i]]++;
    l->n_pending = 0;
    snprintf(position, sizeof position, "%s", at);
    return 0;
}

static int take_dropped(struct sink *sink, size_t stream, int64_t filtered, int64_t overlap,
                        struct error *err)
{
    (void)stream;
    cr_assert(filtered == 0 && overlap == 0);
    return call(sink, err);
}

static int take_end(struct sink *sink, size_t stream, const char *at, struct error *err)
{
    ((struct ledger *)sink)->ended = take_checkpoint(sink, stream, at, err) == 0;
    return ((struct ledger *)sink)->ended ? 0 : -1;
}

static int take_failure(struct sink *sink, size_t stream, const struct error *why,
                        struct error *err)
{
    (void)sink;
    (void)stream;
    (void)err;
    cr_assert_fail("%s", why->message);
    return 0;
}

static const struct sink_ops ledger_ops = {
    .begin = take_begin,
    .write = take_rows,
    .checkpoint = take_checkpoint,
    .count_dropped = take_dropped,
    .end = take_end,
    .fail = take_failure,
};

/* One attempt; its sink fails at a call (0 = none). Returns whether the stream ended. */
static bool attempt(size_t fail_at)
{
    static struct ledger l;
    const char *at = position[0] ? arena_strdup(f.h.mem, position) : NULL;

    l = (struct ledger){.sink = {&ledger_ops}, .fail_at = fail_at};
    f.err = ERROR_INIT;
    cr_assert((harness_read(&f.h, &at, &l.sink, &f.err) == 0) == l.ended, "%s", f.err.message);
    return l.ended;
}

static void after_s(double seconds)
{
    scripted.now_us += (int64_t)(seconds * 1e6);
}

/* -------------------------------------------------------------- T1: small pages */

/* Wide rows make pages of ten. */
#define WIDE "printf('%.*c', 105000, 'x')"

static void crash_after_every_page(const char *definition, const char *method)
{
    int attempts = 1;

    exec(definition);
    exec("with recursive n(i) as (select 1 union all select i + 1 from n where i < 30)"
         " insert into t select i, '2024-01-01 11:00:00', " WIDE " from n");
    follow(method, "updated_at");
    /* begin, write, checkpoint, write: the second write fails, and with it the page. */
    while (!attempt(4)) {
        cr_assert_leq(++attempts, 10, "no page is ever finished: %s", position);
    }
    for (int i = 1; i <= 30; i++)
        cr_assert_eq(seen[i], 1, "row %d came %d times", i, seen[i]);
    cr_assert_geq(attempts, 3);
}

Test(bookmarks, t1_ties_over_pages_with_a_crash_after_each)
{
    crash_after_every_page("create table t(id integer primary key, updated_at datetime, wide text)",
                           "append");
}

Test(bookmarks, t1_ties_over_pages_where_rows_are_merged)
{
    crash_after_every_page("create table t(id integer primary key, updated_at datetime, wide text)",
                           "append_dedup");
}

/* Without a key the group is read whole or not at all, and other rows are not read again. */
Test(bookmarks, t1_ties_without_a_key)
{
    exec("create table t(id int, updated_at datetime, wide text);"
         "with recursive n(i) as (select 1 union all select i + 1 from n where i < 60)"
         " insert into t select i, datetime('2024-01-01', (i / 25) || ' seconds'), " WIDE
         " from n");
    fixture_select(&f, "[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                       "\"destination_sync_mode\":\"append\",\"cursor_field\":\"updated_at\"}]");
    f.h.source = &source_scripted;
    for (size_t call = 1; !attempt(call < 12 ? call : 0); call++)
        cr_assert_leq(call, 20);
    for (int i = 1; i <= 60; i++)
        cr_assert_eq(seen[i], 1, "row %d came %d times", i, seen[i]);
}

/* ------------------------------------------------------------- T2: rows that move */

Test(bookmarks, t2_a_row_moves_between_two_pages)
{
    exec("create table t(id integer primary key, updated_at datetime, wide text);"
         "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30)"
         " insert into t select i, '2024-01-01 11:00:00', " WIDE " from n");
    follow("append_dedup", "updated_at");
    cr_assert_not(attempt(4));
    /* One that was read moves behind the rest, one that was not moves before the bookmark's key. */
    exec("update t set updated_at = '2024-01-01 12:00:05' where id in (3, 28);"
         "update t set id = 0, updated_at = '2024-01-01 12:00:05' where id = 29");
    after_s(10);
    while (!attempt(0))
        ;
    for (int i = 0; i <= 30; i++)
        cr_assert(i == 29 || seen[i] >= 1, "row %d is lost", i);
    cr_assert_eq(seen[3], 2, "its new version is another delivery");
}

/* ------------------------------------------------ T5: strange cursors, and resuming */

Test(bookmarks, t5_future_bc_null_and_backwards)
{
    exec("create table t(id integer primary key, updated_at datetime);"
         "insert into t values (1,'2099-01-01 00:00:00'),(2,'-0043-03-15 00:00:00'),(3,null),"
         "(4,'2024-01-01 11:00:00')");
    follow("append", "updated_at");
    attempt(0);
    cr_assert(seen[1] == 0 && seen[2] == 1 && seen[3] == 1 && seen[4] == 1);
    exec("insert into t values (5,'2024-01-01 12:00:10'),(6,null)");
    after_s(60);
    attempt(0);
    cr_assert(seen[5] == 1 && seen[6] == 0, "NULL cursors come with the first run");
    exec("update t set updated_at = '2020-01-01' where id = 5");
    after_s(60);
    attempt(0);
    cr_assert_eq(seen[5], 1, "a cursor that goes back is not seen, and harms nothing");
    cr_assert(clock_parse("2099-01-01T00:01:00Z", &scripted.now_us));
    attempt(0);
    cr_assert_eq(seen[1], 1, "its time has come");
}

Test(bookmarks, goes_on_with_a_window_of_its_own_after_the_rest_of_an_older_one)
{
    exec("create table t(id integer primary key, updated_at datetime, wide text);"
         "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30)"
         " insert into t select i, '2024-01-01 11:00:00', " WIDE " from n");
    follow("append", "updated_at");
    cr_assert_not(attempt(4));
    exec("insert into t values (40, '2024-01-01 12:00:10', ''), (41, '2024-01-01 12:00:11', '')");
    after_s(3600);
    cr_assert(attempt(0), "one attempt catches up");
    for (int i = 1; i <= 41; i++)
        cr_assert_eq(seen[i], i <= 30 || i >= 40, "row %d came %d times", i, seen[i]);
    cr_assert(strstr(position, "\"safe\":\"2024-01-01T12:59:59Z\""), "%s", position);
    attempt(0);
    cr_assert_eq(seen[41], 1);
}

/* The position behind the old window is one to begin from: nothing of it comes again. */
Test(bookmarks, checkpoints_behind_the_rest_of_an_older_window)
{
    exec("create table t(id integer primary key, updated_at datetime, wide text);"
         "with recursive n(i) as (select 1 union all select i + 1 from n where i < 15)"
         " insert into t select i, '2024-01-01 11:00:00', " WIDE " from n");
    follow("append", "updated_at");
    cr_assert_not(attempt(4));
    exec("insert into t values (40, '2024-01-01 12:00:10', '')");
    after_s(3600);
    /* begin, write of 11 to 15, checkpoint behind the window, write of 40 */
    cr_assert_not(attempt(4));
    cr_assert_str_eq(position, "{\"kind\":\"cursor\",\"safe\":\"2024-01-01T11:59:59Z\","
                               "\"high\":\"2024-01-01T11:00:00Z\"}");
    cr_assert(attempt(0));
    for (int i = 1; i <= 15; i++)
        cr_assert_eq(seen[i], 1, "row %d came %d times", i, seen[i]);
    cr_assert_eq(seen[40], 1);
}

Test(bookmarks, reads_null_cursors_once_per_run_even_when_it_was_interrupted)
{
    exec("create table t(id integer primary key, updated_at datetime, wide text);"
         "with recursive n(i) as (select 1 union all select i + 1 from n where i < 30)"
         " insert into t select i, iif(i <= 15, null, '2024-01-01 11:00:00'), " WIDE " from n");
    f.options = ",\"safe_wait_s\":0,\"null_cursor\":\"every_run\"";
    follow("append", "updated_at");
    for (size_t call = 4; !attempt(call); call += 2)
        ;
    for (int i = 1; i <= 30; i++)
        cr_assert_eq(seen[i], 1, "row %d came %d times", i, seen[i]);
    attempt(0);
    cr_assert_eq(seen[1], 2);
    cr_assert_eq(seen[16], 1);
}

/* ------------------------------------------------------- T3 and T4: random histories */

#define WRITERS 30
#define LATENCY 900000 /* microseconds until a transaction that has its time is seen as open */

enum numbering { BY_TIME, BY_SEQUENCE, BY_COUNTER };

struct writer {
    char token[16];
    bool open, visible;
    int64_t began_us, visible_us, commit_us;
    int64_t values[8]; /* cursors of its rows, taken when it took them */
    int n_rows, n_taken;
};

static struct {
    uint64_t random;
    enum numbering by;
    struct writer writers[WRITERS];
    int64_t number; /* the greatest one given out */
    int next_token, next_id;
    bool closing;
} play;

static uint64_t dice(uint64_t sides)
{
    play.random = play.random * 6364136223846793005u + 1442695040888963407u;
    return (play.random >> 33) % sides;
}

static void take_value(struct writer *w)
{
    if (w->n_taken == w->n_rows)
        return;
    if (play.by == BY_TIME) /* now() of the transaction, or the clock of the statement */
        w->values[w->n_taken++] = dice(2) ? w->began_us : scripted.now_us;
    else
        w->values[w->n_taken++] = ++play.number;
    scripted.number = play.number;
}

static void commit(struct writer *w)
{
    char sql[200];

    exec("begin");
    while (w->n_taken < w->n_rows)
        take_value(w);
    for (int i = 0; i < w->n_rows; i++) {
        if (play.by == BY_TIME)
            snprintf(sql, sizeof sql,
                     "insert into t(id, c) values (%d, strftime('%%Y-%%m-%%d %%H:%%M:%%S', %lld,"
                     " 'unixepoch') || printf('.%%06d', %lld))",
                     play.next_id++, (long long)(w->values[i] / 1000000),
                     (long long)(w->values[i] % 1000000));
        else
            snprintf(sql, sizeof sql, "insert into t(id, c) values (%d, %lld)", play.next_id++,
                     (long long)w->values[i]);
        exec(sql);
    }
    exec("commit");
}

/* Everything that happens in the next `us` microseconds, in order. */
static void live(int64_t us)
{
    for (int64_t end = scripted.now_us + us; scripted.now_us < end;) {
        struct writer *w = &play.writers[dice(WRITERS)];

        scripted.now_us += (int64_t)dice(20000) + 1;
        if (!w->open && !play.closing) {
            /* By number nothing is taken before the transaction is seen: only now() is. */
            *w = (struct writer){.open = true, .began_us = scripted.now_us};
            w->visible_us = w->began_us + (int64_t)dice(LATENCY);
            w->commit_us = w->visible_us + (int64_t)(dice(40) ? dice(2000000) : dice(30000000));
            w->n_rows = (int)dice(8) + 1;
            snprintf(w->token, sizeof w->token, "t%d", play.next_token++);
        }
        for (size_t i = 0; i < WRITERS; i++) {
            w = &play.writers[i];
            if (w->open && !w->visible && scripted.now_us >= w->visible_us) {
                w->visible = true;
                scripted_begin(w->token);
            }
            if (w->open && w->visible && dice(4) == 0)
                take_value(w);
            if (w->open && w->visible && scripted.now_us >= w->commit_us) {
                commit(w); /* its rows are visible before its token is gone */
                scripted_end(w->token);
                w->open = false;
            }
        }
    }
}

static void live_a_little(int n)
{
    (void)n;
    live((int64_t)dice(50000));
}

static void live_before_the_snapshot(void)
{
    live((int64_t)dice(1500000));
}

/* Returns how many attempts began in the middle of a window. */
static int play_history(enum numbering by, uint64_t seed, const char *method)
{
    /* A page is some ten rows, so that a crash leaves a run in the middle of its window. */
    static const char wide[] =
        ", wide text generated always as (printf('%.*c', 100000, 'x')) virtual)";
    char sql[200];
    int n_resumed = 0;

    memset(&play, 0, sizeof play);
    memset(seen, 0, sizeof seen);
    play.random = seed;
    play.by = by;
    exec("drop table if exists t");
    snprintf(sql, sizeof sql, "create table t(id integer primary key, c %s%s",
             by == BY_TIME ? "datetime" : "int", wide);
    exec(sql);
    scripted_reset();
    cr_assert(clock_parse("2024-01-01T12:00:00Z", &scripted.now_us));
    scripted.knows_number = by == BY_SEQUENCE;
    position[0] = '\0';
    follow(method, "c");
    scripted.at_moment = live_a_little;
    scripted.at_snapshot = live_before_the_snapshot;
    for (int run = 0; run < 25; run++) {
        live((int64_t)dice(3000000));
        n_resumed += strstr(position, "\"resume\"") != NULL;
        attempt(dice(3) ? dice(12) + 1 : 0);
    }
    play.closing = true;
    live(130000000);
    for (int run = 0; run < 2; run++)
        cr_assert(attempt(0));
    cr_assert_gt(play.next_id, 500);
    for (int i = 0; i < play.next_id; i++) {
        cr_assert_geq(seen[i], 1, "seed %llu: row %d of %d is lost", (unsigned long long)seed, i,
                      play.next_id);
        cr_assert(strcmp(method, "append") != 0 || seen[i] == 1, "seed %llu: row %d came %d times",
                  (unsigned long long)seed, i, seen[i]);
    }
    return n_resumed;
}

static void play_histories(enum numbering by)
{
    int n_resumed = play_history(by, 1, "append");

    n_resumed += play_history(by, 2, "append");
    n_resumed += play_history(by, 3, "append_dedup");
    cr_assert_geq(n_resumed, 5);
}

Test(bookmarks, t4_random_writers_by_time)
{
    play_histories(BY_TIME);
}

Test(bookmarks, t4_random_writers_by_a_sequence)
{
    play_histories(BY_SEQUENCE);
}

Test(bookmarks, t4_random_writers_by_a_counter_of_their_own)
{
    play_histories(BY_COUNTER);
}

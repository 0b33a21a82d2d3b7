/*
 * Queue, workers, lanes, runs, logs and followers at once, for ThreadSanitizer: syncs of several
 * streams, in one lane and in four, are started and cancelled from several threads while their logs
 * are followed. Now and then a write collides with another, so that lanes try again. Ends with 0
 * when every run has ended, every log has exactly one end, and every follower has seen every line
 * in order.
 */
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/registry.h"
#include "server/sync/event.h"
#include "server/sync/runs.h"

#define CONNECTIONS 4
#define ROUNDS      12
#define FOLLOWERS   6
#define STREAMS     6
#define ROWS        1000
#define COLLIDES    97 /* every so many writes */

static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = ""}};
static const struct schema numbers = {.columns = columns, .n_columns = 1};
static const struct option no_options[] = {OPTIONS_END};

static struct store *store;
static struct logstreams *logs;
static struct runs *runs;
static char connection_ids[CONNECTIONS][64];
static _Atomic int failures;

#define FAIL(...) (fprintf(stderr, __VA_ARGS__), atomic_fetch_add(&failures, 1))

/* --------------------------------------------------------------- two connectors */

static int check(const void *config, struct run *run, struct error *err)
{
    (void)config;
    return cancel_check(run->cancel, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    (void)config;
    for (size_t i = 0; i < STREAMS; i++)
        *catalog_add(out) = (struct stream){.namespace = "",
                                            .name = arena_printf(out->mem, "numbers%zu", i),
                                            .schema = &numbers,
                                            .resumable = true,
                                            .row_estimate = -1};
    return cancel_check(run->cancel, err);
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    (void)config;
    (void)stream;
    *out_count = ROWS;
    *out_exact = true;
    return cancel_check(run->cancel, err);
}

static int read_stream(struct run *run, size_t stream, struct sink *out, struct error *err)
{
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&numbers);
    char position[64];

    if (sink_begin(out, stream, err) < 0)
        return -1;
    for (int64_t i = 0; i < ROWS; i++) {
        batch_put_int64(rows, 0, i);
        batch_end_row(rows);
        if (batch_rows(rows) < 100)
            continue;
        snprintf(position, sizeof position, "{\"next\":%lld}", (long long)i + 1);
        log_info(run->log, .message = "batch", .fields = {log_int("row", i)});
        if (sink_write(out, stream, rows, err) < 0 ||
            sink_checkpoint(out, stream, position, err) < 0)
            return -1;
    }
    return sink_end(out, stream, position, err);
}

static int read_rows(const void *config, struct run *run, const struct read_request *req,
                     struct sink *out, struct error *err)
{
    (void)config;
    for (size_t i = 0; i < req->n; i++) {
        if (read_stream(run, i, out, err) < 0)
            return -1;
    }
    return 0;
}

static const struct source_connector source = {
    .name = "numbers",
    .title = "Numbers",
    .docs = "For tests.",
    .options = no_options,
    .config_size = 1,
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_rows,
};

struct swallow {
    struct destination destination; /* first */
    struct run *run;
    size_t n;
    int64_t rows[STREAMS]; /* as in the plan */
};

static _Atomic int64_t writes;
static _Atomic int64_t generations; /* nothing is kept, so each opening begins a new one */

static int recover(struct destination *d, struct stream_position *out, struct error *err)
{
    struct swallow *s = (struct swallow *)d;

    for (size_t i = 0; i < s->n; i++)
        out[i] = (struct stream_position){.generation = atomic_fetch_add(&generations, 1) + 1};
    return cancel_check(s->run->cancel, err);
}

static int write_rows(struct destination *d, size_t stream, const struct batch *rows,
                      struct error *err)
{
    struct swallow *s = (struct swallow *)d;

    if (atomic_fetch_add(&writes, 1) % COLLIDES == COLLIDES - 1)
        return error_set(err, ERR_CONTENTION, "a lock");
    s->rows[stream] += (int64_t)batch_rows(rows);
    log_info(s->run->log, .message = "wrote", .fields = {log_int("rows", s->rows[stream])});
    return cancel_sleep_ms(s->run->cancel, 1, err);
}

static int commit(struct destination *d, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err)
{
    struct swallow *s = (struct swallow *)d;

    (void)upto;
    (void)dropped;
    for (size_t i = 0; i < s->n; i++) {
        out[i].inserted = out[i].read = s->rows[i];
        s->rows[i] = 0;
    }
    return cancel_check(s->run->cancel, err);
}

static int finish(struct destination *d, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err)
{
    struct swallow *s = (struct swallow *)d;

    (void)position;
    (void)dropped;
    out->inserted = out->read = s->rows[stream];
    s->rows[stream] = 0;
    return cancel_check(s->run->cancel, err);
}

static void close_it(struct destination *d)
{
    free(d);
}

static const struct destination_ops ops = {
    .recover = recover, .write = write_rows, .commit = commit, .finish = finish, .close = close_it};

static int open_it(const void *config, struct run *run, const struct write_plan *plan,
                   struct destination **out, struct error *err)
{
    struct swallow *s = xalloc(sizeof *s);

    (void)config;
    (void)err;
    s->destination.ops = &ops;
    s->run = run;
    s->n = plan->n;
    *out = &s->destination;
    return 0;
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    (void)config;
    (void)plan;
    return cancel_check(run->cancel, err);
}

static const struct destination_connector destination = {
    .name = "swallow",
    .title = "Swallow",
    .docs = "For tests.",
    .options = no_options,
    .config_size = 1,
    .write_modes = 1u << WRITE_OVERWRITE,
    .delivery = "exactly_once",
    .parallel_writers = true,
    .check = check,
    .open = open_it,
    .clear = clear,
};

const struct source_connector *registry_source(const char *name)
{
    return strcmp(name, "numbers") ? NULL : &source;
}

const struct destination_connector *registry_destination(const char *name)
{
    return strcmp(name, "swallow") ? NULL : &destination;
}

/* ------------------------------------------------------------------ the actors */

static void notify(void *arg)
{
    (void)arg;
}

/* Reads a log to its end: every number once, in order, and one end. */
static void *follow(void *arg)
{
    struct log_query q = {.tail = -1, .follow = true};
    int64_t run = (int64_t)(intptr_t)arg, seq = 0, n, wake;
    struct error err = ERROR_INIT;
    struct log_follower *f;
    char chunk[8192 + 1], *line;
    size_t kept = 0;
    int ends = 0;

    if (log_follow(logs, run, &q, &f, &err) < 0)
        return (void *)(intptr_t)FAIL("following run %lld: %s\n", (long long)run, err.message);
    while ((n = log_follower_read(f, chunk + kept, 8192 - kept, &wake)) >= 0) {
        char *newline;

        if (n == 0) {
            while (!log_follower_ready(f))
                usleep(500);
            continue;
        }
        kept += (size_t)n;
        for (line = chunk; (newline = memchr(line, '\n', kept - (size_t)(line - chunk)));
             line = newline + 1) {
            *newline = '\0';
            if (event_seq(line, (size_t)(newline - line)) != ++seq)
                FAIL("run %lld: line %lld is %s\n", (long long)run, (long long)seq, line);
            ends += strstr(line, "\"type\":\"end\"") != NULL;
        }
        kept -= (size_t)(line - chunk);
        memmove(chunk, line, kept);
    }
    if (ends != 1)
        FAIL("run %lld: %d ends\n", (long long)run, ends);
    log_follower_free(f);
    return NULL;
}

static void wait_for(int64_t run)
{
    while (runs_is_active(runs, run))
        usleep(500);
}

static void check_status(int64_t run, bool may_be_cancelled)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct error err = ERROR_INIT;
    struct run_row row;

    if (store_get_run(store, run, mem, &row, &err) < 0)
        FAIL("run %lld: %s\n", (long long)run, err.message);
    else if (row.status != RUN_SUCCEEDED && !(may_be_cancelled && row.status == RUN_CANCELLED))
        FAIL("run %lld: %s %s\n", (long long)run, run_status_name(row.status), row.error);
}

/* Starts runs of one connection, one after the other, and cancels every third at some moment. */
static void *drive(void *arg)
{
    const char *id = arg;

    for (int round = 0; round < ROUNDS; round++) {
        struct run_row row = {.kind = round % 4 == 3 ? RUN_CLEAR : RUN_SYNC,
                              .connection_id = id,
                              .trigger = "api",
                              .request = "{}"};
        pthread_t followers[FOLLOWERS];
        struct error err = ERROR_INIT;
        enum run_status status;
        int64_t active;

        if (runs_submit(runs, &row, true, &active, &err) < 0) {
            FAIL("submitting: %s\n", err.message);
            return NULL;
        }
        for (int i = 0; i < FOLLOWERS; i++)
            pthread_create(&followers[i], NULL, follow, (void *)(intptr_t)row.id);
        usleep((useconds_t)(round * 3000));
        if (round % 3 == 0 && runs_cancel(runs, row.id, "user", false, &status, &err) < 0 &&
            strcmp(error_reason(&err), "run_not_active") != 0)
            FAIL("cancelling: %s\n", err.message);
        wait_for(row.id);
        check_status(row.id, round % 3 == 0);
        for (int i = 0; i < FOLLOWERS; i++)
            pthread_join(followers[i], NULL);
    }
    return NULL;
}

static void create(struct arena *mem)
{
    struct resource s = {.name = "s", .connector = "numbers", .config = "{}", .labels = "{}"};
    struct resource d = {.name = "d", .connector = "swallow", .config = "{}", .labels = "{}"};
    struct error err = ERROR_INIT;

    if (store_create_resource(store, RESOURCE_SOURCE, &s, mem, &err) < 0 ||
        store_create_resource(store, RESOURCE_DESTINATION, &d, mem, &err) < 0)
        FAIL("%s\n", err.message);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection c = {.name = arena_printf(mem, "c%d", i),
                               .source_id = s.id,
                               .destination_id = d.id,
                               .labels = "{}",
                               .settings =
                                   i % 2 ? "{\"run_policy\":{\"parallel_streams\":4}}" : "{}"};

        if (store_create_connection(store, &c, mem, &err) < 0)
            FAIL("%s\n", err.message);
        snprintf(connection_ids[i], sizeof connection_ids[i], "%s", c.id);
    }
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int main(void)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct runs_config config = {.workers = 3,
                                       .short_workers = 1,
                                       .memory_budget_bytes = 1 << 20,
                                       .max_parallel_streams = 4,
                                       .cancel_grace_ms = 5000};
    char directory[] = "/tmp/stress_sync_XXXXXX";
    struct error err = ERROR_INIT;
    pthread_t drivers[CONNECTIONS];

    if (!mkdtemp(directory) ||
        store_open(arena_printf(mem, "%s/store.db", directory), &store, &err) < 0 ||
        logstreams_open(arena_printf(mem, "%s/logs", directory), notify, mem, &logs, &err) < 0 ||
        runs_start(&config, store, logs, notify, mem, &log_nowhere, &runs, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    create(mem);
    for (int i = 0; i < CONNECTIONS; i++)
        pthread_create(&drivers[i], NULL, drive, connection_ids[i]);
    for (int i = 0; i < CONNECTIONS; i++)
        pthread_join(drivers[i], NULL);
    if (!runs_stop(runs, 10000))
        FAIL("the workers do not stop\n");
    runs_free(runs);
    logstreams_close(logs);
    store_close(store);
    nftw(directory, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
    printf("%d failures\n", failures);
    return failures > 0;
}

#include "tests/support/run_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of all benches: what is told comes from several threads. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void on_event(struct run_observer *o, const char *type, const char *members)
{
    struct bench *b = (struct bench *)o;
    LOCK_GUARD(&mutex);

    if (!strcmp(type, "stream_status") && strstr(members, "\"complete\""))
        b->complete_events++;
}

static void on_copy(struct run_observer *o, const struct state_copy *rows, size_t n)
{
    struct bench *b = (struct bench *)o;
    LOCK_GUARD(&mutex);

    b->copies++;
    if (n == 0)
        abort();
    snprintf(b->last_position, sizeof b->last_position, "%s",
             rows[n - 1].position ? rows[n - 1].position : "");
}

static void on_tick(struct run_observer *o)
{
    (void)o;
}

static void on_line(struct log *log, enum log_level level, const struct log_line *line)
{
    struct bench *b = (struct bench *)((char *)log - offsetof(struct bench, log));
    LOCK_GUARD(&mutex);

    b->alerts += level == LOG_ERROR;
    if (strcmp(line->message, "attempt failed, trying again") != 0)
        return;
    b->retries++;
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        if (!strcmp(line->fields[i].key, "wait_ms") && line->fields[i].number > b->longest_wait_ms)
            b->longest_wait_ms = line->fields[i].number;
    }
}

static struct cancel *new_cancel(void)
{
    struct error err = ERROR_INIT;
    struct cancel *c;

    if (cancel_new(&c, &err) < 0)
        abort();
    return c;
}

struct bench *bench_new(size_t n_streams)
{
    struct bench *b = calloc(1, sizeof *b);

    b->mem = arena_new();
    fake_selection(b->mem, n_streams, &b->selection);
    b->cancel = new_cancel();
    b->source = (struct fake_source){.n_streams = n_streams,
                                     .rows = 100,
                                     .batch_rows = 10,
                                     .checkpoint_every = 1,
                                     .fail_stream = -1};
    b->destination.memory = &b->memory;
    b->destination.fail_stream = -1;
    snprintf(b->memory.override, sizeof b->memory.override, "-");
    b->source_config = &b->source;
    b->destination_config = &b->destination;
    b->observer =
        (struct run_observer){.event = on_event, .copy = on_copy, .tick = on_tick, .tick_ms = 10};
    b->log = (struct log){.emit = on_line, .threshold = LOG_INFO};
    b->job = (struct sync_job){.run_id = "1",
                               .pipeline = "p",
                               .source = &fake_source,
                               .source_config = &b->source_config,
                               .destination = &fake_destination,
                               .destination_config = &b->destination_config,
                               .selection = &b->selection,
                               .policy = RUN_POLICY_DEFAULT,
                               .commit = COMMIT_LIMITS_DEFAULT,
                               .max_lanes = RUN_MAX_LANES,
                               .queue_bytes = RUN_QUEUE_BYTES,
                               .cancel = b->cancel,
                               .source_log = &log_nowhere,
                               .destination_log = &log_nowhere,
                               .engine_log = &b->log,
                               .observer = &b->observer};
    b->job.policy.backoff_ms = 1;
    b->job.policy.resource_backoff_ms = 1;
    return b;
}

void bench_run(struct bench *b)
{
    progress_free(b->progress);
    b->progress = progress_new(&b->selection, "fake", "fake");
    b->source.calls = b->destination.calls = 0;
    sync_run(&b->job, b->progress, &b->result);
}

void bench_renew_cancel(struct bench *b)
{
    cancel_free(b->cancel);
    b->cancel = new_cancel();
    b->job.cancel = b->source.cancel = b->destination.cancel = b->cancel;
}

void bench_free(struct bench *b)
{
    progress_free(b->progress);
    fake_memory_release(&b->memory);
    cancel_free(b->cancel);
    arena_free(b->mem);
    free(b);
}

struct stream_progress bench_stream(struct bench *b, size_t i)
{
    struct stream_progress s;

    progress_get(b->progress, i, &s);
    return s;
}

int64_t bench_committed(struct bench *b, size_t i)
{
    struct stream_progress s = bench_stream(b, i);

    return counts_records_committed(&s.committed);
}

/*
 * Sync and clear: runs that change the destination.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "server/sync/job.h"

/* The numbers in the store are for people: this often, and less often for many streams. */
#define STORE_PROGRESS_US 2000000

struct job_observer {
    struct run_observer observer; /* first */
    struct job *job;
    int64_t stored_us;
    struct moved told; /* what the tally knows of this run */
};

static void tell_tally(struct job_observer *o)
{
    struct job *j = o->job;
    struct stream_progress all;
    struct moved now;

    if (!j->runs->tally || !j->row.connection_id)
        return;
    progress_total(j->progress, &all);
    now = (struct moved){counts_records_committed(&all.committed), all.bytes_committed};
    tally_add(j->runs->tally, j->row.connection_id,
              (struct moved){now.rows - o->told.rows, now.bytes - o->told.bytes});
    o->told = now;
}

static void on_event(struct run_observer *o, const char *type, const char *members)
{
    logstream_event(((struct job_observer *)o)->job->log, type, members);
}

static const char *counters_text(struct arena *mem, const struct counts *c)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(4096);
    struct jsonw w = JSONW_INIT(&b);

    jsonw_object(&w);
    jsonw_put_int(&w, "read", c->read);
    jsonw_put_int(&w, "bytes_read", c->bytes_read);
    jsonw_put_int(&w, "filtered", c->filtered);
    jsonw_put_int(&w, "overlap_dropped", c->overlap_dropped);
    jsonw_put_int(&w, "folded", c->folded);
    jsonw_put_int(&w, "quarantined_rows", c->quarantined_rows);
    jsonw_put_int(&w, "quarantined_cells", c->quarantined_cells);
    jsonw_put_int(&w, "altered_cells", c->altered_cells);
    jsonw_put_int(&w, "inserted", c->inserted);
    jsonw_put_int(&w, "updated", c->updated);
    jsonw_put_int(&w, "unchanged", c->unchanged);
    jsonw_put_int(&w, "deleted", c->deleted);
    jsonw_object_end(&w);
    return arena_memdup(mem, buf_str(&b), b.len);
}

static void on_copy(struct run_observer *o, const struct state_copy *rows, size_t n)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct job *j = ((struct job_observer *)o)->job;
    struct state_row *copy;
    struct error err = ERROR_INIT;

    runs_note_commit(j->runs, j->row.id);
    if (!j->row.connection_id)
        return;
    copy = arena_array(mem, n, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = (struct state_row){.stream = rows[i].stream,
                                     .position = rows[i].position,
                                     .generation = rows[i].generation,
                                     .seq = rows[i].seq,
                                     .counters = counters_text(mem, &rows[i].counts)};
    if (store_copy_state(j->runs->store, j->row.connection_id, copy, n, &err) < 0)
        log_warn(logstream_log(j->log, "engine"), .message = "the copy of the state is behind",
                 .fields = {log_text("reason", err.message)});
}

static void on_tick(struct run_observer *o)
{
    CLEANUP(buf_release) struct buf stats = BUF_INIT(64 << 20);
    struct job_observer *b = (struct job_observer *)o;
    CLEANUP(buf_release) struct buf clean = BUF_INIT(128 << 20);
    struct job *j = b->job;
    struct jsonw w = JSONW_INIT(&stats);
    struct error err = ERROR_INIT;
    int64_t now_us = clock_monotonic_us();
    int64_t every_us = STORE_PROGRESS_US * (1 + (int64_t)progress_n(j->progress) / 500);

    tell_tally(b);
    if (b->stored_us != 0 && now_us - b->stored_us < every_us)
        return;
    b->stored_us = now_us;
    progress_put_stats(j->progress, false, &w);
    redactor_put_json(j->redactor, &clean, buf_str(&stats), stats.len);
    if (store_progress_run(j->runs->store, j->row.id, buf_str(&clean),
                           progress_attempts(j->progress), &err) < 0)
        log_debug(j->runs->log, .message = "progress of a run is not stored",
                  .fields = {log_int("run", j->row.id), log_text("reason", err.message)});
}

/* What the store knows of the state of each stream. */
struct known_state {
    const char **overrides; /* what users have edited since the last run */
    bool any_override;
    struct stream_copy *copies;
};

static void note_state(struct known_state *known, size_t stream, const struct state_row *row)
{
    if (row->edited) {
        known->overrides[stream] = row->position ? row->position : "";
        known->any_override = true;
    }
    /* An edit before the first run is no news of a destination. */
    known->copies[stream] = (struct stream_copy){.known = row->generation > 0,
                                                 .generation = row->generation,
                                                 .seq = row->seq,
                                                 .position = row->position};
}

/* The store gives them in this order. */
static int by_stream(const void *name, const void *row)
{
    return strcmp(name, ((const struct state_row *)row)->stream);
}

/* For the destination, which takes edits over and notices when its own state is gone or older. */
static int load_states(struct job *j, const struct selection *selection, struct known_state *out,
                       struct error *err)
{
    struct state_row *rows;
    int64_t revision;
    size_t n;

    *out = (struct known_state){
        .overrides = arena_array(j->mem, selection->n + 1, sizeof *out->overrides),
        .copies = arena_array(j->mem, selection->n + 1, sizeof *out->copies),
    };
    if (!j->row.connection_id)
        return 0;
    if (store_get_state(j->runs->store, j->row.connection_id, j->mem, &rows, &n, &revision, err) <
        0)
        return -1;
    for (size_t i = 0; i < selection->n; i++) {
        const char *name = stream_full_name(j->mem, selection->streams[i].stream);
        const struct state_row *row = n ? bsearch(name, rows, n, sizeof *rows, by_stream) : NULL;

        if (row)
            note_state(out, i, row);
    }
    return 0;
}

/* Selected streams that the source has no longer: the others were synced, the run has failed. */
static void judge_missing(struct job *j, const struct sync_plan *plan)
{
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < plan->streams.n_missing; i++)
        log_warn(logstream_log(j->log, "engine"), .message = "the source has no such stream",
                 .fields = {log_text("stream", plan->streams.missing[i])});
    if (plan->streams.n_missing == 0 || j->result.outcome != OUTCOME_SUCCEEDED ||
        plan->settings.policy.on_stream_error == ON_ERROR_IGNORE)
        return;
    error_set_reason(&err, ERR_SCHEMA, "stream_missing", "the source has no stream \"%s\"",
                     plan->streams.missing[0]);
    j->result.outcome = OUTCOME_FAILED;
    j->result.error = err;
    j->result.origin = ORIGIN_SOURCE;
    j->result.partial_success = plan->streams.selection.n > 0;
}

static void run_plan(struct job *j, const struct sync_plan *plan, const struct known_state *known)
{
    struct job_observer observer = {
        .observer = {.event = on_event, .copy = on_copy, .tick = on_tick, .tick_ms = 1000},
        .job = j};
    struct run run = job_run(j, "engine");
    struct sync_job job = {
        .run_id = run.id,
        .pipeline = plan->pipeline,
        .started_unix_us = run.started_unix_us,
        .source = plan->source.connector,
        .source_config = plan->source.config,
        .destination = plan->destination.connector,
        .destination_config = plan->destination.config,
        .selection = &plan->streams.selection,
        .override_positions = known->any_override ? known->overrides : NULL,
        .copies = known->copies,
        .full_refresh = plan->full_refresh,
        .policy = plan->settings.policy,
        .commit = plan->settings.commit,
        .max_lanes = j->runs->config.max_parallel_streams,
        .queue_bytes = (size_t)j->runs->config.memory_budget_bytes / 4,
        .cancel = j->cancel,
        .host = run.host,
        .redactor = run.redactor,
        .source_log = logstream_log(j->log, "source"),
        .destination_log = logstream_log(j->log, "destination"),
        .engine_log = run.log,
        .observer = &observer.observer,
    };

    runs_note_commit(j->runs, j->row.id); /* from here on commits are expected */
    j->progress = progress_new(&plan->streams.selection, j->source, j->destination);
    sync_run(&job, j->progress, &j->result);
    tell_tally(&observer);
}

/* The selection, and what it points to, lives in the arena of the job: as long as j->progress. */
void job_sync(struct job *j)
{
    struct sync_plan *plan = arena_alloc(j->mem, sizeof *plan);
    struct known_state known;
    struct error err = ERROR_INIT;

    if (!job_plan(j, plan))
        return;
    if (load_states(j, &plan->streams.selection, &known, &err) < 0) {
        job_fail(j, ORIGIN_ENGINE, &err);
        return;
    }
    run_plan(j, plan, &known);
    judge_missing(j, plan);
    if (j->result.error.code != ERR_NONE)
        log_error(logstream_log(j->log, "engine"), .message = "run failed",
                  .fields = {log_text("code", error_reason(&j->result.error)),
                             log_text("reason", j->result.error.message),
                             log_text("origin", fault_origin_name(j->result.origin))});
}

/* ------------------------------------------------------------------------ clear */

static int forget_states(struct job *j, const struct selection *selection, struct error *err)
{
    const char **names = arena_array(j->mem, selection->n + 1, sizeof *names);

    if (!j->row.connection_id || selection->n == 0)
        return 0;
    for (size_t i = 0; i < selection->n; i++)
        names[i] = stream_full_name(j->mem, selection->streams[i].stream);
    return store_forget_state(j->runs->store, j->row.connection_id, names, selection->n, err);
}

void job_clear(struct job *j)
{
    struct sync_plan *plan = arena_alloc(j->mem, sizeof *plan);
    struct run run = job_run(j, "destination");
    struct error err = ERROR_INIT;
    struct write_plan writing;

    if (!job_plan(j, plan))
        return;
    writing = (struct write_plan){
        .pipeline = plan->pipeline,
        .streams = plan->streams.selection.streams,
        .n = plan->streams.selection.n,
        .max_quarantined_rows = plan->settings.policy.max_quarantined_rows,
        .max_quarantined_ratio = plan->settings.policy.max_quarantined_ratio,
        .metadata = plan->settings.policy.metadata,
    };
    if (plan->destination.connector->clear(plan->destination.config, &run, &writing, &err) < 0)
        job_fail(j, ORIGIN_DESTINATION, &err);
    else if (forget_states(j, &plan->streams.selection, &err) < 0)
        job_fail(j, ORIGIN_ENGINE, &err);
}

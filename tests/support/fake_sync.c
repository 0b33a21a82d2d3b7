#include "tests/support/fake_sync.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/bad_rows.h"

static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = "", .nullable = false}};
static const size_t key[] = {0};
static const struct schema numbers = {.columns = columns, .n_columns = 1, .key = key, .n_key = 1};

struct fake_source *fake_source_now;
struct fake_destination *fake_destination_now;

/* Of the counters and the tables of all fakes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* "s12" is number 12. */
static size_t number_of(const struct stream *s)
{
    return (size_t)atoi(s->name + 1);
}

static struct fake_source *source_of(const void *config)
{
    struct fake_source *f = *(struct fake_source *const *)config;

    return f ? f : fake_source_now;
}

static struct fake_destination *destination_of(const void *config)
{
    struct fake_destination *f = *(struct fake_destination *const *)config;

    return f ? f : fake_destination_now;
}

static const char *name_of_stream(struct arena *mem, size_t i)
{
    return arena_printf(mem, "s%zu", i);
}

void fake_selection(struct arena *mem, size_t n, struct selection *out)
{
    struct stream *streams = arena_array(mem, n, sizeof *streams);

    out->streams = arena_array(mem, n, sizeof *out->streams);
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        streams[i] = (struct stream){.namespace = "",
                                     .name = name_of_stream(mem, i),
                                     .schema = &numbers,
                                     .incremental = true,
                                     .resumable = true,
                                     .row_estimate = -1};
        out->streams[i] = (struct selected_stream){.stream = &streams[i],
                                                   .schema = &numbers,
                                                   .sync_mode = SYNC_FULL_REFRESH,
                                                   .write_mode = WRITE_APPEND,
                                                   .cursor = -1,
                                                   .alias = streams[i].name,
                                                   .destination_namespace = ""};
    }
}

/* ---------------------------------------------------------------------- source */

static int source_call(struct fake_source *f, struct error *err)
{
    LOCK_GUARD(&mutex);

    f->calls++;
    if (f->calls == f->cancel_at)
        cancel_request(f->cancel, f->why ? f->why : CANCEL_USER);
    if (f->fail_at > 0 && f->calls >= f->fail_at && f->failed < f->fail_times) {
        f->failed++;
        return error_set(err, f->fail_code ? f->fail_code : ERR_TRANSIENT, "source call %lld",
                         (long long)f->calls);
    }
    return 0;
}

struct reading {
    struct fake_source *f;
    struct sink *out;
    struct batch *rows;
    int64_t next[FAKE_MAX_STREAMS], batches[FAKE_MAX_STREAMS];
    bool over[FAKE_MAX_STREAMS];
    bool has_met;
    long number[FAKE_MAX_STREAMS]; /* of the stream, whatever its place in the request */
};

static int checkpoint(struct reading *r, size_t i, struct error *err)
{
    char position[64];

    snprintf(position, sizeof position, "{\"next\":%lld}", (long long)r->next[i]);
    if (source_call(r->f, err) < 0)
        return -1;
    return sink_checkpoint(r->out, i, position, err);
}

static int end(struct reading *r, size_t i, struct error *err)
{
    char position[64];

    snprintf(position, sizeof position, "{\"next\":%lld}", (long long)r->next[i]);
    r->over[i] = true;
    if (source_call(r->f, err) < 0)
        return -1;
    return sink_end(r->out, i, r->f->null_end ? NULL : position, err);
}

static int one_batch(struct reading *r, size_t i, struct error *err)
{
    struct fake_source *f = r->f;
    int64_t bad = r->next[i] == 0 ? f->bad_rows : 0;

    for (int64_t k = 0; k < f->batch_rows && r->next[i] < f->rows; k++) {
        batch_put_int64(r->rows, 0, r->next[i]++);
        batch_end_row(r->rows);
    }
    for (int64_t k = 0; k < bad; k++)
        batch_reject_row(r->rows, REASON_PARSE, "numbers.csv line 1: no number", "x", 1);
    if (source_call(f, err) < 0 || sink_write(r->out, i, r->rows, err) < 0)
        return -1;
    if (f->dropped > 0 && sink_count_dropped(r->out, i, f->dropped, 0, err) < 0)
        return -1;
    r->batches[i]++;
    if (f->fail_stream == r->number[i] && r->next[i] >= f->rows / 2) {
        struct error why = ERROR_INIT;

        error_set(&why, f->fail_code ? f->fail_code : ERR_PERMISSION, "stream refused");
        r->over[i] = true;
        return sink_fail(r->out, i, &why, err);
    }
    if (f->checkpoint_every > 0 && r->batches[i] % f->checkpoint_every == 0 &&
        checkpoint(r, i, err) < 0)
        return -1;
    return r->next[i] >= f->rows && !f->no_end ? end(r, i, err) : 0;
}

static bool stream_is_left(const struct reading *r, const struct read_request *req, size_t i)
{
    return i < req->n && !r->over[i] && r->next[i] < r->f->rows;
}

static int in_turn(struct reading *r, const struct read_request *req, struct error *err)
{
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < req->n; i++) {
            if (!stream_is_left(r, req, i))
                continue;
            any = true;
            if (one_batch(r, i, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* Proves that reads are under way at the same time, and waits for nobody for ever. */
static void meet(struct fake_source *f, const struct cancel *stop)
{
    atomic_fetch_add(&f->met, 1);
    for (int i = 0; i < 5000 && atomic_load(&f->met) < f->meet; i++) {
        if (cancel_requested(stop) != CANCEL_NONE)
            break;
        usleep(1000);
    }
    if (atomic_load(&f->met) < f->meet)
        atomic_store(&f->missed, true);
}

static int read_all(const void *config, struct run *run, const struct read_request *req,
                    struct sink *out, struct error *err)
{
    struct fake_source *f = source_of(config);
    CLEANUP(batch_free_cleanup) struct batch *rows = batch_new(&numbers);
    struct reading r = {.f = f, .out = out, .rows = rows};

    pthread_mutex_lock(&mutex);
    f->reads++;
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < req->n; i++) {
        long long next = 0;

        if (req->streams[i].position)
            sscanf(req->streams[i].position, "{\"next\":%lld}", &next);
        r.next[i] = next;
        r.number[i] = (long)number_of(req->streams[i].want->stream);
        if (f->interleave && (source_call(f, err) < 0 || sink_begin(out, i, err) < 0))
            return -1;
    }
    for (size_t i = 0; i < req->n; i++) {
        if (!f->interleave && (source_call(f, err) < 0 || sink_begin(out, i, err) < 0))
            return -1;
        if (r.next[i] >= f->rows && end(&r, i, err) < 0)
            return -1;
        while (!f->interleave && stream_is_left(&r, req, i)) {
            if (one_batch(&r, i, err) < 0)
                return -1;
            while (f->deaf && *f->deaf) {
                atomic_store(&f->is_deaf, true);
                usleep(1000);
            }
            if (f->meet > 0 && !r.has_met)
                meet(f, run->cancel);
            r.has_met = true;
            if (f->waits)
                return cancel_sleep_ms(run->cancel, 60000, err);
        }
    }
    return in_turn(&r, req, err);
}

static int check_source(const void *config, struct run *run, struct error *err)
{
    struct fake_source *f = source_of(config);

    if (f->check_waits && cancel_sleep_ms(run->cancel, 60000, err) < 0)
        return -1;
    if (f->check_code)
        return error_set(err, f->check_code, "the fake refuses");
    return cancel_check(run->cancel, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    struct fake_source *f = source_of(config);

    if (f->discover_times > 0 && f->discover_times-- > 0)
        return error_set(err, f->discover_code, "the fake cannot be discovered");
    for (size_t i = 0; i < f->n_streams; i++) {
        struct stream *s = catalog_add(out);

        *s = (struct stream){.namespace = "",
                             .name = name_of_stream(out->mem, i),
                             .schema = &numbers,
                             .incremental = true,
                             .source_defined_cursor = true,
                             .resumable = true,
                             .row_estimate = -1};
    }
    return cancel_check(run->cancel, err);
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    struct fake_source *f = source_of(config);

    if (f->fail_stream == (long)number_of(stream))
        return error_set(err, ERR_UNSUPPORTED, "the fake cannot count that");
    *out_count = f->rows;
    *out_exact = true;
    return cancel_check(run->cancel, err);
}

static const struct option no_options[] = {OPTIONS_END};

const struct source_connector fake_source = {
    .name = "fake",
    .title = "Fake",
    .docs = "For tests.",
    .options = no_options,
    .config_size = sizeof(struct fake_source *),
    .check = check_source,
    .discover = discover,
    .count = count,
    .read = read_all,
};

/* ----------------------------------------------------------------- destination */

struct fake_open {
    struct destination destination;
    struct fake_destination *f;
    const struct write_plan *plan;
    struct run *run;
    int64_t uncommitted;
    int64_t fences[FAKE_MAX_STREAMS]; /* as in the plan */
    struct bad_rows_share bad_rows;
    bool answer_lost; /* it does not know that it has committed */
};

static struct fake_table *table_of(struct fake_open *o, size_t stream)
{
    return &o->f->memory->tables[number_of(o->plan->streams[stream].stream)];
}

/* 0, -1 for a failure now, 1 for a failure after the work was done. */
static int destination_call(struct fake_open *o, bool is_commit, struct error *err)
{
    struct fake_destination *f = o->f;

    f->calls++;
    if (f->calls == f->cancel_at)
        cancel_request(f->cancel, CANCEL_USER);
    if (f->fail_at == 0 || f->calls < f->fail_at || f->failed >= f->fail_times ||
        (f->fail_finish_only && !is_commit))
        return 0;
    f->failed++;
    error_set_at(err, f->fail_code ? f->fail_code : ERR_TRANSIENT, f->fail_reason, __FILE__,
                 __LINE__, "destination call %lld", (long long)f->calls);
    o->answer_lost = is_commit && f->lose_answer;
    return o->answer_lost ? 1 : -1;
}

static void recover_table(struct fake_open *o, size_t i, struct stream_position *out)
{
    struct fake_table *t = table_of(o, i);
    const char *edit = o->plan->override_positions ? o->plan->override_positions[i] : NULL;

    if (edit) {
        o->f->memory->overrides++;
        snprintf(t->position, sizeof t->position, "%s", edit);
        snprintf(o->f->memory->override, sizeof o->f->memory->override, "%s", edit);
    }
    if (o->plan->copies && o->plan->copies[i].known) {
        o->f->memory->reminders++;
        o->f->memory->reminder = o->plan->copies[i];
        o->f->memory->reminder.position = NULL; /* lives as long as the plan */
    }
    if (o->plan->restart) {
        o->f->memory->restarts++;
        t->n = 0;
        t->position[0] = '\0';
        t->generation++;
        t->counts = (struct counts){0};
    }
    o->fences[i] = ++t->fence;
    *out = (struct stream_position){
        .position = t->position[0] ? arena_strdup(o->run->mem, t->position) : NULL,
        .generation = 1 + t->generation,
        .seq = t->commits,
        .counts = t->counts};
}

static int recover(struct destination *d, struct stream_position *out, struct error *err)
{
    struct fake_open *o = (struct fake_open *)d;
    LOCK_GUARD(&mutex);

    if (destination_call(o, false, err) < 0)
        return -1;
    for (size_t i = 0; i < o->plan->n; i++) {
        if ((long)number_of(o->plan->streams[i].stream) == o->f->refuse - 1)
            return error_set_reason(err, ERR_CONFLICT, "table_exists", "that table is not ours");
    }
    for (size_t i = 0; i < o->plan->n; i++)
        recover_table(o, i, &out[i]);
    return 0;
}

/* Somebody else has opened one of these streams since. */
static int check_fences(struct fake_open *o, struct error *err)
{
    for (size_t i = 0; i < o->plan->n; i++) {
        if (o->fences[i] != table_of(o, i)->fence)
            return error_set(err, ERR_FENCED, "another worker has taken over");
    }
    return 0;
}

static int begin_write(struct fake_open *o, size_t stream, struct error *err)
{
    struct fake_destination *f = o->f;
    LOCK_GUARD(&mutex);

    f->writes++;
    if ((long)number_of(o->plan->streams[stream].stream) == f->fail_stream &&
        f->fail_stream_times > 0) {
        f->fail_stream_times--;
        return error_set(err, f->fail_stream_code, "stream %ld is refused", f->fail_stream);
    }
    return destination_call(o, false, err) < 0 ? -1 : 0;
}

static int write_rows(struct destination *d, size_t stream, const struct batch *rows,
                      struct error *err)
{
    struct fake_open *o = (struct fake_open *)d;
    struct fake_table *t = table_of(o, stream);
    struct column_view v = batch_column(rows, 0);
    size_t n_rejected;

    if (begin_write(o, stream, err) < 0)
        return -1;
    if (o->f->block_ms > 0 && cancel_sleep_ms(o->run->cancel, o->f->block_ms, err) < 0)
        return -1;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < batch_rows(rows); i++) {
        if (t->n + t->n_staged == t->cap) {
            t->cap = t->cap ? t->cap * 2 : 64;
            t->rows = realloc(t->rows, t->cap * sizeof *t->rows);
        }
        t->rows[t->n + t->n_staged++] = v.ints[i];
    }
    batch_rejected(rows, &n_rejected);
    t->bad_staged += (int64_t)n_rejected;
    bad_rows_add(&o->bad_rows, (int64_t)(batch_rows(rows) + n_rejected), (int64_t)n_rejected);
    o->uncommitted += (int64_t)batch_rows(rows);
    if (o->uncommitted > o->f->max_uncommitted)
        o->f->max_uncommitted = o->uncommitted;
    pthread_mutex_unlock(&mutex);
    return 0;
}

static void commit_table(struct fake_open *o, size_t i, const char *position,
                         const struct counts *dropped, struct counts *out)
{
    struct fake_table *t = table_of(o, i);

    out->inserted = (int64_t)t->n_staged + (o->f->miscount && t->n_staged > 0);
    out->filtered = dropped->filtered;
    out->overlap_dropped = dropped->overlap_dropped;
    out->quarantined_rows = t->bad_staged;
    out->read = (int64_t)t->n_staged + t->bad_staged + dropped->filtered + dropped->overlap_dropped;
    if (!o->answer_lost)
        bad_rows_keep(&o->bad_rows, (int64_t)t->n_staged + t->bad_staged, t->bad_staged);
    if (t->n_staged > 0 && !position)
        o->f->committed_without_position = true;
    o->uncommitted -= (int64_t)t->n_staged;
    t->n += t->n_staged;
    t->n_staged = 0;
    t->bad_staged = 0;
    t->commits++;
    counts_add(&t->counts, out);
    if (position)
        snprintf(t->position, sizeof t->position, "%s", position);
}

static int commit(struct destination *d, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err)
{
    struct fake_open *o = (struct fake_open *)d;
    LOCK_GUARD(&mutex);
    int status = destination_call(o, true, err);

    if (status < 0 || check_fences(o, err) < 0 || bad_rows_check(&o->bad_rows, err) < 0)
        return -1;
    o->f->commits++;
    for (size_t i = 0; i < o->plan->n; i++) {
        if (table_of(o, i)->n_staged > 0 || table_of(o, i)->bad_staged > 0 || upto[i] ||
            dropped[i].filtered > 0)
            commit_table(o, i, upto[i], &dropped[i], &out[i]);
    }
    return -status;
}

static int finish(struct destination *d, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err)
{
    struct fake_open *o = (struct fake_open *)d;
    LOCK_GUARD(&mutex);
    int status = destination_call(o, true, err);

    if (status < 0 || check_fences(o, err) < 0 || bad_rows_check(&o->bad_rows, err) < 0)
        return -1;
    commit_table(o, stream, position, dropped, out);
    table_of(o, stream)->complete = true;
    return -status;
}

static void drop_staged(struct fake_table *t)
{
    t->n_staged = 0;
    t->bad_staged = 0;
}

static void close_destination(struct destination *d)
{
    struct fake_open *o = (struct fake_open *)d;

    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < o->plan->n; i++)
        drop_staged(table_of(o, i));
    bad_rows_take_back(&o->bad_rows);
    pthread_mutex_unlock(&mutex);
    free(o);
}

static const struct destination_ops ops = {
    .recover = recover,
    .write = write_rows,
    .commit = commit,
    .finish = finish,
    .close = close_destination,
};

static int open_destination(const void *config, struct run *run, const struct write_plan *plan,
                            struct destination **out, struct error *err)
{
    struct fake_open *o;

    if (cancel_check(run->cancel, err) < 0)
        return -1;
    o = xalloc(sizeof *o);
    o->destination.ops = &ops;
    o->f = destination_of(config);
    o->plan = plan;
    bad_rows_open(&o->bad_rows, plan);
    o->run = run;
    pthread_mutex_lock(&mutex);
    o->f->memory->opens++;
    pthread_mutex_unlock(&mutex);
    *out = &o->destination;
    return 0;
}

static int check_destination(const void *config, struct run *run, struct error *err)
{
    struct fake_destination *f = destination_of(config);

    if (f->check_code)
        return error_set(err, f->check_code, "the fake refuses");
    return cancel_check(run->cancel, err);
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    struct fake_memory *m = destination_of(config)->memory;

    for (size_t i = 0; i < plan->n; i++) {
        struct fake_table *t = &m->tables[number_of(plan->streams[i].stream)];

        t->n = 0;
        t->position[0] = '\0';
    }
    return cancel_check(run->cancel, err);
}

const struct destination_connector fake_destination = {
    .name = "fake",
    .title = "Fake",
    .docs = "For tests.",
    .options = no_options,
    .config_size = sizeof(struct fake_destination *),
    .write_modes = 1u << WRITE_APPEND | 1u << WRITE_OVERWRITE,
    .delivery = "exactly_once",
    .parallel_writers = true,
    .check = check_destination,
    .open = open_destination,
    .clear = clear,
};

void fake_memory_release(struct fake_memory *m)
{
    for (size_t i = 0; i < FAKE_MAX_STREAMS; i++)
        free(m->tables[i].rows);
    *m = (struct fake_memory){0};
}

bool fake_table_is_complete(const struct fake_table *t, int64_t rows)
{
    bool *seen = calloc((size_t)rows + 1, sizeof *seen);
    bool ok = t->n == (size_t)rows;

    for (size_t i = 0; ok && i < t->n; i++) {
        ok = t->rows[i] >= 0 && t->rows[i] < rows && !seen[t->rows[i]];
        if (ok)
            seen[t->rows[i]] = true;
    }
    free(seen);
    return ok;
}

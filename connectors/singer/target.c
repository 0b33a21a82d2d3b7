#include "connectors/singer/target.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/singer/asked.h"
#include "connectors/singer/target_internal.h"

#define MAX_OUT_BYTES    ((size_t)512 << 20)
#define MAX_STATE_BYTES  ((size_t)64 << 20)
#define MAX_CONFIG_BYTES ((size_t)8 << 20)

const char *const singer_target_echoes[] = {"end", "state", NULL};

static struct target *of(struct destination *d)
{
    return (struct target *)(void *)d;
}

/* ------------------------------------------------------------------- the program */

static int start(struct target *t, struct error *err)
{
    static const char *const args[] = {"--config", "@config.json", NULL};
    const struct private_file file = {"config.json", buf_str(&t->config_text), t->config_text.len};
    const struct process_start how = {.program = t->program,
                                      .args = args,
                                      .files = &file,
                                      .n_files = 1,
                                      .wants_input = true,
                                      .secrets = t->secrets};

    t->rows_fed = 0;
    return feed_start(&how, t->run, &t->feed, err);
}

/* It has to hear every schema again. */
static void forget_program(struct target *t)
{
    feed_free(t->feed);
    t->feed = NULL;
    t->quarantine_told = false;
    for (size_t i = 0; i < t->plan->n; i++) {
        singer_rows_free(t->streams[i].rows);
        t->streams[i].rows = NULL;
    }
}

int target_flush(struct target *t, struct error *err)
{
    if (buf_ok(&t->out, "a record", err) < 0)
        return -1;
    if (t->out.len == 0)
        return 0;
    if (!t->feed && start(t, err) < 0)
        return -1;
    if (feed_put(t->feed, t->out.data, t->out.len, err) < 0)
        return -1;
    buf_clear(&t->out);
    return failpoint("target_fed", err);
}

/* The state that covers everything written so far: an epoch, and for whoever looks at it the
 * bookmarks. */
static int put_state(struct target *t, const char *const *upto, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_STATE_BYTES);
    struct jsonw w = JSONW_INIT(&text);

    jsonw_object(&w);
    jsonw_key(&w, "bookmarks");
    jsonw_object(&w);
    for (size_t i = 0; i < t->plan->n; i++) {
        const char *position = upto[i] ? upto[i] : t->streams[i].position;

        if (position)
            jsonw_put_raw(&w, t->streams[i].id, position);
    }
    jsonw_object_end(&w);
    jsonw_put_int(&w, FEED_EPOCH, ++t->epoch);
    jsonw_object_end(&w);
    if (buf_ok(&text, "the state", err) < 0)
        return -1;
    singer_put_state(&t->out, text.data, text.len);
    return target_flush(t, err);
}

static int judge_echo(const struct target *t, struct error *err)
{
    if (feed_epoch(t->feed) >= t->epoch)
        return 0;
    if (!feed_has_echoed(t->feed) && !t->config->require_echo)
        return 0;
    return error_set_reason(
        err, ERR_DATA, "target_silent",
        "target \"%s\" ended with exit status 0, but did not print the state "
        "behind the last rows, so nothing says that they are stored (it printed "
        "number %lld of %lld); require_echo = false is for targets that never do",
        t->program->name, (long long)feed_epoch(t->feed), (long long)t->epoch);
}

/* Everything that was fed becomes durable, or nothing is known of it. */
static int end_program(struct target *t, struct error *err)
{
    if (!t->feed)
        return 0;
    if (feed_finish(t->feed, err) < 0 || judge_echo(t, err) < 0)
        return -1;
    forget_program(t);
    return failpoint("target_ended", err);
}

/* ---------------------------------------------------------------------- commits */

/* What became durable is told once, with what the source left out. */
static void report(struct target *t, size_t i, const char *position, const struct counts *dropped,
                   struct counts *out)
{
    struct target_stream *s = &t->streams[i];

    *out = s->pending;
    out->read += dropped->filtered + dropped->overlap_dropped;
    out->filtered += dropped->filtered;
    out->overlap_dropped += dropped->overlap_dropped;
    bad_rows_keep(&t->bad_rows, s->pending.read, s->pending.quarantined_rows);
    s->pending = (struct counts){0};
    s->seq++;
    if (position)
        s->position = arena_strdup(t->run->mem, position);
}

static bool anything_fed(const struct target *t)
{
    return t->feed != NULL || t->out.len > 0;
}

/* The state behind everything so far has come back. */
static int settle(struct target *t, const char *const *upto, struct error *err)
{
    if (!anything_fed(t))
        return 0; /* positions moved, rows did not */
    if (put_state(t, upto, err) < 0 || failpoint("target_state_sent", err) < 0)
        return -1;
    if (t->by_state)
        return feed_wait(t->feed, t->epoch, t->config->echo_timeout_s * 1000, err);
    return end_program(t, err);
}

static int write_rows(struct destination *d, size_t stream, const struct batch *rows,
                      struct error *err)
{
    struct target *t = of(d);

    if (cancel_check(t->run->cancel, err) < 0)
        return -1;
    return target_write_rows(t, stream, rows, err);
}

/* Where the end of input decides, the program goes on until it has had rows enough: the state it is
 * given meanwhile lets it store what it has. */
static int commit(struct destination *d, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err)
{
    struct target *t = of(d);
    bool later = !t->by_state && anything_fed(t) &&
                 (t->config->restart_rows == 0 || t->rows_fed < t->config->restart_rows);

    if (bad_rows_check(&t->bad_rows, err) < 0)
        return -1;
    if (later)
        return put_state(t, upto, err) < 0 ? -1 : COMMIT_LATER;
    if (settle(t, upto, err) < 0)
        return -1;
    for (size_t i = 0; i < t->plan->n; i++)
        report(t, i, upto[i], &dropped[i], &out[i]);
    return 0;
}

/* Rows of former versions go. Not for a stream that had no row at all: a source that is empty by
 * mistake must not empty the table. */
static int activate(struct target *t, size_t i, struct error *err)
{
    const struct selected_stream *want = &t->plan->streams[i];
    struct target_stream *s = &t->streams[i];

    if (!s->version)
        return 0;
    if (s->n_rows == 0 && !want->allow_empty) {
        log_warn(t->run->log,
                 .message = "the stream is empty: former rows stay, unless it is "
                            "allowed to be (allow_empty)",
                 .fields = {log_text("stream", s->name)});
        return 0;
    }
    if (!s->rows && target_tell_schema(t, i, want->schema, err) < 0)
        return -1;
    singer_put_activate_version(&t->out, s->name, s->version);
    return 0;
}

static int finish(struct destination *d, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err)
{
    struct target *t = of(d);
    const char **upto = arena_array(t->run->mem, t->plan->n, sizeof *upto);

    upto[stream] = position;
    if (bad_rows_check(&t->bad_rows, err) < 0 || activate(t, stream, err) < 0 ||
        settle(t, upto, err) < 0)
        return -1;
    report(t, stream, position, dropped, out);
    return 0;
}

/* ---------------------------------------------------------------------- opening */

/* The service keeps the position. A full refresh begins anew each time, in a version of its own. */
static int recover(struct destination *d, struct stream_position *out, struct error *err)
{
    struct target *t = of(d);

    (void)err;
    for (size_t i = 0; i < t->plan->n; i++) {
        const struct selected_stream *want = &t->plan->streams[i];
        const struct stream_copy *copy = t->plan->copies ? &t->plan->copies[i] : NULL;
        const char *edited = t->plan->override_positions ? t->plan->override_positions[i] : NULL;
        struct target_stream *s = &t->streams[i];
        bool anew = t->plan->restart || want->sync_mode == SYNC_FULL_REFRESH;

        s->generation = copy && copy->known ? copy->generation : 1;
        s->seq = copy && copy->known ? copy->seq : 0;
        s->position = NULL;
        if (copy && copy->known &&
            copy->position) /* it is the run's, and replaced by the next one */
            s->position = arena_strdup(t->run->mem, copy->position);
        if (edited)
            s->position = *edited ? edited : NULL;
        if (anew && copy && copy->known)
            s->generation++;
        if (anew)
            s->position = NULL;
        out[i] = (struct stream_position){
            .position = s->position, .generation = s->generation, .seq = s->seq};
    }
    return 0;
}

static void close_target(struct destination *d)
{
    struct target *t = of(d);

    forget_program(t);
    bad_rows_take_back(&t->bad_rows);
    buf_release(&t->out);
    buf_release(&t->config_text);
    free(t);
}

static const struct destination_ops ops = {
    .recover = recover,
    .write = write_rows,
    .commit = commit,
    .finish = finish,
    .close = close_target,
};

/* Targets of databases read "schema-table". */
static const char *name_of(struct arena *mem, const struct selected_stream *want)
{
    if (!*want->destination_namespace)
        return want->alias;
    return arena_printf(mem, "%s-%s", want->destination_namespace, want->alias);
}

static void describe_streams(struct target *t)
{
    int64_t version = clock_unix_us() / 1000;

    t->streams = arena_array(t->run->mem, t->plan->n + 1, sizeof *t->streams);
    for (size_t i = 0; i < t->plan->n; i++) {
        const struct selected_stream *want = &t->plan->streams[i];

        t->streams[i].name = name_of(t->run->mem, want);
        t->streams[i].id = stream_full_name(t->run->mem, want->stream);
        if (t->config->versions && want->write_mode == WRITE_OVERWRITE)
            t->streams[i].version = version;
    }
}

static int put_config(const struct singer_target *config, struct buf *out, struct error *err)
{
    *out = BUF_INIT(MAX_CONFIG_BYTES);
    if (config->config)
        doc_write(config->config, out);
    else
        buf_puts(out, "{}");
    return buf_ok(out, "the configuration of the target", err);
}

int singer_target_open(const struct singer_target *config, struct run *run,
                       const struct write_plan *plan, struct destination **out, struct error *err)
{
    const struct program *program = program_find(config->program, err);
    struct target *t;

    if (!program)
        return -1;
    t = xalloc(sizeof *t);
    *t = (struct target){.destination = {&ops},
                         .config = config,
                         .program = program,
                         .run = run,
                         .plan = plan,
                         .out = BUF_INIT(MAX_OUT_BYTES),
                         .secrets = asked_secrets(program, config->config, run),
                         .by_state = !strcmp(config->echo, "state")};
    describe_streams(t);
    bad_rows_open(&t->bad_rows, plan);
    if (put_config(config, &t->config_text, err) < 0) {
        close_target(&t->destination);
        return -1;
    }
    *out = &t->destination;
    return 0;
}

int singer_target_check(const struct singer_target *config, struct run *run, struct error *err)
{
    struct write_plan nothing = {.pipeline = ""};
    struct destination *d;
    int rc;

    if (singer_target_open(config, run, &nothing, &d, err) < 0)
        return -1;
    rc = start(of(d), err) < 0 || feed_finish(of(d)->feed, err) < 0 ? -1 : 0;
    close_target(d);
    return rc;
}

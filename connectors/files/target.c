#include "connectors/files/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/failpoint.h"
#include "connectors/base/roots.h"
#include "connectors/base/text.h"
#include "connectors/files/target_stream.h"

#define MAX_TEXT_BYTES ((size_t)256 << 20) /* of one row; the batch is far smaller */

static struct target *of(struct destination *d)
{
    return (struct target *)(void *)d;
}

/* ----------------------------------------------------------------------- commit */

/* What one commit does to one stream. */
struct step {
    struct target_stream *stream;
    struct manifest manifest;
    struct manifest_draft draft;
    struct counts counts;
    bool needed;
};

static void count_step(struct step *st, const struct counts *dropped)
{
    st->counts = st->stream->pending;
    if (dropped) {
        st->counts.read += dropped->filtered + dropped->overlap_dropped;
        st->counts.filtered += dropped->filtered;
        st->counts.overlap_dropped += dropped->overlap_dropped;
        st->counts.bytes_read += dropped->bytes_read;
    }
}

/* Counts what is about to be committed, and refuses it when it holds a bad row too many. */
static int check_limits(struct target *t, const struct counts *more, struct error *err)
{
    bad_rows_add(&t->bad_rows, more->read, more->quarantined_rows);
    return more->quarantined_rows ? bad_rows_check(&t->bad_rows, err) : 0;
}

/* Seals the files and drafts the manifest: all that can fail for want of room happens here. */
static int prepare(struct target *t, struct step *st, const char *position, bool complete,
                   struct error *err)
{
    struct target_stream *s = st->stream;
    struct manifest *m = &st->manifest;

    if (!counts_balance(&st->counts))
        return error_set(err, ERR_INTERNAL, "the counters of \"%s\" do not balance",
                         s->want->alias);
    if (target_seal(t, s, err) < 0 || failpoint("manifest_data_synced", err) < 0)
        return -1;
    *m = s->last;
    m->seq++;
    m->complete = complete;
    m->live = m->live || complete;
    m->position = position;
    counts_add(&m->counts, &st->counts);
    m->files = s->files;
    m->n_files = s->n_files;
    return target_prepare(t, s, m, &st->draft, err);
}

static int publish(struct target *t, struct step *st, struct error *err)
{
    if (manifest_publish(&st->draft, err) < 0) {
        if (st->draft.linked)
            target_forget_files(st->stream); /* they count: not ours to remove any more */
        return error_wrap(err, "stream \"%s\"", st->stream->want->alias);
    }
    target_committed(st->stream, &st->manifest, &st->draft);
    target_forget_files(st->stream);
    bad_rows_keep(&t->bad_rows, st->counts.read, st->counts.quarantined_rows);
    st->stream->pending = (struct counts){0};
    st->stream->ordinal = 0;
    return 0;
}

static int run_steps(struct target *t, struct step *steps, const char *const *upto,
                     struct error *err)
{
    size_t n = t->plan->n;
    struct counts more = {0};

    for (size_t i = 0; i < n; i++)
        counts_add(&more, &steps[i].counts);
    if (check_limits(t, &more, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const char *position = upto[i] ? upto[i] : steps[i].stream->position;

        if (steps[i].needed && prepare(t, &steps[i], position, false, err) < 0)
            return -1;
    }
    if (cancel_check(t->run->cancel, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (steps[i].needed && publish(t, &steps[i], err) < 0)
            return -1;
    }
    return 0;
}

/* Each stream commits by itself; the steps that can be long or fail come first for all of them, so
 * that between the first and the last link nothing but links happens. */
static int commit(struct destination *d, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err)
{
    struct target *t = of(d);
    CLEANUP(free_cleanup) struct step *steps = NULL;
    int rc;

    steps = xalloc((t->plan->n ? t->plan->n : 1) * sizeof *steps);
    for (size_t i = 0; i < t->plan->n; i++) {
        struct step *st = &steps[i];

        st->stream = &t->streams[i];
        st->draft.dir = -1;
        count_step(st, &dropped[i]);
        st->needed = upto[i] || st->counts.read || st->stream->n_files;
    }
    rc = run_steps(t, steps, upto, err);
    for (size_t i = 0; i < t->plan->n; i++) {
        manifest_discard(&steps[i].draft);
        if (rc == 0)
            out[i] = steps[i].counts;
    }
    return rc;
}

/* ----------------------------------------------------------------------- finish */

/* The new generation is suspiciously small: the old one stays, the next run begins anew. */
static int refuse_to_shrink(struct target *t, struct target_stream *s, int64_t rows,
                            struct error *err)
{
    struct manifest m = s->last;
    struct error ignored = ERROR_INIT;

    target_forget(t, s);
    m.abandoned = true;
    if (target_put(t, s, &m, &ignored) < 0)
        log_warn(t->run->log, .message = "the refused generation could not be given up",
                 .fields = {log_text("reason", ignored.message)});
    return error_set_reason(err, ERR_CONFLICT, "shrink_guard",
                            "\"%s\" has %lld rows and would have %lld; set %s to replace it",
                            s->want->alias, (long long)s->live_rows, (long long)rows,
                            rows ? "allow_shrink" : "allow_empty");
}

static bool shrinks(const struct target_stream *s, int64_t rows)
{
    if (!s->has_live || !s->live_rows || s->last.live)
        return false;
    if (!rows)
        return !s->want->allow_empty;
    return !s->want->allow_shrink && rows < s->live_rows - s->live_rows / 2;
}

/* The final manifest is the swap; live.json and the removal follow it, now or at the next open. */
static int swap(struct target *t, struct step *st, const char *position, struct error *err)
{
    struct target_stream *s = st->stream;
    CLEANUP(output_close_folder) int lock = -1;

    if (prepare(t, st, position, true, err) < 0 ||
        manifest_lock(t->root, s->folder, t->run->cancel, &lock, err) < 0 ||
        publish(t, st, err) < 0)
        return -1;
    s->has_live = true;
    s->live_generation = s->last.generation;
    s->live_rows = s->last.counts.inserted;
    if (manifest_set_live(t->root, s->folder, s->live_generation, err) < 0)
        return -1;
    manifest_remove_old(t->root, s->folder, s->live_generation, -1, t->run->log);
    return 0;
}

static int finish(struct destination *d, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err)
{
    struct target *t = of(d);
    struct step st = {.stream = &t->streams[stream], .draft = {.dir = -1}};
    int64_t rows;
    int rc;

    count_step(&st, dropped);
    rows = st.stream->last.counts.inserted + st.counts.inserted;
    if (check_limits(t, &st.counts, err) < 0)
        return -1;
    if (st.stream->want->write_mode == WRITE_OVERWRITE && shrinks(st.stream, rows))
        return refuse_to_shrink(t, st.stream, rows, err);
    rc = swap(t, &st, position, err);
    manifest_discard(&st.draft);
    if (rc == 0)
        *out = st.counts;
    return rc;
}

/* ---------------------------------------------------------------- opening, closing */

static int write_rows(struct destination *d, size_t stream, const struct batch *rows,
                      struct error *err)
{
    return target_write(of(d), stream, rows, err);
}

static int recover(struct destination *d, struct stream_position *out, struct error *err)
{
    struct target *t = of(d);

    for (size_t i = 0; i < t->plan->n; i++) {
        const struct target_stream *s = &t->streams[i];

        if (cancel_check(t->run->cancel, err) < 0 || target_take(t, i, err) < 0)
            return -1;
        out[i] = (struct stream_position){
            .position = s->position ? arena_strdup(t->run->mem, s->position) : NULL,
            .generation = s->last.generation,
            .seq = s->last.seq,
            .counts = s->last.counts,
        };
    }
    return 0;
}

static void close_target(struct destination *d)
{
    struct target *t = of(d);

    for (size_t i = 0; t->streams && i < t->plan->n; i++) {
        struct target_stream *s = &t->streams[i];

        target_forget(t, s);
        encoder_free(s->encoder);
        arena_free(s->names);
        free(s->files);
        free(s->position);
    }
    bad_rows_take_back(&t->bad_rows);
    output_close_folder(&t->root);
    buf_release(&t->text);
    buf_release(&t->odd);
    free(t->streams);
    free(t);
}

static const struct destination_ops ops = {
    .recover = recover,
    .write = write_rows,
    .commit = commit,
    .finish = finish,
    .close = close_target,
};

static int check_settings(const struct files_target_config *c, struct error *err)
{
    if (strlen(c->delimiter) != 1 || strchr("\"\r\n", *c->delimiter))
        return error_set(err, ERR_CONFIG, "the delimiter must be one character, and no quote");
    if (strpbrk(c->null_value, "\"\r\n") || strchr(c->null_value, *c->delimiter))
        return error_set(err, ERR_CONFIG,
                         "the word for NULL may hold no quote, line break or delimiter");
    return 0;
}

/* Opens the folder of the destination; its last part is made when it is missing. */
static int open_root(const struct files_target_config *c, int *out, struct error *err)
{
    if (check_settings(c, err) < 0)
        return -1;
    if (roots_make_folder(c->path, err) < 0)
        return -1;
    return roots_open_folder(c->path, out, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int refuse_twins(const struct target *t, struct error *err)
{
    const char **folders = arena_array(t->run->mem, t->plan->n + 1, sizeof *folders);

    for (size_t i = 0; i < t->plan->n; i++)
        folders[i] = t->streams[i].folder;
    qsort(folders, t->plan->n, sizeof *folders, by_text);
    for (size_t i = 1; i < t->plan->n; i++) {
        if (!strcmp(folders[i], folders[i - 1]))
            return error_set(err, ERR_CONFIG, "two streams would be written to the folder \"%s\"",
                             folders[i]);
    }
    return 0;
}

static struct target *make(const struct files_target_config *c, struct run *run,
                           const struct write_plan *plan)
{
    struct target *t = xalloc(sizeof *t);

    bad_rows_open(&t->bad_rows, plan);
    t->base.ops = &ops;
    t->config = c;
    t->run = run;
    t->plan = plan;
    t->root = -1;
    t->format = !strcmp(c->format, "csv") ? FILES_CSV : FILES_NDJSON;
    t->compression = files_compression_from_name(c->compression);
    t->text = BUF_INIT(MAX_TEXT_BYTES);
    t->odd = BUF_INIT(MAX_TEXT_BYTES);
    t->streams = xalloc((plan->n ? plan->n : 1) * sizeof *t->streams);
    for (size_t i = 0; i < plan->n; i++) {
        struct target_stream *s = &t->streams[i];

        s->want = &plan->streams[i];
        s->folder =
            manifest_stream_folder(run->mem, s->want->destination_namespace, s->want->alias);
        s->names = arena_new();
        s->last.number = -1;
    }
    return t;
}

int files_target_open(const void *config, struct run *run, const struct write_plan *plan,
                      struct destination **out, struct error *err)
{
    struct target *t = make(config, run, plan);

    if (open_root(config, &t->root, err) < 0 || refuse_twins(t, err) < 0) {
        close_target(&t->base);
        return -1;
    }
    *out = &t->base;
    return 0;
}

int files_target_check(const void *config, struct run *run, struct error *err)
{
    const struct files_target_config *c = config;
    CLEANUP(output_close_folder) int root = -1;
    unsigned char salt[8];
    char hex[17], name[40];

    if (cancel_check(run->cancel, err) < 0 || open_root(c, &root, err) < 0)
        return -1;
    hash_random(salt, sizeof salt);
    text_hex(salt, sizeof salt, hex);
    snprintf(name, sizeof name, ".check-%s", hex);
    if (output_put_new(root, c->path, name, "x", 1, err) < 0)
        return -1;
    unlinkat(root, name, 0);
    return 0;
}

/*
 * An empty live generation comes first: a crash before everything is removed leaves a stream that
 * begins anew, never rows without the position that belongs to them.
 */
static int clear_stream(struct target *t, size_t stream, struct error *err)
{
    struct target_stream *s = &t->streams[stream];
    struct manifest m;

    if (target_take(t, stream, err) < 0)
        return -1;
    if (!s->last.live) {
        m = s->last;
        m.live = true;
        m.position = NULL;
        if (target_put(t, s, &m, err) < 0)
            return -1;
    }
    return manifest_remove_all(t->root, s->folder, err);
}

int files_target_clear(const void *config, struct run *run, const struct write_plan *plan,
                       struct error *err)
{
    struct write_plan fresh = *plan;
    struct destination *d;
    int rc = 0;

    fresh.restart = true;
    fresh.override_positions = NULL;
    if (files_target_open(config, run, &fresh, &d, err) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < plan->n; i++)
        rc = clear_stream(of(d), i, err);
    d->ops->close(d);
    return rc;
}

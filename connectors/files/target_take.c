/* Taking a stream of the destination over from whoever wrote it before. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dirent.h>

#include "connectors/files/target_stream.h"

#define TRIES      5
#define SWEEP_BACK 16 /* manifests without files that are looked through for leftovers */

DEFINE_CLEANUP(DIR *, dir_cleanup, closedir);

/* What is to be done, from what is there and what was asked for. */
struct decision {
    bool fence;   /* the newest generation gets a manifest that ends its writer */
    bool abandon; /* and is given up with it */
    bool new_generation;
    bool back_to_live;  /* go on in the live generation, which is not the newest */
    int64_t generation; /* to be written */
};

/* The answer to the last commit was lost and the run is tried again: what is complete stays so,
 * and what is appended must not come twice. */
static bool completed_by_this_run(const struct target *t, const struct manifest *m)
{
    return m->complete && m->position && *t->run->id && m->run_id && !strcmp(m->run_id, t->run->id);
}

static struct decision decide(const struct manifest_state *st, enum write_mode mode, bool restart,
                              bool completed)
{
    bool append = mode == WRITE_APPEND, building;
    struct decision d = {.generation = 1, .new_generation = true};

    if (!st->exists)
        return d;
    building = completed || (!st->newest.live && !st->newest.abandoned);
    d.fence = true;
    d.generation = st->newest.generation;
    d.new_generation = append ? !st->newest.live : !building || restart;
    d.abandon = d.new_generation && !st->newest.live;
    if (append && d.new_generation && st->has_live) {
        d.new_generation = false;
        d.back_to_live = true;
        d.generation = st->live.generation;
    }
    d.generation += d.new_generation;
    return d;
}

/* Files of somebody else: a folder without any manifest of ours. */
static int refuse_foreign(const struct target *t, const struct target_stream *s, struct error *err)
{
    int fd = openat(t->root, s->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(dir_cleanup) DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return error_set_errno(err, errno, "opening \"%s/%s\"", t->config->path, s->folder);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        bool ours = e->d_name[0] == 'g' && strspn(e->d_name + 1, "0123456789") == 10;

        /* An empty folder of a generation: of a first run that died before its first manifest. */
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
            (ours && unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) == 0))
            continue;
        return error_set_reason(err, ERR_CONFLICT, "table_exists",
                                "\"%s/%s\" holds \"%s\" and no manifest says whose it is",
                                t->config->path, s->folder, e->d_name);
    }
    return 0;
}

static int refuse_other(const struct target *t, const struct target_stream *s,
                        const struct manifest_state *st, struct error *err)
{
    if (!st->exists)
        return refuse_foreign(t, s, err);
    if (strcmp(st->newest.pipeline, t->plan->pipeline) != 0)
        return error_set_reason(err, ERR_CONFLICT, "table_owned",
                                "\"%s/%s\" belongs to another connection, \"%s\"", t->config->path,
                                s->folder, st->newest.pipeline);
    return 0;
}

/* ------------------------------------------------------------------ manifests */

static void describe(const struct target *t, const struct target_stream *s, struct manifest *m)
{
    m->pipeline = t->plan->pipeline;
    m->run_id = t->run->id;
    m->stream = s->want->alias;
    m->format = t->format == FILES_CSV ? "csv" : "ndjson";
    m->compression = t->config->compression;
    m->schema = s->encoder ? encoder_schema(s->encoder) : s->want->schema;
}

int target_prepare(const struct target *t, const struct target_stream *s, struct manifest *m,
                   struct manifest_draft *out, struct error *err)
{
    describe(t, s, m);
    m->number = s->last.number + 1;
    memcpy(m->previous, s->last_digest, sizeof m->previous);
    return manifest_prepare(t->root, s->folder, m, out, err);
}

void target_committed(struct target_stream *s, const struct manifest *m,
                      const struct manifest_draft *d)
{
    char *position = m->position ? xstrdup(m->position) : NULL;

    free(s->position);
    s->position = position;
    s->last = *m;
    s->last.position = position;
    s->last.files = NULL;
    s->last.n_files = 0;
    memcpy(s->last_digest, d->digest, sizeof s->last_digest);
}

int target_put(const struct target *t, struct target_stream *s, struct manifest *m,
               struct error *err)
{
    struct manifest_draft d;

    if (target_prepare(t, s, m, &d, err) < 0 || manifest_publish(&d, err) < 0)
        return -1;
    target_committed(s, m, &d);
    return 0;
}

/* --------------------------------------------------------------------- taking */

/* The user's edit of the position, or what the fresh start asks for. A full refresh that another
 * run has completed begins at the beginning, in the same generation when it appends. */
static const char *position_of(const struct target *t, size_t stream, const struct manifest *m)
{
    bool over = t->plan->streams[stream].sync_mode == SYNC_FULL_REFRESH && m->complete &&
                !completed_by_this_run(t, m);
    const char *edited = t->plan->override_positions ? t->plan->override_positions[stream] : NULL;

    if (edited)
        return *edited ? edited : NULL;
    return t->plan->restart || over ? NULL : m->position;
}

/* A manifest without files behind the one that `s` remembers. */
static int fence(const struct target *t, struct target_stream *s, size_t stream,
                 const struct decision *d, struct error *err)
{
    struct manifest m = s->last;

    m.fence++;
    m.abandoned = m.abandoned || d->abandon;
    if (!d->abandon && !d->new_generation) {
        m.position = position_of(t, stream, &m);
        m.complete = m.complete && completed_by_this_run(t, &m);
    }
    return target_put(t, s, &m, err);
}

static int begin_generation(const struct target *t, struct target_stream *s, size_t stream,
                            int64_t generation, struct error *err)
{
    struct manifest m = {.generation = generation,
                         .fence = s->last.fence + 1,
                         .live = s->want->write_mode == WRITE_APPEND};

    m.position = position_of(t, stream, &m);
    if (manifest_make_generation(t->root, s->folder, generation, err) < 0)
        return -1;
    s->last.number = -1;
    s->last_digest[0] = '\0';
    return target_put(t, s, &m, err);
}

static void remember(struct target_stream *s, const struct manifest *m, const char *digest)
{
    struct manifest_draft d;

    memcpy(d.digest, digest, sizeof d.digest);
    target_committed(s, m, &d);
}

/* The digest of the last manifest of the live generation is not known; the chain begins anew. */
static int go_back_to_live(const struct target *t, struct target_stream *s, size_t stream,
                           const struct manifest_state *st, struct error *err)
{
    static const char unknown[65];
    const struct decision go_on = {.fence = true};

    manifest_remove_generation(t->root, s->folder, st->newest.generation, t->run->log);
    remember(s, &st->live, unknown);
    return fence(t, s, stream, &go_on, err);
}

static int carry_out(const struct target *t, struct target_stream *s, size_t stream,
                     const struct manifest_state *st, const struct decision *d, struct error *err)
{
    if (d->fence) {
        remember(s, &st->newest, st->newest_digest);
        if (fence(t, s, stream, d, err) < 0)
            return -1;
    }
    if (d->back_to_live)
        return go_back_to_live(t, s, stream, st, err);
    return d->new_generation ? begin_generation(t, s, stream, d->generation, err) : 0;
}

/* Files of commits that did not happen: theirs are the numbers of the fences at the end of the
 * chain. */
static int sweep(const struct target *t, const struct target_stream *s, struct arena *mem,
                 struct error *err)
{
    int64_t to = s->last.number, from = to;

    for (; from > 0 && to - from < SWEEP_BACK; from--) {
        struct manifest m;
        int rc = manifest_read(t->root, s->folder, s->last.generation, from - 1, mem, &m, err);

        if (rc < 0)
            return -1;
        if (rc > 0 || m.n_files)
            break;
    }
    manifest_sweep(t->root, s->folder, s->last.generation, from, to, t->run->log);
    return 0;
}

/* Once the stream is ours: whatever a crash left half done is done. */
static int tidy(const struct target *t, struct target_stream *s, struct arena *mem,
                struct error *err)
{
    if (s->last.live)
        s->live_generation = s->last.generation;
    s->has_live = s->has_live || s->last.live;
    if (s->has_live && manifest_set_live(t->root, s->folder, s->live_generation, err) < 0)
        return -1;
    manifest_remove_old(t->root, s->folder, s->last.generation,
                        s->has_live ? s->live_generation : -1, t->run->log);
    return sweep(t, s, mem, err);
}

static int take_once(struct target *t, size_t stream, struct arena *mem, struct error *err)
{
    struct target_stream *s = &t->streams[stream];
    CLEANUP(output_close_folder) int lock = -1;
    struct manifest_state st;
    struct decision d;

    if (output_make_folders(t->root, t->config->path,
                            arena_printf(mem, MANIFEST_FOLDER "/%s", s->folder), err) < 0 ||
        manifest_lock(t->root, s->folder, t->run->cancel, &lock, err) < 0 ||
        manifest_find(t->root, s->folder, mem, &st, err) < 0 || refuse_other(t, s, &st, err) < 0)
        return -1;
    d = decide(&st, s->want->write_mode, t->plan->restart,
               st.exists && !t->plan->restart && completed_by_this_run(t, &st.newest));
    s->has_live = st.has_live;
    s->live_generation = st.live.generation;
    s->live_rows = st.live.counts.inserted;
    if (carry_out(t, s, stream, &st, &d, err) < 0)
        return -1;
    return tidy(t, s, mem, err);
}

int target_take(struct target *t, size_t stream, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    /* Where there are no locks two may take the stream at once; one of them begins again. */
    for (int i = 0; i < TRIES; i++) {
        struct error why = ERROR_INIT;

        if (take_once(t, stream, mem, &why) == 0)
            return 0;
        if (why.code != ERR_FENCED) {
            *err = why;
            return error_wrap(err, "stream \"%s\"", t->streams[stream].want->alias);
        }
    }
    return error_set(err, ERR_CONTENTION, "others keep taking the stream \"%s\" over",
                     t->streams[stream].want->alias);
}

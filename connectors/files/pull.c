/* Reading the files of a stream into a sink, and saying how far it came. */
#include <stdio.h>
#include <string.h>

#include "connectors/files/position.h"
#include "connectors/files/scan.h"

#define FOLLOW_BYTES 4 /* a position of n bytes is written after FOLLOW_BYTES * n bytes of rows */

struct pull {
    const struct files_config *config;
    struct run *run;
    const struct selected_stream *want;
    const struct files_list *list;
    struct sink *out;
    size_t stream;
    bool sink_failed; /* the failure is the sink's: the source must return */
    bool full;        /* full refresh; else every file is remembered */
    struct bind bind;
    struct batch *rows;
    struct file_position position; /* as it will be written */
    size_t cap_files;
    struct file_mark *current;
    struct hash_stream *before; /* full: of the files read completely */
    struct buf text;            /* of the position */
    size_t bytes_since;         /* of rows, since the last checkpoint */
};

/* ------------------------------------------------------------------- position */

static void hash_entry(struct pull *p, const struct files_entry *e)
{
    char numbers[64];

    snprintf(numbers, sizeof numbers, "|%lld|%lld\n", (long long)e->size, (long long)e->mtime_us);
    hash_update(p->before, e->name, strlen(e->name));
    hash_update(p->before, numbers, strlen(numbers));
}

static void short_digest(const char *hex, char out[static POSITION_HEAD + 1])
{
    memcpy(out, hex, POSITION_HEAD);
    out[POSITION_HEAD] = '\0';
}

static void digest_before(const struct pull *p, char out[static POSITION_HEAD + 1])
{
    char hex[HASH_HEX_BYTES];

    hash_hex(p->before, hex);
    short_digest(hex, out);
}

static struct file_mark *add_mark(struct pull *p, const char *name)
{
    struct file_position *at = &p->position;
    struct file_mark *grown;

    if (at->n == p->cap_files) {
        p->cap_files = at->n ? 2 * at->n : 16;
        grown = arena_array(p->run->mem, p->cap_files, sizeof *grown);
        if (at->n)
            memcpy(grown, at->files, at->n * sizeof *grown);
        at->files = grown;
    }
    at->files[at->n] = (struct file_mark){.name = name, .line = 1};
    return &at->files[at->n++];
}

static int write_position(struct pull *p, struct error *err)
{
    buf_clear(&p->text);
    if (p->full)
        digest_before(p, p->position.digest);
    file_position_write(&p->position, &p->text);
    return buf_ok(&p->text, "the position of the files", err);
}

/* A long list of files is written the less often: in proportion to what was read. */
static int checkpoint(struct pull *p, struct error *err)
{
    if (p->bytes_since < FOLLOW_BYTES * p->text.len)
        return 0;
    p->bytes_since = 0;
    if (write_position(p, err) < 0)
        return -1;
    if (sink_checkpoint(p->out, p->stream, buf_str(&p->text), err) < 0) {
        p->sink_failed = true;
        return -1;
    }
    return 0;
}

static void mark_progress(struct pull *p, const struct reader *r)
{
    p->current->offset = (int64_t)reader_offset(r);
    p->current->line = reader_line(r);
}

static int flush(struct pull *p, struct error *err)
{
    if (batch_is_empty(p->rows))
        return 0;
    p->bytes_since += batch_bytes(p->rows);
    if (sink_write(p->out, p->stream, p->rows, err) < 0) {
        p->sink_failed = true;
        return -1;
    }
    return checkpoint(p, err);
}

/* ------------------------------------------------------------------- one file */

static int resync(const char *name, const char *why, struct error *err)
{
    return error_set(err, ERR_RESYNC, "\"%s\" %s; a full refresh is needed", name, why);
}

/* Whether the file is still the one that was begun: then the mark describes it as of now. */
static int verify(struct pull *p, struct input *in, struct error *err)
{
    struct file_mark *m = p->current;
    char hex[HASH_HEX_BYTES], head[POSITION_HEAD + 1];
    int64_t size = input_size(in);

    if (size < m->size)
        return resync(m->name, "has become shorter since it was read", err);
    if (m->size) {
        if (input_head(in, (size_t)m->head_bytes, hex, err) < 0)
            return -1;
        short_digest(hex, head);
        if (strcmp(head, m->head) != 0)
            return resync(m->name, "was rewritten since it was read", err);
    }
    m->head_bytes = size < INPUT_HEAD_BYTES ? size : INPUT_HEAD_BYTES;
    if (input_head(in, (size_t)m->head_bytes, hex, err) < 0)
        return -1;
    short_digest(hex, m->head);
    m->size = size;
    m->mtime_us = input_mtime_us(in);
    m->done = false; /* of a run before: checkpoints on the way must not say so */
    return 0;
}

/* The types of columns that discovery has not seen, from this very file. */
static int guess_types(struct pull *p, const struct files_dialect *d, const struct reader *r,
                       struct column_type *types, struct error *err)
{
    CLEANUP(infer_free_cleanup) struct infer *infer = infer_new(p->config);
    struct reader sample;
    int rc;

    rc = reader_open(&sample, p->list->dir, r->name, d, p->run, (struct reader_start){0}, err);
    if (rc == 0)
        rc = infer_sample(infer, &sample, INFER_RECORDS, err);
    reader_close(&sample);
    for (size_t i = 0; rc == 0 && i < r->n_names; i++)
        types[i] = infer_type(infer, r->names[i]);
    return rc;
}

/* The batch follows a schema that has grown; what it holds is handed on first. */
static int follow_schema(struct pull *p, struct error *err)
{
    if (batch_schema(p->rows) == p->bind.schema)
        return 0;
    if (flush(p, err) < 0)
        return -1;
    batch_reset(p->rows, p->bind.schema);
    return 0;
}

static int bind_columns(struct pull *p, const struct files_dialect *d, struct reader *r,
                        struct error *err)
{
    CLEANUP(free_cleanup) struct column_type *types = NULL;

    types = xalloc((r->n_names ? r->n_names : 1) * sizeof *types);
    if (reader_has_unknown(r, &p->bind) && p->want->drift == DRIFT_EVOLVE &&
        guess_types(p, d, r, types, err) < 0)
        return -1;
    if (reader_bind(r, &p->bind, types, err) < 0)
        return -1;
    return follow_schema(p, err);
}

/* The rest of the last line that was read without a line break must be one. */
static int go_on_behind(struct pull *p, struct reader *r, struct error *err)
{
    bool is_break;

    if (!p->current->open)
        return 0;
    if (reader_skip_break(r, &is_break, err) < 0)
        return -1;
    if (!is_break)
        return resync(p->current->name, "went on in the middle of a line that was read", err);
    p->current->open = (uint64_t)p->current->offset == reader_offset(r); /* nothing came yet */
    mark_progress(p, r);
    return 0;
}

static int read_rows(struct pull *p, struct reader *r, struct error *err)
{
    enum reader_outcome outcome;

    do {
        if (reader_fill(r, p->rows, &outcome, err) < 0)
            return -1;
        mark_progress(p, r);
        if (outcome == READER_FULL && flush(p, err) < 0)
            return -1;
        if (outcome == READER_WIDENED && follow_schema(p, err) < 0)
            return -1;
    } while (outcome == READER_FULL || outcome == READER_WIDENED);
    p->current->done = outcome == READER_END;
    p->current->open = p->current->open || reader_is_unbroken(r);
    return 0;
}

static int read_opened(struct pull *p, const struct files_dialect *d, struct reader *r,
                       struct error *err)
{
    if (verify(p, reader_input(r), err) < 0 || go_on_behind(p, r, err) < 0 ||
        bind_columns(p, d, r, err) < 0)
        return -1;
    return read_rows(p, r, err);
}

/*
 * A last line without line break is read when nobody can be writing it any more: in a full refresh,
 * in a compressed file, or when the file is just as the run before has found it.
 */
static bool may_be_written(const struct pull *p, const struct files_entry *e,
                           const struct files_dialect *d)
{
    bool settled = p->current->size == e->size && p->current->mtime_us == e->mtime_us;

    return !p->full && !settled && (d->compression == FILES_PLAIN || d->compression == FILES_AUTO);
}

/* Reads what is left of the file that p->current marks. */
static int read_file(struct pull *p, const struct files_entry *e, struct error *err)
{
    struct file_mark *m = p->current;
    struct files_dialect dialect;
    struct reader r;
    int rc;

    if (e->size < m->size)
        return resync(m->name, "has become shorter since it was read", err);
    if (files_dialect_for(p->config, e->name, &dialect, err) < 0)
        return -1;
    rc = reader_open(&r, p->list->dir, e->name, &dialect, p->run,
                     (struct reader_start){.offset = (uint64_t)m->offset,
                                           .line = m->line,
                                           .keep_open = may_be_written(p, e, &dialect)},
                     err);
    if (rc == 0)
        rc = read_opened(p, &dialect, &r, err);
    reader_close(&r);
    log_debug(p->run->log, .message = "file read",
              .fields = {log_text("file", e->name), log_int("offset", m->offset)});
    return rc;
}

/* ---------------------------------------------------------------- all files */

static int read_full(struct pull *p, const struct files_group *g, struct error *err)
{
    struct file_position from = p->position.full ? p->position : (struct file_position){0};
    const char *resume = from.n ? from.files[0].name : NULL;
    char digest[POSITION_HEAD + 1];
    bool found = !resume;

    p->position = (struct file_position){.full = true};
    p->cap_files = 0;
    p->current = add_mark(p, "");
    for (size_t i = 0; i < g->n; i++) {
        const struct files_entry *e = g->files[i];
        bool is_it = !found && !strcmp(e->name, resume);

        if (i) { /* only now: the last rows of a file may still be in the batch when it ends */
            hash_entry(p, g->files[i - 1]);
            p->position.before++;
        }
        if (found || is_it)
            *p->current = (struct file_mark){.name = e->name, .line = 1};
        if (is_it) {
            digest_before(p, digest);
            if (p->position.before != from.before || strcmp(digest, from.digest) != 0)
                return resync(resume, "is not preceded by the files that were read before it", err);
            *p->current = from.files[0];
            found = true;
        }
        if (found && read_file(p, e, err) < 0)
            return -1;
    }
    if (!found)
        return resync(resume, "is gone, and had been read in part only", err);
    return 0;
}

static int read_incremental(struct pull *p, const struct files_group *g, struct error *err)
{
    struct file_position known = p->position;

    if (known.full)
        return error_set(err, ERR_RESYNC,
                         "the position of \"%s\" is one of an unfinished full refresh",
                         p->want->stream->name);
    p->cap_files = p->position.n;
    for (size_t i = 0; i < g->n; i++) {
        const struct files_entry *e = g->files[i];
        const struct file_mark *m = file_position_find(&known, e->name);

        if (m && m->done && m->size == e->size && m->mtime_us == e->mtime_us)
            continue;
        p->current = m ? &p->position.files[m - known.files] : add_mark(p, e->name);
        if (read_file(p, e, err) < 0)
            return -1;
    }
    return 0;
}

/* Files that have gone are remembered as long as there is room. */
static void forget_gone(struct pull *p, const struct files_group *g)
{
    size_t kept = 0;

    if (p->position.n + g->n <= LIST_MAX_FILES)
        return;
    for (size_t i = 0; i < p->position.n; i++) {
        struct file_mark *m = &p->position.files[i];
        size_t lo = 0, hi = g->n;

        while (lo < hi) {
            size_t mid = (lo + hi) / 2;

            if (strcmp(g->files[mid]->name, m->name) < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < g->n && !strcmp(g->files[lo]->name, m->name))
            p->position.files[kept++] = *m;
    }
    p->position.n = kept;
}

static int finish(struct pull *p, struct error *err)
{
    if (flush(p, err) < 0)
        return -1;
    /* Of a full refresh as well: a second attempt must know that the first was complete. */
    if (write_position(p, err) < 0)
        return -1;
    if (sink_end(p->out, p->stream, buf_str(&p->text), err) < 0) {
        p->sink_failed = true;
        return -1;
    }
    return 0;
}

static int read_stream(struct pull *p, const char *position, struct error *err)
{
    struct files_group g = files_group_find(p->list, p->config, p->want->stream->name, p->run->mem);
    int rc;

    if (!g.n)
        return error_set(err, ERR_NOT_FOUND, "there is no file for the stream \"%s\" any more",
                         p->want->stream->name);
    if (position && file_position_parse(position, p->run->mem, &p->position, err) < 0)
        return -1;
    if (!p->full)
        forget_gone(p, &g);
    rc = p->full ? read_full(p, &g, err) : read_incremental(p, &g, err);
    return rc < 0 ? -1 : finish(p, err);
}

static int pull_stream(struct pull *p, const struct stream_request *req, struct error *err)
{
    int rc;

    p->want = req->want;
    p->full = req->want->sync_mode == SYNC_FULL_REFRESH;
    bind_init(&p->bind, req->want, files_declared_type, p->config, p->run->mem, p->run->log);
    p->rows = batch_new(p->bind.schema);
    p->before = hash_new();
    p->text = BUF_INIT(POSITION_MAX_BYTES);
    rc = read_stream(p, req->position, err);
    batch_free(p->rows);
    hash_free(p->before);
    buf_release(&p->text);
    return rc;
}

int files_read(const void *config, struct run *run, const struct read_request *req,
               struct sink *out, struct error *err)
{
    struct files_list l = {.dir = -1};

    if (files_list_open(config, run, &l, err) < 0)
        return -1;
    for (size_t i = 0; i < req->n; i++) {
        struct pull p = {.config = config, .run = run, .list = &l, .out = out, .stream = i};
        struct error why = ERROR_INIT;

        if (sink_begin(out, i, err) < 0)
            break;
        if (pull_stream(&p, &req->streams[i], &why) == 0)
            continue;
        if (p.sink_failed || why.code == ERR_CANCELLED) {
            *err = why;
            break;
        }
        if (sink_fail(out, i, &why, err) < 0)
            break;
    }
    files_list_close(&l);
    return err->code == ERR_NONE ? 0 : -1;
}

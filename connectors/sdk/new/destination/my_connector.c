/*
 * my_connector - a destination: a file of JSON lines per stream, and beside it a file that says how
 * much of it counts. What was written behind that is cut off when the file is opened again: rows
 * and position are durable together.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/jsonwrite.h"
#include "connectors/main.h"

CONNECTORD_WRITTEN_FOR(1);

#define MAX_BYTES ((size_t)256 << 20)

struct config {
    const char *path;
};

static const struct option options[] = {
    OPTION(struct config, path, .title = "Folder", .flags = OPTION_REQUIRED | OPTION_PATH, .min = 1,
           .max = 1024, .help = "Where the files go; it must be there.", .example = "/data/out"),
    OPTIONS_END,
};

struct stream_file {
    int fd;        /* -1 = not open */
    int64_t bytes; /* that count */
    struct buf pending;
    struct stream_position last;
    struct counts more; /* since the last commit */
};

struct journal {
    struct destination base; /* first */
    const struct config *config;
    struct run *run;
    const struct write_plan *plan;
    struct stream_file *files;
};

static const char *path_of(struct journal *j, size_t i, const char *end)
{
    return arena_printf(j->run->mem, "%s/%s%s", j->config->path, j->plan->streams[i].alias, end);
}

/* What is durable: {"generation", "seq", "bytes", "position", "read"}. */
static int read_state(struct journal *j, size_t i, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct stream_file *f = &j->files[i];
    char text[65536];
    int fd = open(path_of(j, i, ".state"), O_RDONLY | O_CLOEXEC);
    ssize_t n;

    f->last = (struct stream_position){.generation = 1};
    if (fd < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "opening the state");
    n = read(fd, text, sizeof text);
    close(fd);
    if (n < 0)
        return error_set_errno(err, errno, "reading the state");
    if (doc_parse_trusted(text, (size_t)n, &d, err) < 0)
        return error_wrap(err, "the state of \"%s\"", j->plan->streams[i].alias);
    f->bytes = doc_int(doc_get(d, "bytes"), 0);
    f->last.generation = doc_int(doc_get(d, "generation"), 1);
    f->last.seq = doc_int(doc_get(d, "seq"), 0);
    f->last.counts.read = f->last.counts.inserted = doc_int(doc_get(d, "read"), 0);
    if (doc_string(doc_get(d, "position"), NULL))
        f->last.position = arena_strdup(j->run->mem, doc_string(doc_get(d, "position"), ""));
    return 0;
}

/* In one step: whoever reads finds the old state or the new one. */
static int write_state(struct journal *j, size_t i, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_BYTES);
    const struct stream_file *f = &j->files[i];
    const char *path = path_of(j, i, ".state"), *fresh = path_of(j, i, ".state.new");
    struct jsonw w = JSONW_INIT(&text);
    int fd;

    jsonw_object(&w);
    jsonw_put_int(&w, "generation", f->last.generation);
    jsonw_put_int(&w, "seq", f->last.seq);
    jsonw_put_int(&w, "bytes", f->bytes);
    jsonw_put_int(&w, "read", f->last.counts.read);
    jsonw_put_string(&w, "position", f->last.position);
    jsonw_object_end(&w);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno(err, errno, "creating \"%s\"", fresh);
    if (write(fd, text.data, text.len) != (ssize_t)text.len || fsync(fd) < 0) {
        close(fd);
        return error_set_errno(err, errno, "writing \"%s\"", fresh);
    }
    close(fd);
    return rename(fresh, path) < 0 ? error_set_errno(err, errno, "renaming \"%s\"", fresh) : 0;
}

static int recover(struct destination *d, struct stream_position *out, struct error *err)
{
    struct journal *j = (struct journal *)d;

    for (size_t i = 0; i < j->plan->n; i++) {
        struct stream_file *f = &j->files[i];
        const char *path = path_of(j, i, ".jsonl");
        const char *edited = j->plan->override_positions ? j->plan->override_positions[i] : NULL;
        bool whole = j->plan->streams[i].sync_mode == SYNC_FULL_REFRESH;

        if (read_state(j, i, err) < 0)
            return -1;
        if (edited)
            f->last.position = *edited ? edited : NULL;
        /* Another full refresh begins at the beginning, in a new generation. */
        if (j->plan->restart || (whole && !f->last.position)) {
            f->last =
                (struct stream_position){.generation = f->last.generation + (f->last.seq > 0)};
            f->bytes = 0;
        }
        f->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (f->fd < 0 || ftruncate(f->fd, f->bytes) < 0 || lseek(f->fd, 0, SEEK_END) < 0)
            return error_set_errno(err, errno, "opening \"%s\"", path);
        out[i] = f->last;
    }
    return 0;
}

static int write_rows(struct destination *d, size_t stream, const struct batch *rows,
                      struct error *err)
{
    struct journal *j = (struct journal *)d;
    struct stream_file *f = &j->files[stream];
    const struct schema *schema = batch_schema(rows);
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_BYTES);
    struct jsonw w = JSONW_INIT(&f->pending);
    size_t n_odd, n_rejected;

    batch_odd_cells(rows, &n_odd);
    batch_rejected(rows, &n_rejected);
    if (n_odd || n_rejected) /* yours may put them aside instead */
        return error_set(err, ERR_DATA, "a value of \"%s\" cannot be represented",
                         j->plan->streams[stream].alias);
    for (size_t row = 0; row < batch_rows(rows); row++) {
        jsonw_object(&w);
        for (size_t i = 0; i < schema->n_columns; i++) {
            struct column_view v = batch_column(rows, i);

            jsonw_key(&w, schema->columns[i].name);
            buf_clear(&text);
            if (column_has(&v, row)) {
                batch_cell_text(rows, i, row, &text);
                jsonw_string_n(&w, buf_str(&text), text.len);
            } else {
                jsonw_null(&w);
            }
        }
        jsonw_object_end(&w);
        w.comma = false;
        buf_putc(&f->pending, '\n');
    }
    f->more.read += (int64_t)batch_rows(rows);
    f->more.inserted += (int64_t)batch_rows(rows);
    return buf_ok(&f->pending, "the rows of one commit", err);
}

static int commit_file(struct journal *j, size_t i, const char *position, bool position_counts,
                       const struct counts *dropped, struct counts *out, struct error *err)
{
    struct stream_file *f = &j->files[i];

    for (size_t done = 0; done < f->pending.len;) {
        ssize_t n = write(f->fd, f->pending.data + done, f->pending.len - done);

        if (n < 0)
            return error_set_errno(err, errno, "writing rows");
        done += (size_t)n;
    }
    if (fsync(f->fd) < 0)
        return error_set_errno(err, errno, "writing rows");
    f->bytes += (int64_t)f->pending.len;
    f->more.read += dropped->filtered + dropped->overlap_dropped;
    f->more.filtered += dropped->filtered;
    f->more.overlap_dropped += dropped->overlap_dropped;
    counts_add(&f->last.counts, &f->more);
    f->last.seq++;
    if (position_counts)
        f->last.position = position ? arena_strdup(j->run->mem, position) : NULL;
    if (write_state(j, i, err) < 0)
        return -1;
    *out = f->more;
    f->more = (struct counts){0};
    buf_clear(&f->pending);
    return 0;
}

static int commit(struct destination *d, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err)
{
    struct journal *j = (struct journal *)d;

    for (size_t i = 0; i < j->plan->n; i++) {
        if (commit_file(j, i, upto[i], upto[i] != NULL, &dropped[i], &out[i], err) < 0)
            return -1;
    }
    return 0;
}

static int finish(struct destination *d, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err)
{
    struct journal *j = (struct journal *)d;
    bool whole = j->plan->streams[stream].sync_mode == SYNC_FULL_REFRESH;

    return commit_file(j, stream, whole ? NULL : position, true, dropped, out, err);
}

static void close_journal(struct destination *d)
{
    struct journal *j = (struct journal *)d;

    for (size_t i = 0; i < j->plan->n; i++) {
        if (j->files[i].fd >= 0)
            close(j->files[i].fd);
        buf_release(&j->files[i].pending);
    }
    free(j);
}

static const struct destination_ops ops = {recover, write_rows, commit, finish, close_journal};

static int open_journal(const void *config, struct run *run, const struct write_plan *plan,
                        struct destination **out, struct error *err)
{
    struct journal *j = xalloc(sizeof *j);

    for (size_t i = 0; i < plan->n; i++) { /* it becomes the name of a file */
        if (strchr(plan->streams[i].alias, '/') || plan->streams[i].alias[0] == '.') {
            free(j);
            return error_set(err, ERR_CONFIG, "\"%s\" cannot be the name of a file",
                             plan->streams[i].alias);
        }
    }
    *j = (struct journal){{&ops}, config, run, plan, NULL};
    j->files = arena_array(run->mem, plan->n + 1, sizeof *j->files);
    for (size_t i = 0; i < plan->n; i++)
        j->files[i] = (struct stream_file){.fd = -1, .pending = BUF_INIT(MAX_BYTES)};
    *out = &j->base;
    return 0;
}

static int check(const void *config, struct run *run, struct error *err)
{
    const struct config *c = config;

    (void)run;
    return access(c->path, W_OK) < 0 ? error_set_errno(err, errno, "the folder \"%s\"", c->path)
                                     : 0;
}

static int clear(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err)
{
    struct journal j = {.config = config, .run = run, .plan = plan};

    (void)err;
    for (size_t i = 0; i < plan->n; i++) {
        unlink(path_of(&j, i, ".state"));
        unlink(path_of(&j, i, ".jsonl"));
    }
    return 0;
}

const struct destination_connector destination_my_connector = {
    .name = "my_connector",
    .title = "my_connector",
    .docs = "What it writes, for people.",
    .options = options,
    .config_size = sizeof(struct config),
    .write_modes = 1u << WRITE_OVERWRITE | 1u << WRITE_APPEND,
    .delivery = "exactly_once",
    .check = check,
    .open = open_journal,
    .clear = clear,
};

#ifndef TESTED /* the test has a main of its own */
int main(int argc, char **argv)
{
    return connector_main(argc, argv, &destination_my_connector);
}
#endif

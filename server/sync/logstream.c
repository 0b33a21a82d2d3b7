#include "server/sync/logstream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/redact.h"
#include "connectors/base/text.h"
#include "server/sync/event.h"
#include "server/sync/logstream_internal.h"

/* The receiver that connectors get: it knows whose line it is. */
struct origin_log {
    struct log log; /* first */
    struct logstream *stream;
    const char *origin;
};

#define MAX_TEXTS ((size_t)16 << 20) /* of one line before it is cut */

#define ORIGINS 3
static const char *const origins[ORIGINS] = {"source", "destination", "engine"};

struct logstream {
    struct logstreams *all;
    struct log_entry *entry;
    pthread_mutex_t mutex;    /* of the order of lines */
    struct redactor *secrets; /* NULL = none */
    struct buf line;
    struct origin_log logs[ORIGINS];
};

/* -------------------------------------------------------------------- the table */

static void file_name(int64_t run, char out[static 48])
{
    snprintf(out, 48, "%lld.ndjson", (long long)run);
}

static struct log_entry **bucket_of(struct logstreams *all, int64_t run)
{
    return &all->buckets[(uint64_t)run % LOGSTREAMS_BUCKETS];
}

static struct log_entry *find_locked(struct logstreams *all, int64_t run)
{
    struct log_entry *e = *bucket_of(all, run);

    while (e && e->run != run)
        e = e->next;
    return e;
}

static struct log_entry *add_locked(struct logstreams *all, int64_t run)
{
    struct log_entry **bucket = bucket_of(all, run);
    struct log_entry *e = xalloc(sizeof *e);

    e->run = run;
    e->fd = -1;
    e->next = *bucket;
    *bucket = e;
    return e;
}

static void release_locked(struct logstreams *all, struct log_entry *e)
{
    struct log_entry **link = bucket_of(all, e->run);

    if (--e->refs > 0)
        return;
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    if (e->fd >= 0)
        close(e->fd);
    free(e);
}

struct log_entry *log_entry_find(struct logstreams *all, int64_t run)
{
    LOCK_GUARD(&all->mutex);
    struct log_entry *e = find_locked(all, run);

    if (e)
        e->refs++;
    return e;
}

void log_entry_release(struct logstreams *all, struct log_entry *e)
{
    LOCK_GUARD(&all->mutex);

    release_locked(all, e);
}

static int open_file(struct logstreams *all, int64_t run, int flags, int *out, struct error *err)
{
    char name[48];
    int fd;

    file_name(run, name);
    fd = openat(all->dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == ENOENT)
        return error_set_reason(err, ERR_NOT_FOUND, "log_expired",
                                "the log of run %lld is no longer kept", (long long)run);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the log of run %lld", (long long)run);
    *out = fd;
    return 0;
}

int log_entry_open(struct logstreams *all, int64_t run, struct log_entry **out, struct error *err)
{
    int64_t size, seq;
    int fd;
    LOCK_GUARD(&all->mutex);
    struct log_entry *e = find_locked(all, run);

    if (!e) {
        if (open_file(all, run, O_RDONLY, &fd, err) < 0)
            return -1;
        if (log_file_end(fd, &size, &seq, err) < 0) {
            close(fd);
            return -1;
        }
        e = add_locked(all, run);
        e->fd = fd;
        e->size = size;
        e->last_seq = seq;
        e->over = true;
    }
    e->refs++;
    *out = e;
    return 0;
}

void logstreams_expect(struct logstreams *all, int64_t run)
{
    LOCK_GUARD(&all->mutex);
    struct log_entry *e = find_locked(all, run);

    if (e)
        return;
    e = add_locked(all, run);
    e->expected = true;
    e->refs++;
}

int logstreams_open(const char *directory, void (*notify)(void *arg), void *arg,
                    struct logstreams **out, struct error *err)
{
    struct logstreams *all;
    int fd;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "creating the directory \"%s\"", directory);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the directory \"%s\"", directory);
    all = xalloc(sizeof *all);
    pthread_mutex_init(&all->mutex, NULL);
    all->dir_fd = fd;
    all->notify = notify;
    all->arg = arg;
    *out = all;
    return 0;
}

void logstreams_close(struct logstreams *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < LOGSTREAMS_BUCKETS; i++) {
        while (all->buckets[i]) {
            all->buckets[i]->refs = 1; /* announced runs that never began */
            release_locked(all, all->buckets[i]);
        }
    }
    close(all->dir_fd);
    pthread_mutex_destroy(&all->mutex);
    free(all);
}

void logstreams_remove(struct logstreams *all, int64_t run)
{
    char name[48];

    file_name(run, name);
    unlinkat(all->dir_fd, name, 0);
}

void logstreams_drain(struct logstreams *all)
{
    all->draining = true;
    all->notify(all->arg);
}

int64_t logstreams_followers(const struct logstreams *all)
{
    return all->n_followers;
}

/* ------------------------------------------------------------------- one writer */

static struct logstream *lock_of(struct logstream *l)
{
    pthread_mutex_lock(&l->mutex);
    buf_clear(&l->line);
    return l;
}

/*
 * The line becomes readable as a whole or not at all: on a full disk what was written of it is cut
 * off again, and the number is used for the next one. A run never fails for its log.
 */
static void write_line_and_unlock(struct logstream *l)
{
    struct log_entry *e = l->entry;
    bool done = !l->line.failed && write(e->fd, l->line.data, l->line.len) == (ssize_t)l->line.len;

    if (done) {
        e->last_seq++;
        e->size += (int64_t)l->line.len;
    } else if (ftruncate(e->fd, e->size) < 0) {
        /* The torn line stays behind `size`, where followers do not look. */
        done = false;
    }
    pthread_mutex_unlock(&l->mutex);
    if (done)
        l->all->notify(l->all->arg);
}

static void emit(struct log *log, enum log_level level, const struct log_line *line)
{
    CLEANUP(buf_release) struct buf texts = BUF_INIT(MAX_TEXTS);
    struct origin_log *o = (struct origin_log *)log;
    struct logstream *l = o->stream;
    struct log_line clean;

    redactor_line(l->secrets, line, &texts, &clean);
    lock_of(l);
    event_put_log(&l->line, l->entry->last_seq + 1, clock_unix_us(), level, o->origin, &clean);
    write_line_and_unlock(l);
}

void logstream_keep_out(struct logstream *l, struct redactor *secrets)
{
    l->secrets = secrets;
}

struct log *logstream_log(struct logstream *l, const char *origin)
{
    for (size_t i = 0; i < ORIGINS; i++) {
        if (!strcmp(origins[i], origin))
            return &l->logs[i].log;
    }
    abort();
}

void logstream_event(struct logstream *l, const char *type, const char *members)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(MAX_TEXTS);

    redactor_put_json(l->secrets, &clean, members, strlen(members));
    lock_of(l);
    event_put(&l->line, l->entry->last_seq + 1, clock_unix_us(), type, buf_str(&clean));
    write_line_and_unlock(l);
}

/* Makes the file of an entry writable behind its last whole line. */
static int open_for_writing(struct logstreams *all, struct log_entry *e, struct error *err)
{
    int64_t size, seq;
    int fd, old = e->fd;

    if (open_file(all, e->run, O_RDWR | O_CREAT | O_APPEND, &fd, err) < 0)
        return -1;
    if (log_file_end(fd, &size, &seq, err) < 0) {
        close(fd);
        return -1;
    }
    if (ftruncate(fd, size) < 0) {
        error_set_errno(err, errno, "cutting off a torn line of a log");
        close(fd);
        return -1;
    }
    e->size = size;
    e->last_seq = seq;
    e->over = false;
    e->fd = fd;
    if (old >= 0)
        close(old);
    return 0;
}

int logstream_open(struct logstreams *all, int64_t run, struct logstream **out, struct error *err)
{
    LOCK_GUARD(&all->mutex);
    struct log_entry *e = find_locked(all, run);
    struct logstream *l;

    if (!e)
        e = add_locked(all, run);
    if (!e->expected)
        e->refs++;
    e->expected = false; /* the reference of the announcement becomes the writer's */
    if (open_for_writing(all, e, err) < 0) {
        release_locked(all, e);
        return -1;
    }
    l = xalloc(sizeof *l);
    l->all = all;
    l->entry = e;
    l->line = BUF_INIT(8 * LOGSTREAM_MAX_LINE);
    pthread_mutex_init(&l->mutex, NULL);
    for (size_t i = 0; i < ORIGINS; i++)
        l->logs[i] = (struct origin_log){{.emit = emit, .threshold = LOG_INFO}, l, origins[i]};
    *out = l;
    return 0;
}

void logstream_close(struct logstream *l)
{
    struct logstreams *all;

    if (!l)
        return;
    all = l->all;
    fdatasync(l->entry->fd);
    l->entry->over = true;
    all->notify(all->arg);
    log_entry_release(all, l->entry);
    buf_release(&l->line);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

/* -------------------------------------------------------------------- retention */

struct log_file {
    int64_t run, modified_s, bytes;
};

static int by_run(const void *a, const void *b)
{
    const struct log_file *x = a, *y = b;

    return (x->run > y->run) - (x->run < y->run);
}

/* True when the name is one of ours. */
static bool run_of_name(const char *name, int64_t *out)
{
    const char *dot = strchr(name, '.');

    return dot && !strcmp(dot, ".ndjson") && text_to_int64(name, (size_t)(dot - name), out);
}

static struct log_file *list_files(struct logstreams *all, DIR *dir, size_t *out_n)
{
    struct log_file *files = NULL;
    size_t n = 0, cap = 0;
    const struct dirent *d;

    while ((d = readdir(dir))) {
        struct stat st;
        int64_t run;

        if (!run_of_name(d->d_name, &run) || fstatat(all->dir_fd, d->d_name, &st, 0) < 0)
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            files = xrealloc(files, cap * sizeof *files);
        }
        files[n++] = (struct log_file){run, st.st_mtim.tv_sec, st.st_size};
    }
    if (n > 0)
        qsort(files, n, sizeof *files, by_run);
    *out_n = n;
    return files;
}

static bool is_in_use(struct logstreams *all, int64_t run)
{
    struct log_entry *e = log_entry_find(all, run);

    if (!e)
        return false;
    log_entry_release(all, e);
    return true;
}

int logstreams_retain(struct logstreams *all, int64_t max_age_s, int64_t max_bytes,
                      struct error *err)
{
    int64_t oldest_s = clock_unix_us() / 1000000 - max_age_s, total = 0;
    int fd = openat(all->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct log_file *files;
    size_t n;

    if (!dir) {
        int why = errno;

        if (fd >= 0)
            close(fd);
        return error_set_errno(err, why, "reading the directory of logs");
    }
    files = list_files(all, dir, &n);
    closedir(dir);
    for (size_t i = 0; i < n; i++)
        total += files[i].bytes;
    for (size_t i = 0; i < n; i++) {
        bool old = max_age_s > 0 && files[i].modified_s < oldest_s;
        bool too_much = max_bytes > 0 && total > max_bytes;

        if ((!old && !too_much) || is_in_use(all, files[i].run))
            continue;
        logstreams_remove(all, files[i].run);
        total -= files[i].bytes;
    }
    free(files);
    return 0;
}

#include "connectors/files/list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/roots.h"

DEFINE_CLEANUP(DIR *, dir_cleanup, closedir);

/* The path in two: folder and last part. */
struct place {
    const char *folder, *last;
};

static bool is_pattern(const char *s)
{
    return strpbrk(s, "*?[") != NULL;
}

static struct place split(struct arena *mem, const char *path)
{
    size_t n = strlen(path);
    const char *slash;

    while (n > 1 && path[n - 1] == '/')
        n--;
    path = arena_memdup(mem, path, n);
    slash = strrchr(path, '/');
    if (!slash)
        return (struct place){".", path};
    if (slash == path)
        return (struct place){"/", path + 1};
    return (struct place){arena_memdup(mem, path, (size_t)(slash - path)), slash + 1};
}

static int open_folder(const char *path, struct files_list *l, struct error *err)
{
    l->folder = path;
    return roots_open_folder(path, &l->dir, err);
}

static struct files_entry *add(struct files_list *l, size_t *cap, struct arena *mem)
{
    struct files_entry *grown;

    if (l->n < *cap)
        return &l->entries[l->n++];
    *cap = *cap ? 2 * *cap : 64;
    grown = arena_array(mem, *cap, sizeof *grown);
    if (l->n)
        memcpy(grown, l->entries, l->n * sizeof *grown);
    l->entries = grown;
    return &l->entries[l->n++];
}

static void fill(struct files_entry *e, const char *name, const struct stat *st, struct arena *mem)
{
    e->name = arena_strdup(mem, name);
    e->stem = files_stem(mem, name);
    e->size = st->st_size;
    e->mtime_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

/* Why a name of the folder is passed over; NULL when it is taken. */
static const char *why_not(const struct files_config *c, const char *name, const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "a symbolic link";
    if (!S_ISREG(st->st_mode))
        return "no regular file";
    if (!strcmp(c->format, "auto") && files_format_of(name) == FILES_UNKNOWN)
        return "its name tells no format";
    return NULL;
}

static int add_if_wanted(const struct files_config *c, struct run *run, const char *name,
                         struct files_list *l, size_t *cap, struct error *err)
{
    const char *reason;
    struct stat st;

    if (fstatat(l->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0; /* it has just gone */
        return error_set_errno(err, errno, "looking at \"%s\"", name);
    }
    reason = why_not(c, name, &st);
    if (reason) {
        if (l->n_passed++ < LIST_MAX_LINES)
            log_info(run->log, .message = "a file is passed over",
                     .fields = {log_text("file", name), log_text("reason", reason)});
        return 0;
    }
    if (l->n == LIST_MAX_FILES)
        return error_set(err, ERR_TOO_LARGE, "\"%s\" has more than %d files", l->folder,
                         LIST_MAX_FILES);
    fill(add(l, cap, run->mem), name, &st, run->mem);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct files_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* `pattern` NULL takes every name. */
static int scan_folder(const struct files_config *c, struct run *run, const char *pattern,
                       struct files_list *l, struct error *err)
{
    int fd = openat(l->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(dir_cleanup) DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    size_t cap = 0;

    if (!d) {
        error_set_errno(err, errno, "listing \"%s\"", l->folder);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while ((errno = 0, e = readdir(d))) {
        if (e->d_name[0] == '.' || (pattern && fnmatch(pattern, e->d_name, FNM_PERIOD) != 0))
            continue;
        if (cancel_check(run->cancel, err) < 0 ||
            add_if_wanted(c, run, e->d_name, l, &cap, err) < 0)
            return -1;
    }
    if (errno)
        return error_set_errno(err, errno, "listing \"%s\"", l->folder);
    if (l->n_passed > LIST_MAX_LINES)
        log_info(run->log, .message = "more files are passed over",
                 .fields = {log_int("files", (int64_t)(l->n_passed - LIST_MAX_LINES))});
    if (!l->n && pattern)
        return error_set_reason(err, ERR_NOT_FOUND, "no_files", "no file in \"%s\" matches \"%s\"",
                                l->folder, pattern);
    if (!l->n)
        return error_set_reason(err, ERR_NOT_FOUND, "no_files",
                                "the folder \"%s\" has no CSV or NDJSON files", l->folder);
    qsort(l->entries, l->n, sizeof *l->entries, by_name);
    return 0;
}

static int one_file(struct run *run, const char *path, const char *name, const struct stat *st,
                    struct files_list *l, struct error *err)
{
    size_t cap = 0;

    if (!S_ISREG(st->st_mode))
        return error_set(err, ERR_CONFIG, "\"%s\" is neither a regular file nor a folder", path);
    fill(add(l, &cap, run->mem), name, st, run->mem);
    l->stem = l->entries[0].stem;
    return 0;
}

static const char *stem_of_folder(struct arena *mem, const char *folder)
{
    const char *last = split(mem, folder).last;

    return *last && strcmp(last, ".") != 0 && strcmp(last, "..") != 0 ? last : "files";
}

/* What stands at the path; *out_mode 0 = nothing. The folder it is in stays open. */
static int look(const char *path, struct run *run, struct files_list *l, mode_t *out_mode,
                struct stat *out, struct error *err)
{
    const char *name;

    if (roots_open_parent(path, run->mem, &l->dir, &name, err) < 0)
        return -1;
    *out_mode = 0;
    if (fstatat(l->dir, *name ? name : ".", out, roots_limited() ? AT_SYMLINK_NOFOLLOW : 0) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "opening \"%s\"", path);
    *out_mode = out->st_mode;
    return 0;
}

static int find_files(const struct files_config *c, struct run *run, struct files_list *l,
                      struct error *err)
{
    struct place place = split(run->mem, c->path);
    bool wild = is_pattern(place.last);
    struct stat st;
    mode_t mode;

    if (look(c->path, run, l, &mode, &st, err) < 0) {
        if (err->code != ERR_NOT_FOUND || !is_pattern(place.folder))
            return -1;
        *err = ERROR_INIT;
        return error_set(err, ERR_CONFIG,
                         "\"%s\": wildcards may stand in the last part of the path only", c->path);
    }
    l->folder = place.folder;
    /* A file may really be called "a[1].csv". */
    if (mode == 0 && !wild)
        return error_set(err, ERR_NOT_FOUND, "the path \"%s\" does not exist", c->path);
    if (mode == 0) {
        l->stem = stem_of_folder(run->mem, place.folder);
        return scan_folder(c, run, place.last, l, err);
    }
    if (!S_ISDIR(mode))
        return one_file(run, c->path, place.last, &st, l, err);
    l->stem = stem_of_folder(run->mem, c->path);
    files_list_close(l);
    if (open_folder(arena_strdup(run->mem, c->path), l, err) < 0)
        return -1;
    return scan_folder(c, run, NULL, l, err);
}

int files_list_open(const struct files_config *c, struct run *run, struct files_list *out,
                    struct error *err)
{
    struct files_list l = {.dir = -1};

    if (!c->path || !*c->path)
        return error_set(err, ERR_CONFIG, "\"path\" is empty");
    if (find_files(c, run, &l, err) < 0) {
        files_list_close(&l);
        return -1;
    }
    if (c->stream && *c->stream)
        l.stem = c->stream;
    *out = l;
    return 0;
}

void files_list_close(struct files_list *l)
{
    if (l->dir >= 0)
        close(l->dir);
    l->dir = -1;
}

const char *files_list_stream(const struct files_list *l, const struct files_config *c, size_t i)
{
    return c->one_stream_per_file ? l->entries[i].stem : l->stem;
}

/* What no manifest names, or no reader needs any more, is removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/text.h"
#include "connectors/files/manifest.h"
#include "connectors/files/output.h"

DEFINE_CLEANUP(DIR *, dir_cleanup, closedir);

static DIR *open_folder(int root, const char *folder)
{
    int fd = openat(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? NULL : fdopendir(fd);
}

static bool ten_digits(const char *s, int64_t *out)
{
    return strlen(s) >= 10 && text_to_int64(s, 10, out) && s[0] != '-';
}

/* Which files of a folder are meant. */
struct meant {
    const char *prefix; /* in front of the number */
    int64_t from, to;   /* the number; behind it stands '-' and no other */
};

static bool is_meant(const struct meant *m, const char *name)
{
    size_t n = strlen(m->prefix);
    int64_t number;

    return !strncmp(name, m->prefix, n) && ten_digits(name + n, &number) && number >= m->from &&
           number <= m->to && name[n + 10] == '-' && !strchr(name + n + 11, '-');
}

static void remove_meant(int root, const char *folder, const struct meant *m, struct log *log)
{
    CLEANUP(dir_cleanup) DIR *d = open_folder(root, folder);

    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (!is_meant(m, e->d_name) || unlinkat(dirfd(d), e->d_name, 0) == 0)
            continue;
        log_warn(log, .message = "a leftover file could not be removed",
                 .fields = {log_text("folder", folder), log_text("file", e->d_name)});
    }
}

/* Hidden names in a folder of manifests. */
static void remove_drafts(int root, const char *folder)
{
    CLEANUP(dir_cleanup) DIR *d = open_folder(root, folder);

    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] == '.' && strlen(e->d_name) > 2)
            unlinkat(dirfd(d), e->d_name, 0);
    }
}

/* "users-0000000001-", in front of the number of a quarantine file. A stream called
 * "users-0000000001" has files that begin so as well: what follows their number tells them apart.
 */
static const char *quarantine_prefix(struct arena *mem, const char *stream, int64_t generation)
{
    return arena_printf(mem, "%s-%010lld-", stream, (long long)generation);
}

void manifest_sweep(int root, const char *stream, int64_t generation, int64_t from, int64_t to,
                    struct log *log)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct meant data = {.prefix = "", .from = from, .to = to};
    struct meant quarantine = {
        .prefix = quarantine_prefix(mem, stream, generation), .from = from, .to = to};

    remove_meant(root, manifest_data_folder(mem, stream, generation), &data, log);
    remove_meant(root, MANIFEST_QUARANTINE, &quarantine, log);
    remove_drafts(root, manifest_folder(mem, stream, generation));
}

/* Every file of a folder, then the folder. */
static void remove_folder(int root, const char *folder, struct log *log)
{
    CLEANUP(dir_cleanup) DIR *d = open_folder(root, folder);

    if (!d)
        return;
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (unlinkat(root, folder, AT_REMOVEDIR) < 0)
        log_warn(log, .message = "an old generation could not be removed",
                 .fields = {log_text("folder", folder)});
}

void manifest_remove_generation(int root, const char *stream, int64_t generation, struct log *log)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    remove_folder(root, manifest_data_folder(mem, stream, generation), log);
    manifest_sweep(root, stream, generation, 0, INT64_MAX, log);
    remove_folder(root, manifest_folder(mem, stream, generation), log);
}

void manifest_remove_old(int root, const char *stream, int64_t keep, int64_t keep_too,
                         struct log *log)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(dir_cleanup)
    DIR *d = open_folder(root, arena_printf(mem, MANIFEST_FOLDER "/%s", stream));

    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        int64_t generation;

        if (strlen(e->d_name) == 10 && ten_digits(e->d_name, &generation) && generation < keep &&
            generation != keep_too)
            manifest_remove_generation(root, stream, generation, log);
    }
}

int manifest_remove_all(int root, const char *stream, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *folder = arena_printf(mem, MANIFEST_FOLDER "/%s", stream);

    manifest_remove_old(root, stream, INT64_MAX, -1, &log_nowhere);
    unlinkat(root, arena_printf(mem, "%s/current", stream), 0);
    if (unlinkat(root, stream, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "removing the folder \"%s\"", stream);
    unlinkat(root, arena_printf(mem, "%s/live.json", folder), 0);
    if (unlinkat(root, folder, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "removing the folder \"%s\"", folder);
    return 0;
}

/* Manifests in their folders: found, read, created, made live. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/failpoint.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "connectors/files/manifest.h"
#include "connectors/files/output.h"

#define LOCK_TRIES   50
#define LOCK_WAIT_MS 100

DEFINE_CLEANUP(DIR *, dir_cleanup, closedir);

/* The number at the beginning of a name of ten digits and `suffix`; -1 for other names. */
static int64_t number_of(const char *name, const char *suffix)
{
    int64_t v;

    if (strlen(name) != 10 + strlen(suffix) || strcmp(name + 10, suffix) != 0 ||
        !text_to_int64(name, 10, &v))
        return -1;
    return v;
}

/* The highest number below `below` in a folder, -1 when there is none or no folder. */
static int find_highest(int root, const char *folder, const char *suffix, int64_t below,
                        int64_t *out, struct error *err)
{
    int fd = openat(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(dir_cleanup) DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    *out = -1;
    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return error_set_errno(err, errno, "reading the folder \"%s\"", folder);
    while ((errno = 0, e = readdir(d))) {
        int64_t n = number_of(e->d_name, suffix);

        if (n > *out && n < below)
            *out = n;
    }
    return errno ? error_set_errno(err, errno, "reading the folder \"%s\"", folder) : 0;
}

static int read_text(int root, const char *path, struct buf *out, struct error *err)
{
    CLEANUP(output_close_folder) int fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t got = 1;

    if (fd < 0 && errno == ENOENT)
        return 1;
    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    while (got > 0) {
        char *room = buf_reserve(out, 1 << 16);

        if (!room)
            break;
        got = read(fd, room, 1 << 16);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0)
            return error_set_errno(err, errno, "reading \"%s\"", path);
        else
            out->len += (size_t)got;
    }
    return buf_ok(out, path, err);
}

static int read_one(int root, const char *stream, int64_t generation, int64_t number,
                    struct arena *mem, struct manifest *out, char digest[static 65],
                    struct error *err)
{
    const char *path = arena_printf(mem, "%s/%010lld.json",
                                    manifest_folder(mem, stream, generation), (long long)number);
    struct buf text = BUF_INIT(MANIFEST_MAX_BYTES);
    struct error why = ERROR_INIT;
    int rc = read_text(root, path, &text, err);

    if (rc == 0) {
        hash_bytes_hex(text.data, text.len, digest);
        if (manifest_parse(buf_str(&text), text.len, mem, out, &why) < 0)
            rc = error_set_reason(err, ERR_DATA, "damaged_manifest", "\"%s\" is damaged: %s", path,
                                  why.message);
    }
    buf_release(&text);
    return rc;
}

int manifest_read(int root, const char *stream, int64_t generation, int64_t number,
                  struct arena *mem, struct manifest *out, struct error *err)
{
    char digest[65];

    return read_one(root, stream, generation, number, mem, out, digest, err);
}

/* The last manifest of a generation; 1 when the generation is empty. */
static int read_last(int root, const char *stream, int64_t generation, struct arena *mem,
                     struct manifest *out, char digest[static 65], struct error *err)
{
    int64_t number;

    if (find_highest(root, manifest_folder(mem, stream, generation), ".json", INT64_MAX, &number,
                     err) < 0)
        return -1;
    if (number < 0)
        return 1;
    return read_one(root, stream, generation, number, mem, out, digest, err);
}

int manifest_find(int root, const char *stream, struct arena *mem, struct manifest_state *out,
                  struct error *err)
{
    const char *folder = arena_printf(mem, MANIFEST_FOLDER "/%s", stream);
    struct manifest_state state = {0};
    int64_t generation = INT64_MAX;

    for (;;) {
        struct manifest m;
        char digest[65];
        int rc;

        if (find_highest(root, folder, "", generation, &generation, err) < 0)
            return -1;
        if (generation < 0)
            break;
        rc = read_last(root, stream, generation, mem, &m, digest, err);
        if (rc < 0)
            return -1;
        if (rc > 0)
            continue; /* died before its first manifest */
        if (!state.exists) {
            state.newest = m;
            memcpy(state.newest_digest, digest, sizeof digest);
            state.exists = true;
        }
        if (m.live) {
            state.live = m;
            state.has_live = true;
            break;
        }
    }
    *out = state;
    return 0;
}

/* ------------------------------------------------------------------ creating */

int manifest_prepare(int root, const char *stream, const struct manifest *m,
                     struct manifest_draft *out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *folder = manifest_folder(mem, stream, m->generation);
    struct manifest_draft d = {.dir = -1};
    struct buf text = BUF_INIT(MANIFEST_MAX_BYTES);
    unsigned char salt[8];
    char hex[17];
    int rc;

    hash_random(salt, sizeof salt);
    text_hex(salt, sizeof salt, hex);
    snprintf(d.temporary, sizeof d.temporary, ".%s.part", hex);
    snprintf(d.name, sizeof d.name, "%010lld.json", (long long)m->number);
    d.dir = openat(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d.dir < 0 && errno == ENOENT)
        return error_set(err, ERR_FENCED, "another writer has removed generation %lld of \"%s\"",
                         (long long)m->generation, stream);
    if (d.dir < 0)
        return error_set_errno(err, errno, "opening \"%s\"", folder);
    manifest_write(m, &text);
    rc = buf_ok(&text, "the manifest", err);
    if (rc == 0) {
        hash_bytes_hex(text.data, text.len, d.digest);
        rc = output_put_new(d.dir, folder, d.temporary, text.data, text.len, err);
    }
    buf_release(&text);
    if (rc < 0)
        output_close_folder(&d.dir);
    else
        *out = d;
    return rc;
}

int manifest_publish(struct manifest_draft *d, struct error *err)
{
    int rc = failpoint("manifest_before_link", err);

    if (rc == 0 && linkat(d->dir, d->temporary, d->dir, d->name, 0) < 0) {
        if (errno == EEXIST || errno == ENOENT)
            rc = error_set(err, ERR_FENCED, "another writer has taken over: \"%s\" is its commit",
                           d->name);
        else
            rc = error_set_errno(err, errno, "committing \"%s\"", d->name);
    }
    d->linked = rc == 0;
    if (rc == 0)
        rc = failpoint("manifest_after_link", err);
    if (rc == 0)
        rc = output_sync_folder(d->dir, d->name, err);
    manifest_discard(d);
    return rc;
}

void manifest_discard(struct manifest_draft *d)
{
    if (d->dir < 0)
        return;
    unlinkat(d->dir, d->temporary, 0);
    output_close_folder(&d->dir);
}

int manifest_make_generation(int root, const char *stream, int64_t generation, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();

    if (output_make_folders(root, ".", manifest_folder(mem, stream, generation), err) < 0)
        return -1;
    return output_make_folders(root, ".", manifest_data_folder(mem, stream, generation), err);
}

/* A convenience for shells: <stream>/current. Where links do not exist there is none. */
static void link_current(int root, const char *stream, int64_t generation)
{
    CLEANUP(output_close_folder)
    int dir = openat(root, stream, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char target[24];

    if (dir < 0)
        return;
    snprintf(target, sizeof target, "g%010lld", (long long)generation);
    unlinkat(dir, ".current.part", 0);
    if (symlinkat(target, dir, ".current.part") == 0 &&
        renameat(dir, ".current.part", dir, "current") < 0)
        unlinkat(dir, ".current.part", 0);
}

static bool has_text(int dir, const char *name, const char *text)
{
    struct buf have = BUF_INIT(1 << 20);
    struct error ignored = ERROR_INIT;
    bool same = read_text(dir, name, &have, &ignored) == 0 && !strcmp(buf_str(&have), text);

    buf_release(&have);
    return same;
}

int manifest_set_live(int root, const char *stream, int64_t generation, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *folder = arena_printf(mem, MANIFEST_FOLDER "/%s", stream);
    CLEANUP(output_close_folder) int dir = -1;
    const char *text =
        arena_printf(mem, "{\"generation\":%lld,\"directory\":\"%010lld\",\"data\":\"g%010lld\"}\n",
                     (long long)generation, (long long)generation, (long long)generation);

    if (output_open_folder(root, ".", folder, &dir, err) < 0)
        return -1;
    if (has_text(dir, "live.json", text))
        return 0;
    if (failpoint("before_swap", err) < 0 ||
        output_replace(dir, folder, "live.json", text, strlen(text), err) < 0)
        return -1;
    link_current(root, stream, generation);
    return failpoint("after_swap", err);
}

int manifest_lock(int root, const char *stream, const struct cancel *cancel, int *out,
                  struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    int dir, rc = -1;

    if (output_open_folder(root, ".", arena_printf(mem, MANIFEST_FOLDER "/%s", stream), &dir, err) <
        0)
        return -1;
    for (int i = 0; i < LOCK_TRIES && rc < 0; i++) {
        rc = flock(dir, LOCK_EX | LOCK_NB);
        if (rc < 0 && errno != EWOULDBLOCK && errno != EINTR)
            break; /* no locks here: manifests alone keep writers apart */
        if (rc < 0 && cancel_sleep_ms(cancel, LOCK_WAIT_MS, err) < 0) {
            close(dir);
            return -1;
        }
    }
    if (rc < 0 && errno == EWOULDBLOCK) {
        close(dir);
        return error_set(err, ERR_CONTENTION, "another writer holds the stream \"%s\"", stream);
    }
    *out = dir;
    return 0;
}

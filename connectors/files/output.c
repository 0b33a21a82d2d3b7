#include "connectors/files/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "connectors/base/arena.h"
#include "connectors/base/failpoint.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define ZSTD_LEVEL  3
#define PART        ".part"

struct output {
    int fd, dir;
    char *folder, *name, *part;
    bool exists; /* NAME.part is there and ours */
    enum files_compression compression;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    char *chunk; /* compressed bytes */
    struct hash_stream *hash;
    int64_t size;
};

static int failed(const struct output *o, const char *what, struct error *err)
{
    return error_set_errno(err, errno, "%s \"%s/%s\"", what, o->folder, o->name);
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t put = write(fd, p, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

/* In two halves, so that a test can die between them. */
static int put_stored(struct output *o, const char *p, size_t n, struct error *err)
{
    if (!n)
        return 0;
    hash_update(o->hash, p, n);
    o->size += (int64_t)n;
    if (write_all(o->fd, p, n / 2) < 0)
        return failed(o, "writing", err);
    if (failpoint("manifest_data_half", err) < 0)
        return -1;
    return write_all(o->fd, p + n / 2, n - n / 2) < 0 ? failed(o, "writing", err) : 0;
}

static int begin_stream(struct output *o, struct error *err)
{
    bool ok = true;

    if (o->compression == FILES_GZIP) {
        ok = deflateInit2(&o->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                          Z_DEFAULT_STRATEGY) == Z_OK;
        if (!ok)
            o->compression = FILES_PLAIN; /* nothing to end */
    } else if (o->compression == FILES_ZSTD) {
        o->zstd = ZSTD_createCCtx();
        ok = o->zstd &&
             !ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
             !ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_checksumFlag, 1));
    }
    return ok ? 0 : error_set(err, ERR_RESOURCE, "no memory to compress \"%s\"", o->name);
}

int output_create(int dir, const char *folder, const char *name, enum files_compression compression,
                  struct output **out, struct error *err)
{
    struct output *o = xalloc(sizeof *o);

    o->folder = xstrdup(folder);
    o->name = xstrdup(name);
    o->part = xalloc(strlen(name) + sizeof PART);
    memcpy(o->part, name, strlen(name));
    memcpy(o->part + strlen(name), PART, sizeof PART);
    o->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    o->compression = compression;
    o->chunk = xalloc(CHUNK_BYTES);
    o->hash = hash_new();
    o->fd = openat(o->dir, o->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    o->exists = o->fd >= 0;
    if (o->fd < 0)
        failed(o, "creating", err);
    if (o->fd < 0 || begin_stream(o, err) < 0) {
        output_discard(o);
        return -1;
    }
    *out = o;
    return 0;
}

static int gzip_put(struct output *o, const char *p, size_t n, int flush, struct error *err)
{
    z_stream *z = &o->gzip;
    union {
        const char *from;
        unsigned char *to; /* the field of zlib has no const; nothing is written through it */
    } in = {.from = p};
    int rc;

    assert(n <= UINT_MAX);
    z->next_in = in.to;
    z->avail_in = (unsigned)n;
    do {
        z->next_out = (unsigned char *)o->chunk;
        z->avail_out = (unsigned)CHUNK_BYTES;
        rc = deflate(z, flush);
        if (put_stored(o, o->chunk, CHUNK_BYTES - z->avail_out, err) < 0)
            return -1;
    } while (z->avail_out == 0 || (flush == Z_FINISH && rc == Z_OK));
    return rc == Z_STREAM_ERROR ? error_set(err, ERR_INTERNAL, "zlib refuses to compress") : 0;
}

static int zstd_put(struct output *o, const char *p, size_t n, ZSTD_EndDirective end,
                    struct error *err)
{
    ZSTD_inBuffer in = {p, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {o->chunk, CHUNK_BYTES, 0};

        left = ZSTD_compressStream2(o->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return error_set(err, ERR_RESOURCE, "compressing \"%s\": %s", o->name,
                             ZSTD_getErrorName(left));
        if (put_stored(o, o->chunk, out.pos, err) < 0)
            return -1;
    } while (in.pos < in.size || (end == ZSTD_e_end && left));
    return 0;
}

int output_write(struct output *o, const char *bytes, size_t n, struct error *err)
{
    if (o->compression == FILES_GZIP)
        return gzip_put(o, bytes, n, Z_NO_FLUSH, err);
    if (o->compression == FILES_ZSTD)
        return zstd_put(o, bytes, n, ZSTD_e_continue, err);
    return put_stored(o, bytes, n, err);
}

static int end_stream(struct output *o, struct error *err)
{
    if (o->compression == FILES_GZIP)
        return gzip_put(o, "", 0, Z_FINISH, err);
    if (o->compression == FILES_ZSTD)
        return zstd_put(o, "", 0, ZSTD_e_end, err);
    return 0;
}

/* Not every file system knows the flag; a hard link never replaces either. */
static int rename_to_new(int dir, const char *from, const char *to)
{
    if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    return linkat(dir, from, dir, to, 0) < 0 ? -1 : unlinkat(dir, from, 0);
}

int output_seal(struct output *o, int64_t *out_size, char sha256[static HASH_HEX_BYTES],
                struct error *err)
{
    int rc = end_stream(o, err);

    if (rc == 0 && fsync(o->fd) < 0)
        rc = failed(o, "syncing", err);
    if (rc == 0 && rename_to_new(o->dir, o->part, o->name) < 0)
        rc = errno == ENOENT ? error_set(err, ERR_FENCED, "another writer has removed \"%s/%s\"",
                                         o->folder, o->part)
                             : failed(o, "renaming", err);
    if (rc == 0) {
        o->exists = false;
        *out_size = o->size;
        hash_hex(o->hash, sha256);
    }
    output_discard(o);
    return rc;
}

void output_discard(struct output *o)
{
    if (!o)
        return;
    if (o->compression == FILES_GZIP)
        deflateEnd(&o->gzip);
    ZSTD_freeCCtx(o->zstd);
    if (o->fd >= 0)
        close(o->fd);
    if (o->exists)
        unlinkat(o->dir, o->part, 0);
    if (o->dir >= 0)
        close(o->dir);
    hash_free(o->hash);
    free(o->chunk);
    free(o->folder);
    free(o->name);
    free(o->part);
    free(o);
}

int output_put_new(int dir, const char *folder, const char *name, const char *bytes, size_t n,
                   struct error *err)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_set_errno(err, errno, "creating \"%s/%s\"", folder, name);
    if (write_all(fd, bytes, n) == 0 && fsync(fd) == 0) {
        close(fd);
        return 0;
    }
    error_set_errno(err, errno, "writing \"%s/%s\"", folder, name);
    close(fd);
    unlinkat(dir, name, 0);
    return -1;
}

int output_replace(int dir, const char *folder, const char *name, const char *bytes, size_t n,
                   struct error *err)
{
    char temporary[NAME_MAX + 1];

    snprintf(temporary, sizeof temporary, ".%.200s" PART, name);
    unlinkat(dir, temporary, 0); /* of a crash */
    if (output_put_new(dir, folder, temporary, bytes, n, err) < 0)
        return -1;
    if (renameat(dir, temporary, dir, name) < 0)
        return error_set_errno(err, errno, "replacing \"%s/%s\"", folder, name);
    return output_sync_folder(dir, folder, err);
}

/* ------------------------------------------------------------------ folders */

int output_sync_folder(int dir, const char *folder, struct error *err)
{
    return fsync(dir) < 0 ? error_set_errno(err, errno, "syncing \"%s\"", folder) : 0;
}

int output_open_folder(int dir, const char *folder, const char *path, int *out, struct error *err)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s/%s\"", folder, path);
    *out = fd;
    return 0;
}

void output_close_folder(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int output_make_folders(int dir, const char *folder, const char *path, struct error *err)
{
    CLEANUP(output_close_folder) int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    CLEANUP(free_cleanup) char *rest = xstrdup(path);
    char *save = NULL;

    for (char *part = strtok_r(rest, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        bool is_new = mkdirat(at, part, 0700) == 0;
        int next = -1;

        if (!is_new && errno != EEXIST)
            return error_set_errno(err, errno, "creating the folder \"%s/%s\"", folder, path);
        if (is_new && output_sync_folder(at, folder, err) < 0)
            return -1;
        if (output_open_folder(at, folder, part, &next, err) < 0)
            return -1;
        output_close_folder(&at);
        at = next;
    }
    return 0;
}

#include "connectors/files/input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

struct input {
    int fd;
    char *name;
    const struct cancel *cancel;
    int64_t size, mtime_us, consumed;
    enum files_compression compression;
    /* What was read and not yet decompressed: stored[at, end). */
    char *stored;
    size_t at, end;
    bool in_member; /* a member or frame has begun and has not ended */
    bool members;   /* at least one was whole */
    bool padding;   /* zeros behind the last member: the rest must be zeros too */
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

/* Beneath the folder, whatever links say; without the call, no link at all. */
static int open_beneath(int dir, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
    return (int)fd;
}

static int open_file(struct input *in, int dir, const char *name, struct error *err)
{
    struct stat st;

    in->fd = open_beneath(dir, name);
    if (in->fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "the file \"%s\" does not exist", name);
    if (in->fd < 0 && errno == EXDEV)
        return error_set(err, ERR_PERMISSION, "\"%s\" is a link that leaves its folder", name);
    if (in->fd < 0 && errno == ENXIO)
        return error_set(err, ERR_CONFIG, "\"%s\" is not a regular file", name);
    if (in->fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", name);
    if (fstat(in->fd, &st) < 0)
        return error_set_errno(err, errno, "reading the state of \"%s\"", name);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CONFIG, "\"%s\" is not a regular file", name);
    in->size = st.st_size;
    in->mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

static int read_stored(struct input *in, char *to, size_t n, size_t *out_n, struct error *err)
{
    ssize_t got;

    if (cancel_check(in->cancel, err) < 0)
        return -1;
    do
        got = read(in->fd, to, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set_errno(err, errno, "reading \"%s\"", in->name);
    in->consumed += got;
    *out_n = (size_t)got;
    return 0;
}

static int refill(struct input *in, struct error *err)
{
    size_t got = 0;

    if (in->at < in->end)
        return 0;
    if (read_stored(in, in->stored, INPUT_CHUNK_BYTES, &got, err) < 0)
        return -1;
    in->at = 0;
    in->end = got;
    return 0;
}

static enum files_compression sniff(const char *p, size_t n)
{
    if (n >= 2 && !memcmp(p, "\x1f\x8b", 2))
        return FILES_GZIP;
    if (n >= 4 && !memcmp(p, "\x28\xb5\x2f\xfd", 4))
        return FILES_ZSTD;
    return FILES_PLAIN;
}

/* Allocates what the compression needs; of an unknown one the first bytes tell. */
static int open_stream(struct input *in, enum files_compression compression, struct error *err)
{
    if (compression != FILES_PLAIN) {
        in->stored = xalloc(INPUT_CHUNK_BYTES);
        if (refill(in, err) < 0)
            return -1;
    }
    if (compression == FILES_AUTO)
        compression = sniff(in->stored, in->end);
    /* Told by its name, zstd streams may begin with a frame to be skipped: no magic is asked. */
    if (compression == FILES_GZIP && inflateInit2(&in->gzip, 15 + 16) != Z_OK)
        return error_set(err, ERR_RESOURCE, "no memory to decompress \"%s\"", in->name);
    in->compression = compression; /* from here on input_close ends what was begun */
    if (compression != FILES_ZSTD)
        return 0;
    in->zstd = ZSTD_createDCtx();
    if (!in->zstd ||
        ZSTD_isError(ZSTD_DCtx_setParameter(in->zstd, ZSTD_d_windowLogMax, INPUT_ZSTD_WINDOW_LOG)))
        return error_set(err, ERR_RESOURCE, "no memory to decompress \"%s\"", in->name);
    return 0;
}

int input_open(int dir, const char *name, enum files_compression compression,
               const struct cancel *cancel, struct input **out, struct error *err)
{
    CLEANUP(input_close_cleanup) struct input *in = xalloc(sizeof *in);

    in->fd = -1;
    in->name = xstrdup(name);
    in->cancel = cancel;
    in->compression = FILES_PLAIN;
    if (open_file(in, dir, name, err) < 0 || open_stream(in, compression, err) < 0)
        return -1;
    *out = TAKE(in);
    return 0;
}

void input_close(struct input *in)
{
    if (!in)
        return;
    if (in->compression == FILES_GZIP)
        inflateEnd(&in->gzip);
    ZSTD_freeDCtx(in->zstd);
    if (in->fd >= 0)
        close(in->fd);
    free(in->stored);
    free(in->name);
    free(in);
}

static int damaged(const struct input *in, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "damaged_file", "\"%s\" is damaged near byte %lld: %s",
                            in->name, (long long)(in->consumed - (int64_t)(in->end - in->at)), why);
}

static int truncated(const struct input *in, struct error *err)
{
    return error_set_reason(err, ERR_DATA, "truncated_file",
                            "\"%s\" ends in the middle of its compressed data, after %lld bytes",
                            in->name, (long long)in->consumed);
}

/* Blocks of zeros behind the last member are tape padding, as gzip itself accepts them. */
static int skip_padding(struct input *in, struct error *err)
{
    in->padding = true;
    while (in->at < in->end) {
        if (in->stored[in->at])
            return damaged(in, "there is something else behind the compressed data", err);
        in->at++;
    }
    return 0;
}

/* One step; produces some bytes, or begins or ends a member, or fails. */
static int gunzip(struct input *in, char *to, size_t n, size_t *out_n, struct error *err)
{
    z_stream *z = &in->gzip;
    int rc;

    if (!in->in_member && in->members && (in->padding || !in->stored[in->at]))
        return skip_padding(in, err);
    if (!in->in_member && in->members && inflateReset(z) != Z_OK)
        return error_set(err, ERR_INTERNAL, "zlib cannot begin another member");
    in->in_member = true;
    z->next_in = (unsigned char *)in->stored + in->at;
    z->avail_in = (unsigned)(in->end - in->at);
    z->next_out = (unsigned char *)to;
    z->avail_out = (unsigned)(n > INT_MAX ? INT_MAX : n);
    rc = inflate(z, Z_NO_FLUSH);
    in->at = in->end - z->avail_in;
    *out_n = (size_t)((char *)z->next_out - to);
    if (rc == Z_STREAM_END) {
        in->in_member = false;
        in->members = true;
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return damaged(in, z->msg ? z->msg : "no gzip data", err);
    }
    return 0;
}

static int unzstd(struct input *in, char *to, size_t n, size_t *out_n, struct error *err)
{
    ZSTD_inBuffer from = {in->stored, in->end, in->at};
    ZSTD_outBuffer into = {to, n, 0};
    size_t rc;

    in->in_member = true;
    rc = ZSTD_decompressStream(in->zstd, &into, &from);
    in->at = from.pos;
    *out_n = into.pos;
    if (ZSTD_isError(rc))
        return damaged(in, ZSTD_getErrorName(rc), err);
    if (rc == 0) {
        in->in_member = false;
        in->members = true;
    }
    return 0;
}

int input_read(struct input *in, char *to, size_t n, size_t *out_n, struct error *err)
{
    size_t got = 0;

    if (in->compression == FILES_PLAIN) {
        if (in->at < in->end) { /* what sniffing has read */
            got = in->end - in->at < n ? in->end - in->at : n;
            memcpy(to, in->stored + in->at, got);
            in->at += got;
            *out_n = got;
            return 0;
        }
        return read_stored(in, to, n, out_n, err);
    }
    while (!got) {
        int rc;

        if (refill(in, err) < 0)
            return -1;
        /* A decompressor may still hold output when all input is consumed: it is asked once. */
        if (in->at == in->end && !in->in_member)
            break;
        rc = in->compression == FILES_GZIP ? gunzip(in, to, n, &got, err)
                                           : unzstd(in, to, n, &got, err);
        if (rc < 0)
            return -1;
        if (!got && in->in_member && in->end == 0)
            return truncated(in, err);
    }
    if (!got && !in->members)
        return truncated(in, err);
    *out_n = got;
    return 0;
}

int input_skip_to(struct input *in, uint64_t offset, struct error *err)
{
    CLEANUP(free_cleanup) char *waste = NULL;

    if (in->compression == FILES_PLAIN) {
        if (offset > (uint64_t)in->size || lseek(in->fd, (off_t)offset, SEEK_SET) < 0)
            return error_set(err, ERR_RESYNC, "\"%s\" is shorter than what was read of it",
                             in->name);
        in->at = in->end = 0;
        in->consumed = (int64_t)offset;
        return 0;
    }
    waste = xalloc(INPUT_CHUNK_BYTES);
    while (offset) {
        size_t n = offset < INPUT_CHUNK_BYTES ? (size_t)offset : INPUT_CHUNK_BYTES;
        size_t got = 0;

        if (input_read(in, waste, n, &got, err) < 0)
            return -1;
        if (!got)
            return error_set(err, ERR_RESYNC, "\"%s\" is shorter than what was read of it",
                             in->name);
        offset -= got;
    }
    return 0;
}

const char *input_name(const struct input *in)
{
    return in->name;
}

bool input_is_plain(const struct input *in)
{
    return in->compression == FILES_PLAIN;
}

int64_t input_size(const struct input *in)
{
    return in->size;
}

int64_t input_mtime_us(const struct input *in)
{
    return in->mtime_us;
}

int64_t input_consumed(const struct input *in)
{
    return in->consumed;
}

int input_head(struct input *in, size_t n, char out[static HASH_HEX_BYTES], struct error *err)
{
    char head[INPUT_HEAD_BYTES];
    size_t have = 0;

    while (have < n && have < sizeof head) {
        ssize_t got = pread(in->fd, head + have, n - have, (off_t)have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "reading \"%s\"", in->name);
        if (!got)
            break;
        have += (size_t)got;
    }
    hash_bytes_hex(head, have, out);
    return 0;
}

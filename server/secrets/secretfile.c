#include "server/secrets/secretfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"

static void close_fd(int *fd)
{
    if (*fd > STDERR_FILENO)
        close(*fd);
}

static int check_mode(int fd, const char *path, const char *what, mode_t refused, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "the %s \"%s\"", what, path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CONFIG, "the %s \"%s\" is not a regular file", what, path);
    if (st.st_mode & refused)
        return error_set(err, ERR_PERMISSION,
                         "the %s \"%s\" is readable or writable by everybody: chmod 0600 it", what,
                         path);
    return 0;
}

static int read_all(int fd, const char *path, const char *what, struct buf *out, struct error *err)
{
    char chunk[4096];
    ssize_t n;

    do {
        n = read(fd, chunk, sizeof chunk);
        buf_put(out, chunk, n > 0 ? (size_t)n : 0);
    } while (n > 0 && !out->failed);
    if (n < 0)
        return error_set_errno(err, errno, "reading the %s \"%s\"", what, path);
    explicit_bzero(chunk, sizeof chunk);
    return buf_ok(out, what, err);
}

static int read_file(const char *path, const char *what, mode_t refused, struct buf *out,
                     struct error *err)
{
    CLEANUP(close_fd) int fd;

    /* Non-blocking, so that a FIFO is refused and not waited for. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "there is no %s \"%s\"", what, path);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the %s \"%s\"", what, path);
    return check_mode(fd, path, what, refused, err) < 0 ? -1 : read_all(fd, path, what, out, err);
}

int secretfile_read(const char *path, const char *what, struct buf *out, struct error *err)
{
    if (!strcmp(path, "-"))
        return read_all(STDIN_FILENO, "standard input", what, out, err);
    return read_file(path, what, S_IROTH | S_IWOTH, out, err);
}

int secretfile_read_any(const char *path, const char *what, struct buf *out, struct error *err)
{
    return read_file(path, what, 0, out, err);
}

/* The folder of a path, so that a rename in it can be made durable. */
static int open_folder(struct arena *mem, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? arena_memdup(mem, path, (size_t)(slash - path) + 1) : ".";

    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int write_all(int fd, const struct buf *text)
{
    size_t done = 0;

    while (done < text->len) {
        ssize_t n = write(fd, text->data + done, text->len - done);

        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return fsync(fd);
}

int secretfile_write(const char *path, const struct buf *text, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *part = arena_printf(mem, "%s.part", path);
    CLEANUP(close_fd) int folder = open_folder(mem, path);
    CLEANUP(close_fd) int fd = -1;

    if (folder < 0)
        return error_set_errno(err, errno, "the folder of \"%s\"", path);
    unlink(part);
    fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "creating \"%s\"", part);
    if (write_all(fd, text) < 0 || rename(part, path) < 0 || fsync(folder) < 0) {
        error_set_errno(err, errno, "writing \"%s\"", path);
        unlink(part);
        return -1;
    }
    return 0;
}

#include "connectors/singer/privatedir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The first is memory; not every machine has it, or lets us write there. */
static const char *const places[] = {"/dev/shm", "/run", "/tmp"};

int privatedir_make(char out[static PRIVATEDIR_BYTES], struct error *err)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(out, PRIVATEDIR_BYTES, "%s/connectord-XXXXXX", places[i]);
        if (mkdtemp(out))
            return 0;
    }
    return error_set_errno(err, errno, "making a private directory for a program");
}

int privatedir_write(const char *dir, const struct private_file *file, struct error *err)
{
    char path[256];
    size_t done = 0;
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, file->name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "making the private file \"%s\"", file->name);
    while (done < file->n) {
        ssize_t n = write(fd, file->text + done, file->n - done);

        if (n < 0 && errno != EINTR) {
            int why = errno;

            close(fd);
            return error_set_errno(err, why, "writing the private file \"%s\"", file->name);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    remove(path);
    return 0;
}

void privatedir_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

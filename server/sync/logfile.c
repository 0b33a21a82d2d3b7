/*
 * Finding lines in a log file: its end, which may be torn, and a line by its number.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/sync/event.h"
#include "server/sync/logstream_internal.h"

/* Long enough for a line and the end of the one before it. */
#define WINDOW (2 * LOGSTREAM_MAX_LINE)

/* The bytes before `end`, at most a window of them; how many. */
static size_t read_before(int fd, int64_t end, char out[static WINDOW])
{
    size_t n = end < (int64_t)WINDOW ? (size_t)end : WINDOW;
    ssize_t got = pread(fd, out, n, end - (int64_t)n);

    return got == (ssize_t)n ? n : 0;
}

/* The beginning of the line that ends (with its newline) at n. */
static size_t line_start(const char *text, size_t n)
{
    const char *newline = n > 1 ? memrchr(text, '\n', n - 1) : NULL;

    return newline ? (size_t)(newline - text) + 1 : 0;
}

int log_file_end(int fd, int64_t *out_size, int64_t *out_seq, struct error *err)
{
    char window[WINDOW];
    const char *newline;
    struct stat st;
    size_t n;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "looking at a log file");
    n = read_before(fd, st.st_size, window);
    newline = n > 0 ? memrchr(window, '\n', n) : NULL;
    if (!newline) {
        *out_size = *out_seq = 0;
        return 0;
    }
    *out_size = st.st_size - (int64_t)n + (newline - window) + 1;
    n = (size_t)(newline - window) + 1;
    *out_seq = event_seq(window + line_start(window, n), n);
    return 0;
}

/* The first line that begins at or behind `offset`: where, and its number; false at the end. */
static bool line_at(int fd, int64_t size, int64_t offset, int64_t *out_at, int64_t *out_seq)
{
    char window[WINDOW];
    ssize_t got = pread(fd, window, WINDOW, offset > 0 ? offset - 1 : 0);
    const char *newline;
    size_t skip = 0;

    if (got <= 0)
        return false;
    if (offset > 0) {
        newline = memchr(window, '\n', (size_t)got);
        if (!newline)
            return false;
        skip = (size_t)(newline - window) + 1;
        offset--;
    }
    *out_at = offset + (int64_t)skip;
    if (*out_at >= size)
        return false;
    *out_seq = event_seq(window + skip, (size_t)got - skip);
    return true;
}

int64_t log_file_after(int fd, int64_t size, int64_t seq)
{
    int64_t low = 0, high = size, at, found;

    /* The first line with a greater number begins in [low, high]. */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (!line_at(fd, size, middle, &at, &found) || found > seq)
            high = middle;
        else
            low = at + 1;
    }
    return line_at(fd, size, low, &at, &found) ? at : size;
}

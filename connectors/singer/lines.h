/*
 * lines.h - lines of whatever can be read: a file, a pipe, a process.
 *
 * A line longer than SINGER_MAX_LINE is an error. Blank lines are passed over. Belongs to one
 * thread.
 */
#ifndef CONNECTORS_SINGER_LINES_H
#define CONNECTORS_SINGER_LINES_H

#include "connectors/base/buf.h"

struct lines {
    /* Up to `n` bytes; waits for at least one, or until the time to look elsewhere has come: then
     * *out_n is 0. *out_end is set behind the last byte. */
    int (*fill)(void *arg, char *room, size_t n, size_t *out_n, bool *out_end, struct error *err);
    void *arg;
    /* Private: */
    char *data;
    size_t cap, at, looked, len;
    bool end;
    size_t number; /* of the line last given */
};

enum lines_outcome { LINES_LINE, LINES_NOTHING_YET, LINES_END };

/* The next line without its break, a view that is valid until the next call. */
CHECKED int lines_next(struct lines *l, enum lines_outcome *out, struct slice *out_line,
                       struct error *err);
void lines_release(struct lines *l);

#endif

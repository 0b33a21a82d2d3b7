/*
 * window.h - the part of a file that a record reader looks at: one record is always in one piece.
 *
 * Its bytes are read from an input, or, without one, put in by whoever gets them: then it is at its
 * end whenever nothing more was put in, and a reader that keeps open what has no end yet goes on
 * after the next bytes.
 *
 * Grows up to the limit of a record and not beyond, so that a line of any length costs constant
 * memory. Open, so that scanning is inlined; owned by the reader. Pointers into it are valid until
 * window_more or window_skip_line.
 */
#ifndef CONNECTORS_FILES_WINDOW_H
#define CONNECTORS_FILES_WINDOW_H

#include "connectors/files/input.h"

struct window {
    struct input *in; /* owned; NULL = bytes are put in */
    char *data;
    size_t at, end; /* data[at, end) is to be read */
    size_t cap, max_bytes;
    bool eof;        /* nothing behind data[end) */
    uint64_t offset; /* of data[at] in the content */
    int64_t line;    /* of data[at], from 1 */
};

enum window_more { WINDOW_GREW, WINDOW_EOF, WINDOW_FULL };

/* Takes `in`, which stands at `offset`; NULL for a window whose bytes are put in. */
void window_init(struct window *w, struct input *in, size_t max_bytes, uint64_t offset,
                 int64_t line);
void window_release(struct window *w);
/* Puts in at most INPUT_CHUNK_BYTES; what waits in the window must not be above max_bytes. */
void window_put(struct window *w, const char *bytes, size_t n);

/*
 * More bytes behind data[end). WINDOW_EOF when there are none, WINDOW_FULL when the record that
 * begins at data[at] has already as many bytes as a record may have.
 */
CHECKED int window_more(struct window *w, enum window_more *out, struct error *err);

/* Passes over `n` bytes, which hold `lines` line breaks. */
static inline void window_advance(struct window *w, size_t n, int64_t lines)
{
    w->at += n;
    w->offset += n;
    w->line += lines;
}

/* Passes over everything up to and including the next line break, however far it is; *out_bytes is
 * how much that was without the break. */
CHECKED int window_skip_line(struct window *w, uint64_t *out_bytes, struct error *err);

/* At the beginning of a file: passes over a byte order mark. Fails with DATA on one of UTF-16. */
CHECKED int window_skip_mark(struct window *w, struct error *err);

#endif

/*
 * position.h - how far the files of a stream have been read, as JSON.
 *
 * A full refresh names the file it stands in, and a digest of the files before it, so that a
 * continuation that would miss or repeat a file is noticed:
 *   {"kind":"file","resume":{"name","offset","line","size","mtime_us","head_bytes","head",
 *                            "before","digest"}}
 * An incremental read keeps every file it has seen:
 *   {"kind":"file","files":[{"name","size","mtime_us","offset","line","done","open","head_bytes",
 *                            "head"}, ...]}
 * `offset` counts bytes of content, decompressed; `open` says that the last line was read although
 * no line break stood behind it. Not shared between threads.
 */
#ifndef CONNECTORS_FILES_POSITION_H
#define CONNECTORS_FILES_POSITION_H

#include "connectors/base/arena.h"
#include "connectors/base/hash.h"
#include "connectors/files/list.h"

#define POSITION_MAX_BYTES ((size_t)64 << 20)
#define POSITION_HEAD      32 /* characters of a digest that are kept: 128 bits */

struct file_mark {
    const char *name;
    int64_t size, mtime_us, offset, line;
    bool done, open;
    int64_t head_bytes;
    char head[POSITION_HEAD + 1]; /* digest of the first head_bytes of the file as stored */
};

struct file_position {
    struct file_mark *files; /* in the order of names; of a full refresh at most one */
    size_t n;
    bool full;                      /* the second form: of a full refresh */
    int64_t before;                 /* files read completely before that one */
    char digest[POSITION_HEAD + 1]; /* of their names, sizes and times */
};

/* Fails with CONFIG, reason "bad_position", when this is no position of files. */
CHECKED int file_position_parse(const char *json, struct arena *mem, struct file_position *out,
                                struct error *err);
void file_position_write(const struct file_position *p, struct buf *out);

/* The mark of this file, or NULL. */
struct file_mark *file_position_find(const struct file_position *p, const char *name);

#endif

/*
 * ndjson.h - one JSON object per line: the lines of a file, their members, and the way back.
 *
 * Numbers keep every digit in both directions. A blank line is no record. Not shared between
 * threads.
 */
#ifndef CONNECTORS_FILES_NDJSON_H
#define CONNECTORS_FILES_NDJSON_H

#include "connectors/base/jsonread.h"
#include "connectors/data/batch.h"
#include "connectors/files/window.h"

enum ndjson_outcome {
    NDJSON_LINE,
    NDJSON_END,
    NDJSON_TOO_LONG,
    NDJSON_OPEN, /* the last line has no line break yet; only with keep_open */
};

struct ndjson {
    struct window window;
    bool latin1, keep_open;
    bool unbroken; /* the last line read had no line break behind it */
    struct buf transcoded;
    /* The record: */
    struct slice text; /* UTF-8, without the line break; the beginning of one that is too long */
    uint64_t offset;
    int64_t line;
    uint64_t n_bytes; /* NDJSON_TOO_LONG: of the whole line */
    char head[4096];
};

/* Takes `in`, which stands at `offset`, the beginning of line `line`. */
void ndjson_init(struct ndjson *j, struct input *in, const struct files_dialect *d, uint64_t offset,
                 int64_t line);
void ndjson_release(struct ndjson *j);

/* The next line that is not blank; valid until the next call. */
CHECKED int ndjson_next(struct ndjson *j, enum ndjson_outcome *out, struct error *err);

/* ------------------------------------------------------------------- writing */

/* Appends a cell as JSON; NULL is null. */
void ndjson_put_cell(struct buf *out, const struct batch *rows, size_t column, size_t row);

#endif

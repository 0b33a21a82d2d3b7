/*
 * jsonread.h - reads the JSON of row data: a pull scanner that keeps numbers as text.
 *
 * Works on one complete value in memory (an NDJSON line, a record). Strings are handed out
 * decoded; those without escapes are views of the input, the others live in the scanner's own
 * buffer until the next token. Checks RFC 8259 strictly: UTF-8, escapes and surrogate pairs,
 * numbers, depth. No allocation per token. Not shared between threads.
 */
#ifndef CONNECTORS_BASE_JSONREAD_H
#define CONNECTORS_BASE_JSONREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/buf.h"
#include "connectors/base/error.h"

#define JSONREAD_MAX_DEPTH 512 /* of row data; deeper documents are refused as TOO_LARGE */

enum jsonread_token {
    JSONREAD_END, /* the value is complete and only blanks follow it */
    JSONREAD_OBJECT,
    JSONREAD_OBJECT_END,
    JSONREAD_ARRAY,
    JSONREAD_ARRAY_END,
    JSONREAD_KEY,
    JSONREAD_STRING,
    JSONREAD_NUMBER,
    JSONREAD_TRUE,
    JSONREAD_FALSE,
    JSONREAD_NULL,
};

struct jsonread {
    const char *start, *at, *end;
    struct slice text;       /* of a key or string, decoded; of a number, as written */
    bool is_integer;         /* the number has no fraction and no exponent */
    bool has_lone_surrogate; /* the string held \ud800..\udfff unpaired; it was kept as U+FFFD */
    unsigned depth;
    uint64_t is_object[JSONREAD_MAX_DEPTH / 64];
    unsigned state;       /* what may come next; private */
    const char *token;    /* where the last token begins; private */
    struct buf unescaped; /* private */
};

#define JSONREAD_MAX_STRING ((size_t)64 << 20)

void jsonread_init(struct jsonread *r); /* once; then any number of values */
void jsonread_release(struct jsonread *r);

/* Starts on a value of `n` bytes, which must stay valid while it is read. */
void jsonread_start(struct jsonread *r, const char *text, size_t n);

/*
 * The next token. Fails with DATA and a message that names the byte offset when the text is not
 * JSON, with TOO_LARGE when it is nested too deeply.
 */
CHECKED int jsonread_next(struct jsonread *r, enum jsonread_token *out, struct error *err);

/*
 * After any value token: passes over the rest of that value (all of an object or array) and gives
 * its text as it was written, blanks included, as a view of the input.
 */
CHECKED int jsonread_skip(struct jsonread *r, enum jsonread_token token, struct slice *out_raw,
                          struct error *err);

#endif

/*
 * unpack.h - gzip and zip as they arrive, piece by piece.
 *
 * A gzip may have several members, which are one content; a zip may hold several files, each of
 * which is told apart. Memory is constant. A stream that stops in the middle, whose checksum is
 * wrong or that is encrypted is DATA; one that unpacks to more than is allowed, or beyond all
 * reason (UNPACK_EXPANSION above UNPACK_FLOOR), is TOO_LARGE. What does not begin as its kind does
 * is handed on as it is: it was unpacked on the way. Not shared.
 */
#ifndef CONNECTORS_FILES_UNPACK_H
#define CONNECTORS_FILES_UNPACK_H

#include <stdint.h>

#include "connectors/base/cleanup.h"
#include "connectors/base/error.h"

#define UNPACK_EXPANSION 200
#define UNPACK_FLOOR     (INT64_C(1) << 20)

enum unpack_kind { UNPACK_GZIP, UNPACK_ZIP };

struct unpack; /* opaque */

struct unpack_taker {
    int (*piece)(void *arg, const char *bytes, size_t n, struct error *err);
    /* A file begins; also before the first piece of a gzip. */
    int (*begin)(void *arg, struct error *err);
    void *arg;
};

struct unpack *unpack_new(enum unpack_kind kind, int64_t max_bytes, const struct unpack_taker *to);
void unpack_free(struct unpack *u); /* accepts NULL */
DEFINE_CLEANUP(struct unpack *, unpack_free_cleanup, unpack_free);
CHECKED int unpack_feed(struct unpack *u, const char *bytes, size_t n, struct error *err);
/* Nothing more comes. */
CHECKED int unpack_end(struct unpack *u, struct error *err);

#endif

/*
 * known.h - the parents whose children were read before.
 *
 * A bookmark tells nothing about a parent that was not there when it was set: its children may all
 * be older. So the position of a stream of children names the parents it speaks for, each by a hash
 * of 64 bits; every other one is read from the beginning. More than KNOWN_MAX are not named: then
 * each run reads all children anew, which takes longer and misses nothing.
 */
#ifndef CONNECTORS_REST_KNOWN_H
#define CONNECTORS_REST_KNOWN_H

#include <stdint.h>

#include "connectors/base/buf.h"

#define KNOWN_MAX ((size_t)65536)

struct known {
    uint64_t *hashes; /* sorted, once read */
    size_t n, cap;
    bool too_many;
};

void known_release(struct known *k);
/* From the text of a position; what is no list of hashes names nobody. */
void known_read(struct known *k, const char *text);
bool known_has(const struct known *k, struct slice parent);
void known_add(struct known *k, struct slice parent);
/* As that text: digits of base 16; nothing when there are too many. */
void known_put(const struct known *k, struct buf *out);

#endif

/*
 * keyset.h - the keys of one commit, to tell whether any came twice.
 *
 * Holds 128-bit hashes, so a clash of two different keys is as unlikely as one of the hash; it
 * would cost a needless fold, never a row. Bounded: beyond KEYSET_MAX keys the answer is "maybe".
 */
#ifndef CONNECTORS_SQL_KEYSET_H
#define CONNECTORS_SQL_KEYSET_H

#include "connectors/data/batch.h"

#define KEYSET_MAX 131072 /* 4 MiB at half load */

struct keyset; /* opaque */

struct keyset *keyset_new(void);
void keyset_free(struct keyset *k); /* accepts NULL */
void keyset_clear(struct keyset *k);
/* Adds the keys of all rows that are not skipped; `skip` is per row or NULL. */
void keyset_add(struct keyset *k, const struct batch *rows, const bool *skip);
/* Everything may have come twice from here on: the keys are of another shape. */
void keyset_give_up(struct keyset *k);
bool keyset_may_repeat(const struct keyset *k);

#endif

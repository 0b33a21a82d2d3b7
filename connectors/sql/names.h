/*
 * names.h - names at the destination: legal, short enough, distinct, and the same for ever.
 *
 * A name, or what snake.h makes of it, is kept as it is when it is a legal quoted identifier within
 * the limit. One that is not gets a suffix of eight hexadecimal digits of its SHA-256; so does
 * every member of a set that collides (upper and lower case are the same, in Latin, Greek and
 * Cyrillic letters too) except one that needed no change while the others did. A name that was
 * given once is not computed again: a later sibling cannot rename an existing column. Pure; memory
 * belongs to the arena given.
 */
#ifndef CONNECTORS_SQL_NAMES_H
#define CONNECTORS_SQL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "connectors/base/arena.h"

/* Our own columns and tables; names of sources that begin with it are changed. */
#define NAMES_PREFIX "_connectord_"

enum names_kind { NAMES_COLUMN, NAMES_TABLE };

/* What a database takes for a name between quotes. */
struct names_rule {
    size_t limit;               /* in bytes; 0 = unlimited */
    bool counts_characters;     /* the limit is in characters */
    bool refuses_supplementary; /* characters beyond U+FFFF */
    bool refuses_blank_end;
    const char *const *reserved; /* names that no column may have, ends with NULL; or NULL */
};

struct name_pair {
    const char *source, *name;
    const char *identity; /* what the suffix is made of; NULL = source */
    bool snake;           /* asks for the source's name as snake.h writes it */
};

/*
 * Fills pairs[i].name for every pair in which it is NULL; the others are taken.
 */
void names_assign(struct arena *mem, enum names_kind kind, const struct names_rule *rule,
                  struct name_pair *pairs, size_t n);

/* An order in which names that no database would tell apart are equal: 0. */
int names_compare(const char *a, const char *b);

/* The table in which a generation is built: "t__g7", shortened when it must be. */
const char *names_generation(struct arena *mem, const char *table, long long generation,
                             const struct names_rule *rule);
/* The unique index over the key of that generation. */
const char *names_key_index(struct arena *mem, const char *table, long long generation);

#endif

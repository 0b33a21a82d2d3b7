/*
 * pattern.h - regular expressions from documents, in time linear in the text.
 *
 * Caller's expressions never reach a backtracking engine. The subset: . [abc] [^a-z] \d \w \s and
 * their capitals, * + ? after one item or group, | ( ) (?: ), ^ $. The first group is what is
 * captured; without one it is the whole match. Bytes, not characters: a multi-byte character can be
 * written but not be a member of [ ]. Compiled once; pure.
 */
#ifndef CONNECTORS_REST_PATTERN_H
#define CONNECTORS_REST_PATTERN_H

#include "connectors/base/arena.h"
#include "connectors/base/buf.h"

#define PATTERN_MAX 256 /* instructions */

struct pattern; /* opaque, lives in the arena */

/* NULL when it compiles, else what is wrong with it. */
const char *pattern_compile(struct arena *mem, const char *text, const struct pattern **out);
/* Whether it is found anywhere; *out is the leftmost capture, the earliest alternatives first. */
bool pattern_find(const struct pattern *p, struct slice text, struct slice *out);

#endif

/*
 * problem.h - all mistakes in one input, each with the place, a code and a sentence.
 *
 * Whoever checks a document adds to the list and goes on, so that a caller sees everything at
 * once. Lives in an arena; not shared between threads.
 */
#ifndef CONNECTORS_BASE_PROBLEM_H
#define CONNECTORS_BASE_PROBLEM_H

#include <stddef.h>

#include "connectors/base/arena.h"

#define PROBLEMS_MAX 100 /* further ones are counted, not kept */

struct problem {
    const char *pointer; /* RFC 6901, "" for the whole document */
    const char *code;    /* constant, lower snake: "required", "unknown_field", "wrong_type" ... */
    const char *message; /* what was expected, and what was found */
};

struct problems {
    struct arena *mem;
    struct problem *items;
    size_t n, dropped;
};

#define PROBLEMS_INIT(arena) ((struct problems){.mem = (arena)})

/* Copies pointer and message; `code` must be a constant. */
__attribute__((format(printf, 4, 5), nonnull)) void
problems_add(struct problems *p, const char *pointer, const char *code, const char *fmt, ...);

#endif

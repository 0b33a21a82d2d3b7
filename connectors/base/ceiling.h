/*
 * ceiling.h - what one allocation of a library may be.
 *
 * What a server or a caller says sizes what libpq, libmariadb and jansson allocate: a row header
 * of PostgreSQL that claims 1 GiB reserves 1 GiB. The program therefore has a malloc of its own
 * (server/ceiling.c) that refuses more than this, which those libraries take for an ordinary
 * failure. Our own allocations have bounds that their owners enforce, and are not refused.
 */
#ifndef CONNECTORS_BASE_CEILING_H
#define CONNECTORS_BASE_CEILING_H

#include <stdbool.h>
#include <stddef.h>

/* Four values of the greatest size, or a page of an API, fit in with room to spare. */
#define CEILING_BYTES ((size_t)64 << 20)

/* Of this thread, for the duration of one call; only xalloc and xrealloc say so. Volatile, since to
 * a compiler no allocation reads a variable. */
extern _Thread_local volatile bool ceiling_lifted;

#endif

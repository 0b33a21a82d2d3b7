/*
 * failpoint.h - named places where a test build can die or fail.
 *
 * In the failpoint build (-DCONNECTORD_FAILPOINTS) the environment variable CONNECTORD_FAILPOINT
 * holds "name:n:action": at the n-th arrival at `name` the process is killed (`kill`), the call
 * fails (`error`, class TRANSIENT), or sleeps a minute (`pause`). In every other build a fail point
 * is nothing at all; a test checks that the release binary does not contain the symbol.
 */
#ifndef CONNECTORS_BASE_FAILPOINT_H
#define CONNECTORS_BASE_FAILPOINT_H

#include "connectors/base/error.h"

#ifdef CONNECTORD_FAILPOINTS
CHECKED int failpoint(const char *name, struct error *err);
#else
CHECKED static inline int failpoint(const char *name, struct error *err)
{
    (void)name;
    (void)err;
    return 0;
}
#endif

#endif

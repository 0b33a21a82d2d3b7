/*
 * memlimit.h - do the settings fit into the memory of the control group?
 *
 * A service that outgrows its container is killed by the kernel in the middle of its work, weeks
 * after somebody set the two numbers. So the start compares what the settings allow with the limit,
 * of either version of control groups, and warns. Nothing here fails: a limit that cannot be read
 * is none.
 */
#ifndef SERVER_MEMLIMIT_H
#define SERVER_MEMLIMIT_H

#include <stdint.h>

#include "connectors/base/arena.h"
#include "connectors/base/log.h"
#include "server/config.h"

/* Each stream that a sync moves beside its first one: batches, and what two clients keep. */
#define MEMLIMIT_STREAM_BYTES ((int64_t)8 << 20)
/* The service without syncs: the program, its store, requests, followers, short runs. */
#define MEMLIMIT_SERVICE_BYTES ((int64_t)256 << 20)

/* What all syncs at once and the service may need. The programs of `exec` are processes of their
 * own, with limits of their own, and are not in it. */
int64_t memlimit_needed(const struct settings *s);

struct memlimit {
    int64_t bytes;    /* INT64_MAX = there is none */
    const char *file; /* that says so; "" when there is none */
};

/*
 * The limit in force for this process: the least of its own group and of those above, the nearest
 * one where several are the same. `root` goes in front of /proc and /sys: "" but in tests.
 */
struct memlimit memlimit_find(const char *root, struct arena *mem);

/* Warns when more is needed than there may be: with both numbers, and what to change. */
void memlimit_check(const struct settings *s, const char *root, struct log *log);

#endif

/*
 * servicelog.h - the service's own log: one JSON object per line on standard output.
 *
 * A line that standard output does not take at once is dropped and counted, so nobody ever waits
 * for whoever reads the log. Of equal lines, time aside, ten come through in a second; the others
 * are summed up in one line. Safe from any thread.
 */
#ifndef SERVER_SERVICELOG_H
#define SERVER_SERVICELOG_H

#include "connectors/base/log.h"

/* Lines are at most this long: a pipe takes so much as a whole when it takes anything. */
#define SERVICELOG_MAX_LINE 4096

/* Where lines go, and from which level on; before any other call. */
void servicelog_init(int fd, enum log_level threshold);
/* From which level on from now on; any thread. */
void servicelog_set_level(enum log_level threshold);
/* The receiver for a module: "main", "access", "sync.worker". `caller` must be a constant. At most
 * eight of them. */
struct log *servicelog_for(const char *caller);

#endif

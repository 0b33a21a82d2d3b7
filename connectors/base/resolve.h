/*
 * resolve.h - addresses of a host, within a deadline and until cancelled.
 *
 * The libraries of the databases resolve names by a call that nothing can end; here a helper thread
 * of the C library does it, so that a dead name server holds nobody up. Safe from any thread.
 */
#ifndef CONNECTORS_BASE_RESOLVE_H
#define CONNECTORS_BASE_RESOLVE_H

#include "connectors/base/arena.h"
#include "connectors/base/cancel.h"

struct resolved {
    const char **addresses; /* numeric, in the order to try them */
    size_t n;
};

/*
 * Those addresses of the host that may be connected to at this port, at least one, in `mem`. Says
 * PERMISSION "egress_denied" when there are others only, CONFIG "host_unknown" for a name that does
 * not exist, TRANSIENT "host_unknown" when no name server answered, and CONFIG "host_invalid" for
 * what is not one host: a list, a path, a socket. `deadline_us` is of the monotonic clock.
 */
CHECKED int resolve_host(const char *host, int64_t port, int64_t deadline_us, struct cancel *cancel,
                         struct arena *mem, struct resolved *out, struct error *err);

#endif

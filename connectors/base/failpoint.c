#include "connectors/base/failpoint.h"

#ifdef CONNECTORD_FAILPOINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/text.h"

int failpoint(const char *name, struct error *err)
{
    static _Atomic int64_t arrivals;
    const char *plan = getenv("CONNECTORD_FAILPOINT");
    size_t n = strlen(name);
    const char *nth, *action;
    int64_t wanted;

    if (!plan || strncmp(plan, name, n) != 0 || plan[n] != ':')
        return 0;
    nth = plan + n + 1;
    action = strchr(nth, ':');
    if (!action || !text_to_int64(nth, (size_t)(action - nth), &wanted) ||
        atomic_fetch_add(&arrivals, 1) + 1 != wanted)
        return 0;
    action++;
    if (!strcmp(action, "kill"))
        raise(SIGKILL);
    if (!strcmp(action, "pause"))
        sleep(60);
    if (!strcmp(action, "error"))
        return error_set(err, ERR_TRANSIENT, "fail point %s", name);
    return 0;
}

#else
typedef int failpoint_is_compiled_out; /* ISO C wants one declaration in a file */
#endif

/*
 * connectord backup and restore: copies of the store, made while the service runs or where it will.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "server/cli.h"
#include "server/store/store.h"

static void tell(const char *what, const char *file, const struct store_summary *s)
{
    printf("%s %s: schema %" PRId64 ", %" PRId64 " sources and destinations, %" PRId64
           " connections, %" PRId64 " runs\n",
           what, file, s->schema_version, s->resources, s->connections, s->runs);
}

static const char *store_of(const struct cli_call *call, struct arena *mem)
{
    return arena_printf(mem, "%s/connectord.db", call->config->settings.data);
}

int cli_backup(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *store = store_of(call, mem), *file = call->argv[0];
    int64_t began_us = clock_monotonic_us();
    struct store_summary summary;
    struct error err = ERROR_INIT;

    if (store_backup(store, file, &summary, &err) < 0)
        return cli_fail(&err, "backing up the store");
    tell("wrote", file, &summary);
    if (store_note_backup(store, clock_monotonic_us() - began_us, &err) < 0)
        fprintf(stderr, "connectord: the backup is complete, but metrics will not show it: %s\n",
                err.message);
    return EXIT_OK;
}

int cli_restore(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const char *file = call->argv[0], *data = call->config->settings.data;
    struct store_summary summary;
    struct error err = ERROR_INIT;

    if (call->flagged) {
        if (store_verify(file, &summary, &err) < 0)
            return cli_fail(&err, "verifying the backup");
        tell("verified", file, &summary);
        return EXIT_OK;
    }
    if (mkdir(data, 0700) < 0 && errno != EEXIST) {
        error_set_errno(&err, errno, "creating the data directory \"%s\"", data);
        return cli_fail(&err, "restoring the backup");
    }
    if (store_restore(file, store_of(call, mem), &summary, &err) < 0)
        return cli_fail(&err, "restoring the backup");
    tell("restored", file, &summary);
    return EXIT_OK;
}

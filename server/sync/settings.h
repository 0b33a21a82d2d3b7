/*
 * settings.h - the settings of a connection (see runs.h) as the runner needs them.
 */
#ifndef SERVER_SYNC_SETTINGS_H
#define SERVER_SYNC_SETTINGS_H

#include "server/sync/run.h"

enum namespace_mode { NAMESPACE_SOURCE, NAMESPACE_DESTINATION, NAMESPACE_CUSTOM };

struct sync_settings {
    struct run_policy policy;
    struct commit_limits commit;
    enum namespace_mode namespace_mode;
    const char *namespace_format; /* for CUSTOM */
    const char *prefix;           /* "" = none */
    enum drift_policy drift;      /* of streams that name none */
};

/* Absent members, and a NULL document, get their defaults. Mistakes are added below `pointer`. */
__attribute__((nonnull(2, 3, 4, 5))) bool
sync_settings_decode(const struct doc *d, const char *pointer, struct arena *mem,
                     struct sync_settings *out, struct problems *problems);

/* The members of the whole, for whoever finds them among others. */
extern const struct option sync_settings_options[];

/* Every default filled in, in all parts; the caller owns it. For settings that were decoded. */
struct doc *sync_settings_normalized(const struct doc *d);

#endif

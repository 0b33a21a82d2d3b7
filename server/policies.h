/*
 * policies.h - what connectors of this process may reach, as the settings say.
 */
#ifndef SERVER_POLICIES_H
#define SERVER_POLICIES_H

#include "connectors/base/arena.h"
#include "connectors/base/egress.h"
#include "server/config.h"

/* The rules for addresses as the settings say them, to be put in force later, by a service that
 * listens at `listen`. */
CHECKED int policies_read_egress(const struct settings *settings, const char *listen,
                                 struct egress_rules **out, struct error *err);

/* Addresses, and folders. Before there are threads; the rules have been checked with the other
 * settings. The data directory must exist before the folders are set. */
CHECKED int policies_set_egress(const struct settings *settings, struct error *err);
CHECKED int policies_set_roots(const struct settings *settings, struct error *err);

/* The programs that may be run. Before there are threads; `settings` and `mem` stay. */
void policies_set_programs(const struct settings *settings, struct arena *mem);

/* The same for a command that has no settings and runs a connector called `connector`: those of the
 * environment, looked at when that connector needs them. False when they are wrong, which is told.
 */
bool policies_find_programs(const char *connector);

#endif

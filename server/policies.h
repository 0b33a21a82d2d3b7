/*
 * policies.h - what connectors of this process may reach, as the settings say.
 */
#ifndef SERVER_POLICIES_H
#define SERVER_POLICIES_H

#include "server/config.h"

/* Addresses, and folders. Before there are threads; the rules have been checked with the other
 * settings. The data directory must exist before the folders are set. */
CHECKED int policies_set_egress(const struct settings *settings, struct error *err);
CHECKED int policies_set_roots(const struct settings *settings, struct error *err);

#endif

/*
 * policy.h - how a connection runs: namespace, prefix, drift, quarantine, attempts.
 *
 * The members stand beside the others in the body of a connection, and below "settings" in an
 * ad-hoc run. They are stored whole, defaults included, so that a later default changes nothing
 * that exists.
 */
#ifndef HANDLERS_POLICY_H
#define HANDLERS_POLICY_H

#include "connectors/option.h"

extern const struct option policy_options[];

/* The settings text of struct connection (see server/sync/runs.h) from the members of `d`, which
 * may be NULL; mistakes are added with pointers below `pointer`. */
__attribute__((nonnull(1, 3, 4))) const char *
policy_text(struct arena *mem, const struct doc *d, const char *pointer, struct problems *problems);

#endif

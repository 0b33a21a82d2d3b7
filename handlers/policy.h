/*
 * policy.h - how a connection runs: namespace, prefix, drift, quarantine, commits, attempts.
 *
 * The members stand beside the others in the body of a connection, and below "settings" in an
 * ad-hoc run. They are stored whole, defaults included, so that a later default changes nothing
 * that exists. What they are is said in server/sync/settings.h.
 */
#ifndef HANDLERS_POLICY_H
#define HANDLERS_POLICY_H

#include "connectors/option.h"

/* True for the members of a connection that are policy. */
bool policy_has(const char *member);

/* The settings text of struct connection from the members of `d`, which may be NULL; mistakes are
 * added with pointers below `pointer`. */
__attribute__((nonnull(1, 3, 4))) const char *
policy_text(struct arena *mem, const struct doc *d, const char *pointer, struct problems *problems);

#endif

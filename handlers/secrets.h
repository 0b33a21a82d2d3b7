/*
 * secrets.h - write-only settings: what a caller who never sees them may still change.
 *
 * A secret that is not sent again is kept, null removes it. When a setting that says where secrets
 * are sent (OPTION_BINDING) changes, or the connector does, a kept secret would go to a place it
 * was not meant for: it must be sent again. Works on the flags of option tables alone.
 */
#ifndef HANDLERS_SECRETS_H
#define HANDLERS_SECRETS_H

#include "connectors/base/jsonwrite.h"
#include "connectors/option.h"
#include "server/sync/sealed.h"

enum secrets_merge { SECRETS_REPLACE, SECRETS_PATCH };

/* The stored configuration that a new one starts from. */
struct secrets_old {
    const struct option *table; /* of its connector; NULL when that is gone */
    const struct doc *config;   /* with secrets */
    bool same_connector;
};

/*
 * The configuration to store when `sent` (NULL = nothing) replaces or patches the old one. Adds
 * "secret_required" for each secret that has to be sent again. The caller owns the result.
 */
struct doc *secrets_merge(const struct option *table, const struct secrets_old *old,
                          const struct doc *sent, enum secrets_merge how, const char *pointer,
                          struct problems *problems);

/* Adds "secret_required" for the member `name` of what `pointer` points to. */
void secrets_require(const char *pointer, const char *name, const char *why,
                     struct problems *problems);

/* A copy without any secret and without members that the table does not know; with a NULL table
 * nothing at all is shown. */
struct doc *secrets_strip(const struct option *table, const struct doc *config);

/*
 * {"/password": {"set": true, "updated_at": .., "ref": null, "fingerprint": ..}} for every secret
 * of the table, from a stored configuration. "ref" is the reference that stands there; the
 * fingerprint tells whether a secret has changed, and nothing else.
 */
void secrets_write_meta(struct jsonw *w, const struct option *table, const struct doc *config);

#endif

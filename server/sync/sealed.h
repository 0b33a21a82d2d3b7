/*
 * sealed.h - configurations whose secrets are sealed, as the store keeps them.
 *
 * A secret value is replaced by {"$sealed": text, "at": when, "fp": fingerprint}; the text opens
 * only in its place, and the fingerprint, a digest under the pepper, tells whether a value that is
 * sent again is the same without opening it. A reference ("${env:NAME}") is no secret and stays as
 * it is. Which members are secret is what the option table says; what looks sealed is never shown,
 * whatever a table says later.
 */
#ifndef SERVER_SYNC_SEALED_H
#define SERVER_SYNC_SEALED_H

#include "connectors/base/redact.h"
#include "connectors/option.h"
#include "server/secrets/keyring.h"
#include "server/secrets/references.h"

/* What secrets are kept and found with. Members may be NULL: then values stay as they are, and no
 * reference resolves. */
struct vault {
    const struct keyring *ring;
    const struct references *references;
};

/* Where a configuration belongs. */
struct sealed_owner {
    const char *kind; /* "source", "destination", "run" */
    const char *id;
};

/*
 * A configuration in the request of a run is sealed for the id in the request's member SEALED_FOR,
 * each end apart. `kind` is "source" or "destination".
 */
#define SEALED_FOR "sealed_for"
struct sealed_owner sealed_owner_in_run(const char *kind, const char *id);

bool sealed_is(const struct doc *value);
/* When it was set, and 12 hexadecimal digits of its fingerprint; 0 and NULL for anything else. */
int64_t sealed_set_us(const struct doc *value);
const char *sealed_fingerprint(const struct doc *value, char out[static 13]);

/*
 * Seals every secret of `config` that is not sealed yet. Where `before` (NULL = nothing), the
 * stored configuration of the same owner, holds the same value, that is kept.
 */
__attribute__((nonnull(1, 2, 3, 4))) void
sealed_config(const struct vault *v, const struct option *table, const struct sealed_owner *owner,
              struct doc *config, const struct doc *before);

/* A copy with everything opened that is sealed; references stay. Fails as keyring_open does, naming
 * the member. */
CHECKED int sealed_open(const struct vault *v, const struct sealed_owner *owner,
                        const struct doc *config, struct doc **out, struct error *err);

/*
 * For a run: opened, references resolved, and every secret of the table told to `redactor` before
 * anybody can use it. Fails with CONFIG "unresolved_reference" besides.
 */
CHECKED int sealed_use(const struct vault *v, const struct sealed_owner *owner,
                       const struct option *table, const struct doc *config,
                       struct redactor *redactor, struct doc **out, struct error *err);

/* Seals again what is not sealed under the active key; true when something was. */
CHECKED int sealed_renew(const struct vault *v, const struct sealed_owner *owner,
                         struct doc *config, bool *out_changed, struct error *err);

/*
 * Secrets as a caller sends them: "secret_too_short" for one that could not be kept out of logs
 * (among settings of all kinds, a short text is taken for none),
 * "unresolved_reference" for one that names what the operator has not listed.
 */
void sealed_check(const struct vault *v, const struct option *table, const struct doc *config,
                  const char *pointer, struct problems *problems);

#endif

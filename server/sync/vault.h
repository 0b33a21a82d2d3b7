/*
 * vault.h - a key ring and a store that belong together: proved at the start, changed by rotation.
 */
#ifndef SERVER_SYNC_VAULT_H
#define SERVER_SYNC_VAULT_H

#include "server/store/store.h"
#include "server/sync/sealed.h"

/*
 * Shows that the ring has every key that the store needs. The first ring that a store meets seals
 * what lies there in plain text. Fails with CONFIG "keyring_mismatch" when a key is missing or is
 * another one. For a store that nobody else uses yet.
 */
CHECKED int vault_join(struct store *store, const struct keyring *ring, struct error *err);
/* Has the ring every key that the store needs? Fails as vault_join does, and changes nothing. */
CHECKED int vault_fits(struct store *store, const struct keyring *ring, struct error *err);
/* The store, which is in use, learns which further keys its ring has: they must be there from now
 * on. What is sealed stays under its key until the next rotation. */
CHECKED int vault_meet(struct store *store, const struct keyring *ring, struct error *err);
/* Does the store need a ring that it has met before? */
CHECKED int vault_has_met(struct store *store, bool *out, struct error *err);

/*
 * A new active key, everything sealed under it, the old keys gone from the ring file at `path`.
 * After a crash at any point the ring opens the store, and a second rotation ends the first.
 * *out_n is how many values were sealed again.
 */
CHECKED int vault_rotate(struct store *store, struct keyring *ring, const char *path,
                         int64_t *out_n, struct error *err);

#endif

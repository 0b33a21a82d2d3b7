/*
 * identity.h - what the service proves itself and others with: key ring, references, tokens.
 */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "connectors/base/log.h"
#include "server/config.h"
#include "server/http/auth.h"
#include "server/store/store.h"
#include "server/sync/vault.h"

/* Open: part of whoever opens it. Strings live in the arena given. */
struct identity {
    struct store *store;
    const char *key_file;
    struct keyring *ring;
    const struct references *references;
    struct auth_config auth_config;
    struct auth *auth; /* NULL before identity_guard */
    struct log *log;
};

/*
 * Loads the key ring, or makes one where none was configured and none was used before, and shows
 * that it belongs to the store. Fails with "keyring_missing", "keyring_mismatch" and as
 * keyring_load does.
 */
CHECKED int identity_open(const struct settings *settings, struct store *store, struct log *log,
                          struct arena *mem, struct identity *out, struct error *err);
/*
 * Who may ask: tokens of the store and the bootstrap token. Fails with CONFIG "token_required" when
 * there is none and an address is not a loopback one.
 */
CHECKED int identity_guard(struct identity *id, const struct settings *settings, struct error *err);

/* What a reload changes. The first two change nothing yet: a ring of the file that `settings` name
 * now, which has the keys that the store needs, and who may ask. Addresses and the data directory
 * are those of `start`. */
CHECKED int identity_read_ring(const struct identity *id, const struct settings *settings,
                               const struct settings *start, struct keyring **out,
                               struct error *err);
CHECKED int identity_read_rules(const struct identity *id, const struct settings *settings,
                                const struct settings *start, struct auth_rules **out,
                                struct error *err);
/* Takes the ring. What cannot be noted in the store is said in the log. */
void identity_use_ring(struct identity *id, struct keyring *ring);
/* Says in the log, when it is so, that everybody may everything. */
void identity_remind(struct identity *id);
void identity_close(struct identity *id);

/* Where the key ring is: the setting, or a file in the data directory. */
const char *identity_key_file(const struct settings *settings, struct arena *mem);

#endif

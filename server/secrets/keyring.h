/*
 * keyring.h - the keys that secrets are sealed under, and the sealing.
 *
 * A ring is a small JSON file: several keys, one of them active, and a pepper, which is no key but
 * makes digests of tokens worthless to who has only the store. It should lie on another volume than
 * the store and must not be readable by everybody. Sealing, opening and digests are safe from any
 * thread, also while keyring_take_over replaces what is in the ring; the other functions that
 * change it, and those that list it, are for one thread.
 *
 * Sealing is XChaCha20-Poly1305 with a random nonce. The place of a value is authenticated with it:
 * a sealed text that is moved to another object or field does not open.
 */
#ifndef SERVER_SECRETS_KEYRING_H
#define SERVER_SECRETS_KEYRING_H

#include <stdbool.h>
#include <stddef.h>

#include "connectors/base/buf.h"

#define KEYRING_ID_BYTES    9                 /* eight hexadecimal digits and a NUL */
#define KEYRING_CHECK_BYTES 33                /* 128 bits in hexadecimal and a NUL */
#define KEYRING_HASH_BYTES  32                /* of a digest */
#define KEYRING_MAX_KEYS    32                /* a rotation leaves one */
#define KEYRING_MAX_PLAIN   ((size_t)1 << 20) /* of one sealed value */

struct keyring; /* opaque */

/*
 * Fails with NOT_FOUND "keyring_missing" when there is no such file, PERMISSION "keyring_exposed"
 * when everybody may read it, CONFIG "keyring_malformed".
 */
CHECKED int keyring_load(const char *path, struct keyring **out, struct error *err);
/* Writes a fresh ring with one key, mode 0600; CONFLICT "keyring_exists" when there is a file. */
CHECKED int keyring_create(const char *path, struct keyring **out, struct error *err);
void keyring_free(struct keyring *r); /* wipes; accepts NULL */
DEFINE_CLEANUP(struct keyring *, keyring_free_cleanup, keyring_free);
/* From now on the ring is what `fresh` was, which is freed. */
void keyring_take_over(struct keyring *r, struct keyring *fresh);

size_t keyring_count(const struct keyring *r);
const char *keyring_id(const struct keyring *r, size_t i);
const char *keyring_active(const struct keyring *r);
/* The same for any thread. */
void keyring_copy_active(const struct keyring *r, char out[static KEYRING_ID_BYTES]);

/*
 * What the store keeps of a key, to tell at the start that a ring is not the one it was written
 * with. KEYRING_PEPPER stands for the pepper. False when the ring has no such key.
 */
#define KEYRING_PEPPER "pepper"
bool keyring_check(const struct keyring *r, const char *id, char out[static KEYRING_CHECK_BYTES]);

/* A digest under the pepper: BLAKE2b-256. `use` keeps different uses apart. */
void keyring_digest(const struct keyring *r, const char *use, const void *bytes, size_t n,
                    unsigned char out[static KEYRING_HASH_BYTES]);

/* ---------------------------------------------------------------------- sealing */

/* Where a sealed value belongs. */
struct seal_place {
    const char *kind;  /* "source", "run" */
    const char *id;    /* of the object */
    const char *field; /* "/password" */
};

/* Appends "v1.<key id>.<base64>", sealed under the active key. `n` is at most KEYRING_MAX_PLAIN. */
void keyring_seal(const struct keyring *r, const struct seal_place *place, const char *plain,
                  size_t n, struct buf *out);
/* Appends the plain bytes. Fails with DATA "unseal_failed", whatever is wrong with the text, or
 * CONFIG "key_missing" when its key is not in the ring; never with a part of the plain bytes. */
CHECKED int keyring_open(const struct keyring *r, const struct seal_place *place,
                         const char *sealed, size_t n, struct buf *out, struct error *err);
/* Is this text sealed under the active key? */
bool keyring_is_current(const struct keyring *r, const char *sealed);

/* --------------------------------------------------------------------- rotation */

/* A new key, which becomes the active one. RESOURCE "keyring_full" beyond KEYRING_MAX_KEYS. */
CHECKED int keyring_add(struct keyring *r, struct error *err);
void keyring_drop_others(struct keyring *r); /* but the active one */
/* Replaces the file: after a crash it is the old or the new one, whole. */
CHECKED int keyring_save(const struct keyring *r, const char *path, struct error *err);

#endif

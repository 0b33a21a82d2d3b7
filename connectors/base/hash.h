/*
 * hash.h - digests: SHA-256 for names, manifests and fingerprints; a keyed 128-bit hash for sets.
 * Source: libsodium. Safe from any thread.
 */
#ifndef CONNECTORS_BASE_HASH_H
#define CONNECTORS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_HEX_BYTES 65 /* 64 hexadecimal digits and a NUL */

struct hash_stream; /* opaque: a digest of bytes that come in pieces */

struct hash_stream *hash_new(void);
void hash_free(struct hash_stream *h); /* accepts NULL */
void hash_update(struct hash_stream *h, const void *p, size_t n);
/* The digest of everything so far as lower-case hexadecimal; the stream stays usable. */
void hash_hex(const struct hash_stream *h, char out[static HASH_HEX_BYTES]);

/* SHA-256 of `n` bytes as lower-case hexadecimal. */
void hash_bytes_hex(const void *p, size_t n, char out[static HASH_HEX_BYTES]);

struct hash128 {
    uint64_t lo, hi;
};

/* SipHash-2-4-128 under a key drawn once per process: for hash sets fed by outsiders. */
struct hash128 hash_keyed(const void *p, size_t n);

/* Cryptographically random bytes. */
void hash_random(void *out, size_t n);

#endif

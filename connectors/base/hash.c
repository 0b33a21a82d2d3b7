#include "connectors/base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "connectors/base/arena.h"
#include "connectors/base/text.h"

struct hash_stream {
    crypto_hash_sha256_state state;
};

static unsigned char set_key[crypto_shorthash_siphashx24_KEYBYTES];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
    hash_random(set_key, sizeof set_key);
}

struct hash_stream *hash_new(void)
{
    struct hash_stream *h = xalloc(sizeof *h);

    crypto_hash_sha256_init(&h->state);
    return h;
}

void hash_free(struct hash_stream *h)
{
    free(h);
}

void hash_update(struct hash_stream *h, const void *p, size_t n)
{
    crypto_hash_sha256_update(&h->state, p, n);
}

void hash_hex(const struct hash_stream *h, char out[static HASH_HEX_BYTES])
{
    crypto_hash_sha256_state copy = h->state;
    unsigned char digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256_final(&copy, digest);
    text_hex(digest, sizeof digest, out);
}

void hash_bytes_hex(const void *p, size_t n, char out[static HASH_HEX_BYTES])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, p, n);
    text_hex(digest, sizeof digest, out);
}

struct hash128 hash_keyed(const void *p, size_t n)
{
    unsigned char digest[crypto_shorthash_siphashx24_BYTES];
    struct hash128 h;

    pthread_once(&key_once, draw_key);
    crypto_shorthash_siphashx24(digest, p, n, set_key);
    memcpy(&h.lo, digest, 8);
    memcpy(&h.hi, digest + 8, 8);
    return h;
}

void hash_random(void *out, size_t n)
{
    if (sodium_init() < 0)
        abort();
    randombytes_buf(out, n);
}

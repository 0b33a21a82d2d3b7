#include "connectors/rest/known.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/hash.h"

#define DIGITS 16 /* of one hash */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(const char *text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        int d = digit(text[i]);

        if (d < 0)
            return false;
        *out = *out << 4 | (uint64_t)d;
    }
    return true;
}

/* The same in every process. */
static uint64_t hash_of(struct slice parent)
{
    char hex[HASH_HEX_BYTES];
    uint64_t out;

    hash_bytes_hex(parent.ptr, parent.len, hex);
    (void)read_hash(hex, &out);
    return out;
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void put(struct known *k, uint64_t hash)
{
    if (k->n == KNOWN_MAX) {
        k->too_many = true;
        return;
    }
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        k->hashes = xrealloc(k->hashes, k->cap * sizeof *k->hashes);
    }
    k->hashes[k->n++] = hash;
}

void known_release(struct known *k)
{
    free(k->hashes);
    *k = (struct known){0};
}

void known_read(struct known *k, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    uint64_t hash;

    for (size_t at = 0; at + DIGITS <= n && read_hash(text + at, &hash); at += DIGITS)
        put(k, hash);
    if (k->n > 0)
        qsort(k->hashes, k->n, sizeof *k->hashes, compare);
}

bool known_has(const struct known *k, struct slice parent)
{
    uint64_t hash = hash_of(parent);

    return k->n > 0 && bsearch(&hash, k->hashes, k->n, sizeof hash, compare);
}

void known_add(struct known *k, struct slice parent)
{
    put(k, hash_of(parent));
}

void known_put(const struct known *k, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < k->n && !k->too_many; i++) {
        for (int shift = 60; shift >= 0; shift -= 4)
            buf_putc(out, digits[k->hashes[i] >> shift & 15]);
    }
}

#include "connectors/sql/keyset.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/hash.h"

#define SLOTS ((size_t)2 * KEYSET_MAX)

struct keyset {
    struct hash128 *slots; /* {0, 0} = free; a key of that hash is taken for a repeated one */
    size_t n;
    bool repeats;
    struct buf key;
};

struct keyset *keyset_new(void)
{
    struct keyset *k = xalloc(sizeof *k);

    k->slots = xalloc(SLOTS * sizeof *k->slots);
    k->key = BUF_INIT(64 * BATCH_MAX_VALUE);
    return k;
}

void keyset_free(struct keyset *k)
{
    if (!k)
        return;
    free(k->slots);
    buf_release(&k->key);
    free(k);
}

void keyset_clear(struct keyset *k)
{
    if (k->n > 0)
        memset(k->slots, 0, SLOTS * sizeof *k->slots);
    k->n = 0;
    k->repeats = false;
}

static void add(struct keyset *k, struct hash128 h)
{
    size_t at = (size_t)h.lo % SLOTS;

    if (k->n == KEYSET_MAX || (h.lo == 0 && h.hi == 0)) {
        k->repeats = true;
        return;
    }
    for (; k->slots[at].lo || k->slots[at].hi; at = (at + 1) % SLOTS) {
        if (k->slots[at].lo == h.lo && k->slots[at].hi == h.hi) {
            k->repeats = true;
            return;
        }
    }
    k->slots[at] = h;
    k->n++;
}

void keyset_add(struct keyset *k, const struct batch *rows, const bool *skip)
{
    for (size_t row = 0; row < batch_rows(rows) && !k->repeats; row++) {
        if (skip && skip[row])
            continue;
        buf_clear(&k->key);
        if (!batch_key(rows, row, &k->key) || k->key.failed)
            k->repeats = true;
        else
            add(k, hash_keyed(k->key.data, k->key.len));
    }
}

void keyset_give_up(struct keyset *k)
{
    k->repeats = true;
}

bool keyset_may_repeat(const struct keyset *k)
{
    return k->repeats;
}

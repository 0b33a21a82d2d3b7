#include "server/secrets/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/doc.h"
#include "connectors/base/hash.h"
#include "connectors/base/metric.h"
#include "connectors/base/text.h"
#include "server/secrets/secretfile.h"

#define KEY_BYTES      crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_BYTES    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES      crypto_aead_xchacha20poly1305_ietf_ABYTES
#define MAX_FILE_BYTES ((size_t)64 << 10)
#define MAX_SEALED     (NONCE_BYTES + KEYRING_MAX_PLAIN + TAG_BYTES + 6) /* 2 blocks of base64 */
#define VERSION        "v1."

struct key {
    char id[KEYRING_ID_BYTES];
    unsigned char bytes[KEY_BYTES];
};

struct keyring {
    pthread_mutex_t *mutex; /* of what follows, which is replaced while it is in use */
    unsigned char pepper[KEYRING_HASH_BYTES];
    struct key keys[KEYRING_MAX_KEYS];
    size_t n, active;
};

/* In memory that is locked, fenced by guard pages and left out of cores. */
static struct keyring *ring_new(void)
{
    struct keyring *r;

    if (sodium_init() < 0)
        abort();
    r = sodium_malloc(sizeof *r);
    if (!r)
        abort();
    memset(r, 0, sizeof *r);
    r->mutex = xalloc(sizeof(pthread_mutex_t));
    pthread_mutex_init(r->mutex, NULL);
    return r;
}

void keyring_free(struct keyring *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(r->mutex);
    free(r->mutex);
    sodium_free(r); /* wipes first */
}

void keyring_take_over(struct keyring *r, struct keyring *fresh)
{
    {
        LOCK_GUARD(r->mutex);

        memcpy(r->pepper, fresh->pepper, sizeof r->pepper);
        memcpy(r->keys, fresh->keys, sizeof r->keys);
        r->n = fresh->n;
        r->active = fresh->active;
    }
    keyring_free(fresh);
}

size_t keyring_count(const struct keyring *r)
{
    return r->n;
}

const char *keyring_id(const struct keyring *r, size_t i)
{
    return r->keys[i].id;
}

const char *keyring_active(const struct keyring *r)
{
    return r->keys[r->active].id;
}

void keyring_copy_active(const struct keyring *r, char out[static KEYRING_ID_BYTES])
{
    LOCK_GUARD(r->mutex);

    memcpy(out, r->keys[r->active].id, KEYRING_ID_BYTES);
}

static const struct key *find(const struct keyring *r, const char *id, size_t n)
{
    for (size_t i = 0; i < r->n; i++) {
        if (n == KEYRING_ID_BYTES - 1 && !memcmp(r->keys[i].id, id, n))
            return &r->keys[i];
    }
    return NULL;
}

/* --------------------------------------------------------------------- the file */

static int malformed(const char *path, const char *why, struct error *err)
{
    return error_set_reason(err, ERR_CONFIG, "keyring_malformed",
                            "the key ring \"%s\" is malformed: %s", path, why);
}

static bool is_id(const char *id)
{
    return id && strlen(id) == KEYRING_ID_BYTES - 1 &&
           strspn(id, "0123456789abcdef") == KEYRING_ID_BYTES - 1;
}

static bool take_bytes(const struct doc *d, unsigned char *out, size_t n)
{
    const char *text = doc_string(d, "");
    struct buf b = BUF_INIT(256);
    bool fits = text_unbase64(&b, text, strlen(text)) && b.len == n;

    if (fits)
        memcpy(out, b.data, n);
    if (b.data)
        sodium_memzero(b.data, b.len);
    buf_release(&b);
    return fits;
}

static const char *take_keys(struct keyring *r, const struct doc *d)
{
    const char *active = doc_string(doc_get(d, "active"), NULL);
    const struct doc *keys = doc_get(d, "keys");
    const struct key *chosen;

    if (doc_count(keys) == 0 || doc_count(keys) > KEYRING_MAX_KEYS)
        return "\"keys\" must list 1 to 32 keys";
    for (size_t i = 0; i < doc_count(keys); i++) {
        const struct doc *entry = doc_at(keys, i);
        const char *id = doc_string(doc_get(entry, "id"), NULL);

        if (!is_id(id))
            return "the id of a key is not eight hexadecimal digits";
        if (find(r, id, strlen(id)))
            return "two keys have the same id";
        memcpy(r->keys[i].id, id, KEYRING_ID_BYTES);
        if (!take_bytes(doc_get(entry, "key"), r->keys[i].bytes, KEY_BYTES))
            return "a key is not 32 bytes of base64";
        r->n++;
    }
    chosen = active ? find(r, active, strlen(active)) : NULL;
    if (!chosen)
        return "\"active\" names none of its keys";
    r->active = (size_t)(chosen - r->keys);
    return NULL;
}

static int parse(const char *path, const struct buf *text, struct keyring *r, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error why = ERROR_INIT;
    const char *wrong;

    if (doc_parse(buf_str(text), text->len, &d, &why) < 0)
        return malformed(path, "it is not JSON", err);
    if (doc_int(doc_get(d, "version"), 0) != 1)
        return malformed(path, "its version is not 1", err);
    if (!take_bytes(doc_get(d, "pepper"), r->pepper, sizeof r->pepper))
        return malformed(path, "\"pepper\" is not 32 bytes of base64", err);
    wrong = take_keys(r, d);
    return wrong ? malformed(path, wrong, err) : 0;
}

int keyring_load(const char *path, struct keyring **out, struct error *err)
{
    CLEANUP(keyring_free_cleanup) struct keyring *r = ring_new();
    struct buf text = BUF_INIT(MAX_FILE_BYTES);
    int rc = secretfile_read(path, "key ring", &text, err);

    if (rc == 0)
        rc = parse(path, &text, r, err);
    else if (err->code == ERR_NOT_FOUND)
        err->reason = "keyring_missing";
    else if (err->code == ERR_PERMISSION)
        err->reason = "keyring_exposed";
    if (text.data)
        sodium_memzero(text.data, text.len);
    buf_release(&text);
    if (rc < 0)
        return -1;
    *out = TAKE(r);
    return 0;
}

static void put_base64(struct buf *out, const char *name, const void *bytes, size_t n)
{
    buf_printf(out, "\"%s\": \"", name);
    text_put_base64(out, bytes, n);
    buf_puts(out, "\"");
}

int keyring_save(const struct keyring *r, const char *path, struct error *err)
{
    struct buf text = BUF_INIT(MAX_FILE_BYTES);
    int rc;

    buf_printf(&text, "{\"version\": 1, \"active\": \"%s\",\n ", keyring_active(r));
    put_base64(&text, "pepper", r->pepper, sizeof r->pepper);
    buf_puts(&text, ",\n \"keys\": [");
    for (size_t i = 0; i < r->n; i++) {
        buf_printf(&text, "%s{\"id\": \"%s\", ", i > 0 ? ",\n          " : "", r->keys[i].id);
        put_base64(&text, "key", r->keys[i].bytes, KEY_BYTES);
        buf_puts(&text, "}");
    }
    buf_puts(&text, "]}\n");
    rc = secretfile_write(path, &text, err);
    sodium_memzero(text.data, text.len);
    buf_release(&text);
    return rc;
}

int keyring_create(const char *path, struct keyring **out, struct error *err)
{
    CLEANUP(keyring_free_cleanup) struct keyring *r = ring_new();
    struct stat st;

    if (lstat(path, &st) == 0)
        return error_set_reason(err, ERR_CONFLICT, "keyring_exists", "there is a file \"%s\"",
                                path);
    hash_random(r->pepper, sizeof r->pepper);
    if (keyring_add(r, err) < 0)
        abort(); /* an empty ring has room for a key */
    if (keyring_save(r, path, err) < 0)
        return -1;
    *out = TAKE(r);
    return 0;
}

/* --------------------------------------------------------------------- rotation */

int keyring_add(struct keyring *r, struct error *err)
{
    unsigned char id[(KEYRING_ID_BYTES - 1) / 2];
    struct key *k = &r->keys[r->n];

    if (r->n == KEYRING_MAX_KEYS)
        return error_set_reason(err, ERR_RESOURCE, "keyring_full", "the ring holds %d keys already",
                                KEYRING_MAX_KEYS);
    do {
        hash_random(id, sizeof id);
        text_hex(id, sizeof id, k->id);
    } while (find(r, k->id, KEYRING_ID_BYTES - 1));
    hash_random(k->bytes, sizeof k->bytes);
    r->active = r->n++;
    return 0;
}

void keyring_drop_others(struct keyring *r)
{
    struct key kept = r->keys[r->active];

    sodium_memzero(r->keys, sizeof r->keys);
    r->keys[0] = kept;
    r->active = 0;
    r->n = 1;
    sodium_memzero(&kept, sizeof kept);
}

/* ---------------------------------------------------------------------- digests */

static void digest(const unsigned char key[static KEYRING_HASH_BYTES], const char *use,
                   const void *bytes, size_t n, unsigned char *out, size_t out_n)
{
    crypto_generichash_state h;

    crypto_generichash_init(&h, key, KEYRING_HASH_BYTES, out_n);
    crypto_generichash_update(&h, (const unsigned char *)use, strlen(use) + 1);
    crypto_generichash_update(&h, bytes, n);
    crypto_generichash_final(&h, out, out_n);
    sodium_memzero(&h, sizeof h);
}

bool keyring_check(const struct keyring *r, const char *id, char out[static KEYRING_CHECK_BYTES])
{
    unsigned char value[KEYRING_CHECK_BYTES / 2];
    const struct key *k;
    LOCK_GUARD(r->mutex);

    k = find(r, id, strlen(id));
    if (!k && strcmp(id, KEYRING_PEPPER) != 0)
        return false;
    digest(k ? k->bytes : r->pepper, "key check", id, strlen(id), value, sizeof value);
    text_hex(value, sizeof value, out);
    return true;
}

void keyring_digest(const struct keyring *r, const char *use, const void *bytes, size_t n,
                    unsigned char out[static KEYRING_HASH_BYTES])
{
    LOCK_GUARD(r->mutex);

    digest(r->pepper, use, bytes, n, out, KEYRING_HASH_BYTES);
}

/* ---------------------------------------------------------------------- sealing */

/* What is authenticated beside the value. No part holds a NUL, so the parts cannot run together.
 * The empty one is the tenant's. */
static void put_place(struct buf *out, const char *key_id, const struct seal_place *place)
{
    const char *const parts[] = {
        ("connectord seal " VERSION), key_id, "", place->kind, place->id, place->field};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        buf_put(out, parts[i], strlen(parts[i]) + 1);
}

void keyring_seal(const struct keyring *r, const struct seal_place *place, const char *plain,
                  size_t n, struct buf *out)
{
    CLEANUP(buf_release) struct buf beside = BUF_INIT((size_t)1 << 16);
    CLEANUP(buf_release) struct buf sealed = BUF_INIT(MAX_SEALED);
    unsigned char *nonce = NULL;
    unsigned long long made;
    const struct key *k;
    LOCK_GUARD(r->mutex);

    if (n <= KEYRING_MAX_PLAIN)
        nonce = (unsigned char *)buf_reserve(&sealed, NONCE_BYTES + n + TAG_BYTES);
    if (!nonce) {
        out->failed = true;
        return;
    }
    k = &r->keys[r->active];
    put_place(&beside, k->id, place);
    hash_random(nonce, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        nonce + NONCE_BYTES, &made, (const unsigned char *)plain, n,
        (const unsigned char *)beside.data, beside.len, NULL, nonce, k->bytes);
    buf_printf(out, VERSION "%s.", k->id);
    text_put_base64(out, nonce, NONCE_BYTES + (size_t)made);
}

static int refuse(struct error *err)
{
    metric_add_for(METRIC_UNSEAL_FAILURES, METRIC_LABELS("changed"), 1);
    return error_set_reason(err, ERR_DATA, "unseal_failed",
                            "a sealed value does not open: it was changed or moved");
}

/* The parts of a sealed text: its key id, and where the base64 begins. */
static bool split(const char *sealed, size_t n, const char **out_id, const char **out_rest)
{
    const size_t head = strlen(VERSION), id = KEYRING_ID_BYTES - 1;

    if (n < head + id + 1 || memcmp(sealed, VERSION, head) != 0 || sealed[head + id] != '.')
        return false;
    *out_id = sealed + head;
    *out_rest = sealed + head + id + 1;
    return true;
}

int keyring_open(const struct keyring *r, const struct seal_place *place, const char *sealed,
                 size_t n, struct buf *out, struct error *err)
{
    CLEANUP(buf_release) struct buf beside = BUF_INIT((size_t)1 << 16);
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(MAX_SEALED);
    const char *id, *rest;
    const struct key *k;
    unsigned long long made = 0;
    char *plain;
    size_t room;
    LOCK_GUARD(r->mutex);

    if (!split(sealed, n, &id, &rest))
        return refuse(err);
    k = find(r, id, KEYRING_ID_BYTES - 1);
    if (!k) {
        metric_add_for(METRIC_UNSEAL_FAILURES, METRIC_LABELS("key_missing"), 1);
        return error_set_reason(err, ERR_CONFIG, "key_missing",
                                "the key %.8s of a sealed value is not in the key ring", id);
    }
    if (!text_unbase64(&bytes, rest, n - (size_t)(rest - sealed)) ||
        bytes.len < NONCE_BYTES + TAG_BYTES)
        return refuse(err);
    put_place(&beside, k->id, place);
    room = bytes.len - NONCE_BYTES;
    plain = buf_reserve(out, room);
    if (!plain)
        return error_set(err, ERR_TOO_LARGE, "a sealed value is too large");
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)plain, &made, NULL, (const unsigned char *)bytes.data + NONCE_BYTES,
            room, (const unsigned char *)beside.data, beside.len, (const unsigned char *)bytes.data,
            k->bytes) < 0)
        return refuse(err);
    out->len += (size_t)made;
    out->data[out->len] = '\0';
    return 0;
}

bool keyring_is_current(const struct keyring *r, const char *sealed)
{
    const char *id, *rest;
    LOCK_GUARD(r->mutex);

    return split(sealed, strlen(sealed), &id, &rest) &&
           !memcmp(id, keyring_active(r), KEYRING_ID_BYTES - 1);
}

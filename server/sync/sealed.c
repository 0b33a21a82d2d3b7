#include "server/sync/sealed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "connectors/secret.h"

#define SEALED      "$sealed"
#define MAX_PLAIN   KEYRING_MAX_PLAIN
#define MAX_SEALED  ((size_t)4 << 20)
#define FP_BYTES    16
#define MAX_POINTER ((size_t)64 << 10)

struct sealed_owner sealed_owner_in_run(const char *kind, const char *id)
{
    return (struct sealed_owner){strcmp(kind, "source") ? "run.destination" : "run.source", id};
}

bool sealed_is(const struct doc *value)
{
    return doc_is(doc_get(value, SEALED), DOC_STRING);
}

int64_t sealed_set_us(const struct doc *value)
{
    return sealed_is(value) ? doc_int(doc_get(value, "at"), 0) : 0;
}

const char *sealed_fingerprint(const struct doc *value, char out[static 13])
{
    const char *whole = doc_string(doc_get(value, "fp"), NULL);

    if (!sealed_is(value) || !whole || strlen(whole) < 12)
        return NULL;
    memcpy(out, whole, 12);
    out[12] = '\0';
    return out;
}

/* The pointer of a member, as the place of its value. */
static struct buf field_of(const char *name)
{
    struct buf pointer = BUF_INIT(MAX_POINTER);

    doc_pointer_put(&pointer, name);
    return pointer;
}

/* Of the value at its place: equal values elsewhere do not look equal. */
static void fingerprint(const struct vault *v, const struct seal_place *place, const char *plain,
                        size_t n, char out[static 2 * FP_BYTES + 1])
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(MAX_PLAIN + MAX_POINTER);
    unsigned char digest[KEYRING_HASH_BYTES];

    buf_put(&all, place->kind, strlen(place->kind) + 1);
    buf_put(&all, place->id, strlen(place->id) + 1);
    buf_put(&all, place->field, strlen(place->field) + 1);
    buf_put(&all, plain, n);
    keyring_digest(v->ring, "fingerprint", buf_str(&all), all.len, digest);
    text_hex(digest, FP_BYTES, out);
    explicit_bzero(all.data, all.len);
}

static void wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_release(b);
}

/* NULL when the value is too large to be sealed; such a one was refused before. */
static struct doc *seal(const struct vault *v, const struct seal_place *place,
                        const struct doc *value, const struct doc *before)
{
    CLEANUP(wipe) struct buf plain = BUF_INIT(MAX_PLAIN);
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_SEALED);
    char fp[2 * FP_BYTES + 1];
    struct doc *out;

    doc_write(value, &plain);
    fingerprint(v, place, buf_str(&plain), plain.len, fp);
    if (sealed_is(before) && !strcmp(doc_string(doc_get(before, "fp"), ""), fp))
        return doc_copy(before);
    keyring_seal(v->ring, place, buf_str(&plain), plain.len, &text);
    out = doc_new_object();
    doc_set(out, SEALED, doc_new_string(buf_str(&text)));
    doc_set(out, "at", doc_new_int(clock_unix_us()));
    doc_set(out, "fp", doc_new_string(fp));
    return out;
}

static bool is_reference(const struct doc *value)
{
    const char *text = doc_string(value, NULL);

    return text && reference_is(text);
}

void sealed_config(const struct vault *v, const struct option *table,
                   const struct sealed_owner *owner, struct doc *config, const struct doc *before)
{
    for (const struct option *o = table; v->ring && o->name; o++) {
        const struct doc *value = doc_get(config, o->name);
        struct seal_place place = {owner->kind, owner->id, NULL};
        struct buf field;

        if (!(o->flags & OPTION_SECRET) || !value || doc_is(value, DOC_NULL) || sealed_is(value) ||
            is_reference(value))
            continue;
        field = field_of(o->name);
        place.field = buf_str(&field);
        doc_set(config, o->name, seal(v, &place, value, doc_get(before, o->name)));
        buf_release(&field);
    }
}

/* ---------------------------------------------------------------------- opening */

static int open_one(const struct vault *v, const struct seal_place *place, const struct doc *value,
                    struct doc **out, struct error *err)
{
    CLEANUP(wipe) struct buf plain = BUF_INIT(MAX_PLAIN + 64);
    const char *text = doc_string(doc_get(value, SEALED), "");

    if (!v->ring)
        return error_set_reason(err, ERR_CONFIG, "key_missing", "there is no key ring");
    if (keyring_open(v->ring, place, text, strlen(text), &plain, err) < 0)
        return error_wrap(err, "the secret at %s", place->field);
    return doc_parse_trusted(buf_str(&plain), plain.len, out, err);
}

int sealed_open(const struct vault *v, const struct sealed_owner *owner, const struct doc *config,
                struct doc **out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *opened = doc_copy(config);

    for (const struct doc_member *it = doc_first(config); it; it = doc_next(config, it)) {
        struct seal_place place = {owner->kind, owner->id, NULL};
        CLEANUP(buf_release) struct buf field = BUF_INIT(0);
        struct doc *value;

        if (!sealed_is(doc_member_value(it)))
            continue;
        field = field_of(doc_member_key(it));
        place.field = buf_str(&field);
        if (open_one(v, &place, doc_member_value(it), &value, err) < 0)
            return -1;
        doc_set(opened, doc_member_key(it), value);
    }
    *out = TAKE(opened);
    return 0;
}

/* The value with every string in it that is a reference replaced by what that stands for, which is
 * a secret whatever it is called. */
static int resolve(const struct vault *v, const struct doc *value, struct secrets *found,
                   struct doc **out, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *all = NULL;
    const char *text = NULL;

    if (is_reference(value)) {
        if (references_resolve(v->references, doc_string(value, ""), found->mem, &text, err) < 0)
            return -1;
        secrets_add(found, text);
        *out = doc_new_string(text);
        return 0;
    }
    if (doc_is(value, DOC_OBJECT)) {
        all = doc_new_object();
        for (const struct doc_member *it = doc_first(value); it; it = doc_next(value, it)) {
            struct doc *member;

            if (resolve(v, doc_member_value(it), found, &member, err) < 0)
                return -1;
            doc_set(all, doc_member_key(it), member);
        }
    } else {
        all = doc_copy(value);
    }
    *out = TAKE(all);
    return 0;
}

int sealed_use(const struct vault *v, const struct sealed_owner *owner, const struct option *table,
               const struct doc *config, struct redactor *redactor, struct doc **out,
               struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(doc_free_cleanup) struct doc *opened = NULL;
    struct secrets found = SECRETS_INIT(mem);

    if (sealed_open(v, owner, config, &opened, err) < 0)
        return -1;
    for (const struct option *o = table; o->name; o++) {
        const struct doc *value = doc_get(opened, o->name);
        struct doc *resolved;

        if (!(o->flags & OPTION_SECRET) || !value)
            continue;
        if (resolve(v, value, &found, &resolved, err) < 0)
            return -1;
        doc_set(opened, o->name, resolved);
    }
    secrets_add_options(&found, table, opened);
    secrets_keep_out(&found, redactor);
    *out = TAKE(opened);
    return 0;
}

int sealed_renew(const struct vault *v, const struct sealed_owner *owner, struct doc *config,
                 bool *out_changed, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *old = doc_copy(config);

    for (const struct doc_member *it = doc_first(old); it; it = doc_next(old, it)) {
        const struct doc *value = doc_member_value(it);
        struct seal_place place = {owner->kind, owner->id, NULL};
        CLEANUP(buf_release) struct buf field = BUF_INIT(0);
        struct doc *plain, *renewed;

        if (!sealed_is(value) ||
            keyring_is_current(v->ring, doc_string(doc_get(value, SEALED), "")))
            continue;
        field = field_of(doc_member_key(it));
        place.field = buf_str(&field);
        if (open_one(v, &place, value, &plain, err) < 0)
            return -1;
        renewed = seal(v, &place, plain, NULL);
        doc_free(plain);
        doc_set(renewed, "at", doc_copy(doc_get(value, "at")));
        doc_set(config, doc_member_key(it), renewed);
        *out_changed = true;
    }
    return 0;
}

/* --------------------------------------------------------------------- checking */

/* `short_ones`: not every text in it is a secret. */
static void check_value(const struct vault *v, const struct doc *value, bool short_ones,
                        struct buf *pointer, struct problems *problems)
{
    const char *text = doc_string(value, NULL);
    size_t before = pointer->len;

    if (text && reference_is(text)) {
        if (!references_allow(v->references, text))
            problems_add(problems, buf_str(pointer), "unresolved_reference",
                         "the operator has not listed %s in secret_references", text);
    } else if (text && !short_ones && strlen(text) < SECRET_MIN_BYTES) {
        problems_add(problems, buf_str(pointer), "secret_too_short",
                     "a secret has at least %d bytes: a shorter one could not be kept out of logs",
                     SECRET_MIN_BYTES);
    }
    if (!doc_is(value, DOC_OBJECT))
        return;
    for (const struct doc_member *it = doc_first(value); it; it = doc_next(value, it)) {
        doc_pointer_put(pointer, doc_member_key(it));
        check_value(v, doc_member_value(it), short_ones, pointer, problems);
        pointer->len = before;
        pointer->data[before] = '\0';
    }
}

void sealed_check(const struct vault *v, const struct option *table, const struct doc *config,
                  const char *pointer, struct problems *problems)
{
    for (const struct doc_member *it = doc_first(config); it; it = doc_next(config, it)) {
        if (sealed_is(doc_member_value(it)))
            problems_add(problems, pointer, "invalid",
                         "a value with a member \"" SEALED "\" is not accepted");
    }
    for (const struct option *o = table; o->name; o++) {
        const struct doc *value = doc_get(config, o->name);
        CLEANUP(buf_release) struct buf at = BUF_INIT(MAX_POINTER);

        if (!(o->flags & OPTION_SECRET) || !value)
            continue;
        buf_puts(&at, pointer);
        doc_pointer_put(&at, o->name);
        check_value(v, value, o->flags & OPTION_SETTINGS, &at, problems);
    }
}

#include "server/sync/vault.h"

#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/failpoint.h"
#include "connectors/registry.h"
#include "server/sync/connectors.h"

#define MAX_TEXT ((size_t)64 << 20)

struct resealing {
    struct store *store;
    struct vault vault;
    int64_t n; /* texts that were replaced */
};

/* NULL when there is no such connector any more: what is sealed can be renewed all the same. */
static const struct option *table_of(struct resealing *r, enum resource_kind kind,
                                     const char *connector, struct arena *mem)
{
    const struct source_connector *source = NULL;
    const struct destination_connector *destination;
    struct error ignored = ERROR_INIT;

    if (kind == RESOURCE_SOURCE)
        return connectors_source(r->store, connector, mem, &source, &ignored) > 0 ? source->options
                                                                                  : NULL;
    destination = registry_destination(connector);
    return destination ? destination->options : NULL;
}

static int renew(struct resealing *r, const struct sealed_owner *owner, const struct option *table,
                 struct doc *config, bool *out_changed, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *before = doc_copy(config);

    if (table)
        sealed_config(&r->vault, table, owner, config, NULL);
    *out_changed |= !doc_equal(before, config);
    return sealed_renew(&r->vault, owner, config, out_changed, err);
}

static int renew_resource(struct resealing *r, const struct sealed_text *t, struct arena *mem,
                          struct doc *config, bool *out_changed, struct error *err)
{
    const struct sealed_owner owner = {t->kind == RESOURCE_SOURCE ? "source" : "destination",
                                       t->id};

    return renew(r, &owner, table_of(r, t->kind, t->connector, mem), config, out_changed, err);
}

/* The ends that a request describes itself; `member` NULL is a check, which is one end. */
static int renew_end(struct resealing *r, struct doc *request, const char *member,
                     struct arena *mem, bool *out_changed, struct error *err)
{
    struct doc *end = member ? doc_get_mutable(request, member) : request;
    const char *kind = member ? member : doc_string(doc_get(request, "kind"), "source");
    struct doc *config = end ? doc_get_mutable(end, "config") : NULL;
    const char *id = doc_string(doc_get(request, SEALED_FOR), NULL);
    char fresh[STORE_ID_BYTES];
    struct sealed_owner owner;

    if (!config || !doc_is(config, DOC_OBJECT))
        return 0;
    if (!id) {
        store_new_id(clock_unix_us(), fresh);
        doc_set(request, SEALED_FOR, doc_new_string(fresh));
        id = arena_strdup(mem, fresh);
        *out_changed = true;
    }
    owner = sealed_owner_in_run(kind, id);
    return renew(r, &owner,
                 table_of(r, strcmp(kind, "source") ? RESOURCE_DESTINATION : RESOURCE_SOURCE,
                          doc_string(doc_get(end, "connector"), ""), mem),
                 config, out_changed, err);
}

static int renew_text(void *arg, const struct sealed_text *t, struct arena *mem,
                      const char **out_text, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_TEXT);
    struct resealing *r = arg;
    bool changed = false;

    if (doc_parse_trusted(t->text, strlen(t->text), &d, err) < 0)
        return error_wrap(err, "%s %s", t->is_run ? "the request of run" : "the configuration of",
                          t->id);
    if (t->is_run ? renew_end(r, d, "source", mem, &changed, err) < 0 ||
                        renew_end(r, d, "destination", mem, &changed, err) < 0 ||
                        renew_end(r, d, NULL, mem, &changed, err) < 0
                  : renew_resource(r, t, mem, d, &changed, err) < 0)
        return -1;
    if (!changed)
        return 0;
    r->n++;
    doc_write(d, &text);
    *out_text = arena_memdup(mem, buf_str(&text), text.len);
    return buf_ok(&text, "a sealed text", err);
}

/* The check values of the pepper and of these keys of a ring. */
static size_t checks_of(const struct keyring *ring, bool only_active, struct arena *mem,
                        struct key_check **out)
{
    struct key_check *checks = arena_array(mem, keyring_count(ring) + 1, sizeof *checks);
    char value[KEYRING_CHECK_BYTES];
    size_t n = 0;

    for (size_t i = 0; i <= keyring_count(ring); i++) {
        const char *id = i < keyring_count(ring) ? keyring_id(ring, i) : KEYRING_PEPPER;

        if (only_active && i < keyring_count(ring) && strcmp(id, keyring_active(ring)) != 0)
            continue;
        (void)keyring_check(ring, id, value);
        checks[n++] = (struct key_check){arena_strdup(mem, id), arena_strdup(mem, value)};
    }
    *out = checks;
    return n;
}

static int reseal(struct store *store, const struct keyring *ring, bool only_active, int64_t *out_n,
                  struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct resealing r = {.store = store, .vault = {.ring = ring}};
    struct key_check *checks;
    size_t n = checks_of(ring, only_active, mem, &checks);

    if (store_reseal(store, checks, n, renew_text, &r, err) < 0)
        return -1;
    *out_n = r.n;
    return 0;
}

static bool has_check(const struct key_check *checks, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(checks[i].id, id))
            return true;
    }
    return false;
}

int vault_has_met(struct store *store, bool *out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct key_check *checks;
    size_t n;

    if (store_get_key_checks(store, mem, &checks, &n, err) < 0)
        return -1;
    *out = n > 0;
    return 0;
}

/* The keys that the store knows, which are in the ring. */
static int match(struct store *store, const struct keyring *ring, struct arena *mem,
                 struct key_check **out, size_t *out_n, struct error *err)
{
    char value[KEYRING_CHECK_BYTES];
    struct key_check *checks;
    size_t n;

    if (store_get_key_checks(store, mem, &checks, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!keyring_check(ring, checks[i].id, value) || strcmp(value, checks[i].value) != 0)
            return error_set_reason(
                err, ERR_CONFIG, "keyring_mismatch",
                "the key ring is not the one of this store: key %s is %s", checks[i].id,
                keyring_check(ring, checks[i].id, value) ? "another one" : "missing");
    }
    *out = checks;
    *out_n = n;
    return 0;
}

int vault_fits(struct store *store, const struct keyring *ring, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct key_check *ignored;
    size_t n;

    return match(store, ring, mem, &ignored, &n, err);
}

int vault_meet(struct store *store, const struct keyring *ring, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct key_check *known, *all;
    size_t n_known, n;

    if (match(store, ring, mem, &known, &n_known, err) < 0)
        return -1;
    n = checks_of(ring, false, mem, &all);
    return n > n_known ? store_put_key_checks(store, all, n, err) : 0;
}

int vault_join(struct store *store, const struct keyring *ring, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct key_check *checks;
    int64_t ignored;
    size_t n;

    if (match(store, ring, mem, &checks, &n, err) < 0)
        return -1;
    if (has_check(checks, n, keyring_active(ring)))
        return 0;
    return reseal(store, ring, false, &ignored, err);
}

int vault_rotate(struct store *store, struct keyring *ring, const char *path, int64_t *out_n,
                 struct error *err)
{
    if (vault_join(store, ring, err) < 0 || keyring_add(ring, err) < 0 ||
        keyring_save(ring, path, err) < 0 || failpoint("rotate_added", err) < 0 ||
        reseal(store, ring, true, out_n, err) < 0 || failpoint("rotate_sealed", err) < 0)
        return -1;
    keyring_drop_others(ring);
    return keyring_save(ring, path, err);
}

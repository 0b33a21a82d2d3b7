#include "server/identity.h"

#include <string.h>
#include <sys/stat.h>

#include "connectors/base/text.h"

const char *identity_key_file(const struct settings *settings, struct arena *mem)
{
    return *settings->key_file ? settings->key_file
                               : arena_printf(mem, "%s/keyring.json", settings->data);
}

/* ----------------------------------------------------------------------- the ring */

/* 0 is no volume. */
static dev_t volume_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_dev : 0;
}

/* A backup or a stolen disk would hold the keys beside what they seal. */
static void warn_of_volume(const struct identity *id, const struct settings *settings)
{
    if (volume_of(id->key_file) == volume_of(settings->data))
        log_warn(id->log, .message = "the key ring lies on the volume of the store",
                 .fields = {log_text("key_file", id->key_file)});
}

static int open_ring(struct identity *id, const struct settings *settings, struct error *err)
{
    struct error why = ERROR_INIT;
    bool met;

    if (keyring_load(id->key_file, &id->ring, &why) == 0)
        return 0;
    if (strcmp(error_reason(&why), "keyring_missing") != 0) {
        *err = why;
        return -1;
    }
    if (vault_has_met(id->store, &met, err) < 0)
        return -1;
    if (met)
        return error_set_reason(err, ERR_CONFIG, "keyring_missing",
                                "%s; the secrets of this store are sealed under it", why.message);
    if (*settings->key_file)
        return error_set_reason(err, ERR_CONFIG, "keyring_missing",
                                "%s; connectord keys create makes one", why.message);
    if (keyring_create(id->key_file, &id->ring, err) < 0)
        return -1;
    log_info(id->log, .message = "a key ring was created",
             .fields = {log_text("key_file", id->key_file)});
    return 0;
}

int identity_open(const struct settings *settings, struct store *store, struct log *log,
                  struct arena *mem, struct identity *out, struct error *err)
{
    struct problems problems = PROBLEMS_INIT(mem);

    *out =
        (struct identity){.store = store, .key_file = identity_key_file(settings, mem), .log = log};
    out->references =
        references_new(mem, settings->secret_references.items, settings->secret_references.n,
                       config_environment, "secret_references", &problems);
    if (problems.n > 0)
        return error_set(err, ERR_CONFIG, "secret_references: %s", problems.items[0].message);
    if (open_ring(out, settings, err) < 0)
        return -1;
    warn_of_volume(out, settings);
    return vault_join(store, out->ring, err);
}

/* --------------------------------------------------------------------- the tokens */

static bool take_digest(const char *hex, unsigned char out[static AUTH_DIGEST_BYTES])
{
    for (size_t i = 0; i < AUTH_DIGEST_BYTES; i++) {
        unsigned value = 0;

        for (size_t k = 0; k < 2; k++) {
            const char *digits = "0123456789abcdef", *at = strchr(digits, hex[2 * i + k]);

            if (!hex[2 * i + k] || !at)
                return false;
            value = value * 16 + (unsigned)(at - digits);
        }
        out[i] = (unsigned char)value;
    }
    return true;
}

static int load(void *arg, struct arena *mem, struct auth_token **out, size_t *out_n,
                struct error *err)
{
    const struct identity *id = arg;
    struct stored_token *rows;
    size_t n;

    if (store_list_tokens(id->store, mem, &rows, &n, err) < 0)
        return -1;
    *out = arena_array(mem, n + 1, sizeof **out);
    for (size_t i = 0; i < n; i++) {
        const struct stored_token *row = &rows[i];
        struct auth_token *t = &(*out)[i];

        /* One that we cannot read still is a token: it opens nothing. */
        *t = (struct auth_token){.scope = scope_from_name(row->scope),
                                 .ends_us = row->revoked_us ? row->revoked_us : row->expires_us,
                                 .used_day = row->used_day};
        if (strlen(row->id) != AUTH_ID_CHARS || !take_digest(row->digest, t->digest))
            t->ends_us = 0;
        else
            memcpy(t->id, row->id, AUTH_ID_CHARS + 1);
    }
    *out_n = n;
    return 0;
}

static void touch(void *arg, const char *id, int64_t day)
{
    struct identity *self = arg;
    struct error err = ERROR_INIT;

    if (store_touch_token(self->store, id, day, &err) < 0)
        log_warn(self->log, .message = "the use of a token is not noted",
                 .fields = {log_text("token_id", id), log_text("reason", err.message)});
}

static void digest(void *arg, const char *token, size_t n, unsigned char out[AUTH_DIGEST_BYTES])
{
    const struct identity *id = arg;

    keyring_digest(id->ring, "token", token, n, out);
}

static bool is_local(const struct settings *s)
{
    return config_is_loopback(s->listen) &&
           (!*s->admin_listen || config_is_loopback(s->admin_listen));
}

/* An address that others reach, and nobody who could prove who he is. */
static int require_token(const struct identity *id, const struct settings *s, const char *bootstrap,
                         struct error *err)
{
    if (is_local(s) || bootstrap || auth_has_token(id->auth))
        return 0;
    return error_set_reason(err, ERR_CONFIG, "token_required",
                            "\"%s\" is not a loopback address, and there is no access token: make "
                            "one with connectord token create, or set bootstrap_token_file",
                            config_is_loopback(s->listen) ? s->admin_listen : s->listen);
}

static struct auth_config config_of(const struct identity *id, const struct settings *settings)
{
    struct auth_config c = id->auth_config;

    c.bootstrap = settings->bootstrap_token;
    c.proxies = settings->trusted_proxies.items;
    c.n_proxies = settings->trusted_proxies.n;
    return c;
}

int identity_guard(struct identity *id, const struct settings *settings, struct error *err)
{
    id->auth_config = (struct auth_config){
        .load = load,
        .touch = touch,
        .digest = digest,
        .arg = id,
        .open_without_tokens = is_local(settings),
        .log = id->log,
    };
    id->auth_config = config_of(id, settings);
    if (auth_new(&id->auth_config, &id->auth, err) < 0)
        return -1;
    return require_token(id, settings, settings->bootstrap_token, err);
}

/* ----------------------------------------------------------------------- a reload */

int identity_read_ring(const struct identity *id, const struct settings *settings,
                       const struct settings *start, struct keyring **out, struct error *err)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(keyring_free_cleanup) struct keyring *ring = NULL;
    struct settings at = *start; /* the data directory stays where it is */

    at.key_file = settings->key_file;
    if (keyring_load(identity_key_file(&at, mem), &ring, err) < 0 ||
        vault_fits(id->store, ring, err) < 0)
        return -1;
    *out = TAKE(ring);
    return 0;
}

int identity_read_rules(const struct identity *id, const struct settings *settings,
                        const struct settings *start, struct auth_rules **out, struct error *err)
{
    struct auth_config config = config_of(id, settings);

    return require_token(id, start, settings->bootstrap_token, err) < 0
               ? -1
               : auth_rules_new(&config, out, err);
}

void identity_use_ring(struct identity *id, struct keyring *ring)
{
    struct error err = ERROR_INIT;

    keyring_take_over(id->ring, ring);
    if (vault_meet(id->store, id->ring, &err) < 0)
        log_error(id->log, .message = "the store does not know of all keys of the ring",
                  .fields = {log_text("reason", err.message)});
}

void identity_remind(struct identity *id)
{
    if (auth_is_open(id->auth))
        log_warn(id->log, .message = "there is no access token: whoever reaches this address may "
                                     "do everything");
}

void identity_close(struct identity *id)
{
    auth_free(id->auth);
    keyring_free(id->ring);
}

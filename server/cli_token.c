/*
 * connectord token and connectord keys: who may ask, and what secrets are sealed under.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "server/cli.h"
#include "server/identity.h"

#define MIN_TTL_MS ((int64_t)60 * 1000)
#define MAX_TTL_MS ((int64_t)366 * 24 * 3600 * 1000)
#define DAY_US     ((int64_t)24 * 3600 * 1000000)

/* The store, which a service may be using, and its key ring. */
struct place {
    struct arena *mem;
    struct store *store;
    struct identity identity;
};

static void place_close(struct place *p)
{
    identity_close(&p->identity);
    store_close(p->store);
    arena_free(p->mem);
}

static const char *store_path(const struct settings *s, struct arena *mem)
{
    return arena_printf(mem, "%s/connectord.db", s->data);
}

/* Beside a service that may be running; a new data directory is begun. */
static int open_tokens(const struct settings *s, struct place *p, struct error *err)
{
    const char *path = store_path(s, p->mem);
    struct stat st;

    if (stat(path, &st) == 0) {
        if (store_open_beside(path, &p->store, err) < 0)
            return -1;
    } else {
        (void)mkdir(s->data, 0700); /* the store says why when it is not there */
        if (store_open(path, &p->store, err) < 0)
            return -1;
    }
    return identity_open(s, p->store, &log_nowhere, p->mem, &p->identity, err) < 0 ||
                   identity_guard(&p->identity,
                                  &(struct settings){.listen = "127.0.0.1:0", .admin_listen = ""},
                                  err) < 0
               ? -1
               : 0;
}

/* ------------------------------------------------------------------------ tokens */

static int wrong(const char *what)
{
    fprintf(stderr, "connectord: %s\n", what);
    return EXIT_USAGE;
}

static int make_token(struct place *p, const char *name, const char *scope, int64_t ttl_ms,
                      struct error *err)
{
    unsigned char digest[AUTH_DIGEST_BYTES];
    char token[AUTH_TOKEN_BYTES], id[AUTH_ID_CHARS + 1], hex[2 * AUTH_DIGEST_BYTES + 1];
    struct stored_token row = {.id = id,
                               .name = name,
                               .scope = scope,
                               .digest = hex,
                               .created_by = "cli",
                               .expires_us = clock_unix_us() + ttl_ms * 1000};

    auth_make_token(&p->identity.auth_config, token, id, digest);
    text_hex(digest, sizeof digest, hex);
    if (store_create_token(p->store, &row, err) < 0)
        return -1;
    puts(token);
    return 0;
}

int cli_token_create(const struct cli_call *call)
{
    CLEANUP(place_close) struct place p = {.mem = arena_new()};
    const char *name = call->argv[0], *scope = call->argv[1];
    struct error err = ERROR_INIT;
    int64_t ttl_ms;

    if (!text_is_slug(name))
        return wrong("the name of a token is up to 63 of a-z, 0-9, _ and -");
    if (scope_from_name(scope) == SCOPE_NONE)
        return wrong("the scope is one of read, run, write, admin");
    if (!text_to_duration_ms(call->argv[2], &ttl_ms) || ttl_ms < MIN_TTL_MS || ttl_ms > MAX_TTL_MS)
        return wrong("a token is valid for 1m to 366d");
    if (open_tokens(&call->config->settings, &p, &err) < 0 ||
        make_token(&p, name, scope, ttl_ms, &err) < 0)
        return cli_fail(&err, "creating a token");
    return EXIT_OK;
}

int cli_token_list(const struct cli_call *call)
{
    CLEANUP(place_close) struct place p = {.mem = arena_new()};
    int64_t now_us = clock_unix_us();
    struct error err = ERROR_INIT;
    struct stored_token *rows;
    size_t n;

    if (open_tokens(&call->config->settings, &p, &err) < 0 ||
        store_list_tokens(p.store, p.mem, &rows, &n, &err) < 0)
        return cli_fail(&err, "listing the tokens");
    for (size_t i = 0; i < n; i++) {
        char ends[CLOCK_TEXT_BYTES], used[CLOCK_TEXT_BYTES];
        const struct stored_token *t = &rows[i];

        clock_format_us(t->expires_us, ends);
        clock_format_us(t->used_day * DAY_US, used);
        printf("%s  %-5s  %s  %-7s  last used %.10s  %s\n", t->id, t->scope, ends,
               t->revoked_us             ? "revoked"
               : t->expires_us <= now_us ? "expired"
                                         : "valid",
               t->used_day ? used : "never", t->name);
    }
    return EXIT_OK;
}

int cli_token_revoke(const struct cli_call *call)
{
    CLEANUP(place_close) struct place p = {.mem = arena_new()};
    struct error err = ERROR_INIT;

    if (open_tokens(&call->config->settings, &p, &err) < 0 ||
        store_revoke_token(p.store, call->argv[0], &err) < 0)
        return cli_fail(&err, "revoking a token");
    return EXIT_OK;
}

/* -------------------------------------------------------------------------- keys */

int cli_keys_create(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(keyring_free_cleanup) struct keyring *ring = NULL;
    const char *path = identity_key_file(&call->config->settings, mem);
    struct error err = ERROR_INIT;

    if (keyring_create(path, &ring, &err) < 0)
        return cli_fail(&err, "creating a key ring");
    printf("%s  %s\n", keyring_active(ring), path);
    return EXIT_OK;
}

int cli_keys_list(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(keyring_free_cleanup) struct keyring *ring = NULL;
    struct error err = ERROR_INIT;

    if (keyring_load(identity_key_file(&call->config->settings, mem), &ring, &err) < 0)
        return cli_fail(&err, "reading the key ring");
    for (size_t i = 0; i < keyring_count(ring); i++)
        printf("%s%s\n", keyring_id(ring, i),
               strcmp(keyring_id(ring, i), keyring_active(ring)) ? "" : "  active");
    return EXIT_OK;
}

/* The service must not run: it seals under the keys that it has loaded. */
int cli_keys_rotate(const struct cli_call *call)
{
    CLEANUP(place_close) struct place p = {.mem = arena_new()};
    const struct settings *s = &call->config->settings;
    struct error err = ERROR_INIT;
    int64_t n = 0;

    if (store_open(store_path(s, p.mem), &p.store, &err) < 0 ||
        identity_open(s, p.store, &log_nowhere, p.mem, &p.identity, &err) < 0 ||
        vault_rotate(p.store, p.identity.ring, p.identity.key_file, &n, &err) < 0)
        return cli_fail(&err, "rotating the keys");
    printf("%s  active, %lld sealed again\n", keyring_active(p.identity.ring), (long long)n);
    return EXIT_OK;
}

#include "server/http/auth.h"

#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/buf.h"
#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/metric.h"
#include "connectors/base/text.h"
#include "server/http/cidr.h"

#define PREFIX       "connectord_"
#define SECRET_BYTES 32
#define DAY_US       ((int64_t)24 * 3600 * 1000000)
#define MAX_PROXIES  64
#define ENDLESS      INT64_MAX

/* Failures of one source. An old entry gives way to a new source. */
struct failures {
    char source[AUTH_SOURCE_BYTES];
    int64_t since_us;
    int64_t n;
};
#define SOURCES 1024
#define WAYS    4 /* places that a source may have */

struct auth_rules {
    struct cidr *proxies;
    size_t n_proxies;
    bool has_bootstrap;
    unsigned char bootstrap[AUTH_DIGEST_BYTES]; /* random when there is none */
};

struct auth {
    struct auth_config config;
    pthread_mutex_t mutex; /* of what follows */
    struct auth_rules *rules;
    struct arena *mem; /* of the tokens */
    struct auth_token *tokens;
    size_t n;
    bool loaded;
    int64_t loaded_us;         /* of clock_monotonic_us */
    struct failures *failures; /* SOURCES; NULL before the first */
};

static const char *const names[] = {
    [SCOPE_READ] = "read", [SCOPE_RUN] = "run", [SCOPE_WRITE] = "write", [SCOPE_ADMIN] = "admin"};

enum scope scope_from_name(const char *name)
{
    for (int i = SCOPE_READ; i <= SCOPE_ADMIN; i++) {
        if (!strcmp(names[i], name))
            return (enum scope)i;
    }
    return SCOPE_NONE;
}

/* ---------------------------------------------------------------- start and stop */

static int take_proxies(struct auth_rules *r, const struct auth_config *config, struct error *err)
{
    r->proxies = xalloc((config->n_proxies + 1) * sizeof *r->proxies);
    r->n_proxies = config->n_proxies;
    for (size_t i = 0; i < config->n_proxies; i++) {
        const char *text = config->proxies[i];

        if (!cidr_parse(text, strlen(text), &r->proxies[i]))
            return error_set(err, ERR_CONFIG, "trusted_proxies: \"%s\" is no range of addresses",
                             text);
    }
    return 0;
}

static int take_bootstrap(struct auth_rules *r, const struct auth_config *config, struct error *err)
{
    const char *token = config->bootstrap;

    hash_random(r->bootstrap, sizeof r->bootstrap);
    if (!token)
        return 0;
    if (strlen(token) < AUTH_BOOTSTRAP_MIN || strlen(token) > AUTH_MAX_BEARER)
        return error_set(err, ERR_CONFIG, "a bootstrap token has %d to %d characters",
                         AUTH_BOOTSTRAP_MIN, AUTH_MAX_BEARER);
    for (const char *c = token; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return error_set(err, ERR_CONFIG, "a bootstrap token is visible ASCII characters");
    }
    config->digest(config->arg, token, strlen(token), r->bootstrap);
    r->has_bootstrap = true;
    return 0;
}

void auth_rules_free(struct auth_rules *r)
{
    if (!r)
        return;
    free(r->proxies);
    free(r);
}

DEFINE_CLEANUP(struct auth_rules *, rules_free_cleanup, auth_rules_free);

int auth_rules_new(const struct auth_config *config, struct auth_rules **out, struct error *err)
{
    CLEANUP(rules_free_cleanup) struct auth_rules *r = xalloc(sizeof *r);

    if (take_proxies(r, config, err) < 0 || take_bootstrap(r, config, err) < 0)
        return -1;
    *out = TAKE(r);
    return 0;
}

void auth_use(struct auth *a, struct auth_rules *r)
{
    struct auth_rules *old;

    {
        LOCK_GUARD(&a->mutex);

        old = a->rules;
        a->rules = r;
    }
    auth_rules_free(old);
}

/* With the mutex held: the tokens as they are now, or were a moment ago. */
static int refresh(struct auth *a, struct error *err)
{
    int64_t now_us = clock_monotonic_us();
    struct auth_token *tokens = NULL;
    struct arena *mem;
    size_t n = 0;

    if (a->loaded && now_us - a->loaded_us < (int64_t)AUTH_CACHE_MS * 1000)
        return 0;
    mem = arena_new();
    if (a->config.load(a->config.arg, mem, &tokens, &n, err) < 0) {
        arena_free(mem);
        return -1;
    }
    arena_free(a->mem);
    a->mem = mem;
    a->tokens = tokens;
    a->n = n;
    a->loaded = true;
    a->loaded_us = now_us;
    return 0;
}

int auth_new(const struct auth_config *config, struct auth **out, struct error *err)
{
    struct auth *a = xalloc(sizeof *a);
    int rc;

    a->config = *config;
    pthread_mutex_init(&a->mutex, NULL);
    rc = auth_rules_new(config, &a->rules, err) < 0 || refresh(a, err) < 0 ? -1 : 0;
    if (rc < 0)
        auth_free(a);
    else
        *out = a;
    return rc;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    arena_free(a->mem);
    auth_rules_free(a->rules);
    free(a->failures);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

const struct auth_config *auth_config(const struct auth *a)
{
    return &a->config;
}

void auth_forget(struct auth *a)
{
    LOCK_GUARD(&a->mutex);

    a->loaded = false;
}

/* With the mutex held. A token that has ended still is one: nothing opens by itself. */
static bool is_open(const struct auth *a)
{
    return a->config.open_without_tokens && !a->rules->has_bootstrap && a->n == 0;
}

bool auth_is_open(struct auth *a)
{
    struct error ignored = ERROR_INIT;
    LOCK_GUARD(&a->mutex);

    return refresh(a, &ignored) == 0 && is_open(a);
}

bool auth_has_token(struct auth *a)
{
    int64_t now_us = clock_unix_us();
    LOCK_GUARD(&a->mutex);

    for (size_t i = 0; i < a->n; i++) {
        if (a->tokens[i].ends_us > now_us)
            return true;
    }
    return false;
}

void auth_make_token(const struct auth_config *config, char token[static AUTH_TOKEN_BYTES],
                     char id[static AUTH_ID_CHARS + 1],
                     unsigned char out_digest[static AUTH_DIGEST_BYTES])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32 that look different */
    unsigned char random[AUTH_ID_CHARS], secret[SECRET_BYTES];
    char text[44];

    hash_random(random, sizeof random);
    for (size_t i = 0; i < AUTH_ID_CHARS; i++)
        id[i] = letters[random[i] % 32];
    id[AUTH_ID_CHARS] = '\0';
    hash_random(secret, sizeof secret);
    sodium_bin2base64(text, sizeof text, secret, sizeof secret,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(token, AUTH_TOKEN_BYTES, PREFIX "%s_%s", id, text);
    config->digest(config->arg, token, strlen(token), out_digest);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(text, sizeof text);
}

/* ------------------------------------------------------------- where it comes from */

static bool is_trusted(const struct auth *a, const char *s, size_t n)
{
    struct cidr address;

    if (memchr(s, '/', n) || !cidr_parse(s, n, &address))
        return false;
    for (size_t i = 0; i < a->rules->n_proxies; i++) {
        if (cidr_holds(&a->rules->proxies[i], &address))
            return true;
    }
    return false;
}

/* From the right: each proxy adds whom it was asked by. The first one that is no proxy of ours is
 * the client; what it says of others is worth nothing. With the mutex held. */
static void find_source(const struct auth *a, const struct auth_request *req,
                        char out[static AUTH_SOURCE_BYTES])
{
    const char *list = req->forwarded_for ? req->forwarded_for : "";
    const char *at = req->peer ? req->peer : "", *end = list + strlen(list);
    size_t n = strlen(at);

    while (end > list && is_trusted(a, at, n)) {
        const char *from = end;

        while (from > list && from[-1] != ',')
            from--;
        at = from + strspn(from, " \t");
        n = at < end ? (size_t)(end - at) : 0;
        while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
            n--;
        end = from > list ? from - 1 : list;
    }
    n = n < AUTH_SOURCE_BYTES - 1 ? n : AUTH_SOURCE_BYTES - 1;
    memcpy(out, at, n);
    out[n] = '\0';
}

void auth_source(struct auth *a, const struct auth_request *req, char out[static AUTH_SOURCE_BYTES])
{
    LOCK_GUARD(&a->mutex);

    find_source(a, req, out);
}

/* The entry of a source, or the oldest of the places it may have. */
static struct failures *entry_of(struct auth *a, const char *source)
{
    struct hash128 h = hash_keyed(source, strlen(source));
    struct failures *bucket, *oldest;

    if (!a->failures)
        a->failures = xalloc(SOURCES * sizeof *a->failures);
    oldest = bucket = &a->failures[h.lo % (SOURCES / WAYS) * WAYS];
    for (struct failures *f = bucket; f < bucket + WAYS; f++) {
        if (!strcmp(f->source, source))
            return f;
        if (f->since_us < oldest->since_us)
            oldest = f;
    }
    return oldest;
}

/* With the mutex held: how many there are now. */
static int64_t count_failure(struct auth *a, const char *source)
{
    int64_t now_us = clock_monotonic_us();
    struct failures *f = entry_of(a, source);

    if (strcmp(f->source, source) != 0 || now_us - f->since_us >= (int64_t)AUTH_WINDOW_MS * 1000) {
        snprintf(f->source, sizeof f->source, "%s", source);
        f->since_us = now_us;
        f->n = 0;
    }
    return ++f->n;
}

/* ----------------------------------------------------------------------- checking */

/* The token of "Bearer TOKEN", or "" when there is none. */
static const char *bearer(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return "";
    authorization += 7;
    authorization += strspn(authorization, " ");
    return strlen(authorization) <= AUTH_MAX_BEARER ? authorization : "";
}

/* The public id in a token of our form; "" in any other. */
static void id_of(const char *token, char out[static AUTH_ID_CHARS + 1])
{
    const char *id = token + strlen(PREFIX);

    *out = '\0';
    if (strlen(token) != AUTH_TOKEN_BYTES - 1 || !text_starts_with(token, PREFIX) ||
        id[AUTH_ID_CHARS] != '_' ||
        strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") != AUTH_ID_CHARS)
        return;
    memcpy(out, id, AUTH_ID_CHARS);
    out[AUTH_ID_CHARS] = '\0';
}

/*
 * One digest, a walk over all tokens, two comparisons: whatever is wrong with a token, and when
 * nothing is. Whether one has ended is asked of each.
 */
static bool is_right(struct auth *a, const char *token, struct auth_result *out)
{
    static const struct auth_token dummy = {.scope = SCOPE_NONE, .ends_us = ENDLESS};
    const struct auth_token *found = &dummy;
    unsigned char digest[AUTH_DIGEST_BYTES];
    int64_t now_us = clock_unix_us();
    bool same, alive, first;

    a->config.digest(a->config.arg, token, strlen(token), digest);
    for (size_t i = 0; i < a->n; i++)
        found = strcmp(a->tokens[i].id, out->id) ? found : &a->tokens[i];
    same = sodium_memcmp(found->digest, digest, sizeof digest) == 0;
    first = sodium_memcmp(a->rules->bootstrap, digest, sizeof digest) == 0;
    alive = found->ends_us > now_us;
    if (first) {
        snprintf(out->id, sizeof out->id, "%s", AUTH_BOOTSTRAP_ID);
        out->scope = SCOPE_ADMIN;
    } else {
        out->scope = found->scope;
    }
    return first || (same && alive && found != &dummy);
}

static bool is_local_host(const char *host)
{
    size_t n = host ? strcspn(host, ":") : 0;

    if (!host)
        return true; /* HTTP/1.0 without a Host: no browser */
    if (*host == '[')
        return text_starts_with(host, "[::1]");
    return (n == 9 && !strncasecmp(host, "localhost", n)) ||
           (text_starts_with(host, "127.") && strspn(host, "0123456789.") == n);
}

/* The same words to who has brought nothing, whose failures nobody counts. */
static int refuse(int64_t failures, struct error *err)
{
    if (failures <= AUTH_MAX_FAILURES)
        return error_set_reason(err, ERR_UNAUTHORIZED, "unauthorized",
                                "A valid access token is required: Authorization: Bearer TOKEN.");
    return error_set_reason(err, ERR_RATE_LIMITED, "rate_limited",
                            "Too many wrong tokens from this address; wait a minute.");
}

static void note_use(struct auth *a, const char *id)
{
    int64_t day = clock_unix_us() / DAY_US;
    bool first = false;

    {
        LOCK_GUARD(&a->mutex);

        for (size_t i = 0; i < a->n; i++) {
            if (!strcmp(a->tokens[i].id, id) && a->tokens[i].used_day < day) {
                a->tokens[i].used_day = day;
                first = true;
            }
        }
    }
    if (first)
        a->config.touch(a->config.arg, id, day);
}

static void tell(struct auth *a, const struct auth_request *req, const char *id, int64_t failures)
{
    char source[AUTH_SOURCE_BYTES];

    auth_source(a, req, source);
    log_warn(a->config.log, .message = "a token was refused",
             .fields = {log_text("token_id", id), log_text("source", source),
                        log_int("failures", failures)});
}

/* A token may have been made by another process a moment ago; true when the tokens are fresh now.
 * Whatever is wrong with a token, the same happens. */
static bool look_again(struct auth *a)
{
    struct error ignored = ERROR_INIT;

    if (clock_monotonic_us() - a->loaded_us < (int64_t)AUTH_PATIENCE_MS * 1000)
        return false;
    a->loaded = false;
    return refresh(a, &ignored) == 0;
}

static void count_refusal(const char *reason)
{
    metric_add_for(METRIC_AUTH_FAILURES, METRIC_LABELS(reason), 1);
}

/* 0 = let in; else how often this source has failed lately, at least 1. */
static int64_t judge(struct auth *a, const struct auth_request *req, const char *token,
                     struct auth_result *out, struct error *err)
{
    char source[AUTH_SOURCE_BYTES];
    LOCK_GUARD(&a->mutex);

    if (refresh(a, err) < 0)
        return -1;
    if (is_open(a)) {
        /* A page on the web can make a browser ask us under a name of its own, one that it lets
         * point here, and read the answer: no name but ours is answered. */
        if (!is_local_host(req->host)) {
            count_refusal("foreign_host");
            return error_set_reason(err, ERR_UNAUTHORIZED, "unauthorized",
                                    "Without access tokens only requests to a loopback host are "
                                    "answered.");
        }
        out->scope = SCOPE_ADMIN;
        *out->id = '\0';
        return 0;
    }
    if (is_right(a, token, out) || (look_again(a) && is_right(a, token, out)))
        return 0;
    find_source(a, req, source);
    return *token ? count_failure(a, source) : 1;
}

int auth_check(struct auth *a, const struct auth_request *req, struct auth_result *out,
               struct error *err)
{
    const char *token = bearer(req->authorization);
    char id[AUTH_ID_CHARS + 1];
    int64_t failures;

    id_of(token, id);
    memcpy(out->id, id, sizeof id);
    failures = judge(a, req, token, out, err);
    if (failures > 0 && *token && failures <= AUTH_MAX_FAILURES + 1)
        tell(a, req, id, failures); /* one more says that the limit was reached */
    if (failures > 0) {
        count_refusal(!*token                         ? "no_token"
                      : failures <= AUTH_MAX_FAILURES ? "wrong_token"
                                                      : "too_many");
        return refuse(failures, err);
    }
    if (failures == 0 && *out->id)
        note_use(a, out->id);
    return failures < 0 ? -1 : 0;
}

int auth_may(const struct auth_result *who, const char *scope, struct error *err)
{
    if (who->scope >= scope_from_name(scope))
        return 0;
    metric_add_for(METRIC_AUTHZ_DENIED, METRIC_LABELS("insufficient_scope"), 1);
    return error_set_reason(err, ERR_PERMISSION, "insufficient_scope",
                            "This needs a token of scope %s.", scope);
}

/*
 * auth.h - who may ask: access tokens, their scopes, and a limit of failures.
 *
 * A token is "connectord_" + 10 characters of public id + "_" + 43 of secret; 32 random bytes need
 * no slow hash, so only a digest is kept. Which tokens there are comes from a callback and is
 * remembered for AUTH_CACHE_MS, so that a revocation holds everywhere within that time. An unknown,
 * expired, revoked or wrong token takes the same work and gets the same answer. Safe from any
 * thread.
 */
#ifndef SERVER_HTTP_AUTH_H
#define SERVER_HTTP_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/base/arena.h"
#include "connectors/base/error.h"
#include "connectors/base/log.h"

#define AUTH_CACHE_MS      1000
#define AUTH_PATIENCE_MS   20 /* before a refused token is looked for once more */
#define AUTH_DIGEST_BYTES  32
#define AUTH_ID_CHARS      10
#define AUTH_TOKEN_BYTES   (11 + AUTH_ID_CHARS + 1 + 43 + 1) /* with its NUL */
#define AUTH_MAX_BEARER    256                               /* longer ones are wrong */
#define AUTH_MAX_FAILURES  10 /* of one source within AUTH_WINDOW_MS; then 429 */
#define AUTH_WINDOW_MS     60000
#define AUTH_SOURCE_BYTES  64 /* text of an address */
#define AUTH_BOOTSTRAP_ID  "bootstrap"
#define AUTH_BOOTSTRAP_MIN 32 /* characters of a bootstrap token */

/* Each holds what is before it. */
enum scope { SCOPE_NONE, SCOPE_READ, SCOPE_RUN, SCOPE_WRITE, SCOPE_ADMIN };
/* SCOPE_NONE for a name that is none. */
enum scope scope_from_name(const char *name);

/* What is known of a token. */
struct auth_token {
    char id[AUTH_ID_CHARS + 1];
    enum scope scope;
    unsigned char digest[AUTH_DIGEST_BYTES];
    int64_t ends_us; /* when it expires or was revoked */
    int64_t used_day;
};

struct auth_config {
    /* All tokens that were not forgotten; memory of `mem`. */
    int (*load)(void *arg, struct arena *mem, struct auth_token **out, size_t *out_n,
                struct error *err);
    /* Notes that a token was used on this day (since 1970); once a day for each. */
    void (*touch)(void *arg, const char *id, int64_t day);
    void (*digest)(void *arg, const char *token, size_t n, unsigned char out[AUTH_DIGEST_BYTES]);
    void *arg;
    const char *bootstrap;      /* one more token, of scope admin and without end; NULL = none */
    bool open_without_tokens;   /* as long as there is no token at all: everybody is an admin */
    const char *const *proxies; /* CIDR of peers whose X-Forwarded-For is believed */
    size_t n_proxies;
    struct log *log;
};

struct auth; /* opaque */

/* Strings of `config` must stay. Fails with CONFIG when a CIDR is none or the bootstrap token is
 * too short or not plain text, and when `load` fails. */
CHECKED int auth_new(const struct auth_config *config, struct auth **out, struct error *err);
void auth_free(struct auth *a); /* accepts NULL */

/* Tokens were made or revoked in this process: the next request knows. */
void auth_forget(struct auth *a);
/* May anybody do anything, for want of tokens? */
bool auth_is_open(struct auth *a);
/* Is there a token that can be used now, beside the bootstrap token? */
bool auth_has_token(struct auth *a);

/* What may change while requests come: the bootstrap token and the proxies of a configuration. */
struct auth_rules; /* opaque */
CHECKED int auth_rules_new(const struct auth_config *config, struct auth_rules **out,
                           struct error *err);
void auth_rules_free(struct auth_rules *r);          /* of rules not in use; accepts NULL */
void auth_use(struct auth *a, struct auth_rules *r); /* takes them, in place of those before */

/* As it was given to auth_new. */
const struct auth_config *auth_config(const struct auth *a);

/* A new token; *out_digest goes to the store, `token` to whoever asked for it, once. */
void auth_make_token(const struct auth_config *config, char token[static AUTH_TOKEN_BYTES],
                     char id[static AUTH_ID_CHARS + 1],
                     unsigned char out_digest[static AUTH_DIGEST_BYTES]);

/* A request as far as it matters here. Strings may be NULL. */
struct auth_request {
    const char *authorization;
    const char *host;
    const char *forwarded_for;
    const char *peer; /* its address as text */
};
struct auth_result {
    enum scope scope;
    char id[AUTH_ID_CHARS + 1]; /* of the token; "" when open */
};
/*
 * Fails with UNAUTHORIZED "unauthorized", RATE_LIMITED "rate_limited" when this source has failed
 * too often (a right token is not held up by it), PERMISSION "insufficient_scope" is for auth_may,
 * or as `load` does.
 */
CHECKED int auth_check(struct auth *a, const struct auth_request *req, struct auth_result *out,
                       struct error *err);
CHECKED int auth_may(const struct auth_result *who, const char *scope, struct error *err);

/* The address that a request comes from: the peer's, or what trusted proxies say. */
void auth_source(struct auth *a, const struct auth_request *req,
                 char out[static AUTH_SOURCE_BYTES]);

#endif

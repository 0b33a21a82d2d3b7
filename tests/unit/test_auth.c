/* Security requirements A3, A4, A5, A8: tokens, equal work, Bearer only, the limit of failures. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "server/http/auth.h"

#define SECOND ((int64_t)1000000)
#define BEGIN  (20000 * 86400 * SECOND)
#define END    (BEGIN + 1000 * SECOND)

/* What a store would hold. */
static struct auth_token tokens[8];
static size_t n_tokens;
static bool load_fails;
static int loads, touches;
static int64_t now_us;

static int load(void *arg, struct arena *mem, struct auth_token **out, size_t *out_n,
                struct error *err)
{
    (void)arg;
    loads++;
    if (load_fails)
        return error_set(err, ERR_RESOURCE, "the store is gone");
    *out = arena_array(mem, n_tokens + 1, sizeof **out);
    memcpy(*out, tokens, n_tokens * sizeof **out);
    *out_n = n_tokens;
    return 0;
}

static void touch(void *arg, const char *id, int64_t day)
{
    (void)arg;
    (void)id;
    (void)day;
    touches++;
}

/* Not a keyed digest, but as good for a test. */
static void digest(void *arg, const char *token, size_t n, unsigned char out[AUTH_DIGEST_BYTES])
{
    char hex[HASH_HEX_BYTES];

    (void)arg;
    hash_bytes_hex(token, n, hex);
    memcpy(out, hex, AUTH_DIGEST_BYTES);
}

static int64_t fake_now(void)
{
    return now_us;
}

static struct auth_config config;
static struct auth *auth;
static struct error err;

static void setup(void)
{
    n_tokens = 0;
    loads = touches = 0;
    load_fails = false;
    now_us = BEGIN;
    clock_fake(fake_now);
    config =
        (struct auth_config){.load = load, .touch = touch, .digest = digest, .log = &log_nowhere};
    err = ERROR_INIT;
}

static void begin(void)
{
    cr_assert_eq(auth_new(&config, &auth, &err), 0, "%s", err.message);
}

static void teardown(void)
{
    auth_free(auth);
    clock_fake(NULL);
}

TestSuite(auth, .init = setup, .fini = teardown);

static const char *make(enum scope scope, int64_t ends_us)
{
    static char texts[8][AUTH_TOKEN_BYTES];
    struct auth_token *t = &tokens[n_tokens];

    *t = (struct auth_token){.scope = scope, .ends_us = ends_us};
    auth_make_token(&config, texts[n_tokens], t->id, t->digest);
    return texts[n_tokens++];
}

static struct auth_result who;

/* "" when let in, else the code. */
static const char *ask_from(const char *authorization, const char *peer)
{
    struct auth_request req = {.authorization = authorization, .host = "localhost", .peer = peer};

    err = ERROR_INIT;
    return auth_check(auth, &req, &who, &err) == 0 ? "" : error_reason(&err);
}

static const char *ask(const char *token)
{
    static char header[1024];

    snprintf(header, sizeof header, "Bearer %s", token);
    return ask_from(header, "10.0.0.1");
}

Test(auth, tokens_have_a_form_that_scanners_find)
{
    const char *token = make(SCOPE_READ, END), *other = make(SCOPE_READ, END);

    cr_assert_eq(strlen(token), 65);
    cr_assert(text_starts_with(token, "connectord_"));
    cr_assert_eq(token[21], '_');
    cr_assert_eq(memcmp(token + 11, tokens[0].id, 10), 0);
    cr_assert_eq(strspn(token + 22, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                    "-_"),
                 43);
    cr_assert_str_neq(token, other);
    begin();
}

Test(auth, a_token_lets_in_with_its_scope)
{
    const char *token = make(SCOPE_RUN, END);

    begin();
    cr_assert_str_eq(ask(token), "");
    cr_assert_eq(who.scope, SCOPE_RUN);
    cr_assert_str_eq(who.id, tokens[0].id);
    cr_assert_eq(auth_may(&who, "read", &err), 0);
    cr_assert_eq(auth_may(&who, "run", &err), 0);
    cr_assert_lt(auth_may(&who, "write", &err), 0);
    cr_assert_str_eq(error_reason(&err), "insufficient_scope");
    cr_assert_eq(scope_from_name("owner"), SCOPE_NONE);
    cr_assert_str_eq(ask_from(NULL, NULL), "unauthorized");
}

Test(auth, whatever_is_wrong_gets_the_same_answer)
{
    const char *good = make(SCOPE_ADMIN, END), *ended = make(SCOPE_ADMIN, BEGIN - 1);
    char wrong[AUTH_TOKEN_BYTES], unknown[AUTH_TOKEN_BYTES], odd[AUTH_TOKEN_BYTES];
    char said[sizeof err.message];

    begin();
    strcpy(wrong, good);
    wrong[40] = wrong[40] == 'x' ? 'y' : 'x';
    strcpy(unknown, good);
    unknown[12] = unknown[12] == 'x' ? 'y' : 'x';
    strcpy(odd, good);
    odd[21] = '-';
    cr_assert_str_eq(ask(wrong), "unauthorized");
    strcpy(said, err.message);
    {
        const char *const others[] = {
            unknown, ended, odd, "", "connectord_", "x", "CONNECTORD_aaaaaaaaaa_"};

        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            cr_assert_str_eq(ask(others[i]), "unauthorized", "%s", others[i]);
            cr_assert_str_eq(err.message, said);
        }
    }
    cr_assert_str_eq(ask_from(NULL, "10.0.0.2"), "unauthorized");
    cr_assert_str_eq(err.message, said);
}

Test(auth, only_bearer_is_a_way)
{
    const char *token = make(SCOPE_ADMIN, END);
    char header[2 * AUTH_MAX_BEARER];

    begin();
    snprintf(header, sizeof header, "bearer   %s", token);
    cr_assert_str_eq(ask_from(header, "10.0.0.1"), "");
    snprintf(header, sizeof header, "Basic %s", token);
    cr_assert_str_eq(ask_from(header, "10.0.0.1"), "unauthorized");
    cr_assert_str_eq(ask_from(token, "10.0.0.1"), "unauthorized");
    snprintf(header, sizeof header, "Bearer %s%*d", token, AUTH_MAX_BEARER, 0);
    cr_assert_str_eq(ask_from(header, "10.0.0.1"), "unauthorized");
}

Test(auth, a_revocation_holds_within_the_age_of_the_cache)
{
    const char *token = make(SCOPE_READ, END);

    begin();
    cr_assert_str_eq(ask(token), "");
    tokens[0].ends_us = now_us - 1;
    cr_assert_str_eq(ask(token), ""); /* by another process */
    auth_forget(auth);                /* by this one */
    cr_assert_str_eq(ask(token), "unauthorized");
    tokens[0].ends_us = END;
    now_us += (int64_t)AUTH_CACHE_MS * 1000;
    cr_assert_str_eq(ask(token), "");
    tokens[0].ends_us = now_us - 1;
    now_us += (int64_t)AUTH_CACHE_MS * 1000;
    cr_assert_str_eq(ask(token), "unauthorized");
}

Test(auth, a_token_that_was_just_made_is_found)
{
    const char *token;

    make(SCOPE_READ, END);
    begin();
    token = make(SCOPE_READ, END);
    now_us += (int64_t)AUTH_PATIENCE_MS * 1000 - 1;
    cr_assert_str_eq(ask(token), "unauthorized");
    now_us += 1;
    cr_assert_str_eq(ask(token), "");
}

Test(auth, without_the_store_nobody_gets_in)
{
    const char *token = make(SCOPE_READ, END);

    config.open_without_tokens = true;
    begin();
    load_fails = true;
    auth_forget(auth);
    cr_assert_str_eq(ask(token), "resource");
    cr_assert_not(auth_is_open(auth));
    load_fails = false;
    now_us += (int64_t)AUTH_CACHE_MS * 1000;
    cr_assert_str_eq(ask(token), "");
    load_fails = true;
    now_us += (int64_t)AUTH_PATIENCE_MS * 1000;
    cr_assert_str_eq(ask("connectord_x"), "unauthorized");
}

Test(auth, use_is_noted_once_a_day)
{
    const char *token = make(SCOPE_READ, INT64_MAX);

    begin();
    cr_assert_str_eq(ask(token), "");
    cr_assert_str_eq(ask(token), "");
    cr_assert_eq(touches, 1);
    now_us += 86400 * SECOND;
    tokens[0].used_day = now_us / (86400 * SECOND);
    cr_assert_str_eq(ask(token), "");
    cr_assert_eq(touches, 1); /* another process has */
}

Test(auth, a_bootstrap_token_is_an_admin_without_end)
{
    config.bootstrap = "0123456789abcdef0123456789abcdef";
    begin();
    cr_assert_str_eq(ask(config.bootstrap), "");
    cr_assert_eq(who.scope, SCOPE_ADMIN);
    cr_assert_str_eq(who.id, AUTH_BOOTSTRAP_ID);
    cr_assert_not(auth_has_token(auth)); /* of those that the store knows */
    cr_assert_str_eq(ask("0123456789abcdef0123456789abcdeF"), "unauthorized");
    cr_assert_eq(auth_config(auth)->bootstrap, config.bootstrap);
}

Test(auth, bad_bootstrap_tokens_and_proxies_are_refused)
{
    static const char *const proxies[] = {"10.0.0.0/8", "somewhere"};
    static const char *const bad[] = {"short", "0123456789abcdef 0123456789abcdef",
                                      "0123456789abcdef0123456789abcde\x7f"};
    char long_one[AUTH_MAX_BEARER + 2];

    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config.bootstrap = bad[i];
        err = ERROR_INIT;
        cr_assert_lt(auth_new(&config, &auth, &err), 0, "%s", bad[i]);
        cr_assert_null(strstr(err.message, bad[i]));
    }
    config.bootstrap = long_one;
    err = ERROR_INIT;
    cr_assert_lt(auth_new(&config, &auth, &err), 0);
    config.bootstrap = NULL;
    config.proxies = proxies;
    config.n_proxies = 2;
    err = ERROR_INIT;
    cr_assert_lt(auth_new(&config, &auth, &err), 0);
    config.n_proxies = 0;
    load_fails = true;
    err = ERROR_INIT;
    cr_assert_lt(auth_new(&config, &auth, &err), 0);
    auth = NULL;
}

static const char *source_of(const char *peer, const char *forwarded)
{
    static char out[AUTH_SOURCE_BYTES];
    struct auth_request req = {.peer = peer, .forwarded_for = forwarded};

    auth_source(auth, &req, out);
    return out;
}

/* A reload: from one request to the next, and all or nothing. */
Test(auth, bootstrap_token_and_proxies_are_replaced)
{
    static const char *const before[] = {"10.0.0.0/8"}, *const after[] = {"192.0.2.0/24"};
    static const char *const wrong[] = {"192.0.2.0/24", "somewhere"};
    const char *first = "first-0123456789abcdef0123456789",
               *second = "other-0123456789abcdef0123456789";
    struct auth_rules *rules = NULL;

    config.bootstrap = first;
    config.proxies = before;
    config.n_proxies = 1;
    begin();
    config.bootstrap = second;
    config.proxies = wrong;
    config.n_proxies = 2;
    err = ERROR_INIT;
    cr_assert_lt(auth_rules_new(&config, &rules, &err), 0);
    cr_assert_null(rules);
    cr_assert_str_eq(ask(first), "");
    cr_assert_str_eq(source_of("10.1.2.3", "1.2.3.4"), "1.2.3.4");
    config.proxies = after;
    config.n_proxies = 1;
    err = ERROR_INIT;
    cr_assert_eq(auth_rules_new(&config, &rules, &err), 0);
    auth_use(auth, rules);
    cr_assert_str_eq(ask(first), "unauthorized");
    cr_assert_str_eq(ask(second), "");
    cr_assert_str_eq(source_of("10.1.2.3", "1.2.3.4"), "10.1.2.3");
    cr_assert_str_eq(source_of("192.0.2.9", "1.2.3.4"), "1.2.3.4");
    config.bootstrap = NULL;
    cr_assert_eq(auth_rules_new(&config, &rules, &err), 0);
    auth_use(auth, rules);
    cr_assert_str_eq(ask(second), "unauthorized");
}

Test(auth, open_means_no_token_has_ever_been_made)
{
    struct auth_request web = {.host = "evil.example:8080", .peer = "127.0.0.1"};
    static const char *const local[] = {"localhost", "LOCALHOST:8080", "127.0.0.1:8080",
                                        "127.9.9.9", "[::1]:8080",     "[::1]"};
    static const char *const others[] = {"127.evil.example", "localhost.evil", "[fe80::1]",
                                         "10.0.0.1"};

    config.open_without_tokens = true;
    begin();
    cr_assert(auth_is_open(auth));
    cr_assert_not(auth_has_token(auth));
    cr_assert_str_eq(ask_from(NULL, "127.0.0.1"), "");
    cr_assert_eq(who.scope, SCOPE_ADMIN);
    cr_assert_str_eq(who.id, "");
    /* A name that somebody lets point at us is not ours. */
    err = ERROR_INIT;
    cr_assert_lt(auth_check(auth, &web, &who, &err), 0);
    cr_assert_str_eq(error_reason(&err), "unauthorized");
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        web.host = local[i];
        cr_assert_eq(auth_check(auth, &web, &who, &err), 0, "%s", local[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        web.host = others[i];
        err = ERROR_INIT;
        cr_assert_lt(auth_check(auth, &web, &who, &err), 0, "%s", others[i]);
    }
    web.host = NULL;
    cr_assert_eq(auth_check(auth, &web, &who, &err), 0);
    make(SCOPE_READ, 1); /* one that has ended closes the door all the same */
    auth_forget(auth);
    cr_assert_not(auth_is_open(auth));
    cr_assert_not(auth_has_token(auth));
    cr_assert_str_eq(ask_from(NULL, "127.0.0.1"), "unauthorized");
}

Test(auth, failures_of_a_source_are_limited)
{
    const char *token = make(SCOPE_READ, END);

    begin();
    for (int i = 0; i < AUTH_MAX_FAILURES; i++)
        cr_assert_str_eq(ask("wrong"), "unauthorized");
    cr_assert_str_eq(ask("wrong"), "rate_limited");
    cr_assert_str_eq(ask("wrong"), "rate_limited");
    cr_assert_str_eq(ask(token), ""); /* a neighbour cannot lock anybody out */
    cr_assert_str_eq(ask_from("Bearer wrong", "10.0.0.2"), "unauthorized");
    cr_assert_str_eq(ask_from(NULL, "10.0.0.1"), "unauthorized"); /* no token is no guess */
    now_us += (int64_t)AUTH_WINDOW_MS * 1000;
    cr_assert_str_eq(ask("wrong"), "unauthorized");
}

Test(auth, many_sources_displace_each_other_and_nothing_else)
{
    char peer[32];

    make(SCOPE_READ, END);
    begin();
    for (int i = 0; i < 5000; i++) {
        snprintf(peer, sizeof peer, "10.1.%d.%d", i / 250, i % 250);
        now_us++;
        cr_assert_str_eq(ask_from("Bearer wrong", peer), "unauthorized");
    }
}

Test(auth, only_trusted_proxies_say_where_a_request_comes_from)
{
    static const char *const proxies[] = {"10.0.0.0/8", "fd00::/8", "192.0.2.7"};

    config.proxies = proxies;
    config.n_proxies = 3;
    begin();
    cr_assert_str_eq(source_of("203.0.113.9", "1.2.3.4"), "203.0.113.9");
    cr_assert_str_eq(source_of("10.1.2.3", NULL), "10.1.2.3");
    cr_assert_str_eq(source_of("10.1.2.3", ""), "10.1.2.3");
    cr_assert_str_eq(source_of("10.1.2.3", "1.2.3.4"), "1.2.3.4");
    cr_assert_str_eq(source_of("10.1.2.3", "9.9.9.9, 1.2.3.4 , 192.0.2.7"), "1.2.3.4");
    cr_assert_str_eq(source_of("::ffff:10.1.2.3", "2001:db8::1"), "2001:db8::1");
    cr_assert_str_eq(source_of("fd12::1", " 192.0.2.8"), "192.0.2.8");
    cr_assert_str_eq(source_of("10.1.2.3", "10.0.0.1,10.0.0.2"), "10.0.0.1");
    cr_assert_str_eq(source_of("10.1.2.3", "10.0.0.0/8"), "10.0.0.0/8"); /* no address */
    cr_assert_str_eq(source_of(NULL, "1.2.3.4"), "");
    cr_assert_eq(
        strlen(source_of("10.1.2.3", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
        AUTH_SOURCE_BYTES - 1);
}

Test(auth, has_a_token_when_one_is_still_good)
{
    make(SCOPE_READ, BEGIN - 1);
    make(SCOPE_READ, END);
    begin();
    cr_assert(auth_has_token(auth));
    now_us = END;
    cr_assert_not(auth_has_token(auth));
}

Test(auth, a_bootstrap_token_closes_what_would_be_open)
{
    config.open_without_tokens = true;
    config.bootstrap = "0123456789abcdef0123456789abcdef";
    begin();
    cr_assert_not(auth_is_open(auth));
    cr_assert_str_eq(ask_from(NULL, "127.0.0.1"), "unauthorized");
}

Test(auth, tokens_of_another_form_are_no_tokens)
{
    char token[AUTH_TOKEN_BYTES];

    strcpy(token, make(SCOPE_READ, END));
    begin();
    token[12] = 'A'; /* the id is of small letters and digits */
    cr_assert_str_eq(ask(token), "unauthorized");
    cr_assert_str_eq(who.id, "");
    memset(token, 'x', AUTH_TOKEN_BYTES - 1);
    cr_assert_str_eq(ask(token), "unauthorized");
    cr_assert_str_eq(who.id, "");
}

Test(auth, what_is_wrong_stays_wrong_after_another_look)
{
    make(SCOPE_READ, END);
    begin();
    now_us += (int64_t)AUTH_PATIENCE_MS * 1000;
    cr_assert_str_eq(ask("wrong"), "unauthorized");
    cr_assert_eq(loads, 2);
}

static void digest_of_zeros(void *arg, const char *token, size_t n,
                            unsigned char out[AUTH_DIGEST_BYTES])
{
    (void)arg;
    (void)token;
    (void)n;
    memset(out, 0, AUTH_DIGEST_BYTES);
}

/* What stands in for a token that is not there has a digest, and no token of it lets in. */
Test(auth, nobody_comes_in_as_the_token_that_is_not_there)
{
    make(SCOPE_READ, END);
    config.digest = digest_of_zeros;
    begin();
    cr_assert_str_eq(ask("wrong"), "unauthorized");
}

Test(auth, odd_lists_of_proxies_give_no_wrong_source)
{
    static const char *const proxies[] = {"10.0.0.0/8"};

    config.proxies = proxies;
    config.n_proxies = 1;
    begin();
    cr_assert_str_eq(source_of("10.1.2.3", "1.2.3.4, 10.0.0.0/8"), "10.0.0.0/8");
    cr_assert_str_eq(source_of("10.1.2.3", "1.2.3.4,"), "");
    cr_assert_str_eq(source_of("10.1.2.3", "1.2.3.4, \t"), "");
    cr_assert_str_eq(source_of("10.1.2.3", "9.9.9.9,1.2.3.4 \t"), "1.2.3.4");
}

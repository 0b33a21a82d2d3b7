/*
 * T-CT, A4: no branch and no index depends on a secret byte while a token is judged. To valgrind
 * the digests and the pepper are undefined, so it reports each use that would show in the time
 * taken. What the comparison says in the end is no secret: the wrapper makes it defined.
 *
 * With the argument "leaky" the comparison is one that stops at the first difference, which has to
 * be reported: else this test sees nothing.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "server/http/auth.h"

#define END_OF_TIME INT64_MAX

static struct auth_token tokens[3];
static unsigned char pepper[32];
static bool leaky;
static int compared;

int __real_sodium_memcmp(const void *a, const void *b, size_t n);
int __wrap_sodium_memcmp(const void *a, const void *b, size_t n);

static int stop_at_the_first(const unsigned char *a, const unsigned char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i])
            return -1;
    }
    return 0;
}

int __wrap_sodium_memcmp(const void *a, const void *b, size_t n)
{
    int result = leaky ? stop_at_the_first(a, b, n) : __real_sodium_memcmp(a, b, n);

    compared++;
    VALGRIND_MAKE_MEM_DEFINED(&result, sizeof result);
    return result;
}

static void digest(void *arg, const char *token, size_t n, unsigned char out[AUTH_DIGEST_BYTES])
{
    (void)arg;
    crypto_generichash(out, AUTH_DIGEST_BYTES, (const unsigned char *)token, n, pepper,
                       sizeof pepper);
    VALGRIND_MAKE_MEM_UNDEFINED(out, AUTH_DIGEST_BYTES);
}

static int load(void *arg, struct arena *mem, struct auth_token **out, size_t *out_n,
                struct error *err)
{
    (void)arg;
    (void)mem;
    (void)err;
    *out = tokens;
    *out_n = sizeof tokens / sizeof *tokens;
    return 0;
}

static void touch(void *arg, const char *id, int64_t day)
{
    (void)arg;
    (void)id;
    (void)day;
}

/* Whether it is let in. */
static bool ask(struct auth *a, const char *token)
{
    char header[200];
    struct auth_request req = {.authorization = header, .peer = "192.0.2.1"};
    struct auth_result who = {.scope = SCOPE_NONE};
    struct error err = ERROR_INIT;

    snprintf(header, sizeof header, "Bearer %s", token);
    return auth_check(a, &req, &who, &err) == 0;
}

int main(int argc, char **argv)
{
    static const char bootstrap[] = "a-bootstrap-token-that-is-long-enough";
    struct auth_config config = {.load = load,
                                 .touch = touch,
                                 .digest = digest,
                                 .bootstrap = bootstrap,
                                 .log = &log_nowhere};
    char made[3][AUTH_TOKEN_BYTES], wrong[AUTH_TOKEN_BYTES];
    struct error err = ERROR_INIT;
    struct auth *a;
    bool ok;

    leaky = argc > 1 && !strcmp(argv[1], "leaky");
    if (sodium_init() < 0 || !RUNNING_ON_VALGRIND)
        return 2;
    randombytes_buf(pepper, sizeof pepper);
    VALGRIND_MAKE_MEM_UNDEFINED(pepper, sizeof pepper);
    for (int i = 0; i < 3; i++) {
        auth_make_token(&config, made[i], tokens[i].id, tokens[i].digest);
        tokens[i].scope = SCOPE_READ;
        tokens[i].ends_us = i == 2 ? 1 : END_OF_TIME; /* the last one has ended */
    }
    if (auth_new(&config, &a, &err) < 0)
        return 2;
    ok = ask(a, made[0]) && ask(a, made[1]) && ask(a, bootstrap) && !ask(a, made[2]);
    for (size_t at = 0; at < sizeof wrong - 1; at += 5) { /* in the name, the id, the secret */
        memcpy(wrong, made[1], sizeof wrong);
        wrong[at] = wrong[at] == 'x' ? 'y' : 'x';
        ok = ok && !ask(a, wrong);
    }
    ok = ok && !ask(a, "") && !ask(a, "short") && compared >= 2 * 10;
    auth_free(a);
    printf("%d comparisons%s\n", compared, ok ? "" : ", and a wrong verdict");
    return ok ? 0 : 3;
}

/*
 * What a reload replaces while it is in use, for ThreadSanitizer: threads decide about addresses,
 * judge tokens, seal and open, while another puts new rules and new keys in their place. Ends with
 * 0 when every answer was that of one of both sides, and what was sealed always opened.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/egress.h"
#include "connectors/base/hash.h"
#include "server/http/auth.h"
#include "server/secrets/keyring.h"
#include "tests/support/tempdir.h"

#define USERS  4
#define ROUNDS 300

static const char *const tokens[] = {"first-0123456789abcdef0123456789",
                                     "other-0123456789abcdef0123456789"};
static const char *const proxies[] = {"10.0.0.0/8"};

static atomic_bool stop;
static atomic_int failures;
static struct auth *auth;
static struct keyring *ring;

#define FAIL(...) (fprintf(stderr, __VA_ARGS__), failures++)

static int load(void *arg, struct arena *mem, struct auth_token **out, size_t *out_n,
                struct error *err)
{
    (void)arg;
    (void)err;
    *out = arena_array(mem, 1, sizeof **out);
    *out_n = 0;
    return 0;
}

static void touch(void *arg, const char *id, int64_t day)
{
    (void)arg;
    (void)id;
    (void)day;
}

static void digest(void *arg, const char *token, size_t n, unsigned char out[AUTH_DIGEST_BYTES])
{
    (void)arg;
    keyring_digest(ring, "token", token, n, out);
}

static const char *bearer(int which)
{
    return which ? "Bearer other-0123456789abcdef0123456789"
                 : "Bearer first-0123456789abcdef0123456789";
}

static void ask_egress(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5432)};
    struct error err = ERROR_INIT;
    struct egress_decision d;

    inet_pton(AF_INET, "10.1.2.3", &to.sin_addr);
    egress_decide("db.example.com", (struct sockaddr *)&to, &d);
    if (!d.allowed && strcmp(d.rule, "10.0.0.0/8") != 0)
        FAIL("refused by \"%s\"\n", d.rule);
    if (egress_check("db.example.com", (struct sockaddr *)&to, &err) < 0 &&
        strcmp(error_reason(&err), "egress_denied") != 0)
        FAIL("%s\n", err.message);
}

static void ask_auth(int which)
{
    struct auth_request req = {.authorization = bearer(which),
                               .host = "localhost",
                               .forwarded_for = "192.0.2.1",
                               .peer = "10.0.0.1"};
    char source[AUTH_SOURCE_BYTES];
    struct error err = ERROR_INIT;
    struct auth_result who;

    if (auth_check(auth, &req, &who, &err) == 0 && who.scope != SCOPE_ADMIN)
        FAIL("a token of no scope\n");
    auth_source(auth, &req, source);
    if (strcmp(source, "192.0.2.1") != 0 && strcmp(source, "10.0.0.1") != 0)
        FAIL("from \"%s\"\n", source);
}

static void use_ring(void)
{
    static const struct seal_place place = {"source", "1", "/password"};
    CLEANUP(buf_release) struct buf sealed = BUF_INIT(4096), plain = BUF_INIT(4096);
    struct error err = ERROR_INIT;
    char id[KEYRING_ID_BYTES];

    keyring_seal(ring, &place, "a secret", 8, &sealed);
    if (keyring_open(ring, &place, sealed.data, sealed.len, &plain, &err) < 0)
        FAIL("%s\n", err.message);
    (void)keyring_is_current(ring, buf_str(&sealed));
    keyring_copy_active(ring, id);
}

static void *use_all(void *arg)
{
    (void)arg;
    for (int i = 0; !stop; i++) {
        ask_egress();
        ask_auth(i % 2);
        use_ring();
    }
    return NULL;
}

static struct auth_config config_of(int round)
{
    return (struct auth_config){.load = load,
                                .touch = touch,
                                .digest = digest,
                                .bootstrap = tokens[round % 2],
                                .proxies = proxies,
                                .n_proxies = (size_t)(round % 2),
                                .log = &log_nowhere};
}

static void reload(const char *path, int round)
{
    const char *deny[] = {"10.0.0.0/8"};
    struct egress_policy policy = {.deny = deny, .n_deny = (size_t)(round % 2), .loopback = true};
    struct auth_config config = config_of(round);
    struct error err = ERROR_INIT;
    struct keyring *fresh = NULL;
    struct auth_rules *rules = NULL;

    if (egress_configure(&policy, &err) < 0 || auth_rules_new(&config, &rules, &err) < 0 ||
        keyring_load(path, &fresh, &err) < 0) {
        FAIL("%s\n", err.message);
        return;
    }
    auth_use(auth, rules);
    /* A ring that is full is as good for a swap as one that grows. */
    if (keyring_count(fresh) < KEYRING_MAX_KEYS &&
        (keyring_add(fresh, &err) < 0 || keyring_save(fresh, path, &err) < 0))
        FAIL("%s\n", err.message);
    keyring_take_over(ring, fresh);
}

int main(void)
{
    struct auth_config config = config_of(0);
    char folder[TEMPDIR_BYTES], path[TEMPDIR_BYTES + 16];
    struct error err = ERROR_INIT;
    pthread_t users[USERS];

    tempdir_make(folder);
    snprintf(path, sizeof path, "%s/keyring", folder);
    if (keyring_create(path, &ring, &err) < 0 || auth_new(&config, &auth, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int i = 0; i < USERS; i++)
        pthread_create(&users[i], NULL, use_all, NULL);
    for (int round = 1; round <= ROUNDS; round++)
        reload(path, round);
    stop = true;
    for (int i = 0; i < USERS; i++)
        pthread_join(users[i], NULL);
    auth_free(auth);
    keyring_free(ring);
    tempdir_remove(folder);
    printf("%d reloads, %d failures\n", ROUNDS, failures);
    return failures != 0;
}

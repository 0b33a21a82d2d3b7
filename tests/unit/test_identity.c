/* Security requirements A1, A3, S2, S3: how the service comes to its key ring and its tokens, and
 * what it says when it does not. */
#include "tests/support/store_sql.h"

#include <sys/stat.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "server/identity.h"

#define YEAR_US ((int64_t)365 * 24 * 3600 * 1000000)

/* What the service said, one line after the other. */
static char said[2048];

static void note(struct log *log, enum log_level level, const struct log_line *line)
{
    size_t n = strlen(said);

    (void)log;
    snprintf(said + n, sizeof said - n, "%s: %s\n", log_level_name(level), line->message);
}

static struct log log_kept = {note, LOG_DEBUG};
static struct settings settings;
static struct identity id;

static void setup(void)
{
    fixture_open();
    said[0] = '\0';
    id = (struct identity){0};
    settings = (struct settings){
        .listen = "127.0.0.1:8080", .admin_listen = "", .data = fx.dir, .key_file = ""};
}

static void teardown(void)
{
    identity_close(&id);
    fixture_close();
}

TestSuite(identity, .init = setup, .fini = teardown, .timeout = 60);

static int open_identity(void)
{
    return identity_open(&settings, fx.store, &log_kept, fx.mem, &id, &fx.err);
}

static void open_with(const char *listen, const char *admin_listen)
{
    settings.listen = listen;
    settings.admin_listen = admin_listen;
    ok(open_identity());
}

static const char *file(const char *name)
{
    return arena_printf(fx.mem, "%s/%s", fx.dir, name);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static bool has_said(const char *what)
{
    return strstr(said, what) != NULL;
}

/* -------------------------------------------------------------------------- the ring */

Test(identity, a_first_start_makes_a_ring_and_says_where_it_lies)
{
    ok(open_identity());
    cr_assert_str_eq(id.key_file, file("keyring.json"));
    cr_assert_eq(access(id.key_file, F_OK), 0);
    cr_assert(has_said("info: a key ring was created"));
    cr_assert(has_said("warn: the key ring lies on the volume of the store"), "%s", said);
    identity_close(&id);
    said[0] = '\0';
    ok(open_identity());
    cr_assert_not(has_said("created"));
}

Test(identity, a_ring_on_another_volume_is_no_reason_to_warn)
{
    static const char *const elsewhere[] = {"/proc", "/nowhere/at/all"};

    ok(open_identity());
    settings.key_file = id.key_file;
    for (size_t i = 0; i < 2; i++) {
        identity_close(&id);
        said[0] = '\0';
        settings.data = elsewhere[i];
        ok(open_identity());
        cr_assert_str_eq(said, "", "%s: %s", elsewhere[i], said);
    }
}

Test(identity, a_ring_that_was_configured_is_not_made_by_itself)
{
    settings.key_file = file("own");
    fails(open_identity(), ERR_CONFIG, "keyring_missing");
    cr_assert_lt(open_identity(), 0);
    cr_assert_not_null(strstr(fx.err.message, "connectord keys create"), "%s", fx.err.message);
    cr_assert_lt(access(settings.key_file, F_OK), 0);
}

/* A new ring beside a store that was sealed would lose what is in it for good. */
Test(identity, a_store_that_had_a_ring_gets_no_other)
{
    ok(open_identity());
    identity_close(&id);
    cr_assert_eq(unlink(file("keyring.json")), 0);
    cr_assert_lt(open_identity(), 0);
    cr_assert_str_eq(error_reason(&fx.err), "keyring_missing");
    cr_assert_not_null(strstr(fx.err.message, "sealed under it"), "%s", fx.err.message);
    cr_assert_lt(access(file("keyring.json"), F_OK), 0);
}

Test(identity, a_ring_that_cannot_be_read_or_made_stops_the_start)
{
    write_file(file("keyring.json"), "{}");
    cr_assert_eq(chmod(file("keyring.json"), 0604), 0);
    fails(open_identity(), ERR_PERMISSION, "keyring_exposed");
    cr_assert_eq(chmod(file("keyring.json"), 0600), 0);
    fails(open_identity(), ERR_CONFIG, "keyring_malformed");
    settings.data = "/nowhere/at/all";
    fails(open_identity(), ERR_NOT_FOUND, "not_found");
}

/* Whether there was a ring is not known then: none is made. */
Test(identity, a_store_that_is_damaged_gets_no_ring)
{
    store_sql("DROP TABLE key_checks");
    cr_assert_lt(open_identity(), 0);
    cr_assert_not_null(strstr(fx.err.message, "key_checks"), "%s", fx.err.message);
    cr_assert_lt(access(file("keyring.json"), F_OK), 0);
    cr_assert_null(id.ring);
}

Test(identity, references_that_are_none_stop_the_start)
{
    const char *names[] = {"env:HOME", "vault:secret"};

    settings.secret_references = (struct string_list){names, 2};
    cr_assert_lt(open_identity(), 0);
    cr_assert_eq(fx.err.code, ERR_CONFIG);
    cr_assert_not_null(strstr(fx.err.message, "secret_references: "), "%s", fx.err.message);
    cr_assert_not_null(strstr(fx.err.message, "vault:secret"), "%s", fx.err.message);
    fx.err = ERROR_INIT;
    settings.secret_references.n = 1;
    ok(open_identity());
    cr_assert(references_allow(id.references, "${env:HOME}"));
    cr_assert_not(references_allow(id.references, "${env:PATH}"));
}

/* ------------------------------------------------------------------------ the tokens */

/* A token as `connectord token create` makes it, in its own row `as` (NULL: the one it belongs to)
 * with this digest (NULL: its own). */
static const char *make_token(const char *as, const char *digest)
{
    unsigned char bytes[AUTH_DIGEST_BYTES];
    char token[AUTH_TOKEN_BYTES], own[AUTH_ID_CHARS + 1], hex[2 * AUTH_DIGEST_BYTES + 1];
    struct stored_token row = {.name = "t", .scope = "run", .created_by = "cli"};

    auth_make_token(&id.auth_config, token, own, bytes);
    text_hex(bytes, sizeof bytes, hex);
    row.id = as ? as : own;
    row.digest = digest ? digest : hex;
    row.expires_us = clock_unix_us() + YEAR_US;
    ok(store_create_token(fx.store, &row, &fx.err));
    auth_forget(id.auth);
    return arena_strdup(fx.mem, token);
}

static int ask(const char *token, struct auth_result *out)
{
    const struct auth_request req = {.authorization = arena_printf(fx.mem, "Bearer %s", token),
                                     .host = "localhost",
                                     .peer = "127.0.0.1"};

    return auth_check(id.auth, &req, out, &fx.err);
}

Test(identity, a_token_lets_in_until_it_is_revoked)
{
    struct auth_result who;
    const char *token;

    ok(open_identity());
    ok(identity_guard(&id, &settings, &fx.err));
    identity_remind(&id);
    cr_assert(has_said("warn: there is no access token"), "%s", said);
    said[0] = '\0';
    token = make_token(NULL, NULL);
    identity_remind(&id);
    cr_assert_str_eq(said, "");
    ok(ask(token, &who));
    cr_assert_eq(who.scope, SCOPE_RUN);
    cr_assert_str_eq(said, ""); /* its use was noted */
    ok(store_revoke_token(fx.store, who.id, &fx.err));
    auth_forget(id.auth);
    fails(ask(token, &who), ERR_UNAUTHORIZED, "unauthorized");
}

/* It opens nothing, and does not open the service to everybody by being none. */
Test(identity, a_token_whose_row_is_damaged_lets_nobody_in)
{
    static const char wrong[] = "XY3456789012345678901234567890123456789012345678901234567890abcd";
    struct auth_result who;
    const char *tokens[3];

    ok(open_identity());
    ok(identity_guard(&id, &settings, &fx.err));
    tokens[0] = make_token(NULL, wrong);
    tokens[1] = make_token("short", NULL);
    tokens[2] = make_token(NULL, NULL);
    /* A text that ends in the middle. */
    store_sql("PRAGMA ignore_check_constraints = ON;"
              "UPDATE tokens SET digest = substr(digest, 1, 31) WHERE seq = 3");
    for (size_t i = 0; i < 3; i++) {
        auth_forget(id.auth);
        fails(ask(tokens[i], &who), ERR_UNAUTHORIZED, "unauthorized");
    }
    identity_remind(&id);
    cr_assert_not(has_said("there is no access token"), "%s", said);
    cr_assert_not(auth_has_token(id.auth));
}

static int64_t stands_still(void)
{
    return (int64_t)20000 * 24 * 3600 * 1000000;
}

/* Whoever has a right token is not held up by what we note for others. */
Test(identity, a_use_that_cannot_be_noted_is_said_and_lets_in)
{
    struct auth_result who;
    const char *token;

    clock_fake(stands_still);
    ok(open_identity());
    ok(identity_guard(&id, &settings, &fx.err));
    token = make_token(NULL, NULL);
    cr_assert(!auth_is_open(id.auth)); /* reads them */
    store_sql("DROP TABLE tokens");
    ok(ask(token, &who));
    cr_assert_eq(who.scope, SCOPE_RUN);
    cr_assert(has_said("warn: the use of a token is not noted"), "%s", said);
    clock_fake(NULL);
}

Test(identity, tokens_that_cannot_be_read_stop_the_start)
{
    ok(open_identity());
    store_sql("DROP TABLE tokens");
    cr_assert_lt(identity_guard(&id, &settings, &fx.err), 0);
    cr_assert_not_null(strstr(fx.err.message, "tokens"), "%s", fx.err.message);
    cr_assert_null(id.auth);
}

Test(identity, an_address_that_others_reach_needs_a_token)
{
    static const struct {
        const char *listen, *admin, *named; /* in the message; NULL = it starts */
    } cases[] = {
        {"127.0.0.1:8080", "", NULL},
        {"127.0.0.1:8080", "[::1]:9090", NULL},
        {"0.0.0.0:8080", "", "\"0.0.0.0:8080\""},
        {"0.0.0.0:8080", "127.0.0.1:9090", "\"0.0.0.0:8080\""},
        {"127.0.0.1:8080", "10.0.0.1:9090", "\"10.0.0.1:9090\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_with(cases[i].listen, cases[i].admin);
        if (!cases[i].named) {
            ok(identity_guard(&id, &settings, &fx.err));
        } else {
            cr_assert_lt(identity_guard(&id, &settings, &fx.err), 0, "%zu", i);
            cr_assert_str_eq(error_reason(&fx.err), "token_required");
            cr_assert_not_null(strstr(fx.err.message, cases[i].named), "%s", fx.err.message);
            fx.err = ERROR_INIT;
        }
        identity_close(&id);
    }
    settings.bootstrap_token = "01234567890123456789012345678901";
    open_with("0.0.0.0:8080", "");
    ok(identity_guard(&id, &settings, &fx.err));
    make_token(NULL, NULL);
    identity_close(&id);
    settings.bootstrap_token = NULL;
    open_with("0.0.0.0:8080", "");
    ok(identity_guard(&id, &settings, &fx.err));
}

/* -------------------------------------------------------------------------- a reload */

Test(identity, a_reload_takes_a_ring_that_fits_and_no_other)
{
    struct settings fresh = settings;
    struct keyring *ring = NULL, *stranger = NULL;

    ok(open_identity());
    fresh.key_file = file("none");
    fails(identity_read_ring(&id, &fresh, &settings, &ring, &fx.err), ERR_NOT_FOUND,
          "keyring_missing");
    ok(keyring_create(file("stranger"), &stranger, &fx.err));
    keyring_free(stranger);
    fresh.key_file = file("stranger");
    fails(identity_read_ring(&id, &fresh, &settings, &ring, &fx.err), ERR_CONFIG,
          "keyring_mismatch");
    fresh = (struct settings){.data = "/nowhere/at/all", .key_file = ""};
    ok(identity_read_ring(&id, &fresh, &settings, &ring, &fx.err)); /* the directory stays */
    ok(keyring_add(ring, &fx.err));
    said[0] = '\0';
    identity_use_ring(&id, ring);
    cr_assert_eq(keyring_count(id.ring), 2);
    cr_assert_str_eq(said, "");
    /* From now on the store wants both. */
    fails(identity_read_ring(&id, &settings, &settings, &ring, &fx.err), ERR_CONFIG,
          "keyring_mismatch");
}

Test(identity, a_store_that_does_not_learn_of_new_keys_is_told)
{
    struct keyring *ring = NULL;

    ok(open_identity());
    ok(identity_read_ring(&id, &settings, &settings, &ring, &fx.err));
    ok(keyring_add(ring, &fx.err));
    store_sql("DROP TABLE key_checks");
    identity_use_ring(&id, ring);
    cr_assert(has_said("error: the store does not know of all keys of the ring"), "%s", said);
    cr_assert_eq(keyring_count(id.ring), 2);
}

Test(identity, a_reload_takes_rules_only_when_they_are_right)
{
    const char *ranges[] = {"10.0.0.0/8", "nonsense"};
    struct settings fresh = settings, exposed = settings;
    struct auth_rules *rules = NULL;

    ok(open_identity());
    ok(identity_guard(&id, &settings, &fx.err));
    fresh.trusted_proxies = (struct string_list){ranges, 2};
    fails(identity_read_rules(&id, &fresh, &settings, &rules, &fx.err), ERR_CONFIG, "config_error");
    fresh.trusted_proxies.n = 1;
    ok(identity_read_rules(&id, &fresh, &settings, &rules, &fx.err));
    auth_rules_free(rules);
    exposed.listen = "0.0.0.0:8080"; /* the bootstrap token of the start is gone */
    fails(identity_read_rules(&id, &fresh, &exposed, &rules, &fx.err), ERR_CONFIG,
          "token_required");
}

/* Security requirements S1, S3, S5, S6: what the store keeps of secrets, how a ring and a store
 * find each other, and credentials that are good once. */
#include "tests/support/store_fixture.h"

#include <pthread.h>

#include "connectors/base/cancel.h"
#include "connectors/base/redact.h"
#include "server/secrets/keyring.h"
#include "server/secrets/references.h"
#include "server/sync/credentials.h"
#include "server/sync/sealed.h"
#include "server/sync/vault.h"

struct config {
    const char *host, *password;
    const struct doc *tokens, *settings;
};

/* clang-format off */
static const struct option table[] = {
    OPTION(struct config, host, .title = "Host", .help = "Where."),
    OPTION(struct config, password, .title = "Password", .help = "Open.", .flags = OPTION_SECRET),
    OPTION(struct config, tokens, .title = "Tokens", .help = "Open.", .flags = OPTION_SECRET),
    OPTION(struct config, settings, .title = "Some", .help = "Of it.",
           .flags = OPTION_SECRET | OPTION_SETTINGS),
    OPTIONS_END,
};
/* clang-format on */

static const struct sealed_owner mine = {"source", "s-1"}, other = {"source", "s-2"};
static const char *ring_path;
static struct keyring *ring;
static struct vault vault;
static struct problems problems;

static const char *lookup(const char *name)
{
    return !strcmp(name, "WAREHOUSE") ? "from-the-environment" : NULL;
}

static void setup(void)
{
    static const char *const names[] = {"env:WAREHOUSE", "env:GONE"};

    fixture_open();
    ring_path = arena_printf(fx.mem, "%s/ring", fx.dir);
    problems = PROBLEMS_INIT(fx.mem);
    ok(keyring_create(ring_path, &ring, &fx.err));
    vault = (struct vault){ring, references_new(fx.mem, names, 2, lookup, "/x", &problems)};
}

static void teardown(void)
{
    keyring_free(ring);
    fixture_close();
}

TestSuite(sealed, .init = setup, .fini = teardown, .timeout = 60);

static struct doc *json(const char *text)
{
    struct doc *d;

    ok(doc_parse(text, strlen(text), &d, &fx.err));
    return d;
}

static const char *text_of(struct doc *d)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    const char *text;

    doc_write(d, &out);
    text = arena_strdup(fx.mem, buf_str(&out));
    doc_free(d);
    return text;
}

#define PLAIN \
    "{\"host\":\"db\",\"password\":\"first-secret\",\"tokens\":{\"a\":\"second-secret\"},\"x\":1}"

/* ------------------------------------------------------------------------- values */

Test(sealed, keeps_nothing_of_a_secret_in_the_open)
{
    CLEANUP(doc_free_cleanup) struct doc *config = json(PLAIN), *opened = NULL;
    const struct doc *password;
    char fp[13];

    sealed_config(&vault, table, &mine, config, NULL);
    password = doc_get(config, "password");
    cr_assert(sealed_is(password));
    cr_assert(sealed_is(doc_get(config, "tokens")));
    cr_assert_not(sealed_is(doc_get(config, "host")));
    cr_assert_gt(sealed_set_us(password), 0);
    cr_assert_eq(sealed_set_us(doc_get(config, "host")), 0);
    cr_assert_eq(strlen(sealed_fingerprint(password, fp)), 12);
    cr_assert_null(sealed_fingerprint(doc_get(config, "host"), fp));
    cr_assert_null(strstr(text_of(doc_copy(config)), "secret"));
    ok(sealed_open(&vault, &mine, config, &opened, &fx.err));
    cr_assert_str_eq(text_of(TAKE(opened)), PLAIN);
}

Test(sealed, has_no_fingerprint_that_was_cut)
{
    static const char *const odd[] = {"{\"$sealed\":\"x\"}", "{\"$sealed\":\"x\",\"fp\":\"abc\"}",
                                      "{\"fp\":\"0123456789abcdef\"}"};
    char fp[13];

    for (size_t i = 0; i < 3; i++) {
        CLEANUP(doc_free_cleanup) struct doc *d = json(odd[i]);

        cr_assert_null(sealed_fingerprint(d, fp), "%s", odd[i]);
    }
}

/* The same value sent again is the same; another one, or one elsewhere, is not. */
Test(sealed, does_not_seal_the_same_value_again)
{
    CLEANUP(doc_free_cleanup) struct doc *stored = json(PLAIN), *again = json(PLAIN);
    CLEANUP(doc_free_cleanup)
    struct doc *changed = json("{\"password\":\"other-secret\",\"tokens\":null}");
    char before[13], after[13];

    sealed_config(&vault, table, &mine, stored, NULL);
    sealed_config(&vault, table, &mine, again, stored);
    cr_assert(doc_equal(stored, again));
    sealed_config(&vault, table, &mine, again, NULL); /* what is sealed stays as it is */
    cr_assert(doc_equal(stored, again));
    sealed_config(&vault, table, &mine, changed, stored);
    cr_assert_str_neq(sealed_fingerprint(doc_get(changed, "password"), after),
                      sealed_fingerprint(doc_get(stored, "password"), before));
    cr_assert(doc_is(doc_get(changed, "tokens"), DOC_NULL));
}

Test(sealed, opens_in_its_place_alone_and_with_its_ring_alone)
{
    const struct vault without = {NULL, NULL};
    CLEANUP(doc_free_cleanup) struct doc *config = json(PLAIN), *plain = json(PLAIN);
    struct redactor *r = redactor_new();
    bool changed = false;
    struct doc *out;

    sealed_config(&without, table, &mine, plain, NULL);
    cr_assert_str_eq(text_of(doc_copy(plain)), PLAIN);
    sealed_config(&vault, table, &mine, config, NULL);
    fails(sealed_open(&vault, &other, config, &out, &fx.err), ERR_DATA, "unseal_failed");
    fails(sealed_open(&without, &mine, config, &out, &fx.err), ERR_CONFIG, "key_missing");
    fails(sealed_use(&vault, &other, table, config, r, &out, &fx.err), ERR_DATA, "unseal_failed");
    ok(keyring_add(ring, &fx.err));
    fails(sealed_renew(&vault, &other, config, &changed, &fx.err), ERR_DATA, "unseal_failed");
    cr_assert_not(changed);
    redactor_free(r);
}

/* ------------------------------------------------------------------------- use */

Test(sealed, references_stay_in_the_store_and_resolve_in_a_run)
{
    static const char text[] =
        "{\"password\":\"${env:WAREHOUSE}\",\"tokens\":{\"a\":\"${env:WAREHOUSE}\",\"b\":7}}";
    CLEANUP(doc_free_cleanup) struct doc *config = json(text);
    CLEANUP(redactor_free_cleanup) struct redactor *r = redactor_new();
    CLEANUP(buf_release) struct buf shown = BUF_INIT(100);
    struct doc *used;

    ok(sealed_use(&vault, &mine, table, config, r, &used, &fx.err));
    cr_assert_str_eq(text_of(used), "{\"password\":\"from-the-environment\",\"tokens\":{\"a\":"
                                    "\"from-the-environment\",\"b\":7}}");
    redactor_put(r, &shown, "from-the-environment", 20);
    cr_assert_str_eq(buf_str(&shown), "***");
    sealed_config(&vault, table, &mine, config, NULL);
    cr_assert_str_eq(doc_string(doc_get(config, "password"), ""), "${env:WAREHOUSE}");
    doc_set(config, "password", doc_new_string("${env:GONE}"));
    fails(sealed_use(&vault, &mine, table, config, r, &used, &fx.err), ERR_CONFIG,
          "unresolved_reference");
    doc_set(config, "password", doc_new_string("a-secret"));
    doc_set(config, "tokens", json("{\"a\":{\"b\":\"${env:NOBODY}\"}}"));
    fails(sealed_use(&vault, &mine, table, config, r, &used, &fx.err), ERR_CONFIG,
          "unresolved_reference");
}

Test(sealed, what_callers_send_is_checked)
{
    CLEANUP(doc_free_cleanup)
    struct doc *config =
        json("{\"host\":\"a\",\"password\":\"short\",\"tokens\":{\"a\":\"tiny\",\"b\":"
             "\"long enough\",\"c\":\"${env:NOBODY}\",\"d\":\"${env:WAREHOUSE}\"},"
             "\"settings\":{\"e\":\"tiny\",\"f\":\"${env:NOBODY}\"},\"x\":{\"$sealed\":\"y\"}}");

    sealed_check(&vault, table, config, "/config", &problems);
    cr_assert_eq(problems.n, 5, "%zu", problems.n);
    cr_assert_str_eq(problems.items[0].code, "invalid");
    cr_assert_str_eq(problems.items[1].pointer, "/config/password");
    cr_assert_str_eq(problems.items[1].code, "secret_too_short");
    cr_assert_str_eq(problems.items[2].pointer, "/config/tokens/a");
    cr_assert_str_eq(problems.items[3].pointer, "/config/tokens/c");
    cr_assert_str_eq(problems.items[3].code, "unresolved_reference");
    cr_assert_str_eq(problems.items[4].pointer, "/config/settings/f");
}

/* ------------------------------------------------------------------------- rotation */

Test(sealed, is_sealed_anew_under_another_key)
{
    CLEANUP(doc_free_cleanup) struct doc *config = json(PLAIN), *opened = NULL;
    int64_t set_us;
    bool changed = false;

    sealed_config(&vault, table, &mine, config, NULL);
    set_us = sealed_set_us(doc_get(config, "password"));
    ok(sealed_renew(&vault, &mine, config, &changed, &fx.err));
    cr_assert_not(changed);
    ok(keyring_add(ring, &fx.err));
    ok(sealed_renew(&vault, &mine, config, &changed, &fx.err));
    cr_assert(changed);
    cr_assert_eq(sealed_set_us(doc_get(config, "password")), set_us);
    keyring_drop_others(ring);
    ok(sealed_open(&vault, &mine, config, &opened, &fx.err));
    cr_assert_str_eq(text_of(TAKE(opened)), PLAIN);
}

Test(sealed, a_store_and_a_ring_find_each_other)
{
    CLEANUP(keyring_free_cleanup) struct keyring *stranger = NULL;
    bool met = true;

    ok(vault_has_met(fx.store, &met, &fx.err));
    cr_assert_not(met);
    ok(keyring_create(arena_printf(fx.mem, "%s/other", fx.dir), &stranger, &fx.err));
    ok(vault_fits(fx.store, stranger, &fx.err)); /* a store that knows nobody takes anybody */
    ok(vault_join(fx.store, ring, &fx.err));
    ok(vault_join(fx.store, ring, &fx.err));
    ok(vault_has_met(fx.store, &met, &fx.err));
    cr_assert(met);
    fails(vault_fits(fx.store, stranger, &fx.err), ERR_CONFIG, "keyring_mismatch");
    fails(vault_join(fx.store, stranger, &fx.err), ERR_CONFIG, "keyring_mismatch");
    fails(vault_meet(fx.store, stranger, &fx.err), ERR_CONFIG, "keyring_mismatch");
    /* A key more: from now on it has to be there. */
    ok(keyring_add(ring, &fx.err));
    ok(vault_meet(fx.store, ring, &fx.err));
    ok(vault_meet(fx.store, ring, &fx.err));
    keyring_drop_others(ring);
    fails(vault_fits(fx.store, ring, &fx.err), ERR_CONFIG, "keyring_mismatch");
    cr_assert_not_null(ring);
}

Test(sealed, a_ring_that_is_full_or_cannot_be_written_is_not_rotated)
{
    int64_t n = 0;

    fails(vault_rotate(fx.store, ring, arena_printf(fx.mem, "%s/none/ring", fx.dir), &n, &fx.err),
          ERR_NOT_FOUND, "not_found");
    while (keyring_count(ring) < KEYRING_MAX_KEYS)
        ok(keyring_add(ring, &fx.err));
    fails(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), ERR_RESOURCE, "keyring_full");
}

/* ------------------------------------------------------------------------- credentials */

static struct credentials credentials;
static struct resource source;
static struct cancel *cancel;

static void have_source(const char *config)
{
    struct doc *d = json(config);

    source = (struct resource){.name = "shop", .connector = "sample", .config = "{}"};
    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &source, fx.mem, &fx.err));
    sealed_config(&vault, table, &(struct sealed_owner){"source", source.id}, d, NULL);
    source.config = text_of(d);
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &source, REVISION_ANY, fx.mem, &fx.err));
    ok(cancel_new(&cancel, &fx.err));
    credentials = (struct credentials){fx.store, &vault, table, source.id, cancel, redactor_new()};
}

static void drop_source(void)
{
    redactor_free(credentials.redactor);
    cancel_free(cancel);
}

static const char *begin(const char *pointer)
{
    const char *value;

    ok(credentials_begin(&credentials, pointer, fx.mem, &value, &fx.err));
    return value ? value : "none";
}

static const char *stored(void)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct resource now;
    struct doc *opened;

    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "shop", fx.mem, &now, &fx.err));
    cr_assert_null(strstr(now.config, "secret"), "%s", now.config);
    d = json(now.config);
    ok(sealed_open(&vault, &(struct sealed_owner){"source", now.id}, d, &opened, &fx.err));
    return text_of(opened);
}

/* Sources, destinations, and what runs were asked for: after it the new key alone opens them. */
Test(sealed, a_rotation_leaves_nothing_under_the_old_key)
{
    CLEANUP(keyring_free_cleanup) struct keyring *again = NULL;
    char before[KEYRING_ID_BYTES];
    int64_t n = 0;

    have_source("{\"host\":\"db\",\"password\":\"first-secret\"}");
    make_resource(RESOURCE_DESTINATION, "lake");
    snprintf(before, sizeof before, "%s", keyring_active(ring));
    ok(vault_rotate(fx.store, ring, ring_path, &n, &fx.err));
    cr_assert_eq(n, 1);
    cr_assert_eq(keyring_count(ring), 1);
    cr_assert_str_neq(keyring_active(ring), before);
    cr_assert_str_eq(stored(), "{\"host\":\"db\",\"password\":\"first-secret\"}");
    ok(keyring_load(ring_path, &again, &fx.err));
    cr_assert_str_eq(keyring_active(again), keyring_active(ring));
    ok(vault_fits(fx.store, again, &fx.err));
    /* A value that was moved here from elsewhere stops it, and nothing is lost. */
    {
        struct doc *d = json("{\"password\":\"moved-secret\"}");

        sealed_config(&vault, table, &other, d, NULL);
        source.config = text_of(d);
    }
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &source, REVISION_ANY, fx.mem, &fx.err));
    fails(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), ERR_DATA, "unseal_failed");
    drop_source();
}

Test(sealed, a_credential_is_exchanged_and_kept)
{
    CLEANUP(buf_release) struct buf shown = BUF_INIT(100);

    have_source("{\"host\":\"db\",\"tokens\":{\"a\":\"first-secret\"}}");
    cr_assert_str_eq(begin("/tokens/a"), "first-secret");
    ok(credentials_end(&credentials, "/tokens/a", "second-secret", &fx.err));
    cr_assert_str_eq(stored(), "{\"host\":\"db\",\"tokens\":{\"a\":\"second-secret\"}}");
    redactor_put(credentials.redactor, &shown, "first-secret second-secret", 26);
    cr_assert_str_eq(buf_str(&shown), "*** ***");
    cr_assert_str_eq(begin("/tokens/a"), "second-secret");
    ok(credentials_end(&credentials, "/tokens/a", NULL, &fx.err)); /* nothing new */
    cr_assert_str_eq(stored(), "{\"host\":\"db\",\"tokens\":{\"a\":\"second-secret\"}}");
    drop_source();
}

Test(sealed, a_credential_that_is_not_ours_to_keep_is_not_kept)
{
    have_source("{\"password\":\"${env:WAREHOUSE}\"}");
    cr_assert_str_eq(begin("/password"), "none"); /* the operator's */
    ok(credentials_end(&credentials, "/password", "other-secret", &fx.err));
    cr_assert_str_eq(stored(), "{\"password\":\"${env:WAREHOUSE}\"}");
    cr_assert_str_eq(begin("/tokens/a"), "none");
    ok(credentials_end(&credentials, "/tokens/a", "other-secret", &fx.err));
    cr_assert_str_eq(stored(), "{\"password\":\"${env:WAREHOUSE}\"}");
    credentials.source_id = NULL;
    cr_assert_str_eq(begin("/password"), "none");
    ok(credentials_end(&credentials, "/password", "other-secret", &fx.err));
    drop_source();
}

/* A person has written another one while the run was exchanging: that is newer. */
Test(sealed, a_credential_of_somebody_else_stays)
{
    struct doc *d;

    have_source("{\"password\":\"first-secret\"}");
    cr_assert_str_eq(begin("/password"), "first-secret");
    d = json("{\"password\":\"persons-secret\"}");
    sealed_config(&vault, table, &(struct sealed_owner){"source", source.id}, d, NULL);
    source.config = text_of(d);
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &source, REVISION_ANY, fx.mem, &fx.err));
    ok(credentials_end(&credentials, "/password", "second-secret", &fx.err));
    cr_assert_str_eq(stored(), "{\"password\":\"persons-secret\"}");
    drop_source();
}

Test(sealed, a_credential_of_a_source_that_is_gone_is_an_error)
{
    const char *value, *users;

    have_source("{\"password\":\"first-secret\"}");
    cr_assert_str_eq(begin("/password"), "first-secret");
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "shop", REVISION_ANY, fx.mem, &users,
                             &fx.err));
    fails(credentials_end(&credentials, "/password", "second-secret", &fx.err), ERR_NOT_FOUND,
          "not_found");
    fails(credentials_begin(&credentials, "/password", fx.mem, &value, &fx.err), ERR_NOT_FOUND,
          "not_found");
    drop_source();
}

static void *stop_it(void *which)
{
    usleep(50000);
    cancel_request(which, CANCEL_USER);
    return NULL;
}

static void *end_it(void *arg)
{
    struct error err = ERROR_INIT;

    (void)arg;
    usleep(50000);
    cr_assert_eq(credentials_end(&credentials, "/password", "second-secret", &err), 0);
    return NULL;
}

/* One run at a time: the other one waits, and gets what came out. */
Test(sealed, a_credential_is_exchanged_by_one_run_at_a_time)
{
    const char *value;
    pthread_t thread;

    have_source("{\"password\":\"first-secret\",\"tokens\":{\"a\":\"third-secret\"}}");
    cr_assert_str_eq(begin("/password"), "first-secret");
    cr_assert_str_eq(begin("/tokens/a"), "third-secret"); /* another one is another one */
    cr_assert_eq(pthread_create(&thread, NULL, end_it, NULL), 0);
    cr_assert_str_eq(begin("/password"), "second-secret");
    pthread_join(thread, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, stop_it, cancel), 0);
    cr_assert_lt(credentials_begin(&credentials, "/password", fx.mem, &value, &fx.err), 0);
    cr_assert_eq(fx.err.code, ERR_CANCELLED);
    fx.err = ERROR_INIT;
    pthread_join(thread, NULL);
    ok(credentials_end(&credentials, "/tokens/a", NULL, &fx.err));
    ok(credentials_end(&credentials, "/password", NULL, &fx.err));
    drop_source();
}

/* Somebody writes the source between our reading and our writing, this often. Linked in front. */
static int others_write;
static bool disk_fails;
int __real_store_update_resource(struct store *s, enum resource_kind kind, struct resource *r,
                                 int64_t expected, struct arena *mem, struct error *err);
int __wrap_store_update_resource(struct store *s, enum resource_kind kind, struct resource *r,
                                 int64_t expected, struct arena *mem, struct error *err);

int __wrap_store_update_resource(struct store *s, enum resource_kind kind, struct resource *r,
                                 int64_t expected, struct arena *mem, struct error *err)
{
    if (disk_fails)
        return error_set(err, ERR_RESOURCE, "the disk is full");
    if (others_write > 0) {
        struct resource now;

        others_write--;
        ok(store_get_resource(s, kind, "shop", mem, &now, &fx.err));
        now.display_name = arena_printf(mem, "changed %d", others_write);
        ok(__real_store_update_resource(s, kind, &now, REVISION_ANY, mem, &fx.err));
    }
    return __real_store_update_resource(s, kind, r, expected, mem, err);
}

Test(sealed, a_credential_is_kept_although_others_write)
{
    struct resource now;

    have_source("{\"password\":\"first-secret\"}");
    cr_assert_str_eq(begin("/password"), "first-secret");
    others_write = 9;
    ok(credentials_end(&credentials, "/password", "second-secret", &fx.err));
    cr_assert_str_eq(stored(), "{\"password\":\"second-secret\"}");
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "shop", fx.mem, &now, &fx.err));
    cr_assert_str_eq(now.display_name, "changed 0");
    cr_assert_str_eq(begin("/password"), "second-secret");
    others_write = 10;
    fails(credentials_end(&credentials, "/password", "third-secret", &fx.err), ERR_CONTENTION,
          "revision_mismatch");
    cr_assert_str_eq(begin("/password"), "second-secret");
    disk_fails = true;
    cr_assert_lt(credentials_end(&credentials, "/password", "third-secret", &fx.err), 0);
    cr_assert_eq(fx.err.code, ERR_RESOURCE);
    fx.err = ERROR_INIT;
    drop_source();
}

/* What could not be read again is not written. */
Test(sealed, a_credential_that_makes_a_configuration_too_large_is_not_kept)
{
    const size_t most = (size_t)16 << 20;
    CLEANUP(buf_release) struct buf longer = BUF_INIT(5000);
    struct resource now;
    char *filler;
    int room;

    have_source("{\"password\":\"first-secret\"}");
    room = (int)(most - strlen(source.config) - strlen(",\"x\":\"\""));
    filler = arena_alloc(fx.mem, (size_t)room);
    memset(filler, 'x', (size_t)room);
    source.config = arena_printf(fx.mem, "%.*s,\"x\":\"%.*s\"}", (int)strlen(source.config) - 1,
                                 source.config, room, filler);
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &source, REVISION_ANY, fx.mem, &fx.err));
    cr_assert_str_eq(begin("/password"), "first-secret");
    buf_printf(&longer, "%04000d", 0);
    fails(credentials_end(&credentials, "/password", buf_str(&longer), &fx.err), ERR_TOO_LARGE,
          "too_large");
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "shop", fx.mem, &now, &fx.err));
    cr_assert_str_eq(now.config, source.config);
    cr_assert_str_eq(begin("/password"), "first-secret"); /* nobody holds it any more */
    drop_source();
}

static const char *request_of(int64_t run)
{
    struct run_row row;

    ok(store_get_run(fx.store, run, fx.mem, &row, &fx.err));
    return row.request;
}

/* What a run was asked for holds configurations of its own; each gets an id to be sealed for. */
Test(sealed, a_rotation_takes_the_requests_of_runs_along)
{
    static const char *const requests[] = {
        "{\"source\":{\"connector\":\"sample\",\"config\":{\"a\":1}},\"destination\":{"
        "\"connector\":"
        "\"nobody\",\"config\":{}}}",
        "{\"kind\":\"destination\",\"connector\":\"sqlite\",\"config\":{}}",
        "{\"connector\":\"sample\",\"config\":[]}", "{\"source\":{}}"};
    int64_t runs[4], n = 0, active;

    for (size_t i = 0; i < 4; i++) {
        struct run_row r = {.kind = RUN_CHECK, .trigger = "api", .request = requests[i]};

        ok(store_create_run(fx.store, &r, true, &active, &fx.err));
        runs[i] = r.id;
    }
    ok(vault_rotate(fx.store, ring, ring_path, &n, &fx.err));
    cr_assert_not_null(strstr(request_of(runs[0]), SEALED_FOR), "%s", request_of(runs[0]));
    cr_assert_not_null(strstr(request_of(runs[1]), SEALED_FOR), "%s", request_of(runs[1]));
    cr_assert_str_eq(request_of(runs[2]), requests[2]);
    cr_assert_str_eq(request_of(runs[3]), requests[3]);
    ok(vault_rotate(fx.store, ring, ring_path, &n, &fx.err));
    cr_assert_eq(n, 0); /* they have their ids */
}

/* A key of the same name that is another one opens nothing of this store. */
Test(sealed, a_ring_with_another_key_of_the_same_name_is_told_apart)
{
    CLEANUP(keyring_free_cleanup) struct keyring *forged = NULL;
    char text[4096];
    FILE *f = fopen(ring_path, "r");
    char *key;

    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    key = strstr(text, "\"key\": \"");
    cr_assert_not_null(key);
    memset(key + 8, 'A', 43);
    f = fopen(ring_path, "w");
    fputs(text, f);
    fclose(f);
    ok(vault_join(fx.store, ring, &fx.err));
    ok(keyring_load(ring_path, &forged, &fx.err));
    cr_assert_lt(vault_fits(fx.store, forged, &fx.err), 0);
    cr_assert_not_null(strstr(fx.err.message, "is another one"), "%s", fx.err.message);
    fx.err = ERROR_INIT;
    cr_assert_lt(vault_rotate(fx.store, forged, ring_path, &(int64_t){0}, &fx.err), 0);
    cr_assert_str_eq(error_reason(&fx.err), "keyring_mismatch");
    fx.err = ERROR_INIT;
}

Test(sealed, a_configuration_that_is_broken_stops_a_rotation)
{
    const char *value;
    int64_t n;

    have_source("{\"password\":\"first-secret\"}");
    source.config = "{";
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &source, REVISION_ANY, fx.mem, &fx.err));
    cr_assert_lt(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), 0);
    cr_assert_not_null(strstr(fx.err.message, "the configuration of"), "%s", fx.err.message);
    fx.err = ERROR_INIT;
    cr_assert_lt(credentials_begin(&credentials, "/password", fx.mem, &value, &fx.err), 0);
    cr_assert_not_null(strstr(fx.err.message, "the credential of the source"));
    fx.err = ERROR_INIT;
    drop_source();
}

/* Security requirements S1, S3: a ring and a store that is damaged, was never sealed, or breaks
 * while it is sealed anew. Nothing is lost, and the ring of before still opens it. */
#include "tests/support/store_sql.h"

#include "server/sync/vault.h"

static const char *ring_path;
static struct keyring *ring;

static void setup(void)
{
    fixture_open();
    ring_path = arena_printf(fx.mem, "%s/ring", fx.dir);
    ok(keyring_create(ring_path, &ring, &fx.err));
}

static void teardown(void)
{
    keyring_free(ring);
    fixture_close();
}

TestSuite(vault, .init = setup, .fini = teardown, .timeout = 60);

static struct doc *json(const char *text)
{
    struct doc *d;

    ok(doc_parse(text, strlen(text), &d, &fx.err));
    return d;
}

static void have(enum resource_kind kind, const char *connector, const char *config)
{
    struct resource r = {.name = connector, .connector = connector, .config = config};

    ok(store_create_resource(fx.store, kind, &r, fx.mem, &fx.err));
}

static int64_t have_run(const char *request)
{
    struct run_row r = {.kind = RUN_CHECK, .trigger = "api", .request = request};
    int64_t active;

    ok(store_create_run(fx.store, &r, true, &active, &fx.err));
    return r.id;
}

static const char *config_of(enum resource_kind kind, const char *name, struct resource *out)
{
    ok(store_get_resource(fx.store, kind, name, fx.mem, out, &fx.err));
    return out->config;
}

static const char *request_of(int64_t run)
{
    struct run_row row;

    ok(store_get_run(fx.store, run, fx.mem, &row, &fx.err));
    return row.request;
}

/* The password of a configuration that belongs to this owner. */
static const char *password(const struct sealed_owner *owner, const struct doc *config)
{
    CLEANUP(doc_free_cleanup) struct doc *opened = NULL;
    const struct vault vault = {ring, NULL};

    ok(sealed_open(&vault, owner, config, &opened, &fx.err));
    return arena_strdup(fx.mem, doc_string(doc_get(opened, "password"), "none"));
}

static const char *password_of(enum resource_kind kind, const char *name)
{
    CLEANUP(doc_free_cleanup) struct doc *config = NULL;
    struct resource r;

    config = json(config_of(kind, name, &r));
    return password(
        &(struct sealed_owner){kind == RESOURCE_SOURCE ? "source" : "destination", r.id}, config);
}

#define SECRET "{\"host\":\"db\",\"password\":\"first-secret\"}"

/* A store of the time before there was a ring, and a ring with a key that the store has not met. */
Test(vault, what_lies_in_the_open_is_sealed_by_the_first_ring)
{
    int64_t run =
        have_run("{\"kind\":\"destination\",\"connector\":\"mysql\",\"config\":" SECRET "}");
    int64_t check = have_run("{\"connector\":\"postgres\",\"config\":" SECRET "}");
    struct resource r;

    have(RESOURCE_SOURCE, "postgres", SECRET);
    have(RESOURCE_SOURCE, "nobody", SECRET);
    have(RESOURCE_DESTINATION, "mysql", SECRET);
    have(RESOURCE_DESTINATION, "nobody", SECRET);
    ok(vault_join(fx.store, ring, &fx.err));
    cr_assert_null(strstr(config_of(RESOURCE_SOURCE, "postgres", &r), "first-secret"));
    cr_assert_null(strstr(config_of(RESOURCE_DESTINATION, "mysql", &r), "first-secret"));
    cr_assert_null(strstr(request_of(run), "first-secret"), "%s", request_of(run));
    cr_assert_null(strstr(request_of(check), "first-secret"), "%s", request_of(check));
    cr_assert_str_eq(password_of(RESOURCE_SOURCE, "postgres"), "first-secret");
    cr_assert_str_eq(password_of(RESOURCE_DESTINATION, "mysql"), "first-secret");
    /* Nobody knows what is secret of a connector that is not there any more. */
    cr_assert_str_eq(config_of(RESOURCE_SOURCE, "nobody", &r), SECRET);
    cr_assert_str_eq(config_of(RESOURCE_DESTINATION, "nobody", &r), SECRET);
    ok(keyring_add(ring, &fx.err));
    ok(vault_join(fx.store, ring, &fx.err));
    ok(vault_fits(fx.store, ring, &fx.err));
    cr_assert_not_null(strstr(config_of(RESOURCE_SOURCE, "postgres", &r), keyring_active(ring)));
}

Test(vault, a_store_that_does_not_say_which_keys_it_needs_is_not_opened)
{
    bool met = false;
    int64_t n;

    store_sql("DROP TABLE key_checks");
    fails(vault_has_met(fx.store, &met, &fx.err), ERR_INTERNAL, "internal");
    fails(vault_fits(fx.store, ring, &fx.err), ERR_INTERNAL, "internal");
    fails(vault_meet(fx.store, ring, &fx.err), ERR_INTERNAL, "internal");
    fails(vault_join(fx.store, ring, &fx.err), ERR_INTERNAL, "internal");
    fails(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), ERR_INTERNAL, "internal");
    cr_assert_eq(keyring_count(ring), 1);
}

/* A request of a run that cannot be sealed anew stops the rotation: each of its ends, and one that
 * is no JSON. The message names the run, and the old key still opens everything. */
Test(vault, a_request_that_is_broken_stops_a_rotation)
{
    static const char *const broken[] = {
        "{\"source\":{\"connector\":\"x\",\"config\":{\"a\":{\"$sealed\":\"v1.moved\"}}}}",
        "{\"destination\":{\"connector\":\"x\",\"config\":{\"a\":{\"$sealed\":\"v1.moved\"}}}}",
        "{\"connector\":\"x\",\"config\":{\"a\":{\"$sealed\":\"v1.moved\"}}}",
    };
    int64_t run = have_run("{}"), n = -1;
    char first[KEYRING_ID_BYTES];

    have(RESOURCE_SOURCE, "postgres", SECRET);
    ok(vault_join(fx.store, ring, &fx.err));
    keyring_copy_active(ring, first);
    for (size_t i = 0; i < 3; i++) {
        store_sql(arena_printf(fx.mem, "UPDATE runs SET request = '%s'", broken[i]));
        fails(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), ERR_DATA, "unseal_failed");
        cr_assert_str_eq(request_of(run), broken[i]);
    }
    store_sql("UPDATE runs SET request = '{'");
    cr_assert_lt(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), 0);
    cr_assert_not_null(
        strstr(fx.err.message, arena_printf(fx.mem, "the request of run %d", (int)run)), "%s",
        fx.err.message);
    fx.err = ERROR_INIT;
    cr_assert_eq(n, -1);
    cr_assert_str_eq(password_of(RESOURCE_SOURCE, "postgres"), "first-secret");
    store_sql("UPDATE runs SET request = '{}'");
    ok(vault_rotate(fx.store, ring, ring_path, &n, &fx.err));
    cr_assert_eq(keyring_count(ring), 1);
    cr_assert_not(keyring_check(ring, first, (char[KEYRING_CHECK_BYTES]){0}));
    cr_assert_str_eq(password_of(RESOURCE_SOURCE, "postgres"), "first-secret");
}

#ifdef CONNECTORD_FAILPOINTS

/* Between two steps: the file that is left opens the store, and a second rotation ends the first.
 */
static void break_at(const char *plan)
{
    CLEANUP(keyring_free_cleanup) struct keyring *left = NULL;
    struct resource r;
    int64_t n;

    have(RESOURCE_SOURCE, "postgres", SECRET);
    ok(vault_join(fx.store, ring, &fx.err));
    setenv("CONNECTORD_FAILPOINT", plan, 1);
    fails(vault_rotate(fx.store, ring, ring_path, &n, &fx.err), ERR_TRANSIENT, "transient");
    unsetenv("CONNECTORD_FAILPOINT");
    ok(keyring_load(ring_path, &left, &fx.err));
    cr_assert_eq(keyring_count(left), 2);
    ok(vault_join(fx.store, left, &fx.err));
    ok(vault_rotate(fx.store, left, ring_path, &n, &fx.err));
    cr_assert_eq(keyring_count(left), 1);
    cr_assert_not_null(strstr(config_of(RESOURCE_SOURCE, "postgres", &r), keyring_active(left)));
}

Test(vault, a_rotation_that_ends_before_it_seals_is_taken_up_again)
{
    break_at("rotate_added:1:error");
}

Test(vault, a_rotation_that_ends_before_old_keys_go_is_taken_up_again)
{
    break_at("rotate_sealed:1:error");
}

#endif

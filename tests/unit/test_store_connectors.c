#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

TestSuite(store_connectors, .init = fixture_open, .fini = fixture_close);

static const char *users;

static struct stored_connector row_of(const char *name, const char *document, const char *binding)
{
    return (struct stored_connector){
        .name = name, .document = document, .binding = binding, .secrets = "[\"key\"]"};
}

static int put(struct stored_connector *row, int64_t expected)
{
    users = NULL;
    return store_put_connector(fx.store, row, expected, fx.mem, &users, &fx.err);
}

static void use(const char *source, const char *connector)
{
    struct resource r = {.name = source, .connector = connector, .config = "{}"};

    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err));
}

Test(store_connectors, gives_back_what_was_put)
{
    struct stored_connector in = row_of("api", "{\"a\":1}", "b"), out;

    ok(put(&in, REVISION_NONE));
    cr_assert_eq(in.revision, 1);
    cr_assert_gt(in.created_us, 0);
    ok(store_get_connector(fx.store, "api", fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.document, "{\"a\":1}");
    cr_assert_str_eq(out.binding, "b");
    cr_assert_str_eq(out.secrets, "[\"key\"]");
    fails(store_get_connector(fx.store, "other", fx.mem, &out, &fx.err), ERR_NOT_FOUND,
          "not_found");
}

Test(store_connectors, outlive_the_process)
{
    struct stored_connector in = row_of("api", "{\"a\":1}", "b"), out;

    ok(put(&in, REVISION_NONE));
    store_close(fx.store);
    ok(store_open(fx.path, &fx.store, &fx.err));
    ok(store_get_connector(fx.store, "api", fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.document, "{\"a\":1}");
}

Test(store_connectors, count_their_revisions)
{
    struct stored_connector in = row_of("api", "{\"a\":1}", "b");
    struct stored_connector same = row_of("api", "{\"a\":1}", "b");
    struct stored_connector next = row_of("api", "{\"a\":2}", "b");

    ok(put(&in, REVISION_NONE));
    ok(put(&same, 1));
    cr_assert_eq(same.revision, 1);
    ok(put(&next, 1));
    cr_assert_eq(next.revision, 2);
    cr_assert_eq(next.created_us, in.created_us);
    fails(put(&in, 1), ERR_CONFLICT, "revision_mismatch");
    fails(put(&in, REVISION_NONE), ERR_CONFLICT, "revision_mismatch");
}

Test(store_connectors, keep_their_binding_while_sources_use_them)
{
    struct stored_connector in = row_of("api", "{\"a\":1}", "b");
    struct stored_connector elsewhere = row_of("api", "{\"a\":2}", "c");
    struct stored_connector here = row_of("api", "{\"a\":2}", "b");

    ok(put(&in, REVISION_NONE));
    use("s2", "api");
    use("s1", "api");
    use("s3", "sample");
    fails(put(&elsewhere, 1), ERR_CONFLICT, "in_use");
    cr_assert_str_eq(users, "s1, s2");
    ok(put(&here, 1));
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "s1", REVISION_ANY, fx.mem, &users,
                             &fx.err));
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "s2", REVISION_ANY, fx.mem, &users,
                             &fx.err));
    elsewhere.document = "{\"a\":3}";
    ok(put(&elsewhere, 2));
}

Test(store_connectors, are_deleted_when_nobody_uses_them)
{
    struct stored_connector in = row_of("api", "{}", "b"), *rows;
    size_t n;

    fails(store_delete_connector(fx.store, "api", REVISION_ANY, fx.mem, &users, &fx.err),
          ERR_NOT_FOUND, "not_found");
    ok(put(&in, REVISION_NONE));
    use("s", "api");
    fails(store_delete_connector(fx.store, "api", REVISION_ANY, fx.mem, &users, &fx.err),
          ERR_CONFLICT, "in_use");
    cr_assert_str_eq(users, "s");
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "s", REVISION_ANY, fx.mem, &users,
                             &fx.err));
    fails(store_delete_connector(fx.store, "api", 7, fx.mem, &users, &fx.err), ERR_CONFLICT,
          "revision_mismatch");
    ok(store_delete_connector(fx.store, "api", 1, fx.mem, &users, &fx.err));
    ok(store_list_connectors(fx.store, fx.mem, &rows, &n, &fx.err));
    cr_assert_eq(n, 0);
}

Test(store_connectors, are_listed_by_name_up_to_a_limit)
{
    struct stored_connector *rows, one;
    size_t n;

    for (int i = STORE_MAX_CONNECTORS; i > 0; i--) {
        one = row_of(arena_printf(fx.mem, "c%04d", i), "{}", "b");
        ok(put(&one, REVISION_NONE));
    }
    one = row_of("more", "{}", "b");
    fails(put(&one, REVISION_NONE), ERR_RESOURCE, "too_many_connectors");
    ok(store_list_connectors(fx.store, fx.mem, &rows, &n, &fx.err));
    cr_assert_eq(n, STORE_MAX_CONNECTORS);
    cr_assert_str_eq(rows[0].name, "c0001");
    cr_assert_str_eq(rows[n - 1].name, "c0500");
}

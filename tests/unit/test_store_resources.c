#include <criterion/criterion.h>

#include "connectors/base/text.h"
#include "tests/support/store_fixture.h"

TestSuite(store_resources, .init = fixture_open, .fini = fixture_close);

Test(store_resources, writes_back_what_it_has_stored)
{
    struct resource in = {.name = "shop", .connector = "postgres", .config = "{\"host\":\"h\"}",
                          .display_name = "Shop", .labels = "{\"team\":\"bi\"}"};
    struct resource by_id, by_name;

    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &in, fx.mem, &fx.err));
    cr_assert(text_is_uuid(in.id, strlen(in.id)));
    cr_assert_eq(in.id[14], '7', "version 7: %s", in.id);
    cr_assert_eq(in.revision, 1);
    cr_assert_gt(in.created_us, 0);
    cr_assert_eq(in.updated_us, in.created_us);
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, in.id, fx.mem, &by_id, &fx.err));
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "shop", fx.mem, &by_name, &fx.err));
    cr_assert_str_eq(by_id.id, by_name.id);
    cr_assert_str_eq(by_id.name, "shop");
    cr_assert_str_eq(by_id.display_name, "Shop");
    cr_assert_str_eq(by_id.connector, "postgres");
    cr_assert_str_eq(by_id.config, "{\"host\":\"h\"}");
    cr_assert_str_eq(by_id.labels, "{\"team\":\"bi\"}");
}

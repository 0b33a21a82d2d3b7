#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

TestSuite(store_connections, .init = fixture_open, .fini = fixture_close);

Test(store_connections, opens)
{
    ok(store_ping(fx.store, &fx.err));
}

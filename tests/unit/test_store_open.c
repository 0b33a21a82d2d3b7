#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

TestSuite(store_open, .init = fixture_open, .fini = fixture_close);

Test(store_open, opens)
{
    ok(store_ping(fx.store, &fx.err));
}

#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

TestSuite(store_runs, .init = fixture_open, .fini = fixture_close);

Test(store_runs, opens)
{
    ok(store_ping(fx.store, &fx.err));
}

#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

TestSuite(store_idempotency, .init = fixture_open, .fini = fixture_close);

Test(store_idempotency, opens)
{
    ok(store_ping(fx.store, &fx.err));
}

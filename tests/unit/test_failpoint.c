#include <criterion/criterion.h>

#include <signal.h>
#include <stdlib.h>

#include "connectors/base/failpoint.h"

#ifdef CONNECTORD_FAILPOINTS

Test(failpoint, fails_at_the_arrival_that_was_planned)
{
    struct error err = ERROR_INIT;

    setenv("CONNECTORD_FAILPOINT", "commit:2:error", 1);
    cr_assert_eq(failpoint("commit", &err), 0);
    cr_assert_eq(failpoint("commit_done", &err), 0, "another name does not count");
    cr_assert_eq(failpoint("com", &err), 0);
    cr_assert_eq(failpoint("commit", &err), -1);
    cr_assert_eq(err.code, ERR_TRANSIENT);
    cr_assert_eq(failpoint("commit", &err), 0, "once");
}

Test(failpoint, kills_the_process, .signal = SIGKILL)
{
    struct error err = ERROR_INIT;

    setenv("CONNECTORD_FAILPOINT", "commit:1:kill", 1);
    (void)!failpoint("commit", &err);
}

Test(failpoint, ignores_a_plan_that_is_none)
{
    static const char *const plans[] = {
        "", "commit", "commit:", "commit:1", "commit:x:error", "commit:1:dance"};

    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct error err = ERROR_INIT;

        setenv("CONNECTORD_FAILPOINT", plans[i], 1);
        cr_assert_eq(failpoint("commit", &err), 0, "%s", plans[i]);
    }
}

#endif

Test(failpoint, is_nothing_without_a_plan)
{
    struct error err = ERROR_INIT;

    unsetenv("CONNECTORD_FAILPOINT");
    cr_assert_eq(failpoint("commit", &err), 0);
}

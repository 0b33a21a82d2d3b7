#include <criterion/criterion.h>

#include <errno.h>

#include "connectors/base/error.h"

Test(error, keeps_class_reason_and_message)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(error_set_reason(&err, ERR_CONFLICT, "name_taken", "\"%s\" exists", "a"), -1);
    cr_assert_eq(err.code, ERR_CONFLICT);
    cr_assert_str_eq(error_reason(&err), "name_taken");
    cr_assert_str_eq(err.message, "\"a\" exists");
}

Test(error, wraps_with_context_in_front)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(error_set(&err, ERR_DATA, "bad\nline"), -1);
    cr_assert_eq(error_wrap(&err, "file \"%s\"", "x"), -1);
    cr_assert_str_eq(err.message, "file \"x\": bad line");
}

Test(error, classifies_system_errors)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(error_set_errno(&err, ENOSPC, "writing"), -1);
    cr_assert_eq(err.code, ERR_RESOURCE);
    cr_assert_str_eq(error_reason(&err), "disk_full");
    cr_assert(error_is_retryable(&err));
}

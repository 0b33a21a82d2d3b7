#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

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

Test(error, has_a_wire_name_for_every_class_and_finds_it_again)
{
    for (enum error_code code = ERR_NONE; code < ERR_CODE_COUNT; code++) {
        cr_assert_not_null(error_code_name(code));
        cr_assert_eq(error_code_from_name(error_code_name(code)), code);
    }
    cr_assert_str_eq(error_code_name(ERR_UNAUTHORIZED), "auth_failed");
    cr_assert_eq(error_code_from_name("no such class"), ERR_INTERNAL);
}

Test(error, falls_back_on_the_class_for_its_reason)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(error_set(&err, ERR_DATA, "x"), -1);
    cr_assert_str_eq(error_reason(&err), "data_error");
    cr_assert_not(error_is_retryable(&err));
    cr_assert(strstr(err.file, "test_error.c"));
    cr_assert_gt(err.line, 0);
}

Test(error, cuts_long_messages_and_stays_one_line)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(error_set(&err, ERR_DATA, "%2000s", "x"), -1);
    cr_assert_eq(strlen(err.message), ERROR_MESSAGE_BYTES - 1);
    cr_assert_eq(error_wrap(&err, "a\tb\r\n\x7f"), -1);
    cr_assert_eq(strlen(err.message), ERROR_MESSAGE_BYTES - 1);
    cr_assert_eq(strncmp(err.message, "a b   : ", 8), 0);
}

Test(error, is_well_formed_whatever_it_quotes)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(error_set(&err, ERR_DATA, "na\xc3\xafve \xf4 \xe2\x82\xac\xe2\x82"), -1);
    cr_assert_str_eq(err.message, "na\xc3\xafve ? \xe2\x82\xac??");
    cr_assert_eq(error_wrap(&err, "\xff"), -1);
    cr_assert_str_eq(err.message, "?: na\xc3\xafve ? \xe2\x82\xac??");
}

static const struct {
    int value;
    enum error_code code;
    const char *reason;
} system_errors[] = {
    {ENOSPC, ERR_RESOURCE, "disk_full"},
    {EDQUOT, ERR_RESOURCE, "disk_full"},
    {EMFILE, ERR_RESOURCE, "resource"},
    {ENOMEM, ERR_RESOURCE, "resource"},
    {EACCES, ERR_PERMISSION, "permission_denied"},
    {EROFS, ERR_PERMISSION, "read_only"},
    {ENOENT, ERR_NOT_FOUND, "not_found"},
    {EEXIST, ERR_CONFLICT, "conflict"},
    {EISDIR, ERR_CONFIG, "config_error"},
    {EIO, ERR_TRANSIENT, "transient"},
};

Test(error, knows_the_class_of_system_errors)
{
    for (size_t i = 0; i < sizeof system_errors / sizeof *system_errors; i++) {
        struct error err = ERROR_INIT;

        cr_assert_eq(error_set_errno(&err, system_errors[i].value, "opening \"%s\"", "f"), -1);
        cr_assert_eq(err.code, system_errors[i].code, "%s", err.message);
        cr_assert_str_eq(error_reason(&err), system_errors[i].reason);
        cr_assert_eq(strncmp(err.message, "opening \"f\": ", 13), 0, "%s", err.message);
    }
}

Test(error, refuses_to_be_set_twice, .signal = SIGABRT)
{
    struct error err = ERROR_INIT;

    (void)error_set(&err, ERR_DATA, "first");
    (void)error_set(&err, ERR_DATA, "second");
}

Test(error, refuses_to_wrap_nothing, .signal = SIGABRT)
{
    struct error err = ERROR_INIT;

    (void)error_wrap(&err, "context");
}

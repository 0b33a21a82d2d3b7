/* One code, one status: the table is the contract with every client. */
#include <criterion/criterion.h>
#include <string.h>

#include "server/http/http.h"
#include "server/http/status.h"

/* The codes of the API, by status, as the reference lists them. */
/* clang-format off */
static const struct {
    int status;
    const char *codes[12];
} golden[] = {
    {400, {"invalid_json", "invalid_query", "invalid_cursor", "duplicate_key", "bad_request",
           "invalid_target", "invalid_header", "invalid_argument"}},
    {401, {"unauthorized"}},
    {403, {"insufficient_scope"}},
    {404, {"not_found", "not_discovered", "not_offered"}},
    {405, {"method_not_allowed"}},
    {406, {"not_acceptable"}},
    {408, {"run_pending", "request_timeout"}},
    {409, {"name_taken", "in_use", "run_already_active", "run_active", "run_not_active",
           "connection_busy", "paused", "idempotency_in_progress", "conflict", "nothing_to_retry"}},
    {410, {"log_expired"}},
    {412, {"revision_mismatch"}},
    {413, {"body_too_large", "too_large"}},
    {414, {"target_too_long"}},
    {415, {"unsupported_media_type"}},
    {422, {"validation_failed", "unknown_field", "unknown_connector", "unknown_stream",
           "mode_not_supported", "idempotency_key_reused", "unresolved_reference"}},
    {424, {"check_failed", "run_failed", "run_cancelled"}},
    {428, {"revision_required"}},
    {429, {"rate_limited", "too_many_followers"}},
    {431, {"headers_too_large"}},
    {500, {"internal", "store_corrupt"}},
    {501, {"not_supported_by_connector", "method_not_implemented", "not_supported"}},
    {503, {"queue_full", "shutting_down", "database_busy", "overloaded", "store_io"}},
    {507, {"disk_full", "insufficient_storage"}},
};
/* clang-format on */

Test(status, gives_each_code_of_the_reference_its_status)
{
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        for (size_t k = 0; golden[i].codes[k]; k++) {
            const struct status_row *row = status_find(golden[i].codes[k]);

            cr_assert_not_null(row, "%s is missing", golden[i].codes[k]);
            cr_assert_eq(row->status, golden[i].status, "%s is %d", row->reason, row->status);
        }
    }
}

Test(status, has_each_code_once)
{
    size_t n;
    const struct status_row *rows = status_rows(&n);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++)
            cr_assert_str_neq(rows[i].reason, rows[k].reason);
        cr_assert(rows[i].status >= 400 && rows[i].status < 600, "%s", rows[i].reason);
        cr_assert(rows[i].title && rows[i].title[0], "%s has no title", rows[i].reason);
    }
}

Test(status, retries_only_what_may_end_by_itself)
{
    size_t n;
    const struct status_row *rows = status_rows(&n);

    for (size_t i = 0; i < n; i++) {
        int status = rows[i].status;

        if (status == 408 || status == 429 || status == 503)
            cr_assert(rows[i].retryable, "%s", rows[i].reason);
        if (status == 400 || status == 404 || status == 422 || status == 500 || status == 501)
            cr_assert(!rows[i].retryable, "%s", rows[i].reason);
    }
}

Test(status, covers_every_error_class)
{
    for (int code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++) {
        struct error err = ERROR_INIT;

        error_set(&err, (enum error_code)code, "x");
        cr_assert_not_null(status_find(error_reason(&err)), "%s", error_reason(&err));
        cr_assert(status_of(&err) >= 400);
    }
}

Test(status, takes_the_reason_before_the_class)
{
    struct error err = ERROR_INIT;

    error_set_reason(&err, ERR_CONFLICT, "log_expired", "x");
    cr_assert_eq(status_of(&err), 410);
    err = ERROR_INIT;
    error_set_reason(&err, ERR_CONFLICT, "a_reason_nobody_knows", "x");
    cr_assert_eq(status_of(&err), 409);
}

Test(status, has_titles_for_people)
{
    cr_assert_str_eq(status_title("run_already_active"), "A run is already active");
    cr_assert_not_null(status_title("a_reason_nobody_knows"));
}

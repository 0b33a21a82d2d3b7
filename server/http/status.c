#include "server/http/status.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "server/http/http.h"

/*
 * The one place where a reason gets its status: a client that knows the code knows the status, and
 * the other way round the code tells apart what shares a status. `retryable` says that the same
 * request may succeed later without being changed.
 */
/* clang-format off */
static const struct status_row rows[] = {
    /* what the adapter itself refuses */
    {"bad_request",             400, false, "The request is malformed"},
    {"invalid_target",          400, false, "The request target is malformed"},
    {"invalid_header",          400, false, "A header has an invalid value"},
    {"invalid_json",            400, false, "The body is not valid JSON"},
    {"invalid_yaml",            400, false, "The body is not valid YAML"},
    {"invalid_query",           400, false, "A query parameter is invalid"},
    {"invalid_cursor",          400, false, "The cursor is invalid"},
    {"duplicate_key",           400, false, "A key occurs twice in the JSON body"},
    {"unauthorized",            401, false, "Authentication is required"},
    {"insufficient_scope",      403, false, "The token does not allow this"},
    {"not_discovered",          404, false, "Nothing has been discovered yet"},
    {"not_offered",             404, false, "This is not offered here"},
    {"method_not_allowed",      405, false, "The method is not allowed here"},
    {"not_acceptable",          406, false, "No acceptable representation exists"},
    {"run_pending",             408, true,  "The run is not finished yet"},
    {"request_timeout",         408, true,  "The request took too long"},
    {"name_taken",              409, false, "The name is already taken"},
    {"in_use",                  409, false, "The resource is in use"},
    {"too_many_tokens",         409, false, "There are too many tokens"},
    {"too_many_connectors",     409, false, "There are too many custom connectors"},
    {"run_already_active",      409, true,  "A run is already active"},
    {"run_active",              409, true,  "The run is active"},
    {"run_not_active",          409, false, "The run is not active"},
    {"connection_busy",         409, true,  "The connection is busy"},
    {"nothing_to_retry",        409, false, "Nothing has failed that could be retried"},
    {"paused",                  409, false, "The connection is paused"},
    {"idempotency_in_progress", 409, true,  "A request with this key is in progress"},
    {"log_expired",             410, false, "The log has been removed"},
    {"revision_mismatch",       412, false, "The resource has changed"},
    {"body_too_large",          413, false, "The body is too large"},
    {"target_too_long",         414, false, "The request target is too long"},
    {"unsupported_media_type",  415, false, "The media type is not supported"},
    {"range_not_satisfiable",   416, false, "The range cannot be satisfied"},
    {"validation_failed",       422, false, "The document is not valid"},
    {"unknown_field",           422, false, "A field is unknown"},
    {"unknown_connector",       422, false, "The connector is unknown"},
    {"unknown_stream",          422, false, "The stream is unknown"},
    {"mode_not_supported",      422, false, "The mode is not supported"},
    {"idempotency_key_reused",  422, false, "The idempotency key belongs to another request"},
    {"unresolved_reference",    422, false, "A reference cannot be resolved"},
    {"secret_required",         422, false, "A secret has to be given again"},
    {"check_failed",            424, false, "The check failed"},
    {"run_failed",              424, false, "The run failed"},
    {"run_cancelled",           424, false, "The run was cancelled"},
    {"revision_required",       428, false, "The request must name a revision"},
    {"too_many_followers",      429, true,  "Too many followers"},
    {"headers_too_large",       431, false, "The headers are too large"},
    {"not_supported_by_connector", 501, false, "The connector cannot do that"},
    {"method_not_implemented",  501, false, "The method is not implemented"},
    {"queue_full",              503, true,  "The queue is full"},
    {"shutting_down",           503, true,  "The service is shutting down"},
    {"database_busy",           503, true,  "The store is busy"},
    {"overloaded",              503, true,  "The service is overloaded"},
    {"store_io",                503, true,  "The store cannot be read or written"},
    {"disk_full",               507, true,  "No space is left"},
    {"insufficient_storage",    507, true,  "No space is left"},

    /* what the store cannot do for any caller */
    {"store_corrupt",           500, false, "An internal error occurred"},
    {"store_newer",             500, false, "An internal error occurred"},
    {"store_in_use",            503, true,  "The store is in use"},

    /* the wire names of the error classes: what an error without a reason of its own becomes */
    {"invalid_argument",        400, false, "The request is not valid"},
    {"config_error",            422, false, "The configuration is not valid"},
    {"auth_failed",             424, false, "The remote side refused the credentials"},
    {"permission_denied",       424, false, "The remote side denied the permission"},
    {"not_found",               404, false, "Not found"},
    {"conflict",                409, false, "The request contradicts the present state"},
    {"too_large",               413, false, "A limit was exceeded"},
    {"data_error",              422, false, "A value cannot be read or stored"},
    {"schema_changed",          409, false, "The shape of the data does not fit"},
    {"transient",               503, true,  "A temporary failure"},
    {"contention",              503, true,  "Somebody else holds a lock"},
    {"rate_limited",            429, true,  "Too many requests"},
    {"resource",                503, true,  "A resource is used up"},
    {"fenced",                  409, false, "Another worker owns this now"},
    {"resync_required",         409, false, "The position no longer means anything"},
    {"not_supported",           501, false, "Not supported"},
    {"cancelled",               503, true,  "The operation was cancelled"},
    {"internal",                500, false, "An internal error occurred"},
};
/* clang-format on */

const struct status_row *status_find(const char *reason)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!strcmp(rows[i].reason, reason))
            return &rows[i];
    }
    return NULL;
}

const struct status_row *status_rows(size_t *out_n)
{
    *out_n = sizeof rows / sizeof rows[0];
    return rows;
}

/* The row of an error: of its reason where the table has it, else of its class. */
static const struct status_row *row_of(const struct error *err)
{
    const struct status_row *row = status_find(error_reason(err));

    if (!row)
        row = status_find(error_code_name(err->code));
    assert(row && "every class has a row");
    return row;
}

int status_of(const struct error *err)
{
    return row_of(err)->status;
}

const char *status_title(const char *reason)
{
    const struct status_row *row = status_find(reason);

    return row ? row->title : "The request failed";
}

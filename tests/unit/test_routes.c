#include <criterion/criterion.h>

#include <string.h>
#include <strings.h>

#include "connectors/base/doc.h"
#include "handlers/assets.h"
#include "handlers/routes.h"
#include "server/http/status.h"

static struct doc *parse_openapi(void)
{
    struct error err = ERROR_INIT;
    struct doc *d = NULL;

    cr_assert_eq(doc_parse_trusted(asset_openapi_json.text, asset_openapi_json.bytes, &d, &err), 0,
                 "%s", err.message);
    return d;
}

static const struct doc *operation_of(const struct doc *openapi, const struct route *r)
{
    const struct doc *path = doc_get(doc_get(openapi, "paths"), r->pattern);
    char method[16] = "";

    for (size_t i = 0; r->method[i] && i < sizeof method - 1; i++)
        method[i] = (char)(r->method[i] | 0x20);
    return doc_get(path, method);
}

Test(routes, every_route_is_described)
{
    CLEANUP(doc_free_cleanup) struct doc *openapi = parse_openapi();

    for (const struct route *r = routes; r->method; r++) {
        const struct doc *op = operation_of(openapi, r);

        cr_expect(op, "%s %s is not in openapi.yaml", r->method, r->pattern);
        cr_expect_str_eq(doc_string(doc_get(op, "operationId"), ""), r->operation, "%s %s",
                         r->method, r->pattern);
        cr_expect_str_eq(doc_string(doc_get(op, "x-scope"), ""), r->scope, "%s", r->operation);
        cr_expect_eq(doc_bool(doc_get(op, "x-public"), false), (r->flags & ROUTE_PUBLIC) != 0, "%s",
                     r->operation);
    }
}

static const struct route *route_of(const char *method, const char *pattern)
{
    for (const struct route *r = routes; r->method; r++) {
        if (!strcasecmp(r->method, method) && !strcmp(r->pattern, pattern))
            return r;
    }
    return NULL;
}

Test(routes, every_description_has_a_route)
{
    CLEANUP(doc_free_cleanup) struct doc *openapi = parse_openapi();
    const struct doc *paths = doc_get(openapi, "paths");
    size_t n = 0, n_routes = 0;

    for (const struct doc_member *p = doc_first(paths); p; p = doc_next(paths, p)) {
        const struct doc *item = doc_member_value(p);

        for (const struct doc_member *m = doc_first(item); m; m = doc_next(item, m)) {
            if (!strcmp(doc_member_key(m), "parameters"))
                continue;
            n++;
            cr_expect(route_of(doc_member_key(m), doc_member_key(p)), "%s %s has no route",
                      doc_member_key(m), doc_member_key(p));
        }
    }
    for (const struct route *r = routes; r->method; r++)
        n_routes++;
    cr_assert_eq(n, n_routes);
}

/* A route is closed unless it stands here: adding one to this list is a decision. */
Test(routes, public_ones_are_a_golden_list)
{
    static const char *const golden[] = {"root",    "livez",      "readyz",
                                         "healthz", "startupz",   "openapi",
                                         "docs",    "docs_asset", "docs_connector"};
    size_t n = 0;

    for (const struct route *r = routes; r->method; r++) {
        if (!(r->flags & ROUTE_PUBLIC))
            continue;
        cr_assert_lt(n, sizeof golden / sizeof *golden, "%s is public", r->operation);
        cr_assert_str_eq(r->operation, golden[n]);
        n++;
    }
    cr_assert_eq(n, sizeof golden / sizeof *golden);
}

Test(routes, operations_are_unique)
{
    for (const struct route *r = routes; r->method; r++) {
        for (const struct route *other = routes; other < r; other++)
            cr_expect_str_neq(r->operation, other->operation);
    }
}

Test(routes, scopes_are_of_the_closed_set)
{
    for (const struct route *r = routes; r->method; r++)
        cr_expect(!strcmp(r->scope, "read") || !strcmp(r->scope, "run") ||
                      !strcmp(r->scope, "write") || !strcmp(r->scope, "admin"),
                  "%s", r->operation);
}

Test(routes, the_document_has_a_tag_in_quotes)
{
    size_t n = strlen(asset_openapi_json.etag);

    cr_assert_gt(n, 10);
    cr_assert_eq(asset_openapi_json.etag[0], '"');
    cr_assert_eq(asset_openapi_json.etag[n - 1], '"');
    cr_assert_eq(strlen(asset_openapi_json.text), asset_openapi_json.bytes);
}

/* The codes are the contract: what a client may meet is what the document lists, with its status.
 */
Test(routes, codes_of_problems_are_described)
{
    CLEANUP(doc_free_cleanup) struct doc *openapi = parse_openapi();
    const struct doc *schemas = doc_get(doc_get(openapi, "components"), "schemas");
    const struct doc *codes = doc_get(doc_get(schemas, "Problem"), "x-codes");
    size_t n;
    const struct status_row *rows = status_rows(&n);

    cr_assert_eq(doc_count(codes), n);
    for (size_t i = 0; i < n; i++) {
        const struct doc *code = doc_get(codes, rows[i].reason);

        cr_expect_eq(doc_int(doc_get(code, "status"), 0), rows[i].status, "%s", rows[i].reason);
        cr_expect_eq(doc_bool(doc_get(code, "retryable"), false), rows[i].retryable, "%s",
                     rows[i].reason);
        cr_expect_str_eq(doc_string(doc_get(code, "title"), ""), rows[i].title, "%s",
                         rows[i].reason);
    }
}

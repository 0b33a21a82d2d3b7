/* The router: the table decides, literals before parameters. */
#include <criterion/criterion.h>
#include <string.h>

#include "server/http/router.h"

static int nothing(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)res;
    (void)err;
    return 0;
}

/* clang-format off */
static const struct route table[] = {
    {"GET",    "/",                     nothing, "root",        "read",  0},
    {"GET",    "/v1/runs/{run}",        nothing, "get_run",     "read",  0},
    {"GET",    "/v1/runs/latest",       nothing, "latest",      "read",  0},
    {"DELETE", "/v1/runs/{run}",        nothing, "delete_run",  "write", 0},
    {"POST",   "/v1/runs/{run}/cancel", nothing, "cancel",      "run",   0},
    {"GET",    "/v1/{kind}/{name}/logs", nothing, "any_logs",   "read",  0},
    {"GET",    "/v1/runs/{run}/logs",   nothing, "run_logs",    "read",  0},
    {NULL,     NULL,                    NULL,    NULL,          NULL,    0},
};
/* clang-format on */

static struct router *router;
static struct arena *mem;

static void set_up(void)
{
    struct error err = ERROR_INIT;

    mem = arena_new();
    cr_assert_eq(router_new(table, "", &router, &err), 0, "%s", err.message);
}

static void tear_down(void)
{
    router_free(router);
    arena_free(mem);
}

TestSuite(router, .init = set_up, .fini = tear_down);

static struct match find_in(const struct router *r, const char *method, const char *path)
{
    struct error err = ERROR_INIT;
    struct target target;
    struct match match;

    cr_assert_eq(target_parse(mem, path, &target, &err), 0);
    router_find(r, method_from_name(method), &target, &match);
    return match;
}

static const char *operation(const char *method, const char *path)
{
    struct match m = find_in(router, method, path);

    return m.route ? m.route->operation : "none";
}

Test(router, finds_routes_by_method_and_path)
{
    cr_assert_str_eq(operation("GET", "/"), "root");
    cr_assert_str_eq(operation("GET", "/v1/runs/7"), "get_run");
    cr_assert_str_eq(operation("DELETE", "/v1/runs/7"), "delete_run");
    cr_assert_str_eq(operation("POST", "/v1/runs/7/cancel"), "cancel");
    cr_assert_str_eq(operation("GET", "/v1/runs"), "none");
    cr_assert_str_eq(operation("GET", "/v1/runs/7/cancel/x"), "none");
    cr_assert_str_eq(operation("GET", "/V1/runs/7"), "none");
}

Test(router, prefers_a_literal_from_the_left)
{
    cr_assert_str_eq(operation("GET", "/v1/runs/latest"), "latest");
    cr_assert_str_eq(operation("GET", "/v1/runs/7/logs"), "run_logs");
    cr_assert_str_eq(operation("GET", "/v1/other/7/logs"), "any_logs");
    /* The literal has no DELETE, the parameter has. */
    cr_assert_str_eq(operation("DELETE", "/v1/runs/latest"), "delete_run");
}

Test(router, serves_head_where_get_is)
{
    cr_assert_str_eq(operation("HEAD", "/v1/runs/7"), "get_run");
    cr_assert_str_eq(operation("HEAD", "/v1/runs/7/cancel"), "none");
}

Test(router, gives_parameters_decoded)
{
    struct match m = find_in(router, "GET", "/v1/a%20b/%C3%A9/logs");

    cr_assert_eq(m.n_params, 2);
    cr_assert_str_eq(m.params[0].name, "kind");
    cr_assert_str_eq(m.params[0].value, "a b");
    cr_assert_str_eq(m.params[1].name, "name");
    cr_assert_str_eq(m.params[1].value, "\xc3\xa9");
}

Test(router, knows_what_is_allowed)
{
    char allow[128];

    router_allow(find_in(router, "PUT", "/v1/runs/7").allowed, allow, sizeof allow);
    cr_assert_str_eq(allow, "GET, HEAD, DELETE, OPTIONS");
    router_allow(find_in(router, "GET", "/v1/runs/7/cancel").allowed, allow, sizeof allow);
    cr_assert_str_eq(allow, "POST, OPTIONS");
    cr_assert_eq(find_in(router, "GET", "/nowhere").allowed, 0);
}

Test(router, reads_methods_exactly)
{
    cr_assert_eq(method_from_name("GET"), METHOD_GET);
    cr_assert_eq(method_from_name("TRACE"), METHOD_TRACE);
    cr_assert_eq(method_from_name("CONNECT"), METHOD_CONNECT);
    cr_assert_eq(method_from_name("get"), METHOD_UNKNOWN);
    cr_assert_eq(method_from_name("F@@"), METHOD_UNKNOWN);
    cr_assert_eq(method_from_name(""), METHOD_UNKNOWN);
}

Test(router, puts_a_base_path_in_front)
{
    struct error err = ERROR_INIT;
    struct router *r;

    cr_assert_eq(router_new(table, "/base/path", &r, &err), 0);
    cr_assert_not_null(find_in(r, "GET", "/base/path/v1/runs/7").route);
    cr_assert_not_null(find_in(r, "GET", "/base/path").route);
    cr_assert_null(find_in(r, "GET", "/v1/runs/7").route);
    router_free(r);
}

static void refuses(const struct route *bad, const char *why)
{
    struct error err = ERROR_INIT;
    struct router *r;

    cr_assert_eq(router_new(bad, "", &r, &err), -1, "%s", why);
    cr_assert_eq(err.code, ERR_INTERNAL, "%s", why);
}

Test(router, refuses_a_table_that_contradicts_itself)
{
    const struct route twice[] = {{"GET", "/a/{x}", nothing, "1", "read", 0},
                                  {"GET", "/a/{y}", nothing, "2", "read", 0},
                                  {0}};
    const struct route head[] = {{"HEAD", "/a", nothing, "1", "read", 0}, {0}};
    const struct route strange[] = {{"FETCH", "/a", nothing, "1", "read", 0}, {0}};
    const struct route params[] = {
        {"GET", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", nothing, "1", "read", 0}, {0}};
    const struct route deep[] = {
        {"GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", nothing, "1", "read", 0}, {0}};

    refuses(twice, "two routes of one shape");
    refuses(head, "HEAD is not written");
    refuses(strange, "a method nobody knows");
    refuses(params, "nine parameters");
    refuses(deep, "seventeen segments");
}

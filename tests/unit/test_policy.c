#include <criterion/criterion.h>

#include <string.h>

#include "handlers/policy.h"

static struct arena *mem;

static void setup(void)
{
    mem = arena_new();
}

static void teardown(void)
{
    arena_free(mem);
}

TestSuite(policy, .init = setup, .fini = teardown);

static const char *text_of(const char *json, struct problems *problems)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error err = ERROR_INIT;

    *problems = PROBLEMS_INIT(mem);
    if (json)
        cr_assert_eq(doc_parse(json, strlen(json), &d, &err), 0, "%s", err.message);
    return policy_text(mem, d, "", problems);
}

/* clang-format off */
#define DEFAULTS \
    "{\"prefix\":\"\",\"schema_change\":\"propagate_columns\",\"metadata\":\"minimal\"," \
    "\"namespace\":{\"mode\":\"source\"},\"quarantine\":{\"max_rows\":1000,\"max_ratio\":0.01}," \
    "\"commit\":{\"max_rows\":50000,\"max_bytes\":33554432,\"max_age_s\":10}," \
    "\"run_policy\":{\"max_attempts\":5,\"timeout_s\":0,\"idle_timeout_s\":900," \
    "\"on_stream_error\":\"continue\",\"backoff_s\":0.5,\"resource_backoff_s\":60," \
    "\"parallel_streams\":1}}"
/* clang-format on */

static void expect_same(const char *text, const char *expected)
{
    CLEANUP(doc_free_cleanup) struct doc *a = NULL;
    CLEANUP(doc_free_cleanup) struct doc *b = NULL;
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(text, strlen(text), &a, &err), 0, "%s", err.message);
    cr_assert_eq(doc_parse(expected, strlen(expected), &b, &err), 0, "%s", err.message);
    cr_assert(doc_equal(a, b), "%s", text);
}

Test(policy, is_stored_whole)
{
    struct problems problems;

    expect_same(text_of(NULL, &problems), DEFAULTS);
    cr_assert_eq(problems.n, 0);
    expect_same(text_of("{}", &problems), DEFAULTS);
    expect_same(text_of(DEFAULTS, &problems), DEFAULTS); /* what was shown may come back */
    cr_assert_eq(problems.n, 0);
}

Test(policy, keeps_what_was_said)
{
    struct problems problems;
    const char *text = text_of("{\"prefix\":\"x_\",\"quarantine\":{\"max_ratio\":0.5},"
                               "\"run_policy\":{\"max_attempts\":1,\"backoff_s\":2}}",
                               &problems);

    cr_assert_eq(problems.n, 0);
    cr_assert(strstr(text, "\"prefix\":\"x_\""));
    cr_assert(strstr(text, "\"max_ratio\":0.5"));
    cr_assert(strstr(text, "\"max_attempts\":1"));
    cr_assert(strstr(text, "\"backoff_s\":2"));
    cr_assert(strstr(text, "\"idle_timeout_s\":900"));
}

static void expect_problem(const char *json, const char *pointer, const char *code)
{
    struct problems problems;

    text_of(json, &problems);
    cr_assert_eq(problems.n, 1, "%s: %zu problems", json, problems.n);
    cr_expect_str_eq(problems.items[0].pointer, pointer, "%s", json);
    cr_expect_str_eq(problems.items[0].code, code, "%s", json);
}

Test(policy, refuses_each_mistake_with_its_place)
{
    expect_problem("{\"prefix\":1}", "/prefix", "wrong_type");
    expect_problem("{\"metadata\":\"lots\"}", "/metadata", "not_a_choice");
    expect_problem("{\"schema_change\":\"x\"}", "/schema_change", "not_a_choice");
    expect_problem("{\"namespace\":{\"mode\":\"custom\"}}", "/namespace/format", "required");
    expect_problem("{\"namespace\":{\"x\":1}}", "/namespace/x", "unknown_field");
    expect_problem("{\"quarantine\":{\"max_rows\":-1}}", "/quarantine/max_rows", "out_of_range");
    expect_problem("{\"quarantine\":{\"max_ratio\":1.01}}", "/quarantine/max_ratio",
                   "out_of_range");
    expect_problem("{\"quarantine\":{\"max_ratio\":\"1\"}}", "/quarantine/max_ratio", "wrong_type");
    expect_problem("{\"run_policy\":{\"max_attempts\":0}}", "/run_policy/max_attempts",
                   "out_of_range");
    expect_problem("{\"run_policy\":{\"max_attempts\":101}}", "/run_policy/max_attempts",
                   "out_of_range");
    expect_problem("{\"run_policy\":[]}", "/run_policy", "wrong_type");
    expect_problem("{\"commit\":{\"max_rows\":0}}", "/commit/max_rows", "out_of_range");
    expect_problem("{\"commit\":{\"max_rows\":0}}", "/commit/max_rows", "out_of_range");
}

Test(policy, limits_themselves_are_accepted)
{
    struct problems problems;

    text_of("{\"run_policy\":{\"max_attempts\":100,\"backoff_s\":0},"
            "\"quarantine\":{\"max_rows\":0,\"max_ratio\":1}}",
            &problems);
    cr_assert_eq(problems.n, 0);
    text_of("{\"run_policy\":{\"max_attempts\":1,\"backoff_s\":3600},"
            "\"quarantine\":{\"max_ratio\":0}}",
            &problems);
    cr_assert_eq(problems.n, 0);
}

#include <criterion/criterion.h>

#include <string.h>

#include "connectors/base/arena.h"
#include "server/sync/setup.h"
#include "tests/support/fake_sync.h"

static struct arena *mem;
static struct problems problems;
static struct sync_settings settings;

static void setup(void)
{
    mem = arena_new();
    problems = PROBLEMS_INIT(mem);
}

static void teardown(void)
{
    arena_free(mem);
}

TestSuite(settings, .init = setup, .fini = teardown);

static bool decode(const char *text)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s", err.message);
    return sync_settings_decode(d, "/settings", mem, &settings, &problems);
}

Test(settings, have_defaults)
{
    cr_assert(sync_settings_decode(NULL, "", mem, &settings, &problems));
    cr_expect_eq(settings.policy.max_attempts, 5);
    cr_expect_eq(settings.policy.backoff_ms, 500);
    cr_expect_eq(settings.policy.resource_backoff_ms, 60000);
    cr_expect_eq(settings.policy.parallel_streams, 1);
    cr_expect_eq(settings.policy.timeout_s, 0);
    cr_expect_eq(settings.policy.idle_timeout_s, 900);
    cr_expect_eq(settings.policy.on_stream_error, ON_ERROR_CONTINUE);
    cr_expect_eq(settings.policy.max_quarantined_rows, 1000);
    cr_expect_eq(settings.policy.max_quarantined_ratio, 0.01);
    cr_expect_eq(settings.policy.metadata, METADATA_MINIMAL);
    cr_expect_eq(settings.commit.rows, 50000);
    cr_expect_eq(settings.commit.bytes, 32 << 20);
    cr_expect_eq(settings.commit.age_us, 10000000);
    cr_expect_eq(settings.namespace_mode, NAMESPACE_SOURCE);
    cr_expect_str_eq(settings.prefix, "");
    cr_expect_eq(settings.drift, DRIFT_EVOLVE);
}

Test(settings, are_read_from_what_a_connection_stores)
{
    cr_assert(decode("{\"namespace\":{\"mode\":\"custom\",\"format\":\"x\"},\"prefix\":\"p_\","
                     "\"schema_change\":\"freeze\",\"metadata\":\"full\",\"quarantine\":"
                     "{\"max_rows\":0,\"max_ratio\":1},\"commit\":{\"max_rows\":1,\"max_bytes\":2,"
                     "\"max_age_s\":3},\"run_policy\":{\"max_attempts\":1,\"backoff_s\":2,"
                     "\"timeout_s\":3,\"idle_timeout_s\":0,\"on_stream_error\":\"ignore\","
                     "\"resource_backoff_s\":7,\"parallel_streams\":16}}"));
    cr_expect_eq(settings.namespace_mode, NAMESPACE_CUSTOM);
    cr_expect_str_eq(settings.namespace_format, "x");
    cr_expect_str_eq(settings.prefix, "p_");
    cr_expect_eq(settings.drift, DRIFT_FREEZE);
    cr_expect_eq(settings.policy.metadata, METADATA_FULL);
    cr_expect_eq(settings.policy.max_quarantined_rows, 0);
    cr_expect_eq(settings.policy.max_quarantined_ratio, 1);
    cr_expect_eq(settings.commit.rows, 1);
    cr_expect_eq(settings.commit.age_us, 3000000);
    cr_expect_eq(settings.policy.max_attempts, 1);
    cr_expect_eq(settings.policy.backoff_ms, 2000);
    cr_expect_eq(settings.policy.on_stream_error, ON_ERROR_IGNORE);
    cr_expect_eq(settings.policy.resource_backoff_ms, 7000);
    cr_expect_eq(settings.policy.parallel_streams, 16);
}

Test(settings, report_every_mistake)
{
    static const char *const pointers[] = {"/settings/colour",
                                           "/settings/namespace/mode",
                                           "/settings/schema_change",
                                           "/settings/quarantine/max_ratio",
                                           "/settings/commit/max_age_s",
                                           "/settings/run_policy/backoff_s",
                                           "/settings/run_policy/max_attempts",
                                           "/settings/run_policy/parallel_streams"};

    cr_assert_not(decode("{\"colour\":1,\"namespace\":{\"mode\":\"x\"},\"schema_change\":\"y\","
                         "\"quarantine\":{\"max_ratio\":1.5},\"commit\":{\"max_age_s\":0},"
                         "\"run_policy\":{\"backoff_s\":\"1\",\"max_attempts\":0,"
                         "\"parallel_streams\":17}}"));
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        bool found = false;

        for (size_t k = 0; k < problems.n; k++)
            found |= !strcmp(problems.items[k].pointer, pointers[i]);
        cr_expect(found, "%s", pointers[i]);
    }
    cr_expect_eq(problems.n, sizeof pointers / sizeof *pointers);
}

Test(settings, a_custom_namespace_has_a_name)
{
    cr_assert_not(decode("{\"namespace\":{\"mode\":\"custom\"}}"));
    cr_expect_str_eq(problems.items[0].pointer, "/settings/namespace/format");
}

/* ------------------------------------------------------------ the selection of a run */

static struct fake_source source = {.n_streams = 3, .rows = 1, .batch_rows = 1, .fail_stream = -1};
static struct fake_destination destination;

static int select_streams(const char *streams, const char *only, struct stream_setup *out)
{
    CLEANUP(doc_free_cleanup) struct doc *s = NULL, *o = NULL;
    struct source_setup from;
    struct destination_setup to;
    struct error err = ERROR_INIT;
    struct cancel *cancel;
    struct run run = {.mem = mem, .log = &log_nowhere, .id = ""};
    int status;

    fake_source_now = &source;
    fake_destination_now = &destination;
    cr_assert_eq(cancel_new(&cancel, &err), 0);
    run.cancel = cancel;
    cr_assert(setup_source("fake", NULL, "", mem, &from, &problems));
    cr_assert(setup_destination("fake", NULL, "", mem, &to, &problems));
    if (streams)
        cr_assert_eq(doc_parse(streams, strlen(streams), &s, &err), 0);
    if (only)
        cr_assert_eq(doc_parse(only, strlen(only), &o, &err), 0);
    status = setup_streams(&from, &to, &run, s, o, &settings, out, &problems, &err);
    cancel_free(cancel);
    return status;
}

Test(settings, shape_the_selection)
{
    struct stream_setup out;

    cr_assert(decode("{\"prefix\":\"p_\",\"schema_change\":\"ignore\",\"namespace\":"
                     "{\"mode\":\"custom\",\"format\":\"n\"}}"));
    cr_assert_eq(select_streams("[{\"name\":\"s0\"},{\"name\":\"s2\",\"new_columns\":\"freeze\","
                                "\"alias\":\"two\"}]",
                                NULL, &out),
                 0);
    cr_assert_eq(problems.n, 0);
    cr_assert_eq(out.selection.n, 2);
    cr_expect_str_eq(out.selection.streams[0].alias, "p_s0");
    cr_expect_str_eq(out.selection.streams[0].destination_namespace, "n");
    cr_expect_eq(out.selection.streams[0].drift, DRIFT_IGNORE);
    cr_expect_str_eq(out.selection.streams[1].alias, "p_two");
    cr_expect_eq(out.selection.streams[1].drift, DRIFT_FREEZE);
}

Test(settings, without_a_selection_every_stream_is_taken)
{
    struct stream_setup out;

    cr_assert(decode("{}"));
    cr_assert_eq(select_streams(NULL, NULL, &out), 0);
    cr_expect_eq(out.selection.n, 3);
    cr_assert_eq(select_streams(NULL, "[\"s1\"]", &out), 0);
    cr_assert_eq(out.selection.n, 1);
    cr_expect_str_eq(out.selection.streams[0].stream->name, "s1");
}

Test(settings, streams_that_have_gone_are_named)
{
    struct stream_setup out;

    cr_assert(decode("{}"));
    cr_assert_eq(select_streams("[{\"name\":\"s0\"},{\"name\":\"s7\"},{\"name\":\"s8\","
                                "\"selected\":false}]",
                                NULL, &out),
                 0);
    cr_expect_eq(problems.n, 0);
    cr_assert_eq(out.n_missing, 1);
    cr_expect_str_eq(out.missing[0], "s7");
    cr_assert_eq(select_streams("[{\"name\":\"s0\"},{\"name\":\"s7\"}]", "[\"s0\"]", &out), 0);
    cr_expect_eq(out.n_missing, 0);
}

Test(settings, two_streams_cannot_share_a_table)
{
    struct stream_setup out;

    cr_assert(decode("{}"));
    cr_assert_eq(select_streams("[{\"name\":\"s0\",\"alias\":\"x\"},{\"name\":\"s1\"},"
                                "{\"name\":\"s2\",\"alias\":\"x\"}]",
                                NULL, &out),
                 0);
    cr_assert_eq(problems.n, 1);
    cr_expect_str_eq(problems.items[0].code, "duplicate_alias");
}

Test(settings, problems_become_one_error)
{
    struct error err = ERROR_INIT;

    problems_add(&problems, "/a", "required", "first");
    cr_expect_eq(setup_error(&problems, "source \"x\"", &err), -1);
    cr_expect_str_eq(err.message, "source \"x\": /a: first");
    cr_expect_str_eq(error_reason(&err), "required");
    err = ERROR_INIT;
    problems_add(&problems, "/b", "required", "second");
    setup_error(&problems, "source \"x\"", &err);
    cr_expect_str_eq(err.message, "source \"x\": /a: first (and 1 more)");
}

#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

TestSuite(store_connections, .init = fixture_open, .fini = fixture_close);

Test(store_connections, resolve_names_and_show_them)
{
    struct resource s = make_resource(RESOURCE_SOURCE, "shop");
    struct resource d = make_resource(RESOURCE_DESTINATION, "dwh");
    struct connection c = {.name = "shop-dwh",
                           .display_name = "Shop",
                           .source_id = "shop",
                           .destination_id = d.id,
                           .paused = true,
                           .labels = "{\"a\":\"b\"}",
                           .streams = "[{\"name\":\"x\"}]",
                           .settings = "{\"prefix\":\"p\"}"};
    struct connection out;

    ok(store_create_connection(fx.store, &c, fx.mem, &fx.err));
    cr_assert_str_eq(c.source_id, s.id);
    cr_assert_eq(c.revision, 1);
    ok(store_get_connection(fx.store, "shop-dwh", fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.id, c.id);
    cr_assert_str_eq(out.display_name, "Shop");
    cr_assert_str_eq(out.source_id, s.id);
    cr_assert_str_eq(out.destination_id, d.id);
    cr_assert_str_eq(out.source_name, "shop");
    cr_assert_str_eq(out.destination_name, "dwh");
    cr_assert(out.paused);
    cr_assert_str_eq(out.labels, "{\"a\":\"b\"}");
    cr_assert_str_eq(out.streams, "[{\"name\":\"x\"}]");
    cr_assert_str_eq(out.settings, "{\"prefix\":\"p\"}");
    cr_assert_eq(out.created_us, c.created_us);
}

Test(store_connections, fill_what_was_left_out)
{
    struct connection c = make_connection("a");

    cr_assert_str_eq(c.labels, "{}");
    cr_assert_str_eq(c.settings, "{}");
    cr_assert_null(c.streams);
    cr_assert_null(c.display_name);
    cr_assert_not(c.paused);
}

Test(store_connections, show_the_new_name_of_a_renamed_source)
{
    struct connection c = make_connection("a"), out;
    struct resource r = {
        .id = c.source_id, .name = "renamed", .connector = "sample", .config = "{}"};

    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &r, REVISION_ANY, fx.mem, &fx.err));
    ok(store_get_connection(fx.store, c.id, fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.source_name, "renamed");
}

Test(store_connections, need_both_ends)
{
    struct connection c = {.name = "a", .source_id = "none", .destination_id = "a"};

    make_resource(RESOURCE_SOURCE, "a");
    make_resource(RESOURCE_DESTINATION, "a");
    make_resource(RESOURCE_DESTINATION, "only-destination");
    fails(store_create_connection(fx.store, &c, fx.mem, &fx.err), ERR_NOT_FOUND, "not_found");
    c.source_id = "only-destination";
    fails(store_create_connection(fx.store, &c, fx.mem, &fx.err), ERR_NOT_FOUND, "not_found");
    c.source_id = "a";
    c.destination_id = "none";
    fails(store_create_connection(fx.store, &c, fx.mem, &fx.err), ERR_NOT_FOUND, "not_found");
    c.destination_id = "a";
    ok(store_create_connection(fx.store, &c, fx.mem, &fx.err));
    c.source_id = "none";
    fails(store_update_connection(fx.store, &c, REVISION_ANY, fx.mem, &fx.err), ERR_NOT_FOUND,
          "not_found");
}

Test(store_connections, refuse_a_name_twice)
{
    struct connection a = make_connection("a"), b = make_connection("b");

    b.name = "a";
    fails(store_update_connection(fx.store, &b, REVISION_ANY, fx.mem, &fx.err), ERR_CONFLICT,
          "name_taken");
    fails(store_create_connection(fx.store, &a, fx.mem, &fx.err), ERR_CONFLICT, "name_taken");
}

Test(store_connections, count_revisions_by_changes_of_content)
{
    struct connection c = make_connection("a");

    c.source_id = "a"; /* the name instead of the id is no change */
    c.labels = NULL;
    ok(store_update_connection(fx.store, &c, 1, fx.mem, &fx.err));
    cr_assert_eq(c.revision, 1);
    c.paused = true;
    ok(store_update_connection(fx.store, &c, 1, fx.mem, &fx.err));
    cr_assert_eq(c.revision, 2);
    cr_assert(c.paused);
    c.streams = "[]";
    ok(store_update_connection(fx.store, &c, REVISION_ANY, fx.mem, &fx.err));
    cr_assert_eq(c.revision, 3);
    c.streams = NULL;
    c.settings = "{\"x\":1}";
    c.name = "b";
    ok(store_update_connection(fx.store, &c, 3, fx.mem, &fx.err));
    cr_assert_eq(c.revision, 4);
    cr_assert_null(c.streams);
    cr_assert_str_eq(c.name, "b");
    fails(store_update_connection(fx.store, &c, 3, fx.mem, &fx.err), ERR_CONFLICT,
          "revision_mismatch");
    fails(store_update_connection(fx.store, &c, REVISION_NONE, fx.mem, &fx.err), ERR_CONFLICT,
          "revision_mismatch");
    fails(store_delete_connection(fx.store, c.id, 3, &fx.err), ERR_CONFLICT, "revision_mismatch");
}

Test(store_connections, answer_not_found)
{
    struct connection c = {.id = "nope", .name = "a", .source_id = "a", .destination_id = "a"};

    fails(store_get_connection(fx.store, "nope", fx.mem, &c, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_update_connection(fx.store, &c, 1, fx.mem, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_delete_connection(fx.store, "nope", 1, &fx.err), ERR_NOT_FOUND, "not_found");
}

Test(store_connections, are_not_deleted_before_their_runs_have_ended)
{
    struct connection c = make_connection("a"), out;
    int64_t id = make_run(RUN_SYNC, c.id);
    struct run_row run;
    enum run_status status;

    fails(store_delete_connection(fx.store, "a", REVISION_ANY, &fx.err), ERR_CONFLICT,
          "run_active");
    ok(store_claim_run(fx.store, 1u << RUN_SYNC, fx.mem, &run, &fx.err));
    fails(store_delete_connection(fx.store, "a", REVISION_ANY, &fx.err), ERR_CONFLICT,
          "run_active");
    ok(store_cancel_run(fx.store, id, "user", &status, &fx.err));
    fails(store_delete_connection(fx.store, "a", REVISION_ANY, &fx.err), ERR_CONFLICT,
          "run_active");
    run.status = RUN_CANCELLED;
    ok(store_finish_run(fx.store, &run, &fx.err));
    ok(store_delete_connection(fx.store, "a", REVISION_ANY, &fx.err));
    fails(store_get_connection(fx.store, "a", fx.mem, &out, &fx.err), ERR_NOT_FOUND, "not_found");
    ok(store_get_run(fx.store, id, fx.mem, &run, &fx.err));
    cr_assert_str_eq(run.connection_id, c.id);
    cr_assert_str_eq(run.connection_name, "a", "runs outlive their connection");
}

/* --------------------------------------------------------------------- lists */

static const char *page(struct list_query q, const char **next)
{
    struct connection *rows;
    const char *names = "", *after;
    size_t n;

    q.limit = q.limit ? q.limit : 100;
    ok(store_list_connections(fx.store, &q, fx.mem, &rows, &n, &after, &fx.err));
    for (size_t i = 0; i < n; i++)
        names = arena_printf(fx.mem, "%s%s%s", names, i ? " " : "", rows[i].name);
    if (next)
        *next = after;
    return names;
}

static void run_to(const char *connection_id, enum run_kind kind, enum run_status status)
{
    struct run_row run = {.id = make_run(kind, connection_id), .status = status};

    ok(store_finish_run(fx.store, &run, &fx.err));
}

Test(store_connections, list_filters)
{
    struct connection a = make_connection("a"), b = make_connection("b"), c = make_connection("c");

    b.paused = true;
    b.labels = "{\"team\":\"bi\"}";
    b.display_name = "Zebra";
    b.destination_id = a.destination_id;
    ok(store_update_connection(fx.store, &b, REVISION_ANY, fx.mem, &fx.err));

    cr_assert_str_eq(page((struct list_query){.paused = -1}, NULL), "a b c");
    cr_assert_str_eq(page((struct list_query){.paused = 1}, NULL), "b");
    cr_assert_str_eq(page((struct list_query){.paused = 0}, NULL), "a c");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .source = "a"}, NULL), "a");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .source = b.source_id}, NULL), "b");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .source = "a,c"}, NULL), "a c");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .destination = "a"}, NULL), "a b");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .destination = "zzz"}, NULL), "");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .q = "zeb"}, NULL), "b");
    cr_assert_str_eq(
        page((struct list_query){.paused = -1, .label_key = "team", .label_value = "bi"}, NULL),
        "b");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .connector = "sample"}, NULL), "a b c");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .connector = "other"}, NULL), "");
    cr_assert_not_null(c.id);
}

Test(store_connections, list_by_the_status_of_the_last_sync_or_clear)
{
    struct connection a = make_connection("a"), b = make_connection("b");

    make_connection("never");
    run_to(a.id, RUN_SYNC, RUN_FAILED);
    run_to(a.id, RUN_SYNC, RUN_SUCCEEDED);
    run_to(a.id, RUN_CHECK, RUN_FAILED);
    run_to(b.id, RUN_SYNC, RUN_SUCCEEDED);
    run_to(b.id, RUN_CLEAR, RUN_FAILED);
    cr_assert_str_eq(page((struct list_query){.paused = -1, .status = "succeeded"}, NULL), "a");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .status = "failed"}, NULL), "b");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .status = "failed,succeeded"}, NULL),
                     "a b");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .status = "running"}, NULL), "");
    make_run(RUN_SYNC, a.id);
    cr_assert_str_eq(page((struct list_query){.paused = -1, .status = "queued"}, NULL), "a");
}

Test(store_connections, list_refuses_what_it_does_not_know)
{
    const char *bad[] = {"", "succeeded,", "fail", "failed, running", "Failed"};
    struct connection *rows;
    const char *next;
    size_t n;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct list_query q = {.paused = -1, .limit = 1, .status = bad[i]};

        fails(store_list_connections(fx.store, &q, fx.mem, &rows, &n, &next, &fx.err), ERR_INVALID,
              "invalid_query");
    }
    fails(store_list_connections(fx.store,
                                 &(struct list_query){.paused = -1, .limit = 1, .after = "s1"},
                                 fx.mem, &rows, &n, &next, &fx.err),
          ERR_INVALID, "invalid_cursor");
}

Test(store_connections, list_pages)
{
    const char *next;

    make_connection("a");
    make_connection("b");
    make_connection("c");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .limit = 2}, &next), "a b");
    cr_assert_str_eq(page((struct list_query){.paused = -1, .limit = 2, .after = next}, &next),
                     "c");
    cr_assert_null(next);
}

#include <criterion/criterion.h>

#include "tests/support/store_fixture.h"

static struct connection connection;

static void init(void)
{
    fixture_open();
    connection = make_connection("a");
}

TestSuite(store_state, .init = init, .fini = fixture_close);

/* "stream=position!" per row, ! for an edited one, and the revision. */
static const char *state(int64_t *revision)
{
    struct state_row *rows;
    const char *text = "";
    size_t n;

    ok(store_get_state(fx.store, connection.id, fx.mem, &rows, &n, revision, &fx.err));
    for (size_t i = 0; i < n; i++)
        text = arena_printf(fx.mem, "%s%s%s=%s%s", text, i ? " " : "", rows[i].stream,
                            rows[i].position ? rows[i].position : "-", rows[i].edited ? "!" : "");
    return text;
}

static void copy(const char *stream, const char *position)
{
    struct state_row row = {.stream = stream, .position = position, .counters = "{}"};

    ok(store_copy_state(fx.store, connection.id, &row, 1, &fx.err));
}

Test(store_state, is_empty_at_first)
{
    int64_t revision = -1;

    cr_assert_str_eq(state(&revision), "");
    cr_assert_eq(revision, 0);
}

Test(store_state, copies_are_upserted)
{
    struct state_row rows[] = {
        {.stream = "public.b",
         .position = "{\"x\":1}",
         .generation = 3,
         .seq = 9,
         .counters = "{\"read\":5}"},
        {.stream = "a", .position = NULL, .counters = NULL},
    };
    struct state_row *out;
    int64_t revision;
    size_t n;

    ok(store_copy_state(fx.store, connection.id, rows, 2, &fx.err));
    ok(store_get_state(fx.store, connection.id, fx.mem, &out, &n, &revision, &fx.err));
    cr_assert_eq(n, 2);
    cr_assert_eq(revision, 1);
    cr_assert_str_eq(out[0].stream, "a");
    cr_assert_null(out[0].position);
    cr_assert_str_eq(out[0].counters, "{}");
    cr_assert_str_eq(out[1].stream, "public.b");
    cr_assert_str_eq(out[1].position, "{\"x\":1}");
    cr_assert_eq(out[1].generation, 3);
    cr_assert_eq(out[1].seq, 9);
    cr_assert_str_eq(out[1].counters, "{\"read\":5}");
    cr_assert_gt(out[1].updated_us, 0);
    cr_assert_not(out[1].edited);
    rows[0].position = "{\"x\":2}";
    rows[0].counters = NULL;
    rows[0].seq = 10;
    ok(store_copy_state(fx.store, connection.id, rows, 1, &fx.err));
    ok(store_get_state(fx.store, connection.id, fx.mem, &out, &n, &revision, &fx.err));
    cr_assert_eq(n, 2);
    cr_assert_eq(revision, 2);
    cr_assert_str_eq(out[1].position, "{\"x\":2}");
    cr_assert_eq(out[1].seq, 10);
    cr_assert_str_eq(out[1].counters, "{\"read\":5}", "NULL keeps what is there");
    ok(store_copy_state(fx.store, connection.id, rows, 0, &fx.err));
    cr_assert_str_eq(state(&revision), "a=- public.b={\"x\":2}");
    cr_assert_eq(revision, 2, "nothing was copied");
}

Test(store_state, edits_are_marked_until_they_are_copied)
{
    struct state_row edit = {.stream = "a", .position = "{\"x\":7}"};
    int64_t revision;

    copy("a", "{\"x\":1}");
    copy("b", "{\"y\":1}");
    ok(store_edit_state(fx.store, connection.id, &edit, 1, false, 2, &revision, &fx.err));
    cr_assert_eq(revision, 3);
    cr_assert_str_eq(state(&revision), "a={\"x\":7}! b={\"y\":1}");
    cr_assert_eq(revision, 3);
    copy("a", "{\"x\":8}");
    cr_assert_str_eq(state(&revision), "a={\"x\":8} b={\"y\":1}");
}

Test(store_state, a_forgotten_stream_waits_for_the_run_that_carries_it)
{
    struct state_row edit[] = {{.stream = "a"}, {.stream = "unknown"}};
    int64_t revision;

    copy("a", "{\"x\":1}");
    ok(store_edit_state(fx.store, connection.id, edit, 2, false, REVISION_ANY, &revision, &fx.err));
    cr_assert_str_eq(state(&revision), "a=-! unknown=-!");
    copy("a", NULL);
    cr_assert_str_eq(state(&revision), "a=- unknown=-!");
}

Test(store_state, replacing_forgets_all_others)
{
    struct state_row edit = {.stream = "c", .position = "{\"z\":1}"};
    int64_t revision;

    copy("a", "{\"x\":1}");
    copy("b", NULL);
    ok(store_edit_state(fx.store, connection.id, &edit, 1, true, REVISION_ANY, &revision, &fx.err));
    cr_assert_str_eq(state(&revision), "a=-! b=- c={\"z\":1}!");
    ok(store_edit_state(fx.store, connection.id, &edit, 0, true, REVISION_ANY, &revision, &fx.err));
    cr_assert_str_eq(state(&revision), "a=-! b=- c=-!");
}

Test(store_state, edits_obey_revisions)
{
    struct state_row edit = {.stream = "a", .position = "{}"};
    int64_t revision;

    ok(store_edit_state(fx.store, connection.id, &edit, 1, false, 0, &revision, &fx.err));
    cr_assert_eq(revision, 1);
    fails(store_edit_state(fx.store, connection.id, &edit, 1, false, 0, &revision, &fx.err),
          ERR_CONFLICT, "revision_mismatch");
    fails(store_edit_state(fx.store, connection.id, &edit, 1, false, 2, &revision, &fx.err),
          ERR_CONFLICT, "revision_mismatch");
    fails(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_NONE, &revision,
                           &fx.err),
          ERR_CONFLICT, "revision_mismatch");
    ok(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_ANY, &revision,
                        &fx.err));
    cr_assert_eq(revision, 2);
}

Test(store_state, revision_none_is_fine_while_there_is_none)
{
    struct state_row edit = {.stream = "a", .position = "{}"};
    int64_t revision;

    ok(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_NONE, &revision,
                        &fx.err));
}

Test(store_state, is_not_edited_while_a_run_is_active)
{
    struct state_row edit = {.stream = "a", .position = "{}"};
    int64_t revision, id = make_run(RUN_SYNC, connection.id);
    enum run_status status;
    struct run_row run;

    ok(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_ANY, &revision,
                        &fx.err)); /* queued: it will read this state */
    ok(store_claim_run(fx.store, ~0u, fx.mem, &run, &fx.err));
    fails(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_ANY, &revision,
                           &fx.err),
          ERR_CONFLICT, "connection_busy");
    ok(store_cancel_run(fx.store, id, "user", &status, &fx.err));
    fails(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_ANY, &revision,
                           &fx.err),
          ERR_CONFLICT, "connection_busy");
    run.status = RUN_CANCELLED;
    ok(store_finish_run(fx.store, &run, &fx.err));
    ok(store_edit_state(fx.store, connection.id, &edit, 1, false, REVISION_ANY, &revision,
                        &fx.err));
}

Test(store_state, clearing_removes_rows)
{
    const char *streams[] = {"b", "none"};
    int64_t revision;

    copy("a", "{\"x\":1}");
    copy("b", "{\"x\":1}");
    copy("c", "{\"x\":1}");
    ok(store_forget_state(fx.store, connection.id, streams, 2, &fx.err));
    cr_assert_str_eq(state(&revision), "a={\"x\":1} c={\"x\":1}");
    cr_assert_eq(revision, 4);
    ok(store_forget_state(fx.store, connection.id, streams, 0, &fx.err));
    cr_assert_str_eq(state(&revision), "");
    cr_assert_eq(revision, 5, "a revision never comes twice");
}

Test(store_state, answers_not_found)
{
    struct state_row row = {.stream = "a"}, *rows;
    const char *streams[] = {"a"};
    int64_t revision;
    size_t n;

    fails(store_get_state(fx.store, "none", fx.mem, &rows, &n, &revision, &fx.err), ERR_NOT_FOUND,
          "not_found");
    fails(store_copy_state(fx.store, "none", &row, 1, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_forget_state(fx.store, "none", streams, 1, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_edit_state(fx.store, "none", &row, 1, false, REVISION_ANY, &revision, &fx.err),
          ERR_NOT_FOUND, "not_found");
}

Test(store_state, goes_with_its_connection_and_is_its_own)
{
    struct connection other = make_connection("b");
    struct state_row *rows;
    int64_t revision;
    size_t n;

    copy("a", "{\"x\":1}");
    ok(store_get_state(fx.store, other.id, fx.mem, &rows, &n, &revision, &fx.err));
    cr_assert_eq(n, 0);
    ok(store_delete_connection(fx.store, connection.id, REVISION_ANY, &fx.err));
    fails(store_get_state(fx.store, connection.id, fx.mem, &rows, &n, &revision, &fx.err),
          ERR_NOT_FOUND, "not_found");
}

Test(store_state, does_not_change_the_revision_of_the_connection)
{
    struct connection out;

    copy("a", "{\"x\":1}");
    ok(store_get_connection(fx.store, connection.id, fx.mem, &out, &fx.err));
    cr_assert_eq(out.revision, 1);
}

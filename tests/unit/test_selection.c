#include <criterion/criterion.h>

#include "connectors/catalog.h"

/* ns.orders: id (key), n, at, blob; cursors at, n. logs: line, no key, no cursor, full only. feed:
 * id (key), seen; the source keeps its own cursor. */
static const char catalog_text[] =
    "{\"streams\":["
    "{\"name\":\"orders\",\"namespace\":\"ns\",\"columns\":["
    "{\"name\":\"id\",\"type\":\"int\",\"nullable\":false},{\"name\":\"n\",\"type\":\"int\"},"
    "{\"name\":\"at\",\"type\":\"timestamptz\"},{\"name\":\"blob\",\"type\":\"bytes\"}],"
    "\"primary_key\":[\"id\"],\"cursor_fields\":[\"at\",\"n\"],"
    "\"sync_modes\":[\"full_refresh\",\"incremental\"]},"
    "{\"name\":\"logs\",\"columns\":[{\"name\":\"line\",\"type\":\"string\"}],"
    "\"sync_modes\":[\"full_refresh\"]},"
    "{\"name\":\"feed\",\"columns\":[{\"name\":\"id\",\"type\":\"int\"},"
    "{\"name\":\"seen\",\"type\":\"date\"}],\"primary_key\":[\"id\"],"
    "\"source_defined_cursor\":true,\"sync_modes\":[\"full_refresh\",\"incremental\"]},"
    "{\"name\":\"plain\",\"columns\":[{\"name\":\"v\",\"type\":\"int\"},"
    "{\"name\":\"flag\",\"type\":\"bool\"}],\"sync_modes\":[\"incremental\"]}]}";

static struct arena *mem;
static struct catalog catalog;
static struct problems problems;
static struct selection selection;
static struct doc *input;

static void setup(void)
{
    struct error err = ERROR_INIT;
    struct doc *d;

    mem = arena_new();
    catalog = CATALOG_INIT(mem);
    problems = PROBLEMS_INIT(mem);
    input = NULL;
    cr_assert_eq(doc_parse(catalog_text, strlen(catalog_text), &d, &err), 0, "%s", err.message);
    cr_assert_eq(catalog_from_doc(d, &catalog, &err), 0, "%s", err.message);
    doc_free(d);
}

static void teardown(void)
{
    doc_free(input);
    arena_free(mem);
}

TestSuite(selection, .init = setup, .fini = teardown);

static bool resolve(const char *json)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse(json, strlen(json), &input, &err), 0, "%s", err.message);
    return selection_resolve(input, &catalog, "/streams", mem, &selection, &problems);
}

static void assert_problem(size_t i, const char *pointer, const char *code)
{
    cr_assert_gt(problems.n, i, "only %zu problems", problems.n);
    cr_assert_str_eq(problems.items[i].pointer, pointer, "%s: %s", problems.items[i].pointer,
                     problems.items[i].message);
    cr_assert_str_eq(problems.items[i].code, code, "%s", problems.items[i].message);
}

static void assert_refused(const char *json, const char *pointer, const char *code)
{
    cr_assert_not(resolve(json), "%s was accepted", json);
    assert_problem(0, pointer, code);
    cr_assert_eq(problems.n, 1, "also %s", problems.items[1].message);
}

Test(selection, takes_everything_when_nothing_is_said)
{
    cr_assert(selection_resolve(NULL, &catalog, "/streams", mem, &selection, &problems));
    cr_assert_eq(selection.n, 4);
    cr_assert_eq(selection.streams[0].stream, &catalog.streams[0]);
    cr_assert_eq(selection.streams[0].schema, catalog.streams[0].schema);
    cr_assert_eq(selection.streams[0].sync_mode, SYNC_FULL_REFRESH);
    cr_assert_eq(selection.streams[0].write_mode, WRITE_OVERWRITE);
    cr_assert_eq(selection.streams[0].cursor, -1);
    cr_assert_str_eq(selection.streams[0].alias, "orders");
}

Test(selection, takes_everything_for_null)
{
    cr_assert(resolve("null"));
    cr_assert_eq(selection.n, 4);
}

Test(selection, takes_nothing_for_an_empty_list)
{
    cr_assert(resolve("[]"));
    cr_assert_eq(selection.n, 0);
}

Test(selection, resolves_a_full_entry)
{
    const struct selected_stream *s;

    cr_assert(resolve("[{\"name\":\"orders\",\"namespace\":\"ns\",\"selected\":true,"
                      "\"sync_mode\":\"incremental\",\"destination_sync_mode\":\"append_dedup\","
                      "\"cursor_field\":[\"at\"],\"primary_key\":[[\"n\"],[\"id\"]],"
                      "\"fields\":{\"include\":null,\"exclude\":[[\"blob\"]]},\"alias\":\"o\","
                      "\"new_columns\":\"freeze\",\"allow_empty\":true,\"allow_shrink\":true,"
                      "\"run_in_parallel\":false}]"));
    cr_assert_eq(selection.n, 1);
    s = &selection.streams[0];
    cr_assert_eq(s->sync_mode, SYNC_INCREMENTAL);
    cr_assert_eq(s->write_mode, WRITE_APPEND_DEDUP);
    cr_assert_eq(s->schema->n_columns, 3);
    cr_assert_str_eq(s->schema->columns[s->cursor].name, "at");
    cr_assert_eq(s->schema->n_key, 2);
    cr_assert_str_eq(s->schema->columns[s->schema->key[0]].name, "n");
    cr_assert_str_eq(s->schema->columns[s->schema->key[1]].name, "id");
    cr_assert_str_eq(s->alias, "o");
    cr_assert_str_eq(s->destination_namespace, "");
    cr_assert_eq(s->drift, DRIFT_FREEZE);
    cr_assert(s->allow_empty && s->allow_shrink && s->one_lane);
}

Test(selection, keeps_the_order_of_the_source_and_renumbers)
{
    const struct selected_stream *s;

    cr_assert(resolve("[{\"name\":\"orders\",\"sync_mode\":\"incremental\",\"cursor_field\":\"at\","
                      "\"fields\":{\"include\":[\"at\",\"id\"]}}]"));
    s = &selection.streams[0];
    cr_assert_eq(s->schema->n_columns, 2);
    cr_assert_str_eq(s->schema->columns[0].name, "id");
    cr_assert_eq(s->cursor, 1);
    cr_assert_eq(s->schema->key[0], 0);
}

Test(selection, leaves_out_what_is_not_selected)
{
    cr_assert(resolve("[{\"name\":\"gone\",\"selected\":false},{\"name\":\"logs\"}]"));
    cr_assert_eq(selection.n, 1);
    cr_assert_str_eq(selection.streams[0].alias, "logs");
}

Test(selection, chooses_how_to_write_by_how_it_reads)
{
    cr_assert(resolve("[{\"name\":\"orders\",\"sync_mode\":\"incremental\"},"
                      "{\"name\":\"plain\",\"sync_mode\":\"incremental\",\"cursor_field\":\"v\"},"
                      "{\"name\":\"logs\"}]"));
    cr_assert_eq(selection.streams[0].write_mode, WRITE_APPEND_DEDUP);
    cr_assert_eq(selection.streams[1].write_mode, WRITE_APPEND);
    cr_assert_eq(selection.streams[2].write_mode, WRITE_OVERWRITE);
}

Test(selection, takes_the_first_candidate_for_cursor)
{
    cr_assert(resolve("[{\"name\":\"orders\",\"sync_mode\":\"incremental\"}]"));
    cr_assert_eq(selection.streams[0].cursor, 2);
}

Test(selection, needs_no_cursor_where_the_source_keeps_its_own)
{
    cr_assert(resolve("[{\"name\":\"feed\",\"sync_mode\":\"incremental\"}]"));
    cr_assert_eq(selection.streams[0].cursor, -1);
}

Test(selection, allows_merging_a_full_refresh)
{
    cr_assert(resolve("[{\"name\":\"orders\",\"destination_sync_mode\":\"append_dedup\"},"
                      "{\"name\":\"feed\",\"destination_sync_mode\":\"insert_only\"}]"));
    cr_assert_eq(selection.streams[0].write_mode, WRITE_APPEND_DEDUP);
    cr_assert_eq(selection.streams[1].write_mode, WRITE_INSERT_ONLY);
}

Test(selection, finds_by_full_name)
{
    cr_assert(resolve("[{\"name\":\"ns.orders\"}]"));
    cr_assert_str_eq(selection.streams[0].stream->name, "orders");
}

Test(selection, refuses_what_is_not_a_list)
{
    assert_refused("{}", "/streams", "wrong_type");
}

Test(selection, refuses_an_entry_that_is_no_object)
{
    assert_refused("[\"orders\"]", "/streams/0", "wrong_type");
}

Test(selection, refuses_an_entry_without_name)
{
    assert_refused("[{}]", "/streams/0/name", "required");
}

Test(selection, refuses_unknown_members)
{
    assert_refused("[{\"name\":\"orders\",\"colour\":1}]", "/streams/0/colour", "unknown_field");
}

Test(selection, refuses_unknown_members_of_fields)
{
    assert_refused("[{\"name\":\"orders\",\"fields\":{\"only\":[]}}]", "/streams/0/fields/only",
                   "unknown_field");
}

Test(selection, refuses_unknown_streams)
{
    assert_refused("[{\"name\":\"logs\"},{\"name\":\"ordres\"}]", "/streams/1/name",
                   "unknown_stream");
}

Test(selection, refuses_a_stream_of_another_namespace)
{
    assert_refused("[{\"name\":\"orders\",\"namespace\":\"other\"}]", "/streams/0/name",
                   "unknown_stream");
}

Test(selection, refuses_the_same_stream_twice)
{
    assert_refused("[{\"name\":\"orders\"},{\"name\":\"ns.orders\",\"alias\":\"b\"}]", "/streams/1",
                   "duplicate_stream");
}

Test(selection, refuses_two_streams_in_one_table)
{
    assert_refused("[{\"name\":\"logs\"},{\"name\":\"feed\",\"alias\":\"logs\"}]",
                   "/streams/1/alias", "duplicate_alias");
}

Test(selection, refuses_unknown_modes)
{
    assert_refused("[{\"name\":\"orders\",\"sync_mode\":\"cdc\"}]", "/streams/0/sync_mode",
                   "not_a_choice");
}

Test(selection, refuses_incremental_where_it_is_not_supported)
{
    assert_refused("[{\"name\":\"logs\",\"sync_mode\":\"incremental\"}]", "/streams/0/sync_mode",
                   "mode_not_supported");
}

Test(selection, refuses_to_overwrite_with_what_is_new)
{
    assert_refused("[{\"name\":\"orders\",\"sync_mode\":\"incremental\","
                   "\"destination_sync_mode\":\"overwrite\"}]",
                   "/streams/0/destination_sync_mode", "mode_not_supported");
}

Test(selection, requires_a_key_to_merge)
{
    assert_refused("[{\"name\":\"logs\",\"destination_sync_mode\":\"append_dedup\"}]",
                   "/streams/0/primary_key", "key_required");
}

Test(selection, requires_a_key_to_insert_only)
{
    assert_refused("[{\"name\":\"logs\",\"destination_sync_mode\":\"insert_only\"}]",
                   "/streams/0/primary_key", "key_required");
}

Test(selection, takes_the_users_key)
{
    cr_assert(resolve("[{\"name\":\"logs\",\"destination_sync_mode\":\"insert_only\","
                      "\"primary_key\":[\"line\"]}]"));
    cr_assert_eq(selection.streams[0].schema->n_key, 1);
}

Test(selection, refuses_a_column_twice_in_the_key)
{
    assert_refused("[{\"name\":\"orders\",\"primary_key\":[[\"id\"],\"id\"]}]",
                   "/streams/0/primary_key/1", "duplicate_field");
}

Test(selection, refuses_unknown_key_columns)
{
    assert_refused("[{\"name\":\"orders\",\"primary_key\":[\"id\",\"x\"]}]",
                   "/streams/0/primary_key/1", "unknown_field");
}

Test(selection, refuses_a_nested_key)
{
    assert_refused("[{\"name\":\"orders\",\"primary_key\":[[\"id\",\"n\"]]}]",
                   "/streams/0/primary_key/0", "wrong_type");
}

Test(selection, requires_a_cursor)
{
    assert_refused("[{\"name\":\"plain\",\"sync_mode\":\"incremental\"}]",
                   "/streams/0/cursor_field", "cursor_required");
}

Test(selection, refuses_unknown_cursors)
{
    assert_refused("[{\"name\":\"plain\",\"sync_mode\":\"incremental\",\"cursor_field\":\"w\"}]",
                   "/streams/0/cursor_field", "unknown_field");
}

Test(selection, refuses_cursors_without_order)
{
    assert_refused("[{\"name\":\"plain\",\"sync_mode\":\"incremental\",\"cursor_field\":\"flag\"}]",
                   "/streams/0/cursor_field", "not_a_choice");
}

Test(selection, refuses_to_replace_the_cursor_of_the_source)
{
    assert_refused("[{\"name\":\"feed\",\"sync_mode\":\"incremental\",\"cursor_field\":\"seen\"}]",
                   "/streams/0/cursor_field", "not_a_choice");
}

Test(selection, refuses_a_cursor_of_the_wrong_type)
{
    assert_refused("[{\"name\":\"plain\",\"cursor_field\":7}]", "/streams/0/cursor_field",
                   "wrong_type");
}

Test(selection, refuses_unknown_fields_in_both_lists)
{
    cr_assert_not(resolve("[{\"name\":\"orders\",\"fields\":{\"include\":[\"id\",\"x\"],"
                          "\"exclude\":[\"y\"]}}]"));
    assert_problem(0, "/streams/0/fields/include/1", "unknown_field");
    assert_problem(1, "/streams/0/fields/exclude/0", "unknown_field");
}

Test(selection, refuses_to_leave_out_the_key)
{
    assert_refused("[{\"name\":\"orders\",\"fields\":{\"exclude\":[\"n\",\"id\"]}}]",
                   "/streams/0/fields/exclude/1", "key_deselected");
}

Test(selection, refuses_not_to_include_the_key)
{
    assert_refused("[{\"name\":\"orders\",\"fields\":{\"include\":[\"n\"]}}]",
                   "/streams/0/fields/include", "key_deselected");
}

Test(selection, refuses_to_leave_out_the_cursor)
{
    assert_refused("[{\"name\":\"orders\",\"sync_mode\":\"incremental\",\"cursor_field\":\"n\","
                   "\"fields\":{\"exclude\":[\"n\"]}}]",
                   "/streams/0/fields/exclude/0", "cursor_deselected");
}

Test(selection, refuses_to_leave_out_everything)
{
    assert_refused("[{\"name\":\"logs\",\"fields\":{\"include\":[]}}]", "/streams/0/fields",
                   "no_fields");
}

Test(selection, reports_all_mistakes_at_once)
{
    cr_assert_not(resolve("[{\"name\":\"logs\",\"sync_mode\":\"incremental\","
                          "\"destination_sync_mode\":\"insert_only\",\"cursor_field\":\"z\"},"
                          "{\"name\":\"nowhere\"},{\"nmae\":\"orders\"}]"));
    assert_problem(0, "/streams/0/sync_mode", "mode_not_supported");
    assert_problem(1, "/streams/0/primary_key", "key_required");
    assert_problem(2, "/streams/0/cursor_field", "unknown_field");
    assert_problem(3, "/streams/1/name", "unknown_stream");
    assert_problem(4, "/streams/2/nmae", "unknown_field");
    assert_problem(5, "/streams/2/name", "required");
    cr_assert_eq(problems.n, 6);
}

Test(selection, checks_the_shape_without_a_catalog)
{
    struct error err = ERROR_INIT;
    const char *good = "[{\"name\":\"any\",\"cursor_field\":[\"c\"],\"fields\":{\"exclude\":[]}}]";
    const char *bad = "[{\"name\":\"any\"},{\"sync_mode\":\"cdc\",\"fields\":{\"only\":1}}]";

    cr_assert_eq(doc_parse(good, strlen(good), &input, &err), 0);
    cr_assert(selection_check(input, "/streams", &problems));
    doc_free(input);
    cr_assert_eq(doc_parse(bad, strlen(bad), &input, &err), 0);
    cr_assert_not(selection_check(input, "/streams", &problems));
    assert_problem(0, "/streams/1/name", "required");
    assert_problem(1, "/streams/1/sync_mode", "not_a_choice");
    assert_problem(2, "/streams/1/fields/only", "unknown_field");
    cr_assert_eq(problems.n, 3);
}

Test(selection, refuses_a_shape_that_is_no_list)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(doc_parse("7", 1, &input, &err), 0);
    cr_assert_not(selection_check(input, "/streams", &problems));
    assert_problem(0, "/streams", "wrong_type");
}

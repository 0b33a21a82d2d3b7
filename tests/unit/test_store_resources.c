#include <criterion/criterion.h>

#include "connectors/base/text.h"
#include "tests/support/store_fixture.h"

TestSuite(store_resources, .init = fixture_open, .fini = fixture_close);

Test(store_resources, writes_back_what_it_has_stored)
{
    struct resource in = {.name = "shop",
                          .connector = "postgres",
                          .config = "{\"host\":\"h\"}",
                          .display_name = "Shop",
                          .labels = "{\"team\":\"bi\"}"};
    struct resource by_id, by_name;

    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &in, fx.mem, &fx.err));
    cr_assert(text_is_uuid(in.id, strlen(in.id)));
    cr_assert_eq(in.id[14], '7', "version 7: %s", in.id);
    cr_assert_eq(in.revision, 1);
    cr_assert_gt(in.created_us, 0);
    cr_assert_eq(in.updated_us, in.created_us);
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, in.id, fx.mem, &by_id, &fx.err));
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "shop", fx.mem, &by_name, &fx.err));
    cr_assert_str_eq(by_id.id, by_name.id);
    cr_assert_str_eq(by_id.name, "shop");
    cr_assert_str_eq(by_id.display_name, "Shop");
    cr_assert_str_eq(by_id.connector, "postgres");
    cr_assert_str_eq(by_id.config, "{\"host\":\"h\"}");
    cr_assert_str_eq(by_id.labels, "{\"team\":\"bi\"}");
}

Test(store_resources, keeps_sources_and_destinations_apart)
{
    struct resource out;

    make_resource(RESOURCE_SOURCE, "a");
    fails(store_get_resource(fx.store, RESOURCE_DESTINATION, "a", fx.mem, &out, &fx.err),
          ERR_NOT_FOUND, "not_found");
    make_resource(RESOURCE_DESTINATION, "a");
    ok(store_get_resource(fx.store, RESOURCE_DESTINATION, "a", fx.mem, &out, &fx.err));
}

Test(store_resources, fills_what_was_left_out)
{
    struct resource r = make_resource(RESOURCE_SOURCE, "a");

    cr_assert_null(r.display_name);
    cr_assert_str_eq(r.labels, "{}");
}

Test(store_resources, refuses_a_name_twice)
{
    struct resource again = {.name = "a", .connector = "sample", .config = "{}"};
    struct resource other = make_resource(RESOURCE_SOURCE, "b");

    make_resource(RESOURCE_SOURCE, "a");
    fails(store_create_resource(fx.store, RESOURCE_SOURCE, &again, fx.mem, &fx.err), ERR_CONFLICT,
          "name_taken");
    other.name = "a";
    fails(store_update_resource(fx.store, RESOURCE_SOURCE, &other, REVISION_ANY, fx.mem, &fx.err),
          ERR_CONFLICT, "name_taken");
}

Test(store_resources, finds_an_id_in_any_case)
{
    struct resource r = make_resource(RESOURCE_SOURCE, "a"), out;
    char *upper = arena_strdup(fx.mem, r.id);

    for (char *p = upper; *p; p++)
        *p = (char)(*p >= 'a' && *p <= 'f' ? *p - 32 : *p);
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, upper, fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.id, r.id);
}

Test(store_resources, survive_a_restart)
{
    struct resource r = make_resource(RESOURCE_SOURCE, "a"), out;

    fixture_reopen();
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, r.id, fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.config, "{\"rows\":1}");
}

Test(store_resources, count_revisions_by_changes_of_content)
{
    struct resource r = make_resource(RESOURCE_SOURCE, "a");
    int64_t created = r.created_us;

    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &r, REVISION_ANY, fx.mem, &fx.err));
    cr_assert_eq(r.revision, 1, "nothing has changed");
    cr_assert_eq(r.updated_us, created);
    r.config = "{\"rows\":2}";
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &r, 1, fx.mem, &fx.err));
    cr_assert_eq(r.revision, 2);
    cr_assert_str_eq(r.config, "{\"rows\":2}");
    cr_assert_eq(r.created_us, created);
    cr_assert_geq(r.updated_us, created);
    r.name = "b";
    r.display_name = "B";
    r.labels = "{\"x\":\"y\"}";
    r.connector = "other";
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &r, 2, fx.mem, &fx.err));
    cr_assert_eq(r.revision, 3);
    cr_assert_str_eq(r.name, "b");
    cr_assert_str_eq(r.display_name, "B");
    cr_assert_str_eq(r.labels, "{\"x\":\"y\"}");
    cr_assert_str_eq(r.connector, "other");
    r.display_name = NULL;
    ok(store_update_resource(fx.store, RESOURCE_SOURCE, &r, 3, fx.mem, &fx.err));
    cr_assert_null(r.display_name);
    cr_assert_eq(r.revision, 4);
}

Test(store_resources, refuse_another_revision)
{
    struct resource r = make_resource(RESOURCE_SOURCE, "a"), out;
    const char *users = NULL;

    r.config = "{}";
    fails(store_update_resource(fx.store, RESOURCE_SOURCE, &r, 2, fx.mem, &fx.err), ERR_CONFLICT,
          "revision_mismatch");
    fails(store_update_resource(fx.store, RESOURCE_SOURCE, &r, REVISION_NONE, fx.mem, &fx.err),
          ERR_CONFLICT, "revision_mismatch");
    fails(store_delete_resource(fx.store, RESOURCE_SOURCE, "a", 7, fx.mem, &users, &fx.err),
          ERR_CONFLICT, "revision_mismatch");
    ok(store_get_resource(fx.store, RESOURCE_SOURCE, "a", fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.config, "{\"rows\":1}");
}

Test(store_resources, answer_not_found)
{
    struct resource r = {.id = "0190a000-0000-7000-8000-000000000000",
                         .name = "a",
                         .connector = "c",
                         .config = "{}"};
    const char *users = NULL;

    fails(store_get_resource(fx.store, RESOURCE_SOURCE, r.id, fx.mem, &r, &fx.err), ERR_NOT_FOUND,
          "not_found");
    fails(store_update_resource(fx.store, RESOURCE_SOURCE, &r, REVISION_ANY, fx.mem, &fx.err),
          ERR_NOT_FOUND, "not_found");
    fails(store_delete_resource(fx.store, RESOURCE_SOURCE, "a", REVISION_ANY, fx.mem, &users,
                                &fx.err),
          ERR_NOT_FOUND, "not_found");
}

Test(store_resources, are_deleted_unless_used)
{
    struct connection c = make_connection("a"),
                      d = {.name = "b", .source_id = "a", .destination_id = "a"};
    const char *users = NULL;
    struct resource out;

    ok(store_create_connection(fx.store, &d, fx.mem, &fx.err));
    fails(store_delete_resource(fx.store, RESOURCE_SOURCE, "a", 1, fx.mem, &users, &fx.err),
          ERR_CONFLICT, "in_use");
    cr_assert_str_eq(users, "a, b");
    ok(store_delete_connection(fx.store, c.id, REVISION_ANY, &fx.err));
    users = NULL;
    fails(store_delete_resource(fx.store, RESOURCE_DESTINATION, "a", 1, fx.mem, &users, &fx.err),
          ERR_CONFLICT, "in_use");
    cr_assert_str_eq(users, "b");
    ok(store_delete_connection(fx.store, d.id, REVISION_ANY, &fx.err));
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "a", 1, fx.mem, &users, &fx.err));
    fails(store_get_resource(fx.store, RESOURCE_SOURCE, "a", fx.mem, &out, &fx.err), ERR_NOT_FOUND,
          "not_found");
    ok(store_get_resource(fx.store, RESOURCE_DESTINATION, "a", fx.mem, &out, &fx.err));
    make_resource(RESOURCE_SOURCE, "a"); /* the name is free again */
}

/* --------------------------------------------------------------------- lists */

/* The names of one page, "a b c", and what follows. */
static const char *page(struct list_query q, const char **next)
{
    struct resource *rows;
    const char *names = "", *after;
    size_t n;

    q.paused = -1;
    q.limit = q.limit ? q.limit : 100;
    ok(store_list_resources(fx.store, RESOURCE_SOURCE, &q, fx.mem, &rows, &n, &after, &fx.err));
    for (size_t i = 0; i < n; i++)
        names = arena_printf(fx.mem, "%s%s%s", names, i ? " " : "", rows[i].name);
    if (next)
        *next = after;
    return names;
}

static void add(const char *name, const char *display, const char *connector, const char *labels)
{
    struct resource r = {.name = name,
                         .display_name = display,
                         .connector = connector,
                         .config = "{}",
                         .labels = labels};

    ok(store_create_resource(fx.store, RESOURCE_SOURCE, &r, fx.mem, &fx.err));
}

Test(store_resources, list_filters)
{
    add("shop-pg", "Der Laden 100%", "postgres", "{\"team\":\"bi\",\"env\":\"prod\"}");
    add("crm", NULL, "mysql", "{\"team\":\"sales\"}");
    add("under_score", NULL, "csv", NULL);
    add("odd", NULL, "csv", "{\"a.b\\\"c\":\"x:y\"}");
    make_resource(RESOURCE_DESTINATION, "dwh");

    cr_assert_str_eq(page((struct list_query){0}, NULL), "shop-pg crm under_score odd");
    cr_assert_str_eq(page((struct list_query){.connector = "mysql"}, NULL), "crm");
    cr_assert_str_eq(page((struct list_query){.connector = "csv,mysql"}, NULL),
                     "crm under_score odd");
    cr_assert_str_eq(page((struct list_query){.connector = "my"}, NULL), "");
    cr_assert_str_eq(page((struct list_query){.q = "SHOP"}, NULL), "shop-pg");
    cr_assert_str_eq(page((struct list_query){.q = "laden"}, NULL), "shop-pg");
    cr_assert_str_eq(page((struct list_query){.q = "0%"}, NULL), "shop-pg");
    cr_assert_str_eq(page((struct list_query){.q = "%"}, NULL), "shop-pg", "no wildcard");
    cr_assert_str_eq(page((struct list_query){.q = "r_s"}, NULL), "under_score", "no wildcard");
    cr_assert_str_eq(page((struct list_query){.q = "' OR 1=1 --"}, NULL), "");
    cr_assert_str_eq(page((struct list_query){.label_key = "team"}, NULL), "shop-pg crm");
    cr_assert_str_eq(page((struct list_query){.label_key = "team", .label_value = "bi"}, NULL),
                     "shop-pg");
    cr_assert_str_eq(page((struct list_query){.label_key = "team", .label_value = "b"}, NULL), "");
    cr_assert_str_eq(page((struct list_query){.label_key = "a.b\"c", .label_value = "x:y"}, NULL),
                     "odd");
    cr_assert_str_eq(page((struct list_query){.connector = "csv", .q = "odd"}, NULL), "odd");
}

Test(store_resources, list_ends_at_the_limit)
{
    const char *next;

    add("a", NULL, "c", NULL);
    add("b", NULL, "c", NULL);
    cr_assert_str_eq(page((struct list_query){.limit = 3}, &next), "a b");
    cr_assert_null(next);
    cr_assert_str_eq(page((struct list_query){.limit = 2}, &next), "a b");
    cr_assert_null(next);
    cr_assert_str_eq(page((struct list_query){.limit = 1}, &next), "a");
    cr_assert_not_null(next);
    cr_assert_str_eq(page((struct list_query){.limit = 1, .after = next}, &next), "b");
    cr_assert_null(next);
}

Test(store_resources, list_refuses_what_is_no_cursor_of_its_own)
{
    const char *bad[] = {"",   "s",   "x1",  "d1", "s1x",
                         "s0", "s-1", "s 1", "1",  "s99999999999999999999"};
    struct resource *rows;
    const char *next;
    size_t n;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct list_query q = {.after = bad[i], .limit = 1, .paused = -1};

        fails(
            store_list_resources(fx.store, RESOURCE_SOURCE, &q, fx.mem, &rows, &n, &next, &fx.err),
            ERR_INVALID, "invalid_cursor");
    }
}

Test(store_resources, pages_have_neither_gaps_nor_doubles_while_rows_come_and_go)
{
    enum { ROWS = 1000, ADDED = 30 };
    bool seen[ROWS] = {false};
    const char *next = NULL, *users;
    size_t total = 0, later = 0, pages = 0;
    char name[32];

    for (int i = 0; i < ROWS; i++) {
        snprintf(name, sizeof name, "r%d", i);
        make_resource(RESOURCE_SOURCE, name);
    }
    do {
        struct list_query q = {.after = next, .limit = 37, .paused = -1};
        struct resource *rows;
        size_t n;

        ok(store_list_resources(fx.store, RESOURCE_SOURCE, &q, fx.mem, &rows, &n, &next, &fx.err));
        for (size_t i = 0; i < n; i++, total++) {
            int64_t number;

            if (rows[i].name[0] == 'x') {
                later++;
                continue;
            }
            cr_assert(text_to_int64(rows[i].name + 1, strlen(rows[i].name + 1), &number));
            cr_assert_not(seen[number], "%s came twice", rows[i].name);
            seen[number] = true;
        }
        if (pages < ADDED) {
            snprintf(name, sizeof name, "x%zu", pages);
            make_resource(RESOURCE_SOURCE, name);
        }
        /* The row that the cursor names goes away. */
        ok(store_delete_resource(fx.store, RESOURCE_SOURCE, rows[n - 1].id, REVISION_ANY, fx.mem,
                                 &users, &fx.err));
        pages++;
    } while (next);
    for (int i = 0; i < ROWS; i++)
        cr_assert(seen[i], "r%d was left out", i);
    cr_assert_eq(later, pages - 1 < ADDED ? pages - 1 : ADDED, "%zu of %zu", later, pages);
    cr_assert_eq(total, ROWS + later);
}

/* ------------------------------------------------------------------- catalogs */

Test(store_resources, catalogs_are_kept_by_their_hash)
{
    struct resource s = make_resource(RESOURCE_SOURCE, "a");
    struct stored_catalog c = {.source_id = "a", .hash = "h1", .text = "{\"streams\":[]}"}, out;
    int64_t first;

    ok(store_put_catalog(fx.store, &c, fx.mem, &fx.err));
    cr_assert_str_eq(c.source_id, s.id);
    first = c.id;
    cr_assert_gt(first, 0);
    cr_assert_gt(c.discovered_us, 0);
    ok(store_put_catalog(fx.store, &c, fx.mem, &fx.err));
    cr_assert_eq(c.id, first, "the same again only moves its time");
    c.hash = "h2";
    c.text = "{\"streams\":[1]}";
    ok(store_put_catalog(fx.store, &c, fx.mem, &fx.err));
    cr_assert_neq(c.id, first);
    ok(store_get_catalog(fx.store, s.id, 0, fx.mem, &out, &fx.err));
    cr_assert_eq(out.id, c.id);
    cr_assert_str_eq(out.text, "{\"streams\":[1]}");
    cr_assert_str_eq(out.hash, "h2");
    ok(store_get_catalog(fx.store, "a", first, fx.mem, &out, &fx.err));
    cr_assert_str_eq(out.text, "{\"streams\":[]}");
    /* Back to what it was before: that is a change too. */
    c.hash = "h1";
    ok(store_put_catalog(fx.store, &c, fx.mem, &fx.err));
    cr_assert_neq(c.id, first);
}

Test(store_resources, catalogs_answer_what_is_missing)
{
    struct stored_catalog c = {.source_id = "b", .hash = "h", .text = "{}"}, *list;
    struct resource s = make_resource(RESOURCE_SOURCE, "a");
    size_t n;

    fails(store_get_catalog(fx.store, s.id, 0, fx.mem, &c, &fx.err), ERR_NOT_FOUND,
          "not_discovered");
    fails(store_get_catalog(fx.store, s.id, 5, fx.mem, &c, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_get_catalog(fx.store, "b", 0, fx.mem, &c, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_put_catalog(fx.store, &c, fx.mem, &fx.err), ERR_NOT_FOUND, "not_found");
    fails(store_list_catalogs(fx.store, "b", fx.mem, &list, &n, &fx.err), ERR_NOT_FOUND,
          "not_found");
    ok(store_list_catalogs(fx.store, "a", fx.mem, &list, &n, &fx.err));
    cr_assert_eq(n, 0);
}

Test(store_resources, catalogs_do_not_mix_sources_and_go_with_them)
{
    struct stored_catalog a = {.source_id = "a", .hash = "h", .text = "{}"}, b = a, out;
    const char *users;

    make_resource(RESOURCE_SOURCE, "a");
    make_resource(RESOURCE_SOURCE, "b");
    b.source_id = "b";
    ok(store_put_catalog(fx.store, &a, fx.mem, &fx.err));
    ok(store_put_catalog(fx.store, &b, fx.mem, &fx.err));
    fails(store_get_catalog(fx.store, "b", a.id, fx.mem, &out, &fx.err), ERR_NOT_FOUND,
          "not_found");
    ok(store_delete_resource(fx.store, RESOURCE_SOURCE, "a", REVISION_ANY, fx.mem, &users,
                             &fx.err));
    make_resource(RESOURCE_SOURCE, "a");
    fails(store_get_catalog(fx.store, "a", 0, fx.mem, &out, &fx.err), ERR_NOT_FOUND,
          "not_discovered");
}

Test(store_resources, the_newest_hundred_catalogs_are_kept)
{
    struct stored_catalog c = {.source_id = "a", .text = "{}"}, *list;
    char hash[16];
    size_t n;

    make_resource(RESOURCE_SOURCE, "a");
    for (int i = 0; i < 102; i++) {
        snprintf(hash, sizeof hash, "h%d", i);
        c.source_id = "a";
        c.hash = hash;
        ok(store_put_catalog(fx.store, &c, fx.mem, &fx.err));
        if (i == 99) {
            ok(store_list_catalogs(fx.store, "a", fx.mem, &list, &n, &fx.err));
            cr_assert_eq(n, 100);
            cr_assert_str_eq(list[99].hash, "h0");
        }
    }
    ok(store_list_catalogs(fx.store, "a", fx.mem, &list, &n, &fx.err));
    cr_assert_eq(n, 100);
    cr_assert_str_eq(list[0].hash, "h101", "newest first");
    cr_assert_str_eq(list[99].hash, "h2");
    cr_assert_null(list[0].text);
    fails(store_get_catalog(fx.store, "a", list[99].id - 1, fx.mem, &c, &fx.err), ERR_NOT_FOUND,
          "not_found");
}

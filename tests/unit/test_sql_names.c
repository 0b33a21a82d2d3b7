#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "connectors/sql/names.h"

static struct arena *mem;

static void setup(void)
{
    mem = arena_new();
}

static void teardown(void)
{
    arena_free(mem);
}

TestSuite(names, .init = setup, .fini = teardown);

static const struct names_rule any = {0}, postgres = {.limit = 63},
                               mysql = {.limit = 64,
                                        .counts_characters = true,
                                        .refuses_supplementary = true,
                                        .refuses_blank_end = true};

static const char *suffixed(const char *base, const char *full)
{
    char hex[HASH_HEX_BYTES];

    hash_bytes_hex(full, strlen(full), hex);
    return arena_printf(mem, "%s_%.8s", base, hex);
}

Test(names, keeps_every_name_that_is_legal)
{
    static const char *const kept[] = {
        "userId",           "user_id",   "user id", "select", "\xf0\x9f\x9a\x80",
        "\xd7\x90\xd7\x91", "trailing ", "a\"b",    "1st",    "x"};
    struct name_pair pairs[10] = {0};

    for (size_t i = 0; i < 10; i++)
        pairs[i].source = kept[i];
    names_assign(mem, NAMES_COLUMN, &any, pairs, 10);
    for (size_t i = 0; i < 10; i++)
        cr_assert_str_eq(pairs[i].name, kept[i]);
}

Test(names, tells_apart_what_differs_only_by_case)
{
    struct name_pair pairs[] = {
        {"userId", NULL, NULL}, {"other", NULL, NULL}, {"UserID", NULL, NULL}};

    names_assign(mem, NAMES_COLUMN, &any, pairs, 3);
    cr_assert_str_eq(pairs[0].name, suffixed("userId", "userId"));
    cr_assert_str_eq(pairs[1].name, "other");
    cr_assert_str_eq(pairs[2].name, suffixed("UserID", "UserID"));
}

Test(names, never_renames_a_column_that_has_its_name)
{
    struct name_pair pairs[] = {{"userId", "userId", NULL}, {"UserID", NULL, NULL}};

    names_assign(mem, NAMES_COLUMN, &any, pairs, 2);
    cr_assert_str_eq(pairs[0].name, "userId");
    cr_assert_str_eq(pairs[1].name, suffixed("UserID", "UserID"));
}

Test(names, keeps_the_one_that_needed_no_change)
{
    char full[101];
    struct name_pair pairs[] = {{full, NULL, NULL}, {NULL, NULL, NULL}};

    memset(full, 'a', 100);
    full[100] = '\0';
    /* What the long one becomes is already the name of another. */
    pairs[1].source = suffixed(arena_printf(mem, "%.54s", full), full);
    names_assign(mem, NAMES_COLUMN, &postgres, pairs, 2);
    cr_assert_str_eq(pairs[1].name, pairs[1].source);
    cr_assert_str_neq(pairs[0].name, pairs[1].name);
    cr_assert_leq(strlen(pairs[0].name), 63);
}

Test(names, shortens_at_the_limit_and_not_before)
{
    for (size_t n = 62; n <= 64; n++) {
        char *full = arena_alloc(mem, n + 1);
        struct name_pair pair = {full, NULL, NULL};

        memset(full, 'x', n);
        names_assign(mem, NAMES_COLUMN, &postgres, &pair, 1);
        if (n <= 63)
            cr_assert_str_eq(pair.name, full);
        else
            cr_assert_str_eq(pair.name, suffixed(arena_printf(mem, "%.54s", full), full));
    }
}

Test(names, tells_long_names_with_a_common_beginning_apart)
{
    struct name_pair pairs[3] = {0};

    for (size_t i = 0; i < 3; i++) {
        char *full = arena_alloc(mem, 201);

        memset(full, 'p', 200);
        full[150] = (char)('0' + i);
        pairs[i].source = full;
    }
    names_assign(mem, NAMES_COLUMN, &postgres, pairs, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(strlen(pairs[i].name), 63);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(pairs[i].name, pairs[j].name);
    }
}

Test(names, cuts_between_characters)
{
    struct name_pair pair = {.source = arena_alloc(mem, 200)};
    char *full = arena_alloc(mem, 200);

    for (size_t i = 0; i < 30; i++)
        memcpy(full + i * 3, "\xe2\x82\xac", 3);
    pair.source = full;
    names_assign(mem, NAMES_COLUMN, &postgres, &pair, 1);
    cr_assert(text_is_utf8(pair.name, strlen(pair.name)));
    cr_assert_leq(strlen(pair.name), 63);
}

Test(names, gives_the_empty_name_and_our_own_prefix_others)
{
    struct name_pair pairs[] = {
        {"", NULL, NULL}, {"_connectord_meta", NULL, NULL}, {"_CONNECTORD_x", NULL, NULL}};

    names_assign(mem, NAMES_COLUMN, &any, pairs, 3);
    cr_assert_str_eq(pairs[0].name, suffixed("", ""));
    for (size_t i = 1; i < 3; i++)
        cr_assert_neq(strncasecmp(pairs[i].name, NAMES_PREFIX, strlen(NAMES_PREFIX)), 0);
}

Test(names, keeps_tables_out_of_the_way_of_generations_and_sqlite)
{
    struct name_pair pairs[] = {{"orders__g12", NULL, NULL},
                                {"sqlite_stat1", NULL, NULL},
                                {"orders__gx", NULL, NULL},
                                {"__g", NULL, NULL}};

    names_assign(mem, NAMES_TABLE, &any, pairs, 4);
    cr_assert_str_neq(pairs[0].name, "orders__g12");
    cr_assert_neq(strncmp(pairs[1].name, "sqlite_", 7), 0);
    cr_assert_str_eq(pairs[2].name, "orders__gx");
    cr_assert_str_eq(pairs[3].name, "__g");
}

Test(names, tells_streams_of_two_namespaces_apart)
{
    struct name_pair pairs[] = {{"users", NULL, "a.users"}, {"users", NULL, "b.users"}};

    names_assign(mem, NAMES_TABLE, &any, pairs, 2);
    cr_assert_str_eq(pairs[0].name, suffixed("users", "a.users"));
    cr_assert_str_eq(pairs[1].name, suffixed("users", "b.users"));
}

Test(names, is_injective_whatever_the_siblings_are_called)
{
    /* A source that contains the very name a collision would make. */
    struct name_pair pairs[] = {
        {"A", NULL, NULL}, {"a", NULL, NULL}, {NULL, NULL, NULL}, {NULL, NULL, NULL}};

    pairs[2].source = suffixed("A", "A");
    pairs[3].source = suffixed("a", "a");
    names_assign(mem, NAMES_COLUMN, &any, pairs, 4);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(strcasecmp(pairs[i].name, pairs[j].name), 0, "%s and %s", pairs[i].name,
                          pairs[j].name);
    }
}

Test(names, fits_generations_into_the_limit)
{
    char table[64];

    memset(table, 't', 63);
    table[63] = '\0';
    cr_assert_str_eq(names_generation(mem, "orders", 7, &postgres), "orders__g7");
    cr_assert_leq(strlen(names_generation(mem, table, 1234, &postgres)), 63);
    cr_assert_str_neq(names_generation(mem, table, 1, &postgres),
                      names_generation(mem, table, 2, &postgres));
    cr_assert_leq(strlen(names_key_index(mem, table, 1)), 63);
}

Test(names, counts_characters_where_the_database_does)
{
    char *full = arena_alloc(mem, 200);
    struct name_pair pair = {.source = full};

    for (size_t i = 0; i < 64; i++)
        memcpy(full + i * 2, "\xc3\xa9", 2);
    names_assign(mem, NAMES_COLUMN, &mysql, &pair, 1);
    cr_assert_str_eq(pair.name, full);
    memcpy(full + 128, "e", 2);
    pair.name = NULL;
    names_assign(mem, NAMES_COLUMN, &mysql, &pair, 1);
    cr_assert_str_eq(pair.name, suffixed(arena_printf(mem, "%.110s", full), full));
    cr_assert_leq(strlen(names_generation(mem, full, 12, &mysql)), 2 * 64);
}

Test(names, leaves_out_what_the_database_does_not_take)
{
    struct name_pair pairs[] = {{"tail ", NULL, NULL},
                                {"tail", NULL, NULL},
                                {"x\xf0\x9f\x9a\x80y", NULL, NULL},
                                {" ", NULL, NULL},
                                {"a b", NULL, NULL}};

    names_assign(mem, NAMES_COLUMN, &mysql, pairs, 5);
    cr_assert_str_eq(pairs[0].name, suffixed("tail", "tail "));
    cr_assert_str_eq(pairs[1].name, "tail");
    cr_assert_str_eq(pairs[2].name, suffixed("x_y", "x\xf0\x9f\x9a\x80y"));
    cr_assert_str_eq(pairs[3].name, suffixed("", " "));
    cr_assert_str_eq(pairs[4].name, "a b");
}

Test(names, knows_capitals_of_other_alphabets)
{
    struct name_pair pairs[] = {{"\xd0\xb8\xd0\xbc\xd1\x8f", NULL, NULL}, /* small */
                                {"\xd0\x98\xd0\x9c\xd0\xaf", NULL, NULL}, /* capital */
                                {"\xc3\x89", NULL, NULL},
                                {"\xc3\xa9", NULL, NULL},
                                {"e", NULL, NULL}};

    cr_assert_eq(names_compare("\xc5\xb9", "\xc5\xba"), 0);
    cr_assert_eq(names_compare("\xce\x94", "\xce\xb4"), 0);
    cr_assert_neq(names_compare("\xc3\x97", "\xc3\xb7"), 0, "these two are signs, not letters");
    names_assign(mem, NAMES_COLUMN, &mysql, pairs, 5);
    for (size_t i = 0; i < 4; i++)
        cr_assert_str_eq(pairs[i].name, suffixed(pairs[i].source, pairs[i].source));
    cr_assert_str_eq(pairs[4].name, "e");
}

Test(names, asks_for_small_letters_where_told)
{
    struct name_pair pairs[] = {
        {"Order Items", NULL, NULL, true},  {"user_id", NULL, NULL, true},
        {"User Id", NULL, NULL, true},      {"\u0438\u043c\u044f", NULL, NULL, true},
        {"\u0434\u0430", NULL, NULL, true}, {"Given", "Given", NULL, false},
        {"given", NULL, NULL, true}};

    names_assign(mem, NAMES_COLUMN, &postgres, pairs, 7);
    cr_assert_str_eq(pairs[0].name, "order_items");
    cr_assert_str_eq(pairs[1].name, "user_id");
    cr_assert_str_eq(pairs[2].name, suffixed("user_id", "User Id"));
    cr_assert_str_eq(pairs[3].name, suffixed("", "\u0438\u043c\u044f"));
    cr_assert_str_eq(pairs[4].name, suffixed("", "\u0434\u0430"));
    cr_assert_str_eq(pairs[6].name, suffixed("given", "given"));
}

Test(names, gives_every_member_of_a_set_a_suffix_when_none_is_as_it_was)
{
    struct name_pair pairs[] = {{"User Id", NULL, NULL, true}, {"User-Id", NULL, NULL, true}};

    names_assign(mem, NAMES_COLUMN, &postgres, pairs, 2);
    cr_assert_str_eq(pairs[0].name, suffixed("user_id", "User Id"));
    cr_assert_str_eq(pairs[1].name, suffixed("user_id", "User-Id"));
}

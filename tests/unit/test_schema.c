#include <criterion/criterion.h>

#include <string.h>

#include "connectors/data/schema.h"

static struct column columns[] = {
    {"id", {.type = TYPE_INT}, "INTEGER", false},
    {"name", {.type = TYPE_STRING}, NULL, true},
    {"price", {.type = TYPE_DECIMAL, .precision = 5, .scale = 2}, "", true},
};
static const size_t key[] = {0, 2};
static const struct schema schema = {columns, 3, key, 2};

Test(schema, finds_columns_by_their_exact_name)
{
    cr_assert_eq(schema_find(&schema, "id"), 0);
    cr_assert_eq(schema_find(&schema, "price"), 2);
    cr_assert_eq(schema_find(&schema, "ID"), -1);
    cr_assert_eq(schema_find(&schema, ""), -1);
}

Test(schema, is_copied_deeply)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct schema *copy = schema_copy(mem, &schema);

    cr_assert(schema_equal(copy, &schema));
    cr_assert_neq(copy->columns, schema.columns);
    cr_assert_neq(copy->columns[0].name, columns[0].name);
    cr_assert_str_eq(copy->columns[0].source_type, "INTEGER");
    cr_assert_str_eq(copy->columns[1].source_type, "");
    cr_assert_not(copy->columns[0].nullable);
    cr_assert_neq(copy->key, schema.key);
}

Test(schema, is_copied_without_key_and_without_columns)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct schema empty = {0};
    const struct schema *copy = schema_copy(mem, &empty);

    cr_assert_eq(copy->n_columns, 0);
    cr_assert_eq(copy->n_key, 0);
    cr_assert(schema_equal(copy, &empty));
}

Test(schema, picks_columns_and_renumbers_the_key)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct schema *s = schema_pick(mem, &schema, (const size_t[]){2, 0}, 2);

    cr_assert_eq(s->n_columns, 2);
    cr_assert_str_eq(s->columns[0].name, "price");
    cr_assert_str_eq(s->columns[1].name, "id");
    cr_assert_eq(s->n_key, 2);
    cr_assert_eq(s->key[0], 1);
    cr_assert_eq(s->key[1], 0);
}

Test(schema, drops_a_key_that_loses_a_column)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct schema *s = schema_pick(mem, &schema, (const size_t[]){0, 1}, 2);

    cr_assert_eq(s->n_columns, 2);
    cr_assert_eq(s->n_key, 0);
}

Test(schema, differs_by_name_type_order_and_key)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct column other[3];
    const size_t turned[] = {2, 0};
    struct schema s = {other, 3, key, 2};

    memcpy(other, columns, sizeof other);
    cr_assert(schema_equal(&schema, &s));
    other[1].name = "nam";
    cr_assert_not(schema_equal(&schema, &s));
    memcpy(other, columns, sizeof other);
    other[2].type.scale = 3;
    cr_assert_not(schema_equal(&schema, &s));
    memcpy(other, columns, sizeof other);
    s.key = turned;
    cr_assert_not(schema_equal(&schema, &s));
    s.key = key;
    s.n_key = 1;
    cr_assert_not(schema_equal(&schema, &s));
    s.n_key = 2;
    s.n_columns = 2;
    cr_assert_not(schema_equal(&schema, &s));
    cr_assert_not(schema_equal(&schema, schema_pick(mem, &schema, (const size_t[]){1, 0, 2}, 3)));
}

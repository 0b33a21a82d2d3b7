#include <criterion/criterion.h>

#include <string.h>

#include "connectors/sql/keyset.h"

static const struct column columns[] = {{"a", {.type = TYPE_STRING}, "", true},
                                        {"b", {.type = TYPE_STRING}, "", true}};
static const size_t key[] = {0, 1};
static const struct schema schema = {columns, 2, key, 2};
static const struct column number[] = {{"n", {.type = TYPE_INT}, "", false}};
static const struct schema numbers = {number, 1, key, 1};

static void put(struct batch *b, const char *one, const char *other)
{
    batch_put_text(b, 0, one, strlen(one));
    batch_put_text(b, 1, other, strlen(other));
    batch_end_row(b);
}

Test(keyset, tells_keys_apart_that_only_look_alike)
{
    struct keyset *k = keyset_new();
    struct batch *b = batch_new(&schema);

    put(b, "a,b", "c");
    put(b, "a", "b,c");
    put(b, "", "x");
    put(b, "x", "");
    keyset_add(k, b, NULL);
    cr_assert_not(keyset_may_repeat(k));
    batch_clear(b);
    put(b, "a", "b,c");
    keyset_add(k, b, NULL);
    cr_assert(keyset_may_repeat(k), "across batches");
    keyset_clear(k);
    cr_assert_not(keyset_may_repeat(k));
    keyset_add(k, b, NULL);
    cr_assert_not(keyset_may_repeat(k), "cleared");
    batch_free(b);
    keyset_free(k);
}

Test(keyset, passes_over_skipped_rows)
{
    const bool skip[] = {false, true};
    struct keyset *k = keyset_new();
    struct batch *b = batch_new(&schema);

    put(b, "a", "b");
    put(b, "a", "b");
    keyset_add(k, b, skip);
    cr_assert_not(keyset_may_repeat(k));
    batch_free(b);
    keyset_free(k);
}

Test(keyset, says_maybe_beyond_its_bound_and_not_before)
{
    struct keyset *k = keyset_new();
    struct batch *b = batch_new(&numbers);

    for (int64_t i = 0; i < KEYSET_MAX; i++) {
        batch_put_int64(b, 0, i);
        batch_end_row(b);
        if (batch_is_full(b) || i == KEYSET_MAX - 1) {
            keyset_add(k, b, NULL);
            batch_clear(b);
        }
    }
    cr_assert_not(keyset_may_repeat(k));
    batch_put_int64(b, 0, KEYSET_MAX);
    batch_end_row(b);
    keyset_add(k, b, NULL);
    cr_assert(keyset_may_repeat(k));
    batch_free(b);
    keyset_free(k);
}

Test(keyset, gives_up_when_told_to)
{
    struct keyset *k = keyset_new();

    keyset_give_up(k);
    cr_assert(keyset_may_repeat(k));
    keyset_free(k);
}

#include <criterion/criterion.h>

#include <string.h>

#include "connectors/base/hash.h"

/* FIPS 180-2, appendix B. */
static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Test(hash, is_sha256)
{
    char hex[HASH_HEX_BYTES];

    hash_bytes_hex("abc", 3, hex);
    cr_assert_str_eq(hex, of_abc);
    hash_bytes_hex("", 0, hex);
    cr_assert_str_eq(hex, of_nothing);
}

Test(hash, may_be_read_while_it_goes_on)
{
    struct hash_stream *h = hash_new();
    char hex[HASH_HEX_BYTES];

    hash_hex(h, hex);
    cr_assert_str_eq(hex, of_nothing);
    hash_update(h, "a", 1);
    hash_hex(h, hex);
    hash_update(h, "bc", 2);
    hash_hex(h, hex);
    cr_assert_str_eq(hex, of_abc);
    hash_hex(h, hex);
    cr_assert_str_eq(hex, of_abc);
    hash_free(h);
    hash_free(NULL);
}

Test(hash, of_sets_tells_inputs_apart_and_stays_the_same_in_a_process)
{
    struct hash128 a = hash_keyed("abc", 3), again = hash_keyed("abc", 3);
    struct hash128 b = hash_keyed("abd", 3), shorter = hash_keyed("ab", 2);

    cr_assert(a.lo == again.lo && a.hi == again.hi);
    cr_assert(a.lo != b.lo && a.hi != b.hi);
    cr_assert(a.lo != shorter.lo && a.hi != shorter.hi);
}

Test(hash, draws_random_bytes)
{
    unsigned char a[32] = {0}, b[32] = {0};

    hash_random(a, sizeof a);
    hash_random(b, sizeof b);
    cr_assert_neq(memcmp(a, b, sizeof a), 0);
}

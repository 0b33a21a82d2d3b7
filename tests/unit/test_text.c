#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"

Test(text, reads_integers_up_to_both_ends_of_the_range)
{
    int64_t v = 0;

    cr_assert(text_to_int64("9223372036854775807", 19, &v) && v == INT64_MAX);
    cr_assert(text_to_int64("-9223372036854775808", 20, &v) && v == INT64_MIN);
    cr_assert(text_to_int64("0", 1, &v) && v == 0);
    cr_assert(text_to_int64("-0", 2, &v) && v == 0);
    cr_assert(text_to_int64("12x", 2, &v) && v == 12, "only n bytes count");
}

/* M5. */
Test(text, refuses_what_is_no_integer_or_does_not_fit)
{
    static const char *const texts[] = {"",
                                        "-",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.",
                                        "1a",
                                        "0x1",
                                        "--1",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999999"};
    int64_t v;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert_not(text_to_int64(texts[i], strlen(texts[i]), &v), "%s", texts[i]);
}

Test(text, reads_doubles)
{
    double v = 0;

    cr_assert(text_to_double("0.1", 3, &v) && v == 0.1);
    cr_assert(text_to_double("-1.5e3", 6, &v) && v == -1500);
    cr_assert(text_to_double("1e-400", 6, &v) && v == 0);
}

Test(text, refuses_what_is_no_finite_number)
{
    static const char *const texts[] = {"",   "nan", "inf", "0x10", "1e400", "-1e400", "1e",
                                        "e1", ".",   "-",   " 1",   "1 ",    "1.2.3"};
    char longest[513];
    double v;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert_not(text_to_double(texts[i], strlen(texts[i]), &v), "%s", texts[i]);
    cr_assert_not(text_to_double("1\0", 2, &v));
    memset(longest, '0', sizeof longest);
    cr_assert(text_to_double(longest, 511, &v));
    cr_assert_not(text_to_double(longest, 512, &v));
}

static const struct {
    double v;
    const char *text;
} doubles[] = {
    {0, "0"},
    {-0.0, "-0"},
    {0.1, "0.1"},
    {-0.001, "-0.001"},
    {1.5, "1.5"},
    {1e15, "1000000000000000"},
    {1e300, "1e+300"},
    {1e-7, "1e-07"},
    {0.3, "0.3"},
    {5e-324, "5e-324"},
    {0.1 + 0.2, "0.30000000000000004"},
    {9007199254740991.0, "9007199254740991"},
    {123456.789, "123456.789"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {DBL_MIN, "2.2250738585072014e-308"},
};

Test(text, writes_the_shortest_form_of_a_double)
{
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        char text[32];
        size_t n = text_from_double(doubles[i].v, text);

        cr_assert_str_eq(text, doubles[i].text);
        cr_assert_eq(n, strlen(text));
    }
}

/* xorshift64: the same bits in every run. */
static uint64_t next_bits(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

Test(text, writes_doubles_that_read_back_as_the_same_bits)
{
    uint64_t state = 1;

    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_bits(&state);
        char text[32];
        double v, again;

        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        text_from_double(v, text);
        again = strtod(text, NULL);
        cr_assert_eq(memcmp(&v, &again, sizeof v), 0, "%s", text);
    }
}

Test(text, writes_the_shortest_form_of_a_float)
{
    char text[32];

    text_from_float(0.1f, text);
    cr_assert_str_eq(text, "0.1");
    text_from_float(16777216.0f, text);
    cr_assert_str_eq(text, "16777216");
    text_from_float(1e-45f, text);
    cr_assert_str_eq(text, "1e-45");
    text_from_float(-0.0f, text);
    cr_assert_str_eq(text, "-0");
    text_from_float(FLT_MAX, text);
    cr_assert_str_eq(text, "3.4028235e+38");
}

Test(text, writes_floats_that_read_back_as_the_same_bits)
{
    uint64_t state = 2;

    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)next_bits(&state);
        char text[32];
        float v, again;

        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        text_from_float(v, text);
        again = strtof(text, NULL);
        cr_assert_eq(memcmp(&v, &again, sizeof v), 0, "%s", text);
    }
}

Test(text, writes_integers)
{
    char text[24];

    cr_assert_eq(text_from_int64(INT64_MIN, text), 20);
    cr_assert_str_eq(text, "-9223372036854775808");
    cr_assert_eq(text_from_int64(0, text), 1);
    cr_assert_str_eq(text, "0");
    cr_assert_eq(text_from_int64(INT64_MAX, text), 19);
}

static const struct {
    const char *text;
    size_t n;
    bool good;
} utf8[] = {
    {"", 0, true},
    {"plain ascii, longer than eight bytes", 36, true},
    {"a\0b", 3, true},
    {"\xc2\x80", 2, true},
    {"\xdf\xbf", 2, true},
    {"\xe0\xa0\x80", 3, true},
    {"\xed\x9f\xbf", 3, true},
    {"\xee\x80\x80", 3, true},
    {"\xef\xbf\xbf", 3, true},
    {"\xf0\x90\x80\x80", 4, true},
    {"\xf4\x8f\xbf\xbf", 4, true},
    {"12345678\xc3\xa9", 10, true},
    {"\x80", 1, false},             /* a continuation alone */
    {"\xc1\xbf", 2, false},         /* overlong */
    {"\xe0\x9f\xbf", 3, false},     /* overlong */
    {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
    {"\xed\xa0\x80", 3, false},     /* a surrogate */
    {"\xf4\x90\x80\x80", 4, false}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", 4, false},
    {"\xff", 1, false},
    {"\xc3", 1, false}, /* cut */
    {"\xe2\x82", 2, false},
    {"\xf0\x9f\x98", 3, false},
    {"\xc3\x28", 2, false},
    {"12345678\xff", 9, false},
};

Test(text, tells_well_formed_utf8)
{
    for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++)
        cr_assert_eq(text_is_utf8(utf8[i].text, utf8[i].n), utf8[i].good, "row %zu", i);
}

Test(text, cuts_between_characters)
{
    const char *s = "a\xc3\xa9\xe2\x82\xac"; /* a, e acute, euro: 6 bytes */
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6};

    for (size_t max = 0; max < sizeof want / sizeof *want; max++)
        cr_assert_eq(text_utf8_prefix(s, 6, max), want[max], "max %zu", max);
}

Test(text, replaces_each_broken_byte)
{
    struct buf b = BUF_INIT(100);

    text_put_utf8(&b, "a\xff\xe2\x82z\xc3\xa9", 7);
    cr_assert_str_eq(buf_str(&b), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xc3\xa9");
    buf_release(&b);
}

Test(text, knows_slugs)
{
    static const char *const good[] = {"a", "0", "shop", "my-shop_2", "a--b"};
    static const char *const bad[] = {"",         "-a",  "_a",
                                      "A",        "a b", "a.b",
                                      "\xc3\xa9", "a/",  "123e4567-e89b-12d3-a456-426614174000"};
    char longest[65];

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(text_is_slug(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(text_is_slug(bad[i]), "%s", bad[i]);
    memset(longest, 'a', sizeof longest);
    longest[63] = '\0';
    cr_assert(text_is_slug(longest));
    longest[63] = 'a';
    longest[64] = '\0';
    cr_assert_not(text_is_slug(longest));
}

Test(text, knows_uuids)
{
    const char *uuid = "123e4567-E89b-12d3-a456-426614174000";

    cr_assert(text_is_uuid(uuid, 36));
    cr_assert_not(text_is_uuid(uuid, 35));
    cr_assert_not(text_is_uuid("123e4567-e89b-12d3-a456-42661417400g", 36));
    cr_assert_not(text_is_uuid("123e4567ae89b-12d3-a456-426614174000", 36));
}

Test(text, encodes_base64)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf b = BUF_INIT(100);

        text_put_base64(&b, pairs[i][0], strlen(pairs[i][0]));
        cr_assert_str_eq(buf_str(&b), pairs[i][1]);
        buf_clear(&b);
        cr_assert(text_unbase64(&b, pairs[i][1], strlen(pairs[i][1])));
        cr_assert_str_eq(buf_str(&b), pairs[i][0]);
        buf_release(&b);
    }
}

Test(text, refuses_what_is_no_padded_base64)
{
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "Zm9v=", "Zm 9v", "Zm9v\n", "Zm-_", "Zh==", "Zm9\xf6"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = BUF_INIT(100);

        buf_puts(&b, "kept");
        cr_assert_not(text_unbase64(&b, bad[i], strlen(bad[i])), "%s", bad[i]);
        cr_assert_str_eq(buf_str(&b), "kept");
        buf_release(&b);
    }
}

Test(text, encodes_hexadecimal)
{
    char out[9];

    text_hex("\x00\x7f\x80\xff", 4, out);
    cr_assert_str_eq(out, "007f80ff");
}

Test(text, decodes_hexadecimal)
{
    static const char *const bad[] = {"0", "0g", "00 ", "000", "0x00", "\xf6\xf6"};
    struct buf b = BUF_INIT(100);

    cr_assert(text_unhex(&b, "", 0));
    cr_assert(text_unhex(&b, "007F80fF", 8));
    cr_assert(b.len == 4 && !memcmp(b.data, "\x00\x7f\x80\xff", 4));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(text_unhex(&b, bad[i], strlen(bad[i])), "%s", bad[i]);
    cr_assert_eq(b.len, 4);
    buf_release(&b);
}

Test(text, reads_durations)
{
    int64_t ms;

    cr_assert(text_to_duration_ms("250ms", &ms) && ms == 250);
    cr_assert(text_to_duration_ms("10s", &ms) && ms == 10000);
    cr_assert(text_to_duration_ms("5m", &ms) && ms == 300000);
    cr_assert(text_to_duration_ms("2h", &ms) && ms == 7200000);
    cr_assert(text_to_duration_ms("1d", &ms) && ms == 86400000);
    cr_assert_not(text_to_duration_ms("10", &ms));
    cr_assert_not(text_to_duration_ms("s", &ms));
    cr_assert_not(text_to_duration_ms("-1s", &ms));
    cr_assert_not(text_to_duration_ms("1.5s", &ms));
    cr_assert_not(text_to_duration_ms("1s ", &ms));
    cr_assert_not(text_to_duration_ms("9223372036854775807d", &ms));
}

Test(text, reads_sizes)
{
    int64_t n;

    cr_assert(text_to_bytes("512", &n) && n == 512);
    cr_assert(text_to_bytes("512B", &n) && n == 512);
    cr_assert(text_to_bytes("8KiB", &n) && n == 8192);
    cr_assert(text_to_bytes("64MiB", &n) && n == 64 << 20);
    cr_assert(text_to_bytes("2GiB", &n) && n == INT64_C(2) << 30);
    cr_assert_not(text_to_bytes("8KB", &n));
    cr_assert_not(text_to_bytes("", &n));
    cr_assert_not(text_to_bytes("9223372036854775807KiB", &n));
}

Test(text, compares_beginnings)
{
    cr_assert(text_starts_with("abc", "ab"));
    cr_assert(text_starts_with("abc", ""));
    cr_assert_not(text_starts_with("ab", "abc"));
}

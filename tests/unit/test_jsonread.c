#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/jsonread.h"

static int read_all(struct jsonread *r, const char *text, size_t n, struct error *err)
{
    enum jsonread_token token = JSONREAD_NULL;

    jsonread_start(r, text, n);
    while (token != JSONREAD_END) {
        if (jsonread_next(r, &token, err) < 0)
            return -1;
    }
    return 0;
}

/* The tokens of a text, one character each; keys, strings and numbers with their text. */
static void put_tokens(struct jsonread *r, const char *text, size_t n, struct buf *out)
{
    static const char shown[] = ".{}[]ksntf0"; /* in the order of the enumerators */
    enum jsonread_token token = JSONREAD_NULL;
    struct error err = ERROR_INIT;

    jsonread_start(r, text, n);
    while (token != JSONREAD_END) {
        cr_assert_eq(jsonread_next(r, &token, &err), 0, "%s", err.message);
        buf_putc(out, shown[token]);
        if (token == JSONREAD_KEY || token == JSONREAD_STRING || token == JSONREAD_NUMBER) {
            buf_putc(out, '<');
            buf_put(out, r->text.ptr, r->text.len);
            buf_putc(out, '>');
        }
    }
}

static void assert_tokens(const char *text, const char *want)
{
    struct buf got = BUF_INIT(10000);
    struct jsonread r;

    jsonread_init(&r);
    put_tokens(&r, text, strlen(text), &got);
    cr_assert_str_eq(buf_str(&got), want);
    jsonread_release(&r);
    buf_release(&got);
}

Test(jsonread, hands_out_tokens)
{
    assert_tokens("{\"a\":1,\"b\":[true,false,null,\"x\",{}],\"c\":{\"d\":-1.50e+3}}",
                  "{k<a>n<1>k<b>[tf0s<x>{}]k<c>{k<d>n<-1.50e+3>}}.");
    assert_tokens(" \t\r\n[ ] \n", "[].");
    assert_tokens(" { \"a\" : [ 1 , 2 ] , \"b\" : { } } ", "{k<a>[n<1>n<2>]k<b>{}}.");
    assert_tokens("\"\"", "s<>.");
    assert_tokens("-0", "n<-0>.");
    assert_tokens("null", "0.");
}

/* J3. */
Test(jsonread, keeps_numbers_as_they_were_written)
{
    static const char *const numbers[] = {"9007199254740993",
                                          "1.10",
                                          "1e2",
                                          "1E-400",
                                          "1e400",
                                          "-0.0",
                                          "0e1",
                                          "123456789012345678901234567890",
                                          "0.000",
                                          "1.5E+10"};
    struct jsonread r;

    jsonread_init(&r);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        enum jsonread_token token;
        struct error err = ERROR_INIT;

        jsonread_start(&r, numbers[i], strlen(numbers[i]));
        cr_assert_eq(jsonread_next(&r, &token, &err), 0);
        cr_assert_eq(token, JSONREAD_NUMBER);
        cr_assert_eq(r.text.ptr, numbers[i], "a view of the input");
        cr_assert_eq(r.text.len, strlen(numbers[i]));
        cr_assert_eq(r.is_integer, !strpbrk(numbers[i], ".eE"), "%s", numbers[i]);
    }
    jsonread_release(&r);
}

static struct slice read_string(struct jsonread *r, const char *text)
{
    enum jsonread_token token;
    struct error err = ERROR_INIT;

    jsonread_start(r, text, strlen(text));
    cr_assert_eq(jsonread_next(r, &token, &err), 0, "%s: %s", text, err.message);
    cr_assert_eq(token, JSONREAD_STRING);
    return r->text;
}

static void assert_string(const char *text, const char *want, size_t n, bool lone)
{
    struct jsonread r;
    struct slice got;

    jsonread_init(&r);
    got = read_string(&r, text);
    cr_assert_eq(got.len, n, "%s", text);
    cr_assert_eq(memcmp(got.ptr, want, n), 0, "%s", text);
    cr_assert_eq(r.has_lone_surrogate, lone, "%s", text);
    jsonread_release(&r);
}

Test(jsonread, decodes_escapes)
{
    assert_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8, false);
    assert_string("\"a\\u0041b\"", "aAb", 3, false);
    assert_string("\"\\u0000\"", "\0", 1, false);
    assert_string("\"\\u00e9\\u20AC\"", "\xc3\xa9\xe2\x82\xac", 5, false);
    assert_string("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4, false);
    assert_string("\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf", 4, false);
    assert_string("\"\xc3\xa9 in the middle \\n of \xf0\x9f\x98\x80 text\"",
                  "\xc3\xa9 in the middle \n of \xf0\x9f\x98\x80 text", 31, false);
}

Test(jsonread, keeps_lone_surrogates_as_replacement_characters)
{
    assert_string("\"\\ud800\"", "\xef\xbf\xbd", 3, true);
    assert_string("\"\\udc00x\"", "\xef\xbf\xbdx", 4, true);
    assert_string("\"\\ud800\\n\"", "\xef\xbf\xbd\n", 4, true);
    assert_string("\"\\ud800\\u0041\"",
                  "\xef\xbf\xbd"
                  "A",
                  4, true);
    assert_string("\"\\ud800\\ud800\\udc00\"", "\xef\xbf\xbd\xf0\x90\x80\x80", 7, true);
    assert_string("\"\\udc00\\ud800\"", "\xef\xbf\xbd\xef\xbf\xbd", 6, true);
}

Test(jsonread, forgets_a_lone_surrogate_with_the_next_string)
{
    struct jsonread r;

    jsonread_init(&r);
    read_string(&r, "\"\\ud800\"");
    cr_assert(r.has_lone_surrogate);
    read_string(&r, "\"plain\"");
    cr_assert_not(r.has_lone_surrogate);
    jsonread_release(&r);
}

/* Quotes, escapes and wide characters at every distance from a word border. */
Test(jsonread, finds_the_end_of_strings_of_every_length)
{
    static const char *const tails[] = {"", "\\n", "\xc3\xa9", "\\\"", "\\u0041"};
    static const char *const decoded[] = {"", "\n", "\xc3\xa9", "\"", "A"};
    struct jsonread r;

    jsonread_init(&r);
    for (size_t n = 0; n < 40; n++) {
        for (size_t t = 0; t < sizeof tails / sizeof *tails; t++) {
            struct buf text = BUF_INIT(200), want = BUF_INIT(200);
            struct slice got;

            for (size_t i = 0; i < n; i++)
                buf_putc(&want, (char)('a' + i % 26));
            buf_printf(&text, "\"%s%s%s\"", buf_str(&want), tails[t], buf_str(&want));
            buf_puts(&want, decoded[t]);
            buf_put(&want, buf_str(&want), 0);
            for (size_t i = 0; i < n; i++)
                buf_putc(&want, (char)('a' + i % 26));
            got = read_string(&r, buf_str(&text));
            cr_assert_eq(got.len, want.len, "%s", buf_str(&text));
            cr_assert_eq(memcmp(got.ptr, buf_str(&want), want.len), 0, "%s", buf_str(&text));
            buf_release(&text);
            buf_release(&want);
        }
    }
    jsonread_release(&r);
}

Test(jsonread, refuses_a_control_character_at_every_place)
{
    struct jsonread r;

    jsonread_init(&r);
    for (int c = 0; c < 0x20; c++) {
        for (size_t at = 1; at < 20; at++) {
            char text[] = "\"abcdefghijklmnopqrs\"";
            struct error err = ERROR_INIT;

            text[at] = (char)c;
            cr_assert_eq(read_all(&r, text, strlen("\"abcdefghijklmnopqrs\""), &err), -1);
            cr_assert_eq(err.code, ERR_DATA);
        }
    }
    jsonread_release(&r);
}

static const struct {
    const char *text;
    size_t at;
} mistakes[] = {
    {"", 0},
    {"  ", 2},
    {"[1", 2},
    {"[1,", 3},
    {"[1,]", 3},
    {"{\"a\"}", 4},
    {"{\"a\":}", 5},
    {"{\"a\":1,}", 7},
    {"{1:1}", 1},
    {"[1 2]", 3},
    {"01", 0},
    {"1.", 2},
    {"1.e1", 2},
    {"-", 1},
    {"+1", 0},
    {".5", 0},
    {"1e", 2},
    {"1e+", 3},
    {"\"abc", 4},
    {"\"\\x\"", 1},
    {"\"\\u12g4\"", 1},
    {"\"\\", 1},
    {"\"a\xff\"", 2},
    {"\"\xc3\"", 1},
    {"tru", 0},
    {"nulll", 4},
    {"[1]]", 3},
    {"{\"a\":1]", 6},
    {"[1}", 2},
    {"1 1", 2},
    {"\xef\xbb\xbf{}", 0},
    {"[\"a\",\n\"b\\q\"]", 8},
};

Test(jsonread, names_the_place_of_a_mistake)
{
    struct jsonread r;

    jsonread_init(&r);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct error err = ERROR_INIT;
        char place[40];

        cr_assert_eq(read_all(&r, mistakes[i].text, strlen(mistakes[i].text), &err), -1, "%s",
                     mistakes[i].text);
        cr_assert_eq(err.code, ERR_DATA, "%s", mistakes[i].text);
        snprintf(place, sizeof place, "at byte %zu", mistakes[i].at);
        cr_assert(strstr(err.message, place), "%s: %s", mistakes[i].text, err.message);
    }
    jsonread_release(&r);
}

static int read_nested(size_t depth, const char *open, struct error *err)
{
    struct buf text = BUF_INIT((size_t)1 << 24);
    struct jsonread r;
    int rc;

    for (size_t i = 0; i < depth; i++)
        buf_puts(&text, open);
    buf_putc(&text, '1');
    for (size_t i = 0; i < depth; i++)
        buf_putc(&text, *open == '[' ? ']' : '}');
    jsonread_init(&r);
    rc = read_all(&r, text.data, text.len, err);
    jsonread_release(&r);
    buf_release(&text);
    return rc;
}

Test(jsonread, limits_depth)
{
    static const char *const opens[] = {"[", "{\"a\":"};

    for (size_t i = 0; i < 2; i++) {
        struct error err = ERROR_INIT;

        cr_assert_eq(read_nested(JSONREAD_MAX_DEPTH - 1, opens[i], &err), 0);
        cr_assert_eq(read_nested(JSONREAD_MAX_DEPTH, opens[i], &err), 0);
        cr_assert_eq(read_nested(JSONREAD_MAX_DEPTH + 1, opens[i], &err), -1);
        cr_assert_eq(err.code, ERR_TOO_LARGE);
        err = ERROR_INIT;
        cr_assert_eq(read_nested(1000000, opens[i], &err), -1);
        cr_assert_eq(err.code, ERR_TOO_LARGE);
    }
}

Test(jsonread, remembers_which_bracket_to_expect_at_any_depth)
{
    struct buf text = BUF_INIT(10000);
    struct error err = ERROR_INIT;
    struct jsonread r;

    for (int i = 0; i < 100; i++)
        buf_puts(&text, i % 3 ? "[" : "{\"k\":");
    buf_puts(&text, "[]");
    for (int i = 99; i >= 0; i--)
        buf_puts(&text, i % 3 ? "]" : "}");
    jsonread_init(&r);
    cr_assert_eq(read_all(&r, text.data, text.len, &err), 0, "%s", err.message);
    text.data[text.len - 70] = text.data[text.len - 70] == ']' ? '}' : ']';
    cr_assert_eq(read_all(&r, text.data, text.len, &err), -1);
    jsonread_release(&r);
    buf_release(&text);
}

static void assert_skips(const char *text, size_t tokens, const char *want,
                         enum jsonread_token after)
{
    enum jsonread_token token = JSONREAD_END;
    struct error err = ERROR_INIT;
    struct slice raw;
    struct jsonread r;

    jsonread_init(&r);
    jsonread_start(&r, text, strlen(text));
    for (size_t i = 0; i < tokens; i++)
        cr_assert_eq(jsonread_next(&r, &token, &err), 0);
    cr_assert_eq(jsonread_skip(&r, token, &raw, &err), 0, "%s", err.message);
    cr_assert_eq(raw.len, strlen(want), "%.*s", (int)raw.len, raw.ptr);
    cr_assert_eq(memcmp(raw.ptr, want, raw.len), 0);
    cr_assert_eq(jsonread_next(&r, &token, &err), 0, "%s", err.message);
    cr_assert_eq(token, after);
    jsonread_release(&r);
}

Test(jsonread, skips_values_and_gives_their_text)
{
    assert_skips("{\"a\": { \"b\" : [1, \"}\"] } ,\"c\":1}", 3, "{ \"b\" : [1, \"}\"] }",
                 JSONREAD_KEY);
    assert_skips("{\"a\":[]}", 3, "[]", JSONREAD_OBJECT_END);
    assert_skips("{\"a\":\"x\\n\"}", 3, "\"x\\n\"", JSONREAD_OBJECT_END);
    assert_skips("{\"a\":\"xyz\" }", 3, "\"xyz\"", JSONREAD_OBJECT_END);
    assert_skips("[1.10 , true]", 2, "1.10", JSONREAD_TRUE);
    assert_skips("[false,2]", 2, "false", JSONREAD_NUMBER);
    assert_skips(" [1,[2]] ", 1, "[1,[2]]", JSONREAD_END);
}

Test(jsonread, tells_of_a_lone_surrogate_in_what_it_skipped)
{
    enum jsonread_token token;
    struct error err = ERROR_INIT;
    struct slice raw;
    struct jsonread r;
    const char *text = "[\"\\ud800\",\"x\"]";

    jsonread_init(&r);
    jsonread_start(&r, text, strlen(text));
    cr_assert_eq(jsonread_next(&r, &token, &err), 0);
    cr_assert_eq(jsonread_skip(&r, token, &raw, &err), 0);
    cr_assert(r.has_lone_surrogate);
    jsonread_start(&r, "[\"x\"]", 5);
    cr_assert_eq(jsonread_next(&r, &token, &err), 0);
    cr_assert_eq(jsonread_skip(&r, token, &raw, &err), 0);
    cr_assert_not(r.has_lone_surrogate);
    jsonread_release(&r);
}

Test(jsonread, refuses_a_broken_value_while_it_skips)
{
    enum jsonread_token token;
    struct error err = ERROR_INIT;
    struct slice raw;
    struct jsonread r;

    jsonread_init(&r);
    jsonread_start(&r, "[1,}", 4);
    cr_assert_eq(jsonread_next(&r, &token, &err), 0);
    cr_assert_eq(jsonread_skip(&r, token, &raw, &err), -1);
    cr_assert_eq(err.code, ERR_DATA);
    jsonread_release(&r);
}

Test(jsonread, stays_at_the_end)
{
    enum jsonread_token token;
    struct error err = ERROR_INIT;
    struct jsonread r;

    jsonread_init(&r);
    cr_assert_eq(read_all(&r, "1", 1, &err), 0);
    cr_assert_eq(jsonread_next(&r, &token, &err), 0);
    cr_assert_eq(token, JSONREAD_END);
    jsonread_release(&r);
}

/* ------------------------------------------------------ the JSON parsing suite */

static struct buf file_content(const char *folder, const char *name)
{
    struct buf path = BUF_INIT(4096), content = BUF_INIT((size_t)1 << 24);
    char *at;
    FILE *f;

    buf_printf(&path, "%s/%s", folder, name);
    f = fopen(buf_str(&path), "rb");
    cr_assert_not_null(f, "%s", buf_str(&path));
    while ((at = buf_reserve(&content, 65536))) {
        size_t n = fread(at, 1, 65536, f);

        content.len += n;
        if (!n)
            break;
    }
    fclose(f);
    buf_release(&path);
    return content;
}

Test(jsonread, agrees_with_the_parsing_suite)
{
    const char *fixtures = getenv("CONNECTORD_FIXTURES");
    char folder[4000];
    struct jsonread r;
    struct dirent *e;
    size_t n = 0;
    DIR *dir;

    if (!fixtures) {
        printf("skipped: CONNECTORD_FIXTURES is not set\n");
        return;
    }
    snprintf(folder, sizeof folder, "%s/json/parsing", fixtures);
    dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    jsonread_init(&r);
    while ((e = readdir(dir))) {
        struct error err = ERROR_INIT;
        struct buf text;
        int rc;

        if (!strchr("yni", e->d_name[0]) || e->d_name[1] != '_')
            continue;
        text = file_content(folder, e->d_name);
        rc = read_all(&r, text.data, text.len, &err);
        n++;
        if (e->d_name[0] == 'y')
            cr_assert_eq(rc, 0, "%s: %s", e->d_name, err.message);
        if (e->d_name[0] == 'n')
            cr_assert_eq(rc, -1, "%s", e->d_name);
        buf_release(&text);
    }
    closedir(dir);
    jsonread_release(&r);
    cr_assert_gt(n, 300, "%zu files", n);
}

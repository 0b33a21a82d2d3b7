/* The header gate: framing that a gateway could read differently never passes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "server/http/gate.h"

#define HOST        \
    {               \
        "Host", "h" \
    }

struct sample {
    const char *what;
    struct pair headers[6];
    bool http10;
    int64_t length; /* expected, when accepted */
    bool chunked;
};

static size_t count(const struct pair *headers)
{
    size_t n = 0;

    while (headers[n].name)
        n++;
    return n;
}

Test(gate, accepts_plain_framing)
{
    static const struct sample cases[] = {
        {"no body", {HOST}, false, -1, false},
        {"a length", {HOST, {"Content-Length", "12"}}, false, 12, false},
        {"length 0", {HOST, {"content-length", "0"}}, false, 0, false},
        {"chunked", {HOST, {"Transfer-Encoding", "chunked"}}, false, -1, true},
        {"Chunked in capitals", {HOST, {"TRANSFER-ENCODING", "Chunked"}}, false, -1, true},
        {"1.0 without a host", {{"Content-Length", "1"}}, true, 1, false},
        {"a port", {{"Host", "example.org:8080"}}, false, -1, false},
        {"an IPv6 host", {{"Host", "[::1]:8080"}}, false, -1, false},
        {"an empty host", {{"Host", ""}}, false, -1, false},
        {"a tab inside a value", {HOST, {"X-A", "a\tb"}}, false, -1, false},
        {"a name of all kinds", {HOST, {"0Az9~`", "x"}}, false, -1, false},
        {"bytes above ASCII", {HOST, {"X-A", "\xc3\xa9"}}, false, -1, false},
        {"two of a kind that may be", {HOST, {"Accept", "a"}, {"Accept", "b"}}, false, -1, false},
        {"a big length",
         {HOST, {"Content-Length", "9223372036854775807"}},
         false,
         INT64_MAX,
         false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sample *c = &cases[i];
        struct error err = ERROR_INIT;
        struct framing f;

        cr_assert_eq(gate_check(c->headers, count(c->headers), c->http10, &f, &err), 0, "%s: %s",
                     c->what, err.message);
        cr_assert_eq(f.content_length, c->length, "%s", c->what);
        cr_assert_eq(f.chunked, c->chunked, "%s", c->what);
    }
}

/* H1. */
Test(gate, refuses_ambiguous_framing)
{
    static const struct sample cases[] = {
        {"two lengths", {HOST, {"Content-Length", "1"}, {"Content-Length", "2"}}, false, 0, false},
        {"the same length twice",
         {HOST, {"Content-Length", "1"}, {"content-length", "1"}},
         false,
         0,
         false},
        {"length and encoding",
         {HOST, {"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}},
         false,
         0,
         false},
        {"two encodings",
         {HOST, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}},
         false,
         0,
         false},
        {"gzip", {HOST, {"Transfer-Encoding", "gzip"}}, false, 0, false},
        {"gzip, chunked", {HOST, {"Transfer-Encoding", "gzip, chunked"}}, false, 0, false},
        {"identity", {HOST, {"Transfer-Encoding", "identity"}}, false, 0, false},
        {"chunked with a blank", {HOST, {"Transfer-Encoding", "chunked "}}, false, 0, false},
        {"chunked, chunked", {HOST, {"Transfer-Encoding", "chunked, chunked"}}, false, 0, false},
        {"chunked with a parameter", {HOST, {"Transfer-Encoding", "chunked;x"}}, false, 0, false},
        {"an empty encoding", {HOST, {"Transfer-Encoding", ""}}, false, 0, false},
        {"chunked in 1.0", {{"Transfer-Encoding", "chunked"}}, true, 0, false},
        {"minus", {HOST, {"Content-Length", "-1"}}, false, 0, false},
        {"plus", {HOST, {"Content-Length", "+1"}}, false, 0, false},
        {"hexadecimal", {HOST, {"Content-Length", "0x10"}}, false, 0, false},
        {"a list", {HOST, {"Content-Length", "1, 1"}}, false, 0, false},
        {"empty", {HOST, {"Content-Length", ""}}, false, 0, false},
        {"too big", {HOST, {"Content-Length", "9223372036854775808"}}, false, 0, false},
        {"no host", {{"Accept", "x"}}, false, 0, false},
        {"two hosts", {HOST, {"Host", "h"}}, false, 0, false},
        {"a host list", {{"Host", "a,b"}}, false, 0, false},
        {"a path in the host", {{"Host", "a/b"}}, false, 0, false},
        {"a user in the host", {{"Host", "u@h"}}, false, 0, false},
        {"a blank in the host", {{"Host", "a b"}}, false, 0, false},
        {"two tokens",
         {HOST, {"Authorization", "Bearer a"}, {"Authorization", "Bearer b"}},
         false,
         0,
         false},
        {"two types", {HOST, {"Content-Type", "a/b"}, {"Content-Type", "a/b"}}, false, 0, false},
        {"two keys", {HOST, {"Idempotency-Key", "a"}, {"Idempotency-Key", "b"}}, false, 0, false},
        {"a name with a blank", {HOST, {"Content-Length ", "1"}}, false, 0, false},
        {"a name with a tab", {HOST, {"X\tY", "1"}}, false, 0, false},
        {"no name", {HOST, {"", "1"}}, false, 0, false},
        {"a name with a colon", {HOST, {"a:b", "1"}}, false, 0, false},
        {"a name with a brace", {HOST, {"a{", "1"}}, false, 0, false},
        {"a DEL in the host", {{"Host", "h\x7f"}}, false, 0, false},
        {"a host above ASCII", {{"Host", "\xc3\xa9"}}, false, 0, false},
        {"letters for a length", {HOST, {"Content-Length", "a"}}, false, 0, false},
        {"a name above ASCII", {HOST, {"\xc3\xa9", "1"}}, false, 0, false},
        {"a carriage return", {HOST, {"X", "a\rb"}}, false, 0, false},
        {"a line feed", {HOST, {"X", "a\nb"}}, false, 0, false},
        {"an escape character", {HOST, {"X", "\x1b[0m"}}, false, 0, false},
        {"a DEL", {HOST, {"X", "\x7f"}}, false, 0, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sample *c = &cases[i];
        struct error err = ERROR_INIT;
        struct framing f;

        cr_assert_eq(gate_check(c->headers, count(c->headers), c->http10, &f, &err), -1, "%s",
                     c->what);
        cr_assert_str_eq(error_reason(&err), "bad_request", "%s", c->what);
        cr_assert_eq(err.code, ERR_INVALID);
    }
}

Test(gate, takes_so_many_headers_and_not_one_more)
{
    struct pair headers[GATE_MAX_HEADERS + 1] = {HOST};
    struct error err = ERROR_INIT;
    struct framing f;

    for (int i = 1; i <= GATE_MAX_HEADERS; i++)
        headers[i] = (struct pair){"X-Any", "1"};
    cr_assert_eq(gate_check(headers, GATE_MAX_HEADERS, false, &f, &err), 0);
    cr_assert_eq(gate_check(headers, GATE_MAX_HEADERS + 1, false, &f, &err), -1);
    cr_assert_str_eq(error_reason(&err), "headers_too_large");
    cr_assert_eq(err.code, ERR_TOO_LARGE);
}

static enum media media_of(const char *type, const char *name, const char *value)
{
    struct pair headers[2];
    size_t n = 0;

    if (type)
        headers[n++] = (struct pair){"content-type", type};
    if (name)
        headers[n++] = (struct pair){name, value};
    return gate_media(headers, n);
}

/* H4. */
Test(gate, tells_json_from_forms_and_the_rest)
{
    const char *form = "application/x-www-form-urlencoded";

    cr_assert_eq(media_of("application/json", NULL, NULL), MEDIA_JSON);
    cr_assert_eq(media_of("Application/JSON; charset=utf-8", "Origin", "x"), MEDIA_JSON);
    cr_assert_eq(media_of("application/merge-patch+json", "Cookie", "x"), MEDIA_JSON);
    cr_assert_eq(media_of("application/jsonx", NULL, NULL), MEDIA_OTHER);
    cr_assert_eq(media_of("application/yaml", "Origin", "x"), MEDIA_YAML);
    cr_assert_eq(media_of("application/yaml;charset=utf-8", NULL, NULL), MEDIA_YAML);
    cr_assert_eq(media_of("application/yaml2", NULL, NULL), MEDIA_OTHER);
    cr_assert_eq(media_of("text/plain", NULL, NULL), MEDIA_OTHER);
    cr_assert_eq(media_of("multipart/form-data; boundary=x", NULL, NULL), MEDIA_OTHER);
    cr_assert_eq(media_of(form, NULL, NULL), MEDIA_FORM);
    cr_assert_eq(media_of(NULL, NULL, NULL), MEDIA_FORM);
    /* A page of another origin makes browsers send these along. */
    cr_assert_eq(media_of(form, "Origin", "https://evil"), MEDIA_OTHER);
    cr_assert_eq(media_of(form, "Cookie", "a=b"), MEDIA_OTHER);
    cr_assert_eq(media_of(NULL, "Origin", "null"), MEDIA_OTHER);
}

Test(gate, finds_headers_without_regard_to_case)
{
    struct pair headers[] = {{"X-One", "1"}, {"x-one", "2"}};

    cr_assert_str_eq(gate_header(headers, 2, "X-ONE"), "1");
    cr_assert_null(gate_header(headers, 2, "X-On"));
    cr_assert_null(gate_header(headers, 0, "X-One"));
}

/* Where the parser below has put its ends of strings; true when all follows on all. */
static bool is_plain(const char *between, const char *value)
{
    static char block[128];
    struct layout l;
    struct pair header;
    int n = snprintf(block, sizeof block, "GET /x HTTP/1.1..a.%s%s....", between, value);

    l = (struct layout){block, block + 4, block + 7, 2, (size_t)n};
    header = (struct pair){block + 17, block + 19 + strlen(between)};
    block[3] = block[6] = block[15] = block[18] = block[n - 4] = '\0';
    return gate_is_plain(&l, &header, 1);
}

/* H1: a value that does not begin where its header ends was folded, or cut at a NUL. */
Test(gate, sees_gaps_between_the_parts_of_a_request)
{
    cr_assert(is_plain("", "v"));
    cr_assert(is_plain(" \t ", "v"));
    cr_assert_not(is_plain("x", "v"));
    cr_assert_not(is_plain(" \r\n ", "v"));
}

#include <criterion/criterion.h>

#include <string.h>

#include "connectors/base/jsonread.h"
#include "connectors/rest/page.h"

struct seen {
    struct buf records; /* each between < and > */
    size_t largest;
};

static int take(void *arg, struct slice record, struct error *err)
{
    struct seen *s = arg;

    (void)err;
    buf_putc(&s->records, '<');
    buf_put(&s->records, record.ptr, record.len);
    buf_putc(&s->records, '>');
    if (record.len > s->largest)
        s->largest = record.len;
    return 0;
}

static struct page_settings settings(struct arena *mem, const char *path)
{
    struct page_settings s = {0};

    cr_assert_null(path_compile(mem, path, true, &s.records));
    return s;
}

/* Feeds the text in pieces of `piece` bytes; records, then "|", then the envelope. */
static const char *read_in(struct arena *mem, const struct page_settings *how, const char *text,
                           size_t piece, bool *out_found, struct error *err)
{
    struct seen s = {.records = BUF_INIT(1 << 20)};
    struct page *p = page_new(how, take, &s);
    size_t n = strlen(text);
    const char *out = NULL;
    struct slice envelope;
    int rc = 0;

    for (size_t at = 0; at < n && rc == 0; at += piece)
        rc = page_feed(p, text + at, n - at < piece ? n - at : piece, err);
    if (rc == 0 && page_end(p, &envelope, out_found, err) == 0)
        out = arena_printf(mem, "%s|%.*s", buf_str(&s.records), (int)envelope.len, envelope.ptr);
    page_free(p);
    buf_release(&s.records);
    return out;
}

static void check(const struct page_settings *how, const char *text, const char *want)
{
    struct arena *mem = arena_new();
    bool found;

    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        struct error err = ERROR_INIT;
        const char *got = read_in(mem, how, text, piece, &found, &err);

        cr_assert_not_null(got, "%s in pieces of %zu: %s", text, piece, err.message);
        cr_assert_str_eq(got, want, "%s in pieces of %zu: %s", text, piece, got);
    }
    arena_free(mem);
}

Test(rest_page, takes_records_out_of_what_is_around_them)
{
    struct arena *mem = arena_new();
    struct page_settings root = settings(mem, "$"), data = settings(mem, "data"),
                         deep = settings(mem, "a.b[1].c"), each = settings(mem, "edges[*].node"),
                         strange = settings(mem, "['x\"y']");

    check(&root, " [ {\"id\": 1}, {\"s\":\"]},{\\\"\"} ,3, \"x\" ,null]\n",
          "<{\"id\": 1}><{\"s\":\"]},{\\\"\"}><3><\"x\"><null>|[]");
    check(&root, "[]", "|[]");
    check(&root, "{\"id\": 1, \"in\": [{}]}", "<{\"id\": 1, \"in\": [{}]}>|{}");
    check(&data,
          "{\"data\": [{\"a\": [1, [2]]}, {}], \"next\": \"t\\\"x\", \"n\": 12, \"more\": true}",
          "<{\"a\": [1, [2]]}><{}>|{\"data\":[],\"next\":\"t\\\"x\",\"n\":12,\"more\":true}");
    check(&data, "{\"next\": {\"data\": [1]}, \"data\": null}",
          "|{\"next\":{\"data\":[1]},\"data\":null}");
    check(&data, "{\"data\": {\"id\": 7}}", "<{\"id\": 7}>|{\"data\":null}");
    check(&data, "{\"d\\u0061ta\": [1]}", "<1>|{\"d\\u0061ta\":[]}");
    check(&deep, "{\"a\": {\"b\": [{\"c\": [9]}, {\"c\": [1, 2]}, {\"c\": [8]}], \"c\": [7]}}",
          "<1><2>|{\"a\":{\"b\":[{\"c\":[9]},{\"c\":[]},{\"c\":[8]}],\"c\":[7]}}");
    check(
        &each,
        "{\"edges\": [{\"node\": {\"id\": 1}}, {\"x\": 2}, {\"node\": [3, 4]}, {\"node\": \"s\"}]}",
        "<{\"id\": 1}><3><4><\"s\">|{\"edges\":[]}");
    check(&strange, "{\"x\\\"y\": [5]}", "<5>|{\"x\\\"y\":[]}");
    arena_free(mem);
}

Test(rest_page, reads_maps_and_single_values)
{
    struct arena *mem = arena_new();
    struct page_settings map = settings(mem, "items"), one = settings(mem, "a"),
                         whole = settings(mem, "$");

    map.map_entries = true;
    check(&map, "{\"items\": {\"k1\": {\"a\": 1}, \"k\\\"2\": { }, \"k3\": 5}, \"z\": 0}",
          "<{\"_key\":\"k1\",\"a\": 1}><{\"_key\":\"k\\\"2\"}><{\"_key\":\"k3\",\"value\":5}>|"
          "{\"items\":{},\"z\":0}");
    one.single = true;
    check(&one, "{\"a\": [1, 2]}", "<[1, 2]>|{\"a\":null}");
    whole.single = true;
    check(&whole, "[1]", "<[1]>|{}");
    check(&whole, "42", "<42>|{}");
    arena_free(mem);
}

Test(rest_page, tells_when_the_records_are_not_there)
{
    struct arena *mem = arena_new();
    struct page_settings data = settings(mem, "data");
    struct error err = ERROR_INIT;
    bool found;

    cr_assert_str_eq(read_in(mem, &data, "{\"error\": \"no\"}", 5, &found, &err),
                     "|{\"error\":\"no\"}");
    cr_assert_not(found);
    cr_assert_not_null(read_in(mem, &data, "{\"data\": []}", 5, &found, &err));
    cr_assert(found);
    arena_free(mem);
}

Test(rest_page, refuses_what_is_broken)
{
    static const char *const bad[] = {"",
                                      "{\"data\": [1, 2",
                                      "{\"data\": [1}}",
                                      "{data: []}",
                                      "{\"data\": []} x",
                                      "{\"data\" []}",
                                      "<html>",
                                      "{\"a\": tru, \"data\": []}",
                                      "]",
                                      "{\"data\": [{\"a\": \"x]}"};
    struct arena *mem = arena_new();
    struct page_settings data = settings(mem, "data");
    bool found;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;

        cr_assert_null(read_in(mem, &data, bad[i], 3, &found, &err), "%s", bad[i]);
        cr_assert_eq(err.code, ERR_DATA, "%s: %s", bad[i], err.message);
    }
    arena_free(mem);
}

Test(rest_page, reads_lines_and_csv)
{
    struct arena *mem = arena_new();
    struct page_settings lines = settings(mem, "$"), inner = settings(mem, "d"),
                         csv = settings(mem, "$");

    lines.format = inner.format = PAGE_NDJSON;
    check(&lines, "{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}", "<{\"a\":1}><{\"a\":2}\r><{\"a\":3}>|{}");
    check(&inner, "{\"d\":[1,2]}\n{\"x\":0}\n{\"d\":{\"e\":3}}\n", "<1><2><{\"e\":3}>|{}");
    csv.format = PAGE_CSV;
    check(&csv, "a,\"b \"\"c\"\"\"\r\n1,\"x,\ny\"\r\n,\"\"\n",
          "<{\"a\":\"1\",\"b \\\"c\\\"\":\"x,\\ny\"}><{\"a\":null,\"b \\\"c\\\"\":\"\"}>|{}");
    arena_free(mem);
}

Test(rest_page, holds_one_record_at_a_time)
{
    struct arena *mem = arena_new();
    struct page_settings data = settings(mem, "data");
    struct seen s = {.records = BUF_INIT(16)}; /* full at once: only sizes matter here */
    struct page *p = page_new(&data, take, &s);
    struct error err = ERROR_INIT;
    struct slice envelope;
    bool found;

    cr_assert_eq(page_feed(p, "{\"data\":[", 9, &err), 0);
    for (int i = 0; i < 200000; i++)
        cr_assert_eq(page_feed(p, i ? ",{\"id\":1}" : "{\"id\":1}", i ? 9 : 8, &err), 0);
    cr_assert_eq(page_feed(p, "]}", 2, &err), 0);
    cr_assert_eq(page_end(p, &envelope, &found, &err), 0, "%s", err.message);
    cr_assert_eq(page_records(p), 200000);
    cr_assert_eq(s.largest, 8);
    cr_assert_eq(envelope.len, strlen("{\"data\":[]}"));
    page_free(p);
    buf_release(&s.records);
    arena_free(mem);
}

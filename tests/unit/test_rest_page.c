#include <criterion/criterion.h>

#include <stdlib.h>
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
    struct page_settings s = {.max_bytes = INT64_C(1) << 40};

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

Test(rest_page, reads_csv_as_it_is_told_to)
{
    static const char *words[] = {"-", "NULL"};
    const struct string_list null_words = {words, 2};
    struct arena *mem = arena_new();
    struct page_settings how = settings(mem, "$"), plain = settings(mem, "$");

    how.format = plain.format = PAGE_CSV;
    how.delimiter = ';';
    how.no_header = how.latin1 = true;
    how.null_words = &null_words;
    check(&how, "1,5;caf\xe9;NULL\n\n\"-\";;-",
          "<{\"column1\":\"1,5\",\"column2\":\"caf\xc3\xa9\",\"column3\":null}>"
          "<{\"column1\":\"-\",\"column2\":\"\",\"column3\":null}>|{}");
    check(&plain, "\xef\xbb\xbfid,,id\n1,2,3\n",
          "<{\"id\":\"1\",\"column2\":\"2\",\"id_2\":\"3\"}>|{}");
    check(&plain, "id\n", "|{}");
    arena_free(mem);
}

Test(rest_page, refuses_broken_csv)
{
    static const char *const bad[] = {"a,b\n1\n",       "a,b\n1,2,3\n", "a\n\"x",
                                      "a\n\"x\"y\nz\n", "\xff\xfe\n",   "\xff,b\n"};
    struct arena *mem = arena_new();
    struct page_settings csv = settings(mem, "$");
    bool found;

    csv.format = PAGE_CSV;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;

        cr_assert_null(read_in(mem, &csv, bad[i], 3, &found, &err), "%s", bad[i]);
        cr_assert_eq(err.code, ERR_DATA, "%s: %s", bad[i], err.message);
    }
    arena_free(mem);
}

/* A line without end is refused before all of it has come; one of exactly the limit is a record. */
Test(rest_page, bounds_lines)
{
    static const enum page_format formats[] = {PAGE_NDJSON, PAGE_CSV};
    const size_t piece = 1 << 16;
    char *text = xalloc(piece);
    struct arena *mem = arena_new();

    memset(text, 'x', piece);
    for (int i = 0; i < 4; i++) {
        struct page_settings how = settings(mem, "$");
        struct seen s = {.records = BUF_INIT(16)}; /* only sizes matter here */
        struct error err = ERROR_INIT;
        struct slice envelope;
        struct page *p;
        bool found;
        int rc = 0;

        how.format = formats[i / 2];
        how.no_header = true;
        p = page_new(&how, take, &s);
        for (size_t n = 0; n < PAGE_MAX_RECORD - 32 && rc == 0; n += piece)
            rc = page_feed(p, text, n ? piece : piece - 32, &err);
        cr_assert_eq(rc, 0, "%s", err.message);
        if (i % 2) {
            cr_assert_eq(page_feed(p, "\n", 1, &err), 0, "%s", err.message);
            cr_assert_eq(page_end(p, &envelope, &found, &err), 0, "%s", err.message);
            cr_assert_eq(page_records(p), 1);
        } else {
            cr_assert_eq(page_feed(p, text, piece, &err), -1);
            cr_assert_eq(err.code, ERR_TOO_LARGE, "%s", err.message);
        }
        page_free(p);
        buf_release(&s.records);
    }
    arena_free(mem);
    free(text);
}

Test(rest_page, knows_formats_by_their_content_type)
{
    cr_assert_eq(page_format_of("application/x-ndjson; charset=utf-8", PAGE_JSON), PAGE_NDJSON);
    cr_assert_eq(page_format_of("application/jsonl", PAGE_JSON), PAGE_NDJSON);
    cr_assert_eq(page_format_of("Text/CSV; header=present", PAGE_JSON), PAGE_CSV);
    cr_assert_eq(page_format_of("application/json", PAGE_NDJSON), PAGE_NDJSON);
    cr_assert_eq(page_format_of(NULL, PAGE_CSV), PAGE_CSV);
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

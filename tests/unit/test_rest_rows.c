#include <criterion/criterion.h>

#include <string.h>

#include "connectors/rest/rows.h"

struct fixture {
    struct arena *mem;
    struct cancel *cancel;
    struct run run;
    const struct rest_document *doc;
    const struct rest_stream *stream;
    struct buf out; /* cells, rows ended by newlines */
    int64_t flushes;
    const char *from; /* records with a cursor below are not wanted */
};

static void open_fixture(struct fixture *f, const char *stream)
{
    struct problems problems;
    struct error err = ERROR_INIT;
    const char *text;
    struct doc *d;

    f->mem = arena_new();
    f->out = BUF_INIT(1 << 20);
    problems = PROBLEMS_INIT(f->mem);
    cr_assert_eq(cancel_new(&f->cancel, &err), 0);
    f->run = (struct run){.mem = f->mem, .cancel = f->cancel, .log = &log_nowhere, .id = ""};
    text = arena_printf(f->mem,
                        "{\"client\":{\"base_url\":\"http://a.example\"},"
                        "\"streams\":[{\"name\":\"s\"%s}]}",
                        stream);
    cr_assert_eq(doc_parse(text, strlen(text), &d, &err), 0, "%s", err.message);
    f->doc = rest_document_compile(f->mem, d, "", &problems);
    cr_assert_not_null(f->doc, "%s %s", problems.items[0].pointer, problems.items[0].message);
    doc_free(d);
    f->stream = &f->doc->streams[0];
}

static void close_fixture(struct fixture *f)
{
    cancel_free(f->cancel);
    buf_release(&f->out);
    arena_free(f->mem);
}

static int flush(void *arg, struct batch *rows, struct error *err)
{
    struct fixture *f = arg;
    const struct schema *s = batch_schema(rows);
    size_t n;

    (void)err;
    f->flushes++;
    for (size_t row = 0; row < batch_rows(rows); row++) {
        for (size_t i = 0; i < s->n_columns; i++) {
            struct column_view v = batch_column(rows, i);

            buf_puts(&f->out, i ? "|" : "");
            if (column_has(&v, row))
                batch_cell_text(rows, i, row, &f->out);
            else
                buf_puts(&f->out, "-");
        }
        buf_putc(&f->out, '\n');
    }
    (void)batch_odd_cells(rows, &n);
    for (size_t i = 0; i < n; i++)
        buf_printf(&f->out, "odd %s\n", batch_odd_cells(rows, &n)[i].original.ptr);
    (void)batch_rejected(rows, &n);
    for (size_t i = 0; i < n; i++)
        buf_printf(&f->out, "rejected %.*s\n", (int)batch_rejected(rows, &n)[i].raw.len,
                   batch_rejected(rows, &n)[i].raw.ptr);
    batch_clear(rows);
    return 0;
}

static int keep(void *arg, const struct rest_value *cursor, bool *out, struct error *err)
{
    struct fixture *f = arg;

    (void)err;
    *out = cursor->kind == VALUE_MISSING || !f->from ||
           strcmp(rest_value_text(cursor, f->mem), f->from) >= 0;
    return 0;
}

static const struct schema *infer(struct fixture *f, const char *const *records, struct error *err)
{
    struct rows_infer *in = rows_infer_new(f->stream);
    struct scopes s = {0};
    const struct schema *out = NULL;
    int rc = 0;

    for (size_t i = 0; records[i] && rc == 0; i++)
        rc = rows_infer_look(in, (struct slice){records[i], strlen(records[i])}, &s, err);
    if (rc == 0 && rows_infer_schema(in, f->mem, &out, err) < 0)
        out = NULL;
    rows_infer_free(in);
    return out;
}

static const char *describe(struct arena *mem, const struct schema *s)
{
    const char *out = "";

    for (size_t i = 0; i < s->n_columns; i++) {
        char type[32];

        type_format(s->columns[i].type, type);
        out = arena_printf(mem, "%s%s%s %s", out, i ? ", " : "", s->columns[i].name, type);
    }
    return out;
}

/* Infers from the first record and puts them all. */
static struct rows_counts put_all(struct fixture *f, const char *const *records, const char *parent)
{
    struct error err = ERROR_INIT;
    const char *first[] = {records[0], NULL};
    struct stream stream = {.name = "s"};
    struct selected_stream want = {.stream = &stream, .drift = DRIFT_EVOLVE};
    struct rows_sink to = {flush, keep, f};
    struct rows_counts counts = {0};
    struct scopes s = {0};
    struct rows *r;

    stream.schema = want.schema = infer(f, first, &err);
    cr_assert_not_null(want.schema, "%s", err.message);
    s.json[SCOPE_parent] = parent ? (struct slice){parent, strlen(parent)} : (struct slice){0};
    r = rows_new(f->stream, &want, &f->run);
    for (size_t i = 0; records[i]; i++)
        cr_assert_eq(
            rows_put(r, (struct slice){records[i], strlen(records[i])}, &s, &to, &counts, &err), 0,
            "%s", err.message);
    cr_assert_eq(rows_flush(r, &to, &err), 0);
    rows_free(r);
    return counts;
}

Test(rest_rows, infers_columns_and_keeps_every_digit)
{
    static const char *const records[] = {
        "{\"id\":1,\"n\":1.10,\"s\":\"x\",\"b\":true,\"o\":{\"a\":[1]},\"nil\":null,\"mix\":1}",
        "{\"id\":12345678901234567890,\"n\":2,\"s\":\"y\",\"mix\":\"z\"}", NULL};
    static const char *const rows[] = {"{\"id\":1,\"n\":1.10,\"o\":{\"a\": [1.50]}}",
                                       "{\"n\":12345678901234567890.123,\"id\":\"x\"}", "[1]",
                                       "{\"id\":3,\"new\":\"later\"}", NULL};
    struct fixture f = {0};
    struct error err = ERROR_INIT;

    open_fixture(&f, "");
    cr_assert_str_eq(describe(f.mem, infer(&f, records, &err)),
                     "id decimal, n decimal, s string, b bool, o json, mix string");
    put_all(&f, rows, NULL);
    cr_assert_str_eq(buf_str(&f.out),
                     "1|1.10|{\"a\": [1.50]}\n-|12345678901234567890.123|-\n"
                     "odd \"x\"\nrejected [1]\n3|-|-|later\n",
                     "%s", buf_str(&f.out));
    cr_assert_eq(f.flushes, 2, "a wider batch is another batch");
    close_fixture(&f);
}

Test(rest_rows, shapes_records)
{
    static const char *const rows[] = {
        "{\"id\":1,\"keep\":true,\"secret\":\"x\",\"o\":{\"a\":1,\"b\":{\"c\":2,\"d\":3}}}",
        "{\"id\":2,\"keep\":false}", "{\"id\":3,\"keep\":true,\"up\":\"own\"}", NULL};
    struct fixture f = {0};
    struct rows_counts counts;

    open_fixture(&f, ",\"records\":{\"where\":\"record.keep == true\"},"
                     "\"remove\":[\"secret\",\"o.b.c\",\"keep\"],"
                     "\"add\":{\"up\":\"{{ record.id }}-{{ parent.name | default:'none' }}\","
                     "\"fixed\":5}");
    counts = put_all(&f, rows, "{\"name\":\"p\"}");
    cr_assert_str_eq(buf_str(&f.out), "1|{\"a\":1,\"b\":{\"d\":3}}|1-p|5\n3|-|3-p|5\n", "%s",
                     buf_str(&f.out));
    cr_assert_eq(counts.read, 3);
    cr_assert_eq(counts.filtered, 1);
    close_fixture(&f);
}

Test(rest_rows, explodes_lists)
{
    static const char *const rows[] = {"{\"order\":7,\"lines\":[{\"sku\":\"a\"},{\"sku\":\"b\"}]}",
                                       "{\"order\":8,\"lines\":[]}", "{\"order\":9}",
                                       "{\"order\":10,\"lines\":[{\"sku\":\"c\"}]}", NULL};
    struct fixture f = {0};
    struct rows_counts counts;

    open_fixture(&f,
                 ",\"records\":{\"explode\":\"lines\"},\"add\":{\"order\":\"{{ record.order }}\"}");
    counts = put_all(&f, rows, NULL);
    cr_assert_str_eq(buf_str(&f.out), "a|7\nb|7\nc|10\n", "%s", buf_str(&f.out));
    cr_assert_eq(counts.read, 3);
    close_fixture(&f);
}

Test(rest_rows, takes_the_document_at_its_word)
{
    static const char *const rows[] = {
        "{\"id\":\"17\",\"at\":\"2024-01-01T02:00:00+02:00\",\"price\":\"1.50\",\"more\":1}", NULL};
    struct fixture f = {0};
    struct error err = ERROR_INIT;

    open_fixture(&f, ",\"key\":[\"id\"],\"types\":{\"price\":\"decimal(10,2)\"},"
                     "\"schema\":{\"properties\":{\"id\":{\"type\":\"integer\"},"
                     "\"at\":{\"type\":[\"null\",\"string\"],\"format\":\"date-time\"}}}");
    cr_assert_str_eq(describe(f.mem, infer(&f, rows, &err)),
                     "id int, at timestamptz, price decimal(10,2)");
    put_all(&f, rows, NULL);
    cr_assert_str_eq(buf_str(&f.out), "17|2024-01-01T00:00:00Z|1.50|1\n", "%s", buf_str(&f.out));
    close_fixture(&f);
}

Test(rest_rows, knows_the_cursor)
{
    static const char *const rows[] = {"{\"id\":1,\"u\":\"2024-01-02T00:00:00Z\"}",
                                       "{\"id\":2,\"u\":\"2024-01-01T00:00:00Z\"}", "{\"id\":3}",
                                       NULL};
    struct fixture f = {0};
    struct rows_counts counts;

    open_fixture(&f, ",\"incremental\":{\"field\":\"u\",\"start\":\"2024-01-01T00:00:00Z\"}");
    f.from = "2024-01-02T00:00:00Z";
    counts = put_all(&f, rows, NULL);
    cr_assert_str_eq(buf_str(&f.out), "1|2024-01-02T00:00:00Z\n3|-\n", "%s", buf_str(&f.out));
    cr_assert_eq(counts.read, 3);
    cr_assert_eq(counts.overlap, 1);
    close_fixture(&f);
}

Test(rest_rows, puts_what_the_parent_gives)
{
    static const char *const rows[] = {"{\"id\":1}", NULL};
    struct fixture f = {0};

    open_fixture(&f, "},{\"name\":\"child\",\"for_each\":{\"stream\":\"s\",\"fields\":{\"number\":"
                     "\"number\"},\"include\":[\"number\"],\"as\":\"issue_\"}");
    f.stream = &f.doc->streams[1];
    put_all(&f, rows, "{\"number\":42}");
    cr_assert_str_eq(buf_str(&f.out), "1|42\n", "%s", buf_str(&f.out));
    close_fixture(&f);
}

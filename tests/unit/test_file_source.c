#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <zstd.h>

#include "tests/support/fake_sink.h"
#include "tests/support/folder.h"
#include "tests/support/harness.h"

extern const struct source_connector source_file;

/* A sanitizer keeps memory of its own, which says nothing about ours. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_TELLS false
#endif
#endif
#ifndef MEMORY_TELLS
#define MEMORY_TELLS true
#endif

static struct harness h;
static struct error err;

static void setup(void)
{
    folder_make();
    err = ERROR_INIT;
}

static void teardown(void)
{
    harness_close(&h);
    folder_remove();
}

TestSuite(file_source, .init = setup, .fini = teardown);

/* `more` are further members of the configuration, each with a comma in front. */
static int try_open(const char *path, const char *more)
{
    char config[1024];

    if (h.mem)
        harness_close(&h);
    err = ERROR_INIT;
    snprintf(config, sizeof config, "{\"path\":\"%s\"%s}", folder_path(path), more);
    return harness_open(&h, &source_file, config, &err);
}

static void open_files(const char *path, const char *more, const char *streams)
{
    cr_assert_eq(try_open(path, more), 0, "%s", err.message);
    cr_assert_eq(harness_select(&h, streams, &err), 0, "%s", err.message);
}

static struct fake_sink *read_from(const char *position)
{
    struct fake_sink *f = fake_sink_new(h.selection.n);
    const char *positions[8] = {position};

    err = ERROR_INIT;
    cr_assert_eq(harness_read(&h, positions, &f->sink, &err), 0, "%s", err.message);
    cr_assert_str_eq(f->violation, "");
    return f;
}

/* Everything the one stream gives, lines joined by newlines; "failed: ..." when it failed. */
static const char *read_all(const char *position)
{
    struct fake_sink *f = read_from(position);
    struct buf out = BUF_INIT(1 << 20);
    const char *text;

    for (size_t i = 0; i < f->streams[0].n_lines; i++) {
        buf_puts(&out, f->streams[0].lines[i]);
        buf_putc(&out, '\n');
    }
    if (f->streams[0].failed)
        buf_printf(&out, "failed: %s: %s", error_reason(&f->streams[0].why),
                   f->streams[0].why.message);
    text = arena_strdup(h.mem, buf_str(&out));
    buf_release(&out);
    fake_sink_free(f);
    return text;
}

static const char *types(void)
{
    const struct schema *s = h.catalog.streams[0].schema;
    char *text = arena_strdup(h.mem, "");

    for (size_t i = 0; i < s->n_columns; i++) {
        char type[32];

        type_format(s->columns[i].type, type);
        cr_assert(s->columns[i].nullable);
        text = arena_printf(h.mem, "%s%s%s:%s", text, i ? " " : "", s->columns[i].name, type);
    }
    return text;
}

static void expect(const char *got, const char *want)
{
    cr_assert_str_eq(got, want, "\n%s\nis not\n%s", got, want);
}

static const char incremental[] = "[{\"name\":\"t\",\"sync_mode\":\"incremental\","
                                  "\"destination_sync_mode\":\"append\"}]";

/* ------------------------------------------------------------------- types */

Test(file_source, tells_the_types_of_csv_columns)
{
    folder_puts("t.csv", "i,d,b,s,zip,big,empty,neg,mixed,exp,zero\n"
                         "1,1.50,true,x,007,123456789012345678901,,-5,1,1e5,-0\n"
                         ",2,FALSE,\"\",08,1,,0,a,2,1\n");
    open_files("t.csv", "", NULL);
    cr_assert_str_eq(h.catalog.streams[0].name, "t");
    expect(types(), "i:int d:decimal b:bool s:string zip:string big:decimal empty:string neg:int "
                    "mixed:string exp:string zero:string");
    expect(read_all(NULL),
           "{\"i\":\"1\",\"d\":\"1.50\",\"b\":\"true\",\"s\":\"x\",\"zip\":\"007\",\"big\":"
           "\"123456789012345678901\",\"empty\":null,\"neg\":\"-5\",\"mixed\":\"1\",\"exp\":"
           "\"1e5\",\"zero\":\"-0\"}\n"
           "{\"i\":null,\"d\":\"2\",\"b\":\"false\",\"s\":\"\",\"zip\":\"08\",\"big\":\"1\","
           "\"empty\":null,\"neg\":\"0\",\"mixed\":\"a\",\"exp\":\"2\",\"zero\":\"1\"}\n");
}

Test(file_source, detects_formats_only_when_asked)
{
    folder_puts("t.csv", "u,d,t,n\n00000000-0000-0000-0000-00000000000a,2024-02-29,"
                         "2024-01-01T00:00:00Z,2024-01-01T00:00:00\n");
    open_files("t.csv", "", NULL);
    expect(types(), "u:string d:string t:string n:string");
    open_files("t.csv", ",\"detect_formats\":true", NULL);
    expect(types(), "u:uuid d:date t:timestamptz n:string");
}

Test(file_source, takes_declared_types_names_and_keys)
{
    folder_puts("t.txt", "1;2024-01-01;007;x\n");
    open_files("t.txt",
               ",\"delimiter\":\";\",\"header\":false,\"columns\":[\"id\",\"day\",\"n\",\"s\"],"
               "\"types\":{\"day\":\"date\",\"n\":\"int\"},\"key\":[\"id\"]",
               NULL);
    expect(types(), "id:int day:date n:int s:string");
    cr_assert_eq(h.catalog.streams[0].schema->n_key, 1);
    expect(read_all(NULL), "{\"id\":\"1\",\"day\":\"2024-01-01\",\"n\":\"7\",\"s\":\"x\"}\n");
    cr_assert_eq(try_open("t.txt", ",\"key\":[\"nope\"]"), -1);
    cr_assert_eq(err.code, ERR_CONFIG);
    cr_assert_eq(try_open("t.txt", ",\"types\":{\"nope\":\"int\"}"), -1);
    cr_assert_eq(err.code, ERR_CONFIG);
    cr_assert_eq(try_open("t.txt", ",\"types\":{\"a\":\"number\"}"), -1);
    cr_assert(strstr(err.message, "/types/a") != NULL, "%s", err.message);
}

Test(file_source, joins_the_types_of_json_members)
{
    folder_puts("t.ndjson", "{\"i\":1,\"d\":1,\"j\":true,\"s\":1,\"o\":{\"a\":[1, 2]},\"n\":null}\n"
                            "{\"i\":9007199254740993,\"d\":1.10,\"j\":1,\"s\":\"x\",\"o\":3}\n");
    open_files("t.ndjson", "", NULL);
    expect(types(), "i:int d:decimal j:json s:string o:json");
    expect(read_all(NULL),
           "{\"i\":\"1\",\"d\":\"1\",\"j\":\"true\",\"s\":\"1\",\"o\":\"{\\\"a\\\":[1, 2]}\"}\n"
           "{\"i\":\"9007199254740993\",\"d\":\"1.10\",\"j\":\"1\",\"s\":\"x\",\"o\":\"3\"}\n");
}

Test(file_source, a_value_that_does_not_fit_its_column_is_an_odd_cell)
{
    struct buf text = BUF_INIT(1 << 20);

    buf_puts(&text, "n,b\n");
    for (int i = 0; i < 1100; i++)
        buf_puts(&text, "5,true\n");
    buf_puts(&text, "007,maybe\n");
    folder_puts("t.csv", buf_str(&text));
    buf_release(&text);
    open_files("t.csv", "", NULL);
    expect(types(), "n:int b:bool");
    cr_assert(strstr(read_all(NULL), "{\"n\":null,\"b\":null,\"?n\":[\"type\",\"007\"],"
                                     "\"?b\":[\"type\",\"maybe\"]}\n") != NULL);
}

/* --------------------------------------------------------------- broken input */

Test(file_source, rejects_what_is_no_record_and_reads_the_rest)
{
    folder_puts("users.csv", "id,name,age\n1,a,5\n2,b\n3,c,7,8\n4,\"d\"x,9\n\n5,e,10\n6,\"open,1\n"
                             "7,f,12\n");
    open_files("users.csv", "", NULL);
    expect(read_all(NULL),
           "{\"id\":\"1\",\"name\":\"a\",\"age\":\"5\"}\n"
           "{\"!rejected\":\"parse\",\"detail\":\"users.csv line 3, column 2: expected 3 fields, "
           "found 2\",\"raw\":\"2,b\"}\n"
           "{\"!rejected\":\"parse\",\"detail\":\"users.csv line 4, column 4: expected 3 fields, "
           "found 4\",\"raw\":\"3,c,7,8\"}\n"
           "{\"!rejected\":\"parse\",\"detail\":\"users.csv line 5, column 2: the quotes of this "
           "field are broken\",\"raw\":\"4,\\\"d\\\"x,9\"}\n"
           "{\"id\":\"5\",\"name\":\"e\",\"age\":\"10\"}\n"
           "{\"!rejected\":\"parse\",\"detail\":\"users.csv line 8, column 2: the quotes of this "
           "field are broken\",\"raw\":\"6,\\\"open,1\"}\n"
           "{\"id\":\"7\",\"name\":\"f\",\"age\":\"12\"}\n");
}

Test(file_source, rejects_a_broken_line_in_the_middle_of_ndjson)
{
    const char *got;

    folder_puts("t.jsonl", "{\"a\":1}\n{\"a\":2\n[3]\n\n{\"a\":4,\"a\":5}\n{\"a\":6} x\n{\"a\":7}");
    open_files("t.jsonl", "", NULL);
    got = read_all(NULL);
    cr_assert(strstr(got, "{\"a\":\"1\"}\n{\"!rejected\":\"bad_json_line\",\"detail\":\"t.jsonl "
                          "line 2: ") == got,
              "%s", got);
    cr_assert(strstr(got, "t.jsonl line 3: this is not a JSON object") != NULL);
    cr_assert(strstr(got, "t.jsonl line 5: the member \\\"a\\\" stands there twice") != NULL);
    cr_assert(strstr(got, "t.jsonl line 6: ") != NULL);
    cr_assert(strstr(got, "}\n{\"a\":\"7\"}\n") != NULL);
}

Test(file_source, broken_lines_leave_no_columns_behind)
{
    folder_puts("t.jsonl", "{\"a\":1}\n{\"a\":2,\"ghost\":1,\n{\"a\":3}\n");
    open_files("t.jsonl", "", NULL);
    expect(types(), "a:int");
    cr_assert(strstr(read_all(NULL), "\"ghost\":\"") == NULL);
}

Test(file_source, keeps_invalid_utf8_aside)
{
    struct fake_sink *f;

    folder_puts("t.csv", "a,b\nx\xff,1\ny,2\n");
    open_files("t.csv", "", NULL);
    f = read_from(NULL);
    cr_assert_eq(f->streams[0].n_odd, 1);
    cr_assert_eq(f->streams[0].n_lines, 2);
    fake_sink_free(f);
    open_files("t.csv", ",\"encoding\":\"latin-1\"", NULL);
    expect(read_all(NULL), "{\"a\":\"x\xc3\xbf\",\"b\":\"1\"}\n{\"a\":\"y\",\"b\":\"2\"}\n");
}

/* F5. */
Test(file_source, rejects_a_line_of_100_megabytes_and_goes_on)
{
    size_t n = 100 << 20;
    struct fake_sink *f;
    FILE *out;

    folder_puts("t.csv", "a,b\n1,x\n2,");
    out = fopen(folder_path("t.csv"), "ae");
    for (size_t i = 0; i < n / 1024; i++) {
        static char block[1024];

        memset(block, 'z', sizeof block);
        fwrite(block, 1, sizeof block, out);
    }
    fclose(out);
    folder_append("t.csv", "\n3,y\n");
    open_files("t.csv", ",\"max_line_bytes\":1048576", NULL);
    f = read_from(NULL);
    cr_assert_eq(f->streams[0].n_lines, 3);
    cr_assert_eq(f->streams[0].n_rejected, 1);
    cr_assert(strstr(f->streams[0].lines[1], "record_too_large") != NULL);
    cr_assert(strstr(f->streams[0].lines[1], "t.csv line 3") != NULL);
    cr_assert(strstr(f->streams[0].lines[1], "104857602 bytes") != NULL);
    expect(f->streams[0].lines[2], "{\"a\":\"3\",\"b\":\"y\"}");
    fake_sink_free(f);
}

Test(file_source, passes_over_a_byte_order_mark_and_refuses_utf16)
{
    folder_puts("t.csv", "\xef\xbb\xbf"
                         "a\r\n1\r\n");
    open_files("t.csv", "", NULL);
    expect(read_all(NULL), "{\"a\":\"1\"}\n");
    folder_write("t.csv",
                 "\xff\xfe"
                 "a\0",
                 4);
    cr_assert_eq(try_open("t.csv", ""), -1);
    cr_assert_eq(err.code, ERR_DATA);
    cr_assert(strstr(err.message, "UTF-16") != NULL);
}

Test(file_source, gives_columns_without_a_name_of_their_own_one)
{
    folder_puts("t.csv", "a,,a,column2\n1,2,3,4\n");
    open_files("t.csv", "", NULL);
    expect(types(), "a:int column2:int a_2:int column2_2:int");
}

Test(file_source, says_what_is_wrong_with_a_path)
{
    static const struct {
        const char *path, *more, *part;
        enum error_code code;
    } cases[] = {
        {"none.csv", "", "does not exist", ERR_NOT_FOUND},
        {"none/t.csv", "", "does not exist", ERR_NOT_FOUND},
        {"empty", "", "has no CSV or NDJSON files", ERR_NOT_FOUND},
        {"*.csv", "", "matches", ERR_NOT_FOUND},
        {"*/t.csv", "", "last part", ERR_CONFIG},
        {"fifo.csv", "", "neither a regular file nor a folder", ERR_CONFIG},
        {"t.bin", "", "does not tell its format", ERR_CONFIG},
        {"out.ndjson", "", "leaves its folder", ERR_PERMISSION},
        {"nothing.ndjson", "", "no record", ERR_NOT_FOUND},
        {"t.bin", ",\"format\":\"csv\",\"delimiter\":\"\\\"\"", "same character", ERR_CONFIG},
    };

    folder_puts("t.bin", "a\n1\n");
    folder_puts("nothing.ndjson", "");
    cr_assert_eq(mkdir(folder_path("empty"), 0700), 0);
    cr_assert_eq(mkfifo(folder_path("fifo.csv"), 0600), 0);
    cr_assert_eq(symlink("/etc/hostname", folder_path("out.ndjson")), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!strcmp(cases[i].path, "*.csv"))
            unlink(folder_path("fifo.csv"));
        cr_assert_eq(try_open(cases[i].path, cases[i].more), -1, "%s", cases[i].path);
        cr_assert_eq(err.code, cases[i].code, "%s: %s: %s", cases[i].path,
                     error_code_name(err.code), err.message);
        cr_assert(strstr(err.message, cases[i].part) != NULL, "%s", err.message);
        if (!strcmp(cases[i].path, "*.csv"))
            cr_assert_eq(mkfifo(folder_path("fifo.csv"), 0600), 0);
    }
}

/* ---------------------------------------------------------------- many files */

Test(file_source, reads_the_files_of_a_folder_in_order)
{
    folder_puts("b.csv", "x,y\n3,4\n");
    folder_puts("a.csv", "y,x\n2,1\n");
    folder_puts("c.ndjson", "{\"x\":5,\"z\":\"new\"}\n");
    folder_puts(".hidden.csv", "x\n9\n");
    folder_puts("readme.md", "x\n9\n");
    cr_assert_eq(symlink("a.csv", folder_path("link.csv")), 0);
    open_files("", ",\"stream\":\"t\"", NULL);
    expect(types(), "y:int x:int z:string");
    expect(read_all(NULL), "{\"y\":\"2\",\"x\":\"1\",\"z\":null}\n"
                           "{\"y\":\"4\",\"x\":\"3\",\"z\":null}\n"
                           "{\"y\":null,\"x\":\"5\",\"z\":\"new\"}\n");
    open_files("?.csv", ",\"stream\":\"t\"", NULL);
    expect(read_all(NULL), "{\"y\":\"2\",\"x\":\"1\"}\n{\"y\":\"4\",\"x\":\"3\"}\n");
}

Test(file_source, makes_each_file_a_stream_when_asked)
{
    folder_puts("b.csv", "x\n3\n");
    folder_puts("a.csv", "y\n2\n");
    folder_puts("a.ndjson", "{\"y\":1}\n");
    cr_assert_eq(try_open("", ",\"one_stream_per_file\":true"), 0, "%s", err.message);
    cr_assert_eq(h.catalog.n, 2);
    cr_assert_str_eq(h.catalog.streams[0].name, "a");
    cr_assert_str_eq(h.catalog.streams[1].name, "b");
}

Test(file_source, counts_records)
{
    int64_t n;
    bool exact;

    folder_puts("a.csv", "x\n3\n4\n\n5,6\n");
    folder_puts("b.csv", "x\n7");
    open_files("*.csv", ",\"stream\":\"t\"", NULL);
    cr_assert_eq(source_file.count(h.config, &h.run, &h.catalog.streams[0], &n, &exact, &err), 0);
    cr_assert(exact);
    cr_assert_eq(n, 5);
}

/* ------------------------------------------------------------------ compression */

Test(file_source, reads_gzip_members_and_zstd_frames)
{
    folder_append_gzip("a.csv.gz", "x\n1\n", 4);
    folder_append_gzip("a.csv.gz", "2\n3", 3);
    folder_append_zstd("b.csv.zst", "x\n4\n", 4);
    folder_append_zstd("b.csv.zst", "", 0);
    folder_append_zstd("b.csv.zst", "5\n", 2);
    folder_append_gzip("c.csv", "x\n6\n", 4);
    open_files("*.csv*", ",\"stream\":\"t\"", NULL);
    expect(read_all(NULL), "{\"x\":\"1\"}\n{\"x\":\"2\"}\n{\"x\":\"3\"}\n{\"x\":\"4\"}\n"
                           "{\"x\":\"5\"}\n{\"x\":\"6\"}\n");
}

Test(file_source, a_truncated_or_damaged_file_is_an_error_with_its_name)
{
    static const char *const names[] = {"t.csv.gz", "t.csv.zst"};
    struct buf text = BUF_INIT(8 << 20);

    buf_puts(&text, "x,y\n");
    for (int i = 0; i < 200000; i++)
        buf_printf(&text, "%d,%d\n", i, i * 7919 % 104729);
    for (size_t k = 0; k < 2; k++) {
        struct fake_sink *f;
        struct stat st;

        if (k == 0)
            folder_append_gzip(names[k], text.data, text.len);
        else
            folder_append_zstd(names[k], text.data, text.len);
        stat(folder_path(names[k]), &st);
        open_files(names[k], "", NULL);
        folder_cut(names[k], st.st_size - 5);
        f = read_from(NULL);
        cr_assert(f->streams[0].failed);
        cr_assert_eq(f->streams[0].why.code, ERR_DATA);
        cr_assert_str_eq(error_reason(&f->streams[0].why), "truncated_file");
        cr_assert(strstr(f->streams[0].why.message, names[k]) != NULL);
        cr_assert_gt(f->streams[0].n_checkpoints, 0, "what came before stands");
        fake_sink_free(f);
        folder_append(names[k], "garbage and more garbage");
        f = read_from(NULL);
        cr_assert(f->streams[0].failed);
        cr_assert_str_eq(error_reason(&f->streams[0].why), "damaged_file");
        fake_sink_free(f);
    }
    buf_release(&text);
}

/* F5, J4. */
Test(file_source, a_bomb_costs_no_memory)
{
    size_t n = 4 << 20;
    char *zeros = calloc(1, n);
    struct rusage before, after;
    struct fake_sink *f;

    folder_append_gzip("t.csv.gz", "a\n1\n", 4);
    for (int i = 0; i < 64; i++)
        folder_append_gzip("t.csv.gz", zeros, n);
    folder_append_gzip("t.csv.gz", "\n2\n", 3);
    free(zeros);
    getrusage(RUSAGE_SELF, &before);
    open_files("t.csv.gz", "", NULL);
    f = read_from(NULL);
    getrusage(RUSAGE_SELF, &after);
    cr_assert_eq(f->streams[0].n_lines, 3);
    cr_assert_eq(f->streams[0].n_rejected, 1);
    cr_assert(strstr(f->streams[0].lines[1], "268435456 bytes") != NULL, "%s",
              f->streams[0].lines[1]);
    cr_assert(!MEMORY_TELLS || after.ru_maxrss - before.ru_maxrss < 64 << 10, "%ld KiB more",
              after.ru_maxrss - before.ru_maxrss);
    fake_sink_free(f);
}

/* J4. */
Test(file_source, refuses_a_zstd_window_of_more_than_32_megabytes)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t n = 40 << 20, room = ZSTD_compressBound(n), packed_n;
    char *text = malloc(n), *packed = malloc(room);
    struct fake_sink *f;

    for (int log = 25; log <= 26; log++) {
        for (size_t i = 0; i < n; i++)
            text[i] = i % 100 == 99 ? '\n' : 'x';
        ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, log);
        packed_n = ZSTD_compress2(z, packed, room, text, n);
        cr_assert_not(ZSTD_isError(packed_n));
        folder_write("t.csv.zst", packed, packed_n);
        err = ERROR_INIT;
        if (log == 25) {
            open_files("t.csv.zst", ",\"header\":false", NULL);
            continue;
        }
        f = read_from(NULL);
        cr_assert_str_eq(error_reason(&f->streams[0].why), "damaged_file");
        fake_sink_free(f);
    }
    ZSTD_freeCCtx(z);
    free(text);
    free(packed);
}

/* ------------------------------------------------------------------- resume */

/* From every checkpoint, what was committed before and what comes after are the whole. */
static void resumes_anywhere_after(const char *begin, const char *streams)
{
    struct fake_sink *whole;

    cr_assert_eq(harness_select(&h, streams, &err), 0, "%s", err.message);
    whole = read_from(begin);
    cr_assert_gt(whole->streams[0].n_checkpoints, 3);
    for (size_t k = 0; k < whole->streams[0].n_checkpoints; k++) {
        const struct fake_checkpoint *at = &whole->streams[0].checkpoints[k];
        struct fake_sink *rest = read_from(at->position);
        struct fake_sink *both = fake_sink_new(1);

        cr_assert_not(rest->streams[0].failed, "%s", rest->streams[0].why.message);
        fake_sink_copy(both, whole, 0, at->n_lines);
        for (size_t i = 0; i < rest->streams[0].n_lines; i++)
            fake_sink_add_line(&both->streams[0], rest->streams[0].lines[i],
                               strlen(rest->streams[0].lines[i]));
        cr_assert_eq(fake_sink_differ(&both->streams[0], &whole->streams[0]), -1,
                     "checkpoint %zu: %s", k, at->position);
        fake_sink_free(rest);
        fake_sink_free(both);
    }
    fake_sink_free(whole);
}

static void resumes_anywhere(const char *streams)
{
    resumes_anywhere_after(NULL, streams);
}

static void make_parts(void)
{
    for (int part = 0; part < 4; part++) {
        struct buf text = BUF_INIT(1 << 20);
        char name[32];

        buf_puts(&text, part % 2 ? "id,name\r\n" : "name,id\n");
        for (int i = 0; i < 2500; i++) {
            if (i % 500 == 7)
                buf_puts(&text, "broken\n");
            else if (part % 2)
                buf_printf(&text, "%d,\"row\n%d\"\r\n", part * 10000 + i, i);
            else
                buf_printf(&text, "row %d,%d\n", i, part * 10000 + i);
        }
        snprintf(name, sizeof name, "p%d.csv%s", part, part == 2 ? ".gz" : part == 3 ? ".zst" : "");
        if (part == 2)
            folder_append_gzip(name, text.data, text.len);
        else if (part == 3)
            folder_append_zstd(name, text.data, text.len);
        else
            folder_puts(name, buf_str(&text));
        buf_release(&text);
    }
}

Test(file_source, resumes_at_every_checkpoint)
{
    make_parts();
    cr_assert_eq(try_open("", ",\"stream\":\"t\""), 0, "%s", err.message);
    resumes_anywhere("[{\"name\":\"t\"}]");
    resumes_anywhere(incremental);
}

Test(file_source, resumes_ndjson_and_files_without_a_header)
{
    struct buf text = BUF_INIT(1 << 20);

    for (int i = 0; i < 9000; i++)
        buf_printf(&text, "{\"i\":%d,\"s\":\"\\u00e4 %d\"}\n", i, i);
    folder_puts("t.ndjson", buf_str(&text));
    buf_clear(&text);
    for (int i = 0; i < 9000; i++)
        buf_printf(&text, "%d;\"%d\n", i, i);
    folder_puts("u.txt", buf_str(&text));
    buf_release(&text);
    cr_assert_eq(try_open("t.ndjson", ""), 0, "%s", err.message);
    resumes_anywhere("[{\"name\":\"t\"}]");
    cr_assert_eq(try_open("u.txt", ",\"header\":false,\"delimiter\":\";\",\"quote\":\"\""), 0, "%s",
                 err.message);
    resumes_anywhere("[{\"name\":\"u\"}]");
}

Test(file_source, resumes_in_the_tail_of_a_file_that_was_complete)
{
    struct buf text = BUF_INIT(1 << 20);
    struct fake_sink *f;
    const char *end;

    folder_puts("a.csv", "x\n1\n");
    open_files("*.csv", ",\"stream\":\"t\"", incremental);
    f = read_from(NULL);
    end = arena_strdup(h.mem, f->streams[0].end_position);
    fake_sink_free(f);
    for (int i = 0; i < 9000; i++)
        buf_printf(&text, "%d\n", i);
    folder_append("a.csv", buf_str(&text));
    buf_release(&text);
    resumes_anywhere_after(end, incremental);
}

Test(file_source, a_full_refresh_does_not_go_on_in_other_files)
{
    struct fake_sink *f;
    const char *position;

    make_parts();
    open_files("", ",\"stream\":\"t\"", NULL);
    f = read_from(NULL);
    cr_assert_str_eq(read_all(f->streams[0].end_position), "", "it was complete");
    position = f->streams[0].checkpoints[1].position; /* in the second file */
    cr_assert(strstr(position, "p1.csv") != NULL, "%s", position);
    folder_puts("p05.csv", "id,name\n1,x\n");
    cr_assert(strstr(read_all(position), "failed: resync_required: \"p1.csv\"") != NULL);
    unlink(folder_path("p05.csv"));
    cr_assert(strstr(read_all(position), "failed") == NULL);
    unlink(folder_path("p1.csv"));
    cr_assert(strstr(read_all(position), "failed: resync_required: \"p1.csv\" is gone") != NULL);
    fake_sink_free(f);
}

/* ---------------------------------------------------------------- incremental */

static char *run_incremental(const char *position, const char *want)
{
    struct fake_sink *f = read_from(position);
    struct buf got = BUF_INIT(1 << 20);
    char *end;

    cr_assert_not(f->streams[0].failed, "%s", f->streams[0].why.message);
    for (size_t i = 0; i < f->streams[0].n_lines; i++)
        buf_puts(&got, f->streams[0].lines[i]);
    expect(buf_str(&got), want);
    end = arena_strdup(h.mem, f->streams[0].end_position);
    buf_release(&got);
    fake_sink_free(f);
    return end;
}

Test(file_source, incremental_runs_read_what_is_new)
{
    char *at;

    folder_puts("a.csv", "x\n1\n");
    open_files("*.csv", ",\"stream\":\"t\"", incremental);
    at = run_incremental(NULL, "{\"x\":\"1\"}");
    at = run_incremental(at, "");
    folder_append("a.csv", "2\n");
    folder_puts("b.csv", "x\n3\n");
    at = run_incremental(at, "{\"x\":\"2\"}{\"x\":\"3\"}");
    unlink(folder_path("a.csv"));
    at = run_incremental(at, "");
    folder_append("b.csv", "4\n");
    run_incremental(at, "{\"x\":\"4\"}");
}

Test(file_source, an_unfinished_line_waits_until_the_file_stands_still)
{
    char *at;

    folder_puts("a.csv", "x\n1\n2");
    open_files("*.csv", ",\"stream\":\"t\"", incremental);
    at = run_incremental(NULL, "{\"x\":\"1\"}");
    folder_append("a.csv", "3\n4");
    at = run_incremental(at, "{\"x\":\"23\"}");
    at = run_incremental(at, "{\"x\":\"4\"}");
    at = run_incremental(at, "");
    folder_append("a.csv", "\n5\n");
    run_incremental(at, "{\"x\":\"5\"}");
}

Test(file_source, a_line_that_goes_on_after_it_was_read_needs_a_resync)
{
    char *at;

    folder_puts("a.csv", "x\n1");
    open_files("*.csv", ",\"stream\":\"t\"", incremental);
    at = run_incremental(NULL, "");
    at = run_incremental(at, "{\"x\":\"1\"}");
    folder_append("a.csv", "7\n");
    cr_assert(strstr(read_all(at), "failed: resync_required: \"a.csv\"") != NULL);
}

Test(file_source, a_file_that_shrank_or_was_rewritten_needs_a_resync)
{
    char *at;

    folder_puts("a.csv", "x\n1\n2\n");
    open_files("*.csv", ",\"stream\":\"t\"", incremental);
    at = run_incremental(NULL, "{\"x\":\"1\"}{\"x\":\"2\"}");
    folder_puts("a.csv", "x\n1\n");
    cr_assert(strstr(read_all(at), "failed: resync_required: \"a.csv\" has become shorter") !=
              NULL);
    folder_puts("a.csv", "x\n9\n2\n3\n");
    cr_assert(strstr(read_all(at), "failed: resync_required: \"a.csv\" was rewritten") != NULL);
}

Test(file_source, refuses_a_position_of_another_kind)
{
    folder_puts("a.csv", "x\n1\n");
    open_files("*.csv", ",\"stream\":\"t\"", incremental);
    cr_assert(strstr(read_all("{\"kind\":\"cursor\"}"), "failed: bad_position") != NULL);
    cr_assert(strstr(read_all("{\"kind\":\"file\",\"files\":[{\"name\":\"a\"}]}"),
                     "failed: bad_position") != NULL);
    cr_assert(strstr(read_all("[1"), "failed: bad_position") != NULL);
}

/* --------------------------------------------------------------------- drift */

static const char drifting[] = "{\"a\":1}\n{\"a\":2,\"b\":\"x\",\"c\":null}\n{\"c\":1.5,\"a\":3}\n";

static void open_drift(const char *policy)
{
    char streams[100];

    folder_puts("t.ndjson", "{\"a\":1}\n");
    cr_assert_eq(try_open("t.ndjson", ""), 0, "%s", err.message);
    snprintf(streams, sizeof streams, "[{\"name\":\"t\",\"new_columns\":\"%s\"}]", policy);
    cr_assert_eq(harness_select(&h, streams, &err), 0, "%s", err.message);
    folder_puts("t.ndjson", drifting);
}

Test(file_source, new_members_widen_the_schema)
{
    struct fake_sink *f;

    open_drift("evolve");
    f = read_from(NULL);
    cr_assert_eq(f->streams[0].n_batches, 3);
    expect(f->streams[0].lines[0], "{\"a\":\"1\"}");
    expect(f->streams[0].lines[1], "{\"a\":\"2\",\"b\":\"x\"}");
    expect(f->streams[0].lines[2], "{\"a\":\"3\",\"b\":null,\"c\":\"1.5\"}");
    fake_sink_free(f);
}

Test(file_source, new_members_are_left_out_or_stop_the_stream)
{
    open_drift("ignore");
    expect(read_all(NULL), "{\"a\":\"1\"}\n{\"a\":\"2\"}\n{\"a\":\"3\"}\n");
    open_drift("freeze");
    cr_assert(strstr(read_all(NULL), "failed: schema_frozen: t.ndjson line 2: ") != NULL);
}

Test(file_source, deselected_columns_stay_out)
{
    folder_puts("t.csv", "a,b,c\n1,2,3\n");
    open_files("t.csv", "", "[{\"name\":\"t\",\"fields\":{\"exclude\":[\"b\"]}}]");
    expect(read_all(NULL), "{\"a\":\"1\",\"c\":\"3\"}\n");
}

Test(file_source, a_later_csv_file_may_have_other_columns)
{
    folder_puts("a.csv", "x,y\n1,2\n");
    open_files("*.csv", ",\"stream\":\"t\"", NULL);
    folder_puts("b.csv", "z,x\n0.5,3\n");
    expect(read_all(NULL), "{\"x\":\"1\",\"y\":\"2\"}\n{\"x\":\"3\",\"y\":null,\"z\":\"0.5\"}\n");
    open_files("*.csv", ",\"stream\":\"t\"", NULL);
    unlink(folder_path("b.csv"));
    folder_puts("c.csv", "y\n7\n");
    cr_assert_eq(harness_select(&h, "[{\"name\":\"t\",\"new_columns\":\"freeze\"}]", &err), 0);
    cr_assert(strstr(read_all(NULL), "schema_frozen") != NULL);
}

/* ------------------------------------------------------------------- failures */

Test(file_source, stops_whichever_call_of_the_sink_fails)
{
    make_parts();
    open_files("", ",\"stream\":\"t\"", NULL);
    for (size_t n = 1;; n++) {
        struct fake_sink *f = fake_sink_new(1);
        int rc;

        f->fail_at = n;
        err = ERROR_INIT;
        rc = harness_read(&h, NULL, &f->sink, &err);
        cr_assert_str_eq(f->violation, "");
        if (rc == 0) {
            cr_assert(f->streams[0].ended);
            fake_sink_free(f);
            break;
        }
        cr_assert_eq(err.code, ERR_INTERNAL);
        fake_sink_free(f);
    }
}

Test(file_source, notices_cancellation)
{
    struct fake_sink *f = fake_sink_new(1);

    make_parts();
    open_files("", ",\"stream\":\"t\"", NULL);
    cancel_request(h.cancel, CANCEL_USER);
    cr_assert_eq(harness_read(&h, NULL, &f->sink, &err), -1);
    cr_assert_eq(err.code, ERR_CANCELLED);
    fake_sink_free(f);
}

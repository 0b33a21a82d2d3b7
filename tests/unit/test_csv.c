#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/files/csv.h"
#include "tests/support/folder.h"

static struct csv csv;
static struct cancel *cancel;
static struct files_dialect dialect;

static void setup(void)
{
    struct error err = ERROR_INIT;

    folder_make();
    cr_assert_eq(cancel_new(&cancel, &err), 0);
    dialect = (struct files_dialect){.format = FILES_CSV,
                                     .compression = FILES_PLAIN,
                                     .delimiter = ',',
                                     .quote = '"',
                                     .max_line_bytes = 1 << 20};
}

static void teardown(void)
{
    csv_release(&csv);
    cancel_free(cancel);
    folder_remove();
}

TestSuite(csv, .init = setup, .fini = teardown);

static void open_text(const char *text, size_t n, size_t max_fields)
{
    int dir = open(folder_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error err = ERROR_INIT;
    struct input *in;

    folder_write("t.csv", text, n);
    cr_assert_eq(input_open(dir, "t.csv", FILES_PLAIN, cancel, &in, &err), 0, "%s", err.message);
    close(dir);
    csv_init(&csv, in, &dialect, max_fields, 0, 1);
}

static enum csv_outcome next(void)
{
    struct error err = ERROR_INIT;
    enum csv_outcome out;

    cr_assert_eq(csv_next(&csv, &out, &err), 0, "%s", err.message);
    return out;
}

/* The whole file as "a|b<1>\n..." with the line of each record; '!' marks broken ones. */
static const char *all(const char *text, size_t max_fields)
{
    static struct buf out;
    enum csv_outcome outcome;

    out.max_bytes = 1 << 20;
    buf_clear(&out);
    csv_release(&csv);
    open_text(text, strlen(text), max_fields);
    while ((outcome = next()) != CSV_END && outcome != CSV_OPEN) {
        if (outcome == CSV_BROKEN_QUOTE)
            buf_printf(&out, "!%.*s", (int)csv.record.n_raw, csv.record.raw);
        else if (outcome == CSV_TOO_LONG)
            buf_printf(&out, "?%llu", (unsigned long long)csv.record.n_bytes);
        for (size_t i = 0; outcome == CSV_RECORD && i < csv.record.n_fields; i++) {
            if (i)
                buf_putc(&out, '|');
            csv_unquote(&out, &csv.record.fields[i], dialect.quote);
        }
        buf_printf(&out, "<%lld>", (long long)csv.record.line);
    }
    if (outcome == CSV_OPEN)
        buf_puts(&out, "open");
    return buf_str(&out);
}

Test(csv, splits_fields_of_every_length)
{
    char line[200], want[300];

    for (int n = 0; n < 40; n++) {
        snprintf(line, sizeof line, "%.*s,b,%.*s\n", n, "0123456789012345678901234567890123456789",
                 n, "abcdefghijabcdefghijabcdefghijabcdefghij");
        snprintf(want, sizeof want, "%.*s|b|%.*s<1>", n, "0123456789012345678901234567890123456789",
                 n, "abcdefghijabcdefghijabcdefghijabcdefghij");
        cr_assert_str_eq(all(line, 3), want, "length %d", n);
    }
}

Test(csv, takes_both_line_breaks_and_a_last_line_without_one)
{
    cr_assert_str_eq(all("a,b\r\nc,d\ne,f", 2), "a|b<1>c|d<2>e|f<3>");
    cr_assert_str_eq(all("a,b\r\nc,\"d\"\r\ne,f\r", 2), "a|b<1>c|d<2>e|f<3>");
}

Test(csv, keeps_what_quotes_hold)
{
    cr_assert_str_eq(all("\"a,b\",\"c\"\"d\"\"\",\"\"\n", 3), "a,b|c\"d\"|<1>");
    cr_assert_str_eq(all("\"two\nlines\r\n\",x\ny,z\n", 2), "two\nlines\r\n|x<1>y|z<4>");
    cr_assert(csv.record.fields != NULL);
}

Test(csv, tells_quoted_from_unquoted_emptiness)
{
    open_text("\"\",\n", 4, 2);
    cr_assert_eq(next(), CSV_RECORD);
    cr_assert(csv.record.fields[0].quoted);
    cr_assert_not(csv.record.fields[1].quoted);
}

Test(csv, takes_a_quote_inside_an_unquoted_field_as_it_is)
{
    cr_assert_str_eq(all("5\" disk,a\"b\"\n", 2), "5\" disk|a\"b\"<1>");
}

Test(csv, without_a_quote_character_quotes_are_text)
{
    dialect.quote = '\0';
    cr_assert_str_eq(all("\"a,b\"\n\"\n", 2), "\"a|b\"<1>\"<2>");
}

Test(csv, rejects_a_broken_quote_and_goes_on_with_the_next_line)
{
    cr_assert_str_eq(all("a,b\n\"c\"x,d\ne,f\n", 2), "a|b<1>!\"c\"x,d<2>e|f<3>");
    cr_assert_str_eq(all("a,\"open\nc,d\ne,f\n", 2), "!a,\"open<1>c|d<2>e|f<3>");
    cr_assert_str_eq(all("a,\"open", 2), "!a,\"open<1>");
    cr_assert_str_eq(all("\"a\"\rb,c\nd,e\n", 2), "!\"a\"\rb,c<1>d|e<2>");
}

Test(csv, passes_over_empty_lines_unless_records_have_one_field)
{
    cr_assert_str_eq(all("a,b\n\n\r\nc,d\n\n", 2), "a|b<1>c|d<4>");
    cr_assert_str_eq(all("a\n\nb\n", 1), "a<1><2>b<3>");
}

/* F5. */
Test(csv, counts_fields_that_it_has_no_room_for)
{
    open_text("a,b,\"c\",d\n", 10, 2);
    cr_assert_eq(next(), CSV_RECORD);
    cr_assert_eq(csv.record.n_fields, 4);
}

/* F5. */
Test(csv, refuses_a_record_over_the_limit_and_reads_the_next)
{
    static const size_t limits[] = {1024, 300 << 10, 600 << 10};

    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        size_t limit = limits[k];

        dialect.max_line_bytes = limit;
        for (size_t n = limit - 1; n <= limit + 1; n++) {
            char *text = malloc(n + 8);

            memset(text, 'x', n);
            text[1] = ',';
            memcpy(text + n, "\na,b\n", 6);
            csv_release(&csv);
            open_text(text, n + 5, 2);
            cr_assert_eq(next(), n > limit ? CSV_TOO_LONG : CSV_RECORD, "%zu of %zu", n, limit);
            if (n > limit)
                cr_assert_eq(csv.record.n_bytes, n);
            cr_assert_eq(next(), CSV_RECORD);
            cr_assert_eq(csv.record.line, 2);
            cr_assert_eq(next(), CSV_END);
            free(text);
        }
    }
}

/* F5. */
Test(csv, gives_up_a_quote_that_does_not_close_within_the_limit)
{
    size_t n = 2 << 20;
    char *text = malloc(n);

    dialect.max_line_bytes = 600 << 10;
    memset(text, 'y', n);
    memcpy(text, "a,\"b\nc,d\n", 9);
    open_text(text, n, 2);
    cr_assert_eq(next(), CSV_BROKEN_QUOTE);
    cr_assert_eq(csv.record.n_raw, 4);
    cr_assert_eq(next(), CSV_RECORD);
    cr_assert_eq(csv.record.line, 2);
    cr_assert_eq(next(), CSV_TOO_LONG);
    cr_assert_eq(csv.record.n_bytes, n - 9);
    cr_assert_eq(next(), CSV_END);
    free(text);
}

Test(csv, reads_records_across_the_edges_of_its_window)
{
    size_t n = 3 << 20, at = 0;
    char *text = malloc(n + 64);
    int64_t rows = 0;

    while (at < n)
        at += (size_t)snprintf(text + at, 64, "%zu,\"q\n%zu\"\n", at, at % 77);
    open_text(text, at, 2);
    for (enum csv_outcome o = next(); o != CSV_END; o = next()) {
        char want[32];

        cr_assert_eq(o, CSV_RECORD);
        cr_assert_eq(csv.record.n_fields, 2);
        snprintf(want, sizeof want, "%llu", (unsigned long long)csv.record.offset);
        cr_assert_eq(csv.record.fields[0].len, strlen(want));
        cr_assert_eq(memcmp(csv.record.fields[0].ptr, want, strlen(want)), 0);
        cr_assert_eq(csv.record.line, 2 * rows + 1);
        rows++;
    }
    cr_assert_gt(rows, 100000);
    free(text);
}

Test(csv, leaves_an_unfinished_last_record_when_told_to)
{
    open_text("a,b\nc,d", 7, 2);
    csv.keep_open = true;
    cr_assert_eq(next(), CSV_RECORD);
    cr_assert_eq(next(), CSV_OPEN);
    cr_assert_eq(csv.window.offset, 4);
    csv_release(&csv);
    open_text("a,b\nc,\"d\n", 9, 2);
    csv.keep_open = true;
    cr_assert_eq(next(), CSV_RECORD);
    cr_assert_eq(next(), CSV_OPEN);
    cr_assert_eq(csv.window.offset, 4);
}

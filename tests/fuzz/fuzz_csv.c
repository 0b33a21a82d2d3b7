/*
 * F5. Any bytes as a CSV file: records are views of it in its order, lines are counted right,
 * reading from the beginning of any record gives the same rest, and fields written again read back.
 * The first byte chooses the settings.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "connectors/files/csv.h"
#include "tests/fuzz/fuzz.h"

#define MAX_FIELDS 5

static int folder = -1;
static struct cancel *cancel;
static struct files_dialect dialect;

static void prepare(void)
{
    struct error err = ERROR_INIT;

    if (folder >= 0)
        return;
    folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(folder >= 0 && cancel_new(&cancel, &err) == 0);
}

static const char *file_name(void)
{
    static char name[64];

    if (!*name)
        snprintf(name, sizeof name, "fuzz_csv.%ld", (long)getpid());
    return name;
}

static void put_file(const void *bytes, size_t n)
{
    int fd = openat(folder, file_name(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void begin(struct csv *c, uint64_t offset, int64_t line, bool keep_open)
{
    struct error err = ERROR_INIT;
    struct input *in;

    MUST(input_open(folder, file_name(), FILES_PLAIN, cancel, &in, &err) == 0);
    MUST(input_skip_to(in, offset, &err) == 0);
    csv_init(c, in, &dialect, MAX_FIELDS, offset, line);
    c->keep_open = keep_open;
}

static enum csv_outcome next(struct csv *c)
{
    struct error err = ERROR_INIT;
    enum csv_outcome out;

    MUST(csv_next(c, &out, &err) == 0);
    return out;
}

static int64_t lines_before(const uint8_t *data, uint64_t n)
{
    int64_t lines = 1;

    for (uint64_t i = 0; i < n; i++)
        lines += data[i] == '\n';
    return lines;
}

static void check_record(const struct csv_record *r, const uint8_t *data, size_t size)
{
    size_t kept = r->n_fields < MAX_FIELDS ? r->n_fields : MAX_FIELDS;

    MUST(r->n_fields >= 1 && r->offset + r->n_raw <= size);
    MUST(!r->n_raw || !memcmp(r->raw, data + r->offset, r->n_raw));
    for (size_t i = 0; i < kept; i++) {
        MUST(r->fields[i].ptr >= r->raw);
        MUST(r->fields[i].ptr + r->fields[i].len <= r->raw + r->n_raw);
    }
}

/* Reads from a record on and compares with what reading from the beginning gave. */
static void check_resume(const struct csv *whole, enum csv_outcome outcome, bool keep_open)
{
    struct csv again;

    begin(&again, whole->record.offset, whole->record.line, keep_open);
    MUST(next(&again) == outcome);
    MUST(again.record.offset == whole->record.offset);
    MUST(again.record.n_fields == whole->record.n_fields);
    MUST(again.window.offset == whole->window.offset && again.window.line == whole->window.line);
    csv_release(&again);
}

/* The fields of the first record, written as CSV, are read as the same texts. */
static void check_round_trip(struct buf *written, const struct buf *texts, size_t n)
{
    const struct csv_style style = {dialect.delimiter, "NULL"};
    const char *at = texts->data;
    struct csv again;

    buf_clear(written);
    for (size_t i = 0; i < n; i++) {
        size_t len;

        memcpy(&len, at, sizeof len);
        if (i)
            buf_putc(written, dialect.delimiter);
        csv_put_text(written, &style, at + sizeof len, len);
        at += sizeof len + len;
    }
    buf_putc(written, '\n');
    put_file(written->data, written->len);
    dialect.quote = '"';
    dialect.max_line_bytes = 1 << 20;
    begin(&again, 0, 1, false);
    MUST(next(&again) == CSV_RECORD && again.record.n_fields == n);
    at = texts->data;
    for (size_t i = 0; i < n; i++) {
        size_t len;

        memcpy(&len, at, sizeof len);
        buf_clear(written);
        csv_unquote(written, &again.record.fields[i], '"');
        MUST(written->len == len && (!len || !memcmp(written->data, at + sizeof len, len)));
        at += sizeof len + len;
    }
    MUST(next(&again) == CSV_END);
    csv_release(&again);
}

static void keep_texts(const struct csv *c, struct buf *out, struct buf *text)
{
    for (size_t i = 0; i < c->record.n_fields; i++) {
        buf_clear(text);
        csv_unquote(text, &c->record.fields[i], dialect.quote);
        buf_put(out, &text->len, sizeof text->len);
        buf_put(out, buf_str(text), text->len);
    }
}

static void read_all(const uint8_t *data, size_t size, bool keep_open)
{
    struct buf texts = BUF_INIT(1 << 24), text = BUF_INIT(1 << 24);
    size_t n_texts = 0, n = 0;
    enum csv_outcome outcome;
    uint64_t at = 0;
    struct csv c;

    begin(&c, 0, 1, keep_open);
    while ((outcome = next(&c)) != CSV_END && outcome != CSV_OPEN) {
        MUST(c.record.offset >= at && c.window.offset > c.record.offset);
        MUST(c.record.line == lines_before(data, c.record.offset));
        at = c.window.offset;
        if (outcome == CSV_RECORD)
            check_record(&c.record, data, size);
        if (outcome == CSV_RECORD && !n_texts && c.record.n_fields <= MAX_FIELDS) {
            keep_texts(&c, &texts, &text);
            n_texts = c.record.n_fields;
        }
        if (n++ < 8)
            check_resume(&c, outcome, keep_open);
    }
    MUST(outcome == CSV_OPEN || c.window.offset == size);
    csv_release(&c);
    if (n_texts > 1)
        check_round_trip(&text, &texts, n_texts);
    buf_release(&texts);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char delimiters[] = ",;\t|";

    if (!size || size > 1 << 16)
        return 0;
    prepare();
    dialect = (struct files_dialect){.delimiter = delimiters[data[0] & 3],
                                     .quote = data[0] & 4 ? '\0' : '"',
                                     .max_line_bytes = data[0] & 8 ? 16 : 1 << 16};
    put_file(data + 1, size - 1);
    read_all(data + 1, size - 1, data[0] & 16);
    unlinkat(folder, file_name(), 0);
    return 0;
}

/*
 * Any bytes as an NDJSON file: it is sampled and read as a source would, nothing is lost between
 * rows and rejected rows, and the rows, written again, read back without a single odd cell or
 * rejected row.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "connectors/files/encode.h"
#include "connectors/files/infer.h"
#include "tests/fuzz/fuzz.h"

static const struct string_list no_words;
static const struct files_config config = {.format = "ndjson", .detect_formats = true};
static struct files_dialect dialect = {.format = FILES_NDJSON,
                                       .compression = FILES_PLAIN,
                                       .columns = &no_words,
                                       .null_values = &no_words,
                                       .max_line_bytes = 1 << 16};
static struct cancel *cancel;
static int folder = -1;
static char name[64];

static void prepare(void)
{
    struct error err = ERROR_INIT;

    if (folder >= 0)
        return;
    folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(folder >= 0 && cancel_new(&cancel, &err) == 0);
    snprintf(name, sizeof name, "fuzz_ndjson.%ld", (long)getpid());
}

static void put_file(const void *bytes, size_t n)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static int64_t count_records(struct run *run)
{
    struct error err = ERROR_INIT;
    struct reader r;
    int64_t n = -1;

    MUST(reader_open(&r, folder, name, &dialect, run, (struct reader_start){0}, &err) == 0);
    MUST(reader_count(&r, INT64_MAX, &n, &err) == 0);
    reader_close(&r);
    return n;
}

/* The rows of a full batch, or of the end of the file, as NDJSON. */
static void write_rows(const struct selected_stream *want, const struct batch *rows,
                       struct buf *out)
{
    const struct encode_options options = {.format = FILES_NDJSON, .metadata = METADATA_NONE};
    struct error err = ERROR_INIT;
    struct encoder *e;

    MUST(encoder_new(&options, want, batch_schema(rows), &e, &err) == 0);
    for (size_t i = 0; i < batch_rows(rows); i++)
        encoder_put_row(e, out, rows, i, NULL, 0);
    encoder_free(e);
}

struct tally {
    int64_t rows, rejected, odd;
};

/* Reads the file with `stream`; the schema may grow. The last schema is left in *out_schema. */
static struct tally read_rows(struct run *run, const struct stream *stream, struct buf *out,
                              const struct schema **out_schema)
{
    const struct selected_stream want = {.stream = stream, .schema = stream->schema, .cursor = -1};
    struct error err = ERROR_INIT;
    enum reader_outcome outcome;
    struct tally t = {0};
    struct batch *rows;
    struct reader r;
    struct bind bind;

    bind_init(&bind, &want, files_declared_type, &config, run->mem, &log_nowhere);
    rows = batch_new(bind.schema);
    MUST(reader_open(&r, folder, name, &dialect, run, (struct reader_start){0}, &err) == 0);
    MUST(reader_bind(&r, &bind, &(struct column_type){0}, &err) == 0);
    do {
        size_t n;

        MUST(reader_fill(&r, rows, &outcome, &err) == 0);
        t.rows += (int64_t)batch_rows(rows);
        (void)batch_rejected(rows, &n);
        t.rejected += (int64_t)n;
        (void)batch_odd_cells(rows, &n);
        t.odd += (int64_t)n;
        if (out)
            write_rows(&want, rows, out);
        batch_reset(rows, bind.schema);
    } while (outcome == READER_FULL || outcome == READER_WIDENED);
    MUST(outcome == READER_END);
    *out_schema = bind.schema;
    reader_close(&r);
    batch_free(rows);
    return t;
}

static const struct schema *sample(struct run *run)
{
    struct infer *infer = infer_new(&config);
    struct error err = ERROR_INIT;
    const struct schema *schema;
    struct reader r;

    MUST(reader_open(&r, folder, name, &dialect, run, (struct reader_start){0}, &err) == 0);
    MUST(infer_sample(infer, &r, 4, &err) == 0); /* few, so that the rest may differ */
    MUST(infer_schema(infer, run->mem, &schema, &err) == 0);
    reader_close(&r);
    infer_free(infer);
    return schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf written = BUF_INIT(64 << 20);
    struct run run = {.log = &log_nowhere, .id = ""};
    struct stream stream = {.namespace = "", .name = "t"};
    struct tally first, second;
    int64_t records;

    /* A mark at the beginning that is refused is no matter of lines. */
    if (size > 1 << 14 || (size >= 2 && data[0] >= 0xfe && data[1] >= 0xfe))
        return 0;
    prepare();
    run.cancel = cancel;
    run.mem = arena_new();
    put_file(data, size);
    records = count_records(&run);
    stream.schema = sample(&run);
    first = read_rows(&run, &stream, &written, &stream.schema);
    MUST(first.rows + first.rejected == records);
    put_file(written.data ? written.data : "", written.len);
    second = read_rows(&run, &stream, NULL, &stream.schema);
    MUST(second.rows == first.rows && !second.rejected && !second.odd);
    arena_free(run.mem);
    buf_release(&written);
    unlinkat(folder, name, 0);
    return 0;
}

/*
 * Any bytes as what a tap prints: lines are taken or refused with a reason, a record that was found
 * by its usual beginning is the one that reading member by member finds, and rows and rejected rows
 * together are the records there were.
 */
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/singer/intake.h"
#include "connectors/singer/lines.h"
#include "connectors/singer/speech.h"
#include "tests/fuzz/fuzz.h"

struct bytes {
    const uint8_t *at;
    size_t left;
};

/* In pieces of a few bytes, so that lines lie across them. */
static int fill(void *arg, char *room, size_t n, size_t *out_n, bool *out_end, struct error *err)
{
    struct bytes *b = arg;
    size_t k = b->left < 61 ? b->left : 61;

    (void)err;
    k = k < n ? k : n;
    memcpy(room, b->at, k);
    b->at += k;
    b->left -= k;
    *out_n = k;
    *out_end = b->left == 0;
    return 0;
}

/* One stream, made of the first SCHEMA. */
struct one {
    struct arena *mem;
    struct singer_parser parser;
    struct stream stream;
    struct selected_stream want;
    struct intake intake;
    bool open;
    size_t n_records;
};

static void take_schema(struct one *o, struct slice line)
{
    struct error err = ERROR_INIT;
    struct singer_schema s;

    if (singer_read_schema(line, o->mem, &s, &err) < 0) {
        MUST(*err.message);
        return;
    }
    for (size_t i = 0; i < s.n_required; i++)
        MUST(s.required[i] < s.schema->n_columns);
    if (!o->open) {
        o->open = true;
        o->stream = (struct stream){.namespace = "", .name = s.stream, .schema = s.schema};
        o->want = (struct selected_stream){.stream = &o->stream, .schema = s.schema, .cursor = -1};
        intake_init(&o->intake, &o->want, &o->parser, o->mem, &log_nowhere);
    }
    (void)intake_schema(&o->intake, &s, &err);
    doc_free(s.settings);
}

static void take_record(struct one *o, const struct singer_message *m)
{
    enum intake_outcome got;
    struct error err = ERROR_INIT;

    do {
        if (!o->open || intake_record(&o->intake, m, &got, &err) < 0)
            return;
        if (got == INTAKE_TAKEN)
            break;
        batch_reset(o->intake.rows, o->intake.bind.schema);
        o->n_records = 0;
    } while (got == INTAKE_WIDENED);
    if (got != INTAKE_FULL) {
        size_t n_rejected;

        batch_rejected(o->intake.rows, &n_rejected);
        MUST(batch_rows(o->intake.rows) + n_rejected == ++o->n_records);
    }
}

static void take(struct one *o, struct slice line)
{
    struct error err = ERROR_INIT, again = ERROR_INIT;
    struct singer_message m, exact;
    struct buf scratch = BUF_INIT(1 << 20);
    struct slice said;

    (void)speech_level(line.ptr, line.len, &scratch, &said);
    buf_release(&scratch);
    if (singer_parse(&o->parser, line, &m, &err) < 0) {
        MUST(err.code == ERR_DATA && *err.message);
        return;
    }
    if (m.kind == SINGER_SCHEMA)
        take_schema(o, line);
    if (m.kind != SINGER_RECORD)
        return;
    if (m.guessed && singer_parse_again(&o->parser, line, &exact, &again) == 0 &&
        exact.kind == SINGER_RECORD)
        MUST(exact.record.len <= m.record.len);
    take_record(o, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data, size};
    struct lines lines = {.fill = fill, .arg = &bytes};
    struct one o = {.mem = arena_new()};
    struct error err = ERROR_INIT;
    enum lines_outcome got = LINES_LINE;
    struct slice line;

    singer_parser_init(&o.parser);
    while (size > 0 && size < 1 << 16 && lines_next(&lines, &got, &line, &err) == 0 &&
           got != LINES_END) {
        if (got == LINES_LINE)
            take(&o, line);
    }
    intake_release(&o.intake);
    singer_parser_release(&o.parser);
    lines_release(&lines);
    arena_free(o.mem);
    return 0;
}

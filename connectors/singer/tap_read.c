/* A tap's sync: its messages into the sink of a run. */
#include <stdlib.h>
#include <string.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/singer/intake.h"
#include "connectors/singer/lines.h"
#include "connectors/singer/tap_internal.h"

/* Of the states that come more often than this only some become checkpoints: each costs every
 * stream a word to the destination. */
#define STATE_ROWS 1000
#define STATE_US   200000

struct reading {
    struct run *run;
    const struct read_request *req;
    struct sink *out;
    struct process *p;
    struct singer_parser parser;
    struct intake *intakes; /* of each stream of the request */
    bool *begun;
    const char **versions; /* of the rows of each stream */
    const struct doc *catalog;
    char *name; /* the last stream that a message named, and its number in the request */
    long number;
    int64_t epoch;
    char *value;     /* of the last STATE; NULL = none yet */
    int64_t rows;    /* since the last checkpoint */
    int64_t told_us; /* when that was */
    struct buf position;
};

static bool is_whole(const struct reading *r, size_t i)
{
    return r->req->streams[i].want->sync_mode == SYNC_FULL_REFRESH;
}

static int begin(struct reading *r, size_t i, struct error *err)
{
    if (r->begun[i])
        return 0;
    r->begun[i] = true;
    return sink_begin(r->out, i, err);
}

static int hand_on(struct reading *r, size_t i, struct error *err)
{
    struct intake *in = &r->intakes[i];

    if (!batch_is_empty(in->rows) && sink_write(r->out, i, in->rows, err) < 0)
        return -1;
    batch_reset(in->rows, in->bind.schema);
    return 0;
}

static long find(struct reading *r, struct slice name)
{
    if (!r->name || strlen(r->name) != name.len || memcmp(r->name, name.ptr, name.len) != 0) {
        free(r->name);
        r->name = xalloc(name.len + 1);
        memcpy(r->name, name.ptr, name.len);
        r->number = tap_find(r->catalog, r->req, r->name);
    }
    return r->number;
}

static int take_schema(struct reading *r, const struct singer_message *m, struct error *err)
{
    long i = find(r, m->stream);
    struct singer_schema s;
    int status;

    if (i < 0)
        return 0; /* of a stream nobody wants: some taps tell all they have */
    if (begin(r, (size_t)i, err) < 0 || singer_read_schema(m->line, r->run->mem, &s, err) < 0)
        return -1;
    status = intake_schema(&r->intakes[i], &s, err);
    doc_free(s.settings);
    return status;
}

/* A new version of a stream that is merged or appended asks to remove the rows there are. */
static int take_version(struct reading *r, size_t i, struct slice version, struct error *err)
{
    const char *have = r->versions[i];

    if (version.len == 0 || is_whole(r, i))
        return 0;
    if (!have)
        r->versions[i] = arena_memdup(r->run->mem, version.ptr, version.len);
    else if (strlen(have) != version.len || memcmp(have, version.ptr, version.len) != 0)
        return error_set_reason(err, ERR_RESYNC, "version_changed",
                                "the tap begins version %.*s of stream \"%s\", whose rows are of "
                                "version %s: ask for a full refresh",
                                (int)version.len, version.ptr,
                                r->req->streams[i].want->stream->name, have);
    return 0;
}

static int take_record(struct reading *r, const struct singer_message *m, struct error *err)
{
    long i = find(r, m->stream);
    enum intake_outcome got;

    if (i < 0)
        return 0;
    if (begin(r, (size_t)i, err) < 0 || take_version(r, (size_t)i, m->version, err) < 0)
        return -1;
    r->rows++;
    do {
        if (intake_record(&r->intakes[i], m, &got, err) < 0 ||
            (got != INTAKE_TAKEN && hand_on(r, (size_t)i, err) < 0))
            return -1;
    } while (got == INTAKE_WIDENED);
    return 0;
}

/* The rows of every stream first, then the position of each: a commit falls between two of these
 * only behind all rows. */
static int checkpoint(struct reading *r, struct error *err)
{
    for (size_t i = 0; i < r->req->n; i++) {
        if (r->begun[i] && hand_on(r, i, err) < 0)
            return -1;
    }
    r->epoch++;
    for (size_t i = 0; i < r->req->n; i++) {
        if (!r->begun[i] || is_whole(r, i))
            continue;
        singer_position_put(r->epoch, r->versions[i], r->value, &r->position);
        if (buf_ok(&r->position, "the state of the tap", err) < 0 ||
            sink_checkpoint(r->out, i, buf_str(&r->position), err) < 0)
            return -1;
    }
    r->rows = 0;
    r->told_us = clock_monotonic_us();
    return 0;
}

static int take_state(struct reading *r, const struct singer_message *m, struct error *err)
{
    free(r->value);
    r->value = xalloc(m->value.len + 1);
    memcpy(r->value, m->value.ptr, m->value.len);
    if (r->rows < STATE_ROWS && clock_monotonic_us() - r->told_us < STATE_US)
        return 0;
    return checkpoint(r, err);
}

static int take(struct reading *r, struct slice line, struct error *err)
{
    struct singer_message m;
    long i;

    if (singer_parse(&r->parser, line, &m, err) < 0)
        return -1;
    switch (m.kind) {
    case SINGER_SCHEMA:
        return take_schema(r, &m, err);
    case SINGER_RECORD:
        return take_record(r, &m, err);
    case SINGER_STATE:
        return take_state(r, &m, err);
    case SINGER_ACTIVATE_VERSION:
        i = find(r, m.stream);
        return i < 0 ? 0 : take_version(r, (size_t)i, m.version, err);
    }
    abort();
}

/* ------------------------------------------------------------------- the whole */

static int fill(void *arg, char *room, size_t n, size_t *out_n, bool *out_end, struct error *err)
{
    struct process *p = arg;
    unsigned ready;

    if (process_wait(p, PROCESS_OUTPUT, -1, &ready, err) < 0 ||
        process_read(p, room, n, out_n, err) < 0)
        return -1;
    *out_end = process_at_end(p);
    return 0;
}

/* The tap ended well: the last STATE, or the one before its last records, covers everything. */
static int end(struct reading *r, struct error *err)
{
    for (size_t i = 0; i < r->req->n; i++) {
        if (begin(r, i, err) < 0 || hand_on(r, i, err) < 0)
            return -1;
    }
    r->epoch++;
    for (size_t i = 0; i < r->req->n; i++) {
        singer_position_put(r->epoch, r->versions[i], r->value, &r->position);
        if (buf_ok(&r->position, "the state of the tap", err) < 0 ||
            sink_end(r->out, i, buf_str(&r->position), err) < 0)
            return -1;
    }
    return 0;
}

static int read_messages(struct reading *r, struct error *err)
{
    struct lines lines = {.fill = fill, .arg = r->p};
    enum lines_outcome got = LINES_LINE;
    struct slice line;
    int status = 0;

    while (status == 0 && got != LINES_END) {
        status = lines_next(&lines, &got, &line, err);
        if (status == 0 && got == LINES_LINE)
            status = take(r, line, err);
    }
    if (status < 0 && err->code != ERR_CANCELLED)
        error_wrap(err, "line %zu of the tap", lines.number);
    lines_release(&lines);
    return status;
}

/* A tap that dies leaves half a line: then its death is the reason, which may pass. */
static int judge_half_line(struct process *p, struct error *err)
{
    struct error why = ERROR_INIT;

    if (err->code == ERR_DATA && process_at_end(p) && process_finish(p, PROCESS_GRACE_MS, &why) < 0)
        *err = why;
    return -1;
}

static int read_tap(struct reading *r, const struct singer_tap *tap, struct error *err)
{
    CLEANUP(process_free_cleanup) struct process *p = NULL;
    CLEANUP(doc_free_cleanup) struct doc *catalog = NULL;
    struct tap_state state;

    if (tap_state_read(r->req, r->run->mem, &state, err) < 0 ||
        tap_catalog(tap, r->run, &catalog, err) < 0)
        return -1;
    r->epoch = state.epoch;
    r->value = state.value ? xstrdup(state.value) : NULL;
    r->versions = state.versions;
    r->catalog = catalog;
    tap_choose(catalog, r->req);
    if (tap_start(tap, r->run, catalog, state.value, &p, err) < 0)
        return -1;
    r->p = p;
    if (read_messages(r, err) < 0)
        return judge_half_line(p, err);
    return process_finish(p, PROCESS_GRACE_MS, err) < 0 ? -1 : end(r, err);
}

int tap_read(const void *config, struct run *run, const struct read_request *req, struct sink *out,
             struct error *err)
{
    struct reading r = {.run = run,
                        .req = req,
                        .out = out,
                        .number = -1,
                        .position = BUF_INIT(2 * SINGER_MAX_LINE)};
    int status;

    r.intakes = arena_array(run->mem, req->n + 1, sizeof *r.intakes);
    r.begun = arena_array(run->mem, req->n + 1, sizeof *r.begun);
    singer_parser_init(&r.parser);
    for (size_t i = 0; i < req->n; i++)
        intake_init(&r.intakes[i], req->streams[i].want, &r.parser, run->mem, run->log);
    status = read_tap(&r, config, err);
    for (size_t i = 0; i < req->n; i++)
        intake_release(&r.intakes[i]);
    singer_parser_release(&r.parser);
    buf_release(&r.position);
    free(r.value);
    free(r.name);
    return status;
}

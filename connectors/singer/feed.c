#include "connectors/singer/feed.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/base/clock.h"

#define MAX_ECHO_BYTES ((size_t)64 << 20) /* a state of ours with thousands of streams fits */
#define READ_BYTES     ((size_t)64 << 10)
#define ODD_SHOWN      10

struct feed {
    struct process *process;
    struct run *run;
    const char *name;
    struct buf line; /* what was printed and has no line break yet */
    int64_t epoch;
    bool echoed;
    int64_t n_odd; /* lines that were no state */
};

int feed_start(const struct process_start *how, struct run *run, struct feed **out,
               struct error *err)
{
    struct feed *f = xalloc(sizeof *f);

    f->run = run;
    f->name = how->program->name;
    f->line = BUF_INIT(MAX_ECHO_BYTES);
    if (process_start(how, run, &f->process, err) < 0) {
        free(f);
        return -1;
    }
    *out = f;
    return 0;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    process_free(f->process);
    buf_release(&f->line);
    free(f);
}

int64_t feed_epoch(const struct feed *f)
{
    return f->epoch;
}

bool feed_has_echoed(const struct feed *f)
{
    return f->echoed;
}

/* ------------------------------------------------------------------------ echoes */

/* A target prints the value of a state; some print the message. */
static void take_line(struct feed *f, const char *line, size_t n)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error ignored = ERROR_INIT;
    const struct doc *value;
    int64_t epoch;

    if (n == 0)
        return;
    if (doc_parse_trusted(line, n, &d, &ignored) < 0 || !doc_is(d, DOC_OBJECT)) {
        if (f->n_odd++ < ODD_SHOWN)
            log_warn(f->run->log, .message = "the target printed something that is no state",
                     .fields = {log_text("program", f->name), log_int("bytes", (int64_t)n)});
        return;
    }
    value = doc_is(doc_get(d, "value"), DOC_OBJECT) ? doc_get(d, "value") : d;
    epoch = doc_int(doc_get(value, FEED_EPOCH), 0);
    f->echoed = true;
    if (epoch > f->epoch)
        f->epoch = epoch;
}

static void take_lines(struct feed *f)
{
    char *at = f->line.data, *end = at + f->line.len, *stop;

    while (at < end && (stop = memchr(at, '\n', (size_t)(end - at)))) {
        take_line(f, at, (size_t)(stop - at) - (stop > at && stop[-1] == '\r'));
        at = stop + 1;
    }
    f->line.len = (size_t)(end - at);
    memmove(f->line.data, at, f->line.len);
}

/* What there is to read, without waiting. */
static int hear(struct feed *f, struct error *err)
{
    size_t n = 1;

    while (n > 0) {
        char *room = buf_reserve(&f->line, READ_BYTES);

        if (!room)
            return error_set(err, ERR_DATA, "target \"%s\" printed a line of more than %zu MiB",
                             f->name, MAX_ECHO_BYTES >> 20);
        if (process_read(f->process, room, READ_BYTES, &n, err) < 0)
            return -1;
        f->line.len += n;
        if (n > 0 && memchr(room, '\n', n))
            take_lines(f);
    }
    if (process_at_end(f->process) && f->line.len > 0) {
        take_line(f, f->line.data, f->line.len);
        buf_clear(&f->line);
    }
    return 0;
}

/* Waits for `wanted`, and takes what is printed. *out: what is ready besides. */
static int wait_for(struct feed *f, unsigned wanted, int64_t timeout_ms, unsigned *out,
                    struct error *err)
{
    unsigned also = process_at_end(f->process) ? 0 : PROCESS_OUTPUT;

    if (process_wait(f->process, wanted | also, timeout_ms, out, err) < 0)
        return -1;
    return *out & PROCESS_OUTPUT ? hear(f, err) : 0;
}

/* ------------------------------------------------------------------------- input */

/* A target that no longer reads has ended, and its end says more than a broken pipe. */
static int why_it_ended(struct feed *f, struct error *err)
{
    struct error why = ERROR_INIT;

    if (process_finish(f->process, PROCESS_GRACE_MS, &why) < 0 && why.code != ERR_CANCELLED)
        *err = why;
    else if (why.code == ERR_NONE)
        error_put_context(err, "it ended with exit status 0 before its input did");
    return -1;
}

int feed_put(struct feed *f, const char *bytes, size_t n, struct error *err)
{
    while (n > 0) {
        unsigned ready;
        size_t put = 0;

        if (wait_for(f, PROCESS_INPUT, -1, &ready, err) < 0)
            return -1;
        if (!(ready & PROCESS_INPUT))
            continue;
        if (process_write(f->process, bytes, n, &put, err) < 0)
            return why_it_ended(f, err);
        bytes += put;
        n -= put;
    }
    return 0;
}

static int silent(const struct feed *f, int64_t epoch, const char *what, struct error *err)
{
    return error_set_reason(err, ERR_TRANSIENT, "target_silent",
                            "target \"%s\" %s without printing the state it was given: it printed "
                            "number %lld of %lld",
                            f->name, what, (long long)f->epoch, (long long)epoch);
}

int feed_wait(struct feed *f, int64_t epoch, int64_t timeout_ms, struct error *err)
{
    int64_t until_us = clock_monotonic_us() + timeout_ms * 1000;

    while (f->epoch < epoch) {
        int64_t left_ms = (until_us - clock_monotonic_us()) / 1000;
        unsigned ready;

        if (process_at_end(f->process)) {
            silent(f, epoch, "ended", err);
            return why_it_ended(f, err);
        }
        if (left_ms <= 0)
            return silent(f, epoch, "goes on", err);
        if (wait_for(f, 0, left_ms, &ready, err) < 0)
            return -1;
    }
    return 0;
}

int feed_finish(struct feed *f, struct error *err)
{
    process_close_input(f->process);
    while (!process_at_end(f->process)) {
        unsigned ready;

        if (wait_for(f, 0, -1, &ready, err) < 0)
            return -1;
    }
    /* A target that has closed its output and goes on is the idle limit's matter. */
    return process_finish(f->process, -1, err);
}

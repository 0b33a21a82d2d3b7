#include "server/cli_show.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/doc.h"
#include "server/sync/event.h"
#include "server/sync/logstream.h"
#include "server/sync/logtext.h"

#define MAX_SHOWN    20 /* streams; the others are summed up in one line */
#define NAME_COLUMNS 32
#define TICK_MS      200
#define HEAD_BYTES   256 /* of an event, before its members */

struct origin_log {
    struct log log; /* first */
    struct cli_show *show;
    const char *origin;
};

struct cli_show {
    struct run_observer observer; /* first */
    pthread_mutex_t mutex;        /* of everything below: events come from several threads */
    struct redactor *secrets;
    int fd;
    bool is_terminal;
    int64_t seq, started_us;
    int drawn; /* lines of the table on the screen */
    const struct progress *progress;
    struct origin_log logs[3];
};

/* What cannot be written is lost: the run matters more than its display. */
static void put_out(const struct cli_show *s, const struct buf *b)
{
    for (size_t done = 0; done < b->len;) {
        ssize_t n = write(s->fd, b->data + done, b->len - done);

        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

/* ------------------------------------------------------------------ on a terminal */

/* "1,234,567" */
static void put_number(struct buf *out, int64_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n);

    for (int i = 0; i < len; i++) {
        buf_putc(out, digits[i]);
        if ((len - i - 1) % 3 == 0 && i + 1 < len && digits[i] != '-')
            buf_putc(out, ',');
    }
}

static int64_t per_second(int64_t n, int64_t us)
{
    return us > 0 ? (int64_t)((double)n * 1e6 / (double)us) : 0;
}

static void put_row(struct buf *out, const char *name, const char *status,
                    const struct stream_progress *p, int64_t elapsed_us)
{
    int64_t committed = counts_records_committed(&p->committed);
    char clean[NAME_COLUMNS + 1];
    size_t length = strnlen(name, NAME_COLUMNS);

    for (size_t n = 0; n < length; n++)
        clean[n] = (unsigned char)name[n] < 0x20 ? '?' : name[n];
    clean[length] = '\0';
    buf_printf(out, "\x1b[K  %-*s %-10s ", NAME_COLUMNS, clean, status);
    put_number(out, p->rows_read);
    buf_puts(out, " read, ");
    put_number(out, committed);
    buf_puts(out, " committed");
    if (p->committed.quarantined_rows > 0) {
        buf_puts(out, ", ");
        put_number(out, p->committed.quarantined_rows);
        buf_puts(out, " rejected");
    }
    if (elapsed_us > 0) {
        buf_puts(out, ", ");
        put_number(out, per_second(p->rows_read, elapsed_us));
        buf_puts(out, " rows/s");
    }
    buf_putc(out, '\n');
}

static void erase(struct cli_show *s, struct buf *out)
{
    if (s->drawn > 0)
        buf_printf(out, "\x1b[%dA\r\x1b[J", s->drawn);
    s->drawn = 0;
}

static void draw(struct cli_show *s, struct buf *out)
{
    int64_t elapsed_us = clock_monotonic_us() - s->started_us;
    struct stream_progress p;
    size_t n;

    if (!s->progress)
        return;
    n = progress_n(s->progress);
    for (size_t i = 0; i < n && i < MAX_SHOWN; i++) {
        progress_get(s->progress, i, &p);
        put_row(out, p.name, stream_status_name(p.status), &p, 0);
        s->drawn++;
    }
    progress_total(s->progress, &p);
    put_row(out, n > MAX_SHOWN ? "all streams" : "in all", "", &p, elapsed_us);
    s->drawn++;
}

static void redraw(struct cli_show *s)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 16);

    erase(s, &out);
    draw(s, &out);
    put_out(s, &out);
}

/* A line above the table. */
static void say(struct cli_show *s, const char *text, size_t n)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 17);

    erase(s, &out);
    buf_put(&out, text, n);
    buf_putc(&out, '\n');
    draw(s, &out);
    put_out(s, &out);
}

/* ----------------------------------------------------------------------- events */

static void on_event(struct run_observer *o, const char *type, const char *members)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(1 << 17), clean = BUF_INIT(1 << 17);
    struct cli_show *s = (struct cli_show *)o;
    LOCK_GUARD(&s->mutex);

    if (s->is_terminal) {
        redraw(s);
        return;
    }
    redactor_put_json(s->secrets, &clean, members, strlen(members));
    event_put(&line, ++s->seq, clock_unix_us(), type, buf_str(&clean));
    put_out(s, &line);
}

/* The destination keeps the state; there is no copy. */
static void on_copy(struct run_observer *o, const struct state_copy *rows, size_t n)
{
    (void)o;
    (void)rows;
    (void)n;
}

static void on_tick(struct run_observer *o)
{
    struct cli_show *s = (struct cli_show *)o;
    LOCK_GUARD(&s->mutex);

    if (s->is_terminal)
        redraw(s);
}

static void emit(struct log *log, enum log_level level, const struct log_line *line)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT(1 << 17), text = BUF_INIT(1 << 17);
    CLEANUP(buf_release) struct buf texts = BUF_INIT(1 << 20);
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct origin_log *o = (struct origin_log *)log;
    struct cli_show *s = o->show;
    struct error err = ERROR_INIT;
    struct log_line clean;
    LOCK_GUARD(&s->mutex);

    redactor_line(s->secrets, line, &texts, &clean);
    event_put_log(&json, ++s->seq, clock_unix_us(), level, o->origin, &clean);
    if (!s->is_terminal) {
        put_out(s, &json);
    } else if (level >= LOG_WARN && doc_parse_trusted(json.data, json.len - 1, &d, &err) == 0) {
        logtext_put(&text, d, false);
        say(s, buf_str(&text), text.len);
    }
}

struct cli_show *cli_show_new(int fd, struct redactor *secrets)
{
    static const char *const origins[] = {"source", "destination", "engine"};
    struct cli_show *s = xalloc(sizeof *s);

    s->observer = (struct run_observer){
        .event = on_event, .copy = on_copy, .tick = on_tick, .tick_ms = TICK_MS};
    pthread_mutex_init(&s->mutex, NULL);
    s->secrets = secrets;
    s->fd = fd;
    s->is_terminal = isatty(fd);
    s->started_us = clock_monotonic_us();
    for (size_t i = 0; i < 3; i++)
        s->logs[i] = (struct origin_log){{.emit = emit, .threshold = LOG_INFO}, s, origins[i]};
    return s;
}

void cli_show_free(struct cli_show *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

struct run_observer *cli_show_observer(struct cli_show *s)
{
    return &s->observer;
}

struct log *cli_show_log(struct cli_show *s, const char *origin)
{
    for (size_t i = 0; i < 3; i++) {
        if (!strcmp(s->logs[i].origin, origin))
            return &s->logs[i].log;
    }
    abort();
}

void cli_show_begin(struct cli_show *s, const struct progress *progress)
{
    LOCK_GUARD(&s->mutex);

    s->progress = progress;
    s->started_us = clock_monotonic_us();
}

static void put_last_words(struct cli_show *s, const struct run_result *r, struct buf *out)
{
    erase(s, out);
    draw(s, out);
    s->drawn = 0;
    buf_puts(out, run_outcome_name(r->outcome));
    if (r->error.code != ERR_NONE)
        buf_printf(out, ": %s: %s (%s)", fault_origin_name(r->origin), r->error.message,
                   error_reason(&r->error));
    buf_printf(out, ", %.1f s\n", (double)r->duration_us / 1e6);
}

/* With the numbers of each stream, as long as a line has room for them. */
static void put_end(const struct run_result *r, const struct progress *progress, struct buf *out)
{
    static const enum end_detail details[] = {END_STREAMS, END_TOTALS};

    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        struct jsonw w = JSONW_INIT(out);

        buf_clear(out);
        run_put_end(&w, r, progress, details[i]);
        if (!out->failed && out->len < LOGSTREAM_MAX_LINE - HEAD_BYTES)
            return;
    }
}

void cli_show_end(struct cli_show *s, const struct run_result *r, const struct progress *progress)
{
    CLEANUP(buf_release) struct buf members = BUF_INIT(1 << 16), out = BUF_INIT(1 << 17);
    CLEANUP(buf_release) struct buf clean = BUF_INIT(1 << 17);
    struct run_result shown = *r;
    LOCK_GUARD(&s->mutex);

    redactor_error(s->secrets, &shown.error);
    if (s->is_terminal) {
        put_last_words(s, &shown, &out);
    } else {
        put_end(&shown, progress, &members);
        redactor_put_json(s->secrets, &clean, buf_str(&members), members.len);
        event_put(&out, ++s->seq, clock_unix_us(), "end", buf_str(&clean));
    }
    put_out(s, &out);
}

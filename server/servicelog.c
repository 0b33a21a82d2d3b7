#include "server/servicelog.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/base/buf.h"
#include "connectors/base/cleanup.h"
#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/metric.h"
#include "connectors/base/redact.h"
#include "connectors/base/text.h"

#define MAX_CALLERS 8

struct caller_log {
    struct log log; /* first */
    const char *caller;
};

/* Held for a write only: whoever finds it taken does better to wait a moment than to sleep. */
static pthread_mutex_t mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static struct caller_log callers[MAX_CALLERS];
static size_t n_callers;
static _Atomic int least;
static int out_fd = STDOUT_FILENO;
static bool may_block = true;
static int64_t dropped;

void servicelog_init(int fd, enum log_level threshold)
{
    struct stat st;

    out_fd = fd;
    may_block = fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
    servicelog_set_level(threshold);
}

void servicelog_set_level(enum log_level threshold)
{
    atomic_store(&least, (int)threshold);
}

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (h ^ 0xff) * 1099511628211u;
}

static void put_tags(struct jsonw *w, const struct log_line *line, size_t most)
{
    jsonw_key(w, "tags");
    jsonw_object(w);
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        const struct log_field *f = &line->fields[i];

        jsonw_key(w, f->key);
        if (f->text)
            jsonw_string_n(w, f->text, text_utf8_prefix(f->text, strlen(f->text), most));
        else
            jsonw_int(w, f->number);
    }
    jsonw_object_end(w);
}

/* Cut until it fits: a byte of text becomes at most six. */
static void put_line(struct buf *out, enum log_level level, const char *caller,
                     const struct log_line *line)
{
    static const size_t most[] = {1024, 256, 64};
    char now[CLOCK_TEXT_BYTES];

    clock_format_us(clock_unix_us(), now);
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        struct jsonw w = JSONW_INIT(out);

        buf_clear(out);
        jsonw_object(&w);
        jsonw_put_string(&w, "timestamp", now);
        jsonw_put_string(&w, "level", log_level_name(level));
        jsonw_put_string(&w, "message", line->message);
        jsonw_put_string(&w, "caller", caller);
        put_tags(&w, line, most[i]);
        jsonw_object_end(&w);
        buf_putc(out, '\n');
        if (out->len <= SERVICELOG_MAX_LINE)
            return;
    }
}

static bool write_now(const struct buf *line)
{
    struct pollfd p = {.fd = out_fd, .events = POLLOUT};

    if (may_block && (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT)))
        return false;
    return write(out_fd, line->data, line->len) == (ssize_t)line->len;
}

static void drop(void)
{
    dropped++;
    metric_add(METRIC_LOG_DROPPED, 1);
}

/* Tells first how many lines had to be dropped before. With the mutex held. */
static void put_out(const struct buf *text, enum log_level level, const char *caller)
{
    if (dropped > 0) {
        CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 16);
        struct log_line lost = {.message = "log lines dropped",
                                .fields = {log_int("lines", dropped)}};

        put_line(&b, LOG_WARN, caller, &lost);
        if (!write_now(&b)) {
            drop();
            return;
        }
        dropped = 0;
    }
    metric_add_for(METRIC_LOG_LINES, METRIC_LABELS(log_level_name(level)), 1);
    if (!write_now(text))
        drop();
}

/* ---------------------------------------------------------------------- repeats */

#define REPEAT_SLOTS 16
#define REPEAT_MOST  10 /* equal lines in REPEAT_US that come through */
#define REPEAT_US    1000000

/* What was said lately, by the hash of the line. */
static struct repeat {
    uint64_t hash;
    int64_t since_us;
    int64_t n; /* 0 = nothing */
    enum log_level level;
    const char *caller, *message;
} repeats[REPEAT_SLOTS];

static uint64_t hash_line(enum log_level level, const char *caller, const struct log_line *line)
{
    uint64_t h = hash_text(hash_text((uint64_t)level + 1, caller), line->message);

    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        const struct log_field *f = &line->fields[i];

        h = hash_text(h, f->key);
        h = f->text ? hash_text(h, f->text) : (h ^ (uint64_t)f->number) * 1099511628211u;
    }
    return h;
}

static void sum_up(struct repeat *r)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 16);
    struct log_line line = {
        .message = "log lines left out because they repeat",
        .fields = {log_text("line", r->message), log_int("lines", r->n - REPEAT_MOST)}};

    if (r->n > REPEAT_MOST) {
        put_line(&b, r->level, r->caller, &line);
        put_out(&b, r->level, r->caller);
    }
    r->n = 0;
}

/* True when the line has come often enough in this second. With the mutex held. */
static bool is_repeated(uint64_t hash, enum log_level level, const char *caller,
                        const char *message)
{
    struct repeat *mine = &repeats[hash % REPEAT_SLOTS];
    int64_t now_us = clock_monotonic_us();

    for (size_t i = 0; i < REPEAT_SLOTS; i++) {
        if (repeats[i].n > 0 && now_us - repeats[i].since_us >= REPEAT_US)
            sum_up(&repeats[i]);
    }
    if (mine->n > 0 && mine->hash != hash)
        sum_up(mine);
    if (mine->n == 0)
        *mine = (struct repeat){hash, now_us, 0, level, caller, message};
    if (++mine->n <= REPEAT_MOST)
        return false;
    metric_add(METRIC_LOG_REPEATED, 1);
    return true;
}

static void emit(struct log *log, enum log_level level, const struct log_line *line)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 16), texts = BUF_INIT(1 << 20);
    const char *caller = ((struct caller_log *)log)->caller;
    struct log_line clean = *line;
    uint64_t hash;

    if ((int)level < atomic_load(&least))
        return;
    if (!redact_live_is_empty())
        redact_live_line(line, &texts, &clean);
    clean.message = line->message; /* a constant, which is remembered */
    hash = hash_line(level, caller, &clean);
    put_line(&b, level, caller, &clean);
    {
        LOCK_GUARD(&mutex);

        if (!is_repeated(hash, level, caller, clean.message))
            put_out(&b, level, caller);
    }
}

struct log *servicelog_for(const char *caller)
{
    LOCK_GUARD(&mutex);

    assert(n_callers < MAX_CALLERS);
    callers[n_callers] = (struct caller_log){{.emit = emit, .threshold = LOG_DEBUG}, caller};
    return &callers[n_callers++].log;
}

#include "server/servicelog.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/buf.h"
#include "connectors/base/cleanup.h"
#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/metric.h"
#include "connectors/base/text.h"

#define MAX_CALLERS 8

struct caller_log {
    struct log log; /* first */
    const char *caller;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct caller_log callers[MAX_CALLERS];
static size_t n_callers;
static enum log_level least;
static int out_fd = STDOUT_FILENO;
static int64_t dropped;

void servicelog_init(int fd, enum log_level threshold)
{
    out_fd = fd;
    least = threshold;
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

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) &&
           write(out_fd, line->data, line->len) == (ssize_t)line->len;
}

static void drop(void)
{
    dropped++;
    metric_add(METRIC_LOG_DROPPED, 1);
}

static void emit(struct log *log, enum log_level level, const struct log_line *line)
{
    CLEANUP(buf_release) struct buf b = BUF_INIT(1 << 16);
    const char *caller = ((struct caller_log *)log)->caller;
    LOCK_GUARD(&mutex);

    if (dropped > 0) {
        struct log_line lost = {.message = "log lines dropped",
                                .fields = {log_int("lines", dropped)}};

        put_line(&b, LOG_WARN, caller, &lost);
        if (!write_now(&b)) {
            drop();
            return;
        }
        dropped = 0;
    }
    put_line(&b, level, caller, line);
    metric_add_for(METRIC_LOG_LINES, METRIC_LABELS(log_level_name(level)), 1);
    if (!write_now(&b))
        drop();
}

struct log *servicelog_for(const char *caller)
{
    LOCK_GUARD(&mutex);

    assert(n_callers < MAX_CALLERS);
    callers[n_callers] = (struct caller_log){{.emit = emit, .threshold = least}, caller};
    return &callers[n_callers++].log;
}

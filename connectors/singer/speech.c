#include "connectors/singer/speech.h"

#include <ctype.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/doc.h"
#include "connectors/base/redact.h"
#include "connectors/base/text.h"

/* How loggers of several languages spell the levels. */
static const struct word {
    const char *name;
    enum log_level level;
} words[] = {
    {"TRACE", LOG_DEBUG}, {"DEBUG", LOG_DEBUG},    {"INFO", LOG_INFO},   {"NOTICE", LOG_INFO},
    {"WARN", LOG_WARN},   {"WARNING", LOG_WARN},   {"ERROR", LOG_ERROR}, {"EXCEPTION", LOG_ERROR},
    {"FATAL", LOG_ERROR}, {"CRITICAL", LOG_ERROR},
};

static bool find_level(const char *s, size_t n, enum log_level *out)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].name) == n && !strncasecmp(words[i].name, s, n)) {
            *out = words[i].level;
            return true;
        }
    }
    return false;
}

/* {"level":"INFO","message":"..","tags":..}: the message, and behind it whatever else is said. */
static bool level_of_json(const char *line, size_t n, struct buf *scratch, enum log_level *out)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    struct error err = ERROR_INIT;
    const char *level, *message;

    if (n == 0 || *line != '{' || doc_parse(line, n, &d, &err) < 0)
        return false;
    level = doc_string(doc_get(d, "level"), doc_string(doc_get(d, "levelname"), ""));
    message = doc_string(doc_get(d, "message"),
                         doc_string(doc_get(d, "msg"), doc_string(doc_get(d, "event"), NULL)));
    if (!find_level(level, strlen(level), out) || !message)
        return false;
    buf_clear(scratch);
    buf_puts(scratch, message);
    return true;
}

/* "time=2024-01-02 level=INFO message=hello": the pair decides, the message ends the line. */
static bool level_of_pairs(const char *line, size_t n, enum log_level *out, struct slice *message)
{
    const char *level = memmem(line, n, "level=", 6);
    const char *said = memmem(line, n, "message=", 8);
    size_t k = 0;

    if (!level)
        return false;
    level += 6;
    while (level + k < line + n && isalpha((unsigned char)level[k]))
        k++;
    if (!find_level(level, k, out))
        return false;
    if (said)
        *message = (struct slice){said + 8, (size_t)(line + n - said) - 8};
    return true;
}

/* A level among the first words, in front of which stand only a time, a name or brackets. */
static bool level_of_words(const char *line, size_t n, enum log_level *out, struct slice *message)
{
    size_t at = 0;

    for (int word = 0; word < 5 && at < n; word++) {
        size_t from, to;

        while (at < n && strchr(" \t[]|:-", line[at]))
            at++;
        from = at;
        while (at < n && !strchr(" \t[]|", line[at]))
            at++;
        to = at;
        while (to > from && strchr(":-,", line[to - 1]))
            to--;
        /* A sentence may begin with "Error"; a level is written in capitals. */
        if (to > from && isupper((unsigned char)line[to - 1]) &&
            find_level(line + from, to - from, out)) {
            while (at < n && strchr(" \t[]|:-", line[at]))
                at++;
            *message = (struct slice){line + at, n - at};
            return true;
        }
    }
    return false;
}

enum log_level speech_level(const char *line, size_t n, struct buf *scratch,
                            struct slice *out_message)
{
    enum log_level level = LOG_INFO;

    *out_message = (struct slice){line, n};
    if (level_of_json(line, n, scratch, &level))
        *out_message = (struct slice){buf_str(scratch), scratch->len};
    else if (!level_of_pairs(line, n, &level, out_message))
        (void)level_of_words(line, n, &level, out_message);
    return level;
}

/* ---------------------------------------------------------------------- speaking */

void speech_init(struct speech *s, struct log *log, const char *program, struct string_list secrets)
{
    *s = (struct speech){.log = log,
                         .program = program,
                         .redactor = redactor_new(),
                         .line = BUF_INIT(SPEECH_MAX_LINE + 64),
                         .last = BUF_INIT(SPEECH_MAX_LINE),
                         .allowance = SPEECH_BURST,
                         .filled_us = clock_monotonic_us()};
    redactor_add_list(s->redactor, secrets.items, secrets.n);
}

void speech_release(struct speech *s)
{
    redactor_free(s->redactor);
    buf_release(&s->line);
    buf_release(&s->last);
}

const char *speech_last(const struct speech *s)
{
    return buf_str(&s->last);
}

/* Valid UTF-8 in which no secret stands. */
static void put_clean(const struct speech *s, struct slice text, struct buf *out)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(SPEECH_MAX_LINE * 4);

    if (s->cut)
        redactor_put_cut(s->redactor, &clean, text.ptr, text.len);
    else
        redactor_put(s->redactor, &clean, text.ptr, text.len);
    text_put_utf8(out, buf_str(&clean), clean.len);
}

static bool may_speak(struct speech *s)
{
    int64_t now_us = clock_monotonic_us();
    int64_t more = (now_us - s->filled_us) * SPEECH_PER_SECOND / 1000000;

    if (more > 0) {
        s->allowance += more;
        s->allowance = s->allowance < SPEECH_BURST ? s->allowance : SPEECH_BURST;
        s->filled_us = now_us;
    }
    if (s->allowance == 0) {
        s->dropped++;
        return false;
    }
    s->allowance--;
    return true;
}

static void keep_last(struct speech *s, enum log_level level, const struct buf *text)
{
    if (s->last_is_error && level != LOG_ERROR)
        return;
    s->last_is_error = level == LOG_ERROR;
    buf_clear(&s->last);
    buf_put(&s->last, buf_str(text), text_utf8_prefix(buf_str(text), text->len, 400));
}

static void end_line(struct speech *s)
{
    CLEANUP(buf_release) struct buf scratch = BUF_INIT(SPEECH_MAX_LINE * 2);
    CLEANUP(buf_release) struct buf clean = BUF_INIT(SPEECH_MAX_LINE * 4);
    struct slice message;
    enum log_level level;

    while (s->line.len > 0 && s->line.data[s->line.len - 1] == '\r')
        s->line.len--;
    if (s->line.len > 0) {
        level = speech_level(s->line.data, s->line.len, &scratch, &message);
        put_clean(s, message, &clean);
        if (s->cut)
            buf_puts(&clean, " [cut]");
        keep_last(s, level, &clean);
        if (may_speak(s))
            log_emit(s->log, level,
                     &(struct log_line){.message = "the program says",
                                        .fields = {log_text("program", s->program),
                                                   log_text("text", buf_str(&clean))}});
    }
    buf_clear(&s->line);
    s->cut = false;
}

void speech_take(struct speech *s, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *newline = memchr(bytes, '\n', n);
        size_t k = newline ? (size_t)(newline - bytes) : n;
        size_t room = SPEECH_MAX_LINE - s->line.len;

        buf_put(&s->line, bytes, k < room ? k : room);
        s->cut |= k > room;
        if (!newline)
            return;
        end_line(s);
        bytes += k + 1;
        n -= k + 1;
    }
}

void speech_end(struct speech *s)
{
    if (s->line.len > 0)
        end_line(s);
    if (s->dropped > 0)
        log_warn(s->log, .message = "the program said more than is kept",
                 .fields = {log_text("program", s->program), log_int("lines", s->dropped)});
    s->dropped = 0;
}

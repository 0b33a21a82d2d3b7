/*
 * G1: whatever a log line is told, it is one line, one JSON object, UTF-8, and nothing in it is
 * obeyed by a terminal or taken for the end of a line. For the log of the service and of a run.
 *
 * Input: the text of a field.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/doc.h"
#include "connectors/base/text.h"
#include "server/servicelog.h"
#include "server/sync/event.h"
#include "server/sync/logstream.h"
#include "tests/fuzz/fuzz.h"

static bool is_obeyed(const unsigned char *s)
{
    return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0) ||
           (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9));
}

/* `message`: what the member is called; `told`: what the field must say, NULL when it may have been
 * cut or mended. */
static void check(const char *line, size_t n, const char *message, const char *told)
{
    struct error err = ERROR_INIT;
    struct doc *d;

    MUST(n > 0 && line[n - 1] == '\n');
    MUST(text_is_utf8(line, n));
    for (size_t i = 0; i + 1 < n; i++)
        MUST(!is_obeyed((const unsigned char *)line + i));
    MUST(doc_parse(line, n - 1, &d, &err) == 0);
    MUST(strcmp(doc_string(doc_get(d, message), ""), "said") == 0);
    MUST(!told || strcmp(doc_string(doc_get(doc_get(d, "tags"), "text"), ""), told) == 0);
    doc_free(d);
}

static void check_service(const char *text, const char *told)
{
    static char line[2 * SERVICELOG_MAX_LINE];
    static struct log *log;
    static int ends[2];
    static int64_t n; /* no two lines are alike, since those are summed up */
    ssize_t got;

    if (!log) {
        MUST(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
        servicelog_init(ends[1], LOG_INFO);
        log = servicelog_for("fuzz");
    }
    log_info(log, .message = "said", .fields = {log_text("text", text), log_int("n", n++)});
    got = read(ends[0], line, sizeof line - 1);
    MUST(got > 0 && got <= SERVICELOG_MAX_LINE);
    line[got] = '\0';
    check(line, (size_t)got, "message", told);
}

static void check_run(const char *text, const char *told)
{
    struct buf line = BUF_INIT((size_t)1 << 24);
    struct log_line said = {.message = "said", .fields = {log_text("text", text)}};

    event_put_log(&line, 1, 1, LOG_INFO, "source", &said);
    MUST(!line.failed && line.len <= LOGSTREAM_MAX_LINE);
    check(buf_str(&line), line.len, "msg", told);
    buf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *told;

    MUST(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    told = strlen(text) <= 64 && text_is_utf8(text, strlen(text)) ? text : NULL;
    check_service(text, told);
    check_run(text, told);
    free(text);
    return 0;
}

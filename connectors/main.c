/*
 * What every connector program does before and beside its sync: configuration, answers about the
 * connector itself, the log, signals.
 */
#include "connectors/main.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "connectors/base/hash.h"
#include "connectors/base/jsonwrite.h"
#include "connectors/base/text.h"
#include "connectors/main_run.h"

#define MAX_LINE_BYTES ((size_t)1 << 20)

/* ---------------------------------------------------------------------- output */

int main_write(const char *bytes, size_t n, struct error *err)
{
    while (n > 0) {
        ssize_t done = write(STDOUT_FILENO, bytes, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_set_errno(err, errno, "writing to standard output");
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

int main_answer(struct buf *text)
{
    struct error err = ERROR_INIT;

    buf_putc(text, '\n');
    if (buf_ok(text, "the answer", &err) < 0 || main_write(text->data, text->len, &err) < 0)
        return main_fail(&err);
    return MAIN_DONE;
}

int main_fail(const struct error *err)
{
    fprintf(stderr, "%s (%s)\n", err->message, error_reason(err));
    return MAIN_FAILED;
}

int main_refuse(const char *what, const struct problems *problems)
{
    fprintf(stderr, "the %s is wrong:\n", what);
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *p = &problems->items[i];

        fprintf(stderr, "  %s: %s (%s)\n", *p->pointer ? p->pointer : "(the whole)", p->message,
                p->code);
    }
    if (problems->dropped > 0)
        fprintf(stderr, "  and %zu more\n", problems->dropped);
    return MAIN_USAGE;
}

/* ------------------------------------------------------------------------- log */

struct stream_log {
    struct log log; /* first */
    int fd;
    const char *caller;
};

/* A line as Mage's framework writes it: {"caller", "timestamp", "level", "message", "tags"}. */
static void emit(struct log *log, enum log_level level, const struct log_line *line)
{
    const struct stream_log *to = (struct stream_log *)log;
    CLEANUP(buf_release) struct buf b = BUF_INIT(MAX_LINE_BYTES);
    struct jsonw w = JSONW_INIT(&b);
    char now[CLOCK_TEXT_BYTES];
    ssize_t ignored;

    clock_format_us(clock_unix_us(), now);
    jsonw_object(&w);
    jsonw_put_string(&w, "caller", to->caller);
    jsonw_put_string(&w, "timestamp", now);
    jsonw_put_string(&w, "level", log_level_name(level));
    jsonw_put_string(&w, "message", line->message);
    jsonw_key(&w, "tags");
    jsonw_object(&w);
    for (size_t i = 0; i < LOG_MAX_FIELDS && line->fields[i].key; i++) {
        if (line->fields[i].text)
            jsonw_put_string(&w, line->fields[i].key, line->fields[i].text);
        else
            jsonw_put_int(&w, line->fields[i].key, line->fields[i].number);
    }
    jsonw_object_end(&w);
    jsonw_object_end(&w);
    buf_putc(&b, '\n');
    ignored = b.failed ? 0 : write(to->fd, b.data, b.len); /* what is lost is a line of a log */
    (void)ignored;
}

/* ------------------------------------------------------------------- documents */

static int read_all(const char *path, struct buf *out, struct error *err)
{
    bool is_stdin = !strcmp(path, "-");
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    do {
        char *room = buf_reserve(out, 1 << 16);

        n = room ? read(fd, room, 1 << 16) : 0;
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    if (!is_stdin)
        close(fd);
    if (n < 0)
        return error_set_errno(err, errno, "reading \"%s\"", path);
    return buf_ok(out, path, err);
}

bool main_document(const char *what, const char *path, const char *json, struct doc **out)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAIN_MAX_FILE_BYTES);
    struct error err = ERROR_INIT;

    *out = NULL;
    if (!path && !json)
        return true;
    if (json)
        buf_puts(&text, json);
    /* A catalog of thousands of tables passes the limits of a request; it is the user's own. */
    if ((path && read_all(path, &text, &err) < 0) ||
        doc_parse_trusted(buf_str(&text), text.len, out, &err) < 0) {
        fprintf(stderr, "the %s: %s\n", what, err.message);
        return false;
    }
    return true;
}

/* ----------------------------------------------------------------- the connector */

static int show_template(const struct main_connector *c)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAIN_MAX_FILE_BYTES);
    CLEANUP(doc_free_cleanup) struct doc *d = doc_new_object();

    doc_set(d, "config", options_template(c->options, false));
    doc_write(d, &text);
    return main_answer(&text);
}

static void put_destination(struct doc *d, const struct destination_connector *c)
{
    struct doc *modes = doc_new_array();

    for (int i = WRITE_OVERWRITE; i <= WRITE_INSERT_ONLY; i++) {
        if (c->write_modes & 1u << i)
            doc_append(modes, doc_new_string(write_mode_name((enum write_mode)i)));
    }
    doc_set(d, "write_modes", modes);
    doc_set(d, "delivery", doc_new_string(c->delivery));
    doc_set(d, "value_policies", doc_new_bool(c->value_policies));
}

/* {"kind", "name", "title", "docs", "api", "config_schema", "template"} and what only a source
 * (filters_rows) or a destination (write_modes, delivery, value_policies) has. */
static int show_spec(const struct main_connector *c)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAIN_MAX_FILE_BYTES);
    CLEANUP(doc_free_cleanup) struct doc *d = doc_new_object();

    doc_set(d, "kind", doc_new_string(c->source ? "source" : "destination"));
    doc_set(d, "name", doc_new_string(c->name));
    doc_set(d, "title", doc_new_string(c->title));
    doc_set(d, "docs", doc_new_string(c->docs));
    doc_set(d, "api", doc_new_int(CONNECTORD_API));
    doc_set(d, "config_schema", options_schema(c->options));
    doc_set(d, "template", options_template(c->options, false));
    if (c->source)
        doc_set(d, "filters_rows", doc_new_bool(c->source->filters_rows));
    else
        put_destination(d, c->destination);
    doc_write(d, &text);
    return main_answer(&text);
}

/* Arguments of a process are no secret. */
static void warn_of_secrets(const struct main_run *p)
{
    for (const struct option *o = p->connector->options; o->name; o++) {
        const struct doc *value = doc_get(p->config_doc, o->name);

        if ((o->flags & OPTION_SECRET) && value && !doc_is(value, DOC_NULL))
            log_warn(p->run.log,
                     .message = "a secret stands on the command line, where every user of the "
                                "machine can see it: use --config with a file or standard input",
                     .fields = {log_text("option", o->name)});
    }
}

static bool decode_config(struct main_run *p, struct doc *d, struct problems *problems)
{
    const struct main_connector *c = p->connector;
    void *config = arena_alloc(p->run.mem, c->config_size);

    if (c->config_start)
        memcpy(config, c->config_start, c->config_size);
    p->config_doc = d;
    p->config = config;
    if (d && !doc_is(d, DOC_OBJECT)) {
        problems_add(problems, "", "wrong_type", "expected an object, found %s",
                     doc_kind_name(doc_kind(d)));
        return false;
    }
    return options_decode(c->options, d, "", config, p->run.mem, problems);
}

static int test_connection(struct main_run *p)
{
    const struct main_connector *c = p->connector;
    struct error err = ERROR_INIT;
    int rc = c->source ? c->source->check(p->config, &p->run, &err)
                       : c->destination->check(p->config, &p->run, &err);

    return rc < 0 ? main_fail(&err) : MAIN_DONE;
}

static int with_config(struct main_run *p, int (*work)(struct main_run *p))
{
    CLEANUP(doc_free_cleanup) struct doc *config = NULL;
    struct problems problems = PROBLEMS_INIT(p->run.mem);

    if (!main_document("configuration", p->line.config, p->line.config_json, &config))
        return MAIN_USAGE;
    if (!decode_config(p, config, &problems))
        return main_refuse("configuration", &problems);
    if (p->line.config_json)
        warn_of_secrets(p);
    return p->line.test_connection ? test_connection(p) : work(p);
}

/* --------------------------------------------------------------------- signals */

static struct cancel *interrupted; /* by a signal; set once before the handlers are */

static void on_signal(int number)
{
    (void)number;
    cancel_request(interrupted, CANCEL_USER); /* an atomic exchange and a write */
}

/* The first one ends the sync in good order, a second one the process. */
static void catch_signals(struct cancel *cancel)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    signal(SIGPIPE, SIG_IGN);
    interrupted = cancel;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Destinations tell a second attempt of a run from another run by its id. */
static const char *fresh_id(struct arena *mem)
{
    unsigned char random[8];
    char text[2 * sizeof random + 1];

    hash_random(random, sizeof random);
    text_hex(random, sizeof random, text);
    return arena_printf(mem, "singer-%s", text);
}

static int run_program(struct main_run *p, int (*work)(struct main_run *p))
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct stream_log log = {{.emit = emit, .threshold = LOG_INFO},
                             p->line.log_to_stdout ? STDOUT_FILENO : STDERR_FILENO,
                             p->connector->name};
    struct error err = ERROR_INIT;
    struct cancel *cancel;

    if (cancel_new(&cancel, &err) < 0)
        return main_fail(&err);
    catch_signals(cancel);
    p->run = (struct run){.mem = mem,
                          .cancel = cancel,
                          .log = &log.log,
                          .id = fresh_id(mem),
                          .started_unix_us = clock_unix_us()};
    /* The token stays: a signal may still come. */
    return with_config(p, work);
}

int main_run(int argc, char **argv, const struct main_connector *c, int (*work)(struct main_run *p))
{
    struct main_run p = {.connector = c};

    if (!main_line_read(argc, argv, c->kind, &p.line)) {
        fprintf(stderr, "--help shows the flags\n");
        return MAIN_USAGE;
    }
    if (p.line.help) {
        main_line_help(c->name, c->kind, stdout);
        return MAIN_DONE;
    }
    if (p.line.show_templates)
        return show_template(c);
    if (p.line.spec)
        return show_spec(c);
    return run_program(&p, work);
}

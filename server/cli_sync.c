/*
 * connectord sync FILE: one connection, described in a file, without a server.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/docyaml.h"
#include "connectors/base/hash.h"
#include "connectors/base/text.h"
#include "connectors/secret.h"
#include "server/cli.h"
#include "server/cli_show.h"
#include "server/policies.h"
#include "server/sync/setup.h"

#define MAX_FILE_BYTES ((size_t)8 << 20)

struct file {
    const struct doc *source, *destination, *streams, *settings;
    const char *name;
    bool full_refresh;
};

struct endpoint {
    const char *connector;
    const struct doc *config;
};

static void check_streams(const struct doc *value, const char *pointer, struct problems *problems)
{
    (void)selection_check(value, pointer, problems);
}

/* clang-format off */
static const struct option endpoint_options[] = {
    OPTION(struct endpoint, connector, .title = "Connector", .flags = OPTION_REQUIRED,
           .help = "Its name, such as sample or sqlite."),
    OPTION(struct endpoint, config, .title = "Configuration", .help = "As its schema says."),
    OPTIONS_END,
};
static const struct option file_options[] = {
    OPTION(struct file, source, .title = "Source", .flags = OPTION_REQUIRED, .help = "Where rows come from."),
    OPTION(struct file, destination, .title = "Destination", .flags = OPTION_REQUIRED, .help = "Where they go."),
    OPTION(struct file, streams, .title = "Streams", .check = check_streams,
           .help = "Which streams, and how; all of them when absent."),
    OPTION(struct file, name, .title = "Name", .min = 1, .max = 200,
           .help = "Owner of the state at the destination; the file's name when absent."),
    OPTION(struct file, full_refresh, .title = "Full refresh", .def = "false",
           .help = "Forget positions and read everything again."),
    OPTION(struct file, settings, .title = "Settings",
           .help = "As the settings of a connection."),
    OPTIONS_END,
};
/* clang-format on */

/* Everything that is known before the source is asked. */
struct plan {
    struct file file;
    struct source_setup source;
    struct destination_setup destination;
    struct sync_settings settings;
};

static int read_all(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "opening \"%s\"", path);
    do {
        char *room = buf_reserve(out, 1 << 16);

        n = room ? read(fd, room, 1 << 16) : 0;
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    if (n < 0)
        return error_set_errno(err, errno, "reading \"%s\"", path);
    return buf_ok(out, path, err);
}

/* Goes on after a mistake, so that all of them are seen at once. */
static bool make_plan(const struct doc *d, const char *path, struct arena *mem, struct plan *out,
                      struct problems *problems)
{
    struct endpoint source = {0}, destination = {0};
    size_t before = problems->n;

    if (!doc_is(d, DOC_OBJECT)) {
        problems_add(problems, "", "wrong_type", "expected an object, found %s",
                     doc_kind_name(doc_kind(d)));
        return false;
    }
    (void)options_decode(file_options, d, "", &out->file, mem, problems);
    if (doc_is(out->file.source, DOC_OBJECT) &&
        options_decode(endpoint_options, out->file.source, "/source", &source, mem, problems))
        (void)setup_source(source.connector, source.config, "/source", mem, &out->source, problems);
    if (doc_is(out->file.destination, DOC_OBJECT) &&
        options_decode(endpoint_options, out->file.destination, "/destination", &destination, mem,
                       problems))
        (void)setup_destination(destination.connector, destination.config, "/destination", mem,
                                &out->destination, problems);
    (void)sync_settings_decode(out->file.settings, "/settings", mem, &out->settings, problems);
    if (!out->file.name) {
        const char *slash = strrchr(path, '/');

        out->file.name = slash ? slash + 1 : path;
    }
    return problems->n == before;
}

/* ----------------------------------------------------------------------- running */

static struct cancel *interrupted; /* by a signal; set once before the handlers are */

static void on_signal(int number)
{
    (void)number;
    cancel_request(interrupted, CANCEL_USER); /* an atomic exchange and a write */
}

/* The first Ctrl-C stops the run at its last checkpoint, a second one the process. */
static void catch_signals(struct cancel *cancel)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    interrupted = cancel;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int failed_to_begin(struct cli_show *show, const struct error *why)
{
    struct run_result r = {
        .outcome = OUTCOME_FAILED, .error = *why, .origin = ORIGIN_SOURCE, .stream = -1};

    if (why->code == ERR_CANCELLED)
        r.outcome = OUTCOME_CANCELLED;
    cli_show_end(show, &r, NULL);
    return (int)r.outcome;
}

/* A file is easily put right, so nothing runs before it is. */
static void refuse_missing(const struct stream_setup *streams, struct problems *problems)
{
    for (size_t i = 0; i < streams->n_missing; i++)
        problems_add(problems, "/streams", "unknown_stream", "the source has no stream \"%s\"",
                     streams->missing[i]);
}

/* Destinations tell a second attempt of a run from another run by its id. */
static const char *fresh_id(struct arena *mem)
{
    unsigned char random[8];
    char text[2 * sizeof random + 1];

    hash_random(random, sizeof random);
    text_hex(random, sizeof random, text);
    return arena_printf(mem, "cli-%s", text);
}

/* A script that looks at nothing else shall not take a run with rejected data for a clean one. */
static int exit_status(const struct run_result *result, const struct progress *progress)
{
    struct stream_progress total;

    progress_total(progress, &total);
    if (result->outcome == OUTCOME_SUCCEEDED &&
        (total.committed.quarantined_rows > 0 || total.committed.quarantined_cells > 0))
        return EXIT_QUARANTINED;
    return (int)result->outcome;
}

static int run_plan(const struct plan *plan, struct cli_show *show, struct cancel *cancel,
                    struct redactor *redactor, struct arena *mem)
{
    struct run run = {.mem = mem,
                      .cancel = cancel,
                      .redactor = redactor,
                      .log = cli_show_log(show, "source"),
                      .id = fresh_id(mem),
                      .started_unix_us = clock_unix_us()};
    struct problems problems = PROBLEMS_INIT(mem);
    struct error err = ERROR_INIT;
    struct stream_setup streams;
    struct progress *progress;
    struct run_result result;
    struct sync_job job;
    int status;

    if (setup_streams(&plan->source, &plan->destination, &run, plan->file.streams, NULL,
                      &plan->settings, &streams, &problems, &err) < 0)
        return failed_to_begin(show, &err);
    refuse_missing(&streams, &problems);
    if (problems.n > 0) {
        cli_print_problems("the selection does not fit the source", &problems);
        return EXIT_BAD_FILE;
    }
    job = (struct sync_job){.run_id = run.id,
                            .pipeline = plan->file.name,
                            .started_unix_us = run.started_unix_us,
                            .source = plan->source.connector,
                            .source_config = plan->source.config,
                            .destination = plan->destination.connector,
                            .destination_config = plan->destination.config,
                            .selection = &streams.selection,
                            .full_refresh = plan->file.full_refresh,
                            .policy = plan->settings.policy,
                            .commit = plan->settings.commit,
                            .max_lanes = RUN_MAX_LANES,
                            .queue_bytes = RUN_QUEUE_BYTES,
                            .cancel = cancel,
                            .redactor = redactor,
                            .source_log = cli_show_log(show, "source"),
                            .destination_log = cli_show_log(show, "destination"),
                            .engine_log = cli_show_log(show, "engine"),
                            .observer = cli_show_observer(show)};
    progress = progress_new(&streams.selection, plan->source.connector->name,
                            plan->destination.connector->name);
    cli_show_begin(show, progress);
    sync_run(&job, progress, &result);
    cli_show_end(show, &result, progress);
    status = exit_status(&result, progress);
    progress_free(progress);
    return status;
}

static int sync_document(const struct doc *d, const char *path)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    CLEANUP(redactor_free_cleanup) struct redactor *redactor = redactor_new();
    struct secrets found = SECRETS_INIT(mem);
    struct problems problems = PROBLEMS_INIT(mem);
    struct error err = ERROR_INIT;
    struct plan plan = {0};
    struct cli_show *show;
    struct cancel *cancel;
    int status;

    if (!make_plan(d, path, mem, &plan, &problems)) {
        cli_print_problems(path, &problems);
        return EXIT_BAD_FILE;
    }
    if (!policies_find_programs(plan.source.connector->name) ||
        !policies_find_programs(plan.destination.connector->name))
        return EXIT_BAD_FILE;
    if (cancel_new(&cancel, &err) < 0) {
        fprintf(stderr, "connectord: %s\n", err.message);
        return EXIT_RUNTIME;
    }
    catch_signals(cancel);
    secrets_add_options(&found, plan.source.connector->options,
                        doc_get(plan.file.source, "config"));
    secrets_add_options(&found, plan.destination.connector->options,
                        doc_get(plan.file.destination, "config"));
    secrets_keep_out(&found, redactor);
    show = cli_show_new(STDOUT_FILENO, redactor);
    status = run_plan(&plan, show, cancel, redactor, mem);
    cli_show_free(show);
    /* The token stays: a signal may still come. */
    return status;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && !strcmp(s + n - k, end);
}

static bool is_yaml(const char *path)
{
    return ends_with(path, ".yaml") || ends_with(path, ".yml");
}

int cli_sync(const struct cli_call *call)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MAX_FILE_BYTES);
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    const char *path = call->argv[0];
    struct error err = ERROR_INIT;

    if (read_all(path, &text, &err) < 0) {
        fprintf(stderr, "connectord: %s\n", err.message);
        return EXIT_BAD_FILE;
    }
    if ((is_yaml(path) ? doc_parse_yaml(buf_str(&text), text.len, &d, &err)
                       : doc_parse(buf_str(&text), text.len, &d, &err)) < 0) {
        fprintf(stderr, "connectord: %s: %s\n", path, err.message);
        return EXIT_BAD_FILE;
    }
    return sync_document(d, path);
}

/*
 * connectord: the service and its subcommands. Starting and stopping read as lists.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "connectors/base/arena.h"
#include "connectors/base/clock.h"
#include "connectors/base/egress.h"
#include "connectors/sql/mysql.h"
#include "connectors/sql/postgres.h"
#include "connectors/sql/sqlite.h"
#include "handlers/routes.h"
#include "server/app.h"
#include "server/cli.h"
#include "server/http/http.h"
#include "server/policies.h"
#include "server/servicelog.h"
#include "server/store/store.h"
#include "server/sync/runs.h"

/* Requests in flight get this long when the service stops; runs have a grace of their own. */
#define HTTP_GRACE_MS 3000

/* Descriptors beside connections: store, logs, what connectors open. */
#define SPARE_DESCRIPTORS 512

/* Who wakes waiting requests: known once the server has started. */
static _Atomic(struct http *) notified;

static void notify(void *arg)
{
    struct http *h = atomic_load((_Atomic(struct http *) *)arg);

    if (h)
        http_notify(h);
}

/* What is open; closed in the opposite order. */
struct service {
    const struct settings *settings;
    struct app app;
    struct log *log;
};

int cli_fail(const struct error *err, const char *what)
{
    fprintf(stderr, "connectord: %s: %s\n", what, err->message);
    if (err->reason && !strcmp(err->reason, "store_in_use"))
        return EXIT_STORE_IN_USE;
    if (err->reason &&
        (!strcmp(err->reason, "store_newer") || !strcmp(err->reason, "store_corrupt")))
        return EXIT_STORE_REFUSED;
    return EXIT_RUNTIME;
}

/* Each connection is a descriptor: as many as we are allowed to, and no core with secrets in it. */
static void set_limits(struct service *s)
{
    struct rlimit files, core = {0, 0};
    rlim_t wanted = (rlim_t)s->settings->max_connections + SPARE_DESCRIPTORS;

    setrlimit(RLIMIT_CORE, &core);
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < wanted)
        log_warn(s->log, .message = "fewer descriptors than connections are allowed",
                 .fields = {log_int("descriptors", (int64_t)files.rlim_max)});
}

static int open_data(struct service *s, struct arena *mem, struct error *err)
{
    const char *dir = s->settings->data;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "creating the data directory \"%s\"", dir);
    if (policies_set_roots(s->settings, err) < 0)
        return -1;
    return store_open(arena_printf(mem, "%s/connectord.db", dir), &s->app.store, err);
}

static int start_runs(struct service *s, struct error *err)
{
    const struct settings *set = s->settings;
    struct runs_config config = {
        .workers = set->workers,
        .short_workers = set->short_workers,
        .memory_budget_bytes = set->memory_budget_bytes,
        .max_parallel_streams = set->max_parallel_streams,
        .cancel_grace_ms = set->cancel_grace_ms,
        .check_timeout_s = set->check_timeout_s,
        .discover_timeout_s = set->discover_timeout_s,
        .sample_timeout_s = set->sample_timeout_s,
        .count_timeout_s = set->count_timeout_s,
        .log_max_age_s = set->log_max_age_s,
        .log_max_bytes = set->log_max_bytes,
        .run_max_age_s = set->run_max_age_s,
    };

    return runs_start(&config, s->app.store, s->app.logs, notify, &notified,
                      servicelog_for("sync.worker"), &s->app.runs, err);
}

static int start_http(struct service *s, struct error *err)
{
    const struct settings *set = s->settings;
    struct http_config config = {
        .address = set->listen,
        .threads = set->http_threads,
        .max_connections = set->max_connections,
        .header_timeout_ms = set->header_timeout_ms,
        .body_timeout_ms = set->body_timeout_ms,
        .idle_timeout_ms = set->idle_timeout_ms,
        .write_timeout_ms = set->write_timeout_ms,
        .max_body_bytes = set->max_body_bytes,
        .max_big_body_bytes = set->max_big_body_bytes,
        .base_path = set->base_path,
    };

    if (http_start(&config, routes, &s->app, servicelog_for("access"), &s->app.http, err) < 0)
        return -1;
    egress_protect(http_address(s->app.http));
    atomic_store(&notified, s->app.http);
    http_notify(s->app.http); /* for whoever has begun to wait in between */
    return 0;
}

static int open_service(struct service *s, struct arena *mem, int *out_status)
{
    struct error err = ERROR_INIT;

    s->app.settings = s->settings;
    s->app.started_unix_us = clock_unix_us();
    *out_status = EXIT_OK;
    if (policies_set_egress(s->settings, &err) < 0)
        *out_status = cli_fail(&err, "reading the rules");
    else if (open_data(s, mem, &err) < 0)
        *out_status = cli_fail(&err, "opening the store");
    else if (logstreams_open(arena_printf(mem, "%s/logs", s->settings->data), notify, &notified,
                             &s->app.logs, &err) < 0)
        *out_status = cli_fail(&err, "opening the logs");
    else if (start_runs(s, &err) < 0)
        *out_status = cli_fail(&err, "starting the workers");
    else if (start_http(s, &err) < 0)
        *out_status = cli_fail(&err, "listening");
    return *out_status == EXIT_OK ? 0 : -1;
}

static void close_service(struct service *s, int status)
{
    bool stopped = !s->app.runs || runs_stop(s->app.runs, s->settings->shutdown_grace_ms);

    if (s->app.logs)
        logstreams_drain(s->app.logs);
    atomic_store(&notified, NULL);
    if (s->app.http)
        http_stop(s->app.http, HTTP_GRACE_MS);
    if (!stopped) {
        /* A thread hangs in foreign code and may come back any moment: nothing is taken from under
         * it. The store loses nothing, its log is replayed at the next start. */
        log_warn(s->log, .message = "stopped with runs that did not end");
        _exit(status);
    }
    runs_free(s->app.runs);
    logstreams_close(s->app.logs);
    store_close(s->app.store);
}

/* The signals that stop the service, blocked in every thread and waited for in this one. */
static void block_signals(sigset_t *out)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGHUP);
    pthread_sigmask(SIG_BLOCK, out, NULL);
}

static void wait_for_signal(struct service *s, const sigset_t *signals)
{
    struct timespec delay = {.tv_sec = s->settings->drain_delay_ms / 1000,
                             .tv_nsec = s->settings->drain_delay_ms % 1000 * 1000000};
    int number = 0;

    sigwait(signals, &number);
    log_info(s->log, .message = "stopping",
             .fields = {log_int("signal", number),
                        log_int("active_runs", runs_active_count(s->app.runs))});
    http_drain(s->app.http);
    /* Load balancers notice that readiness is off; a second signal ends the wait. */
    if (s->settings->drain_delay_ms > 0)
        sigtimedwait(signals, NULL, &delay);
}

static int serve(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct settings *settings = &call->config->settings;
    struct service s = {.settings = settings};
    sigset_t signals;
    int status;

    servicelog_init(STDOUT_FILENO, (enum log_level)log_level_from_name(settings->log_level));
    s.log = servicelog_for("main");
    block_signals(&signals);
    set_limits(&s);
    if (open_service(&s, mem, &status) == 0) {
        log_info(s.log, .message = "serving",
                 .fields = {log_text("address", http_address(s.app.http)),
                            log_text("data", settings->data),
                            log_text("version", CONNECTORD_VERSION),
                            log_int("start_ms", (clock_unix_us() - s.app.started_unix_us) / 1000)});
        wait_for_signal(&s, &signals);
    }
    close_service(&s, status);
    log_info(s.log, .message = "stopped");
    return status;
}

/* ------------------------------------------------------------------- subcommands */

void cli_print_problems(const char *what, const struct problems *problems)
{
    fprintf(stderr, "connectord: %s:\n", what);
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *p = &problems->items[i];

        fprintf(stderr, "  %s: %s (%s)\n", *p->pointer ? p->pointer : "(the whole)", p->message,
                p->code);
    }
    if (problems->dropped > 0)
        fprintf(stderr, "  and %zu more\n", problems->dropped);
}

static int config_print_all(const struct cli_call *call)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);

    config_print(call->config, &out);
    fputs(buf_str(&out), stdout);
    return EXIT_OK;
}

static int version(const struct cli_call *call)
{
    (void)call;
    puts("connectord " CONNECTORD_VERSION);
    return EXIT_OK;
}

static cli_command help;

enum settings_use {
    WITH_SETTINGS, /* loaded from file, environment and the flags behind the operands */
    NO_SETTINGS,   /* operands and nothing else */
    OWN_WORDS,     /* reads all its words itself, --help included */
};

/* clang-format off */
static const struct command {
    const char *name;     /* one or two words */
    const char *operands; /* as many words have to follow, but for OWN_WORDS */
    cli_command *run;
    enum settings_use settings;
    const char *help;
    const char *flag; /* one that takes no value, or NULL */
} commands[] = {
    {"serve", "", serve, WITH_SETTINGS,
     "run the service", NULL},
    {"sync", "FILE", cli_sync, NO_SETTINGS,
     "run one connection described in a JSON or YAML file, without a server; exit status 0\n"
     "succeeded, 1 failed, 2 cancelled, 3 succeeded but for rows or cells that went to\n"
     "quarantine, 64 the file is wrong", NULL},
    {"source", "NAME [--FLAG [VALUE]]...", cli_source, OWN_WORDS,
     "run a built-in source as a Singer tap; --help after NAME shows its flags", NULL},
    {"destination", "NAME [--FLAG [VALUE]]...", cli_destination, OWN_WORDS,
     "run a built-in destination as a Singer target; the same", NULL},
    {"config print", "", config_print_all, WITH_SETTINGS,
     "show every setting and where it comes from", NULL},
    {"egress explain", "HOST PORT", cli_egress_explain, WITH_SETTINGS,
     "whether connectors may connect there, and which rule decides; exit status 1 when they\n"
     "may not", NULL},
    {"backup", "FILE", cli_backup, WITH_SETTINGS,
     "copy the store of the data directory to a file, also while the service runs", NULL},
    {"restore", "FILE", cli_restore, WITH_SETTINGS,
     "make the store of the data directory, which must have none, of a backup;\n"
     "with --verify only say whether the backup is whole", "--verify"},
    {"health", "", cli_health, WITH_SETTINGS,
     "exit status 0 when the service at the configured address is ready", NULL},
    {"version", "", version, NO_SETTINGS,
     "show the version", NULL},
    {"help", "", help, NO_SETTINGS,
     "show this, and every setting", NULL},
};
/* clang-format on */

#define N_COMMANDS (sizeof commands / sizeof *commands)

static void put_indented(FILE *to, const char *text)
{
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");

        fprintf(to, "      %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void put_usage(FILE *to)
{
    fputs("usage: connectord COMMAND [--SETTING VALUE]...\n\n", to);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const struct command *c = &commands[i];

        fprintf(to, "  %s%s%s", c->name, *c->operands ? " " : "", c->operands);
        if (c->flag)
            fprintf(to, " [%s]", c->flag);
        fputc('\n', to);
        put_indented(to, c->help);
    }
    fputs(
        "\nExit status: 0 done, 1 failed, 2 wrong settings or arguments, 3 the store is damaged\n"
        "or of a newer version, 4 another process uses the data directory.\n\n"
        "Settings come from --config FILE (JSON), from the environment (CONNECTORD_ and the name\n"
        "in capitals), and from flags; the later wins.\n\n",
        to);
}

static int help(const struct cli_call *call)
{
    CLEANUP(buf_release) struct buf settings = BUF_INIT(1 << 20);

    (void)call;
    config_help(&settings);
    put_usage(stdout);
    fputs(buf_str(&settings), stdout);
    return EXIT_OK;
}

/* Takes the flag of the command out of its words. */
static bool take_flag(const struct command *c, int *argc, char **argv)
{
    int n = 0, given = *argc;

    for (int i = 0; i < given; i++) {
        if (!c->flag || strcmp(argv[i], c->flag) != 0)
            argv[n++] = argv[i];
    }
    *argc = n;
    return n < given;
}

static int run_with_settings(const struct command *c, int argc, char **argv, int n_operands,
                             bool flagged)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    struct problems problems = PROBLEMS_INIT(mem);
    struct config config;
    int status = EXIT_USAGE;
    struct cli_call call = {
        .config = &config, .flagged = flagged, .argc = n_operands, .argv = argv};

    if (config_load(argc - n_operands, argv + n_operands, mem, &config, &problems))
        status = c->run(&call);
    else
        cli_print_problems("the settings are wrong", &problems);
    config_release(&config);
    return status;
}

/* How many words there are in a text that separates them by one blank. */
static int count_words(const char *text)
{
    int n = *text != '\0';

    for (; *text; text++)
        n += *text == ' ';
    return n;
}

/* As many words of argv as the name has, or 0 when they say something else. */
static int match(const char *name, int argc, char **argv)
{
    int n = count_words(name);

    for (int i = 0; i < n; i++) {
        size_t length = strcspn(name, " ");

        if (i >= argc || strlen(argv[i]) != length || strncmp(name, argv[i], length) != 0)
            return 0;
        name += length + (name[length] == ' ');
    }
    return n;
}

static bool is_operand(const char *word)
{
    return strncmp(word, "--", 2) != 0;
}

/* `argv` begins behind the name. */
static int run_command(const struct command *c, int argc, char **argv)
{
    int wanted = count_words(c->operands), given = 0;
    bool flagged;

    if (c->settings == OWN_WORDS)
        return c->run(&(struct cli_call){.argc = argc, .argv = argv});
    flagged = take_flag(c, &argc, argv);
    while (given < argc && is_operand(argv[given]))
        given++;
    if (given == wanted && c->settings == WITH_SETTINGS)
        return run_with_settings(c, argc, argv, given, flagged);
    if (given == wanted && given == argc)
        return c->run(&(struct cli_call){.argc = argc, .argv = argv});
    put_usage(stderr);
    return EXIT_USAGE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    postgres_forget_environment();
    mysql_forget_environment();
    sqlite_forget_uris();
    argc--;
    argv++;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int n = match(commands[i].name, argc, argv);

        if (n > 0 && (commands[i].settings == OWN_WORDS || !asks_for_help(argc, argv)))
            return run_command(&commands[i], argc - n, argv + n);
    }
    if (asks_for_help(argc, argv))
        return help(NULL);
    if (argc == 1 && !strcmp(argv[0], "--version"))
        return version(NULL);
    put_usage(stderr);
    return EXIT_USAGE;
}

/*
 * connectord serve: the service. Starting and stopping read as lists.
 */
#include <errno.h>
#include <malloc.h>
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
#include "handlers/routes.h"
#include "server/app.h"
#include "server/cli.h"
#include "server/http/http.h"
#include "server/identity.h"
#include "server/memlimit.h"
#include "server/notify.h"
#include "server/policies.h"
#include "server/reload.h"
#include "server/servicelog.h"
#include "server/store/store.h"
#include "server/sync/runs.h"

/* Requests in flight get this long when the service stops; runs have a grace of their own. */
#define HTTP_GRACE_MS 3000

/* What load balancers need to see that readiness is off, where nothing else is set. */
#define DRAIN_DELAY_US 5000000

/* How often an open service says that it is open. */
#define REMIND_US ((int64_t)3600 * 1000000)

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
    const struct config *config;
    const struct settings *settings;
    struct app app;
    struct identity identity;
    struct reload *reload;
    struct log *log;
};

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
        .vault = s->app.vault,
        .tallied = set->metrics_per_connection,
    };

    return runs_start(&config, s->app.store, s->app.logs, notify, &notified,
                      servicelog_for("sync.worker"), &s->app.runs, err);
}

/* For probes and scrapes: few connections, one thread. Before the API, whose health it tells. */
static int start_operator_http(struct service *s, struct error *err)
{
    struct http_config config = {
        .address = s->settings->admin_listen,
        .threads = 1,
        .max_connections = 64,
        .header_timeout_ms = s->settings->header_timeout_ms,
        .base_path = s->settings->base_path,
        .role = HTTP_OPERATOR,
        .auth = s->app.auth,
    };

    return http_start(&config, routes, &s->app, servicelog_for("access"), &s->app.operator_http,
                      err);
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
        .role = *set->admin_listen ? HTTP_API : HTTP_ALL,
        .auth = s->app.auth,
    };

    if (http_start(&config, routes, &s->app, servicelog_for("access"), &s->app.http, err) < 0)
        return -1;
    egress_protect(http_address(s->app.http));
    if (*set->admin_listen && start_operator_http(s, err) < 0)
        return -1;
    if (s->app.operator_http)
        egress_protect(http_address(s->app.operator_http));
    atomic_store(&notified, s->app.http);
    http_notify(s->app.http); /* for whoever has begun to wait in between */
    return 0;
}

static int open_identity(struct service *s, struct arena *mem, struct error *err)
{
    if (identity_open(s->settings, s->app.store, s->log, mem, &s->identity, err) < 0 ||
        identity_guard(&s->identity, s->settings, err) < 0)
        return -1;
    s->app.vault = (struct vault){s->identity.ring, s->identity.references};
    s->app.auth = s->identity.auth;
    s->reload = reload_new(s->config, &s->identity, s->log);
    return 0;
}

static int open_service(struct service *s, struct arena *mem, int *out_status)
{
    struct error err = ERROR_INIT;

    s->app.settings = s->settings;
    s->app.started_unix_us = clock_unix_us();
    *out_status = EXIT_OK;
    policies_set_programs(s->settings, mem);
    if (policies_set_egress(s->settings, &err) < 0)
        *out_status = cli_fail(&err, "reading the rules");
    else if (open_data(s, mem, &err) < 0)
        *out_status = cli_fail(&err, "opening the store");
    else if (open_identity(s, mem, &err) < 0)
        *out_status = cli_fail(&err, "access and secrets");
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
    if (s->app.operator_http)
        http_stop(s->app.operator_http, HTTP_GRACE_MS);
    if (!stopped) {
        /* A thread hangs in foreign code and may come back any moment: nothing is taken from under
         * it. The store loses nothing, its log is replayed at the next start. */
        log_warn(s->log, .message = "stopped with runs that did not end");
        _exit(status);
    }
    runs_free(s->app.runs);
    logstreams_close(s->app.logs);
    reload_free(s->reload);
    identity_close(&s->identity);
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

/* The number of a signal, or 0 after `us` microseconds without one. */
static int next_signal(const sigset_t *signals, int64_t us)
{
    struct timespec limit = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    int number = sigtimedwait(signals, NULL, &limit);

    return number > 0 ? number : 0;
}

static bool is_alive(const struct service *s)
{
    return http_stats(s->app.http).beat_age_us < HTTP_STALE_US &&
           runs_stats(s->app.runs).beat_age_us < HTTP_STALE_US;
}

/* Until it is one that stops the service. */
static int wait_for_stop(struct service *s, const sigset_t *signals)
{
    int64_t beat_us = notify_watchdog_us() > 0 ? notify_watchdog_us() : REMIND_US;
    int64_t remind_us = 0;

    for (;;) {
        int number;

        if (clock_monotonic_us() >= remind_us) {
            identity_remind(&s->identity);
            remind_us = clock_monotonic_us() + REMIND_US;
        }
        number = next_signal(signals, beat_us);

        if (number == SIGHUP) {
            notify_send("RELOADING=1");
            reload_settings(s->reload);
            notify_send("READY=1");
        } else if (number > 0) {
            return number;
        }
        if (notify_watchdog_us() > 0 && is_alive(s))
            notify_send("WATCHDOG=1");
    }
}

static int64_t drain_delay_us(const struct settings *s)
{
    if (s->drain_delay_ms >= 0)
        return s->drain_delay_ms * 1000;
    return config_is_loopback(s->listen) ? 0 : DRAIN_DELAY_US;
}

static void wait_and_drain(struct service *s, const sigset_t *signals)
{
    int number = wait_for_stop(s, signals);

    notify_send("STOPPING=1");
    log_info(s->log, .message = "stopping",
             .fields = {log_int("signal", number),
                        log_int("active_runs", runs_active_count(s->app.runs))});
    http_drain(s->app.http);
    /* Load balancers notice that readiness is off; a second signal ends the wait. */
    if (drain_delay_us(s->settings) > 0)
        (void)next_signal(signals, drain_delay_us(s->settings));
}

/* Every setting that is not the default, as config print shows it. */
static void log_settings(struct service *s, struct arena *mem)
{
    for (const struct option *o = settings_options; o->name; o++) {
        const char *origin = config_origin(s->config, o->name);

        if (strcmp(origin, "default") != 0)
            log_info(s->log, .message = "setting",
                     .fields = {log_text("name", o->name),
                                log_text("value", config_value(s->config, o, mem)),
                                log_text("origin", origin)});
    }
}

int cli_serve(const struct cli_call *call)
{
    CLEANUP(arena_free_cleanup) struct arena *mem = arena_new();
    const struct settings *settings = &call->config->settings;
    struct service s = {.config = call->config, .settings = settings};
    sigset_t signals;
    int status;

    servicelog_init(STDOUT_FILENO, (enum log_level)log_level_from_name(settings->log_level));
    s.log = servicelog_for("main");
    notify_init();
    block_signals(&signals);
    log_settings(&s, mem);
    set_limits(&s);
    memlimit_check(settings, "", s.log);
    if (open_service(&s, mem, &status) == 0) {
        malloc_trim(0); /* what only the start needed goes back to the system */
        log_info(s.log, .message = "serving",
                 .fields = {log_text("address", http_address(s.app.http)),
                            log_text("operator_address",
                                     s.app.operator_http ? http_address(s.app.operator_http) : ""),
                            log_text("data", settings->data),
                            log_text("version", CONNECTORD_VERSION),
                            log_int("start_ms", (clock_unix_us() - s.app.started_unix_us) / 1000)});
        notify_send("READY=1");
        wait_and_drain(&s, &signals);
    }
    close_service(&s, status);
    log_info(s.log, .message = "stopped");
    return status;
}

/*
 * /metrics: what is counted all the time, and what is looked up when somebody asks.
 */
#include "connectors/base/metric.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connectors/base/clock.h"
#include "handlers/routes.h"
#include "server/app.h"
#include "server/config.h"
#include "server/secrets/keyring.h"
#include "server/store/store.h"
#include "server/sync/logstream.h"
#include "server/sync/runs.h"

static void look_at_service(struct app *app)
{
    struct http_stats http = http_stats(app->http);
    struct runs_stats runs = runs_stats(app->runs);

    metric_set_for(METRIC_BUILD_INFO, METRIC_LABELS(CONNECTORD_VERSION, CONNECTORD_REVISION), 1);
    metric_set(METRIC_HTTP_IN_FLIGHT, http.in_flight);
    metric_set(METRIC_HTTP_CONNECTIONS, http.connections);
    metric_set(METRIC_LOG_FOLLOWERS, logstreams_followers(app->logs));
    metric_set(METRIC_RUNS_ACTIVE, runs.active);
    metric_set(METRIC_RUNS_QUEUED, runs.queued);
    metric_set_for(METRIC_RUN_WORKERS, METRIC_LABELS("long"), app->settings->workers);
    metric_set_for(METRIC_RUN_WORKERS, METRIC_LABELS("short"), app->settings->short_workers);
    metric_set(METRIC_CHECKPOINT_AGE, runs.checkpoint_age_us);
    metric_set_for(METRIC_BEAT_AGE, METRIC_LABELS("http"), http.beat_age_us);
    metric_set_for(METRIC_BEAT_AGE, METRIC_LABELS("runs"), runs.beat_age_us);
}

/* Without an answer the numbers of before stay, and connectord_store_errors_total says so. */
static void look_at_store(struct app *app)
{
    struct error err = ERROR_INIT;
    struct store_stats s;

    if (store_get_stats(app->store, &s, &err) < 0)
        return;
    metric_set(METRIC_STORE_SIZE, s.bytes);
    metric_set(METRIC_STORE_WAL, s.wal_bytes > 0 ? s.wal_bytes : 0);
    metric_set(METRIC_STORE_FREE, s.free_bytes);
    metric_set(METRIC_STORE_VERSION, s.schema_version);
    metric_set(METRIC_BACKUP_TIME, s.backup_us);
    metric_set(METRIC_BACKUP_DURATION, s.backup_took_us);
}

/* The key that was told last: its series says 0 when another one has taken its place. */
static struct {
    pthread_mutex_t mutex;
    char id[KEYRING_ID_BYTES];
} told = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void look_at_keys(struct app *app)
{
    struct error err = ERROR_INIT;
    char id[KEYRING_ID_BYTES];
    int64_t pending = 0;

    if (!app->vault.ring)
        return;
    keyring_copy_active(app->vault.ring, id);
    if (store_count_pending(app->store, id, &pending, &err) == 0)
        metric_set(METRIC_PENDING_RESEAL, pending);
    LOCK_GUARD(&told.mutex);
    if (*told.id && strcmp(told.id, id) != 0)
        metric_set_for(METRIC_KEYRING_ACTIVE, METRIC_LABELS(told.id), 0);
    memcpy(told.id, id, sizeof told.id);
    metric_set_for(METRIC_KEYRING_ACTIVE, METRIC_LABELS(id), 1);
}

static int64_t us_of(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

/* Pages of memory as /proc/self/statm has them: all, resident. */
static void look_at_memory(void)
{
    long page = sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "re");
    int64_t pages[2] = {0};
    size_t i = 0;
    int c;

    while (f && i < 2 && (c = getc(f)) != EOF) {
        if (c >= '0' && c <= '9')
            pages[i] = pages[i] * 10 + (c - '0');
        else
            i++;
    }
    if (f)
        fclose(f);
    metric_set(METRIC_PROCESS_VIRTUAL, pages[0] * page);
    metric_set(METRIC_PROCESS_RESIDENT, pages[1] * page);
}

/* Entries of a folder of /proc, without the two that every folder has. */
static int64_t count_entries(const char *path)
{
    DIR *d = opendir(path);
    int64_t n = 0;

    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void look_at_process(struct app *app)
{
    struct rusage usage;
    struct rlimit files;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        metric_set(METRIC_PROCESS_CPU, us_of(usage.ru_utime) + us_of(usage.ru_stime));
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        metric_set(METRIC_PROCESS_MAX_FDS, (int64_t)files.rlim_cur);
    /* Without the descriptor that reads the folder. */
    metric_set(METRIC_PROCESS_FDS, count_entries("/proc/self/fd") - 1);
    metric_set(METRIC_PROCESS_THREADS, count_entries("/proc/self/task"));
    metric_set(METRIC_PROCESS_START, app->started_unix_us);
    look_at_memory();
}

/* ------------------------------------------------------------------ connections */

/* So many have series of their own, four each: Prometheus bears that, and any number it does not.
 */
#define MAX_CONNECTIONS 1000

struct connections {
    const struct activity *items;
    const struct moved *moved; /* for each of them */
    size_t n;
};

/* None of them without an answer of the store, as none of the numbers would be of now. */
static void look_at_connections(struct app *app, struct arena *mem, struct connections *out)
{
    struct tally *tally = runs_tally(app->runs);
    struct error err = ERROR_INIT;
    struct activity *items;
    struct moved *moved;

    if (!tally || store_list_activity(app->store, MAX_CONNECTIONS, mem, &items, &out->n, &err) < 0)
        return;
    moved = arena_array(mem, out->n + 1, sizeof *moved);
    for (size_t i = 0; i < out->n; i++)
        moved[i] = tally_get(tally, items[i].id);
    out->items = items;
    out->moved = moved;
}

static void put_connections(void *arg, enum metric m, struct buf *out)
{
    const struct connections *all = arg;

    for (size_t i = 0; i < all->n; i++) {
        const struct activity *a = &all->items[i];
        const struct metric_labels *labels = METRIC_LABELS(a->name);

        if (m == METRIC_CONNECTION_ROWS)
            metric_write_sample(m, labels, all->moved[i].rows, out);
        else if (m == METRIC_CONNECTION_BYTES)
            metric_write_sample(m, labels, all->moved[i].bytes, out);
        else if (m == METRIC_CONNECTION_SUCCESS)
            metric_write_sample(m, labels, a->succeeded_us, out);
        else if (m == METRIC_CONNECTION_DURATION)
            metric_write_sample(m, labels, a->took_us, out);
    }
}

int handle_metrics(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const none[] = {NULL};
    struct connections connections = {0};

    if (request_query_only(req, none, err) < 0)
        return -1;
    look_at_service(app);
    look_at_store(app);
    look_at_keys(app);
    look_at_process(app);
    look_at_connections(app, request_mem(req), &connections);
    res->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metric_write_all(put_connections, &connections, &res->body);
    return 0;
}

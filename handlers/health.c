#include <pthread.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/base/jsonwrite.h"
#include "handlers/routes.h"
#include "server/app.h"
#include "server/config.h"
#include "server/store/store.h"
#include "server/sync/runs.h"
#include "server/sync/vault.h"

/* The store is asked at most so often, however many probes there are, and has to answer in time. */
#define VERDICT_US     1000000
#define STORE_LIMIT_MS 2000

static const char *const none[] = {NULL};

static bool is_stale(const struct app *app)
{
    return http_stats(app->http).beat_age_us > HTTP_STALE_US ||
           runs_stats(app->runs).beat_age_us > HTTP_STALE_US;
}

/* No dependency is asked: a store that is down does not get better when we are restarted. */
int handle_livez(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)err;
    (void)req;
    res->content_type = "text/plain; charset=utf-8";
    if (is_stale(app)) {
        res->status = 500;
        buf_puts(&res->body, "a thread hangs\n");
    } else {
        buf_puts(&res->body, "ok\n");
    }
    return 0;
}

/* What is checked, as the word that is shown: "ok", or what is wrong. */
struct verdict {
    const char *store, *migrations, *keyring, *disk, *leases, *threads, *draining;
};

/* What the store said last. */
static struct {
    pthread_mutex_t mutex;
    int64_t at_us;
    struct verdict said;
} last = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *ask_schema(struct app *app)
{
    struct error err = ERROR_INIT;
    int older = store_check_schema(app->store, STORE_LIMIT_MS, &err);

    return older < 0 ? error_reason(&err) : older > 0 ? "outdated" : "ok";
}

/* The store may have been sealed under other keys behind our back. */
static const char *ask_keyring(struct app *app)
{
    struct error err = ERROR_INIT;

    return !app->vault.ring || vault_fits(app->store, app->vault.ring, &err) == 0
               ? "ok"
               : error_reason(&err);
}

static void ask_store(struct app *app, struct verdict *out)
{
    struct store_stats stats;
    struct error err = ERROR_INIT;

    *out = (struct verdict){.store = "ok",
                            .migrations = ask_schema(app),
                            .keyring = ask_keyring(app),
                            .disk = "ok",
                            .leases = store_has_lock(app->store) ? "ok" : "lost"};
    if (store_ping(app->store, STORE_LIMIT_MS, &err) < 0 ||
        store_get_stats(app->store, &stats, &err) < 0) {
        out->store = error_reason(&err);
        return;
    }
    if (stats.free_bytes < app->settings->min_free_bytes)
        out->disk = "almost_full";
}

static struct verdict judge(struct app *app)
{
    int64_t now_us = clock_monotonic_us();
    struct verdict v;
    LOCK_GUARD(&last.mutex);

    if (!last.at_us || now_us - last.at_us > VERDICT_US || now_us < last.at_us) {
        ask_store(app, &last.said);
        last.at_us = clock_monotonic_us();
    }
    v = last.said;
    v.threads = is_stale(app) ? "hanging" : "ok";
    v.draining = http_is_draining(app->http) ? "yes" : "ok";
    return v;
}

static bool is_ok(const char *word)
{
    return !strcmp(word, "ok");
}

static void put_verdict(const struct verdict *v, bool ready, bool verbose, struct buf *out)
{
    struct jsonw w = JSONW_INIT(out);

    jsonw_object(&w);
    jsonw_put_bool(&w, "ready", ready);
    if (verbose) {
        jsonw_key(&w, "checks");
        jsonw_object(&w);
        jsonw_put_string(&w, "store", v->store);
        jsonw_put_string(&w, "migrations", v->migrations);
        jsonw_put_string(&w, "keyring", v->keyring);
        jsonw_put_string(&w, "disk", v->disk);
        jsonw_put_string(&w, "leases", v->leases);
        jsonw_put_string(&w, "threads", v->threads);
        jsonw_put_string(&w, "draining", v->draining);
        jsonw_object_end(&w);
    }
    jsonw_object_end(&w);
}

int handle_readyz(struct app *app, struct request *req, struct response *res, struct error *err)
{
    static const char *const known[] = {"verbose", NULL};
    struct verdict v;
    bool ready;

    if (request_query_only(req, known, err) < 0)
        return -1;
    v = judge(app);
    ready = is_ok(v.store) && is_ok(v.migrations) && is_ok(v.keyring) && is_ok(v.disk) &&
            is_ok(v.leases) && is_ok(v.threads) && is_ok(v.draining);
    res->status = ready ? 200 : 503;
    put_verdict(&v, ready, request_query(req, "verbose") != NULL, &res->body);
    return 0;
}

/* Whoever gets an answer finds a service that has migrated, recovered its runs and listens. */
int handle_startupz(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    if (request_query_only(req, none, err) < 0)
        return -1;
    buf_puts(&res->body, "{\"ready\":true}");
    return 0;
}

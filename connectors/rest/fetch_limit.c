/*
 * Rate limits of a document, and what answers say about them: the same for all lanes of a run.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "connectors/commons.h"
#include "connectors/http/retry.h"
#include "connectors/rest/fetch_internal.h"

#define EPOCH_MS_FROM INT64_C(100000000000)

struct limits {
    pthread_mutex_t mutex;
    struct ratelimit *items; /* one for each of the document's */
};

static struct limits *limits_new(const struct rest_client *c)
{
    struct limits *l = xalloc(sizeof *l);

    pthread_mutex_init(&l->mutex, NULL);
    l->items = xalloc((c->n_limits + 1) * sizeof *l->items);
    for (size_t i = 0; i < c->n_limits; i++)
        ratelimit_init(&l->items[i], c->limits[i].requests, c->limits[i].per_ms, c->limits[i].burst,
                       c->limits[i].cost, c->limits[i].min_remaining, clock_monotonic_us());
    return l;
}

static void limits_free(void *arg)
{
    struct limits *l = arg;

    if (!l)
        return;
    pthread_mutex_destroy(&l->mutex);
    free(l->items);
    free(l);
}

int limit_init(struct fetcher *f, struct error *err)
{
    static const char name[] = "rate limits";
    struct commons *commons = f->run->commons;
    void *kept;
    int rc;

    if (!commons) {
        f->limits = f->own_limits = limits_new(&f->doc->client);
        return 0;
    }
    rc = commons_take(commons, name, f->run->cancel, &kept, err);
    if (rc < 0)
        return -1;
    if (rc > 0) {
        kept = limits_new(&f->doc->client);
        commons_put(commons, name, kept, limits_free);
    }
    f->limits = kept;
    return 0;
}

void limit_release(struct fetcher *f)
{
    limits_free(f->own_limits);
}

/* The path behind the host. */
static const char *path_of(const char *url)
{
    const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;

    return path ? path : "/";
}

static bool is_meant(const struct rest_limit *l, const struct fetch_request *r)
{
    const char *path = path_of(r->url);
    struct slice found;

    return (!l->match_method || strcasecmp(l->match_method, r->method) == 0) &&
           (!l->match_path || strncmp(path, l->match_path, strlen(l->match_path)) == 0) &&
           (!l->match_regex ||
            pattern_find(l->match_regex, (struct slice){path, strcspn(path, "?#")}, &found));
}

int64_t limit_wait_ms(struct fetcher *f, const struct fetch_request *r)
{
    LOCK_GUARD(&f->limits->mutex);
    int64_t most = 0;

    for (size_t i = 0; i < f->doc->client.n_limits; i++) {
        if (is_meant(&f->doc->client.limits[i], r)) {
            int64_t ms = ratelimit_take_ms(&f->limits->items[i], clock_monotonic_us());

            most = ms > most ? ms : most;
        }
    }
    return most;
}

int limit_wait(struct fetcher *f, const struct fetch_request *r, struct error *err)
{
    for (;;) {
        int64_t ms = limit_wait_ms(f, r);

        if (ms == 0)
            return 0;
        if (ms > f->doc->client.retry_max_wait_ms)
            return error_set_reason(err, ERR_RATE_LIMITED, "wait_too_long",
                                    "the API has nothing left for the next %lld seconds",
                                    (long long)(ms / 1000));
        if (cancel_sleep_ms(f->run->cancel, ms, err) < 0)
            return -1;
    }
}

static bool number_of(const char *text, int64_t *out)
{
    size_t n = text ? strspn(text, "0123456789") : 0;

    return n > 0 && text_to_int64(text, n, out);
}

/* When there are new ones, on the clock that passes; 0 when it does not say. */
static int64_t reset_us(const struct rest_limit *l, const struct http_exchange *x)
{
    const char *text = l->reset_header ? http_header(x, l->reset_header) : NULL;
    int64_t now = clock_monotonic_us(), unix_us, number;

    if (!text)
        return 0;
    if (l->reset == REST_RESET_ISO)
        return clock_parse(text, &unix_us) ? now + (unix_us - clock_unix_us()) : 0;
    if (!number_of(text, &number))
        return 0;
    if (l->reset == REST_RESET_SECONDS)
        return number < 31622400 ? now + number * 1000000 : 0;
    if (number >= EPOCH_MS_FROM)
        number /= 1000;
    return now + (number * 1000000 - clock_unix_us());
}

/* "32/40", or "api-usage=32/40": used, and the limit. */
static bool used_of(const char *both, const char *slash, int64_t *out_used, int64_t *out_limit)
{
    const char *used = slash;

    while (used > both && used[-1] >= '0' && used[-1] <= '9')
        used--;
    return number_of(used, out_used) && number_of(slash + 1, out_limit);
}

static bool remaining(const struct rest_limit *l, const struct http_exchange *x, int64_t *out)
{
    const char *text = l->remaining_header ? http_header(x, l->remaining_header) : NULL;
    const char *both = l->used_limit_header ? http_header(x, l->used_limit_header) : NULL;
    const char *slash = both ? strchr(both, '/') : NULL;
    int64_t used, limit;

    if (number_of(text, out))
        return true;
    if (!slash || !used_of(both, slash, &used, &limit))
        return false;
    *out = limit > used ? limit - used : 0;
    return true;
}

void limit_hear(struct fetcher *f, const struct fetch_request *r, const struct http_exchange *x)
{
    LOCK_GUARD(&f->limits->mutex);

    for (size_t i = 0; i < f->doc->client.n_limits; i++) {
        const struct rest_limit *l = &f->doc->client.limits[i];
        int64_t left, all;

        if (!is_meant(l, r))
            continue;
        if (number_of(l->limit_header ? http_header(x, l->limit_header) : NULL, &all))
            ratelimit_allow(&f->limits->items[i], all, l->per_ms);
        if (remaining(l, x, &left))
            ratelimit_hear(&f->limits->items[i], left, reset_us(l, x), clock_monotonic_us());
    }
}

void limit_close(struct fetcher *f, const struct fetch_request *r, int64_t ms)
{
    LOCK_GUARD(&f->limits->mutex);

    for (size_t i = 0; i < f->doc->client.n_limits; i++) {
        if (is_meant(&f->doc->client.limits[i], r))
            ratelimit_close(&f->limits->items[i], clock_monotonic_us() + ms * 1000);
    }
}

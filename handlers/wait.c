#include "handlers/wait.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "connectors/base/clock.h"
#include "connectors/base/text.h"
#include "server/sync/runs.h"

/* A run leaves the memory of its workers and becomes final in the store at about the same time;
 * whoever sees the first before the second looks again after this. */
#define SETTLE_US 20000

void run_wait_init(struct run_wait *w, const struct app *app, int64_t run, int64_t seconds)
{
    *w = (struct run_wait){app, run, clock_monotonic_us() + seconds * 1000000};
}

static bool is_over(void *state)
{
    const struct run_wait *w = state;

    return !runs_is_active(w->app->runs, w->run);
}

int run_wait_poll(struct run_wait *w, struct response *res, struct arena *mem, struct run_row *out,
                  struct error *err)
{
    int64_t now = clock_monotonic_us();
    bool active = runs_is_active(w->app->runs, w->run);

    if (active && now < w->deadline_us) {
        response_wait(res, w->deadline_us, is_over);
        return HANDLER_WAIT;
    }
    if (store_get_run(w->app->store, w->run, mem, out, err) < 0)
        return -1;
    if (run_status_is_final(out->status) || now >= w->deadline_us)
        return 0;
    response_wait(res, now + SETTLE_US < w->deadline_us ? now + SETTLE_US : w->deadline_us, NULL);
    return HANDLER_WAIT;
}

/* The value of one preference of the list, "" for one without; NULL when it is not there. */
static bool preference(const char *list, const char *name, struct slice *out)
{
    size_t n = strlen(name);

    while (*list) {
        size_t len;

        list += strspn(list, " \t,;");
        len = strcspn(list, ",;");
        if (len >= n && !strncasecmp(list, name, n) && (len == n || strchr("= \t", list[n]))) {
            const char *value = list + n + strspn(list + n, "= \t\"");

            *out = (struct slice){value, strspn(value, "0123456789")};
            return true;
        }
        list += len;
    }
    return false;
}

int64_t wait_preference(const struct request *req, struct response *res, int64_t fallback_s)
{
    const char *prefer = request_header(req, "Prefer");
    struct slice value;
    int64_t seconds;

    if (!prefer)
        return fallback_s;
    if (preference(prefer, "wait", &value) && text_to_int64(value.ptr, value.len, &seconds)) {
        seconds = seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds;
        response_header(res, "Preference-Applied", "wait=%" PRId64, seconds);
        return seconds;
    }
    if (preference(prefer, "respond-async", &value)) {
        response_header(res, "Preference-Applied", "respond-async");
        return 0;
    }
    return fallback_s;
}

#include "connectors/base/jsonwrite.h"
#include "handlers/page.h"
#include "handlers/routes.h"
#include "handlers/wait.h"
#include "server/app.h"
#include "server/config.h"
#include "server/sync/logstream.h"
#include "server/sync/runs.h"

static void write_limits(struct jsonw *w, const struct settings *s)
{
    jsonw_key(w, "limits");
    jsonw_object(w);
    jsonw_put_int(w, "json_depth", DOC_MAX_DEPTH);
    jsonw_put_int(w, "json_values", DOC_MAX_VALUES);
    jsonw_put_int(w, "json_string_bytes", DOC_MAX_STRING);
    jsonw_put_int(w, "page_default", PAGE_DEFAULT);
    jsonw_put_int(w, "page_max", PAGE_MAX);
    jsonw_put_int(w, "wait_default_s", WAIT_DEFAULT_S);
    jsonw_put_int(w, "wait_max_s", WAIT_MAX_S);
    jsonw_put_int(w, "body_bytes", s->max_body_bytes);
    jsonw_put_int(w, "big_body_bytes", s->max_big_body_bytes);
    jsonw_put_int(w, "connections", s->max_connections);
    jsonw_put_int(w, "workers", s->workers);
    jsonw_put_int(w, "short_workers", s->short_workers);
    jsonw_put_int(w, "sample_rows", 1000);
    jsonw_put_int(w, "log_line_bytes", LOGSTREAM_MAX_LINE);
    jsonw_put_bool(w, "require_if_match", s->require_if_match);
    jsonw_object_end(w);
}

/* Milliseconds, or seconds where the setting is in seconds: as in the configuration. */
static void write_timeouts(struct jsonw *w, const struct settings *s)
{
    jsonw_key(w, "timeouts");
    jsonw_object(w);
    jsonw_put_int(w, "header_ms", s->header_timeout_ms);
    jsonw_put_int(w, "body_ms", s->body_timeout_ms);
    jsonw_put_int(w, "idle_ms", s->idle_timeout_ms);
    jsonw_put_int(w, "write_ms", s->write_timeout_ms);
    jsonw_put_int(w, "check_s", s->check_timeout_s);
    jsonw_put_int(w, "discover_s", s->discover_timeout_s);
    jsonw_put_int(w, "sample_s", s->sample_timeout_s);
    jsonw_put_int(w, "count_s", s->count_timeout_s);
    jsonw_object_end(w);
}

static void write_info(struct app *app, struct jsonw *w)
{
    jsonw_object(w);
    jsonw_put_string(w, "name", "connectord");
    jsonw_put_string(w, "version", CONNECTORD_VERSION);
    jsonw_put_string(w, "api_version", "v1");
    jsonw_put_time_ms(w, "started_at", app->started_unix_us);
    jsonw_put_raw(w, "auth_modes", "[\"none\"]");
    jsonw_put_raw(w, "features",
                  "[\"idempotency\",\"long_poll\",\"log_follow\",\"sse\",\"singer\"]");
    write_limits(w, app->settings);
    write_timeouts(w, app->settings);
    jsonw_put_int(w, "active_runs", runs_active_count(app->runs));
    jsonw_object_end(w);
}

int handle_info(struct app *app, struct request *req, struct response *res, struct error *err)
{
    struct jsonw w = JSONW_INIT(&res->body);

    (void)req;
    (void)err;
    write_info(app, &w);
    return 0;
}

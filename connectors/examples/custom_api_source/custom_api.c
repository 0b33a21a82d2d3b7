/* custom_api - users of an API, by pages, with a bearer key; only what changed since the last run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/base/clock.h"
#include "connectors/http/client.h"
#include "connectors/http/retry.h"
#include "connectors/http/url.h"
#include "connectors/jsonrow.h"
#include "connectors/main.h"

CONNECTORD_WRITTEN_FOR(1);

#define PAGE_ROWS      100
#define MAX_PAGE_BYTES ((size_t)16 << 20)
#define MAX_PAUSE_MS   60000

struct config {
    const char *api_key, *base_url, *start_date;
    int64_t timeout, retry_attempts, retry_delay_ms;
};

static const struct option options[] = {
    OPTION(struct config, api_key, .title = "API key", .flags = OPTION_REQUIRED | OPTION_SECRET,
           .min = 1, .max = 4096, .help = "Sent as a bearer token."),
    OPTION(struct config, base_url, .title = "Address", .flags = OPTION_BINDING,
           .def = "https://api.example.com", .min = 1, .max = 2048, .help = "Of the API."),
    OPTION(struct config, timeout, .title = "Timeout", .def = "30", .min = 1, .max = 3600,
           .help = "Seconds for one request."),
    OPTION(struct config, retry_attempts, .title = "Attempts", .def = "3", .min = 1, .max = 20,
           .help = "Tries of one request, the first one included."),
    OPTION(struct config, retry_delay_ms, .title = "First pause", .def = "1000", .min = 0,
           .max = 60000,
           .help = "Milliseconds before the second try, doubled for each further one."),
    OPTION(struct config, start_date, .title = "Start date", .def = "2024-01-01T00:00:00Z",
           .help = "Users changed before are not read by the first incremental run."),
    OPTIONS_END,
};

static const struct column columns[] = {
    {.name = "id", .type = {.type = TYPE_INT}, .source_type = "", .nullable = false},
    {.name = "email", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
    {.name = "name", .type = {.type = TYPE_STRING}, .source_type = "", .nullable = true},
    {.name = "created_at", .type = {.type = TYPE_TIMESTAMPTZ}, .source_type = "", .nullable = true},
    {.name = "updated_at", .type = {.type = TYPE_TIMESTAMPTZ}, .source_type = "", .nullable = true},
};
static const size_t id[] = {0}, updated_at[] = {4};
static const struct schema users = {columns, 5, id, 1};

/* ---------------------------------------------------------------------- requests */

static int open_client(const struct config *c, struct run *run, struct http_client **out,
                       struct error *err)
{
    const struct http_settings settings = {
        .connect_ms = 10000,
        .idle_ms = c->timeout * 1000,
        .total_ms = c->timeout * 1000,
        .max_body = MAX_PAGE_BYTES,
        .concurrency = 1,
        .base_url = c->base_url,
        .user_agent = "custom_api/0.1",
    };

    return http_client_new(&settings, run->cancel, out, err);
}

/* The status decides before the body is looked at. */
static int judge(int status, const char *url, struct error *err)
{
    if (status == 200)
        return 0;
    if (status == 401 || status == 403)
        return error_set(err, ERR_UNAUTHORIZED, "%s answered %d: is the key right?", url, status);
    if (status == 429)
        return error_set(err, ERR_RATE_LIMITED, "%s answered 429", url);
    if (status >= 500)
        return error_set(err, ERR_TRANSIENT, "%s answered %d", url, status);
    return error_set(err, ERR_DATA, "%s answered %d", url, status);
}

static int get_once(const struct config *c, struct run *run, struct http_client *client,
                    const char *url, struct buf *body, struct error *err)
{
    const struct http_header bearer = {"Authorization",
                                       arena_printf(run->mem, "Bearer %s", c->api_key), true};
    const struct http_request request = {
        .method = "GET", .url = url, .headers = &bearer, .n_headers = 1};
    CLEANUP(http_end_cleanup) struct http_exchange *x = NULL;

    if (http_send(client, &request, &x, err) < 0 || http_wait(x, err) < 0 ||
        judge(http_status(x), url, err) < 0)
        return -1;
    return http_read_all(x, body, err);
}

static int get(const struct config *c, struct run *run, struct http_client *client, const char *url,
               struct buf *body, struct error *err)
{
    for (int64_t i = 0;; i++) {
        struct error why = ERROR_INIT;

        buf_clear(body);
        if (get_once(c, run, client, url, body, &why) == 0)
            return 0;
        if (!error_is_retryable(&why) || i + 1 >= c->retry_attempts) {
            *err = why;
            return -1;
        }
        log_warn(run->log, .message = "asking again",
                 .fields = {log_text("error", why.message), log_int("attempt", i + 1)});
        if (cancel_sleep_ms(run->cancel, retry_backoff_ms(c->retry_delay_ms, MAX_PAUSE_MS, i),
                            err) < 0)
            return -1;
    }
}

/* ------------------------------------------------------------------------- users */

static int check(const void *config, struct run *run, struct error *err)
{
    const struct config *c = config;
    CLEANUP(http_client_free_cleanup) struct http_client *client = NULL;
    CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_PAGE_BYTES);

    if (open_client(c, run, &client, err) < 0)
        return -1;
    return get(c, run, client, arena_printf(run->mem, "%s/health", c->base_url), &body, err);
}

static int discover(const void *config, struct run *run, struct catalog *out, struct error *err)
{
    struct stream *s = catalog_add(out);

    (void)config, (void)run, (void)err;
    s->namespace = "";
    s->name = "users";
    s->schema = &users;
    s->cursors = updated_at;
    s->n_cursors = 1;
    s->source_defined_cursor = true;
    s->incremental = true;
    s->row_estimate = -1;
    return 0;
}

static int count(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err)
{
    (void)config, (void)run, (void)stream, (void)out_count, (void)out_exact;
    return error_set(err, ERR_UNSUPPORTED, "the API does not say how many users there are");
}

/* One read of the stream. */
struct reading {
    const struct config *config;
    struct run *run;
    struct http_client *client;
    const struct stream_request *request;
    struct bind bind;
    struct jsonrow row;
    struct batch *rows;
    const char *since; /* NULL: all users */
    int64_t latest_us; /* updated_at of the last user seen */
    int64_t n;         /* users of this page */
};

static void note_update(struct reading *r, size_t row)
{
    long at = schema_find(batch_schema(r->rows), "updated_at");
    struct column_view v;

    if (at < 0)
        return;
    v = batch_column(r->rows, (size_t)at);
    if (column_has(&v, row) && v.ints[row] > r->latest_us)
        r->latest_us = v.ints[row];
}

static int put_user(struct reading *r, struct slice record, struct error *err)
{
    enum jsonrow_outcome outcome;
    struct error why = ERROR_INIT;

    if (jsonrow_put(&r->row, record, r->rows, &outcome, &why, err) < 0)
        return -1;
    if (outcome != JSONROW_PUT)
        return error_set(err, ERR_DATA, "a user is no record: %s", why.message);
    note_update(r, batch_rows(r->rows) - 1);
    r->n++;
    return 0;
}

/* {"data": [user, ...]}; other members are passed over. */
static int put_page(struct reading *r, const struct buf *body, struct error *err)
{
    struct jsonread json;
    enum jsonread_token token;
    struct slice raw;
    bool found = false;
    int rc;

    jsonread_init(&json);
    jsonread_start(&json, buf_str(body), body->len);
    r->n = 0;
    rc = jsonread_next(&json, &token, err);
    while (rc == 0 && (rc = jsonread_next(&json, &token, err)) == 0 && token == JSONREAD_KEY) {
        bool data = json.text.len == 4 && !memcmp(json.text.ptr, "data", 4);

        if ((rc = jsonread_next(&json, &token, err)) < 0)
            break;
        if (!data || token != JSONREAD_ARRAY) {
            rc = jsonread_skip(&json, token, &raw, err);
            continue;
        }
        found = true;
        while ((rc = jsonread_next(&json, &token, err)) == 0 && token != JSONREAD_ARRAY_END) {
            if ((rc = jsonread_skip(&json, token, &raw, err)) < 0 ||
                (rc = put_user(r, raw, err)) < 0)
                break;
        }
    }
    jsonread_release(&json);
    if (rc == 0 && !found)
        return error_set(err, ERR_DATA, "the answer has no \"data\"");
    return rc;
}

/* {"updated_since": "..."}; the first run begins at the start date. */
static int read_position(struct reading *r, struct error *err)
{
    CLEANUP(doc_free_cleanup) struct doc *d = NULL;
    const char *position = r->request->position, *since;

    if (r->request->want->sync_mode != SYNC_INCREMENTAL)
        return 0;
    r->since = r->config->start_date;
    if (!position)
        return 0;
    if (doc_parse_trusted(position, strlen(position), &d, err) < 0)
        return error_wrap(err, "reading the position");
    since = doc_string(doc_get(d, "updated_since"), NULL);
    if (!since || !clock_parse(since, &r->latest_us))
        return error_set(err, ERR_RESYNC, "the position %s is none of this source", position);
    r->since = arena_strdup(r->run->mem, since);
    return 0;
}

static int read_pages(struct reading *r, size_t stream, struct sink *out, struct error *err)
{
    CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_PAGE_BYTES);

    for (int64_t page = 1;; page++) {
        const char *url = arena_printf(r->run->mem, "%s/users?page=%" PRId64 "&per_page=%d",
                                       r->config->base_url, page, PAGE_ROWS);

        if (r->since)
            url = url_add_query(r->run->mem, url, "updated_since", r->since);
        if (get(r->config, r->run, r->client, url, &body, err) < 0 || put_page(r, &body, err) < 0)
            return -1;
        if (!batch_is_empty(r->rows) && sink_write(out, stream, r->rows, err) < 0)
            return -1;
        if (r->n < PAGE_ROWS)
            return 0;
    }
}

/* Pages shift while users change, so only a whole read has a position: the last change it saw. */
static int read_users(struct reading *r, size_t stream, struct sink *out, struct error *err)
{
    char when[CLOCK_TEXT_BYTES];
    const char *end = NULL;

    if (sink_begin(out, stream, err) < 0 || read_position(r, err) < 0 ||
        read_pages(r, stream, out, err) < 0)
        return -1;
    if (r->since && r->latest_us) {
        clock_format_us(r->latest_us, when);
        end = arena_printf(r->run->mem, "{\"updated_since\":\"%s\"}", when);
    } else if (r->since) {
        end = r->request->position;
    }
    return sink_end(out, stream, end, err);
}

/* The types above are declared and no guesses: text in them is read as what they say. */
static bool declared_type(const void *arg, const char *name, struct column_type *out)
{
    long at = schema_find(&users, name);

    (void)arg;
    if (at >= 0)
        *out = users.columns[at].type;
    return at >= 0;
}

static int read_streams(const void *config, struct run *run, const struct read_request *req,
                        struct sink *out, struct error *err)
{
    struct reading r = {.config = config, .run = run, .request = &req->streams[0]};
    int rc;

    bind_init(&r.bind, r.request->want, declared_type, NULL, run->mem, run->log);
    jsonrow_init(&r.row, &r.bind);
    r.rows = batch_new(r.bind.schema);
    rc = open_client(config, run, &r.client, err);
    if (rc == 0)
        rc = read_users(&r, 0, out, err);
    http_client_free(r.client);
    batch_free(r.rows);
    jsonrow_release(&r.row);
    return rc;
}

const struct source_connector source_custom_api = {
    .name = "custom_api",
    .title = "Custom API",
    .docs = "Users of an API with a bearer key, by pages, incremental by `updated_at`.",
    .options = options,
    .config_size = sizeof(struct config),
    .check = check,
    .discover = discover,
    .count = count,
    .read = read_streams,
};

#ifndef TESTED /* the test has a main of its own */
int main(int argc, char **argv)
{
    return connector_main(argc, argv, &source_custom_api);
}
#endif

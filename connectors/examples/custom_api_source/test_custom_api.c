/* The connector against an API that is played: health, pages, changes, refusals, failures. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/base/text.h"
#include "tests/support/fake_api.h"
#include "tests/support/fake_sink.h"
#include "tests/support/harness.h"

#define USERS 250

extern const struct source_connector source_custom_api;

static _Atomic int failures; /* answers with 503 that are still to come */

static void must(bool ok, const char *what, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static int64_t number(const struct fake_request *r, const char *name)
{
    const char *text = fake_param(r, name);
    int64_t v = 0;

    return text && text_to_int64(text, strlen(text), &v) ? v : 0;
}

/* User i was changed in minute i of 2024-03-01. */
static void put_users(const struct fake_request *r, struct arena *mem, struct fake_answer *out)
{
    const char *since = fake_param(r, "updated_since");
    int64_t page = number(r, "page"), size = number(r, "per_page"), first = (page - 1) * size;
    char *text = arena_printf(mem, "{\"total\": {\"x\": []}, \"data\": [");
    bool comma = false;
    int64_t seen = 0;

    for (int i = 0; i < USERS; i++) {
        char *when = arena_printf(mem, "2024-03-01T%02d:%02d:00Z", i / 60, i % 60);

        if (since && strncmp(when, since, 19) < 0)
            continue;
        if (seen >= first && seen < first + size) {
            text = arena_printf(
                mem,
                "%s%s{\"id\": %d, \"email\": \"u%d@example.com\", \"name\": \"User %d\", "
                "\"created_at\": \"2024-01-01T00:00:00Z\", \"updated_at\": \"%s\"}",
                text, comma ? ", " : "", i, i, i, when);
            comma = true;
        }
        seen++;
    }
    out->body = arena_printf(mem, "%s]}", text);
}

static void answer(void *arg, const struct fake_request *r, struct arena *mem,
                   struct fake_answer *out)
{
    const char *key = fake_header(r, "Authorization");

    (void)arg;
    if (!key || strcmp(key, "Bearer right") != 0)
        out->status = 401;
    else if (failures > 0 && failures-- > 0)
        out->status = 503;
    else if (!strcmp(r->path, "/health"))
        out->body = "ok";
    else if (!strcmp(r->path, "/users"))
        put_users(r, mem, out);
    else
        out->status = 404;
}

static void open_with(struct harness *h, const struct fake_api *api, const char *key)
{
    struct error err = ERROR_INIT;
    char config[300];

    snprintf(config, sizeof config,
             "{\"api_key\": \"%s\", \"base_url\": \"%s\", \"retry_delay_ms\": 1}", key,
             fake_api_url(api));
    must(harness_open(h, &source_custom_api, config, &err) == 0, "discovering", &err);
}

static void test_check(const struct fake_api *api)
{
    struct error err = ERROR_INIT;
    struct harness h;

    open_with(&h, api, "right");
    failures = 2;
    must(source_custom_api.check(h.config, &h.run, &err) == 0, "checking, at the third try", &err);
    failures = 3;
    must(source_custom_api.check(h.config, &h.run, &err) < 0 && err.code == ERR_TRANSIENT,
         "three failures are too many", &err);
    failures = 0;
    harness_close(&h);
    open_with(&h, api, "wrong");
    err = ERROR_INIT;
    must(source_custom_api.check(h.config, &h.run, &err) < 0 && err.code == ERR_UNAUTHORIZED,
         "a wrong key", &err);
    must(!strstr(err.message, "wrong"), "the key is shown", &err);
    harness_close(&h);
}

static void test_read(const struct fake_api *api)
{
    struct fake_sink *whole = fake_sink_new(1), *first = fake_sink_new(1),
                     *second = fake_sink_new(1);
    struct error err = ERROR_INIT;
    struct harness h;
    const char *positions[1];

    open_with(&h, api, "right");
    must(harness_select(&h, NULL, &err) == 0, "selecting", &err);
    must(harness_read(&h, NULL, &whole->sink, &err) == 0, "reading", &err);
    must(whole->streams[0].n_lines == USERS && !whole->streams[0].end_position, "a full refresh",
         &err);
    must(
        !strcmp(whole->streams[0].lines[1],
                "{\"id\":\"1\",\"email\":\"u1@example.com\",\"name\":\"User 1\","
                "\"created_at\":\"2024-01-01T00:00:00Z\",\"updated_at\":\"2024-03-01T00:01:00Z\"}"),
        whole->streams[0].lines[1], &err);

    must(harness_select(&h, "[{\"name\": \"users\", \"sync_mode\": \"incremental\"}]", &err) == 0,
         "selecting", &err);
    must(harness_read(&h, NULL, &first->sink, &err) == 0, "reading", &err);
    must(first->streams[0].n_lines == USERS, "a first incremental run", &err);
    positions[0] = first->streams[0].end_position;
    must(positions[0] && strstr(positions[0], "2024-03-01T04:09:00"), "the bookmark", &err);
    must(harness_read(&h, positions, &second->sink, &err) == 0, "reading", &err);
    must(second->streams[0].n_lines == 1, "only the user at the bookmark comes again", &err);
    positions[0] = "{\"updated_since\": 7}";
    fake_sink_free(second);
    second = fake_sink_new(1);
    must(harness_read(&h, positions, &second->sink, &err) < 0 && err.code == ERR_RESYNC,
         "a position of somebody else", &err);
    must(!*whole->violation && !*first->violation && !*second->violation, "the rules of a sink",
         &err);
    fake_sink_free(whole);
    fake_sink_free(first);
    fake_sink_free(second);
    harness_close(&h);
}

int main(void)
{
    struct fake_api *api = fake_api_start(answer, NULL);

    test_check(api);
    test_read(api);
    fake_api_stop(api);
    return 0;
}

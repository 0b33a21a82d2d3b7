/*
 * Request targets: whatever is accepted is text without ways around it (no slash, no control, no
 * "..", no name given twice), means the same when it is written out and read again, and finds at
 * most the one route it spells.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/base/buf.h"
#include "connectors/base/text.h"
#include "server/http/router.h"
#include "server/http/target.h"
#include "tests/fuzz/fuzz.h"

static int nothing(struct app *app, struct request *req, struct response *res, struct error *err)
{
    (void)app;
    (void)req;
    (void)res;
    (void)err;
    return 0;
}

static const struct route routes[] = {
    {"GET", "/v1/{kind}/{name}", nothing, "any", "read", 0},
    {"GET", "/v1/runs/latest", nothing, "latest", "read", 0},
    {NULL, NULL, NULL, NULL, NULL, 0},
};

static void check_text(const char *s)
{
    MUST(text_is_utf8(s, strlen(s)));
    for (; *s; s++)
        MUST((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check(const struct target *t)
{
    for (size_t i = 0; i < t->n_segments; i++) {
        const char *s = t->segments[i];

        check_text(s);
        MUST(*s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0);
    }
    for (size_t i = 0; i < t->n_query; i++) {
        check_text(t->query[i].name);
        check_text(t->query[i].value);
        for (size_t k = 0; k < i; k++)
            MUST(strcmp(t->query[i].name, t->query[k].name) != 0);
    }
}

static void put_escaped(struct buf *out, const char *s)
{
    for (; *s; s++)
        buf_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
}

/* Written with every byte escaped it must read the same. */
static void check_round_trip(struct arena *mem, const struct target *t)
{
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct error err = ERROR_INIT;
    struct target again;

    buf_putc(&text, '/');
    for (size_t i = 0; i < t->n_segments; i++) {
        put_escaped(&text, t->segments[i]);
        buf_putc(&text, '/');
    }
    for (size_t i = 0; i < t->n_query; i++) {
        buf_putc(&text, i ? '&' : '?');
        put_escaped(&text, t->query[i].name);
        buf_putc(&text, '=');
        put_escaped(&text, t->query[i].value);
    }
    MUST(target_parse(mem, buf_str(&text), &again, &err) == 0);
    MUST(again.n_segments == t->n_segments && again.n_query == t->n_query);
    for (size_t i = 0; i < t->n_segments; i++)
        MUST(!strcmp(again.segments[i], t->segments[i]));
    for (size_t i = 0; i < t->n_query; i++) {
        MUST(!strcmp(again.query[i].name, t->query[i].name));
        MUST(!strcmp(again.query[i].value, t->query[i].value));
    }
    buf_release(&text);
}

static void check_route(const struct target *t)
{
    static struct router *router;
    struct error err = ERROR_INIT;
    struct match m;
    bool fits = t->n_segments == 3 && !strcmp(t->segments[0], "v1");

    if (!router)
        MUST(router_new(routes, "", &router, &err) == 0);
    router_find(router, METHOD_GET, t, &m);
    MUST((m.route != NULL) == fits);
    MUST(!m.route || m.n_params == 2 || m.route == &routes[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new();
    const char *raw = arena_memdup(mem, (const char *)data, size);
    struct error err = ERROR_INIT;
    struct target t;

    if (target_parse(mem, raw, &t, &err) == 0) {
        check(&t);
        check_round_trip(mem, &t);
        check_route(&t);
    } else {
        MUST(err.code == ERR_INVALID && err.reason);
    }
    arena_free(mem);
    return 0;
}

#include "server/http/router.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEGMENTS 16 /* of a pattern, base path included */

struct segment {
    const char *text; /* the literal, or the name of the parameter */
    bool is_param;
};

struct compiled {
    const struct route *route;
    enum http_method method;
    struct segment segments[MAX_SEGMENTS];
    size_t n;
};

struct router {
    struct arena *mem;
    struct compiled *routes;
    size_t n;
};

static const char *const method_names[] = {
    [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",   [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS", [METHOD_TRACE] = "TRACE", [METHOD_CONNECT] = "CONNECT",
    [METHOD_QUERY] = "QUERY",
};

enum http_method method_from_name(const char *name)
{
    for (int i = 0; i < METHOD_UNKNOWN; i++) {
        if (!strcmp(method_names[i], name))
            return (enum http_method)i;
    }
    return METHOD_UNKNOWN;
}

/* Adds the segments of "/v1/{name}" to the pattern. */
static int compile(struct arena *mem, const char *path, struct compiled *c, struct error *err)
{
    while (*path) {
        size_t n = strcspn(path, "/");
        char *text;

        if (n && c->n == MAX_SEGMENTS)
            return error_set(err, ERR_INTERNAL, "the pattern \"%s\" is too long", path);
        if (n) {
            text = arena_memdup(mem, path, n);
            c->segments[c->n].is_param = *text == '{';
            if (*text == '{') {
                text[n - 1] = '\0';
                text++;
            }
            c->segments[c->n++].text = text;
        }
        path += n + (path[n] == '/');
    }
    return 0;
}

static bool same_shape(const struct compiled *a, const struct compiled *b)
{
    if (a->n != b->n || a->method != b->method)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (a->segments[i].is_param != b->segments[i].is_param)
            return false;
        if (!a->segments[i].is_param && strcmp(a->segments[i].text, b->segments[i].text) != 0)
            return false;
    }
    return true;
}

static int add_route(struct router *r, const struct route *route, const char *base_path,
                     struct error *err)
{
    struct compiled *c = &r->routes[r->n];
    size_t n_params = 0;

    *c = (struct compiled){.route = route, .method = method_from_name(route->method)};
    if (c->method > METHOD_DELETE || c->method == METHOD_HEAD)
        return error_set(err, ERR_INTERNAL, "a route has the method \"%s\"", route->method);
    if (compile(r->mem, base_path, c, err) < 0 || compile(r->mem, route->pattern, c, err) < 0)
        return -1;
    for (size_t i = 0; i < c->n; i++)
        n_params += c->segments[i].is_param;
    if (n_params > ROUTER_MAX_PARAMS)
        return error_set(err, ERR_INTERNAL, "\"%s\" has too many parameters", route->pattern);
    for (size_t i = 0; i < r->n; i++) {
        if (same_shape(c, &r->routes[i])) {
            return error_set(err, ERR_INTERNAL, "%s %s and %s are the same route", route->method,
                             route->pattern, r->routes[i].route->pattern);
        }
    }
    r->n++;
    return 0;
}

int router_new(const struct route *routes, const char *base_path, struct router **out,
               struct error *err)
{
    struct router *r = xalloc(sizeof *r);
    size_t n = 0;

    while (routes[n].method)
        n++;
    r->mem = arena_new();
    r->routes = arena_array(r->mem, n + 1, sizeof *r->routes);
    for (size_t i = 0; i < n; i++) {
        if (add_route(r, &routes[i], base_path, err) < 0) {
            router_free(r);
            return -1;
        }
    }
    *out = r;
    return 0;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    arena_free(r->mem);
    free(r);
}

static bool matches(const struct compiled *c, const struct target *target)
{
    if (c->n != target->n_segments)
        return false;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->segments[i].is_param && strcmp(c->segments[i].text, target->segments[i]) != 0)
            return false;
    }
    return true;
}

/* Both match the same target: the first difference decides. */
static bool is_more_specific(const struct compiled *a, const struct compiled *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->segments[i].is_param != b->segments[i].is_param)
            return b->segments[i].is_param;
    }
    return false;
}

void router_find(const struct router *r, enum http_method method, const struct target *target,
                 struct match *out)
{
    enum http_method wanted = method == METHOD_HEAD ? METHOD_GET : method;
    const struct compiled *best = NULL;

    *out = (struct match){0};
    for (size_t i = 0; i < r->n; i++) {
        const struct compiled *c = &r->routes[i];

        if (!matches(c, target))
            continue;
        out->allowed |= 1U << c->method | 1U << METHOD_OPTIONS;
        if (c->method == METHOD_GET)
            out->allowed |= 1U << METHOD_HEAD;
        if (c->method == wanted && (!best || is_more_specific(c, best)))
            best = c;
    }
    if (!best)
        return;
    out->route = best->route;
    for (size_t i = 0; i < best->n; i++) {
        if (best->segments[i].is_param)
            out->params[out->n_params++] =
                (struct pair){best->segments[i].text, target->segments[i]};
    }
}

void router_allow(unsigned allowed, char *out, size_t size)
{
    size_t len = 0;

    assert(size >= 64);
    *out = '\0';
    for (int i = 0; i <= METHOD_OPTIONS; i++) {
        if (allowed & 1U << i)
            len +=
                (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", method_names[i]);
    }
}

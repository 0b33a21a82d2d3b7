/*
 * router.h - finds the route of a request in the table of routes.
 *
 * Const once built, so it is safe from any thread.
 */
#ifndef SERVER_HTTP_ROUTER_H
#define SERVER_HTTP_ROUTER_H

#include "server/http/http.h"
#include "server/http/target.h"

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_CONNECT,
    METHOD_QUERY,
    METHOD_UNKNOWN,
};

enum http_method method_from_name(const char *name); /* exact case */

#define ROUTER_MAX_PARAMS 8

struct match {
    const struct route *route; /* NULL when nothing matches path and method */
    unsigned allowed; /* bits 1 << method of every route with this path; 0 = no such path */
    struct pair params[ROUTER_MAX_PARAMS];
    size_t n_params;
};

struct router; /* opaque, const once built */

/* Fails with INTERNAL on a table that contradicts itself. */
CHECKED int router_new(const struct route *routes, const char *base_path, struct router **out,
                       struct error *err);
void router_free(struct router *r); /* accepts NULL */
/* A literal segment wins over a parameter, from the left. */
void router_find(const struct router *r, enum http_method method, const struct target *target,
                 struct match *out);
/* "GET, HEAD, OPTIONS" for the value of Allow. */
void router_allow(unsigned allowed, char *out, size_t size);

#endif

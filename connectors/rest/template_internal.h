/*
 * template_internal.h - what templates, filters and conditions share.
 */
#ifndef CONNECTORS_REST_TEMPLATE_INTERNAL_H
#define CONNECTORS_REST_TEMPLATE_INTERNAL_H

#include "connectors/rest/pattern.h"
#include "connectors/rest/template.h"

/* "name.a[0]": the scope, and the path within it. */
struct scoped_path {
    enum scope scope;
    struct path path;
};
/* False after adding to `problems`. */
bool scoped_path_compile(struct arena *mem, const char *text, unsigned allowed, const char *pointer,
                         struct problems *problems, struct scoped_path *out);
CHECKED int scoped_path_find(const struct scoped_path *p, const struct scopes *s, struct arena *mem,
                             struct rest_value *out, struct error *err);

struct filter_use;
typedef int filter_fn(const struct rest_value *in, const struct filter_use *use, struct arena *mem,
                      struct rest_value *out, struct error *err);
struct filter {
    const char *name;
    filter_fn *apply;
    bool takes, takes_missing; /* an argument; a value that is not there */
};
struct filter_use {
    const struct filter *filter;
    struct rest_value arg;
    const struct pattern *pattern; /* regex */
};
const struct filter *filter_find(const char *name); /* NULL = none */

struct rest_value rest_string(struct arena *mem, const char *s, size_t n);
struct rest_value rest_number(struct arena *mem, int64_t v);
/* A time in microseconds since 1970: text of a timestamp or date, or a number of seconds (of
 * milliseconds from 10^11 on). */
bool rest_instant(const struct rest_value *v, int64_t *out_us);

#endif

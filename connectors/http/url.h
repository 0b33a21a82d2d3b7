/*
 * url.h - addresses: parsed once, by the parser of the library that will use them.
 */
#ifndef CONNECTORS_HTTP_URL_H
#define CONNECTORS_HTTP_URL_H

#include "connectors/base/arena.h"
#include "connectors/base/error.h"

struct url_origin {
    const char *scheme, *host; /* lower case; an IPv6 address in brackets */
    long port;
};

/*
 * `text` made absolute by `base` (NULL = it is absolute) and normal. Fails with CONFIG and reason
 * "url_refused" for anything but http and https, user names and passwords, control characters.
 */
__attribute__((nonnull(1, 3, 4, 5), warn_unused_result)) int
url_resolve(struct arena *mem, const char *base, const char *text, const char **out,
            struct error *err);
CHECKED int url_origin(struct arena *mem, const char *url, struct url_origin *out,
                       struct error *err);
bool url_same_origin(const struct url_origin *a, const struct url_origin *b);

/* Appends "name=value" to the query of an absolute URL, both encoded. */
const char *url_add_query(struct arena *mem, const char *url, const char *name, const char *value);
/* Percent-encodes everything but unreserved characters. */
const char *url_encode(struct arena *mem, const char *s, size_t n);

#endif

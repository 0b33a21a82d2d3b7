/*
 * template.h - the language of rest-source documents: {{ path | filter:arg }} and conditions.
 *
 * No loops, no arithmetic, no calls, no side effects. Compiled when a document is loaded, so a bad
 * path or filter is an error then and not at page 4,000. Output is bounded. Pure but for `mem`.
 *
 * Filters: default, int, string, json, lower, upper, trim, join:',', split:',', first, last,
 * regex:'(...)' (a linear-time subset), urlencode, base64, sha256, iso, date:'%Y-%m-%d', epoch,
 * epoch_ms, add:'-PT5M'. Conditions: path op literal with == != < <= > >= in ~ exists, and or not (
 * ).
 */
#ifndef CONNECTORS_REST_TEMPLATE_H
#define CONNECTORS_REST_TEMPLATE_H

#include "connectors/base/doc.h"
#include "connectors/base/problem.h"
#include "connectors/rest/path.h"

#define TEMPLATE_MAX_OUTPUT ((size_t)1 << 20)

/* What a name at the beginning of a path means. */
#define SCOPES(X)                                                               \
    X(vars)   /* the configuration of the connector */                          \
    X(secret) /* never logged, never in state */                                \
    X(state)  /* start, end, cursor */                                          \
    X(parent) /* fields of for_each */                                          \
    X(slice)  /* fields of slices */                                            \
    X(page)   /* token, number, offset, size, index */                          \
    X(last)   /* response.{body,headers,status}, record, first_record, count */ \
    X(body)   /* of the response, without its records */                        \
    X(header) /* of the response, names in lower case */                        \
    X(run)    /* started_at */                                                  \
    X(record) /* in add and where */                                            \
    X(token)  /* answer of the auth request */
enum scope {
#define X(name) SCOPE_##name,
    SCOPES(X)
#undef X
        SCOPE_COUNT
};
#define SCOPE_BIT(name) (1u << SCOPE_##name)

/* Each scope as the text of one JSON object; without a pointer it is not there. */
struct scopes {
    struct slice json[SCOPE_COUNT];
};

struct template;  /* opaque, lives in the arena it was compiled in */
struct condition; /* the same */

/*
 * `value` is any JSON value of a document: a string may hold templates, in arrays and objects every
 * string may; all else stands for itself. `allowed` says which scopes may be named. NULL after
 * adding to `problems` (codes "bad_template", "unknown_scope", "unknown_filter").
 */
const struct template *template_compile(struct arena *mem, const struct doc *value,
                                        unsigned allowed, const char *pointer,
                                        struct problems *problems);
const struct condition *condition_compile(struct arena *mem, const char *text, unsigned allowed,
                                          const char *pointer, struct problems *problems);

/* A string that is exactly one {{ }} keeps the type of its value, anything else with text around it
 * becomes a string. CONFIG with reason "template_missing" naming the path when a value is missing
 * and has no default. */
CHECKED int template_render(const struct template *t, const struct scopes *s, struct arena *mem,
                            struct rest_value *out, struct error *err);
/* A path that is missing makes a comparison false. */
CHECKED int condition_holds(const struct condition *c, const struct scopes *s, struct arena *mem,
                            bool *out, struct error *err);
/* The first name that it reads in the scope without a default, and that `known` does not know;
 * NULL = none. */
const char *template_unknown(const struct template *t, enum scope scope,
                             bool (*known)(const void *arg, const char *name), const void *arg);
/* Which scopes it reads: SCOPE_BIT of each. */
unsigned template_scopes(const struct template *t);

#endif

/*
 * document.h - a REST API by description, compiled: what rest-source.md calls the document.
 *
 * Loading checks everything at once and reports all problems with JSON pointers; afterwards nothing
 * about the document can fail but what the API answers. Immutable once compiled; lives in its
 * arena.
 */
#ifndef CONNECTORS_REST_DOCUMENT_H
#define CONNECTORS_REST_DOCUMENT_H

#include "connectors/catalog.h"
#include "connectors/option.h"
#include "connectors/rest/page.h"
#include "connectors/rest/pattern.h"
#include "connectors/rest/template.h"

struct rest_pair { /* a header, a parameter, a computed field */
    const char *name;
    const struct template *value;
};
struct rest_pairs {
    const struct rest_pair *items;
    size_t n;
};

enum rest_body_kind { REST_BODY_NONE, REST_BODY_JSON, REST_BODY_FORM, REST_BODY_TEXT };
struct rest_request {
    const char *method;
    const struct template *path; /* appended to base_url, or absolute */
    struct rest_pairs params, headers;
    enum rest_body_kind body_kind;
    const struct template *body; /* JSON: any value; FORM: an object; TEXT: a string */
};

enum rest_auth_type {
    REST_AUTH_NONE,
    REST_AUTH_BEARER,
    REST_AUTH_API_KEY,
    REST_AUTH_BASIC,
    REST_AUTH_OAUTH2,
    REST_AUTH_SESSION
};
enum rest_place { REST_IN_HEADER, REST_IN_QUERY, REST_IN_COOKIE, REST_IN_BODY, REST_IN_PATH };
enum rest_grant {
    REST_GRANT_CLIENT_CREDENTIALS,
    REST_GRANT_REFRESH_TOKEN,
    REST_GRANT_PASSWORD,
    REST_GRANT_JWT_BEARER
};
enum rest_expires { REST_EXPIRES_S, REST_EXPIRES_ISO, REST_EXPIRES_EPOCH };
struct rest_auth {
    enum rest_auth_type type;
    const struct template *token, *name, *value, *username, *password;
    enum rest_place in;
    const char *prefix; /* of the value sent, "Bearer " */
    /* oauth2 */
    enum rest_grant grant;
    const struct template *token_url, *client_id, *client_secret, *scope, *audience, *refresh_token;
    const struct template *private_key, *key_id; /* JWT_BEARER; the username is who we act for */
    const char *refresh_secret; /* the secret that holds the refresh token; NULL = none */
    struct rest_pairs extra;
    bool client_basic;
    struct path token_path, expires_path;
    enum rest_expires expires_unit;
    int64_t early_ms;
    /* session */
    struct rest_request request;
    int64_t ttl_ms;
};

enum rest_paginate_type {
    REST_PAGE_NONE,
    REST_PAGE_NUMBER,
    REST_PAGE_OFFSET,
    REST_PAGE_CURSOR,
    REST_PAGE_LINK_HEADER,
    REST_PAGE_NEXT_URL,
    REST_PAGE_LAST_RECORD
};
struct rest_paginate {
    enum rest_paginate_type type;
    const char *param, *size_param;
    enum rest_place in;
    const char *body_path; /* where the cursor goes in a JSON body */
    int64_t start, size;
    int64_t split_records; /* so many are given, then the bound moves on; 0 = all */
    bool from_header, stop_on_short;
    bool stable;             /* pages keep their content while they are read */
    bool overlap, front;     /* offset: pages overlap; the front is read again: overlap.h */
    struct path path, field; /* of the cursor or URL; of the last record */
    const char *header, *rel;
    bool has_total_pages, has_total, has_more;
    struct path total_pages, total, more;
    const struct condition *until;
    int64_t token_ttl_ms;
};

enum rest_cursor_type {
    REST_CURSOR_TIMESTAMP,
    REST_CURSOR_DATE,
    REST_CURSOR_INT,
    REST_CURSOR_EPOCH,
    REST_CURSOR_EPOCH_MS,
    REST_CURSOR_STRING
};
enum rest_order { REST_ORDER_NONE, REST_ORDER_ASC, REST_ORDER_DESC };
enum rest_server { REST_SERVER_INCLUSIVE, REST_SERVER_EXCLUSIVE, REST_SERVER_NONE };
enum rest_missing { REST_MISSING_INCLUDE, REST_MISSING_EXCLUDE, REST_MISSING_FAIL };
struct rest_send { /* where a bound goes */
    const char *param, *body_path;
    const struct template *value; /* NULL = nothing is sent (or the path template uses state.*) */
};
struct rest_incremental {
    bool present;
    struct path field;
    enum rest_cursor_type type;
    const struct template *start;
    struct rest_send send, send_end;
    enum rest_server server;
    int64_t granularity_us, lookback_us, window_us; /* window 0 = one */
    const struct template *end;                     /* NULL = run.started_at */
    enum rest_order order;
    bool client_filter;
    int64_t retention_us; /* 0 = for ever */
    enum rest_missing missing;
};

enum rest_do {
    REST_DO_RETRY,
    REST_DO_RATE_LIMITED,
    REST_DO_REFRESH_AUTH,
    REST_DO_RESET_PAGINATION,
    REST_DO_EMPTY,
    REST_DO_SKIP_SLICE,
    REST_DO_STOP,
    REST_DO_FAIL
};
struct rest_rule {
    const int *status;                  /* ends with 0; NULL = any */
    int status_class;                   /* 4 = 4xx; 0 = any */
    const char *header, *header_equals; /* NULL = not looked at; equals NULL = present */
    const struct condition *body;
    enum rest_do action;
    enum error_code as;             /* FAIL */
    const struct template *message; /* over the answer */
    int64_t wait_ms;                /* 0 = back-off */
    const char *wait_header;
    bool has_wait_path;
    struct path wait_path;
};
struct rest_rules {
    const struct rest_rule *items;
    size_t n;
};

enum rest_reset { REST_RESET_SECONDS, REST_RESET_EPOCH, REST_RESET_ISO };
struct rest_limit {
    int64_t requests, per_ms, burst, cost, min_remaining;
    const char *remaining_header, *limit_header, *reset_header, *used_limit_header;
    enum rest_reset reset;
    const char *match_path, *match_method; /* prefix of the path; NULL = all */
    const struct pattern *match_regex;     /* found in the path; NULL = all */
};

struct rest_client {
    const struct template *base_url;
    struct rest_pairs headers, params;
    struct rest_auth auth;
    const char *accept, *proxy, *const *allowed_hosts;
    bool insecure;
    const struct template *ca, *cert, *key; /* PEM; NULL = those of the system, none, none */
    struct page_settings decoder;           /* what answers are; of every stream but for the path */
    int64_t connect_ms, idle_ms, total_ms, max_body, redirects;
    int64_t concurrency, retry_tries, retry_base_ms, retry_cap_ms, retry_max_wait_ms;
    struct rest_rules errors;
    const struct rest_limit *limits;
    size_t n_limits;
};

struct rest_for_each {
    const struct rest_stream *parent; /* NULL = none */
    struct rest_field {
        const char *name;
        struct path path;             /* in the parent's record, or ... */
        const struct template *value; /* ... computed from it and from its own parent */
    } * fields;
    size_t n_fields;
    const struct condition *where;
    bool distinct, missing_is_empty;
    const char *const *include; /* fields put into the child's records */
    const char *prefix;
    int64_t batch;
};

enum rest_schema_kind { REST_SCHEMA_INFER, REST_SCHEMA_INLINE };
struct rest_stream {
    const char *name, *pointer; /* where it stands in the document */
    const char *notes;          /* for people; "" = none */
    struct rest_request request;
    struct page_settings records;
    const struct condition *where;
    bool has_explode;
    struct path explode;
    struct rest_pairs add;
    const struct path *remove;
    size_t n_remove;
    const char *const *key; /* names of fields; dotted paths for nested ones */
    size_t n_key;
    struct rest_paginate paginate;
    struct rest_incremental incremental;
    struct rest_for_each for_each;
    const char *const *slices; /* JSON objects as text */
    size_t n_slices;
    const struct template *slices_from; /* a list of texts, each {"value": text}; NULL = those */
    enum rest_schema_kind schema_kind;
    const struct schema *schema; /* INLINE */
    struct rest_type {
        const char *column;
        struct column_type type;
    } * types;
    size_t n_types;
    bool selected, etag, empty_ok;
    int64_t max_pages, max_skipped;
    struct rest_rules errors; /* before those of the client */
};

struct rest_document {
    const char *name, *title, *docs;
    const struct option *vars, *secrets; /* rows without an offset yet: see rest_options */
    size_t n_vars, n_secrets;
    struct rest_client client;
    bool has_check;
    struct rest_request check;
    const struct rest_stream *streams;
    size_t n_streams;
};

/* NULL after adding to `problems`. The document is copied. */
const struct rest_document *rest_document_compile(struct arena *mem, const struct doc *text,
                                                  const char *pointer, struct problems *problems);

/* The stream of this name; NULL when there is none. */
const struct rest_stream *document_find(const struct rest_document *d, const char *name);

/*
 * The option table of a connector made of this document: one row per var, one per secret. Its
 * config struct is an array of pointers (strings), integers and booleans laid out by the table;
 * rest_values turns a decoded one into the JSON texts of the scopes `vars` and `secret`, each of at
 * most REST_MAX_VALUES bytes; TOO_LARGE when there is more.
 */
#define REST_MAX_VALUES ((size_t)1 << 20)
const struct option *rest_options(struct arena *mem, const struct rest_document *d,
                                  size_t *out_config_size);
CHECKED int rest_values(struct arena *mem, const struct rest_document *d, const void *config,
                        struct scopes *out, struct error *err);

#endif

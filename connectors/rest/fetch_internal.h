/*
 * fetch_internal.h - the fetcher from inside.
 *
 *   fetch.c         pages: tries, waits, records
 *   fetch_render.c  requests from documents
 *   fetch_auth.c    identity: tokens, and where they go
 *   fetch_rules.c   what an answer means
 *   fetch_limit.c   rate limits
 *   fetch_mask.c    nothing secret leaves
 */
#ifndef CONNECTORS_REST_FETCH_INTERNAL_H
#define CONNECTORS_REST_FETCH_INTERNAL_H

#include "connectors/http/ratelimit.h"
#include "connectors/rest/fetch.h"

#define FETCH_ERROR_MAX ((size_t)64 << 10) /* of a body that is no page */

struct auth_state {
    bool have;                 /* a token of oauth2 or session */
    const char *token;         /* in `mem` of the fetcher */
    int64_t expires_us;        /* of our clock; 0 = not known */
    const char *refresh_token; /* the newest that is known; NULL = that of the document */
    const char *rotated;       /* another one that came with the last answer; NULL = none */
};

/* Records of a page that are held back. */
struct spool {
    struct buf text; /* one behind the other */
    size_t *ends;    /* where each ends */
    size_t n, cap;
    bool passing; /* too many: they are handed on as they come */
};

struct fetcher {
    const struct rest_document *doc;
    struct run *run;
    struct arena *mem, *page; /* as long as the fetcher; until the next page */
    struct scopes base;       /* vars, secret, run, token */
    struct http_client *client;
    const char *base_url;
    const char *secrets_at;
    struct limits *limits, *own_limits; /* of the run; of a fetcher that is alone */
    struct auth_state auth;
    struct redactor *redactor; /* what of this must not be said */
    struct spool spool;
    struct buf headers, envelope, first, last;
    struct hash_state {
        uint64_t a, b;
    } hash, hash_start; /* of this page; where it begins */
    /* A request that was sent ahead. */
    struct http_exchange *ahead;
    const char *ahead_key;
    struct arena *ahead_mem;
};

/* fetch_mask.c */
void mask_add(struct fetcher *f, const char *secret);
void mask_add_scope(struct fetcher *f, struct slice json);
const char *mask_text(const struct fetcher *f, struct arena *mem, const char *text);
void mask_error(const struct fetcher *f, struct error *err);

/* fetch_auth.c */
/* Has a token that is good for a while yet. */
CHECKED int auth_ready(struct fetcher *f, struct error *err);
/* Whether a new token could help, and getting it. */
bool auth_can_refresh(const struct fetcher *f);
CHECKED int auth_refresh(struct fetcher *f, struct error *err);
/* The request with who we are put in. */
CHECKED int auth_apply(struct fetcher *f, const struct fetch_request *r, struct arena *mem,
                       struct http_request *out, struct error *err);

/* fetch_limit.c */
CHECKED int limit_init(struct fetcher *f, struct error *err);
void limit_release(struct fetcher *f);
/* Milliseconds until the request may go, at most those limits that are meant for it. */
int64_t limit_wait_ms(struct fetcher *f, const struct fetch_request *r);
CHECKED int limit_wait(struct fetcher *f, const struct fetch_request *r, struct error *err);
void limit_hear(struct fetcher *f, const struct fetch_request *r, const struct http_exchange *x);
void limit_close(struct fetcher *f, const struct fetch_request *r, int64_t ms);

/* fetch_rules.c */
struct decision {
    enum rest_do action;
    bool page; /* nothing objects */
    enum error_code as;
    const char *reason, *message; /* for FAIL and SKIP */
    int64_t wait_ms;              /* -1 = back-off */
};
/* `envelope` is JSON; `retry_after` as the header says, or NULL. */
__attribute__((nonnull(1, 2, 7, 8, 9), warn_unused_result)) int
rules_decide(struct fetcher *f, const struct rest_stream *stream, int status, struct slice envelope,
             const char *retry_after, const char *date, struct arena *mem, struct decision *out,
             struct error *err);

/* fetch_render.c: the client of the fetcher, made when its address is known. */
CHECKED int render_client(struct fetcher *f, struct error *err);
CHECKED int render_settings(struct fetcher *f, const char *base_url, struct http_settings *out,
                            struct error *err);
/* One template as text; NULL for none and for null. */
__attribute__((nonnull(1, 3, 4, 5, 6), warn_unused_result)) int
render_text(struct fetcher *f, const struct template *t, const struct scopes *s, struct arena *mem,
            const char **out, struct error *err);
/* One request that is no page: a token, a check. */
CHECKED int fetch_once(struct fetcher *f, struct http_client *client, const struct http_request *r,
                       struct arena *mem, int *out_status, struct slice *out_body,
                       struct error *err);
void fetch_note_add(struct fetcher *f, const struct http_request *r, int status, int64_t began_us,
                    int64_t n_records);

#endif

/*
 * client.h - HTTP requests to the servers of others.
 *
 * One client per reader of a source: it owns the connections, which are reused, and at most
 * `concurrency` requests are in flight. A body is pulled piece by piece, decoded (gzip, br, zstd),
 * and never held whole: a server that is faster than its reader is made to wait. Redirects are
 * followed here, each hop checked like the first address; credentials stay with the origin they
 * were meant for. Nothing is taken from the environment: no proxy, no netrc, no cookies. Every wait
 * ends when the run is cancelled. Retries are the caller's. Not shared between threads.
 */
#ifndef CONNECTORS_HTTP_CLIENT_H
#define CONNECTORS_HTTP_CLIENT_H

#include "connectors/base/buf.h"
#include "connectors/base/cancel.h"
#include "connectors/base/error.h"

#define HTTP_MAX_REDIRECTS 5 /* unless the settings say otherwise */
#define HTTP_NO_REDIRECTS  (-1)
#define HTTP_MAX_HEADERS   ((size_t)64 << 10)  /* of an answer, all together */
#define HTTP_INBOX         ((size_t)512 << 10) /* received ahead of the reader, per answer */

struct http_settings {
    int64_t connect_ms, idle_ms, total_ms; /* total: waiting for the server, not for the reader */
    int64_t max_body;                      /* decoded bytes of one answer */
    int redirects; /* followed; 0 = HTTP_MAX_REDIRECTS, or HTTP_NO_REDIRECTS */
    unsigned concurrency;
    const char *const *allowed_hosts; /* besides the host of `base_url`; NULL-terminated or NULL */
    const char *base_url;             /* its host, port and scheme are always allowed */
    const char *proxy;                /* NULL = none, whatever the environment says */
    const char *ca_pem;               /* NULL = the authorities of the system */
    const char *cert_pem, *key_pem;   /* who we are to servers that ask; NULL = nobody */
    bool insecure;                    /* certificates are not checked */
    const char *user_agent;
};

struct http_header {
    const char *name, *value;
    bool credential; /* not sent to another origin */
};

struct http_request {
    const char *method; /* GET, POST, ... */
    const char *url;
    const struct http_header *headers;
    size_t n_headers;
    struct slice body; /* without a pointer: none */
};

struct http_client;   /* opaque */
struct http_exchange; /* opaque: one request and its answer */

CHECKED int http_client_new(const struct http_settings *s, const struct cancel *cancel,
                            struct http_client **out, struct error *err);
void http_client_free(struct http_client *c); /* accepts NULL; after all its exchanges */
DEFINE_CLEANUP(struct http_client *, http_client_free_cleanup, http_client_free);

/*
 * Puts a request on its way; everything is copied. It moves only while some exchange of the client
 * is waited for or read. Fails with CONFIG for an address, header or method that is refused
 * (reasons "url_refused", "header_refused").
 */
CHECKED int http_send(struct http_client *c, const struct http_request *r,
                      struct http_exchange **out, struct error *err);
/* Moves everything that is under way as far as it goes without waiting. */
void http_move(struct http_client *c);
/* Waits for the status and headers of the last hop. TRANSIENT for what the network does, with
 * reasons "host_unknown", "host_unreachable", "connection_lost", "timeout"; CONFIG for
 * "tls_failed", "redirect_refused"; TOO_LARGE for headers without end. */
CHECKED int http_wait(struct http_exchange *x, struct error *err);
/* After http_wait: */
int http_status(const struct http_exchange *x);
/* The value of a header, the last one where it is repeated; NULL = absent. Any case. */
const char *http_header(const struct http_exchange *x, const char *name);
/* All of them: NULL begins and is answered behind the last. `*name` ends at a colon. */
const char *http_header_next(const struct http_exchange *x, const char *at, const char **name,
                             const char **value);
const char *http_url(const struct http_exchange *x); /* of the last hop */
/* Waits for the next piece of the body: *out is valid until the next call, *out_n 0 at the end.
 * TOO_LARGE beyond max_body, or when it was compressed beyond all reason. */
CHECKED int http_read(struct http_exchange *x, const char **out, size_t *out_n, struct error *err);
/* The whole rest of the body, at most `out->max_bytes`. */
CHECKED int http_read_all(struct http_exchange *x, struct buf *out, struct error *err);
void http_end(struct http_exchange *x); /* accepts NULL; at any time */
DEFINE_CLEANUP(struct http_exchange *, http_end_cleanup, http_end);

#endif

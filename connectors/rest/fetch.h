/*
 * fetch.h - one request to the API and everything that belongs to it: identity, rate limits,
 * retries, the rules of errors, and the records of the answer.
 *
 * A page is handed on when all of it has come and no rule objected, as long as its records fit
 * FETCH_SPOOL; until then a broken answer is simply asked for again. A larger one is handed on
 * while it arrives, and when it breaks after that the attempt fails (TRANSIENT): the run goes on
 * from the last checkpoint. Secrets go into requests only: what is logged or said in errors is
 * masked. Every wait ends when the run is cancelled. One per reader of a source; not shared.
 */
#ifndef CONNECTORS_REST_FETCH_H
#define CONNECTORS_REST_FETCH_H

#include "connectors/connector.h"
#include "connectors/http/client.h"
#include "connectors/rest/document.h"

#define FETCH_SPOOL ((size_t)4 << 20)

struct fetcher; /* opaque */

/* What a page is asked with, rendered. */
struct fetch_request {
    const char *method;
    const char *url; /* absolute, query included */
    const struct http_header *headers;
    size_t n_headers;
    struct slice body; /* with its Content-Type among the headers */
    const char *etag;  /* sent as If-None-Match; NULL = none */
};

enum fetch_outcome {
    FETCH_PAGE,         /* records and envelope are there */
    FETCH_NOT_MODIFIED, /* 304 */
    FETCH_EMPTY,        /* a rule says: a page without records */
    FETCH_SKIP,         /* a rule says: give up this slice or parent; `why` tells */
    FETCH_STOP,         /* a rule says: the stream is complete */
    FETCH_RESET,        /* a rule says: the pagination has to begin again */
};

struct fetch_result {
    enum fetch_outcome outcome;
    int status;
    struct slice envelope;  /* JSON; valid until the next fetch */
    struct slice headers;   /* a JSON object, names in lower case; the same */
    const char *url, *etag; /* of the last hop; NULL = none; the same */
    int64_t n_records;
    bool found_records;       /* the path of the records was there */
    struct slice first, last; /* records as they came; without a pointer when there are none */
    unsigned char hash[16];   /* of the records of a numbered page: two alike have the same */
    int64_t date_unix_us;     /* of the Date header; 0 = none */
    const char *why;          /* SKIP */
};

/* `base` has the scopes vars, secret and run; it is copied. `secrets_at` is where the secrets stand
 * in the configuration, as a JSON pointer: a rotated refresh token is kept there by the host of the
 * run before it is first used. */
CHECKED int fetcher_new(const struct rest_document *d, const struct scopes *base, struct run *run,
                        const char *secrets_at, struct fetcher **out, struct error *err);
void fetcher_free(struct fetcher *f); /* accepts NULL */
DEFINE_CLEANUP(struct fetcher *, fetcher_free_cleanup, fetcher_free);

/* Renders a request of the document with these scopes: base_url and path, the client's headers and
 * params, the request's own over them. Memory of `mem`. */
CHECKED int fetch_render(struct fetcher *f, const struct rest_request *r, const struct scopes *s,
                         struct arena *mem, struct fetch_request *out, struct error *err);

struct fetch_taker {
    page_record_fn *each;
    /* Sees each record when it arrives, before `complete`; number 0 begins a page, also one that is
     * asked for again since it broke. May be NULL. */
    int (*look)(void *arg, int64_t number, struct slice record, struct error *err);
    /* A page is complete: called once for each FETCH_PAGE, before its records are handed on unless
     * they were too many to hold back. The time to ask for the next page. May be NULL. */
    int (*complete)(void *arg, const struct fetch_result *page, struct error *err);
    void *arg;
};

/*
 * Asks for one page of a stream and hands on its records. Fails with the class of the last failure
 * once tries and budgets are used up, of a rule, or what the taker returns.
 */
CHECKED int fetch_page(struct fetcher *f, const struct rest_stream *stream,
                       const struct fetch_request *r, const struct fetch_taker *to,
                       struct fetch_result *out, struct error *err);
/* Puts the request of the page that comes next on its way; fetch_page with an equal request takes
 * its answer. Does nothing when the limits do not allow it now. */
void fetch_ahead(struct fetcher *f, const struct rest_stream *stream,
                 const struct fetch_request *r);

#endif

/*
 * fake_api.h - a scripted HTTP server on a free port of the loopback, for tests of API connectors.
 *
 * One function answers every request, in a thread of its own per connection; it may keep what it
 * needs behind its own lock. Answers can be slow, cut short, chunked or compressed.
 */
#ifndef TESTS_SUPPORT_FAKE_API_H
#define TESTS_SUPPORT_FAKE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/base/arena.h"

struct fake_api; /* opaque */

struct fake_request {
    const char *method, *path; /* the path without the query, decoded */
    const char *query;         /* as it came, without "?" */
    const char *body;
    size_t n_body;
    void *connection; /* private */
};

#define FAKE_HEADERS 8

struct fake_answer {
    int status; /* 0 = 200; -1 = close without an answer */
    struct {
        const char *name, *value;
    } headers[FAKE_HEADERS];
    const char *body; /* in `mem`, or constant */
    size_t n_body;    /* 0 = strlen(body) */
    uint64_t repeat;  /* the body is sent so many times; 0 = once */
    size_t piece;     /* bytes sent at a time; 0 = as many as go */
    int pause_ms;     /* before every piece */
    size_t cut_after; /* bytes after which the connection ends; 0 = never */
    bool chunked;     /* no Content-Length */
};

/* Fills *out; `mem` lives until the answer is sent. */
typedef void fake_api_fn(void *arg, const struct fake_request *r, struct arena *mem,
                         struct fake_answer *out);

struct fake_api *fake_api_start(fake_api_fn *answer, void *arg);
void fake_api_stop(struct fake_api *a);
const char *fake_api_url(const struct fake_api *a); /* "http://127.0.0.1:PORT" */
unsigned fake_api_requests(const struct fake_api *a);
/* How many connections were made: reuse shows here. */
unsigned fake_api_connections(const struct fake_api *a);

/* A header of the request, or NULL. */
const char *fake_header(const struct fake_request *r, const char *name);
/* A parameter of the query, decoded; NULL = absent. */
const char *fake_param(const struct fake_request *r, const char *name);

#endif

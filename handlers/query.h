/*
 * query.h - query parameters that more than one handler reads.
 */
#ifndef HANDLERS_QUERY_H
#define HANDLERS_QUERY_H

#include "server/http/http.h"

/* RFC 3339, or how long ago ("10m"), in microseconds since 1970; 0 when it was not sent. */
CHECKED int query_time(struct request *req, const char *name, int64_t *out, struct error *err);

/* The index of the value in a NULL-terminated list of words; 0 when it was not sent. */
CHECKED int query_word(struct request *req, const char *name, const char *const *words, size_t *out,
                       struct error *err);

/* A comma-separated list of words as bits of their index; 0 when it was not sent. */
CHECKED int query_words(struct request *req, const char *name, const char *const *words,
                        unsigned *out, struct error *err);

/* ?format=native or singer. */
CHECKED int query_singer(struct request *req, bool *out, struct error *err);

#endif

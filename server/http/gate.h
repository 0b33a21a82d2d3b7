/*
 * gate.h - what a request may look like before anything of it is believed.
 *
 * Pure functions over the list of headers, safe from any thread.
 */
#ifndef SERVER_HTTP_GATE_H
#define SERVER_HTTP_GATE_H

#include <stdint.h>

#include "server/http/target.h"

#define GATE_MAX_HEADERS 100

struct framing {
    int64_t content_length; /* -1: none given */
    bool chunked;
};

/* What a smuggler could use is refused before anything else happens: see gate.c for the list.
 * Fails with INVALID "bad_request" or TOO_LARGE "headers_too_large". */
CHECKED int gate_check(const struct pair *headers, size_t n, bool http10, struct framing *out,
                       struct error *err);
/* The first value of a header, without regard to case; NULL when there is none. */
const char *gate_header(const struct pair *headers, size_t n, const char *name);

enum media { MEDIA_JSON, MEDIA_FORM, MEDIA_OTHER };
/* MEDIA_FORM stands for a form type, or none at all, that may still hold JSON: no browser page of
 * another origin is behind the request. */
enum media gate_media(const struct pair *headers, size_t n);

#endif

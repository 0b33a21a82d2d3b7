/*
 * gate.h - what a request may look like before anything of it is believed.
 *
 * Pure functions over the list of headers, safe from any thread.
 */
#ifndef SERVER_HTTP_GATE_H
#define SERVER_HTTP_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/http/target.h"

#define GATE_MAX_HEADERS 100

struct framing {
    int64_t content_length; /* -1: none given */
    bool chunked;
};

/* Where the strings of a request stand in the bytes that were received. */
struct layout {
    const char *method, *target, *version;
    size_t target_n; /* of the target as sent */
    size_t block_n;  /* from the method to the end of the empty line */
};

/*
 * True when one thing follows the other with nothing between: one blank, a colon, CRLF. The parser
 * below us ends a text at a NUL, takes a bare LF for a line end and moves folded lines; all of that
 * shows as a gap, and in nothing else.
 */
bool gate_is_plain(const struct layout *l, const struct pair *headers, size_t n);

/* What a smuggler could use is refused before anything else happens: see gate.c for the list.
 * Fails with INVALID "bad_request" or TOO_LARGE "headers_too_large". */
CHECKED int gate_check(const struct pair *headers, size_t n, bool http10, struct framing *out,
                       struct error *err);
/* The first value of a header, without regard to case; NULL when there is none. */
const char *gate_header(const struct pair *headers, size_t n, const char *name);

enum media { MEDIA_JSON, MEDIA_FORM, MEDIA_YAML, MEDIA_OTHER };
/* MEDIA_FORM stands for a form type, or none at all, that may still hold JSON: no browser page of
 * another origin is behind the request. */
enum media gate_media(const struct pair *headers, size_t n);

#endif

/*
 * jsonwrite.h - writes JSON text into a buf, commas and escapes included.
 *
 * For responses, log lines and row data alike: numbers may be given as text, so that no digit is
 * lost. The writer keeps no memory of its own; what goes wrong (a full buf) shows in buf_ok. Text
 * is taken as UTF-8; bytes that are not become U+FFFD. Source: RFC 8259. Not shared.
 */
#ifndef CONNECTORS_BASE_JSONWRITE_H
#define CONNECTORS_BASE_JSONWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/buf.h"

struct jsonw {
    struct buf *out;
    bool comma; /* a value stands before the next one at this level */
};

#define JSONW_INIT(b) ((struct jsonw){.out = (b)})

void jsonw_object(struct jsonw *w); /* opens; close with jsonw_object_end */
void jsonw_object_end(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_array_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_key_n(struct jsonw *w, const char *key, size_t n);

void jsonw_null(struct jsonw *w);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_double(struct jsonw *w, double v);      /* finite */
void jsonw_string(struct jsonw *w, const char *s); /* NULL writes null */
void jsonw_string_n(struct jsonw *w, const char *s, size_t n);
void jsonw_raw(struct jsonw *w, const char *json, size_t n); /* one whole JSON value */
void jsonw_time_ms(struct jsonw *w, int64_t unix_us);        /* RFC 3339; 0 writes null */

/* Members, key and value in one: the form of nearly all code that writes responses. */
void jsonw_put_string(struct jsonw *w, const char *key, const char *s);
void jsonw_put_int(struct jsonw *w, const char *key, int64_t v);
void jsonw_put_bool(struct jsonw *w, const char *key, bool v);
void jsonw_put_null(struct jsonw *w, const char *key);
void jsonw_put_time_ms(struct jsonw *w, const char *key, int64_t unix_us);
/* `json` is one whole JSON value; NULL or "" writes null. */
void jsonw_put_raw(struct jsonw *w, const char *key, const char *json);

/* Appends the characters of a JSON string without the quotes. Escaped are also U+007F to U+009F,
 * U+2028 and U+2029, which JSON allows: a terminal obeys the first and scripts break lines there.
 */
void jsonw_escape(struct buf *out, const char *s, size_t n);

#endif

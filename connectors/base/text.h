/*
 * text.h - strict conversions between text and what it says. Safe from any thread.
 *
 * Integers from outside are parsed here and nowhere else: the whole text, an optional '-', decimal
 * digits, no blanks, no overflow.
 */
#ifndef CONNECTORS_BASE_TEXT_H
#define CONNECTORS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/base/buf.h"

/* True and *out set when the `n` bytes are exactly one integer that fits. */
bool text_to_int64(const char *s, size_t n, int64_t *out);
/* The same for a decimal or exponent notation; "nan", "inf", hexadecimal are refused. */
bool text_to_double(const char *s, size_t n, double *out);

/* The shortest text that reads back as the same double: "0.1", "1e+300". Finite values only. */
size_t text_from_double(double v, char out[static 32]);
size_t text_from_float(float v, char out[static 32]); /* shortest for 32 bits */
size_t text_from_int64(int64_t v, char out[static 24]);

/* Well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). NUL is well-formed. */
bool text_is_utf8(const char *s, size_t n);
/* Bytes of the character at s, of which there are n > 0; 0 when it is not well-formed. */
size_t text_utf8_char(const char *s, size_t n);
/* Bytes of the longest prefix of at most `max` bytes that ends at a character border. */
size_t text_utf8_prefix(const char *s, size_t n, size_t max);
/* Appends `n` bytes; each byte that is not part of well-formed UTF-8 becomes U+FFFD. */
void text_put_utf8(struct buf *out, const char *s, size_t n);

/* A slug is [a-z0-9][a-z0-9_-]{0,62} and not shaped like a UUID: the form of resource names. */
bool text_is_slug(const char *s);
bool text_is_uuid(const char *s, size_t n);

bool text_starts_with(const char *s, const char *prefix);

/* Lower-case hexadecimal; `out` gets 2 * n characters and a NUL. */
void text_hex(const void *bytes, size_t n, char *out);
void text_put_base64(struct buf *out, const void *bytes, size_t n); /* padded, RFC 4648 4 */
/* Appends the decoded bytes; false when the text is not padded base64. */
bool text_unbase64(struct buf *out, const char *s, size_t n);
bool text_unhex(struct buf *out, const char *s,
                size_t n); /* either case; the same of hexadecimal */

/* Durations such as "250ms", "10s", "5m", "2h", "1d" in milliseconds; true when well-formed. */
bool text_to_duration_ms(const char *s, int64_t *out_ms);
/* Byte sizes such as "64MiB", "8KiB", "512" ; true when well-formed. */
bool text_to_bytes(const char *s, int64_t *out_bytes);

#endif

/*
 * retry.h - when to ask again: back-off with full jitter, and what servers say about it. Pure.
 *
 * Retry-After is read in both forms of RFC 9110 10.2.3: seconds, and an HTTP date, which is
 * compared with the Date of the same answer where there is one, so that a wrong clock on either
 * side does no harm.
 */
#ifndef CONNECTORS_HTTP_RETRY_H
#define CONNECTORS_HTTP_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* At random below min(cap, base * 2^n); n counts the tries made from 0. */
int64_t retry_backoff_ms(int64_t base_ms, int64_t cap_ms, int64_t n);

/* "Sun, 06 Nov 1994 08:49:37 GMT" and the two older forms; false for anything else. */
bool retry_parse_date(const char *text, int64_t *out_unix_us);

/*
 * The wait a Retry-After header asks for, 0 for a time that has passed; false when it says nothing
 * that can be understood. `date` is the Date header of the answer or NULL; `now` our own clock.
 */
bool retry_after_ms(const char *retry_after, const char *date, int64_t now_unix_us,
                    int64_t *out_ms);

/* `ms` and up to a tenth more, so that many clients do not come back in the same moment. */
int64_t retry_jitter_ms(int64_t ms);

#endif

/*
 * clock.h - the time of day and the time that passes. Safe from any thread.
 */
#ifndef CONNECTORS_BASE_CLOCK_H
#define CONNECTORS_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_TEXT_BYTES 32

int64_t clock_unix_us(void);      /* microseconds since 1970, UTC; may jump */
int64_t clock_monotonic_us(void); /* never goes back; for durations and deadlines */

/* Tests: every later reading of both clocks comes from `now_us`; NULL restores the real ones. */
void clock_fake(int64_t (*now_us)(void));

/* RFC 3339, UTC, "2026-01-02T03:04:05.678Z"; the second form has microseconds. */
void clock_format_ms(int64_t unix_us, char out[static CLOCK_TEXT_BYTES]);
void clock_format_us(int64_t unix_us, char out[static CLOCK_TEXT_BYTES]);

/* Reads RFC 3339 with any offset; true when well-formed. */
bool clock_parse(const char *text, int64_t *out_unix_us);

#endif

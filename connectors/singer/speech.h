/*
 * speech.h - what a program writes to its standard error, as lines of the run's log.
 *
 * Levels are recognised in the shapes that taps and targets use: a word in front ("INFO message",
 * Singer's own), after a time ("2024-01-02 03:04:05,678 WARNING message"), as a pair
 * ("time=.. level=ERROR message=.."), and in JSON ({"level":"INFO","message":..}, the framework's).
 * Everything is bounded: a line is cut at SPEECH_MAX_LINE, and whoever talks too much is heard in
 * part. Values that are secret are replaced. Belongs to one thread.
 */
#ifndef CONNECTORS_SINGER_SPEECH_H
#define CONNECTORS_SINGER_SPEECH_H

#include "connectors/base/buf.h"
#include "connectors/base/log.h"
#include "connectors/option.h"

#define SPEECH_MAX_LINE ((size_t)8 << 10)
/* So many lines at once, and so many more each second; the others are counted. */
#define SPEECH_BURST      1000
#define SPEECH_PER_SECOND 100

struct speech {
    struct log *log;
    const char *program;
    /* Private: */
    struct redactor *redactor;
    struct buf line;
    bool cut; /* the rest of this line is passed over */
    int64_t allowance, filled_us;
    int64_t dropped;
    struct buf last; /* the last line that was an error, or else the last */
    bool last_is_error;
};

/* `secrets` are copied. */
void speech_init(struct speech *s, struct log *log, const char *program,
                 struct string_list secrets);
void speech_take(struct speech *s, const char *bytes, size_t n);
/* The end: a line without its line break counts, and what was left out is told. */
void speech_end(struct speech *s);
void speech_release(struct speech *s);

/* What it said last, for the error of a program that failed; "" when it said nothing. */
const char *speech_last(const struct speech *s);

/* The level of a line and where its message begins; a JSON line gives its message in `scratch`. */
enum log_level speech_level(const char *line, size_t n, struct buf *scratch,
                            struct slice *out_message);

#endif

/*
 * logstream.h - the log of each run: one append-only NDJSON file, and who follows it.
 *
 * A run writes lines; they get consecutive numbers from 1 and go to logs/<run id>.ndjson in the
 * data directory. Followers read that file by offset, so a slow one costs a descriptor and never
 * holds up a run, and `tail -f` works on it. Safe from any thread; the lock is never held across
 * file reads of followers or callbacks.
 */
#ifndef SERVER_SYNC_LOGSTREAM_H
#define SERVER_SYNC_LOGSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/base/error.h"
#include "connectors/base/log.h"

#define LOGSTREAM_MAX_LINE ((size_t)8 << 10) /* longer ones are cut, with "truncated":true */

struct redactor;   /* connectors/base/redact.h */
struct logstreams; /* all runs of this process; opaque */
struct logstream;  /* one run being written; opaque */

/* `notify` is called after lines have become readable, from the writing thread, without a lock. */
CHECKED int logstreams_open(const char *directory, void (*notify)(void *arg), void *arg,
                            struct logstreams **out, struct error *err);
void logstreams_close(struct logstreams *all); /* accepts NULL */
/* Deletes the files of runs older than this, and the oldest beyond `max_bytes` in all. */
CHECKED int logstreams_retain(struct logstreams *all, int64_t max_age_s, int64_t max_bytes,
                              struct error *err);
/* Removes the file of one run; none is fine. */
void logstreams_remove(struct logstreams *all, int64_t run);

/* Announces a run that is queued: its followers wait for the first line. */
void logstreams_expect(struct logstreams *all, int64_t run);

/* Begins or continues (after a restart) the log of a run. */
CHECKED int logstream_open(struct logstreams *all, int64_t run, struct logstream **out,
                           struct error *err);
/* The receiver to give to connectors: lines of type "log" with origin, stream and the fields.
 * Lives as long as the stream. `origin` is "source", "destination" or "engine". */
struct log *logstream_log(struct logstream *l, const char *origin);
/* From now on no line shows what the redactor knows; it must outlive the stream's lines. Before any
 * other thread writes. */
void logstream_keep_out(struct logstream *l, struct redactor *secrets);
/* One event: `type` is "progress", "state", "stream_status" or "end"; `members` are the JSON
 * members behind it ("\"stream\":\"users\",\"records_read\":5"), without braces. */
void logstream_event(struct logstream *l, const char *type, const char *members);
/* After the "end" event; followers then end too. */
void logstream_close(struct logstream *l); /* accepts NULL */

/* ---------------------------------------------------------------- followers */

enum log_format { LOG_FORMAT_NDJSON, LOG_FORMAT_TEXT, LOG_FORMAT_SSE };

struct log_query {
    bool follow;
    int64_t after;                      /* only seq > after */
    int64_t tail;                       /* -1 = all; else the last n lines first */
    int64_t since_us, until_us;         /* 0 = any */
    int64_t limit;                      /* lines; 0 = no limit */
    enum log_level level;               /* log lines below it are left out */
    const char *stream, *origin, *type; /* NULL = any; `type` may be a comma-separated list */
    enum log_format format;
    bool timestamps;      /* text only */
    int64_t heartbeat_us; /* of silence; 0 = none */
    const char *first;    /* one event line to send before all others, or NULL; copied */
};

struct log_follower; /* opaque; belongs to one thread at a time */

/* Fails with NOT_FOUND, reason "log_expired", when the file is gone; an active run without lines
 * yet is fine. Fails with RATE_LIMITED "too_many_followers" over the limit of `logstreams`. */
CHECKED int log_follow(struct logstreams *all, int64_t run, const struct log_query *q,
                       struct log_follower **out, struct error *err);
/* The contract of response_stream.read: bytes, 0 = nothing now, -1 = the end. */
int64_t log_follower_read(void *follower, char *out, size_t max, int64_t *wake_us);
bool log_follower_ready(void *follower); /* cheap: an atomic comparison */
void log_follower_free(void *follower);  /* accepts NULL */
/* Makes every follower say "bye" (reason draining) and end: for shutdown. */
void logstreams_drain(struct logstreams *all);
int64_t logstreams_followers(const struct logstreams *all);

#endif

/*
 * event.h - one line of a run's log as JSON: how it is built, for files and for standard output.
 *
 * Every line begins {"seq":N,"ts":"...","type":"...": readers that only want these need not parse
 * the rest.
 */
#ifndef SERVER_SYNC_EVENT_H
#define SERVER_SYNC_EVENT_H

#include "connectors/base/buf.h"
#include "connectors/base/log.h"

/* Appends a line of type "log": the field "stream" becomes a member, the others go into "tags".
 * Longer than LOGSTREAM_MAX_LINE texts are cut and the line says "truncated":true. */
void event_put_log(struct buf *out, int64_t seq, int64_t unix_us, enum log_level level,
                   const char *origin, const struct log_line *line);

/* Appends an event; members that make it too long are left out and it says "truncated":true. */
void event_put(struct buf *out, int64_t seq, int64_t unix_us, const char *type,
               const char *members);

/* The number in front of a line of ours; 0 when it is none. */
int64_t event_seq(const char *line, size_t n);

#endif

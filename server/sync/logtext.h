/*
 * logtext.h - lines of a log for people, and whether a line passes a filter.
 */
#ifndef SERVER_SYNC_LOGTEXT_H
#define SERVER_SYNC_LOGTEXT_H

#include "connectors/base/doc.h"
#include "server/sync/logstream.h"

/* Appends one line of text without its newline: of a log line time, level, who, message and
 * key=value; of other events what a person wants to know. Control characters are written as \xNN,
 * so that a log cannot drive a terminal. */
void logtext_put(struct buf *out, const struct doc *event, bool timestamps);

/* Whether the query wants this event; "end" passes every filter but the numbers. */
bool logtext_passes(const struct log_query *q, const struct doc *event);

#endif

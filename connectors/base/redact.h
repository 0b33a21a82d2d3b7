/*
 * redact.h - takes secrets out of text: by value, wherever they stand and however they are escaped.
 *
 * A redactor holds the secrets that somebody works with. Each is looked for as it is and as it
 * looks inside a URL, base64 at any alignment, JSON and SQL; every byte that belongs to an
 * occurrence is covered, so that a secret which is the beginning of another, or overlaps it, leaves
 * nothing behind, and each covered stretch becomes "***". The search is one pass (Aho and Corasick,
 * "Efficient string matching", 1975) whatever the number of secrets. Safe from any thread.
 */
#ifndef CONNECTORS_BASE_REDACT_H
#define CONNECTORS_BASE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "connectors/base/buf.h"

#define REDACT_MIN   4    /* shorter ones would blacken half of every text and are not taken */
#define REDACT_CHUNK 1024 /* longer ones are looked for in pieces of this many bytes */

struct redactor; /* opaque */

struct redactor *redactor_new(void);
void redactor_free(struct redactor *r); /* accepts NULL */
DEFINE_CLEANUP(struct redactor *, redactor_free_cleanup, redactor_free);

/* From now on `secret` is not shown: neither whole nor, when it has several, any of its lines. */
void redactor_add(struct redactor *r, const char *secret, size_t n);
/* All of them, for the price of one: each time everything that is looked for is built anew. */
void redactor_add_list(struct redactor *r, const char *const *secrets, size_t n);

/* Appends the text without its secrets. All of these take a NULL redactor for one that is empty. */
void redactor_put(struct redactor *r, struct buf *out, const char *s, size_t n);
/* Appends JSON whose strings, the names of members aside, are without secrets. */
void redactor_put_json(struct redactor *r, struct buf *out, const char *json, size_t n);
/* The same for text that was cut at its end, perhaps inside a secret: what could be the beginning
 * of one goes too. */
void redactor_put_cut(struct redactor *r, struct buf *out, const char *s, size_t n);
/* Rewrites the message. One that fills its room may have been cut. */
void redactor_error(struct redactor *r, struct error *err);

struct log_line;
/* A line whose texts are clean: they lie in `texts`, which must outlive it. */
void redactor_line(struct redactor *r, const struct log_line *line, struct buf *texts,
                   struct log_line *out);

/*
 * Text that comes in pieces: a secret may lie across them. What could still become one is held back
 * until the next piece, or the end.
 */
struct redact_stream; /* opaque; not shared */
struct redact_stream *redact_stream_new(struct redactor *r);
void redact_stream_put(struct redact_stream *s, struct buf *out, const char *bytes, size_t n);
void redact_stream_end(struct redact_stream *s, struct buf *out); /* flushes; ready for more */
void redact_stream_free(struct redact_stream *s);                 /* accepts NULL */

/*
 * The redactors of everything that runs now, for sinks that do not know of whom a text speaks: the
 * service's own log and problem documents.
 */
void redact_live_add(struct redactor *r);
void redact_live_remove(struct redactor *r); /* before it is freed */
void redact_live_put(struct buf *out, const char *s, size_t n);
void redact_live_line(const struct log_line *line, struct buf *texts, struct log_line *out);
/* True when no secret is at work, so that a text may be used as it is. */
bool redact_live_is_empty(void);

#endif

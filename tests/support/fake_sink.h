/*
 * fake_sink.h - a sink that remembers: what a source wrote, as text, and in which order.
 *
 * Every row becomes one line of JSON, {"column":"canonical text" or null, ...}, with odd cells
 * behind it as "?column"; rejected rows become lines of their own. Checkpoints remember how many
 * lines stood before them, so that a test can resume from each. The rules of the calls (begin
 * first, nothing after end, positions are objects) are checked; the first broken one stays in
 * `violation`. The n-th call can be made to fail.
 */
#ifndef TESTS_SUPPORT_FAKE_SINK_H
#define TESTS_SUPPORT_FAKE_SINK_H

#include "connectors/connector.h"

struct fake_checkpoint {
    char *position;
    size_t n_lines; /* lines of the stream that it covers */
};

struct fake_stream {
    char **lines;
    size_t n_lines, n_batches;
    struct fake_checkpoint *checkpoints;
    size_t n_checkpoints;
    int64_t n_rejected, n_odd, filtered, overlap_dropped;
    bool begun, ended, failed;
    char *end_position; /* NULL when the stream ended without one */
    struct error why;   /* of a failed stream */
};

struct fake_sink {
    struct sink sink; /* give &fake->sink to the source */
    struct fake_stream *streams;
    size_t n_streams;
    size_t n_calls;
    size_t fail_at;       /* this call (from 1) fails with INTERNAL "fake"; 0 = none */
    bool stop_on_failure; /* sink_fail makes the source return */
    char violation[200];  /* "" while every rule was kept */
};

struct fake_sink *fake_sink_new(size_t n_streams);
void fake_sink_free(struct fake_sink *f); /* accepts NULL */

/* Puts the first `n_lines` lines that `from` got for a stream into `to`: what was committed before
 * a crash. */
void fake_sink_copy(struct fake_sink *to, const struct fake_sink *from, size_t stream,
                    size_t n_lines);

/* Adds a line, for tests that make their own rows. */
void fake_sink_add_line(struct fake_stream *s, const char *line, size_t n);

/* The number of the first line that differs, or -1 when both streams hold the same lines; the
 * second compares the lines as multisets. */
long fake_sink_differ(const struct fake_stream *a, const struct fake_stream *b);
bool fake_sink_same_rows(const struct fake_stream *a, const struct fake_stream *b);

/* The line with this number as a document, which the caller owns. */
struct doc *fake_sink_row(const struct fake_stream *s, size_t line);

/* Appends the rows of a batch in the form above, one line each. */
void fake_sink_write_lines(const struct batch *rows, struct buf *out);

#endif

/*
 * progress.h - the numbers of one run: per stream and in all, for people, events and statistics.
 *
 * The reader counts what it read, the writer what the destination has committed; whoever shows
 * them takes a snapshot. Safe from any thread. Numbers of a stream balance whenever everything
 * read is committed; what an attempt read and lost is taken back when the next one begins.
 */
#ifndef SERVER_SYNC_PROGRESS_H
#define SERVER_SYNC_PROGRESS_H

#include "connectors/base/jsonwrite.h"
#include "connectors/connector.h"

enum stream_status {
    STREAM_PENDING,
    STREAM_RUNNING,
    STREAM_COMPLETE,
    STREAM_INCOMPLETE, /* failed or stopped on the way */
    STREAM_SKIPPED,    /* never begun when the run ended */
};
const char *stream_status_name(enum stream_status s);

/* Whose failure it was, as run.error.origin says it. */
enum fault_origin { ORIGIN_ENGINE, ORIGIN_SOURCE, ORIGIN_DESTINATION };
const char *fault_origin_name(enum fault_origin o);

struct stream_progress {
    const struct selected_stream *stream; /* borrowed */
    const char *name;                     /* "namespace.name" or "name" */
    const char *weakness;                 /* see promise.h; borrowed */
    enum stream_status status;
    int64_t rows_read, bytes_read;
    struct counts committed; /* of this run */
    int64_t bytes_committed;
    int64_t states_committed;
    const struct error *error; /* NULL = none; lives as long as the progress */
    enum fault_origin origin;
};

struct progress; /* opaque */

/* The selection and the names of the connectors, under which rows are counted, must outlive it. */
struct progress *progress_new(const struct selection *selection, const char *source,
                              const char *destination);
void progress_free(struct progress *p); /* accepts NULL */

size_t progress_n(const struct progress *p);
/* `rows` includes rejected and dropped ones. */
void progress_read(struct progress *p, size_t stream, int64_t rows, int64_t bytes);
void progress_committed(struct progress *p, size_t stream, const struct counts *more, int64_t bytes,
                        int64_t states);
void progress_status(struct progress *p, size_t stream, enum stream_status status);
void progress_fail(struct progress *p, size_t stream, enum fault_origin origin,
                   const struct error *why);
/* A new attempt: what was read and not committed is read again; the error is forgotten. */
void progress_restart(struct progress *p, size_t stream);
void progress_attempt(struct progress *p);
/* Something happens: for the idle timeout. */
void progress_touch(struct progress *p);
int64_t progress_idle_us(const struct progress *p);

void progress_get(const struct progress *p, size_t stream, struct stream_progress *out);
/* The sum over all streams, in the fields of one. */
void progress_total(const struct progress *p, struct stream_progress *out);
int64_t progress_attempts(const struct progress *p);
/* What is promised of its rows; NULL, as in the beginning, is exactly once. */
__attribute__((nonnull(1))) void progress_promise(struct progress *p, size_t stream,
                                                  const char *weakness);
/* How many streams may be under way at the same time; 1 until it is said. */
void progress_lanes(struct progress *p, int64_t lanes);

/* "records_read":..,"records_committed":.. of one stream or of all: for events. */
void progress_put_numbers(struct jsonw *w, const struct stream_progress *s);
/* The stats object of runs.h; without the list of streams when `totals_only`. */
void progress_put_stats(const struct progress *p, bool totals_only, struct jsonw *w);

/* Rows that the destination has acknowledged. */
int64_t counts_records_committed(const struct counts *c);

/* {"code", "category", "origin", "stream", "message", "retryable", "hint"} of runs.h. */
void fault_put(struct jsonw *w, enum fault_origin origin, const char *stream,
               const struct error *why);

#endif

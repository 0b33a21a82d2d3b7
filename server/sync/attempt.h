/*
 * attempt.h - one try at a portion of the streams: what its reader and its writer share. Private to
 * server/sync.
 *
 * Streams are numbered as in the attempt: those that a former attempt has completed are no longer
 * part of it. `stream[i]` is the number in the selection of the run, which progress uses.
 */
#ifndef SERVER_SYNC_ATTEMPT_H
#define SERVER_SYNC_ATTEMPT_H

#include "server/sync/queue.h"
#include "server/sync/run.h"

/* The first failure of an attempt. */
struct fault {
    struct error error; /* code ERR_NONE = none */
    enum fault_origin origin;
    long stream; /* in the selection; -1 = no single one */
};

/* What the destination held for a stream before this run: its numbers are cumulative. */
struct stream_base {
    bool known;
    int64_t generation;
    struct counts counts;
};

struct attempt {
    const struct sync_job *job;
    struct progress *progress;
    struct cancel *stop; /* of this attempt: the one of the whole run is forwarded to it */
    struct queue *queue;
    size_t batch_bytes; /* at which a batch is full */
    size_t n;
    const size_t *stream;
    const struct selected_stream *selected;
    const char *const *override_positions;
    const struct stream_copy *copies;
    bool restart;                      /* the plan's */
    struct stream_position *positions; /* [n], by recover */
    struct stream_base *bases;         /* of the whole selection, kept over attempts */
    struct stream_copy *kept;          /* the same, as of now; positions are of the heap */
    struct bad_rows *bad_rows;         /* of the run */
    struct commons *commons;           /* of the run's source */
    struct arena *mem;                 /* of the writer's side */
    bool recovered;                    /* the destination has taken over overrides and restart */
    bool start_over; /* a stream failed in the middle: go on without it in a new attempt */
    bool committed;  /* this attempt has made something durable */

    pthread_mutex_t mutex; /* of what follows */
    struct fault fault;
};

/* Keeps the first failure. A writer that fails also requests `stop`; when the reader fails, the
 * writer still takes what was read. */
void attempt_fail(struct attempt *a, enum fault_origin origin, long stream,
                  const struct error *why);

/* Emits a stream_status event with the numbers of now. */
void run_tell_status(const struct sync_job *job, const struct progress *progress, size_t stream);

/* The reader: a thread that runs source->read into the queue. */
struct reader; /* opaque */
CHECKED int reader_start(struct attempt *a, struct reader **out, struct error *err);
void reader_join(struct reader *r); /* makes its puts fail and waits for it; accepts NULL */
void reader_free(struct reader *r); /* after the queue: schemas of its rows live here */

/* The writer: opens and recovers the destination, then takes the queue to it. */
struct writer; /* opaque */
CHECKED int writer_open(struct attempt *a, struct writer **out);
/* Until the queue is done or something failed, which attempt_fail knows. */
void writer_drain(struct writer *w);
void writer_close(struct writer *w); /* accepts NULL */

#endif

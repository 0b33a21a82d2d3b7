/*
 * writer.h - the state of the destination's side of an attempt. Private to writer*.c.
 */
#ifndef SERVER_SYNC_WRITER_H
#define SERVER_SYNC_WRITER_H

#include "server/sync/attempt.h"

/* So many bad rows of an attempt get a line in the log. */
#define REJECTED_SHOWN 10

/* One stream on its way into the destination. */
struct flow {
    char *position;      /* of the last checkpoint, not yet committed; NULL = none */
    char *end;           /* what the source gave with its end; NULL = no position to keep */
    bool dirty;          /* rows stand behind the last checkpoint */
    bool pending;        /* something is not committed */
    bool ending;         /* ended by the source; `position` covers all of it */
    bool over;           /* finished or failed */
    int64_t rows, bytes; /* handed over since the last commit, rejected rows included */
    struct counts total; /* cumulative, as the destination holds them */
    int64_t generation, seq;
    const char *durable; /* the position last committed; in a->mem or kept below */
    char *kept;
};

struct writer {
    struct attempt *a;
    struct run run;
    struct write_plan plan;
    struct destination *d;
    struct flow *flows;
    const char **upto;
    bool *changed;
    size_t n_dirty, n_pending, n_ending; /* flows with that flag set and not over */
    struct counts *dropped, *did;
    struct state_copy *copies;
    int64_t rows, bytes;                 /* of all flows since the last commit */
    int64_t rows_put_off, bytes_put_off; /* of those, what the destination said COMMIT_LATER to */
    int64_t first_us;                    /* when the first uncommitted row came; 0 = none */
    int64_t told_us;                     /* when the last state event was written */
    int64_t n_rejected;                  /* rows that the source could not read */
    char rejected[256];                  /* where the first of them is */
    bool done;
};

static inline size_t writer_stream(const struct writer *w, size_t flow)
{
    return w->a->stream[flow]; /* in the selection */
}

/* The attempt has failed, and both sides stop. */
void writer_fail(struct writer *w, enum fault_origin origin, long stream, const struct error *why);

/* Tells the observer what the destination holds of the flows marked as changed. */
void writer_tell_copies(struct writer *w);

/* Whether a failure belongs to one stream and leaves the others as they are. */
bool writer_error_is_of_stream(const struct error *err);

#endif

/*
 * connector.h - what a source and a destination are. READ THIS FIRST.
 *
 * A *source* pushes: its author writes a loop and calls sink_write; back-pressure is sink_write
 * blocking, cancellation is sink_write failing with CANCELLED. A *destination* makes rows and the
 * position that covers them durable together. Between them stands the runner (server/sync), which
 * counts, queues between two threads and decides when to commit. State never runs ahead of data:
 * the destination owns the position and gives it back after a crash.
 *
 * Every callback is required unless it says otherwise. Retries belong to the runner and to
 * http/client, never to a connector. One call, and one opened destination, belongs to one thread; a
 * run with several lanes makes several calls of `read` at the same time, each for streams of its
 * own, so that nothing but the configuration, which is const, and what the run's commons holds may
 * be shared between calls.
 */
#ifndef CONNECTORS_CONNECTOR_H
#define CONNECTORS_CONNECTOR_H

/*
 * The version of what connectors are written against, at the level of sources: it grows when a
 * connector has to be changed to build again. A connector outside this tree says which one it was
 * written for, and does not compile against another:
 *
 *     CONNECTORD_WRITTEN_FOR(1);
 */
#define CONNECTORD_API 1
#define CONNECTORD_WRITTEN_FOR(version)         \
    _Static_assert((version) == CONNECTORD_API, \
                   "this connector was written for another version of connector.h")

#include "connectors/base/cancel.h"
#include "connectors/base/log.h"
#include "connectors/catalog.h"
#include "connectors/data/batch.h"
#include "connectors/option.h"

/* A request that was answered, for people: without secrets. */
struct request_note {
    const char *method, *url;
    int status;
    int64_t ms, n_records;
};

/*
 * Whoever runs a source, as far as the source has to do with it besides its rows. Safe from any
 * thread.
 */
struct run_host {
    /*
     * A credential that is good once: only one at a time may exchange it for a new one. Waits for
     * the others; *out_value is what is kept at this JSON pointer of the configuration now, memory
     * of `mem`, or NULL when the configuration is kept nowhere. Followed by credential_end.
     */
    int (*credential_begin)(void *arg, const char *pointer, struct arena *mem,
                            const char **out_value, struct error *err);
    /* Keeps the new one (NULL = there is none) in place of the one that `begin` told. Durable once
     * this returns 0, and not before that it may be used. */
    int (*credential_end)(void *arg, const char *pointer, const char *value, struct error *err);
    void (*requested)(void *arg, const struct request_note *note);
    void *arg;
};

struct redactor; /* connectors/base/redact.h */
struct commons;  /* connectors/commons.h */

/* What a connector is given for the duration of one call. */
struct run {
    struct arena *mem;     /* lives until the call's owner is done; allocate freely */
    struct cancel *cancel; /* check in every loop that talks to the outside */
    struct log *log;       /* progress for the user; failures are returned, not logged */
    const char *id;        /* of the run, for metadata columns; "" outside a run */
    int64_t started_unix_us;
    const struct run_host *host; /* NULL = nothing is kept, nobody listens */
    struct commons *commons;     /* of `read`: shared by the calls of a run; NULL = it is alone */
    struct redactor *redactor;   /* is told secrets that come up on the way; NULL = nobody is */
};

/*
 * Cumulative or per commit, by context. The accounting equation holds at every commit:
 *   read = filtered + overlap_dropped + folded + quarantined_rows
 *        + inserted + updated + unchanged + deleted
 */
struct counts {
    int64_t read, bytes_read;
    int64_t filtered;        /* left out by a condition of the user */
    int64_t overlap_dropped; /* outside the window of this run */
    int64_t folded;          /* an earlier row of the same key in the same batch */
    int64_t quarantined_rows, quarantined_cells;
    int64_t altered_cells; /* written without their U+0000, as the user wants it */
    int64_t inserted, updated, unchanged, deleted;
};

void counts_add(struct counts *total, const struct counts *more);
/* True when the equation holds. */
bool counts_balance(const struct counts *c);

/* ------------------------------------------------------------------ sources */

struct sink; /* where a source puts what it reads; opaque to sources */

struct stream_request {
    const struct selected_stream *want;
    /* The position last committed with the rows it covers; NULL at the beginning. JSON text made by
     * this same source, see sink_checkpoint. */
    const char *position;
};

struct read_request {
    const struct stream_request *streams;
    size_t n;
};

/*
 * The calls a source makes, per stream: begin, then any number of write and checkpoint, then end
 * or fail. Streams may interleave. `stream` is the index into read_request.streams.
 */
CHECKED int sink_begin(struct sink *out, size_t stream, struct error *err);

/* Takes the rows; the batch comes back empty, with the same schema, ready to be filled again. A
 * batch of another schema than before is how a source tells that the shape changed. */
CHECKED int sink_write(struct sink *out, size_t stream, struct batch *rows, struct error *err);

/*
 * Declares that `position` (a JSON object) covers everything written to `stream` so far: after a
 * crash, read gets the last one that was committed and must continue exactly behind it. Call it as
 * often as is cheap; the runner decides when to commit. A source that cannot continue in the
 * middle calls it only before sink_end.
 */
CHECKED int sink_checkpoint(struct sink *out, size_t stream, const char *position,
                            struct error *err);

/* Rows that the source read and left out on purpose: keeps the accounting equation true. */
CHECKED int sink_count_dropped(struct sink *out, size_t stream, int64_t filtered,
                               int64_t overlap_dropped, struct error *err);

/* The stream is complete. `position` covers all of it; NULL when it has no position to keep. */
__attribute__((nonnull(1, 4), warn_unused_result)) int
sink_end(struct sink *out, size_t stream, const char *position, struct error *err);

/* The stream failed for `why`, which the sink keeps; others may go on. Fails (and the source must
 * return) when the policy of the run is to stop at the first failed stream. */
CHECKED int sink_fail(struct sink *out, size_t stream, const struct error *why, struct error *err);

/* What a sink is made of: for runners and tests, not for sources. */
struct sink {
    const struct sink_ops *ops;
};
struct sink_ops {
    int (*begin)(struct sink *s, size_t stream, struct error *err);
    int (*write)(struct sink *s, size_t stream, struct batch *rows, struct error *err);
    int (*checkpoint)(struct sink *s, size_t stream, const char *position, struct error *err);
    int (*count_dropped)(struct sink *s, size_t stream, int64_t filtered, int64_t overlap_dropped,
                         struct error *err);
    int (*end)(struct sink *s, size_t stream, const char *position, struct error *err);
    int (*fail)(struct sink *s, size_t stream, const struct error *why, struct error *err);
};

/* One that is there for rows alone, as samples are: positions and counts are passed over, and a
 * stream that fails ends the read with its error. */
struct sink_of_rows {
    struct sink sink; /* first */
    int (*write)(struct sink_of_rows *s, struct batch *rows, struct error *err);
};
struct sink_of_rows sink_of_rows(int (*write)(struct sink_of_rows *s, struct batch *rows,
                                              struct error *err));

/* For people: tells facts one by one, such as "tinyint(1)" and "bool". The texts are lent. */
typedef void tell_fn(void *arg, const char *what, const char *text);

/* The limits that hold for every connector. */
void connector_tell_limits(tell_fn *tell, void *arg);
/* What a JSON Schema is read as, and which one we write for each of our types. */
void json_schema_tell_types(tell_fn *tell, void *arg);
void json_schema_tell_shapes(tell_fn *tell, void *arg);

/* What a source is known to have before anybody connects, for people. */
struct known_stream {
    const char *name, *notes; /* notes: Markdown, "" when there is nothing to say */
};

struct source_connector {
    const char *name;         /* stable identifier: URLs, stored rows, metrics */
    const char *title, *docs; /* for people; docs is a paragraph of Markdown */
    const struct option *options;
    size_t config_size; /* of the struct the option table fills */
    /* What that struct is before the table fills it: config_size bytes; NULL = zeroes. For a
     * connector that is made while the program runs, whose calls find here what it is made of. */
    const void *config_start;
    /* The description that it was made of, JSON text, when everybody may have it; else NULL. */
    const char *document;
    const struct known_stream *streams; /* without a name behind the last; NULL = not known */
    /* All streams of a run are read by one call: their positions are one. Rows may come again after
     * a failure, so that a stream without a key is delivered at least once. */
    bool reads_together;
    bool doubts_streams; /* `discover` may say why not all is delivered exactly once; catalog.h */
    bool filters_rows;   /* `read` leaves out what selected_stream.filters excludes */
    /* For people: which native types become which of ours; NULL = there are none. And what is
     * bounded beside what is for all; NULL = nothing. */
    void (*tell_types)(tell_fn *tell, void *arg);
    void (*tell_limits)(tell_fn *tell, void *arg);

    /* Optional: what the table cannot tell of a configuration that it has decoded, when one is
     * stored or validated; `pointer` is where it stands. May take seconds. */
    void (*judge)(const void *config, const char *pointer, struct problems *problems);
    /* 0 when the source can be reached and read with this configuration. */
    int (*check)(const void *config, struct run *run, struct error *err);
    int (*discover)(const void *config, struct run *run, struct catalog *out, struct error *err);
    /* Rows of one stream now; fails with UNSUPPORTED when that cannot be told. `out_exact` is
     * false for an estimate. */
    int (*count)(const void *config, struct run *run, const struct stream *stream,
                 int64_t *out_count, bool *out_exact, struct error *err);
    int (*read)(const void *config, struct run *run, const struct read_request *req,
                struct sink *out, struct error *err);
};

/* ------------------------------------------------------------- destinations */

struct bad_rows;

/* How the rows of one run are to be written. Lives as long as the destination. */
struct write_plan {
    const char *pipeline; /* id of the connection: owner of the state rows */
    const struct selected_stream *streams;
    size_t n;
    int64_t max_quarantined_rows; /* per run; crossing it fails the commit that would cross it */
    double max_quarantined_ratio; /* of rows read, looked at after 10,000 rows */
    /* The count they are compared with, shared by all destinations that the run opens; see
     * bad_rows.h. NULL: this one is alone. */
    struct bad_rows *bad_rows;
    enum metadata_level { METADATA_NONE, METADATA_MINIMAL, METADATA_FULL } metadata;
    bool restart; /* forget unfinished generations and positions: a full refresh was asked for */
    /* [n] or NULL; a user's edit that `recover` makes the position of the stream, in its own
     * transaction: NULL = none, "" = forget the position, else the JSON text. */
    const char *const *override_positions;
    /* [n] or NULL: what the service last heard of the state that the destination holds, to notice
     * one that is gone or older than that; or to go on from, see state_by_service. */
    const struct stream_copy *copies;
};

struct stream_copy {
    bool known; /* else nothing was heard */
    int64_t generation, seq;
    const char *position; /* NULL at the beginning */
};

/* What a destination durably holds for one stream. */
struct stream_position {
    const char *position; /* JSON text, NULL at the beginning; belongs to run->mem */
    int64_t generation;   /* the one being written or last written */
    int64_t seq;          /* committed batches of this generation */
    struct counts counts; /* cumulative, as committed */
};

/* An opened destination. Concrete ones embed this first. */
struct destination {
    const struct destination_ops *ops;
};

/*
 * Order of calls: recover once; then any number of write and commit, and finish once for every
 * stream the source completed; close exactly once, whatever happened.
 */
#define COMMIT_LATER 1

struct destination_ops {
    /* Fences older workers and fills out[plan->n] with what is durably stored. */
    int (*recover)(struct destination *d, struct stream_position *out, struct error *err);

    /* Takes rows (lent: may be read until it returns), odd cells and rejected rows included. */
    int (*write)(struct destination *d, size_t stream, const struct batch *rows, struct error *err);

    /*
     * Everything written so far, of all streams, becomes durable together with `upto`, or nothing
     * does. upto[i] is the new position of stream i, NULL = unchanged. `dropped[i]` is counted as
     * filtered and overlap_dropped with it. out[i] gets what this commit did, from the
     * destination's own row counts. COMMIT_LATER: nothing is durable yet, out is not looked at, and
     * a later commit, or finish, is for everything since the last one that returned 0.
     */
    int (*commit)(struct destination *d, const char *const *upto, const struct counts *dropped,
                  struct counts *out, struct error *err);

    /*
     * The stream is complete: the rest is committed with `position`, and an overwritten stream
     * becomes visible. Fails with reason "shrink_guard" and leaves the old rows in place when the
     * new ones are suspiciously few. `out` as in commit, for this stream.
     */
    int (*finish)(struct destination *d, size_t stream, const char *position,
                  const struct counts *dropped, struct counts *out, struct error *err);

    void (*close)(struct destination *d); /* forgets what was not committed */
};

struct destination_connector {
    const char *name, *title, *docs;
    const struct option *options;
    size_t config_size;
    unsigned write_modes; /* bits 1u << enum write_mode */
    const char *delivery; /* "exactly_once" or "at_least_once" */
    /* For people: [TYPE_COUNT], what a column of each logical type becomes; NULL = none of its own.
     */
    const char *const *types;
    /* For people, as above; which of our types become what, where `types` does not say it. */
    void (*tell_types)(tell_fn *tell, void *arg);
    void (*tell_limits)(tell_fn *tell, void *arg);
    /* Several of them may be open at the same time, each with streams of its own: then a run can
     * write streams beside each other. `recover` for all of them together comes before. */
    bool parallel_writers;
    /* It cannot keep a position: `recover` gives what plan->copies says, which is up to date then.
     */
    bool state_by_service;
    bool value_policies; /* it does what selected_stream.misfits and .nul say */

    void (*judge)(const void *config, const char *pointer,
                  struct problems *problems); /* as above */
    int (*check)(const void *config, struct run *run, struct error *err);
    int (*open)(const void *config, struct run *run, const struct write_plan *plan,
                struct destination **out, struct error *err);
    /* Removes the data and the state of these streams, as far as the destination can. */
    int (*clear)(const void *config, struct run *run, const struct write_plan *plan,
                 struct error *err);
};

#endif

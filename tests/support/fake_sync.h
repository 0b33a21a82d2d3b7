/*
 * fake_sync.h - a source and a destination in memory, for tests of the runner.
 *
 * The source delivers rows 0..rows-1 of each stream and can continue at any checkpoint. The
 * destination remembers over runs what was committed, as a database would. Both can be told to
 * fail, to cancel the run or to lose the answer of a commit at their n-th call. Safe for runs with
 * several lanes.
 */
#ifndef TESTS_SUPPORT_FAKE_SYNC_H
#define TESTS_SUPPORT_FAKE_SYNC_H

#include "server/sync/run.h"

#define FAKE_MAX_STREAMS 16

struct fake_source {
    size_t n_streams;
    int64_t rows, batch_rows;
    int64_t checkpoint_every;  /* batches; 0 = only at the end */
    int64_t dropped;           /* counted as filtered with each batch */
    int64_t bad_rows;          /* rejected rows in the first batch */
    bool interleave;           /* a batch of each stream in turn */
    bool no_end;               /* returns without ending its streams */
    bool null_end;             /* the end has no position */
    long fail_stream;          /* this one calls sink_fail half way; -1 = none */
    enum error_code fail_code; /* with this code; and failing calls too */
    int64_t fail_at;           /* the n-th sink call fails instead, from 1; 0 = never */
    int64_t fail_times;        /* so many times in all */
    int64_t cancel_at;         /* the n-th sink call requests `cancel` before */
    struct cancel *cancel;
    enum cancel_reason why;
    int64_t meet; /* each read waits after its first batch until so many are under way at once */
    bool waits;   /* never ends by itself: waits to be cancelled after the first batch */
    _Atomic bool *deaf;         /* NULL, or: hears nothing while it is set, cancellation neither */
    _Atomic bool is_deaf;       /* it has come there */
    bool check_waits;           /* so does its check */
    enum error_code check_code; /* the check fails with this */
    enum error_code discover_code;
    int64_t discover_times; /* discovery fails so often */
    /* What happened. */
    int64_t calls, failed, reads;
    _Atomic int64_t met; /* reads that have come to their first batch */
    _Atomic bool missed; /* one waited in vain */
};

struct fake_table {
    int64_t *rows; /* committed, then staged ones */
    size_t n, n_staged, cap;
    int64_t bad_staged;
    char position[64]; /* "" = none */
    bool complete;     /* finish was called for this stream */
    int64_t commits, generation, fence;
    struct counts counts;
};

/* What a destination durably holds; survives runs. */
struct fake_memory {
    struct fake_table tables[FAKE_MAX_STREAMS];
    int64_t opens, restarts, overrides, reminders;
    struct stream_copy reminder; /* the last copy seen */
    char override[64];           /* the last override seen, "-" = none */
};

struct fake_destination {
    struct fake_memory *memory;
    int64_t fail_at, fail_times;
    bool lose_answer; /* the failing commit has happened all the same */
    enum error_code fail_code;
    const char *fail_reason;
    long refuse;   /* recover fails when stream number refuse - 1 is part of the plan; 0 = never */
    bool miscount; /* says one row too many was inserted */
    int64_t cancel_at;
    struct cancel *cancel;
    bool fail_finish_only;
    long fail_stream; /* a write to this one fails, fail_stream_times in all; -1 = none */
    enum error_code fail_stream_code;
    int64_t fail_stream_times;
    enum error_code check_code; /* the check fails with this */
    int64_t block_ms;           /* each write takes so long, unless cancelled */
    /* What happened. */
    int64_t calls, failed, writes, commits, max_uncommitted;
    bool committed_without_position;
};

extern const struct source_connector fake_source;
/* What connectors made from a registry, whose configuration says nothing, work on. */
extern struct fake_source *fake_source_now;
extern struct fake_destination *fake_destination_now;
extern const struct destination_connector fake_destination;

/* The catalog of `n` streams "s0", "s1", ... and a selection of all, in `mem`. */
void fake_selection(struct arena *mem, size_t n, struct selection *out);
void fake_memory_release(struct fake_memory *m);
/* Each of the rows 0..rows-1 exactly once, in any order. */
bool fake_table_is_complete(const struct fake_table *t, int64_t rows);

#endif

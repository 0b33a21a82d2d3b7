/*
 * logstream_internal.h - what the writers and the followers of logs share. Private to server/sync.
 *
 * An entry is one run's log file as this process knows it: kept while the run is queued or writing,
 * or while anybody follows it. Its size and last number only grow, and grow only by whole lines,
 * so followers look at them without a lock. All followers of a run read through one descriptor.
 */
#ifndef SERVER_SYNC_LOGSTREAM_INTERNAL_H
#define SERVER_SYNC_LOGSTREAM_INTERNAL_H

#include <pthread.h>

#include "server/sync/logstream.h"

#define LOGSTREAMS_BUCKETS       256
#define LOGSTREAMS_MAX_FOLLOWERS 10000

struct log_entry {
    struct log_entry *next; /* in its bucket */
    int64_t run;
    int refs;
    _Atomic int fd;       /* -1 = no file yet */
    _Atomic int64_t size; /* bytes of whole lines */
    _Atomic int64_t last_seq;
    _Atomic bool over; /* no line will follow; set after the last change of size */
    bool expected;     /* queued: the announcement holds a reference until it is opened */
};

struct logstreams {
    pthread_mutex_t mutex; /* of the table and the reference counts */
    struct log_entry *buckets[LOGSTREAMS_BUCKETS];
    int dir_fd;
    void (*notify)(void *arg);
    void *arg;
    _Atomic int64_t n_followers;
    _Atomic bool draining;
};

/* A reference to the entry of a run that is in the table; NULL when there is none. */
struct log_entry *log_entry_find(struct logstreams *all, int64_t run);
/* The same for a run whose file exists: takes it in as finished. */
CHECKED int log_entry_open(struct logstreams *all, int64_t run, struct log_entry **out,
                           struct error *err);
void log_entry_release(struct logstreams *all, struct log_entry *e);

/*
 * Where the whole lines of a file end, and the number of the last of them: 0 and 0 for an empty
 * one.
 */
CHECKED int log_file_end(int fd, int64_t *out_size, int64_t *out_seq, struct error *err);
/* The offset behind the line with number `seq`, or of the first one behind it. */
int64_t log_file_after(int fd, int64_t size, int64_t seq);

#endif

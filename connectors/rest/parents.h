/*
 * parents.h - the records of a parent stream that its children are asked for with.
 *
 * Kept as lines of JSON, in memory up to a few megabytes and then in a file without a name, so that
 * millions of parents cost no memory. With `distinct` each set of fields is kept once (up to a
 * million sets are remembered; what comes twice beyond that is only asked for twice).
 *
 * Whoever adds them is alone; once parents_seal was called nothing changes any more, and any thread
 * may read them, each with a reader of its own.
 */
#ifndef CONNECTORS_REST_PARENTS_H
#define CONNECTORS_REST_PARENTS_H

#include "connectors/rest/document.h"

struct parents; /* opaque */

struct parents *parents_new(const struct rest_for_each *how);
void parents_free(struct parents *p); /* accepts NULL */
DEFINE_CLEANUP(struct parents *, parents_free_cleanup, parents_free);

/* Takes a record of the parent stream: its fields become one object. DATA, reason "parent_field",
 * when a field is not there. */
CHECKED int parents_add(struct parents *p, struct slice record, const struct scopes *s,
                        struct error *err);
/* All have been added. */
CHECKED int parents_seal(struct parents *p, struct error *err);

int64_t parents_count(const struct parents *p);
/* A digest of all of them in their order: positions name it. */
void parents_digest(const struct parents *p, char out[static 33]);

/* One after the other, from the first. */
struct parents_reader {
    const struct parents *of;
    struct buf ahead;
    size_t at;
    int64_t offset; /* in the file */
    bool ended;
};
void parents_read(struct parents_reader *r, const struct parents *p);
void parents_reader_release(struct parents_reader *r);
/* *out is valid until the next call, without a pointer behind the last. */
CHECKED int parents_next(struct parents_reader *r, struct slice *out, struct error *err);

#endif

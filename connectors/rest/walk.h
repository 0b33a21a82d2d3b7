/*
 * walk.h - the pages of one stream, in order: parents, slices, windows, pages.
 *
 * Knows nothing of rows and sinks: whoever walks takes records and is told when a page is done with
 * and where the walk stands then.
 */
#ifndef CONNECTORS_REST_WALK_H
#define CONNECTORS_REST_WALK_H

#include "connectors/rest/increment.h"
#include "connectors/rest/known.h"
#include "connectors/rest/overlap.h"
#include "connectors/rest/parents.h"

struct walk;

/*
 * The streams that are read for each record of another one, and how. Whoever first needs the
 * parents of a stream reads them for all that are asked for with the same ones; they are kept for
 * the whole run, so that each parent stream is read once, by whichever lane is first.
 */
struct family {
    const struct rest_stream **members; /* children */
    size_t n;
    struct commons *commons, *own; /* own: of a call that is alone */
};

/* Of everything in `doc` that the run reads, in this call or another. */
void family_init(struct family *f, const struct run *run, const struct rest_document *doc);
/* The stream, its parent and so on, once each; NULL is none. */
__attribute__((nonnull(1))) void family_add(struct family *f, const struct rest_stream *s);
void family_release(struct family *f);

struct walker {
    /* A record, with everything in scope that it may be computed from. */
    int (*record)(void *arg, struct slice record, const struct scopes *s, struct error *err);
    /* The page's records were all taken. `more` pages of this sequence follow. May be NULL. */
    int (*page)(void *arg, struct walk *w, bool more, struct error *err);
    /* A window of a slice is complete. May be NULL. */
    int (*window)(void *arg, struct walk *w, struct error *err);
    void *arg;
    bool keeps;  /* counts page_kept: a feed ends behind a page of which nothing was kept */
    bool merges; /* a record that comes twice is one in the end, so pages may overlap */
};

struct walk {
    struct fetcher *fetcher;
    const struct rest_stream *stream;
    struct run *run;
    const struct scopes *values;
    struct family *family;
    struct increment *increment; /* NULL = everything is read */
    struct walker to;
    int64_t max_pages; /* 0 = as the stream says; for samples */
    /* State: */
    struct pager pager;
    struct overlap overlap;
    struct bound front, next_front; /* the newest record when it last began there; this time */
    struct arena *mem, *page_mem, *next_mem; /* the walk; this request; the one behind it */
    struct scopes scopes;
    struct fetch_request request, next;
    bool has_next, ended, reset_once, at_ceiling; /* there is more than the API gives */
    const char *const *slices;                    /* of the stream; a NULL where it has none */
    size_t n_slices, slice;                       /* and the number of the one being read */
    const char *slices_digest;                    /* NULL = it has none */
    struct bound lower; /* of the increment, but for what no bookmark speaks for */
    int64_t parents_done;
    const struct parents *parents; /* of the family */
    struct parents_reader reading;
    struct parents *own_parents; /* those that another one could not read for it */
    /* Parents, or slices, that the bookmark speaks for; all that were read by now. */
    struct known known, now;
    struct bound start;              /* of every other one */
    int64_t date_us;                 /* of the first answer, by the server's clock */
    const char *etag;                /* of the first page */
    int64_t page_records, page_kept; /* of this page, and those within bounds */
    int64_t total_records, skipped;
    const char *run_json;
    struct buf parent; /* the fields of the one being asked for */
};

void walk_init(struct walk *w, struct fetcher *f, const struct rest_stream *s,
               const struct scopes *values, struct family *family, struct run *run);
void walk_release(struct walk *w);

/* Takes up a position within a run (the whole object), or NULL for the beginning. */
__attribute__((nonnull(1, 3), warn_unused_result)) int
walk_all(struct walk *w, const char *position, struct error *err);
/* Where it stands as members of a JSON object, with commas in front. */
void walk_put(const struct walk *w, bool in_pages, struct buf *out);

#endif

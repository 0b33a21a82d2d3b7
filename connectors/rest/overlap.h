/*
 * overlap.h - pages that are counted, read so that nothing slips between two of them.
 *
 * A list that changes while it is counted through moves. What comes in front of the reading pushes
 * rows over the border of the next page, where they come again; what goes pulls rows back over it,
 * into a page that was read already: those nobody would ever see.
 *
 * Pages by offset can overlap by a record. The last records of each page, its *marks*, are looked
 * for in the next one: as long as one is there, everything behind it still is behind it. Where none
 * is, the reading goes back a page at a time until one is found, and forward again from there. (It
 * takes one answer that holds both sides of a border: asking once more for a page with a number
 * proves nothing, because the list may have moved there and back in between.)
 *
 * A list that has its newest records first, by offset or number, is at last read again from its
 * front, up to what was first there when the reading began, since what changed meanwhile has moved
 * there; again and again until the front is a single page.
 *
 * What comes twice has to be one row in the end. Knows pagers and nothing of requests. Not shared.
 */
#ifndef CONNECTORS_REST_OVERLAP_H
#define CONNECTORS_REST_OVERLAP_H

#include "connectors/rest/paginate.h"

#define OVERLAP_MARKS    4  /* of a page: one may be deleted itself */
#define OVERLAP_LOST_MAX 10 /* times that the list had to be read again from its beginning */
#define OVERLAP_SAME_MAX 20 /* pages in a row that end alike: the offset means nothing there */

/* Where a page stands to what came first when the reading before this one began. */
enum overlap_front {
    OVERLAP_NO_FRONT, /* the list is in no such order */
    OVERLAP_ABOVE,    /* all of it is newer */
    OVERLAP_REACHED,
};

struct overlap_mark {
    char id[33]; /* a digest of the key; the same in every process */
};
struct overlap_marks { /* the last records of a page, the very last first */
    struct overlap_mark of[OVERLAP_MARKS];
    size_t n;
};

struct overlap {
    const struct rest_stream *stream; /* NULL = pages are read once */
    bool borders;                     /* of its pages overlap */
    struct arena *mem, *record_mem;   /* of the sequence; of one record */
    struct path *key;
    bool searching;                   /* backwards, for a mark */
    int64_t at, stride;               /* of the page being read; to the one before */
    int64_t lost, n_same, pass_pages; /* pass_pages: since the reading last began at the front */
    bool in_front;                    /* it is not the first time */
    struct overlap_marks marks, page; /* of the border; of the page that arrives */
    bool found;                       /* one of the marks is in that page */
};

void overlap_init(struct overlap *o);
void overlap_release(struct overlap *o);
/* A new sequence of pages, from where the pager stands; `s` NULL = each of them once. */
__attribute__((nonnull(1, 3))) void overlap_begin(struct overlap *o, const struct rest_stream *s,
                                                  struct pager *p);
bool overlap_is_on(const struct overlap *o);
/* Takes a record as it arrives; with the number 0 a page begins. */
CHECKED int overlap_look(struct overlap *o, int64_t number, struct slice record, struct error *err);
/*
 * After pager_next: says where the reading really goes on. TRANSIENT, reason "pages_moving", when
 * the list moves faster than it can be read.
 */
CHECKED int overlap_next(struct overlap *o, struct pager *p, enum overlap_front front, bool *more,
                         struct error *err);
/* What follows is too old to be wanted: *more says whether something is read all the same. */
CHECKED int overlap_stop(struct overlap *o, struct pager *p, enum overlap_front front, bool *more,
                         struct error *err);

/* The marks as a member of a JSON object, with a comma in front; nothing when there are none. */
void overlap_put(const struct overlap *o, struct buf *out);
/* From a position: the pager, which was resumed, begins with looking for them. */
CHECKED int overlap_resume(struct overlap *o, struct pager *p, struct slice position,
                           struct error *err);

#endif

/*
 * paginate.h - which page comes next, and when there is none. Pure but for what it remembers.
 *
 * A pager is one sequence of pages: it puts its place into requests, looks at answers, and tells
 * when it goes in circles (the places of the last 1,024 pages are remembered, longer cycles are
 * found by Brent's method). Its place can be written into a position and taken up again.
 */
#ifndef CONNECTORS_REST_PAGINATE_H
#define CONNECTORS_REST_PAGINATE_H

#include "connectors/rest/fetch.h"

#define PAGER_SEEN 1024

struct pager {
    const struct rest_paginate *how;
    int64_t number;   /* page or offset */
    struct buf token; /* cursor or key of the last record, as text; or the URL that comes next */
    bool has_token;
    int64_t pages, records, last_records; /* of the last page */
    bool retraces; /* pages are read again on purpose (overlap.h): no circle is looked for */
    unsigned char hash[16]; /* of the page before */
    uint64_t seen[PAGER_SEEN], tortoise;
    int64_t next_power;
};

void pager_init(struct pager *p, const struct rest_paginate *how);
void pager_release(struct pager *p);

/* The scope `page`, as JSON. */
const char *pager_scope(const struct pager *p, struct arena *mem);
/* Puts the place into a rendered request. */
CHECKED int pager_apply(const struct pager *p, struct fetch_request *r, struct arena *mem,
                        struct error *err);
/*
 * Looks at a page; *out_more is false at the end. DATA, reason "pagination_loop", for a place that
 * was there before. *out_repeated tells that a numbered page came twice, which ends it.
 */
CHECKED int pager_next(struct pager *p, const struct fetch_result *page, const struct scopes *s,
                       struct arena *mem, bool *out_more, bool *out_repeated, struct error *err);

/* The place as members of a JSON object, with a comma in front: ,"number":"3","count":"200" */
void pager_put(const struct pager *p, struct buf *out);
/* Takes it up; `position` is the whole object. */
CHECKED int pager_resume(struct pager *p, struct slice position, struct arena *mem,
                         struct error *err);

#endif

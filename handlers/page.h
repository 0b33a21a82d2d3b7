/*
 * page.h - lists in pages: what is asked for, and the envelope of the answer.
 *
 * {"items": [...], "next_cursor": null} and a Link header with rel="next" whose address is the
 * request's own with another cursor.
 */
#ifndef HANDLERS_PAGE_H
#define HANDLERS_PAGE_H

#include "connectors/base/jsonwrite.h"
#include "server/http/http.h"
#include "server/store/store.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX     500

/* Reads limit, cursor, q and label (and nothing else) into `out`. */
CHECKED int page_read(struct request *req, struct list_query *out, struct error *err);
/* ?count=true asks for the total. */
CHECKED int page_wants_total(struct request *req, bool *out, struct error *err);
#define PAGE_NO_TOTAL (-1)

void page_begin(struct jsonw *w);
/* Ends the items; `next` is NULL on the last page; `total` may be PAGE_NO_TOTAL. */
void page_end_part(struct jsonw *w, struct request *req, struct response *res, const char *next,
                   int64_t total);

/* A list that is always whole. */
void page_end_whole(struct jsonw *w);

#endif

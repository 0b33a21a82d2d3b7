/*
 * rows_shape.h - what a document makes of one record: explode, where, add, remove.
 */
#ifndef CONNECTORS_REST_ROWS_SHAPE_H
#define CONNECTORS_REST_ROWS_SHAPE_H

#include "connectors/rest/document.h"

/* Takes one shaped record, valid during the call. */
typedef int shape_fn(void *arg, struct slice record, struct error *err);

struct shape {
    const struct rest_stream *stream;
    struct arena *mem; /* of one record */
    struct buf text;
};

void shape_init(struct shape *h, const struct rest_stream *s);
void shape_release(struct shape *h);
/* *out_filtered grows by what `where` left out. */
CHECKED int shape_feed(struct shape *h, struct slice record, const struct scopes *s, shape_fn *each,
                       void *arg, int64_t *out_filtered, struct error *err);

#endif

/*
 * batch_scratch.h - what the two files of the batch share: a buffer for text being rewritten.
 */
#ifndef CONNECTORS_DATA_BATCH_SCRATCH_H
#define CONNECTORS_DATA_BATCH_SCRATCH_H

#include "connectors/data/batch.h"

/* Empty; valid until the next call. Holds one value of the largest size. */
struct buf *batch_scratch(struct batch *b);

#endif

/*
 * record.h - a row of a batch as a JSON object, for samples.
 */
#ifndef SERVER_SYNC_RECORD_H
#define SERVER_SYNC_RECORD_H

#include "connectors/base/jsonwrite.h"
#include "connectors/data/batch.h"

/* Numbers, booleans and JSON as such, decimals with all their digits, the rest as strings in
 * canonical form; odd cells and NULL as null. */
void record_put(struct jsonw *w, const struct batch *rows, size_t row);

#endif

/*
 * record.h - a row of a batch as a JSON object, for samples.
 */
#ifndef SERVER_SYNC_RECORD_H
#define SERVER_SYNC_RECORD_H

#include "connectors/base/jsonwrite.h"
#include "connectors/data/batch.h"

/* Integers, finite floats, booleans and JSON as such; the rest as strings in canonical form,
 * decimals too, as the JSON Schema of their columns says. Odd cells and NULL are null. */
void record_put(struct jsonw *w, const struct batch *rows, size_t row);

#endif

/*
 * reader_rows.h - records into rows: the inner loops of reader.h, one for each format. Private to
 * the reader and to the sampling of types.
 */
#ifndef CONNECTORS_FILES_READER_ROWS_H
#define CONNECTORS_FILES_READER_ROWS_H

#include "connectors/files/reader.h"

CHECKED int reader_fill_csv(struct reader *r, struct batch *rows, enum reader_outcome *out,
                            struct error *err);
CHECKED int reader_fill_ndjson(struct reader *r, struct batch *rows, enum reader_outcome *out,
                               struct error *err);

#endif

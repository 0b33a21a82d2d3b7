/*
 * encode.h - rows of a batch as lines of a file, with the columns that describe the sync.
 *
 * One encoder serves one shape of batches; which columns are written follows the drift policy of
 * the stream. Not shared between threads.
 */
#ifndef CONNECTORS_FILES_ENCODE_H
#define CONNECTORS_FILES_ENCODE_H

#include "connectors/connector.h"
#include "connectors/files/csv.h"
#include "connectors/files/ndjson.h"

struct encode_options {
    enum files_format format;
    struct csv_style csv;
    enum metadata_level metadata;
    const char *run_id;
    int64_t synced_unix_us;
    int64_t generation;
};

struct encoder; /* opaque */

/* Fails with SCHEMA, reason "schema_frozen", when the stream is frozen and `schema` differs from
 * what was selected. */
CHECKED int encoder_new(const struct encode_options *options, const struct selected_stream *want,
                        const struct schema *schema, struct encoder **out, struct error *err);
void encoder_free(struct encoder *e); /* accepts NULL */

/* Whether batches of this schema look as those the encoder was made for. */
bool encoder_fits(const struct encoder *e, const struct schema *schema);
/* The schema as written, without the describing columns. */
const struct schema *encoder_schema(const struct encoder *e);

/* The first line of a file; nothing for NDJSON. */
void encoder_put_header(const struct encoder *e, struct buf *out);
/* A line for one row, whose odd cells are given. */
void encoder_put_row(struct encoder *e, struct buf *out, const struct batch *rows, size_t row,
                     const struct odd_cell *odd, size_t n_odd);

#endif

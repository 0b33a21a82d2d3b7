/*
 * write.h - Singer messages: schemas, rows of a batch, versions and states as lines of text.
 *
 * Everything is appended to a buffer, so that whoever writes to a descriptor decides when. A row is
 * encoded column by column by functions that were chosen once per shape, with nothing allocated and
 * nothing formatted through printf. Values are as column_to_json_schema says of their columns:
 * decimals are strings (format "singer.decimal"), so that no digit is lost; what JSON has no number
 * for, NaN and the infinities, is a string as well. Not shared between threads.
 */
#ifndef CONNECTORS_SINGER_WRITE_H
#define CONNECTORS_SINGER_WRITE_H

#include "connectors/catalog.h"
#include "connectors/data/batch.h"

/* {"type":"SCHEMA", ...} of a stream that is called `name`, with the columns of `schema`; the key
 * is left out where rows are appended, which is how Singer says that. With the framework's
 * additional members: replication_method, unique_conflict_method, unique_constraints, ... */
void singer_put_schema(struct buf *out, const char *name, const struct selected_stream *want,
                       const struct schema *schema);
void singer_put_activate_version(struct buf *out, const char *name, int64_t version);
/* `value` is one whole JSON value on one line. */
void singer_put_state(struct buf *out, const char *value, size_t n);

struct singer_rows; /* opaque: how rows of one shape are written */

/* RECORD lines of the stream `name`; version 0 = without one. The schema is copied; only columns
 * that `wanted` has are written (NULL = all). */
struct singer_rows *singer_rows_new(const char *name, const struct schema *schema,
                                    const struct schema *wanted, int64_t version);
/* Rows as objects with a comma behind each, for arrays of them. */
struct singer_rows *singer_rows_new_plain(const struct schema *schema);
void singer_rows_free(struct singer_rows *r); /* accepts NULL */
/* Whether batches of this schema look as those that `r` was made for. */
bool singer_rows_fit(const struct singer_rows *r, const struct schema *schema);

/*
 * Appends the rows [first, end) until `out` holds `enough` bytes, and returns the number of the
 * first one that was not written. Odd cells are null: whoever must not lose them looks at
 * batch_odd_cells before.
 */
size_t singer_rows_put(const struct singer_rows *r, struct buf *out, const struct batch *rows,
                       size_t first, size_t end, size_t enough);

#endif

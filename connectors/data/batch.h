/*
 * batch.h - rows on their way, by column, with what could not be represented beside them.
 *
 * The layout is Arrow's (validity bitmap, fixed-width values or 32-bit offsets and bytes), so an
 * exporter is a short file. Built row by row, read column by column. Besides rows a batch carries
 * *odd cells* (the cell is NULL, its original stands in a list with the reason) and *rejected
 * rows* (a line that is no record): nothing the source saw gets lost on the way to quarantine.
 * Belongs to one thread at a time. Memory is kept when cleared.
 */
#ifndef CONNECTORS_DATA_BATCH_H
#define CONNECTORS_DATA_BATCH_H

#include "connectors/base/buf.h"
#include "connectors/base/error.h"
#include "connectors/data/schema.h"
#include "connectors/data/value.h"

#define BATCH_MAX_ROWS   2048               /* stays in the second-level cache at usual widths */
#define BATCH_FULL_BYTES ((size_t)1 << 20)  /* reported full from here on, unless limited */
#define BATCH_MAX_VALUE  ((size_t)16 << 20) /* one cell; larger ones become odd cells */

struct batch; /* opaque */

struct odd_cell {
    size_t row, column;
    enum reason reason;
    struct slice original; /* text, or raw bytes when not UTF-8; cut at BATCH_ODD_BYTES */
};
struct rejected_row {
    size_t before_row; /* it stood before this row of the batch */
    enum reason reason;
    const char *detail; /* where and why: "users.csv line 17, column 3: ..." */
    struct slice raw;   /* cut at BATCH_ODD_BYTES */
};
#define BATCH_ODD_BYTES ((size_t)64 << 10)

/* The schema is borrowed and must outlive the batch, or be replaced by batch_reset. */
struct batch *batch_new(const struct schema *schema);
void batch_free(struct batch *b); /* accepts NULL */
DEFINE_CLEANUP(struct batch *, batch_free_cleanup, batch_free);
void batch_clear(struct batch *b);                              /* no rows, same schema */
void batch_reset(struct batch *b, const struct schema *schema); /* no rows, another schema */
/* Full at so many bytes from now on, whatever it is used for; a run that holds many batches at once
 * has smaller ones. */
void batch_limit(struct batch *b, size_t full_bytes);
/* Exchanges the contents, schema included: how the runner takes rows without copying them. */
void batch_swap(struct batch *a, struct batch *b);

const struct schema *batch_schema(const struct batch *b);
size_t batch_rows(const struct batch *b);
size_t batch_bytes(const struct batch *b);  /* of values, odd cells and rejected rows */
bool batch_is_full(const struct batch *b);  /* time to hand it on */
bool batch_is_empty(const struct batch *b); /* no rows and no rejected rows */

/*
 * Building the current row. A column that is not put is NULL. Putting into a column of another
 * storage is a programming error. Values that are too large or not valid for the type (text that
 * is not UTF-8 in STRING) become odd cells by themselves; so no put can fail.
 */
void batch_put_bool(struct batch *b, size_t column, bool v);
void batch_put_int64(struct batch *b, size_t column, int64_t v); /* every STORAGE_INT64 type */
void batch_put_double(struct batch *b, size_t column, double v);
void batch_put_uuid(struct batch *b, size_t column, const unsigned char v[static 16]);
void batch_put_interval(struct batch *b, size_t column, struct interval v);
/* STRING, JSON and BYTES as they are; DECIMAL must be canonical. */
void batch_put_text(struct batch *b, size_t column, const char *s, size_t n);
/* Reads `s` as a value of the column's type, whatever it is; what does not parse becomes odd. */
void batch_put_parsed(struct batch *b, size_t column, const char *s, size_t n);
void batch_put_odd(struct batch *b, size_t column, enum reason reason, const char *s, size_t n);
void batch_end_row(struct batch *b);
/* Forgets what was put since the last end of a row. */
void batch_drop_row(struct batch *b);
void batch_reject_row(struct batch *b, enum reason reason, const char *detail, const char *raw,
                      size_t n);

/* Reading. Views are valid until the batch changes. */
struct column_view {
    enum storage storage;
    size_t n_null;
    const uint8_t *valid; /* bit i (LSB first) is 1 when row i has a value */
    union {
        const uint8_t *bools;
        const int64_t *ints;
        const double *doubles;
        const unsigned char (*fixed)[16];
        const uint32_t *offsets; /* n_rows + 1 of them, into bytes */
    };
    const char *bytes;
};
struct column_view batch_column(const struct batch *b, size_t column);

static inline bool column_has(const struct column_view *v, size_t row)
{
    return v->n_null == 0 || (v->valid[row >> 3] >> (row & 7) & 1);
}
static inline struct slice column_text(const struct column_view *v, size_t row)
{
    return (struct slice){v->bytes + v->offsets[row], v->offsets[row + 1] - v->offsets[row]};
}

const struct odd_cell *batch_odd_cells(const struct batch *b, size_t *out_n); /* in row order */
const struct rejected_row *batch_rejected(const struct batch *b, size_t *out_n);

/* Appends the canonical text of a cell that has a value; BYTES as base64 (engine table 2.10). */
void batch_cell_text(const struct batch *b, size_t column, size_t row, struct buf *out);

/*
 * Appends the key of a row as length-prefixed canonical values, equal exactly when the keys are
 * equal: ('a,b','c') and ('a','b,c') differ, 1.0 and 1.00 do not, -0.0 is 0.0. False when a key
 * column is NULL or NaN.
 */
bool batch_key(const struct batch *b, size_t row, struct buf *out);

#endif

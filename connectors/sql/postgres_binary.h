/*
 * postgres_binary.h - values on their way to PostgreSQL, as a COPY takes them.
 *
 * A field is one column of a COPY: where its values come from, what the server's column is, and the
 * one function that writes them, chosen once. The server rounds, cuts and pads in silence what does
 * not fit the precision of a column; here that is refused instead. No libpq: pure but for what is
 * done with a full buffer.
 */
#ifndef CONNECTORS_SQL_POSTGRES_BINARY_H
#define CONNECTORS_SQL_POSTGRES_BINARY_H

#include "connectors/data/batch.h"
#include "connectors/sql/postgres_oid.h"

/* ------------------------------------------------------------- bytes */

/* Between two calls, at least this much room can be had at once. */
#define POSTGRES_OUT_BYTES ((size_t)128 << 10)

/*
 * A buffer that is handed on when it is full:  start [ written | room ] end
 *                                                              at
 */
struct postgres_out {
    char *start, *at, *end;
    int (*flush)(void *arg, const char *bytes, size_t n); /* -1 when nobody takes them any more */
    void *arg;
    bool failed; /* since then bytes go nowhere */
};

void postgres_out_flush(struct postgres_out *o);
/* Any number of bytes; those that are many go out past the buffer. */
void postgres_out_put(struct postgres_out *o, const char *s, size_t n);

/* ------------------------------------------------------------- columns */

/* A column as the server describes it; of a domain, what is below it. */
struct postgres_target {
    uint32_t oid;
    int32_t typmod; /* -1 = unconstrained */
};

/* Whether values of the type can be written in binary; all others go as text, all of the table. */
bool postgres_knows_binary(uint32_t oid);

struct postgres_field;
/* Writes the value of a row that has one; false when the column cannot hold it as it is. */
typedef bool postgres_encoder(struct postgres_out *o, struct postgres_field *f, size_t row);

struct postgres_field {
    postgres_encoder *put;
    struct postgres_target target;
    bool binary; /* else COPY's text format */
    enum type from_type, to_type;
    size_t from;
    const struct batch *rows;
    struct column_view view;
    int64_t grain;           /* of times: microseconds in the smallest step the column keeps */
    size_t max_chars;        /* of text; 0 = any number */
    int64_t first_order;     /* of rows that are numbered */
    const char *const *meta; /* a text per row, or NULL */
    struct buf constant;     /* what is the same in every row: the bytes to write */
    struct buf text;         /* a value on its way */
    char *trial;             /* where a value is written to see whether it fits */
};

/* A field of a column of logical type `to`; the server's is `target`. */
void postgres_field_init(struct postgres_field *f, struct postgres_target target, enum type to,
                         bool binary);
/* From where its values come, for one batch. */
void postgres_field_column(struct postgres_field *f, const struct batch *rows, size_t from,
                           enum type from_type);
void postgres_field_order(struct postgres_field *f, int64_t first);
void postgres_field_meta(struct postgres_field *f, const char *const *meta);
/* The same in every row, NULL = NULL; false when the column cannot hold it. */
bool postgres_field_constant(struct postgres_field *f, const char *text);
void postgres_field_release(struct postgres_field *f);

void postgres_field_put_null(struct postgres_out *o, const struct postgres_field *f);
/* The value of one row; false when the column cannot hold it as it is. */
static inline bool postgres_field_put(struct postgres_out *o, struct postgres_field *f, size_t row)
{
    if (column_has(&f->view, row))
        return f->put(o, f, row);
    postgres_field_put_null(o, f);
    return true;
}

/* ------------------------------------------------------------- single values */

/* The value of canonical text in a column of that type and precision, in binary with its length in
 * front; false when it would be altered. */
bool postgres_encode_text(struct postgres_out *o, struct postgres_target t, const char *s,
                          size_t n);
/* The same for a canonical decimal. */
bool postgres_encode_numeric(struct postgres_out *o, const char *s, size_t n, int32_t typmod);
/* The value of canonical text as COPY's text format has it, escaped. */
void postgres_encode_copy_text(struct postgres_out *o, uint32_t oid, const char *s, size_t n);

#endif
